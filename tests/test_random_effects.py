"""Random effects and smooths: marginal likelihoods against slow integrals and other programs, gradients, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from occupancy_problems import ragged, reordered
from oracle_random import logistic, occupancy_site, over_groups
from scipy.special import gammaln
from test_scr import MODELS, surveyed

from uncia.models import CJS, SCR, ClosedCapture, DynamicOccupancy, NMixture, Occupancy, RoyleNichols, compare
from uncia.models.inference.laplace import Marginal
from uncia.models.inference.quadrature import Quadrature
from uncia.models.verdict import Outcome
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

# Lesnoff et al. 2004, Prev. Vet. Med. 64:27: herd, new cases, animals, period
CATTLE = """1 2 14 1,1 3 12 2,1 4 9 3,1 0 5 4,2 3 22 1,2 1 18 2,2 1 21 3,3 8 22 1,3 2 16 2,3 0 16 3,3 2 20 4,4 2 10 1,
4 0 10 2,4 2 9 3,4 0 6 4,5 5 18 1,5 0 25 2,5 0 24 3,5 1 4 4,6 3 17 1,6 0 17 2,6 0 18 3,6 1 20 4,7 8 16 1,7 1 10 2,
7 3 9 3,7 0 5 4,8 12 34 1,9 2 9 1,9 0 6 2,9 0 8 3,9 0 6 4,10 1 22 1,10 1 22 2,10 0 18 3,10 2 22 4,11 0 25 1,11 5 27 2,
11 3 22 3,11 1 22 4,12 2 10 1,12 1 8 2,12 0 6 3,12 0 5 4,13 1 21 1,13 2 24 2,13 0 19 3,13 0 23 4,14 11 19 1,14 0 2 2,
14 0 3 3,14 0 2 4,15 1 19 1,15 1 15 2,15 1 15 3,15 0 15 4"""


def clustered(seed=3, n=60, j=4, groups=8, sd=1.0, name="region", **more) -> DetectionHistory:
    """Sites in regions whose occupancy differs, visits missing."""
    rng = np.random.default_rng(seed)
    region, x = np.arange(n) % groups, rng.normal(size=n)
    z = rng.uniform(size=n) < logistic(0.3 + 0.5 * x + rng.normal(0.0, sd, groups)[region])
    y = ((rng.uniform(size=(n, j)) < 0.5) & z[:, None]).astype(float)
    y[rng.uniform(size=y.shape) < 0.15] = np.nan
    sites = pd.DataFrame({"x": x, "w": rng.normal(size=n), name: [f"r{g}" for g in region]})
    return DetectionHistory.from_wide(y, sites=sites, visit_covariates={"v": rng.normal(size=y.shape)}, **more)


def place(marginal: Marginal, seed=1, spread=0.15) -> np.ndarray:
    """Coefficients and variance parameters near the start."""
    psi = np.concatenate([marginal.model.start()[marginal.at_beta], marginal.start_theta()])
    return psi + spread * np.random.default_rng(seed).normal(size=len(psi))


def check_marginal_gradient(marginal: Marginal, tolerance=1e-5) -> None:
    psi = place(marginal)
    gradient = marginal.loglik_and_gradient(psi)[1]
    step = 1e-4
    numeric = [(marginal.loglik(psi + e) - marginal.loglik(psi - e)) / (2 * step) for e in step * np.eye(len(psi))]
    np.testing.assert_allclose(gradient, numeric, atol=tolerance * max(1.0, np.abs(gradient).max()))


def animals(n=40, t=6, seed=2) -> EncounterHistory:
    rng = np.random.default_rng(seed)
    first, met = rng.integers(0, t - 1, n), np.zeros((n, t), int)
    p = logistic(0.3 + rng.normal(0.0, 1.0, n))
    for i in range(n):
        met[i, first[i]], alive = 1, True
        for k in range(first[i] + 1, t):
            alive &= rng.uniform() < 0.8
            met[i, k] = alive and rng.uniform() < p[i]
    return EncounterHistory(met, animals=pd.DataFrame({"name": [f"cat {i}" for i in range(n)]}))


# ---- the integral ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sd", [0.3, 1.2])
def test_quadrature_is_the_slow_integral_and_laplace_is_near(sd):
    history = clustered()
    y, group = history.value.reshape(60, 4), history.sites["region"].to_numpy()
    x = history.sites["x"].to_numpy()

    def of_region(g, b):
        return sum(occupancy_site(y[i], logistic(0.2 + 0.4 * x[i] + b), 0.45) for i in np.flatnonzero(group == g))

    slow = over_groups(group, sd, of_region)
    model = Occupancy(history, "~ x + (1 | region)", "~ 1")
    fit = model.at(psi={"Intercept": 0.2, "x": 0.4}, p=0.45, variation={"psi: 1 | region": sd})
    assert fit.loglik == pytest.approx(slow, abs=2e-6)
    assert abs(fit.random.laplace_error) < 0.05 * 8


def test_detection_that_differs_among_sites_is_integrated_exactly():
    """A case where Laplace's approximation does not hold: a site without findings is empty, or hard to detect at."""
    history = clustered(n=25)
    y = history.value.reshape(25, 4)
    slow = over_groups(range(25), 1.5, lambda g, b: occupancy_site(y[g], 0.6, logistic(-0.2 + b)))
    fit = Occupancy(history, "~ 1", "~ (1 | site)").at(psi=0.6, p={"Intercept": -0.2}, variation={"p: 1 | site": 1.5})
    assert fit.loglik == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize(
    ("psi", "p", "core", "leaf"),
    [
        ("~ x + (1 | region)", "~ v", 0, (8, 1)),
        ("~ (1 + x | region)", "~ v + (v || region)", 0, (8, 4)),
        ("~ x + (1 | region)", "~ (1 | site)", 8, (60, 1)),
        ("~ s(x, k=5)", "~ (0 + v | region)", 5, (8, 1)),
        ("~ s(x, w, k=3)", "~ v", 9, (0, 0)),
    ],
)
def test_gradient_of_laplace(psi, p, core, leaf):
    marginal = Marginal(Occupancy(clustered(), psi, p))
    assert (len(marginal.at_core), marginal.at_leaf.shape) == (core, leaf)
    check_marginal_gradient(marginal)


