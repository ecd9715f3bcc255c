"""Capture histories: which animal was detected where and when, never stored densely."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import shapely
import xarray as xr

from .detectors import ONCE, Detectors
from .display import facts_html, some
from .errors import Problems, refuse
from .frozen import fixed, settle
from .ledger import Ledger

if TYPE_CHECKING:
    from .tables import SurveyTables
    from .telemetry import Telemetry


OFF = 1.0  # m that a place may lie outside what was searched, for rounded coordinates


@dataclass(frozen=True, eq=False)
class CaptureHistory:
    """Detections of n identified animals at K detectors on S occasions. No detections at all are data too: n = 0.

    Parameters
    ----------
    detections : DataFrame with one row per animal, occasion and detector, columns
        `animal` (name), `occasion` (1..S), `detector` (name), `count` (>= 1; default 1) and optionally `removed`
        (True: the animal did not return to the population after this detection). Repeated rows are summed.
        Where areas or lines were searched, `x` and `y` [m] are the place of each detection.
        `file` and `row` say where a detection was read; they are used in messages and not kept.
    detectors : Detectors
    animals : DataFrame indexed by animal name with covariates such as `sex` (any columns), optional; an animal that
        is not in it, and an empty cell, are not known
    occasions : DataFrame of S rows with `start` and `end` and covariates of the occasions, optional
    session : name of the survey
    ledger : where each record of the source went
    tables : the tables that these histories were made from, for reports
    telemetry : fixes of collared animals, detected or not, see `with_telemetry`

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
    telemetry: Telemetry | None = None
    _keeps_places: ClassVar[bool] = False
    _animal: np.ndarray = field(init=False, repr=False)
    _detector: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        frame, source = _tidy(self.detections, self._located)
        names = pd.Index(sorted(frame["animal"].unique(), key=natural_order), dtype=object)
        animal = names.get_indexer(pd.Index(frame["animal"], dtype=object))
        detector = pd.Index(self.detectors.id, dtype=object).get_indexer(pd.Index(frame["detector"], dtype=object))
        order = np.lexsort((detector, frame["occasion"].to_numpy(), animal))
        animals = self.animals.set_axis(self.animals.index.astype(str), axis=0)
        settle(
            self,
            detections=frame.iloc[order].reset_index(drop=True),
            session=str(self.session),
            _animal=fixed(animal[order], np.intp),
            _detector=fixed(detector[order], np.intp),
        )
        bad, places = Problems(), source.iloc[order].to_dict("records")
        self._check_names(bad, places, animals)
        bad.raise_any()
        settle(self, animals=animals.reindex(names))
        self._check_effort(bad, places)
        self._check_kind(bad, places)
        self._check_places(bad, places)
        self._check_removals(bad, places)
        bad.raise_any()

    def _check_names(self, bad: Problems, places: list[dict], animals: pd.DataFrame) -> None:
        """Detectors and occasions exist; covariates are unambiguous."""
        frame, S = self.detections, self.n_occasions
        for i in np.flatnonzero(self._detector < 0):
            what = "a detection names a detector that does not exist"
            bad.add(what, "Add it to the detectors or correct the name", value=frame["detector"][i], **places[i])
        for i in np.flatnonzero(~frame["occasion"].between(1, S)):
            what = f"a detection names an occasion outside 1..{S}"
            bad.add(what, "Correct the occasion or extend the effort", value=frame["occasion"][i], **places[i])
        for name in sorted(set(animals.index[animals.index.duplicated()])):
            bad.add("an animal has two rows of covariates", "Keep one", value=name)
        if len(self.occasions.columns) and len(self.occasions) != S:
            bad.add(f"occasions need one row for each of {S}", "Give S rows", value=len(self.occasions))

    def _check_effort(self, bad: Problems, places: list[dict]) -> None:
        """Detections only where there was effort."""
        effort = self.detectors.effort[self.detections["occasion"] - 1, self._detector]
        for i in np.flatnonzero(~(effort > 0)):
            bad.add(
                f"{self._words(i)}, where the effort is {'not known' if np.isnan(effort[i]) else 'zero'}",
                "Correct the detection or the dates of the deployment and its failures",
                **places[i],
            )

    def _check_kind(self, bad: Problems, places: list[dict]) -> None:
        """No more detections than the kind of detector allows."""
        frame, kind = self.detections, self.detectors.kind
        more = kind.removeprefix("exclusive ") if self.detectors.located else "count"
        if kind in ("proximity", "capped") or kind in ONCE:
            count = frame["count"]
            for i in np.flatnonzero(count > 1):
                bad.add(
                    f"{self._words(i, f' {count[i]} times')}, and a {kind} detector holds one",
                    f'Use kind="{more}", or reduce them to one',
                    **places[i],
                )
        if kind in ONCE:
            traps = f"another trap too: {kind}-catch traps hold an animal for the occasion"
            why = f"another place too: in an {kind} it is detected once" if self.detectors.located else traps
            use = more if self.detectors.located else "proximity"
            for i in np.flatnonzero(frame.duplicated(["animal", "occasion"])):
                fix = f'Use kind="{use}", or keep one capture per occasion'
                bad.add(f"{self._words(i)}, and in {why}", fix, **places[i])

        if kind in ("single", "capped"):
            one = "a single-catch trap holds one" if kind == "single" else "a capped detector records one"
            fix = 'Use kind="multi" if the trap can hold several' if kind == "single" else 'Use kind="proximity"'
            for i in np.flatnonzero(frame.duplicated(["detector", "occasion"])):
                what = f"{self._words(i)}, where another animal was caught too: {one}"
                bad.add(what, f"{fix}, or correct the detector", **places[i])

    def _check_places(self, bad: Problems, places: list[dict]) -> None:
        """Detections lie where was searched."""
        if not self.detectors.located or self.detections.empty:
            return
        x, y = self.places
        known, shapes = np.isfinite(x + y), np.asarray(self.detectors.shapes, object)[self._detector]
        away = np.full(len(x), np.nan)
        away[known] = shapely.distance(shapely.points(x[known], y[known]), shapes[known])
        for i in np.flatnonzero(~(away <= OFF)):
            where = "has no place" if np.isnan(away[i]) else f"lies {away[i]:,.0f} m outside it"
            fix = "Correct x and y, move the detection to the nearest place that was searched, or leave it out"
            bad.add(f"{self._words(i)}, but {where}", fix, value=(float(x[i]), float(y[i])), **places[i])

    def _check_removals(self, bad: Problems, places: list[dict]) -> None:
        """Nothing after the end."""
        frame = self.detections
        removed = frame["animal"].map(frame[frame["removed"]].groupby("animal")["occasion"].min())
        for i in np.flatnonzero((frame["occasion"] > removed).to_numpy(bool)):
            what = f"{self._words(i)}, after it was removed on occasion {removed[i]:.0f}"
            bad.add(what, "Correct the removal or the detection", **places[i])

    def _words(self, i: int, times: str = "") -> str:
        row = self.detections.iloc[i]
        return f"animal {row['animal']!r} was detected{times} at {row['detector']!r} on occasion {row['occasion']}"

    @property
    def n_animals(self) -> int:
        """n, the number of different animals."""
        return len(self.animals)

    @property
    def n_occasions(self) -> int:
        """S."""
        return self.detectors.n_occasions

    @property
    def n_detections(self) -> int:
        """All detections, counts summed."""
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
        """For each animal the number of detectors, or places, beyond its first, summed: what sigma is learned from."""
        where = ["animal", "detector", *[name for name in ("x", "y") if name in self.detections]]
        pairs = self.detections[where].drop_duplicates()
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
        labels = {"animal": self.animals.index, "occasion": range(1, shape[1] + 1), "detector": self.detectors.id}
        coords = {dim: list(values) for dim, values in labels.items()}
        return xr.DataArray(dense, dims=tuple(coords), coords=coords, name="count")

    def centroids(self) -> np.ndarray:
        """float [n, 2]: mean position of each animal's detections, metres."""
        weight = self.detections["count"].to_numpy(float)
        total = np.bincount(self._animal, weight, self.n_animals)
        sums = [np.bincount(self._animal, weight * z, self.n_animals) for z in self.places]
        return np.column_stack(sums) / total[:, None]

    def pooled_sd(self) -> float:
        """Pooled root-mean-square distance of detections from each animal's centroid, per axis, in metres.

        Calhoun & Casby (1958): sqrt(sum of squares in x and y / 2(sum of n_i - 1)). NaN without any movement.
        """
        weight, centre = self.detections["count"].to_numpy(float), self.centroids()[self._animal]
        squares = sum(np.sum(weight * (z - c) ** 2) for z, c in zip(self.places, centre.T, strict=True))
        freedom = 2.0 * self.n_recaptures
        return float(np.sqrt(squares / freedom)) if freedom > 0 and squares > 0 else float("nan")

    @property
    def _located(self) -> bool:
        return self.detectors.located or (self._keeps_places and "x" in self.detections)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of each detection, metres: its own place where lines or areas were searched, else its detector's."""
        d = self.detectors
        x, y = d.x[self._detector], d.y[self._detector]
        if "x" not in self.detections:
            return x, y
        own_x, own_y = (self.detections[name].to_numpy(float) for name in ("x", "y"))
        if d.located:
            return own_x, own_y
        known = np.isfinite(own_x)
        return np.where(known, own_x, x), np.where(known, own_y, y)

    def with_animals(self, covariates: pd.DataFrame) -> CaptureHistory:
        """The same histories with more covariates of the animals, e.g. from a table of the individuals' sex and age.

        Parameters
        ----------
        covariates : DataFrame indexed by animal name; animals that were not detected may be in it, and a detected
            one that is not in it has unknown covariates

        Raises
        ------
        SurveyError : none of the animals is in the table, one has two rows, or a column is there already
        """
        table = covariates.set_axis(covariates.index.astype(str), axis=0)
        twice = sorted(set(map(str, table.columns)) & set(map(str, self.animals.columns)))
        if twice:
            raise refuse("the animals have this covariate already", "Rename the column or leave it out", value=twice[0])
        if self.n_animals and not table.index.isin(self.animals.index).any():
            raise refuse(
                "no animal of the table was detected",
                f"Its index must hold the names of the animals, such as {self.animals.index[0]!r}",
                value=list(table.index[:3]),
            )
        for name in sorted(set(table.index[table.index.duplicated()])):
            raise refuse("an animal has two rows of covariates", "Keep one", value=name)
        return replace(self, animals=self.animals.join(table))

    def of_occasions(self, occasions, kind: str | None = None) -> CaptureHistory:
        """The detections, effort and dates of some occasions (from 1, ascending), numbered anew; of another `kind`."""
        chosen, d = np.asarray(occasions, int), self.detectors
        number = pd.Series(np.arange(1, len(chosen) + 1), index=chosen)
        frame = self.detections[self.detections["occasion"].isin(chosen)]
        varying = {name: values[chosen - 1] for name, values in d.varying.items()}
        dated = len(self.occasions.columns) > 0
        return replace(
            self,
            detections=frame.assign(occasion=frame["occasion"].map(number)),
            detectors=replace(d, effort=d.effort[chosen - 1], varying=varying, kind=kind or d.kind),
            occasions=self.occasions.iloc[chosen - 1].reset_index(drop=True) if dated else self.occasions,
        )

    def with_telemetry(self, telemetry: Telemetry | None) -> CaptureHistory:
        """The same histories with the fixes of collared animals; an animal that was detected has one name in both."""
        return replace(self, telemetry=telemetry)

    def equals(self, other: object) -> bool:
        """The same histories at the same detectors, with the same covariates and dates (where they came from aside)."""
        return (
            isinstance(other, CaptureHistory)
            and self.session == other.session
            and self.detections.equals(other.detections)
            and self.detectors.equals(other.detectors)
            and self.animals.equals(other.animals)
            and self.occasions.equals(other.occasions)
            and _same_fixes(self.telemetry, other.telemetry)
        )

    def __repr__(self) -> str:
        animals, detections = some(self.n_animals, "animal"), some(self.n_detections, "detection")
        again = some(self.n_spatial_recaptures, "spatial recapture")
        return f"CaptureHistory {self.session!r}: {animals}, {detections} ({again}), {self.detectors!r}"

    def _repr_html_(self) -> str:
        frequencies = ", ".join(f"{n} on {times}" for times, n in self.capture_frequencies().items())
        return facts_html(
            f"Capture histories of survey {self.session}",
            {
                "animals": self.n_animals,
                "detections": self.n_detections,
                "animals by number of occasions": frequencies or "none",
                "spatial recaptures": self.n_spatial_recaptures,
                "movement (pooled standard deviation)": f"{self.pooled_sd():,.4g} m",
                "detectors": repr(self.detectors),
                "covariates of animals": ", ".join(map(str, self.animals.columns)) or "none",
            },
        )


