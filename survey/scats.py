"""Scats found along GPS tracks: ways walked are lines, and every identified scat is a detection at its place on one.

A scat without an identity (DNA that failed) is a missing record and no absence. Where a share r of the scats that were
collected on an occasion could be identified, those identified are thinned by r: the effort of that occasion counts r
times, and `lambda0` is then the number of scats, identified or not. r is taken as known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from .captures import CaptureHistory
from .cells import Cells
from .crs import to_degrees, to_metres
from .detectors import Detectors
from .effort import UNKNOWN, instants
from .errors import Problems, refuse
from .fates import Fates
from .habitat import HabitatMask
from .ledger import Ledger
from .patrols import Patrols
from .readers.plain import covariates as further_columns
from .readers.plain import open_table
from .readers.reading import degrees
from .segments import in_passages
from .sexes import SEX, sexes_of
from .steps import SLACK
from .times import WHOLE_DAY_STARTS, zone_of
from .walked import Walked, period_of, walked
from .wanted import one_of

OURS = ("sample", "animal", "time", "date", "x", "y", "longitude", "latitude", "sex")
NO_IDENTITY = "no identity"
KINDS = ("transect", "count")


def read_scats(
    path: str | Path,
    *,
    timezone: str,
    crs=None,
    names: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Scats, or other signs with DNA, one row each.

    Parameters
    ----------
    path : CSV or Excel file with `animal` (empty where DNA failed), `longitude` and `latitude` or `x` and `y`, and if
        known `sample` (its name), `time` or `date` (local) and `sex` of the animal; other columns are kept
    timezone : local time zone of the survey
    crs : of the columns x and y
    names : what we call a column → what the file calls it

    Returns
    -------
    DataFrame with `sample`, `animal` ("" where not known), `time`, `longitude`, `latitude`, `sex` ("" where not known),
    `file`, `row` and the other columns

    Raises
    ------
    SurveyError : no such columns, values that cannot be read; all bad rows
    """
    bad, zone = Problems(), zone_of(timezone)
    c = open_table(path, bad, names, encoding)
    c.require("animal")
    if c.has("longitude", "latitude"):
        lon, lat = degrees(c, "latitude", "longitude", required=False)
    elif c.require("x", "y"):
        if crs is None:
            raise refuse("x and y are in metres of a CRS that is not stated", "Give crs=", file=path)
        x, y = c.number("x"), c.number("y")
        lon, lat = (np.asarray(v, float) for v in to_degrees(x, y, crs))
    else:
        lon = lat = np.empty(0)
    sample = c.text("sample")
    c.unique("sample", sample)
    columns = {
        "sample": sample,
        "animal": c.text("animal"),
        "time": c.time("time" if c.has("time") else "date", zone, dates=WHOLE_DAY_STARTS),
        "sex": c.choice("sex", SEX),
        "file": np.full(len(c), Path(path).name, object),
        "row": c.row,
    }
    bad.raise_any()
    table = pd.DataFrame(columns | {"longitude": lon, "latitude": lat})
    return table.join(further_columns(c, *OURS))


