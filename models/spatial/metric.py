"""Which distance a model measures detection by: straight lines, given numbers, or least-cost ways, by session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, issparse

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from .engine.distances import Distances, Fixed, OnOtherCells, Reached
from .engine.problem import SpatialProblem
from .least_cost import Landscape, LeastCost, Ways, seen_across

COST = "cost"  # the parameter of least-cost distance
MOST_CELLS = 3000  # between all of which distances are asked of a function
STEP = 0.01  # of differences, in units in which coefficients are alike


def by_session(distance: Any, names: Sequence[str]) -> list:
    """What was given for each session: one for all, a list or a mapping by the sessions' names."""
    if isinstance(distance, Mapping):
        lost = [name for name in names if name not in {str(k) for k in distance}]
        if lost:
            raise refuse("distance lacks a session", "Give distances for every session", value=", ".join(lost))
        return [{str(k): v for k, v in distance.items()}[name] for name in names]
    if isinstance(distance, (list, tuple)):
        if len(distance) != len(names):
            raise refuse("there is not one distance per session", "Give one for all or one each", value=len(distance))
        return list(distance)
    if len(names) > 1 and not (distance is None or callable(distance) or isinstance(distance, LeastCost)):
        raise refuse("distances are given once for several sessions", "Give a list, one per session", value=len(names))
    return [distance] * len(names)


def in_words(distance: Any) -> str:
    """What distances are."""
    return "distances along least-cost ways" if along_ways(distance) else "distances as given"


def along_ways(distance: Any) -> bool:
    """Whether distances are least-cost ones, in one session at least."""
    if isinstance(distance, Mapping):
        return any(along_ways(one) for one in distance.values())
    return any(map(along_ways, distance)) if isinstance(distance, (list, tuple)) else isinstance(distance, LeastCost)


def ground_of(distance: Any, mask: HabitatMask) -> HabitatMask:
    """The cells that animals can be in on their ways."""
    return distance.ground(mask) if isinstance(distance, LeastCost) else mask


def with_cost(distance: Any, cost: Any) -> Any:
    """The same distances with another formula of the cost."""
    if isinstance(distance, Mapping):
        return {name: with_cost(one, cost) for name, one in distance.items()}
    if isinstance(distance, (list, tuple)):
        return [with_cost(one, cost) for one in distance]
    return replace(distance, cost=cost) if isinstance(distance, LeastCost) else distance


def metres_from(session, values: Mapping[str, np.ndarray], detector: str) -> np.ndarray:
    """[M] metres from one detector to the cells of a session's mask, infinite where there is no way."""
    ids = list(map(str, session.captures.detectors.id))
    if detector not in ids:
        raise refuse("there is no such detector", "Use a name of captures.detectors.id", value=detector)
    k, (cx, cy) = ids.index(detector), session.mask.centres()
    x, y = (np.asarray(at)[k : k + 1] for at in (session.captures.detectors.x, session.captures.detectors.y))
    if session.metric is None:
        return np.hypot(cx - x, cy - y)
    if session.metric.place_of(x, y)[0] < 0:
        fix = "Name a detector that stands at a place"
        raise refuse("what was searched is at many places, each with distances of its own", fix, value=detector)
    return session.metric.between(values, cx, cy, x, y)[:, 0]


def cost_formula(distances: Sequence) -> dict[str, str]:
    """{"cost": formula} where sessions have least-cost distance with coefficients, which is the same for all."""
    found = [d.cost if isinstance(d, LeastCost) else None for d in distances]
    if len(set(found)) > 1:
        fix = "Give all sessions LeastCost with one formula; its coefficients are shared"
        raise refuse("sessions differ in the formula of the cost", fix, value=found)
    return {COST: found[0]} if found and found[0] is not None else {}


def differenced(model, vector: np.ndarray) -> np.ndarray:
    """Hessian [p, p] by central differences of the exact gradient, with steps that are not small.

    A shortest way changes its course as costs change, by jumps of the gradient too small to see one by one; all of them
    together are part of the curvature. So steps are a hundredth of a unit of the log cost (or of a logarithm or logit).
    """
    T = model.scaling(vector)
    moves = STEP * T
    columns = [
        model.loglik_and_gradient(vector + move)[1] - model.loglik_and_gradient(vector - move)[1] for move in moves.T
    ]
    H = np.linalg.solve(T.T, np.array(columns)) / (2.0 * STEP)
    return 0.5 * (H + H.T)


