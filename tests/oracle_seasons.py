"""Slow, obvious twins of occupancy over several seasons: what was found in a season, then a sum over all paths."""

from __future__ import annotations

import itertools
import math

import numpy as np
from oracle_occupancy import hidden_markov, visits_of


def through_seasons(history, psi, gamma, epsilon, found) -> float:
    """found(site, season) → likelihood of what was found there if occupied, and if not; rates [site · (T - 1) + t]."""
    total, T = 0.0, history.n_seasons
    for i in range(history.n_sites):
        rates = [(gamma[i * (T - 1) + t], epsilon[i * (T - 1) + t]) for t in range(T - 1)]
        transitions = [[[1 - e, e], [g, 1 - g]] for g, e in rates]
        total += hidden_markov([psi[i], 1 - psi[i]], transitions, [found(i, t) for t in range(T)])
    return total


def covariance_of_states(history, psi, gamma, epsilon, found) -> np.ndarray:
    """float [T, T]: of the share of sites that are occupied, by the probabilities of all paths given what was found."""
    T, whole = history.n_seasons, 0.0
    paths = np.array(list(itertools.product((1, 0), repeat=T)))
    for i in range(history.n_sites):
        weights = []
        for path in paths:
            w = (psi[i] if path[0] else 1 - psi[i]) * found(i, 0)[1 - path[0]]
            for t in range(1, T):
                g, e = gamma[i * (T - 1) + t - 1], epsilon[i * (T - 1) + t - 1]
                on = 1 - e if path[t - 1] else g
                w *= (on if path[t] else 1 - on) * found(i, t)[1 - path[t]]
            weights.append(w)
        whole = whole + np.cov(paths.T, aweights=np.array(weights) / np.sum(weights), ddof=0)
    return whole / history.n_sites**2


def false_positives(history, kind, p, fp, b):
    """Miller et al. 2013, eq. 1: certain, uncertain and confirmable visits of a season."""
    visits = visits_of(history)

    def found(i, t):
        occupied = empty = 1.0
        for row, y in visits.get((i, t), []):
            confirmed = b[row] if kind[row] == "confirmable" else 0.0
            false = 0.0 if kind[row] == "certain" else fp[row]
            occupied *= [1 - p[row], p[row] * (1 - confirmed), p[row] * confirmed][y]
            empty *= [1 - false, false, 0.0][y]
        return [occupied, empty]

    return found


def trails(history, theta0, theta1, p):
    """Hines et al. 2010: all patterns of use of the trails of a season, the first segment stationary."""
    detection = np.full(len(history.value), np.nan)
    detection[history.done] = p

    def found(i, t):
        occupied, seen = 1.0, False
        rows = np.flatnonzero((history.site_of == i) & (history.season_of == t))
        for name in dict.fromkeys(history.visits["trail"].iloc[rows]):
            segments = [r for r in rows if history.visits["trail"].iloc[r] == name]
            pi = theta0[segments[0]] / (theta0[segments[0]] + 1 - theta1[segments[0]])
            emissions = []
            for r in segments:
                y = history.value[r] if history.done[r] else None
                emissions.append([1.0, 1.0] if y is None else [detection[r], 0.0] if y else [1 - detection[r], 1.0])
                seen = seen or bool(y)
            steps = [[[theta1[r], 1 - theta1[r]], [theta0[r], 1 - theta0[r]]] for r in segments[1:]]
            occupied *= math.exp(hidden_markov([pi, 1 - pi], steps, emissions))
        return [occupied, float(not seen)]

    return found


def normal(x, mean, sd) -> float:
    return math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def classified(history, score, judged, p, fp, mu, sigma):
    """Scores on the logit scale; judged 1 true, 0 false, -1 unknown; mu and sigma (true, false), mu by visit."""
    visits = visits_of(history)

    def found(i, t):
        occupied = empty = 1.0
        for row, y in visits.get((i, t), []):
            true, false = 0.0, 1 - fp[row]
            if y:
                known = math.isfinite(score[row])
                true, false = (normal(score[row], mu[k][row], sigma[k]) if known else 1.0 for k in (0, 1))
                true, false = true * (judged[row] != 0), false * fp[row] * (judged[row] != 1)
            occupied *= p[row] * true + (1 - p[row]) * false
            empty *= false
        return [occupied, empty]

    return found


def multistate(history, prior, transition, p1, p2, delta) -> float:
    """MacKenzie et al. 2009: prior [N, 3], transition(site, season) [3, 3] into the next season."""
    visits, total = visits_of(history), 0.0
    for i in range(history.n_sites):
        emissions = []
        for t in range(history.n_seasons):
            one = [1.0, 1.0, 1.0]
            for row, y in visits.get((i, t), []):
                one[0] *= [1.0, 0.0, 0.0][y]
                one[1] *= [1 - p1[row], p1[row], 0.0][y]
                one[2] *= [1 - p2[row], p2[row] * (1 - delta[row]), p2[row] * delta[row]][y]
            emissions.append(one)
        steps = [transition(i, t) for t in range(history.n_seasons - 1)]
        total += hidden_markov(prior[i], steps, emissions)
    return total
