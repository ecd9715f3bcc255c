"""Single-season occupancy and Royle-Nichols: slow twins, gradients, gaps, the reference suite, boundaries in words."""

import pickle

import numpy as np
import oracle_occupancy as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import (
    check_gradient,
    ragged,
    reordered,
    some_vector,
    with_missing_site,
    with_missing_visit,
)
from reference import entry, expected
from reference_occupancy import agrees, history, vector_of

from uncia.models.kernels.occupancy_logit import exponentials
from uncia.models.occupancy.goodness import mackenzie_bailey
from uncia.models.occupancy.royle_nichols import RoyleNichols
from uncia.models.occupancy.single_season import Occupancy
from uncia.models.verdict import Outcome
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

BUILD = {
    "occupancy": lambda h: Occupancy(h, "~ x", "~ v"),
    "cloglog": lambda h: Occupancy(h, "~ x", "~ v", links={"psi": "cloglog", "p": "cloglog"}),
    "exposure": lambda h: Occupancy(h, "~ x", "~ v + x", exposure=True),
    "royle-nichols": lambda h: RoyleNichols(h, "~ x", "~ v"),
    "royle-nichols exposure": lambda h: RoyleNichols(h, "~ x", "~ v", exposure=True),
    "royle-nichols NB": lambda h: RoyleNichols(h, "~ x", "~ v", mixture="negative binomial"),
}


@pytest.fixture(params=BUILD)
def build(request):
    return BUILD[request.param]


# ---- slow twins and gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_occupancy_equals_its_slow_twin(seed):
    h = ragged(seed=seed)
    for model in (Occupancy(h, "~ x", "~ v"), Occupancy(h, "~ x", "~ v", exposure=True)):
        at = some_vector(model, seed)
        values = model.parameters.values(at)
        p = 1 - (1 - values["p"]) ** h.effort[h.done] if model.exposure else values["p"]
        assert model.loglik(at) == pytest.approx(oracle.occupancy(h, values["psi"], p), abs=1e-12)


@pytest.mark.parametrize("mixture", ["poisson", "negative binomial"])
def test_royle_nichols_equals_its_slow_twin(mixture):
    h = ragged()
    model = RoyleNichols(h, "~ x", "~ v", mixture=mixture)
    at = some_vector(model, 4)
    v = model.parameters.values(at)
    size = v["alpha"][0] if "alpha" in v else None
    assert model.loglik(at) == pytest.approx(oracle.royle_nichols(h, v["lambda"], v["r"], size), abs=1e-11)


def test_gradients(build):
    check_gradient(build(ragged()))


def test_one_site(build):
    model = Occupancy(ragged(n=1, keep=1.0))
    check_gradient(model)
    assert np.isfinite(model.fit().loglik)


def test_many_visits_do_not_underflow():
    y = np.zeros((3, 4000))
    y[0, :900] = 1
    model = Occupancy(DetectionHistory.from_wide(y))
    at = model.at(psi=0.3, p=0.1)
    expected = np.log(0.3) + 900 * np.log(0.1) + 3100 * np.log(0.9) + 2 * np.log(0.7)
    assert at.loglik == pytest.approx(expected, rel=1e-12)


