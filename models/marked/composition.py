"""From the probabilities of histories to the likelihood of a closed population, with or without its size in it.

The constants are MARK's: log N!/(N - n)! for every group, no log n! and no multiplicities of identical histories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln


@dataclass(frozen=True)
class Composed:
    """Log-likelihood with its derivatives by log Pr(history) [R], by log Pr(never met) [G] and by f0 [G]."""

    loglik: float
    by_history: np.ndarray
    by_unseen: np.ndarray
    by_f0: np.ndarray


def full(log_history, frequency, log_unseen, n, f0) -> Composed:
    """log N!/(N - n)! + sum log Pr(history) + f0 log Pr(never met), N = n + f0 (Otis et al. 1978, p. 107).

    Parameters
    ----------
    log_history : [R]; frequency : [R]
    log_unseen : [G], log Pr(never met); n : [G], animals met; f0 : [G], animals never met
    """
    loglik = np.sum(gammaln(n + f0 + 1) - gammaln(f0 + 1) + f0 * log_unseen) + frequency @ log_history
    by_f0 = digamma(n + f0 + 1) - digamma(f0 + 1) + log_unseen
    return Composed(float(loglik), frequency, f0, by_f0)


def conditional(log_history, frequency, log_unseen, n) -> Composed:
    """Given that the animals were met: sum log Pr(history) - n log(1 - Pr(never met)) (Huggins 1989, eq. 2.1)."""
    log_met = np.log(-np.expm1(log_unseen))
    loglik = frequency @ log_history - n @ log_met
    return Composed(float(loglik), frequency, n * np.exp(log_unseen - log_met), np.zeros_like(log_unseen))
