"""A parameter against one covariate, the others held."""

import marked_problems
import matplotlib
import numpy as np
import occupancy_problems
import pytest

from uncia import models
from uncia.survey.errors import SurveyError

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def occupancy():
    return models.Occupancy(occupancy_problems.ragged(n=60, j=5, seed=4), "~ x", "~ x + v").fit()


def test_the_curve_is_that_of_predict_with_the_others_at_their_median(occupancy):
    table = models.covariate_effect(occupancy, "p", "v", points=7)
    data = occupancy.model.history.visit_frame()
    assert table["v"].iloc[[0, -1]].tolist() == pytest.approx([data["v"].min(), data["v"].max()])
    assert table["x"].nunique() == 1
    again = occupancy.predict("p", table[["v", "x"]])
    np.testing.assert_array_equal(table["estimate"], again["estimate"])
    np.testing.assert_array_equal(table["upper"], again["upper"])
    moved = models.covariate_effect(occupancy, "p", "v", at={"x": 1.5}, points=7)
    assert (moved["x"] == 1.5).all()
    assert not np.allclose(moved["estimate"], table["estimate"])


def test_a_factor_has_a_row_per_level_and_a_plot_with_bars():
    history = marked_problems.histories(3, n=60)
    fit = models.CJS(history, "~ sex", "~ 1").fit()
    table = models.covariate_effect(fit, "phi", "sex")
    assert len(table) == 2
    ax = models.plot_covariate(fit, "phi", "sex")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [str(v) for v in table["sex"]]
    assert ax.get_ylabel().startswith("phi")


def test_the_plot_shows_the_curve_and_says_what_is_held(occupancy):
    ax = models.plot_covariate(occupancy, "p", "v")
    assert (ax.get_xlabel(), ax.get_ylabel()[:1]) == ("v", "p")
    assert ax.get_title().startswith("x = ")
    line = ax.lines[0].get_ydata()
    np.testing.assert_allclose(line, models.covariate_effect(occupancy, "p", "v")["estimate"])


def test_a_name_outside_the_formula_is_told(occupancy):
    with pytest.raises(SurveyError, match=r"is not in the formula of psi \(found 'v'\). Use x"):
        models.covariate_effect(occupancy, "psi", "v")
    with pytest.raises(SurveyError, match="this covariate is not in the formula of p"):
        models.covariate_effect(occupancy, "p", "v", at={"forest": 1.0})


def test_a_covariate_of_visits_in_a_formula_of_sites_is_told_so():
    with pytest.raises(
        SurveyError, match=r"psi has one value per site, and this is a covariate of visits .*Give it by"
    ):
        models.Occupancy(occupancy_problems.ragged(), "~ v")
