"""The spatial likelihood engine equals its slow dense twin: values, gradients, curvature, windows and odd data."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import oracle
import pytest
from spatial_problems import holed_raster, parameters, problem

from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.spatial.engine import separable
from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.engine.problem import BINARY, COUNT, MULTI

KINDS = ("count", "binary", "multi", "mixed")


def draw(likelihood_problem, seed=3):
    """log_mu with an empty cell, and derivatives (d_log_a, d_detected) of a made-up objective."""
    rng = np.random.default_rng(seed)
    log_mu = rng.normal(-4.0, 0.5, likelihood_problem.raster.size)
    log_mu[5] = -np.inf
    return log_mu, rng.uniform(0.5, 1.5, likelihood_problem.n_animals), -1.7


def oracle_row_gradient(p, log_mu, rows, d_log_a, d_detected):
    """d_rows [R, 3] of the dense twin: complex step, or central differences where a function has no complex form."""
    used = len(DETECTION_FUNCTIONS[p.detection].parameters)
    gradient = np.zeros_like(rows)

    def objective(at):
        log_a, detected = oracle.spatial(p, log_mu, at)
        return d_log_a @ log_a + d_detected * detected

    for place in np.ndindex(len(rows), used):
        if "gamma" in p.detection:
            step = np.zeros_like(rows)
            step[place] = 1e-5 * rows[place]
            gradient[place] = (objective(rows + step) - objective(rows - step)) / (2 * step[place])
        else:
            shifted = rows.astype(complex)
            shifted[place] += 1e-30j
            gradient[place] = objective(shifted).imag / 1e-30
    return gradient


@pytest.mark.parametrize("detection", DETECTION_FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient_equal_the_dense_twin(kind, detection):
    n_rows, lost = (2, True) if kind in ("multi", "mixed") else (1, False)
    p = problem(kind, detection, n_rows=n_rows, lost=lost)
    rows = parameters(detection, n_rows)
    log_mu, d_log_a, d_detected = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, rows)
    log_a, detected = oracle.spatial(p, log_mu, rows)
    np.testing.assert_allclose(at.log_a, log_a, rtol=0, atol=3e-13)
    assert at.detected == pytest.approx(detected, rel=1e-13)
    assert at.total == pytest.approx(np.exp(log_mu).sum(), rel=1e-13)
    assert at.bound <= 1e-12

    d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
    void = p.void_weight @ oracle.fields(p, np.exp(oracle.log_hazards(p, rows)))
    posterior = np.exp(oracle.log_histories(p, rows) + log_mu - log_a[:, None])
    expected = d_log_a @ posterior + d_detected * np.exp(log_mu) * -np.expm1(-void)
    np.testing.assert_allclose(d_log_mu, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    expected = oracle_row_gradient(p, log_mu, rows, d_log_a, d_detected)
    tolerance = 1e-7 if "gamma" in detection else 1e-10
    scale = np.abs(expected).max(axis=0) + (expected == 0).all(axis=0)
    np.testing.assert_allclose(d_rows / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "kind, detection, small",
    [(kind, "hazard half-normal", 0.0) for kind in KINDS]
    + [("mixed", "half-normal", 0.0)]
    + [("mixed", name, 3e6) for name in DETECTION_FUNCTIONS],
)
def test_curvature_equals_differences_of_the_gradient(kind, detection, small, monkeypatch):
    monkeypatch.setattr(separable, "SMALL", small)  # 0: on tiles, however small the problem
    monkeypatch.setattr(separable, "SMALL_CHANCES", small)
    p = problem(kind, detection, n_rows=2, lost=kind != "count", shape=(25, 28))
    rows = parameters(detection, 2)
    log_mu, d_log_a, d_detected = draw(p)
    size = 5
    along_mu = np.zeros((p.raster.size, size))
    along_mu[:, 0] = 1.0
    along_mu[:, 1] = np.random.default_rng(4).normal(size=p.raster.size)
    along_rows = np.zeros((2, 3, size))
    along_rows[:, 0, 2], along_rows[:, 1, 3], along_rows[:, 2, 4] = 0.05, 70.0, 0.6
    along_rows[0, 1, 1] = 3.0
    along_rows[1] *= 1.4
    likelihood = SpatialLikelihood(p, threads=1)
    found = likelihood.curvature(likelihood.evaluate(log_mu, rows), d_log_a, d_detected, along_mu, along_rows)

    def first(a, step):
        at = likelihood.evaluate(log_mu + step * along_mu[:, a], rows + step * along_rows[:, :, a])
        d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
        return at.log_a, at.detected, along_mu.T @ d_log_mu + np.einsum("rc,rcp->p", d_rows, along_rows)

    for a in range(size):
        up, down = first(a, 1e-5), first(a, -1e-5)
        log_a, detected, gradient = ((u - d) / 2e-5 for u, d in zip(up, down, strict=True))
        np.testing.assert_allclose(found.log_a[:, a], log_a, rtol=1e-7, atol=1e-7)
        assert found.detected[a] == pytest.approx(detected, rel=1e-7, abs=1e-7)
        np.testing.assert_allclose(found.second[a], gradient, rtol=0, atol=1e-7 * np.abs(found.second).max())


@pytest.mark.parametrize(
    "kind, detection", [(kind, "hazard half-normal") for kind in KINDS] + [("mixed", "half-normal")]
)
def test_curvature_on_tiles_where_detection_is_high_equals_that_by_blocks(kind, detection, monkeypatch):
    p = problem(kind, detection, n_rows=2, lost=kind != "count", shape=(70, 45), animals=9)
    rows = parameters(detection, 2)
    rows[:, 0] = [0.97, 0.6] if detection == "half-normal" else [1.4, 5.0]  # no series would do near detectors
    log_mu, d_log_a, d_detected = draw(p)
    along_mu = np.zeros((p.raster.size, 3))
    along_mu[:, 0], along_mu[:, 1] = 1.0, np.linspace(-1.0, 1.0, p.raster.size)
    along_rows = np.zeros((2, 3, 3))
    along_rows[:, 0, 2], along_rows[0, 1, 1] = rows[:, 0], rows[0, 1]
    share_everything(monkeypatch)
    found = []
    for small, threads in ((0.0, 1), (0.0, 3), (np.inf, 1)):
        monkeypatch.setattr(separable, "SMALL", small)
        monkeypatch.setattr(separable, "SMALL_CHANCES", small)
        likelihood = SpatialLikelihood(p, threads=threads)
        found.append(likelihood.curvature(likelihood.evaluate(log_mu, rows), d_log_a, d_detected, along_mu, along_rows))
    for one, other, by_blocks in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, by_blocks, rtol=0, atol=1e-10 * np.abs(by_blocks).max())


def share_everything(monkeypatch):
    """Threads also where they would not be worth it."""
    for name in ("LITTLE", "FEW", "MANY"):
        monkeypatch.setattr(separable, name, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("detection", ["hazard half-normal", "half-normal", "exponential"])
def test_results_are_the_same_bytes_for_any_number_of_threads(kind, detection, monkeypatch):
    share_everything(monkeypatch)
    p = problem(kind, detection, shape=(130, 140), animals=12, lost=True)
    rows = parameters(detection)
    log_mu, d_log_a, d_detected = draw(p)
    answers = []
    for threads in (1, 2, 5):
        likelihood = SpatialLikelihood(p, threads=threads)
        at = likelihood.evaluate(log_mu, rows)
        d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
        answers.append(b"".join(np.asarray(a).tobytes() for a in (at.log_a, at.detected, d_log_mu, d_rows)))
    assert answers[0] == answers[1] == answers[2]


def test_windows_are_widened_where_detectors_hide_the_animals():
    """At 100 times the hazard exp(-Λ) is nothing inside the array: the posterior mass lies far outside it."""
    p = problem("count", shape=(120, 130), animals=12)
    log_mu, _, _ = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    for scale, reach in [(100.0, 1.0), (0.001, 1.0), (20.0, 4.0), (1.0, 0.1)]:
        rows = parameters(p.detection) * [[scale, reach, 1.0]]
        at = likelihood.evaluate(log_mu, rows)
        log_a, detected = oracle.spatial(p, log_mu, rows)
        np.testing.assert_allclose(at.log_a, log_a, rtol=1e-13, atol=1e-12)
        assert at.detected == pytest.approx(detected, rel=1e-11)
        assert at.bound <= 1e-12


def test_an_animal_far_from_habitat_has_a_finite_likelihood():
    p = problem("count", animals=3)
    far = p.pass_x.copy()
    far[p.event_pass[0]] += 40_000.0  # 270 sigma away: every likelihood underflows
    p = replace(p, pass_x=far)
    log_mu, d_log_a, d_detected = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, parameters(p.detection))
    assert at.log_a[0] < -1e4 and np.isfinite(at.log_a).all()
    assert at.impossible.size == 0
    d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
    assert np.isfinite(d_log_mu).all() and np.isfinite(d_rows).all()


def test_an_impossible_animal_is_named():
    p = problem("binary", animals=4)
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(np.full(p.raster.size, -np.inf), parameters(p.detection))
    np.testing.assert_array_equal(at.impossible, [0, 1, 2, 3])
    assert at.detected == 0.0
    d_log_mu, d_rows = likelihood.pullback(at, np.ones(4), -1.0)
    assert not d_log_mu.any() and not d_rows.any()


def test_one_animal_in_one_cell():
    p = problem("binary", animals=1, detectors=3)
    p = replace(p, raster=replace(p.raster, habitat=np.array([[True]])))
    log_mu, rows = np.array([-1.0]), parameters(p.detection)
    likelihood = SpatialLikelihood(p, threads=2)
    at = likelihood.evaluate(log_mu, rows)
    log_a, detected = oracle.spatial(p, log_mu, rows)
    np.testing.assert_allclose(at.log_a, log_a, rtol=1e-14)
    assert at.detected == pytest.approx(detected, rel=1e-14)
    np.testing.assert_array_equal(likelihood.activity_centre(0, log_mu, rows), [1.0])


def test_detection_probability_and_activity_centre():
    p = problem("multi", "half-normal", lost=True)
    rows = parameters(p.detection)
    log_mu, _, _ = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    void = p.void_weight @ oracle.fields(p, np.exp(oracle.log_hazards(p, rows)))
    np.testing.assert_allclose(likelihood.detection_probability(rows), -np.expm1(-void), rtol=1e-11)
    density = likelihood.activity_centre(4, log_mu, rows)
    log_f = oracle.log_histories(p, rows)[4] + log_mu
    expected = np.exp(log_f - oracle.log_sum_exp(log_f))
    np.testing.assert_allclose(density, expected, rtol=1e-9, atol=1e-13 * expected.max())
    assert density.sum() == pytest.approx(1.0, rel=1e-13)


def test_no_animals_at_all():
    p = problem("count", animals=1)
    p = replace(
        p,
        weight=np.empty((0, p.n_fields)),
        event_start=np.array([0]),
        **{name: getattr(p, name)[:0] for name in ("event_pass", "event_kind", "event_count", "event_exposure")},
        event_field=p.event_field[:0],
    )
    log_mu, rows = np.full(p.raster.size, -4.0), parameters(p.detection)
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, rows)
    assert at.log_a.size == 0 and at.bound == 0.0
    assert at.detected == pytest.approx(oracle.spatial(p, log_mu, rows)[1], rel=1e-13)


@pytest.mark.parametrize("detection", ["hazard half-normal", "half-normal"])
def test_kernels_are_not_compiled_again_for_no_animals(detection):
    """NumPy's sums over nothing are whole numbers, for which numba makes kernels of their own."""
    p = problem(detection=detection)
    nobody = replace(
        p, weight=p.weight[:0], event_start=np.zeros(1, int), event_pass=p.event_pass[:0], event_kind=p.event_kind[:0],
        event_count=p.event_count[:0], event_exposure=p.event_exposure[:0], event_field=p.event_field[:0]
    )  # fmt: skip
    state = SpatialLikelihood(nobody).evaluate(np.zeros(p.raster.size), parameters(detection)).state
    some = SpatialLikelihood(p).evaluate(np.zeros(p.raster.size), parameters(detection)).state
    for name, array in vars(some.centre).items():
        assert vars(state.centre)[name].dtype == array.dtype
    assert SpatialLikelihood(nobody)._path.model.encounters.constant.dtype == float


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p: {"event_exposure": p.event_exposure * 3}, "more trials than it was exposed to"),
        (lambda p: {"entry_exposure": p.entry_exposure * 0}, "every exposure must be positive"),
        (lambda p: {"weight": p.weight[:, :1]}, "9 animals and 2 fields"),
        (lambda p: {"event_kind": p.event_kind + 7}, "COUNT, BINARY, MULTI or CLUMPED"),
        (lambda p: {"event_start": np.r_[0, p.event_start[:-1]]}, "animal 0 has no detection"),
    ],
)
def test_contradictions_are_named(change, message):
    p = problem("binary")
    with pytest.raises(ValueError, match=message):
        SpatialLikelihood(replace(p, **change(p)))


