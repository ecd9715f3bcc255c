"""The shapes of detection functions: log relative(d) and its derivatives, for every pass and every cell of a block.

Each kernel fills `value[K, B]` with ℓ = log relative(d; σ, z), where d is the distance between pass k and cell m.
With order ≥ 1 it also fills `first[2, K, B]` with (∂ℓ/∂log σ, ∂ℓ/∂z), and with order 2 `second[3, K, B]` with
(∂²ℓ/∂log σ², ∂²ℓ/∂log σ∂z, ∂²ℓ/∂z²). Logarithms never underflow, however far an animal is from habitat.

Arguments shared by all kernels: px[K], py[K], cx[B], cy[B] coordinates; sigma[K] in the same unit of length;
z[K] the third parameter (shape, or width w in the same unit of length; ignored by two-parameter shapes).
Formulas: secr's published definitions (Efford, "secr" detection functions), in their mathematical form.
"""

import math

import numpy as np
from numba import njit

from .compiled import element, fused, kept, lend, stage, wide
from .spatial_math import exp_parts
from .vectors import exp, log

# log(1 - exp(-t)) is 0 to the last digit beyond this t.
SATURATED = 700.0
# 1 - exp(-t) is t to the last digit below this t.
TINY = 1e-17


@njit(nogil=True, cache=True, error_model="numpy")
def half_normal(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = -d²/2σ²."""
    for k in range(px.size):
        scale = 0.5 / (sigma[k] * sigma[k])
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            value[k, m] = -scale * (dx * dx + dy * dy)
        if order > 0:
            for m in range(cx.size):
                first[0, k, m] = -2.0 * value[k, m]
        if order > 1:
            for m in range(cx.size):
                second[0, k, m] = 4.0 * value[k, m]


@njit(nogil=True, cache=True, error_model="numpy")
def exponential(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = -d/σ."""
    for k in range(px.size):
        scale = 1.0 / sigma[k]
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            value[k, m] = -scale * math.sqrt(dx * dx + dy * dy)
        if order > 0:
            for m in range(cx.size):
                first[0, k, m] = -value[k, m]
        if order > 1:
            for m in range(cx.size):
                second[0, k, m] = value[k, m]


@njit(nogil=True, cache=True, error_model="numpy")
def w_exponential(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = -max(d - w, 0)/σ."""
    for k in range(px.size):
        scale = 1.0 / sigma[k]
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            e = scale * max(math.sqrt(dx * dx + dy * dy) - z[k], 0.0)
            value[k, m] = -e
            if order > 0:
                slope = scale if e > 0.0 else 0.0
                first[0, k, m] = e
                first[1, k, m] = slope
                if order > 1:
                    second[0, k, m] = -e
                    second[1, k, m] = -slope
                    second[2, k, m] = 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def annular_normal(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = -(d - w)²/2σ²."""
    for k in range(px.size):
        scale = 1.0 / sigma[k]
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            y = scale * (math.sqrt(dx * dx + dy * dy) - z[k])
            value[k, m] = -0.5 * y * y
            if order > 0:
                first[0, k, m] = y * y
                first[1, k, m] = y * scale
                if order > 1:
                    second[0, k, m] = -2.0 * y * y
                    second[1, k, m] = -2.0 * y * scale
                    second[2, k, m] = -scale * scale


@fused
def _log_distance(px, py, scale, cx, cy):
    """log(d/σ), scale = 1/σ²."""
    dx, dy = cx - px, cy - py
    return 0.5 * log(max((dx * dx + dy * dy) * scale, 1e-300))


@stage
def variable_power(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = -(d/σ)^z."""
    owned = (np.empty(cx.size),)
    px, py, sigma, z, cx, cy, value, first, second = lend((px, py, sigma, z, cx, cy, value, first, second))
    (x,) = lend(owned)
    for k in range(px.size):
        _power_row(k, px[k], py[k], 1.0 / (sigma[k] * sigma[k]), z[k], cx, cy, value, x)
        if order > 0:
            for m in range(cx.size):
                first[0, k, m] = -z[k] * value[k, m]
                first[1, k, m] = x[m] * value[k, m]
        if order > 1:
            for m in range(cx.size):
                second[0, k, m] = z[k] * z[k] * value[k, m]
                second[1, k, m] = -value[k, m] * (1.0 + z[k] * x[m])
                second[2, k, m] = x[m] * x[m] * value[k, m]
    kept(owned)


@fused
def _power_row(k, px, py, scale, z, cx, cy, value, x):
    wide()
    for m in range(cx.size):
        x[m] = _log_distance(px, py, scale, cx[m], cy[m])
        value[k, m] = -exp(z * x[m])


@njit(nogil=True, cache=True, error_model="numpy")
def _saturating(t, log_t):
    """log(1 - exp(-t)) and its first and second derivative with respect to log t."""
    if t > SATURATED:
        return 0.0, 0.0, 0.0
    if t < TINY:
        return log_t, 1.0, 0.0
    slope = t / math.expm1(t)
    return math.log(-math.expm1(-t)), slope, slope * (1.0 - t - slope)


@element
def _rate(log_t):
    """`_saturating` for loops: log(1 - exp(-t)) and its first and second derivative with respect to log t."""
    scale, p = exp_parts(min(max(log_t, -690.0), 690.0))
    t = scale + scale * p
    most = min(t, 708.0)
    scale, p = exp_parts(-most)
    miss, e = (1.0 - scale) - scale * p, scale + scale * p
    ratio, none = miss / t, 0.0
    ell = (log_t if t < 1.0 else none) + log(ratio if t < 1.0 else miss)
    slope = most * e / miss
    return ell, slope, slope * (1.0 - most - slope)


@stage
def hazard_rate(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = log(1 - exp(-t)), t = (d/σ)^-z."""
    owned = (np.empty(cx.size), np.empty(cx.size), np.empty(cx.size))
    px, py, sigma, z, cx, cy, value, first, second = lend((px, py, sigma, z, cx, cy, value, first, second))
    x, slope, bend = lend(owned)
    for k in range(px.size):
        _rate_row(k, px[k], py[k], 1.0 / (sigma[k] * sigma[k]), z[k], cx, cy, value, x, slope, bend)
        if order > 0:
            for m in range(cx.size):
                first[0, k, m] = slope[m] * z[k]
                first[1, k, m] = -slope[m] * x[m]
        if order > 1:
            for m in range(cx.size):
                second[0, k, m] = bend[m] * z[k] * z[k]
                second[1, k, m] = slope[m] - bend[m] * z[k] * x[m]
                second[2, k, m] = bend[m] * x[m] * x[m]
    kept(owned)


@fused
def _rate_row(k, px, py, scale, z, cx, cy, value, x, slope, bend):
    wide()
    for m in range(cx.size):
        x[m] = _log_distance(px, py, scale, cx[m], cy[m])
        value[k, m], slope[m], bend[m] = _rate(-z * x[m])


@njit(nogil=True, cache=True, error_model="numpy")
def _log_hazard(v):
    """log(-log(1 - u)) for u = exp(v) < 1, with its first and second derivative with respect to v."""
    u = math.exp(v)
    if u < TINY:
        return v, 1.0, 0.0
    y = -math.log1p(-u)
    odds = u / (1.0 - u)
    slope = odds / y
    return math.log(y), slope, slope * (1.0 + odds - slope)


@njit(nogil=True, cache=True, error_model="numpy")
def compound_half_normal(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = log(1 - (1 - u)^z), u = exp(-d²/2σ²): saturating in t = -z log(1 - u)."""
    for k in range(px.size):
        scale = 0.5 / (sigma[k] * sigma[k])
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            q = scale * (dx * dx + dy * dy)
            # at the detector itself log(1 - u) is infinite, the shape 1 and flat
            b, b1, b2 = _log_hazard(-q) if q > 1e-300 else (700.0, 0.0, 0.0)
            log_t = math.log(z[k]) + b
            ell, slope, bend = _saturating(math.exp(log_t), log_t)
            value[k, m] = ell
            if order > 0:
                b_sigma = 2.0 * q * b1
                first[0, k, m] = slope * b_sigma
                first[1, k, m] = slope / z[k]
                if order > 1:
                    second[0, k, m] = bend * b_sigma * b_sigma + slope * 4.0 * q * (q * b2 - b1)
                    second[1, k, m] = bend * b_sigma / z[k]
                    second[2, k, m] = (bend - slope) / (z[k] * z[k])


@njit(nogil=True, cache=True, error_model="numpy")
def _log_normal_tail(x):
    """log Φ(x) and the inverse Mills ratio φ(x)/Φ(x)."""
    log_density = -0.5 * x * x - 0.9189385332046727
    if x > -10.0:
        tail = 0.5 * math.erfc(-x * 0.7071067811865476)
        return math.log(tail), math.exp(log_density) / tail
    # continued fraction of the Mills ratio (Abramowitz & Stegun 26.2.14); 40 terms reach rounding at x = -10
    f = -x
    for j in range(40, 0, -1):
        f = -x + j / f
    return log_density - math.log(f), f


@njit(nogil=True, cache=True, error_model="numpy")
def cumulative_lognormal(order, px, py, sigma, z, cx, cy, value, first, second):
    """ℓ = log Φ(ζ), ζ = (log σ - S/2 - log d)/√S, S = log(1 + z²/σ²): thresholds with mean σ and SD z."""
    for k in range(px.size):
        ratio = (z[k] / sigma[k]) ** 2
        p = ratio / (1.0 + ratio)
        s = math.log1p(ratio)
        root = 1.0 / math.sqrt(s)
        s_s, s_z = -2.0 * p, 2.0 * p / z[k]
        s_ss, s_sz = 4.0 * p * (1.0 - p), -4.0 * p * (1.0 - p) / z[k]
        s_zz = (4.0 * p * (1.0 - p) - 2.0 * p) / (z[k] * z[k])
        for m in range(cx.size):
            dx, dy = cx[m] - px[k], cy[m] - py[k]
            n = math.log(sigma[k]) - 0.5 * s - 0.5 * math.log(max(dx * dx + dy * dy, 1e-300))
            zeta = n * root
            ell, mills = _log_normal_tail(zeta)
            value[k, m] = ell
            if order > 0:
                c1, c2 = -0.5 * n * root**3, 0.75 * n * root**5
                n_s, n_z = 1.0 - 0.5 * s_s, -0.5 * s_z
                zeta_s, zeta_z = n_s * root + c1 * s_s, n_z * root + c1 * s_z
                first[0, k, m] = mills * zeta_s
                first[1, k, m] = mills * zeta_z
                if order > 1:
                    bend, c3 = -mills * (zeta + mills), -0.5 * root**3
                    zeta_ss = -0.5 * s_ss * root + c3 * 2.0 * n_s * s_s + c1 * s_ss + c2 * s_s * s_s
                    zeta_sz = -0.5 * s_sz * root + c3 * (n_s * s_z + n_z * s_s) + c1 * s_sz + c2 * s_s * s_z
                    zeta_zz = -0.5 * s_zz * root + c3 * 2.0 * n_z * s_z + c1 * s_zz + c2 * s_z * s_z
                    second[0, k, m] = bend * zeta_s * zeta_s + mills * zeta_ss
                    second[1, k, m] = bend * zeta_s * zeta_z + mills * zeta_sz
                    second[2, k, m] = bend * zeta_z * zeta_z + mills * zeta_zz
