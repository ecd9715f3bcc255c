"""Which blocks of the raster a list of discs touches."""

import math

import numpy as np
from numba import njit

from .compiled import fused, inner, kept, lend, stage, wide
from .spatial_products import COLUMNS, TILE

WHOLE = (TILE << 8) | (TILE << 24)
# cells of a tile from which it is taken whole: a loop of unusual length costs as much as some rows
MOST = 700
# of a radius: what a product leaves out within the tiles that are listed should not add to what the lists leave out
MARGIN = 1.03


@njit(nogil=True, cache=True, error_model="numpy")
def _gap(low, high, at):
    """Distance from a coordinate to an interval."""
    return max(low - at, at - high, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def cover(x, y, radius, side, block_at, box):
    """Discs by block, as CSR (start[blocks + 1], disc): disc i is listed where block b has habitat within its radius.

    x, y, radius [n]: discs in cell units (radius may be inf; negative: nowhere); side: cells along a block;
    block_at[ny, nx]: number of the block at a place of the coarse grid, -1 where there is no habitat;
    box[blocks, 4]: least x, greatest x, least y, greatest y of the habitat cells of a block.
    Discs ascend within a block.
    """
    ny, nx = block_at.shape
    start, last = np.zeros(box.shape[0] + 1, np.int64), np.zeros(x.size, np.int64)
    touched, n = np.empty(1024, np.int64), 0  # the blocks of the first disc, then those of the second, …
    for i in range(x.size):
        last[i] = n
        if radius[i] < 0.0:
            continue
        first_column = int(max(math.floor((x[i] - radius[i]) / side), 0.0))
        last_column = int(min(math.floor((x[i] + radius[i]) / side), nx - 1.0))
        first_row = int(max(math.floor((y[i] - radius[i]) / side), 0.0))
        last_row = int(min(math.floor((y[i] + radius[i]) / side), ny - 1.0))
        most = n + max(last_row - first_row + 1, 0) * max(last_column - first_column + 1, 0)
        if most > touched.size:
            more = np.empty(2 * most, np.int64)
            for k in range(n):  # a slice would take two seconds to compile
                more[k] = touched[k]
            touched = more
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                b = block_at[row, column]
                if b < 0:
                    continue
                dx, dy = _gap(box[b, 0], box[b, 1], x[i]), _gap(box[b, 2], box[b, 3], y[i])
                if dx * dx + dy * dy <= radius[i] * radius[i]:
                    touched[n] = b
                    n += 1
                    start[b + 1] += 1
        last[i] = n
    for b in range(box.shape[0]):
        start[b + 1] += start[b]
    disc, begin = np.empty(n, np.int64), 0
    for i in range(x.size):
        for k in range(begin, last[i]):
            b = touched[k]
            disc[start[b]] = i
            start[b] += 1
        begin = last[i]
    # listing moved every start to its end, which is the next block's start
    for b in range(box.shape[0], 0, -1):
        start[b] = start[b - 1]
    start[0] = 0
    return start, disc


@fused
def _along(gap, x, radius, low, high, origin, step):
    """First and last + 1 of the columns that a disc reaches among [low, high], in whole steps: the same for rows.

    gap: the distance from the centre along the other axis, at its least; step: a power of two.
    """
    half = math.sqrt(max(radius * radius - gap * gap, 0.0))
    first = int(max(max(x - half, low) - origin, 0.0)) & -step
    last = (int(max(min(x + half, high) - origin, 0.0)) + step) & -step
    return first, max(first, last)


@stage
def boxes(t0, t1, start, disc, x, y, radius, place, habitat, box):
    """Fills box [entries], for every disc of tiles [t0, t1) the part of the tile that it reaches, see `box_of`.

    habitat [T, 4]: least x, greatest x, least y, greatest y of the habitat cells. Rows in steps of 2, columns in steps
    of COLUMNS, as the products on tiles want them.
    """
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    owned = (np.empty((3, n)),)
    start, disc, x, y, radius, place, habitat, box = lend((start, disc, x, y, radius, place, habitat, box))
    (here,) = lend(owned)
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        for e in range(n):  # side by side, or the loop over them would not vectorise
            i = disc[start[t] + e]
            here[0, e], here[1, e], here[2, e] = x[i], y[i], MARGIN * radius[i]
        _boxes(here[0, :n], here[1, :n], here[2, :n], place[t], habitat[t], box[start[t] : start[t + 1]])
    kept(owned)


@fused
def _boxes(x, y, radius, place, habitat, box):
    wide()
    left, right, bottom, top = habitat[0], habitat[1], habitat[2], habitat[3]
    origin_x, origin_y = float(TILE * place[0]), float(TILE * place[1])
    for e in range(box.size):
        across, down = max(max(left - x[e], x[e] - right), 0.0), max(max(bottom - y[e], y[e] - top), 0.0)
        r0, r1 = _along(across, y[e], radius[e], bottom, top, origin_y, 2)
        c0, c1 = _along(down, x[e], radius[e], left, right, origin_x, COLUMNS)
        most = (r1 - r0) * (c1 - c0) > MOST
        box[e] = WHOLE if most else r0 | (r1 << 8) | (c0 << 16) | (c1 << 24)


@inner
def box_of(box):
    """(r0, r1, c0, c1) of a number that `boxes` made."""
    return box & 255, (box >> 8) & 255, (box >> 16) & 255, box >> 24
