"""Gaussians on tiles of the raster as two short tables of exponentials, and fields over cells as tiles.

Light loops run to `shape[1]`, though it is 32: LLVM unrolls a short constant count before it would vectorise it, and
that is two to three times slower.

Names: T tiles, K Gaussians; "lists" are CSR over tiles (start[T + 1], item); lengths are in cells.
"""

import math
from collections import namedtuple

import numpy as np

from .compiled import fused, inner, stage, summing, wide
from .spatial_cover import box_of
from .spatial_math import exp
from .spatial_products import TILE, add_four, fetch

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
# Gaussians that are on their way from memory while one is used: a fifth of the time of the products
AHEAD = 6


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
def fetch_part(tiles, t, field, k, n):
    """Fetches the k-th of n parts of the cells of tile t from the fields [P, M]."""
    for r in range(TILE * k // n, TILE * (k + 1) // n):
        for p in range(field.shape[0]):
            fetch(field, p * field.shape[1] + tiles.first[t, r], 5)


@inner
def add_gaussians(start, item, box, t, tiles, span, table, weight, four, field, out):
    """out [32, 32] += Σ weight · Gaussian over the items of tile t; four: `room_of_four()`.

    Meanwhile the cells of the tile are fetched from the fields [P, M], which are used next.
    """
    place, n = tiles.place[t], (start[t + 1] - start[t] + 3) // 4
    x, y, w = four
    for begin in range(start[t], start[t + 1], 4):
        r0, r1, c0, c1 = TILE, 0, TILE, 0
        for j in range(4):
            e = min(begin + j, start[t + 1] - 1)
            x[j], y[j] = span[item[e], 0] + place[0], span[item[e], 1] + place[1]
            w[j] = weight[item[e]] if begin + j < start[t + 1] else 0.0
            here = box_of(np.int64(box[e]))
            r0, r1, c0, c1 = min(r0, here[0]), max(r1, here[1]), min(c0, here[2]), max(c1, here[3])
            ahead_of(start, item, t, e, place, span, table)
        fetch_part(tiles, t, field, (begin - start[t]) // 4, n)
        add_four(table, x, y, w, (r0, r1, c0, c1), out)


@inner
def ahead_of(start, item, t, e, place, span, table):
    """Fetches the rows of a Gaussian some entries after e of tile t."""
    k = item[min(e + AHEAD, start[t + 1] - 1)]
    fetch(table, TILE * (span[k, 0] + place[0]), 4)
    fetch(table, TILE * (span[k, 1] + place[1]), 4)


@inner
def room_of_four():
    """Working memory of `add_gaussians`."""
    return np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4)


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


@fused
def load_density(density, tiles, t, out):
    """log mu = offset + Σ_k coefficient_k field_k as a tile, density: (offset, coefficients [P], fields [P, M])."""
    offset, coefficient, field = density
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            for c in range(out.shape[1]):
                out[r, c] = offset
            for k in range(coefficient.size):
                b, row = coefficient[k], field[k, first : first + TILE]
                for c in range(row.size):
                    out[r, c] += b * row[c]
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    value = offset
                    for k in range(coefficient.size):
                        value += coefficient[k] * field[k, first]
                    out[r, c] = value
                    first += 1
                else:
                    out[r, c] = -np.inf


@summing
def along_fields(tile, tiles, t, field, out):
    """out [P + 1] = Σ tile · field_k for each of the fields [P, M], and Σ tile over its habitat."""
    wide()
    out[:] = 0.0
    last = field.shape[0]
    for r in range(TILE):
        first, mask = tiles.first[t, r], tiles.mask[t, r]
        if mask == FULL:
            for k in range(last):
                row, s = field[k, first : first + TILE], 0.0
                for c in range(tile.shape[1]):
                    s += row[c] * tile[r, c]
                out[k] += s
            s = 0.0
            for c in range(tile.shape[1]):
                s += tile[r, c]
            out[last] += s
        else:
            for c in range(TILE):
                if (mask >> c) & 1:
                    for k in range(last):
                        out[k] += field[k, first] * tile[r, c]
                    out[last] += tile[r, c]
                    first += 1


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
def gather(item, parts, out, first):
    """out [n, ·] += parts [entries, columns] of each item, in the order of the entries, from column `first` on."""
    for c in range(parts.shape[1]):
        for e in range(item.size):
            out[item[e], first + c] += parts[e, c]
