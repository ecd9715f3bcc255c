"""Captures, mask and formulas to the arrays of a `SpatialProblem`.

The detection parameters are formulas on the dims occasion, detector and learned state. Their distinct design rows are
found once; a detector carries one pass per distinct row and not one per occasion; occasions that are alike in effort
and rows are one field. Collapsing never changes the log-likelihood, which is that of the data by occasion.

An animal that has learned everywhere (`b`, `B`) divides its occasions between the fields of the naive and of the
learned rows. One that has learned of single detectors (`bk`, `Bk`) has personal exposure: less of the naive pass there,
more of the learned one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.detectors import AREAS, ONCE
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from .by_cell import searched_cells
from .engine.problem import BINARY, CLUMPED, COUNT, MULTI, Personal, Raster, SpatialProblem
from .learned import LEARNED, Learned
from .nodes import Nodes, unfold
from .rows import AREA, FIX, POINT


@dataclass(frozen=True, eq=False)
class Roll:
    """The animals of a session, which may have been detected in other ways too."""

    n: int  # animals
    animal: np.ndarray  # int: whose each detection is
    last: np.ndarray  # int [n], the occasion from 1 after which an animal is not exposed

    @classmethod
    def of(cls, captures: CaptureHistory) -> Roll:
        """Those of one history."""
        return cls(captures.n_animals, captures.animal_index, last_occasions(captures))


def last_occasions(captures: CaptureHistory) -> np.ndarray:
    """int [n]: the occasion after which each animal is not exposed: that of its removal, or the last of all."""
    last, gone = np.full(captures.n_animals, captures.n_occasions), captures.detections["removed"].to_numpy(bool)
    last[captures.animal_index[gone]] = captures.detections["occasion"].to_numpy()[gone]
    return last


@dataclass(frozen=True, eq=False)
class Arranged:
    """A problem, the covariates of its parameter rows, and the constants of the log-likelihood."""

    problem: SpatialProblem
    rows: pd.DataFrame  # R rows: covariates of each distinct parameter row
    code: (
        np.ndarray
    )  # int [S, K]: the distinct set of covariates, learned responses aside, at each occasion and detector
    covariates: pd.DataFrame  # one row per code
    learned: Learned
    scale: np.ndarray  # int [R]: what the scale of each row is, see `rows`
    constant: float  # terms that depend on the data alone, but for how many histories are identical

    @property
    def row_of_fixes(self) -> int | None:
        """The row of collared animals' fixes, None without."""
        return len(self.scale) - 1 if len(self.scale) and self.scale[-1] >= FIX else None


def raster_of(mask: HabitatMask) -> Raster:
    """The mask as the engine knows it: where its cells are, without CRS and covariates."""
    return Raster(mask.x0, mask.y0, mask.spacing, mask.habitat)