@dataclass(frozen=True, eq=False)
class Metric:
    """The distances of one session. Places are the K distinct positions of detectors."""

    spec: Any  # as the user gave it
    mask: HabitatMask
    place: np.ndarray  # int [G], of each pass
    x: np.ndarray  # float [K], metres
    y: np.ndarray
    fixed: Distances | None  # those that do not depend on parameters
    landscape: Landscape | None
    _last: dict = field(default_factory=dict, repr=False)  # the ways at the costs asked for last

    @classmethod
    def of(cls, spec: Any, captures: CaptureHistory, mask: HabitatMask, problem: SpatialProblem) -> Metric:
        """The distances that `spec` says.

        Raises
        ------
        SurveyError : numbers that are no distances, or of other detectors or cells; an animal detected on both sides of
            a barrier; a detector off the raster
        """
        fixes = _fixes(captures, spec, mask)
        whole = [np.append(at, fixes[z].to_numpy(float)) for at, z in ((problem.pass_x, "x"), (problem.pass_y, "y"))]
        at, place = np.unique(np.stack(whole), axis=1, return_inverse=True)
        place, (x, y) = place.reshape(-1)[: len(problem.pass_x)], at
        detector = _detector_at(captures, x, y)
        if isinstance(spec, LeastCost):
            land = Landscape.of(spec, mask, x, y, _names(captures, detector, x, y))
            found = cls(spec, mask, place, x, y, None, land)
            found._check_sides(captures, problem, fixes)
            return found if spec.cost else replace(found, fixed=Ways(land, np.ones(land.raster.size)))
        if callable(spec):
            reached = _from_function(spec, x, y, mask, [f"detector {n!r}" for n in _names(captures, detector, x, y)])
            between = _between_cells(spec, mask) if len(fixes) else None
            return cls(spec, mask, place, x, y, Fixed(reached, between), None)
        return cls(spec, mask, place, x, y, Fixed(_from_matrix(spec, captures, mask, detector)), None)

    def place_of(self, x, y) -> np.ndarray:
        """int: the number of the place at each x, y, -1 where there is none."""
        known = pd.MultiIndex.from_arrays([self.x, self.y])
        return known.get_indexer(pd.MultiIndex.from_arrays([np.asarray(x, float), np.asarray(y, float)]))

    @property
    def estimated(self) -> bool:
        """Whether the distances depend on parameters."""
        return self.fixed is None

    def frame(self) -> pd.DataFrame:
        """Covariates of the cost of each cell, one row per cell; no rows where there is nothing to estimate."""
        return self.landscape.frame() if self.estimated and self.landscape is not None else pd.DataFrame()

    def at(self, values: Mapping[str, np.ndarray]) -> Distances:
        """The distances at natural-scale values."""
        if self.fixed is not None:
            return self.fixed
        assert self.landscape is not None
        cost = np.asarray(values[COST], float)
        known = self._last.get("ways")
        if known is None or not np.array_equal(known.cost, cost):
            known = self._last["ways"] = Ways(self.landscape, cost)
        return known

    def at_start(self) -> Distances:
        """The distances where a metre costs one everywhere."""
        return self.at({} if self.landscape is None else {COST: np.ones(self.landscape.raster.size)})

    def on(self, mask: HabitatMask, values: Mapping[str, np.ndarray]) -> Distances:
        """The distances to the cells of another mask: those of the cell of the session's own mask around each."""
        if mask is self.mask:
            return self.at(values)
        return OnOtherCells(self.at(values), self.mask.cell_of(*mask.centres()))

    def between(self, values, x, y, at_x, at_y, limit: float = np.inf) -> np.ndarray:
        """[n, K'] metres from the cells around x, y [n] to detectors at at_x, at_y [K'], infinite beyond `limit`."""
        where = self.place_of(at_x, at_y)
        reached = self.at(values).within(np.full(len(self.x), limit))
        cell, out = self.mask.cell_of(x, y), np.full((len(np.atleast_1d(x)), len(where)), np.inf)
        for j, k in enumerate(where):
            if k >= 0:
                row = reached.rows(np.array([k]), self.mask.size)[0]
                out[:, j] = np.where(cell >= 0, row[cell], np.inf)
        return out

    def _check_sides(self, captures: CaptureHistory, problem: SpatialProblem, fixes: pd.DataFrame) -> None:
        assert self.landscape is not None
        animal = np.repeat(captures.animals.index.astype(str), np.diff(problem.event_start))
        places = np.append(self.place[problem.event_pass], self.place_of(fixes["x"], fixes["y"]))
        detector = _detector_at(captures, self.x, self.y)
        named = zip(_names(captures, detector, self.x, self.y), detector, strict=True)
        names = [repr(name) if k >= 0 else name for name, k in named]
        across = seen_across(self.landscape, [*animal, *fixes["animal"]], places, [names[k] for k in places])
        if across:
            name, (one, other) = next(iter(across.items()))
            raise refuse(
                f"{len(across)} animal{'s were' if len(across) > 1 else ' was'} detected at places that no way joins: "
                f"{name!r} at {one} and at {other}",
                "Check the barriers, or leave a gap where animals cross; through= lets animals walk outside the mask",
                value=", ".join(across),
            )


