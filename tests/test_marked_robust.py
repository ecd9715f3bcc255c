"""Robust design: the oracle, gradients, the voles, no emigration is CJS, words."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, suite
from reference import entry

from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.loglinear import LogLinear
from uncia.models.marked.robust_design import RobustDesign
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

PERIODS = [0, 0, 1.0, 0, 2.0, 0, 0, 0.5, 0]  # 3, 2, 3 and 2 occasions


def data(seed, n=25, losses=False, unseen=()):
    rng = np.random.default_rng(seed)
    states = (rng.random((n, 10)) < 0.3).astype(int)
    states[np.arange(n), rng.integers(0, 3, n)] = 1
    states[:, list(unseen)] = -1
    animals = pd.DataFrame({"sex": np.where(np.arange(n) % 2, "m", "f"), "mass": rng.normal(size=n)})
    effort = pd.DataFrame({"effort": np.linspace(-1, 1, 10)})
    lost = rng.random(n) < 0.3 if losses else None
    return EncounterHistory(states, rng.integers(1, 3, n), lost, animals, effort, PERIODS, "year")


MODELS = [
    {},
    {"phi": "~ sex + t", "p": "~ primary", "gamma_out": "~ 1"},
    {"p": "~ effort", "c": "~ within", "gamma_out": "~ t", "gamma_away": "~ sex"},
    {"p": "~ h + primary", "classes": 2, "gamma_out": "~ sex", "gamma_away": 0.6},
]


def point(model, seed=1):
    return np.random.default_rng(seed).normal(0.0, 0.5, model.parameters.size)


@pytest.mark.parametrize("losses", [False, True])
@pytest.mark.parametrize("options", MODELS, ids=str)
def test_gradient(options, losses):
    model = RobustDesign(data(3, losses=losses, unseen=(4,)), **options)
    assert_gradient(model, point(model))


@pytest.mark.parametrize("unseen", [(), (4,), (3, 4)])
@pytest.mark.parametrize("losses", [False, True])
def test_oracle(losses, unseen):
    h = data(5, losses=losses, unseen=unseen)
    model = RobustDesign(h, "~ t", "~ sex", "~ effort", gamma_out="~ t", gamma_away="~ 1")
    values = model.parameters.values(point(model))
    phi, out, away = model._cells(values)
    p = model.closed.detection(values)
    slow = 0.0
    for i, states in enumerate(h.states.tolist()):
        g, star, met = model.profile[i], [], []
        for k in range(4):
            inside = np.flatnonzero(h.primary == k)
            index = model.closed.index[model.star_index[g, k], 0]
            first, again = p[index[0, inside]], p[index[1, inside]]
            part = [states[t] for t in inside]
            looked = [s != -1 for s in part]
            star.append(1.0 - oracle.closed_history([0 if s else -1 for s in looked], first, again, False))
            met.append(int(max(part) > 0) if any(looked) else -1)
            if met[-1] == 1:
                lost = bool(h.removed[i]) and h.primary[h.last[i]] == k
                slow += h.frequency[i] * math.log(oracle.closed_history(part, first, again, lost) / star[k])
        one = oracle.emigration_history(met, phi[g], out[g], away[g], star, h.removed[i])
        slow += h.frequency[i] * math.log(one)
    assert model.evaluate(values, False)[0] == pytest.approx(slow, rel=1e-12)


@given(st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_order_of_animals_and_repeated_rows(seed):
    h = data(seed, losses=True)
    options = {"phi": "~ sex", "p": "~ primary", "gamma_out": "~ 1"}
    one = RobustDesign(h, **options)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(25), h.frequency))
    rows = EncounterHistory(h.states[order], None, h.removed[order], h.animals.iloc[order], h.occasions, PERIODS)
    assert RobustDesign(rows, **options).loglik(point(one)) == pytest.approx(one.loglik(point(one)), rel=1e-10)


def test_without_emigration_it_is_cjs_and_closed_capture():
    h = data(7)
    model = RobustDesign(h, "~ 1", "~ 1")
    p = 0.3
    phi = 0.7
    periods = (h.states[:, :, None] * (h.primary[:, None] == np.arange(4))).max(axis=1)
    frame = pd.DataFrame({"size": [3.0, 2.0, 3.0, 2.0]})
    cjs = CJS(EncounterHistory(periods, h.frequency, occasions=frame, intervals=[1.0, 2.0, 0.5]), p="~ C(size)")
    star = {s: 1 - (1 - p) ** s for s in (2, 3)}
    logit = {s: np.log(v / (1 - v)) for s, v in star.items()}
    vector = [np.log(phi / (1 - phi)), logit[2], logit[3] - logit[2]]
    inside = 0.0
    for k in range(4):
        part = h.states[:, h.primary == k]
        met = part.any(axis=1)
        closed = ClosedCapture(EncounterHistory(part[met], h.frequency[met]), likelihood="conditional")
        inside += closed.at(p=p).loglik
    assert model.at(phi=phi, p=p).loglik == pytest.approx(cjs.loglik(np.array(vector)) + inside, rel=1e-12)


def test_mvole_agrees_with_rcapture():
    there = entry("mvole", "robust design, M0 within primaries")["derived"]
    h = suite("mvole", intervals=([0] * 4 + [1]) * 3 + [0] * 4)
    fit = RobustDesign(h, "~ t", "~ primary").fit()
    phi = fit.predict("phi")
    for t in (1, 2, 3):
        estimate, se = there["survivals"][f"period {t} -> {t + 1}"]
        assert phi["estimate"][t - 1] == pytest.approx(estimate, rel=2e-4)
        assert phi["se"][t - 1] == pytest.approx(se, rel=0.01)
    star = fit.model.star(fit.values)[0]
    np.testing.assert_allclose(star, [there["capture_prob"][f"period {k}"][0] for k in (1, 2, 3, 4)], rtol=1e-4)
    table = fit.abundance()
    for k, rel in ((0, 1e-4), (1, 0.01), (2, 0.06), (3, 1e-4)):
        # in the middle Rcapture's N also has in it the animals known to be alive, met or not
        assert table["estimate"][k] == pytest.approx(there["N"][f"period {k + 1}"][0], rel=rel)
    for k in (0, 3):
        assert table["se"][k] == pytest.approx(there["N"][f"period {k + 1}"][1], rel=0.01)


@pytest.mark.parametrize("dropped", [False, True])
def test_mvole_lower_bounds_of_single_periods_agree_with_rcapture(dropped):
    """Chao's bound in the first and last primary period; between, Rcapture's N also has animals known to be alive."""
    words = "robust design, Mh Chao, tenth occasion" if dropped else "robust design, Mh Chao within primaries"
    there = entry("mvole", words)["derived"]["N"]
    for k in (0, 3):
        states = suite("mvole").states[:, 5 * k : 5 * k + 5]
        fit = LogLinear(EncounterHistory(states[states.any(axis=1)]), heterogeneity="chao").fit()
        estimate, se = there[f"period {k + 1}"]
        assert fit.total()[0] == pytest.approx(estimate, rel=1e-4)
        assert fit.total()[1] == pytest.approx(se, rel=0.02)


def test_animals_that_differ_inside_periods():
    h = suite("mvole", intervals=([0] * 4 + [1]) * 3 + [0] * 4)
    model = RobustDesign(h, "~ 1", "~ 1", heterogeneity="normal", nodes=9)
    assert_gradient(model, np.array([0.5, 0.3, -0.2]))
    fit = RobustDesign(h, "~ 1", "~ primary", heterogeneity="normal").fit()
    plain = RobustDesign(h, "~ 1", "~ primary").fit()
    assert fit.loglik > plain.loglik + 10
    assert (fit.abundance()["estimate"] > plain.abundance()["estimate"]).all()
    drawn = fit.model.on(fit.model.simulate(fit.model.parameters.given(fit.vector), 1))
    assert drawn.options == fit.model.options
    assert "differences in detection" in set(fit.derive()["quantity"])


def test_period_with_no_animal_of_a_group():
    h = data(9)
    states = h.states.copy()
    states[(h.animals["sex"] == "m").to_numpy()[:, None] & (h.primary == 2)[None, :]] = 0
    fit = RobustDesign(EncounterHistory(states, animals=h.animals, intervals=PERIODS), "~ sex", "~ sex").fit()
    assert np.isfinite(fit.predict("p")["se"]).all() and np.isfinite(fit.abundance()["se"]).all()


def test_words():
    h = data(1)
    with pytest.raises(SurveyError, match="at least two primary periods"):
        RobustDesign(EncounterHistory(h.states, intervals=np.zeros(9)))
    with pytest.raises(SurveyError, match="Give gamma_out too"):
        RobustDesign(h, gamma_away="~ 1")
    with pytest.raises(SurveyError, match="no covariates that are numbers"):
        RobustDesign(h, "~ mass")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_animals(n):
    states = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 0, 1]])[:n]
    assert str(RobustDesign(EncounterHistory(states, intervals=[0, 1, 0])).fit())


def test_simulate_recovers():
    h = EncounterHistory(np.repeat(np.eye(20, dtype=int)[:15:5], 300, axis=0), intervals=([0] * 4 + [1]) * 3 + [0] * 4)
    model = RobustDesign(h, "~ 1", "~ 1", gamma_out="~ 1")
    values = {"phi": 0.8, "p": 0.4, "gamma_out": 0.3}
    drawn = model.simulate(values, 2)
    assert np.array_equal(drawn.states, model.simulate(values, 2).states)
    fit = RobustDesign(drawn, "~ 1", "~ 1", gamma_out="~ 1").fit()
    truth = model.at(**values).vector
    assert np.all(np.abs(fit.vector - truth) < 4 * fit.se)


def test_two_periods_say_nothing_of_staying_away():
    with pytest.raises(SurveyError, match="over three primary periods"):
        RobustDesign(EncounterHistory(np.ones((3, 4), int), intervals=[0, 1, 0]), gamma_out="~ 1", gamma_away="~ 1")
