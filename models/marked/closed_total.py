"""Profile likelihood of the number of animals in all groups together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, softmax

from ..derived import LEVEL
from ..inference.maximum_likelihood import maximise

FURTHEST = 40  # doublings of the number never met before a limit is called infinite
FEWEST = 1e-4  # animals never met that are as good as none


@dataclass(frozen=True)
class _Held:
    """A closed population with the number of animals never met in all groups, held at a value.

    Its coefficients are those of the model but for f0, then the logarithms of the groups' f0 against the first group's.
    """

    model: Any
    log_total: float

    def _split(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray, slice]:
        where = self.model.parameters.slice_of("f0")
        size = where.stop - where.start
        share = softmax(np.append(0.0, free[len(free) - size + 1 :]))
        log_f0 = self.log_total + np.log(np.maximum(share, 1e-300))
        f0 = np.linalg.solve(self.model.parameters["f0"].design.matrix, log_f0)
        return np.insert(free[: len(free) - size + 1], where.start, f0), share, where

    def loglik_and_gradient(self, free: np.ndarray) -> tuple[float, np.ndarray]:
        vector, share, where = self._split(free)
        value, gradient = self.model.loglik_and_gradient(vector)
        by_log_f0 = np.linalg.solve(self.model.parameters["f0"].design.matrix.T, gradient[where])
        by_ratio = by_log_f0 - share * by_log_f0.sum()
        return value, np.append(np.delete(gradient, where), by_ratio[1:])

    def hessian(self, free: np.ndarray) -> None:
        return None

    def scaling(self, free: np.ndarray) -> np.ndarray:
        vector, _, where = self._split(free)
        keep = np.delete(np.arange(len(vector)), where)
        T = np.eye(len(free))
        T[: len(keep), : len(keep)] = self.model.scaling(vector)[np.ix_(keep, keep)]
        return T


def every_group_its_own(model) -> bool:
    """True when each group has an f0 of its own, so that their sum can be held."""
    if model.likelihood != "full" or "f0" not in model.parameters:
        return False
    design = model.parameters["f0"].design
    return design is not None and len(design.matrix) == design.matrix.shape[1] == len(model.n)


def profile_of_total(fit) -> tuple[float, float]:
    """95 % limits of the number of animals in all groups: where 2 x the drop of the profile log-likelihood is 3.84.

    The lower limit is the number of animals met where the likelihood never drops enough.
    """
    model, n = fit.model, float(fit.model.n.sum())
    drop = chdtri(1, 1.0 - LEVEL)
    f0 = fit.values["f0"][model.layouts["f0"].index]
    start = np.append(np.delete(fit.vector, model.parameters.slice_of("f0")), np.log(f0[1:] / f0[0]))
    rest = start

    def excess(log_total: float) -> float:
        nonlocal rest
        best = maximise(_Held(model, log_total), rest)
        rest = best.vector if np.isfinite(best.loglik) else rest
        return 2.0 * (fit.loglik - best.loglik) - drop

    ends, top = [], float(np.log(max(f0.sum(), FEWEST)))
    for side in (-1.0, 1.0):
        rest, near, end = start, top, np.inf if side > 0 else -np.inf
        for _ in range(FURTHEST):
            far = near + side * np.log(2.0)
            if side < 0 and far < np.log(FEWEST):
                break
            if excess(far) > 0:
                end = float(brentq(excess, *sorted((near, far)), xtol=1e-7))
                break
            near = far
        ends.append(n + float(np.exp(end)))
    return ends[0], ends[1]
