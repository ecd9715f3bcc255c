"""Elementwise steps on one block of cells: the functions φ and -log(1 - g).

    φ(u) = expm1(u)/u          turns a competing or repeated hazard into a probability (Borchers & Efford 2008, eq. 4)
    -log(1 - exp(v))           the hazard of a detection probability exp(v)

Everything else that happens on a block is a shape, a sum or a product.
"""

import numpy as np

from .compiled import element, fused, kept, lend, stage, wide
from .spatial_math import ALMOST_ONE, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, artanh_nine, hazard
from .vectors import exp, log

C11 = 77683 / 14101100039391805440000  # of the series of `spatial_math`: the remainder at u = 1 is below 1e-18
PART = 64  # cells of which it is asked together whether a series will do; their numbers are unsigned, or loops over
# them would ask whether they count from the end
LOW = 0.25  # probabilities up to which the series of the hazard converges fast


@element
def _phi_low(u):
    """log φ(u), its first and second derivative for 0 ≤ u ≤ 1: d log φ/du = 1/2 + Σ c_n u^(2n-1)."""
    v = u * u
    p = C10 / 20 + v * (C11 / 22)
    q = C10 + v * C11
    r = 19 * C10 + v * (21 * C11)
    p, q, r = p * v + C9 / 18, q * v + C9, r * v + 17 * C9
    p, q, r = p * v + C8 / 16, q * v + C8, r * v + 15 * C8
    p, q, r = p * v + C7 / 14, q * v + C7, r * v + 13 * C7
    p, q, r = p * v + C6 / 12, q * v + C6, r * v + 11 * C6
    p, q, r = p * v + C5 / 10, q * v + C5, r * v + 9 * C5
    p, q, r = p * v + C4 / 8, q * v + C4, r * v + 7 * C4
    p, q, r = p * v + C3 / 6, q * v + C3, r * v + 5 * C3
    p, q, r = p * v + C2 / 4, q * v + C2, r * v + 3 * C2
    p, q, r = p * v + C1 / 2, q * v + C1, r * v + C1
    return u * (0.5 + u * p), 0.5 + u * q, r


@element
def _phi_high(u):
    """The same for u > 1."""
    e, inverse = exp(-u), 1.0 / u
    miss = 1.0 / (1.0 - e)
    return u + log((1.0 - e) * inverse), miss - inverse, inverse * inverse - e * miss * miss


@fused
def _above(limit, u, k, m0, m1):
    """How many of u[k, m0:m1] are above a limit."""
    n = 0
    for m in range(m0, m1):
        n += 1 if u[k, m] > limit else 0
    return n


@fused
def _phi_part(u, k, m0, m1, value, first, i, second, j):
    wide()
    n = _above(1.0, u, k, m0, m1)
    if n < int(m1 - m0):
        for m in range(m0, m1):
            value[k, m], first[i, m], second[j, m] = _phi_low(1.0 if u[k, m] > 1.0 else u[k, m])
    if n > 0:
        for m in range(m0, m1):
            v, a, b, c = u[k, m], value[k, m], first[i, m], second[j, m]
            high = _phi_high(1.0 if v < 1.0 else v)
            value[k, m] = high[0] if v > 1.0 else a
            first[i, m] = high[1] if v > 1.0 else b
            second[j, m] = high[2] if v > 1.0 else c


@stage
def log_phi(order, u, value, first, second):
    """log φ(u) for u[K, B] ≥ 0, and with order ≥ 1 (2) its first (second) derivative with respect to u.

    What is not asked for is [1, B], where the derivatives of one row are written over those of another.
    """
    u, value, first, second = lend((u, value, first, second))
    for k in range(u.shape[0]):
        i, j = k if order > 0 else 0, k if order > 1 else 0
        for m0 in range(0, u.shape[1], PART):
            _phi_part(u, k, np.uint64(m0), np.uint64(min(m0 + PART, u.shape[1])), value, first, i, second, j)


@element
def _hazard_low(g):
    """y/g - 1 for 0 ≤ g ≤ 1/4, y = -log(1 - g) = 2 artanh(g/(2 - g))."""
    inverse = 1.0 / (2.0 - g)
    s = g * inverse
    v = s * s
    p = artanh_nine(v)
    return (p * v + g) * inverse


@fused
def _hazard_part(g, k, m0, m1, value, excess):
    wide()
    n = _above(LOW, g, k, m0, m1)
    if n == 0:
        for m in range(m0, m1):
            more = _hazard_low(g[k, m])
            excess[m] = more
            value[k, m] += log(1.0 + more)
    else:
        for m in range(m0, m1):
            u = ALMOST_ONE if g[k, m] > ALMOST_ONE else g[k, m]
            y = hazard(u)
            low = _hazard_low(LOW if u > LOW else u)
            more = y / (LOW if u < LOW else u) - 1.0 if u > LOW else low
            excess[m] = more
            value[k, m] = (0.0 if u > LOW else value[k, m]) + log(y if u > LOW else 1.0 + more)


@stage
def log_hazard(order, g, value, first, second):
    """Replaces g[K, B] by the hazard y = -log(1 - g), and value = log g by log y.

    first and second: its derivatives with respect to log g: g/(1 - g)/y and, times this, what it exceeds y/g by.
    """
    cells = g.shape[1]
    owned = (np.empty(cells),)
    g, value, first, second = lend((g, value, first, second))
    (excess,) = lend(owned)
    for k in range(value.shape[0]):
        for m0 in range(0, cells, PART):
            _hazard_part(g, k, np.uint64(m0), np.uint64(min(m0 + PART, cells)), value, excess)
        _hazard_slopes(order, k, g, excess, first, second)
    kept(owned)


@fused
def _hazard_slopes(order, k, g, excess, first, second):
    wide()
    if order > 0:
        for m in range(g.shape[1]):
            u = ALMOST_ONE if g[k, m] > ALMOST_ONE else g[k, m]
            first[k, m] = 1.0 / ((1.0 - u) * (1.0 + excess[m]))
    if order > 1:
        for m in range(g.shape[1]):
            second[k, m] = first[k, m] * first[k, m] * excess[m]
    for m in range(g.shape[1]):
        u = ALMOST_ONE if g[k, m] > ALMOST_ONE else g[k, m]
        g[k, m] = u * (1.0 + excess[m])
