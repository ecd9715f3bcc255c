"""Multistate models: the oracle, gradients, one state is CJS, stages that animals must go through, words."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, histories

from uncia.models.marked.contrast import contrast
from uncia.models.marked.multistate import Multistate
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

STAGES = {"moves": [[0, 1, 0], [0, 1, 1], [0, 0, 1]], "states": ["cub", "subadult", "adult"]}
TRUTH = {"phi": {"Intercept": -0.3, "state[T.subadult]": 0.8, "state[T.adult]": 1.6}, "p": 0.5, "psi": 0.5}


def places(seed, n=20, T=5, S=3, losses=False, gaps=False):
    rng = np.random.default_rng(seed)
    states = np.where(rng.random((n, T)) < 0.5, rng.integers(1, S + 1, (n, T)), 0)
    states[np.arange(n), rng.integers(0, T, n)] = rng.integers(1, S + 1, n)
    if gaps:
        states[rng.random((n, T)) < 0.15] = -1
        states[~(states > 0).any(axis=1), 0] = 1
    animals = pd.DataFrame({"sex": np.where(np.arange(n) % 2, "m", "f"), "mass": rng.normal(size=n).round(1)})
    occasions = pd.DataFrame({"effort": np.linspace(-1, 1, T)})
    return EncounterHistory(states, rng.integers(1, 3, n), rng.random(n) < 0.2 * losses, animals, occasions)


MODELS = [
    ("~ state", "~ 1", None),
    ("~ state + t", "~ state * effort", "~ origin + target"),
    ("~ sex", "~ t", "~ move + mass"),
    (0.8, "~ state", "~ sex"),
]


def point(model, seed=1):
    return np.random.default_rng(seed).normal(0.0, 0.4, model.parameters.size)


@pytest.mark.parametrize(("losses", "gaps"), [(False, False), (True, True)])
@pytest.mark.parametrize(("phi", "p", "psi"), MODELS)
def test_gradient(phi, p, psi, losses, gaps):
    model = Multistate(places(3, losses=losses, gaps=gaps), phi, p, psi)
    assert_gradient(model, point(model))


@pytest.mark.parametrize("losses", [False, True])
def test_oracle(losses):
    h = places(5, losses=losses, gaps=True)
    model = Multistate(h, "~ state + t", "~ state + effort", "~ move")
    values = model.parameters.values(point(model))
    phi, p, psi = model.cells(values)
    slow = 0.0
    for i, seen in enumerate(h.states.tolist()):
        g = model.profile[i]
        detection = [[0.0] * 3, *p[g].tolist()]
        slow += h.frequency[i] * math.log(oracle.state_history(seen, phi[g], detection, psi[g], h.removed[i]))
    assert model.evaluate(values, False)[0] == pytest.approx(slow, rel=1e-12)
    np.testing.assert_allclose(psi.sum(axis=3), 1.0)


def test_one_state_is_cjs():
    h = histories(3, losses=True, gaps=True)
    one, cjs = Multistate(h, "~ t", "~ sex"), CJS(h, "~ t", "~ sex")
    vector = point(one)
    assert one.loglik(vector) == pytest.approx(cjs.loglik(vector), rel=1e-12)
    assert one.sample_size == cjs.sample_size
    assert one.formulas == {"phi": "~ t", "p": "~ sex"}


def test_states_without_effects_are_cjs_and_moves():
    h = places(9)
    model = Multistate(h, "~ 1", "~ 1", "~ 1")
    met = CJS(EncounterHistory(np.minimum(h.states, 1), h.frequency))
    odds = 1.0  # all three states equally likely
    moves = sum(k * math.log(1 / 3) * ((s > 0).sum() - 1) for k, s in zip(h.frequency, h.states, strict=True))
    assert model.at(phi=0.7, p=0.4, psi=odds).loglik == pytest.approx(met.at(phi=0.7, p=0.4).loglik + moves, rel=1e-12)


@given(st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_order_of_animals_repeated_rows_and_names_of_states(seed):
    h = places(seed, losses=True)
    one = Multistate(h, "~ state", "~ sex", "~ 1")
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(20), h.frequency))
    rows = EncounterHistory(h.states[order], None, h.removed[order], h.animals.iloc[order], h.occasions)
    assert Multistate(rows, "~ state", "~ sex", "~ 1").loglik(point(one)) == pytest.approx(one.loglik(point(one)))
    swapped = EncounterHistory(np.array([0, 3, 2, 1])[h.states], h.frequency, h.removed, h.animals)
    other = Multistate(swapped, "~ 0 + state", "~ sex", "~ 1")
    a = Multistate(h, "~ 0 + state", "~ sex", "~ 1")
    v = point(a)
    assert other.loglik(np.array([v[2], v[1], v[0], *v[3:]])) == pytest.approx(a.loglik(v), rel=1e-10)


def released(seed=1, n=900, T=7):
    rng = np.random.default_rng(seed)
    first = np.zeros((n, T), int)
    first[np.arange(n), rng.integers(0, T - 2, n)] = rng.integers(1, 4, n)
    return EncounterHistory(first)


def test_stages_and_recovery():
    base = Multistate(released(), "~ state", "~ 1", **STAGES)
    assert [label for label in base.parameters.labels if label[0] == "psi"] == [("psi", "Intercept")]
    drawn = base.simulate(TRUTH, 2)
    assert np.array_equal(drawn.states, base.simulate(TRUTH, 2).states)
    fit = base.on(drawn).fit()
    truth = base.at(**TRUTH).vector
    assert np.all(np.abs(fit.vector - truth) < 4 * fit.se)
    table = fit.derive().set_index("scope")
    survival = 1 / (1 + np.exp(-(-0.3 + np.array([0.0, 0.8, 1.6]))))
    stages = [f"state = {s}" for s in STAGES["states"]]
    assert np.all(np.abs(table.loc[stages, "estimate"] - survival) < 4 * table.loc[stages, "se"])
    moves = fit.transitions().set_index(["origin", "target"])
    assert len(moves) == 2 and moves["estimate"].sum() == pytest.approx(1.0)
    assert moves.loc[("subadult", "adult"), "estimate"] == pytest.approx(1 / 3, abs=0.1)


def test_cubs_that_never_leave_a_choice():
    h = EncounterHistory(np.array([[1, 2, 0, 2], [0, 1, 2, 2], [2, 2, 2, 0], [1, 0, 0, 0]]))
    fit = Multistate(h, moves=[[0, 1], [0, 1]], states=["cub", "adult"]).fit()
    assert "psi" not in fit.model.formulas and fit.transitions().empty
    assert str(fit)


def test_words():
    h = places(1)
    with pytest.raises(SurveyError, match="met as 'adult' on occasion 1 and as 'cub' on occasion 3"):
        Multistate(EncounterHistory(np.array([[3, 0, 1]])), **STAGES)
    with pytest.raises(SurveyError, match="there are 3 states"):
        Multistate(h, states=["a", "b"])
    with pytest.raises(SurveyError, match="intervals differ"):
        Multistate(EncounterHistory(h.states, intervals=[1, 2, 1, 1]))
    with pytest.raises(SurveyError, match="no move is free"):
        Multistate(EncounterHistory(np.array([[1, 2]])), psi="~ 1", moves=[[0, 1], [0, 1]])
    with pytest.raises(SurveyError, match="Did you mean 'state'"):
        Multistate(h, "~ stat")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_animals(n):
    states = np.array([[1, 0, 2, 1], [0, 1, 2, 0], [1, 1, 0, 2]])[:n]
    assert str(Multistate(EncounterHistory(states), "~ 1", "~ 1", "~ 1").fit())


def test_cub_survival_that_rose_is_an_estimate_with_an_interval():
    """From 30 % to 50 % between two spans of years: both values, their difference and their ratio."""
    T = 11
    states = np.zeros((900, T), int)
    born = np.arange(900) % (T - 1)
    states[np.arange(900), born] = 1
    years = pd.DataFrame({"years": pd.Categorical(["before"] * 5 + ["after"] * 6, ["before", "after"])})
    model = Multistate(EncounterHistory(states, occasions=years), "~ state * years", **STAGES)
    terms = dict.fromkeys(model.parameters["phi"].terms, 0.0)
    terms |= {"Intercept": math.log(0.3 / 0.7), "years[T.after]": math.log(0.7 / 0.3)}
    terms |= {"state[T.subadult]": 1.8, "state[T.adult]": 2.6}
    terms |= {name: -math.log(0.7 / 0.3) for name in terms if ":" in name}  # only cubs do better
    drawn = model.simulate({"phi": terms, "p": 0.6, "psi": 0.5}, 2)
    fit = model.on(drawn).fit()
    cub = {"state": "cub"}
    table = contrast(fit, "phi", cub | {"years": "before"}, cub | {"years": "after"})
    rows = table.set_index("quantity")
    assert rows["lower"].iloc[0] < 0.3 < rows["upper"].iloc[0] and rows["lower"].iloc[1] < 0.5 < rows["upper"].iloc[1]
    assert 0 < rows.loc["difference in phi", "lower"] < 0.2 < rows.loc["difference in phi", "upper"]
    assert rows.loc["ratio of phi", "lower"] < 5 / 3 < rows.loc["ratio of phi", "upper"]
    assert table["scope"][0] == "state = cub, years = before"


def test_states_that_cannot_be_name_their_animals():
    states = np.array([[1, 2, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1], [2, 1, 2]])
    names = pd.DataFrame(index=["a", "b", "c", "d", "e"])
    history = EncounterHistory(states, None, None, names, pd.DataFrame({"occasion": [2019, 2020, 2021]}))
    with pytest.raises(SurveyError) as error:
        Multistate(history, states=("cub", "adult"), moves=[[True, True], [False, True]])
    assert [p.what + f" ({p.value})" for p in error.value.problems] == [
        "an animal was met as 'adult' on occasion 2019 and as 'cub' on occasion 2021 (d)",
        "an animal was met as 'adult' on occasion 2019 and as 'cub' on occasion 2020 (b, e)",
    ]
    with pytest.raises(SurveyError, match=r"there are 3 states .* Name all of them, or correct those of f$"):
        many = EncounterHistory([[1, 2, 2], [2, 2, 3]], None, None, pd.DataFrame(index=["a", "f"]))
        Multistate(many, states=("cub", "adult"))
