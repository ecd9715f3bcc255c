"""Bad tracks, observations and choices get one clear message each, and nothing is written."""

import pytest
from bad_inputs.patrols import CASES, good_patrols
from patrol_files import ZONE, cells

from uncia import survey


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_message(case, tmp_path):
    case.build(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(survey.SurveyError) as raised:
        case.read(tmp_path)
    message = str(raised.value)
    for piece in case.expect:
        assert piece in message
    for problem in raised.value.problems:
        assert problem.fix, "a message says how to fix it"
    assert sorted(tmp_path.rglob("*")) == before
    assert "nan" not in message and "<NA>" not in message and "Timestamp(" not in message


def test_names_are_different():
    assert len({case.name for case in CASES}) == len(CASES) >= 45


def test_the_good_patrols_are_good(tmp_path):
    good_patrols(tmp_path)
    patrols = survey.read_patrols(tmp_path / "walk.gpx", tmp_path / "seen.csv", timezone=ZONE, transport="foot")
    assert patrols.by_cell(cells()).detected.sum() == 1
