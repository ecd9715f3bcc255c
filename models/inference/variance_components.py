"""Process variance of a series of estimates: what survival or numbers really did, less what sampling adds.

Estimates theta = X beta + delta + epsilon, delta with variance sigma² (process), epsilon with the covariance V of the
estimates (sampling). sigma² is where the weighted residual sum of squares equals its degrees of freedom (Burnham et al.
1987, part 5; Burnham & White 2002, J. Appl. Stat. 29:245; Franklin et al. 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import chdtri

from ...survey.errors import refuse
from ..derived import LEVEL


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    """Process variance with its interval, the mean (or trend), and the estimates drawn towards it."""

    variance: float  # sigma², at least 0
    lower: float
    upper: float
    level: float
    coefficients: pd.DataFrame  # term, estimate, se: mean or regression through the process
    sampling: float  # mean sampling variance
    shrunk: pd.DataFrame  # name, estimate, se, shrunk, rmse
    left_out: tuple[str, ...] = ()  # estimates without a covariance

    @property
    def sd(self) -> float:
        """Standard deviation of the process."""
        return float(np.sqrt(self.variance))

    @property
    def cv(self) -> float:
        """Coefficient of variation of the process, where there is one mean."""
        if len(self.coefficients) != 1:
            return float("nan")
        return self.sd / abs(float(self.coefficients["estimate"].iloc[0]))

    def __str__(self) -> str:
        ends = f"{100 * self.level:g} % {np.sqrt(self.lower):.4f} to {np.sqrt(self.upper):.4f}"
        words = [f"process standard deviation {self.sd:.4f} ({ends})"]
        if self.variance == 0.0:
            words.append("at 0: the estimates vary no more than sampling alone makes them")
        words.append(f"root of the mean sampling variance {np.sqrt(self.sampling):.4f}")
        words += [f"{r.term}: {r.estimate:.4f} (SE {r.se:.4f})" for r in self.coefficients.itertuples(index=False)]
        words += [f"left out, without a standard error: {', '.join(self.left_out)}"] if self.left_out else []
        return "\n".join(words)

    __repr__ = __str__


def variance_components(
    estimates,
    covariance: np.ndarray | None = None,
    X: np.ndarray | None = None,
    *,
    quantity: str | None = None,
    names=None,
    level: float = LEVEL,
) -> VarianceComponents:
    """Process variance of a series of estimates with their sampling covariance.

    Parameters
    ----------
    estimates : [n] estimates, or a Fit with `quantity`
    covariance : [n, n] of the estimates; left out for a Fit
    X : [n, r] design of the process mean, e.g. a column of ones and one of years; one mean by default
    quantity : of a Fit, a parameter by time ("phi", natural scale), or "abundance" or "occupancy" by season; those of
        abundance on the scale of its logarithm, so that the standard deviation is relative
    names : [n] of the estimates
    level : of the interval, from the chi-square distribution of the weighted sum of squares

    Raises
    ------
    SurveyError : fewer than two estimates more than terms, shapes that do not fit, a covariance that is none
    """
    if not isinstance(estimates, (np.ndarray, list, tuple, pd.Series)):
        estimates, covariance, names = _of_fit(estimates, quantity)
    y, V = np.asarray(estimates, float), np.asarray(covariance, float)
    n = len(y)
    if V.shape != (n, n):
        raise refuse("the covariance does not fit the estimates", f"Give [{n}, {n}]", value=V.shape)
    label = np.array([str(k + 1) for k in range(n)] if names is None else [str(v) for v in names])
    known = np.isfinite(y) & np.isfinite(np.diag(V)) & (np.diag(V) > 0)
    design = np.ones((n, 1)) if X is None else np.asarray(X, float).reshape(n, -1)
    y, V, design, kept = y[known], V[np.ix_(known, known)], design[known], label[known]
    r = design.shape[1]
    if len(y) < r + 2:
        fix = f"Give at least {r + 2} estimates with standard errors"
        raise refuse("there are too few estimates for a variance", fix, value=len(y))
    if not np.isfinite(V).all() or np.linalg.eigvalsh(V).min() < -1e-10 * np.abs(V).max():
        raise refuse("this is no covariance", "Give the covariance of the estimates", value="a negative variance")
    series = _Series(y, V, design)
    freedom = len(y) - r
    targets = (float(freedom), *(float(chdtri(freedom, q)) for q in (0.5 - level / 2.0, 0.5 + level / 2.0)))
    variance, lower, upper = (series.solve(t) for t in targets)
    return VarianceComponents(
        variance=variance,
        lower=lower,
        upper=upper,
        level=level,
        coefficients=series.coefficients(variance),
        sampling=float(np.diag(V).mean()),
        shrunk=series.shrunk(variance, kept),
        left_out=tuple(label[~known]),
    )


@dataclass(frozen=True)
class _Series:
    y: np.ndarray
    V: np.ndarray
    X: np.ndarray

    def _gls(self, variance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inverse of D, coefficients and their covariance."""
        D = np.linalg.inv(self.V + variance * np.eye(len(self.y)))
        C = np.linalg.inv(self.X.T @ D @ self.X)
        return D, C @ self.X.T @ D @ self.y, C

    def squares(self, variance: float) -> float:
        """The weighted residual sum of squares, which falls as the variance rises."""
        D, beta, _ = self._gls(variance)
        residual = self.y - self.X @ beta
        return float(residual @ D @ residual)

    def solve(self, target: float) -> float:
        """The variance at which the sum of squares is `target`; 0 where it is below it already."""
        small = 1e-10 * float(np.diag(self.V).mean())
        if self.squares(small) <= target:
            return 0.0
        high = float(np.var(self.y) + np.diag(self.V).max())
        while self.squares(high) > target:
            high *= 2.0
        return float(brentq(lambda v: self.squares(v) - target, small, high, xtol=1e-14, rtol=1e-12))

    def coefficients(self, variance: float) -> pd.DataFrame:
        _, beta, C = self._gls(variance + 1e-300)
        terms = ["mean"] if self.X.shape[1] == 1 else [f"term {k + 1}" for k in range(len(beta))]
        return pd.DataFrame({"term": terms, "estimate": beta, "se": np.sqrt(np.diag(C))})

    def shrunk(self, variance: float, names: np.ndarray) -> pd.DataFrame:
        """Estimates drawn towards the mean, their variance about it being sigma² (Burnham & White 2002, eqs 6-8)."""
        D, beta, C = self._gls(variance + 1e-300)
        w, U = np.linalg.eigh(D)
        H = np.sqrt(variance) * (U * np.sqrt(np.maximum(w, 0.0))) @ U.T
        mean = self.X @ beta
        drawn = mean + H @ (self.y - mean)
        G = H + (np.eye(len(self.y)) - H) @ self.X @ C @ self.X.T @ D
        rmse = np.sqrt(np.diag(G @ self.V @ G.T) + (drawn - self.y) ** 2)
        se = np.sqrt(np.diag(self.V))
        return pd.DataFrame({"name": names, "estimate": self.y, "se": se, "shrunk": drawn, "rmse": rmse})


