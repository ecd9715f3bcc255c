"""Tests of a model against a larger one, and climbs from several starting points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from scr_problems import small
from test_inference import Normal

from uncia import models
from uncia.models.design import Design
from uncia.models.links import LINKS
from uncia.models.model import Model
from uncia.models.parameters import Parameter, ParameterSet
from uncia.models.verdict import Outcome
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)})
    return 1.0 + 0.4 * frame["a"].to_numpy() + rng.normal(size=30), frame


def test_both_tests_are_the_sum_of_squares_where_the_likelihood_is_quadratic(regression):
    y, frame = regression
    small, large = Normal(y, frame, "~ a").fit(), Normal(y, frame, "~ a + b + I(b**2)").fit()
    X, X1 = large.model.parameters["mu"].design.matrix, small.model.parameters["mu"].design.matrix
    rss = [float(np.linalg.lstsq(M, y, rcond=None)[1][0]) for M in (X1, X)]
    ratio, score = models.likelihood_ratio_test(small, large), models.score_test(small, large.model)
    assert ratio.statistic == pytest.approx(rss[0] - rss[1], rel=1e-9)
    assert score.statistic == pytest.approx(ratio.statistic, rel=1e-6)
    assert ratio.df == score.df == 2
    assert score.p_value == pytest.approx(chi2.sf(ratio.statistic, 2), rel=1e-6)
    step = score.coefficients.set_index("term")["step"]
    fitted = large.coefficients.set_index("term")["estimate"]
    assert step["b"] == pytest.approx(fitted["b"], rel=1e-5)


def test_c_hat_divides_both(regression):
    y, frame = regression
    small, large = Normal(y, frame, "~ 1").fit(), Normal(y, frame, "~ a").fit()
    plain = models.likelihood_ratio_test(small, large).statistic
    both = models.likelihood_ratio_test(small.inflated(2.0), large.inflated(2.0))
    assert both.statistic == pytest.approx(plain / 2.0)
    assert models.score_test(small.inflated(2.0), large.model).statistic == pytest.approx(plain / 2.0, rel=1e-6)


def test_score_test_of_scr_is_near_the_likelihood_ratio():
    captures, mask = small("proximity")
    smaller = models.SCR(captures, mask, **HAZARD).fit()
    larger = models.SCR(captures, mask, lambda0="~ T", sigma="~ T", **HAZARD)
    score, ratio = models.score_test(smaller, larger), models.likelihood_ratio_test(smaller, larger.fit())
    assert score.df == ratio.df == 2
    assert score.statistic == pytest.approx(ratio.statistic, rel=0.25)
    same = models.score_test(smaller, lambda0="~ T", sigma="~ T")
    assert same.statistic == pytest.approx(score.statistic)
    assert "lambda0 ~ T" in str(same)
    expected = models.score_test(smaller, larger, information="expected", simulations=60)
    assert expected.statistic == pytest.approx(score.statistic, rel=0.8)
    assert "60 simulated data sets" in expected.note


def test_a_fixed_parameter_set_free():
    captures, mask = small("count")
    fixed = models.SCR(captures, mask, sigma=300.0, **HAZARD).fit()
    free = models.score_test(fixed, sigma="~ 1")
    assert free.df == 1
    assert list(free.coefficients["term"]) == ["Intercept"]
    best = fixed.model.with_formulas(sigma="~ 1").fit()
    assert np.sign(free.coefficients["step"][0]) == np.sign(best.vector[2] - np.log(300.0))


def test_what_cannot_be_tested():
    captures, mask = small("count")
    fit = models.SCR(captures, mask, lambda0="~ T", **HAZARD).fit()
    with pytest.raises(SurveyError, match=r"lacks a term of the smaller one: lambda0 \(T\)"):
        models.score_test(fit, lambda0="~ t")
    with pytest.raises(SurveyError, match="no more terms than the smaller one"):
        models.score_test(fit, sigma="~ 1")
    with pytest.raises(SurveyError, match="say what the larger model is"):
        models.score_test(fit)
    with pytest.raises(SurveyError, match="needs fits by maximum likelihood"):
        models.score_test(fit.model.at(D=900.0, lambda0={"Intercept": -1.0, "T": 0.0}, sigma=300.0), sigma="~ T")
    with pytest.raises(SurveyError, match="no more parameters than the first"):
        models.likelihood_ratio_test(fit, fit)
    with pytest.raises(SurveyError, match="information of the larger model is not positive"):
        models.score_test(fit, lambda0="~ T", sigma="~ h2")  # its proportion has no meaning while the classes are alike
    other, _ = small("count", seed=6)
    with pytest.raises(SurveyError, match="different captures"):
        models.likelihood_ratio_test(fit, models.SCR(other, mask, lambda0="~ t", **HAZARD).fit())


class TwoTops(Model):
    """log of a mixture of two bells, the higher at 3 and the lower at -3."""

    sample_size = 10

    def __init__(self):
        frame = pd.DataFrame(index=[0])
        self.parameters = ParameterSet([Parameter("m", LINKS["identity"], Design.of("~ 1", frame, "m"))])

    def evaluate(self, values, gradient):
        m = values["m"][0]
        high, low = np.exp(-0.5 * (m - 3.0) ** 2), 0.5 * np.exp(-0.5 * (m + 3.0) ** 2)
        slope = (-(m - 3.0) * high - (m + 3.0) * low) / (high + low)
        return float(np.log(high + low)), {"m": np.array([slope])} if gradient else None

    def start(self):
        return np.array([-2.0])

    def derive(self, fit, interval):
        return pd.DataFrame()

    def predict(self, fit, name, newdata):
        return fit.values[name]

    def not_comparable(self, other):
        return ""


def test_many_starts_name_the_tops():
    model = TwoTops()
    assert model.fit().vector[0] == pytest.approx(-3.0, abs=0.1)
    fit = model.fit(starts=12, seed=2)
    assert fit.vector[0] == pytest.approx(3.0, abs=0.1)
    (remark,) = [str(r) for r in fit.base_verdict.remarks if r.outcome is Outcome.STARTS]
    assert "12 starting points led to 2 different maxima" in remark
    assert "log-likelihood -0.693 from" in remark
    again = model.fit(starts=12, seed=2)
    assert np.array_equal(again.vector, fit.vector)
    with pytest.raises(SurveyError, match="starts is the number of starting points"):
        model.fit(starts=0)


def test_many_starts_of_scr_agree():
    captures, mask = small("count")
    model = models.SCR(captures, mask, **HAZARD)
    one, many = model.fit(), model.fit(starts=4)
    assert many.loglik == pytest.approx(one.loglik, abs=1e-6)
    assert "4 starting points led to one maximum" in str(many.verdict)
