"""Sign surveys, false positives, scores and states over several seasons: slow twins, gradients, limits, simulations."""

import numpy as np
import oracle_seasons as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from scipy.special import expit, logit

from uncia.models.occupancy.classified import ClassifiedOccupancy
from uncia.models.occupancy.dynamic import DynamicOccupancy
from uncia.models.occupancy.false_positive import FalsePositiveOccupancy
from uncia.models.occupancy.history_model import HistoryModel
from uncia.models.occupancy.multistate import MultistateOccupancy
from uncia.models.occupancy.sign_survey import SignSurvey
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def again(h: DetectionHistory, **columns) -> DetectionHistory:
    """The same visits with other columns."""
    return DetectionHistory(h.visits.assign(**columns), h.sites, h._season_table())


def certainties(seed=1, t=3) -> DetectionHistory:
    h = ragged(t=t, seed=seed, most=2)
    kind = np.array(["certain", "uncertain", "confirmable"])[h.visits["visit"].to_numpy() % 3]
    return again(h, certainty=kind, value=np.where((kind != "confirmable") & (h.value > 1), 1.0, h.value))


def scores(seed=1, t=3, **more) -> DetectionHistory:
    """Candidates with scores, some verified, one without a score."""
    h = ragged(t=t, j=5, seed=seed, **more)
    rng = np.random.default_rng(seed)
    candidate = h.done & (np.nan_to_num(h.value) > 0)
    words = rng.choice(np.array(["true", "false", None], object), len(h.value), p=[0.2, 0.2, 0.6])
    score = np.where(candidate, rng.uniform(0.05, 0.95, len(h.value)), np.nan)
    score[np.flatnonzero(candidate)[-1]] = np.nan
    return again(h, score=score, verified=np.where(candidate, words, None))


def trails(seed=1, t=3, n=5, segments=4) -> DetectionHistory:
    """Two trails of a site in each season, with segments that were not walked and a site nobody went to."""
    rng = np.random.default_rng(seed)
    rows = [(f"s{i}", y, f"t{k}", j) for i in range(n) for y in range(t) for k in range(2) for j in range(segments)]
    frame = pd.DataFrame(rows, columns=["site", "season", "trail", "visit"])
    value = rng.integers(0, 2, len(frame)).astype(float)
    value[(rng.uniform(size=len(frame)) < 0.2) | (frame["site"] == "s2")] = np.nan
    value[0] = 1.0
    frame = frame.assign(value=value, v=rng.normal(size=len(frame)), effort=rng.uniform(0.5, 1.5, len(frame)))
    seasons = pd.DataFrame({"season": range(t), "w": rng.normal(size=t)})
    return DetectionHistory(frame, pd.DataFrame({"x": rng.normal(size=n)}, index=[f"s{i}" for i in range(n)]), seasons)


STATES = {"psi": "~ x", "R": "~ x", "phi0": "~ w", "R2": "~ x", "p1": "~ v", "delta": "~ v"}
ODDS = {"psi1": "~ x", "phi01": "~ w", "phi12": "~ x", "phi20": "~ x", "p12": "~ v"}
BUILD = {
    "sign": lambda h: SignSurvey(h, "~ x", "~ w", "~ v", "~ v", gamma="~ w", epsilon="~ x", exposure=True),
    "sign free": lambda h: SignSurvey(h, "~ x", "~ v", "~ x", "~ v", theta_initial="~ w"),
    "false positive": lambda h: FalsePositiveOccupancy(h, "~ x", "~ v", "~ w", "~ x", gamma="~ w", epsilon="~ x"),
    "classified": lambda h: ClassifiedOccupancy(h, "~ x", "~ v", "~ w", "~ v", "~ x", gamma="~ w", epsilon="~ x"),
    "autologistic": lambda h: DynamicOccupancy(h, "~ x", "~ w", p="~ v", autologistic="~ x"),
    "nested": lambda h: MultistateOccupancy(h, **STATES),
    "odds": lambda h: MultistateOccupancy(h, form="odds", **ODDS),
}


def problem(name: str, seed: int = 1, t: int = 4) -> DetectionHistory:
    if name.startswith("sign"):
        return trails(seed, t)
    if name in ("nested", "odds"):
        return ragged(t=t, seed=seed, most=2)
    return {"false positive": certainties, "classified": scores}.get(name, lambda s, t: ragged(t=t, seed=s))(seed, t)


