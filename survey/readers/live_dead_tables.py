"""Animals met alive on occasions and reported between them, from two plain tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import Problems
from ..live_dead import FOUND_DEAD, RESIGHTED, LiveDeadHistory, reports_between
from .animal_tables import read_encounters
from .plain import in_file, labels, open_table

FOUND = {"dead": FOUND_DEAD, "alive": RESIGHTED}


def read_live_dead(
    path: str | Path,
    reports: str | Path,
    *,
    occasions: str | Path | None = None,
    animals: str | Path | None = None,
    intervals: Sequence[float] | None = None,
    encoding: str | None = None,
    **more,
) -> LiveDeadHistory:
    """Histories of live encounters and of reports between occasions, for the models of Burnham and of Barker.

    Parameters
    ----------
    path, occasions, animals : as for `read_encounters`
    reports : CSV or Excel file with one row per report: `animal`, `after` (the occasion that it follows) and `found`
        (dead or alive). An animal reported both ways in one interval counts as found dead
    intervals : T lengths, the one after the last occasion among them; 1 by default
    more : `interval_unit`, as for `EncounterHistory`

    Raises
    ------
    SurveyError : reports of animals that were never met, of unknown occasions or kinds; all bad rows at once
    """
    last = 1.0
    if intervals is not None:
        more["intervals"], last = tuple(intervals)[:-1], float(tuple(intervals)[-1])
    live = read_encounters(path, occasions=occasions, animals=animals, encoding=encoding, **more)
    bad = Problems()
    table = open_table(reports, bad, None, encoding)
    if not table.require("animal", "after", "found"):
        bad.raise_any()
    who, found, after = table.text("animal", required=True), table.text("found", required=True), labels(table, "after")
    known = {str(label): t for t, label in enumerate(live.occasions["occasion"])}
    row = live.animals.index.get_indexer(who)
    column = np.array([known.get(str(label), -1) for label in after], int)
    for i, kind in enumerate(found):
        if row[i] < 0 and who[i]:
            table.fault(i, "a report is of an animal that was never met", "Correct its name, or leave it out", who[i])
        if column[i] < 0 and str(after[i]):
            table.fault(i, "a report follows an occasion that is not listed", "Correct it", after[i])
        if kind and kind not in FOUND:
            table.fault(i, "an animal is found 'dead' or 'alive'", "Use one of the two", kind)
    bad.raise_any()
    with in_file(reports):
        code = np.array([FOUND[kind] for kind in found], int)
        return LiveDeadHistory(live, reports_between(live.states.shape, row, column, code), last)
