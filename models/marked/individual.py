"""Animals that differ: a normal effect of each animal on the logit scale, integrated by Gauss-Hermite quadrature."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.special import expit, logsumexp

EDGE = 1e-15  # keeps the logit of a probability that has reached 0 or 1 finite
ROUGH = 0.01  # error of a log-likelihood that matters


def normal_nodes(n: int, effects: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Points [K, effects] and log weights [K] of the standard normal, K = n^effects (Gimenez & Choquet 2010, eq. 4)."""
    z, w = np.polynomial.hermite_e.hermegauss(n)
    log_w = np.log(w) - 0.5 * np.log(2.0 * np.pi)
    points, weights = (np.array(list(product(v, repeat=effects))).reshape(n**effects, effects) for v in (z, log_w))
    return points, weights.sum(axis=1)


def shifted(probability: np.ndarray, by: float | np.ndarray) -> np.ndarray:
    """Probabilities moved on the logit scale."""
    p = np.clip(probability, EDGE, 1.0 - EDGE)
    return expit(np.log(p) - np.log1p(-p) + by)


class Shift:
    """Derivatives by a probability and by sigma, gathered over the points of a quadrature."""

    def __init__(self, probability: np.ndarray):
        self.slope = np.clip(probability, EDGE, 1.0 - EDGE)
        self.slope = self.slope * (1.0 - self.slope)
        self.by_eta, self.by_sigma = np.zeros(len(probability)), 0.0

    def add(self, d: np.ndarray, moved: np.ndarray, z: float) -> None:
        """Derivatives `d` by the probabilities `moved` at the point z."""
        by_eta = d * moved * (1.0 - moved)
        self.by_eta += by_eta
        self.by_sigma += z * float(by_eta.sum())

    @property
    def by_probability(self) -> np.ndarray:
        """Derivatives by the probabilities themselves."""
        return self.by_eta / self.slope


def mixed(log_rows: np.ndarray, log_weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log of the weighted sum over points [R], and the share [K, R] of each point in it; log_rows [K, R]."""
    terms = log_rows + log_weight[:, None]
    total = logsumexp(terms, axis=0)
    return total, np.exp(terms - total)
