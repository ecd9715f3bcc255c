"""From a survey's tables to capture histories; on the way every record gets an end in the ledger."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
import pandas as pd

from .captures import CaptureHistory
from .detectors import Detectors
from .effort import Work, instants
from .errors import Problems, SurveyWarning, refuse
from .fates import Fates, sort_out
from .independence import Independence
from .ledger import Ledger
from .occasions import boundary_hours, cut, number, occasion_days
from .places import detector_table, locate
from .tables import DEPLOYMENTS, SurveyTables
from .times import zone_of


def assemble(
    tables: SurveyTables,
    *,
    species: str | None = None,
    occasion: str | int = "1 day",
    crs=None,
    kind: str = "proximity",
    day_boundary: str = "noon",
    independence: Independence | Sequence | str | None = ("last independent record", "30 minutes"),
    outside: str = "refuse",
    start: str | None = None,
    end: str | None = None,
    session_from: str | None = None,
    session: str | None = None,
) -> CaptureHistory:
    """Capture histories of one species from the tables of a survey.

    Parameters
    ----------
    species : scientific name as in the records; may be left out when the records hold one species only
    occasion : length of an occasion in whole days, "1 day", "5 days", "1 week"
    crs : projected coordinate reference system in metres, e.g. "EPSG:32649"
    kind : "proximity" (an animal is detected or not), "count" (independent records are counted) or "multi"
    day_boundary : local clock time that separates days: "noon" for animals of the night, "midnight" or "HH:MM"
    independence : (what the time is counted from, how long): ("last independent record", "30 minutes") or
        ("last record", …); None keeps all but records of the same moment
    outside : what to do with identified records from outside their deployment or within a failure of their camera:
        "refuse" (they contradict the dates) or "drop" (and count them in the ledger)
    start, end : first and last local date of the survey, when only a part of the data is wanted; at the day boundary
    session_from, session : the key in the deployments' groups that holds the session, e.g. "season", and the one wanted

    Returns
    -------
    CaptureHistory with `occasions` (start and end in local time), `ledger` and `tables`

    Raises
    ------
    SurveyError : no identities (and why), unknown species, contradictory records, a conflict of sex, no record left
    """
    if outside not in ("refuse", "drop"):
        raise refuse("this way to treat contradictory records is not known", "Use 'refuse' or 'drop'", value=outside)
    if tables.records.empty:
        raise refuse(
            "there are no records",
            "A survey without records has no capture histories",
            file=tables.provenance.get("records from"),
        )
    if tables.identities.empty:
        why = tables.provenance.get("no identities because") or "no identities are given"
        raise refuse("the animals have no identities: " + why, "Give identities= a table of records and individuals")
    rule, species = Independence.parse(independence), _one_species(tables, species)
    where = {"occasion": occasion, "crs": crs, "day_boundary": day_boundary, "start": start, "end": end}
    plan = _plan(tables, **where, session_from=session_from, session=session)
    fates = Fates(plan.tables.records)
    asked = None if start is None and end is None else (plan.edges[0], plan.edges[-1])
    moment = sort_out(fates, plan.tables, species, plan.work, dates=asked, outside=outside)
    seen = _detections(plan, fates, moment, rule, kind)
    records = fates.records
    used = (records["fate"] == Ledger.USED).to_numpy()
    records["occasion"] = pd.array(number(moment, plan.edges), "Int64")
    records.loc[~used, "occasion"] = pd.NA
    ledger = Ledger.of(records["file"], records["row"], records["fate"])
    ledger.check()
    if seen.empty:
        raise refuse("no record is left to make a capture history of", "See where the records went:\n" + str(ledger))
    choices = {
        "species": species,
        "independence": str(rule),
        "kind": kind,
        "records outside the camera's working time": outside,
    }
    finished = replace(plan.tables, records=records, ledger=ledger, provenance=plan.tables.provenance | choices)
    return CaptureHistory(
        detections=seen,
        detectors=plan.detectors(kind),
        animals=_animals(plan.tables, set(seen["animal"])),
        occasions=finished.occasions,
        session=plan.session,
        ledger=ledger,
        tables=finished,
    )


def lay_out(
    tables: SurveyTables,
    *,
    occasion: str | int = "1 day",
    crs=None,
    kind: str = "proximity",
    day_boundary: str = "noon",
    start: str | None = None,
    end: str | None = None,
    session_from: str | None = None,
    session: str | None = None,
) -> CaptureHistory:
    """The survey before anything was seen: detectors, effort and occasions, without animals; for simulations.

    The parameters are those of `assemble`; the records only tell until when a camera without end has worked.
    """
    where = {"occasion": occasion, "crs": crs, "day_boundary": day_boundary, "start": start, "end": end}
    plan = _plan(tables, **where, session_from=session_from, session=session)
    nothing = pd.DataFrame({"animal": [], "occasion": [], "detector": []})
    return CaptureHistory(
        nothing, plan.detectors(kind), occasions=plan.tables.occasions, session=plan.session, tables=plan.tables
    )


# ---- what was done ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """What was done, on which the records are laid: places, occasions, effort."""

    tables: SurveyTables
    session: str
    places: pd.DataFrame
    edges: np.ndarray  # int [S + 1], microseconds
    work: Work

    def detectors(self, kind: str) -> Detectors:
        return Detectors(
            id=tuple(self.places["location"]),
            x=self.places["x"].to_numpy(),
            y=self.places["y"].to_numpy(),
            effort=self.work.effort,
            kind=kind,
            crs=self.tables.crs,
            covariates=self.places.drop(columns=["location", "x", "y", "longitude", "latitude"]),
        )


def _plan(
    tables: SurveyTables, *, occasion, crs, day_boundary: str, start, end, session_from: str | None, session: str | None
) -> _Plan:
    length, _ = occasion_days(occasion), boundary_hours(day_boundary)
    chosen, session = _one_session(tables, session_from, session)
    deployments, system, notes = locate(chosen.deployments, crs)
    for text in notes:
        warnings.warn(text, SurveyWarning, stacklevel=4)
    occasions = _occasions(chosen, length, day_boundary, start, end)
    edges = np.append(instants(occasions["start"]), instants(occasions["end"].tail(1)))
    choices = {
        "occasion": f"{length} day" + "s" * (length > 1),
        "day boundary": day_boundary,
        "crs": system.to_string(),
        "session": session,
    }
    chosen = replace(
        chosen,
        deployments=deployments,
        crs=system.to_string(),
        occasions=occasions,
        notes=(*chosen.notes, *notes),
        provenance=chosen.provenance | choices,
    )
    places = detector_table(deployments, DEPLOYMENTS)
    return _Plan(chosen, session, places, edges, Work(chosen, edges, pd.Index(places["location"])))


# ---- what is wanted -----------------------------------------------------------------------------------------------


def group_value(groups: pd.Series, key: str) -> pd.Series:
    """The value of `key` in texts like "season:2024 | grid:A"; missing where it is not there.

    >>> group_value(pd.Series(["season:2024 | grid:A", ""]), "grid").tolist()
    ['A', nan]
    """
    return groups.str.extract(rf"(?:^|\|)\s*{re.escape(key)}\s*:\s*([^|]*?)\s*(?:\||$)", expand=False)


def _one_session(tables: SurveyTables, key: str | None, session: str | None) -> tuple[SurveyTables, str]:
    """The tables of one session; its records stay, those of other sessions are told in the ledger."""
    if key is None:
        return tables, session or "1"
    d = tables.deployments
    label = d[key].astype(str) if key in d and key not in DEPLOYMENTS else group_value(d["groups"], key)
    found = sorted(label.dropna().unique())
    if not found:
        raise refuse("no deployment has this key in its groups", "Name one that is there", value=key)
    if session is None and len(found) == 1:
        session = found[0]
    if session is None or str(session) not in found:
        raise refuse(
            f"the deployments have the sessions {', '.join(found)}", "Give session= one of them", value=session
        )
    return replace(tables, deployments=d[(label == str(session)).to_numpy()].reset_index(drop=True)), str(session)


def _one_species(tables: SurveyTables, species: str | None) -> str:
    found = tables.records.loc[tables.records["type"] == "animal", "species"]
    known = found[found != ""].value_counts()
    if species is None and len(known) <= 1:
        return known.index[0] if len(known) else ""
    if species is None:
        raise refuse("the records hold several species", "Give species= one of them", value=list(known.index[:8]))
    if len(known) and species not in known.index:
        close = get_close_matches(species, list(known.index), n=1)
        raise refuse(
            "no record is of this species",
            f"Did you mean {close[0]!r}?" if close else f"The records hold {', '.join(known.index[:8])}",
            value=species,
        )
    return species


def _occasions(tables: SurveyTables, length: int, boundary: str, start: str | None, end: str | None) -> pd.DataFrame:
    """Occasions from the first deployment to the last end (or record of a deployment without end), or as asked."""
    d, r = tables.deployments, tables.records
    here = r.loc[r["deployment"].isin(d.loc[d["end"].isna(), "deployment"]), "time"]
    first = d["start"].min() if start is None else _date(start, boundary, tables.timezone, "start")
    last = max(t for t in [d["end"].max(), here.max(), d["start"].max()] if not pd.isna(t))
    last = last if end is None else _date(end, boundary, tables.timezone, "end")
    if not last > first:
        raise refuse("the survey ends before it starts", "Correct start and end", value=f"{first} to {last}")
    return cut(first, last, length=length, boundary=boundary, timezone=tables.timezone)


def _date(text: str, boundary: str, timezone: str, what: str) -> pd.Timestamp:
    try:
        day = pd.Timestamp(str(text)).tz_localize(None).normalize()
    except (ValueError, TypeError):
        raise refuse(f"the {what} of the survey is not a date", "Write it as 2024-06-30", value=text) from None
    return (day + boundary_hours(boundary)).tz_localize(zone_of(timezone), nonexistent="shift_forward", ambiguous=True)


# ---- detections ---------------------------------------------------------------------------------------------------


def _detections(plan: _Plan, fates: Fates, moment: np.ndarray, rule: Independence, kind: str) -> pd.DataFrame:
    """Detections `animal`, `occasion`, `detector`, `count` from the records still open, each of which ends here."""
    tables, work = plan.tables, plan.work
    r, d = tables.records, tables.deployments
    i = pd.Index(r["record"]).get_indexer(pd.Index(tables.identities["record"]))
    animal = tables.identities["individual"].to_numpy(object)[fates.open[i]]
    i = i[fates.open[i]]
    place = work.place[pd.Index(d["deployment"]).get_indexer(pd.Index(r["deployment"].iloc[i]))]
    occasion = number(moment[i], plan.edges)
    seen = pd.DataFrame({"i": i, "animal": animal, "place": place, "occasion": occasion})
    why = np.full(len(seen), "", object)
    why[np.isnan(work.effort[occasion - 1, place])] = "the effort is not known"
    still = np.flatnonzero(why == "")
    group = seen.groupby(["animal", "place"]).ngroup().to_numpy()
    why[still[~rule.keep(group[still], moment[i[still]])]] = rule.repeated
    if kind != "count":
        still = np.flatnonzero(why == "")
        again = seen.iloc[still].duplicated(["animal", "place", "occasion"]).to_numpy()
        why[still[again]] = f"same animal, place and occasion again ({kind} keeps one)"
    fates.fate[i[why == ""]] = Ledger.USED  # a record of two animals is used when one of them is
    for reason in sorted(set(why) - {""}):
        fates.mark(np.isin(np.arange(len(r)), i[why == reason]), reason)
    used = seen[why == ""]
    frame = used.assign(
        detector=work.locations[used["place"]],
        file=r["file"].to_numpy(object)[used["i"]],
        row=r["row"].to_numpy()[used["i"]],
    )
    groups = frame.groupby(["animal", "occasion", "detector"], sort=False)
    return groups.agg(count=("i", "size"), file=("file", "first"), row=("row", "first")).reset_index()


def _animals(tables: SurveyTables, seen: set[str]) -> pd.DataFrame:
    """Covariates of the animals, on which all their records must agree."""
    named = tables.identities[tables.identities["individual"].isin(seen)]
    if not (named["sex"] != "").any():
        source = tables.records[tables.records["record"].isin(named["record"])][["record", "sex", "file", "row"]]
        named = named[["record", "individual"]].merge(source, on="record")
    sexed = named[named["sex"] != ""]
    bad = Problems()
    for animal, rows in sexed.groupby("individual"):
        first = rows.iloc[0]
        for other in rows[rows["sex"] != first["sex"]].drop_duplicates("sex").itertuples():
            bad.add(
                f"animal {animal!r} is {first['sex']} in row {first['row']} of {first['file']} and {other.sex} here",
                "Correct the sex, or the identity",
                file=other.file,
                row=int(other.row),
            )
    bad.raise_any()
    animals = pd.DataFrame(index=pd.Index(sorted(seen), name="animal"))
    if len(sexed):
        animals["sex"] = sexed.drop_duplicates("individual").set_index("individual")["sex"].reindex(animals.index)
    return animals
