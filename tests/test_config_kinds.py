"""survey.toml of the kinds of survey: the models ask for their own keys, and what is wrong is said in words."""

import pytest

from uncia.reports.analysis import analyse
from uncia.reports.captures.form import CaptureForm
from uncia.reports.config import read_config
from uncia.reports.encounters.form import EncounterForm
from uncia.reports.fates.form import FateForm
from uncia.reports.model_parts import built, models_of, part_of
from uncia.reports.sites.form import SiteForm
from uncia.reports.study import read_study
from uncia.survey import DetectionHistory, SurveyError

HEAD = '[survey]\nname = "A"\n'
VISITS = HEAD + '[data]\nformat = "visits"\npath = "v.csv"\n'
HISTORIES = HEAD + '[data]\nformat = "histories"\npath = "h.csv"\n'
FATES = HEAD + '[data]\nformat = "fates"\npath = "f.csv"\nlength = "7 days"\n'
CAMERAS = HEAD + '[data]\nformat = "camtrap-dp"\npath = "data"\n'
ONE = "[[models]]\nname = 'a'\n"
TWO = "[[models]]\nname = 'b'\n"


def read(tmp_path, text):
    (tmp_path / "survey.toml").write_text(text, encoding="utf-8")
    return read_config(tmp_path / "survey.toml")


def message(tmp_path, text):
    with pytest.raises(SurveyError) as error:
        read(tmp_path, text)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (CAMERAS, CaptureForm),
        (CAMERAS + ONE + "model = 'SCR'\n", CaptureForm),
        (CAMERAS + ONE + "model = 'Occupancy'\n", SiteForm),
        (CAMERAS + ONE + "model = 'ClosedCapture'\n", EncounterForm),
        (VISITS, SiteForm),
        (HISTORIES + ONE + "model = 'CJS'\n", EncounterForm),
        (FATES, FateForm),
    ],
)
def test_the_models_or_else_the_data_say_what_kind_of_survey_it_is(text, form, tmp_path):
    assert type(read(tmp_path, text)) is form


def test_a_model_has_the_keys_of_its_class(tmp_path):
    lines = "model = 'RoyleNichols'\nlambda = '~ x'\nexposure = true\nlinks = { r = 'cloglog' }\n"
    part = read(tmp_path, VISITS + ONE + lines).models[0]
    assert part.lambda_ == "~ x" and part.exposure is True and part.links == {"r": "cloglog"}
    assert part.model_dump(by_alias=True)["lambda"] == "~ x"


def test_what_is_left_out_is_the_default_of_the_model():
    occupancy = next(model for model in models_of("DetectionHistory") if model.__name__ == "Occupancy")
    history = DetectionHistory.from_wide([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    model = built(part_of(occupancy).model_validate({"name": "a", "p": 0.5}), history)
    assert model.formulas == {"psi": "~ 1", "p": 0.5}


def test_a_form_written_out_and_read_again_is_the_same(tmp_path):
    text = ONE + "model = 'NMixture'\nlambda = '~ x'\n" + TWO + "model = 'Removal'\n"
    config = read(tmp_path, VISITS + text)
    assert SiteForm.model_validate(config.model_dump(mode="json", by_alias=True)) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            VISITS + ONE + "model = 'Ocupancy'\n",
            "survey.toml, row 8: there is no such model (found 'Ocupancy'). Did you mean 'Occupancy'?",
        ),
        (
            VISITS + ONE + "model = 'RoyleNichols'\nlamda = '~ x'\n",
            "survey.toml, row 9: [models] has no key 'lamda'. Did you mean 'lambda'?",
        ),
        (
            VISITS + ONE + "model = 'Occupancy'\nexposure = 'maybe'\n",
            "survey.toml, row 9: [models]: exposure must be true or false (found 'maybe'). Correct the value",
        ),
        (
            VISITS + ONE + "model = 'Occupancy'\n" + TWO + "model = 'CJS'\n",
            "survey.toml, row 9: [models]: this model is not for these data, or not beside the others (found 'CJS')",
        ),
        (
            VISITS.replace('path = "v.csv"\n', ""),
            "survey.toml, row 3: data in the format 'visits' need the key 'path'. Add path = …",
        ),
        (
            VISITS + 'effort = "e.csv"\n',
            "survey.toml, row 3: data in the format 'visits' have no 'effort'. Leave it out",
        ),
        (
            HEAD + '[data]\nformat = "patrols"\npath = "tracks"\n',
            "survey.toml, row 3: data in the format 'patrols' need the key 'cells'. Add cells = …",
        ),
        (
            VISITS.replace('"visits"', '"vists"'),
            "survey.toml, row 4: [data]: format is not one of the possible values (found 'vists'). Did you mean "
            "'visits'?",
        ),
        (HISTORIES, "survey.toml: the form has no models. Add [[models]] with a name and a model (CJS, "),
        (
            HISTORIES + ONE + "phi = '~ 1'\n",
            "survey.toml, row 6: [models] lacks the key 'model'. Add model = … (CJS, ",
        ),
        (
            HISTORIES + ONE + "model = 'Multistate'\nmoves = [['x']]\n",
            "survey.toml, row 9: [models.moves]: ",
        ),
        (
            FATES.replace('length = "7 days"\n', ""),
            "survey.toml, row 3: data in the format 'fates' need the key 'length'. Add length = …",
        ),
        (
            FATES + "clock = 'moon'\n",
            "survey.toml, row 7: [data]: clock is not one of the possible values (found 'moon'). Use one of "
            "'calendar', 'entry'",
        ),
        (
            FATES + "[report]\nhorizon = 0\n",
            "survey.toml, row 8: [report]: horizon must be above 0 (found 0). Correct the value",
        ),
    ],
)
def test_messages(tmp_path, text, expected):
    assert expected in message(tmp_path, text)


def test_models_that_the_data_do_not_allow_are_told_by_name(tmp_path):
    (tmp_path / "v.csv").write_text("site,value\nA,1\nA,0\nB,0\n")
    read(tmp_path, VISITS + ONE + "psi = '~ slope'\n" + TWO + "model = 'DynamicOccupancy'\ngamma = '~ x'\n")
    with pytest.raises(SurveyError) as error:
        analyse(read_study(tmp_path))
    said = str(error.value)
    assert said.startswith("2 problems in the input:")
    assert "model 'a': " in said and "slope" in said and "model 'b': the history has one season" in said
