"""Independent draws from a smooth posterior of few coefficients, through a polynomial surface: no chain, no PyMC.

In the units in which the posterior is standard normal at its mode, its logarithm is nearly quadratic. A polynomial of
degree four through its values and gradients at some dozens of places is then as good as itself, and costs nothing:
draws are made from the polynomial, by rejection. How far it is off is measured where the draws are, on
places that it has not seen, and said; what lies beyond is estimated, and a posterior with long tails refused.
An error of standard deviation e in the log-density moves a probability by about e / 2 at most (Pinsker), far less than
the Monte-Carlo error of a chain of usual length.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from scipy.stats import norm, qmc

from ..survey.errors import refuse
from .draws import Draws
from .posterior import Posterior

DEGREE, MOST = 4, 8  # of the polynomial; coefficients beyond which it has too many terms
FAR, LOST = 4.5, 0.003  # standard deviations where the surface ends; share of the posterior that may be beyond
WIDE, FREEDOM = 1.25, 6.0  # of the places and of the candidates, in standard deviations; of Student's t
PILOT, CHECKED, ROUNDS = 4000, 40, 4
GOOD, USABLE = 0.03, 0.15  # standard deviation of the error of the log-posterior: to stop, and to be of use


class Surface:
    """A polynomial of degree four in z [d], by least squares on values and gradients."""

    def __init__(self, z: np.ndarray, value: np.ndarray, gradient: np.ndarray):
        d = z.shape[1]
        self.powers = np.array(
            [np.bincount(c, minlength=d) for k in range(DEGREE + 1) for c in combinations_with_replacement(range(d), k)]
        )
        weight = np.exp(np.maximum((value - value.max()) / 4.0, -5.0))
        rows = [self._terms(z) * weight[:, None]]
        rows += [self._slopes(z, j) * weight[:, None] for j in range(d)]
        told = [value * weight, *(gradient.T * weight)]
        self.beta = np.linalg.lstsq(np.vstack(rows), np.concatenate(told), rcond=None)[0]

    def _terms(self, z: np.ndarray) -> np.ndarray:
        found = np.ones((len(z), len(self.powers)))
        for j in range(z.shape[1]):
            along = z[:, j, None] ** np.arange(DEGREE + 1)
            found *= along[:, self.powers[:, j]]
        return found

    def _slopes(self, z: np.ndarray, j: int) -> np.ndarray:
        lower = self.powers[:, j]
        found = lower * z[:, j, None] ** np.maximum(lower - 1, 0)
        for i in range(z.shape[1]):
            if i != j:
                found = found * (z[:, i, None] ** np.arange(DEGREE + 1))[:, self.powers[:, i]]
        return found

    def __call__(self, z: np.ndarray) -> np.ndarray:
        parts = np.array_split(z, max(1, len(z) // 20_000))
        return np.concatenate([self._terms(part) @ self.beta for part in parts])


def sample_surface(posterior: Posterior, draws: int, chains: int, seed: int) -> Draws:
    """`draws` × `chains` independent draws of a posterior without random effects and of at most eight coefficients.

    Raises
    ------
    SurveyError : too many coefficients, random effects, or a posterior that no such surface follows
    """
    d = posterior.size
    if posterior.random is not None or d > MOST:
        what = "random effects" if posterior.random is not None else f"{d} coefficients"
        raise refuse(f"a surface cannot stand for a posterior with {what}", "Use sampler='nuts'", value=what)
    mode, unit = posterior.units()
    rng = np.random.default_rng(seed)
    terms = comb(d + DEGREE, DEGREE)
    n = max(4 * terms // (d + 1), 5 * d)
    places = norm.ppf(qmc.Halton(d, rng=rng).random(n)) * WIDE
    z = np.vstack([np.zeros((1, d)), FAR * np.eye(d), -FAR * np.eye(d), places])
    value, gradient = _evaluated(posterior, mode, unit, z)
    _check_tails(z[1 : 2 * d + 1], value[: 2 * d + 1], gradient[1 : 2 * d + 1])
    found, error = np.empty((0, d)), np.inf
    for _ in range(ROUNDS):
        good = np.isfinite(value)
        surface = Surface(z[good], value[good], gradient[good])
        found = _drawn(surface, d, draws * chains, rng)
        check = found[rng.choice(len(found), CHECKED, replace=len(found) < CHECKED)]
        at, slope = _evaluated(posterior, mode, unit, check)
        missed = at - surface(check)
        error = float(np.std(missed)) if np.isfinite(missed).all() else np.inf
        z, value, gradient = np.vstack([z, check]), np.append(value, at), np.vstack([gradient, slope])
        if error < GOOD:
            break
    if error > USABLE:
        raise refuse(
            "no surface of degree four follows this posterior, which is far from normal",
            "Use sampler='nuts'",
            value=f"error of the log-posterior {error:.2g}",
        )
    unknowns = (mode + found @ unit.T).reshape(chains, draws, d)
    made: dict[str, Any] = {"sampler": "independent draws, through a surface of degree four", "independent": 1}
    made |= {"evaluations": len(z), "error of the log-posterior": round(error, 4), "numpy": np.__version__}
    return Draws(posterior, unknowns, {"diverging": np.zeros((chains, draws), bool)}, seed, made)


def _check_tails(z: np.ndarray, value: np.ndarray, gradient: np.ndarray) -> None:
    """Refuse a posterior of which more than `LOST` lies beyond `FAR`, as an exponential tail from there on."""
    outwards = -np.sum(gradient * z / FAR, axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mass = np.exp(value[1:] - value[0]) / (np.sqrt(2.0 * np.pi) * outwards)
    mass = np.where(np.isneginf(value[1:]), 0.0, np.where(outwards > 0, mass, np.inf))
    if not mass.sum() < LOST:
        raise refuse(
            "a surface cannot stand for a posterior with long tails",
            "Use sampler='nuts'",
            value=f"about {100 * min(mass.sum(), 1.0):.1g} % of it is {FAR} standard deviations away",
        )


def _evaluated(posterior: Posterior, mode, unit, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-posterior [n] and gradient [n, d] by z; -inf and 0 where it cannot be evaluated."""
    value, gradient = np.empty(len(z)), np.zeros_like(z)
    for i, one in enumerate(z):
        value[i], slope = posterior.loglik_and_gradient(mode + unit @ one)
        if np.isfinite(value[i]):
            gradient[i] = unit.T @ slope
    return value, gradient


def _drawn(surface: Surface, d: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """float [n, d]: by rejection from Student's t, nowhere farther out than the surface knows."""
    kept, top = np.empty((0, d)), -np.inf
    while len(kept) < n:
        many = PILOT + 8 * (n - len(kept))
        z = rng.normal(size=(many, d)) * WIDE / np.sqrt(rng.chisquare(FREEDOM, (many, 1)) / FREEDOM)
        z = z[np.linalg.norm(z, axis=1) < FAR]
        log_w = surface(z) + 0.5 * (FREEDOM + d) * np.log1p(np.sum((z / WIDE) ** 2, axis=1) / FREEDOM)
        top = max(top, float(log_w.max()))
        kept = np.vstack([kept, z[np.log(rng.uniform(size=len(z))) < log_w - top]])
    return kept[:n]
