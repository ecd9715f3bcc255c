"""Marginal likelihoods with one random effect, slow and obvious: every group's integral on a fine grid."""

from __future__ import annotations

import numpy as np

GRID = np.linspace(-8.0, 8.0, 1001)  # standard deviations


def logistic(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, float)))


def over_groups(group, sd: float, loglik_of_group) -> float:
    """Σ over groups of log ∫ exp(loglik_of_group(g, b)) N(b; 0, sd²) db."""
    total = 0.0
    for g in sorted(set(group)):
        height = np.array([loglik_of_group(g, sd * z) for z in GRID]) - 0.5 * GRID**2
        top = height.max()
        total += top + np.log(np.sum(np.exp(height - top)) * (GRID[1] - GRID[0]) / np.sqrt(2.0 * np.pi))
    return total


def occupancy_site(y, psi: float, p: float) -> float:
    """Log-likelihood of the findings of one site (NaN where there was no visit)."""
    seen = y[~np.isnan(y)]
    present = psi * np.prod(np.where(seen > 0, p, 1.0 - p))
    return float(np.log(present + (1.0 - psi) * (not seen.any())))


def over_walk(gaps, sd: float, loglik_of_walk, points: int = 21) -> float:
    """log ∫ exp(loglik_of_walk(w)) p(w) dw for a random walk over three values, w taken off its mean, on a grid."""
    z = np.linspace(-5.0, 5.0, points)
    height = np.empty((points, points))
    for i, first in enumerate(z):
        for k, second in enumerate(z):
            walk = np.cumsum([0.0, sd * np.sqrt(gaps[0]) * first, sd * np.sqrt(gaps[1]) * second])
            height[i, k] = loglik_of_walk(walk - walk.mean()) - 0.5 * (first**2 + second**2)
    top = height.max()
    return float(top + np.log(np.sum(np.exp(height - top)) * (z[1] - z[0]) ** 2 / (2.0 * np.pi)))
