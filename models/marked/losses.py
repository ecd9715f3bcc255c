"""Losses on capture in simulated histories: as often, at the encounters of each occasion, as in the data."""

from __future__ import annotations

import numpy as np

from ...survey.encounters import EncounterHistory


def with_losses(
    states: np.ndarray, data: EncounterHistory, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Histories [animals, occasions] that end where an animal is lost, and which animals are: None without losses.

    Each animal met on an occasion is lost with the share that was lost of those met on it in the data.
    """
    if not data.removed.any():
        return states, None
    occasion, T = np.arange(data.n_occasions), data.n_occasions
    lost = data.removed[:, None] & (occasion == data.last[:, None])
    share = (data.frequency @ lost) / np.maximum(data.frequency @ (data.states > 0), 1)
    gone = (states > 0) & (rng.random(states.shape) < share)
    end = np.where(gone.any(axis=1), gone.argmax(axis=1), T)
    return np.where((occasion > end[:, None]) & (states > 0), 0, states), end < T
