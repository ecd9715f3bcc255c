"""Animals detected once left out: the likelihood given two detections, its sensitivity table and the diagnosis."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import oracle_scr
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp, ndtr
from scr_problems import detectors, differences_of_gradient, differences_of_loglik, small, surveyed
from test_scr_distance import rough
from test_scr_search import survey_of
from test_scr_telemetry import collars

from uncia import models, survey
from uncia.models.spatial.detected_twice import few_exposures
from uncia.models.spatial.fit_checks.ghosts import expected_once
from uncia.models.verdict import Outcome
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
AT = {"D": 900.0, "lambda0": 0.25, "sigma": 280.0}


def probability_of_one(captures, mask, parameters, detection, more=None) -> np.ndarray:
    """Pr(detected exactly once | cell) [M]: the histories with one detection, one by one."""
    d, total = captures.detectors, np.zeros(mask.size)
    for s in range(captures.n_occasions):
        for k in range(len(d)):
            if d.used[s, k]:
                seen = {(s, k): 1}
                args = (captures, mask, detection, parameters, seen, captures.n_occasions, more or {})
                total += np.exp(oracle_scr.log_history(*args))
    return total


def slow_loglik(captures, mask, D, parameters, likelihood, classes=None, distribution="poisson"):
    """The log-likelihood given two detections, animal by animal and history by history."""
    classes, detection = classes or {"": 1.0}, HAZARD["detection"]
    mu, S = D * mask.cell_area / 100.0, captures.n_occasions
    histories = [h for h in oracle_scr.histories(captures) if sum(h.values()) > 1]
    kinds = [captures.animals.iloc[i] for i, h in enumerate(oracle_scr.histories(captures)) if sum(h.values()) > 1]
    n, total, detected = len(histories), 0.0, 0.0
    for seen, own in zip(histories, kinds, strict=True):
        known = own["sex"] if classes.keys() != {""} else None
        terms = []
        for c in [known] if isinstance(known, str) else list(classes):
            log_f = oracle_scr.log_history(captures, mask, detection, parameters, seen, S, {"sex": c})
            terms.append(np.log(classes[c]) + logsumexp(log_f) + np.log(mu))
        total += logsumexp(terms)
    for c, share in classes.items():
        void = oracle_scr.log_history(captures, mask, detection, parameters, {}, S, {"sex": c})
        once = probability_of_one(captures, mask, parameters, detection, {"sex": c})
        detected += share * mu * np.sum(1.0 - np.exp(void) - once)
    alike = pd.Series([str(sorted(seen.items())) for seen in histories]).value_counts()
    total -= gammaln(alike + 1.0).sum()
    if likelihood == "conditional":
        return total - n * np.log(detected) + gammaln(n + 1.0)
    if distribution == "binomial":
        N = mu * mask.size
        return total + gammaln(N + 1) - gammaln(N - n + 1) + (N - n) * np.log(1 - detected / N) - n * np.log(N)
    return total - detected


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
@pytest.mark.parametrize("likelihood", ["full", "conditional"])
def test_against_every_history_with_one_detection(kind, likelihood):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, at_least=2, likelihood=likelihood, **HAZARD)
    given = {name: v for name, v in AT.items() if name != "D" or likelihood == "full"}
    there = slow_loglik(captures, mask, 900.0, lambda row: (0.25, 280.0), likelihood)
    assert model.at(**given).loglik == pytest.approx(there, abs=1e-9)
    assert len(model.left_out) == captures.n_animals - model.sample_size > 0
    p = model.session().detection_probability(model.parameters.values(model.parameters.vector_from(given)))
    void = oracle_scr.log_history(captures, mask, HAZARD["detection"], lambda row: (0.25, 280.0), {}, 4, {})
    once = probability_of_one(captures, mask, lambda row: (0.25, 280.0), HAZARD["detection"])
    assert p == pytest.approx(1.0 - np.exp(void) - once, abs=1e-10)


def test_covariates_classes_and_binomial_numbers():
    captures, mask = small("multi")

    def by_time(row):
        return np.exp(-1.4 + 0.1 * row["T"] + 0.5 * (row["sex"] == "male")), 280.0

    options = {"classes": "sex", "lambda0": "~ T + sex", "distribution": "binomial"}
    model = models.SCR(captures, mask, at_least=2, **options, **HAZARD)
    at = {"D": 900.0, "lambda0": {"Intercept": -1.4, "T": 0.1, "sex[T.male]": 0.5}, "sigma": 280.0, "pmix": 0.4}
    shares = {"female": 0.6, "male": 0.4}
    there = slow_loglik(captures, mask, 900.0, by_time, "full", shares, "binomial")
    assert model.at(**at).loglik == pytest.approx(there, abs=1e-9)


def learning(formula: str):
    """Parameters of the slow twin where animals learn: lambda0 0.25, or exp(0.7) times it."""
    return lambda row: (0.25 * np.exp(0.7 * row[formula]), 280.0)


LEARNING = [("multi", "b"), ("multi", "Bk"), ("proximity", "B"), ("proximity", "bk"), ("count", "b"), ("count", "Bk")]


@pytest.mark.parametrize(("kind", "response"), LEARNING)
def test_learned_responses_against_every_history_with_one_detection(kind, response):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, at_least=2, lambda0=f"~ {response}", **HAZARD)
    at = {"D": 900.0, "lambda0": {"Intercept": np.log(0.25), response: 0.7}, "sigma": 280.0}
    there = slow_loglik(captures, mask, 900.0, learning(response), "full")
    assert model.at(**at).loglik == pytest.approx(there, abs=1e-9)
    assert len(model.left_out) == captures.n_animals - model.sample_size > 0
    p = model.session().detection_probability(model.parameters.values(model.parameters.vector_from(at)))
    void = oracle_scr.log_history(captures, mask, HAZARD["detection"], learning(response), {}, 4, {})
    once = probability_of_one(captures, mask, learning(response), HAZARD["detection"])
    assert p == pytest.approx(1.0 - np.exp(void) - once, abs=1e-10)
    vector = model.start() + 0.1
    assert model.loglik_and_gradient(vector)[1] == pytest.approx(differences_of_loglik(model, vector), abs=2e-5)


@pytest.mark.parametrize("kind", ["multi", "count", "single", "capped"])
def test_who_learns_nothing_is_as_without_learning(kind):
    captures, mask = small("multi" if kind in ("single", "capped") else kind)
    if kind in ("single", "capped"):
        frame = captures.detections.drop_duplicates(["detector", "occasion"])
        captures = survey.CaptureHistory(frame, replace(captures.detectors, kind=kind), animals=captures.animals)
    alone = models.SCR(captures, mask, at_least=2, classes="sex", **HAZARD).at(pmix=0.4, **AT)
    for response in ("b", "bk", "b + Bk"):
        model = models.SCR(captures, mask, at_least=2, classes="sex", lambda0=f"~ {response}", **HAZARD)
        none = dict.fromkeys(response.split(" + "), 0.0)
        at = model.at(D=AT["D"], lambda0={"Intercept": np.log(AT["lambda0"])} | none, sigma=AT["sigma"], pmix=0.4)
        assert at.loglik == pytest.approx(alone.loglik, abs=1e-9)


def test_learned_responses_with_several_methods_binomial_counts_and_curvature():
    captures, mask = small("count")
    d = captures.detectors
    trials = replace(d, effort=np.where(d.effort > 0, 6.0, 0.0))
    counts = survey.CaptureHistory(captures.detections, trials, animals=captures.animals)
    cameras, _ = small("proximity", seed=6)
    both = survey.together({"hair": counts, "camera": survey.CaptureHistory(cameras.detections, cameras.detectors)})
    how = {"counts": "binomial", "at_least": 2, **HAZARD}
    alone = models.SCR(both, mask, **how).at(D=900.0, lambda0=0.05, sigma=280.0)
    model = models.SCR(both, mask, lambda0="~ bk", **how)
    none = {"Intercept": np.log(0.05), "bk": 0.0}
    assert model.at(D=900.0, lambda0=none, sigma=280.0).loglik == pytest.approx(alone.loglik, abs=1e-8)
    vector = model.start() + 0.1
    assert model.loglik_and_gradient(vector)[1] == pytest.approx(differences_of_loglik(model, vector), abs=2e-5)
    exact = super(models.SCR, model).hessian(vector)
    assert exact == pytest.approx(differences_of_gradient(model, vector), abs=3e-4)


def test_a_model_that_learns_tells_how_sensitive_it_is_to_ghosts():
    captures, mask = small("proximity")
    fit = models.SCR(captures, mask, lambda0="~ b", **HAZARD).fit()
    table = fit.sensitivity_to_ghosts()
    assert list(table["at_least"].unique()) == [1, 2] and np.isfinite(table["estimate"]).all()
    wide = fit.inflated(2.0).sensitivity_to_ghosts()
    np.testing.assert_allclose(
        wide.query("quantity == 'density'")["se"], 2**0.5 * table.query("quantity == 'density'")["se"], rtol=0.03
    )


def test_binomial_counts():
    captures, mask = small("count")
    d = captures.detectors
    whole = survey.Detectors(list(d.id), d.x, d.y, np.where(d.effort > 0, 5.0, 0.0), "count")
    again = survey.CaptureHistory(captures.detections, whole, animals=captures.animals)
    model = models.SCR(again, mask, at_least=2, counts="binomial", **HAZARD)
    at = model.at(D=900.0, lambda0=0.05, sigma=280.0)
    x, y = mask.centres()
    h = 0.05 * np.exp(-0.5 * ((x[:, None] - d.x) ** 2 + (y[:, None] - d.y) ** 2) / 280.0**2)  # a trial
    trials = whole.effort.sum(axis=0)
    void = np.exp(-(h * trials).sum(axis=1))
    p = 1.0 - void * (1.0 + (trials * np.expm1(h)).sum(axis=1))
    assert at.detection_probability().to_numpy()[mask.habitat] == pytest.approx(p, abs=1e-10)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("multi", {}),
        ("count", {}),
        ("proximity", {"likelihood": "conditional"}),
        ("count", {"distribution": "binomial"}),
    ],
)
def test_gradient_and_curvature(kind, options):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, at_least=2, lambda0="~ T", classes="sex", **options, **HAZARD)
    vector = model.start() + 0.1
    gradient = model.loglik_and_gradient(vector)[1]
    assert gradient == pytest.approx(differences_of_loglik(model, vector), abs=2e-5)
    exact = super(models.SCR, model).hessian(vector)
    assert exact == pytest.approx(differences_of_gradient(model, vector), abs=2e-4)


@pytest.mark.parametrize("kind", ["clumped", "area", "collars"])
def test_gradient_with_clumped_counts_searches_and_collars(kind):
    captures, mask = survey_of("area", seed=9) if kind == "area" else small("count")
    if kind == "collars":
        captures = captures.with_telemetry(collars(captures))
    counts = {"counts": "negative binomial"} if kind == "clumped" else {}
    model = models.SCR(captures, mask, at_least=2, **counts, **HAZARD)
    vector = model.start() + 0.1
    assert model.loglik_and_gradient(vector)[1] == pytest.approx(differences_of_loglik(model, vector), abs=1e-6)


def test_many_different_efforts_are_few():
    rng = np.random.default_rng(1)
    x = np.unique(np.round(rng.uniform(0.05, 3.0, 200), 2))
    times = rng.integers(1, 4, len(x)).astype(float)
    nodes, weights = few_exposures(x, times)
    assert len(nodes) == 8
    assert nodes.min() > x.min()
    assert nodes.max() < x.max()
    for h in (1e-6, 0.1, 1.0, 3.0):
        assert weights @ np.expm1(nodes * h) == pytest.approx(times @ np.expm1(x * h), rel=1e-8)
    assert few_exposures(x[:8], times[:8])[1].sum() == times[:8].sum()
    d = detectors("proximity", occasions=12)
    varied = survey.Detectors(list(d.id), d.x, d.y, rng.uniform(0.2, 1.0, d.effort.shape), "proximity")
    seen = pd.DataFrame({"animal": ["a"] * 2, "occasion": [1, 2], "detector": ["C02"] * 2})
    mask = survey.HabitatMask.around(d, 450.0, 150.0)
    model = models.SCR(survey.CaptureHistory(seen, varied), mask, at_least=2, **HAZARD)
    x, y = mask.centres()
    h = 0.4 * np.exp(-0.5 * ((x[:, None] - d.x) ** 2 + (y[:, None] - d.y) ** 2) / 280.0**2)
    void = np.exp(-h @ varied.effort.sum(axis=0))
    p = 1.0 - void * (1.0 + np.expm1(h[:, None] * varied.effort).sum(axis=(1, 2)))
    fit = model.at(D=900.0, lambda0=0.4, sigma=280.0)
    assert fit.detection_probability().to_numpy()[mask.habitat] == pytest.approx(p, abs=1e-10)
    at = model.session().parts[0].engine.evaluate(*fit.kernel_input(model.session()))
    assert at.detected == pytest.approx(900.0 * mask.cell_area / 100.0 * p.sum(), rel=1e-10)


def test_two_methods_count_together():
    captures, mask = small("count")
    cameras = detectors("proximity")
    seen = pd.DataFrame({"animal": ["A001", "A002", "Z1"], "occasion": [2, 2, 3], "detector": ["C05", "C02", "C06"]})
    both = survey.together({"scat": captures, "camera": survey.CaptureHistory(seen, cameras)})
    model = models.SCR(both, mask, lambda0="~ method", at_least=2, **HAZARD)
    assert "Z1" in set(model.left_out["animal"])
    x, y = mask.centres()
    d = captures.detectors
    shape = np.exp(-0.5 * ((x[:, None] - d.x) ** 2 + (y[:, None] - d.y) ** 2) / 280.0**2)
    scat, camera = 0.25 * shape[:, None] * d.effort, 0.4 * shape[:, None] * cameras.effort
    S = scat.sum(axis=(1, 2)) + np.expm1(camera).sum(axis=(1, 2))
    p = 1.0 - np.exp(-(scat + camera).sum(axis=(1, 2))) * (1.0 + S)
    lambda0 = {"Intercept": np.log(0.25), "method[T.camera]": np.log(0.4 / 0.25)}
    at = model.at(D=900.0, lambda0=lambda0, sigma=280.0)
    assert at.detection_probability().to_numpy()[mask.habitat] == pytest.approx(p, abs=1e-10)


def test_several_methods_keep_what_the_whole_knows():
    captures, mask = small("count")
    both = survey.together(
        {"scat": captures, "camera": survey.CaptureHistory(captures.detections.iloc[:0], detectors("proximity"))}
    )
    both = both.with_telemetry(collars(captures))
    both = both.with_animals(captures.animals[["sex"]].rename(columns={"sex": "kind"}))
    model = models.SCR(both, mask, at_least=2, **HAZARD)
    assert "kind" in model.captures.animals
    assert len(model.left_out) and model.captures.n_animals == both.n_animals - len(model.left_out)
    assert model.captures.animals.equals(both.animals.loc[model.captures.animals.index])
    kept = model.captures.telemetry
    assert kept.fixes.equals(both.telemetry.fixes)
    assert set(kept.names) & set(model.left_out["animal"]) <= set(kept.animals.index)
    how = {"classes": "sex", "at_least": 2, **HAZARD}
    alone = models.SCR(captures.with_telemetry(both.telemetry), mask, **how)
    halves = {"a": captures.of_occasions([1, 2]), "b": captures.of_occasions([3, 4])}
    halves = survey.together({m: replace(c, animals=pd.DataFrame()) for m, c in halves.items()})
    whole = models.SCR(halves.with_animals(captures.animals).with_telemetry(both.telemetry), mask, **how)
    assert whole.at(**AT, pmix=0.4).loglik == pytest.approx(alone.at(**AT, pmix=0.4).loglik, abs=1e-9)


def test_trap_occasions_without_a_catch_stay_apart_from_other_methods():
    traps, mask = small("multi")
    effort = traps.detectors.effort * np.linspace(0.7, 1.6, traps.n_occasions)[:, None]
    frame = traps.detections[~traps.detections["occasion"].isin([1, 2])]
    traps = replace(traps, detectors=replace(traps.detectors, effort=effort), detections=frame)
    both = survey.together({"trap": traps, "camera": small("proximity")[0]})
    model = models.SCR(both, mask, at_least=2, **HAZARD)
    x, y = mask.centres()
    hazards = [np.zeros((0, mask.size))] * 2
    for j, d in enumerate(c.detectors for c in both.methods.values()):
        shape = np.exp(-0.5 * ((x - d.x[:, None]) ** 2 + (y - d.y[:, None]) ** 2) / 280.0**2)
        h = 0.25 * np.where(d.used, d.effort, 0.0)[:, :, None] * shape
        hazards[j] = h.sum(axis=1) if j == 0 else h.reshape(-1, mask.size)
    ways = np.concatenate(hazards)
    p = 1.0 - np.exp(-ways.sum(axis=0)) * (1.0 + np.expm1(ways).sum(axis=0))
    fit = model.at(**AT)
    at = model.session().parts[0].engine.evaluate(*fit.kernel_input(model.session()))
    assert at.detected == pytest.approx(9.0 * mask.cell_area * p.sum(), rel=1e-10)


def test_sessions_add_up_and_pickles():
    parts = [small("proximity"), small("proximity", seed=7)]
    captures = [survey.CaptureHistory(c.detections, c.detectors, session=str(j)) for j, (c, _) in enumerate(parts)]
    mask = parts[0][1]
    alone = sum(models.SCR(c, mask, at_least=2, **HAZARD).at(**AT).loglik for c in captures)
    model = models.SCR(captures, mask, at_least=2, **HAZARD)
    assert model.at(**AT).loglik == pytest.approx(alone, abs=1e-9)
    again = pickle.loads(pickle.dumps(model))
    assert again.at(**AT).loglik == pytest.approx(alone, abs=1e-9)
    assert again.left_out.equals(model.left_out)
    assert set(model.left_out["session"]) == {"0", "1"}


def test_conditional_and_full_say_the_same():
    model = surveyed("count", at_least=2)
    full, conditional = model.fit(), surveyed("count", at_least=2, likelihood="conditional").fit()
    a, b = full.derive(), conditional.derive()
    assert a["estimate"].to_numpy() == pytest.approx(b["estimate"].to_numpy(), rel=1e-5)
    assert a["se"].to_numpy() == pytest.approx(b["se"].to_numpy(), rel=1e-3)


def test_a_collared_animal_that_is_left_out_keeps_its_class():
    captures, mask = small("multi")
    times, sex = captures.detections.groupby("animal")["count"].sum(), captures.animals["sex"]
    name = next(a for a in times.index[times == 1] if isinstance(sex[a], str))
    fixes = pd.DataFrame({"animal": name, "x": [50_300.0, 50_900.0], "y": [80_200.0, 80_500.0]})

    def loglik(whole, told) -> float:
        given = whole.with_telemetry(survey.Telemetry(fixes, animals=pd.DataFrame({"sex": told})))
        model = models.SCR(given, mask, sigma="~ sex", classes="sex", at_least=2, **HAZARD)
        at = {"lambda0": 0.25, "sigma": {"Intercept": 5.5, "sex[T.male]": 0.5}, "pmix": 0.4}
        return model.at(D=900.0, **at).loglik

    unknown = replace(captures, animals=captures.animals.drop(index=name))
    said = loglik(unknown, {name: sex[name]})
    assert loglik(captures, {}) == pytest.approx(said, abs=1e-12)
    assert abs(loglik(unknown, {}) - said) > 1e-3


def test_what_cannot_be_asked_twice():
    captures, mask = small("proximity")
    with pytest.raises(SurveyError, match="what a detector has become by all animals' detections is not known"):
        models.SCR(captures, mask, lambda0="~ k", at_least=2, **HAZARD)
    searched, ground = survey_of("area", seed=9)
    with pytest.raises(SurveyError, match="no learned responses where lines or areas were searched"):
        models.SCR(searched, ground, lambda0="~ b", at_least=2, **HAZARD)
    with pytest.raises(SurveyError, match="at_least is 1"):
        models.SCR(captures, mask, at_least=3, **HAZARD)
    gone, mask = small("multi", removed=True)
    with pytest.raises(SurveyError, match="an animal that was removed could not be detected again"):
        models.SCR(gone, mask, at_least=2, **HAZARD)
    once = captures.detections.drop_duplicates("animal").assign(count=1)
    with pytest.raises(SurveyError, match="no animal was detected twice"):
        models.SCR(survey.CaptureHistory(once, captures.detectors), mask, at_least=2, **HAZARD)
    one, two = (models.SCR(captures, mask, at_least=k, **HAZARD).at(**AT) for k in (1, 2))
    with pytest.raises(SurveyError, match="given at least two detections of each animal and the other is not"):
        models.compare([one, two])


# ---- the diagnosis and the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
def test_expected_number_detected_once_and_its_gradient(kind):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, D="~ x", lambda0="~ sex", classes="sex", **HAZARD)
    vector = model.start() + 0.1
    fit = replace(model.at(**model.parameters.given(vector)), covariance=np.zeros((len(vector),) * 2))
    found = expected_once(fit, model.session())
    values = model.parameters.values(vector)
    male = float(values["pmix"][0])
    lambda0 = fit.predict("lambda0").set_index("sex")["estimate"]
    slow = 0.0
    for sex, share in (("female", 1.0 - male), ("male", male)):
        once = probability_of_one(
            captures, mask, lambda row, s=sex: (lambda0[s], values["sigma"][0]), model.detection.name
        )
        slow += share * float(values["D"] @ once) * mask.cell_area / 100.0
    assert found.value == pytest.approx(slow, rel=1e-10)
    value = lambda v: expected_once(replace(fit, vector=v), model.session()).value  # noqa: E731
    slopes = [(value(vector + h) - value(vector - h)) / 2e-5 for h in 1e-5 * np.eye(len(vector))]
    assert found.gradient == pytest.approx(slopes, abs=1e-5)


def with_ghosts(captures, number: int, seed: int = 1):
    """Each ghost is one detection of an animal that has several, under a new name."""
    frame = captures.detections.copy()
    frame["animal"] = frame["animal"].astype(object)
    rng = np.random.default_rng(seed)
    for j in range(number):
        times = frame["animal"].map(frame.groupby("animal")["count"].sum())
        row = rng.choice(frame.index[(times > 1) & (frame["count"] == 1)])
        frame.loc[row, "animal"] = f"ghost {j}"
    return survey.CaptureHistory(frame, captures.detectors)


def test_ghosts_are_noticed_and_the_table_tells_what_they_do():
    clean = surveyed("proximity").fit()
    test = clean.ghosts()
    assert test.observed == int(test.table["once"].sum()) == 7
    assert test.p_value > 0.05
    assert Outcome.GHOSTS not in clean.verdict
    haunted = clean.model.on(with_ghosts(clean.model.captures, 20)).fit()
    test = haunted.ghosts()
    assert test.observed == 29
    assert test.excess == pytest.approx(29 - test.expected)
    assert test.p_value < 0.02
    assert "were detected once, and the model expects" in str(haunted.verdict)
    assert "one-sided p" in str(test)
    table = haunted.sensitivity_to_ghosts().query("quantity == 'density'").set_index("at_least")
    truth = clean.derive().iloc[0]["estimate"]
    assert table.loc[1, "estimate"] > 1.3 * truth
    assert abs(table.loc[2, "estimate"] / truth - 1) < 0.2
    assert table.loc[2, "left_out"] == 29
    assert table.loc[2, "animals"] == haunted.model.captures.n_animals - 29
    assert table.loc[2, "change"] == pytest.approx(table.loc[2, "estimate"] / table.loc[1, "estimate"] - 1)
    twice = haunted.model.given_at_least(2).fit()
    assert "29 animals detected once were left out (" in str(twice.verdict)
    again = twice.sensitivity_to_ghosts().query("quantity == 'density'")
    assert again["estimate"].to_numpy() == pytest.approx(table["estimate"].to_numpy(), rel=1e-6)
    with pytest.raises(SurveyError, match="are not in these data"):
        twice.ghosts()


def test_the_diagnosis_by_simulation_and_of_a_conditional_model():
    model = surveyed("count", likelihood="conditional")
    fit = model.fit()
    rough, exact = fit.ghosts(), fit.ghosts(simulations=6, workers=1)
    assert rough.z == pytest.approx(exact.z)
    assert exact.p_value == pytest.approx(rough.p_value, abs=0.4)
    assert "6 simulated data sets" in str(exact)
    full = surveyed("count").fit().ghosts()
    assert rough.expected == pytest.approx(full.expected, rel=1e-4)
    assert rough.se == pytest.approx(full.se, rel=1e-2)


def test_overdispersion_is_in_the_test_of_animals_detected_once():
    """As of left and right flanks, which are at most the same animals twice."""
    fit = surveyed("count").fit()
    plain, wide = fit.ghosts(), fit.inflated(2.0).ghosts()
    assert (wide.observed, wide.expected, plain.c_hat, wide.c_hat) == (plain.observed, plain.expected, 1.0, 2.0)
    assert wide.se == pytest.approx(np.sqrt(2.0) * plain.se) and wide.z == pytest.approx(plain.z / np.sqrt(2.0))
    assert wide.p_value == pytest.approx(float(ndtr(-wide.z)))
    assert "normal approximation, SE times 1.414, the square root of c-hat)" in str(wide) and "c-hat" not in str(plain)


def test_no_diagnosis_where_there_is_none():
    captures, mask = small("proximity")
    fit = models.SCR(captures, mask, lambda0="~ bk", **HAZARD).fit()
    with pytest.raises(SurveyError, match=r"learned responses .* Use fit.sensitivity_to_ghosts\(\), or compare with"):
        fit.ghosts()
    assert Outcome.GHOSTS not in fit.verdict
    assert fit.sensitivity_to_ghosts()["at_least"].tolist()[-1] == 2  # what the sentence says is there
    fit = models.SCR(captures, mask, lambda0="~ k", **HAZARD).at(
        D=900.0, lambda0={"Intercept": -1.2, "k": 0.1}, sigma=300.0
    )
    with pytest.raises(SurveyError, match=r"learned responses \(found 'k'\)\. Compare with a model without them"):
        fit.ghosts()
    with pytest.raises(
        SurveyError, match=r"what a detector has become .* Leave it out of the formulas, or use at_least=1"
    ):
        fit.sensitivity_to_ghosts()


def test_no_diagnosis_with_covariates_of_animals_or_distances_along_ways():
    captures, mask = small("proximity")
    fit = models.SCR(captures, mask, lambda0="~ mass", likelihood="conditional", **HAZARD).fit()
    with pytest.raises(SurveyError, match=r"not known with covariates of animals\. Use fit.sensitivity_to_ghosts"):
        fit.ghosts()
    assert (fit.sensitivity_to_ghosts()["at_least"] == 2).any()
    for ask in (fit.residuals, lambda: fit.goodness(2, workers=1), lambda: fit.goodness(2, refit=False, workers=1)):
        with pytest.raises(SurveyError, match=r"no residuals and no test of fit \(found 'mass'\)\. Use classes="):
            ask()
    captures, mask = rough("proximity")
    fit = models.SCR(captures, mask, distance=models.LeastCost("~ ruggedness"), **HAZARD).fit()
    with pytest.raises(SurveyError, match=r"distances that are no straight lines\. Use fit.sensitivity_to_ghosts"):
        fit.ghosts()
    assert (fit.sensitivity_to_ghosts()["at_least"] == 2).any()
