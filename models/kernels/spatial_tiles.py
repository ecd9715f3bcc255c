"""Gaussian hazards on tiles of the raster: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. A detector, or an animal's product of detections, is two short tables of
exponentials; on a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the integral of a field
against each of them is rowsum((Gy W) ∘ Gx). These products are the whole cost. Each kernel works on the tiles
[t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a digit.
One long file, because numba's cache does not notice an edit in another file.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

import math
from collections import namedtuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

TILE = 32

# What is called from Python is cached; what only kernels call needs neither a cache nor a Python wrapper to compile.
stage = njit(nogil=True, cache=True, error_model="numpy")
_ALONE = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inner = njit(**_ALONE)
fused = njit(fastmath={"contract"}, **_ALONE)  # multiply-add in one instruction
summing = njit(fastmath={"contract", "reassoc"}, **_ALONE)  # sums in any order, so that they vectorise

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


@fused
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


@fused
def _exp(x):
    """exp(x) for x ≤ 700, vectorisable; 0 below -708."""
    scale, p = _exp_parts(max(x, -708.0))
    return scale + scale * p if x > -708.0 else 0.0


@fused
def _fill(centre, half, weight, first, table):
    """weight exp(half (x - centre)²) over the columns of tiles first, first + 1, …, one row of the table each."""
    for j in range(table.shape[0]):
        start = TILE * (first + j) - centre
        for c in range(TILE):
            d = start + c
            table[j, c] = weight * _exp(half * d * d)


@stage
def fill_tables(g, weight, k0, k1):
    """Fills the tables of Gaussians k0 … k1 - 1."""
    for k in range(k0, k1):
        x, y, half = g.base_x[k], g.base_y[k], -0.5 * g.precision[k]
        _fill(g.x[k], half, 1.0, g.first_x[k], g.table_x[x : x + g.n_x[k]])
        _fill(g.y[k], half, weight[k], g.first_y[k], g.table_y[y : y + g.n_y[k]])


@inner
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


@inner
def _scale_rows(start, item, t, weight, a, out):
    """out[row] = weight[item] · a[row] for the items of tile t."""
    for e in range(start[t], start[t + 1]):
        w, row = weight[item[e]], e - start[t]
        for c in range(TILE):
            out[row, c] = w * a[row, c]


@inner
def _room(n):
    """n tiles, uninitialised."""
    return np.empty((n, TILE, TILE))


@inner
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


@inner
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


@inner
def _workspace(start, t0, t1, arrays):
    """Room for the packed rows of the longest list among the tiles [t0, t1): [arrays, K, 32]."""
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    return np.empty((arrays, n, TILE))


@fused
def _survive(mu, hazard, unseen, lanes):
    """unseen = mu exp(-hazard); lanes [2, 32] += columns of (mu (1 - exp(-hazard)), mu), without cancellation."""
    for r in range(TILE):
        for c in range(TILE):
            m = _exp(mu[r, c])
            scale, p = _exp_parts(max(-hazard[r, c], -708.0))
            unseen[r, c] = m * (scale + scale * p)
            lanes[0, c] += m * ((1.0 - scale) - scale * p)
            lanes[1, c] += m


@stage
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
        sums[t] = 0.0
        for c in range(TILE):
            sums[t, 0] += lanes[0, c]
            sums[t, 1] += lanes[1, c]


@summing
def _row_products(n, a, b, out):
    """out[k] = Σ_c a[k, c] b[k, c]."""
    for k in range(n):
        s = 0.0
        for c in range(TILE):
            s += a[k, c] * b[k, c]
        out[k] = s


@stage
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


@summing
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


@inner
def _collect(start, item, t, place, g, field, work, out):
    """Moments of field [32, 32] · Gaussian for the items of tile t, whose tables are packed in work[0], work[1]."""
    n = start[t + 1] - start[t]
    gx, gy, by_x, by_y = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    np.dot(gy, field, by_x)
    np.dot(gx, field.T, by_y)
    _moments(start, item, t, TILE * place[0], TILE * place[1], g, gx, gy, by_x, by_y, out)


@fused
def _adjoint(mu, unseen, posterior, d_detected):
    """In place: mu (given as its logarithm) becomes the derivative by log mu, posterior the derivative by Λ."""
    for r in range(TILE):
        for c in range(TILE):
            p, w = posterior[r, c], unseen[r, c]
            mu[r, c] = p + d_detected * (_exp(mu[r, c]) - w)
            posterior[r, c] = d_detected * w - p


@inner
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


@stage
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


@fused
def _phi_low(u):
    """log φ(u) for 0 ≤ u ≤ 0.1 to rounding: u/2 + Σ c_n u^2n / 2n."""
    v = u * u
    return u * 0.5 + v * (C1 / 2 + v * (C2 / 4 + v * (C3 / 6 + v * (C4 / 8))))


@fused
def _phi_middle(u):
    """log φ(u) for 0 ≤ u ≤ 1 to rounding."""
    v = u * u
    p = C7 / 14 + v * (C8 / 16 + v * (C9 / 18 + v * (C10 / 20)))
    return u * 0.5 + v * (C1 / 2 + v * (C2 / 4 + v * (C3 / 6 + v * (C4 / 8 + v * (C5 / 10 + v * (C6 / 12 + v * p))))))


@fused
def _phi_high(u):
    """log φ(u) for u > 1."""
    return u + math.log((1.0 - math.exp(-u)) / u)


@fused
def _slope_low(u):
    """u dlogφ/du for 0 ≤ u ≤ 0.1: u/2 + Σ c_n u^2n."""
    v = u * u
    return u * 0.5 + v * (C1 + v * (C2 + v * (C3 + v * C4)))


@fused
def _slope_middle(u):
    """u dlogφ/du for 0 ≤ u ≤ 1."""
    v = u * u
    p = C7 + v * (C8 + v * (C9 + v * C10))
    return u * 0.5 + v * (C1 + v * (C2 + v * (C3 + v * (C4 + v * (C5 + v * (C6 + v * p))))))


@fused
def _slope_high(u):
    """u dlogφ/du for u > 1."""
    return u / (1.0 - math.exp(-u)) - 1.0


@fused
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


@fused
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


@fused
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


@inner
def _greatest(row):
    """The greatest of 32 values."""
    most = row[0]
    for c in range(1, TILE):
        most = max(most, row[c])
    return most


@inner
def _on_tile(g, k, place):
    """Rows of the tables of Gaussian k on a tile, or -1 where it does not reach."""
    x, y = place[0] - g.first_x[k], place[1] - g.first_y[k]
    if 0 <= x < g.n_x[k] and 0 <= y < g.n_y[k]:
        return g.base_x[k] + x, g.base_y[k] + y
    return -1, -1


@inner
def _rows_within(centre, radius, origin):
    """The rows [r0, r1) of a tile within `radius` of a centre."""
    r0 = max(math.ceil(centre - radius) - origin, 0.0)
    r1 = min(math.floor(centre + radius) - origin + 1, float(TILE))
    return int(r0), int(max(r0, r1))


@inner
def _outer(ax, ay, unseen, r0, r1, q):
    """q [32, 32] = unseen · Gaussian."""
    for r in range(r0, r1):
        for c in range(TILE):
            q[r, c] = unseen[r, c] * (ay[r] * ax[c])


@fused
def _weigh(ax, ay, unseen, exponent, r0, r1, q):
    """q [32, 32] = unseen · Gaussian · exp(exponent)."""
    for r in range(r0, r1):
        a = ay[r]
        for c in range(TILE):
            q[r, c] = unseen[r, c] * (a * ax[c]) * _exp(exponent[r, c])


@fused
def _add_scaled(weight, field, r0, r1, out):
    for r in range(r0, r1):
        for c in range(TILE):
            out[r, c] += weight * field[r, c]


@inner
def _local_posterior(i, place, animals, detectors, local, fields, phi, highest, unseen, exponent, r0, r1, q):
    """q [32, 32] = unseen · Gaussian_i · Π φ^count on rows [r0, r1); False where the exponent might overflow."""
    x, y = _on_tile(animals, i, place)
    ax, ay = animals.table_x[x], animals.table_y[y]
    if local.trial_start[i] == local.trial_start[i + 1] and local.field_start[i] == local.field_start[i + 1]:
        _outer(ax, ay, unseen, r0, r1, q)
        return True
    exponent[r0:r1] = 0.0
    room = 0.0
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        x, y = _on_tile(detectors, local.trial_pass[e], place)
        if x >= 0:
            gx, gy = detectors.table_x[x], detectors.table_y[y]
            top = local.trial_scale[e] * _greatest(gx) * _greatest(gy)
            room += local.trial_count[e] * top
            _add_trial(local.trial_count[e], local.trial_scale[e], gx, gy, top, r0, r1, exponent)
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f = local.field[e]
        room += (local.caught[e] + abs(local.extra[e])) * highest[f]
        _add_scaled(local.caught[e], phi[f], r0, r1, exponent)
        if local.extra[e] != 0.0:
            _add_scaled(-local.extra[e], fields[f], r0, r1, exponent)
    _weigh(ax, ay, unseen, exponent, r0, r1, q)
    return room < 600.0


@inner
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
        highest[f] = 0.0
        for r in range(TILE):
            for c in range(TILE):
                u = fields[f, r, c]
                highest[f] = max(highest[f], u)
                phi[f, r, c] = _phi_middle(u) if u <= 1.0 else _phi_high(u)
                if slopes:
                    # (u dlogφ/du)/u, whose limit at 0 is 1/2
                    v = max(u, 1e-300)
                    slope[f, r, c] = (_slope_middle(v) if v <= 1.0 else _slope_high(v)) / v


@inner
def _total(q, r0, r1, lanes):
    """Σ q over rows [r0, r1) of a tile; the columns are summed side by side in lanes [32]."""
    for c in range(TILE):
        lanes[c] = 0.0
    for r in range(r0, r1):
        for c in range(TILE):
            lanes[c] += q[r, c]
    total = 0.0
    for c in range(TILE):
        total += lanes[c]
    return total


@stage
def integrate_local(tiles, t0, t1, unseen, animals, passes, local, mass):
    """As `integrate`, for animals with local terms; nan where an exponent might overflow.

    animals, passes: (start, item, Gaussians).
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, passes
    n_fields = local.ratio.shape[0]
    work = _workspace(d_start, t0, t1, 3)
    fields, phi = np.empty((n_fields, TILE, TILE)), np.empty((n_fields, TILE, TILE))
    exponent, q, highest, lanes = np.empty((TILE, TILE)), np.empty((TILE, TILE)), np.empty(n_fields), np.empty(TILE)
    for t in range(t0, t1):
        place = tiles.place[t]
        if n_fields and a_start[t + 1] > a_start[t]:
            _fields(d_start, d_item, t, place, d, local.ratio, False, work, fields, phi, phi, highest)
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            r0, r1 = _rows_within(a.y[i], local.radius[i], TILE * place[1])
            fine = _local_posterior(i, place, a, d, local, fields, phi, highest, unseen[t], exponent, r0, r1, q)
            mass[e] = _total(q, r0, r1, lanes) if fine else np.nan