def test_gradient_of_other_models():
    """Chains tie the seasons of a site, so that years are not separate; sites are."""
    seasons = ragged(n=12, t=3, j=3)
    dynamic = Marginal(DynamicOccupancy(seasons, gamma="~ (1 | season)", p="~ (1 | season)"))
    assert len(dynamic.at_core) == 4  # two transitions, two seasons with visits
    sites = Marginal(DynamicOccupancy(seasons, psi="~ (1 | site)", p="~ (1 | site)"))
    assert sites.at_leaf.shape == (12, 2)
    counts = ragged(n=10, most=3)
    others = [
        RoyleNichols(ragged(n=10), "~ (1 | site)"),
        NMixture(counts, "~ (1 | site)", "~ v"),
        CJS(animals(), "~ (1 | t)", "~ (1 | name)"),
    ]
    for marginal in (dynamic, sites, *map(Marginal, others)):
        check_marginal_gradient(marginal)


def test_gradient_of_spatial_models():
    """Sessions are separate; the sines of a density surface are not."""
    one = MODELS["count"]
    sessions = [replace(surveyed("count", seed=s).captures, session=f"s{s}") for s in (1, 2, 3)]
    pooled = SCR(sessions, one.mask, D="~ (1 | session)", sigma="~ (1 | session)", detection="hazard half-normal")
    surface = SCR(one.captures, one.mask, D="~ s(x, y, k=3)", detection="hazard half-normal")
    for model, core, leaf in ((pooled, 0, (3, 2)), (surface, 9, (0, 0))):
        marginal = Marginal(model)
        assert (len(marginal.at_core), marginal.at_leaf.shape) == (core, leaf)
        check_marginal_gradient(marginal)


