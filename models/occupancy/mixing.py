"""The mixture over latent states of each unit, with its adjoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels.occupancy import mixture


@dataclass(frozen=True)
class Mixed:
    """G units, K states."""

    total: np.ndarray  # [G] log Σ prior · exp(loglik)
    relative: np.ndarray  # [G, K] derivative with respect to the prior
    posterior: np.ndarray  # [G, K] of the states; derivative with respect to the log-likelihoods


def mix(prior: np.ndarray, loglik: np.ndarray) -> Mixed:
    """Prior probabilities [G, K] and log-likelihoods of the data under each state [G, K]."""
    total, relative = np.empty(len(prior)), np.empty(prior.shape)
    mixture(np.ascontiguousarray(prior), np.ascontiguousarray(loglik), total, relative)
    with np.errstate(over="ignore", invalid="ignore"):
        return Mixed(total, relative, np.where(prior > 0, prior * relative, 0.0))


def mix_two(psi: np.ndarray, present: np.ndarray, absent: np.ndarray) -> Mixed:
    """Occupied (state 0) with probability psi [G], or not (state 1)."""
    return mix(np.stack([psi, 1.0 - psi], axis=1), np.stack([present, absent], axis=1))
