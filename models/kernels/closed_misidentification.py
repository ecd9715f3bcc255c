"""Ghosts: how many of the animals met once are real, when some encounters made an animal that does not exist.

Every misidentified encounter looks like a new animal met once and never again. T occasions; M + 1 numbers of animals
that were not met at least twice. Cost M × (animals met once) × T.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def ghost_weights(singles, absent, log_right, log_wrong, log_factorial, log_weight, expected_real):
    """For m = 0..M animals that were not met at least twice, the sum over who of the single encounters are real.

    log sum over u of 1 / (m - U)! prod_t right^u_t wrong^(s_t - u_t) / u_t! C(m + absent_t - u_t, s_t - u_t),
    U = sum of u_t: u_t of the s_t single encounters are of real animals met once, the others are ghosts of animals that
    were not met otherwise on this occasion.

    Parameters
    ----------
    singles : int64 [T], s_t, animals met on this occasion only
    absent : int64 [T], animals met at least twice, but not on this occasion
    log_right, log_wrong : logarithms of the probability that an encounter is identified, or not
    log_factorial : float64, log k! for k = 0..M + max(absent)
    log_weight, expected_real : float64 [M + 1], written: the logarithm above, and the mean of U under its terms
    """
    T = singles.shape[0]
    S = singles.sum()
    total, longer = np.empty(S + 1), np.empty(S + 1)
    part = np.empty(singles.max() + 1 if T else 1)
    for m in range(log_weight.shape[0]):
        log_scale = 0.0
        size = 0
        total[0] = 1.0
        possible = True
        for t in range(T):
            s = singles[t]
            free = m + absent[t]
            if free < s:
                possible = False
                break
            top = -np.inf
            for u in range(s + 1):
                right = u * log_right if u > 0 else 0.0
                wrong = (s - u) * log_wrong if s > u else 0.0
                ways = log_factorial[free - u] - log_factorial[s - u] - log_factorial[free - s]
                part[u] = right + wrong - log_factorial[u] + ways
                top = max(top, part[u])
            for u in range(s + 1):
                part[u] = math.exp(part[u] - top)
            log_scale += top
            highest = 0.0
            for U in range(size + s + 1):
                mass = 0.0
                for u in range(max(0, U - size), min(s, U) + 1):
                    mass += part[u] * total[U - u]
                longer[U] = mass
                highest = max(highest, mass)
            size += s
            for U in range(size + 1):
                total[U] = longer[U] / highest
            log_scale += math.log(highest)
        log_weight[m] = -np.inf
        expected_real[m] = 0.0
        if not possible:
            continue
        top = -np.inf
        for U in range(min(size, m) + 1):
            if total[U] > 0.0:
                top = max(top, math.log(total[U]) - log_factorial[m - U])
        mass, mean = 0.0, 0.0
        for U in range(min(size, m) + 1):
            if total[U] > 0.0:
                term = math.exp(math.log(total[U]) - log_factorial[m - U] - top)
                mass += term
                mean += term * U
        if mass > 0.0:
            log_weight[m] = log_scale + top + math.log(mass)
            expected_real[m] = mean / mass
