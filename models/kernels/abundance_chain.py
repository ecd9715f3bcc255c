"""Numbers of animals that change between seasons: transitions between numbers, forward and back.

States n = 0 … K. Two kinds of transitions are made here. A branching process with immigration: each animal leaves a
random number of animals to the next season (itself among them if it survives), with distribution g; row0 is the
distribution of those that come from elsewhere. So row n of the matrix is row n - 1 convolved with g (Dail & Madsen
2011, Biometrics 67:577, sum over survivors and recruits for every pair of numbers instead). And Poisson rows, for means
that may depend on the density.

A row is kept where it is above NEGLIGIBLE: columns low[u, n] ≤ m < high[u, n]. Nothing else is ever read, so that no
step costs the square of K unless the rows are that wide. Numbers above K are lost; `lost` says how much of each row.

U distinct transitions, L the length of g; N sites, T seasons, which[N, T - 1] the transition of each.
"""

import math

import numpy as np
from numba import njit

NEGLIGIBLE = 1e-50
ROUNDING = 1e-13  # of a sum of probabilities


@njit(nogil=True, cache=True, error_model="numpy")
def trim(row, low, high):
    """The columns low … high without those at either end that are negligible, which become 0; and what is lost."""
    while high > low and row[high - 1] < NEGLIGIBLE:
        row[high - 1] = 0.0
        high -= 1
    while low < high and row[low] < NEGLIGIBLE:
        row[low] = 0.0
        low += 1
    whole = 0.0
    for m in range(low, high):
        whole += row[m]
    return low, high, max(0.0, 1.0 - whole - ROUNDING)


@njit(nogil=True, cache=True, error_model="numpy")
def branching(row0, g, transition, low, high, lost):
    """transition[U, K + 1, K + 1] with its bands low, high and lost [U, K + 1], from row0[U, K + 1] and g[U, L]."""
    K1 = row0.shape[1]
    for u in range(row0.shape[0]):
        transition[u, 0] = row0[u]
        low[u, 0], high[u, 0], lost[u, 0] = trim(transition[u, 0], 0, K1)
        for n in range(1, K1):
            first, last = low[u, n - 1], high[u, n - 1]
            transition[u, n] = 0.0
            for k in range(g.shape[1]):
                share, end = g[u, k], min(last, K1 - k)
                if share > 0.0 and end > first:
                    before, row = transition[u, n - 1, first:end], transition[u, n, first + k : end + k]
                    for m in range(before.size):
                        row[m] += share * before[m]
            ends = trim(transition[u, n], first, min(last + g.shape[1] - 1, K1))
            low[u, n], high[u, n], lost[u, n] = ends


@njit(nogil=True, cache=True, error_model="numpy")
def branching_adjoint(g, transition, low, high, by_transition, by_row0, by_g):
    """by_row0[U, K + 1] and by_g[U, L] from by_transition[U, K + 1, K + 1], which is used up."""
    K1 = transition.shape[1]
    by_g[:] = 0.0
    for u in range(transition.shape[0]):
        for n in range(K1 - 1, 0, -1):
            first, last = low[u, n - 1], high[u, n - 1]
            for k in range(g.shape[1]):
                share, total, end = g[u, k], 0.0, min(last, K1 - k)
                if end <= first:
                    break
                before, by_before = transition[u, n - 1, first:end], by_transition[u, n - 1, first:end]
                by_row = by_transition[u, n, first + k : end + k]
                for m in range(before.size):
                    total += by_row[m] * before[m]
                    by_before[m] += share * by_row[m]
                by_g[u, k] += total
        by_row0[u] = by_transition[u, 0]


@njit(nogil=True, cache=True, error_model="numpy")
def poisson_rows(mean, transition, low, high, lost):
    """Rows of Poisson numbers of mean[U, K + 1], outwards from the most likely number by ratios of probabilities."""
    K1 = mean.shape[1]
    for u in range(mean.shape[0]):
        for n in range(K1):
            row, rate = transition[u, n], min(mean[u, n], 1e15)
            row[:] = 0.0
            top = int(min(rate, K1 - 1.0))
            row[top] = math.exp((top * math.log(rate) if top > 0 else 0.0) - rate - math.lgamma(top + 1.0))
            first, last = top, top + 1
            while last < K1 and row[last - 1] >= NEGLIGIBLE:
                row[last] = row[last - 1] * rate / last
                last += 1
            while first > 0 and row[first] >= NEGLIGIBLE:
                row[first - 1] = row[first] * first / rate
                first -= 1
            low[u, n], high[u, n], lost[u, n] = trim(row, first, last)


