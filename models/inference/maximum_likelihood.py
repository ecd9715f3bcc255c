"""Maximum likelihood for any model with a log-likelihood and its gradient.

Works in gamma, beta = T gamma, where one unit means the same for every coefficient: quasi-Newton steps that begin with
the curvature at the start, then Newton steps until the Newton decrement says that no further step can matter. The
last Hessian is the one the covariance comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from .kinks import settled

DECREMENT = 1e-9  # squared length of the last Newton step in standard errors
SMALL = 1e-5  # of a step that does not end, or along which rounding hides what is gained
LATE, LATE_DECREMENT = 8, 1e-7  # enough after so many steps: only estimates that go to a boundary still move then
FLAT = 1e-4  # curvature below which a direction is undetermined: a standard error of 100 units of a log or logit
NOISE = 1e-9  # curvature, relative to the largest, that is rounding
STEP = 1e-4  # of the finite differences of the exact gradient, in gamma
KINKED = 2  # Newton steps on a log-likelihood with kinks, see `kinks`
HOPELESS = 1e50  # stands for a log-likelihood of minus infinity, so that a line search comes back


class Likelihood(Protocol):
    """What this file knows about a model."""

    def loglik_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]: ...

    def hessian(self, vector: np.ndarray) -> np.ndarray | None: ...

    def scaling(self, vector: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Optimum:
    """Where the search ended."""

    vector: np.ndarray  # [p] coefficients
    loglik: float
    information: np.ndarray  # [p, p] minus the Hessian, in gamma
    scaling: np.ndarray  # [p, p] T
    evaluations: int
    converged: bool
    interrupted: bool = False
    why: str = ""


@dataclass
class _Objective:
    """Minus the log-likelihood in gamma, remembering the best point."""

    model: Likelihood
    T: np.ndarray
    report: Callable[[int, float], None] | None = None
    evaluations: int = 0
    best: tuple[float, np.ndarray] = field(default=(np.inf, np.empty(0)))

    def __call__(self, gamma: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.model.loglik_and_gradient(self.T @ gamma)
        self.evaluations += 1
        if not (np.isfinite(value) and (np.abs(gradient) < HOPELESS).all()):
            return HOPELESS, np.zeros_like(gamma)
        if -value < self.best[0]:
            self.best = (-value, gamma.copy())
        if self.report is not None:
            self.report(self.evaluations, value)
        return -value, -(self.T.T @ gradient)

    def information(self, gamma: np.ndarray) -> np.ndarray:
        """Minus the Hessian in gamma: the model's own, or central differences of its exact gradient."""
        exact = self.model.hessian(self.T @ gamma)
        if exact is not None:
            return -(self.T.T @ exact @ self.T)
        columns = []
        for j in range(len(gamma)):
            step = np.zeros(len(gamma))
            step[j] = STEP
            columns.append((self(gamma + step)[1] - self(gamma - step)[1]) / (2.0 * STEP))
        H = np.array(columns)
        return 0.5 * (H + H.T)


def maximise(
    model: Likelihood,
    start: np.ndarray,
    *,
    max_iterations: int = 200,
    report: Callable[[int, float], None] | None = None,
) -> Optimum:
    """Climb from `start` (coefficients [p]) to the maximum.

    An interrupt (Ctrl-C) ends the climb and returns the best point so far.
    """
    T = model.scaling(np.asarray(start, float))
    objective = _Objective(model, T, report)
    gamma = np.linalg.solve(T, np.asarray(start, float)) if len(start) else np.empty(0)
    if not len(gamma):
        value, _ = objective(gamma)
        return Optimum(T @ gamma, -value, np.empty((0, 0)), T, 1, True)
    value, _ = objective(gamma)
    if value >= HOPELESS:
        return _stopped(objective, gamma, "the log-likelihood cannot be evaluated at the starting values")
    try:
        gamma = _quasi_newton(objective, gamma, max_iterations)
        kinked = getattr(model, "kinked", False)
        gamma, information, why = _newton(objective, gamma, KINKED if kinked else 25)
        if why and kinked:
            gamma, why = settled(objective, gamma, information, why)
            information = objective.information(gamma)
    except KeyboardInterrupt:
        return _stopped(objective, objective.best[1], "", interrupted=True)
    return Optimum(T @ gamma, -objective(gamma)[0], information, T, objective.evaluations, why == "", why=why)


def climbed(model: Likelihood, start: np.ndarray, max_iterations: int, report: Callable[[int, float], None] | None):
    """The quasi-Newton part of `maximise` alone: where it ended [p], and evaluations."""
    T = model.scaling(start)
    objective = _Objective(model, T, report)
    gamma = np.linalg.solve(T, start)
    objective(gamma)
    return T @ _quasi_newton(objective, gamma, max_iterations), objective.evaluations


def information_at(model: Likelihood, vector: np.ndarray) -> np.ndarray:
    """Minus the Hessian [p, p] at coefficients [p], in the units of `model.scaling(vector)`."""
    T = model.scaling(vector)
    return _Objective(model, T).information(np.linalg.solve(T, vector))


def _stopped(objective: _Objective, gamma: np.ndarray, why: str, interrupted: bool = False) -> Optimum:
    nothing = np.full((len(gamma), len(gamma)), np.nan)
    loglik = -objective.best[0]
    return Optimum(objective.T @ gamma, loglik, nothing, objective.T, objective.evaluations, False, interrupted, why)


