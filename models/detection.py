"""Detection functions: how the hazard of detection falls with distance.

Every function is named in words. A *hazard* form gives the cumulative hazard h(d) per unit of effort
(parameter `lambda0`); a *probability* form gives g(d) per unit of effort (parameter `g0`) and its hazard is
-log(1 - g(d)), so that effort acts on the hazard for every form (Efford, Borchers & Mowat 2013).
The formulas are evaluated in `models/kernels/`; here are their names, parameters and plain NumPy definitions,
which plots, simulation and the tests use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, ndtr


@dataclass(frozen=True)
class DetectionFunction:
    """A named shape: `relative(d, sigma, z)` is 1 at its peak and falls with distance."""

    name: str
    code: int  # the branch of the kernel that evaluates it
    hazard: bool  # True: lambda0 is a hazard; False: g0 is a probability
    parameters: tuple[str, ...]
    relative: Callable[[np.ndarray, float, float], np.ndarray]

    @property
    def scale(self) -> str:
        """The name of the intercept parameter: lambda0 or g0."""
        return self.parameters[0]

    def hazard_at(self, distance, intercept, sigma, z=1.0) -> np.ndarray:
        """Cumulative hazard per unit effort at `distance` (metres)."""
        value = intercept * self.relative(np.asarray(distance, float), sigma, z)
        return value if self.hazard else -np.log1p(-value)

    def probability_at(self, distance, intercept, sigma, z=1.0) -> np.ndarray:
        """Probability of detection in one unit of effort at `distance` (metres)."""
        value = intercept * self.relative(np.asarray(distance, float), sigma, z)
        return -np.expm1(-value) if self.hazard else value


def _half_normal(d, sigma, z):
    return np.exp(-0.5 * (d / sigma) ** 2)


def _hazard_rate(d, sigma, z):
    with np.errstate(divide="ignore", over="ignore"):
        return -np.expm1(-((np.maximum(d, 1e-300) / sigma) ** -z))


def _exponential(d, sigma, z):
    return np.exp(-d / sigma)


def _compound_half_normal(d, sigma, z):
    return 1.0 - (-np.expm1(-0.5 * (d / sigma) ** 2)) ** z


def _w_exponential(d, sigma, w):
    return np.exp(-np.maximum(d - w, 0.0) / sigma)


def _annular_normal(d, sigma, w):
    return np.exp(-0.5 * ((d - w) / sigma) ** 2)


def _cumulative_lognormal(d, sigma, z):
    s2 = np.log1p((z / sigma) ** 2)
    return ndtr((np.log(sigma) - 0.5 * s2 - np.log(np.maximum(d, 1e-300))) / np.sqrt(s2))


def _cumulative_gamma(d, sigma, z):
    return gammaincc(z, d * z / sigma)


def _variable_power(d, sigma, z):
    return np.exp(-((d / sigma) ** z))


# Formulas: secr's published definitions (Efford, "secr" detection functions); compound half-normal and
# cumulative gamma in their mathematical form. Third parameter: z (shape) or w (metres).
_TABLE = (
    # name, code, hazard, third parameter, shape
    ("half-normal", 0, False, None, _half_normal),
    ("hazard rate", 1, False, "z", _hazard_rate),
    ("exponential", 2, False, None, _exponential),
    ("compound half-normal", 3, False, "z", _compound_half_normal),
    ("w-exponential", 5, False, "w", _w_exponential),
    ("annular normal", 6, False, "w", _annular_normal),
    ("cumulative lognormal", 7, False, "z", _cumulative_lognormal),
    ("cumulative gamma", 8, False, "z", _cumulative_gamma),
    ("hazard half-normal", 14, True, None, _half_normal),
    ("hazard hazard-rate", 15, True, "z", _hazard_rate),
    ("hazard exponential", 16, True, None, _exponential),
    ("hazard annular normal", 17, True, "w", _annular_normal),
    ("hazard cumulative gamma", 18, True, "z", _cumulative_gamma),
    ("hazard variable power", 19, True, "z", _variable_power),
)

DETECTION_FUNCTIONS: dict[str, DetectionFunction] = {
    name: DetectionFunction(
        name, code, hazard, ("lambda0" if hazard else "g0", "sigma") + ((third,) if third else ()), shape
    )
    for name, code, hazard, third, shape in _TABLE
}
