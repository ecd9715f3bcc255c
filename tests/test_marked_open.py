"""Open populations: the oracle, gradients, one model in four ways, openCR and Rcapture, confounded ends."""

from __future__ import annotations

import math

import numpy as np
import oracle_marked as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient, histories, suite
from reference import entry

from uncia.models.marked.open_derived import draw_population, present
from uncia.models.marked.open_population import JollySeber, Pradel
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

UNEQUAL = [1.0, 0.5, 2.0, 1.0]


def data(seed, gaps=False, intervals=UNEQUAL, losses=False):
    h = histories(seed, gaps=gaps, losses=losses)
    return EncounterHistory(h.states, h.frequency, h.removed, h.animals, h.occasions, intervals)


def point(model, seed=1):
    vector = np.random.default_rng(seed).normal(0.0, 0.3, model.parameters.size)
    for j, (name, term) in enumerate(model.parameters.labels):
        vector[j] += {"growth": 1.5, "N": 4.0, "f0": 2.0}.get(name, 0.0) * (term == "Intercept")
    return vector


WAYS = [{"f": "~ sex"}, {"growth": "~ t"}, {"gamma": "~ effort"}]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("recruitment", WAYS, ids=str)
@pytest.mark.parametrize("model", [Pradel, JollySeber])
def test_gradient(model, recruitment, gaps):
    made = model(data(3, gaps, losses=gaps), "~ sex", "~ T", **recruitment)
    assert_gradient(made, point(made))


@pytest.mark.parametrize("distribution", ["poisson", "binomial"])
def test_gradient_of_entries_and_number(distribution):
    made = JollySeber(data(3), "~ sex", "~ t", b="~ t", distribution=distribution)
    assert_gradient(made, point(made))


@pytest.mark.parametrize("gaps", [False, True])
def test_oracle(gaps):
    h = data(5, gaps, losses=True)
    model = JollySeber(h, "~ t", "~ effort", b="~ t")
    values = model.parameters.values(point(model))
    phi = values["phi"][model.layouts["phi"].index[0]] ** h.intervals
    p = np.where(model.looked, values["p"][model.layouts["p"].index[0]], 0.0)
    new = np.array([1.0, *values["b"]])
    beta, N, n = new / new.sum(), values["N"][0], h.n_animals
    unseen = oracle.open_history([0] * 5 if not gaps else [0, 0, -1, 0, 0], beta, phi, p)
    slow = n * math.log(N) - N * (1.0 - unseen) - math.lgamma(n + 1)
    assert h.removed.any()
    for states, k, last in zip(h.states.tolist(), h.frequency, np.where(h.removed, h.last, 4), strict=True):
        slow += k * math.log(oracle.open_history(states[: last + 1], beta, phi, p))
    assert model.evaluate(values, False)[0] == pytest.approx(slow, rel=1e-12)


def test_four_ways_to_write_one_model():
    h = data(7)
    phi, f = 0.6, 0.5
    first = Pradel(h, f="~ 1").at(phi=phi, p=0.4, f=f).loglik
    assert Pradel(h, growth="~ 1").at(phi=phi, p=0.4, growth=phi + f).loglik == pytest.approx(first, rel=1e-12)
    assert Pradel(h, gamma="~ 1").at(phi=phi, p=0.4, gamma=phi / (phi + f)).loglik == pytest.approx(first, rel=1e-12)


@given(st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_order_of_animals_and_repeated_rows(seed):
    h = data(seed)
    one = Pradel(h, "~ sex", "~ t")
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(h.states)), h.frequency))
    rows = EncounterHistory(h.states[order], None, None, h.animals.iloc[order], intervals=UNEQUAL)
    assert Pradel(rows, "~ sex", "~ t").loglik(point(one)) == pytest.approx(one.loglik(point(one)), rel=1e-10)


