"""Plain tables: CSV or Excel files with named columns, in which every further column is a covariate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..columns import MOSTLY, Columns
from ..errors import Problems, SurveyError
from ..sheets import read_sheet


def open_table(
    path: str | Path, problems: Problems, names: Mapping[str, str] | None = None, encoding: str | None = None
) -> Columns:
    """The columns of a file; `names` maps what we call a column to what the file calls it."""
    sheet = read_sheet(path, encoding=encoding)
    columns = Columns(sheet, problems, names)
    for name, theirs in (names or {}).items():
        if theirs not in sheet.raw:
            columns.require(name)
    for heading in sorted(sheet.repeated):
        problems.add(f"the heading {heading!r} is used twice", "Delete or rename one", file=sheet.name, row=1)
    return columns


def covariates(columns: Columns, *ours: str) -> pd.DataFrame:
    """Every column that is not one of `ours`: numbers where all that is given are numbers, else text."""
    taken = {columns.heading(name) for name in ours}
    return pd.DataFrame({h: columns.covariate(h) for h in columns.sheet.headings if h not in taken})


def labels(columns: Columns, name: str) -> list:
    """Labels of seasons, visits or occasions: whole numbers where all are, else text; none may be missing."""
    text = columns.text(name, required=True)
    whole = np.array([re.fullmatch(r"[+-]?\d+", v) is not None for v in text], bool)
    if whole.all():
        return [int(v) for v in text]
    given = text != ""
    if whole.sum() >= MOSTLY * given.sum():  # one slip would make another season or occasion of it
        for i in np.flatnonzero(given & ~whole):
            what = f"{columns.heading(name)} is a whole number in most rows, and not here"
            columns.fault(i, what, "Correct the value", text[i])
    return list(text)


def only_once(columns: Columns, keys: Mapping[str, list], what: str) -> None:
    """A row whose keys are those of a row before is a problem that names both."""
    frame = pd.DataFrame(keys)
    first = pd.Series(columns.row).groupby([frame[name] for name in frame], dropna=False).transform("first").to_numpy()
    for i in np.flatnonzero(frame.duplicated().to_numpy()):
        found = ", ".join(f"{name} {frame[name].iloc[i]}" for name in frame)
        columns.fault(i, f"{what} is given twice, first in row {first[i]}", "Keep one row of each", found)


@contextmanager
def in_file(path: str | Path) -> Iterator[None]:
    """Problems that do not say where they are get the name of the file."""
    try:
        yield
    except SurveyError as error:
        raise SurveyError([p if p.file is not None else replace(p, file=path) for p in error.problems]) from None
