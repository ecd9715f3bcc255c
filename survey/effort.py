"""Effort: when each camera worked, after its failures, and how much of that falls on each occasion.

Time is integer microseconds since 1970 UTC in here, so that unions and differences are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from .tables import SurveyTables

DAY = 86_400_000_000  # microseconds
UNKNOWN = np.iinfo(np.int64).min  # what NaT becomes


def instants(times: pd.Series | pd.DatetimeIndex) -> np.ndarray:
    """int64: microseconds since 1970 UTC of zone-aware times; UNKNOWN for NaT."""
    return pd.DatetimeIndex(times).tz_convert("UTC").as_unit("us").asi8


def pieces(unit, start, end, off_unit=(), off_start=(), off_end=()) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Disjoint stretches of time when a unit was on and not off.

    Parameters
    ----------
    unit, start, end : int [n], unit i is on from start to end; stretches of one unit may overlap (their union counts)
    off_unit, off_start, off_end : int [m], the unit is off

    Returns
    -------
    unit, start, end of the pieces, by unit and time
    """
    n, m = len(unit), len(off_unit)
    who = np.concatenate([unit, unit, off_unit, off_unit]).astype(np.int64)
    when = np.concatenate([start, end, off_start, off_end]).astype(np.int64)
    on = np.concatenate([np.ones(n), -np.ones(n), np.zeros(2 * m)]).astype(np.int64)
    off = np.concatenate([np.zeros(2 * n), np.ones(m), -np.ones(m)]).astype(np.int64)
    order = np.lexsort((when, who))
    who, when = who[order], when[order]
    # Every unit's changes add to zero, so one running sum serves all units.
    working = (np.cumsum(on[order]) > 0) & (np.cumsum(off[order]) == 0)
    lasting = np.flatnonzero(working[:-1] & (who[1:] == who[:-1]) & (when[1:] > when[:-1])) if len(who) else []
    return who[lasting], when[lasting], when[np.asarray(lasting, int) + 1]


def days_between(unit, start, end, edges: np.ndarray, n_units: int) -> np.ndarray:
    """float [S, n_units]: days of disjoint pieces that fall between consecutive `edges` [S + 1]."""
    total = np.zeros((len(edges), n_units), np.int64)
    for i in range(0, len(unit), 4096):  # in blocks: constant memory for thousands of cameras over years
        block = slice(i, i + 4096)
        before = np.clip(edges[:, None], start[block], end[block]) - start[block]
        np.add.at(total.T, unit[block], before.T)
    return np.diff(total, axis=0) / DAY