@inner
def _pull_trials(i, share, first, place, detectors, local, q, slope, r0, r1, out):
    """out [entries, 4]: share times the moments of q · u dlogφ/du around each trial's pass, from entry `first` on."""
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        k = local.trial_pass[e]
        row = out[first + e - local.trial_start[i]]
        x, y = _on_tile(detectors, k, place)
        row[:] = 0.0
        if x >= 0:
            gx, gy = detectors.table_x[x], detectors.table_y[y]
            top = local.trial_scale[e] * _greatest(gx) * _greatest(gy)
            _trial_slopes(local.trial_scale[e], gx, gy, top, r0, r1, q, slope)
            _tile_moments(slope, r0, r1, TILE * place[0] - detectors.x[k], TILE * place[1] - detectors.y[k], row)
            row *= share * local.trial_count[e]


@fused
def _pull_fields(i, share, local, slope, q, r0, r1, over_fields):
    """Adds animal i's derivative by each Λ_f beyond the shared one: share q (caught dlogφ/dΛ_f - extra)."""
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f, caught, extra = local.field[e], share * local.caught[e], share * local.extra[e]
        for r in range(r0, r1):
            for c in range(TILE):
                over_fields[f, r, c] += q[r, c] * (caught * slope[f, r, c] - extra)


@inner
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