def scat_search(
    patrols: Patrols,
    scats: pd.DataFrame,
    *,
    crs=None,
    cells: Cells | None = None,
    kind: str = "transect",
    occasion: str = "season",
    start: str | None = None,
    end: str | None = None,
    transport: str | Sequence[str] = ("foot",),
    within: float = 50.0,
    species: str | None = None,
    thin: bool = True,
    covariates: pd.DataFrame | HabitatMask | None = None,
    session: str = "1",
    longest_gap: float = 30.0,
    fastest: float | None = None,
    slack: float = SLACK,
) -> CaptureHistory:
    """Capture histories of animals known from scats that were found on the tracks of a search.

    Every way walked is a line with its length as effort, however often it was walked and by whom; a scat is moved to
    the nearest way that was walked on its date, or during its occasion where dates are not known.

    Parameters
    ----------
    patrols : tracks, see `read_patrols`
    scats : see `read_scats`
    crs : projected CRS; that of `cells` if these are given
    cells : what is walked in one cell on one occasion is one detector, so that covariates of cells apply; without cells
        it is what is walked on one track
    kind : "transect" (places along the ways), or "count" (scats counted by cell, with km as effort; needs cells)
    occasion : "season" (one), "month", or whole days as in "2 weeks"
    start, end : first and last local date, when only a part of the data is wanted
    transport : the ways of moving that count as a search
    within : metres; a scat further than this from any way is dropped and told in the ledger
    species : as in the column `species` of the scats, if there is one; scats of others are told in the ledger, and
        those whose species is not known either are failures of DNA like others
    thin : effort counts by the share of scats of its occasion that have an identity (see the head of this file). The
        share is the covariate `success` in any case; with thin=False it can be used in a formula instead
    covariates : DataFrame indexed by the names of cells (or of tracks), or HabitatMask, whose covariates are taken in
        the middle of each way
    longest_gap, fastest, slack : as in `Patrols.by_cell`

    Returns
    -------
    CaptureHistory of kind "transect" or "count" with `ledger`: where every scat and every track went

    Raises
    ------
    SurveyError : no track or no identified scat in the dates and cells, no CRS, an animal with two sexes
    """
    if kind not in KINDS or (kind == "count" and cells is None):
        fix = "Use 'transect', or 'count' with cells="
        raise refuse("this way to use tracks is not known, or lacks cells", fix, value=kind)
    if not within > 0:
        raise refuse("the largest distance of a scat from a way must be above 0 m", "Correct within", value=within)
    scats = _complete(scats)
    land = cells or _everywhere(patrols, crs)
    w = walked(patrols, land, transport, occasion, None, (start, end), longest_gap, fastest, slack)
    ways = _Ways.of(w, patrols, cells)
    dated = occasion != "season" or bool(start or end)
    wanted = one_of(scats["species"], species, "the scats")
    fates, way, place = _snap(scats, w, ways, land, within, dated, zone_of(patrols.timezone), wanted)
    found = fates.open
    fates.mark(scats["animal"].to_numpy(object) == "", NO_IDENTITY)
    named = fates.open
    if not named.any():
        reasons = "; ".join(f"{n} {why}" for why, n in pd.Series(fates.fate).value_counts().items())
        raise refuse("no identified scat lies on a way that was walked", f"Why not: {reasons}", value=len(scats))
    fates.mark(named, Ledger.USED)
    success = _success(ways.period[way[found]], named[found], len(w.calendar))
    detectors = ways.lines(w, success, thin, land) if kind == "transect" else ways.counts(w, success, thin, land)
    at = way[named]
    frame = pd.DataFrame(
        {
            "animal": scats["animal"].to_numpy(object)[named],
            "occasion": ways.period[at] + 1,
            "detector": np.asarray(ways.name(kind), object)[at],
            "x": place[named, 0],
            "y": place[named, 1],
            "file": scats["file"].to_numpy(object)[named],
            "row": scats["row"].to_numpy()[named],
        }
    )
    tracks = patrols.tracks
    ledger = Ledger.of(
        pd.concat([scats["file"], tracks["file"]]),
        pd.concat([scats["row"], tracks["row"]]),
        np.concatenate([fates.fate, w.tracks]),
    )
    ledger.check()
    return CaptureHistory(
        frame if kind == "transect" else frame.drop(columns=["x", "y"]),
        _with_covariates(detectors, covariates, ways.group_of(kind)),
        animals=sexes_of(scats[named]),
        occasions=w.calendar[["start", "end"]].reset_index(drop=True),
        session=session,
        ledger=ledger,
    )


def _everywhere(patrols: Patrols, crs) -> Cells:
    """One cell that holds all tracks."""
    if crs is None:
        raise refuse("the projected CRS in which distances are measured is not known", "Give crs= or cells=")
    x, y = to_metres(patrols.fixes["longitude"], patrols.fixes["latitude"], crs)
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    box = shapely.box(x.min() - 1000.0, y.min() - 1000.0, x.max() + 1000.0, y.max() + 1000.0)
    return Cells(["everywhere"], [box], crs)