def test_captures_beyond_exposure_are_named():
    p = problem("multi")
    with pytest.raises(ValueError, match="animal 0 was caught more often on field"):
        SpatialLikelihood(replace(p, weight=p.weight * 0))
    with pytest.raises(ValueError, match="needs the field of its occasion"):
        SpatialLikelihood(replace(p, event_field=np.full_like(p.event_field, -1)))


@pytest.mark.parametrize(
    "rows, message",
    [
        ([[0.0, 100.0, 1.0]], "g0 = 0.0 is outside its range"),
        ([[1.1, 100.0, 1.0]], "g0 = 1.1 is outside its range"),
        ([[0.5, np.inf, 1.0]], "sigma = inf"),
        ([[0.5, 100.0]], r"rows has shape \(1, 2\)"),
    ],
)
def test_parameters_outside_their_range_are_named(rows, message):
    p = problem("count", "half-normal")
    likelihood = SpatialLikelihood(p, threads=1)
    with pytest.raises(ValueError, match=message):
        likelihood.evaluate(np.zeros(p.raster.size), rows)


def test_density_of_the_wrong_size_is_named():
    p = problem("count")
    likelihood = SpatialLikelihood(p, threads=1)
    with pytest.raises(ValueError, match="log_mu has shape"):
        likelihood.evaluate(np.zeros(3), parameters(p.detection))
    with pytest.raises(ValueError, match="log_mu must be finite"):
        likelihood.evaluate(np.full(p.raster.size, np.nan), parameters(p.detection))


