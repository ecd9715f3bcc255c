"""From a survey's tables to capture histories; on the way every record gets an end in the ledger."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .captures import CaptureHistory
from .detectors import Detectors
from .effort import Work, instants
from .errors import SurveyWarning, refuse
from .fates import Fates, sort_out
from .independence import Independence
from .ledger import Ledger
from .occasions import boundary_hours, number, occasion_days
from .places import detector_table, locate
from .sexes import sexes_of
from .tables import DEPLOYMENTS, SurveyTables
from .wanted import occasions_of, one_session, one_species


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
    rule, species = Independence.parse(independence), one_species(tables, species)
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
    chosen, session = one_session(tables, session_from, session)
    deployments, system, notes = locate(chosen.deployments, crs)
    for text in notes:
        warnings.warn(text, SurveyWarning, stacklevel=4)
    occasions = occasions_of(chosen, length, day_boundary, start, end)
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
    sexes = sexes_of(named.rename(columns={"individual": "animal"}), of_files=True)
    return sexes.reindex(pd.Index(sorted(seen), name="animal"))
