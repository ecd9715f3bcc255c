"""survey.toml: what it reads, and what it says when something is wrong."""

from importlib.resources import files
from pathlib import Path

import pytest

from uncia.reports.config import BEST, read_config
from uncia.survey import SurveyError

FORM = """\
[survey]
name = "A"
species = "Panthera uncia"
[data]
format = "camtrap-dp"
path = "data"
"""
ROOT = Path(__file__).parent.parent


def read(tmp_path, text):
    (tmp_path / "survey.toml").write_text(text, encoding="utf-8")
    return read_config(tmp_path / "survey.toml")


def message(tmp_path, text):
    with pytest.raises(SurveyError) as error:
        read(tmp_path, text)
    return str(error.value)


def test_defaults_are_those_of_the_field(tmp_path):
    config = read(tmp_path, FORM)
    assert (config.occasions.length, config.occasions.day_boundary, config.occasions.kind) == (
        "1 day",
        "noon",
        "proximity",
    )
    assert [model.name for model in config.models] == ["constant"]
    assert config.models[0].detection == "hazard half-normal"
    assert (config.report.model, config.report.interval, config.report.public) == (BEST, "wald", False)


def test_a_folder_stands_for_the_form_in_it(tmp_path):
    read(tmp_path, FORM)
    assert read_config(tmp_path).survey.name == "A"


@pytest.mark.parametrize("kind", ["", "-sites", "-patrols", "-animals", "-released", "-years"])
def test_the_form_that_init_writes_is_valid(kind, tmp_path):
    read(tmp_path, files("uncia.reports.templates").joinpath(f"survey{kind}.toml").read_text("utf-8"))


def test_every_example_has_a_valid_form():
    forms = sorted(path for path in (ROOT / "examples").glob("*/*.toml") if path.name != "mapping.toml")
    assert forms
    for form in forms:
        read_config(form)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            FORM.replace("species", "speices"),
            "survey.toml, row 3: [survey] has no key 'speices'. Did you mean 'species'?",
        ),
        (FORM + "[[year]]\nyear = 2020\n", "survey.toml, row 7: the form has no key 'year'. Did you mean 'years'?"),
        (FORM + "[maks]\nbuffer = 1\n", "survey.toml, row 7: the form has no key 'maks'. Did you mean 'mask'?"),
        (
            FORM + "[[models]]\nname = 'a'\n[[models]]\nname = 'b'\nlamda0 = '~ 1'\n",
            "survey.toml, row 11: [models] has no key 'lamda0'. Did you mean 'lambda0'?",
        ),
        (
            FORM + "[mask]\nspacing = -1\n",
            "survey.toml, row 8: [mask]: spacing must be above 0 (found -1). Correct the value",
        ),
        (
            FORM.replace("camtrap-dp", "camtrap"),
            "survey.toml, row 5: [data]: format is not one of the possible values (found 'camtrap'). "
            "Did you mean 'camtrap-dp'?",
        ),
        (FORM.replace('name = "A"\n', ""), "survey.toml, row 1: [survey] lacks the key 'name'. Add name = …"),
        (
            FORM.replace('path = "data"\n', ""),
            "survey.toml, row 4: data in the format 'camtrap-dp' need the key 'path'. Add path = …",
        ),
        (
            FORM + 'traps = "t.txt"\n',
            "survey.toml, row 4: data in the format 'camtrap-dp' have no 'traps'. Leave it out",
        ),
        (
            FORM + "[mask]\nbuffer = \n",
            'survey.toml, row 8: this is not TOML: invalid value. Text needs quotes ("…"), a list needs [ ], and a key '
            "stands in one section only once",
        ),
        (
            FORM + "[[models]]\nname = 'a'\n[[models]]\nname = 'a'\n",
            "survey.toml: two models have the name 'a'. Give each its own",
        ),
        (
            FORM + "[occasions]\nkind = 'polygon'\n",
            "survey.toml: [occasions]: kind = 'polygon' is of searches in the files of secr. Searched areas and lines "
            "in other formats go into [[methods]]",
        ),
        (
            FORM + "[mask]\ntable = 'mask.csv'\nbuffer = 500\n",
            "survey.toml, row 7: [mask]: a table of cells has no buffer. Leave out buffer or table",
        ),
        (
            FORM + "[report]\nmodel = 'constnat'\n",
            "survey.toml, row 8: report.model names no model: 'constnat'. Did you mean 'constant'?",
        ),
    ],
)
def test_messages(tmp_path, text, expected):
    assert message(tmp_path, text) == expected


def test_all_faults_are_told_at_once(tmp_path):
    said = message(tmp_path, "seeed = 1\n" + FORM + "[report]\nlanguage = 'xx'\n")
    assert said.startswith("2 problems in the input:")
    assert "row 1: the form has no key 'seeed'. Did you mean 'seed'?" in said
    assert "there is no report in the language 'xx'. Use one of 'en', 'zh'" in said


def test_a_form_in_another_encoding(tmp_path):
    (tmp_path / "survey.toml").write_bytes('[survey]\nname = "雪豹"'.encode("gb18030"))
    with pytest.raises(SurveyError, match=r"the file is not in UTF-8\. Save it as UTF-8 text"):
        read_config(tmp_path / "survey.toml")


def test_no_form(tmp_path):
    with pytest.raises(SurveyError, match=r"there is no such file .*or start one with `uncia init`"):
        read_config(tmp_path / "survey.toml")
