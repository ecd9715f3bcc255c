"""Random effects integrated out exactly, where every group has one coefficient and groups are separate.

The integral over each group's u is one-dimensional. A model says the log-likelihood of all groups together and its
gradient by each u, so the log-likelihood of one group along its u is the integral of that gradient from the mode; both
integrals are done at Chebyshev points (Clenshaw & Curtis 1960), for all groups at once. Laplace's approximation is poor
for yes-or-no data with few visits per group, and can have no maximum at all (e.g. detection that differs among sites
where the species may be absent); this has none of that.

The gradient by a fixed coefficient is the mean over each group's posterior of the gradient of that group, of which the
model only knows the sum over groups. So all groups move together through the quantiles of their posteriors: with
u_g(s) the quantile of group g at s, the mean over groups is the integral over 0 < s < 1 of the gradient at u(s).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebint, chebval, chebvander
from scipy.special import ndtr

from .laplace import Marginal, Mode, relative_change
from .maximum_likelihood import Optimum

POINTS = (17, 25, 33, 49, 65, 81, 97)  # numbers of points; odd, so that the mode is one of them
COARSE = 49  # points for the Hessian, at most, and to begin with, at least
SAME = 1e-7  # log-likelihood per group that more points may change
NORMAL = np.arange(-5.0, 5.01, 0.5)  # normal deviates of the quantiles
REACH, WIDE = 10.0, 6.0  # half of an interval: standard deviations given the data, at most WIDE prior ones


@lru_cache
def _chebyshev(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points [n] on -1 to 1, weights [n] of the integral; matrices [n, n] to integrals from 0 and to a series."""
    points = -np.cos(np.pi * np.arange(n) / (n - 1))
    points[n // 2] = 0.0
    series = np.linalg.inv(chebvander(points, n - 1))  # values to coefficients
    whole, rising = np.empty(n), np.empty((n, n))
    for j in range(n):
        rise = chebint(series[:, j], lbnd=0.0)
        rising[:, j] = chebval(points, rise)
        whole[j] = rising[-1, j] - rising[0, j]
    return points, whole, rising, series


def possible(marginal: Marginal) -> bool:
    """True when every random coefficient is the only one of a group that is separate from the others."""
    return len(marginal.at_core) == 0 and marginal.at_leaf.shape[1] == 1


class Quadrature(Marginal):
    """`Marginal` with the integral done by quadrature instead of Laplace's approximation."""

    method = "quadrature"

    def __init__(self, model: Any, held: dict[int, float] | None = None, like: Marginal | None = None):
        super().__init__(model, held, like)
        assert possible(self)
        self._at = self.at_leaf[:, 0]
        self.n_points = getattr(like, "n_points", POINTS[-1])
        self._known: tuple[np.ndarray, np.ndarray] | None = None  # the last Hessian, and where

    def settle(self, psi: np.ndarray) -> bool:
        """Take as few points as do at psi; True when the number has changed."""
        before, at = self.n_points, self.mode(*self.split(psi))
        if at is None:
            return False
        self.n_points = POINTS[-1]
        best = self.loglik_at(at)
        for n in POINTS:
            self.n_points = n
            if abs(self.loglik_at(at) - best) < SAME * len(self._at):
                break
        return self.n_points != before

    def loglik_at(self, mode: Mode) -> float:
        return self._integrated(mode)[0]

    def gradient_at(self, mode: Mode) -> np.ndarray:
        _, weight, u, by_u = self._integrated(mode)
        factors, at = self.factors(mode.theta), self._at
        by_beta, share = np.zeros(len(mode.beta)), np.exp(-0.5 * NORMAL**2)
        for part, place in zip(share / share.sum(), self._quantiles(mode, weight), strict=True):
            whole = mode.u.copy()
            whole[at] += place
            by_beta += part * self._joint(mode.beta, factors, whole)[1]
        by_theta = np.zeros(self.n_theta)
        for (_, term, _), where, own in zip(self.terms, self.theta_of, self.positions, strict=True):
            for k in range(len(term.theta)):
                if where.start + k in self.held:
                    continue
                E = relative_change(term, mode.theta[where], k)
                spread = np.zeros(self.size)
                spread[own] = E[:, :, 0] * np.ones(own.shape)
                by_theta[where.start + k] = np.sum(weight * by_u * u[:, at] * spread[at])
        return np.concatenate([by_beta, by_theta[self.free]])

    def _quantiles(self, mode: Mode, weight: np.ndarray) -> np.ndarray:
        """Quantiles of each group's posterior at the NORMAL deviates, from its mode, [deviates, G]."""
        points, weights, _, series = _chebyshev(self.n_points)
        density = series @ (weight / weights[:, None])
        below = chebint(density, lbnd=-1.0)
        at_points, wanted = chebval(points, below).T, ndtr(NORMAL)
        x = np.array([np.interp(wanted, np.maximum.accumulate(c), points) for c in at_points.T]).T
        for _ in range(8):
            miss = chebval(x, below[:, None, :], tensor=False) - wanted[:, None]
            slope = chebval(x, density[:, None, :], tensor=False)
            step = np.where(slope > 1e-9, miss / np.maximum(slope, 1e-9), 0.0)
            x = np.clip(x - np.clip(step, -0.05, 0.05), -1.0, 1.0)
            if np.abs(step).max() < 1e-10:
                break
        return x * self._width(mode)

    def hessian(self, psi: np.ndarray) -> np.ndarray:
        """Differences of the gradient with fewer points, or the last one when that was within 0.02 standard errors."""
        if self._known is not None:
            there, H = self._known
            if len(there) == len(psi) and -(psi - there) @ H @ (psi - there) < 0.02**2:
                return H.copy()
        fine, T, columns = self.n_points, self.scaling(psi), []
        self.n_points = min(fine, COARSE)
        try:
            for direction in T.T:
                ahead, behind = (self.loglik_and_gradient(psi + side * 1e-3 * direction)[1] for side in (1.0, -1.0))
                columns.append((ahead - behind) / 2e-3)
        finally:
            self.n_points = fine
        H = np.linalg.solve(T.T, np.array(columns))  # rows are derivatives along T's columns
        self._known = (psi.copy(), 0.5 * (H + H.T))
        return self._known[1].copy()

    def _width(self, mode: Mode) -> np.ndarray:
        """Half of each group's interval, in prior standard deviations."""
        return np.minimum(REACH / np.sqrt(np.maximum(mode.arrow.leaf[:, 0, 0], 0.1)), WIDE)

    def _integrated(self, mode: Mode):
        """Log-likelihood; posterior weights [N, G]; where the points are, [N, size]; F's gradient by u there [N, G]."""
        points, weights, rising, _ = _chebyshev(self.n_points)
        factors, at, width = self.factors(mode.theta), self._at, self._width(mode)
        u = np.repeat(mode.u[None, :], len(points), axis=0)
        u[:, at] += points[:, None] * width
        by_u = np.array([self._joint(mode.beta, factors, place)[2][at] for place in u])
        height = rising @ ((by_u - u[:, at]) * width)
        mass = weights[:, None] * np.exp(height)
        total = mass.sum(axis=0)
        loglik = mode.value + float(np.sum(np.log(total * width) - 0.5 * np.log(2.0 * np.pi)))
        return loglik, mass / total, u, by_u


def newton(exact: Quadrature, psi: np.ndarray, most: int = 15) -> Optimum | None:
    """The maximum near psi: Newton steps on the gradient, whose zero is known better than small changes of the value.

    None where the log-likelihood is not concave, falls, or steps do not become small: a climb is needed then.
    """
    T, best = exact.scaling(psi), -np.inf
    for k in range(most):
        loglik, gradient = exact.loglik_and_gradient(psi)
        if not loglik > best - 1e-3:
            return None
        information = -exact.hessian(psi)
        try:
            np.linalg.cholesky(information)
        except np.linalg.LinAlgError:
            return None
        step = np.linalg.solve(information, gradient)
        decrement = float(gradient @ step)
        if decrement < 1e-8:
            return Optimum(psi, loglik, T.T @ information @ T, T, k + 1, True)
        psi, best = psi + step * min(1.0, 1.5 / np.sqrt(decrement)), max(best, loglik)
    return None
