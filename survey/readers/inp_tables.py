"""MARK's input files of animals with known fate, and of sites with visits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..detections import DetectionHistory
from ..encounters import InpRows, read_rows
from ..errors import refuse
from ..monitored import MonitoredAnimals
from .wide_tables import check_seasons

DIGITS = "0123456789"
FATES = {"10": (True, False), "11": (True, True), "00": (False, False), "..": (False, False)}


def read_fates_inp(
    path: str | Path,
    groups: Sequence[str] | Mapping[str, Sequence] = (),
    covariates: Sequence[str] = (),
    *,
    period: str = "period",
) -> MonitoredAnimals:
    """Read a MARK input file of known fates: for each period 10 (lived through it), 11 (died), 00 (not watched).

    Parameters
    ----------
    path, groups, covariates : as for `read_inp`; an animal with frequency 3 becomes three animals
    period : what a period is, such as "week"

    Raises
    ------
    SurveyError : lines that cannot be read, pairs that are none of these, life after death; with their line number
    """
    rows = read_rows(path, groups, covariates, characters="01.", check=_no_fates)
    if len(rows.history[0]) % 2:
        raise refuse("a history of known fates has two characters per period", "Correct the file", file=path)
    pairs = [_pairs(history) for history in rows.history]
    fates = np.array([[FATES[pair] for pair in each] for each in pairs])[_each(rows)]
    return MonitoredAnimals(fates[:, :, 0], fates[:, :, 1], _repeated(rows), period=period)


def read_visits_inp(
    path: str | Path,
    groups: Sequence[str] | Mapping[str, Sequence] = (),
    covariates: Sequence[str] = (),
    *,
    n_seasons: int = 1,
    **more: Any,
) -> DetectionHistory:
    """Read a MARK input file of sites: a digit for each visit, 0 nothing found, a dot where there was no visit.

    Parameters
    ----------
    path, groups, covariates : as for `read_inp`; they become covariates of sites, and a line with frequency 3 three
        sites
    n_seasons : number of seasons, equally many visits in each
    more : `area` and `effort_unit`, as for `DetectionHistory`

    Raises
    ------
    SurveyError : lines that cannot be read, with their line number
    """
    rows = read_rows(path, groups, covariates, characters=DIGITS + ".", check=_negative("sites"))
    check_seasons(len(rows.history[0]), n_seasons, path)
    values = np.array([[np.nan if c == "." else float(c) for c in h] for h in rows.history])[_each(rows)]
    values = values.reshape(len(values), n_seasons, -1) if n_seasons > 1 else values
    return DetectionHistory.from_wide(values, sites=_repeated(rows), **more)


def _each(rows: InpRows) -> np.ndarray:
    return np.repeat(np.arange(len(rows.frequency)), rows.frequency)


def _repeated(rows: InpRows) -> pd.DataFrame:
    """Groups and covariates, one row per animal or site."""
    frame = rows.animals.iloc[_each(rows)]
    return frame.set_axis([str(i + 1) for i in range(len(frame))], axis=0)


def _pairs(history: str) -> list[str]:
    return [history[i : i + 2] for i in range(0, len(history), 2)]


def _no_fates(history: str, counts: list[int]) -> Iterator[tuple[str, str]]:
    """What is wrong with a history of known fates and its numbers of animals, and what to do."""
    each = _pairs(history)
    if len(history) % 2 == 0 and set(each) - set(FATES):
        fix = "Write 10 for a period lived through, 11 for one of death, 00 where nobody watched"
        yield "a period is none of 10, 11 and 00", fix
    elif "11" in each and {"10", "11"} & set(each[each.index("11") + 1 :]):
        yield "an animal lives after its death", "Correct the history"
    yield from _negative("animals")(history, counts)


def _negative(of: str) -> Callable[[str, list[int]], Iterator[tuple[str, str]]]:
    def check(history: str, counts: list[int]) -> Iterator[tuple[str, str]]:
        if min(counts) < 0:
            yield f"a number of {of} is negative", "Give how many there are"

    return check
