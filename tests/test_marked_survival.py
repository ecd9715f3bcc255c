"""Cormack-Jolly-Seber: the oracle, gradients, invariances, dipper, edges and confounded parameters."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, histories, suite
from reference import expected, reference

from uncia.models.inference.compare import compare
from uncia.models.marked.survival import CJS
from uncia.models.verdict import Outcome
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

FORMULAS = [
    ("~ 1", "~ 1"),
    ("~ t", "~ t"),
    ("~ sex", "~ effort"),
    ("~ age + mass", "~ sex * T"),
    ("~ cohort", "~ age"),
    (0.7, "~ t"),
]


def point(model, seed=1):
    return np.random.default_rng(seed).normal(0.0, 0.5, model.parameters.size)


@pytest.mark.parametrize(("losses", "gaps"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("phi", "p"), FORMULAS)
def test_gradient(phi, p, losses, gaps):
    model = CJS(histories(3, losses=losses, gaps=gaps), phi, p)
    assert_gradient(model, point(model))


@pytest.mark.parametrize("intervals", [None, [1.0, 0.5, 2.0, 1.0]])
@pytest.mark.parametrize("losses", [False, True])
def test_oracle(losses, intervals):
    h = histories(5, losses=losses, gaps=True)
    h = EncounterHistory(h.states, h.frequency, h.removed, h.animals, h.occasions, intervals)
    model = CJS(h, "~ sex + t", "~ effort + age")
    values = model.parameters.values(point(model))
    slow = 0.0
    for i, states in enumerate(h.states.tolist()):
        g = model.profile[i]
        phi = values["phi"][model.layouts["phi"].index[g]] ** h.intervals
        p = [0.0, *values["p"][model.layouts["p"].index[g]]]
        slow += h.frequency[i] * math.log(oracle.cjs_history(states, phi, p, h.removed[i]))
    assert model.evaluate(values, False)[0] == pytest.approx(slow, rel=1e-12)


@given(st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_order_of_animals_and_repeated_rows(seed):
    h = histories(seed, losses=True)
    one = CJS(h, "~ sex + t", "~ age")
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(h.states)), h.frequency))
    other = CJS(EncounterHistory(h.states[order], None, h.removed[order], h.animals.iloc[order]), "~ sex + t", "~ age")
    assert other.loglik(point(one)) == pytest.approx(one.loglik(point(one)), rel=1e-10)


def test_groups_without_effects_are_one():
    h = histories(6)
    assert CJS(h, "~ sex").loglik(np.array([0.4, 0.0, -0.2])) == pytest.approx(CJS(h).loglik(np.array([0.4, -0.2])))


def test_half_intervals_are_the_square_root():
    h = histories(8)
    half = EncounterHistory(h.states, h.frequency, intervals=np.full(4, 0.5))
    phi = 0.6
    assert CJS(half).at(phi=phi**2, p=0.4).loglik == pytest.approx(CJS(h).at(phi=phi, p=0.4).loglik, rel=1e-12)


# ---- dipper ---------------------------------------------------------------------------------------------------------


def dipper():
    flood = pd.read_csv(reference("dipper") / "intervals.csv")["flood"].tolist()
    return suite("dipper", occasions=pd.DataFrame({"flood": [*flood, 0]}))


TERMS = {"Phi.(Intercept)": "phi", "p.(Intercept)": "p"}
MODELS = {
    "phi(.) p(.)": ("~ 1", "~ 1"),
    "phi(t) p(.)": ("~ t", "~ 1"),
    "phi(t) p(t)": ("~ t", "~ t"),
    "phi(sex) p(.)": ("~ sex", "~ 1"),
    "phi(flood) p(.)": ("~ flood", "~ 1"),
    "phi(flood*sex) p(.)": ("~ flood * sex", "~ 1"),
    "phi(sex) p(sex)": ("~ sex", "~ sex"),
}
MARK_AIC = {"phi(.) p(.)": 670.8377, "phi(t) p(.)": 673.7301, "phi(flood) p(.)": 666.1028, "phi(sex) p(.)": 672.6762}


@pytest.mark.parametrize("name", MODELS)
def test_dipper(name):
    entries = [e for e in expected("dipper") if e["model"] == f"CJS {name}"]
    assert entries
    model = CJS(dipper(), *MODELS[name])
    fit = model.fit()
    for there in entries:
        assert fit.loglik >= there["loglik"] - 1e-6
        assert fit.loglik == pytest.approx(there["loglik"], abs=1e-6)
        assert fit.n_parameters == there["n_parameters"]
        for fixed in there.get("fixed_parameter_loglik", []):
            given = list(fixed["values"].items())
            ordered = [v for k, v in given if k.startswith("phi")] + [v for k, v in given if not k.startswith("phi")]
            assert model.loglik(np.array(ordered)) == pytest.approx(fixed["loglik"], abs=1e-8)
        if there["program"] == "marked" and "phi(t) p(t)" not in name:
            pairs = list(there["coefficients"].values())
            np.testing.assert_allclose(fit.vector, [b for b, _ in pairs], atol=2e-3)
            np.testing.assert_allclose(fit.se, [se for _, se in pairs], rtol=0.01)
    if name in MARK_AIC:
        assert fit.aic == pytest.approx(MARK_AIC[name], abs=1e-4)


def test_dipper_real_values_and_releases():
    fit = CJS(dipper()).fit()
    row = fit.predict("phi").iloc[0]
    np.testing.assert_allclose(row[["estimate", "lower", "upper"]].tolist(), [0.56024, 0.51055, 0.60876], atol=2e-5)
    assert fit.model.sample_size == 22 + 60 + 78 + 80 + 88 + 98
    assert fit.aicc == pytest.approx(670.866, abs=1e-3)


def test_confounded_last_product_is_named():
    fit = CJS(dipper(), "~ t", "~ t").fit()
    assert Outcome.FLAT in fit.verdict
    text = str(fit.verdict)
    assert "phi (t[T.6]) and p (t[T.7])" in text
    assert "only the product is determined: 0.5306" in text
    table = fit.predict("phi")
    assert np.isnan(table["se"].iloc[-1]) and np.isfinite(table["se"].iloc[:-1]).all()
    # one standard error of the others, as MARK has it
    assert table["se"].iloc[0] == pytest.approx(0.155547, rel=0.01)


def test_survival_of_one_is_named():
    states = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]])
    fit = CJS(EncounterHistory(states)).fit()
    assert "phi (estimated as 1) is at a boundary" in str(fit.verdict)
    assert fit.verdict.good
    assert np.isnan(fit.predict("phi")["se"][0]) and np.isfinite(fit.predict("p")["se"][0])
    row = fit.derive("profile").iloc[0]
    assert row["interval"] == "95% profile" and 0.5 < row["lower"] < 1.0 and row["upper"] == pytest.approx(1.0)
    lower = row["lower"]
    best = max(fit.model.at(phi=lower, p=p).loglik for p in np.linspace(0.3, 0.99, 500))
    assert 2 * (fit.loglik - best) == pytest.approx(3.8415, abs=2e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_animals(n):
    states = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]])[:n]
    fit = CJS(EncounterHistory(states)).fit()
    assert np.isfinite(fit.loglik) and str(fit)


def test_words_and_table():
    with pytest.raises(SurveyError, match="before the last occasion"):
        CJS(EncounterHistory(np.array([[0, 1]])))
    with pytest.raises(SurveyError, match="0 apart"):
        CJS(EncounterHistory(np.ones((3, 3), int), intervals=[0, 1]))
    h = dipper()
    table = compare({"constant": CJS(h).fit(), "flood": CJS(h, "~ flood").fit()})
    assert table["model"][0] == "flood"
    assert CJS(h).fit().derive()["quantity"].tolist() == ["survival", "detection"]


def test_simulate_recovers():
    h = EncounterHistory(np.eye(6, dtype=int)[:5], frequency=[300] * 5)
    model = CJS(h)
    data = model.simulate({"phi": 0.8, "p": 0.4}, 5)
    assert np.array_equal(data.states, model.simulate({"phi": 0.8, "p": 0.4}, 5).states)
    fit = model.on(data).fit()
    assert np.all(np.abs(fit.vector - model.at(phi=0.8, p=0.4).vector) < 4 * fit.se)


# ---- transients, and animals that differ ---------------------------------------------------------------------------


def test_transients_are_a_lower_survival_of_the_newly_met():
    """Pradel et al. 1997: the first interval's survival is (1 - tau) phi."""
    h = histories(4, n=30, losses=True, gaps=True)
    new = CJS(h, "~ new", "~ t")
    vector = np.array([1.0, -0.7, *point(new)[2:]])
    phi, first = 1 / (1 + math.exp(-1.0)), 1 / (1 + math.exp(-0.3))
    explicit = CJS(h, "~ 1", "~ t", tau="~ 1")
    tau = 1 - first / phi
    again = np.concatenate([[1.0], vector[2:], [math.log(tau / (1 - tau))]])
    assert explicit.loglik(again) == pytest.approx(new.loglik(vector), rel=1e-12)