def test_effects_of_single_animals_need_animals_met_to_be_like_the_others():
    history = animals(n=12)
    with pytest.raises(SurveyError, match="animals never met have one too"):
        ClosedCapture(history, "~ (1 | name)", likelihood="conditional").fit()
    shared = ClosedCapture(history, "~ (1 | t)").at(p={"Intercept": 0.0}, f0=3.0, variation={"p: 1 | t": 0.5})
    assert np.isfinite(shared.loglik)


def test_gradient_of_quadrature():
    check_marginal_gradient(Quadrature(Occupancy(clustered(n=30), "~ x + (1 | region)", "~ v")))
    check_marginal_gradient(Quadrature(Occupancy(clustered(n=15), "~ x", "~ v + (0 + v | site)")))


def test_other_programs_agree_on_cattle():
    """glmmTMB and lme4 (Laplace), lme4 with 10 or more nodes: -2 log-likelihood 184.05 and 183.97."""
    herd, cases, size, period = np.array([[int(v) for v in r.split()] for r in CATTLE.split(",")]).T
    y = np.full((len(herd), size.max()), np.nan)
    for i, n in enumerate(size):
        y[i, :n] = np.arange(n) < cases[i]
    sites = pd.DataFrame({"herd": herd, "period": period.astype(str)})
    model = Occupancy(DetectionHistory.from_wide(y, sites=sites), 1.0, "~ period + (1 | herd)")
    constant = np.sum(gammaln(size + 1) - gammaln(cases + 1) - gammaln(size - cases + 1))
    fit = model.fit(integration="laplace")
    assert fit.loglik + constant == pytest.approx(-92.0263, abs=5e-4)
    np.testing.assert_allclose(fit.coefficients["estimate"], [-1.3985, -0.9923, -1.1287, -1.5803], atol=6e-5)
    np.testing.assert_allclose(fit.coefficients["se"], [0.2325, 0.3066, 0.3266, 0.4274], atol=6e-5)
    assert fit.variation()["estimate"][0] == pytest.approx(0.6423, abs=2e-4)
    assert fit.loglik - fit.random.laplace_error + constant == pytest.approx(-91.983, abs=2e-3)


# ---- limits and invariances --------------------------------------------------------------------------------------


def test_a_standard_deviation_of_zero_is_the_model_without_the_term():
    history = clustered()
    plain = Occupancy(history, "~ x", "~ v").fit()
    values = {name: plain.model.parameters.given(plain.vector)[name] for name in ("psi", "p")}
    for psi, names in (("~ x + (1 | region)", ["psi: 1 | region"]), ("~ x + s(w, k=4)", ["psi: s(w)"])):
        model = Occupancy(history, psi, "~ v")
        length = {"length psi: s(w)": 2.0} if "s(w" in psi else {}
        fit = model.at(**values, variation={name: 0.0 for name in names} | length)
        assert fit.loglik == pytest.approx(plain.loglik, abs=1e-7)


def test_a_variation_that_is_not_there_is_called_none():
    history = clustered(seed=1, sd=0.0)
    plain, fit = (Occupancy(history, f, "~ 1").fit() for f in ("~ x", "~ x + (1 | region)"))
    assert Outcome.NO_VARIATION in fit.verdict
    assert "no variation of psi among the 8 groups of 'region'" in str(fit.verdict)
    assert fit.variation()["estimate"][0] == 0.0
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
    np.testing.assert_allclose(fit.coefficients["se"], plain.coefficients["se"], rtol=1e-3)
    assert fit.n_parameters == plain.n_parameters + 1
    assert fit.verdict.good


