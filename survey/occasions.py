"""Occasions: the survey's time cut on the local clock."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from .errors import refuse
from .times import zone_of

NAMED_BOUNDARIES = {"noon": "12:00", "midnight": "00:00"}


def occasion_days(occasion: str | int) -> int:
    """Whole days in an occasion.

    >>> occasion_days("1 day"), occasion_days("2 weeks"), occasion_days("5 nights"), occasion_days(7)
    (1, 14, 5, 7)
    """
    match = re.fullmatch(r"\s*(\d+)\s*(days?|nights?|weeks?)?\s*", str(occasion))
    days = int(match[1]) * (7 if (match[2] or "").startswith("week") else 1) if match else 0
    if days < 1:
        raise refuse(
            "the length of an occasion is not understood", "Give whole days, e.g. '1 day' or '1 week'", value=occasion
        )
    return days


def boundary_hours(boundary: str) -> pd.Timedelta:
    """The local clock time at which one day ends and the next begins, after midnight.

    >>> boundary_hours("noon"), boundary_hours("06:30")
    (Timedelta('0 days 12:00:00'), Timedelta('0 days 06:30:00'))
    """
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", NAMED_BOUNDARIES.get(str(boundary), str(boundary)))
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise refuse(
            "the day boundary is not understood", "Give 'noon', 'midnight' or a time such as '06:00'", value=boundary
        )
    return pd.Timedelta(hours=int(match[1]), minutes=int(match[2]))


def cut(
    first: pd.Timestamp, last: pd.Timestamp, *, length: int = 1, boundary: str = "noon", timezone: str
) -> pd.DataFrame:
    """Consecutive occasions of `length` days that cover `first` to `last`, two zone-aware times; see `lay`."""
    zone, hours = zone_of(timezone), boundary_hours(boundary)
    wall_first = (first.tz_convert(zone).tz_localize(None) - hours).normalize()
    wall_last = last.tz_convert(zone).tz_localize(None) - hours
    n_days = max(1, int(np.ceil((wall_last - wall_first) / pd.Timedelta(days=1))))
    return lay(wall_first, -(-n_days // length), length=length, boundary=boundary, timezone=timezone)


def lay(date: pd.Timestamp, n: int, *, length: int = 1, boundary: str = "noon", timezone: str) -> pd.DataFrame:
    """n consecutive occasions of `length` days, the first from the day boundary of a local date on.

    Parameters
    ----------
    date : local date, without time zone
    n : number of occasions
    length : days per occasion
    boundary : local clock time at which a day begins ("noon", "midnight" or "HH:MM")
    timezone : local time zone

    Returns
    -------
    DataFrame of n rows: `start` (inclusive) and `end` (exclusive), local time. The day on which the clocks
    change has 23 or 25 hours.
    """
    walls = pd.DatetimeIndex(date + boundary_hours(boundary) + np.arange(n + 1) * pd.Timedelta(days=length))
    # An hour that the clocks skip moves forward; of an hour that comes twice the first is meant.
    zone = zone_of(timezone)
    edges = walls.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(n + 1, bool)).as_unit("us")
    return pd.DataFrame({"start": edges[:-1], "end": edges[1:]}, index=pd.RangeIndex(1, n + 1, name="occasion"))


def number(times: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int [n]: the occasion 1..S that holds each instant, 0 outside all; `edges` [S + 1] instants."""
    found = np.searchsorted(edges, times, side="right")
    return np.where(found <= len(edges) - 1, found, 0)
