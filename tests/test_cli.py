"""The command line: its words, its exit codes, and that nothing is written when something is wrong."""

import re

import pytest
import small_sites
import small_survey
import small_years
from bad_inputs.cases import CASES
from typer.testing import CliRunner

from uncia.reports import analysis, simulate
from uncia.reports.cli import app

COMMANDS = ("init", "check", "effort", "fit", "report", "reproduce", "compare", "freeze", "simulate")
CONFIG_KEYS = {"species", "timezone", "crs"}
DATA_KEYS = {"identities", "failures", "mapping", "encoding"}


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def everything(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def form(tmp_path):
    return small_survey.write(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"uncia {command}" in re.sub(r"\s+", " ", result.output.split("Example:")[1])


def test_help_and_version():
    assert run("--help").exit_code == 0
    assert re.fullmatch(r"uncia \d+\.\d+\.\d+\S*\n", run("--version").output)


@pytest.mark.parametrize("words", ["report", "report a --no-such-option", "no-such-command", "simulate a"])
def test_misuse_is_exit_code_2(words):
    assert run(*words.split()).exit_code == 2


def test_init_writes_a_form_once(tmp_path):
    first = run("init", tmp_path / "new")
    assert first.exit_code == 0
    assert "uncia check" in first.output
    text = (tmp_path / "new" / "survey.toml").read_text("utf-8")
    again = run("init", tmp_path / "new")
    assert again.exit_code == 1
    assert "there is a survey.toml already" in again.output
    assert (tmp_path / "new" / "survey.toml").read_text("utf-8") == text


def test_check_shows_what_was_understood(form):
    before = everything(form.parent)
    result = run("check", form)
    assert result.exit_code == 0
    assert "14 animals" in result.output
    assert "HabitatMask" in result.output
    assert "used" in result.output and "another species" in result.output
    assert "Findings" in result.output
    assert everything(form.parent) == before


def test_check_knows_a_wrong_formula_before_it_is_fitted(form):
    form.write_text(form.read_text("utf-8") + '\n[[models]]\nname = "bad"\nD = "~ slpoe"\n', "utf-8")
    result = run("check", form)
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "model 'bad': the formula of D uses a covariate that is not there (found 'slpoe')" in said


def test_effort(form, tmp_path):
    result = run("effort", form, "--out", tmp_path / "effort.csv")
    assert result.exit_code == 0
    assert "496.0 camera days set, 5.0 lost, 491.0 worked" in result.output
    assert (tmp_path / "effort.csv").read_text("utf-8").startswith("deployment,location,start,end,set,lost,worked\n")


def test_fit_shows_every_model_and_writes_the_numbers(form, tmp_path):
    result = run("fit", form, "--out", tmp_path / "numbers.json")
    assert result.exit_code == 0
    assert result.output.count("Coefficients (link scale)") == 2
    assert "We estimate" in result.output
    assert (tmp_path / "numbers.json").exists()


def test_report_ends_with_the_headline_and_the_place(form):
    result = run("report", form)
    assert result.exit_code == 0
    *_, headline, place = result.output.strip().splitlines()
    said = r"We estimate [\d.]+ snow leopards per 100 km² in Valley \(95 % interval [\d.]+ to [\d.]+\)\. This is"
    assert re.match(said, headline)
    assert place == f"Report: {form.parent / 'report' / 'report.html'}"


def test_a_mistake_in_the_form_is_one_message(form):
    form.write_text(form.read_text("utf-8").replace("crs =", "csr ="), encoding="utf-8")
    before = everything(form.parent)
    result = run("report", form)
    assert result.exit_code == 1
    assert result.output == "Error. survey.toml, row 8: [survey] has no key 'csr'. Did you mean 'crs'?\n"
    assert everything(form.parent) == before


def test_ctrl_c_says_what_is_kept(form, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis, "analyse", stopped)
    before = everything(form.parent)
    result = run("report", form)
    assert result.exit_code == 130
    assert "Stopped. Nothing was written" in result.output
    assert everything(form.parent) == before


def test_numbers_that_must_not_be_used_are_exit_code_1(form):
    text = form.read_text("utf-8").replace("buffer = 9_000", "buffer = 1_000")
    form.write_text(text.split("[[models]]")[0] + '[[models]]\nname = "constant"\n', encoding="utf-8")
    result = run("fit", form)
    assert result.exit_code == 1
    assert "Do not use these numbers as they are." in result.output
    assert "mask is too small" in result.output


def test_simulate_writes_a_survey_that_can_be_read(form, tmp_path):
    result = run("simulate", form, "--seed", 4, "--out", tmp_path / "sim", "--set", "D=6")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "sim").iterdir()}
    assert names == {"camtrap-dp", "rugged.tif", "survey.toml", "truth.json", "valley.gpkg"}
    assert run("check", tmp_path / "sim").exit_code == 0
    again = run("simulate", form, "--seed", 4, "--out", tmp_path / "again", "--set", "D=6")
    assert again.exit_code == 0
    first, second = everything(tmp_path / "sim"), everything(tmp_path / "again")
    assert list(first.values()) == list(second.values())