MORE = [
    {"tau": "~ sex"},
    {"tau": "~ cohort", "individual": "p"},
    {"individual": "phi"},
    {"individual": ("phi", "p"), "tau": 0.2, "nodes": 7},
]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("gaps", [False, True])
def test_gradient_of_transients_and_differences(more, gaps):
    model = CJS(histories(3, losses=gaps, gaps=gaps), "~ sex", "~ t", **more)
    assert_gradient(model, point(model))


def test_differences_are_an_integral_over_animals():
    """Against a fine sum over the normal density, animal by animal."""
    h = histories(5, n=15, gaps=True)
    model = CJS(h, individual="p", tau="~ 1", nodes=40)
    values = {"phi": 0.8, "p": 0.4, "tau": 0.1, "sigma_p": 1.3}
    z = np.linspace(-8, 8, 801)
    w = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    p = 1 / (1 + np.exp(-(math.log(0.4 / 0.6) + 1.3 * z)))
    slow = 0.0
    for states, k in zip(h.states.tolist(), h.frequency, strict=True):
        if np.flatnonzero(np.array(states) > 0)[0] == h.n_occasions - 1:
            continue
        at = [oracle.cjs_history(states, [0.8] * 4, [v] * 5, False) for v in p]
        again = (np.array(states) > 0).sum() > 1
        slow += k * math.log(0.9 * float(w @ at) + (0.0 if again else 0.1))
    assert model.at(**values).loglik == pytest.approx(slow, abs=1e-6)
    assert "use nodes=4" in str(CJS(h, individual="p", nodes=2).at(phi=0.8, p=0.4, sigma_p=3.0).verdict)


