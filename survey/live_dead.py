"""Marked animals that are met alive on occasions, and between occasions found dead or seen alive by others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .display import facts_html
from .encounters import MISSING, EncounterHistory, read_rows
from .errors import Problems, refuse
from .frozen import fixed, settle

FOUND_DEAD, RESIGHTED = 1, 2


@dataclass(frozen=True, eq=False)
class LiveDeadHistory:
    """R rows of live encounters on T occasions, and of what was reported in the T intervals that follow them.

    Parameters
    ----------
    live : EncounterHistory of the encounters alive; a row is an animal, or several with the same history
    between : int [R, T], reported between occasion t and the next (after the last occasion: until the end of the
        study): 0 nothing, 1 found dead, 2 seen alive, -1 nobody could report
    last_interval : length of the interval after the last occasion, in units of `live.interval_unit`

    Raises
    ------
    SurveyError : wrong shape or codes, reports before the first encounter, life after death, a loss that is reported
        later. All faults at once.
    """

    live: EncounterHistory
    between: np.ndarray
    last_interval: float = 1.0

    def __post_init__(self):
        between, live = np.asarray(self.between), self.live
        if between.shape != live.states.shape:
            raise refuse(
                "between needs a value for every animal and interval, the one after the last occasion among them",
                f"Give {live.states.shape[0]} × {live.states.shape[1]}",
                value=between.shape,
            )
        if not np.isin(between, (MISSING, 0, FOUND_DEAD, RESIGHTED)).all():
            raise refuse("reports are 0 nothing, 1 found dead, 2 seen alive, -1 nobody could report", "Correct them")
        if not self.last_interval > 0:
            raise refuse("the last interval must be above 0", "Give its length", value=self.last_interval)
        bad, names = Problems(), live.animals.index
        t = np.arange(live.n_occasions)[None, :]
        reported, dead = between > 0, between == FOUND_DEAD
        death = np.where(dead.any(axis=1), dead.argmax(axis=1), live.n_occasions)[:, None]
        faults = {
            "was reported before it was first met": (reported & (t < live.first[:, None])).any(axis=1),
            "lives after it was found dead": (((live.states > 0) | reported) & (t > death)).any(axis=1),
            "was not released, and reported later": live.removed & (reported & (t >= live.last[:, None])).any(axis=1),
        }
        for words, which in faults.items():
            for i in np.flatnonzero(which).tolist():
                bad.add(f"an animal {words}", "Correct its row", value=str(names[i]))
        bad.raise_any()
        settle(self, between=fixed(between, np.int8), last_interval=float(self.last_interval))

    @property
    def n_occasions(self) -> int:
        """T."""
        return self.live.n_occasions

    @property
    def n_animals(self) -> int:
        """Animals met at least once."""
        return self.live.n_animals

    @property
    def animals(self) -> pd.DataFrame:
        """Covariates of the rows."""
        return self.live.animals

    @property
    def occasions(self) -> pd.DataFrame:
        """Covariates of the occasions."""
        return self.live.occasions

    @property
    def intervals(self) -> np.ndarray:
        """float [T], lengths of the intervals, the one after the last occasion among them."""
        return np.append(self.live.intervals, self.last_interval)

    @property
    def n_found_dead(self) -> int:
        """Animals found dead and reported."""
        return int(self.live.frequency @ (self.between == FOUND_DEAD).any(axis=1))

    @property
    def n_resighted(self) -> int:
        """Reports of living animals between occasions."""
        return int(self.live.frequency @ (self.between == RESIGHTED).sum(axis=1))

    @classmethod
    def from_table(
        cls,
        encounters: pd.DataFrame,
        reports: pd.DataFrame,
        occasions: Sequence | pd.DataFrame | None = None,
        animals: pd.DataFrame | None = None,
        *,
        last_interval: float = 1.0,
        **more: Any,
    ) -> LiveDeadHistory:
        """From two long tables: encounters alive on occasions, and reports between them.

        Parameters
        ----------
        encounters, occasions, animals : as for `EncounterHistory.from_table`
        reports : one row per report with `animal`, `after` (the occasion that it follows) and `found`: "dead" or
            "alive". An animal reported both in one interval counts as found dead.
        more : `intervals`, `interval_unit`

        Raises
        ------
        SurveyError : a report of an animal that was never met, of an unknown occasion or kind. All faults at once.
        """
        lacking = {"animal", "after", "found"} - set(reports.columns)
        if lacking:
            raise refuse("the table of reports lacks columns", f"Add {', '.join(sorted(lacking))}")
        live = EncounterHistory.from_table(encounters, occasions, animals, **more)
        if occasions is None:
            known = pd.Index(sorted(encounters["occasion"].unique()))
        else:
            known = pd.Index(list(occasions.index if isinstance(occasions, pd.DataFrame) else occasions))
        row = live.animals.index.get_indexer(reports["animal"].astype(str))
        column = known.get_indexer(reports["after"])
        code = reports["found"].map({"dead": FOUND_DEAD, "alive": RESIGHTED}).to_numpy(float)
        bad = Problems()
        for name in reports["animal"][row < 0].astype(str).unique():
            bad.add("a report is of an animal that was never met", "Correct its name, or leave it out", value=name)
        for value in reports["after"][column < 0].unique():
            bad.add("a report follows an occasion that is not listed", "Add it to occasions", value=value)
        for value in reports["found"][np.isnan(code)].unique():
            bad.add("an animal is found 'dead' or 'alive'", "Use one of the two", value=value)
        bad.raise_any()
        return cls(live, reports_between(live.states.shape, row, column, code), last_interval)

    @classmethod
    def from_strings(cls, histories: Sequence[str], frequency: Sequence[int] | None = None, **more) -> LiveDeadHistory:
        """Histories as in MARK, LDLD…: a live and a dead character for every occasion.

        >>> LiveDeadHistory.from_strings(["1011", "1002"])
        LiveDeadHistory(2 animals, 2 occasions, 1 found dead, 1 seen alive between occasions)
        """
        odd = [h for h in histories if len(h) % 2 or not re.fullmatch(r"[0-2.]+", h)]
        if odd:
            raise refuse(
                "a live-dead history has two characters, of 0 1 2 and dots, per occasion", "Correct it", value=odd[0]
            )
        last = float(more.pop("last_interval", 1.0))
        live = EncounterHistory.from_strings([h[::2] for h in histories], frequency, **more)
        code = {".": MISSING, "0": 0, "1": FOUND_DEAD, "2": RESIGHTED}
        return cls(live, np.array([[code[c] for c in h[1::2]] for h in histories]), last)

    def __repr__(self) -> str:
        found = f"{self.n_found_dead} found dead, {self.n_resighted} seen alive between occasions"
        return f"LiveDeadHistory({self.n_animals} animals, {self.n_occasions} occasions, {found})"

    def _repr_html_(self) -> str:
        facts = {"animals": self.n_animals, "occasions": self.n_occasions, "found dead": self.n_found_dead}
        return facts_html("LiveDeadHistory", facts | {"seen alive between": self.n_resighted})


def reports_between(shape: tuple[int, ...], row: np.ndarray, column: np.ndarray, code: np.ndarray) -> np.ndarray:
    """int [R, T]: codes of reports at their rows and intervals; found dead where both were reported."""
    between = np.zeros(shape, int)
    order = np.argsort(-code, kind="stable")  # the dead last, so that they count
    between[row[order], column[order]] = code[order]
    return between


def read_live_dead_inp(
    path: str | Path,
    groups: Sequence[str] | Mapping[str, Sequence] = (),
    covariates: Sequence[str] = (),
    *,
    intervals: Sequence[float] | None = None,
    **more: Any,
) -> LiveDeadHistory:
    """Read a MARK input file of live and dead encounters in LDLD format (Burnham's and Barker's models).

    Parameters
    ----------
    path, groups, covariates : as for `read_inp`
    intervals : T lengths, the one after the last occasion among them, as MARK has them; 1 by default
    more : `occasions`, `interval_unit`, as for `EncounterHistory`

    Raises
    ------
    SurveyError : lines that cannot be read, all of them with their line number
    """
    rows = read_rows(path, groups, covariates, characters="012.")
    bad = Problems()
    T = len(rows.history[0]) // 2
    if len(rows.history[0]) % 2:
        bad.add("a live-dead history has two characters per occasion", "Correct the file", file=path)
    for number, history in dict(zip(rows.line, rows.history, strict=True)).items():
        if "2" in history[::2] or "1" not in history[::2]:
            what = "live encounters are 0, 1 or a dot, and there is at least one"
            bad.add(what, "Correct the history: it is LDLD, alive first", file=path, row=number, value=history)
    if intervals is not None and len(intervals) != T:
        bad.add(f"{T} occasions have {T} intervals here", "Add the one after the last occasion", value=len(intervals))
    bad.raise_any()
    if intervals is not None:
        more |= {"intervals": intervals[:-1], "last_interval": intervals[-1]}
    return LiveDeadHistory.from_strings(
        rows.history, rows.frequency, removed=rows.removed, animals=rows.animals, **more
    )
