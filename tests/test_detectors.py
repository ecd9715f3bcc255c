"""Detectors: what they hold, what they refuse, and that they never change."""

import pickle

import numpy as np
import pandas as pd
import pytest

from uncia.survey import Detectors, SurveyError


def detectors(**changes):
    fields = {"id": ["A", "B", "C"], "x": [0, 300, 0], "y": [0, 400, 1000], "effort": [[1, 0, 1], [0.5, np.nan, 2]]}
    return Detectors(**{**fields, **changes})


def message(**changes) -> str:
    with pytest.raises(SurveyError) as error:
        detectors(**changes)
    return str(error.value)


def test_what_they_hold():
    made = detectors(kind="count", crs="EPSG:32649", effort_unit="km walked")
    assert made.id == ("A", "B", "C")
    assert len(made) == 3
    assert made.n_occasions == 2
    assert made.crs.to_epsg() == 32649
    assert made.used.tolist() == [[True, False, True], [True, False, True]]
    assert made.positions.tolist() == [[0, 0], [300, 400], [0, 1000]]
    assert repr(made) == "3 count detectors, 2 occasions, 4.5 km walked"


def test_names_become_text_and_one_row_of_effort_is_one_occasion():
    made = detectors(id=range(3), effort=[1, 1, 2])
    assert made.id == ("0", "1", "2")
    assert made.effort.tolist() == [[1, 1, 2]]


def test_distances_to_neighbours():
    made = detectors()
    np.testing.assert_allclose(made.neighbour_distances(), [500, 500, np.hypot(300, 600)])
    assert made.spacing == pytest.approx((1000 + np.hypot(300, 600)) / 3)
    assert np.isnan(detectors(id=["A"], x=[0], y=[0], effort=[[1]]).spacing)


def test_index_by_name():
    assert detectors().index("C") == 2
    with pytest.raises(SurveyError, match="there is no such detector \\(found 'Z'\\)"):
        detectors().index("Z")


def test_nothing_changes_after_birth():
    x = np.array([0.0, 300.0, 0.0])
    made = detectors(x=x)
    x[0] = 99.0
    assert made.x[0] == 0.0
    for array in (made.x, made.y, made.effort):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError):
        made.kind = "multi"


def test_equality_and_pickling():
    made = detectors(covariates=pd.DataFrame({"slope": [1.0, np.nan, 3.0]}))
    assert made.equals(pickle.loads(pickle.dumps(made)))
    assert not made.equals(detectors())
    assert not made.equals("detectors")
    assert not detectors().equals(detectors(x=[0, 300, 1]))
    assert not detectors().equals(detectors(kind="count"))


# ---- covariates --------------------------------------------------------------------------------------------------


def test_covariates_in_order_or_by_name():
    in_order = pd.DataFrame({"slope": [1, 2, 3]}, index=[7, 8, 9])
    by_name = pd.DataFrame({"slope": [3, 1, 2]}, index=["C", "A", "B"])
    assert detectors(covariates=in_order).equals(detectors(covariates=by_name))
    assert list(detectors(covariates=by_name).covariates["slope"]) == [1, 2, 3]


def test_covariates_by_names_that_are_numbers():
    three = Detectors(
        [30, 10, 20],
        [0, 900, 1800],
        [0, 0, 900],
        np.ones((2, 3)),
        covariates=pd.DataFrame({"slope": [1, 2, 3]}, index=[10, 20, 30]),
    )
    assert list(three.covariates["slope"]) == [3, 1, 2]


def test_no_covariates_are_rows_without_columns():
    assert detectors().covariates.shape == (3, 0)


def test_covariates_that_do_not_fit():
    assert message(covariates=pd.DataFrame({"slope": [1, 2]})) == (
        "covariates need one row per detector (found 2). Give 3 rows"
    )
    assert message(covariates=pd.DataFrame({"slope": [1, 2, 3]}, index=["A", "B", "D"])) == (
        "covariates need one row per detector, by its name (found ['C']). Give each one row"
    )