@stage
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


@fused
def _bend_low(u):
    """d(u dlogφ/du)/dlog u for 0 ≤ u ≤ 1: u/2 + Σ 2n c_n u^2n."""
    v = u * u
    p = 14 * C7 + v * (16 * C8 + v * (18 * C9 + v * (20 * C10)))
    return u * 0.5 + v * (2 * C1 + v * (4 * C2 + v * (6 * C3 + v * (8 * C4 + v * (10 * C5 + v * (12 * C6 + v * p))))))


@fused
def _bend_high(u):
    """d(u dlogφ/du)/dlog u for u > 1."""
    e = math.exp(-u)
    miss = 1.0 - e
    return u / miss - u * u * e / (miss * miss)


@fused
def _square_rows(start, item, t, origin, centre, along, out):
    """out[row] = along[row] · (distance from the Gaussian's centre)², for the items of tile t along one axis."""
    for e in range(start[t], start[t + 1]):
        row, offset = e - start[t], origin - centre[item[e]]
        for c in range(TILE):
            d = offset + c
            out[row, c] = d * d * along[row, c]


@inner
def _field_directions(start, item, t, place, g, weight, log_scale, log_sigma, work, out):
    """out [32, 32] = Σ weight (log_scale + log_sigma d²/σ²) Gaussian: how a field moves along one direction.

    weight, log_scale, log_sigma [K]: log_sigma already divided by σ². work[0..3]: gx, gy, dx² gx, dy² gy packed.
    """
    n = start[t + 1] - start[t]
    out[:] = 0.0
    if n == 0:
        return
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        a, b = weight[k] * log_scale[k], weight[k] * log_sigma[k]
        for c in range(TILE):
            work[4, row, c] = a * work[1, row, c] + b * work[3, row, c]
        for c in range(TILE):
            work[5, row, c] = b * work[1, row, c]
    np.dot(work[4, :n].T, work[0, :n], out)
    second = np.dot(work[5, :n].T, work[2, :n])
    for r in range(TILE):
        for c in range(TILE):
            out[r, c] += second[r, c]


