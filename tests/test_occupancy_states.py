"""Multistate and two-species occupancy: slow twins, gradients, limits, the reference suite."""

import numpy as np
import oracle_occupancy as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference import expected
from reference_occupancy import agrees, history, vector_of

from uncia.models.occupancy.multistate import MultistateOccupancy
from uncia.models.occupancy.single_season import Occupancy
from uncia.models.occupancy.two_species import TwoSpeciesOccupancy
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def other_species(h: DetectionHistory, seed: int) -> DetectionHistory:
    """Another species at the same sites, with visits of its own."""
    rng = np.random.default_rng(seed)
    value = np.where(rng.uniform(size=len(h.value)) < 0.3, np.nan, rng.integers(0, 2, len(h.value)))
    value[0] = 1
    return DetectionHistory(h.visits.assign(value=value), h.sites)


def two(h: DetectionHistory, seed: int = 2, **more) -> TwoSpeciesOccupancy:
    return TwoSpeciesOccupancy(h, other_species(h, seed), **({"f1": "~ x", "p1": "~ v", "p2": "~ v"} | more))


BUILD = {
    "nested": lambda h: MultistateOccupancy(h, psi="~ x", R="~ x", p1="~ v", p2="~ x", delta="~ v"),
    "odds": lambda h: MultistateOccupancy(h, form="odds", psi1="~ x", psi2="~ x", p11="~ v", p12="~ v", p22="~ x"),
}


@pytest.mark.parametrize("seed", range(3))
def test_nested_equals_its_slow_twin(seed):
    model = BUILD["nested"](ragged(most=2, seed=seed))
    at = some_vector(model, seed)
    v = model.parameters.values(at)
    slow = oracle.multistate(model.history, v["psi"], v["R"], v["p1"], v["p2"], v["delta"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_two_species_equal_their_slow_twin(seed):
    model = two(ragged(seed=seed), seed, f2="~ x", f12="~ x")
    at = some_vector(model, seed)
    v = model.parameters.values(at)
    slow = oracle.two_species(model.history, model.second, v["f1"], v["f2"], v["f12"], v["p1"], v["p2"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("name", BUILD)
def test_gradients_of_states(name):
    check_gradient(BUILD[name](ragged(most=2)))


def test_gradient_of_two_species():
    check_gradient(two(ragged(), f2="~ x", f12="~ x"))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = ragged(most=2, seed=seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    for other in (reordered(h, seed), with_missing_visit(h), with_missing_site(h)):
        assert BUILD[name](other).loglik(at) == pytest.approx(model.loglik(at), abs=1e-10)


def test_both_forms_say_the_same():
    h = ragged(most=2)
    psi, R, p1, p2, delta = 0.6, 0.3, 0.4, 0.5, 0.7
    nested = MultistateOccupancy(h).at(psi=psi, R=R, p1=p1, p2=p2, delta=delta).loglik
    odds = {"psi1": psi * (1 - R) / (1 - psi), "psi2": psi * R / (1 - psi), "p11": p1 / (1 - p1)}
    odds |= {"p12": p2 * (1 - delta) / (1 - p2), "p22": p2 * delta / (1 - p2)}
    assert MultistateOccupancy(h, form="odds").at(**odds).loglik == pytest.approx(nested, abs=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_species_without_interaction_are_two_single_species(seed):
    h = ragged(seed=seed)
    model = two(h, seed, f12=0.0)
    at = some_vector(model, seed)
    f1, f2, p1, p2 = at[:2], at[2:3], at[3:5], at[5:]
    alone = Occupancy(h, "~ x", "~ v").loglik(np.concatenate([f1, p1]))
    alone += Occupancy(model.second, p="~ v").loglik(np.concatenate([f2, p2]))
    assert model.loglik(at) == pytest.approx(alone, abs=1e-10)


@pytest.mark.parametrize(
    ("which", "form", "formulas"),
    [
        (0, "odds", {"psi1": "~ s1", "psi2": "~ s2", "p11": "~ o1"}),
        (1, "odds", {}),
        (2, "nested", {}),
        (3, "nested", {"psi": "~ s1", "R": "~ s2", "p1": "~ o1"}),
    ],
)
def test_multistate_reference(which, form, formulas):
    h = history("multistate_occupancy", value="state")
    agrees(MultistateOccupancy(h, form=form, **formulas), "multistate_occupancy", which)


@pytest.mark.parametrize(
    ("which", "formulas"),
    [(0, {"f12": 0.0}), (1, {"f1": "~ x", "p1": "~ w"}), (2, {"f1": "~ x", "f2": "~ x", "f12": "~ x"})],
)
def test_two_species_reference(which, formulas):
    a, b = (history("two_species_occupancy", f"detections_species_{s}") for s in "ab")
    agrees(TwoSpeciesOccupancy(a, b, **formulas), "two_species_occupancy", which)


def test_what_is_derived():
    a, b = (history("two_species_occupancy", f"detections_species_{s}") for s in "ab")
    fit = TwoSpeciesOccupancy(a, b, names=("tiger", "leopard")).fit()
    rows = fit.derive().set_index("quantity")["estimate"]
    assert rows["occupancy of tiger with leopard"] < rows["occupancy of tiger without leopard"]
    mixed = rows["occupancy of leopard"] * rows["occupancy of tiger with leopard"]
    mixed += (1 - rows["occupancy of leopard"]) * rows["occupancy of tiger without leopard"]
    assert rows["occupancy of tiger"] == pytest.approx(mixed)
    assert fit.posterior()["tiger"].between(0, 1).all()
    h = history("multistate_occupancy", value="state")
    fits = [MultistateOccupancy(h, form=form).fit() for form in ("nested", "odds")]
    ours, theirs = (fit.derive() for fit in fits)
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-4)
    np.testing.assert_allclose(ours["se"], theirs["se"], rtol=1e-3)
    point = expected("multistate_occupancy")[2]["fixed_parameter_loglik"][0]
    assert fits[0].model.loglik(vector_of(point["values"])) == pytest.approx(point["loglik"], abs=1e-6)


def test_simulations_have_the_right_moments():
    h = DetectionHistory.from_wide(np.full((4000, 3), 2.0))
    again = MultistateOccupancy(h).simulate({"psi": 0.6, "R": 0.5, "p1": 0.4, "p2": 0.8, "delta": 0.5}, seed=4)
    assert (again.value == 2).mean() == pytest.approx(0.6 * 0.5 * 0.8 * 0.5, abs=0.015)
    assert (again.value == 1).mean() == pytest.approx(0.3 * 0.4 + 0.3 * 0.4, abs=0.02)
    h = DetectionHistory.from_wide(np.ones((4000, 3)))
    a, b = TwoSpeciesOccupancy(h, h).simulate({"f1": 0.0, "f2": 0.0, "f12": 2.0, "p1": 0.9, "p2": 0.9}, seed=4)
    both = (a.detected & b.detected).mean()
    assert both == pytest.approx(np.exp(2) / (3 + np.exp(2)), abs=0.03)


def test_refusals():
    h = ragged(most=2)
    with pytest.raises(SurveyError, match="no such parameter"):
        MultistateOccupancy(h, psi1="~ x")
    with pytest.raises(SurveyError, match="no site was found in state 2"):
        MultistateOccupancy(ragged())
    with pytest.raises(SurveyError, match="this form is not known"):
        MultistateOccupancy(h, form="logits")
    with pytest.raises(SurveyError, match="different sites"):
        TwoSpeciesOccupancy(ragged(), ragged(n=8))