@pytest.mark.parametrize("distribution", ["poisson", "binomial"])
def test_closed_form_estimates_with_losses(distribution):
    """Jolly (1965): M = m + R z / r, phi_t = M_{t+1} / (M_t - m_t + R_t), N = n M / m, all by occasion, without bias
    corrections; new animals are N_{t+1} - phi_t (N_t - losses)."""
    first = JollySeber(EncounterHistory(np.eye(6, dtype=int)), f="~ 1")
    full = first.simulate({"phi": 0.8, "p": 0.5, "f": 0.25, "N": 900.0}, 3)
    lost = np.random.default_rng(1).random(len(full.states)) < 0.15
    h = EncounterHistory(full.states, full.frequency, lost)
    met, last = h.states > 0, np.arange(6) == h.last[:, None]
    n, released = h.frequency @ met, h.frequency @ (met & ~(last & lost[:, None]))
    before, after = np.cumsum(met, axis=1) - met > 0, ~np.cumsum(met[:, ::-1], axis=1)[:, ::-1].astype(bool)
    later = np.hstack([~after[:, 1:], np.zeros((len(lost), 1), bool)])
    m, r, z = (h.frequency @ which for which in (met & before, met & later, ~met & before & later))
    M = m[1:-1] + released[1:-1] * z[1:-1] / r[1:-1]
    M = np.r_[0.0, M]  # occasions 1 to 5
    fit = JollySeber(h, "~ t", "~ t", b="~ t", distribution=distribution).fit()
    phi = fit.model.parameters.values(fit.vector)["phi"]
    theirs = M[1:] / (M[:-1] - m[:4] + released[:4])
    exact = distribution == "poisson"  # where N is the number itself, up to terms of 1 / N
    np.testing.assert_allclose(phi[:4], theirs, rtol=1e-5 if exact else 2e-3)
    table = fit.abundance().set_index(["quantity", "scope"])["estimate"]
    N = n[1:5] * M[1:] / m[1:5]
    found = [table["expected abundance", f"occasion {t}"] for t in (2, 3, 4, 5)]
    np.testing.assert_allclose(found, N, rtol=1e-5 if exact else 5e-3)
    B = N[1:] - theirs[1:] * (N[:-1] - (n - released)[1:4])
    found = [table["recruits", f"occasion {t} to {t + 1}"] for t in (2, 3, 4)]
    np.testing.assert_allclose(found, B, rtol=1e-4 if exact else 2e-2)


def test_a_maximum_with_much_at_its_boundary_is_an_end():
    """Everything by occasion: some entries go to 0 and some survival to 1, where steps of a search hardly end."""
    rng, states, T = np.random.default_rng(9), [], 13
    for _ in range(300):
        born, met = rng.integers(0, T), np.zeros(T, int)
        for t in range(born, T):
            if t > born and rng.random() > 0.8:
                break
            met[t] = rng.random() < 0.3
        states += [met] if met.any() else []
    h = EncounterHistory(np.array(states), removed=rng.random(len(states)) < 0.05)
    fit = JollySeber(h, "~ t", "~ t", b="~ t").fit()
    assert "did not converge" not in str(fit.verdict) and "boundary" in str(fit.verdict)
    assert fit.loglik == pytest.approx(-807.351676, abs=1e-5)


def test_growth_below_survival_is_impossible():
    model = Pradel(data(2), growth="~ 1")
    assert model.at(phi=0.9, p=0.4, growth=0.5).loglik == -np.inf


OPENCR = {
    "PLBf": lambda h: Pradel(h, f="~ 1"),
    "PLBl": lambda h: Pradel(h, growth="~ 1"),
    "PLBg": lambda h: Pradel(h, gamma="~ 1"),
    "JSSAf": lambda h: JollySeber(h, f="~ 1"),
    "JSSAl": lambda h: JollySeber(h, growth="~ 1"),
    "JSSAb": lambda h: JollySeber(h, b="~ 1"),
}


@pytest.mark.parametrize("kind", OPENCR)
def test_dipper_agrees_with_opencr(kind):
    there = entry("dipper", f"openCR type {kind} all parameters constant")
    model = OPENCR[kind](suite("dipper"))
    order = lambda given: [given["phi"], given["p"], *(v for k, v in given.items() if k not in ("phi", "p"))]  # noqa: E731
    fixed = there["fixed_parameter_loglik"][0]
    assert model.loglik(np.array(order(fixed["values"]))) == pytest.approx(fixed["loglik"], abs=1e-9)
    fit = model.fit()
    assert fit.loglik >= there["loglik"] - 1e-6
    assert fit.loglik == pytest.approx(there["loglik"], abs=1e-6)
    theirs = np.array(order(there["coefficients"]))
    assert np.all(np.abs(fit.vector - theirs[:, 0]) < 1e-3 * theirs[:, 1])
    np.testing.assert_allclose(fit.se, theirs[:, 1], rtol=0.01)


