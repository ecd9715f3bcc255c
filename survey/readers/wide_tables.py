"""Tables with one row per site: which headings are visits, which are their covariates, which are of the site."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SurveyWarning, refuse

NUMBERED = re.compile(r"(.*?)([._ ]?)(\d+)")
USUAL = "y"  # what the visits are called in tables for the R package unmarked


@dataclass(frozen=True)
class Parts:
    """Headings of the visits in their order, of their covariates (name -> one heading per visit), and of the sites."""

    visits: list[str]
    covariates: dict[str, list[str]]
    sites: list[str]


def parts_of(headings: Sequence[str], visits: str | Sequence[str] | None, file) -> Parts | None:
    """How the headings of a table fall apart; None where nothing says so, and y.1, y.2, … are not there.

    Raises
    ------
    SurveyError : headings that are not there, visits numbered in two ways
    """
    given = visits if visits is not None else USUAL
    if isinstance(given, str):
        known = {h: NUMBERED.fullmatch(h) for h in headings}
        found = {h: m[2] for h, m in known.items() if m is not None and m[1] == given}
        if visits is None and len(found) < 2:
            return None
        if not found:
            fix = f"Give what their headings begin with, as 'y' of y.1, y.2, …; there are {', '.join(headings)}"
            raise refuse("no column is a visit", fix, file=file, value=given)
        if len(set(found.values())) > 1:
            fix = f"Write all headings alike, or give the headings: {', '.join(found)}"
            raise refuse("the visits are numbered in two ways", fix, file=file, value=given)
        order = list(found)
    else:
        order = [str(h) for h in given]
        if len(set(order)) < len(order):
            raise refuse("a visit is given twice", "Give each heading once", file=file, value=order)
        lacking = [h for h in order if h not in headings]
        if lacking:
            raise refuse("the table has no such visits", f"There are {', '.join(headings)}", file=file, value=lacking)
    endings = [_ending(h) for h in order]
    covariates: dict[str, list[str]] = {}
    for heading in headings:
        parsed = NUMBERED.fullmatch(heading)
        if heading in order or parsed is None or not parsed[1] or parsed[1] in covariates:
            continue
        family = [parsed[1] + ending for ending in endings]
        if len(order) > 1 and heading in family and set(family) <= set(headings):
            covariates[parsed[1]] = family
    taken = {*order, *(h for family in covariates.values() for h in family)}
    _tell_of_gaps([h for h in headings if h not in taken], endings, file)
    return Parts(order, covariates, [h for h in headings if h not in taken])


def _tell_of_gaps(headings: list[str], endings: list[str], file) -> None:
    """Warns of columns numbered as visits are, of which not all are there: by a slip they are covariates of sites."""
    families: dict[str, list[str]] = {}
    for heading in headings:
        for ending in filter(None, endings):
            name = heading.removesuffix(ending)
            if name not in ("", heading) and not name[-1].isdigit():
                families.setdefault(name, []).append(heading)
    for found in families.values():
        if len(found) > 1:
            what = f"{Path(file).name}: {', '.join(found)} are taken for covariates of sites: as covariates of visits "
            warnings.warn(what + f"they would be {len(endings)}, numbered like the visits", SurveyWarning, stacklevel=4)


def check_seasons(n_visits: int, n_seasons: int, file) -> None:
    """That the visits of a table are so many seasons of equally many.

    Raises
    ------
    SurveyError : they are not
    """
    if n_seasons < 1 or n_seasons != int(n_seasons):
        raise refuse("n_seasons must be a whole number above 0", "Give the number of seasons", value=n_seasons)
    if n_visits % n_seasons:
        fix = "Give every season the same number of visits, empty or a dot where there was none"
        raise refuse(f"{n_visits} visits are not {n_seasons} seasons of equally many", fix, file=file)


def _ending(heading: str) -> str:
    """The number with what separates it from the name: ".1" of y.1; "" of a heading without a number."""
    parsed = NUMBERED.fullmatch(heading)
    return "" if parsed is None else parsed[2] + parsed[3]
