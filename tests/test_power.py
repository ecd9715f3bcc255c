"""Power by simulation beside the normal approximation, stated declines, and the effort that is needed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from occupancy_problems import ragged
from scipy.stats import norm

from uncia import models
from uncia.models import Effect, declining, effort_needed, power
from uncia.models.inference.crossing import crossing
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError


def two_sexes(each=40, T=6):
    first = np.tile(np.eye(T, dtype=int)[: T - 1], (2, 1))
    sex = pd.DataFrame({"sex": np.repeat(["female", "male"], T - 1)})
    return models.CJS(EncounterHistory(first, frequency=[each] * len(first), animals=sex), "~ sex")


def values(difference):
    return {"phi": {"Intercept": 0.8, "sex[T.male]": difference}, "p": 0.6}


def seasons(n=60):
    return models.DynamicOccupancy(DetectionHistory.from_wide(np.ones((n, 5, 4))))


RATES = {"psi": 0.6, "gamma": 0.05, "epsilon": 0.1, "p": 0.4}


def test_difference_in_survival_as_the_normal_approximation_says():
    model, effect = two_sexes(), Effect("phi", "sex[T.male]")
    found = power(model, values(-0.5), effect, n=40, workers=1)
    expected = norm.cdf(0.5 / found.surveys["se"].median() - 1.96)
    low, high = found.interval
    assert low - 0.03 < expected < high + 0.03
    assert found.truth == -0.5 and "power" in str(found)
    assert found.se == pytest.approx(np.sqrt(found.power * (1 - found.power) / 40))
    again = power(model, values(-0.5), effect, n=3, workers=1)
    assert again.surveys.equals(found.surveys.iloc[:3])


def test_without_an_effect_the_level_is_kept():
    found = power(two_sexes(), values(0.0), Effect("phi", "sex[T.male]"), n=40, workers=1)
    assert found.interval[0] < 0.05 < found.interval[1]


def test_one_sided_tests_look_one_way():
    below, above = Effect("phi", "sex[T.male]", direction="below"), Effect("phi", "sex[T.male]", direction="above")
    assert below.p_value(-2.0) == pytest.approx(norm.cdf(-2.0)) and above.p_value(-2.0) > 0.9
    assert Effect("phi").p_value(-2.0) == pytest.approx(2 * norm.cdf(-2.0))
    assert below.p_value(np.nan) == 1.0


@pytest.mark.parametrize("decline", [0.3, -0.1])
def test_declines_are_those_stated(decline):
    model = seasons()
    found = declining(model, RATES, decline, "epsilon")
    psi = model.projected(model.at(**found).vector).mean(axis=0)
    assert psi[-1] / psi[0] == pytest.approx(1.0 - decline, abs=1e-6)
    assert {k: v for k, v in found.items() if k != "epsilon"} == {k: v for k, v in RATES.items() if k != "epsilon"}


def test_decline_of_abundance():
    model = models.OpenNMixture(DetectionHistory.from_wide(np.full((20, 4, 3), 2.0)), dynamics="trend", most=30)
    found = declining(model, {"lambda": 4.0, "gamma": 1.0, "p": 0.5}, 0.4, "gamma")
    assert found["gamma"] == pytest.approx(0.6 ** (1 / 3), abs=1e-6)


def test_decline_of_occupancy_has_power_and_a_stable_one_has_not():
    model = seasons()
    steep = power(model, declining(model, RATES, 0.6, "epsilon"), "growth of occupancy", n=20, workers=1)
    stable = power(model, declining(model, RATES, 0.0, "epsilon"), "growth of occupancy", n=20, workers=1)
    assert steep.power > 0.9 > 0.3 > stable.power
    assert steep.truth == pytest.approx(0.4**0.25)
    assert steep.surveys["estimate"].mean() == pytest.approx(steep.truth, rel=0.05)


def test_what_cannot_be_fitted_detects_nothing():
    model = models.Occupancy(DetectionHistory.from_wide(np.ones((6, 2))))
    found = power(model, {"psi": 0.05, "p": 0.1}, Effect("psi", versus=0.0), n=20, workers=1)
    assert found.failed > 10 and not found.surveys.loc[found.surveys["se"].isna(), "detected"].any()
    assert "without a standard error" in str(found)


def test_another_model_may_be_fitted():
    h = ragged(n=30, t=1, j=5)
    truth = models.RoyleNichols(h)
    found = power(truth, {"lambda": 1.0, "r": 0.3}, Effect("psi"), n=4, fitted=models.Occupancy(h), workers=1)
    assert len(found.surveys) == 4 and np.isnan(found.truth)


def test_random_effects_are_drawn_anew_for_every_survey():
    rng = np.random.default_rng(1)
    sites = pd.DataFrame({"forest": rng.normal(size=60), "park": [f"p{i % 6}" for i in range(60)]})
    model = models.Occupancy(DetectionHistory.from_wide(np.ones((60, 4)), sites=sites), "~ forest + (1 | park)")
    truth = {"psi": {"Intercept": 0.2, "forest": 2.0}, "p": 0.6}
    found = power(model, truth, Effect("psi", "forest"), n=4, variation={"psi: 1 | park": 0.5}, workers=1)
    assert found.truth == 2.0 and found.failed == 0 and found.power >= 0.5
    with pytest.raises(SurveyError, match="have no standard deviations"):
        power(model, truth, Effect("psi", "forest"), n=4)


def test_effort_needed_is_where_power_crosses():
    designs = {each: (two_sexes(each), values(-0.6)) for each in (10, 30, 90)}
    found = effort_needed(designs, Effect("phi", "sex[T.male]"), 0.8, n=25, workers=1)
    assert found.within and found.lower < found.effort < found.upper
    assert found.table["power"].is_monotonic_increasing
    assert found.table.loc[found.table["power"] < 0.8, "effort"].max() < 1.5 * found.effort
    assert "for a power of 80%" in str(found)


@pytest.mark.parametrize("chance", [0.5, 0.8])
def test_crossing_of_a_known_curve(chance):
    rng = np.random.default_rng(2)
    x = np.repeat(np.linspace(100, 200, 11), 400)
    success = rng.random(len(x)) < 1 / (1 + np.exp(-(x - 150) / 12))
    at, se = crossing(x, success, chance)
    assert at == pytest.approx(150 + 12 * np.log(chance / (1 - chance)), abs=4 * se)
    assert 0.1 < se < 2
    shifted = crossing(0.01 * x - 5, success, chance)
    assert shifted == pytest.approx((0.01 * at - 5, 0.01 * se), rel=1e-4)
    with pytest.raises(SurveyError, match="more frequent"):
        crossing(-x, success)


def test_refusals():
    model = seasons(20)
    with pytest.raises(SurveyError, match="no value of epsilon gives this change"):
        declining(model, {**RATES, "gamma": 0.5}, 0.9, "epsilon")
    with pytest.raises(SurveyError, match="not one number in this model"):
        declining(models.DynamicOccupancy(model.history, epsilon=0.1), RATES, 0.3, "epsilon")
    with pytest.raises(SurveyError, match="share below 1"):
        declining(model, RATES, 30, "epsilon")
    with pytest.raises(SurveyError, match=r"not one number of this model.*growth of occupancy"):
        power(model, RATES, "growth of abundance")
    with pytest.raises(SurveyError, match="a name alone is for growth rates"):
        power(model, RATES, "psi")
    with pytest.raises(SurveyError, match=r"no such coefficient.*Intercept"):
        power(two_sexes(), values(0.1), Effect("phi", "sex"))
    with pytest.raises(SurveyError, match="Give term="):
        power(model, RATES, Effect("occupancy", versus=0.5))
    with pytest.raises(SurveyError, match="direction is not known"):
        Effect("phi", direction="down")
    with pytest.raises(SurveyError, match="between 0 and 1"):
        power(model, RATES, "growth of occupancy", alpha=5)
    with pytest.raises(SurveyError, match="two designs"):
        effort_needed({10: (model, RATES)}, "growth of occupancy")