@pytest.mark.parametrize("name", ["sign", "false positive", "classified", "autologistic"])
def test_it_equals_its_slow_twin(name):
    h = problem(name)
    model = BUILD[name](h)
    at = some_vector(model, 3)
    v = model.parameters.values(at)
    if name == "sign":
        found = oracle.trails(h, v["theta0"], v["theta1"], 1 - (1 - v["p"]) ** h.effort[h.done])
    elif name == "false positive":
        found = oracle.false_positives(h, model.kind, v["p"], v["fp"], v["b"])
    elif name == "classified":
        mu, sigma = [v["mu_true"], v["mu_false"]], [v["sigma_true"][0], v["sigma_false"][0]]
        found = oracle.classified(h, model.score, model.judged, v["p"], v["fp"], mu, sigma)
        np.testing.assert_allclose(expit(model.score), h.visits["score"][h.done])
    else:
        found = oracle.false_positives(h, np.full(h.done.sum(), "certain"), v["p"], v["p"], v["p"])
    epsilon = v["epsilon"] if "epsilon" in v else 1 - expit(logit(v["gamma"]) + v["autologistic"])
    slow = oracle.through_seasons(h, v["psi"], v["gamma"], epsilon, found)
    assert model.loglik(at) == pytest.approx(slow, abs=1e-10)


