"""Random walks over years: the integral against a slow one, limits, gaps, years without data, words, posteriors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from oracle_random import logistic, occupancy_site, over_walk
from scipy.stats import logistic as logistic_law
from scipy.stats import norm
from test_random_effects import check_marginal_gradient
from test_scr import MODELS, surveyed

from uncia.models import CJS, SCR, DynamicOccupancy, LogNormal, Occupancy
from uncia.models.design import Design
from uncia.models.inference.laplace import Marginal
from uncia.models.posterior import Posterior
from uncia.models.verdict import Outcome
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

YEARS = np.array([2010, 2011, 2014, 2015, 2017])


def years(seed=1, at=YEARS, n=12, j=4, sd=0.6, column="year") -> DetectionHistory:
    """n sites in each year, whose occupancy wanders; some visits are missing, one site has none."""
    rng = np.random.default_rng(seed)
    walk = np.concatenate([[0.0], np.cumsum(rng.normal(size=len(at) - 1) * sd * np.sqrt(np.diff(at)))])
    z = rng.uniform(size=n * len(at)) < np.repeat(logistic(0.2 + walk - walk.mean()), n)
    y = ((rng.uniform(size=(len(z), j)) < 0.5) & z[:, None]).astype(float)
    y[rng.uniform(size=y.shape) < 0.15] = np.nan
    y[3] = np.nan
    return DetectionHistory.from_wide(y, sites=pd.DataFrame({column: np.repeat(at, n)}))


def marginal_of(history, sd, psi=0.3, p=0.45) -> float:
    """The slow integral over the walk of years that `history` has."""
    y, year = history.value.reshape(history.n_sites, -1), history.sites["year"].to_numpy()
    y = np.where(history.done.reshape(y.shape), y, np.nan)

    def loglik(walk):  # of the deviations at the years
        eta = psi + walk[np.searchsorted(np.unique(year), year)]
        return sum(occupancy_site(one, logistic(e), p) for one, e in zip(y, eta, strict=True))

    return over_walk(np.diff(np.unique(year)), sd, loglik)


# ---- the integral ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sd", "near"), [(0.2, 2e-3), (0.7, 2e-2)])
def test_three_years_are_the_slow_integral(sd, near):
    """Laplace's approximation is off by less than a thirtieth of what the walk changes."""
    history = years(at=np.array([2010, 2011, 2014]), n=20)
    fit = Occupancy(history, "~ rw(year)", "~ 1").at(psi={"Intercept": 0.3}, p=0.45, variation={"psi: rw(year)": sd})
    assert fit.loglik == pytest.approx(marginal_of(history, sd), abs=near)


def test_the_gap_years_cost_nothing():
    """Steps to years without data are integrated out exactly: years that are not filled up give the same."""
    history = years(at=np.array([2010, 2011, 2013]), n=25)
    filled = Occupancy(history, "~ rw(year)", "~ 1")
    shrunk = DetectionHistory(history.visits, history.sites.assign(year=history.sites["year"] * 10.5))
    bare = Occupancy(shrunk, "~ rw(year)", "~ 1")
    assert [m.parameters["psi"].design.random[0].size for m in (filled, bare)] == [3, 2]
    at = [
        m.at(psi={"Intercept": 0.3}, p=0.45, variation={"psi: rw(year)": sd})
        for m, sd in ((filled, 0.5), (bare, 0.5 / np.sqrt(10.5)))
    ]
    assert at[0].loglik == pytest.approx(at[1].loglik, abs=1e-7)


def test_gradients():
    check_marginal_gradient(Marginal(Occupancy(years(), "~ rw(year)", "~ rw(year)")))
    rng = np.random.default_rng(3)
    met = (rng.uniform(size=(30, 6)) < 0.5).astype(int)
    met[:, 0] |= ~met[:, :-1].any(axis=1)
    check_marginal_gradient(Marginal(CJS(EncounterHistory(met), "~ rw(t)", "~ 1")))
    y = (rng.uniform(size=(15, 4, 3)) < 0.4).astype(float)
    y[:, 2] = np.nan  # a season without visits
    dynamic = DynamicOccupancy(DetectionHistory.from_wide(y), gamma="~ rw(season)", p="~ 1")
    check_marginal_gradient(Marginal(dynamic))


def test_density_walks_over_sessions():
    one = MODELS["count"]
    sessions = [replace(surveyed("count", seed=s).captures, session=f"s{s}") for s in (1, 2, 3)]
    covariates = pd.DataFrame({"year": [2015, 2016, 2018]}, index=["s1", "s2", "s3"])
    how = {"session_covariates": covariates, "detection": "hazard half-normal"}
    model = SCR(sessions, one.mask, D="~ rw(year)", **how)
    check_marginal_gradient(Marginal(model))
    with pytest.raises(SurveyError, match=r"rw\(session\) of D needs values in an order.*Session count from 0"):
        SCR(sessions, one.mask, D="~ rw(session)", **how)
    with pytest.raises(SurveyError, match="cannot depend on the session under the conditional likelihood"):
        SCR(sessions, one.mask, D="~ rw(year)", likelihood="conditional", **how)