@summing
def _square_moments(start, item, t, origin_x, origin_y, g, field, work, out):
    """out [entries, 3]: Σ q, Σ q d², Σ q d⁴, q = field · Gaussian, from the tables packed in work[0..3]."""
    n = start[t + 1] - start[t]
    gx, gxx, by, byy = work[0, :n], work[2, :n], work[4, :n], work[5, :n]
    np.dot(work[1, :n], field, by)
    np.dot(work[3, :n], field, byy)
    for e in range(start[t], start[t + 1]):
        row = e - start[t]
        ox = origin_x - g.x[item[e]]
        s0, s2, s4 = 0.0, 0.0, 0.0
        for c in range(TILE):
            d = ox + c
            s0 += by[row, c] * gx[row, c]
            s2 += by[row, c] * gxx[row, c] + byy[row, c] * gx[row, c]
            s4 += (by[row, c] * d * d + 2.0 * byy[row, c]) * gxx[row, c]
        out[e, 0], out[e, 1], out[e, 2] = s0, s2, s4
    for e in range(start[t], start[t + 1]):
        oy, row = origin_y - g.y[item[e]], e - start[t]
        for c in range(TILE):
            work[3, row, c] *= (oy + c) * (oy + c)
    np.dot(work[3, :n], field, byy)
    for e in range(start[t], start[t + 1]):
        row = e - start[t]
        s4 = 0.0
        for c in range(TILE):
            s4 += byy[row, c] * gx[row, c]
        out[e, 2] += s4


