"""MARK's input files of animals with known fate, and of sites with visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..detections import DetectionHistory
from ..encounters import InpRows, read_rows
from ..errors import Problems, refuse
from ..monitored import MonitoredAnimals

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
    rows = read_rows(path, groups, covariates, characters="01.")
    bad = Problems()
    if len(rows.history[0]) % 2:
        bad.add("a history of known fates has two characters per period", "Correct the file", file=path)
    bad.raise_any()
    pairs = [[h[i : i + 2] for i in range(0, len(h), 2)] for h in rows.history]
    for number, history, each in zip(rows.line, rows.history, pairs, strict=True):
        if set(each) - set(FATES):
            fix = "Write 10 for a period lived through, 11 for one of death, 00 where nobody watched"
            bad.add("a period is none of 10, 11 and 00", fix, file=path, row=number, value=history)
        elif "11" in each and {"10", "11"} & set(each[each.index("11") + 1 :]):
            bad.add("an animal lives after its death", "Correct the history", file=path, row=number, value=history)
    _no_negatives(rows, bad, path, "animals")
    bad.raise_any()
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
    rows = read_rows(path, groups, covariates, characters=DIGITS + ".")
    bad, length = Problems(), len(rows.history[0])
    _no_negatives(rows, bad, path, "sites")
    bad.raise_any()
    if length % n_seasons:
        fix = "Give every season the same number, a dot where there was no visit"
        raise refuse(f"{length} visits are not {n_seasons} seasons of equally many", fix, file=path)
    values = np.array([[np.nan if c == "." else float(c) for c in h] for h in rows.history])[_each(rows)]
    values = values.reshape(len(values), n_seasons, -1) if n_seasons > 1 else values
    return DetectionHistory.from_wide(values, sites=_repeated(rows), **more)


def _each(rows: InpRows) -> np.ndarray:
    return np.repeat(np.arange(len(rows.frequency)), rows.frequency)


def _repeated(rows: InpRows) -> pd.DataFrame:
    """Groups and covariates, one row per animal or site."""
    frame = rows.animals.iloc[_each(rows)]
    return frame.set_axis([str(i + 1) for i in range(len(frame))], axis=0)


def _no_negatives(rows: InpRows, bad: Problems, path: str | Path, what: str) -> None:
    for number in sorted({rows.line[i] for i in np.flatnonzero(rows.removed)}):
        bad.add(f"a number of {what} is negative", "Give how many there are", file=path, row=number)
