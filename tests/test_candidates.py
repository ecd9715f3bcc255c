"""Candidates of a classifier by visit: what counts, what is verified, and faults in words."""

import numpy as np
import pandas as pd
import pytest

from uncia.models.occupancy.classified import ClassifiedOccupancy
from uncia.survey.candidates import with_candidates
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

VISITS = pd.DataFrame(
    {"site": ["a", "a", "a", "b", "b", "c"], "visit": [1, 2, 3, 1, 2, 1], "value": [0, 0, np.nan, 0, 0, 0]}
)
CANDIDATES = pd.DataFrame(
    [("a", 1, 0.4, None), ("a", 1, 0.9, "true"), ("b", 2, 0.2, "false"), ("b", 1, 0.3, "false"), ("b", 1, 0.6, None)],
    columns=["site", "visit", "score", "verified"],
)


def test_the_highest_score_of_a_visit_counts():
    h = with_candidates(DetectionHistory(VISITS), CANDIDATES)
    v = h.visits.set_index(["site", "visit"])
    np.testing.assert_array_equal(v["value"], [1, 0, np.nan, 1, 1, 0])
    np.testing.assert_array_equal(v["score"], [0.9, np.nan, np.nan, 0.6, 0.2, np.nan])
    assert v["verified"].fillna("").tolist() == ["true", "", "", "", "false", ""]
    model = ClassifiedOccupancy(h)
    assert model.judged.tolist() == [1, -1, -1, 0, -1]
    assert model.candidate.tolist() == [True, False, True, True, False]


def test_without_verification_and_with_seasons():
    frame = pd.concat([VISITS.assign(season=1), VISITS.assign(season=2)])
    h = with_candidates(DetectionHistory(frame), CANDIDATES.drop(columns="verified").assign(season=2))
    assert h.detected.tolist() == [[False, True], [False, True], [False, False]]
    assert h.visits["verified"].isna().all()


def test_faults_are_named_at_once():
    bad = CANDIDATES.assign(score=["x", 0.1, 0.1, 0.1, 0.1], verified=["maybe", None, None, None, None])
    bad.loc[3, "visit"], bad.loc[4, "site"], bad.loc[1, "visit"] = 9, "z", 3
    with pytest.raises(SurveyError) as error:
        with_candidates(DetectionHistory(VISITS), bad)
    text = str(error.value)
    for words in (
        "a candidate is of no visit that was done (row 2 of the candidates) (found 'a, 3')",
        "a candidate is of no visit that was done (row 4 of the candidates) (found 'b, 9')",
        "a candidate is of no visit that was done (row 5 of the candidates) (found 'z, 1')",
        "the score of a candidate is no number (row 1 of the candidates) (found 'x')",
        "this verification is not known (row 1 of the candidates) (found 'maybe')",
    ):
        assert words in text
    with pytest.raises(SurveyError, match="lacks columns"):
        with_candidates(DetectionHistory(VISITS), CANDIDATES.drop(columns="visit"))
