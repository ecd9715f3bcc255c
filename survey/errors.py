"""Errors that a survey team can act on: what is wrong, which value, which file and row, how to fix it.

All problems of one reading are collected and raised together, so that a table with twenty bad rows needs one
correction and not twenty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MOST_SHOWN = 20
ROWS_SHOWN = 6  # of those that have the same problem


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input, in words.

    `row` is the line a person sees in the file: the header is line 1, the first record line 2.
    """

    what: str
    fix: str
    file: str | Path | None = None
    row: int | None = None
    value: object = None

    def __str__(self) -> str:
        where = "" if self.file is None else f"{Path(self.file).name}"
        if self.row is not None:
            where += f", row {self.row}"
        value = self.value.item() if isinstance(self.value, np.generic) else self.value
        seen = "" if value is None else f" (found {value!r})"
        return f"{where + ': ' if where else ''}{self.what}{seen}. {self.fix}"


class SurveyError(ValueError):
    """The data cannot be used as they are; `problems` lists every reason."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        given = [problems] if isinstance(problems, Problem) else list(problems)
        self.problems = list({str(p): p for p in given}.values())  # the same is told once
        super().__init__("\n".join(_lines(self.problems)))


def _lines(problems: list[Problem]) -> list[str]:
    if len(problems) == 1:
        return [str(problems[0])]
    lines = [f"{len(problems)} problems in the input:"]
    told = [str(p) for p in problems] if len(problems) <= MOST_SHOWN else _alike(problems)
    lines += [f"  {i}. {text}" for i, text in enumerate(told[:MOST_SHOWN], 1)]
    if len(told) > MOST_SHOWN:
        lines.append(f"  … and {len(told) - MOST_SHOWN} more of the same reading.")
    return lines


def _alike(problems: list[Problem]) -> list[str]:
    """Problems in words, those of one file that say the same of several rows as one."""
    groups: dict[tuple, list[Problem]] = {}
    for p in problems:
        groups.setdefault((str(p.file), p.what, p.fix, None if p.row is not None else id(p)), []).append(p)
    told = []
    for same in groups.values():
        rows = ", ".join(str(p.row) for p in same[1:ROWS_SHOWN])
        more = f", and {len(same) - ROWS_SHOWN:,} more" if len(same) > ROWS_SHOWN else ""
        told.append(str(same[0]) + (f" (the same in row{'s' * (len(same) > 2)} {rows}{more})" if rows else ""))
    return told


def refuse(what: str, fix: str, *, file=None, row=None, value=None) -> SurveyError:
    """One problem as an error, for `raise refuse(...)`."""
    return SurveyError(Problem(what, fix, file, row, value))


@dataclass
class Problems:
    """Collects problems while a table is read; `raise_any()` at the end of the reading."""

    found: list[Problem] = field(default_factory=list)

    def add(self, what: str, fix: str, *, file=None, row=None, value=None) -> None:
        self.found.append(Problem(what, fix, file, row, value))

    def raise_any(self) -> None:
        if self.found:
            raise SurveyError(self.found)


class SurveyWarning(UserWarning):
    """Something a survey team should know; the work goes on."""