def arrange(
    captures: CaptureHistory,
    mask: HabitatMask,
    detection: str,
    variables: set[str],
    counts: str = "poisson",
    roll: Roll | None = None,
    sigma: float | None = None,
    ground: HabitatMask | None = None,
) -> Arranged:
    """The arrays of one session, or of one of its methods.

    Parameters
    ----------
    captures, mask : the data
    detection : name of the detection function
    variables : names of the covariates that the detection formulas use
    counts : "poisson", "binomial" (size = effort) or "negative binomial" for count detectors
    roll : the animals of the session; those of `captures` by default
    sigma : about the scale of movement [m], on which it depends how finely lines and areas are cut; as in `captures`
    ground : the cells that animals can move through, where distances are not straight lines (`by_cell`)

    Raises
    ------
    SurveyError : a covariate is unknown or missing where a detector was in use; counts above their size
    """
    detectors = captures.detectors
    effort = np.where(detectors.used, detectors.effort, 0.0)  # [S, K]
    code, covariates = _distinct(captures, variables)
    kind, of_code = _event_kind(detectors.kind, counts), None
    if kind == CLUMPED:  # every effort has a pass and a row of its own, with exposure 1
        code, covariates, of_code = _by_effort(code, covariates, effort)
        effort = np.where(effort > 0, 1.0, 0.0)
    roll = roll or Roll.of(captures)
    learned = Learned.of(captures, variables, roll.n, roll.animal)
    grid = _Grid(captures, roll, effort, code, learned, kind)
    fields, entries = grid.fields(), grid.entries()
    deviations = grid.deviations()
    rows = np.unique(np.concatenate([entries["row"], deviations["naive"], deviations["row"]]))
    passes = _Passes.of(entries, deviations)
    events, captured_alone, constant, detection_row = _events(grid, passes, deviations, counts)
    problem = SpatialProblem(
        raster=raster_of(mask),
        detection=detection,
        pass_x=detectors.x[passes.detector],
        pass_y=detectors.y[passes.detector],
        pass_row=np.searchsorted(rows, passes.row),
        n_rows=len(rows),
        entry_field=entries["field"].to_numpy(),
        entry_pass=passes.find(entries["detector"], entries["row"]),
        entry_exposure=entries["exposure"].to_numpy(),
        void_weight=fields.void,
        weight=fields.weight,
        personal=_personal(grid, passes, deviations, captured_alone),
        pass_effort=None if of_code is None else of_code[passes.row // learned.states],
        **events,
    )
    if detectors.located:
        if ground is None:
            places = captures.places
            nodes = Nodes.of(detectors, sigma or movement(captures, mask), detection, raster_of(mask))
        else:
            nodes, places = searched_cells(captures, ground)
        problem = unfold(problem, passes.detector, nodes, places, detection_row)
    frame = covariates.iloc[rows // learned.states].reset_index(drop=True)
    frame = pd.concat([frame, learned.frame(rows % learned.states)], axis=1)
    scale = AREA if detectors.kind in AREAS else POINT
    return Arranged(problem, frame, code, covariates, learned, np.full(len(rows), scale), constant)


def subset(problem: SpatialProblem, animals: np.ndarray) -> SpatialProblem:
    """The same problem with some of its animals (ascending positions) and nobody else."""
    start, events = _part(problem.event_start, animals)
    columns = ("event_pass", "event_kind", "event_count", "event_exposure", "event_field")
    personal = problem.personal
    if personal is not None:
        own, entries = _part(personal.start, animals)
        kept = np.flatnonzero(np.isin(personal.event, events))
        own_event, own_entries = _part(personal.event_start, kept)
        personal = Personal(
            start=own,
            passes=personal.passes[entries],
            exposure=personal.exposure[entries],
            event=np.searchsorted(events, personal.event[kept]),
            event_start=own_event,
            event_pass=personal.event_pass[own_entries],
            event_exposure=personal.event_exposure[own_entries],
        )
    return replace(
        problem,
        weight=problem.weight[animals],
        event_start=start,
        personal=personal,
        **{name: getattr(problem, name)[events] for name in columns},
    )


def _part(start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """CSR starts of some rows, and the positions of their entries."""
    length = start[rows + 1] - start[rows]
    inner = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    return inner, np.arange(inner[-1]) + np.repeat(start[rows] - inner[:-1], length)


# ---- covariates --------------------------------------------------------------------------------------------------


def detection_frame(captures: CaptureHistory, variables: set[str] | None = None) -> pd.DataFrame:
    """Covariates that detection formulas can use, one row per occasion × detector (occasion-major).

    `t` is the occasion as a factor, `T` its number from 0, `detector` the name; then the covariates of the detectors,
    of the occasions, and those of both.

    Raises
    ------
    SurveyError : one of `variables` is the name of two different things
    """
    detectors, S, K = captures.detectors, captures.n_occasions, len(captures.detectors)
    of_occasion = captures.occasions.drop(columns=["start", "end"], errors="ignore")
    builtin = {"t", "T", "detector", "session", "Session", *LEARNED}
    given = [*map(str, detectors.covariates.columns), *detectors.varying, *map(str, of_occasion.columns)]
    for name in sorted(variables or ()):
        if given.count(name) + (name in builtin) > 1:
            raise refuse(
                f"{name!r} in a detection formula has two meanings",
                "Rename the covariate of the detectors or occasions",
                value=name,
            )
    frame = pd.DataFrame(
        {"t": pd.Categorical(np.repeat(np.arange(1, S + 1), K)), "T": np.repeat(np.arange(S, dtype=float), K)}
    )
    frame["detector"] = np.tile(np.asarray(detectors.id, object), S)
    for name in detectors.covariates.columns:
        frame[str(name)] = pd.concat([detectors.covariates[name]] * S, ignore_index=True)
    for name in of_occasion.columns:
        frame[str(name)] = of_occasion[name].repeat(K).reset_index(drop=True)
    for name, values in detectors.varying.items():
        frame[name] = values.ravel()
    return frame


def movement(captures: CaptureHistory, mask: HabitatMask) -> float:
    """About the scale of movement, metres: that of the detections, or without any twice the cells of the mask."""
    spread = captures.pooled_sd()
    return spread if np.isfinite(spread) else 2.0 * mask.spacing


def _event_kind(kind: str, counts: str) -> int:
    if kind == "count":
        return {"poisson": COUNT, "binomial": BINARY, "negative binomial": CLUMPED}[counts]
    if kind in ONCE:
        return MULTI
    return BINARY if kind in ("proximity", "capped") else COUNT


def _distinct(captures: CaptureHistory, variables: set[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """code [S, K] and the covariates of each code, learned responses aside."""
    S, K = captures.n_occasions, len(captures.detectors)
    frame = detection_frame(captures, variables)
    known = [name for name in frame.columns if name in variables and name not in LEARNED]
    if not known:
        return np.zeros((S, K), np.int64), frame.iloc[:1].reset_index(drop=True)
    used = captures.detectors.used.ravel()
    for name in known:
        gaps = np.flatnonzero(used & frame[name].isna().to_numpy())
        if len(gaps):
            where, occasion = frame["detector"].iloc[gaps[0]], gaps[0] // K + 1
            always = len(gaps) % np.count_nonzero(used.reshape(S, K)[:, gaps[0] % K]) == 0
            raise refuse(
                f"the covariate {name!r} is missing at detector {where!r}"
                + ("" if always else f", occasion {occasion}"),
                "Fill it in or drop the covariate",
            )
    used_frame = frame.loc[used, known]
    code = np.zeros(S * K, np.int64)
    code[used] = used_frame.groupby(known, sort=True, observed=True).ngroup()
    first = used_frame.index[np.unique(code[used], return_index=True)[1]]
    return code.reshape(S, K), frame.loc[first].reset_index(drop=True)


def _by_effort(code: np.ndarray, covariates: pd.DataFrame, effort: np.ndarray):
    """Codes [S, K] that differ between efforts too, the covariates of each, and the effort of each."""
    used = effort > 0
    pairs, new = np.unique(np.stack([code[used], effort[used]]), axis=1, return_inverse=True)
    out = np.zeros_like(code)
    out[used] = new.reshape(-1)
    return out, covariates.iloc[pairs[0].astype(int)].reset_index(drop=True), pairs[1]


# ---- exposure ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Fields:
    """F fields: the distinct exposures of animals to occasions."""

    key: np.ndarray  # int [F], ascending: class of occasions × states + state
    void: np.ndarray  # float [F], how often an animal that is never caught is exposed to each
    weight: np.ndarray  # float [n, F]: the same for each animal; fewer after its removal


class _Grid:
    """Occasions × detectors × states of one session.

    When everybody is exposed to all occasions alike, one field is the sum of them all. Otherwise occasions that are
    alike share a field that holds one of them, and animals count how often they were exposed to it.
    """

    def __init__(self, captures: CaptureHistory, roll: Roll, effort: np.ndarray, code, learned: Learned, kind: int):
        self.captures, self.roll, self.effort, self.learned, self.kind = captures, roll, effort, learned, kind
        self.row = code * learned.states + learned.detector  # [S, K], of animals that have learned nothing
        S = len(effort)
        self.summed = kind != MULTI and not (roll.last < S).any() and not learned.of_animals
        self.classes, self.first = np.zeros(S, np.int64), np.arange(S)
        if not self.summed:
            alike = np.hstack([effort, np.where(effort > 0, self.row, -1)])
            _, self.first, classes = np.unique(alike, axis=0, return_index=True, return_inverse=True)
            self.classes = classes.ravel()

    def fields(self) -> _Fields:
        """The fields with the exposure of the void and of each animal."""
        n, S = self.roll.n, len(self.effort)
        if self.summed:
            return _Fields(np.zeros(1, np.int64), np.ones(1), np.ones((n, 1)))
        void = self.classes * self.learned.states
        key = void + self.learned.animal  # [n, S]
        alive = np.arange(S) < self.roll.last[:, None]
        found = np.unique(np.concatenate([void, key[alive]]))
        weight = np.zeros((n, len(found)))
        np.add.at(weight, (np.nonzero(alive)[0], np.searchsorted(found, key[alive])), 1.0)
        return _Fields(found, np.bincount(np.searchsorted(found, void), minlength=len(found)).astype(float), weight)

    def entries(self) -> pd.DataFrame:
        """field, detector, row and exposure: what the fields are made of."""
        key, W = self.fields().key, self.learned.states
        if self.summed:
            s, k = np.nonzero(self.effort > 0)
            field, state = np.zeros(len(s), np.int64), 0
        else:
            occasion = self.first[key // W]
            field, k = np.nonzero(self.effort[occasion] > 0)
            s, state = occasion[field], (key % W)[field]
        columns = {"field": field, "detector": k, "row": self.row[s, k] | state, "exposure": self.effort[s, k]}
        return pd.DataFrame(columns).groupby(["field", "detector", "row"], sort=True)["exposure"].sum().reset_index()

    def deviations(self) -> pd.DataFrame:
        """Where single animals have learned of single detectors: `row` instead of the field's row, `naive`."""
        place = self.learned.place
        i, s, k = (place[name].to_numpy() for name in ("animal", "occasion", "detector"))
        kept = (self.effort[s, k] > 0) & (s < self.roll.last[i])
        i, s, k, bits = i[kept], s[kept], k[kept], place["bits"].to_numpy()[kept]
        naive = self.row[s, k] | self.learned.animal[i, s]
        columns = {"animal": i, "occasion": s, "detector": k, "naive": naive, "row": naive | bits}
        return pd.DataFrame(columns | {"exposure": self.effort[s, k]})


@dataclass(frozen=True, eq=False)
class _Passes:
    """G passes: the distinct pairs of detector and row, ascending."""

    detector: np.ndarray
    row: np.ndarray
    width: int

    @classmethod
    def of(cls, entries: pd.DataFrame, deviations: pd.DataFrame) -> _Passes:
        detector = np.concatenate([entries["detector"], deviations["detector"], deviations["detector"]])
        row = np.concatenate([entries["row"], deviations["naive"], deviations["row"]])
        width = int(row.max()) + 1
        key = np.unique(detector * width + row)
        return cls(key // width, key % width, width)

    def find(self, detector, row) -> np.ndarray:
        """The pass of each pair."""
        return np.searchsorted(self.detector * self.width + self.row, np.asarray(detector) * self.width + row)


def _personal(grid: _Grid, passes: _Passes, deviations: pd.DataFrame, alone: pd.DataFrame) -> Personal | None:
    """Personal exposure, and the fields of captures while something was learned; `alone`: animal, occasion, event."""
    if deviations.empty:
        return None
    d = deviations
    both = [d.assign(row=d["naive"], exposure=-d["exposure"]), d]
    whole = pd.concat(both, ignore_index=True)
    whole["pass"] = passes.find(whole["detector"], whole["row"])
    own = whole.groupby(["animal", "pass"], sort=True)["exposure"].sum().reset_index()
    then = alone.merge(whole, on=["animal", "occasion"]).sort_values("event", kind="stable")
    event = alone["event"].to_numpy()
    return Personal(
        start=np.searchsorted(own["animal"], np.arange(grid.roll.n + 1)),
        passes=own["pass"].to_numpy(),
        exposure=own["exposure"].to_numpy(),
        event=event,
        event_start=np.searchsorted(then["event"], np.append(event, np.iinfo(np.int64).max)),
        event_pass=then["pass"].to_numpy(np.int64),
        event_exposure=then["exposure"].to_numpy(float),
    )


# ---- detections --------------------------------------------------------------------------------------------------


def _events(grid: _Grid, passes: _Passes, deviations: pd.DataFrame, counts: str):
    """The animals' detections as CSR events, those in a field of their own, the factorial constants, and the rows."""
    captures, kind, learned = grid.captures, grid.kind, grid.learned
    frame = captures.detections
    i, s, k = grid.roll.animal, frame["occasion"].to_numpy() - 1, captures.detector_index
    count = frame["count"].to_numpy(float)
    exposure, constant = grid.effort[s, k], 0.0
    if captures.detectors.kind == "count" and kind in (COUNT, CLUMPED):
        constant = -float(gammaln(count + 1.0).sum())
    elif captures.detectors.kind == "count":
        _check_sizes(captures, grid.effort, exposure, count)
        constant = float((gammaln(exposure + 1) - gammaln(count + 1) - gammaln(exposure - count + 1)).sum())
        exposure = np.ones_like(exposure)  # each of the `effort` trials has the hazard of one unit
    table = pd.DataFrame({"animal": i, "occasion": s, "detector": k, "exposure": exposure, "count": count})
    apart = captures.detectors.located or kind == CLUMPED  # not to be added up
    table["place"] = np.arange(len(table)) if apart else 0
    here = table.merge(learned.place, how="left", on=["animal", "occasion", "detector"])["bits"].fillna(0)
    row = grid.row[s, k] | learned.animal[i, s] | here.to_numpy(np.int64)
    table["pass"], table["field"], table["alone"] = passes.find(k, row), -1, -1
    if kind == MULTI:
        table["field"] = np.searchsorted(grid.fields().key, grid.classes[s] * learned.states + learned.animal[i, s])
        pairs = pd.MultiIndex.from_frame(deviations[["animal", "occasion"]])
        alone = pd.MultiIndex.from_arrays([i, s]).isin(pairs)
        table.loc[alone, "alone"] = s[alone]
    alike = ["animal", "pass", "exposure", "field", "alone", "place"]
    table = table.groupby(alike, sort=True)["count"].sum().reset_index()
    start = np.searchsorted(table["animal"], np.arange(grid.roll.n + 1))
    alone = table.loc[table["alone"] >= 0, ["animal", "alone"]].rename(columns={"alone": "occasion"})
    return (
        {
            "event_start": start.astype(np.int64),
            "event_pass": table["pass"].to_numpy(np.int64),
            "event_kind": np.full(len(table), kind, np.int64),
            "event_count": table["count"].to_numpy(float),
            "event_exposure": table["exposure"].to_numpy(float),
            "event_field": table["field"].to_numpy(np.int64),
        },
        alone.assign(event=alone.index),
        constant,
        table["place"].to_numpy(),
    )


def _check_sizes(captures, effort, size, count) -> None:
    whole = np.all(effort == np.rint(effort))
    if not whole or np.any(count > size):
        raise refuse(
            "binomial counts need effort in whole trials, at least as many as the detections",
            "Use counts='poisson', or give the number of trials as effort",
            value=None if whole else float(effort[effort != np.rint(effort)][0]),
        )