def voles():
    h = suite("mvole")
    return EncounterHistory((h.states.reshape(-1, 4, 5) > 0).any(axis=2).astype(int))


def test_mvole_agrees_with_rcapture():
    there = entry("mvole", "Jolly-Seber loglinear model")["derived"]
    fit = JollySeber(voles(), "~ t", "~ t").fit()
    table = fit.abundance().set_index(["quantity", "scope"])
    for t in (2, 3):
        row = table.loc[("abundance", f"occasion {t}")]
        estimate, se = there["N"][f"period {t}"]
        assert row["estimate"] == pytest.approx(estimate, rel=2e-4)
        assert row["se"] == pytest.approx(se, rel=0.02)
        p = fit.predict("p").iloc[t - 1]
        assert p["estimate"] == pytest.approx(there["capture_prob"][f"period {t}"][0], rel=1e-3)
        assert p["se"] == pytest.approx(there["capture_prob"][f"period {t}"][1], rel=0.02)
    for t in (1, 2):
        phi = fit.predict("phi").iloc[t - 1]
        estimate, se = there["survivals"][f"period {t} -> {t + 1}"]
        assert phi["estimate"] == pytest.approx(estimate, rel=1e-3) and phi["se"] == pytest.approx(se, rel=0.01)
    recruits = table.loc[("recruits", "occasion 2 to 3")]["estimate"]
    assert recruits == pytest.approx(there["births"]["period 2 -> 3"][0], rel=1e-3)


def test_confounded_ends_have_no_standard_errors():
    fit = JollySeber(voles(), "~ t", "~ t").fit()
    assert not fit.verdict.good
    table = fit.abundance().set_index(["quantity", "scope"])["se"]["abundance"]
    assert np.isnan(table.iloc[[0, 3]]).all() and np.isfinite(table.iloc[[1, 2]]).all()


def test_binomial_number_has_smaller_errors():
    h = suite("dipper")
    poisson, binomial = JollySeber(h).fit(), JollySeber(h, distribution="binomial").fit()
    a, b = (f.derive().set_index(["quantity", "scope"]) for f in (poisson, binomial))
    at = ("expected abundance", "occasion 4")
    assert a.loc[at, "estimate"] == pytest.approx(b.loc[at, "estimate"], rel=0.02)
    assert b.loc[at, "se"] < a.loc[at, "se"]
    at = ("abundance", "occasion 4")
    assert a.loc[at, "se"] == pytest.approx(b.loc[at, "se"], rel=0.1)
    assert poisson.abundance_covariance().shape == (7, 7)
    assert "treat the number" in poisson.model.not_comparable(binomial.model)


def alive_slowly(states, beta, phi, p):
    """Probability [T] to be alive on each occasion given a history, by every first and last occasion of a life."""
    T = len(beta)
    weight, alive = 0.0, np.zeros(T)
    for first in range(T):
        for last in range(first, T):
            life = beta[first] * math.prod(phi[first:last]) * (1.0 - phi[last] if last < T - 1 else 1.0)
            for t in range(T):
                there = first <= t <= last
                life *= 1.0 if states[t] < 0 else p[t] * there if states[t] else 1.0 - p[t] * there
            weight += life
            alive[first : last + 1] += life
    return alive / weight, weight