def test_simulate_needs_a_new_folder_and_known_values(form, tmp_path):
    assert "the folder is not empty" in run("simulate", form, "--out", form.parent).output
    result = run("simulate", form, "--out", tmp_path / "sim", "--set", "sgima=3")
    assert result.exit_code == 1
    assert "Did you mean 'sigma'?" in result.output
    assert not (tmp_path / "sim").exists()
    assert "this is not a value for a parameter" in run("simulate", form, "--out", tmp_path / "s", "--set", "D").output


def test_values_of_one_parameter_by_term():
    values = simulate.parse_values(["D.Intercept=0.5", "D.rugged=1", "z=2"])
    assert values == {"D": {"Intercept": 0.5, "rugged": 1.0}, "z": 2.0}


def form_of(case, folder):
    """A survey.toml that asks for what a case of tests/bad_inputs reads."""
    from bad_inputs import good

    options = good.SITE | case.options
    quoted = lambda names: [f'{k} = "{options[k]}"' for k in names if options.get(k) is not None]  # noqa: E731
    occasions = {k: v for k, v in options.items() if k not in CONFIG_KEYS | DATA_KEYS and v is not None}
    if "occasion" in occasions:
        occasions["length"] = occasions.pop("occasion")
    if isinstance(occasions.get("independence"), tuple):
        occasions["independence"] = "{1} since the {0}".format(*occasions["independence"])
    kind = {"camtrap_dp": "camtrap-dp", "field_tables": "field-tables", "wildlife_insights": "wildlife-insights"}
    lines = ["[survey]", 'name = "bad"', *quoted(sorted(CONFIG_KEYS))]
    lines += ["[data]", f'format = "{kind[case.reader]}"', f'path = "{case.path}"', *quoted(sorted(DATA_KEYS))]
    lines += ["[occasions]", *(f'{k} = "{v}"' for k, v in occasions.items())]
    (folder / "survey.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "survey.toml"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_check_of_a_bad_input_is_one_message(case, tmp_path):
    case.build(tmp_path)
    form = form_of(case, tmp_path)
    before = everything(tmp_path)
    result = run("check", form)
    assert result.exit_code == 1
    assert result.output.startswith("Error. ")
    assert "Traceback" not in result.output
    assert everything(tmp_path) == before
    if "[occasions]" not in result.output and "form" not in result.output:
        for piece in case.expect:
            assert piece in result.output


# ---- kinds of survey ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["captures", "sites", "patrols", "animals", "released", "years", "parks", "region"])
def test_init_has_a_form_for_every_kind_of_survey(kind, tmp_path):
    assert run("init", tmp_path / "new", "--kind", kind).exit_code == 0
    assert "[[models]]" in (tmp_path / "new" / "survey.toml").read_text("utf-8")
    assert run("init", tmp_path / "other", "--kind", "birds").exit_code == 2


NAMED = {"years": ("2021", "2023", "2025"), "parks": ("west", "east"), "region": [f"valley-{k}" for k in (1, 2, 3, 4)]}


@pytest.mark.parametrize("kind", NAMED)
def test_forms_of_several_surveys_run_once_the_surveys_are_there(kind, tmp_path):
    assert run("init", tmp_path, "--kind", kind).exit_code == 0
    for k, name in enumerate(NAMED[kind]):
        small_years.write_year(tmp_path, name, 12, seed=1 if kind == "parks" else k + 1)
    checked = run("check", tmp_path / "survey.toml")
    assert checked.exit_code == 0, checked.output
    fitted = run("fit", tmp_path / "survey.toml")
    said = {"years": "From 2021 to 2025", "parks": "We estimate", "region": "snow leopards in the region (95"}
    assert said[kind] in fitted.output, fitted.output


def test_commands_for_sites(tmp_path):
    entry = small_sites.models('name = "one"\nexposure = true') + small_sites.REPORT.format(goodness=0, model="one")
    form = small_sites.sites(tmp_path, entry)
    checked = run("check", form)
    assert checked.exit_code == 0 and "30 sites" in checked.output and "No findings" in checked.output
    fitted = run("fit", form, "--out", tmp_path / "numbers.json")
    assert fitted.exit_code == 0 and "Cats were found at" in fitted.output
    reported = run("report", form)
    assert reported.exit_code == 0 and reported.output.strip().splitlines()[-1].startswith("Report: ")
    assert run("reproduce", tmp_path / "report").exit_code == 0
    assert "these data have no deployments" in run("effort", form).output
    refused = run("simulate", form, "--out", tmp_path / "simulated")
    assert refused.exit_code == 1 and "only surveys of spatial capture-recapture" in refused.output
    assert not (tmp_path / "simulated").exists()


def test_numbers_that_must_not_be_used_are_an_error_of_the_data(tmp_path):
    entry = small_sites.models('name = "time"\nmodel = "CJS"\nphi = "~ t"\np = "~ t"')
    result = run("fit", small_sites.marked(tmp_path, entry))
    assert result.exit_code == 1 and "Do not use these numbers as they are." in result.output


def test_a_bad_table_is_one_message_and_writes_nothing(tmp_path):
    form = small_sites.sites(tmp_path, small_sites.models('name = "one"'))
    visits = (tmp_path / "visits.csv").read_text("utf-8").splitlines()
    (tmp_path / "visits.csv").write_text("\n".join([*visits[:3], "S01,3,many,2", *visits[4:]]) + "\n", encoding="utf-8")
    before = everything(tmp_path)
    result = run("report", form)
    assert result.exit_code == 1
    assert "visits.csv, row 4: value must be a number (found 'many'). Correct the value" in result.output
    assert everything(tmp_path) == before


def test_a_place_that_cannot_be_written_to_is_told_before_the_long_work(form, monkeypatch, tmp_path):
    def never(*_, **__):
        raise AssertionError("the long work began")

    monkeypatch.setattr("uncia.reports.cli._analyse", never)
    before = everything(tmp_path)
    for words, said in (
        (("report", form, "--out", form), "the folder of the report is a file"),
        (("fit", form, "--out", tmp_path), "this is a folder"),
        (("fit", form, "--out", tmp_path / "no" / "a.json"), "there is no folder of the file that is to be written"),
        (("effort", form, "--out", tmp_path / "no" / "a.csv"), "there is no folder of the file that is to be written"),
        (("freeze", tmp_path / "nowhere"), "there is no such file or folder"),
    ):
        result = run(*words)
        assert result.exit_code == 1 and said in " ".join(result.output.split()), words
    assert everything(tmp_path) == before
