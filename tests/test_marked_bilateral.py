"""Flanks: the oracle that adds up who is who, gradients, one flank is the plain model, recovery, words."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from marked_problems import assert_gradient

from uncia.models.kernels.closed_matching import matchings
from uncia.models.marked import bilateral
from uncia.models.marked.bilateral import BilateralCapture, flank_comparison, one_flank
from uncia.models.marked.closed import ClosedCapture
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

ROWS = [[4, 0, 1], [0, 2, 4], [1, 0, 0], [0, 1, 1], [1, 0, 0], [2, 0, 0], [0, 0, 2]]
NEVER = [[1, 0, 0], [0, 1, 1], [1, 0, 0], [2, 0, 0], [0, 2, 2]]


def history(rows, **more):
    return EncounterHistory(np.array(rows), **more)


def test_oracle_where_flanks_come_independently(monkeypatch):
    """Both flanks as often as chance has it: all pairs weigh the same, and nothing is approximated."""
    p, flank = 0.3, 1 - math.sqrt(0.7)
    both = flank**2 / p
    slow = oracle.bilateral(NEVER, [p] * 3, both, 0.5, 0.0, 6.0)
    monkeypatch.setattr(bilateral, "EXACT", 0)
    model = BilateralCapture(history(NEVER), matched=0.0)
    assert model.at(p=p, both=both, left=0.5, N=6.0).loglik == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(("rows", "matched"), [(ROWS, 1.0), (ROWS, 0.6), (NEVER, 0.0)])
def test_oracle_otherwise(rows, matched, monkeypatch):
    p, both, left = 0.3, 0.35, 0.45
    slow = oracle.bilateral(rows, [p] * 3, both, left, matched, 8.0)
    given = {"p": p, "both": both, "left": left, "N": 8.0}
    model = BilateralCapture(history(rows), matched=matched)
    assert model.at(**given).loglik == pytest.approx(slow, rel=1e-9)
    monkeypatch.setattr(bilateral, "EXACT", 0)
    assert model.at(**given).loglik == pytest.approx(slow, abs=0.08)


@pytest.mark.parametrize("odds", [0.0, 0.3, 4.0, 12.0])
def test_sum_over_matchings(odds, monkeypatch):
    """Weights that differ a hundredfold: the error of the approximation stays below 0.15 in the logarithm."""
    rng = np.random.default_rng(3)
    left, right = rng.random((7, 8)) < 0.25, rng.random((6, 8)) < 0.25
    weight = 0.1 * odds ** (left.astype(float) @ right.T)
    exact = math.log(oracle.matchings(weight.tolist()))
    model = BilateralCapture(history(NEVER))
    model._left, model._right = left.astype(float), right.astype(float)
    model._rows, model._columns, model.n_left, model.n_right = np.ones(7), np.ones(6), 7.0, 6.0
    with np.errstate(divide="ignore"):
        log_odds = np.log(np.full(8, odds))
    assert model._matched_sum(log_odds, math.log(0.1))[0] == pytest.approx(exact, rel=1e-12)
    monkeypatch.setattr(bilateral, "EXACT", 0)
    assert model._matched_sum(log_odds, math.log(0.1))[0] == pytest.approx(exact, abs=0.15 if odds > 1 else 0.01)
    pair = np.empty((1, 3))
    star = matchings(np.array([[0.2, 0.5, 1.5]]), np.ones(1), np.ones(3), pair)
    assert star == pytest.approx(math.log(1 + 2.2), abs=1e-10)  # without cycles it is exact
    np.testing.assert_allclose(pair, np.array([[0.2, 0.5, 1.5]]) / 3.2, atol=1e-10)


FORMULAS = [
    {},
    {"p": "~ t", "matched": "~ 1"},
    {"p": "~ effort", "both": "~ effort", "left": 0.5, "matched": 0.7},
    {"both": 0.0},
]


@pytest.mark.parametrize("exact", [0, 10])
@pytest.mark.parametrize("formulas", FORMULAS)
def test_gradient(formulas, exact, monkeypatch):
    monkeypatch.setattr(bilateral, "EXACT", exact)
    rows = NEVER if formulas.get("both") == 0.0 else ROWS
    effort = pd.DataFrame({"effort": [-1.0, 0.2, 0.9]})
    model = BilateralCapture(history(rows, occasions=effort, frequency=[1, 2, 1, 3, 1, 2, 2][: len(rows)]), **formulas)
    vector = np.random.default_rng(2).normal(0.0, 0.4, model.parameters.size)
    vector[-1] += 2.5
    assert_gradient(model, vector)


def test_flanks_always_together_are_the_plain_model():
    rows = 4 * np.random.default_rng(1).integers(0, 2, (12, 5))
    h = history(rows[rows.any(axis=1)])
    fit = BilateralCapture(h, both=1.0, left=0.5).fit()
    plain = ClosedCapture(h, likelihood="conditional").fit()
    np.testing.assert_allclose(fit.derive()["estimate"][0], plain.total()[0], rtol=1e-6)
    np.testing.assert_allclose(fit.derive()["se"][0], plain.total()[1], rtol=1e-4)


@pytest.mark.parametrize("matched", [1.0, "~ 1"])
def test_recovers_n_and_the_pairs(matched):
    base = BilateralCapture(history(np.eye(8, dtype=int)), both="~ 1", matched=0.5)
    base = BilateralCapture(base.history, matched=matched)
    truth = {"p": 0.25, "both": 0.3, "left": 0.5, "N": 150.0} | ({} if matched == 1.0 else {"matched": 0.7})
    data = base.simulate(truth, 4)
    assert np.array_equal(data.states, base.simulate(truth, 4).states)
    fit = base.on(data).fit()
    assert fit.verdict.good
    assert np.all(np.abs(fit.vector - base.at(**truth).vector) < 4 * fit.se)
    row = fit.derive().iloc[0]
    assert abs(row["estimate"] - 150) < 4 * np.hypot(row["se"], 12)
    assert 0 < fit.identities()["animals met twice"] < data.n_animals / 2
    profile = fit.derive("profile").iloc[1]
    assert profile["interval"] == "95% profile" and profile["lower"] < 150 < profile["upper"]
    table = flank_comparison(data, matched=matched)
    assert table["flanks"].tolist() == ["left", "right", "both"]
    assert table["se"].iloc[2] < table["se"].iloc[:2].min()


def test_words():
    with pytest.raises(SurveyError) as error:
        BilateralCapture(history([[1, 2, 0], [5, 0, 4], [1, 0, 3]]))
    assert len(error.value.problems) == 3
    assert "no photograph says that they are of one animal" in str(error.value)
    with pytest.raises(SurveyError, match="photographed apart"):
        BilateralCapture(history([[4, 3, 0]]))
    with pytest.raises(SurveyError, match="none lost"):
        BilateralCapture(history([[4, 1, 0]], removed=[True]))
    with pytest.raises(SurveyError, match="'left' or 'right'"):
        one_flank(history(ROWS), "top")
    assert one_flank(history(ROWS), "left").states.tolist() == [[1, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 1], [1, 0, 0]]
    fit = BilateralCapture(history(NEVER), both=0.0).fit()
    assert "No animal is known on both flanks" in str(fit.verdict)
    assert "0 animals known on both flanks, 3 left and 2 right identities, 3 occasions" in str(fit)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_animals(n):
    assert str(BilateralCapture(history(ROWS[1 : 1 + n])).fit())
