"""The end of a climb on a log-likelihood with small kinks, where a gradient does not vanish at the maximum.

Shortest ways through a landscape change their course as costs change; there the log-likelihood of least-cost distance
has a kink, and its maximum may lie on one. The search goes on without gradients (Nelder & Mead 1965), in standard
errors, and ends where over a quarter of a standard error to both sides the log-likelihood is level to what matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

SIMPLEX = 0.2  # standard errors
SIDE = 0.25  # standard errors over which the slope is taken
LEVEL = 1e-2  # squared distance to the maximum in standard errors, by that slope


def settled(objective: Callable[[np.ndarray], tuple], gamma: np.ndarray, information: np.ndarray, why: str):
    """(gamma, why): where minus the log-likelihood is least near `gamma`; why that is no maximum, empty if it is."""
    curvature, directions = np.linalg.eigh(information)
    if not curvature.min() > 0:
        return gamma, why
    units, p = directions / np.sqrt(curvature), len(gamma)  # one standard error each
    at = lambda z: objective(gamma + units @ z)[0]  # noqa: E731
    corners = np.vstack([np.zeros(p), SIMPLEX * np.eye(p)])
    options: Any = {"initial_simplex": corners, "xatol": 2e-3, "fatol": 1e-5, "maxfev": 150 * p}
    best = np.asarray(minimize(at, np.zeros(p), method="Nelder-Mead", options=options).x)
    slope = np.array([at(best + SIDE * e) - at(best - SIDE * e) for e in np.eye(p)]) / (2.0 * SIDE)
    found = gamma + units @ best
    return found, "" if slope @ slope < LEVEL else why
