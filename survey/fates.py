"""Fates: the first reason for which each record cannot be used."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .effort import UNKNOWN, Work, instants
from .errors import Problems
from .tables import SurveyTables

OUTSIDE, IN_FAILURE = "outside its deployment", "during a failure of its camera"


class Fates:
    """The end of each record: the first reason that applies."""

    def __init__(self, records: pd.DataFrame):
        self._records = records
        self.fate = np.full(len(records), "", object)

    def mark(self, which, reason: str) -> None:
        self.fate[(self.fate == "") & np.asarray(which, bool)] = reason

    @property
    def open(self) -> np.ndarray:
        return self.fate == ""

    @property
    def records(self) -> pd.DataFrame:
        return self._records.assign(fate=self.fate)


def sort_out(
    fates: Fates,
    tables: SurveyTables,
    species: str,
    work: Work,
    *,
    dates: tuple[int, int] | None,
    outside: str,
    identified: bool = True,
) -> np.ndarray:
    """Mark the records that cannot be used; returns the moment [n] of each record, in microseconds.

    Parameters
    ----------
    dates : first and last instant of the survey, when only a part of the data was asked for
    outside : "refuse" or "drop" identified records that contradict the dates of deployments and failures
    identified : only records of animals with an identity are wanted

    Raises
    ------
    SurveyError : contradictory records, unless they are to be dropped
    """
    r, d = tables.records, tables.deployments
    fates.mark((r["level"] == "media") & bool((r["level"] == "event").any()), "media level (the events are used)")
    for kind in ("blank", "human", "vehicle", "unknown", "unclassified"):
        fates.mark(r["type"] == kind, kind)
    fates.mark(r["setup"], "set-up or calibration of the camera")
    if (r["species"] != "").any():  # a table of one species does not repeat its name
        fates.mark(r["species"] == "", "no species")
        fates.mark(r["species"] != species, "another species")
    fates.mark(r["time"].isna(), "no time")
    of = pd.Index(d["deployment"]).get_indexer(pd.Index(r["deployment"]))
    fates.mark((of < 0) & (r["deployment"] != ""), "another session")
    issues = d["timestamp_issues"].to_numpy(bool)
    fates.mark((of >= 0) & issues[of], "timestamp issues of its deployment")
    time = instants(r["time"])
    if dates is not None:
        fates.mark((time < dates[0]) | (time >= dates[1]), "outside the dates of the survey")
    working, moment = _working(of, time, work)
    within = (
        (of >= 0)
        & (time >= instants(d["start"])[of])
        & ((time <= instants(d["end"])[of]) | d["end"].isna().to_numpy()[of])
    )
    named = np.ones(len(r), bool)
    if identified:
        named = r["record"].isin(set(tables.identities["record"])).to_numpy()
    if outside == "refuse":
        _refuse_contradictions(tables, fates.open & named & ~working, within)
    fates.mark(~within, OUTSIDE)
    fates.mark(~working, IN_FAILURE)
    left_out = r["left_out"] if "left_out" in r else pd.Series("", index=r.index)  # by a registry of identities
    for reason in sorted(set(left_out) - {""}):
        fates.mark(left_out == reason, reason)
    fates.mark(~named, "no identity")
    return moment


def _working(of: np.ndarray, time: np.ndarray, work: Work) -> tuple[np.ndarray, np.ndarray]:
    """bool [n]: whether the record's deployment worked at its time, and the record's moment.

    The last image of a camera is often taken for the end of its work: a record at the very end of a piece belongs to
    it, and its moment is one microsecond earlier.
    """
    left = pd.DataFrame({"unit": of, "time": time}).sort_values("time", kind="stable")
    right = pd.DataFrame({"unit": work.unit, "time": work.start, "end": work.end}).sort_values("time", kind="stable")
    found = pd.merge_asof(left, right, on="time", by="unit").set_index(left.index)["end"].reindex(range(len(of)))
    end = found.fillna(UNKNOWN).to_numpy(np.int64)
    return time <= end, np.where((time == end), time - 1, time)


def _refuse_contradictions(tables: SurveyTables, which: np.ndarray, within: np.ndarray) -> None:
    bad, r, d = Problems(), tables.records, tables.deployments.drop_duplicates("deployment").set_index("deployment")
    for i in np.flatnonzero(which):
        row = r.iloc[i]
        if within[i]:
            what = f"the record was taken during a failure of deployment {row['deployment']!r}"
        elif row["deployment"] in d.index:
            span = d.loc[row["deployment"]]
            what = f"the record is outside its deployment {row['deployment']!r} ({_span(span['start'], span['end'])})"
        else:
            what = f"no deployment stood at {row['location']!r} at the time of the record"
        bad.add(
            what,
            "Correct the clock or the dates, or leave such records out with outside='drop'",
            file=row["file"],
            row=int(row["row"]),
            value=f"{row['time']:%Y-%m-%d %H:%M:%S}",
        )
    bad.raise_any()


def _span(start: pd.Timestamp, end: pd.Timestamp) -> str:
    return f"{start:%Y-%m-%d %H:%M} to " + ("not known" if pd.isna(end) else f"{end:%Y-%m-%d %H:%M}")