def _same_fixes(a: Telemetry | None, b: Telemetry | None) -> bool:
    none = (a is None or not len(a)), (b is None or not len(b))
    return all(none) if any(none) else bool(a is not None and b is not None and a.equals(b))


def natural_order(name: str) -> tuple:
    """Sort key that puts 'cat 2' before 'cat 10'."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", name))


def _tidy(detections: pd.DataFrame, located: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Typed columns in a fixed order, repeated rows summed; and where (file, row) the last of each sum was read.

    located : detections have places, and only those of the same place are summed
    """
    own = ["x", "y"] if located else []
    missing = {"animal", "occasion", "detector", *own} - set(detections.columns)
    if missing and len(detections.columns) and not (detections.empty and missing <= {"x", "y"}):
        fix = f"Add {', '.join(sorted(missing))}"
        raise refuse("the detections lack columns", fix, value=list(detections.columns))
    bad = Problems()
    source = detections[[name for name in ("file", "row") if name in detections]].reset_index(drop=True)
    places: list[dict] = source.to_dict("records")
    frame = pd.DataFrame(
        {
            "animal": _names(detections, "animal", bad, places),
            "occasion": _whole_numbers(detections, "occasion", bad, places),
            "detector": _names(detections, "detector", bad, places),
            "count": _whole_numbers(detections, "count", bad, places, default=1),
            "removed": _flags(detections, "removed", bad, places),
        }
    )
    for i in np.flatnonzero(frame["count"] < 1):
        what = f"detection {i + 1} has a count below one"
        bad.add(what, "Leave out what was not detected", value=frame["count"][i], **places[i])
    bad.raise_any()
    for name in own:
        frame[name] = pd.to_numeric(detections.get(name, pd.Series(dtype=float)), errors="coerce").to_numpy(float)
    by = [frame[name] for name in ("animal", "occasion", "detector", *own)]
    groups = frame.drop(columns=own).groupby(by, sort=False, dropna=False)
    summed = groups.agg(count=("count", "sum"), removed=("removed", "any")).reset_index()
    if own:
        summed = summed[["animal", "occasion", "detector", "count", "removed", *own]]
    where = (
        source.groupby(by, sort=False, dropna=False).last() if len(source.columns) else pd.DataFrame(index=summed.index)
    )
    return summed, where


