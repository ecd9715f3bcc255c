"""Gaussian hazards on tiles of the raster: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. A detector, or an animal's product of detections, is two short tables of
exponentials; on a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the integral of a field
against each of them is rowsum((Gy W) ∘ Gx). These products are the whole cost. Each kernel works on the tiles
[t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a digit.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

import math
from collections import namedtuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

TILE = 32

# Gaussians weight · exp(-precision |x - centre|²/2) as tables: table_x[base_x[k] + column of tile - first_x[k]] holds
# the 32 values of Gaussian k over the columns of that tile, n_x of such rows; the same along y, times the weight.
Gaussians = namedtuple(
    "Gaussians", "x y precision first_x n_x base_x first_y n_y base_y table_x table_y", module=__name__
)
# What an animal's likelihood has beyond its Gaussian, as CSR over animals: the number of successes in trials of hazard
# trial_scale · Gaussian of a pass; and, for each field, the times it was caught on it and its exposure beyond that of
# the void. ratio[F, G]: the share of each pass's weight that makes up each field (F = 0 where no animal needs fields).
Local = namedtuple(
    "Local",
    "radius trial_start trial_pass trial_scale trial_count field_start field caught extra ratio",
    module=__name__,
)
# Where tiles are: place[T, 2] (column, row on the coarse grid); the habitat cells of row r of tile t are numbered from
# first[t, r] on, one for every set bit of mask[t, r].
Tiles = namedtuple("Tiles", "place first mask", module=__name__)

LOG2E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
MAGIC = 6755399441055744.0  # 1.5 · 2^52: adding it leaves the nearest integer in the low bits
FULL = 0xFFFFFFFF
# B_2n/(2n)!: log φ(u) = u/2 + Σ c_n u^2n / 2n, φ(u) = expm1(u)/u
C1, C2, C3, C4, C5 = 1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160
C6, C7, C8 = -691 / 1307674368000, 1 / 74724249600, -3617 / 10670622842880000
C9, C10 = 43867 / 5109094217170944000, -174611 / 802857662698291200000


@intrinsic
def _bits(typingctx, x):
    """The bits of a float64 as int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def _float(typingctx, x):
    """The float64 with these bits."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _exp_parts(x):
    """(2^n, expm1(r)) with x = n log 2 + r, |r| ≤ log(2)/2, for -708 ≤ x ≤ 708: Cody & Waite's reduction."""
    t = x * LOG2E + MAGIC
    n = t - MAGIC
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
    return _float((_bits(t) + 1023) << 52), p


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _exp(x):
    """exp(x) for x ≤ 700, vectorisable; 0 below -708."""
    scale, p = _exp_parts(max(x, -708.0))
    return scale + scale * p if x > -708.0 else 0.0


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _fill(centre, half, weight, first, table):
    """weight exp(half (x - centre)²) over the columns of tiles first, first + 1, …, one row of the table each."""
    for j in range(table.shape[0]):
        start = TILE * (first + j) - centre
        for c in range(TILE):
            d = start + c
            table[j, c] = weight * _exp(half * d * d)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_tables(g, weight, k0, k1):
    """Fills the tables of Gaussians k0 … k1 - 1."""
    for k in range(k0, k1):
        x, y, half = g.base_x[k], g.base_y[k], -0.5 * g.precision[k]
        _fill(g.x[k], half, 1.0, g.first_x[k], g.table_x[x : x + g.n_x[k]])
        _fill(g.y[k], half, weight[k], g.first_y[k], g.table_y[y : y + g.n_y[k]])


@njit(nogil=True, cache=True, error_model="numpy")
def _pack(start, item, g, tile_x, tile_y, t, gx, gy):
    """The table rows of the Gaussians of tile t, side by side: gx, gy [K, 32]."""
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        ax = g.table_x[g.base_x[k] + tile_x - g.first_x[k]]
        ay = g.table_y[g.base_y[k] + tile_y - g.first_y[k]]
        for c in range(TILE):
            gx[row, c] = ax[c]
        for c in range(TILE):
            gy[row, c] = ay[c]


