"""Survival with temporary emigration: animals alive and here, alive and away, or dead.

R rows, K primary periods, G profiles. Cost R × K.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def temporary_emigration(
    met, first, end, profile, phi, out, away, star, weight, log_probability, d_phi, d_out, d_away, d_star
):
    """log Pr(periods met | first) by row; derivatives of their weighted sum are added to d_phi, d_out, d_away, d_star.

    An animal here goes away with `out` (gamma''), one that is away stays away with `away` (gamma'), if it survives
    (Kendall, Nichols & Hines 1997, p. 565).

    Parameters
    ----------
    met : int8 [R, K], 1 met in the period, 0 not met, -1 nobody looked
    first, end : int64 [R], period of the first encounter, and the last period that says anything
    profile : int64 [R]
    phi, out, away : float64 [G, K - 1], from period k to k + 1
    star : float64 [G, K], probability to be met in a period when here
    weight : float64 [R]
    log_probability : float64 [R], written
    d_phi, d_out, d_away, d_star : shapes of phi, out, away, star
    """
    R, K = met.shape
    here, gone, dead = np.empty(K), np.empty(K), np.empty(K)
    for r in range(R):
        g = profile[r]
        here[first[r]], gone[first[r]], dead[first[r]] = 1.0, 0.0, 0.0
        for k in range(first[r], end[r]):
            s, o, a = phi[g, k], out[g, k], away[g, k]
            seen = met[r, k + 1]
            of_here = star[g, k + 1] if seen == 1 else (1.0 - star[g, k + 1] if seen == 0 else 1.0)
            of_rest = 0.0 if seen == 1 else 1.0
            here[k + 1] = s * ((1.0 - o) * here[k] + (1.0 - a) * gone[k]) * of_here
            gone[k + 1] = s * (o * here[k] + a * gone[k]) * of_rest
            dead[k + 1] = (dead[k] + (1.0 - s) * (here[k] + gone[k])) * of_rest
        L = here[end[r]] + gone[end[r]] + dead[end[r]]
        log_probability[r] = math.log(L)
        w = weight[r] / L
        b_here, b_gone, b_dead = 1.0, 1.0, 1.0
        for k in range(end[r] - 1, first[r] - 1, -1):
            s, o, a = phi[g, k], out[g, k], away[g, k]
            seen = met[r, k + 1]
            of_here = star[g, k + 1] if seen == 1 else (1.0 - star[g, k + 1] if seen == 0 else 1.0)
            of_rest = 0.0 if seen == 1 else 1.0
            arriving = s * ((1.0 - o) * here[k] + (1.0 - a) * gone[k])
            if seen == 1:
                d_star[g, k + 1] += w * arriving * b_here
            elif seen == 0:
                d_star[g, k + 1] -= w * arriving * b_here
            e_here, e_gone, e_dead = of_here * b_here, of_rest * b_gone, of_rest * b_dead
            from_here = (1.0 - o) * e_here + o * e_gone
            from_gone = (1.0 - a) * e_here + a * e_gone
            d_phi[g, k] += w * (here[k] * (from_here - e_dead) + gone[k] * (from_gone - e_dead))
            d_out[g, k] += w * s * here[k] * (e_gone - e_here)
            d_away[g, k] += w * s * gone[k] * (e_gone - e_here)
            b_here = s * from_here + (1.0 - s) * e_dead
            b_gone = s * from_gone + (1.0 - s) * e_dead
            b_dead = e_dead
