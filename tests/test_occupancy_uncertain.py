"""False positives, several methods and times to detection: slow twins, gradients, limits, the reference suite."""

import numpy as np
import oracle_occupancy as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from occupancy_problems import check_gradient, ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference_occupancy import agrees, history

from uncia.models.occupancy.false_positive import FalsePositiveOccupancy
from uncia.models.occupancy.multi_scale import MultiMethodOccupancy
from uncia.models.occupancy.single_season import Occupancy
from uncia.models.occupancy.time_to_detection import TimeToDetection
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def mixed_certainty(seed=1) -> DetectionHistory:
    """Visits of all three kinds, with gaps."""
    h = ragged(n=8, j=6, seed=seed, most=2)
    kind = np.array(["certain", "uncertain", "confirmable"])[h.visits["visit"].to_numpy() % 3]
    value = np.where((kind != "confirmable") & (h.value > 1), 1.0, h.value)
    return DetectionHistory(h.visits.assign(certainty=kind, value=value), h.sites)


def with_kinds(h: DetectionHistory, late: str) -> DetectionHistory:
    """The suite's design: visits 1 to 5 certain, the others of another kind."""
    return DetectionHistory(h.visits.assign(certainty=np.where(h.visits["visit"] <= 5, "certain", late)), h.sites)


BUILD = {
    "false positive": lambda h: FalsePositiveOccupancy(h, "~ x", "~ v", "~ v", "~ x"),
    "multi-method": lambda h: MultiMethodOccupancy(h, "~ x", "~ w", "~ v + method"),
    "time": lambda h: TimeToDetection(h, "~ x", "~ v"),
}


def problem(name: str, seed: int) -> DetectionHistory:
    if name == "false positive":
        return mixed_certainty(seed)
    return ragged(t=1 if name == "time" else 3, seed=seed, methods=True)


@pytest.mark.parametrize("seed", range(3))
def test_false_positive_equals_its_slow_twin(seed):
    model = BUILD["false positive"](mixed_certainty(seed))
    at = some_vector(model, seed)
    v = model.parameters.values(at)
    slow = oracle.false_positive(model.history, model.kind, v["psi"], v["p"], v["fp"], v["b"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_multi_method_equals_its_slow_twin(seed):
    model = BUILD["multi-method"](problem("multi-method", seed))
    at = some_vector(model, seed)
    v = model.parameters.values(at)
    slow = oracle.multi_scale(model.history, v["psi"], v["theta"], v["p"])
    assert model.loglik(at) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("name", BUILD)
def test_gradients(name):
    check_gradient(BUILD[name](problem(name, 2)))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(BUILD)))
def test_order_of_sites_and_what_was_not_done_change_nothing(seed, name):
    h = problem(name, seed)
    model = BUILD[name](h)
    at = some_vector(model, seed % 7)
    value, gradient = model.loglik_and_gradient(at)
    for other in (reordered(h, seed), with_missing_visit(h), with_missing_site(h)):
        again, slope = BUILD[name](other).loglik_and_gradient(at)
        assert again == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(slope, gradient, atol=1e-9)


def test_without_false_positives_it_is_occupancy():
    h = ragged()
    at = {"psi": 0.4, "p": 0.3}
    assert FalsePositiveOccupancy(h).at(fp=1e-12, **at).loglik == pytest.approx(Occupancy(h).at(**at).loglik, abs=1e-9)
    certain = DetectionHistory(h.visits.assign(certainty="certain"), h.sites)
    assert FalsePositiveOccupancy(certain, fp=0.2).at(**at).loglik == pytest.approx(Occupancy(h).at(**at).loglik)


def test_always_available_is_occupancy():
    h = ragged()
    both = MultiMethodOccupancy(h, "~ x", 1.0, "~ v"), Occupancy(h, "~ x", "~ v")
    at = some_vector(both[1])
    assert both[0].loglik(at) == pytest.approx(both[1].loglik(at), abs=1e-12)