def _detector_at(captures: CaptureHistory, x, y) -> np.ndarray:
    """int [K]: the first detector at each place, -1 where there is none."""
    detectors = captures.detectors
    at = pd.MultiIndex.from_arrays([detectors.x, detectors.y])
    first = pd.Series(np.arange(len(at)), index=at)
    first = first[~at.duplicated()]
    place = first.index.get_indexer(pd.MultiIndex.from_arrays([x, y]))
    return np.where(place >= 0, first.to_numpy()[place], -1)


def _names(captures: CaptureHistory, detector: np.ndarray, x, y) -> list[str]:
    """What stands at each place: the name of a detector, or where it is."""
    ids = captures.detectors.id
    return [str(ids[k]) if k >= 0 else f"({x[j]:,.0f}, {y[j]:,.0f})" for j, k in enumerate(detector)]


def _fixes(captures: CaptureHistory, spec: Any, mask: HabitatMask) -> pd.DataFrame:
    """The fixes of collared animals, all of which are where animals can be; none without telemetry.

    Raises
    ------
    SurveyError : fixes elsewhere; distances that are known from detectors alone, or too many of them
    """
    if captures.telemetry is None or not len(captures.telemetry):
        return pd.DataFrame({"animal": [], "x": [], "y": []})
    if not (isinstance(spec, LeastCost) or callable(spec)):
        raise refuse(
            "a matrix of distances says how far it is from the detectors, and the fixes of collared animals are "
            "elsewhere",
            "Give models.LeastCost(…) or a function of places, or leave the telemetry out: captures.with_telemetry("
            "None)",
        )
    if callable(spec) and mask.size > MOST_CELLS:
        raise refuse(
            f"with fixes of collared animals a function of distances is asked for those between all {mask.size:,} "
            f"habitat cells, and with more than {MOST_CELLS:,} they are too many",
            "Use a coarser mask, or models.LeastCost(…), which finds those that matter",
        )
    raster = ground_of(spec, mask)
    fixes = captures.telemetry.fixes
    off = fixes[raster.cell_of(fixes["x"].to_numpy(float), fixes["y"].to_numpy(float)) < 0]
    if len(off):
        count = off.groupby("animal", sort=False).size()
        more = ", or give through= a raster that holds them or 'everywhere'" if isinstance(spec, LeastCost) else ""
        raise refuse(
            f"{len(off)} of {len(fixes)} fixes of collared animals lie where the model lets no animal go: outside the "
            f"cells of the {'raster' if raster is not mask else 'habitat mask'}, whose ways give their density",
            f"Extend the mask to them, or leave them out{more}",
            value=", ".join(f"{name} ({times})" for name, times in count.items()),
        )
    return fixes