# ---- ways ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Ways:
    """P unbroken ways, each of one track, cell and occasion; those of one group and occasion are a detector."""

    line: np.ndarray  # object [P], shapely lines in metres
    period: np.ndarray  # int [P]
    day: np.ndarray  # int [P], microseconds of a moment on it, UNKNOWN where not known
    group: np.ndarray  # object [P], the name of its cell or track
    cell: np.ndarray  # int [P]

    @classmethod
    def of(cls, w: Walked, patrols: Patrols, cells: Cells | None) -> _Ways:
        p, s = in_passages(w), w.steps
        step, passage = p["step"].to_numpy(), p["passage"].to_numpy()
        along = (s.end[step] - s.start[step]) / s.metres[step, None]
        begin, end = (s.start[step] + along * p[side].to_numpy()[:, None] for side in ("begin", "end"))
        first = np.flatnonzero(np.diff(passage, prepend=-1))
        places = np.concatenate([begin[first], end])
        of = np.concatenate([passage[first], passage])
        order = np.argsort(of, kind="stable")
        lines = shapely.linestrings(places[order], indices=of[order])
        track = patrols.tracks["track"].to_numpy(object)[s.track[step[first]]]
        cell = p["cell"].to_numpy()[first]
        group = track if cells is None else np.array(cells.name, object)[cell]
        return cls(np.asarray(lines, object), p["period"].to_numpy()[first], s.time[step[first]], group, cell)

    def name(self, kind: str) -> list[str]:
        """The detector of each way."""
        several = kind == "transect" and len(np.unique(self.period)) > 1
        return [f"{g}, occasion {t + 1}" if several else str(g) for g, t in zip(self.group, self.period, strict=True)]

    def group_of(self, kind: str) -> dict[str, str]:
        """The cell or track of each detector."""
        return dict(zip(self.name(kind), map(str, self.group), strict=True))

    def lines(self, w: Walked, success: np.ndarray, thin: bool, land: Cells) -> Detectors:
        """Detectors of kind "transect": what was walked of each group on one occasion."""
        name = pd.Series(self.name("transect"), dtype=object)
        code, names = pd.factorize(name)
        order = np.argsort(code, kind="stable")
        shapes = shapely.multilinestrings(self.line[order], indices=code[order])
        period = pd.Series(self.period).groupby(code).first().to_numpy()
        there = np.arange(len(w.calendar))[:, None] == period
        rate = np.broadcast_to(success[:, None], there.shape)
        middle = shapely.get_coordinates(shapely.centroid(shapes))
        return Detectors(
            id=tuple(names),
            x=middle[:, 0],
            y=middle[:, 1],
            effort=np.where(there, rate if thin else 1.0, 0.0),
            kind="transect",
            crs=land.crs,
            effort_unit="times walked" + " (by the share of scats named)" * thin,
            varying={"success": np.where(there, rate, np.nan)},
            shapes=tuple(shapes),
        )

    def counts(self, w: Walked, success: np.ndarray, thin: bool, land: Cells) -> Detectors:
        """Detectors of kind "count": cells, with the km walked in each on each occasion."""
        code, names = pd.factorize(pd.Series(self.group, dtype=object))
        km = np.zeros((len(w.calendar), len(names)))
        np.add.at(km, (self.period, code), shapely.length(self.line) / 1000.0)
        cell = pd.Series(self.cell).groupby(code).first().to_numpy()
        x, y = land.centres()
        rate = np.broadcast_to(success[:, None], km.shape)
        return Detectors(
            id=tuple(map(str, names)),
            x=x[cell],
            y=y[cell],
            effort=km * (rate if thin else 1.0),
            kind="count",
            crs=land.crs,
            effort_unit="km walked" + " (by the share of scats named)" * thin,
            varying={"success": np.where(km > 0, rate, np.nan)},
        )


# ---- scats ---------------------------------------------------------------------------------------------------------


def _complete(scats: pd.DataFrame) -> pd.DataFrame:
    """The table with all columns; empty where nothing is known."""
    missing = [name for name in ("animal", "longitude", "latitude") if name not in scats]
    if missing:
        raise refuse("the scats lack columns", f"Add {', '.join(missing)}, or use survey.read_scats", value=missing)
    n = len(scats)
    time = pd.Series(pd.NaT, index=range(n), dtype=pd.DatetimeTZDtype("us", "UTC"))
    plain = {"time": time, "sex": "", "species": "", "file": "scats", "row": np.arange(1, n + 1)}
    whole = scats.reset_index(drop=True).assign(**{name: v for name, v in plain.items() if name not in scats})
    words = {name: whole[name].fillna("").astype(str).str.strip() for name in ("animal", "sex", "species")}
    return whole.assign(**words)