def test_a_certain_detection_keeps_the_hazard_finite():
    """A logit link rounds g0 to 1 far out: the hazard stays finite, as it does for the nearest smaller probability."""
    p = problem("binary", "half-normal")
    log_mu, _, _ = draw(p)
    at = SpatialLikelihood(p, threads=1).evaluate(log_mu, [[1.0, 150.0, 1.0]])
    assert np.isfinite(at.log_a).all()


def test_kinds_are_distinct_and_cells_are_row_major():
    assert len({COUNT, BINARY, MULTI}) == 3
    raster = holed_raster(7, 9)
    x, y = raster.centres()
    order = np.lexsort((x, y))
    np.testing.assert_array_equal(order, np.arange(raster.size))


def test_a_likelihood_travels_to_another_process():
    p = problem("binary")
    log_mu, _, _ = draw(p)
    likelihood = SpatialLikelihood(p, threads=2)
    here = likelihood.evaluate(log_mu, parameters(p.detection))
    there = pickle.loads(pickle.dumps(likelihood)).evaluate(log_mu, parameters(p.detection))
    np.testing.assert_array_equal(here.log_a, there.log_a)


def test_an_earlier_evaluation_is_not_overwritten_by_a_later_one():
    p = problem("count")
    log_mu, d_log_a, d_detected = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    rows = parameters(p.detection)
    first = likelihood.evaluate(log_mu, rows)
    before = likelihood.pullback(first, d_log_a, d_detected)
    likelihood.evaluate(log_mu + 1.0, rows * 1.5)
    after = likelihood.pullback(first, d_log_a, d_detected)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_detectors_that_hide_everything_leave_the_fast_path_in_time():
    """Λ beyond 700 everywhere near an animal: its integral underflows and is taken in logarithms."""
    p = problem("binary", shape=(120, 130))
    log_mu, d_log_a, d_detected = draw(p)
    rows = parameters(p.detection) * [[1e4, 3.0, 1.0]]
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, rows)
    log_a, _ = oracle.spatial(p, log_mu, rows)
    np.testing.assert_allclose(at.log_a, log_a, rtol=1e-12)
    d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
    assert np.isfinite(d_log_mu).all()
    expected = oracle_row_gradient(p, log_mu, rows, d_log_a, d_detected)
    np.testing.assert_allclose(d_rows[:, :2], expected[:, :2], rtol=1e-9)