def _between_cells(function: Callable, mask: HabitatMask) -> Reached:
    """Distances of each habitat cell from all others, from which the function is asked."""
    x, y = mask.centres()
    rows = _from_function(
        function, x, y, mask, [f"the cell at ({a:,.0f}, {b:,.0f})" for a, b in zip(x, y, strict=True)]
    )
    other = rows.cell != rows.place
    return Reached.of(rows.cell[other], rows.place[other], rows.metres[other], mask.size)


def _from_function(function: Callable, x, y, mask: HabitatMask, names) -> Reached:
    """Distances from a function of (x, y, cells x [M], cells y [M]), place by place."""
    cx, cy = mask.centres()
    rows = []
    for k, (a, b) in enumerate(zip(x, y, strict=True)):
        row = np.asarray(function(float(a), float(b), cx, cy), float)
        if row.shape != (mask.size,):
            fix = f"Return one distance in metres for each of the {mask.size} cells, infinite where there is no way"
            raise refuse("the distance function gives something else than distances", fix, value=row.shape)
        rows.append(_checked(row, f"from {names[k]}"))
    return _of_rows(rows, mask.size)


def _from_matrix(given: Any, captures: CaptureHistory, mask: HabitatMask, detector: np.ndarray) -> Reached:
    """Distances from a matrix, detectors × habitat cells: dense (infinite: no way) or sparse (not stored: no way)."""
    shape = (len(captures.detectors), mask.size)
    if issparse(given):
        matrix = coo_array(given)
    else:
        try:
            dense = np.asarray(given, float)
        except (TypeError, ValueError):
            fix = "Give models.LeastCost(…), a function, or a matrix of metres"
            raise refuse("this is no distance that is known", fix, value=type(given).__name__) from None
        matrix = dense
    if matrix.shape != shape:
        fix = f"Give {shape[0]} detectors × {shape[1]:,} habitat cells, in the order of detectors.id and mask.centres()"
        raise refuse("the distances are of other detectors or cells", fix, value=matrix.shape)
    if (detector < 0).any():
        fix = "Use a function or models.LeastCost, which know distances from everywhere"
        raise refuse("a matrix of distances needs detectors that are points", fix)
    place_of = np.full(shape[0], -1)
    place_of[detector] = np.arange(len(detector))
    if isinstance(matrix, np.ndarray):
        rows = [_checked(row, f"from detector {captures.detectors.id[k]!r}") for k, row in enumerate(matrix)]
        _check_alike(captures, lambda a, b: np.array_equal(rows[a], rows[b]))
        return _of_rows([rows[k] for k in detector], mask.size)
    row, cell = matrix.coords
    metres, by_row = _checked(matrix.data, "in the matrix"), matrix.tocsr()
    _check_alike(captures, lambda a, b: (by_row[[a]] != by_row[[b]]).nnz == 0)
    kept = (place_of[row] >= 0) & np.isfinite(metres)
    return Reached.of(place_of[row[kept]], cell[kept], metres[kept], len(detector))


def _check_alike(captures: CaptureHistory, alike: Callable[[int, int], bool]) -> None:
    """Refuses detectors at one place that are said to be at different distances from the cells."""
    detectors, first, wrong = captures.detectors, {}, []
    for k, at in enumerate(zip(detectors.x, detectors.y, strict=True)):
        one = first.setdefault(at, k)
        if one != k and not alike(one, k):
            wrong.append(f"{str(detectors.id[one])!r} and {str(detectors.id[k])!r}")
    if wrong:
        raise refuse(
            f"{wrong[0]} stand at one place and have different rows of distances",
            "Give both the same distances, or each its own place",
            value=", ".join(wrong),
        )


def _checked(metres: np.ndarray, where: str) -> np.ndarray:
    wrong = np.flatnonzero(~(metres >= 0))
    if len(wrong):
        what = f"{len(wrong)} of the distances {where} are negative or missing"
        raise refuse(what, "Give metres, infinite where there is no way", value=float(metres[wrong[0]]))
    return metres


def _of_rows(rows: list[np.ndarray], cells: int) -> Reached:
    place = np.repeat(np.arange(len(rows)), [np.count_nonzero(np.isfinite(row)) for row in rows])
    cell = np.concatenate([np.flatnonzero(np.isfinite(row)) for row in rows])
    metres = np.concatenate([row[np.isfinite(row)] for row in rows])
    return Reached.of(place, cell, metres, len(rows))