def _snap(scats: pd.DataFrame, w: Walked, ways: _Ways, land: Cells, within: float, dated: bool, zone, wanted: str):
    """Fates of the scats, the way of each (-1) and its place on it, float [n, 2]."""
    fates, n = Fates(scats), len(scats)
    if wanted:
        fates.mark(~scats["species"].isin(["", wanted]), "another species")
    x, y = to_metres(scats["longitude"], scats["latitude"], land.crs)
    moment, known = instants(scats["time"]), np.isfinite(x) & np.isfinite(y)
    fates.mark(~known, "no place")
    if dated:
        fates.mark(moment == UNKNOWN, "no date")
        fates.mark(period_of(w.calendar, moment) < 0, "outside the dates")
    period = period_of(w.calendar, moment) if dated else np.full(n, -1)
    open_ = np.flatnonzero(fates.open)
    points = np.asarray(shapely.points(x[open_], y[open_]), object)
    of, line = shapely.STRtree(list(ways.line)).query(points, predicate="dwithin", distance=within)
    i = open_[of]
    near = np.zeros(n, bool)
    near[i] = True
    fates.mark(fates.open & ~near, f"no way that was walked within {within:g} m")
    day, walked_on = _days(moment, zone), _days(ways.day, zone)
    same = np.where((day[i] >= 0) & (walked_on[line] >= 0), day[i] == walked_on[line], True)
    same &= (period[i] < 0) | (period[i] == ways.period[line])
    table = pd.DataFrame({"i": i, "line": line, "away": shapely.distance(points[of], ways.line[line])})[same]
    best = table.sort_values(["i", "away", "line"], kind="stable").drop_duplicates("i")
    way, place = np.full(n, -1), np.full((n, 2), np.nan)
    way[best["i"]] = best["line"]
    fates.mark(fates.open & (way < 0), f"no way within {within:g} m was walked on its date")
    at = np.flatnonzero(way >= 0)
    on, point = ways.line[way[at]], shapely.points(x[at], y[at])
    place[at] = shapely.get_coordinates(shapely.line_interpolate_point(on, shapely.line_locate_point(on, point)))
    return fates, way, place


def _days(moment: np.ndarray, zone) -> np.ndarray:
    """int: the local calendar day of each moment, -1 where not known."""
    known, out = moment != UNKNOWN, np.full(len(moment), -1)
    local = pd.to_datetime(moment[known], unit="us", utc=True).tz_convert(zone)
    out[known] = local.year * 10_000 + local.month * 100 + local.day
    return out


def _success(period: np.ndarray, named: np.ndarray, n: int) -> np.ndarray:
    """float [n]: the share of scats with an identity on each occasion; of all scats where an occasion has none."""
    collected, good = np.bincount(period, minlength=n), np.bincount(period, named, n)
    return np.where(collected > 0, good / np.maximum(collected, 1), named.mean())


def _with_covariates(detectors: Detectors, given, group: Mapping[str, str]) -> Detectors:
    if given is None:
        return detectors
    if isinstance(given, HabitatMask):
        middle = [_middle(shape) for shape in detectors.shapes] or list(map(tuple, detectors.positions))
        x, y = np.array(middle).T
        cell = given.cell_of(x, y)
        names = list(map(str, given.covariates.data_vars))
        table = pd.DataFrame({n: np.where(cell >= 0, given.covariate(n)[cell], np.nan) for n in names})
        return replace(detectors, covariates=table)
    table = given.set_axis(given.index.astype(str), axis=0)
    wanted = [group[name] for name in detectors.id]
    missing = sorted(set(wanted) - set(table.index))
    if missing:
        raise refuse("covariates lack a cell or track that was walked", "Give every one a row", value=missing[:5])
    return replace(detectors, covariates=table.loc[wanted].reset_index(drop=True))


def _middle(shape) -> tuple[float, float]:
    """The middle of the longest part of what was walked."""
    parts = shapely.get_parts(shape)
    point = shapely.line_interpolate_point(parts[np.argmax(shapely.length(parts))], 0.5, normalized=True)
    return point.x, point.y
