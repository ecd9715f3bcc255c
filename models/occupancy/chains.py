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
    total, ahead, seen = np.empty(len(initial)), np.zeros_like(emission), np.empty_like(emission)
    scale = np.ones(len(emission))
    forward(initial, transition, emission, start, total, ahead, seen, scale)
    if not gradient:
        return Passed(total)
    by_initial, by_transition, posterior = (np.empty_like(a) for a in (initial, transition, emission))
    backward(initial, transition, seen, start, ahead, scale, by_initial, by_transition, posterior)
    return Passed(total, by_initial, by_transition, posterior)


def on_off(on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """float [rows, 2] of state 0 and of state 1."""
    both = np.empty((len(on), 2))
    both[:, 0], both[:, 1] = on, off
    return both


def two_state(gain: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Transitions [..., 2, 2] between on (state 0) and off (state 1) from the probabilities of getting on and off."""
    into = np.empty((*gain.shape, 2, 2))
    put_two_state(gain, loss, into)
    return into


def put_two_state(gain: np.ndarray, loss: np.ndarray, into: np.ndarray) -> None:
    """`two_state` written to `into` [..., 2, 2]."""
    into[..., 0, 0], into[..., 0, 1] = 1.0 - loss, loss
    into[..., 1, 0], into[..., 1, 1] = gain, 1.0 - gain


def pull_two_state(by_transition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives [R] with respect to gain and loss."""
    return by_transition[:, 1, 0] - by_transition[:, 1, 1], by_transition[:, 0, 1] - by_transition[:, 0, 0]
