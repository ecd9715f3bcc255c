"""Hidden Markov chains in arrays: what models hand to the kernel and get back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels.hidden_markov import backward, forward


@dataclass(frozen=True)
class Passed:
    """Log-likelihoods of S chains over R rows with K states, and their derivatives (None without gradient)."""

    total: np.ndarray  # [S]
    by_initial: np.ndarray | Any = None  # [S, K]
    by_transition: np.ndarray | Any = None  # [R, K, K]
    posterior: np.ndarray | Any = None  # [R, K] of the states; derivative with respect to emission


def run_chains(
    initial: np.ndarray, transition: np.ndarray, emission: np.ndarray, start: np.ndarray, gradient: bool
) -> Passed:
    """See `kernels.hidden_markov.forward` for the shapes."""
    initial, transition, emission = map(np.ascontiguousarray, (initial, transition, emission))
    total, ahead, scale = np.empty(len(initial)), np.zeros_like(emission), np.ones(len(emission))
    forward(initial, transition, emission, start, total, ahead, scale)
    if not gradient:
        return Passed(total)
    by_initial, by_transition, posterior = (np.empty_like(a) for a in (initial, transition, emission))
    backward(initial, transition, emission, start, ahead, scale, by_initial, by_transition, posterior)
    return Passed(total, by_initial, by_transition, posterior)


def two_state(gain: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Transitions [R, 2, 2] between on (state 0) and off (state 1) from the probabilities of getting on and off."""
    return np.stack([1.0 - loss, loss, gain, 1.0 - gain], axis=1).reshape(-1, 2, 2)


def pull_two_state(by_transition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives [R] with respect to gain and loss."""
    return by_transition[:, 1, 0] - by_transition[:, 1, 1], by_transition[:, 0, 1] - by_transition[:, 0, 0]