def test_states_equal_their_slow_twin():
    h = problem("nested")
    model = BUILD["nested"](h)
    at = some_vector(model, 3)
    v, steps = model.parameters.values(at), h.n_seasons - 1

    def transition(i, t):
        rows = [(v[f"phi{m}"][i * steps + t], v[f"R{m}"][i * steps + t]) for m in range(3)]
        return [[1 - phi, phi * (1 - R), phi * R] for phi, R in rows]

    prior = np.stack([1 - v["psi"], v["psi"] * (1 - v["R"]), v["psi"] * v["R"]], axis=1)
    slow = oracle.multistate(h, prior, transition, v["p1"], v["p2"], v["delta"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-11)


def test_both_forms_of_change_say_the_same():
    h = problem("nested")
    nested = MultistateOccupancy(h)
    at = some_vector(nested, 2)
    v = {name: float(value[0]) for name, value in nested.parameters.values(at).items()}
    odds = {"psi1": v["psi"] * (1 - v["R"]) / (1 - v["psi"]), "psi2": v["psi"] * v["R"] / (1 - v["psi"])}
    odds |= {"p11": v["p1"] / (1 - v["p1"]), "p12": v["p2"] * (1 - v["delta"]) / (1 - v["p2"])}
    odds |= {"p22": v["p2"] * v["delta"] / (1 - v["p2"])}
    for m in range(3):
        row = [1 - v[f"phi{m}"], v[f"phi{m}"] * (1 - v[f"R{m}"]), v[f"phi{m}"] * v[f"R{m}"]]
        odds |= {f"phi{m}{k}": row[k] / row[m] for k in range(3) if k != m}
    other = MultistateOccupancy(h, form="odds").at(**odds)
    assert other.loglik == pytest.approx(nested.loglik(at), abs=1e-11)
    np.testing.assert_allclose(other.model.projected(other.vector), nested.projected(at))


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    check_gradient(BUILD[name](problem(name)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: SignSurvey(trails(n=1)),
        lambda: FalsePositiveOccupancy(ragged(n=1, t=3, keep=1.0)),
        lambda: ClassifiedOccupancy(scores(3, n=1, keep=1.0)),
        lambda: MultistateOccupancy(ragged(n=1, t=3, most=2, keep=1.0)),
        lambda: DynamicOccupancy(ragged(n=1, t=3, keep=1.0), autologistic="~ 1"),
    ],
)
def test_one_site(make):
    check_gradient(make())


@settings(max_examples=14, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = problem(name, seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    value, gradient = model.loglik_and_gradient(at)
    more = [with_missing_site(h)] if name.startswith("sign") else [with_missing_visit(h), with_missing_site(h)]
    for other in (reordered(h, seed), *more):
        other_value, slope = BUILD[name](other).loglik_and_gradient(at)
        assert other_value == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(slope, gradient, atol=1e-8)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_every_segment_used_is_dynamic_occupancy(seed):
    h = trails(seed)
    sign = SignSurvey(h, "~ x", 1.0, 1.0, "~ v", gamma="~ w", epsilon="~ x")
    plain = DynamicOccupancy(h, "~ x", "~ w", "~ x", "~ v")
    at = some_vector(plain, seed)
    assert sign.loglik(at) == pytest.approx(plain.loglik(at), abs=1e-11)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_without_false_candidates_scores_say_nothing_of_occupancy(seed):
    """fp → 0: every candidate is true, and the density of the scores is a factor."""
    h = scores(seed)
    h = again(h, verified=None)
    at = {"psi": 0.4, "gamma": 0.2, "epsilon": 0.3, "p": 0.6}
    more = {"mu_true": 0.2, "mu_false": -1.0, "sigma_true": 1.5, "sigma_false": 1.0}
    both = ClassifiedOccupancy(h).at(fp=1e-14, **at, **more)
    s = both.model.score[np.isfinite(both.model.score)]
    density = np.sum(-0.5 * ((s - 0.2) / 1.5) ** 2 - np.log(1.5) - 0.5 * np.log(2 * np.pi))
    assert both.loglik == pytest.approx(DynamicOccupancy(h).at(**at).loglik + density, abs=1e-8)


def test_candidates_without_scores_are_detections_that_may_be_false():
    """p and fp of the candidates make p + (1 - p) fp of the detections at occupied sites."""
    h = again(scores(2, t=1), verified=None)
    one = np.flatnonzero(h.visits["score"].notna())[0]
    h = again(h, score=h.visits["score"].where(np.arange(len(h.value)) == one))
    width = {"mu_true": 0.0, "mu_false": 0.0, "sigma_true": 1.0, "sigma_false": 1.0}
    ours = ClassifiedOccupancy(h).at(psi=0.4, p=0.5, fp=0.2, **width)
    s = ours.model.score[ours.model.scored][0]
    theirs = FalsePositiveOccupancy(again(h, certainty="uncertain")).at(psi=0.4, p=0.6, fp=0.2)
    assert ours.loglik == pytest.approx(theirs.loglik - 0.5 * s**2 - 0.5 * np.log(2 * np.pi), abs=1e-11)


def test_scores_far_out_do_not_underflow():
    h = again(ragged(t=1, keep=1.0), score=np.nan)
    score = np.where(np.nan_to_num(h.value) > 0, 500.0, np.nan)
    model = ClassifiedOccupancy(again(h, score=score), scale="logit")
    value, slope = model.loglik_and_gradient(model.parameters.start(model.start_values() | {"mu_true": 0.0}))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_scores_of_zero_and_one_lie_inside_their_neighbours():
    h = DetectionHistory.from_wide(np.ones((1, 4)))
    model = ClassifiedOccupancy(again(h, score=[0.0, 0.2, 0.9, 1.0]))
    np.testing.assert_allclose(expit(model.score), [0.1, 0.2, 0.9, 0.95])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "the visits have no scores"),
        ({"score": [2.0, 0.1]}, "a score is outside its scale"),
        ({"score": ["high", "0.1"]}, "a score is not a number"),
        ({"score": [0.5, 0.1]}, "a visit without a candidate has a score"),
        ({"score": [0.5, np.nan], "verified": ["yes", None]}, "this verification is not known"),
        ({"score": [0.5, np.nan], "verified": ["true", "false"]}, "a visit without a candidate is verified"),
        ({"score": [np.nan, np.nan]}, "no visit has a score"),
    ],
)
def test_refusals_of_scores(columns, message):
    h = DetectionHistory.from_wide(np.array([[1.0, 0.0]]))
    with pytest.raises(SurveyError, match=message):
        ClassifiedOccupancy(again(h, **columns))