# ---- from fits -----------------------------------------------------------------------------------------------------


def _of_fit(fit: Any, quantity: str | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """A series with its covariance: a parameter over its rows, or what a model says of its seasons."""
    model = fit.model
    if quantity is None:
        raise refuse("a fit has many series", "Give quantity=, e.g. 'phi'", value=repr(model))
    if quantity in model.parameters:
        p = model.parameters[quantity]
        if p.design is None or p.design.constant:
            raise refuse(f"{quantity} is one number in this model", "Fit it by time, e.g. '~ t'", value=repr(model))
        frame = fit.predict(quantity)
        names = [c for c in frame if c not in ("estimate", "se", "lower", "upper")]
        X = p.design.at(frame[names])
        eta = X @ fit.vector[model.parameters.slice_of(quantity)]
        J = np.zeros((len(X), model.parameters.size))
        J[:, model.parameters.slice_of(quantity)] = X * p.link.slope(eta)[:, None]
        labels = frame[names].astype(str).agg(", ".join, axis=1)
        return p.link.inverse(eta), fit.covariance_of(J), list(labels)
    series = _by_season(model, quantity)
    if series is None:
        known = ", ".join(model.parameters.names)
        raise refuse("the model has no such series", f"Use a parameter by time ({known})", value=quantity)
    function, labels = series
    from ..marked.base import jacobian

    return function(fit.vector), fit.covariance_of(jacobian(function, fit.vector)), labels


def _by_season(model, quantity: str):
    """A function of the coefficients that gives a number for each season, and the names of the seasons."""
    if quantity == "abundance" and {"N", "f0"} & set(model.parameters.names) and hasattr(model, "entries"):
        from ..marked.open_derived import numbers

        labels = [f"occasion {t + 1}" for t in range(model.history.n_occasions)]
        return (lambda v: np.log(numbers(model, v).sum(axis=0))), labels
    if quantity == "abundance" and getattr(model, "follows", "") == "abundance":
        return (lambda v: np.log(model.mean_projected(v))), list(model.history.season_labels)
    if quantity == "occupancy" and getattr(model, "follows", "") == "occupancy":
        return model.mean_projected, list(model.history.season_labels)
    return None
