"""A habitat mask from a table: one row for each cell, as the R package secr reads and writes them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from ..crs import looks_like_degrees
from ..errors import Problems, SurveyWarning, refuse
from ..habitat import HabitatMask
from .plain import in_file
from .secr_text import MISSING, _number, _Text


def read_mask(
    path: str | Path, spacing: float | None = None, *, crs=None, sep: str | None = None, encoding: str | None = None
) -> HabitatMask:
    """The habitat mask in a text file with a heading: x, y [m], the centre of a cell, and covariates as numbers.

    Parameters
    ----------
    path : text file with commas, blanks or tabs between the values
    spacing : side of a cell, metres; by default the distance between neighbouring columns or rows of the cells
    crs : projected CRS of x and y, None for local metres
    sep, encoding : as for `read_secr`

    Headings that formulas cannot use get _ for what is neither letter, digit nor dot, and a warning says so. Columns
    without a heading, such as names of rows, are not read.

    Raises
    ------
    SurveyError : no columns x and y, headings used twice, values that are no numbers (all of them, with their rows),
        degrees, points on no grid
    """
    text = _Text.of(path, sep, encoding, number_at=0)
    header = [word.casefold() if word in ("X", "Y") else word for word in text.header]
    if not text.lines or not {"x", "y"} <= set(header):
        fix = "Give a first line with x, y and the names of covariates, and commas, blanks or tabs between the values"
        raise refuse("a table of a habitat mask needs the columns x and y", fix, file=path, value=text.header or None)
    bad, rows, used = Problems(), [], [_usable(word) for word in header if word]
    for name in sorted({name for name in used if used.count(name) > 1}):
        bad.add(f"the heading {name!r} is used twice", "Delete or rename one", file=text.name)
    for line in text.lines:
        values = [float("nan") if word in MISSING else _number(word) for word in line.words]
        if len(values) != len(header):
            what = f"the row has {len(values)} values and the heading {len(header)}"
            bad.add(what, "Fill in what is missing", file=text.name, row=line.row)
            continue
        for name, value, word in zip(header, values, line.words, strict=True):
            if name and not np.isfinite(value):
                fix = "Give a number to every cell; of kinds a number to each, and write C(name) in formulas"
                bad.add(f"{name} must be a number", fix, file=text.name, row=line.row, value=word)
        rows.append(values)
    bad.raise_any()
    table = pd.DataFrame(rows, columns=header)[[name for name in header if name]]
    if looks_like_degrees(table["x"], table["y"]):
        raise refuse("x and y of the cells are degrees, not metres", "Give them in metres of crs", file=path)
    covariates = table.drop(columns=["x", "y"]).rename(columns=_usable)
    for theirs, ours in zip(table.columns.drop(["x", "y"]), covariates, strict=True):
        if theirs != ours:
            warnings.warn(f"{theirs!r} is called {ours!r} in formulas", SurveyWarning, stacklevel=2)
    with in_file(path):
        step = _spacing(table) if spacing is None else spacing
        return HabitatMask.from_points(table["x"], table["y"], step, crs, covariates)


def _spacing(table: pd.DataFrame) -> float:
    """The distance between neighbouring columns or rows of cells, from the whole span of them where it is rounded."""
    places = [np.unique(np.round(table[name], 6)) for name in ("x", "y")]
    if max(map(len, places)) < 2:
        raise refuse("one cell does not say how large it is", "Give spacing, in metres")
    step = min(np.diff(at).min() for at in places if len(at) > 1)
    span = max(np.ptp(at) for at in places)
    even = span / np.rint(span / step)
    return float(even if abs(even - step) < 0.01 * step else step)


def _usable(name: str) -> str:
    """The name that formulas can use."""
    usable = re.sub(r"[^\w.]", "_", name)
    return usable if usable.replace(".", "_").isidentifier() else f"_{usable}"
