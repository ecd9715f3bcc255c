"""Elementwise steps on one block of cells: the functions φ and -log(1 - g), and scattering sparse rows.

    φ(u) = expm1(u)/u          turns a competing or repeated hazard into a probability (Borchers & Efford 2008, eq. 4)
    -log(1 - exp(v))           the hazard of a detection probability exp(v)

Everything else that happens on a block is a matrix product.
"""

import math

import numpy as np
from numba import njit

# B_2n/(2n)!, n = 1..11: dlogφ/du = 1/2 + Σ c_n u^(2n-1); the remainder at u = 1 is below 1e-18
C1, C2, C3, C4, C5 = 1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160
C6, C7, C8 = -691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000
C9, C10, C11 = 43867 / 5109094217170944000, -174611 / 802857662698291200000, 77683 / 14101100039391805440000
SERIES = np.array([C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11])

# The largest probability below one: keeps a hazard finite when a link function rounds g0 to 1.
ALMOST_ONE = 1.0 - 2.0**-53


@njit(nogil=True, cache=True, error_model="numpy")
def log_phi(order, u, value, first, second):
    """log φ(u) for u[K, B] ≥ 0, and with order ≥ 1 (2) its first (second) derivative with respect to u."""
    for k in range(u.shape[0]):
        for m in range(u.shape[1]):
            v = u[k, m]
            if v < 0.01:
                v2 = v * v
                value[k, m] = v * (0.5 + v * (C1 / 2 + v2 * (C2 / 4)))
                d1, d2 = 0.5 + v * (C1 + v2 * (C2 + v2 * C3)), C1 + v2 * (3 * C2 + v2 * 5 * C3)
            elif v < 1.0:
                v2 = v * v
                s0, s1, s2 = 0.0, 0.0, 0.0
                for j in range(10, -1, -1):
                    c = SERIES[j]
                    s0 = s0 * v2 + c / (2 * j + 2)
                    s1 = s1 * v2 + c
                    s2 = s2 * v2 + c * (2 * j + 1)
                value[k, m] = v * (0.5 + v * s0)
                d1, d2 = 0.5 + v * s1, s2
            else:
                e = math.exp(-v)
                inverse, miss = 1.0 / v, 1.0 - e
                value[k, m] = v + math.log(miss * inverse)
                d1 = 1.0 / miss - inverse
                d2 = inverse * inverse - e / (miss * miss)
            if order > 0:
                first[k, m] = d1
            if order > 1:
                second[k, m] = d2


@njit(nogil=True, cache=True, error_model="numpy")
def log_hazard(order, g, value, first, second):
    """Replaces g[K, B] by the hazard y = -log(1 - g), and value = log g by log y.

    first and second: its derivatives with respect to log g. Small g take the series of log(y/g).
    """
    for k in range(value.shape[0]):
        for m in range(value.shape[1]):
            u = min(g[k, m], ALMOST_ONE)
            if u < 1e-3:
                y = u * (1.0 + u * (1 / 2 + u * (1 / 3 + u * (1 / 4 + u * (1 / 5 + u / 6)))))
                value[k, m] += u * (1 / 2 + u * (5 / 24 + u * (1 / 8 + u * (251 / 2880 + u * (19 / 288)))))
                slope = 1.0 + u * (1 / 2 + u * (5 / 12 + u * (3 / 8 + u * (251 / 720 + u * (95 / 288)))))
                bend = u * (1 / 2 + u * (5 / 6 + u * (9 / 8 + u * (251 / 180 + u * (475 / 288)))))
            else:
                y = -math.log1p(-u)
                odds = u / (1.0 - u)
                slope = odds / y
                bend = slope * (1.0 + odds - slope)
                value[k, m] = math.log(y)
            g[k, m] = y
            if order > 0:
                first[k, m] = slope
            if order > 1:
                second[k, m] = bend


@njit(nogil=True, cache=True, error_model="numpy")
def scatter_rows(start, column, entry, rows, place, out):
    """out[a, place[j]] += entry for the sparse entries (rows[a], j) of a CSR matrix (start, column, entry)."""
    for a in range(rows.size):
        for e in range(start[rows[a]], start[rows[a] + 1]):
            out[a, place[column[e]]] += entry[e]
