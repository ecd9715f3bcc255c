"""Samples without occasions: how often each identified animal was found, as with scats collected over one search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .captures import CaptureHistory
from .display import facts_html
from .errors import Problems, refuse
from .frozen import fixed, settle


@dataclass(frozen=True, eq=False)
class SampleCounts:
    """Samples per animal, of animals found at least once.

    Parameters
    ----------
    counts : int [k], samples of each animal; a mapping {times found: animals} is taken as well
    names : of the animals; "1", "2", … by default

    Raises
    ------
    SurveyError : counts that are no whole numbers from 1. All faults at once.
    """

    counts: np.ndarray | Sequence[int] | Mapping[int, int]
    names: Sequence[str] | None = None

    def __post_init__(self):
        given = self.counts
        if isinstance(given, Mapping):
            given = np.repeat(np.array(list(given), float), np.array(list(given.values()), int))
        try:
            counts = np.asarray(given, float)
        except (TypeError, ValueError) as error:
            raise refuse("samples are counted per animal", "Give one number per animal", value=given) from error
        if counts.ndim != 1:
            raise refuse("samples are counted per animal", "Give one number per animal", value=counts.shape)
        names = tuple(str(i + 1) for i in range(len(counts))) if self.names is None else tuple(map(str, self.names))
        if len(names) != len(counts):
            raise refuse(f"{len(counts)} animals need as many names", "Give one per animal", value=len(names))
        bad = Problems()
        for i in np.flatnonzero(~((counts >= 1) & (counts % 1 == 0))):
            what = f"the number of samples of {names[i]!r} is no whole number from 1"
            bad.add(what, "Leave out animals that were never found", value=counts[i])
        bad.raise_any()
        settle(self, counts=fixed(counts, np.int64), names=names)

    @classmethod
    def from_captures(cls, captures: CaptureHistory) -> SampleCounts:
        """All detections of each animal, dropping places and occasions."""
        return cls.from_table(captures.detections)

    @classmethod
    def from_table(cls, samples: pd.DataFrame) -> SampleCounts:
        """From a table with one row per sample and the column `animal`, and optionally `count`."""
        if "animal" not in samples:
            raise refuse("the table of samples lacks a column", "Add animal", value=list(samples.columns))
        of = samples.assign(_n=samples["count"] if "count" in samples else 1).groupby("animal", sort=True)["_n"].sum()
        return cls(of.to_numpy(), tuple(of.index.astype(str)))

    @property
    def n_animals(self) -> int:
        """Animals found at least once."""
        return len(self.counts)

    @property
    def n_samples(self) -> int:
        """All samples."""
        return int(np.asarray(self.counts).sum())

    @property
    def times(self) -> pd.Series:
        """Animals found once, twice, …: indexed by the number of times."""
        return pd.Series(self.counts).value_counts().sort_index()

    def __repr__(self) -> str:
        return f"SampleCounts({self.n_animals} animals, {self.n_samples} samples)"

    def _repr_html_(self) -> str:
        return facts_html("SampleCounts", {"animals": self.n_animals, "samples": self.n_samples})