def test_refusals():
    with pytest.raises(SurveyError, match="say the same twice"):
        DynamicOccupancy(ragged(t=3), epsilon="~ x", autologistic="~ 1")
    with pytest.raises(SurveyError, match="one season, so there is none before"):
        DynamicOccupancy(ragged(), autologistic="~ 1")
    with pytest.raises(SurveyError, match="nothing is gained or lost"):
        SignSurvey(trails(t=1), gamma="~ x")
    with pytest.raises(SurveyError, match="no such parameter for one season"):
        MultistateOccupancy(ragged(most=2), phi0="~ x")
    with pytest.raises(SurveyError, match="no such parameter"):
        MultistateOccupancy(ragged(most=2, t=3), phi01="~ x")
    h = trails()
    with pytest.raises(SurveyError, match="one after the other at site 's0', season '0', trail 't0'"):
        SignSurvey(again(h, visit=h.visits["visit"] * 2))


def test_a_model_says_what_it_must():
    """Nothing that every model must say is left to chance."""
    must = {"start_values", "posterior", "_draw", "evaluate", "derive"}
    assert must <= HistoryModel.__abstractmethods__


# ---- what follows ------------------------------------------------------------------------------------------------


def test_autologistic_with_constants_is_dynamic_occupancy():
    """The same model in other words: the same maximum, the same occupancy and standard errors."""
    template = DynamicOccupancy(DetectionHistory.from_wide(np.ones((120, 5, 3))))
    data = template.simulate({"psi": 0.5, "gamma": 0.2, "epsilon": 0.3, "p": 0.5}, seed=2)
    rates, auto = DynamicOccupancy(data).fit(), DynamicOccupancy(data, autologistic="~ 1").fit()
    assert auto.loglik == pytest.approx(rates.loglik, abs=1e-8)
    np.testing.assert_allclose(auto.seasonal_covariance(), rates.seasonal_covariance(), rtol=1e-3)
    persistence = expit(auto.vector[1] + auto.vector[2])
    assert persistence == pytest.approx(1 - rates.values["epsilon"][0], rel=1e-4)
    memoryless = DynamicOccupancy(data, autologistic=0.0).fit()
    assert memoryless.n_parameters == 3
    assert memoryless.loglik < auto.loglik


def test_growth_and_trend_carry_the_covariance_of_seasons():
    template = DynamicOccupancy(DetectionHistory.from_wide(np.ones((150, 5, 3))))
    fit = template.on(template.simulate({"psi": 0.7, "gamma": 0.1, "epsilon": 0.3, "p": 0.5}, seed=4)).fit()
    psi, V = fit.model.mean_projected(fit.vector), fit.seasonal_covariance()
    rows = fit.derive().set_index("quantity")
    away = np.arange(5) - 2.0
    slope = away / (away @ away)
    assert rows.loc["trend of occupancy", "estimate"] == pytest.approx(np.exp(slope @ np.log(psi)))
    log_V = V / np.outer(psi, psi)
    assert rows.loc["trend of occupancy", "rse"] == pytest.approx(np.sqrt(slope @ log_V @ slope), rel=1e-4)
    growth = fit.growth()
    np.testing.assert_allclose(growth["estimate"], psi[1:] / psi[:-1])
    step = np.diff(np.eye(5), axis=0)
    np.testing.assert_allclose(fit.growth_covariance(), step @ log_V @ step.T, rtol=1e-3, atol=1e-9)
    assert rows.loc["growth of occupancy", "estimate"] == pytest.approx(np.prod(growth["estimate"]) ** 0.25)
    with pytest.raises(SurveyError, match="one season has no growth"):
        SignSurvey(trails(t=1)).fit().growth()


def test_states_of_the_same_site_go_together():
    """The covariance of what these sites did, against all paths."""
    h = problem("false positive")
    model = BUILD["false positive"](h)
    at = some_vector(model, 3)
    v = model.parameters.values(at)
    found = oracle.false_positives(h, model.kind, v["p"], v["fp"], v["b"])
    slow = oracle.covariance_of_states(h, v["psi"], v["gamma"], v["epsilon"], found)
    np.testing.assert_allclose(model.covariance_of_states(at), slow, atol=1e-12)
    template = DynamicOccupancy(DetectionHistory.from_wide(np.ones((150, 5, 3))))
    fit = template.on(template.simulate({"psi": 0.7, "gamma": 0.1, "epsilon": 0.3, "p": 0.5}, seed=4)).fit()
    shares = fit.derive().query("quantity == 'proportion occupied'")
    np.testing.assert_allclose(fit.seasonal_means("smoothed"), shares["estimate"])
    np.testing.assert_allclose(np.sqrt(np.diag(fit.seasonal_covariance("smoothed"))), shares["se"], rtol=1e-4)
    log_V = fit.seasonal_covariance("smoothed") / np.outer(shares["estimate"], shares["estimate"])
    growth = fit.growth("smoothed")
    assert growth["rse"][0] == pytest.approx(np.sqrt(log_V[0, 0] + log_V[1, 1] - 2 * log_V[0, 1]), rel=1e-6)
    assert len(fit.trend("smoothed")) == 2
    with pytest.raises(SurveyError, match="this kind of occupancy is not known"):
        fit.growth("naive")


