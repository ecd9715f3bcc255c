"""Which of the animals known by one mark are those known by another: sums over all partial matchings.

Exactly for few columns (cost n × m × 2^m), or by Bethe's approximation (A rows and B columns of different histories
with multiplicities; cost A × B per pass, some tens of passes).
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def matchings(weight, rows, columns, pair):
    """log of the sum over all partial matchings of the product of the weights of matched pairs, Bethe's approximation.

    Belief propagation for monomers and dimers, which converges on every graph and is exact without cycles (Bayati et
    al. 2007, Probab. Theory Relat. Fields 137:409; the free energy: Heilmann & Lieb 1972). Of its stationary
    point the derivative by log weight[a, b] is rows[a] columns[b] pair[a, b].

    Parameters
    ----------
    weight : float64 [A, B] >= 0
    rows, columns : float64 [A], [B], animals with each history
    pair : float64 [A, B], written: probability that an animal of row a and one of column b are matched

    Returns
    -------
    the logarithm
    """
    A, B = weight.shape
    u, v = np.ones((A, B)), np.ones((A, B))
    by_row, by_column = np.empty(A), np.empty(B)
    for _ in range(5000):
        change = 0.0
        for a in range(A):
            total = 0.0
            for b in range(B):
                total += columns[b] * weight[a, b] * v[a, b]
            by_row[a] = total
            for b in range(B):
                new = 1.0 / (1.0 + total - weight[a, b] * v[a, b])
                change = max(change, abs(new - u[a, b]))
                u[a, b] = 0.5 * (u[a, b] + new)
        for b in range(B):
            total = 0.0
            for a in range(A):
                total += rows[a] * weight[a, b] * u[a, b]
            by_column[b] = total
            for a in range(A):
                new = 1.0 / (1.0 + total - weight[a, b] * u[a, b])
                change = max(change, abs(new - v[a, b]))
                v[a, b] = 0.5 * (v[a, b] + new)
        if change < 1e-13:
            break
    total = 0.0
    for b in range(B):
        by_column[b] = 0.0
        for a in range(A):
            by_column[b] += rows[a] * weight[a, b] * u[a, b]
        total += columns[b] * math.log1p(by_column[b])
    for a in range(A):
        by_row[a] = 0.0
        for b in range(B):
            by_row[a] += columns[b] * weight[a, b] * v[a, b]
            both = weight[a, b] * u[a, b] * v[a, b]
            pair[a, b] = both / (1.0 + both)
            total -= rows[a] * columns[b] * math.log1p(both)
        total += rows[a] * math.log1p(by_row[a])
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def all_matchings(weight, pair):
    """log of the sum over all partial matchings of n rows with m columns of the product of the weights, exactly.

    Row after row, over the sets of columns that are taken.

    Parameters
    ----------
    weight : float64 [n, m] >= 0
    pair : float64 [n, m], written: probability that a row and a column are matched

    Returns
    -------
    the logarithm
    """
    n, m = weight.shape
    sets = 1 << m
    before, after = np.zeros((n + 1, sets)), np.ones(sets)
    before[0, 0] = 1.0
    log_scale = 0.0
    for i in range(n):
        highest = 0.0
        for taken in range(sets):
            mass = before[i, taken]
            for j in range(m):
                if taken >> j & 1:
                    mass += before[i, taken ^ (1 << j)] * weight[i, j]
            before[i + 1, taken] = mass
            highest = max(highest, mass)
        log_scale += math.log(highest)
        for taken in range(sets):
            before[i + 1, taken] /= highest
    whole = before[n].sum()
    for i in range(n - 1, -1, -1):
        alone = 0.0
        for taken in range(sets):
            alone += before[i, taken] * after[taken]
        total = alone
        for j in range(m):
            mass = 0.0
            for taken in range(sets):
                if not taken >> j & 1:
                    mass += before[i, taken] * after[taken | (1 << j)]
            pair[i, j] = weight[i, j] * mass
            total += pair[i, j]
        highest = 0.0
        for j in range(m):
            pair[i, j] /= total
        for taken in range(sets):  # upwards: what is read above has not yet been changed
            mass = after[taken]
            for j in range(m):
                if not taken >> j & 1:
                    mass += weight[i, j] * after[taken | (1 << j)]
            after[taken] = mass
            highest = max(highest, mass)
        for taken in range(sets):
            after[taken] /= highest
    return log_scale + math.log(whole)
