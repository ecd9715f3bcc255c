"""Survival of marked animals: the Cormack-Jolly-Seber likelihood by animal, and its derivatives.

R rows, T occasions, G profiles (animals with the same covariates and first occasion), D_phi and D_p rows of parameters.
Cost R × T.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def cormack_jolly_seber(
    met, first, last, lost, profile, phi_index, p_index, phi, p, weight, log_probability, d_phi, d_p
):
    """log Pr(history | first met) by row; derivatives of their weighted sum are added to d_phi and d_p.

    chi_t, the probability not to be met after occasion t, is 1 - phi_t + phi_t (1 - p_{t+1}) chi_{t+1}
    (Lebreton et al. 1992, p. 74). An animal lost at its last encounter has no chi.

    Parameters
    ----------
    met : int8 [R, T], 1 met, 0 not met, -1 not looked for
    first, last : int64 [R], positions of the first and last encounter
    lost : bool [R], not released after the last encounter
    profile : int64 [R]
    phi_index : int32 [G, T - 1], row of survival from occasion t to t + 1
    p_index : int32 [G, T - 1], row of detection on occasion t + 1
    phi, p : float64 [D_phi], [D_p], survival of a whole interval, detection
    weight : float64 [R]
    log_probability : float64 [R], written
    d_phi, d_p : float64 [D_phi], [D_p], added to
    """
    R, T = met.shape
    chi = np.empty(T)
    for r in range(R):
        g = profile[r]
        total = 0.0
        for t in range(first[r], last[r]):
            i = phi_index[g, t]
            total += math.log(phi[i])
            d_phi[i] += weight[r] / phi[i]
            j = p_index[g, t]
            if met[r, t + 1] == 1:
                total += math.log(p[j])
                d_p[j] += weight[r] / p[j]
            elif met[r, t + 1] == 0:
                total += math.log1p(-p[j])
                d_p[j] -= weight[r] / (1.0 - p[j])
        if not lost[r] and last[r] < T - 1:
            chi[T - 1] = 1.0
            for t in range(T - 2, last[r] - 1, -1):
                q = 1.0 - p[p_index[g, t]] if met[r, t + 1] == 0 else 1.0
                s = phi[phi_index[g, t]]
                chi[t] = 1.0 - s + s * q * chi[t + 1]
            total += math.log(chi[last[r]])
            adjoint = weight[r] / chi[last[r]]
            for t in range(last[r], T - 1):
                i, j = phi_index[g, t], p_index[g, t]
                q = 1.0 - p[j] if met[r, t + 1] == 0 else 1.0
                d_phi[i] += adjoint * (q * chi[t + 1] - 1.0)
                if met[r, t + 1] == 0:
                    d_p[j] -= adjoint * phi[i] * chi[t + 1]
                adjoint *= phi[i] * q
        log_probability[r] = total
