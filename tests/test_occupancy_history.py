"""Detection histories: long and wide, seasons, what was not done, messages as text."""

import numpy as np
import pandas as pd
import pytest

from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

LONG = pd.DataFrame(
    {
        "site": ["b", "a", "a", "b", "c"],
        "visit": [1, 2, 1, 2, 1],
        "value": [0, 1, 0, np.nan, 0],
        "wind": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


def test_long_is_sorted_and_counted():
    h = DetectionHistory(LONG)
    assert repr(h) == "3 sites, 4 visits, found at 1 site"
    assert list(h.sites.index) == ["b", "a", "c"]
    assert list(h.visits["wind"]) == [1.0, 4.0, 3.0, 2.0, 5.0]
    assert h.done.tolist() == [True, False, True, True, True]
    assert h.detected[:, 0].tolist() == [False, True, False]
    assert list(h.visit_frame()["wind"]) == [1.0, 3.0, 2.0, 5.0]
    assert "found at" in h._repr_html_()


def test_wide_and_long_are_the_same():
    wide = pd.DataFrame([[0, 1], [0, np.nan], [1, 1]], index=["x", "y", "z"])
    sites = pd.DataFrame({"forest": [3.0, 1.0, 2.0]}, index=["z", "x", "y"])
    h = DetectionHistory.from_wide(wide, sites=sites, visit_covariates={"wind": np.arange(6.0).reshape(3, 2)})
    assert list(h.sites["forest"]) == [1.0, 2.0, 3.0]
    long = wide.stack().rename_axis(["plot", "visit"]).rename("value").reset_index()
    again = DetectionHistory.from_long(long, {"plot": "site"}, sites=sites.loc[["x", "y", "z"]])
    assert np.array_equal(again.value[again.done], h.value[h.done])
    assert np.array_equal(again.site_of[again.done], h.site_of[h.done])


def test_no_effort_is_no_visit():
    h = DetectionHistory(LONG.assign(effort=[1.0, 2.0, 0.0, 1.0, np.nan]))
    assert h.done.tolist() == [True, False, False, True, False]


def test_a_year_without_survey_is_a_season():
    frame = pd.DataFrame({"site": ["a", "a"], "season": [2019, 2022], "value": [1, 0]})
    h = DetectionHistory(frame)
    assert h.season_labels == (2019, 2020, 2021, 2022)
    assert h.detected.tolist() == [[True, False, False, False]]
    assert DetectionHistory(frame.assign(season=["dry", "wet"])).season_labels == ("dry", "wet")


def test_season_covariates_reach_visits_and_one_season():
    seasons = pd.DataFrame({"season": [1, 2], "rain": [5.0, 7.0]})
    frame = pd.DataFrame({"site": ["a", "a", "b"], "season": [1, 2, 2], "value": [1, 0, 1]})
    h = DetectionHistory(frame, seasons=seasons)
    assert list(h.visit_frame()["rain"]) == [5.0, 7.0, 7.0]
    second = h.one_season(2)
    assert list(second.sites["rain"]) == [7.0, 7.0]
    assert second.n_seasons == 1
    with pytest.raises(SurveyError, match="no such season"):
        h.one_season(3)


def test_unknown_covariates_can_be_left_out():
    sites = pd.DataFrame({"forest": [1.0, np.nan, 2.0]}, index=["a", "b", "c"])
    h = DetectionHistory(LONG.assign(wind=[1.0, np.nan, 3.0, 4.0, 5.0]), sites, area=[1.0, 2.0, 3.0])
    less = h.without_missing("forest", "wind")
    assert list(less.sites.index) == ["a", "c"]
    assert less.area.tolist() == [1.0, 3.0]
    assert int(less.done.sum()) == 2
    with pytest.raises(SurveyError, match="no such covariate"):
        h.without_missing("rain")


def test_values_can_be_replaced_but_not_written():
    h = DetectionHistory(LONG)
    again = h.with_values(np.ones(5))
    assert again.value[again.done].tolist() == [1.0] * 4
    assert again.equals(again.with_values(np.ones(5)))
    assert not again.equals(h)
    with pytest.raises(ValueError, match="read-only"):
        h.value[0] = 1


def test_every_fault_is_named_at_once():
    bad = pd.DataFrame(
        {"site": ["a", "a", "a", "b"], "visit": [1, 2, 2, 1], "value": [0.5, -1, 1, 1], "effort": [1, 1, -2, 0]}
    )
    with pytest.raises(SurveyError) as error:
        DetectionHistory(bad)
    text = str(error.value)
    for words in ("no whole number", "found 0.5", "found -1.0", "must be 0 or more", "without effort", "given twice"):
        assert words in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DetectionHistory(pd.DataFrame({"site": ["a"]})), "lacks columns"),
        (lambda: DetectionHistory(LONG, pd.DataFrame(index=["a", "b"])), "not in the table of sites"),
        (lambda: DetectionHistory(LONG.assign(value="x")), "value is not a number"),
        (lambda: DetectionHistory(LONG, area=0.0), "must be above 0"),
        (lambda: DetectionHistory(LONG.assign(season=[1, 1, np.nan, 1, 1])), "has no season"),
        (lambda: DetectionHistory(LONG.iloc[:0]), "there are no sites"),
        (lambda: DetectionHistory.from_wide(np.zeros(3)), "wrong shape"),
        (lambda: DetectionHistory.from_wide(np.zeros((2, 2)), visit_covariates={"v": [1]}), "wrong shape"),
        (lambda: DetectionHistory.from_long(LONG, {"plot": "site"}), "lacks columns"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(SurveyError, match=message):
        make()
