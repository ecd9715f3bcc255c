"""From the integrals of the engine to a log-likelihood: one function per treatment of the number of animals.

With A_i = ∫ D(x) Pr(history i | x) dx, a. = ∫ D(x) p.(x) dx, N = ∫ D(x) dx (Borchers & Efford 2008):

    Poisson N       Σ log A_i - a.
    binomial N      log Γ(N+1)/Γ(N-n+1) + (N-n) log(1 - a./N) + Σ log A_i - n log N
    conditional     Σ log A_i - n log a. + log n!

Each with its first and second derivatives with respect to a. and N; that to every log A_i is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, polygamma

LARGEST = 1e150  # of numbers whose squares, and one over these, are numbers too


@dataclass(frozen=True)
class Composed:
    """A log-likelihood and its derivatives by a. ("detected") and N ("total")."""

    loglik: float
    by_detected: float
    by_total: float = 0.0
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)  # detected², detected·total, total²


def poisson(sum_log_a: float, detected: float, total: float, n: int) -> Composed:
    """Animals scattered by a Poisson process: their number varies around N."""
    return Composed(sum_log_a - detected, -1.0)


def conditional(sum_log_a: float, detected: float, total: float, n: int) -> Composed:
    """Given that n animals were detected: density drops out but for its pattern."""
    if not detected > 0:
        return Composed(-np.inf, 0.0)
    loglik = sum_log_a - n * np.log(detected) + gammaln(n + 1.0)
    return Composed(loglik, -n / detected, second=(n / detected**2, 0.0, 0.0))


def binomial(sum_log_a: float, detected: float, total: float, n: int) -> Composed:
    """A fixed number N of animals, of which n were detected."""
    N, missed, unseen = total, total - detected, total - n
    if unseen < 0 or not missed > 1.0 / LARGEST or N > LARGEST:
        return Composed(-np.inf, 0.0)
    loglik = gammaln(N + 1) - gammaln(unseen + 1) + unseen * np.log(missed / N) + sum_log_a - n * np.log(N)
    by_total = digamma(N + 1) - digamma(unseen + 1) + np.log(missed / N) + unseen * (1 / missed - 1 / N) - n / N
    total_twice = (
        polygamma(1, N + 1)
        - polygamma(1, unseen + 1)
        + 2 * (1 / missed - 1 / N)
        + unseen * (1 / N**2 - 1 / missed**2)
        + n / N**2
    )
    second = (-unseen / missed**2, unseen / missed**2 - 1 / missed, float(total_twice))
    return Composed(float(loglik), -unseen / missed, float(by_total), second)
