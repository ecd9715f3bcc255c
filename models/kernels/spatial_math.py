"""Elementary functions for the spatial kernels: polynomials, because calls of the C library do not vectorise.

φ(u) = expm1(u)/u              what turns a repeated or competing hazard into a probability
h(g) = −log(1 − g)             the hazard of a detection probability g
L(g) = h − log φ(h) + log φ(x h)   a detection in x trials beyond log(x g): log(expm1(x h)/(x g)), as g/h = φ(−h)
"""

import math

from .compiled import element, fused
from .floats import LN2_HIGH, LN2_LOW, LOG2E, ROUND, bits_of, float_of

LN2 = 0.6931471805599453
HALF_ROOT = 0.7071067811865476
ALMOST_ONE = 1.0 - 2.0**-53  # keeps a hazard finite when a link function rounds g0 to 1
# B_2n/(2n)!: log φ(u) = u/2 + Σ c_n u^2n / 2n
C1, C2, C3, C4, C5 = 1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160
C6, C7, C8 = -691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000
C9, C10 = 43867 / 5109094217170944000, -174611 / 802857662698291200000


@fused
def exp_parts(x):
    """(2^n, expm1(r)) with x = n log 2 + r, |r| ≤ log(2)/2, for -708 ≤ x ≤ 708: Cody & Waite's reduction."""
    t = x * LOG2E + ROUND
    n = t - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = 1 / 6227020800
    p = p * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = r + r * r * p
    return float_of((bits_of(t) + 1023) << 52), p


@fused
def exp(x):
    """exp(x) for x ≤ 700, vectorisable; 0 below -708."""
    scale, p = exp_parts(max(x, -708.0))
    return scale + scale * p if x > -708.0 else 0.0


@fused
def exp_small(x):
    """exp(x) for |x| ≤ 0.2 to rounding."""
    p = 1 / 3628800 + x * (1 / 39916800)
    p = p * x + 1 / 362880
    p = p * x + 1 / 40320
    p = p * x + 1 / 5040
    p = p * x + 1 / 720
    p = p * x + 1 / 120
    p = p * x + 1 / 24
    p = p * x + 1 / 6
    p = p * x + 0.5
    p = p * x + 1.0
    return p * x + 1.0


@element
def artanh_nine(v):
    """(2 artanh(s) / s - 2) / v by its series, v = s²: to rounding for s ≤ 1/7."""
    p = 2 / 17 + v * (2 / 19)
    p = p * v + 2 / 15
    p = p * v + 2 / 13
    p = p * v + 2 / 11
    p = p * v + 2 / 9
    p = p * v + 2 / 7
    p = p * v + 2 / 5
    return p * v + 2 / 3


@element
def artanh_ten(v):
    """The same for s ≤ 0.172, where m - 1 = s (m + 1) and m ≤ √2."""
    p = 2 / 19 + v * (2 / 21)
    p = p * v + 2 / 17
    p = p * v + 2 / 15
    p = p * v + 2 / 13
    p = p * v + 2 / 11
    p = p * v + 2 / 9
    p = p * v + 2 / 7
    p = p * v + 2 / 5
    return p * v + 2 / 3


@fused
def hazard_tiny(g):
    """-log(1 - g) for 0 ≤ g ≤ 0.02 to rounding."""
    p = 1 / 8 + g * (1 / 9)
    p = p * g + 1 / 7
    p = p * g + 1 / 6
    p = p * g + 1 / 5
    p = p * g + 1 / 4
    p = p * g + 1 / 3
    p = p * g + 1 / 2
    return g * (p * g + 1.0)


@fused
def hazard_low(g):
    """-log(1 - g) for 0 ≤ g ≤ 0.25 to rounding: 2 artanh(g/(2 - g))."""
    s = g / (2.0 - g)
    v = s * s
    p = artanh_nine(v)
    return s * (p * v + 2.0)


@fused
def hazard(g):
    """-log(1 - g) for 0 ≤ g ≤ 1, absolute error at rounding: the logarithm of m 2^n, 1/√2 ≤ m < √2."""
    y = max(1.0 - g, 1.0 - ALMOST_ONE)
    bits = bits_of(y / HALF_ROOT)
    n = float((bits >> 52) - 1023)
    m = float_of(bits_of(y) - (((bits >> 52) - 1023) << 52))
    s = (m - 1.0) / (m + 1.0)
    v = s * s
    p = artanh_ten(v)
    return -(n * LN2 + s * (p * v + 2.0))


@fused
def odds(g):
    """dh/dlog g = g/(1 - g)."""
    return g / max(1.0 - g, 1.0 - ALMOST_ONE)


@fused
def phi_middle(u):
    """log φ(u) for 0 ≤ u ≤ 1 to rounding."""
    v = u * u
    p = C7 / 14 + v * (C8 / 16 + v * (C9 / 18 + v * (C10 / 20)))
    return u * 0.5 + v * (C1 / 2 + v * (C2 / 4 + v * (C3 / 6 + v * (C4 / 8 + v * (C5 / 10 + v * (C6 / 12 + v * p))))))


@fused
def phi_high(u):
    """log φ(u) for u > 1."""
    return u + math.log((1.0 - math.exp(-u)) / u)


@fused
def phi(u):
    """log φ(u) for any u ≥ 0."""
    return phi_middle(u) if u <= 1.0 else phi_high(u)


@fused
def slope_middle(u):
    """u dlogφ/du for 0 ≤ u ≤ 1."""
    v = u * u
    p = C7 + v * (C8 + v * (C9 + v * C10))
    return u * 0.5 + v * (C1 + v * (C2 + v * (C3 + v * (C4 + v * (C5 + v * (C6 + v * p))))))


@fused
def slope_high(u):
    """u dlogφ/du for u > 1."""
    return u / (1.0 - math.exp(-u)) - 1.0


@fused
def slope(u):
    """u dlogφ/du for any u ≥ 0."""
    return slope_middle(u) if u <= 1.0 else slope_high(u)


@fused
def bend_low(u):
    """d(u dlogφ/du)/dlog u for 0 ≤ u ≤ 1: u/2 + Σ 2n c_n u^2n."""
    v = u * u
    p = 14 * C7 + v * (16 * C8 + v * (18 * C9 + v * (20 * C10)))
    return u * 0.5 + v * (2 * C1 + v * (4 * C2 + v * (6 * C3 + v * (8 * C4 + v * (10 * C5 + v * (12 * C6 + v * p))))))


@fused
def bend_high(u):
    """d(u dlogφ/du)/dlog u for u > 1."""
    e = math.exp(-u)
    miss = 1.0 - e
    return u / miss - u * u * e / (miss * miss)


@fused
def bend(u):
    """d(u dlogφ/du)/dlog u for any u ≥ 0."""
    return bend_low(u) if u <= 1.0 else bend_high(u)


@fused
def phi_term(h, x):
    """L(g) given h = h(g), for any x ≥ 0."""
    return h - phi(h) + phi(x * h)


@fused
def phi_term_slope(g, h, x):
    """dL/dlog g: the odds times dL/dh."""
    v = max(h, 1e-300)
    return odds(g) * (1.0 - slope(v) / v + slope(x * v) / v)
