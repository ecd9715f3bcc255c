"""Time stamps of the field: local clocks, offsets, dates without a time, and what cannot be read."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from .errors import refuse


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