@pytest.mark.parametrize("distribution", ["poisson", "binomial"])
@pytest.mark.parametrize("gaps", [False, True])
def test_animals_present_by_every_life(gaps, distribution):
    h = data(5, gaps)
    model = JollySeber(h, "~ sex", "~ t", b="~ t", distribution=distribution)
    at = point(model)
    values = model.parameters.values(at)
    survival, p, _ = model.natural(values)
    beta = model.entries(values).beta
    expected, variance, certain = np.zeros((3, 5))
    for g, states, k in zip(model.profile, h.states.tolist(), h.frequency, strict=True):
        alive = alive_slowly(states, beta[g], survival[g], p[g])[0]
        expected, variance = expected + k * alive, variance + k * alive * (1.0 - alive)
        met = np.flatnonzero(np.array(states) > 0)
        certain[met[0] : met[-1] + 1] += k
    for g in range(len(p)):
        nothing = [-1 if not looked else 0 for looked in model.looked]
        alive, unseen = alive_slowly(nothing, beta[g], survival[g], p[g])
        missed = values["N"][g] * unseen if distribution == "poisson" else values["f0"][g]
        expected = expected + missed * alive
        variance = variance + missed * alive * (1.0 if distribution == "poisson" else 1.0 - alive)
    found = present(model, at)
    np.testing.assert_array_equal(found.certain, certain)
    np.testing.assert_allclose(found.expected, expected, rtol=1e-10)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-10)


EIGHT = EncounterHistory(np.eye(8, dtype=int))


@pytest.mark.parametrize("recruitment", [{"f": "~ 1"}, {"b": "~ t"}], ids=str)
def test_intervals_of_realised_numbers_cover_them(recruitment):
    model = JollySeber(EIGHT, **recruitment)
    entries = {"Intercept": -0.9} | {f"t[T.{t}]": 0.0 for t in range(3, 9)}
    values = {"phi": 0.75, "p": 0.5, "N": 120.0, **({"f": 0.3} if "f" in recruitment else {"b": entries})}
    covered = []
    for seed in range(12):
        there = draw_population(model, model.coefficients_for(values), seed)[1].sum(axis=0)
        fit = model.on(model.simulate(values, seed)).fit()
        table = fit.abundance().query("quantity == 'abundance'")
        covered.append((table["lower"] <= there) & (there <= table["upper"]))
        least = present(fit.model, fit.vector)
        assert (table["se"] ** 2 >= least.variance).all() and (table["lower"] >= least.certain).all()
        assert (table["upper"] - table["lower"] > 1.0).all()
    assert 0.85 <= np.mean(covered) < 1.0


def test_numbers_are_certain_only_where_nobody_can_be_missed():
    states = np.repeat([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], 6, axis=0)
    width = []
    for p in (1.0, 0.9):
        table = JollySeber(EncounterHistory(states), "~ 1", p, b="~ t").fit().abundance().query("scope.str.len() == 10")
        rows = table[table["quantity"] == "abundance"]
        width.append((rows["upper"] - rows["lower"]).to_numpy())
        assert (rows["estimate"] >= (states.sum(axis=0) - 1e-9)).all()
    assert (width[0] < 1e-4).all() and (width[1] > 0.5).all()


def test_groups_have_their_own_numbers():
    fit = JollySeber(suite("dipper"), "~ sex", "~ 1", b="~ 1").fit()
    assert fit.model.formulas["N"] == "~ C(sex)"
    assert np.isfinite(fit.se).all()


def test_words():
    h = data(1)
    with pytest.raises(SurveyError, match="recruitment is one parameter"):
        Pradel(h, f="~ 1", gamma="~ 1")
    with pytest.raises(SurveyError, match="N by a covariate that is a number"):
        JollySeber(h, "~ mass")
    with pytest.raises(SurveyError, match="no number of animals"):
        Pradel(h).fit().abundance()


@pytest.mark.parametrize("n", [2, 3])
def test_few_animals(n):
    states = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]])[:n]
    assert str(Pradel(EncounterHistory(states)).fit()) and str(JollySeber(EncounterHistory(states), b="~ 1").fit())


def test_simulate_recovers():
    model = JollySeber(EncounterHistory(np.eye(6, dtype=int)), f="~ 1")
    values = {"phi": 0.8, "p": 0.5, "f": 0.25, "N": 1500.0}
    drawn = model.simulate(values, 4)
    assert np.array_equal(drawn.states, model.simulate(values, 4).states)
    fit = model.on(drawn).fit()
    assert np.all(np.abs(fit.vector - model.at(**values).vector) < 4 * fit.se)
    assert model.on(drawn).formulas == model.formulas