@njit(nogil=True, cache=True, error_model="numpy")
def poisson_adjoint(transition, low, high, by_transition, by_mean):
    """by_mean[U, K + 1]: dP(m)/dmean = P(m - 1) - P(m)."""
    for u in range(transition.shape[0]):
        for n in range(transition.shape[1]):
            before, total = 0.0, 0.0
            for m in range(low[u, n], high[u, n]):
                total += by_transition[u, n, m] * (before - transition[u, n, m])
                before = transition[u, n, m]
            by_mean[u, n] = total


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
def chains(initial, transition, low, high, lost, which, emission, gradient, total, posterior, by_transition, missing):
    """Forward pass over the seasons of each site, and the adjoint by a backward pass when `gradient`.

    In: initial[N, K + 1]; transition, low, high, lost as above; emission[N, T, K + 1] log-likelihood of each season's
    counts.
    Out: total[N]; posterior[N, T, K + 1] of the numbers; by_transition[U, K + 1, K + 1], added to within the bands;
    missing[N]: no more than this share of exp(total) is missing for the numbers above K.

    Bound: a path above K has a first season t there. Up to t it has the forward probability that is lost; from K on the
    likelihood of the counts only falls with the number, and that of later seasons is no more than its maximum over all
    numbers. Infinite where that maximum lies above K.
    """
    N, T, K1 = emission.shape
    ahead, seen, scale = np.empty((T, K1)), np.empty((T, K1)), np.empty(T)
    before, behind, least = np.empty(K1), np.empty(K1), np.empty(T, np.int64)
    for i in range(N):
        log_whole, above = 0.0, 0.0
        for t in range(T):
            top = emission[i, t].max()
            least[t] = 0
            while least[t] < K1 - 1 and emission[i, t, least[t]] == -math.inf:
                least[t] += 1
            for m in range(K1):
                seen[t, m] = math.exp(emission[i, t, m] - top) if m >= least[t] else 0.0
            gone = 0.0
            if t == 0:
                before[:] = initial[i]
                for n in range(K1):
                    gone += initial[i, n]
                gone = max(0.0, 1.0 - gone - ROUNDING)
            else:
                before[:] = 0.0
                u = which[i, t - 1]
                for n in range(least[t - 1], K1):
                    share = ahead[t - 1, n]
                    if share > NEGLIGIBLE:
                        gone += share * lost[u, n]
                        begin = max(low[u, n], least[t])
                        if high[u, n] > begin:
                            row, into = transition[u, n, begin : high[u, n]], before[begin : high[u, n]]
                            for m in range(row.size):
                                into[m] += share * row[m]
            scale[t] = 0.0
            for m in range(K1):
                ahead[t, m] = before[m] * seen[t, m]
                scale[t] += ahead[t, m]
            for m in range(K1):
                ahead[t, m] /= scale[t]
            log_whole += math.log(scale[t]) + top
            above = (above + gone * seen[t, K1 - 1]) / scale[t]
            if seen[t, K1 - 1] > seen[t, max(K1 - 2, 0)]:
                above = math.inf
        total[i] = log_whole
        missing[i] = above
        if not gradient:
            continue
        behind[:] = 1.0
        for t in range(T - 1, -1, -1):
            for m in range(K1):
                posterior[i, t, m] = ahead[t, m] * behind[m]
                before[m] = seen[t, m] * behind[m] / scale[t]
            if t == 0:
                continue
            u = which[i, t - 1]
            for n in range(K1):
                begin, end = max(low[u, n], least[t]), high[u, n]
                behind[n] = 0.0
                if end > begin:
                    by_row, row = by_transition[u, n, begin:end], transition[u, n, begin:end]
                    after, share, back = before[begin:end], ahead[t - 1, n], 0.0
                    for m in range(row.size):
                        by_row[m] += share * after[m]
                        back += row[m] * after[m]
                    behind[n] = back