def test_only_uncertain_detections_are_said_in_words():
    fit = FalsePositiveOccupancy(ragged(n=30, j=6)).at(psi=0.4, p=0.5, fp=0.1)
    assert "No detection is known to be true" in str(fit.verdict)
    assert fit.posterior()["occupied"].between(0, 1).all()


def test_refusals():
    h = ragged(most=2)
    with pytest.raises(SurveyError, match="not confirmable"):
        FalsePositiveOccupancy(DetectionHistory(h.visits.assign(certainty="uncertain"), h.sites))
    with pytest.raises(SurveyError, match="certainty of a visit is not known"):
        FalsePositiveOccupancy(DetectionHistory(h.visits.assign(certainty="sure"), h.sites))


def test_simulations_have_the_right_moments():
    h = with_kinds(DetectionHistory.from_wide(np.ones((4000, 10))), "confirmable")
    h = h.with_values(np.where(h.visits["visit"] > 5, 2.0, 1.0))
    again = FalsePositiveOccupancy(h).simulate({"psi": 0.5, "p": 0.4, "fp": 0.1, "b": 0.25}, seed=2)
    late = again.visits["visit"].to_numpy() > 5
    assert again.value[~late].mean() == pytest.approx(0.2, abs=0.02)
    assert (again.value[late] == 2).mean() == pytest.approx(0.05, abs=0.01)
    assert (again.value[late] == 1).mean() == pytest.approx(0.5 * 0.3 + 0.05, abs=0.02)
    h = DetectionHistory.from_wide(np.ones((2000, 3, 2)))
    again = MultiMethodOccupancy(h).simulate({"psi": 0.5, "theta": 0.6, "p": 0.5}, seed=2)
    assert again.value.mean() == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("which", "file", "late", "formulas"),
    [
        (0, "detections", "uncertain", ("~ habitat", "~ method")),
        (1, "detections", "uncertain", ()),
        (2, "detections_certain_uncertain", "confirmable", ("~ habitat", "~ method")),
    ],
)
def test_false_positive_reference(which, file, late, formulas):
    h = with_kinds(history("false_positive_occupancy", file), late)
    agrees(FalsePositiveOccupancy(h, *formulas), "false_positive_occupancy", which)


@pytest.mark.parametrize(("which", "formulas"), [(0, ()), (1, ("~ x", "~ w", "~ v"))])
def test_multi_scale_reference(which, formulas):
    agrees(MultiMethodOccupancy(history("multiscale_occupancy"), *formulas), "multiscale_occupancy", which)


def test_what_is_derived():
    fit = MultiMethodOccupancy(history("multiscale_occupancy")).fit()
    rows = fit.derive().set_index("quantity")["estimate"]
    assert rows["occupied and available"] == pytest.approx(rows["occupancy"] * rows["availability"])
    assert (fit.posterior()["available"] <= fit.posterior()["occupied"] + 1e-12).all()


# ---- times to detection ------------------------------------------------------------------------------------------


def test_time_to_detection_equals_its_slow_twin():
    model = BUILD["time"](ragged())
    at = some_vector(model)
    v = model.parameters.values(at)
    assert model.loglik(at) == pytest.approx(oracle.time_to_detection(model.history, v["psi"], v["rate"]), abs=1e-12)


def test_times_come_back():
    long = DetectionHistory.from_wide(np.ones((800, 2)), effort=np.tile([3.0, 6.0], (800, 1)))
    template = TimeToDetection(long)
    data = template.simulate({"psi": 0.6, "rate": 0.4}, seed=7)
    assert data.effort.max() <= 6.0
    fit = template.on(data).fit()
    np.testing.assert_array_less(np.abs(fit.vector - [np.log(1.5), np.log(0.4)]), 3 * fit.se)
    assert fit.derive().set_index("quantity").loc["detection", "estimate"] == pytest.approx(
        1 - np.exp(-fit.values["rate"][0])
    )
    with pytest.raises(SurveyError, match="all efforts are alike"):
        TimeToDetection(DetectionHistory.from_wide(np.ones((2, 2))))
