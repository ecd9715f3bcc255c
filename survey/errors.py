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
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(_lines(self.problems)))


def _lines(problems: list[Problem]) -> list[str]:
    if len(problems) == 1:
        return [str(problems[0])]
    lines = [f"{len(problems)} problems in the input:"]
    lines += [f"  {i}. {problem}" for i, problem in enumerate(problems[:MOST_SHOWN], 1)]
    if len(problems) > MOST_SHOWN:
        lines.append(f"  … and {len(problems) - MOST_SHOWN} more of the same reading.")
    return lines


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