def _names(table: pd.DataFrame, column: str, bad: Problems, places: list[dict]) -> np.ndarray:
    if column not in table:
        return np.array([], object)
    for i in np.flatnonzero(table[column].isna()):
        fix = f"Fill in the {column}, or leave the detection out"
        bad.add(f"detection {i + 1} has no {column}", fix, **places[i])
    return table[column].astype(str).to_numpy(object)


def _flags(table: pd.DataFrame, column: str, bad: Problems, places: list[dict]) -> np.ndarray:
    """True and False; missing is False, and words such as "yes" are refused rather than taken for False."""
    if column not in table:
        return np.zeros(len(table), bool)
    values = table[column]
    for i in np.flatnonzero(~(values.isna() | values.isin([True, False]))):
        what = f"detection {i + 1} has {column} that is neither true nor false"
        bad.add(what, "Write True or False", value=values.iloc[i], **places[i])
    return values.eq(True).fillna(False).to_numpy(bool)


def _whole_numbers(table: pd.DataFrame, column: str, bad: Problems, places: list[dict], default: int = 0) -> np.ndarray:
    if column not in table:
        return np.full(len(table), default)
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(float, na_value=np.nan)
    wrong = ~(np.isfinite(values) & (values == np.rint(values)))
    for i in np.flatnonzero(wrong):
        what = f"detection {i + 1} has {'an' if column[0] in 'aeiou' else 'a'} {column} that is no whole number"
        bad.add(what, "Correct it", value=table[column].iloc[i], **places[i])
    return np.where(wrong, 1, values).astype(int)
