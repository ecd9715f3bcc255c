"""Distances between detectors and cells that are not straight lines: what the likelihood knows of them.

The likelihood takes distances as given, for pairs of a *place* (where a detector stands) and a habitat cell. Pairs that
are not there are out of reach: their hazard is nothing. `Fixed` holds distances that never change; `least_cost.Ways`
holds those at one value of the costs and finds as many of them as are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Reached:
    """Distances as CSR over places: cell[start[k]:start[k + 1]] are the cells within reach of place k."""

    start: np.ndarray  # int [K + 1]
    cell: np.ndarray  # int [E], habitat cell number, ascending within a place
    metres: np.ndarray  # float [E]
    limit: np.ndarray  # float [K], metres up to which all pairs of a place are here

    @property
    def place(self) -> np.ndarray:
        """int [E], the place of each pair."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @classmethod
    def of(cls, place, cell, metres, places: int) -> Reached:
        """All pairs that there are, in any order."""
        order = np.lexsort((cell, place))
        start = np.searchsorted(np.asarray(place)[order], np.arange(places + 1))
        limit = np.full(places, np.inf)
        return cls(start, np.asarray(cell, np.int64)[order], np.asarray(metres, float)[order], limit)

    def rows(self, places: np.ndarray, cells: int) -> np.ndarray:
        """[places, cells], infinite where out of reach; for a few places at a time."""
        out = np.full((len(places), cells), np.inf)
        for row, k in enumerate(places):
            part = slice(self.start[k], self.start[k + 1])
            out[row, self.cell[part]] = self.metres[part]
        return out


@dataclass(frozen=True, eq=False)
class Around:
    """Distances from C cells to others that animals can stand in, their own left out, as CSR over the C cells."""

    start: np.ndarray  # int [C + 1]
    metres: np.ndarray  # float [E]
    cell: np.ndarray  # int [E], of the raster that animals can stand in
    trees: Any = None  # the ways that they are of


class Distances(Protocol):
    """Distances from K places at one value of the parameters."""

    def within(self, limit: np.ndarray) -> Reached:
        """All pairs within limit metres of each place, and perhaps more; limits of the first places, 0 of others."""
        ...

    def pull(self, reached: Reached, over: np.ndarray) -> np.ndarray:
        """Derivatives by the cost of every cell, given those [E] by the distances `reached`; empty where none is."""
        ...

    def around(self, cells: np.ndarray, limit: float) -> Iterator[Around]:
        """From habitat cells to all that animals can stand in, within the limit and perhaps more, in several parts."""
        ...

    def pull_around(self, around: Around, over: np.ndarray) -> np.ndarray:
        """As `pull`, of distances between cells."""
        ...

    def beside(self) -> tuple[np.ndarray, np.ndarray]:
        """(habitat cell, metres) of some of the distances `around` each habitat cell, or of longer ones."""
        ...


@dataclass(frozen=True, eq=False)
class Fixed:
    """Distances that do not depend on parameters."""

    reached: Reached
    between: Reached | None = None  # from every habitat cell to all others

    def within(self, limit: np.ndarray) -> Reached:
        return self.reached

    def pull(self, reached: Reached, over: np.ndarray) -> np.ndarray:
        return np.empty(0)

    def around(self, cells: np.ndarray, limit: float) -> Iterator[Around]:
        """See `Distances.around`."""
        assert self.between is not None
        start = self.between.start
        size = (start[1:] - start[:-1])[cells]
        whole = np.concatenate([[0], np.cumsum(size)])
        at = np.repeat(start[cells] - whole[:-1], size) + np.arange(whole[-1])
        yield Around(whole, self.between.metres[at], self.between.cell[at])

    def pull_around(self, around: Around, over: np.ndarray) -> np.ndarray:
        return np.empty(0)

    def beside(self) -> tuple[np.ndarray, np.ndarray]:
        assert self.between is not None
        return self.between.place, self.between.metres


@dataclass(frozen=True, eq=False)
class OnOtherCells:
    """The same distances on another raster: a cell has the distances of the cell of the first in which it lies."""

    base: Distances
    own: np.ndarray  # int [M'], cell of the first raster or -1: out of reach of everything

    def within(self, limit: np.ndarray) -> Reached:
        """All pairs within limit [K] metres, cell by cell of the other raster."""
        found = self.base.within(limit)
        order = np.argsort(self.own, kind="stable")
        low = np.searchsorted(self.own[order], found.cell)
        count = np.searchsorted(self.own[order], found.cell, side="right") - low
        pair = np.repeat(np.arange(len(found.cell)), count)
        inner = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
        cell, place = order[low[pair] + inner], found.place[pair]
        again = np.lexsort((cell, place))
        start = np.searchsorted(place[again], np.arange(len(found.start)))
        return _Spread(start, cell[again], found.metres[pair][again], found.limit, found, pair[again])

    def pull(self, reached: Reached, over: np.ndarray) -> np.ndarray:
        assert isinstance(reached, _Spread)
        return self.base.pull(reached.base, np.bincount(reached.pair, over, minlength=len(reached.base.cell)))

    def around(self, cells: np.ndarray, limit: float) -> Iterator[Around]:
        raise NotImplementedError("animals live in the cells of their own raster")

    def pull_around(self, around: Around, over: np.ndarray) -> np.ndarray:
        raise NotImplementedError("animals live in the cells of their own raster")

    def beside(self) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError("animals live in the cells of their own raster")


@dataclass(frozen=True, eq=False)
class _Spread(Reached):
    """Distances on another raster, and which pairs they came from."""

    base: Reached
    pair: np.ndarray
