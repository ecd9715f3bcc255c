"""Maximum likelihood, covariance, verdicts and profiles on models whose answers are known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

from uncia.models.design import Design
from uncia.models.inference.compare import compare
from uncia.models.links import LINKS
from uncia.models.model import Model
from uncia.models.parameters import Parameter, ParameterSet
from uncia.models.verdict import Outcome
from uncia.survey.errors import SurveyError


class Normal(Model):
    """y ~ Normal(mu, 1) with mu = X beta: the estimate is least squares, the profile is exact."""

    def __init__(self, y, frame, mu="~ 1", link="identity"):
        self.y, self.frame = np.asarray(y, float), frame
        self.parameters = ParameterSet([Parameter("mu", LINKS[link], Design.of(mu, frame, "mu"), n_rows=len(frame))])

    sample_size = property(lambda self: len(self.y))

    def evaluate(self, values, gradient):
        residual = self.y - values["mu"]
        return -0.5 * float(residual @ residual), {"mu": residual} if gradient else None

    def start(self):
        return self.parameters.start({"mu": 1.0})

    def derive(self, fit, interval):
        return pd.DataFrame(
            columns=["quantity", "unit", "scope", "estimate", "se", "rse", "lower", "upper", "interval"]
        )

    def predict(self, fit, name, newdata):
        return fit.values[name]

    def not_comparable(self, other):
        return "" if self.y is other.y else "they are of different data"


class Coin(Normal):
    """Binomial: k heads in n throws; p goes to the boundary when k is 0 or n."""

    def __init__(self, heads, throws):
        self.heads, self.throws = heads, throws
        frame = pd.DataFrame(index=[0])
        self.parameters = ParameterSet([Parameter("p", LINKS["logit"], Design.of("~ 1", frame, "p"))])

    sample_size = property(lambda self: self.throws)

    def start(self):
        return self.parameters.start({"p": 0.5})

    def evaluate(self, values, gradient):
        p, tails = values["p"][0], self.throws - self.heads
        heads = self.heads * np.log(p) if self.heads else 0.0
        miss = tails * np.log1p(-p) if tails else 0.0
        return heads + miss, {"p": np.array([self.heads / p - tails / (1 - p)])} if gradient else None


@dataclass
class Ridge:
    """Two coefficients of which only the sum is in the likelihood."""

    def loglik_and_gradient(self, v):
        return -0.5 * (v[0] + v[1] - 1.0) ** 2, np.full(2, -(v[0] + v[1] - 1.0))

    def hessian(self, v):
        return None

    def scaling(self, v):
        return np.eye(2)


def data(n=40, seed=5):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"metres": rng.uniform(1e5, 2e5, n), "group": rng.choice(["a", "b"], n)})
    return 2.0 + 3e-5 * frame["metres"].to_numpy() + rng.normal(size=n), frame


def test_least_squares_whatever_the_units():
    y, frame = data()
    fit = Normal(y, frame, "~ metres + group").fit()
    X = fit.model.parameters["mu"].design.matrix
    np.testing.assert_allclose(fit.vector, np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-6)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(X.T @ X), rtol=1e-5)
    assert fit.verdict.good
    assert str(fit.verdict) == "The fit converged."


def test_profile_of_a_normal_mean_is_exact():
    y, frame = data()
    fit = Normal(y, frame).fit()
    row = fit.profile("mu").iloc[0]
    half = norm.ppf(0.975) / np.sqrt(len(y))
    assert [row["lower"], row["upper"]] == pytest.approx([y.mean() - half, y.mean() + half], abs=1e-6)


def test_profile_of_a_coin_is_where_the_likelihood_has_dropped():
    fit = Coin(3, 20).fit()
    row = fit.profile("p").iloc[0]
    for end in (row["lower"], row["upper"]):
        assert 2 * (fit.loglik - fit.model.at(p=end).loglik) == pytest.approx(chi2.ppf(0.95, 1), abs=1e-5)


@pytest.mark.parametrize(("heads", "words"), [(0, "p (estimated as 0)"), (20, "p (estimated as 1)")])
def test_a_boundary_is_named(heads, words):
    fit = Coin(heads, 20).fit()
    assert f"{words} is at a boundary of what is possible, so its standard error has no meaning." in str(fit.verdict)
    assert np.isnan(fit.se).all()


def test_a_flat_direction_is_not_hidden():
    from uncia.models.inference.maximum_likelihood import covariance_of, maximise

    optimum = maximise(Ridge(), np.array([5.0, -3.0]))
    assert optimum.vector.sum() == pytest.approx(1.0, abs=1e-6)
    covariance = covariance_of(optimum)
    assert covariance.flat == ((0, 1),)
    assert np.isnan(covariance.matrix).all()


def test_an_interrupt_keeps_the_best_point():
    y, frame = data()
    seen = []

    def stop(evaluations, loglik):
        seen.append(loglik)
        if evaluations == 3:
            raise KeyboardInterrupt

    fit = Normal(y, frame, "~ metres").fit(progress=stop)
    assert Outcome.INTERRUPTED in fit.verdict
    assert not fit.verdict.good
    assert fit.loglik == pytest.approx(max(seen[:2] + seen[2:3]))
    again = fit.model.fit(start=fit.vector)
    assert again.verdict.good


def test_at_takes_natural_values_and_says_what_is_wrong():
    y, frame = data()
    model = Normal(y, frame)
    assert model.at(mu=2.0).loglik == pytest.approx(-0.5 * np.sum((y - 2.0) ** 2))
    with pytest.raises(SurveyError, match=r"no such parameter \(found 'nu'\)\. It has mu"):
        model.at(nu=2.0)
    with pytest.raises(SurveyError, match=r"values are needed for every parameter .* Add mu"):
        model.at()
    with pytest.raises(SurveyError, match=r"p must be between 0 and 1 \(found 1\.5\)"):
        Coin(1, 2).at(p=1.5)
    slope = Normal(y, frame, "~ metres")
    with pytest.raises(SurveyError, match=r"mu depends on covariates.*Intercept, metres"):
        slope.at(mu=2.0)
    with pytest.raises(SurveyError, match="one coefficient per term"):
        slope.at(mu={"Intercept": 1.0})
    given = slope.at(mu={"Intercept": 2.0, "metres": 3e-5})
    assert Outcome.GIVEN in given.verdict


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("~ metre", r"uses a covariate that is not there \(found 'metre'\)\. Did you mean 'metres'\?"),
        ("~ metres + (", "cannot be read"),
        ("~ metres + constant", "cannot be told apart"),
        ("~ gap", "cannot be evaluated"),
    ],
)
def test_formulas_say_what_is_wrong(formula, message):
    y, frame = data()
    frame = frame.assign(constant=1.0, gap=np.r_[np.nan, np.ones(len(y) - 1)])
    with pytest.raises(SurveyError, match=message):
        Normal(y, frame, formula)


def test_comparison_refuses_different_data():
    y, frame = data()
    fits = {"mean": Normal(y, frame).fit(), "metres": Normal(y, frame, "~ metres").fit()}
    fits["mean"].model.y = fits["metres"].model.y = y
    table = compare(fits, "aic")
    assert table["model"].iloc[0] == "metres"
    assert table["weight"].sum() == pytest.approx(1.0)
    with pytest.raises(SurveyError, match="'a' and 'b' cannot be compared: they are of different data"):
        compare({"a": Normal(y, frame).fit(), "b": Normal(y + 1, frame).fit()})


@pytest.mark.parametrize("name", LINKS)
def test_links_and_their_derivatives(name):
    link, eta = LINKS[name], np.linspace(-3.0, 1.5, 7)
    h = 1e-6
    np.testing.assert_allclose(link.forward(link.inverse(eta)), eta, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(link.slope(eta), (link.inverse(eta + h) - link.inverse(eta - h)) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(
        link.curve(eta), (link.slope(eta + h) - link.slope(eta - h)) / (2 * h), rtol=1e-5, atol=1e-8
    )
