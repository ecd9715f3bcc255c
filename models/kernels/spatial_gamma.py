"""The cumulative-gamma shape: log Q(z, dz/σ), the logarithm of the regularised upper incomplete gamma function.

Derivatives with respect to the shape parameter have no closed form; they are exact derivatives of the series
(DLMF 8.11.4) and of the continued fraction (DLMF 8.9.2), carried along term by term. Arguments as in
`spatial_shapes.py`; this file stands alone so that nobody compiles it who does not use it.
"""

import math

from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _fraction_terms(a, x):
    """Terms of the continued fraction that reach rounding, with a margin; measured for 0.1 ≤ a ≤ 100, x ≥ a + 1."""
    return int(20.0 + 100.0 / math.sqrt(x - a) + 0.3 * a)


@njit(nogil=True, cache=True, error_model="numpy")
def _polygamma(a):
    """ψ(a) and ψ'(a) for a > 0: recurrence up to 12, then the asymptotic series (DLMF 5.11.2, 5.15.8)."""
    digamma, trigamma = 0.0, 0.0
    while a < 12.0:
        digamma -= 1.0 / a
        trigamma += 1.0 / (a * a)
        a += 1.0
    r = 1.0 / (a * a)
    bernoulli = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * 691 / 32760)))))
    digamma += math.log(a) - 0.5 / a - bernoulli
    bernoulli = r * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r * (1 / 30 - r * (5 / 66 - r * 691 / 2730)))))
    trigamma += 1.0 / a + 0.5 * r + bernoulli / a
    return digamma, trigamma


@njit(nogil=True, cache=True, error_model="numpy")
def _lower_series(a, x, log_gamma, digamma, trigamma):
    """log Q and ∂/∂a, ∂²/∂a² from P = Σ t_n, t_n = x^{a+n} e^{-x} / Γ(a+n+1)."""
    term = math.exp(a * math.log(x) - x - log_gamma) / a
    slope = math.log(x) - digamma - 1.0 / a
    bend = -trigamma + 1.0 / (a * a)
    p, p1, p2 = term, term * slope, term * (slope * slope + bend)
    n = 0
    while n < 10_000 and (n < x - a or term > 1e-18 * p):
        n += 1
        term *= x / (a + n)
        slope -= 1.0 / (a + n)
        bend += 1.0 / ((a + n) * (a + n))
        p += term
        p1 += term * slope
        p2 += term * (slope * slope + bend)
    q = 1.0 - p
    return math.log1p(-p), -p1 / q, -p2 / q - (p1 / q) ** 2


@njit(nogil=True, cache=True, error_model="numpy")
def _upper_fraction(a, x, log_gamma, digamma, trigamma):
    """log Q and ∂/∂a, ∂²/∂a² from Q = x^a e^{-x} / (Γ(a) f), f = b_0 - 1(1-a)/(b_1 - 2(2-a)/(b_2 - …))."""
    terms = _fraction_terms(a, x)
    f, f1, f2 = x + 2.0 * terms + 1.0 - a, -1.0, 0.0
    for n in range(terms, 0, -1):
        c, c1 = n * (n - a), -float(n)
        r = 1.0 / f
        r1 = -f1 * r * r
        r2 = (2.0 * f1 * f1 * r - f2) * r * r
        f = x + 2.0 * n - 1.0 - a - c * r
        f2 = -(2.0 * c1 * r1 + c * r2)
        f1 = -1.0 - (c1 * r + c * r1)
    value = a * math.log(x) - x - log_gamma - math.log(f)
    return value, math.log(x) - digamma - f1 / f, -trigamma - f2 / f + (f1 / f) ** 2


@njit(nogil=True, cache=True, error_model="numpy")
def cumulative_gamma(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = log Q(z, x), x = dz/σ: gamma thresholds with shape z and mean σ."""
    for k in range(px.size):
        a = z[k]
        log_gamma = math.lgamma(a)
        digamma, trigamma = _polygamma(a)
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            x = max(math.sqrt(dx * dx + dy * dy) * a / sigma[k], 1e-300)
            if x < a + 1.0:
                ell, by_a, by_aa = _lower_series(a, x, log_gamma, digamma, trigamma)
            else:
                ell, by_a, by_aa = _upper_fraction(a, x, log_gamma, digamma, trigamma)
            value[k, m] = ell
            if order > 0:
                # x ∂ℓ/∂x = -x^a e^{-x} / (Γ(a) Q)
                g = -math.exp(a * math.log(x) - x - log_gamma - ell)
                first[0, k, m] = -g
                first[1, k, m] = by_a + g / a
                if order > 1:
                    g_x = g * (a - x - g)  # x ∂g/∂x
                    g_a = g * (math.log(x) - digamma - by_a)  # ∂g/∂a at fixed x
                    second[0, k, m] = g_x
                    second[1, k, m] = -(g_a + g_x / a)
                    second[2, k, m] = by_aa + 2.0 * g_a / a + (g_x - g) / (a * a)
