"""Time stamps of the field: local clocks, offsets, dates without a time, and what cannot be read."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd

from .errors import refuse

_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
ISO = re.compile(_ISO).fullmatch
WITH_OFFSET = re.compile(_ISO + r" ?(?:Z|[+-]\d\d:?\d\d)").fullmatch
CALENDAR = (
    r"^(?P<a>\d{1,4})\s*[-/.:年]\s*(?P<b>\d{1,2})\s*[-/.:月]\s*(?P<c>\d{1,4})日?"
    r"(?:[T\s]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?\s*(?P<half>[AaPp][Mm])?)?$"
)
EXCEL_SERIAL = r"^\d{5}(?:\.\d+)?$"

# What a date without a time of day means: the wall-clock time after that date's midnight.
WHOLE_DAY_STARTS = pd.Timedelta(0)
NOON = pd.Timedelta(hours=12)
WHOLE_DAY_ENDS = pd.Timedelta(days=1)

UTC = pd.DatetimeTZDtype("us", "UTC")
Fault = tuple[str, str]  # what is wrong, how to fix it


def zone_of(name: str | None) -> tzinfo:
    """The time zone called `name`: an IANA name ("Asia/Shanghai") or a fixed offset ("+08:00").

    Raises
    ------
    SurveyError : not given, or not known, with the names that are close
    """
    if not name:
        raise refuse(
            "the local time zone of the survey is not given",
            "Give timezone='Asia/Shanghai', or timezone='+08:00' when the cameras' clocks never changed to summer time",
        )
    offset = re.fullmatch(r"(?:UTC)?([+-])(\d{1,2}):?(\d{2})?", str(name))
    if offset and int(offset[2]) <= 14:
        minutes = 60 * int(offset[2]) + int(offset[3] or 0)
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        close = get_close_matches(str(name), sorted(available_timezones()), n=3)
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise refuse(
            "the time zone is not known",
            f"{hint}Give an IANA name such as 'Asia/Shanghai', or an offset such as '+08:00'",
            value=name,
        ) from None


def parse_times(
    text: np.ndarray, zone: tzinfo, *, dates: pd.Timedelta | None = None, order: str | None = None
) -> tuple[pd.DatetimeIndex, dict[int, Fault]]:
    """Read time stamps as local time.

    A stamp with an offset (`2024-06-01T04:57:37+02:00`, `…Z`) is an instant; one without is the local clock. Read
    are ISO 8601, the same with `/`, `.`, `:` or 年月日, and day-month-year with a four-digit year when the order of
    day and month is given or shows in the column.

    Parameters
    ----------
    text : object [n] of text; "" = missing
    zone : local time zone
    dates : wall-clock time that a date without a time of day stands for; None refuses such dates
    order : "dmy" or "mdy", for dates that end with the year

    Returns
    -------
    times : zone-aware, microseconds; NaT where missing or faulty
    faults : position -> what is wrong and how to fix it
    """
    series = pd.Series(text, dtype=object)
    wall = pd.Series(pd.NaT, index=series.index, dtype="datetime64[us]")
    out = pd.Series(pd.NaT, index=series.index, dtype=UTC)
    faults: dict[int, Fault] = {}
    given = np.array([v != "" for v in text], bool)
    with_offset = np.array([WITH_OFFSET(v) is not None for v in text], bool)
    # pandas refuses columns that mix offsets unless it may convert them to UTC; the instant is the same.
    out[with_offset] = pd.to_datetime(series[with_offset], format="ISO8601", utc=True, errors="coerce").astype(UTC)
    without = np.array([ISO(v) is not None for v in text], bool)
    wall[without] = pd.to_datetime(series[without], format="ISO8601", errors="coerce").astype("datetime64[us]")
    for i in np.flatnonzero((with_offset & out.isna()) | (without & wall.isna())):
        faults[int(i)] = ("this is not a date in the calendar or a time of day", "Correct the date")
    rest = given & ~with_offset & ~without
    if rest.any():
        wall[rest] = _calendar(series[rest], dates, order, faults)
    local = _localise(wall[wall.notna()], zone, faults)
    out[local.index] = local.dt.tz_convert("UTC")
    return pd.DatetimeIndex(out).tz_convert(zone), faults


def _calendar(series: pd.Series, dates: pd.Timedelta | None, order: str | None, faults: dict[int, Fault]) -> pd.Series:
    """Wall-clock times from the other ways to write a date; NaT and a fault where there is none."""
    part = series.str.extract(CALENDAR)
    whole = part[["a", "b", "c", "hour", "minute", "second"]].apply(pd.to_numeric, errors="coerce")
    year_first = (part["a"].str.len() == 4) & (part["c"].str.len() <= 2)
    year_last = (part["c"].str.len() == 4) & (part["a"].str.len() <= 2)
    order = order or _shown_order(whole[year_last])
    day, month = (whole["b"], whole["a"]) if order == "mdy" else (whole["a"], whole["b"])
    hour = whole["hour"] % 12 + 12 * (part["half"].str.lower() == "pm") if part["half"].notna().any() else whole["hour"]
    hour = hour.where(part["half"].notna(), whole["hour"])
    fields = {
        "year": whole["a"].where(year_first, whole["c"]),
        "month": whole["b"].where(year_first, month),
        "day": whole["c"].where(year_first, day),
        "hour": hour.fillna(0),
        "minute": whole["minute"].fillna(0),
        "second": whole["second"].fillna(0),
    }
    ordered = year_first | (year_last & (order is not None))
    only_date = ordered & whole["hour"].isna()
    valid = ordered & (fields["hour"] < 24) & (fields["minute"] < 60) & (fields["second"] < 60)
    wall = pd.to_datetime(pd.DataFrame(fields).where(valid), errors="coerce").astype("datetime64[us]")
    for i in series.index[wall.isna() | (only_date & (dates is None))]:
        faults[int(i)] = _why(
            series[i],
            year_last[i] and order is None,
            bool(ordered[i]),
            bool(only_date[i] and valid[i] and dates is None),
        )
    if dates is None:
        return wall.where(~only_date)
    return wall.where(~only_date, wall + dates)


def _shown_order(parts: pd.DataFrame) -> str | None:
    """ "dmy" or "mdy" when a day above 12 shows it and none contradicts."""
    first, second = (parts["a"] > 12).any(), (parts["b"] > 12).any()
    return "dmy" if first and not second else "mdy" if second and not first else None


def _why(text: str, unordered: bool, ordered: bool, only_date: bool) -> Fault:
    if re.match(EXCEL_SERIAL, text):
        seen = pd.Timestamp("1899-12-30") + pd.Timedelta(days=float(text))
        return (
            f"this is Excel's internal number for a date, {seen.round('s').isoformat(' ')} or four years later",
            "Format the column as date and time in Excel and save it again",
        )
    if unordered:
        return (
            "the day and the month cannot be told apart",
            "Write 2024-06-30 12:34, or give dates='dmy' or dates='mdy'",
        )
    if only_date:
        return ("the time of day is missing", "Write date and time, e.g. 2024-06-30 12:34")
    if ordered:
        return ("this is not a date in the calendar or a time of day", "Correct the date")
    return ("this is not a date and time", "Write it as 2024-06-30 12:34 or 2024-06-30T12:34:00+08:00")


def _localise(wall: pd.Series, zone: tzinfo, faults: dict[int, Fault]) -> pd.Series:
    """Wall-clock times as instants; the hours around a clock change that cannot be known are faults."""
    local = wall.dt.tz_localize(zone, nonexistent="NaT", ambiguous="NaT")
    for i in local.index[local.isna()]:
        skipped = pd.isna(wall[i].tz_localize(zone, nonexistent="NaT", ambiguous=True))
        faults[int(i)] = (
            "this local time does not exist: the clocks went forward then"
            if skipped
            else "this local time came twice: the clocks went back then",
            "Give the offset (e.g. 2024-10-27T02:30:00+02:00), or use a time zone without summer time such as '+01:00' "
            "when the cameras' clocks were never changed",
        )
    return local


def plain_date(text: object) -> pd.Timestamp:
    """A local date, without the time that may follow it.

    Raises
    ------
    ValueError : it is not written year first: 03/04/2025 is a day in March for one and in April for another

    >>> plain_date("2025-04-03")
    Timestamp('2025-04-03 00:00:00')
    """
    if re.fullmatch(r"\d{4}-\d\d?-\d\d?(?:[T ].*)?", str(text).strip()) is None:
        raise ValueError(f"no date with the year first: {text}")
    return pd.Timestamp(str(text).strip()).tz_localize(None).normalize()