def _quasi_newton(objective: _Objective, gamma: np.ndarray, max_iterations: int) -> np.ndarray:
    """BFGS that begins with the curvature at the start made positive, so that the first step has the right length."""
    curvature, directions = np.linalg.eigh(objective.information(gamma))
    floor = 1e-3 * max(np.abs(curvature).max(), 1e-8)
    inverse = (directions / np.maximum(np.abs(curvature), floor)) @ directions.T
    slope = max(1e-4, 1e-8 * abs(objective.best[0]))  # below it rounding hides what a step gains
    options: Any = {"hess_inv0": 0.5 * (inverse + inverse.T), "maxiter": max_iterations, "gtol": slope}
    minimize(objective, gamma, jac=True, method="BFGS", options=options)
    return objective.best[1]


def _newton(objective: _Objective, gamma: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Newton steps with halving until the decrement vanishes. Returns gamma, information, and why it stopped short."""
    decrement = np.inf
    for k in range(most):
        information = objective.information(gamma)
        value, gradient = objective(gamma)
        curvature, directions = np.linalg.eigh(information)
        along = directions.T @ gradient
        firm = curvature > NOISE * curvature.max()
        step = -directions @ np.where(firm, along / np.where(firm, curvature, 1.0), along)
        decrement = float(np.sum(np.where(firm, along**2 / np.where(firm, curvature, 1.0), along**2)))
        if decrement < (DECREMENT if k < LATE else LATE_DECREMENT):
            return gamma, information, ""
        better = _halving(objective, gamma, value, step, gradient)
        if better is None:
            return gamma, information, "" if decrement < SMALL else "no better point was found along the last step"
        gamma = better
    why = "" if most > LATE and decrement < SMALL else f"it was still moving after {most} Newton steps"
    return gamma, objective.information(gamma), why


def _halving(objective, gamma, value, step, gradient) -> np.ndarray | None:
    slope = float(gradient @ step)
    for k in range(30):
        trial = gamma + step * 0.5**k
        if objective(trial)[0] <= value + 1e-4 * 0.5**k * slope:
            return trial
    return None


@dataclass(frozen=True)
class Covariance:
    """Covariance of the coefficients; NaN where the data do not determine them."""

    matrix: np.ndarray  # [p, p]
    flat: tuple[tuple[int, ...], ...]  # groups of coefficients that cannot be told apart, by position
    scaling: np.ndarray  # [p, p] T
    directions: np.ndarray  # [p, flat] those directions, in gamma
    firm: np.ndarray  # [p, p] covariance over all other directions

    def along(self, jacobian: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
        """Delta-method covariance [q, q] of functions with `jacobian` [q, p]; NaN where a flat direction moves it.

        A function of undetermined coefficients can be determined: survival in year 2 is, when that of year 1, the
        intercept, is 1.
        """
        found = jacobian @ self.firm @ jacobian.T
        lost = self._moved(jacobian, tolerance)
        found[lost, :] = found[:, lost] = np.nan
        return found

    def variances_along(self, jacobian: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
        """The diagonal [q] of `along`, without the rest."""
        found = np.sum((jacobian @ self.firm) * jacobian, axis=1)
        found[self._moved(jacobian, tolerance)] = np.nan
        return found

    def _moved(self, jacobian: np.ndarray, tolerance: float) -> np.ndarray:
        """bool [q]: functions that a flat direction moves."""
        if not self.directions.shape[1]:
            return np.zeros(len(jacobian), bool)
        in_gamma = jacobian @ self.scaling
        moved = np.abs(in_gamma @ self.directions) > tolerance * np.linalg.norm(in_gamma, axis=1)[:, None]
        return moved.any(axis=1)


def covariance_of(optimum: Optimum) -> Covariance:
    """Inverse of the information, without hiding a flat direction behind a pseudo-inverse.

    The coefficients that take part in a flat direction get no variance at all; the others keep theirs.
    """
    p = len(optimum.vector)
    T, none = optimum.scaling, np.empty((p, 0))
    if p == 0:
        return Covariance(np.empty((0, 0)), (), T, none, np.empty((0, 0)))
    if not np.isfinite(optimum.information).all():
        unknown = np.full((p, p), np.nan)
        return Covariance(unknown, (), T, none, unknown)
    curvature, directions = np.linalg.eigh(optimum.information)
    flat = curvature <= max(FLAT, NOISE * curvature.max())
    if not flat.any():
        factor = cho_factor(optimum.information)
        matrix = T @ cho_solve(factor, T.T)
        return Covariance(matrix, (), T, none, matrix)
    firm = directions[:, ~flat]
    matrix = T @ (firm / curvature[~flat]) @ firm.T @ T.T
    firm_matrix = matrix.copy()
    in_beta = T @ directions[:, flat]
    scale = np.sqrt(np.sum(T**2, axis=1))[:, None]
    involved = np.abs(in_beta) / scale > 0.05
    lost = involved.any(axis=1)
    matrix[lost, :] = matrix[:, lost] = np.nan
    groups = tuple(tuple(np.flatnonzero(column)) for column in involved.T)
    return Covariance(matrix, groups, T, directions[:, flat], firm_matrix)
