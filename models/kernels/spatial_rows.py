"""Sums over the cells of a block: of what its animals are, and of what goes back to the passes.

A = animals of the block, K = passes, B = cells.
"""

import numpy as np

from .compiled import fused, kept, lend, stage, summing, wide
from .vectors import exp

LANES = 32


@stage
def integrate_rows(log_f, log_mu, peak, total):
    """The greatest log_f + log_mu of every row, and Σ exp of these relative to it (to 1 where it is infinite)."""
    owned = (np.empty(LANES),)
    log_f, log_mu, peak, total = lend((log_f, log_mu, peak, total))
    (lanes,) = lend(owned)
    for a in range(log_f.shape[0]):
        top = _greatest(log_f, a, log_mu, lanes)
        peak[a] = top
        total[a] = _sum_of_exp(log_f, a, log_mu, top if abs(top) < np.inf else 0.0)
    kept(owned)


@fused
def _greatest(log_f, a, log_mu, lanes):
    """By lanes, because no loop for the greatest of all vectorises where there may be what is not a number."""
    wide()
    for j in range(LANES):
        lanes[j] = -np.inf
    whole = log_mu.size // LANES
    for part in range(whole):
        begin = np.uint64(part * LANES)
        for j in range(LANES):
            value, top = log_f[a, begin + np.uint64(j)] + log_mu[begin + np.uint64(j)], lanes[j]
            lanes[j] = value if value > top else top
    top = -np.inf
    for m in range(whole * LANES, log_mu.size):
        top = max(top, log_f[a, m] + log_mu[m])
    for j in range(LANES):
        top = max(top, lanes[j])
    return top


@summing
def _sum_of_exp(log_f, a, log_mu, reference):
    wide()
    total = 0.0
    for m in range(log_mu.size):
        total += exp(log_f[a, m] + (log_mu[m] - reference))
    return total


@stage
def posterior_rows(animals, log_f, log_mu, log_a, factor, out, shared):
    """out[A, B] = factor · posterior of the cell of each animal, and shared[B] += their sum; log_a, factor [n]."""
    log_f, log_mu, log_a, factor, out, shared = lend((log_f, log_mu, log_a, factor, out, shared))
    for a in range(animals.size):
        _posterior(log_f, a, log_mu, log_a[animals[a]], factor[animals[a]], out, shared)


@fused
def _posterior(log_f, a, log_mu, log_a, factor, out, shared):
    wide()
    for m in range(log_mu.size):
        value = factor * exp(log_f[a, m] + (log_mu[m] - log_a))
        out[a, m] = value
        shared[m] += value


@stage
def pass_sums(bar, link, first, out):
    """out[K, 1 + D] = Σ_m bar · link · (1, first[D, K, B]); a link of no rows is 1. Further columns are left alone."""
    owned = (np.empty(bar.shape[1]),)
    bar, link, first, out = lend((bar, link, first, out))
    (weight,) = lend(owned)
    for k in range(bar.shape[0]):
        _weigh(bar, link, k, weight)
        out[k, 0] = _total(weight)
        for d in range(first.shape[0]):
            out[k, 1 + d] = _product(weight, first, d, k)
    kept(owned)


@fused
def _weigh(bar, link, k, weight):
    wide()
    if link.shape[0] > 0:
        for m in range(weight.size):
            weight[m] = bar[k, m] * link[k, m]
    else:
        for m in range(weight.size):
            weight[m] = bar[k, m]


@summing
def _total(x):
    wide()
    total = 0.0
    for m in range(x.size):
        total += x[m]
    return total


@summing
def _product(x, y, d, k):
    wide()
    total = 0.0
    for m in range(x.size):
        total += x[m] * y[d, k, m]
    return total
