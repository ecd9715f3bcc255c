"""The term of one trial: as a power series in the Gaussian of its pass, or cell by cell."""

from .compiled import fused, within
from .spatial_math import (
    bend,
    bend_low,
    hazard,
    hazard_low,
    odds,
    phi,
    phi_middle,
    phi_term,
    phi_term_slope,
    slope,
    slope_middle,
)
from .spatial_products import multiply

NEGLIGIBLE = 1e-16  # of a term of a series: a unit in the last place of a likelihood


@fused
def add_trial(count, scale, gx, gy, top, r0, r1, exponent):
    """exponent [32, 32] += count log φ(u), u = scale gy gx ≤ top."""
    for r in range(r0, r1):
        a = scale * gy[r]
        if top <= 1.0:
            for c in range(exponent.shape[1]):
                exponent[r, c] += count * phi_middle(a * gx[c])
        else:
            for c in range(exponent.shape[1]):
                exponent[r, c] += count * phi(a * gx[c])


@fused
def add_chance(count, scale, gx, gy, top, r0, r1, exponent):
    """exponent [32, 32] += count L(g), g = gy gx ≤ top in `scale` trials."""
    short = top <= 0.6 and scale * hazard(top) <= 1.0  # hazards at most 1: polynomials will do
    for r in range(r0, r1):
        a = gy[r]
        if scale == 1.0 and top <= 0.25:
            for c in range(exponent.shape[1]):
                exponent[r, c] += count * hazard_low(a * gx[c])
        elif scale == 1.0:
            for c in range(exponent.shape[1]):
                exponent[r, c] += count * hazard(a * gx[c])
        elif short:
            for c in range(exponent.shape[1]):
                h = hazard(a * gx[c])
                exponent[r, c] += count * (h - phi_middle(h) + phi_middle(scale * h))
        else:
            for c in range(exponent.shape[1]):
                exponent[r, c] += count * phi_term(hazard(a * gx[c]), scale)


@fused
def trial_slopes(scale, gx, gy, top, r0, r1, q, out):
    """out [32, 32] = q · u dlogφ/du, u = scale gy gx ≤ top."""
    for r in range(r0, r1):
        a = scale * gy[r]
        if top <= 1.0:
            for c in range(out.shape[1]):
                out[r, c] = q[r, c] * slope_middle(a * gx[c])
        else:
            for c in range(out.shape[1]):
                out[r, c] = q[r, c] * slope(a * gx[c])


@fused
def chance_slopes(scale, gx, gy, top, r0, r1, q, out):
    """out [32, 32] = q · dL/dlog g, g = gy gx ≤ top."""
    short = top <= 0.6 and scale * hazard(top) <= 1.0
    for r in range(r0, r1):
        a = gy[r]
        if scale == 1.0:
            for c in range(out.shape[1]):
                out[r, c] = q[r, c] * odds(a * gx[c])
        elif short:
            for c in range(out.shape[1]):
                g = a * gx[c]
                h = max(hazard(g), 1e-300)
                out[r, c] = q[r, c] * odds(g) * (1.0 + (slope_middle(scale * h) - slope_middle(h)) / h)
        else:
            for c in range(out.shape[1]):
                g = a * gx[c]
                out[r, c] = q[r, c] * phi_term_slope(g, hazard(g), scale)


@fused
def trial_bends(count, scale, gx, gy, top, r0, r1, slopes, bends):
    """slopes, bends [32, 32]: count times the first two derivatives of log φ(u) by log u, u = scale gy gx ≤ top."""
    for r in range(r0, r1):
        a = scale * gy[r]
        if top <= 1.0:
            for c in range(slopes.shape[1]):
                slopes[r, c] = count * slope_middle(a * gx[c])
                bends[r, c] = count * bend_low(a * gx[c])
        else:
            for c in range(slopes.shape[1]):
                slopes[r, c] = count * slope(a * gx[c])
                bends[r, c] = count * bend(a * gx[c])


@fused
def chance_bends(count, scale, gx, gy, top, r0, r1, slopes, bends):
    """slopes, bends [32, 32]: count times the first and second derivative of L(g) by log g, g = gy gx ≤ top.

    With o = dh/dlog g and L' = dL/dh these are o L' and o (1 + o) L' + o² L''.
    """
    short = top <= 0.6 and scale * hazard(top) <= 1.0
    for r in range(r0, r1):
        a = gy[r]
        if scale == 1.0:
            for c in range(slopes.shape[1]):
                o = odds(a * gx[c])
                slopes[r, c] = count * o
                bends[r, c] = count * (o * (1.0 + o))
        elif short:
            for c in range(slopes.shape[1]):
                h, o = max(hazard(a * gx[c]), 1e-150), odds(a * gx[c])
                one, other = slope_middle(h), slope_middle(scale * h)
                first = 1.0 + (other - one) / h
                curved = (one - bend_low(h)) + (bend_low(scale * h) - other)
                slopes[r, c] = count * (o * first)
                bends[r, c] = count * (o * (1.0 + o) * first + (o / h) * (o / h) * curved)
        else:
            for c in range(slopes.shape[1]):
                h, o = max(hazard(a * gx[c]), 1e-150), odds(a * gx[c])
                one, other = slope(h), slope(scale * h)
                first = 1.0 + (other - one) / h
                curved = (one - bend(h)) + (bend(scale * h) - other)
                slopes[r, c] = count * (o * first)
                bends[r, c] = count * (o * (1.0 + o) * first + (o / h) * (o / h) * curved)


@within
def fill_powers(table, x, y, count, series, e, top, n, across, down, power, ones):
    """Adds rows count · c_j gx^j to `across` and gy^j to `down` for the terms that matter; the new number of rows.

    Of two terms that follow each other one may be zero, so two negligible ones end the series. ones [3, 32]: a row of
    ones, and two for squares.
    """
    if count * abs(series[e, 0]) * top <= NEGLIGIBLE:
        return n
    multiply(count * series[e, 0], ones, 0, table, x, across, n)
    multiply(1.0, ones, 0, table, y, down, n)
    power[n] = 1
    n += 1
    reach, last, squared = top, 0, False
    for j in range(1, series.shape[1]):
        reach *= top
        if count * abs(series[e, j]) * reach <= NEGLIGIBLE:
            if j - last == 2:
                break
            continue
        v = series[e, j] / series[e, last]
        if j - last == 2:
            if not squared:
                multiply(1.0, table, x, table, x, ones, 1)
                multiply(1.0, table, y, table, y, ones, 2)
                squared = True
            multiply(v, across, n - 1, ones, 1, across, n)
            multiply(1.0, down, n - 1, ones, 2, down, n)
        else:
            multiply(v, across, n - 1, table, x, across, n)
            multiply(1.0, down, n - 1, table, y, down, n)
        last = j
        power[n] = j + 1
        n += 1
    return n