@njit(nogil=True, cache=True, error_model="numpy")
def _scale_rows(start, item, t, weight, a, out):
    """out[row] = weight[item] · a[row] for the items of tile t."""
    for e in range(start[t], start[t + 1]):
        w, row = weight[item[e]], e - start[t]
        for c in range(TILE):
            out[row, c] = w * a[row, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _load(field, tiles, t, empty, out):
    """A field over cells [M] as a tile; `empty` where there is no habitat."""
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            row = field[first : first + TILE]
            for c in range(TILE):
                out[r, c] = row[c]
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    out[r, c] = field[first]
                    first += 1
                else:
                    out[r, c] = empty


@njit(nogil=True, cache=True, error_model="numpy")
def _store(tile, tiles, t, field):
    """A tile back into a field over cells [M]."""
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            row = field[first : first + TILE]
            for c in range(TILE):
                row[c] = tile[r, c]
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    field[first] = tile[r, c]
                    first += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _workspace(start, t0, t1, arrays):
    """Room for the packed rows of the longest list among the tiles [t0, t1): [arrays, K, 32]."""
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    return np.empty((arrays, n, TILE))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _survive(mu, hazard, unseen, lanes):
    """unseen = mu exp(-hazard); lanes [2, 32] += columns of (mu (1 - exp(-hazard)), mu), without cancellation."""
    for r in range(TILE):
        for c in range(TILE):
            m = _exp(mu[r, c])
            scale, p = _exp_parts(max(-hazard[r, c], -708.0))
            unseen[r, c] = m * (scale + scale * p)
            lanes[0, c] += m * ((1.0 - scale) - scale * p)
            lanes[1, c] += m


@njit(nogil=True, cache=True, error_model="numpy")
def spread(tiles, t0, t1, log_mu, start, item, g, unseen, sums):
    """Fills unseen [T, 32, 32] = mu exp(-Λ) and sums [T, 2] = Σ mu (1 - exp(-Λ)), Σ mu; Λ is the sum of the Gaussians.

    log_mu [M]; (start, item): lists of the passes.
    """
    work = _workspace(start, t0, t1, 2)
    mu, hazard, lanes = np.empty((TILE, TILE)), np.zeros((TILE, TILE)), np.empty((2, TILE))
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        gx, gy = work[0, :n], work[1, :n]
        _pack(start, item, g, tiles.place[t, 0], tiles.place[t, 1], t, gx, gy)
        if n:
            np.dot(gy.T, gx, hazard)
        else:
            hazard[:] = 0.0
        _load(log_mu, tiles, t, -np.inf, mu)
        lanes[:] = 0.0
        _survive(mu, hazard, unseen[t], lanes)
        sums[t, 0] = lanes[0].sum()
        sums[t, 1] = lanes[1].sum()


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _row_products(n, a, b, out):
    """out[k] = Σ_c a[k, c] b[k, c]."""
    for k in range(n):
        s = 0.0
        for c in range(TILE):
            s += a[k, c] * b[k, c]
        out[k] = s


@njit(nogil=True, cache=True, error_model="numpy")
def integrate(tiles, t0, t1, unseen, start, item, g, mass):
    """mass [entries] = Σ over the tile of unseen · Gaussian, for every entry of the animals' lists."""
    work = _workspace(start, t0, t1, 3)
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        if n:
            gx, gy, along = work[0, :n], work[1, :n], work[2, :n]
            _pack(start, item, g, tiles.place[t, 0], tiles.place[t, 1], t, gx, gy)
            np.dot(gy, unseen[t], along)
            _row_products(n, along, gx, mass[start[t] : start[t + 1]])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _moments(start, item, t, origin_x, origin_y, g, gx, gy, by_x, by_y, out):
    """out [entries, 4]: Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²) with q = field · Gaussian.

    by_x[k, c] = Σ_r gy field, by_y[k, r] = Σ_c gx field.
    """
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        ox, oy = origin_x - g.x[k], origin_y - g.y[k]
        s0, sx, sxx, sy, syy = 0.0, 0.0, 0.0, 0.0, 0.0
        for c in range(TILE):
            q, d = by_x[row, c] * gx[row, c], ox + c
            s0 += q
            sx += q * d
            sxx += q * d * d
        for c in range(TILE):
            q, d = by_y[row, c] * gy[row, c], oy + c
            sy += q * d
            syy += q * d * d
        out[e, 0] = s0
        out[e, 1] = sx
        out[e, 2] = sy
        out[e, 3] = sxx + syy


@njit(nogil=True, cache=True, error_model="numpy")
def _collect(start, item, t, place, g, field, work, out):
    """Moments of field [32, 32] · Gaussian for the items of tile t, whose tables are packed in work[0], work[1]."""
    n = start[t + 1] - start[t]
    gx, gy, by_x, by_y = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    np.dot(gy, field, by_x)
    np.dot(gx, field.T, by_y)
    _moments(start, item, t, TILE * place[0], TILE * place[1], g, gx, gy, by_x, by_y, out)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _adjoint(mu, unseen, posterior, d_detected):
    """In place: mu (given as its logarithm) becomes the derivative by log mu, posterior the derivative by Λ."""
    for r in range(TILE):
        for c in range(TILE):
            p, w = posterior[r, c], unseen[r, c]
            mu[r, c] = p + d_detected * (_exp(mu[r, c]) - w)
            posterior[r, c] = d_detected * w - p


@njit(nogil=True, cache=True, error_model="numpy")
def _posteriors(start, item, t, place, g, share, unseen, work, posterior, of_animals):
    """posterior [32, 32] = unseen · Σ_i share_i Gaussian_i, and the moments of unseen · Gaussian for each animal."""
    n = start[t + 1] - start[t]
    posterior[:] = 0.0
    if n:
        _pack(start, item, g, place[0], place[1], t, work[0], work[1])
        _scale_rows(start, item, t, share, work[1], work[2])
        np.dot(work[2, :n].T, work[0, :n], posterior)
        _collect(start, item, t, place, g, unseen, work, of_animals)
    for r in range(TILE):
        for c in range(TILE):
            posterior[r, c] *= unseen[r, c]


@njit(nogil=True, cache=True, error_model="numpy")
def pull(tiles, t0, t1, log_mu, unseen, animals, share, passes, d_detected, d_log_mu, of_animals, of_passes):
    """The reverse pass: d_log_mu [M], and moments [entries, 4] of the animals' and of the passes' lists.

    animals, passes: (start, item, Gaussians); share [n]: d_log_a_i / mass_i. The animals' moments are those of
    unseen · Gaussian, the passes' those of (derivative by Λ) · Gaussian.
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, passes
    a_work, d_work = _workspace(a_start, t0, t1, 4), _workspace(d_start, t0, t1, 4)
    mu, posterior = np.empty((TILE, TILE)), np.empty((TILE, TILE))
    for t in range(t0, t1):
        place = tiles.place[t]
        _posteriors(a_start, a_item, t, place, a, share, unseen[t], a_work, posterior, of_animals)
        _load(log_mu, tiles, t, -np.inf, mu)
        _adjoint(mu, unseen[t], posterior, d_detected)
        _store(mu, tiles, t, d_log_mu)
        if d_start[t + 1] > d_start[t]:
            _pack(d_start, d_item, d, place[0], place[1], t, d_work[0], d_work[1])
            _collect(d_start, d_item, t, place, d, posterior, d_work, of_passes)


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _phi_low(u):
    """log φ(u) for 0 ≤ u ≤ 0.1 to rounding: u/2 + Σ c_n u^2n / 2n."""
    v = u * u
    return u * 0.5 + v * (C1 / 2 + v * (C2 / 4 + v * (C3 / 6 + v * (C4 / 8))))


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _phi_middle(u):
    """log φ(u) for 0 ≤ u ≤ 1 to rounding."""
    v = u * u
    p = C7 / 14 + v * (C8 / 16 + v * (C9 / 18 + v * (C10 / 20)))
    return u * 0.5 + v * (C1 / 2 + v * (C2 / 4 + v * (C3 / 6 + v * (C4 / 8 + v * (C5 / 10 + v * (C6 / 12 + v * p))))))


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _phi_high(u):
    """log φ(u) for u > 1."""
    return u + math.log((1.0 - math.exp(-u)) / u)


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _slope_low(u):
    """u dlogφ/du for 0 ≤ u ≤ 0.1: u/2 + Σ c_n u^2n."""
    v = u * u
    return u * 0.5 + v * (C1 + v * (C2 + v * (C3 + v * C4)))


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _slope_middle(u):
    """u dlogφ/du for 0 ≤ u ≤ 1."""
    v = u * u
    p = C7 + v * (C8 + v * (C9 + v * C10))
    return u * 0.5 + v * (C1 + v * (C2 + v * (C3 + v * (C4 + v * (C5 + v * (C6 + v * p))))))


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _slope_high(u):
    """u dlogφ/du for u > 1."""
    return u / (1.0 - math.exp(-u)) - 1.0


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_trial(count, scale, gx, gy, top, r0, r1, exponent):
    """exponent [32, 32] += count log φ(u), u = scale gy gx ≤ top."""
    for r in range(r0, r1):
        a = scale * gy[r]
        if top <= 0.1:
            for c in range(TILE):
                exponent[r, c] += count * _phi_low(a * gx[c])
        elif top <= 1.0:
            for c in range(TILE):
                exponent[r, c] += count * _phi_middle(a * gx[c])
        else:
            for c in range(TILE):
                u = a * gx[c]
                exponent[r, c] += count * (_phi_middle(u) if u <= 1.0 else _phi_high(u))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _trial_slopes(scale, gx, gy, top, r0, r1, q, slope):
    """slope [32, 32] = q · u dlogφ/du, u = scale gy gx ≤ top."""
    for r in range(r0, r1):
        a = scale * gy[r]
        if top <= 0.1:
            for c in range(TILE):
                slope[r, c] = q[r, c] * _slope_low(a * gx[c])
        elif top <= 1.0:
            for c in range(TILE):
                slope[r, c] = q[r, c] * _slope_middle(a * gx[c])
        else:
            for c in range(TILE):
                u = a * gx[c]
                slope[r, c] = q[r, c] * (_slope_middle(u) if u <= 1.0 else _slope_high(u))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _tile_moments(q, r0, r1, ox, oy, out):
    """out [4] = Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²), distances from ox + column, oy + row."""
    lanes = np.zeros((3, TILE))
    for r in range(r0, r1):
        d = oy + r
        for c in range(TILE):
            v = q[r, c]
            lanes[0, c] += v
            lanes[1, c] += v * d
            lanes[2, c] += v * (d * d)
    out[:] = 0.0
    for c in range(TILE):
        d = ox + c
        out[0] += lanes[0, c]
        out[1] += lanes[0, c] * d
        out[2] += lanes[1, c]
        out[3] += lanes[2, c] + lanes[0, c] * d * d


@njit(nogil=True, cache=True, error_model="numpy")
def _on_tile(g, k, place):
    """Rows of the tables of Gaussian k on a tile, or -1 where it does not reach."""
    x, y = place[0] - g.first_x[k], place[1] - g.first_y[k]
    if 0 <= x < g.n_x[k] and 0 <= y < g.n_y[k]:
        return g.base_x[k] + x, g.base_y[k] + y
    return -1, -1


@njit(nogil=True, cache=True, error_model="numpy")
def _rows_within(centre, radius, origin):
    """The rows [r0, r1) of a tile within `radius` of a centre."""
    r0 = max(math.ceil(centre - radius) - origin, 0.0)
    r1 = min(math.floor(centre + radius) - origin + 1, float(TILE))
    return int(r0), int(max(r0, r1))


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _weigh(ax, ay, unseen, exponent, r0, r1, q):
    """q [32, 32] = unseen · Gaussian · exp(exponent)."""
    for r in range(r0, r1):
        a = ay[r]
        for c in range(TILE):
            q[r, c] = unseen[r, c] * (a * ax[c]) * _exp(exponent[r, c])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _add_scaled(weight, field, r0, r1, out):
    for r in range(r0, r1):
        for c in range(TILE):
            out[r, c] += weight * field[r, c]


@njit(nogil=True, cache=True, error_model="numpy")
def _local_posterior(i, place, animals, detectors, local, fields, phi, highest, unseen, exponent, r0, r1, q):
    """q [32, 32] = unseen · Gaussian_i · Π φ^count on rows [r0, r1); False where the exponent might overflow."""
    exponent[r0:r1] = 0.0
    room = 0.0
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        x, y = _on_tile(detectors, local.trial_pass[e], place)
        if x >= 0:
            gx, gy = detectors.table_x[x], detectors.table_y[y]
            top = local.trial_scale[e] * gx.max() * gy.max()
            room += local.trial_count[e] * top
            _add_trial(local.trial_count[e], local.trial_scale[e], gx, gy, top, r0, r1, exponent)
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f = local.field[e]
        room += (local.caught[e] + abs(local.extra[e])) * highest[f]
        _add_scaled(local.caught[e], phi[f], r0, r1, exponent)
        if local.extra[e] != 0.0:
            _add_scaled(-local.extra[e], fields[f], r0, r1, exponent)
    x, y = _on_tile(animals, i, place)
    _weigh(animals.table_x[x], animals.table_y[y], unseen, exponent, r0, r1, q)
    return room < 600.0


@njit(nogil=True, cache=True, error_model="numpy")
def _fields(start, item, t, place, detectors, ratio, slopes, work, fields, phi, slope, highest):
    """Λ_f [F, 32, 32] of a tile, log φ(Λ_f), its derivative if `slopes`, the largest Λ_f; packs work[0] and work[1]."""
    n = start[t + 1] - start[t]
    _pack(start, item, detectors, place[0], place[1], t, work[0], work[1])
    for f in range(fields.shape[0]):
        if n:
            _scale_rows(start, item, t, ratio[f], work[1], work[2])
            np.dot(work[2, :n].T, work[0, :n], fields[f])
        else:
            fields[f] = 0.0
        highest[f] = fields[f].max()
        for r in range(TILE):
            for c in range(TILE):
                u = fields[f, r, c]
                phi[f, r, c] = _phi_middle(u) if u <= 1.0 else _phi_high(u)
                if slopes:
                    # (u dlogφ/du)/u, whose limit at 0 is 1/2
                    v = max(u, 1e-300)
                    slope[f, r, c] = (_slope_middle(v) if v <= 1.0 else _slope_high(v)) / v


@njit(nogil=True, cache=True, error_model="numpy")
def integrate_local(tiles, t0, t1, unseen, animals, passes, local, mass):
    """As `integrate`, for animals with local terms; nan where an exponent might overflow.

    animals, passes: (start, item, Gaussians).
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, passes
    n_fields = local.ratio.shape[0]
    work = _workspace(d_start, t0, t1, 3)
    fields, phi = np.empty((n_fields, TILE, TILE)), np.empty((n_fields, TILE, TILE))
    exponent, q, highest, moments = np.empty((TILE, TILE)), np.empty((TILE, TILE)), np.empty(n_fields), np.empty(4)
    for t in range(t0, t1):
        place = tiles.place[t]
        if n_fields and a_start[t + 1] > a_start[t]:
            _fields(d_start, d_item, t, place, d, local.ratio, False, work, fields, phi, phi, highest)
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            r0, r1 = _rows_within(a.y[i], local.radius[i], TILE * place[1])
            fine = _local_posterior(i, place, a, d, local, fields, phi, highest, unseen[t], exponent, r0, r1, q)
            _tile_moments(q, r0, r1, 0.0, 0.0, moments)
            mass[e] = moments[0] if fine else np.nan


