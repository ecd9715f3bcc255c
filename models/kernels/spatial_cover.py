"""Which blocks of the raster a list of discs touches."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def _gap(low, high, at):
    """Distance from a coordinate to an interval."""
    return max(low - at, at - high, 0.0)


@njit(nogil=True, cache=True, error_model="numpy")
def _visit(x, y, radius, side, block_at, box, start, disc, filling):
    """Counts (or lists) the blocks that each disc touches, in start[b + 1] (or from disc[start[b]] on)."""
    ny, nx = block_at.shape
    for i in range(x.size):
        if radius[i] < 0.0:
            continue
        first_column = int(max(math.floor((x[i] - radius[i]) / side), 0.0))
        last_column = int(min(math.floor((x[i] + radius[i]) / side), nx - 1.0))
        first_row = int(max(math.floor((y[i] - radius[i]) / side), 0.0))
        last_row = int(min(math.floor((y[i] + radius[i]) / side), ny - 1.0))
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                b = block_at[row, column]
                if b < 0:
                    continue
                dx, dy = _gap(box[b, 0], box[b, 1], x[i]), _gap(box[b, 2], box[b, 3], y[i])
                if dx * dx + dy * dy <= radius[i] * radius[i]:
                    if filling:
                        disc[start[b]] = i
                        start[b] += 1
                    else:
                        start[b + 1] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def cover(x, y, radius, side, block_at, box):
    """Discs by block, as CSR (start[blocks + 1], disc): disc i is listed where block b has habitat within its radius.

    x, y, radius [n]: discs in cell units (radius may be inf; negative: nowhere); side: cells along a block;
    block_at[ny, nx]: number of the block at a place of the coarse grid, -1 where there is no habitat;
    box[blocks, 4]: least x, greatest x, least y, greatest y of the habitat cells of a block.
    Discs ascend within a block.
    """
    start = np.zeros(box.shape[0] + 1, np.int64)
    _visit(x, y, radius, side, block_at, box, start, start, False)
    for b in range(box.shape[0]):
        start[b + 1] += start[b]
    disc = np.empty(start[box.shape[0]], np.int64)
    _visit(x, y, radius, side, block_at, box, start, disc, True)
    # listing moved every start to its end, which is the next block's start
    for b in range(box.shape[0], 0, -1):
        start[b] = start[b - 1]
    start[0] = 0
    return start, disc
