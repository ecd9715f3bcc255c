"""Misidentification: the oracle that adds up every animal, gradients, rightly identified data, sensitivity."""

from __future__ import annotations

import numpy as np
import oracle_marked as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, histories, suite

from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.misidentified import MisidentifiedCapture, identification_curve
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError


@pytest.mark.parametrize(
    "observed",
    [
        {(1, 0): 2, (0, 1): 1, (1, 1): 1},
        {(1, 0): 1},
        {(1, 1): 2},
        {(1, 0, 0): 1, (0, 1, 0): 2, (1, 0, 1): 1},
    ],
)
def test_oracle(observed):
    T = len(next(iter(observed)))
    p, alpha, mean = [0.3, 0.45, 0.2][:T], 0.85, 1.3
    history = EncounterHistory(np.array(list(observed)), frequency=list(observed.values()))
    model = MisidentifiedCapture(history, "~ t", alpha)
    terms = {"Intercept": 0.0} | {f"t[T.{t + 1}]": 0.0 for t in range(1, T)}
    logit = np.log(np.array(p) / (1 - np.array(p)))
    terms = {"Intercept": logit[0]} | {f"t[T.{t + 1}]": logit[t] - logit[0] for t in range(1, T)}
    slow = oracle.misidentified(observed, p, alpha, mean, most=16)
    assert model.at(p=terms, N=mean).loglik == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize(("p", "alpha"), [("~ 1", 0.9), ("~ t", 0.8), ("~ effort", "~ 1"), (0.3, "~ 1")])
@pytest.mark.parametrize("gaps", [False, True])
def test_gradient(p, alpha, gaps):
    model = MisidentifiedCapture(histories(3, gaps=gaps), p, alpha, checked=(18, 20) if alpha == "~ 1" else None)
    vector = np.random.default_rng(1).normal(0.0, 0.4, model.parameters.size)
    vector[-1] += 3.0
    assert_gradient(model, vector)


def test_rightly_identified_is_the_plain_model():
    """At alpha = 1, the Poisson form of the closed population: Huggins' p, and N = n / Pr(met)."""
    h = suite("kanha_tigers")
    fit, plain = MisidentifiedCapture(h, "~ t", 1.0).fit(), ClosedCapture(h, "~ t", likelihood="conditional").fit()
    np.testing.assert_allclose(fit.vector[:-1], plain.vector, atol=1e-4)
    row = fit.derive().iloc[0]
    np.testing.assert_allclose([row["estimate"], row["se"]], plain.total()[:2], rtol=1e-4)
    assert fit.real_animals()["ghosts"] == pytest.approx(0.0, abs=1e-9)
    n, values = h.n_animals, fit.values
    met = 1.0 - np.prod(1.0 - values["p"])
    loglik = plain.model.loglik(fit.vector[:-1]) + n * np.log(values["N"][0] * met) - values["N"][0] * met
    assert fit.loglik == pytest.approx(loglik, abs=1e-9)


@given(st.integers(0, 60))
@settings(max_examples=15, deadline=None)
def test_order_of_animals_and_repeated_rows(seed):
    h = histories(seed)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(h.states)), h.frequency))
    a, b = MisidentifiedCapture(h), MisidentifiedCapture(EncounterHistory(h.states[order]))
    assert b.at(p=0.4, N=40.0).loglik == pytest.approx(a.at(p=0.4, N=40.0).loglik, rel=1e-12)


def test_sensitivity_of_the_tigers():
    table = identification_curve(suite("kanha_tigers"), rates=[1.0, 0.95, 0.9])
    assert table["estimate"].is_monotonic_decreasing and table["ghosts"].is_monotonic_increasing
    assert table["estimate"].iloc[0] == pytest.approx(29.183, abs=1e-3)
    assert (table["lower"] < table["estimate"]).all() and (table["estimate"] < table["upper"]).all()


def test_recovers_where_the_plain_model_does_not():
    base = MisidentifiedCapture(EncounterHistory(np.eye(8, dtype=int)), "~ 1", "~ 1", checked=(360, 400))
    drawn = base.simulate({"p": 0.3, "alpha": 0.9, "N": 400.0}, 3)
    assert np.array_equal(drawn.states, base.simulate({"p": 0.3, "alpha": 0.9, "N": 400.0}, 3).states)
    fit = base.on(drawn).fit()
    row = fit.derive().iloc[0]
    assert abs(row["estimate"] - 400) < 4 * np.hypot(row["se"], 20)
    assert ClosedCapture(drawn).fit().total()[0] > 480
    assert 0.85 < fit.values["alpha"][0] < 0.95


def test_alpha_without_a_check_says_what_it_rests_on():
    fit = MisidentifiedCapture(suite("kanha_tigers"), alpha="~ 1").fit()
    assert "only by the surplus of animals met once" in str(fit.verdict)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_animals(n):
    states = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]])[:n]
    assert str(MisidentifiedCapture(EncounterHistory(states)).fit())


def test_nobody_met_twice():
    fit = MisidentifiedCapture(EncounterHistory(np.eye(5, dtype=int)), alpha=0.95).fit()
    assert not fit.verdict.good


def test_words():
    h = histories(1)
    with pytest.raises(SurveyError, match="above 0 and not above 1"):
        MisidentifiedCapture(h, alpha=1.2)
    with pytest.raises(SurveyError, match="a ghost has no covariates"):
        MisidentifiedCapture(h, "~ sex")
    with pytest.raises(SurveyError, match="one number for all encounters"):
        MisidentifiedCapture(h, alpha="~ t")
    with pytest.raises(SurveyError, match="none lost"):
        MisidentifiedCapture(histories(1, losses=True))