# ---- limits ------------------------------------------------------------------------------------------------------


def test_no_steps_are_a_constant_and_huge_ones_a_factor():
    history = years(n=30)
    constant, factor = (Occupancy(history, f, "~ 1") for f in ("~ 1", "~ 0 + C(year)"))
    model = Occupancy(history, "~ rw(year)", "~ 1")
    plain = constant.fit()
    psi, p = (plain.model.parameters.given(plain.vector)[name] for name in ("psi", "p"))
    flat = model.at(psi=psi, p=p, variation={"psi: rw(year)": 0.0})
    assert flat.loglik == pytest.approx(plain.loglik, abs=1e-8)
    free = factor.fit()
    wide = model.at(
        psi={"Intercept": float(free.coefficients["estimate"].iloc[:5].mean())},
        p={"Intercept": float(free.coefficients["estimate"].iloc[5])},
        variation={"psi: rw(year)": 300.0},
    )
    new = pd.DataFrame({"year": YEARS})
    np.testing.assert_allclose(wide.predict("psi", new)["estimate"], free.predict("psi", new)["estimate"], atol=1e-4)


def test_order_and_units_of_years_do_not_matter():
    """Years backwards and in units of ten years are the same walk, with sd in other units."""
    history = years(n=20)
    backwards, decades = (
        DetectionHistory(history.visits, history.sites.assign(year=change(history.sites["year"])))
        for change in (lambda t: -t, lambda t: t / 10)
    )
    fits = [Occupancy(h, "~ rw(year)", "~ 1").fit() for h in (history, backwards, decades)]
    sds = [f.variation()["estimate"][0] for f in fits]
    for fit in fits[1:]:
        assert fit.loglik == pytest.approx(fits[0].loglik, abs=1e-6)
    np.testing.assert_allclose(sds, sds[0] * np.array([1.0, 1.0, np.sqrt(10.0)]), rtol=1e-3)


def test_two_years_and_a_walk_that_is_not_there():
    fit = Occupancy(years(at=np.array([2010, 2012]), n=40, sd=1.0), "~ rw(year)", "~ 1").fit()
    assert "There are only 2 values of 'year': the standard deviation of rw(year) in psi rests on" in str(fit.verdict)
    still = Occupancy(years(seed=2, n=40, sd=0.0), "~ rw(year)", "~ 1").fit()
    assert Outcome.NO_VARIATION in still.verdict
    assert "no variation of psi along year beyond the rest of the model" in str(still.verdict)
    assert "intervals of changes take it as known (those of sample() do not)" in str(still.verdict)


# ---- the answer ---------------------------------------------------------------------------------------------------


def test_the_answer_of_a_fit():
    """A year in a gap lies between its neighbours and is wider, one ahead is as the last and wider still."""
    history = years(seed=3, n=40)
    fit = Occupancy(history, "~ rw(year, until=2020)", "~ 1").fit()
    assert fit.verdict.good
    row = fit.variation().iloc[0]
    assert (row["parameter"], row["term"], row["kind"], row["groups"]) == ("psi", "rw(year)", "sd", 5)
    walk = fit.random_effects().set_index("level")
    assert list(walk.index) == [str(y) for y in range(2010, 2021)]
    assert walk.loc[[str(y) for y in YEARS], "estimate"].sum() == pytest.approx(0.0, abs=1e-10)
    table = fit.predict("psi", pd.DataFrame({"year": np.arange(2010, 2021)})).set_index("year")
    link = np.log(table["estimate"] / (1.0 - table["estimate"]))
    np.testing.assert_allclose(np.diff(link.loc[2011:2014]), np.diff(link.loc[[2011, 2014]])[0] / 3, atol=1e-5)
    np.testing.assert_allclose(link.loc[2018:], link.loc[2017], atol=1e-5)
    width = np.log(table["upper"] / (1 - table["upper"])) - np.log(table["lower"] / (1 - table["lower"]))
    assert width.loc[2012] > 1.2 * width.loc[2011]
    assert np.all(np.diff(width.loc[2017:]) > 0)
    middle = fit.predict("psi", pd.DataFrame(index=range(1)))["estimate"].iloc[0]
    assert middle == pytest.approx(logistic(fit.coefficients["estimate"].iloc[0]), abs=1e-12)
    assert Occupancy(history, "~ rw(year)", "~ 1").fit().loglik == pytest.approx(fit.loglik, abs=1e-8)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ rw(one)", r"rw\(one\) of psi has one value only.*Leave it out, or give data of more than one one"),
        ("~ rw(yaer)", "Did you mean 'year'"),
        ("~ rw(name)", "needs values in an order"),
        ("~ rw(gap)", "has missing values"),
        ("~ rw(year, site)", "has one covariate, and until as an option"),
        ("~ rw(year, k=3)", "has one covariate, and until as an option"),
        ("~ rw(year, until=2015)", "a whole number after 2017"),
        ("~ rw(level, until=3)", "Add categories to the factor"),
        ("~ rw(2010)", "a random walk cannot be read"),
        ("~ year * rw(year)", "stands alone in a formula"),
        ("~ (rw(year) | name)", "smooths and walks are of all groups together.*Add it by itself"),
        ("~ rw(year) + rw(year)", "is there twice"),
    ],
)
def test_what_cannot_be_is_said(formula, words):
    frame = pd.DataFrame({"year": YEARS, "one": 2019, "name": list("vwxyz"), "gap": [np.nan, 1, 2, 3, 4]})
    frame["level"] = pd.Categorical(["low", "low", "high", "mid", "mid"], ["low", "mid", "high", "top"], ordered=True)
    with pytest.raises(SurveyError, match=words):
        Design.of(formula, frame, "psi")


