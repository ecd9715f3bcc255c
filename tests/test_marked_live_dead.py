"""Live encounters and dead recoveries: the oracle, gradients, nested models, MARK's format, words."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from marked_problems import assert_gradient

from uncia.models.marked.layout import blocks
from uncia.models.marked.live_dead import Barker, Burnham
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError
from uncia.survey.live_dead import LiveDeadHistory, read_live_dead_inp

TRUTH = {"S": 0.7, "p": 0.45, "r": 0.4, "F": 0.8, "R": 0.3, "R_prime": 0.2, "F_prime": 0.25}


def releases(T=5, each=6):
    """Animals released on every occasion, with a sex and an effort."""
    states = np.eye(T, dtype=int)[np.arange(T * each) % T]
    animals = pd.DataFrame({"sex": np.where(np.arange(len(states)) % 2, "m", "f")})
    live = EncounterHistory(states, None, None, animals, pd.DataFrame({"effort": np.linspace(-1, 1, T)}))
    return LiveDeadHistory(live, np.zeros_like(states))


def drawn(seed=1, losses=False, gaps=False, barker=True, intervals=None):
    """Small data: simulated, with animals lost at their last encounter, occasions and intervals without eyes."""
    base = releases()
    model, values = (Barker(base, F_prime="~ 1"), TRUTH) if barker else (Burnham(base), dict(list(TRUTH.items())[:4]))
    h = model.simulate(values, seed)
    states, between = h.live.states.copy(), h.between.copy()
    quiet = ~(between > 0).any(axis=1)
    if gaps:
        states[quiet & (states[:, 2] == 0), 2] = -1
        between[between[:, 3] == 0, 3] = -1
    lost = quiet & (np.arange(len(states)) % 4 == 0) & losses
    again = EncounterHistory(states, 1 + np.arange(len(states)) % 2, lost, h.animals, h.occasions, intervals)
    return LiveDeadHistory(again, between, 1.0 if intervals is None else 0.5)


FORMULAS = [
    {},
    {"S": "~ sex + t", "p": "~ effort", "r": "~ sex", "F": "~ t"},
    {"S": "~ age", "p": "~ cohort", "r": 0.3, "F": 1.0},
]


def point(model, seed=1):
    return np.random.default_rng(seed).normal(0.0, 0.5, model.parameters.size)


@pytest.mark.parametrize("losses", [False, True])
@pytest.mark.parametrize("formulas", FORMULAS)
def test_gradient(formulas, losses):
    burnham = Burnham(drawn(2, losses, gaps=losses, barker=False), **formulas)
    assert_gradient(burnham, point(burnham))
    barker = Barker(drawn(3, losses, gaps=losses), **formulas, R="~ effort", R_prime="~ sex", F_prime="~ 1")
    assert_gradient(barker, point(barker))


@pytest.mark.parametrize("intervals", [None, [1.0, 0.5, 2.0, 1.0]])
@pytest.mark.parametrize("losses", [False, True])
def test_oracle(losses, intervals):
    h = drawn(4, losses, gaps=True, intervals=intervals)
    model = Barker(h, "~ sex + t", "~ effort", "~ t", "~ sex", "~ 1", "~ age", "~ 1")
    values = model.parameters.values(point(model))
    slow = 0.0
    for i, (states, between) in enumerate(zip(h.live.states.tolist(), h.between.tolist(), strict=True)):
        v = {n: values[n][model.layouts[n].index[model.profile[i]]].tolist() for n in model.formulas}
        v["S"] = [s**length for s, length in zip(v["S"], h.intervals, strict=True)]
        one = oracle.live_dead_history(states, between, v, h.live.removed[i])
        slow += h.live.frequency[i] * math.log(one)
    assert model.evaluate(values, False)[0] == pytest.approx(slow, rel=1e-12)


def test_probabilities_of_all_histories_add_up():
    """Two occasions, released on the first: 2 (met again) × 3 × 3 reports, without life after death."""
    total = 0.0
    for met in (0, 1):
        for a in range(3):
            for b in range(3):
                if a == 1 and (met or b):
                    continue
                h = LiveDeadHistory(EncounterHistory(np.array([[1, met]])), np.array([[a, b]]))
                total += math.exp(Barker(h, F_prime="~ 1").at(**TRUTH).loglik)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_barker_without_sightings_is_burnham():
    h = drawn(5, losses=True, barker=False)
    burnham, barker = Burnham(h, "~ sex"), Barker(h, "~ sex", R=0.0, R_prime=0.0, F_prime=0.0)
    assert barker.loglik(point(burnham)) == pytest.approx(burnham.loglik(point(burnham)), rel=1e-12)


def test_random_emigration_is_a_return_as_likely_as_staying():
    h = drawn(6, losses=True, gaps=True)
    tied, free = Barker(h, "~ sex", F="~ t", F_prime="F"), Barker(h, "~ sex", F="~ t", F_prime="~ t")
    vector = point(tied)
    where = tied.parameters.slice_of("F")
    assert tied.loglik(vector) == pytest.approx(free.loglik(np.concatenate([vector, vector[where]])), rel=1e-12)
    assert_gradient(tied, vector)
    assert repr(tied).endswith("R_prime ~ 1, F_prime = F)") and tied.on(h).options == {"F_prime": "F"}


def test_nobody_could_report_is_cjs():
    """Without reports S and F are told only as their product, which is what CJS calls survival."""
    h = drawn(6, losses=True, barker=False)
    alone = LiveDeadHistory(h.live, np.full(h.between.shape, -1))
    cjs = CJS(h.live).at(phi=0.7 * 0.9, p=0.4)
    assert Burnham(alone, F=0.9, r=0.5).at(S=0.7, p=0.4).loglik == pytest.approx(cjs.loglik, rel=1e-12)


def test_recovers_true_survival_where_cjs_does_not():
    base = releases(6, 120)
    model = Burnham(base)
    truth = dict(list(TRUTH.items())[:4])
    data = model.simulate(truth, 7)
    assert np.array_equal(data.between, model.simulate(truth, 7).between)
    fit = model.on(data).fit()
    assert fit.verdict.good
    assert np.all(np.abs(fit.vector - model.at(**truth).vector) < 4 * fit.se)
    apparent = CJS(data.live).fit().values["phi"][0]
    assert abs(apparent - 0.56) < 0.05 and fit.predict("S")["lower"][0] > apparent
    table = fit.derive()
    assert table["quantity"].tolist() == ["survival", "detection", "recovery", "fidelity"]


def test_mark_format(tmp_path):
    path = tmp_path / "ld.inp"
    path.write_text("/* LDLD */\n100100 3 1;\n1010.0 -2 0;\n120010 1 1;\n", "utf-8")
    h = read_live_dead_inp(path, groups={"sex": ["m", "f"]}, intervals=[1, 2, 1])
    assert h.live.states[0].tolist() == [1, 0, 0] and h.between[0].tolist() == [0, 1, 0]
    assert h.live.removed.tolist() == [False, False, True, False, False]
    assert h.intervals.tolist() == [1, 2, 1] and h.n_animals == 8
    path.write_text("1100 1;\n2000 1;\n", "utf-8")
    with pytest.raises(SurveyError, match=r"ld\.inp, row 2") as error:
        read_live_dead_inp(path, intervals=[1])
    assert "2 occasions have 2 intervals here" in str(error.value)


def test_tables():
    encounters = pd.DataFrame({"animal": ["a", "b", "a"], "occasion": [2020, 2020, 2021]})
    reports = pd.DataFrame(
        {"animal": ["a", "a", "b"], "after": [2021, 2021, 2020], "found": ["dead", "alive", "alive"]}
    )
    h = LiveDeadHistory.from_table(encounters, reports, occasions=[2020, 2021, 2022], last_interval=0.5)
    assert h.live.states.tolist() == [[1, 1, 0], [1, 0, 0]] and h.between.tolist() == [[0, 1, 0], [2, 0, 0]]
    assert h.intervals.tolist() == [1.0, 1.0, 0.5]
    wrong = pd.DataFrame({"animal": ["x", "a", "a"], "after": [2020, 1999, 2020], "found": ["dead", "dead", "shot"]})
    with pytest.raises(SurveyError) as error:
        LiveDeadHistory.from_table(encounters, wrong)
    assert [p.value for p in error.value.problems] == ["x", 1999, "shot"]
    with pytest.raises(SurveyError, match="Add found"):
        LiveDeadHistory.from_table(encounters, wrong[["animal", "after"]])


def test_in_parts_it_is_the_same():
    h = drawn(8, losses=True, gaps=True)
    model = Barker(h, "~ sex + age", "~ effort", "~ t", "~ cohort", F_prime="~ 1")
    whole = model.loglik_and_gradient(point(model))
    assert model._parts == [model] and len(model.groups) > 7
    cut = blocks(model, ("looked", "reported", "first_of"), ("event", "first", "end", "frequency"), 3)
    assert len(cut) > 2
    model.__dict__["_parts"] = cut
    again = model.loglik_and_gradient(point(model))
    assert again[0] == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(again[1], whole[1], rtol=1e-9, atol=1e-11)


def test_words():
    with pytest.raises(SurveyError) as error:
        LiveDeadHistory.from_strings(["1110", "0210", "1001"], removed=[False, False, True])
    assert [p.what for p in error.value.problems] == [
        "an animal was reported before it was first met",
        "an animal lives after it was found dead",
        "an animal was not released, and reported later",
    ]
    with pytest.raises(SurveyError, match="two characters"):
        LiveDeadHistory.from_strings(["110"])
    with pytest.raises(SurveyError, match="Use Barker"):
        Burnham(LiveDeadHistory.from_strings(["1200"]))
    with pytest.raises(SurveyError, match="nobody was released"):
        Burnham(LiveDeadHistory.from_strings(["1000"], removed=[True]))
    with pytest.raises(SurveyError, match="needs reports between occasions"):
        Burnham(EncounterHistory(np.ones((2, 2), int)))  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 3])
def test_few_animals(n):
    h = LiveDeadHistory.from_strings(["100100", "001000", "101000"][:n])
    assert str(Burnham(h).fit())