@fused
def _add_quadratic(p, ox, oy, r0, r1, out):
    """out [32, 32] = p0 + p1 dx + p2 dy + p3 (dx² + dy²)."""
    for r in range(r0, r1):
        dy = oy + r
        base = p[0] + p[2] * dy + p[3] * dy * dy
        for c in range(TILE):
            dx = ox + c
            out[r, c] = base + dx * (p[1] + p[3] * dx)


@fused
def _trial_direction(a, b, ox, oy, slope, r0, r1, out):
    """out [32, 32] += slope (a + b d²): a trial's term along one direction."""
    for r in range(r0, r1):
        dy = oy + r
        base = a + b * dy * dy
        for c in range(TILE):
            dx = ox + c
            out[r, c] += slope[r, c] * (base + b * dx * dx)


@fused
def _trial_derivatives(count, scale, gx, gy, r0, r1, slope, bend):
    """slope, bend [32, 32]: count times the first and second derivative of log φ(u) by log u, u = scale gy gx."""
    for r in range(r0, r1):
        a = scale * gy[r]
        for c in range(TILE):
            u = a * gx[c]
            if u <= 1.0:
                slope[r, c], bend[r, c] = count * _slope_middle(u), count * _bend_low(u)
            else:
                slope[r, c], bend[r, c] = count * _slope_high(u), count * _bend_high(u)


@fused
def _bent_square(q, bend, a0, b0, a1, b1, ox, oy, r0, r1):
    """Σ q bend (a0 + b0 d²)(a1 + b1 d²)."""
    lanes = np.zeros(TILE)
    for r in range(r0, r1):
        dy2 = (oy + r) * (oy + r)
        for c in range(TILE):
            d2 = dy2 + (ox + c) * (ox + c)
            lanes[c] += q[r, c] * bend[r, c] * (a0 + b0 * d2) * (a1 + b1 * d2)
    total = 0.0
    for c in range(TILE):
        total += lanes[c]
    return total


@fused
def _inner(a, b, r0, r1, lanes):
    """Σ a b over rows [r0, r1) of two tiles; the columns are summed side by side in lanes [32]."""
    for c in range(TILE):
        lanes[c] = 0.0
    for r in range(r0, r1):
        for c in range(TILE):
            lanes[c] += a[r, c] * b[r, c]
    total = 0.0
    for c in range(TILE):
        total += lanes[c]
    return total


@fused
def _product(a, b, r0, r1, out):
    """out = a b on rows [r0, r1) of two tiles."""
    for r in range(r0, r1):
        for c in range(TILE):
            out[r, c] = a[r, c] * b[r, c]


@inner
def _event_scores(i, place, passes, local, slopes, fields_by, log_scale, log_sigma, quadratic, share, origin, r0, r1,
                  q, slope, bend, score, second):  # fmt: skip
    """score [D, 32, 32]: derivative of animal i's own terms along the directions that move detection.

    Also adds share Σ q (second derivative of log φ by log u) ∂log u ∂log u' of its trials to second [D, D].
    """
    size = score.shape[0]
    for a in range(size):
        _add_quadratic(quadratic[i, a], origin[0], origin[1], r0, r1, score[a])
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        k = local.trial_pass[e]
        x, y = _on_tile(passes, k, place)
        if x < 0:
            continue
        gx, gy = passes.table_x[x], passes.table_y[y]
        ox, oy = TILE * place[0] - passes.x[k], TILE * place[1] - passes.y[k]
        _trial_derivatives(local.trial_count[e], local.trial_scale[e], gx, gy, r0, r1, slope, bend)
        for a in range(size):
            _trial_direction(log_scale[a, k], log_sigma[a, k], ox, oy, slope, r0, r1, score[a])
            for b in range(a + 1):
                pair = (log_scale[a, k], log_sigma[a, k], log_scale[b, k], log_sigma[b, k])
                second[a, b] += share * _bent_square(q, bend, *pair, ox, oy, r0, r1)
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f = local.field[e]
        for a in range(size):
            for r in range(r0, r1):
                for c in range(TILE):
                    rate = local.caught[e] * slopes[f, r, c] - local.extra[e]
                    score[a, r, c] += rate * fields_by[f, a, r, c]


