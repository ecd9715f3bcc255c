"""Every bad input gets one clear message: what, which value, which file and row, how to fix it. Nothing is written."""

import pytest
from bad_inputs.cases import CASES

from uncia.survey import SurveyError


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_message(case, tmp_path):
    case.build(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SurveyError) as raised:
        case.read(tmp_path)
    message = str(raised.value)
    for piece in case.expect:
        assert piece in message
    for problem in raised.value.problems:
        assert problem.fix, "a message says how to fix it"
    assert sorted(tmp_path.rglob("*")) == before
    assert "nan" not in message and "<NA>" not in message and "Timestamp(" not in message


def test_names_are_different():
    assert len({case.name for case in CASES}) == len(CASES) >= 40
