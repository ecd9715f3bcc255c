"""States of hidden Markov chains drawn given the data: likelihoods backward in time, draws forward.

Given the parameters, Pr(state at t + 1 | state at t, data) is proportional to move × look × ahead, with `ahead` the
likelihood of all that comes later from a state on (Scott 2002, J. Am. Stat. Assoc. 97:337). A draw of all states of an
animal or site is then one from their joint posterior, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BEFORE = -1  # in drawn states: before the chain begins
Move = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Chains:
    """R chains over T times and S states.

    Parameters
    ----------
    begin : float [R, S], weights of the states at `first`, with the likelihood of what was seen then in them
    move : t ↦ [R, S, S], probabilities from the states at t to those at t + 1
    look : float [R, T, S], likelihood of what was seen at each time; that at `first` is not read
    first : int [R], time at which a chain begins
    """

    begin: np.ndarray
    move: Move
    look: np.ndarray
    first: np.ndarray

    def ahead(self) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods [T, R, S] of what comes after each time, scaled, and the log-likelihood [R] of each chain."""
        R, T, S = self.look.shape
        found, log_scale = np.ones((T, R, S)), np.zeros((T, R))
        for t in range(T - 2, -1, -1):
            whole = np.einsum("rij,rj->ri", self.move(t), self.look[:, t + 1] * found[t + 1])
            top = whole.max(axis=1)
            top[top <= 0.0] = 1.0
            found[t], log_scale[t] = whole / top[:, None], log_scale[t + 1] + np.log(top)
        rows = np.arange(R)
        with np.errstate(divide="ignore"):
            total = np.log(np.sum(self.begin * found[self.first, rows], axis=1)) + log_scale[self.first, rows]
        return found, total

    def drawn(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """int [n, T]: states of n animals or sites, those of chain row[i] for the i-th; BEFORE before they begin."""
        ahead, T = self.ahead()[0], self.look.shape[1]
        state, first = np.full((len(row), T), BEFORE), self.first[row]
        for t in range(T):
            starts, on = np.flatnonzero(first == t), np.flatnonzero(first < t)
            if len(starts):
                state[starts, t] = one_of((self.begin * ahead[t])[row[starts]], rng)
            if len(on):
                r, weight = row[on], self.look[:, t] * ahead[t]
                state[on, t] = one_of(self.move(t - 1)[r, state[on, t - 1]] * weight[r], rng)
        return state


def one_of(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int [rows]: one of the columns of weights [rows, S] that are not negative."""
    rising = weight.cumsum(axis=1)
    return (rising <= rng.uniform(size=(len(weight), 1)) * rising[:, -1:]).sum(axis=1)
