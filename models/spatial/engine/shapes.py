"""The shapes of the detection functions, as the spatial likelihood uses them: a kernel and a bound on the decay.

`decay(d, σ, z)` is a lower bound of -log relative(d) that never falls with distance, and `reach(c, σ, z)` the
distance beyond which that bound exceeds c. Windows are cut with these two, so that the error of a cut is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...kernels import spatial_gamma, spatial_shapes


@dataclass(frozen=True)
class Shape:
    """One shape: `kernel` fills log relative(d) and its derivatives; `decay` and `reach` work elementwise."""

    kernel: Callable[..., None]
    decay: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    reach: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    third_is_length: bool = False
    third: bool = True  # whether there is a third parameter


def _power(base, exponent):
    """base ** exponent, infinite rather than a warning where it overflows."""
    with np.errstate(over="ignore"):
        return base**exponent


def _log_excess(z):
    """1 - (1 - u)^z ≤ max(1, z) u: what the compound half-normal may exceed the half-normal by."""
    return np.log(np.maximum(z, 1.0))


def _lognormal_place(sigma, z):
    s2 = np.log1p((z / sigma) ** 2)
    return np.log(sigma) - 0.5 * s2, np.sqrt(s2)


def _lognormal_decay(d, sigma, z):
    """Φ(-x) ≤ exp(-x²/2) for x ≥ 0."""
    mean, sd = _lognormal_place(sigma, z)
    return 0.5 * np.maximum((np.log(np.maximum(d, 1e-300)) - mean) / sd, 0.0) ** 2


def _lognormal_reach(c, sigma, z):
    mean, sd = _lognormal_place(sigma, z)
    with np.errstate(over="ignore"):
        return np.exp(mean + sd * np.sqrt(2.0 * c))


def _gamma_decay(d, sigma, z):
    """The inverse of x = z + √(2zc) + c, a tail bound of the gamma distribution (Boucheron et al. 2013, 2.4)."""
    excess = np.maximum(d * z / sigma - z, 0.0)
    return excess + z - np.sqrt(z * z + 2.0 * z * excess)


def _rate_reach(c, sigma, z):
    """1 - exp(-t) ≤ t, t = (d/σ)^-z."""
    with np.errstate(over="ignore"):
        return sigma * np.exp(c / z)


_HALF_NORMAL = Shape(
    spatial_shapes.half_normal,
    decay=lambda d, sigma, z: 0.5 * (d / sigma) ** 2,
    reach=lambda c, sigma, z: sigma * np.sqrt(2.0 * c),
    third=False,
)
_HAZARD_RATE = Shape(
    spatial_shapes.hazard_rate,
    decay=lambda d, sigma, z: z * np.log(np.maximum(d / sigma, 1.0)),
    reach=_rate_reach,
)
_EXPONENTIAL = Shape(
    spatial_shapes.exponential,
    decay=lambda d, sigma, z: d / sigma,
    reach=lambda c, sigma, z: sigma * c,
    third=False,
)
_COMPOUND_HALF_NORMAL = Shape(
    spatial_shapes.compound_half_normal,
    decay=lambda d, sigma, z: np.maximum(0.5 * (d / sigma) ** 2 - _log_excess(z), 0.0),
    reach=lambda c, sigma, z: sigma * np.sqrt(2.0 * (c + _log_excess(z))),
)
_W_EXPONENTIAL = Shape(
    spatial_shapes.w_exponential,
    decay=lambda d, sigma, w: np.maximum(d - w, 0.0) / sigma,
    reach=lambda c, sigma, w: w + sigma * c,
    third_is_length=True,
)
_ANNULAR_NORMAL = Shape(
    spatial_shapes.annular_normal,
    decay=lambda d, sigma, w: 0.5 * (np.maximum(d - w, 0.0) / sigma) ** 2,
    reach=lambda c, sigma, w: w + sigma * np.sqrt(2.0 * c),
    third_is_length=True,
)
_CUMULATIVE_LOGNORMAL = Shape(
    spatial_shapes.cumulative_lognormal,
    decay=_lognormal_decay,
    reach=_lognormal_reach,
    third_is_length=True,
)
_CUMULATIVE_GAMMA = Shape(
    spatial_gamma.cumulative_gamma,
    decay=_gamma_decay,
    reach=lambda c, sigma, z: (z + np.sqrt(2.0 * z * c) + c) * sigma / z,
)
_VARIABLE_POWER = Shape(
    spatial_shapes.variable_power,
    decay=lambda d, sigma, z: _power(d / sigma, z),
    reach=lambda c, sigma, z: sigma * _power(c, 1.0 / z),
)

SHAPES: dict[str, Shape] = {
    "half-normal": _HALF_NORMAL,
    "hazard half-normal": _HALF_NORMAL,
    "hazard rate": _HAZARD_RATE,
    "hazard hazard-rate": _HAZARD_RATE,
    "exponential": _EXPONENTIAL,
    "hazard exponential": _EXPONENTIAL,
    "compound half-normal": _COMPOUND_HALF_NORMAL,
    "w-exponential": _W_EXPONENTIAL,
    "annular normal": _ANNULAR_NORMAL,
    "hazard annular normal": _ANNULAR_NORMAL,
    "cumulative lognormal": _CUMULATIVE_LOGNORMAL,
    "cumulative gamma": _CUMULATIVE_GAMMA,
    "hazard cumulative gamma": _CUMULATIVE_GAMMA,
    "hazard variable power": _VARIABLE_POWER,
}
