"""The end of a climb on a log-likelihood with small kinks, where a gradient does not vanish at the maximum.

Shortest ways through a landscape change their course as costs change; there the log-likelihood of least-cost distance
has a kink, and its maximum may lie on one. The search goes on without gradients: by steps against slopes that are taken
over a quarter of a standard error to both sides, and where these do not end, by a simplex (Nelder & Mead 1965). It ends
where over that distance the log-likelihood is level to what matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

SIMPLEX = 0.2  # standard errors
SIDE = 0.25  # standard errors over which the slope is taken
LEVEL = 1e-2  # squared distance to the maximum in standard errors, by that slope
NEAR, STEPS = 1e-4, 8  # the same where steps end, and how many there are at most


def settled(objective: Callable[[np.ndarray], tuple], gamma: np.ndarray, information: np.ndarray, why: str):
    """(gamma, why): where minus the log-likelihood is least near `gamma`; why that is no maximum, empty if it is."""
    curvature, directions = np.linalg.eigh(information)
    if not curvature.min() > 0:
        return gamma, why
    units, p = directions / np.sqrt(curvature), len(gamma)  # one standard error each
    at = lambda z: objective(gamma + units @ z)[0]  # noqa: E731
    best, least = _stepped(at, np.zeros(p))
    if least < NEAR:
        return gamma + units @ best, ""
    corners = np.vstack([best, best + SIMPLEX * np.eye(p)])
    options: Any = {"initial_simplex": corners, "xatol": 2e-3, "fatol": 1e-5, "maxfev": 150 * p}
    best = np.asarray(minimize(at, best, method="Nelder-Mead", options=options).x)
    slope = _slope(at, best)
    found = gamma + units @ best
    return found, "" if slope @ slope < LEVEL else why


def _stepped(at: Callable[[np.ndarray], float], z: np.ndarray) -> tuple[np.ndarray, float]:
    """(z, squared slope) where the slope is least of the places that steps against it lead to."""
    best, least, step = z, np.inf, np.zeros(len(z))
    for _ in range(STEPS):
        slope = _slope(at, z)
        if slope @ slope < least:
            best, least, step = z, float(slope @ slope), -slope  # the curvature is one
        else:
            step = 0.5 * step
        if least < NEAR:
            break
        z = best + step
    return best, least


def _slope(at: Callable[[np.ndarray], float], z: np.ndarray) -> np.ndarray:
    """Slopes [p] to both sides, in units in which the curvature is one."""
    return np.array([at(z + SIDE * e) - at(z - SIDE * e) for e in np.eye(len(z))]) / (2.0 * SIDE)