@inner
def _curve_fields(i, share, local, bends, q, r0, r1, over_bend):
    """over_bend [F, 32, 32] += share q caught d²logφ/dΛ_f²."""
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f, caught = local.field[e], share * local.caught[e]
        for r in range(r0, r1):
            for c in range(TILE):
                over_bend[f, r, c] += caught * q[r, c] * bends[f, r, c]


@inner
def _field_bends(fields, bends):
    """d²logφ/dΛ² [F, 32, 32]: (d²/dlogΛ² − d/dlogΛ)/Λ², 1/12 in the limit."""
    for f in range(fields.shape[0]):
        for r in range(TILE):
            for c in range(TILE):
                u = fields[f, r, c]
                if u <= 1e-3:
                    bends[f, r, c] = C1 + 3 * C2 * u * u
                elif u <= 1.0:
                    bends[f, r, c] = (_bend_low(u) - _slope_middle(u)) / (u * u)
                else:
                    bends[f, r, c] = (_bend_high(u) - _slope_high(u)) / (u * u)


@inner
def _cell_terms(mu, unseen, posterior, scores, along_mu, cross, moving, d_detected, detected, second):
    """The part of the second derivatives that all animals share, and the derivative of the number detected.

    scores [P, 32, 32] = ∂log mu − ∂Λ; cross [D, 32, 32] = Σ_i d_log_a_i q_i ∂(own terms); mu here is exp(log mu).
    """
    size = scores.shape[0]
    product, lanes = np.empty((TILE, TILE)), np.empty(TILE)
    for a in range(size):
        detected[a] += _inner(mu, along_mu[a], 0, TILE, lanes) - _inner(unseen, scores[a], 0, TILE, lanes)
        for r in range(TILE):
            for c in range(TILE):
                product[r, c] = (posterior[r, c] - d_detected * unseen[r, c]) * scores[a, r, c]
        for b in range(size):
            second[a, b] += _inner(product, scores[b], 0, TILE, lanes)
        _product(mu, along_mu[a], 0, TILE, product)
        for b in range(size):
            second[a, b] += d_detected * _inner(product, along_mu[b], 0, TILE, lanes)
        for j in range(cross.shape[0]):
            b = moving[j]
            value = _inner(scores[a], cross[j], 0, TILE, lanes)
            second[a, b] += value
            second[b, a] += value


@inner
def _add_over_fields(start, item, t, place, g, ratio, over_all, over_fields, work, out):
    """out [entries, 3]: square moments of the derivative by the shared field and by each field's own part."""
    origin_x, origin_y = TILE * place[0], TILE * place[1]
    part = np.empty((start[t + 1], 3))
    for f in range(-1, over_fields.shape[0]):
        # the last product of the moments spoils the packed squares along y
        _square_rows(start, item, t, origin_y, g.y, work[1], work[3])
        _square_moments(start, item, t, origin_x, origin_y, g, over_all if f < 0 else over_fields[f], work, part)
        for e in range(start[t], start[t + 1]):
            w = 1.0 if f < 0 else ratio[f, item[e]]
            for c in range(3):
                out[e, c] += w * part[e, c]


