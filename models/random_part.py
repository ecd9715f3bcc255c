"""What a fit of a model with random effects knows beyond its coefficients: their standard deviations and modes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .derived import z_of
from .inference.laplace import Marginal, Mode
from .inference.quadrature import Quadrature, possible
from .links import LINKS
from .random_terms import Smooth
from .random_walks import Walk


@dataclass(frozen=True, eq=False)
class RandomPart:
    """What a fit knows beyond its coefficients: variance parameters, and the marginal likelihood behind them."""

    marginal: Marginal
    mode: Mode
    psi: np.ndarray  # fixed coefficients, then the variance parameters that are not at a boundary
    covariance: np.ndarray  # [psi, psi]

    @property
    def n_parameters(self) -> int:
        """Fixed coefficients and variance parameters, those at a boundary too."""
        return len(self.marginal.at_beta) + self.marginal.n_theta

    @property
    def labels(self) -> list[tuple[str, str, str]]:
        """(kind, parameter, label) of each variance parameter."""
        return [(kind, p.name, label) for p, term, _ in self.marginal.terms for kind, label in term.theta]

    def variation(self) -> pd.DataFrame:
        """Standard deviations, correlations and lengths; see `Fit.variation`."""
        rows, z = [], z_of()
        for (p, term, _), at in zip(self.marginal.terms, self.marginal.theta_of, strict=True):
            theta = self.mode.theta[at]
            se = self._se_of(at)
            natural = term.natural(theta)
            for k, (kind, label) in enumerate(term.theta):
                ends = [_moved(term, theta, k, side * z * se[k])[k] for side in (-1.0, 1.0)]
                at_edge = at.start + k in self.marginal.held
                if kind == "correlation" and len(term.columns) > 2:
                    ends = self._fisher(term, theta, at, k)
                own_se = float(np.abs(_slope(term, theta, k)) * se[k]) if not at_edge else np.nan
                lower, upper = (np.nan, np.nan) if at_edge else ends
                groups = term.known if isinstance(term, Walk) else len(term.levels) or np.nan
                rows.append((p.name, label, kind, groups, natural[k], own_se, lower, upper))
        columns = ["parameter", "term", "kind", "groups", "estimate", "se", "lower", "upper"]
        return pd.DataFrame(rows, columns=columns).astype({"groups": "Int64"})

    def _se_of(self, at: slice) -> np.ndarray:
        """Standard errors of some of theta; NaN at a boundary."""
        se, free = np.full(at.stop - at.start, np.nan), list(self.marginal.free)
        with np.errstate(invalid="ignore"):
            all_se = np.sqrt(np.diag(self.covariance))
        for k in range(at.start, at.stop):
            if k in free:
                se[k - at.start] = all_se[len(self.marginal.at_beta) + free.index(k)]
        return se

    def _fisher(self, term, theta, at, k) -> list[float]:
        """Limits of a correlation that depends on several parameters, on the scale of its inverse tanh."""
        J = np.array([_slope_of_all(term, theta, j)[k] for j in range(len(theta))])
        free = [len(self.marginal.at_beta) + list(self.marginal.free).index(j) for j in range(at.start, at.stop)]
        rho = term.natural(theta)[k]
        se = np.sqrt(J @ self.covariance[np.ix_(free, free)] @ J) / (1.0 - rho**2)
        return [float(np.tanh(np.arctanh(rho) + side * z_of() * se)) for side in (-1.0, 1.0)]

    def modes(self, vector: np.ndarray, covariance: np.ndarray) -> pd.DataFrame:
        """Conditional modes with their standard errors, of a walk its values; see `Fit.random_effects`."""
        rows = []
        for p, term, where in self.marginal.terms:
            own, among = vector[where], covariance[where, where]
            if isinstance(term, Walk):
                own, among = term.A @ own, term.A @ among @ term.A.T
            with np.errstate(invalid="ignore"):
                se = np.sqrt(np.diag(among))
            if isinstance(term, Smooth):
                levels, effects, group = range(1, term.size + 1), [term.text] * term.size, term.group
            elif isinstance(term, Walk):
                levels, effects, group = term.levels, [term.text] * len(term.levels), term.axis
            else:
                levels, effects = np.repeat(term.levels, len(term.columns)), term.columns * len(term.levels)
                group = term.group
            for level, effect, value, s in zip(levels, effects, own, se, strict=True):
                effect = "1" if effect == "Intercept" else effect
                rows.append((p.name, effect, group, str(level), float(value), float(s)))
        return pd.DataFrame(rows, columns=["parameter", "effect", "group", "level", "estimate", "se"])

    def redrawn(self, vector: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The model's coefficients with random ones drawn anew from their distribution."""
        again, marginal = vector.copy(), self.marginal
        before = len(vector) - marginal.model.parameters.size  # a full-likelihood twin has coefficients of D in front
        drawn = marginal.b(marginal.factors(self.mode.theta), rng.normal(size=marginal.size))
        again[marginal.at_b + before] = drawn
        return again

    def plain(self, loglik: float, c_hat: float = 1.0) -> Any:
        """The marginal likelihood dressed as a fit of a model without random effects, for profile intervals."""
        labels = [self.marginal.model.parameters.labels[j] for j in self.marginal.at_beta]
        parameters = self.marginal.model.parameters
        free = [self.labels[k] for k in self.marginal.free]
        known = {name: parameters[name] for name in parameters.names}
        for kind, name, _ in free:
            known[f"{kind} {name}"] = SimpleNamespace(
                name=f"{kind} {name}", design=SimpleNamespace(constant=kind == "sd"), link=LINKS["log"], unit=""
            )
        dressed = _Dressed(self.marginal, known, (*labels, *((f"{kind} {name}", label) for kind, name, label in free)))
        with np.errstate(invalid="ignore"):
            se = np.sqrt(np.diag(self.covariance))
        se[len(labels) :] = np.fmin(se[len(labels) :], 1.0)  # the first step of a search, in logarithms
        return SimpleNamespace(model=dressed, vector=self.psi, se=se, loglik=loglik, c_hat=c_hat)

    @property
    def by_quadrature(self) -> bool:
        """True when the integral over random effects is exact, False when it is Laplace's approximation."""
        return isinstance(self.marginal, Quadrature)

    @cached_property
    def laplace_error(self) -> float:
        """Laplace's minus the exact marginal log-likelihood at the estimates; NaN where the exact one is not known."""
        if not possible(self.marginal):
            return np.nan
        exact = Quadrature(self.marginal.model, self.marginal.held, like=self.marginal).loglik_at(self.mode)
        return float(self.mode.value - 0.5 * self.mode.solved.log_det - exact)


