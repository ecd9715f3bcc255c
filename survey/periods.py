"""Periods: the time of patrols cut into months, weeks or days on the local calendar, within seasons."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from .errors import refuse
from .occasions import occasion_days
from .times import plain_date, zone_of

WHOLE = "season"  # one period per season


def periods(first: pd.Timestamp, last: pd.Timestamp, period: str, timezone: str, seasons) -> pd.DataFrame:
    """Consecutive periods that cover `first` to `last`, or the dates of each season.

    Parameters
    ----------
    first, last : zone-aware times
    period : "month", "season" (one period per season), or whole days as in "1 day", "2 weeks"
    seasons : None (one season, 1), "year" (the calendar year), or label → (first, last local date, both included)

    Returns
    -------
    DataFrame in order of time: `season`, `visit` (from 1 in each season; of years cut into months the month),
    `start` (inclusive), `end` (exclusive)

    Raises
    ------
    SurveyError : a period or seasons that are not understood, seasons that overlap
    """
    if period not in ("month", WHOLE):
        occasion_days(period)
    first, last = (t.tz_convert(zone_of(timezone)).tz_localize(None) for t in (first, last))
    parts = []
    for label, begin, end in _seasons(first.normalize(), last.normalize() + pd.Timedelta(days=1), seasons):
        edges = _edges(begin, end, period)
        calendar = period == "month" and isinstance(seasons, str)
        visit = [e.month for e in edges[:-1]] if calendar else range(1, len(edges))
        parts.append(pd.DataFrame({"season": label, "visit": visit, "start": edges[:-1], "end": edges[1:]}))
    table = pd.concat(parts, ignore_index=True)
    for side in ("start", "end"):
        wall = pd.DatetimeIndex(table[side])
        local = wall.tz_localize(zone_of(timezone), nonexistent="shift_forward", ambiguous=np.ones(len(wall), bool))
        table[side] = local.as_unit("us")
    return table


def _edges(begin: pd.Timestamp, end: pd.Timestamp, period: str) -> list[pd.Timestamp]:
    """Local midnights at which the periods of a season begin, and its end."""
    if period == WHOLE:
        return [begin, end]
    if period == "month":
        inner = pd.date_range(begin, end, freq="MS")
    else:
        inner = pd.date_range(begin, end, freq=pd.Timedelta(days=occasion_days(period)))
    return [begin, *inner[(inner > begin) & (inner < end)], end]


def _seasons(first: pd.Timestamp, last: pd.Timestamp, seasons) -> list[tuple[object, pd.Timestamp, pd.Timestamp]]:
    """Label, first and last local midnight of each season, in order of time."""
    if seasons is None:
        return [(1, first, last)]
    if seasons == "year":
        new_year = [pd.Timestamp(year, 1, 1) for year in range(first.year, last.year + 2)]
        cut = [(a.year, max(a, first), min(b, last)) for a, b in pairwise(new_year)]
        return [(label, a, b) for label, a, b in cut if a < b]
    if not isinstance(seasons, Mapping) or not seasons:
        fix = "Give 'year', or {2024: ('2024-05-01', '2024-07-31')}"
        raise refuse("the seasons are not understood", fix, value=seasons)
    out = []
    for label, dates in seasons.items():
        try:
            begin, end = (plain_date(date) for date in dates)
        except (ValueError, TypeError):
            what, fix = f"season {label!r} has no first and last date", "Write ('2024-05-01', '2024-07-31')"
            raise refuse(what, fix, value=dates) from None
        if isinstance(dates, str) or end < begin:
            raise refuse(f"season {label!r} ends before it begins", "Correct its dates", value=dates)
        out.append((label, begin, end + pd.Timedelta(days=1)))
    out.sort(key=lambda season: season[1])
    for a, b in pairwise(out):
        if b[1] < a[2]:
            what = f"seasons {a[0]!r} and {b[0]!r} overlap"
            fix = "Effort and sign can count in one season only: correct their dates"
            raise refuse(what, fix, value=f"{b[1]:%Y-%m-%d}")
    return out
