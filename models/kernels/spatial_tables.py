"""Gaussians on tiles of the raster as two short tables of exponentials, and fields over cells as tiles.

Light loops run to `shape[1]`, though it is 32: LLVM unrolls a short constant count before it would vectorise it, and
that is two to three times slower.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

import math
from collections import namedtuple

import numpy as np

from .compiled import fused, inner, stage, summing, wide
from .spatial_math import exp

TILE = 32

# Gaussians weight · exp(-precision |x - centre|²/2) as tables: row span[k, 0] + column of the tile holds the 32 values
# of Gaussian k over the columns of that tile, row span[k, 1] + row of the tile those over its rows, times the weight.
# centre [K, 3]: x, y, precision; span [K, 6]: these two, then first tile and number of tiles along x, the same along y.
# Few arrays: each costs time to compile. Loops are given the arrays that they use, as a named tuple that is passed on
# costs a count of references for each of its arrays (10 % of `spread`).
Gaussians = namedtuple("Gaussians", "centre span table", module=__name__)
# Where tiles are: place[T, 2] (column, row on the coarse grid); the habitat cells of row r of tile t are numbered from
# first[t, r] on, one for every set bit of mask[t, r].
Tiles = namedtuple("Tiles", "place first mask", module=__name__)

FULL = 0xFFFFFFFF


@fused
def _fill(centre, half, weight, first, table, low, high):
    """weight exp(half (x - centre)²) over the columns of tiles first, first + 1, …, in rows [low, high) of a table."""
    wide()
    for j in range(low, high):
        start = TILE * (first + j - low) - centre
        for c in range(table.shape[1]):
            d = start + c
            table[j, c] = weight * exp(half * d * d)


@stage
def fill_tables(g, weight, k0, k1):
    """Fills the tables of Gaussians k0 … k1 - 1."""
    centre, span, table = g
    for k in range(k0, k1):
        half = -0.5 * centre[k, 2]
        x, y = span[k, 0] + span[k, 2], span[k, 1] + span[k, 4]
        _fill(centre[k, 0], half, 1.0, span[k, 2], table, x, x + span[k, 3])
        _fill(centre[k, 1], half, weight[k], span[k, 4], table, y, y + span[k, 5])


@inner
def on_tile(span, k, place):
    """Rows of the table of Gaussian k on a tile, or -1 where it does not reach."""
    if 0 <= place[0] - span[k, 2] < span[k, 3] and 0 <= place[1] - span[k, 4] < span[k, 5]:
        return span[k, 0] + place[0], span[k, 1] + place[1]
    return -1, -1


@inner
def pack(start, item, span, table, place, t, gx, gy):
    """The table rows of the Gaussians of tile t, side by side: gx, gy [K, 32]."""
    for e in range(start[t], start[t + 1]):
        row, x, y = e - start[t], span[item[e], 0] + place[0], span[item[e], 1] + place[1]
        for c in range(gx.shape[1]):
            gx[row, c] = table[x, c]
        for c in range(gy.shape[1]):
            gy[row, c] = table[y, c]


@inner
def pack_scaled(start, item, span, table, scale, place, t, gx, gy):
    """As `pack`, with gy times the scale of each Gaussian."""
    for e in range(start[t], start[t + 1]):
        row, x, y, w = e - start[t], span[item[e], 0] + place[0], span[item[e], 1] + place[1], scale[item[e]]
        for c in range(gx.shape[1]):
            gx[row, c] = table[x, c]
        for c in range(gy.shape[1]):
            gy[row, c] = w * table[y, c]


@inner
def scale_rows(start, item, t, weight, a, out):
    """out[row] = weight[item] · a[row] for the items of tile t."""
    for e in range(start[t], start[t + 1]):
        w, row = weight[item[e]], e - start[t]
        for c in range(out.shape[1]):
            out[row, c] = w * a[row, c]


@inner
def _aligned(size):
    """An uninitialised array that begins at a cache line."""
    room = np.empty(size + 8)
    skip = -(room.ctypes.data // 8) % 8
    return room[skip : skip + size]


@inner
def rooms(n):
    """n tiles, uninitialised."""
    return _aligned(n * TILE * TILE).reshape((n, TILE, TILE))


@inner
def workspace(start, t0, t1, arrays):
    """Room for the packed rows of the longest list among the tiles [t0, t1): [arrays, K, 32]."""
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    return _aligned(arrays * n * TILE).reshape((arrays, n, TILE))


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
    """Greatest value of Gaussian k on a tile."""
    x, y = on_tile(g.span, k, place)
    if x < 0:
        return 0.0
    return g.table[x, nearest(g.centre[k, 0], place[0])] * g.table[y, nearest(g.centre[k, 1], place[1])]


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
def tile_moments(q, r0, r1, ox, oy):
    """Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²) over rows [r0, r1), distances from ox + column, oy + row."""
    wide()
    s0, sx, sy, s2 = 0.0, 0.0, 0.0, 0.0
    for r in range(r0, r1):
        d = oy + r
        a, b, e = 0.0, 0.0, 0.0
        for c in range(q.shape[1]):
            v, x = q[r, c], ox + c
            a += v
            b += v * x
            e += v * (x * x)
        s0 += a
        sx += b
        sy += a * d
        s2 += e + a * (d * d)
    return s0, sx, sy, s2


@stage
def gather(item, parts, out):
    """out [n, columns] += parts [entries, columns] of each item, in the order of the entries."""
    for e in range(item.size):
        for c in range(parts.shape[1]):
            out[item[e], c] += parts[e, c]
