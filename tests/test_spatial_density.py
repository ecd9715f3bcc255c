"""Density as covariates and coefficients: the same numbers as with log mu written out."""

import numpy as np
import pytest
from test_spatial_engine import parameters, problem

from uncia.models.spatial.engine import separable
from uncia.models.spatial.engine.density import Covariates, design_of
from uncia.models.spatial.engine.likelihood import SpatialLikelihood

BETA = np.array([0.3, -6.0, 0.2, -0.4])


def design(size: int) -> np.ndarray:
    """A constant column among three that vary."""
    x = np.random.default_rng(2).normal(size=(size, 4))
    x[:, 1] = 0.5
    return x


@pytest.mark.parametrize(
    "kind, detection",
    [
        ("count", "hazard half-normal"),
        ("mixed", "hazard half-normal"),
        ("count", "half-normal"),
        ("mixed", "hazard rate"),
    ],
)
def test_covariates_equal_log_mu(kind, detection):
    p = problem(kind, detection, n_rows=2, shape=(40, 44))
    rows, x = parameters(detection, 2), design(p.raster.size)
    likelihood, covariates = SpatialLikelihood(p, threads=1), Covariates.of(x)
    written, never = likelihood.evaluate(x @ BETA, rows), likelihood.evaluate(covariates.at(BETA), rows)
    np.testing.assert_allclose(never.log_a, written.log_a, rtol=1e-12)
    np.testing.assert_allclose([never.detected, never.total], [written.detected, written.total], rtol=1e-12)
    d_log_a = np.random.default_rng(3).uniform(0.5, 1.5, p.n_animals)
    d_log_mu, d_rows = likelihood.pullback(written, d_log_a, -1.3)
    d_beta, same_rows = likelihood.pullback(never, d_log_a, -1.3)
    np.testing.assert_allclose(d_beta, x.T @ d_log_mu, rtol=1e-9)
    np.testing.assert_allclose(same_rows, d_rows, rtol=1e-9)
    np.testing.assert_allclose(likelihood.activity_centre(0, covariates.at(BETA), rows).sum(), 1.0)


def test_an_offset_is_added():
    p = problem("count", "hazard half-normal")
    rows, x = parameters("hazard half-normal", 1), design(p.raster.size)
    likelihood = SpatialLikelihood(p, threads=1)
    with_offset = likelihood.evaluate(Covariates.of(x).at(BETA, 0.7), rows)
    np.testing.assert_allclose(with_offset.total, likelihood.evaluate(x @ BETA + 0.7, rows).total, rtol=1e-12)


@pytest.mark.parametrize("kind", ["count", "mixed"])
@pytest.mark.parametrize("small", [0.0, 3e6])
def test_curvature_along_covariates(kind, small, monkeypatch):
    monkeypatch.setattr(separable, "SMALL", small)
    p = problem(kind, "hazard half-normal", n_rows=2, shape=(25, 28))
    rows, x = parameters("hazard half-normal", 2), design(p.raster.size)
    x[:, 2:] = 0.0  # along these only detection moves
    along_rows = np.zeros((2, 3, 4))
    along_rows[:, 0, 2], along_rows[:, 1, 3] = 0.05, 70.0
    likelihood, d_log_a = SpatialLikelihood(p, threads=1), np.ones(p.n_animals)
    at = likelihood.evaluate(Covariates.of(x).at(BETA), rows)
    found = likelihood.curvature(at, d_log_a, -1.0, Covariates.of(x), along_rows)
    expected = likelihood.curvature(at, d_log_a, -1.0, x, along_rows)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_a_design_comes_back():
    x = design(12)
    np.testing.assert_array_equal(design_of(Covariates.of(x)), x)
    np.testing.assert_array_equal(Covariates.of(x).varying, [0, 2, 3])


def test_covariates_of_another_raster_are_refused():
    p = problem("count", "hazard half-normal")
    with pytest.raises(ValueError, match="log_mu has shape"):
        SpatialLikelihood(p).evaluate(Covariates.of(design(7)).at(BETA), parameters("hazard half-normal", 1))