def test_recovers_transients_and_differences():
    h = EncounterHistory(np.eye(8, dtype=int)[:7], frequency=[120] * 7)
    model = CJS(h, tau="~ 1", individual="p")
    truth = {"phi": 0.85, "p": 0.4, "tau": 0.3, "sigma_p": 1.0}
    fit = model.on(model.simulate(truth, 2)).fit()
    assert fit.verdict.good
    assert np.all(np.abs(fit.vector - model.at(**truth).vector) < 4 * fit.se)
    assert CJS(fit.model.history).fit().values["phi"][0] < 0.8
    assert fit.derive()["quantity"].tolist() == ["survival", "detection", "transients", "differences in detection"]


def test_animals_that_do_not_differ_are_said_to():
    h = EncounterHistory(np.eye(8, dtype=int)[:7], frequency=[60] * 7)
    data = CJS(h).simulate({"phi": 0.8, "p": 0.5}, 0)
    fit, plain = CJS(data, individual="p").fit(), CJS(data).fit()
    assert "sigma_p (estimated as 0) is at a boundary" in str(fit.verdict)
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
    np.testing.assert_allclose(fit.se[:2], plain.se, rtol=1e-3)


def test_words_of_differences():
    with pytest.raises(SurveyError, match="individual is not known"):
        CJS(histories(1), individual="tau")
    assert repr(CJS(histories(1), individual="p")) == "CJS(phi ~ 1, p ~ 1; animals differ in p)"
