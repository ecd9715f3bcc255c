"""Profile-likelihood intervals: where the likelihood, maximised over everything else, has dropped by 1.92."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtri

from ..derived import LEVEL, z_of
from .maximum_likelihood import Likelihood, maximise

REACH = 12  # steps of two standard errors before a limit is called infinite


@dataclass(frozen=True)
class _Held:
    """A model with one coefficient held at a value."""

    model: Likelihood
    position: int
    value: float

    def _whole(self, rest: np.ndarray) -> np.ndarray:
        return np.insert(rest, self.position, self.value)

    def loglik_and_gradient(self, rest):
        value, gradient = self.model.loglik_and_gradient(self._whole(rest))
        return value, np.delete(gradient, self.position)

    def hessian(self, rest):
        exact = self.model.hessian(self._whole(rest))
        return None if exact is None else np.delete(np.delete(exact, self.position, 0), self.position, 1)

    def scaling(self, rest):
        return np.delete(np.delete(self.model.scaling(self._whole(rest)), self.position, 0), self.position, 1)


def profile_intervals(fit, names=(), level: float = LEVEL) -> pd.DataFrame:
    """Profile limits of coefficients; with random effects, of the marginal likelihood, standard deviations among them.

    Parameters
    ----------
    fit : a maximum-likelihood Fit
    names : parameters; all by default

    Returns
    -------
    DataFrame with parameter, term, scale, estimate, lower, upper. A parameter without covariates is on its natural
    scale, others on the link scale. A limit is 0, infinite or 1 where the likelihood never drops enough.
    """
    if getattr(fit, "random", None) is not None:
        fit = fit.random.plain(fit.loglik, fit.c_hat)
    parameters = fit.model.parameters
    wanted = [parameters[name].name for name in names] or list(parameters.names)
    rows = []
    for j, (name, term) in enumerate(parameters.labels):
        if name not in wanted:
            continue
        ends = [_limit(fit, j, side, level) for side in (-1.0, 1.0)]
        p = parameters[name]
        natural = p.design.constant
        back = p.link.inverse if natural else (lambda v: v)
        values = [float(back(np.float64(v))) for v in (fit.vector[j], *ends)]
        scale = p.unit or "natural" if natural else p.link.name
        rows.append((name, term, scale, values[0], min(values[1:]), max(values[1:])))
    return pd.DataFrame(rows, columns=["parameter", "term", "scale", "estimate", "lower", "upper"])


def _limit(fit, j: int, side: float, level: float) -> float:
    """The coefficient at which twice the drop of the profile log-likelihood is the chi-square quantile times c-hat."""
    drop = fit.c_hat * chdtri(1, 1.0 - level)
    rest = np.delete(fit.vector, j)

    def excess(b: float) -> float:
        nonlocal rest
        best = maximise(_Held(fit.model, j, b), rest)
        if np.isfinite(best.loglik):
            rest = best.vector  # the next search begins where this one ended
        return 2.0 * (fit.loglik - best.loglik) - drop

    se = fit.se[j] if np.isfinite(fit.se[j]) else 0.5
    near, step = fit.vector[j], z_of(level) * se
    for k in range(REACH):
        far = near + side * step * (1.0 if k == 0 else 0.5 * 2 ** min(k, 4))
        with np.errstate(over="ignore"):
            if excess(far) > 0:
                try:
                    return float(brentq(excess, *sorted((near, far)), xtol=1e-7 * max(1.0, abs(far)), rtol=1e-10))
                except ValueError:  # a likelihood of several tops: the search has changed over to another one
                    return float(far)
        near = far
    return side * np.inf
