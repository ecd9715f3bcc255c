"""Sightings of marked and unmarked animals, for mark-resight: who was identified, and how many others were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .captures import CaptureHistory
from .display import facts_html
from .errors import Problems, refuse
from .frozen import fixed, settle

WORDS = {"unmarked": "unmarked animals", "unidentified": "marked animals that were not identified"}


@dataclass(frozen=True, eq=False)
class Sightings:
    """What was seen on sighting occasions, on which animals are not marked.

    Parameters
    ----------
    captures : CaptureHistory of the marked animals that were identified, at the detectors and on the occasions of the
        sighting; its detectors are "count" (any number of sightings of an animal per occasion) or "proximity" (seen or
        not). It may hold no animal.
    unmarked : sightings of unmarked animals: array [S, K]; DataFrame of S rows with the names of the detectors as
        columns; or DataFrame with the columns `occasion`, `detector` and `count`. None: they were not recorded.
        At proximity detectors only whether an unmarked animal was seen is used.
    unidentified : sightings of marked animals that could not be identified, in the same forms
    after : int [S], how many marking occasions came before each sighting occasion; all of them by default

    Notes
    -----
    Sightings of animals of which it is not known whether they were marked belong in neither table.

    Raises
    ------
    SurveyError : traps, counts of another shape, below zero or broken, sightings where there was no effort. All faults
        at once.
    """

    captures: CaptureHistory
    unmarked: Any = None
    unidentified: Any = None
    after: Any = None

    def __post_init__(self):
        kind = self.captures.detectors.kind
        if kind not in ("count", "proximity"):
            raise refuse("animals are sighted at count or proximity detectors", "Correct the kind", value=kind)
        bad = Problems()
        for name, what in WORDS.items():
            table = getattr(self, name)
            settle(self, **{name: None if table is None else fixed(self._counts(table, what, bad), float)})
        if self.after is not None:
            after = np.asarray(self.after)
            if after.shape != (self.n_occasions,) or (after < 0).any() or (after != np.rint(after)).any():
                fix = "Say for each sighting occasion how many marking occasions came before it"
                bad.add(f"after needs a whole number for each of {self.n_occasions} occasions", fix, value=self.after)
            else:
                settle(self, after=fixed(after, np.int64))
        bad.raise_any()

    @property
    def n_occasions(self) -> int:
        """S, sighting occasions."""
        return self.captures.n_occasions

    def _counts(self, table: Any, what: str, bad: Problems) -> np.ndarray:
        """float [S, K]; 0 where there was no effort."""
        detectors = self.captures.detectors
        shape = (self.n_occasions, len(detectors))
        if isinstance(table, pd.DataFrame):
            table = self._from_frame(table, shape, what, bad)
        counts = np.asarray(table, float)
        if counts.shape != shape:
            fix = f"Give one number per occasion and detector, {shape}"
            bad.add(f"the sightings of {what} have another shape", fix, value=counts.shape)
            return np.zeros(shape)
        for s, k in np.argwhere((counts < 0) | (counts != np.rint(counts)) | np.isnan(counts)):
            if np.isnan(counts[s, k]) and not detectors.used[s, k]:
                continue
            where = f"at {detectors.id[k]!r} on occasion {s + 1}"
            fix = "Write 0 where none was seen"
            bad.add(f"sightings of {what} are whole numbers; {where}", fix, value=float(counts[s, k]))
        counts = np.nan_to_num(counts)
        for s, k in np.argwhere((counts > 0) & ~detectors.used):
            bad.add(
                f"{what} were seen at {detectors.id[k]!r} on occasion {s + 1}, where the effort is zero or not known",
                "Correct the sighting or the effort",
                value=float(counts[s, k]),
            )
        return counts

    def _from_frame(self, table: pd.DataFrame, shape: tuple, what: str, bad: Problems) -> np.ndarray:
        names = pd.Index(self.captures.detectors.id, dtype=object)
        if not {"occasion", "detector", "count"} <= set(table.columns):
            unknown = [c for c in names if c not in table.columns.astype(str)]
            if unknown or len(table) != shape[0]:
                fix = "Give columns occasion, detector, count; or one row per occasion and one column per detector"
                bad.add(f"the table of {what} is not understood", fix, value=list(table.columns[:6]))
                return np.zeros(shape)
            return table.set_axis(table.columns.astype(str), axis=1)[list(names)].to_numpy(float)
        counts, place = np.zeros(shape), names.get_indexer(pd.Index(table["detector"].astype(str), dtype=object))
        rows = zip(table["occasion"], table["detector"], place, table["count"], strict=True)
        for i, (s, name, k, count) in enumerate(rows):
            if k < 0 or not 1 <= s <= shape[0]:
                fix = f"Occasions are 1..{shape[0]}, detectors those of the sightings"
                bad.add(f"row {i + 1} of {what} names no detector and occasion", fix, value=(s, name))
            else:
                counts[int(s) - 1, k] += count
        return counts

    @property
    def totals(self) -> dict[str, int]:
        """Sightings of identified, unidentified and unmarked animals, those that were recorded."""
        found = {"identified": self.captures.n_detections}
        for name in ("unidentified", "unmarked"):
            if getattr(self, name) is not None:
                found[name] = int(getattr(self, name).sum())
        return found

    def equals(self, other: object) -> bool:
        """The same sightings."""
        tables = ("unmarked", "unidentified", "after")
        return (
            isinstance(other, Sightings)
            and self.captures.equals(other.captures)
            and all(_alike(getattr(self, name), getattr(other, name)) for name in tables)
        )

    def __repr__(self) -> str:
        seen = ", ".join(f"{n} {name}" for name, n in self.totals.items())
        return f"Sightings on {self.n_occasions} occasions: {seen}; {self.captures.detectors!r}"

    def _repr_html_(self) -> str:
        return facts_html("Sightings", {**self.totals, "detectors": repr(self.captures.detectors)})


def split_marking(
    captures: CaptureHistory,
    marking: Sequence[int],
    *,
    marking_kind: str | None = None,
    unmarked: Any = None,
    unidentified: Any = None,
) -> tuple[CaptureHistory, Sightings]:
    """One history of marking and sighting occasions, as of the program secr, divided into the two.

    Parameters
    ----------
    captures : histories of marked animals over all occasions
    marking : the occasions (from 1) on which animals were marked; all others are sighting
    marking_kind : kind of detector while marking, if another than `captures` says, such as "multi"
    unmarked, unidentified : as for `Sightings`; an array may have a row for every occasion, of marking too

    Returns
    -------
    (CaptureHistory of marking, Sightings), for `models.MarkResight`

    Raises
    ------
    SurveyError : no occasion is one of marking or of sighting, or one is outside the survey
    """
    S = captures.n_occasions
    chosen = np.isin(np.arange(1, S + 1), list(marking))
    if not set(marking) <= set(range(1, S + 1)) or chosen.all() or not chosen.any():
        fix = f"Give some, and not all, of the occasions 1..{S}"
        raise refuse("the marking occasions are not understood", fix, value=list(marking))
    tables = {}
    for name, table in (("unmarked", unmarked), ("unidentified", unidentified)):
        whole = not isinstance(table, pd.DataFrame) and table is not None and len(table) == S
        tables[name] = np.asarray(table)[~chosen] if whole else table
    seen = captures.of_occasions(np.flatnonzero(~chosen) + 1)
    after = np.cumsum(chosen)[~chosen]
    return captures.of_occasions(np.flatnonzero(chosen) + 1, marking_kind), Sightings(seen, **tables, after=after)


def _alike(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)
