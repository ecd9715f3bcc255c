"""φ, the hazard of a probability and the shapes that have kernels of their own, on both sides of every switch."""

from __future__ import annotations

import numpy as np
import pytest

from uncia.models.kernels import spatial_shapes
from uncia.models.kernels.spatial_blocks import log_hazard, log_phi

WIDE = np.longdouble


def around(*switches: float, low: float, high: float) -> np.ndarray:
    """[1, B]: many magnitudes, and what is next to the places where another formula takes over."""
    near = [np.nextafter(s, way) for s in switches for way in (0.0, np.inf)]
    return np.sort(np.concatenate([np.geomspace(low, high, 301), switches, near]))[None]


def test_log_phi_and_its_derivatives():
    u = around(1.0, low=1e-3, high=1e4)
    value, first, second = (np.empty_like(u) for _ in range(3))
    log_phi(2, u, value, first, second)
    x = u.astype(WIDE)
    miss = -np.expm1(-x)
    np.testing.assert_allclose(value, (x + np.log(miss / x)).astype(float), rtol=2e-15)
    np.testing.assert_allclose(first, (1 / miss - 1 / x).astype(float), rtol=2e-15)
    np.testing.assert_allclose(second, (1 / x**2 - np.exp(-x) / miss**2).astype(float), rtol=1e-12, atol=1e-13)


def test_log_phi_of_little_and_of_what_is_no_number():
    u = np.array([[0.0, 1e-300, 1e-9, np.nan, 1e300]])
    value, first, second = (np.empty_like(u) for _ in range(3))
    log_phi(2, u, value, first, second)
    np.testing.assert_allclose(value, [[0.0, 5e-301, 5e-10, np.nan, 1e300]], rtol=1e-9)
    np.testing.assert_allclose(first, [[0.5, 0.5, 0.5, np.nan, 1.0]], rtol=1e-9)


def test_log_hazard_and_its_derivatives():
    g = around(0.25, low=1e-6, high=1 - 1e-9)
    value, first, second = np.log(g), np.empty_like(g), np.empty_like(g)
    y, x = g.copy(), g.astype(WIDE)
    log_hazard(2, y, value, first, second)
    hazard = -np.log1p(-x)
    slope = x / (1 - x) / hazard
    np.testing.assert_allclose(y, hazard.astype(float), rtol=2e-15)
    np.testing.assert_allclose(value, np.log(hazard).astype(float), rtol=2e-15, atol=2e-15)
    np.testing.assert_allclose(first, slope.astype(float), rtol=2e-15)
    np.testing.assert_allclose(second, (slope * (1 + x / (1 - x) - slope)).astype(float), rtol=1e-12)


def test_log_hazard_never_underflows():
    value, g = np.array([[-5000.0, -800.0, -100.0]]), np.exp([[-5000.0, -800.0, -100.0]])
    log_hazard(0, g, value, np.empty((0, 0)), np.empty((0, 0)))
    np.testing.assert_allclose(value, [[-5000.0, -800.0, -100.0]], rtol=1e-15)


@pytest.mark.parametrize(("sigma", "z"), [(3.0, 3.0), (3.0, 0.4), (0.02, 5.0)])
def test_hazard_rate_and_variable_power(sigma, z):
    d = around(sigma, low=sigma / 4, high=sigma * 1e3)[0]
    value, first, second = np.empty((1, d.size)), np.empty((2, 1, d.size)), np.empty((3, 1, d.size))
    zero = np.zeros(1)
    at = (zero, zero, np.array([sigma]), np.array([z]), d, np.zeros(d.size))
    x = np.log(d.astype(WIDE) / sigma)
    spatial_shapes.hazard_rate(2, *at, value, first, second)
    t = np.exp(-z * x)
    slope = t / np.expm1(t)
    np.testing.assert_allclose(value[0], np.log(-np.expm1(-t)).astype(float), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(first[:, 0], np.stack([slope * z, -slope * x]).astype(float), rtol=1e-11, atol=1e-15)
    spatial_shapes.variable_power(2, *at, value, first, second)
    y = np.exp(np.minimum(z * x, 690))
    fits = z * x < 690
    np.testing.assert_allclose(value[0][fits], -y[fits].astype(float), rtol=1e-12)
    np.testing.assert_allclose(second[2, 0][fits], (-x * x * y)[fits].astype(float), rtol=1e-12, atol=1e-25)
