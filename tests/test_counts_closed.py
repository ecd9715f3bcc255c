"""N-mixture and removal: slow twins, gradients, gaps, infinite abundance in words, the reference suite."""

import numpy as np
import oracle_occupancy as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference import entry, expected
from reference_occupancy import agrees, history

from uncia.models.counts.n_mixture import MIXTURES, NMixture
from uncia.models.counts.removal import Removal
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

BUILD = {mixture: (lambda h, m=mixture: NMixture(h, "~ x", "~ v", mixture=m)) for mixture in MIXTURES}
BUILD["removal"] = lambda h: Removal(h, "~ x", "~ v")


def counts(seed=3, **more) -> DetectionHistory:
    return ragged(most=5, seed=seed, **more)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_n_mixture_equals_its_slow_twin(mixture):
    model = BUILD[mixture](counts())
    at = some_vector(model, 2)
    v = model.parameters.values(at)
    more = {"size": v["alpha"][0] if "alpha" in v else None, "zero": v["zero"][0] if "zero" in v else 0.0}
    slow = oracle.n_mixture(model.history, v["lambda"], v["p"], **more)
    assert model.loglik(at) == pytest.approx(slow, abs=1e-11)


def test_removal_equals_its_slow_twin():
    model = BUILD["removal"](counts())
    at = some_vector(model, 2)
    v = model.parameters.values(at)
    assert model.loglik(at) == pytest.approx(oracle.removal(model.history, v["lambda"], v["p"]), abs=1e-11)


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    check_gradient(BUILD[name](counts()))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = counts(seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    value, gradient = model.loglik_and_gradient(at)
    for other in (reordered(h, seed), with_missing_visit(h), with_missing_site(h)):
        again, slope = BUILD[name](other).loglik_and_gradient(at)
        assert again == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(slope, gradient, atol=1e-8)


@pytest.mark.parametrize("mean", [0.1, 30.0, 3_000.0])
def test_the_sum_finds_its_own_end(mean):
    """One visit thins a Poisson number to a Poisson number."""
    y = np.array([[3.0], [0.0], [np.round(mean * 0.2)]])
    ours = NMixture(DetectionHistory.from_wide(y)).at(**{"lambda": mean, "p": 0.2}).loglik
    assert ours == pytest.approx(sum(np.log(oracle.poisson(int(k), mean * 0.2)) for k in y[:, 0]), rel=1e-11)


def test_a_large_negative_binomial_size_is_poisson():
    h = counts()
    at = {"lambda": 4.0, "p": 0.4}
    poisson = NMixture(h).at(**at).loglik
    assert NMixture(h, mixture="negative binomial").at(alpha=1e9, **at).loglik == pytest.approx(poisson, abs=1e-5)
    assert NMixture(h, mixture="zero-inflated poisson").at(zero=1e-12, **at).loglik == pytest.approx(poisson, abs=1e-9)


# ---- the reference suite -----------------------------------------------------------------------------------------

COVARIATES = ("~ length + elev + forest", "~ ivel + date + I(date**2)")


@pytest.mark.parametrize(
    ("which", "formulas", "mixture"),
    [
        (0, (), "poisson"),
        (1, (), "negative binomial"),
        (2, (), "zero-inflated poisson"),
        (3, COVARIATES, "poisson"),
        (4, COVARIATES, "negative binomial"),
        (5, COVARIATES, "zero-inflated poisson"),
    ],
)
def test_mallard(which, formulas, mixture):
    h = history("mallard", value="count")
    h = h.without_missing("ivel", "date") if formulas else h
    agrees(NMixture(h, *formulas, mixture=mixture), "mallard", which)


def test_mallard_predictions_and_posterior():
    h = history("mallard", value="count").without_missing("ivel", "date")
    e = expected("mallard")[6]
    ours = NMixture(h, *COVARIATES, mixture="negative binomial").fit().predict("lambda", pd.DataFrame(e["newdata"]))
    np.testing.assert_allclose(ours[["estimate", "se", "lower", "upper"]], np.array(e["derived"]), rtol=5e-3)
    fit = NMixture(h, *COVARIATES).fit()
    derived = entry("mallard", "posterior mean abundance of the first ten sites used")["derived"]
    theirs = np.array(next(v for k, v in derived.items() if k != "site"), float)
    used = fit.posterior()[h.visited]
    np.testing.assert_allclose(used["abundance"].to_numpy()[: len(theirs)], theirs, atol=1e-3)


@pytest.mark.parametrize(("which", "formulas"), [(0, ()), (1, ("~ ufc + trba",)), (2, ("~ ufc", "~ trba"))])
def test_removal_reference(which, formulas):
    h = history("removal_ovenbirds", value="removed")
    scaled = h.sites[["ufc", "trba"]].apply(lambda c: (c - c.mean()) / c.std())
    agrees(Removal(DetectionHistory(h.visits, scaled), *formulas), "removal_ovenbirds", which)


# ---- what follows ------------------------------------------------------------------------------------------------


def test_infinite_abundance_is_said_in_words():
    """Counts of the same site that are less alike than by chance (Dennis et al. 2015)."""
    model = NMixture(DetectionHistory.from_wide(np.array([[3.0, 0], [0, 2], [2, 1], [1, 3], [0, 1], [1, 0]])))
    assert model.likeness() < 0
    fit = model.at(**{"lambda": 3.0, "p": 0.3})
    assert "no more alike than counts of different sites" in str(fit.verdict)
    once = NMixture(DetectionHistory.from_wide(np.array([[3.0], [1.0]])))
    assert "no site was visited twice" in str(once.at(**{"lambda": 3.0, "p": 0.3}).verdict)


@pytest.mark.parametrize("seed", range(6))
def test_the_covariance_says_before_the_fit_whether_abundance_is_finite(seed):
    """Two visits: the estimate is infinite exactly where the mean covariance is not above 0 (Dennis et al. 2015)."""
    y = np.random.default_rng(seed).poisson(1.0, (12, 2)).astype(float)
    y[:, 1] += (seed % 2) * (y[:, 0] > 0)
    model = NMixture(DetectionHistory.from_wide(y), most=3000)
    mean = np.exp(model.fit().vector[0])
    assert (mean > 500) == (model.likeness() <= 0)


def test_what_is_derived():
    fit = NMixture(history("mallard", value="count"), mixture="negative binomial").fit()
    total = fit.derive().set_index("unit").loc["animals"]
    assert total["lower"] > fit.model.least.sum()
    assert total["estimate"] == pytest.approx(fit.posterior()["abundance"].sum())
    assert np.all(fit.posterior()["abundance"] >= fit.posterior()["most counted"])
    assert "abundance" in str(fit)


def test_simulations_have_the_right_moments():
    h = DetectionHistory.from_wide(np.ones((5000, 2)))
    for mixture, more, share in (
        ("poisson", {}, 1.0),
        ("negative binomial", {"alpha": 1.5}, 1.0),
        ("zero-inflated poisson", {"zero": 0.4}, 0.6),
    ):
        again = NMixture(h, mixture=mixture).simulate({"lambda": 3.0, "p": 0.5} | more, seed=5)
        assert again.value.mean() == pytest.approx(1.5 * share, abs=0.06)
    again = Removal(h).simulate({"lambda": 3.0, "p": 0.5}, seed=5)
    np.testing.assert_allclose(again.value.reshape(-1, 2).mean(axis=0), [1.5, 0.75], atol=0.06)


def test_refusals():
    with pytest.raises(SurveyError, match="distribution of abundance"):
        NMixture(counts(), mixture="ZIP")
    with pytest.raises(SurveyError, match="nothing was found"):
        NMixture(DetectionHistory.from_wide(np.zeros((2, 2))))
