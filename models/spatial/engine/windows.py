"""The raster cut into square blocks of cells, so that work follows where animals and detectors reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.spatial_cover import cover
from .problem import Raster

SIDE = 32  # cells along a block
WIDEST = 1e12  # cells: wider than any raster
# Blocks follow each other in strips of this many columns, row by row: what reaches over a block is still in the cache
# when its neighbours are done (3 % at a million cells, against whole rows).
STRIP = 8


@dataclass(frozen=True)
class Blocks:
    """Habitat cells sorted block by block. Lengths are in cells, the origin is the centre of cell (0, 0).

    "Block order" is the order of `cell`: field_in_blocks = field[cell], and back by assignment to out[cell].
    """

    side: int  # cells along a block
    cell: np.ndarray  # int [M], habitat cell number at each place of the block order
    x: np.ndarray  # float [M], column of the cell, block order
    y: np.ndarray  # float [M], row of the cell, block order
    start: np.ndarray  # int [B + 1], where each block begins in block order
    block_at: np.ndarray  # int [coarse rows, coarse columns], number of the block there or -1
    box: np.ndarray  # float [B, 4], least x, greatest x, least y, greatest y of a block's habitat cells

    def __len__(self) -> int:
        return len(self.box)

    @classmethod
    def of(cls, raster: Raster, side: int = SIDE) -> Blocks:
        """Blocks of `side` × `side` cells; blocks without habitat do not exist. See `Raster.blocks`."""
        row, column = np.nonzero(raster.habitat)
        ny, nx = (-(-size // side) for size in raster.habitat.shape)
        order = np.argsort(np.arange(ny * nx) % nx // STRIP, kind="stable")  # of places on the coarse grid
        place = np.argsort(order)[(row // side) * nx + column // side]
        cell = np.argsort(place, kind="stable")
        occupied, start = np.unique(place[cell], return_index=True)
        block_at = np.full(ny * nx, -1, np.int64)
        block_at[order[occupied]] = np.arange(occupied.size)
        x, y = column[cell].astype(float), row[cell].astype(float)
        extremes = (reduce.reduceat(along, start) for along in (x, y) for reduce in (np.minimum, np.maximum))
        box = np.stack(list(extremes), axis=1)
        return cls(side, cell, x, y, np.append(start, cell.size), block_at.reshape(ny, nx), box)

    def cover(self, x, y, radius) -> tuple[np.ndarray, np.ndarray]:
        """Discs by block as CSR (start [B + 1], disc): those with habitat of the block within their radius [n].

        A radius may be infinite; the kernel counts in whole numbers, of which infinity is none.
        """
        return cover(x, y, np.minimum(radius, WIDEST), self.side, self.block_at, self.box)
