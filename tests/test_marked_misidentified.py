"""Misidentification: the oracle that adds up every animal, gradients, rightly identified data, sensitivity."""

from __future__ import annotations

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, histories, suite
from scipy import stats
from scipy.special import logsumexp

from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.misidentified import MisidentifiedCapture, agreements, identification_curve
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


@pytest.mark.parametrize("checked", [None, (18, 20)])
def test_prior_is_averaged_over(checked):
    """Against a fine sum over alpha of the likelihood at a known rate."""
    h = histories(4)
    rates, weight = np.polynomial.legendre.leggauss(120)
    rates = (1 + rates) / 2
    log_prior = stats.beta.logpdf(rates, 20, 3) + np.log(weight / 2)
    one = [MisidentifiedCapture(h, "~ 1", r, checked=checked).at(p=0.4, N=50.0).loglik for r in rates]
    model = MisidentifiedCapture(h, "~ 1", prior=(20, 3), checked=checked)
    assert model.at(p=0.4, N=50.0).loglik == pytest.approx(logsumexp(np.array(one) + log_prior), abs=1e-6)
    assert_gradient(model, np.array([-0.4, 3.9]))
    share = model.belief({"p": np.array([0.4]), "N": np.array([50.0])})
    mean = np.exp(one + log_prior - logsumexp(one + log_prior)) @ rates
    assert share @ model.rates == pytest.approx(mean, abs=1e-5)


def test_a_narrow_prior_is_a_known_rate_and_a_wide_one_widens_the_interval():
    h = suite("kanha_tigers")
    known = MisidentifiedCapture(h, alpha=0.95).fit().derive()
    narrow = MisidentifiedCapture(h, prior=(9500, 500)).fit().derive()
    wide = MisidentifiedCapture(h, prior=(19, 1)).fit()
    np.testing.assert_allclose(narrow["estimate"][:2], known["estimate"][:2], rtol=2e-3)
    assert wide.verdict.good and wide.derive()["se"][0] > 1.02 * known["se"][0]
    row = wide.derive().set_index("quantity").loc["identification"]
    assert row["lower"] < 0.93 < row["upper"] and "given p and N" in row["interval"]


READINGS = pd.DataFrame(
    [["a", "a"], ["b", "b"], ["c", "x"], ["d", None], ["e", "e"], ["f", "f"], ["g", "g"]], columns=["first", "second"]
)


def test_profile_of_the_expected_number():
    """Where the log-likelihood, maximised over p, has dropped by 1.92."""
    h = suite("kanha_tigers")
    row = MisidentifiedCapture(h, alpha=0.95).fit(interval="profile").derive().iloc[1]
    assert row["interval"] == "95% profile" and row["lower"] < row["estimate"] < row["upper"]
    fit, logit = MisidentifiedCapture(h, alpha=0.95).fit(), np.linspace(-2.2, -0.4, 300)
    for end in (row["lower"], row["upper"]):
        best = max(fit.model.loglik(np.array([b, np.log(end)])) for b in logit)
        assert 2 * (fit.loglik - best) == pytest.approx(3.8415, abs=2e-3)


def test_double_reading():
    """Two readings agree when both are right: 5 of 6 here."""
    third = READINGS.assign(third=["a", "y", "z", None, None, None, None])
    assert agreements(READINGS) == {(2, 2): 5, (2, 0): 1}
    assert agreements(third) == {(3, 3): 1, (3, 2): 1, (3, 0): 1, (2, 2): 3}
    h, alpha = histories(3), 0.83
    model = MisidentifiedCapture(h, readings=third)
    added = model.at(p=0.4, N=40.0, alpha=alpha).loglik - MisidentifiedCapture(h, "~ 1", alpha).at(p=0.4, N=40.0).loglik
    wrong = 1 - alpha
    slow = np.log(alpha**3) + np.log(alpha**2 * wrong) + np.log(wrong**3 + 3 * alpha * wrong**2) + 3 * np.log(alpha**2)
    assert added == pytest.approx(slow, abs=1e-10)
    assert_gradient(model, np.array([-0.2, 1.1, 3.8]))
    assert_gradient(MisidentifiedCapture(h, readings=third, prior=(9, 1)), np.array([-0.2, 3.8]))
    many = pd.concat([READINGS] * 60, ignore_index=True)
    fit = MisidentifiedCapture(suite("kanha_tigers"), readings=many).fit()
    assert fit.values["alpha"][0] == pytest.approx(np.sqrt(5 / 6), abs=0.01)
    assert "surplus" not in str(fit.verdict)


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
    prior = MisidentifiedCapture(h, prior=(19, 1))
    assert repr(prior) == "MisidentifiedCapture(p ~ 1; alpha from a beta(19, 1))"
    assert "different checks" in prior.not_comparable(MisidentifiedCapture(h, checked=(9, 10)))
    assert prior.not_comparable(MisidentifiedCapture(h)) == ""
    with pytest.raises(SurveyError, match="leaves alpha out"):
        MisidentifiedCapture(h, alpha=0.9, prior=(9, 1))
    with pytest.raises(SurveyError, match=r"all different \(found '1'\)"):
        MisidentifiedCapture(h, readings=pd.DataFrame([["a", "a", "b", "c"], ["a", "a", "b", "b"]]))
    with pytest.raises(SurveyError, match="no photograph was read twice"):
        MisidentifiedCapture(h, readings=READINGS[["first"]])
    with pytest.raises(SurveyError, match="above 0 and not above 1"):
        MisidentifiedCapture(h, alpha=1.2)
    with pytest.raises(SurveyError, match="a ghost has no covariates"):
        MisidentifiedCapture(h, "~ sex")
    with pytest.raises(SurveyError, match="one number for all encounters"):
        MisidentifiedCapture(h, alpha="~ t")
    with pytest.raises(SurveyError, match="none lost"):
        MisidentifiedCapture(histories(1, losses=True))
