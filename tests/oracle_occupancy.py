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


def false_positive(history, kind, psi, p, fp, b) -> float:
    """Miller et al. 2011; `kind` of each done visit in words."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        occupied = empty = 1.0
        for row, y in visits.get((i, 0), []):
            confirmed = b[row] if kind[row] == "confirmable" else 0.0
            false = 0.0 if kind[row] == "certain" else fp[row]
            occupied *= [1 - p[row], p[row] * (1 - confirmed), p[row] * confirmed][y]
            empty *= [1 - false, false, 0.0][y]
        total += math.log(psi[i] * occupied + (1 - psi[i]) * empty)
    return total


def multi_scale(history, psi, theta, p) -> float:
    """Nichols et al. 2008: theta[site · T + occasion]."""
    visits, total, T = visits_of(history), 0.0, history.n_seasons
    for i in range(history.n_sites):
        occupied, found = 1.0, False
        for t in range(T):
            here = visits.get((i, t), [])
            found = found or any(y for _, y in here)
            available = theta[i * T + t] * math.prod(p[row] if y else 1 - p[row] for row, y in here)
            occupied *= available + (1 - theta[i * T + t]) * float(not any(y for _, y in here))
        total += math.log(psi[i] * occupied + (1 - psi[i]) * float(not found))
    return total


def dynamic(history, psi, gamma, epsilon, p) -> float:
    """MacKenzie et al. 2003, by summing over all paths; gamma and epsilon [site · (T - 1) + season]."""
    visits, total, T = visits_of(history), 0.0, history.n_seasons
    for i in range(history.n_sites):
        emissions = []
        for t in range(T):
            here = visits.get((i, t), [])
            present = math.prod(p[row] if y else 1 - p[row] for row, y in here)
            emissions.append([present, float(not any(y for _, y in here))])
        rates = [(gamma[i * (T - 1) + t], epsilon[i * (T - 1) + t]) for t in range(T - 1)]
        transitions = [[[1 - e, e], [g, 1 - g]] for g, e in rates]
        total += hidden_markov([psi[i], 1 - psi[i]], transitions, emissions)
    return total


def sign_survey(history, psi, theta0, theta1, p, before=None) -> float:
    """Hines et al. 2010, by summing over all patterns of use; `before` by trail, else stationary."""
    detection = np.full(len(history.value), np.nan)
    detection[history.done] = p
    trail = history.visits["trail"].to_numpy() if "trail" in history.visits else np.zeros(len(history.value))
    total, trail_number = 0.0, 0
    for i in range(history.n_sites):
        occupied, found = 1.0, False
        segments = np.flatnonzero(history.site_of == i)
        for name in dict.fromkeys(trail[segments]):
            rows = [r for r in segments if trail[r] == name]
            off, on = theta0[rows[0]], theta1[rows[0]]
            pi = (
                off / (off + 1 - on) if before is None else before[trail_number] * on + (1 - before[trail_number]) * off
            )
            emissions = []
            for r in rows:
                y = history.value[r] if history.done[r] else None
                emissions.append([1.0, 1.0] if y is None else [detection[r], 0.0] if y else [1 - detection[r], 1.0])
                found = found or bool(y)
            transitions = [[[theta1[r], 1 - theta1[r]], [theta0[r], 1 - theta0[r]]] for r in rows[1:]]
            occupied *= math.exp(hidden_markov([pi, 1 - pi], transitions, emissions))
            trail_number += 1
        total += math.log(psi[i] * occupied + (1 - psi[i]) * float(not found))
    return total


def multistate(history, psi, R, p1, p2, delta) -> float:
    """Nichols et al. 2007."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        likelihood = [1 - psi[i], psi[i] * (1 - R[i]), psi[i] * R[i]]
        for row, y in visits.get((i, 0), []):
            likelihood[0] *= [1.0, 0.0, 0.0][y]
            likelihood[1] *= [1 - p1[row], p1[row], 0.0][y]
            likelihood[2] *= [1 - p2[row], p2[row] * (1 - delta[row]), p2[row] * delta[row]][y]
        total += math.log(sum(likelihood))
    return total


def two_species(first, second, f1, f2, f12, p1, p2) -> float:
    """Rota et al. 2016."""
    total = 0.0
    for i in range(first.n_sites):
        odds = {(a, b): math.exp(a * f1[i] + b * f2[i] + a * b * f12[i]) for a in (0, 1) for b in (0, 1)}
        likelihood = 0.0
        for (a, b), weight in odds.items():
            for there, history, p in ((a, first, p1), (b, second, p2)):
                for row, y in visits_of(history).get((i, 0), []):
                    weight *= (p[row] if y else 1 - p[row]) if there else float(y == 0)
            likelihood += weight / sum(odds.values())
        total += math.log(likelihood)
    return total


def removal(history, mean, p) -> float:
    """Dorazio et al. 2005."""
    total = 0.0
    for (i, _), visits in visits_of(history).items():
        left = 1.0
        for row, y in visits:
            total += math.log(poisson(y, mean[i] * left * p[row]))
            left *= 1 - p[row]
    return total


def branching(most: int, newcomers: float, each) -> np.ndarray:
    """Transition matrix by enumeration: newcomers Poisson, each(n) the distribution of what n animals leave."""
    matrix = np.zeros((most + 1, most + 1))
    for n in range(most + 1):
        left = each(n)
        for m in range(most + 1):
            come = [(poisson(k, newcomers) if newcomers > 0 else float(k == 0)) for k in range(m + 1)]
            matrix[n, m] = sum(left[m - k] * come[k] for k in range(m + 1))
    return matrix


def open_n_mixture(history, mean, p, matrices, most: int) -> float:
    """Dail & Madsen 2011 by plain matrix products; matrices[site][season] of transitions."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        ahead = np.array([poisson(n, mean[i]) for n in range(most + 1)])
        for t in range(history.n_seasons):
            if t > 0:
                ahead = ahead @ matrices[i][t - 1]
            for row, y in visits.get((i, t), []):
                seen = [
                    math.comb(n, y) * p[row] ** y * (1 - p[row]) ** (n - y) if n >= y else 0 for n in range(most + 1)
                ]
                ahead = ahead * np.array(seen)
        total += math.log(ahead.sum())
    return total


def time_to_detection(history, psi, rate) -> float:
    """Garrard et al. 2008."""
    visits, time, total = visits_of(history), history.effort[history.done], 0.0
    for i in range(history.n_sites):
        present, here = 1.0, visits.get((i, 0), [])
        for row, y in here:
            present *= math.exp(-rate[row] * time[row]) * (rate[row] if y else 1.0)
        total += math.log(psi[i] * present + (1 - psi[i]) * float(not any(y for _, y in here)))
    return total