TRUTH = {"psi": 0.6, "gamma": 0.2, "epsilon": 0.3}
SIMULATED = {
    "sign": (
        lambda: SignSurvey(again(trails(n=150, segments=8), value=1.0)),
        TRUTH | {"theta0": 0.2, "theta1": 0.7, "p": 0.6},
    ),
    "false positive": (
        lambda: FalsePositiveOccupancy(
            again(
                h := DetectionHistory.from_wide(np.ones((200, 3, 6))),
                certainty=np.where(h.visits["visit"] > 3, "certain", "uncertain"),
            )
        ),
        TRUTH | {"p": 0.4, "fp": 0.1},
    ),
    "classified": (
        lambda: ClassifiedOccupancy(
            again(
                h := DetectionHistory.from_wide(np.ones((150, 3, 6))),
                score=0.5,
                verified=np.where(np.arange(len(h.value)) % 5, None, "true"),
            )
        ),
        TRUTH | {"p": 0.4, "fp": 0.2, "mu_true": 1.5, "mu_false": -1.0, "sigma_true": 1.5, "sigma_false": 1.0},
    ),
    "states": (
        lambda: MultistateOccupancy(DetectionHistory.from_wide(np.full((300, 4, 4), 2.0))),
        {"psi": 0.6, "R": 0.4, "phi0": 0.3, "phi1": 0.7, "phi2": 0.8, "R0": 0.3, "R1": 0.3, "R2": 0.6}
        | {"p1": 0.5, "p2": 0.7, "delta": 0.6},
    ),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_what_made_the_data_comes_back(name):
    make, truth = SIMULATED[name]
    template = make()
    fit = template.on(template.simulate(truth, seed=5)).fit()
    assert fit.verdict.good
    expected = template.parameters.vector_from(truth)
    np.testing.assert_array_less(np.abs(fit.vector - expected), 3.3 * fit.se)
    frame = fit.posterior()
    column = "occupied" if "occupied" in frame else "state 2"
    assert frame[column].between(0, 1).all()
    assert len(frame) == template.history.n_sites * template.history.n_seasons
    assert fit.derive()["se"].gt(0).all()


@pytest.mark.parametrize("name", BUILD)
def test_expected_findings_are_the_mean_of_simulated_ones(name):
    """On every visit, with covariates, gaps and efforts."""
    model = BUILD[name](problem(name))
    values = model.parameters.values(some_vector(model, 3))
    rng, total, n = np.random.default_rng(1), 0.0, 600
    for _ in range(n):
        drawn = model._draw(values, rng)
        total = total + np.asarray(drawn[1] if name == "classified" else drawn, float)
    top = 2.0 if name in ("nested", "odds", "false positive") else 1.0
    np.testing.assert_allclose(total / n, model.fitted(values), atol=4.5 * top * 0.5 / np.sqrt(n))


def test_candidates_and_what_is_said_about_scores():
    make, truth = SIMULATED["classified"]
    template = make()
    data = template.simulate(truth, seed=5)
    fit = template.on(data).fit()
    table = fit.model.candidates(fit.vector)
    assert table["true"].between(0, 1).all()
    assert (table.loc[table["verified"] == "true", "true"] == 1).all()
    assert (table.loc[table["verified"] == "false", "true"] == 0).all()
    unverified = table[table["verified"].isna()]
    assert unverified["true"].corr(unverified["score"]) > 0.7
    blind = ClassifiedOccupancy(again(data, verified=None))
    assert "No candidate is verified as true" in str(blind.at(**truth).verdict)
    useless = truth | {"mu_true": -2.0}
    assert "the classifier tells nothing" in str(template.at(**useless).verdict)