@njit(nogil=True, cache=True, error_model="numpy")
def _pull_trials(i, share, first, place, detectors, local, q, slope, r0, r1, out):
    """out [entries, 4]: share times the moments of q · u dlogφ/du around each trial's pass, from entry `first` on."""
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        k = local.trial_pass[e]
        row = out[first + e - local.trial_start[i]]
        x, y = _on_tile(detectors, k, place)
        row[:] = 0.0
        if x >= 0:
            gx, gy = detectors.table_x[x], detectors.table_y[y]
            top = local.trial_scale[e] * gx.max() * gy.max()
            _trial_slopes(local.trial_scale[e], gx, gy, top, r0, r1, q, slope)
            _tile_moments(slope, r0, r1, TILE * place[0] - detectors.x[k], TILE * place[1] - detectors.y[k], row)
            row *= share * local.trial_count[e]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _pull_fields(i, share, local, slope, q, r0, r1, over_fields):
    """Adds animal i's derivative by each Λ_f beyond the shared one: share q (caught dlogφ/dΛ_f - extra)."""
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f, caught, extra = local.field[e], share * local.caught[e], share * local.extra[e]
        for r in range(r0, r1):
            for c in range(TILE):
                over_fields[f, r, c] += q[r, c] * (caught * slope[f, r, c] - extra)