def test_neither_names_nor_order_matter():
    history = clustered(n=40)
    sites = history.sites.assign(region=history.sites["region"].map(lambda r: f"q{9 - int(r[1])}"))
    renamed = DetectionHistory(history.visits, sites, history._season_table())
    how = {"integration": "laplace"}
    fits = [Occupancy(h, "~ x + (1 | region)", "~ 1").fit(**how) for h in (history, reordered(history, 5), renamed)]
    for other in fits[1:]:
        assert other.loglik == pytest.approx(fits[0].loglik, abs=1e-7)
        np.testing.assert_allclose(other.variation()["estimate"], fits[0].variation()["estimate"], rtol=1e-4)
    modes = [f.random_effects().set_index("level")["estimate"] for f in fits]
    np.testing.assert_allclose(modes[1][modes[0].index], modes[0], atol=1e-4)
    np.testing.assert_allclose(modes[2].to_numpy()[::-1], modes[0].to_numpy(), atol=1e-4)


def test_independent_slopes_are_correlated_ones_at_zero():
    history = clustered()
    both = Occupancy(history, "~ x + (x | region)", "~ 1")
    apart = Occupancy(history, "~ x + (x || region)", "~ 1")
    sds = {"psi: 1 | region": 0.6, "psi: x | region": 0.3}
    at = [m.at(psi={"Intercept": 0.1, "x": 0.2}, p=0.5, variation=sds).loglik for m in (both, apart)]
    assert at[0] == pytest.approx(at[1], abs=1e-8)


# ---- the answer ---------------------------------------------------------------------------------------------------


def test_the_answer_of_a_fit():
    history = clustered(n=80)
    fit = Occupancy(history, "~ x + (1 | region)", "~ 1").fit()
    assert fit.verdict.good
    assert fit.n_parameters == 4
    assert list(fit.coefficients["term"]) == ["Intercept", "x", "Intercept"]
    row = fit.variation().iloc[0]
    assert (row["parameter"], row["term"], row["kind"], row["groups"]) == ("psi", "1 | region", "sd", 8)
    assert 0 < row["lower"] < row["estimate"] < row["upper"]
    assert "1 | region" in fit.summary()
    effects = fit.random_effects()
    assert len(effects) == 8
    assert (effects["se"] > 0).all()
    known, new = fit.predict("psi", pd.DataFrame({"x": [0.0, 0.0], "region": ["r0", "elsewhere"]})).to_dict("records")
    middle = fit.predict("psi", pd.DataFrame({"x": [0.0]})).iloc[0]
    assert new["estimate"] == middle["estimate"] == pytest.approx(logistic(fit.coefficients["estimate"][0]))
    assert known["estimate"] == pytest.approx(
        logistic(fit.coefficients["estimate"][0] + effects["estimate"][0]), abs=1e-12
    )
    plain = Occupancy(history, "~ x", "~ 1").fit()
    assert set(compare({"plain": plain, "region": fit})["n_parameters"]) == {3, 4}
    with pytest.raises(SurveyError, match="has no random effects"):
        plain.random_effects()


def test_standard_errors_are_those_of_the_joint_likelihood():
    """The modes move with the estimates as differences of them say; their own variance comes on top."""
    fit = Occupancy(clustered(n=80), "~ (1 | region)", 0.5).fit()
    part, at = fit.random, fit.random.marginal
    whole = fit.determined.matrix
    assert np.all(np.linalg.eigvalsh(whole) > -1e-10)
    conditional = at.conditional_covariance(part.mode)
    assert np.all(np.diag(whole)[at.at_b] >= np.diag(conditional) - 1e-12)
    step, response = 1e-4, at.response(part.mode)
    for j in range(len(part.psi)):
        ends = []
        for side in (1.0, -1.0):
            psi = part.psi.copy()
            psi[j] += side * step
            beta, theta = at.split(psi)
            mode = at.mode(beta, theta)
            ends.append(at.b(at.factors(theta), mode.u))
        np.testing.assert_allclose(response[:, j], (ends[0] - ends[1]) / (2 * step), atol=1e-5)


