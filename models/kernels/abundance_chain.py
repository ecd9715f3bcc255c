"""Numbers of animals that change between seasons: a branching process with immigration, forward and back.

States n = 0 … K. Each animal leaves a random number of animals to the next season (itself among them if it survives),
with distribution g; row0 is the distribution of those that come from elsewhere. So row n of the transition matrix is
row n - 1 convolved with g, and no row costs more than K times the length of g (Dail & Madsen 2011, Biometrics 67:577,
sum over survivors and recruits for every pair of states instead).

U distinct transitions, L the length of g; N sites, T seasons, which[N, T - 1] the transition of each.
"""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def branching(row0, g, transition):
    """transition[U, K + 1, K + 1] from row0[U, K + 1] and g[U, L]; numbers above K are lost."""
    for u in range(row0.shape[0]):
        transition[u, 0] = row0[u]
        for n in range(1, row0.shape[1]):
            transition[u, n] = 0.0
            for k in range(g.shape[1]):
                share = g[u, k]
                if share > 0.0:
                    before, row = transition[u, n - 1, : row0.shape[1] - k], transition[u, n, k:]
                    for m in range(before.size):
                        row[m] += share * before[m]


@njit(nogil=True, cache=True, error_model="numpy")
def branching_adjoint(g, transition, by_transition, by_row0, by_g):
    """by_row0[U, K + 1] and by_g[U, L] from by_transition[U, K + 1, K + 1], which is used up."""
    K1 = transition.shape[1]
    by_g[:] = 0.0
    for u in range(transition.shape[0]):
        for n in range(K1 - 1, 0, -1):
            for k in range(g.shape[1]):
                share, total = g[u, k], 0.0
                before, by_before = transition[u, n - 1, : K1 - k], by_transition[u, n - 1, : K1 - k]
                by_row = by_transition[u, n, k:]
                for m in range(before.size):
                    total += by_row[m] * before[m]
                    by_before[m] += share * by_row[m]
                by_g[u, k] += total
        by_row0[u] = by_transition[u, 0]


@njit(nogil=True, cache=True, error_model="numpy")
def counts_loglik(p, count, start, loglik):
    """loglik[G, K + 1] of counts[V] with detection p[V] in the groups start[g] ≤ v < start[g + 1], for n = 0 … K."""
    K1 = loglik.shape[1]
    log_factorial = np.empty(K1)
    for n in range(K1):
        log_factorial[n] = math.lgamma(n + 1.0)
    for g in range(start.size - 1):
        loglik[g] = 0.0
        for v in range(start[g], start[g + 1]):
            y = count[v]
            hit = math.log(p[v]) * y if y > 0 else 0.0
            miss = math.log1p(-p[v])
            for n in range(min(y, K1)):
                loglik[g, n] = -math.inf
            for n in range(y, K1):
                ways = log_factorial[n] - log_factorial[y] - log_factorial[n - y]
                loglik[g, n] += ways + hit + (miss * (n - y) if n > y else 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def chains(initial, transition, which, emission, gradient, total, posterior, by_transition):
    """Forward pass over the seasons of each site, and the adjoint by a backward pass when `gradient`.

    In: initial[N, K + 1]; emission[N, T, K + 1] log-likelihood of each season's counts.
    Out: total[N]; posterior[N, T, K + 1] of the numbers; by_transition[U, K + 1, K + 1].
    """
    N, T, K1 = emission.shape
    ahead, seen, scale = np.empty((T, K1)), np.empty((T, K1)), np.empty(T)
    before, behind = np.empty(K1), np.empty(K1)
    by_transition[:] = 0.0
    for i in range(N):
        log_whole = 0.0
        for t in range(T):
            if t == 0:
                before[:] = initial[i]
            else:
                before[:] = 0.0
                for n in range(K1):
                    if ahead[t - 1, n] > 0.0:
                        row, share = transition[which[i, t - 1], n], ahead[t - 1, n]
                        for m in range(K1):
                            before[m] += share * row[m]
            top = emission[i, t].max()
            scale[t] = 0.0
            for m in range(K1):
                seen[t, m] = math.exp(emission[i, t, m] - top)
                ahead[t, m] = before[m] * seen[t, m]
                scale[t] += ahead[t, m]
            for m in range(K1):
                ahead[t, m] /= scale[t]
            log_whole += math.log(scale[t]) + top
        total[i] = log_whole
        if not gradient:
            continue
        behind[:] = 1.0
        for t in range(T - 1, -1, -1):
            for m in range(K1):
                posterior[i, t, m] = ahead[t, m] * behind[m]
                before[m] = seen[t, m] * behind[m] / scale[t]
            if t == 0:
                continue
            for n in range(K1):
                by_row = by_transition[which[i, t - 1], n]
                row, share, back = transition[which[i, t - 1], n], ahead[t - 1, n], 0.0
                for m in range(K1):
                    by_row[m] += share * before[m]
                    back += row[m] * before[m]
                behind[n] = back