@stage
def curve(
    tiles, t0, t1, log_mu, unseen, animals, share, passes, d_detected, local, along_mu, moving, log_scale, log_sigma,
    quadratic, mean, squares, detected, second, own,
):  # fmt: skip
    """Second derivatives along P directions, of which D = len(moving) move detection.

    along_mu [P, M]; log_scale, log_sigma [D, G]: change of log λ, and of log σ divided by σ²; quadratic [n, D, 4]:
    derivative of each animal's Gaussian as a polynomial around its centre. Fills mean [entries, P] (Σ q ∂log q),
    squares [entries, 3] (moments of the passes), detected [T, P], second [T, P, P] and own [T, D, D], the lower
    triangle of what concerns only the directions that move detection; all four begin as zeros.
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, passes
    n_fields, size, n_moving = local.ratio.shape[0], along_mu.shape[0], moving.size
    work = _workspace(d_start, t0, t1, 6)
    fields, phi, slopes, bends = _room(n_fields), _room(n_fields), _room(n_fields), _room(n_fields)
    over_fields, over_bend, highest = _room(n_fields), _room(n_fields), np.empty(n_fields)
    fields_by = np.empty((n_fields, n_moving, TILE, TILE))
    scores, x_tile, score, cross, ones = _room(size), _room(size), _room(n_moving), _room(n_moving), np.ones(d.x.size)
    single, lanes = _room(6), np.empty(TILE)
    exponent, q, slope, bend, mu, posterior = single[0], single[1], single[2], single[3], single[4], single[5]
    for t in range(t0, t1):
        place = tiles.place[t]
        origin_x, origin_y = TILE * place[0], TILE * place[1]
        if n_fields:
            _fields(d_start, d_item, t, place, d, local.ratio, True, work, fields, phi, slopes, highest)
            _field_bends(fields, bends)
        _pack(d_start, d_item, d, place[0], place[1], t, work[0], work[1])
        _square_rows(d_start, d_item, t, origin_x, d.x, work[0], work[2])
        _square_rows(d_start, d_item, t, origin_y, d.y, work[1], work[3])
        for p in range(size):
            _load(along_mu[p], tiles, t, 0.0, x_tile[p])
            scores[p] = x_tile[p]
        for j in range(n_moving):
            _field_directions(d_start, d_item, t, place, d, ones, log_scale[j], log_sigma[j], work, exponent)
            scores[moving[j]] -= exponent
            for f in range(n_fields):
                ratio = local.ratio[f]
                _field_directions(
                    d_start, d_item, t, place, d, ratio, log_scale[j], log_sigma[j], work, fields_by[f, j]
                )
        posterior[:] = 0.0
        over_fields[:] = 0.0
        over_bend[:] = 0.0
        cross[:] = 0.0
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            origin = (origin_x - a.x[i], origin_y - a.y[i])
            r0, r1 = _rows_within(a.y[i], local.radius[i], origin_y)
            _local_posterior(i, place, a, d, local, fields, phi, highest, unseen[t], exponent, r0, r1, q)
            _event_scores(i, place, d, local, slopes, fields_by, log_scale, log_sigma, quadratic, share[i], origin,
                          r0, r1, q, slope, bend, score, own[t])  # fmt: skip
            _add_scaled(share[i], q, r0, r1, posterior)
            _pull_fields(i, share[i], local, slopes, q, r0, r1, over_fields)
            _curve_fields(i, share[i], local, bends, q, r0, r1, over_bend)
            for p in range(size):
                mean[e, p] = _inner(q, scores[p], r0, r1, lanes)
            for j in range(n_moving):
                _product(q, score[j], r0, r1, slope)
                _add_scaled(share[i], slope, r0, r1, cross[j])
                for k in range(j + 1):
                    own[t, j, k] += share[i] * _inner(slope, score[k], r0, r1, lanes)
                mean[e, moving[j]] += _inner(q, score[j], r0, r1, lanes)
        for f in range(n_fields):
            for j in range(n_moving):
                _product(over_bend[f], fields_by[f, j], 0, TILE, slope)
                for k in range(j + 1):
                    own[t, j, k] += _inner(slope, fields_by[f, k], 0, TILE, lanes)
        _load(log_mu, tiles, t, -np.inf, mu)
        for r in range(TILE):
            for c in range(TILE):
                mu[r, c] = _exp(mu[r, c])
        _cell_terms(mu, unseen[t], posterior, scores, x_tile, cross, moving, d_detected, detected[t], second[t])
        if d_start[t + 1] > d_start[t]:
            for r in range(TILE):
                for c in range(TILE):
                    posterior[r, c] = d_detected * unseen[t, r, c] - posterior[r, c]
            _add_over_fields(d_start, d_item, t, place, d, local.ratio, posterior, over_fields, work, squares)


@stage
def gather(item, parts, out):
    """out [n, columns] += parts [entries, columns] of each item, in the order of the entries."""
    for e in range(item.size):
        for c in range(parts.shape[1]):
            out[item[e], c] += parts[e, c]
