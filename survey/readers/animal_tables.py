"""Marked animals from plain tables: encounters, histories, and the fates of collared animals."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ..columns import Columns
from ..encounters import DIGITS, MISSING, EncounterHistory
from ..errors import ROWS_SHOWN, Problems, SurveyWarning, refuse
from ..monitored import MonitoredAnimals
from ..times import plain_date
from .plain import covariates, in_file, labels, only_once, open_table

CLOCKS = ("calendar", "entry")


def read_encounters(
    path: str | Path,
    *,
    occasions: str | Path | None = None,
    animals: str | Path | None = None,
    encoding: str | None = None,
    **more,
) -> EncounterHistory:
    """Encounter histories from a table with one row per encounter.

    Parameters
    ----------
    path : CSV or Excel file with `animal` and `occasion`, and where there are such `state` (1, 2, …) and `removed`
    occasions : table with `occasion`, all of them in order, also those without encounters, and covariates; those met,
        sorted, by default
    animals : table with `animal` and covariates
    more : `intervals`, `interval_unit`, as for `EncounterHistory`

    The names of the occasions are among their covariates, as `occasion`.

    Raises
    ------
    SurveyError : missing columns, encounters on occasions that are not listed, two states of one animal on one
        occasion, …; all bad rows at once
    """
    bad = Problems()
    table = open_table(path, bad, None, encoding)
    if not table.require("animal", "occasion"):
        bad.raise_any()
    frame: dict = {"animal": table.text("animal", required=True), "occasion": labels(table, "occasion")}
    if table.has("state"):
        frame["state"] = table.number("state", required=True, low=1, high=99, whole=True)
        unlike = pd.DataFrame(frame).groupby(["animal", "occasion"])["state"].transform("nunique").to_numpy() > 1
        for i in np.flatnonzero(unlike):
            what = f"{frame['animal'][i]!r} was met in two states on occasion {frame['occasion'][i]}"
            table.fault(i, what, "Keep one", int(frame["state"][i]))
    if table.has("removed"):
        frame["removed"] = table.flag("removed")
    known = read_occasions(occasions, bad, encoding)
    if known is None:
        known = pd.DataFrame(index=pd.Index(sorted(set(frame["occasion"]))))
    else:
        for i in [i for i, occasion in enumerate(frame["occasion"]) if occasion not in set(known.index)]:
            fix = f"Add it to {Path(str(occasions)).name}, or correct it"
            table.fault(i, "the occasion is not in the table of occasions", fix, frame["occasion"][i])
    who = read_animals(animals, bad, encoding)
    _check_steps(list(known.index), more, bad, path)
    bad.raise_any()
    rows = pd.DataFrame(frame)
    rows = rows.astype({"state": int}) if "state" in rows else rows
    with in_file(path):
        return EncounterHistory.from_table(rows, known.assign(occasion=known.index), who, **more)


def read_histories(
    path: str | Path,
    *,
    occasions: Sequence[str] | None = None,
    codes: Mapping[str, int] | None = None,
    encoding: str | None = None,
    **more,
) -> EncounterHistory:
    """Encounter histories from a table with one row per animal.

    Parameters
    ----------
    path : CSV or Excel file with `animal` (it may be missing), optionally `frequency` and `removed`, a column for each
        occasion (0 not met, 1 met, 2, 3, … met in other states; empty or a dot: nobody looked), and covariates. Or with
        the whole history as text in `ch` (0110), and its number in `freq` or `frequency` (negative: these were not
        released after their last encounter), as tables for the R packages RMark and marked have it
    occasions : headings of the occasions in order; by default all headings that are whole numbers, such as years
    codes : numbers of states that `ch` writes as letters, {"A": 1, "B": 2}
    more : `intervals`, `interval_unit`, as for `EncounterHistory`

    The headings of the occasions are among their covariates, as `occasion`.

    Raises
    ------
    SurveyError : no columns of occasions, values that are no states, animals given twice; all bad rows at once
    """
    bad = Problems()
    table = open_table(path, bad, None, encoding)
    headings = table.sheet.headings
    chosen = list(occasions) if occasions is not None else [h for h in headings if h.isdigit()]
    for h in headings if occasions is None and chosen else ():
        if not h.isdigit() and re.fullmatch(r"\d[\d\s.,'_-]*", h):
            fix = "Write the number of the occasion only, or give occasions= if this is a covariate"
            bad.add("the heading is almost a whole number", fix, file=path, row=1, value=h)
    bad.raise_any()
    if not chosen and table.has("ch"):
        return _from_text(table, codes or {}, bad, more)
    if not chosen:
        fix = "Name them with occasions, or call them by whole numbers such as years"
        raise refuse("there are no columns of occasions", fix, file=path, row=1, value=headings[:12])
    if not table.require(*chosen):
        bad.raise_any()
    states = np.column_stack([_states(table, heading) for heading in chosen])
    names = _names(table)
    for i in np.flatnonzero(~(states > 0).any(axis=1)):
        table.fault(i, "the animal was never met", "Leave its row out", names[i])
    frequency = table.number("frequency", required=True, low=0, whole=True) if table.has("frequency") else None
    removed = table.flag("removed") if table.has("removed") else None
    who = covariates(table, "animal", "frequency", "removed", *chosen).set_axis(pd.Index(names), axis=0)
    _check_steps([int(h) if h.isdigit() else h for h in chosen], more, bad, path)
    bad.raise_any()
    with in_file(path):
        named = pd.DataFrame({"occasion": [int(h) if h.isdigit() else h for h in chosen]})
        return EncounterHistory(states, frequency, removed, who, named, **more)


def _from_text(table: Columns, codes: Mapping[str, int], bad: Problems, more: dict[str, Any]) -> EncounterHistory:
    """Histories as text in the column `ch`, with numbers in `freq`."""
    names, written = _names(table), table.text("ch", required=True)
    length = max(map(len, written), default=0)
    known = DIGITS | dict(codes)
    for i, history in enumerate(written):
        if not history:
            continue  # told already
        if len(history) < length:
            fix = "Complete it (programs for tables drop leading zeros of numbers: keep the column as text)"
            table.fault(i, f"a history has {len(history)} characters and others have {length}", fix, history)
        elif set(history) - set(known):
            table.fault(i, "a history has characters that are not known", "Correct it, or give codes", history)
        elif not any(known[c] > 0 for c in history):
            table.fault(i, "the animal was never met", "Leave its row out", history)
    many = "freq" if table.has("freq") else "frequency"
    count = table.number(many, required=True, whole=True) if table.has(many) else np.ones(len(table))
    lost = table.flag("removed") if table.has("removed") else np.zeros(len(table), bool)
    who = covariates(table, "animal", "ch", many, "removed").set_axis(pd.Index(names), axis=0)
    bad.raise_any()
    kept = count != 0
    more = {"removed": (lost | (count < 0))[kept], "animals": who[kept]} | more
    with in_file(table.sheet.name):
        return EncounterHistory.from_strings(list(written[kept]), np.abs(count[kept]).astype(int), codes, **more)


def _names(table: Columns) -> np.ndarray:
    """Names of the animals: as given, else 1, 2, …"""
    if not table.has("animal"):
        return np.array([str(i + 1) for i in range(len(table))], object)
    names = table.text("animal")
    table.unique("animal", names)
    return names


def _states(table, heading: str) -> np.ndarray:
    text = np.where(table.text(heading) == ".", "", table.text(heading))
    number = pd.to_numeric(pd.Series(np.where(text == "", MISSING, text)), errors="coerce").to_numpy(float)
    wrong = ~((number >= 0) & (number < 100) & (number == np.floor(number))) & (text != "")
    for i in np.flatnonzero(wrong):
        table.fault(i, f"occasion {heading} must be 0, 1, a state or empty", "Correct the value", text[i])
    return np.where(wrong, 0, number).astype(int)


def read_fates(
    path: str | Path,
    length: float | str,
    *,
    clock: str = "calendar",
    begin: str | float | None = None,
    encoding: str | None = None,
    period: str = "period",
    dates: str | None = None,
) -> MonitoredAnimals:
    """Fates of collared or released animals from a table with one row per animal.

    Parameters
    ----------
    path : CSV or Excel file with `animal`, `entry`, `exit` (local dates, or numbers such as weeks since release) and
        `died` (yes or no: at `exit`; no means that monitoring ended), and covariates
    length : of a period: a number, or for dates such as "7 days"
    clock : "calendar": periods are the same weeks (months, …) for all animals; "entry": every animal's first period
        begins when it is released or collared, so that survival is that of the time since then
    begin : of the first period of the calendar; the first entry by default
    period : what a period is, such as "week"
    dates : "dmy" or "mdy" for dates that end with the year

    Raises
    ------
    SurveyError : missing columns, dates that cannot be read, an exit before the entry, animals given twice; all bad
        rows at once
    """
    if clock not in CLOCKS:
        raise refuse("this clock is not known", f"Use {' or '.join(map(repr, CLOCKS))}", value=clock)
    if clock == "entry" and begin is not None:
        raise refuse("with clock='entry' every animal begins by itself", "Leave begin out", value=begin)
    bad = Problems()
    table = open_table(path, bad, None, encoding)
    table.order = dates
    if not table.require("animal", "entry", "exit", "died"):
        bad.raise_any()
    names = table.text("animal", required=True)
    table.unique("animal", names)
    dated = isinstance(length, str)
    zone = ZoneInfo("UTC")
    if dated:
        entry, exit = (table.time(name, zone, required=True, dates=pd.Timedelta(0)) for name in ("entry", "exit"))
    else:
        entry, exit = (table.number(name, required=True) for name in ("entry", "exit"))
    table.text("died", required=True)
    died = table.flag("died")
    for i in np.flatnonzero(np.asarray(exit < entry)):
        table.fault(i, "the exit is before the entry", "Correct one of the two", table.text("exit")[i])
    if dated:  # a century is easily mistyped, and says that the animal was watched until today
        late = np.flatnonzero(np.asarray(exit > pd.Timestamp.now("UTC") + pd.Timedelta(days=1)))
        if len(late):
            rows = ", ".join(str(table.row[i]) for i in late[:ROWS_SHOWN]) + (" …" if len(late) > ROWS_SHOWN else "")
            what = f"the exit lies in the future in row{'s' * (len(late) > 1)} {rows}: is the year right?"
            warnings.warn(f"{table.sheet.name}: {what}", SurveyWarning, stacklevel=2)
    step = _length(length, bad)
    start = begin
    if dated and begin is not None:
        try:
            start = plain_date(begin).tz_localize("UTC")
        except ValueError:
            bad.add("begin is no date", "Write it as 2025-03-01", file=path, value=begin)
    bad.raise_any()
    frame = pd.DataFrame({"animal": names, "entry": entry, "exit": exit, "died": died})
    who = covariates(table, "animal", "entry", "exit", "died")
    if clock == "entry":
        frame = frame.assign(entry=0.0, exit=(frame["exit"] - frame["entry"]) / step)
        length = 1.0
    with in_file(path):
        return MonitoredAnimals.from_table(pd.concat([frame, who], axis=1), length, begin=start, period=period)


def _length(length: float | str, bad: Problems) -> Any:
    """The length of a period as a time or a number."""
    try:
        step: Any = pd.Timedelta(length) if isinstance(length, str) else float(length)
        if step > (pd.Timedelta(0) if isinstance(length, str) else 0.0):
            return step
    except ValueError:
        pass
    bad.add("this is no length of a period", "Write e.g. '7 days', or a number when entries are numbers", value=length)
    return 1.0


def _check_steps(occasions: list, more: dict[str, Any], bad: Problems, path: str | Path) -> None:
    """Occasions called by numbers rise; not equally far apart, as years with a gap, they need intervals.

    Survival over two years taken for that of one would come out too low.
    """
    if more.get("intervals") is not None or not all(isinstance(o, int) for o in occasions):
        return
    steps = np.diff(occasions)
    told = f"{', '.join(map(str, occasions[:8]))}{', …' if len(occasions) > 8 else ''}"
    if (steps <= 0).any():
        bad.add("the occasions do not rise by their names", "Give them in the order of time", file=path, value=told)
    elif len(set(steps.tolist())) > 1:
        fix = f"Give the time between them: intervals = {steps.tolist() if len(steps) <= 12 else '[…]'}"
        bad.add("the occasions are not equally far apart by their names", fix, file=path, value=told)


# ---- the tables beside --------------------------------------------------------------------------------------------


def read_occasions(path: str | Path | None, bad: Problems, encoding: str | None = None) -> pd.DataFrame | None:
    """Covariates of occasions, indexed by their names in order; None without a table."""
    if path is None:
        return None
    table = open_table(path, bad, None, encoding)
    if not table.require("occasion"):
        return None
    names = labels(table, "occasion")
    only_once(table, {"occasion": names}, "this occasion")
    return covariates(table, "occasion").set_axis(pd.Index(names, name="occasion"), axis=0)


def read_animals(path: str | Path | None, bad: Problems, encoding: str | None = None) -> pd.DataFrame | None:
    """Covariates of animals, indexed by their names; None without a table."""
    if path is None:
        return None
    table = open_table(path, bad, None, encoding)
    if not table.require("animal"):
        return None
    names = table.text("animal", required=True)
    table.unique("animal", names)
    return covariates(table, "animal").set_axis(pd.Index(names, name="animal"), axis=0)
