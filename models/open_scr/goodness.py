"""Animals detected in each session, and in two sessions, beside the numbers that the model expects.

With N_t(m) the animals of session t and 1 - s_t(m) the probability to be detected in it, the expected number detected
in t is Σ N_t (1 - s_t), and in t and u the animals N_t (1 - s_t) that survive and move until u, times 1 - s_u.
"""

from __future__ import annotations

import numpy as np

from .series import by_class_and_cell


def discrepancies(model, vector: np.ndarray) -> dict[str, float]:
    """Freeman and Tukey's Σ (√observed - √expected)² of the sessions, and of the pairs of sessions."""
    observed, expected = observed_in(model), expected_in(model, vector)
    distance = (np.sqrt(observed) - np.sqrt(expected)) ** 2
    pairs = np.triu_indices(len(model.names), 1)
    return {
        "animals by session, Freeman-Tukey": float(np.trace(distance)),
        "animals of two sessions, Freeman-Tukey": float(distance[pairs].sum()),
    }


def observed_in(model) -> np.ndarray:
    """[T, T]: animals detected in both sessions; on the diagonal, in one."""
    seen = (model.records.visit >= 0).astype(float)
    return seen.T @ seen


def expected_in(model, vector: np.ndarray) -> np.ndarray:
    """[T, T]: as `observed_in`, by the model; above the diagonal and on it."""
    population, _, chains = model.chains(model.parameters.values(vector))
    alive, T = by_class_and_cell(model, vector), len(model.names)
    found = np.zeros((T, T))
    for c, chain in enumerate(chains):
        for t in range(T):
            here = alive[c, t] * (1.0 - chain.missed[t])
            found[t, t] += here.sum()
            for u in range(t + 1, T):
                here = population.survival[c, u - 1] * chain.moving.forward(u - 1, here)
                found[t, u] += here @ (1.0 - chain.missed[u])
    return found
