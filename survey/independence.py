"""Independence of records: when a second record of the same animal at the same place is a new visit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .effort import instants
from .errors import refuse

if TYPE_CHECKING:
    from .tables import SurveyTables

LAST_RECORD, LAST_INDEPENDENT = "last record", "last independent record"


@dataclass(frozen=True)
class Independence:
    """A record counts when at least `minutes` have passed since the record that `since` names.

    "last record" is the one before it, counted or not: an animal that stays for hours is one visit.
    "last independent record" is the last one that counted: an animal that stays for hours is a visit per interval.
    Zero minutes let everything count but records of the very same moment.
    """

    since: str = LAST_INDEPENDENT
    minutes: float = 30.0

    def __str__(self) -> str:
        return f"{self.minutes:g} minutes since the {self.since}"

    @property
    def repeated(self) -> str:
        """What the ledger says of a record that does not count."""
        return f"within {self.minutes:g} minutes of the {self.since}" if self.minutes else "of the same moment"

    @classmethod
    def parse(cls, rule: Independence | Sequence | str | None) -> Independence:
        """A rule from ("last record", 30), ("last independent record", "4 hours"), the text that `str` gives, or None.

        >>> str(Independence.parse(("last record", "1 hour")))
        '60 minutes since the last record'
        """
        if isinstance(rule, Independence):
            return rule
        if rule is None:
            return cls(minutes=0.0)
        parts = re.fullmatch(r"(.+?)\s+since\s+(?:the\s+)?(.+)", rule) if isinstance(rule, str) else None
        given = (parts[2], parts[1]) if parts else rule
        if isinstance(given, str) or len(given) != 2 or given[0] not in (LAST_RECORD, LAST_INDEPENDENT):
            raise refuse(
                "the rule of independence is not understood",
                f"Give ({LAST_INDEPENDENT!r}, '30 minutes') or ({LAST_RECORD!r}, '30 minutes')",
                value=rule,
            )
        return cls(given[0], _minutes(given[1]))

    def keep(self, group: np.ndarray, time: np.ndarray) -> np.ndarray:
        """bool [n]: which records count.

        Parameters
        ----------
        group : int [n], the animal and place of each record
        time : int [n], microseconds
        """
        order = np.lexsort((time, group))
        who, when = np.asarray(group)[order], np.asarray(time)[order]
        gap = max(1, round(self.minutes * 60e6))
        if self.since == LAST_RECORD:
            counts = np.ones(len(who), bool)
            counts[1:] = (who[1:] != who[:-1]) | (when[1:] - when[:-1] >= gap)
        else:
            counts = np.array(_since_counted(who.tolist(), when.tolist(), gap), bool)
        keep = np.empty(len(who), bool)
        keep[order] = counts
        return keep


def _since_counted(who: list[int], when: list[int], gap: int) -> list[bool]:
    """Whether each record, in order of group and time, is `gap` after the last that counted."""
    counts, last_who, last_when = [], None, 0
    for w, t in zip(who, when, strict=True):
        counts.append(w != last_who or t - last_when >= gap)
        if counts[-1]:
            last_who, last_when = w, t
    return counts


def _minutes(interval) -> float:
    """Minutes in a number of minutes or a text such as '30 minutes' or '4 hours'."""
    try:
        minutes = float(interval) if not isinstance(interval, str) else pd.Timedelta(interval) / pd.Timedelta(minutes=1)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < np.inf:
        raise refuse("the interval of independence is not understood", "Give e.g. '30 minutes'", value=interval)
    return minutes


def visits(tables: SurveyTables, independence=None) -> pd.DataFrame:
    """See `SurveyTables.visits`."""
    rule = Independence.parse(independence or tables.provenance.get("independence") or Independence())
    r = tables.records
    level = "event" if (r["level"] == "event").any() else "media"
    animals = r[(r["level"] == level) & (r["type"] == "animal") & ~r["setup"].astype(bool) & r["time"].notna()]
    group = animals.groupby(["species", "location"]).ngroup().to_numpy()
    return animals[rule.keep(group, instants(animals["time"]))].reset_index(drop=True)
