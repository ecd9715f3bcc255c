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
