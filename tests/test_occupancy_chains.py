"""Dynamic occupancy and sign along trails: slow twins over all paths, gradients, limits, the reference suite."""

from dataclasses import replace

import numpy as np
import oracle_occupancy as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference import entry, expected
from reference_occupancy import agrees, history, vector_of

from uncia.models.occupancy.chains import run_chains
from uncia.models.occupancy.dynamic import DynamicOccupancy
from uncia.models.occupancy.sign_survey import SignSurvey
from uncia.models.occupancy.single_season import Occupancy
from uncia.models.verdict import Outcome
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

# ---- the kernel --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("states", "steps"), [(2, 5), (3, 4), (4, 3), (3, 1)])
def test_the_kernel_equals_the_sum_over_all_paths(states, steps):
    rng = np.random.default_rng(states)
    initial = rng.dirichlet(np.ones(states), 2)
    transition = rng.dirichlet(np.ones(states), (2 * steps, states))
    emission = rng.uniform(size=(2 * steps, states))
    emission[1, 0] = 0.0
    start = np.array([0, steps, 2 * steps])
    with np.errstate(divide="ignore"):
        passed = run_chains(initial, transition, np.log(emission), start, True)
    for s in range(2):
        rows = slice(start[s], start[s + 1])
        slow = oracle.hidden_markov(initial[s], transition[rows][1:], emission[rows])
        assert passed.total[s] == pytest.approx(slow, abs=1e-12)
    np.testing.assert_allclose(passed.posterior.sum(axis=1), 1.0)


def test_long_chains_do_not_underflow():
    rows = 20_000
    emission = np.full((rows, 2), -50.0)
    passed = run_chains(
        np.array([[0.5, 0.5]]), np.full((rows, 2, 2), 0.5), emission, np.array([0, rows]), gradient=True
    )
    assert passed.total[0] == pytest.approx(-50.0 * rows)
    np.testing.assert_allclose(passed.posterior, 0.5)


# ---- the models --------------------------------------------------------------------------------------------------