@njit(nogil=True, cache=True, error_model="numpy")
def _collect_fields(start, item, t, place, detectors, ratio, over_fields, work, out):
    """out [entries, 4] += Σ_f ratio_f · moments of (derivative by Λ_f) · Gaussian."""
    for f in range(over_fields.shape[0]):
        part = np.empty((start[t + 1] - start[t], 4))
        local_start = np.array([0, part.shape[0]])
        _collect(local_start, item[start[t] : start[t + 1]], 0, place, detectors, over_fields[f], work, part)
        for e in range(part.shape[0]):
            w = ratio[f, item[start[t] + e]]
            for c in range(4):
                out[start[t] + e, c] += w * part[e, c]


@njit(nogil=True, cache=True, error_model="numpy")
def pull_local(
    tiles, t0, t1, log_mu, unseen, animals, share, passes, d_detected, local, trial_first,
    d_log_mu, of_animals, of_passes, of_trials,
):  # fmt: skip
    """As `pull`, for animals with local terms.

    trial_first [entries]: where in of_trials […, 4] the trials of each entry of the animals' lists begin.
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, passes
    n_fields = local.ratio.shape[0]
    work = _workspace(d_start, t0, t1, 4)
    fields, phi = np.empty((n_fields, TILE, TILE)), np.empty((n_fields, TILE, TILE))
    slopes, over_fields = np.empty((n_fields, TILE, TILE)), np.empty((n_fields, TILE, TILE))
    exponent, q, slope, highest = (
        np.empty((TILE, TILE)),
        np.empty((TILE, TILE)),
        np.empty((TILE, TILE)),
        np.empty(n_fields),
    )
    mu, posterior = np.empty((TILE, TILE)), np.empty((TILE, TILE))
    for t in range(t0, t1):
        place = tiles.place[t]
        if n_fields:
            _fields(d_start, d_item, t, place, d, local.ratio, True, work, fields, phi, slopes, highest)
        elif d_start[t + 1] > d_start[t]:
            _pack(d_start, d_item, d, place[0], place[1], t, work[0], work[1])
        posterior[:] = 0.0
        over_fields[:] = 0.0
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            r0, r1 = _rows_within(a.y[i], local.radius[i], TILE * place[1])
            _local_posterior(i, place, a, d, local, fields, phi, highest, unseen[t], exponent, r0, r1, q)
            _tile_moments(q, r0, r1, TILE * place[0] - a.x[i], TILE * place[1] - a.y[i], of_animals[e])
            _add_scaled(share[i], q, r0, r1, posterior)
            _pull_trials(i, share[i], trial_first[e], place, d, local, q, slope, r0, r1, of_trials)
            _pull_fields(i, share[i], local, slopes, q, r0, r1, over_fields)
        _load(log_mu, tiles, t, -np.inf, mu)
        _adjoint(mu, unseen[t], posterior, d_detected)
        _store(mu, tiles, t, d_log_mu)
        if d_start[t + 1] > d_start[t]:
            _collect(d_start, d_item, t, place, d, posterior, work, of_passes)
            _collect_fields(d_start, d_item, t, place, d, local.ratio, over_fields, work, of_passes)


@njit(nogil=True, cache=True, error_model="numpy")
def gather(item, parts, out):
    """out [n, columns] += parts [entries, columns] of each item, in the order of the entries."""
    for e in range(item.size):
        for c in range(parts.shape[1]):
            out[item[e], c] += parts[e, c]