def large(sites: int, visits: int) -> DetectionHistory:
    """Enough sites for several blocks, with visits and sites missing and numbers of visits from 0 to all."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (sites, visits)).astype(float)
    y[rng.uniform(size=y.shape) < 0.5] = np.nan
    y[rng.uniform(size=sites) < 0.5] *= 0
    y[5] = np.nan
    y[np.arange(visits)[None, :] >= rng.integers(visits // 2, 2 * visits, sites)[:, None]] = np.nan
    covariates = pd.DataFrame({"x": rng.normal(size=sites)})
    return DetectionHistory.from_wide(y, sites=covariates, visit_covariates={"v": rng.normal(size=y.shape)})


@pytest.mark.parametrize(
    ("visits", "psi", "p", "at"),
    [
        (400, "~ x", "~ v", (0.3, 0.2, -0.4, 0.3)),
        (400, "~ x", "~ v", (-2.0, 1.0, 6.0, 0.5)),  # products of the one pass overflow
        (400, "~ x", "~ v", (5.0, 2.0, -5.0, 1.0)),
        (40, "~ 1", "~ 1", (0.3, -0.4)),
        (40, "~ x - 1", "~ v + x - 1", (0.5, 0.3, -0.2)),
        (40, "~ x + I(x**2)", "~ x + v + I(v**2) + x:v", (0.3, 0.2, -0.1, -0.4, 0.2, 0.3, 0.1, -0.2)),
    ],
)
def test_one_pass_equals_the_general_way(visits, psi, p, at, monkeypatch):
    h = large(600, visits)
    monkeypatch.setattr("uncia.models.occupancy.one_pass.WORTH", 0)
    fast = Occupancy(h, psi, p)
    assert fast.one_pass is not None
    monkeypatch.setattr("uncia.models.occupancy.one_pass.WORTH", np.inf)
    general = Occupancy(h, psi, p)
    assert general.one_pass is None
    at = np.array(at)
    value, gradient = general.loglik_and_gradient(at)
    assert fast.loglik(at) == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(fast.loglik_and_gradient(at)[1], gradient, rtol=1e-8, atol=1e-7)


def test_the_one_pass_is_for_plain_models(monkeypatch):
    monkeypatch.setattr("uncia.models.occupancy.one_pass.WORTH", 0)
    h = ragged(n=12)
    assert Occupancy(h).one_pass is not None
    assert Occupancy(h, p="~ v + (1 | site)").one_pass is None
    assert Occupancy(h, exposure=True).one_pass is None
    assert Occupancy(h, links={"psi": "cloglog"}).one_pass is None
    assert Occupancy(h, known_occupied=[str(h.sites.index[0])]).one_pass is None


def test_the_polynomial_is_the_exponential():
    x = np.concatenate([np.linspace(-700, 700, 40_001), np.linspace(-1, 1, 10_001), [-1e6, 1e6]])
    out = np.empty_like(x)
    exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(np.clip(x, -700, 700)), rtol=1e-15)


def test_the_sum_over_animals_needs_no_limit():
    """Mean 5,000 animals: the terms pass 1e200 on the way."""
    y = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    model = RoyleNichols(DetectionHistory.from_wide(y))
    p = 1 - np.exp(-5000 * 1e-4)  # Poisson thinning: with r → 0 visits see independent Poisson numbers, nearly
    assert model.at(**{"lambda": 5000.0, "r": 1e-4}).loglik == pytest.approx(
        2 * np.log(p) + 6 * np.log(1 - p), abs=0.01
    )


# ---- what must not matter ----------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = ragged(seed=seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    value, gradient = model.loglik_and_gradient(at)
    for other in (reordered(h, seed), with_missing_visit(h), with_missing_site(h)):
        again, slope = BUILD[name](other).loglik_and_gradient(at)
        assert again == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(slope, gradient, atol=1e-9)


def test_effort_one_is_no_effort():
    y = np.array([[1.0, 0.0], [0.0, 0.0]])
    h = DetectionHistory.from_wide(y, effort=1.0)
    at = np.array([0.2, -0.4])
    assert Occupancy(h, exposure=True).loglik(at) == pytest.approx(Occupancy(h).loglik(at), abs=1e-14)


def test_a_visit_of_double_effort_is_two_visits():
    one = DetectionHistory.from_wide(np.array([[0.0, 1.0], [0.0, 0.0]]), effort=np.array([[2.0, 1.0], [2.0, 1.0]]))
    two = DetectionHistory.from_wide(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    at = np.array([0.2, -0.4])
    assert Occupancy(one, exposure=True).loglik(at) == pytest.approx(Occupancy(two).loglik(at), abs=1e-13)


def test_few_animals_make_royle_nichols_an_occupancy_model():
    """lambda → 0: at most one animal, psi = lambda, p = r."""
    h = ragged()
    rn = RoyleNichols(h).at(**{"lambda": 1e-9, "r": 0.3}).loglik
    assert rn == pytest.approx(Occupancy(h).at(psi=1e-9, p=0.3).loglik, abs=1e-6)


@pytest.mark.parametrize("rate", [0.2, 3.0, 40.0])
def test_one_visit_thins_a_poisson_number(rate):
    """lambda at any value: something is found with 1 - exp(-lambda r)."""
    h = DetectionHistory.from_wide(np.array([[1.0], [0.0], [np.nan], [1.0], [0.0]]))
    found = 1 - np.exp(-rate * 0.05)
    rn = RoyleNichols(h).at(**{"lambda": rate, "r": 0.05}).loglik
    assert rn == pytest.approx(Occupancy(h, psi=1.0).at(p=found).loglik, abs=1e-12)


def test_a_large_negative_binomial_size_is_poisson():
    h, at = ragged(), {"lambda": 2.0, "r": 0.3}
    poisson = RoyleNichols(h).at(**at).loglik
    assert RoyleNichols(h, mixture="negative binomial").at(alpha=1e9, **at).loglik == pytest.approx(poisson, abs=1e-6)


def test_known_occupied_sites_count_as_found():
    y = np.array([[1.0, 0.0], [0.0, 0.0]])
    model = Occupancy(DetectionHistory.from_wide(y), known_occupied=["2"])
    assert model.at(psi=0.4, p=0.3).loglik == pytest.approx(np.log(0.4 * 0.3 * 0.7 * 0.4 * 0.49))
    with pytest.raises(SurveyError, match="not in the history"):
        Occupancy(DetectionHistory.from_wide(y), known_occupied=["9"])


# ---- the reference suite -----------------------------------------------------------------------------------------


def salamanders(file="detections"):
    return history("salamanders", file)


@pytest.mark.parametrize(
    ("which", "build"),
    [
        (0, lambda h: Occupancy(h)),
        (1, lambda h: Occupancy(h, p="~ C(visit)")),
        (2, lambda h: Occupancy(h, p="~ late")),
        (3, lambda h: Occupancy(h, links={"psi": "cloglog"})),
        (4, lambda h: RoyleNichols(h)),
        (5, lambda h: RoyleNichols(h, r="~ late")),
        (21, lambda h: Occupancy(h)),  # wiqid's
        (22, lambda h: Occupancy(h, p="~ C(visit)")),
        (23, lambda h: RoyleNichols(h)),
    ],
)
def test_salamanders(which, build):
    agrees(build(salamanders()), "salamanders", which)


@pytest.mark.parametrize(
    ("which", "build"), [(24, Occupancy), (25, lambda h: Occupancy(h, p="~ late")), (26, RoyleNichols)]
)
def test_salamanders_with_missing_visits(which, build):
    agrees(build(salamanders("detections_missing")), "salamanders", which)


@pytest.mark.parametrize(
    ("name", "p", "words"),
    [
        ("psi", "~ 1", "predicted psi, null model"),
        ("p", "~ 1", "predicted p, null model"),
        ("p", "~ late", "predicted p for early and late visits, p(late) model"),
    ],
)
def test_salamanders_predictions(name, p, words):
    ours = Occupancy(salamanders(), p=p).fit().predict(name)
    theirs = np.array(list(entry("salamanders", words)["derived"].values()))
    np.testing.assert_allclose(ours[["estimate", "se", "lower", "upper"]], theirs, rtol=2e-3)


def test_salamanders_table_of_aicc():
    theirs = entry("salamanders", "model table, AICc")["derived"]
    formulas = {"null": "~ 1", "late": "~ late", "occasion": "~ C(visit)"}
    ours = [Occupancy(salamanders(), p=formulas[name]).fit().aicc for name in theirs["Modnames"]]
    np.testing.assert_allclose(ours, theirs["AICc"], atol=1e-5)


def test_salamanders_predictions_and_posteriors():
    fit = Occupancy(salamanders(), p="~ late").fit()
    theirs = np.array(list(entry("salamanders", "predicted psi, p(late) model")["derived"].values()))
    ours = fit.predict("psi")[["estimate", "se", "lower", "upper"]].to_numpy()
    np.testing.assert_allclose(ours, theirs, rtol=2e-3)
    null = Occupancy(salamanders()).fit()
    means = entry("salamanders", "posterior mean of occupancy by site, null model")["derived"]["mean"]
    np.testing.assert_allclose(null.posterior()["occupied"], means, atol=1e-5)
    rn = RoyleNichols(salamanders()).fit()
    means = entry("salamanders", "posterior mean abundance by site, Royle-Nichols")["derived"]["mean"]
    np.testing.assert_allclose(rn.posterior()["abundance"], means, atol=1e-4)
    row = rn.derive().set_index("quantity").loc["abundance"]
    theirs = np.array(list(entry("salamanders", "predicted lambda, Royle-Nichols")["derived"].values()))[0]
    np.testing.assert_allclose([row["estimate"], row["se"]], theirs[:2], rtol=2e-3)


def weta():
    h = history("weta")
    return DetectionHistory(h.visits.assign(day=h.visits["visit"].astype(str)), h.sites)


@pytest.mark.parametrize(
    ("which", "build"),
    [
        (0, lambda h: Occupancy(h)),
        (1, lambda h: Occupancy(h, "~ Browsed")),
        (2, lambda h: Occupancy(h, p="~ day")),
        (3, lambda h: Occupancy(h, "~ Browsed", "~ observer")),
        (4, lambda h: Occupancy(h, "~ Browsed", "~ observer + day")),
        (7, lambda h: RoyleNichols(h, "~ Browsed")),
    ],
)
def test_weta(which, build):
    agrees(build(weta()), "weta", which)


def test_weta_predictions():
    ours = Occupancy(weta(), "~ Browsed").fit().predict("psi").sort_values("Browsed")
    theirs = np.array(list(expected("weta")[5]["derived"].values()))
    np.testing.assert_allclose(ours[["estimate", "se", "lower", "upper"]], theirs, rtol=2e-3)


def test_weta_posterior():
    fit = Occupancy(weta(), "~ Browsed", "~ observer").fit()
    np.testing.assert_allclose(fit.posterior()["occupied"], expected("weta")[6]["derived"]["mean"], atol=1e-4)


@pytest.mark.parametrize(
    ("which", "build"),
    [
        (0, lambda h: RoyleNichols(h, r="~ C(visit)", most=10)),
        (1, lambda h: RoyleNichols(h, r="~ C(visit)")),
        (2, lambda h: RoyleNichols(h, r="~ C(visit)", most=50)),
        (3, lambda h: Occupancy(h)),
        (4, lambda h: Occupancy(h, p="~ visit")),
        (5, lambda h: RoyleNichols(h)),
    ],
)
def test_woodthrush(which, build):
    agrees(build(history("woodthrush")), "woodthrush", which)


def test_frogs_are_everywhere():
    """psi goes to 1: said in words, no standard error made up, p as in the suite."""
    fit = Occupancy(history("leopard_frogs")).fit()
    e = expected("leopard_frogs")[0]
    for point in e["fixed_parameter_loglik"]:
        assert abs(fit.model.loglik(vector_of(point["values"])) - point["loglik"]) < 1e-6
    assert fit.loglik >= e["loglik"]
    assert Outcome.BOUNDARY in fit.verdict
    assert "psi (estimated as 1) is at a boundary" in str(fit.verdict)
    assert np.isnan(fit.se[0])
    assert fit.se[1] == pytest.approx(e["coefficients"]["p(Int)"][1], rel=0.01)
    assert fit.vector[1] == pytest.approx(e["coefficients"]["p(Int)"][0], abs=1e-3)
    agrees(Occupancy(history("leopard_frogs", "detections_second_species")), "leopard_frogs", 1)


def test_infinite_abundance_is_said_in_words():
    fit = RoyleNichols(history("woodthrush"), mixture="negative binomial").fit()
    assert "do not bound abundance from above" in str(fit.verdict)


# ---- what follows ------------------------------------------------------------------------------------------------


def test_what_is_derived():
    h = DetectionHistory.from_wide(np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0], [0, 0, np.nan]]), area=25.0)
    fit = Occupancy(h).at(psi=0.6, p=0.5)
    assert fit.derive()["se"].isna().all()
    fit = Occupancy(h).fit()
    rows = fit.derive().set_index("quantity")
    assert rows.loc["area occupied", "estimate"] == pytest.approx(100 * rows.loc["proportion occupied", "estimate"])
    assert rows.loc["area occupied", "lower"] >= 50.0
    assert rows.loc["area occupied", "upper"] <= 100.0
    assert rows.loc["area occupied", "unit"] == "km²"
    assert "psi" in str(fit)


def test_predict_at_new_data_and_over_space():
    import xarray as xr

    h = ragged(n=30, j=5, keep=1.0)
    fit = Occupancy(h, "~ x").fit()
    table = fit.predict("psi", pd.DataFrame({"x": [0.0, 1.0]}))
    grid = xr.Dataset({"x": (("row", "column"), [[0.0, 1.0], [np.nan, 1.0]])})
    surface = fit.predict("psi", grid)
    assert np.isnan(surface["estimate"][1, 0])
    np.testing.assert_allclose(surface["estimate"].to_numpy()[0], table["estimate"])
    np.testing.assert_allclose(surface["se"].to_numpy()[0], table["se"])


def test_simulation_has_the_right_moments():
    h = DetectionHistory.from_wide(np.ones((3000, 4)), effort=2.0)
    again = Occupancy(h, exposure=True).simulate({"psi": 0.6, "p": 0.2}, seed=1)
    assert again.detected.mean() == pytest.approx(0.6 * (1 - 0.64**4), abs=0.03)
    assert again.value.mean() == pytest.approx(0.6 * 0.36, abs=0.02)
    assert again.equals(Occupancy(h, exposure=True).simulate({"psi": 0.6, "p": 0.2}, seed=1))
    rn = RoyleNichols(h).simulate({"lambda": 0.7, "r": 0.3}, seed=1)
    assert rn.value.mean() == pytest.approx(1 - np.exp(-0.7 * 0.3), abs=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Occupancy(DetectionHistory.from_wide(np.zeros((3, 2)))), "nothing was found"),
        (lambda: Occupancy(DetectionHistory.from_wide(2 * np.ones((3, 2)))), "larger than 1"),
        (lambda: Occupancy(DetectionHistory.from_wide(np.ones((3, 2, 2)))), "several seasons"),
        (lambda: Occupancy(ragged(), links={"psi": "log"}), "cannot have this link"),
        (lambda: Occupancy(ragged(), links={"phi": "logit"}), "no such parameter"),
        (lambda: Occupancy(ragged(), "~ y"), "is not there"),
        (lambda: RoyleNichols(ragged(), mixture="binomial"), "distribution of abundance"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(SurveyError, match=message):
        make()


def test_models_of_the_same_history_can_be_compared():
    h, other = ragged(), ragged(seed=5)
    assert Occupancy(h).not_comparable(RoyleNichols(h)) == ""
    assert "different detection histories" in Occupancy(h).not_comparable(Occupancy(other))


def test_profile_intervals_where_wald_has_none():
    """Frogs: psi is estimated as 1, and the profile says how low it could be."""
    fit = Occupancy(history("leopard_frogs")).fit(interval="profile")
    row = fit.derive().set_index("quantity").loc["occupancy"]
    assert row["interval"] == "95% profile"
    assert row["upper"] == pytest.approx(1.0, abs=1e-6)
    held = Occupancy(fit.model.history, psi=float(row["lower"])).fit()
    assert 2 * (fit.loglik - held.loglik) == pytest.approx(3.841, abs=0.01)


# ---- goodness of fit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "p"), [("null", "~ 1"), ("p(late)", "~ late"), ("p(occasion)", "~ C(visit)")])
def test_mackenzie_bailey_chi_square(name, p):
    fit = Occupancy(salamanders(), p=p).fit()
    theirs = entry("salamanders", f"MacKenzie-Bailey chi-square, {name}")["derived"]["chi_square"]
    table, ours = mackenzie_bailey(fit.model, fit.vector)
    assert ours == pytest.approx(theirs, rel=1e-3)  # AICcmodavg's, at unmarked's looser optimum
    assert table["observed"].sum() == 39


def test_goodness_with_cohorts_and_replicates():
    h = salamanders("detections_missing")
    fit = Occupancy(h).fit()
    once = fit.goodness(n=8, seed=3, workers=1)
    again = fit.goodness(n=8, seed=3, workers=1)
    assert once.simulated.equals(again.simulated)
    assert mackenzie_bailey(fit.model, fit.vector)[0]["observed"].sum() == h.visited.sum()
    assert 0 < once.p_value <= 1
    assert "c-hat" in str(once)


def test_models_can_be_pickled_and_bootstrapped(build):
    h = ragged(n=40, j=5, keep=0.95)
    model = pickle.loads(pickle.dumps(build(h)))
    at = some_vector(model)
    assert model.loglik(at) == build(h).loglik(at)
    assert repr(model.on(h)) == repr(model)


def test_bootstrap():
    h = DetectionHistory.from_wide(np.array([[1.0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]] * 10))
    found = Occupancy(h).fit().bootstrap(6, seed=2, workers=1)
    assert found.vectors.shape == (6 - found.failed, 2)
    assert "occupancy" in set(found.intervals()["quantity"])