def trails(n=6, seed=1, trails_each=2, segments=5) -> DetectionHistory:
    """Trails with segments that were not walked, covariates and lengths."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        [(f"s{i}", f"t{k}", j) for i in range(n) for k in range(trails_each) for j in range(segments)],
        columns=["site", "trail", "visit"],
    )
    value = rng.integers(0, 2, len(frame)).astype(float)
    value[rng.uniform(size=len(frame)) < 0.2] = np.nan
    value[frame["site"] == "s1"] = np.where(np.isnan(value[frame["site"] == "s1"]), np.nan, 0.0)
    value[frame["site"] == "s2"] = np.nan
    value[:2] = [1, 0]
    frame = frame.assign(value=value, v=rng.normal(size=len(frame)), effort=rng.uniform(0.5, 1.5, len(frame)))
    return DetectionHistory(frame, pd.DataFrame({"x": rng.normal(size=n)}, index=[f"s{i}" for i in range(n)]))


BUILD = {
    "dynamic": lambda h: DynamicOccupancy(h, "~ x", "~ w", "~ x", "~ v"),
    "dynamic exposure": lambda h: DynamicOccupancy(h, "~ x", p="~ v", exposure=True),
    "sign stationary": lambda h: SignSurvey(h, "~ x", "~ v", "~ v", "~ v"),
    "sign free": lambda h: SignSurvey(h, "~ x", "~ v", "~ x", "~ v", theta_initial="~ x", exposure=True),
}


def problem(name: str, seed: int = 1) -> DetectionHistory:
    return ragged(t=4, seed=seed) if name.startswith("dynamic") else trails(seed=seed)


@pytest.mark.parametrize("seed", range(2))
def test_dynamic_equals_its_slow_twin(seed):
    model = BUILD["dynamic"](problem("dynamic", seed))
    at = some_vector(model, seed)
    v = model.parameters.values(at)
    slow = oracle.dynamic(model.history, v["psi"], v["gamma"], v["epsilon"], v["p"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("name", ["sign stationary", "sign free"])
def test_sign_survey_equals_its_slow_twin(name):
    model = BUILD[name](trails())
    at = some_vector(model, 3)
    v = model.parameters.values(at)
    p = model.segments.probability(v["p"])
    slow = oracle.sign_survey(model.history, v["psi"], v["theta0"], v["theta1"], p, v.get("theta_initial"))
    assert model.loglik(at) == pytest.approx(slow, abs=1e-11)


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    check_gradient(BUILD[name](problem(name)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = problem(name, seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    value, gradient = model.loglik_and_gradient(at)
    others = [reordered(h, seed)]
    others += [with_missing_visit(h), with_missing_site(h)] if name.startswith("dynamic") else []
    for other in others:
        again, slope = BUILD[name](other).loglik_and_gradient(at)
        assert again == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(slope, gradient, atol=1e-9)


def test_a_last_segment_not_walked_changes_nothing():
    h = trails()
    last = h.visits.drop_duplicates(["site", "trail"], keep="last")
    more = DetectionHistory(pd.concat([h.visits, last.assign(visit=last["visit"] + 1, value=np.nan)]), h.sites)
    at = some_vector(SignSurvey(h))
    assert SignSurvey(more).loglik(at) == pytest.approx(SignSurvey(h).loglik(at), abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_one_season_is_occupancy(seed):
    h = ragged(seed=seed)
    at = some_vector(Occupancy(h, "~ x", "~ v"), seed)
    dynamic = DynamicOccupancy(h, "~ x", p="~ v").loglik_and_gradient(at)
    single = Occupancy(h, "~ x", "~ v").loglik_and_gradient(at)
    assert dynamic[0] == pytest.approx(single[0], abs=1e-12)
    np.testing.assert_allclose(dynamic[1], single[1], atol=1e-11)


def test_seasons_without_change_are_one_long_season():
    h = ragged(t=3)
    v = h.visits
    pooled = DetectionHistory(v.assign(visit=v["season"] * 100 + v["visit"], season=1), h.sites)
    one, many = Occupancy(pooled), DynamicOccupancy(h, gamma=0.0, epsilon=0.0)
    assert many.at(psi=0.4, p=0.3).loglik == pytest.approx(one.at(psi=0.4, p=0.3).loglik, abs=1e-12)


@pytest.mark.parametrize("initial", ["stationary", 0.5])
def test_every_segment_used_is_occupancy_on_trails(initial):
    h = trails()
    sign = SignSurvey(h, "~ x", 1.0, 1.0, "~ v", theta_initial=initial)
    at = some_vector(Occupancy(h, "~ x", "~ v"))
    assert sign.loglik(at) == pytest.approx(Occupancy(h, "~ x", "~ v").loglik(at), abs=1e-12)


def test_one_segment_per_trail_is_occupancy_with_use_times_p():
    h = trails(trails_each=4, segments=1)
    sign = SignSurvey(h).at(psi=0.5, theta0=0.2, theta1=0.6, p=0.5).loglik
    assert sign == pytest.approx(Occupancy(h).at(psi=0.5, p=0.5 / 3).loglik, abs=1e-12)


def test_segments_out_of_number_are_refused():
    h = trails()
    visits = h.visits[h.visits["visit"] != 2]
    with pytest.raises(SurveyError, match="not numbered one after the other at site 's0', trail 't0'"):
        SignSurvey(DetectionHistory(visits, h.sites))


# ---- the reference suite -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "formulas"),
    [
        (0, ()),
        (1, ("~ 1", "~ C(season)", "~ C(season)", "~ C(season)")),
        (2, ("~ habitat", "~ habitat", "~ habitat")),
        (6, ()),  # wiqid's
        (7, ("~ 1", "~ C(season)", "~ C(season)", "~ C(season)")),
    ],
)
def test_grand_skinks(which, formulas):
    agrees(DynamicOccupancy(history("grand_skinks"), *formulas), "grand_skinks", which)


@pytest.mark.parametrize(("which", "formulas"), [(3, ()), (4, ("~ habitat", "~ habitat", "~ habitat"))])
def test_grand_skinks_by_season(which, formulas):
    fit = DynamicOccupancy(history("grand_skinks"), *formulas).fit()
    theirs = expected("grand_skinks")[which]["derived"]
    ours = fit.seasonal().groupby("quantity")["estimate"].agg(list)
    np.testing.assert_allclose(ours["occupancy"], theirs["projected"], atol=1e-5)
    np.testing.assert_allclose(ours["proportion occupied"], theirs["smoothed"], atol=1e-5)
    se = fit.derive().query("quantity == 'occupancy'")["se"]
    np.testing.assert_allclose(np.sqrt(np.diag(fit.seasonal_covariance())), se)


def test_colonisation_by_habitat():
    fit = DynamicOccupancy(history("grand_skinks"), "~ habitat", "~ habitat", "~ habitat").fit()
    theirs = np.array(list(entry("grand_skinks", "predicted colonisation by habitat")["derived"].values()))
    ours = fit.predict("gamma").sort_values("habitat")[["estimate", "se", "lower", "upper"]].to_numpy()
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=5e-3)


def test_whole_seasons_missing():
    agrees(DynamicOccupancy(history("colext_missing_periods")), "colext_missing_periods", 0)


def test_crossbill():
    h = history("crossbill")
    agrees(DynamicOccupancy(h), "crossbill", 0)
    agrees(DynamicOccupancy(h.without_missing("date")), "crossbill", 1)
    date = h.visits["date"]
    z = DetectionHistory(h.visits.assign(z=(date - date.mean()) / date.std()), h.sites).without_missing("z")
    agrees(DynamicOccupancy(z, p="~ z + I(z**2)"), "crossbill", 2)
    year = "~ C(season) - 1"
    agrees(DynamicOccupancy(h.without_missing("date"), "~ 1", year, year, year), "crossbill", 3)


@pytest.mark.parametrize(
    ("which", "file", "formulas"),
    [
        (0, "detections", {}),
        (1, "detections", {"psi": "~ sc1"}),
        (2, "detections", {"epsilon": "~ ysc"}),
        (3, "detections", {"p": "~ oc"}),
        (5, "detections_one_missing", {}),
        (6, "detections_site_missing", {}),
        (7, "detections_season_missing", {}),
    ],
)
def test_small(which, file, formulas):
    agrees(DynamicOccupancy(history("colext_small", file), **formulas), "colext_small", which)


def test_no_colonisation_is_said_in_words():
    model = DynamicOccupancy(history("colext_small"), gamma="~ ysc", p="~ oc")
    e = expected("colext_small")[4]
    for point in e["fixed_parameter_loglik"]:
        assert abs(model.loglik(vector_of(point["values"])) - point["loglik"]) < 1e-6
    fit = model.fit()
    assert fit.loglik >= e["loglik"]
    assert Outcome.BOUNDARY in fit.verdict
    assert "gamma" in str(fit.verdict)


# ---- what follows ------------------------------------------------------------------------------------------------


def test_simulations_have_the_right_moments():
    h = DetectionHistory.from_wide(np.ones((3000, 3, 2)))
    again = DynamicOccupancy(h).simulate({"psi": 0.6, "gamma": 0.3, "epsilon": 0.2, "p": 0.5}, seed=3)
    psi = [0.6, 0.6, 0.6]
    by_season = [again.value[again.season_of == t].mean() for t in range(3)]
    np.testing.assert_allclose(by_season, 0.5 * np.array(psi), atol=0.03)
    h = trails(n=1500, segments=6, trails_each=1)
    h = DetectionHistory(h.visits.assign(value=1.0), h.sites)
    again = SignSurvey(h).simulate({"psi": 0.7, "theta0": 0.2, "theta1": 0.6, "p": 0.8}, seed=3)
    assert again.value.mean() == pytest.approx(0.7 / 3 * 0.8, abs=0.02)
    found = again.value.reshape(1500, 6)
    after = found[:, 1:][found[:, :-1] > 0].mean()
    assert after == pytest.approx(0.6 * 0.8, abs=0.04)


def test_sign_survey_finds_what_made_the_data():
    """And ordinary occupancy on the same data is far too low."""
    h = trails(n=600, segments=15, trails_each=1)
    h = DetectionHistory(h.visits.assign(value=1.0), h.sites)
    truth = {"psi": 0.9, "theta0": 0.05, "theta1": 0.8, "p": 0.6}
    data = SignSurvey(h).simulate(truth, seed=1)
    fit = SignSurvey(data).fit()
    assert fit.verdict.good
    for name, value in truth.items():
        row = fit.coefficients[fit.coefficients["parameter"] == name].iloc[0]
        assert abs(row["estimate"] - np.log(value / (1 - value))) < 3 * row["se"]
    assert Occupancy(data).fit().values["psi"][0] < 0.75
    assert fit.model.segment_use(fit.vector)["used"].between(0, 1).all()


def trails_drawn(seed, **values):
    h = DetectionHistory.from_wide(np.random.default_rng(0).integers(0, 2, (30, 1, 6)).astype(float))
    return SignSurvey(h, theta_initial="~ 1").simulate(values, seed)


def test_proportion_occupied_has_an_interval_beside_a_boundary():
    h = trails_drawn(5, psi=0.6, theta0=0.02, theta1=0.8, p=0.6, theta_initial=0.7)
    fit = SignSurvey(h, theta_initial="~ 1").fit()
    assert "theta0 (estimated as 0) is at a boundary" in str(fit.verdict)
    fixed = SignSurvey(h, theta0=0.0, theta_initial=1.0).fit()
    there, here = (f.derive().set_index("quantity") for f in (fixed, fit))
    columns = ["estimate", "se", "lower", "upper"]
    expected = there.loc["proportion occupied", columns].astype(float)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(here.loc["proportion occupied", columns].astype(float), expected, rtol=1e-3)
    assert np.isnan(here.loc["use after an unused segment", "se"])


def test_nothing_is_certain_because_a_parameter_is_at_its_boundary():
    h = trails_drawn(2, psi=0.6, theta0=0.02, theta1=0.8, p=0.6, theta_initial=0.7)
    fit = SignSurvey(h, theta_initial="~ 1").fit()
    table = fit.derive().set_index("quantity")
    assert "psi (estimated as 1) is at a boundary" in str(fit.verdict)
    assert table.loc[["occupancy", "proportion occupied"], ["se", "lower", "upper"]].isna().all(axis=None)
    further = replace(fit, vector=fit.vector + 40.0 * (np.arange(len(fit.vector)) == 0))  # psi is 1 to the last digit
    table = further.derive().set_index("quantity")
    assert table.loc["proportion occupied", "estimate"] == pytest.approx(1.0, abs=1e-15)
    assert table.loc[["occupancy", "proportion occupied"], ["se", "lower", "upper"]].isna().all(axis=None)