def test_an_ordered_factor_has_its_own_order():
    kinds = pd.Categorical(["low", "high", "mid"], ["low", "mid", "high", "top"], ordered=True)
    frame = pd.DataFrame({"level": kinds, "t": pd.Categorical(["9", "10", "12"])})
    design = Design.of("~ rw(level) + rw(t)", frame, "p")
    assert design.random[0].levels == ("low", "mid", "high", "top")
    assert design.random[1].levels == ("9", "10", "11", "12")
    names = pd.Categorical(["01", "02", "10"], ordered=True)
    numbered = Design.of("~ rw(k)", pd.DataFrame({"k": names}), "p").random[0]
    np.testing.assert_array_equal(numbered.at(pd.DataFrame({"k": ["10", "01"]})), numbered.A[[2, 0]])
    walk = design.random[0].A @ np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(np.diff(walk), [1.0, 2.0, 4.0])
    with pytest.raises(SurveyError, match=r"has the values 9 to 12.*found 't = 13'.*until=…"):
        design.at(pd.DataFrame({"level": kinds, "t": ["9", "10", "13"]}))


# ---- posteriors ---------------------------------------------------------------------------------------------------


def test_the_posterior_has_the_walk_non_centred():
    model = Occupancy(years(), "~ rw(year)", "~ 1")
    posterior = Posterior(model, {"psi: rw(year)": LogNormal(0.3, 2)})
    assert posterior.size == 2 + 1 + 7
    x = 0.4 * np.random.default_rng(1).normal(size=posterior.size)
    gradient = posterior.loglik_and_gradient(x)[1]
    step = 1e-5
    numeric = [
        (posterior.loglik_and_gradient(x + e)[0] - posterior.loglik_and_gradient(x - e)[0]) / (2 * step)
        for e in step * np.eye(len(x))
    ]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6)
    stated = posterior.stated().set_index("term")["prior"]
    assert stated["sd rw(year)"] == "LogNormal(median=0.3, factor=2)"
    usual = Posterior(model).of_theta[0]
    assert usual.median == pytest.approx(0.5 / model.parameters["psi"].design.random[0].spread[0], rel=5e-3)
    walk = posterior.coefficients(x)[model.parameters.random[0][2]]
    np.testing.assert_allclose(walk, np.exp(x[2]) * x[3:])


def test_the_posterior_is_likelihood_times_prior():
    """Written out: two years of sites, logistic intercept, log-normal sd, normal step."""
    history = years(at=np.array([2010, 2012]), n=10)
    model = Occupancy(history, "~ rw(year)", 0.45)  # the year between has a step of its own
    posterior = Posterior(model, {"psi: rw(year)": LogNormal(0.3, 2)})
    y, year = history.value.reshape(history.n_sites, -1), history.sites["year"].to_numpy()
    y = np.where(history.done.reshape(y.shape), y, np.nan)

    def slow(beta, theta, u):
        steps = np.exp(theta) * u
        walk = np.array([0.0, steps.sum()])
        eta = beta + (walk - walk.mean())[(year > 2010).astype(int)]
        sites = sum(occupancy_site(one, logistic(e), 0.45) for one, e in zip(y, eta, strict=True))
        of_sd = norm.logpdf(theta, np.log(0.3), np.log(2.0))
        return sites + logistic_law.logpdf(beta) + of_sd + norm.logpdf(u).sum()

    for x in np.random.default_rng(2).normal(size=(5, 4)):
        assert posterior.loglik_and_gradient(x)[0] == pytest.approx(slow(x[0], x[1], x[2:]), rel=1e-10)
