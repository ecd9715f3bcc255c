"""Encounter histories of a closed population: logarithms of their probabilities, and the way back.

R rows, T occasions, C classes of a finite mixture, G profiles (animals with the same covariates), D rows of detection
probability. Cost R × C × T.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def histories(met, stop, profile, index, log_p, log_q, log_class, log_probability, share):
    """log Pr(history) by row, and how much of it each class has.

    Parameters
    ----------
    met : int8 [R, T], 1 met, 0 not met, -1 not looked for
    stop : int64 [R], occasions before the animal was lost (T when it was not)
    profile : int64 [R]
    index : int32 [G, C, 2, T], detection row; third axis: before and after the first encounter
    log_p, log_q : float64 [D], logarithms of detection and non-detection
    log_class : float64 [G, C], logarithms of the class proportions
    log_probability : float64 [R], written
    share : float64 [R, C], written: Pr(class | history)
    """
    R = met.shape[0]
    C = log_class.shape[1]
    for r in range(R):
        g = profile[r]
        top = -np.inf
        for c in range(C):
            total = log_class[g, c]
            marked = 0
            for t in range(stop[r]):
                row = index[g, c, marked, t]
                if met[r, t] == 1:
                    total += log_p[row]
                    marked = 1
                elif met[r, t] == 0:
                    total += log_q[row]
            share[r, c] = total
            top = max(top, total)
        mass = 0.0
        for c in range(C):
            share[r, c] = math.exp(share[r, c] - top)
            mass += share[r, c]
        for c in range(C):
            share[r, c] /= mass
        log_probability[r] = top + math.log(mass)


@njit(cache=True, nogil=True, error_model="numpy")
def histories_back(met, stop, profile, index, share, weight, d_log_p, d_log_q, d_log_class):
    """Derivatives of sum(weight * log Pr(history)), added to d_log_p, d_log_q [D] and d_log_class [G, C].

    Shapes as in `histories`; weight : float64 [R].
    """
    R = met.shape[0]
    C = share.shape[1]
    for r in range(R):
        g = profile[r]
        for c in range(C):
            w = weight[r] * share[r, c]
            d_log_class[g, c] += w
            marked = 0
            for t in range(stop[r]):
                row = index[g, c, marked, t]
                if met[r, t] == 1:
                    d_log_p[row] += w
                    marked = 1
                elif met[r, t] == 0:
                    d_log_q[row] += w
