"""Columns: text of a sheet as numbers, times and choices; every value that cannot be read is a named problem."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from difflib import get_close_matches
from typing import SupportsIndex

import numpy as np
import pandas as pd

from .errors import ROWS_SHOWN, Problems, SurveyWarning
from .levels import misspelled
from .sexes import NO_SEX, SEX, is_sex, no_sexes
from .sheets import Sheet
from .times import parse_times

MISSING = frozenset({"", "NA", "NaN", "nan", "N/A", "#N/A", "NULL", "null", "None", "none", "<NA>"})
MOSTLY = 0.8  # share of numbers from which a column is told to hold words by mistake
DEGREES = re.compile(r".*\d.*[°º].*|[NSEW].*\d.*|.*\d\s*[NSEW]", re.IGNORECASE)
EXCEL_ERRORS = frozenset({"#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"})
# 1.0 and 0.0 are what R and pandas write for 1 and 0 beside a gap
TRUE, FALSE = frozenset({"true", "t", "yes", "y", "1", "1.0"}), frozenset({"false", "f", "no", "n", "0", "0.0"})


class Columns:
    """Typed reading of one sheet.

    Parameters
    ----------
    sheet : the text
    problems : where faults are collected, so that all are told at once
    names : what this project calls a column -> what the file calls it, where they differ. Headings are also found
        when only case, blanks, `_` or `-` differ.
    order : "dmy" or "mdy" for dates that end with the year
    """

    def __init__(
        self, sheet: Sheet, problems: Problems, names: Mapping[str, str] | None = None, order: str | None = None
    ):
        self.sheet, self.problems, self.order = sheet, problems, order
        self._names = dict(names or {})
        self._or_map = "" if names is None else ", or name yours in the mapping"
        self._found = {_loose(heading): heading for heading in reversed(sheet.headings)}

    def __len__(self) -> int:
        return len(self.sheet)

    @property
    def row(self) -> np.ndarray:
        return self.sheet.row

    def heading(self, name: str) -> str | None:
        """The file's heading for column `name`, None when the file has none."""
        wanted = self._names.get(name, name)
        return wanted if wanted in self.sheet.raw else self._found.get(_loose(wanted))

    def has(self, *names: str) -> bool:
        return all(self.heading(name) is not None for name in names)

    def fault(self, i: SupportsIndex, what: str, fix: str, value: object = None) -> None:
        """Record i of the sheet (from 0) is wrong."""
        self.problems.add(what, fix, file=self.sheet.name, row=int(self.row[i]), value=value)

    def require(self, *names: str) -> bool:
        """Whether all columns are there; those that are not are one problem each."""
        before = len(self.problems.found)
        for name in names:
            heading = self.heading(name)
            if heading is None:
                self._missing(name)
            elif heading in self.sheet.repeated:
                self.problems.add(
                    f"the heading {heading!r} is used twice", "Delete or rename one", file=self.sheet.name, row=1
                )
        return len(self.problems.found) == before

    def _missing(self, name: str) -> None:
        wanted = self._names.get(name, name)
        close = get_close_matches(wanted, self.sheet.headings, n=1, cutoff=0.7)
        self.problems.add(
            f"there is no column {wanted!r}" + (f" for {name!r}" if wanted != name else ""),
            (f"Did you mean {close[0]!r}? Rename it" if close else "Add it") + self._or_map + self._or_join(name),
            file=self.sheet.name,
            row=1,
            value=self.sheet.headings[:12],
        )

    def _or_join(self, name: str) -> str:
        """Date and time in two columns, where a mapping can join them."""
        parts = [h for part in ("date", "time|hour") for h in self.sheet.headings if re.search(part, h, re.IGNORECASE)]
        two = name == "time" and self._or_map and len(parts) == 2 and parts[0] != parts[1]
        return f'; there two columns can be one: time = ["{parts[0]}", "{parts[1]}"]' if two else ""

    # ---- types ----------------------------------------------------------------------------------------------------

    def text(self, name: str, *, required: bool = False) -> np.ndarray:
        """object [n] of text; "" where missing or when there is no such column."""
        heading = self.heading(name)
        if heading is None:
            return np.full(len(self), "", object)
        raw = self.sheet.raw[heading]
        plain = {v: v.strip() for v in set(raw)}  # a column has fewer different values than rows
        plain = {v: "" if text in MISSING else text for v, text in plain.items()}
        values = np.empty(len(raw), object)
        values[:] = list(map(plain.__getitem__, raw))
        broken = [] if EXCEL_ERRORS.isdisjoint(raw) else [i for i, v in enumerate(values) if v in EXCEL_ERRORS]
        for i in broken:
            self.fault(i, f"{heading} holds an error of Excel", "Correct the formula in the workbook", values[i])
            values[i] = ""
        if required:
            for i in np.setdiff1d(np.flatnonzero(values == ""), broken):
                self.fault(i, f"{heading} is missing", "Fill it in")
        return values

    def number(
        self, name: str, *, required: bool = False, low: float = -np.inf, high: float = np.inf, whole: bool = False
    ) -> np.ndarray:
        """float [n]; NaN where missing."""
        text = self._points(name, self.text(name, required=required))
        values = pd.to_numeric(pd.Series(text, dtype=object).replace("", None), errors="coerce").to_numpy(float)
        given = text != ""
        heading = self.heading(name)
        for i in np.flatnonzero(given & ~np.isfinite(values)):
            comma = "," in text[i]
            fix = "Write decimals with a point, and thousands without a mark" if comma else "Correct the value"
            if name in ("longitude", "latitude") and DEGREES.fullmatch(text[i]):
                fix = "Write decimal degrees: 99.0313 for 99°01'52.7\"E, and a minus for west and south"
            what = f"{heading} must be a number" + (", and the comma is unclear" if comma else "")
            self.fault(i, what, fix, text[i])
        for i in np.flatnonzero((values < low) | (values > high)):
            self.fault(i, f"{heading} must be {_range(low, high)}", "Correct the value", _number(values[i]))
        if whole:
            for i in np.flatnonzero(np.isfinite(values) & (values != np.floor(values))):
                self.fault(i, f"{heading} must be a whole number", "Correct the value", _number(values[i]))
        return values

    def covariate(self, name: str) -> np.ndarray | pd.Series:
        """Numbers where all that is given are numbers, else text; missing where nothing is given.

        A SurveyWarning tells of a column of numbers that holds a few words, which is text then, and of rare values
        that look like frequent ones, which are different ones. In a column of sexes a word that is none is a fault.
        """
        text = self.text(name)
        given = text != ""
        plain = Columns(self.sheet, Problems()).number(name)  # what is no number here is text, and no fault
        number = np.isfinite(plain)
        if given.any() and number[given].all():
            return plain
        words = np.flatnonzero(given & ~number)
        if len(words) and number.sum() >= MOSTLY * given.sum():
            first, n, row = text[words[0]], len(words), int(self.row[words[0]])
            why = f"{n:,} of {given.sum():,} values {'is' if n == 1 else 'are'} no number: {first!r} in row {row}"
            what = f"{self.sheet.name}: {self.heading(name)!r} is taken for words, because {why}"
            warnings.warn(what, SurveyWarning, stacklevel=2)
        self._levels(name, text)
        return pd.Series([v or None for v in text], dtype=object)

    def _levels(self, name: str, text: np.ndarray) -> None:
        """Tell of words of a covariate that are perhaps one, and refuse words for a sex that are none."""
        heading, where = self.heading(name), f"{self.sheet.name}: {self.heading(name)!r}"
        distinct = sorted(set(text) - {""})
        spelled = pd.Series(distinct, dtype=object)
        key = spelled.map(lambda v: " ".join(str(v).casefold().split()))
        if is_sex(heading):
            strange = no_sexes(distinct)
            for i in np.flatnonzero([v in strange for v in text]):
                self.fault(i, f"{heading} must be one of female, male", NO_SEX, text[i])
            for sex in ("female", "male"):
                words = sorted({str(v).casefold() for v in distinct if SEX.get(v.casefold()) == sex})
                if len(words) > 1:
                    what = f"{where} has several words for {sex}, which are different values: "
                    warnings.warn(what + ", ".join(map(repr, words)), SurveyWarning, stacklevel=3)
        folded = [alike for alike in spelled.groupby(key).agg(list) if len(alike) > 1]
        for alike in folded:
            what = f"{where} has values that differ in case or blanks only: "
            warnings.warn(what + ", ".join(map(repr, alike[:4])), SurveyWarning, stacklevel=3)
        for rare, often in misspelled(text).items():
            rows = self.row[text == rare]
            if not any({rare, often} <= set(alike) for alike in folded):
                shown = ", ".join(map(str, rows[:ROWS_SHOWN])) + (" …" if len(rows) > ROWS_SHOWN else "")
                what = (
                    f"{where} is {rare!r} in row{'s' * (len(rows) > 1)} {shown} and {often!r} in {sum(text == often)}"
                )
                warnings.warn(f"{what}: write one word if both mean the same", SurveyWarning, stacklevel=3)

    def _points(self, name: str, text: np.ndarray) -> np.ndarray:
        """Decimal commas as points, where they cannot be marks of thousands."""
        heading = self.heading(name)
        if heading is None or not self.sheet.decimal_comma:
            return text
        commas = [v for v in text if "," in v]
        plain = all(re.fullmatch(r"[+-]?\d+,\d+", v) for v in commas)
        if commas and plain and any(not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", v) for v in commas):
            return np.array([v.replace(",", ".") for v in text], object)
        return text

    def flag(self, name: str) -> np.ndarray:
        """bool [n]; False where missing."""
        words = dict.fromkeys(TRUE, "true") | dict.fromkeys(FALSE, "false")
        return self._translate(name, self.text(name), words, "true or false") == "true"

    def choice(self, name: str, choices: Sequence[str] | Mapping[str, str], *, required: bool = False) -> np.ndarray:
        """object [n]: one of `choices` (whatever the case), or what a mapping makes of it; "" where missing."""
        mapping = choices if isinstance(choices, Mapping) else {c: c for c in choices}
        known = {k.casefold(): v for k, v in mapping.items()}
        words = "one of " + ", ".join(dict.fromkeys(v for v in known.values() if v))
        return self._translate(name, self.text(name, required=required), known, words)

    def _translate(self, name: str, text: np.ndarray, known: dict[str, str], words: str) -> np.ndarray:
        """object [n]: what `known` makes of each text in lower case; "" where missing or, with a fault, not known."""
        distinct = set(text) - {""}
        wrong = {v for v in distinct if v.casefold() not in known}
        for i in [i for i, v in enumerate(text) if v in wrong] if wrong else []:
            self.fault(i, f"{self.heading(name)} must be {words}", "Correct the value", text[i])
        meaning = {v: known.get(v.casefold(), "") for v in distinct} | {"": ""}
        return np.array([meaning[v] for v in text], object)

    def time(
        self, name: str, zone: tzinfo, *, required: bool = False, dates: pd.Timedelta | None = None
    ) -> pd.DatetimeIndex:
        """Zone-aware local times [n]; NaT where missing. `dates`: what a date without a time stands for."""
        text = self.text(name, required=required)
        times, faults = parse_times(text, zone, dates=dates, order=self.order)
        for i, (what, fix) in sorted(faults.items()):
            self.fault(i, f"{self.heading(name)}: {what}", fix, text[i])
        return times

    def unique(self, name: str, values: np.ndarray) -> None:
        """Every value that occurs again is a problem that names both rows."""
        if len(set(values)) == len(values):
            return
        first = pd.Series(self.row).groupby(pd.Series(values)).transform("first").to_numpy()
        again = np.flatnonzero(pd.Series(values).duplicated().to_numpy() & (values != ""))
        for i in again:
            self.fault(i, f"{self.heading(name)} is the same as in row {first[i]}", "Give every row its own", values[i])


def _loose(heading: str) -> str:
    return re.sub(r"[\s_\-.]+", "", heading).casefold()


def _range(low: float, high: float) -> str:
    if np.isinf(high):
        return f"{low:g} or more"
    return f"between {low:g} and {high:g}"


def _number(value: float) -> float | int:
    """The plain Python number, as a person would write it."""
    return int(value) if float(value).is_integer() else float(value)
