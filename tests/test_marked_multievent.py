"""State uncertainty: the oracle, gradients, known states are the multistate model, recovery, words."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from marked_problems import assert_gradient

from uncia.models.marked.layout import blocks
from uncia.models.marked.multievent import Multievent
from uncia.models.marked.multistate import Multistate
from uncia.survey.encounters import EncounterHistory, read_inp
from uncia.survey.errors import SurveyError

SEXES = {"states": ("female", "male"), "moves": np.eye(2, dtype=bool)}
THREE = {"states": ("a", "b", "c")}


def events(seed, n=20, T=4, S=3, losses=False, gaps=False):
    """Animals met at random in states 1..S, or S + 1 (not known)."""
    rng = np.random.default_rng(seed)
    states = np.where(rng.random((n, T)) < 0.5, rng.integers(1, S + 2, (n, T)), 0)
    states[np.arange(n), rng.integers(0, T, n)] = rng.integers(1, S + 2, n)
    if gaps:
        states[rng.random((n, T)) < 0.15] = -1
        states[~(states > 0).any(axis=1), 0] = 1
    animals = pd.DataFrame({"mass": rng.normal(size=n).round(1)})
    occasions = pd.DataFrame({"effort": np.linspace(-1, 1, T)})
    return EncounterHistory(states, rng.integers(1, 3, n), rng.random(n) < 0.2 * losses, animals, occasions)


def point(model, seed=1):
    return np.random.default_rng(seed).normal(0.0, 0.4, model.parameters.size)


FORMULAS = [
    {},
    {"delta": "~ state + t", "pi": "~ state * effort", "wrong": "~ state"},
    {"phi": 0.8, "p": "~ mass", "delta": 0.7, "wrong": 0.1, "pi": "~ 1"},
]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("formulas", FORMULAS)
def test_gradient(formulas, hard):
    model = Multievent(events(3, losses=hard, gaps=hard), **THREE, **formulas)
    assert_gradient(model, point(model))


@pytest.mark.parametrize("mistakes", [None, [[0, 1, 0], [1, 0, 1], [0, 0, 0]]])
@pytest.mark.parametrize("losses", [False, True])
def test_oracle(losses, mistakes):
    h = events(5, losses=losses, gaps=True)
    formulas = {"delta": "~ state + effort", "pi": "~ state + T", "wrong": "~ state"}
    model = Multievent(h, ("a", "b", "c"), "~ state + t", "~ state", **formulas, mistakes=mistakes)
    v = model.parameters.values(point(model))
    phi, p, psi = model.cells(v)
    allowed = [np.flatnonzero(row).tolist() for row in model.mistakes]
    delta, wrong = (v[n][model.layouts[n].index] for n in ("delta", "wrong"))
    slow = 0.0
    for i, seen in enumerate(h.states.tolist()):
        if h.first[i] == h.n_occasions - 1:
            continue
        g = model.profile[i]
        detection = [[0.0] * 3, *p[g].tolist()]
        at = (phi[g], detection, psi[g], delta[g], wrong[g], allowed, model._new_states(v)[g])
        slow += h.frequency[i] * math.log(oracle.event_history(seen, *at, h.removed[i]))
    assert model.evaluate(v, False)[0] == pytest.approx(slow, rel=1e-12)


def test_known_states_are_the_multistate_model_and_a_multinomial():
    h = events(7, S=2, losses=True)
    h = EncounterHistory(np.where(h.states == 3, 1, h.states), h.frequency, h.removed)
    plain = Multistate(h, "~ state", "~ state")
    model = Multievent(h, ("1", "2"), "~ state", "~ state", delta=1.0)
    vector = point(model)
    odds = math.exp(vector[-1])
    useful = h.first < h.n_occasions - 1
    state = h.states[np.arange(len(h.states)), h.first]
    shares = h.frequency[useful] @ np.where(state[useful] == 1, math.log(1 / (1 + odds)), math.log(odds / (1 + odds)))
    assert model.loglik(vector) == pytest.approx(plain.loglik(vector[:-1]) + shares, rel=1e-12)
    assert model.sample_size == plain.sample_size


def releases(T=6, each=150):
    return EncounterHistory(3 * np.eye(T, dtype=int)[: T - 1], frequency=[each] * (T - 1))


def test_survival_by_sex_when_sex_is_seldom_known():
    """To leave the unknown out makes males look like the only ones that survive: they are sexed more often."""
    model = Multievent(releases(), **SEXES, delta="~ state")
    truth = {"phi": {"Intercept": 1.2, "state[T.male]": -0.8}, "p": 0.5, "pi": 1.0}
    truth["delta"] = {"Intercept": -1.0, "state[T.male]": 1.5}
    data = model.simulate(truth, 3)
    assert np.array_equal(data.states, model.simulate(truth, 3).states)
    fit = model.on(data).fit()
    assert fit.verdict.good
    assert np.all(np.abs(fit.vector - model.at(**truth).vector) < 4 * fit.se)
    table = fit.derive().set_index(["quantity", "scope"])
    row = table.loc[("state when first met", "state = male")]
    assert row["lower"] < 0.5 < row["upper"]
    assert table.loc[("state recorded", "state = male"), "estimate"] == pytest.approx(0.62, abs=0.08)


def test_letters_of_mark(tmp_path):
    path = tmp_path / "sex.inp"
    path.write_text("F0uF 2;\nMuM0 1;\n0uu0 3;\n", "utf-8")
    h = read_inp(path, codes={"F": 1, "M": 2, "u": 3})
    assert h.states.tolist() == [[1, 0, 3, 1], [2, 3, 2, 0], [0, 3, 3, 0]]
    assert np.isfinite(
        Multievent(h, **SEXES).at(phi={"Intercept": 0, "state[T.male]": 0}, p=0.5, delta=0.5, pi=1.0).loglik
    )
    with pytest.raises(SurveyError, match="characters that are not known: MV"):
        path.write_text("F0FF 1;\nMV00 1;\n", "utf-8")
        read_inp(path, codes={"F": 1})
    with pytest.raises(SurveyError, match="characters that are not in codes"):
        EncounterHistory.from_strings(["F0u"], codes={"F": 1})


def test_in_parts_it_is_the_same():
    h = events(9, losses=True, gaps=True)
    model = Multievent(h, **THREE, phi="~ state + mass", p="~ effort", psi="~ move + mass", delta="~ mass", wrong="~ 1")
    whole = model.loglik_and_gradient(point(model))
    assert model._parts == [model] and len(model.groups) > 7
    cut = blocks(model, ("_matrix",), ("seen", "first", "end", "frequency"), 3)
    assert len(cut) > 2
    model.__dict__["_parts"] = cut
    again = model.loglik_and_gradient(point(model))
    assert again[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(again[1], whole[1], rtol=1e-9, atol=1e-11)


def test_words():
    with pytest.raises(SurveyError, match="states are 1 to 2, and 3 for an animal of unknown state"):
        Multievent(events(1), ("female", "male"))
    with pytest.raises(SurveyError, match="at least two"):
        Multievent(events(1), ("one",))
    with pytest.raises(SurveyError, match="which state can be taken for which"):
        Multievent(events(1), **THREE, mistakes=np.eye(3))
    turned = EncounterHistory(np.array([[1, 3, 2], [1, 0, 1]]))
    with pytest.raises(SurveyError, match="'female' on occasion 1 and as 'male' on occasion 3"):
        Multievent(turned, **SEXES)
    assert np.isfinite(Multievent(turned, **SEXES, wrong="~ 1").loglik(np.zeros(6)))
    assert not np.isfinite(Multievent(turned, **SEXES, wrong=0.0).loglik(np.zeros(5)))
