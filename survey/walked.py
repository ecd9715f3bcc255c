"""What patrols walked in cells and periods, and what became of every track and every kilometre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .cells import Cells
from .effort import UNKNOWN, instants
from .errors import refuse
from .fates import Fates
from .ledger import Ledger
from .patrols import Patrols
from .periods import WHOLE, periods
from .steps import Steps, cut_by, steps_of

AGAIN = "the same track again"


@dataclass(frozen=True)
class Walked:
    """What was walked in cells and periods: pieces in order, and the fate of steps, tracks and observations so far."""

    steps: Steps  # with the fate of each, "used" where it lies in a cell at least in part
    pieces: pd.DataFrame  # step, cell, begin, end [m from the step's start], km, period (position)
    calendar: pd.DataFrame
    tracks: np.ndarray  # object, fate of each track
    fates: Fates  # of the observations
    moment: np.ndarray  # int, of each observation
    period: np.ndarray  # int, of each observation; -1 none
    kilometres: pd.DataFrame


def walked(patrols: Patrols, cells: Cells, transport, period, seasons, dates, longest_gap, fastest, slack) -> Walked:
    """What was walked, by the choices of `patrol_visits.by_cell`; `dates` are its start and end.

    Raises
    ------
    SurveyError : see `patrol_visits.by_cell`
    """
    if not longest_gap > 0 or not (fastest is None or fastest > 0) or not slack >= 0:
        fix = "Give minutes, km/h and metres above 0"
        raise refuse("a limit of gaps, speed or slack is not possible", fix, value=(longest_gap, fastest, slack))
    if seasons is not None and not isinstance(seasons, str) and any(dates):
        fix = "Leave out start and end: the seasons have their dates"
        raise refuse("dates are given twice", fix, value=f"{dates[0]} to {dates[1]}")
    fate = _left_out(patrols, [transport] if isinstance(transport, str) else list(transport))
    limits = {"longest_gap": longest_gap, "fastest": fastest, "slack": slack}
    steps = steps_of(patrols.tracks, patrols.fixes, cells.crs, **limits)
    steps.fate[:] = np.where(fate[steps.track] != "", fate[steps.track], steps.fate)
    if not (steps.fate == "").any():
        reasons = sorted({*fate, *steps.fate} - {""}) or ["each has a single fix"]
        raise refuse("no step of any track counts", f"Why not: {'; '.join(reasons)}", value=f"{len(fate)} tracks")
    calendar = _calendar(patrols, steps, period, seasons, dates)
    at = period_of(calendar, steps.time)
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
    when = period_of(calendar, moment) if dated else np.zeros(len(moment), int)
    return Walked(steps, pieces, calendar, _track_fates(steps, fate), fates, moment, when, kilometres)


def _left_out(patrols: Patrols, modes: list[str]) -> np.ndarray:
    """object [tracks]: why a track is left out as a whole, "" for the others."""
    tracks, fate = patrols.tracks, _same_again(patrols)
    other = ~tracks["transport"].isin(modes) & (fate == "")
    fate[other] = ("moved by " + tracks["transport"].astype(str))[other]
    if (fate != "").all() and not tracks["transport"].isin(modes).any():
        kinds = sorted(tracks["transport"].unique())
        raise refuse("no track is of this transport", f"The tracks are of {', '.join(kinds)}", value=modes)
    return fate


def _same_again(patrols: Patrols) -> np.ndarray:
    """object [tracks]: whether a track has no fixes, or all its fixes are those of another track."""
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


def period_of(calendar: pd.DataFrame, time: np.ndarray) -> np.ndarray:
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
