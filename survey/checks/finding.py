"""What a check looks at and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ..captures import CaptureHistory
from ..detectors import Detectors
from ..display import some as some
from ..habitat import HabitatMask

SEVERITIES = ("error", "warning", "note")
MOST_CELLS = 100_000  # of a large mask, so many are enough to see how far it reaches


@dataclass(frozen=True)
class Finding:
    """One thing that a survey team should know about its data.

    Parameters
    ----------
    id : stable name of the check, e.g. "detectors-at-one-place"; all are described in `uncia.survey.checks.IDS`
    severity : "error" (no density can come out), "warning" (the density will be wrong or weak, or look so to a
        reviewer) or "note" (worth knowing)
    what : in plain words, with numbers
    fix : what to do
    rows : the animals, detectors or occasions concerned, by name
    """

    id: str
    severity: str
    what: str
    fix: str
    rows: tuple[str, ...] = ()


def error(id: str, what: str, fix: str, rows: Iterable = ()) -> Finding:
    """A finding without whose cure no density can come out."""
    return Finding(id, "error", what, fix, tuple(map(str, rows)))


def warning(id: str, what: str, fix: str, rows: Iterable = ()) -> Finding:
    """A finding that makes the density wrong or weak."""
    return Finding(id, "warning", what, fix, tuple(map(str, rows)))


def note(id: str, what: str, fix: str, rows: Iterable = ()) -> Finding:
    """A finding worth knowing."""
    return Finding(id, "note", what, fix, tuple(map(str, rows)))


def about(metres: float) -> str:
    """Metres to two digits, for advice.

    >>> about(517.9), about(1.234), about(25_200.0)
    ('520 m', '1.2 m', '25,000 m')
    """
    return f"{float(f'{metres:.2g}'):,.6g} m"


@dataclass(frozen=True)
class Look:
    """The data with what several checks need, computed once."""

    captures: CaptureHistory

    @property
    def detectors(self) -> Detectors:
        return self.captures.detectors

    @cached_property
    def movement(self) -> float:
        """Pooled standard deviation of detections about each animal's centroid, metres; NaN without movement."""
        return self.captures.pooled_sd()

    @cached_property
    def per_animal(self) -> np.ndarray:
        """int [n]: detections of each animal."""
        counts = self.captures.detections["count"].to_numpy()
        return np.bincount(self.captures.animal_index, counts, self.captures.n_animals).astype(int)

    def rows_of_animals(self) -> Iterator[tuple[str, slice]]:
        """The name of each animal with its rows of the detections, which are in the order of the animals."""
        counts = np.bincount(self.captures.animal_index, minlength=self.captures.n_animals)
        ends = np.cumsum(counts)
        for name, start, end in zip(self.captures.animals.index, ends - counts, ends, strict=True):
            yield name, slice(start, end)

    @cached_property
    def extent(self) -> float:
        """Diagonal of the rectangle around the detectors, metres."""
        return float(np.hypot(np.ptp(self.detectors.x), np.ptp(self.detectors.y)))

    @cached_property
    def days(self) -> float:
        """Days from the first to the last occasion, NaN when the dates are not known."""
        occasions = self.captures.occasions
        if not {"start", "end"} <= set(occasions.columns) or not len(occasions):
            return float("nan")
        return float((occasions["end"].max() - occasions["start"].min()) / pd.Timedelta(days=1))

    @cached_property
    def identities(self) -> pd.DataFrame:
        """The identities of the records that were used, with life stage; empty when the tables are not known."""
        tables = self.captures.tables
        if tables is None:
            return pd.DataFrame()
        used = tables.records[tables.records["fate"] == "used"]
        return tables.identities.merge(used[["record", "life_stage"]], on="record")

    def names(self, where: np.ndarray) -> list[str]:
        """Names of the detectors at which `where` [K] is True."""
        return [self.detectors.id[k] for k in np.flatnonzero(where)]


@dataclass(frozen=True)
class LookAtMask(Look):
    """The data and the habitat mask."""

    mask: HabitatMask

    @cached_property
    def step(self) -> int:
        """Of the habitat cells, every so many are looked at."""
        return max(1, self.mask.size // MOST_CELLS)

    @cached_property
    def distance(self) -> np.ndarray:
        """float: metres from every `step`-th habitat cell to its nearest detector."""
        cells = np.column_stack(self.mask.centres())[:: self.step]
        return np.asarray(cKDTree(self.detectors.positions).query(cells)[0])

    @cached_property
    def reach(self) -> float:
        """How far the mask extends from the detectors, metres."""
        return float(self.distance.max())

    @cached_property
    def near_habitat(self) -> np.ndarray:
        """bool [K]: the detector's cell, or one of the eight around it, is habitat."""
        x, y, side = self.detectors.x, self.detectors.y, self.mask.spacing
        shifts = [(dx * side, dy * side) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        return np.any([self.mask.is_habitat(x + dx, y + dy) for dx, dy in shifts], axis=0)
