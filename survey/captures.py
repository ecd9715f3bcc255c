"""Capture histories: which animal was detected where and when, never stored densely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from .detectors import Detectors
from .errors import Problems, refuse
from .ledger import Ledger

if TYPE_CHECKING:
    from .tables import SurveyTables


@dataclass(frozen=True, eq=False)
class CaptureHistory:
    """Detections of n identified animals at K detectors on S occasions.

    Parameters
    ----------
    detections : DataFrame with one row per animal, occasion and detector, columns
        `animal` (name), `occasion` (1..S), `detector` (name), `count` (>= 1; default 1) and optionally `removed`
        (True: the animal did not return to the population after this detection). Repeated rows are summed.
    detectors : Detectors
    animals : DataFrame indexed by animal name with covariates such as `sex`, optional
    occasions : DataFrame of S rows with `start` and `end`, optional
    session : name of the survey
    ledger : where each record of the source went
    tables : the tables that these histories were made from, for reports

    Raises
    ------
    SurveyError : unknown detector, occasion outside 1..S, a detection where there was no effort, more detections
        than the kind of detector allows, life after removal. All faults at once.
    """

    detections: pd.DataFrame
    detectors: Detectors
    animals: pd.DataFrame = field(default_factory=pd.DataFrame)
    occasions: pd.DataFrame = field(default_factory=pd.DataFrame)
    session: str = "1"
    ledger: Ledger = field(default_factory=Ledger)
    tables: SurveyTables | None = None

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        frame = _tidy(self.detections)
        names = pd.Index(sorted(frame["animal"].unique(), key=_natural))
        animals = self.animals.copy()
        animals.index = animals.index.astype(str)
        put("detections", frame)
        put("animals", animals.reindex(names))
        put("_animal", names.get_indexer(pd.Index(frame["animal"])))
        put("_detector", pd.Index(self.detectors.id).get_indexer(pd.Index(frame["detector"])))
        self._check(animals)
        order = np.lexsort((self._detector, frame["occasion"].to_numpy(), self._animal))
        put("detections", frame.iloc[order].reset_index(drop=True))
        put("_animal", self._animal[order])
        put("_detector", self._detector[order])

    def _check(self, animals: pd.DataFrame) -> None:
        bad, frame, S = Problems(), self.detections, self.detectors.n_occasions
        for name in sorted(set(frame["detector"][self._detector < 0])):
            bad.add("a detection names a detector that does not exist", "Add it to the detectors or correct the name", value=name)
        outside = ~frame["occasion"].between(1, S)
        for value in sorted(set(frame["occasion"][outside])):
            bad.add(f"a detection names an occasion outside 1..{S}", "Correct the occasion or extend the effort", value=int(value))
        if animals.index.has_duplicates:
            bad.add("an animal has two rows of covariates", "Keep one", value=animals.index[animals.index.duplicated()][0])
        bad.raise_any()
        s, k = frame["occasion"].to_numpy() - 1, self._detector
        for i in np.flatnonzero(~self.detectors.used[s, k]):
            effort = self.detectors.effort[s[i], k[i]]
            bad.add(
                f"animal {frame['animal'][i]!r} was detected at {self.detectors.id[k[i]]!r} on occasion {s[i] + 1}, "
                "where the effort is " + ("not known" if np.isnan(effort) else "zero"),
                "Correct the detection or the dates of the deployment and its failures",
            )
        if self.detectors.kind in ("proximity", "multi"):
            for i in np.flatnonzero(frame["count"] > 1):
                bad.add(
                    f"animal {frame['animal'][i]!r} has {frame['count'][i]} detections at {self.detectors.id[k[i]]!r} "
                    f"on occasion {s[i] + 1}, and a {self.detectors.kind} detector holds one",
                    'Use kind="count", or reduce them to one',
                )
        if self.detectors.kind == "multi":
            per = frame.groupby(["animal", "occasion"]).size()
            for animal, occasion in per[per > 1].index:
                bad.add(
                    f"animal {animal!r} was caught in two traps on occasion {occasion}",
                    'Use kind="proximity", or keep one capture per occasion',
                )
        gone = frame[frame["removed"]].groupby("animal")["occasion"].min()
        late = frame["animal"].map(gone)
        for i in np.flatnonzero((frame["occasion"] > late).to_numpy()):
            bad.add(f"animal {frame['animal'][i]!r} was detected after it was removed", "Correct the removal or the detection")
        bad.raise_any()

    @property
    def n_animals(self) -> int:
        return len(self.animals)

    @property
    def n_occasions(self) -> int:
        return self.detectors.n_occasions

    @property
    def n_detections(self) -> int:
        return int(self.detections["count"].sum())

    @property
    def n_recaptures(self) -> int:
        """Detections beyond the first of each animal."""
        return self.n_detections - self.n_animals

    @property
    def animal_index(self) -> np.ndarray:
        """int: position of each detection's animal in `animals`."""
        return self._animal

    @property
    def detector_index(self) -> np.ndarray:
        """int: position of each detection's detector."""
        return self._detector

    @property
    def n_spatial_recaptures(self) -> int:
        """For each animal the number of different detectors beyond its first, summed: what sigma is learned from."""
        pairs = self.detections[["animal", "detector"]].drop_duplicates()
        return len(pairs) - self.n_animals

    def capture_frequencies(self) -> pd.Series:
        """Number of animals detected on 1, 2, 3, … occasions."""
        occasions = self.detections.groupby("animal")["occasion"].nunique()
        return occasions.value_counts().sort_index().rename_axis("occasions").rename("animals")

    def to_xarray(self) -> xr.DataArray:
        """The dense view count[animal, occasion, detector]; for small surveys and for reading, not for kernels.

        Raises
        ------
        SurveyError : the array would have more than 10⁸ elements
        """
        shape = (self.n_animals, self.n_occasions, len(self.detectors))
        if np.prod(shape, dtype=float) > 1e8:
            raise refuse("the dense view would not fit", "Use captures.detections, the long table", value=shape)
        dense = np.zeros(shape, int)
        np.add.at(dense, (self._animal, self.detections["occasion"] - 1, self._detector), self.detections["count"])
        coords = {"animal": list(self.animals.index), "occasion": range(1, shape[1] + 1), "detector": list(self.detectors.id)}
        return xr.DataArray(dense, dims=("animal", "occasion", "detector"), coords=coords, name="count")

    def pooled_sd(self) -> float:
        """Pooled root-mean-square distance of detections from each animal's centroid, per axis, in metres.

        Calhoun & Casby (1958): sqrt(sum of squares in x and y / 2(sum of n_i - 1)). NaN without any movement.
        """
        d, weight = self.detections, self.detections["count"].to_numpy(float)
        x, y = self.detectors.x[self._detector], self.detectors.y[self._detector]
        total = np.bincount(self._animal, weight, self.n_animals)
        cx = np.bincount(self._animal, weight * x, self.n_animals) / total
        cy = np.bincount(self._animal, weight * y, self.n_animals) / total
        ss = np.sum(weight * ((x - cx[self._animal]) ** 2 + (y - cy[self._animal]) ** 2))
        freedom = 2.0 * np.sum(total - 1.0)
        return float(np.sqrt(ss / freedom)) if freedom > 0 and ss > 0 and len(d) else float("nan")

    def __repr__(self) -> str:
        return (
            f"CaptureHistory {self.session!r}: {self.n_animals} animals, {self.n_detections} detections "
            f"({self.n_spatial_recaptures} spatial recaptures), {self.detectors!r}"
        )


def _natural(name: str) -> tuple:
    """Sort key that puts 'cat 2' before 'cat 10'."""
    import re

    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", name))


def _tidy(detections: pd.DataFrame) -> pd.DataFrame:
    """Typed columns in a fixed order, repeated rows summed."""
    missing = {"animal", "occasion", "detector"} - set(detections.columns)
    if missing:
        raise refuse("the detections lack columns", f"Add {', '.join(sorted(missing))}", value=list(detections.columns))
    frame = pd.DataFrame(
        {
            "animal": detections["animal"].astype(str).to_numpy(),
            "occasion": detections["occasion"].to_numpy(int),
            "detector": detections["detector"].astype(str).to_numpy(),
            "count": detections["count"].to_numpy(int) if "count" in detections else 1,
            "removed": detections["removed"].to_numpy(bool) if "removed" in detections else False,
        }
    )
    if (frame["count"] < 1).any():
        raise refuse("a detection has a count below one", "Leave out what was not detected", value=int(frame["count"].min()))
    keys = ["animal", "occasion", "detector"]
    return frame.groupby(keys, sort=False).agg(count=("count", "sum"), removed=("removed", "any")).reset_index()