def test_profile_limits_of_a_standard_deviation():
    fit = Occupancy(clustered(n=80), "~ (1 | region)", 0.5).fit(integration="laplace")
    limits = fit.profile("sd psi").iloc[0]
    assert limits["lower"] < fit.variation()["estimate"][0] < limits["upper"]
    at = fit.random.marginal
    held = [at.loglik(np.array([b, np.log(limits["upper"])])) for b in np.linspace(-1.5, 2.5, 81)]
    assert 2.0 * (fit.loglik - max(held)) == pytest.approx(3.841, abs=5e-3)


def test_few_groups_are_named():
    fit = Occupancy(clustered(n=60, groups=3), "~ (1 | region)", "~ 1").fit(integration="laplace")
    assert "only 3 groups of 'region'" in str(fit.verdict)


def test_bootstrap_draws_effects_anew():
    fit = Occupancy(clustered(n=30), "~ (1 | region)", "~ 1").fit(integration="laplace")
    drawn = [fit.truth(seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    at = fit.random.marginal.at_beta
    np.testing.assert_array_equal(drawn[2][at], fit.vector[at])


def test_names_of_variation_are_checked():
    model = Occupancy(clustered(), "~ (1 | region)", "~ 1")
    with pytest.raises(SurveyError, match=r"Did you mean 'psi: 1 \| region'"):
        model.at(psi={"Intercept": 0.0}, p=0.5, variation={"psi: 1 | regoin": 1.0})
    with pytest.raises(SurveyError, match="values are needed for every random term"):
        model.at(psi={"Intercept": 0.0}, p=0.5)
    with pytest.raises(SurveyError, match="quadrature needs one random coefficient"):
        Occupancy(clustered(), "~ (x | region)", "~ 1").fit(integration="quadrature")


def test_a_smooth_follows_a_curve_and_says_when_its_basis_is_too_small():
    rng = np.random.default_rng(7)
    x = np.sort(rng.uniform(0.0, 100.0, 250))
    truth = 2.5 * np.sin(x / 9.0)
    y = ((rng.uniform(size=(250, 5)) < 0.6) & (rng.uniform(size=250) < logistic(truth))[:, None]).astype(float)
    history = DetectionHistory.from_wide(y, sites=pd.DataFrame({"x": x}))
    fit, coarse = (Occupancy(history, f, "~ 1").fit() for f in ("~ s(x)", "~ s(x, k=5)"))
    curve = fit.predict("psi", pd.DataFrame({"x": x}))
    assert np.corrcoef(curve["estimate"], logistic(truth))[0, 1] > 0.95
    assert np.mean((curve["lower"] <= logistic(truth)) & (logistic(truth) <= curve["upper"])) > 0.85
    assert fit.aic < Occupancy(history, "~ 1", "~ 1").fit().aic - 20.0
    kinds = fit.variation().set_index("kind")["estimate"]
    assert 3.0 < kinds["length"] < 30.0
    assert "as rough as 5 basis functions" in str(coarse.verdict)
    assert "use a larger k" in str(coarse.verdict)
    assert Outcome.NO_VARIATION not in fit.verdict
    surface = fit.predict("psi", xr.Dataset(coords={"x": [10.0, 50.0]}))
    np.testing.assert_allclose(surface["estimate"], fit.predict("psi", pd.DataFrame({"x": [10.0, 50.0]}))["estimate"])


def test_where_laplace_cannot_hold_it_has_no_value():
    """Sites without findings are empty or hard to detect at: A nearly singular would look like a high likelihood."""
    rng = np.random.default_rng(1)
    z = rng.uniform(size=120) < 0.6
    p = logistic(-0.3 + rng.normal(0.0, 0.7, (120, 1)))
    y = ((rng.uniform(size=(120, 5)) < p) & z[:, None]).astype(float)
    model = Occupancy(DetectionHistory.from_wide(y), "~ 1", "~ (1 | site)")
    psi = np.array([1.4, 0.5, np.log(1.3)])
    found = [m.loglik(psi) for m in (Marginal(model), Quadrature(model))]
    least = Marginal(model).mode(psi[:2], psi[2:]).least()
    assert least < 0.3
    assert found[0] == -np.inf
    assert np.isfinite(found[1])