def working_pieces(tables: SurveyTables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pieces of time when each deployment (by its position in the table) worked; none where its end is not known."""
    d, f = tables.deployments, tables.failures
    start, end = instants(d["start"]), instants(d["end"])
    known = np.flatnonzero((start != UNKNOWN) & (end != UNKNOWN) & (end > start))
    of = pd.Index(d["deployment"]).get_indexer(pd.Index(f["deployment"]))
    off_start, off_end = instants(f["start"]), instants(f["end"])
    off = np.flatnonzero(np.isin(of, known) & (off_end > off_start))
    return pieces(known, start[known], end[known], of[off], off_start[off], off_end[off])


def effort_table(tables: SurveyTables) -> pd.DataFrame:
    """See `SurveyTables.effort`."""
    d = tables.deployments
    unit, start, end = working_pieces(tables)
    worked = np.bincount(unit, (end - start) / DAY, len(d))
    length = (d["end"] - d["start"]).to_numpy() / np.timedelta64(1, "D")
    worked = np.where(np.isnan(length), np.nan, worked)
    columns = d[["deployment", "location", "start", "end"]].reset_index(drop=True)
    return columns.assign(set=length, lost=length - worked, worked=worked)


def effort_of_places(tables: SurveyTables) -> pd.DataFrame:
    """See `SurveyTables.effort`."""
    d = tables.deployments
    code, places = pd.factorize(d["location"])
    unit, start, end = working_pieces(tables)
    place, start, end = pieces(code[unit], start, end)
    worked = np.bincount(place, (end - start) / DAY, len(places))
    worked[code[d["end"].isna().to_numpy()]] = np.nan
    return pd.DataFrame({"location": places, "worked": worked})


def lost_table(tables: SurveyTables) -> pd.DataFrame:
    """See `SurveyTables.lost`."""
    f = tables.failures.merge(
        tables.deployments[["deployment", "start", "end"]], on="deployment", suffixes=("", "_set"), how="inner"
    )
    start = f[["start", "start_set"]].max(axis=1)
    end = f["end"].where(f["end_set"].isna() | (f["end"] < f["end_set"]), f["end_set"])
    days = ((end - start).to_numpy() / np.timedelta64(1, "D")).clip(min=0)
    table = f.assign(camera_days=days).groupby("reason", sort=True)
    table = table.agg(
        failures=("row", "size"), deployments=("deployment", "nunique"), camera_days=("camera_days", "sum")
    )
    return table.reset_index().sort_values("camera_days", ascending=False, kind="stable", ignore_index=True)


def calendar(tables: SurveyTables) -> pd.DataFrame:
    """See `SurveyTables.calendar`."""
    from .occasions import cut

    d = tables.deployments
    last = d["end"].max()
    if d.empty or pd.isna(last):
        return pd.DataFrame(index=pd.Index(d["deployment"]))
    days = cut(d["start"].min(), last, length=1, boundary="midnight", timezone=tables.timezone)
    edges = np.append(instants(days["start"]), instants(days["end"].tail(1)))
    worked = days_between(*working_pieces(tables), edges, len(d)).T
    start, end = instants(d["start"])[:, None], instants(d["end"])[:, None]
    stood = (start < edges[1:]) & (end > edges[:-1])
    return pd.DataFrame(
        np.where(stood, worked, np.nan),
        index=pd.Index(d["deployment"]),
        columns=pd.Index(days["start"].dt.date, name="date"),
    )


class Work:
    """When cameras worked: `effort` [S, K] in camera days, and the pieces of time of every deployment.

    A deployment without end worked until its last record of any kind; from that occasion on its effort is not known.
    A deployment with timestamp issues is left out together with its records. Effort is the union over the
    deployments of a location; NaN where none is known to have worked and one may have.
    """

    def __init__(self, tables: SurveyTables, edges: np.ndarray, locations: pd.Index):
        d, f = tables.deployments, tables.failures
        place = locations.get_indexer(pd.Index(d["location"]))
        start, end, clock = instants(d["start"]), instants(d["end"]), ~d["timestamp_issues"].to_numpy(bool)
        open_ended = end == UNKNOWN
        seen = tables.records.groupby("deployment")["time"].max().reindex(d["deployment"])
        last = np.where(open_ended, np.maximum(instants(seen), start), end)
        of = pd.Index(d["deployment"]).get_indexer(pd.Index(f["deployment"]))
        off_start, off_end = instants(f["start"]), instants(f["end"])
        off_end = np.where(off_end == UNKNOWN, np.iinfo(np.int64).max, off_end)
        use = np.flatnonzero(clock)
        off = np.flatnonzero(np.isin(of, use))
        self.unit, self.start, self.end = pieces(use, start[use], last[use], of[off], off_start[off], off_end[off])

        doubtful_from = np.where(open_ended, edges[np.clip(np.searchsorted(edges, last, "right") - 1, 0, None)], last)
        doubtful_from = np.where(clock, doubtful_from, start)
        doubtful_to = np.where(open_ended, edges[-1], end)
        known_end = np.minimum(self.end, doubtful_from[self.unit])
        kept = known_end > self.start
        union = pieces(place[self.unit[kept]], self.start[kept], known_end[kept])
        worked = days_between(*union, edges, len(locations))
        maybe = days_between(place, doubtful_from, np.maximum(doubtful_to, doubtful_from), edges, len(locations))
        self.effort = np.where((worked == 0) & (maybe > 0), np.nan, worked)
        self.place, self.locations = place, locations