@dataclass(frozen=True)
class _Dressed:
    """A marginal likelihood with names."""

    marginal: Marginal
    known: Mapping[str, Any]
    labels: tuple[tuple[str, str], ...]

    @property
    def parameters(self) -> Any:
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.known)

    def __getitem__(self, name: str):
        if name not in self.known:
            raise refuse("the model has no such parameter", f"It has {', '.join(self.known)}", value=name)
        return self.known[name]

    def loglik_and_gradient(self, psi):
        return self.marginal.loglik_and_gradient(psi)

    def hessian(self, psi):
        return None

    def scaling(self, psi):
        return self.marginal.scaling(psi)


# ---- variance parameters between their scales ------------------------------------------------------------------


def theta_from(marginal: Marginal, variation: Mapping[str, float]) -> np.ndarray:
    """theta from natural values by name: "p: 1 | site" a standard deviation, "correlation p: …", "length p: …"."""
    labels = [(kind, p.name, label) for p, term, _ in marginal.terms for kind, label in term.theta]
    names = [f"{'' if kind == 'sd' else kind + ' '}{name}: {label}" for kind, name, label in labels]
    for key in variation:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}"
            raise refuse("variation: the model has no such term", hint, value=key)
    needed = [n for n, (kind, _, _) in zip(names, labels, strict=True) if kind != "correlation"]
    missing = [name for name in needed if name not in variation]
    if missing:
        raise refuse("values are needed for every random term", f"Add variation for {', '.join(missing)}", value=names)
    theta, begin = marginal.start_theta(), 0
    for _, term, _ in marginal.terms:
        own = [float(variation.get(name, 0.0)) for name in names[begin : begin + len(term.theta)]]
        theta[begin : begin + len(own)] = _theta_of_term(term, np.array(own))
        begin += len(own)
    return theta


def _theta_of_term(term: Any, natural: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        if isinstance(term, Smooth):
            low, high = np.log(term.lengths)
            place = (np.log(natural[1] / term.half) - low) / (high - low)
            if not 0.0 <= place <= 1.0:
                limits = " to ".join(f"{length * term.half:.4g}" for length in term.lengths)
                raise refuse(f"the length of {term.text} must be from {limits}", "Change it, or k", value=natural[1])
            return np.array([np.log(natural[0]), np.log(place) - np.log1p(-place)])
        c = len(term.columns)
        correlation = np.eye(c)
        correlation[np.tril_indices(c, -1)] = natural[c:]
        try:
            lower = np.linalg.cholesky(correlation + np.tril(correlation, -1).T)
        except np.linalg.LinAlgError:
            raise refuse(
                f"the correlations of ({term.text}) are impossible", "Keep them in -1 to 1", value=natural[c:]
            ) from None
        return np.concatenate([np.log(natural[:c]), (lower / np.diag(lower)[:, None])[np.tril_indices(c, -1)]])


def _moved(term, theta: np.ndarray, k: int, by: float) -> np.ndarray:
    again = theta.copy()
    again[k] += by
    return term.natural(again)


def _slope_of_all(term, theta: np.ndarray, k: int, step: float = 1e-6) -> np.ndarray:
    return (_moved(term, theta, k, step) - _moved(term, theta, k, -step)) / (2.0 * step)


def _slope(term, theta: np.ndarray, k: int) -> float:
    return float(_slope_of_all(term, theta, k)[k])