def test_covariates_that_change_between_occasions():
    wind = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
    made = detectors(varying={"wind": wind, "state": [["dry", "dry", "wet"]] * 2})
    by_name = pd.DataFrame(wind[:, [2, 0, 1]], columns=["C", "A", "B"])
    assert made.equals(detectors(varying={"wind": by_name, "state": [["dry", "dry", "wet"]] * 2}))
    assert made.equals(pickle.loads(pickle.dumps(made)))
    assert not made.equals(detectors())
    assert not made.equals(detectors(varying={"wind": wind + 1, "state": [["dry", "dry", "wet"]] * 2}))
    with pytest.raises(ValueError, match="read-only"):
        made.varying["wind"][0, 0] = 2.0
    assert "wind, state" in made._repr_html_()
    what = "the covariate 'wind' that changes between occasions"
    assert message(varying={"wind": [1, 2, 3]}) == (
        f"{what} does not have one row per occasion and one column per detector (found (3,)). Give values[2, 3]"
    )
    assert message(varying={"wind": by_name.rename(columns={"C": "D"})}) == (
        f"{what} needs one column per detector, by its name (found ['C']). Give each one column"
    )
    slope = pd.DataFrame({"wind": [1, 2, 3]})
    assert message(varying={"wind": wind}, covariates=slope) == (
        f"{what} is also one that does not (found 'wind'). Give one of them another name"
    )


# ---- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"kind": "camera"},
            "this kind of detector is not known (found 'camera'). Use one of count, proximity, multi, single, "
            "capped, area, exclusive area, transect, exclusive transect",
        ),
        ({"id": ["A", "B", "A"]}, "the detector's name is used twice (found 'A'). Give every detector its own name"),
        (
            {"y": [0, np.nan, 2]},
            "detector 'B' has no position (found (300.0, nan)). Fill in x and y",
        ),
        (
            {"x": [0, 1]},
            "id, x and y differ in length (found (3, 2, 3)). Give one position per detector",
        ),
        (
            {"effort": [[1, 1]]},
            "effort does not have one column for each of 3 detectors (found (1, 2)). Give effort[occasion, detector]",
        ),
        (
            {"effort": [[1, -1, 1]]},
            "effort must be 0 or more; detector 'B', occasion 1 (found -1.0). "
            "Use 0 where the detector was not set and leave it missing where the effort is not known",
        ),
        (
            {"effort": [[0, np.nan, 0]]},
            "no detector has any effort. Check the dates of the deployments and their failures",
        ),
        (
            {"x": [112.41, 112.5, 112.6], "y": [37.1, 37.2, 37.3]},
            "the detectors' coordinates look like degrees (found (112.41, 37.1)). Project them to metres with "
            "survey.to_metres(longitude, latitude, crs); their UTM zone is EPSG:32649",
        ),
    ],
)
def test_one_clear_message(changes, words):
    assert message(**changes) == words


def test_all_faults_at_once():
    text = message(id=["A", "A", "C"], kind="camera", x=[0, np.inf, 1])
    assert text.startswith("3 problems in the input:\n  1. ")
    assert "is not known" in text
    assert "used twice" in text
    assert "has no position" in text
    assert message(effort=[[-1, 1, np.inf]]).count("effort must be 0 or more") == 2


def test_no_detectors():
    with pytest.raises(SurveyError, match="there are no detectors"):
        Detectors([], [], [], np.zeros((1, 0)))


def test_a_grid_of_traps_in_local_metres_is_not_taken_for_degrees():
    x, y = (z.ravel() * 3.0 for z in np.meshgrid(range(10), range(10)))
    assert len(Detectors(range(100), x, y, np.ones((1, 100)))) == 100
    assert len(Detectors(["one"], [0.5], [0.5], [[1]])) == 1


def test_one_detector_in_degrees_with_a_projected_crs_is_refused():
    with pytest.raises(SurveyError, match="look like degrees"):
        Detectors(["one"], [112.41], [37.2], [[1]], crs="EPSG:32649")


def test_html_is_escaped():
    html = detectors(effort_unit="<km>")._repr_html_()
    assert "&lt;km&gt;" in html
    assert "mean distance to the nearest detector" in html
