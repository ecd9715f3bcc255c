"""Patrols to detection histories: km of effort and what was found, by cell and period or by segments of the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import shapely

from .cells import Cells
from .crs import to_metres
from .detections import DetectionHistory
from .effort import UNKNOWN, instants
from .errors import refuse
from .fates import Fates
from .ledger import Ledger
from .patrols import Patrols
from .periods import WHOLE, periods
from .steps import SLACK, Steps, cut_by, steps_of
from .wanted import one_of

KINDS = ("detection", "count")
AGAIN = "the same track again"
SHORT = "on passages too short for a segment"
NOWHERE, TOO_SHORT = -1, -2  # in place of the position of a segment
LATEST = 120.0  # minutes by which the clocks of an observation and of a fix may differ


@dataclass(frozen=True)
class _Walked:
    """What was walked in cells and periods: pieces in order, and the fate of steps, tracks and observations so far."""

    steps: Steps  # with the fate of each, "used" where it lies in a cell at least in part
    pieces: pd.DataFrame  # step, cell, begin, end [m from the step's start], km, period (position)
    calendar: pd.DataFrame
    tracks: np.ndarray  # object, fate of each track
    fates: Fates  # of the observations
    moment: np.ndarray  # int, of each observation
    period: np.ndarray  # int, of each observation; -1 none
    kilometres: pd.DataFrame


def by_cell(
    patrols: Patrols,
    cells: Cells,
    *,
    species: str | None = None,
    category: str | None = None,
    period: str = "month",
    seasons=None,
    start: str | None = None,
    end: str | None = None,
    transport: str | Sequence[str] = ("foot",),
    kind: str = "detection",
    longest_gap: float = 30.0,
    fastest: float | None = None,
    slack: float = SLACK,
) -> DetectionHistory:
    """Visits to cells by patrols: every cell in every period, missing where nobody walked.

    Parameters
    ----------
    cells : the sites
    species : as in the observations; may be left out when they hold one species only
    category : only observations whose category holds this text, whatever the case, e.g. "scat"
    period : "month", "season" (one visit per season), or whole days as in "2 weeks"; on the local calendar
    seasons : None (one), "year" (then months are visits 1 to 12), or label → (first, last local date), both included
    start, end : first and last local date, both included, when only a part of the data is wanted
    transport : the ways of moving that count as effort; tracks and observations of others are told in the ledger
    kind : "detection" (1 found, 0 not found) or "count" (observations)
    longest_gap : minutes without a fix above which the way between is not known and does not count
    fastest : km/h above which a step is an error of position and does not count; by default what is possible with the
        transport (on foot 10)
    slack : metres by which a device may be off without a step being too fast

    Returns
    -------
    DetectionHistory with km as effort, the covariates `tracks` (how many walked there) and `period` (its first local
    date), `ledger` (observations and tracks), `effort_ledger` (km by what became of them) and `cells`

    Raises
    ------
    SurveyError : unknown species or category, tracks or dates without effort, a choice that is not known
    """
    w = _walked(patrols, cells, transport, period, seasons, (start, end), longest_gap, fastest, slack)
    _choose(patrols, w, species, category, transport, kind)
    n, t = len(cells), len(w.calendar)
    at = w.pieces["period"].to_numpy() * n + w.pieces["cell"].to_numpy()
    km = np.bincount(at, w.pieces["km"], n * t)
    effort = np.where(km > 0, km, 0.0)
    x, y = _seen_at(patrols, cells.crs)
    cell = cells.at(x, y)
    w.fates.mark(cell < 0, "outside the cells")
    where = np.where((cell >= 0) & (w.period >= 0), w.period * n + cell, 0)
    w.fates.mark(effort[where] == 0, "no effort in its cell and period")
    value = _values(w.fates, where, n * t, kind)
    rows = {
        "site": np.tile(np.array(cells.name, object), t),
        "season": np.repeat(w.calendar["season"].to_numpy(object), n),
        "visit": np.repeat(w.calendar["visit"].to_numpy(), n),
        "value": np.where(effort > 0, value, np.nan),
        "effort": effort,
        "tracks": _tracks_in(w, at, n * t),
        "period": np.repeat([f"{day:%Y-%m-%d}" for day in w.calendar["start"]], n),
    }
    return _history(patrols, w, cells, pd.DataFrame(rows).infer_objects())


def by_segment(
    patrols: Patrols,
    cells: Cells,
    length_km: float = 1.0,
    *,
    species: str | None = None,
    category: str | None = None,
    period: str = "season",
    seasons=None,
    start: str | None = None,
    end: str | None = None,
    transport: str | Sequence[str] = ("foot",),
    longest_gap: float = 30.0,
    fastest: float | None = None,
    slack: float = SLACK,
    within: float = 200.0,
) -> DetectionHistory:
    """Ordered segments of the ways walked: each passage of a track through a cell is a trail of that site.

    Segments are laid from where the passage begins. What is left at its end belongs to the segment before when it is
    shorter than half a segment, else it is a segment of its own; a passage shorter than that has no segment.

    Parameters
    ----------
    length_km : length of a segment, km
    period : a passage ends with the period; "season" cuts at seasons only
    within : metres from the way; an observation further off belongs to no segment. Of the passages of its own patrol
        that are this near and less than two hours away, it belongs to the nearest in time
    others : as in `by_cell`; an observation counts where the patrol stood

    Returns
    -------
    DetectionHistory with trails, segments as visits, km as effort, `ledger`, `effort_ledger` and `cells`
    """
    if not (np.isfinite(length_km) and length_km > 0):
        raise refuse("the length of a segment must be above 0 km", "Correct it", value=length_km)
    w = _walked(patrols, cells, transport, period, seasons, (start, end), longest_gap, fastest, slack)
    _choose(patrols, w, species, category, transport, "detection")
    pieces, segments, w = _segments(w, 1000.0 * length_km, patrols.tracks["track"])
    o = patrols.observations
    w.fates.mark(cells.at(*to_metres(o["longitude"], o["latitude"], cells.crs)) < 0, "outside the cells")
    segment = _nearest(patrols, w, cells, pieces, within)
    w.fates.mark(segment == TOO_SHORT, SHORT)
    w.fates.mark(segment == NOWHERE, f"no segment of its patrol and time within {within:g} m")
    value = _values(w.fates, np.maximum(segment, 0), len(segments), "detection")
    calendar = w.calendar.iloc[segments["period"]]
    rows = {
        "site": np.array(cells.name, object)[segments["cell"]],
        "season": calendar["season"].to_numpy(object),
        "trail": segments["trail"].to_numpy(object),
        "visit": segments["visit"].to_numpy(),
        "value": value,
        "effort": segments["km"].to_numpy(),
    }
    frame = pd.DataFrame(rows).infer_objects()
    return _history(patrols, w, cells, frame)


def effort_table(patrols: Patrols, cells: Cells, **how) -> pd.DataFrame:
    """Km walked: `season`, `visit`, `site`, `km`, `tracks`, one row where there was any."""
    defaults = {"transport": ("foot",), "period": "month", "seasons": None, "longest_gap": 30.0, "fastest": None}
    how = defaults | {"slack": SLACK, "start": None, "end": None} | how
    w = _walked(patrols, cells, dates=(how.pop("start"), how.pop("end")), **how)
    rows = w.pieces.assign(track=w.steps.track[w.pieces["step"]])
    table = rows.groupby(["period", "cell"], as_index=False).agg(km=("km", "sum"), tracks=("track", "nunique"))
    calendar = w.calendar.iloc[table["period"]].reset_index(drop=True)
    site = np.array(cells.name, object)[table["cell"]]
    columns = {"season": calendar["season"], "visit": calendar["visit"], "site": site}
    return pd.DataFrame(columns | {"km": table["km"], "tracks": table["tracks"]})


# ---- effort -------------------------------------------------------------------------------------------------------


def _walked(patrols: Patrols, cells: Cells, transport, period, seasons, dates, longest_gap, fastest, slack) -> _Walked:
    if not longest_gap > 0 or not (fastest is None or fastest > 0) or not slack >= 0:
        fix = "Give minutes, km/h and metres above 0"
        raise refuse("a limit of gaps, speed or slack is not possible", fix, value=(longest_gap, fastest, slack))
    if seasons is not None and not isinstance(seasons, str) and any(dates):
        fix = "Leave out start and end: the seasons have their dates"
        raise refuse("dates are given twice", fix, value=f"{dates[0]} to {dates[1]}")
    modes = [transport] if isinstance(transport, str) else list(transport)
    tracks = patrols.tracks
    fate = _same_again(patrols)
    other = ~tracks["transport"].isin(modes) & (fate == "")
    fate[other] = ("moved by " + tracks["transport"].astype(str))[other]
    if (fate != "").all():
        kinds = sorted(tracks["transport"].unique())
        raise refuse("no track is of this transport", f"The tracks are of {', '.join(kinds)}", value=modes)
    steps = steps_of(tracks, patrols.fixes, cells.crs, longest_gap=longest_gap, fastest=fastest, slack=slack)
    steps.fate[:] = np.where(fate[steps.track] != "", fate[steps.track], steps.fate)
    calendar = _calendar(patrols, steps, period, seasons, dates)
    at = _period(calendar, steps.time)
    dated = period != WHOLE or seasons is not None or any(dates)
    if dated:
        steps.fate[(steps.time == UNKNOWN) & (steps.fate == "")] = "no time"
    else:
        at = np.zeros(len(at), int)
    steps.fate[(at < 0) & (steps.fate == "")] = "outside the dates"
    open_ = np.flatnonzero((steps.fate == "") & (steps.metres > 0))
    pieces = cut_by(steps, cells, open_)
    pieces = pieces.assign(km=(pieces["end"] - pieces["begin"]) / 1000.0, period=at[pieces["step"]])
    kilometres = _kilometres(steps, pieces)
    steps.fate[np.unique(pieces["step"])] = Ledger.USED
    steps.fate[steps.fate == ""] = "outside the cells"
    if not len(pieces):
        reasons = "; ".join(f"{km:,.1f} km {why}" for why, km in kilometres["km"].items() if km)
        raise refuse("no km was walked in the cells and dates", f"Where they went: {reasons}", value=repr(cells))
    fates = Fates(patrols.observations)
    moment = instants(patrols.observations["time"])
    when = _period(calendar, moment) if dated else np.zeros(len(moment), int)
    return _Walked(steps, pieces, calendar, _track_fates(steps, fate), fates, moment, when, kilometres)


def _same_again(patrols: Patrols) -> np.ndarray:
    """object [tracks]: why a track is left out before anything else: all its fixes are those of another track."""
    fixes = patrols.fixes
    columns = {"time": instants(fixes["time"]), "x": fixes["longitude"].round(7), "y": fixes["latitude"].round(7)}
    marks = pd.util.hash_pandas_object(pd.DataFrame(columns), index=False)
    totals = marks.groupby(fixes["track"].to_numpy()).agg(["sum", "size"]).reindex(range(len(patrols.tracks)))
    totals["date"] = instants(patrols.tracks["date"])  # one line drawn for two walks
    order = patrols.tracks.sort_values(["file", "row"]).index
    again = totals.loc[order].dropna().duplicated().reindex(patrols.tracks.index, fill_value=False)
    fate = np.where(totals["size"].isna(), "no fixes", np.where(again, AGAIN, ""))
    return fate.astype(object)


def _calendar(patrols: Patrols, steps: Steps, period: str, seasons, dates) -> pd.DataFrame:
    known = steps.time[(steps.fate == "") & (steps.time != UNKNOWN)]
    zone = patrols.fixes["time"].dt.tz
    inside = (dates[0] or "1990-01-01", dates[1] or "2200-01-01")
    if not len(known) and (period != WHOLE or seasons is not None or any(dates)):
        what = f"no track has a time or a date, so effort cannot be laid on {period}s or dates"
        raise refuse(what, "Export tracks with their times, or use period='season' without dates")
    if len(known):
        first, last = (pd.Timestamp(int(t), unit="us", tz="UTC").tz_convert(zone) for t in (known.min(), known.max()))
    else:
        first = last = pd.Timestamp("2000-01-01", tz=zone)
    asked = periods(first, last, "season", patrols.timezone, {1: inside}).iloc[0]
    first, last = max(first, asked["start"]), min(last, asked["end"] - pd.Timedelta(microseconds=1))
    if last < first:
        raise refuse("no patrol walked on these dates", "Correct start and end", value=f"{dates[0]} to {dates[1]}")
    return periods(first, last, period, patrols.timezone, seasons)


def _period(calendar: pd.DataFrame, time: np.ndarray) -> np.ndarray:
    """int [n]: the period that holds each instant, -1 for none."""
    start, end = instants(calendar["start"]), instants(calendar["end"])
    at = np.searchsorted(start, time, side="right") - 1
    return np.where((at >= 0) & (time < end[at]), at, -1)


def _kilometres(steps: Steps, pieces: pd.DataFrame) -> pd.DataFrame:
    """Km by what became of them, indexed by `reason`: `km`, `tracks`."""
    inside = np.bincount(pieces["step"], pieces["km"], len(steps.metres))
    km = steps.metres / 1000.0
    counted = steps.fate == ""
    parts = [
        pd.DataFrame({"reason": Ledger.USED, "km": inside[counted], "track": steps.track[counted]}),
        pd.DataFrame({"reason": "outside the cells", "km": (km - inside)[counted], "track": steps.track[counted]}),
        pd.DataFrame({"reason": steps.fate[~counted], "km": km[~counted], "track": steps.track[~counted]}),
    ]
    rows = pd.concat(parts)
    rows = rows[rows["km"] > 1e-9]
    return rows.groupby("reason").agg(km=("km", "sum"), tracks=("track", "nunique")).sort_values("km", ascending=False)


def _track_fates(steps: Steps, fate: np.ndarray) -> np.ndarray:
    """A track is used when one of its steps is; else it ends with the reason of most of its metres."""
    table = pd.DataFrame({"track": steps.track, "fate": steps.fate, "metres": steps.metres})
    sums = table.groupby(["track", "fate"], as_index=False)["metres"].sum()
    sums["used"] = sums["fate"] == Ledger.USED
    last = sums.sort_values(["track", "used", "metres"], kind="stable").drop_duplicates("track", keep="last")
    out = np.where(fate != "", fate, "a single fix")
    out[last["track"].to_numpy(int)] = last["fate"].to_numpy(object)
    return out


# ---- observations ---------------------------------------------------------------------------------------------------


def _choose(patrols: Patrols, w: _Walked, species: str | None, category: str | None, transport, kind: str) -> None:
    """Mark the observations that are not of what is wanted."""
    if kind not in KINDS:
        raise refuse("this choice is not known", f"Use {KINDS[0]!r} or {KINDS[1]!r}", value=kind)
    o, modes = patrols.observations, [transport] if isinstance(transport, str) else list(transport)
    if category is not None:
        other = ~o["category"].str.contains(category, case=False, regex=False).to_numpy(bool)
        if len(o) and other.all():
            known = list(pd.unique(o["category"]))[:8]
            raise refuse("no observation is of this category", f"They are of {known}", value=category)
        w.fates.mark(other, "another category")
    named = o["species"][w.fates.open]
    if species is not None or (named != "").any():
        wanted = one_of(named, species, "the observations")
        w.fates.mark(o["species"] == "", "no species")
        w.fates.mark(o["species"] != wanted, "another species")
    by = patrols.tracks[patrols.tracks["patrol"] != ""].groupby("patrol")["transport"]
    known = by.first()[by.nunique() == 1].to_dict()
    of_patrol = pd.Series([known.get(patrol, "") for patrol in o["patrol"]], o.index, dtype=object)
    moved = o["transport"].where(o["transport"] != "", of_patrol)
    for mode in sorted(set(moved) - {"", *modes}):
        w.fates.mark(moved == mode, f"moved by {mode}")
    w.fates.mark(o["longitude"].isna(), "no position")
    w.fates.mark((w.moment == UNKNOWN) & (w.period < 0), "no time")
    w.fates.mark(w.period < 0, "outside the dates")


def _seen_at(patrols: Patrols, crs) -> tuple[np.ndarray, np.ndarray]:
    """Metres of where the thing was seen: direction and distance from where the patrol stood."""
    o = patrols.observations
    x, y = to_metres(o["longitude"], o["latitude"], crs)
    x, y = (np.where(np.isfinite(v), v, np.nan) for v in (x, y))
    away = (o["distance"] * o["direction"].notna()).fillna(0.0).to_numpy(float)
    toward = np.deg2rad(o["direction"].fillna(0.0).to_numpy(float))
    return x + away * np.sin(toward), y + away * np.cos(toward)


def _values(fates: Fates, where: np.ndarray, n: int, kind: str) -> np.ndarray:
    """float [n]: what was found at each place among `where`; every observation that is still open ends here."""
    open_ = np.flatnonzero(fates.open)
    if kind == "detection":
        again = pd.Series(where[open_]).duplicated().to_numpy()
        again_at = np.zeros(len(where), bool)
        again_at[open_[again]] = True
        fates.mark(again_at, "same place and time again (detection keeps one)")
        open_ = np.flatnonzero(fates.open)
    fates.mark(fates.open, Ledger.USED)
    return np.bincount(where[open_], minlength=n).astype(float)


# ---- segments -------------------------------------------------------------------------------------------------------


def _segments(w: _Walked, length: float, names: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame, _Walked]:
    """Pieces with their segment, segments, and what was walked with passages too short for one told among the km.

    Returns
    -------
    pieces : `step`, `begin`, `end` and `segment`, each piece in one segment or TOO_SHORT for one
    segments : `cell`, `period`, `trail`, `visit` (from 1 along the trail), `km`
    """
    p, s = w.pieces, w.steps
    stretch = s.stretch[p["step"]]
    so_far = np.cumsum(s.metres) - s.metres
    at = so_far[p["step"]] + p["begin"].to_numpy()  # metres along all steps, to see where a way is broken
    until = so_far[p["step"]] + p["end"].to_numpy()
    new = np.ones(len(p), bool)
    same = (np.diff(stretch) == 0) & (np.diff(p["cell"]) == 0) & (np.diff(p["period"]) == 0)
    new[1:] = ~(same & (np.abs(at[1:] - until[:-1]) < 0.01))
    run = np.cumsum(new) - 1
    long = p["end"].to_numpy() - p["begin"].to_numpy()
    total = np.bincount(run, long)
    behind = np.cumsum(long) - long
    behind = behind - behind[new][run]  # metres from the beginning of the passage
    count = np.maximum(np.floor(total / length + 0.5), 0).astype(int)  # a rest of half a segment is one
    keep = count[run] > 0
    kilometres = w.kilometres.copy()
    if not keep.all():
        km, track = long[~keep].sum() / 1000.0, s.track[p["step"].to_numpy()[~keep]]
        kilometres.loc[SHORT] = [km, len(np.unique(track))]
        kilometres.loc[Ledger.USED] = [long[keep].sum() / 1000.0, len(np.unique(s.track[p["step"].to_numpy()[keep]]))]
    rows = p[keep].assign(run=run[keep], behind=behind[keep], long=long[keep])
    rows = rows.assign(first=_which(rows["behind"], length, count[rows["run"]]))
    rows = rows.assign(last=_which(rows["behind"] + rows["long"] - 1e-6, length, count[rows["run"]]))
    rows = rows.loc[rows.index.repeat(rows["last"] - rows["first"] + 1)]
    number = rows["first"].to_numpy() + rows.groupby(level=0).cumcount().to_numpy()
    left = np.maximum(number * length, rows["behind"]) - rows["behind"]
    right = np.where(number == rows["last"], rows["long"], (number + 1) * length - rows["behind"])
    offset = (np.cumsum(count) - count)[rows["run"]]
    columns = {"step": rows["step"], "begin": rows["begin"] + left, "end": rows["begin"] + right}
    pieces = pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})
    pieces = pieces.assign(segment=offset + number)
    first = np.flatnonzero(new)
    of_run = np.repeat(np.arange(len(count)), count)
    track = s.track[p["step"].to_numpy()[first]]
    passage = pd.Series(track).groupby(track).cumcount().to_numpy() + 1
    name = [f"{names.iloc[t]}, passage {k}" for t, k in zip(track, passage, strict=True)]
    km = np.bincount(pieces["segment"], pieces["end"] - pieces["begin"], count.sum()) / 1000.0
    segments = pd.DataFrame(
        {
            "cell": p["cell"].to_numpy()[first][of_run],
            "period": p["period"].to_numpy()[first][of_run],
            "trail": np.array(name, object)[of_run],
            "visit": np.arange(count.sum()) - (np.cumsum(count) - count)[of_run] + 1,
            "km": km,
        }
    )
    if not len(segments):
        fix = "Use shorter segments or larger cells"
        raise refuse("no passage through a cell is long enough for a segment", fix, value=f"{length / 1000:g} km")
    dropped = p.loc[~keep, ["step", "begin", "end"]].assign(segment=TOO_SHORT)
    return pd.concat([pieces, dropped], ignore_index=True), segments, replace(w, kilometres=kilometres)


def _which(metres: pd.Series, length: float, count: np.ndarray) -> np.ndarray:
    """The segment at so many metres from the beginning of a passage of `count` segments; the last takes the rest."""
    return np.clip(np.floor(metres / length).astype(int), 0, count - 1)


def _nearest(patrols: Patrols, w: _Walked, cells: Cells, pieces: pd.DataFrame, within: float) -> np.ndarray:
    """int [observations]: the segment on which each was seen, or NOWHERE, or TOO_SHORT for one."""
    o, s = patrols.observations, w.steps
    x, y = to_metres(o["longitude"], o["latitude"], cells.crs)
    open_ = np.flatnonzero(w.fates.open)
    step = pieces["step"].to_numpy()
    along = (s.end[step] - s.start[step]) / s.metres[step, None]
    ends = [s.start[step] + along * pieces[side].to_numpy()[:, None] for side in ("begin", "end")]
    tree = shapely.STRtree(shapely.linestrings(np.stack(ends, axis=1)))
    points: Any = shapely.points(x[open_], y[open_])
    of, piece = tree.query(points, predicate="dwithin", distance=within)
    away = shapely.distance(points[of], tree.geometries[piece])
    step, i = step[piece], open_[of]
    share = (pieces["begin"].to_numpy()[piece] + pieces["end"].to_numpy()[piece]) / 2.0 / s.metres[step]
    known = s.timed[step] & (w.moment[i] != UNKNOWN)
    passing = s.time[step] + share * np.where(known, s.until[step] - s.time[step], 0)
    patrol = patrols.tracks["patrol"].to_numpy(object)[s.track[step]]
    own = o["patrol"].to_numpy(object)[i]
    period = w.pieces.drop_duplicates("step").set_index("step")["period"].reindex(step).to_numpy()
    table = pd.DataFrame(
        {
            "i": i,
            "late": np.where(known, np.abs(passing - w.moment[i]) / 60e6, 0.0).round(),
            "away": away,
            "segment": pieces["segment"].to_numpy()[piece],
        }
    )
    stranger = (patrol != own) & (patrol != "") & (own != "")
    now = (w.period[i] == period) | (w.moment[i] == UNKNOWN)
    table = table[~stranger & now & (table["late"] <= LATEST)]
    best = table.sort_values(["i", "late", "away", "segment"], kind="stable").drop_duplicates("i")
    out = np.full(len(o), NOWHERE)
    out[best["i"].to_numpy(int)] = best["segment"].to_numpy(int)
    return out


# ---- the history ----------------------------------------------------------------------------------------------------


def _tracks_in(w: _Walked, at: np.ndarray, n: int) -> np.ndarray:
    """int [n]: how many tracks went through each cell and period."""
    pairs = pd.DataFrame({"at": at, "track": w.steps.track[w.pieces["step"]]}).drop_duplicates()
    return np.bincount(pairs["at"], minlength=n)


def _history(patrols: Patrols, w: _Walked, cells: Cells, visits: pd.DataFrame) -> DetectionHistory:
    o, t = patrols.observations, patrols.tracks
    file, row = pd.concat([o["file"], t["file"]]), pd.concat([o["row"], t["row"]])
    ledger = Ledger.of(file, row, np.concatenate([w.fates.fate, w.tracks]))
    ledger.check()
    return DetectionHistory(
        visits,
        cells.sites(),
        area=cells.area,
        effort_unit="km",
        crs=cells.crs,
        cells=cells,
        ledger=ledger,
        effort_ledger=w.kilometres,
    )
