"""What is wanted of a survey's tables: one species, one session, dates cut into occasions."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches

import pandas as pd

from .errors import refuse
from .occasions import boundary_hours, cut
from .tables import DEPLOYMENTS, SurveyTables
from .times import plain_date, zone_of


def group_value(groups: pd.Series, key: str) -> pd.Series:
    """The value of `key` in texts like "season:2024 | grid:A"; missing where it is not there.

    >>> group_value(pd.Series(["season:2024 | grid:A", ""]), "grid").tolist()
    ['A', nan]
    """
    return groups.str.extract(rf"(?:^|\|)\s*{re.escape(key)}\s*:\s*([^|]*?)\s*(?:\||$)", expand=False)


def labels(deployments: pd.DataFrame, key: str) -> pd.Series:
    """What a column or the groups of the deployments say under `key`, missing where they say nothing.

    Raises
    ------
    SurveyError : no deployment has this key
    """
    given = key in deployments and key not in DEPLOYMENTS
    found = deployments[key].astype(str) if given else group_value(deployments["groups"], key)
    if found.isna().all():
        raise refuse("no deployment has this key in its groups", "Name one that is there", value=key)
    return found


def one_session(tables: SurveyTables, key: str | None, session: str | None) -> tuple[SurveyTables, str]:
    """The tables of one session; its records stay, those of other sessions are told in the ledger."""
    if key is None:
        return tables, session or "1"
    d = tables.deployments
    label = labels(d, key)
    found = sorted(label.dropna().unique())
    if session is None and len(found) == 1:
        session = found[0]
    if session is None or str(session) not in found:
        raise refuse(
            f"the deployments have the sessions {', '.join(found)}", "Give session= one of them", value=session
        )
    return replace(tables, deployments=d[(label == str(session)).to_numpy()].reset_index(drop=True)), str(session)


def one_species(tables: SurveyTables, species: str | None) -> str:
    """The species asked for, which must be in the records; or the only one that they hold."""
    return one_of(tables.records.loc[tables.records["type"] == "animal", "species"], species, "the records")


def one_of(found: pd.Series, species: str | None, what: str) -> str:
    """The species asked for, which must be among those found; or the only one there is; `what` holds them, in words.

    Raises
    ------
    SurveyError : several species and none asked for; one that is not there, with the name that is close
    """
    known = found[found != ""].value_counts()
    if species is None and len(known) <= 1:
        return known.index[0] if len(known) else ""
    if species is None:
        raise refuse(f"{what} hold several species", "Give species= one of them", value=list(known.index[:8]))
    if len(known) and species not in known.index:
        close = get_close_matches(species, list(known.index), n=1)
        raise refuse(
            "no record is of this species",
            f"Did you mean {close[0]!r}?" if close else f"{what.capitalize()} hold {', '.join(known.index[:8])}",
            value=species,
        )
    return species


def occasions_of(tables: SurveyTables, length: int, boundary: str, start: str | None, end: str | None) -> pd.DataFrame:
    """Occasions from the first deployment to the last end (or record of a deployment without end), or as asked."""
    d, r = tables.deployments, tables.records
    here = r.loc[r["deployment"].isin(d.loc[d["end"].isna(), "deployment"]), "time"]
    first = d["start"].min() if start is None else date_at(start, boundary, tables.timezone, "start")
    last = max(t for t in [d["end"].max(), here.max(), d["start"].max()] if not pd.isna(t))
    last = last if end is None else date_at(end, boundary, tables.timezone, "end")
    if not last > first:
        raise refuse("the survey ends before it starts", "Correct start and end", value=f"{first} to {last}")
    return cut(first, last, length=length, boundary=boundary, timezone=tables.timezone)


def date_at(text: str, boundary: str, timezone: str, what: str) -> pd.Timestamp:
    """The day boundary of a local date; `what` of the survey it is, for messages."""
    try:
        day = plain_date(text)
    except (ValueError, TypeError):
        raise refuse(f"the {what} of the survey is not a date", "Write it as 2024-06-30", value=text) from None
    return (day + boundary_hours(boundary)).tz_localize(zone_of(timezone), nonexistent="shift_forward", ambiguous=True)
