"""Slow, obvious twins of the occupancy and count likelihoods: plain loops over sites, seasons, visits and states.

Each takes natural-scale values over the same rows as the model's parameters, and visits as lists.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def visits_of(history) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """(site, season) → [(row among the done visits, finding)]."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    rows = np.flatnonzero(history.done)
    for row, v in enumerate(rows):
        key = (int(history.site_of[v]), int(history.season_of[v]))
        found.setdefault(key, []).append((row, int(history.value[v])))
    return found


def occupancy(history, psi, p) -> float:
    """MacKenzie et al. 2002."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        present = math.prod(p[row] if y else 1 - p[row] for row, y in visits.get((i, 0), []))
        absent = float(all(y == 0 for _, y in visits.get((i, 0), [])))
        total += math.log(psi[i] * present + (1 - psi[i]) * absent)
    return total


def poisson(n: int, mean: float) -> float:
    return math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))


def negative_binomial(n: int, mean: float, size: float) -> float:
    log = math.lgamma(n + size) - math.lgamma(size) - math.lgamma(n + 1)
    return math.exp(log + size * math.log(size / (size + mean)) + n * math.log(mean / (size + mean)))


def royle_nichols(history, mean, r, size=None, most: int = 150) -> float:
    """Royle & Nichols 2003."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        likelihood = 0.0
        for n in range(most + 1):
            prior = poisson(n, mean[i]) if size is None else negative_binomial(n, mean[i], size)
            missed = [((1 - r[row]) ** n, y) for row, y in visits.get((i, 0), [])]
            likelihood += prior * math.prod(1 - m if y else m for m, y in missed)
        total += math.log(likelihood)
    return total


def n_mixture(history, mean, p, size=None, zero=0.0, most: int = 150) -> float:
    """Royle 2004; `zero` is the probability of an extra zero."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        likelihood = 0.0
        for n in range(most + 1):
            prior = poisson(n, mean[i]) if size is None else negative_binomial(n, mean[i], size)
            prior = prior * (1 - zero) + (zero if n == 0 else 0.0)
            seen = [(math.comb(n, y), p[row], y) for row, y in visits.get((i, 0), [])]
            likelihood += prior * math.prod(c * q**y * (1 - q) ** (n - y) if c else 0.0 for c, q, y in seen)
        total += math.log(likelihood)
    return total


def hidden_markov(initial, transitions, emissions) -> float:
    """Sum over every path of states: initial [K], transitions [T - 1][K][K], emissions [T][K] (probabilities)."""
    total = 0.0
    for path in itertools.product(range(len(initial)), repeat=len(emissions)):
        one = initial[path[0]] * emissions[0][path[0]]
        for t in range(1, len(path)):
            one *= transitions[t - 1][path[t - 1]][path[t]] * emissions[t][path[t]]
        total += one
    return math.log(total)
