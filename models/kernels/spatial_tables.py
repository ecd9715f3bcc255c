"""Gaussians on tiles of the raster as two short tables of exponentials, and fields over cells as tiles.

Light loops run to `shape[1]`, though it is 32: LLVM unrolls a short constant count before it would vectorise it, and
that is two to three times slower.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

import math
from collections import namedtuple

import numpy as np

from .compiled import fused, inner, stage, summing
from .spatial_math import exp

TILE = 32

# Gaussians weight · exp(-precision |x - centre|²/2) as tables: table_x[base_x[k] + column of tile - first_x[k]] holds
# the 32 values of Gaussian k over the columns of that tile, n_x of such rows; the same along y, times the weight.
Gaussians = namedtuple(
    "Gaussians", "x y precision first_x n_x base_x first_y n_y base_y table_x table_y", module=__name__
)
# Where tiles are: place[T, 2] (column, row on the coarse grid); the habitat cells of row r of tile t are numbered from
# first[t, r] on, one for every set bit of mask[t, r].
Tiles = namedtuple("Tiles", "place first mask", module=__name__)

FULL = 0xFFFFFFFF


@fused
def _fill(centre, half, weight, first, table):
    """weight exp(half (x - centre)²) over the columns of tiles first, first + 1, …, one row of the table each."""
    for j in range(table.shape[0]):
        start = TILE * (first + j) - centre
        for c in range(TILE):
            d = start + c
            table[j, c] = weight * exp(half * d * d)


@stage
def fill_tables(g, weight, k0, k1):
    """Fills the tables of Gaussians k0 … k1 - 1."""
    for k in range(k0, k1):
        x, y, half = g.base_x[k], g.base_y[k], -0.5 * g.precision[k]
        _fill(g.x[k], half, 1.0, g.first_x[k], g.table_x[x : x + g.n_x[k]])
        _fill(g.y[k], half, weight[k], g.first_y[k], g.table_y[y : y + g.n_y[k]])


@inner
def on_tile(g, k, place):
    """Rows of the tables of Gaussian k on a tile, or -1 where it does not reach."""
    x, y = place[0] - g.first_x[k], place[1] - g.first_y[k]
    if 0 <= x < g.n_x[k] and 0 <= y < g.n_y[k]:
        return g.base_x[k] + x, g.base_y[k] + y
    return -1, -1


@inner
def pack(start, item, g, place, t, gx, gy):
    """The table rows of the Gaussians of tile t, side by side: gx, gy [K, 32]."""
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        ax = g.table_x[g.base_x[k] + place[0] - g.first_x[k]]
        ay = g.table_y[g.base_y[k] + place[1] - g.first_y[k]]
        for c in range(gx.shape[1]):
            gx[row, c] = ax[c]
        for c in range(gy.shape[1]):
            gy[row, c] = ay[c]


@inner
def scale_rows(start, item, t, weight, a, out):
    """out[row] = weight[item] · a[row] for the items of tile t."""
    for e in range(start[t], start[t + 1]):
        w, row = weight[item[e]], e - start[t]
        for c in range(out.shape[1]):
            out[row, c] = w * a[row, c]


@inner
def rooms(n):
    """n tiles, uninitialised."""
    return np.empty((n, TILE, TILE))


@inner
def workspace(start, t0, t1, arrays):
    """Room for the packed rows of the longest list among the tiles [t0, t1): [arrays, K, 32]."""
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    return np.empty((arrays, n, TILE))


@inner
def load(field, tiles, t, empty, out):
    """A field over cells [M] as a tile; `empty` where there is no habitat."""
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            row = field[first : first + TILE]
            for c in range(row.size):
                out[r, c] = row[c]
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    out[r, c] = field[first]
                    first += 1
                else:
                    out[r, c] = empty


@inner
def store(tile, tiles, t, field):
    """A tile back into a field over cells [M]."""
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            row = field[first : first + TILE]
            for c in range(row.size):
                row[c] = tile[r, c]
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    field[first] = tile[r, c]
                    first += 1


@inner
def nearest(centre, tile):
    """The column of a tile (or row) nearest to a centre: where a Gaussian is greatest."""
    return min(max(math.floor(centre + 0.5) - TILE * tile, 0), TILE - 1)


@inner
def summit(g, k, place):
    """(tables' rows, greatest value) of Gaussian k on a tile; -1 where it does not reach."""
    x, y = on_tile(g, k, place)
    if x < 0:
        return x, y, 0.0
    return x, y, g.table_x[x, nearest(g.x[k], place[0])] * g.table_y[y, nearest(g.y[k], place[1])]


@inner
def transpose(tile, out):
    """out = the tile with rows and columns exchanged: a product with a transposed factor costs nearly twice."""
    for r in range(TILE):
        for c in range(TILE):
            out[c, r] = tile[r, c]


@inner
def add_scaled(weight, field, r0, r1, out):
    """out += weight · field on rows [r0, r1)."""
    for r in range(r0, r1):
        for c in range(out.shape[1]):
            out[r, c] += weight * field[r, c]


@summing
def tile_moments(q, r0, r1, ox, oy, out):
    """out [4] = Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²) over rows [r0, r1), distances from ox + column, oy + row."""
    s0, sx, sy, s2 = 0.0, 0.0, 0.0, 0.0
    for r in range(r0, r1):
        d = oy + r
        a, b, e = 0.0, 0.0, 0.0
        for c in range(TILE):
            v, x = q[r, c], ox + c
            a += v
            b += v * x
            e += v * (x * x)
        s0 += a
        sx += b
        sy += a * d
        s2 += e + a * (d * d)
    out[0], out[1], out[2], out[3] = s0, sx, sy, s2


@stage
def gather(item, parts, out):
    """out [n, columns] += parts [entries, columns] of each item, in the order of the entries."""
    for e in range(item.size):
        for c in range(parts.shape[1]):
            out[item[e], c] += parts[e, c]
