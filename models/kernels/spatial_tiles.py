"""Gaussian hazards on tiles of the raster: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. A detector, or an animal's product of detections, is two short tables of
exponentials; on a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the integral of a field
against each of them is rowsum((Gy W) ∘ Gx). These products are the whole cost. Each kernel works on the tiles
[t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a digit.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

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
# Where tiles are: place[T, 2] (column, row on the coarse grid); the habitat cells of row r of tile t are numbered from
# first[t, r] on, one for every set bit of mask[t, r].
Tiles = namedtuple("Tiles", "place first mask", module=__name__)

LOG2E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
MAGIC = 6755399441055744.0  # 1.5 · 2^52: adding it leaves the nearest integer in the low bits
FULL = 0xFFFFFFFF


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
def fill_tables(centre, precision, weight, first, n, base, k0, k1, table):
    """weight exp(-precision (x - centre)²/2) over the tiles first[k] … first[k] + n[k] - 1 of Gaussians k0 … k1 - 1."""
    for k in range(k0, k1):
        half, w = -0.5 * precision[k], weight[k]
        for j in range(n[k]):
            row = table[base[k] + j]
            start = TILE * (first[k] + j) - centre[k]
            for c in range(TILE):
                d = start + c
                row[c] = w * _exp(half * d * d)


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
def _posteriors(start, item, t, place, g, share, unseen, work, posterior, from_animals):
    """posterior [32, 32] = unseen · Σ_i share_i Gaussian_i, and the moments of unseen · Gaussian for each animal."""
    n = start[t + 1] - start[t]
    posterior[:] = 0.0
    if n:
        _pack(start, item, g, place[0], place[1], t, work[0], work[1])
        _scale_rows(start, item, t, share, work[1], work[2])
        np.dot(work[2, :n].T, work[0, :n], posterior)
        _collect(start, item, t, place, g, unseen, work, from_animals)
    for r in range(TILE):
        for c in range(TILE):
            posterior[r, c] *= unseen[r, c]


@njit(nogil=True, cache=True, error_model="numpy")
def pull(tiles, t0, t1, log_mu, unseen, animals, share, detectors, d_detected, d_log_mu, from_animals, from_fields):
    """The reverse pass: d_log_mu [M], and moments [entries, 4] of the animals' and of the passes' lists.

    animals, detectors: (start, item, Gaussians); share [n]: d_log_a_i / mass_i. The animals' moments are those of
    unseen · Gaussian, the passes' those of (derivative by Λ) · Gaussian.
    """
    (a_start, a_item, a), (d_start, d_item, d) = animals, detectors
    a_work, d_work = _workspace(a_start, t0, t1, 4), _workspace(d_start, t0, t1, 4)
    mu, posterior = np.empty((TILE, TILE)), np.empty((TILE, TILE))
    for t in range(t0, t1):
        place = tiles.place[t]
        _posteriors(a_start, a_item, t, place, a, share, unseen[t], a_work, posterior, from_animals)
        _load(log_mu, tiles, t, -np.inf, mu)
        _adjoint(mu, unseen[t], posterior, d_detected)
        _store(mu, tiles, t, d_log_mu)
        if d_start[t + 1] > d_start[t]:
            _pack(d_start, d_item, d, place[0], place[1], t, d_work[0], d_work[1])
            _collect(d_start, d_item, t, place, d, posterior, d_work, from_fields)


@njit(nogil=True, cache=True, error_model="numpy")
def gather(item, parts, out):
    """out [n, columns] += parts [entries, columns] of each item, in the order of the entries."""
    for e in range(item.size):
        for c in range(parts.shape[1]):
            out[item[e], c] += parts[e, c]
