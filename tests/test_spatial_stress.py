"""Accuracy where a line search may go: hazards from a thousandth to 100 times, sigma from a tenth to five times."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from spatial_problems import parameters, problem

from uncia.models.spatial.engine.likelihood import SpatialLikelihood


@pytest.mark.parametrize("kind", ["count", "binary", "multi"])
def test_value_and_gradient_far_from_the_optimum(kind):
    p = problem(kind, shape=(40, 44), detectors=15, animals=6)
    rng = np.random.default_rng(7)
    log_mu = rng.normal(-4.0, 0.5, p.raster.size)
    likelihood = SpatialLikelihood(p, threads=1)
    ones = np.ones(p.n_animals)
    for _ in range(200):
        rows = parameters(p.detection) * [[10 ** rng.uniform(-3, 2), 10 ** rng.uniform(-1, 0.7), 1.0]]
        at = likelihood.evaluate(log_mu, rows)
        d_log_mu, d_rows = likelihood.pullback(at, ones, -1.0)
        log_a, detected = oracle.spatial(p, log_mu, rows)
        expected = log_a.sum() - detected
        assert at.log_a.sum() - at.detected == pytest.approx(expected, rel=1e-12)
        assert at.bound <= 1e-12
        for column in range(2):
            moved = rows.astype(complex)
            moved[0, column] += 1e-30j
            moved_log_a, moved_detected = oracle.spatial(p, log_mu, moved)
            slope = (moved_log_a.sum() - moved_detected).imag / 1e-30
            # a derivative may vanish on the way: its size is that of what it sums
            size = max(abs(slope), p.event_count.sum() / rows[0, column])
            assert d_rows[0, column] == pytest.approx(slope, abs=1e-9 * size)
        assert d_log_mu.sum() == pytest.approx(p.n_animals - detected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("detection", ["hazard half-normal", "half-normal", "exponential", "hazard hazard-rate"])
@pytest.mark.parametrize("kind", ["count", "mixed"])
def test_absurd_parameters_give_finite_numbers(kind, detection):
    """From hazards of 1e-200 to 1e5 and sigma from a hundredth of a cell to the size of the Earth."""
    p = problem(kind, detection, shape=(30, 34), detectors=12, animals=5, lost=kind == "mixed")
    likelihood = SpatialLikelihood(p, threads=1)
    log_mu = np.full(p.raster.size, -4.0)
    most = 1e5 if detection.startswith("hazard") else 0.9
    for intercept in (1e-200, 1e-8, most):
        for sigma in (0.5, 5.0, 1e4, 1e7):
            at = likelihood.evaluate(log_mu, [[intercept, sigma, 3.0]])
            d_log_mu, d_rows = likelihood.pullback(at, np.ones(p.n_animals), -1.0)
            assert np.isfinite(at.log_a).all() and at.bound <= 1e-12
            assert np.isfinite(d_log_mu).all() and np.isfinite(d_rows).all()
