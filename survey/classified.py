"""Which records of a camera survey are candidates of a classifier, and which of them people have looked at."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from .assemble_sites import DATES, OUTSIDE, UNKNOWN_EFFORT, Season, cut_again, first_end
from .candidates import Candidates
from .detections import DetectionHistory
from .errors import Problems, SurveyWarning, refuse
from .fates import Fates, sort_out
from .ledger import Ledger
from .occasions import number
from .tables import SurveyTables

SAID = "what people said of a candidate"
NOT_THERE = "its visit is not in the history"
OTHERS = "by another classifier"
ELSE = ("blank", "human", "vehicle")
TRUE, FALSE, OPEN = 1, -1, 0


def candidates_of(history: DetectionHistory, *, classifier: str | None = None) -> Candidates:
    """The candidates of a history's species: records that a classifier took for it, and what people said of them.

    Sites, seasons, visits and the treatment of records outside the working time of their camera are those of the
    history; independence does not matter, since of a visit the highest score counts. Records of both levels are used:
    a media row and the event row above it are of one visit.

    Verified, by what Camtrap DP 1.0.2 says of its columns:

    - Media rows "don't need to be mutually exclusive": people's rows of the same file are verdicts on the machine's.
      One that names the species (or a subspecies) makes the candidate true; where all are of something else (another
      species, blank, human, vehicle) it is false. `unknown`, `unclassified`, an animal without a name, and a genus or
      higher group decide nothing.
    - Event rows "consider an event" and are "mutually exclusive". One of people's that names the species makes the
      machine's rows of the event true, unless people said otherwise of the very file; a file's row is false where all
      event rows of its event are people's and of something else. A machine's event row is false where its media rows
      of the species are all false: people's event row beside it is of another animal and no verdict.
    - `classificationMethod` is that of the most recent classification, so a person's row of the species without a
      machine's row is a candidate that was looked at, or one that the classifier missed: verified as true, without a
      score. `classificationProbability` of people's rows is "approximate" and never taken for a score.

    Notes
    -----
    Platforms that overwrite the machine's rows keep no score of what people have looked at, and nothing at all of the
    false candidates that they have corrected: then `fp` is too low, and the scores are those of what nobody looked at.
    Scores of verified candidates need an export with both rows. Of an export without any such pair this is said as a
    warning.

    Parameters
    ----------
    history : from `survey.detection_history`, of the species
    classifier : use only the records with this `classifiedBy` of the machine's; others are told in the ledger

    Returns
    -------
    Candidates, for `survey.with_candidates`. A machine's record without a probability is a candidate without a score

    Raises
    ------
    SurveyError : the history was not made from records with classifications; no record of the species is a machine's,
        or by this classifier; records of the species that do not say who classified them; contradictory records
    """
    tables, species = _tables_of(history)
    r = tables.records
    of_species = ((r["type"] == "animal") & (r["species"] == species) & ~r["setup"].astype(bool)).to_numpy()
    machine, human = (of_species & (r["classification_method"] == kind).to_numpy() for kind in ("machine", "human"))
    _check_methods(r, of_species & ~machine & ~human)
    mine = machine & _by(r, machine, classifier)
    verdict, said = _verdicts(r, species, mine)
    _warn_if_overwritten(int((human & ~said).sum()), int((verdict != OPEN).sum()))
    seasons, site_of = cut_again(history, tables)
    marks = ((machine & ~mine, OTHERS), (said, SAID))
    ends = [_ends(season, tables, marks) for season in seasons]
    fate, visit = first_end(ends)
    _, season = first_end([(reason, np.full(len(r), n)) for n, (reason, _) in enumerate(ends)])
    site = site_of.reindex(r["location"]).to_numpy(object)
    place = pd.DataFrame({"site": site, "season": [seasons[n].label for n in season], "visit": visit})
    fate = np.where(fate == "", _of_visit(history, place), fate)
    source = r[["record", "file", "row"]].reset_index(drop=True)
    found = pd.concat([place.assign(score=_scores(r, mine), verified=_words(verdict, mine)), source], axis=1)
    found = found[fate == Ledger.USED].reset_index(drop=True)
    return Candidates(found, _finished(tables, fate, visit, classifier))


def _scores(r: pd.DataFrame, machine: np.ndarray) -> np.ndarray:
    """float [n], NaN without one; what people say of how sure they are is none."""
    if "classification_probability" not in r:
        return np.full(len(r), np.nan)
    return np.where(machine, r["classification_probability"].to_numpy(float), np.nan)


def _words(verdict: np.ndarray, machine: np.ndarray) -> np.ndarray:
    """object [n]: "true", "false" or None; people's own records of the species are true."""
    said = np.where(machine, verdict, TRUE)
    return np.array([{TRUE: "true", FALSE: "false"}.get(int(word)) for word in said], object)


def _tables_of(history: DetectionHistory) -> tuple[SurveyTables, str]:
    """The tables that the history was made from, and its species."""
    tables = history.tables
    if not isinstance(tables, SurveyTables) or "season" not in tables.occasions:
        raise refuse(
            "the history was not made from the records of a camera survey",
            "Make it with survey.detection_history, or give with_candidates a table of your own",
        )
    if "classification_method" not in tables.records:
        raise refuse(
            "the records do not say whether people or a machine classified them",
            "Export Camtrap DP with classificationMethod and classificationProbability",
            file=tables.provenance.get("records from"),
        )
    return tables, str(tables.provenance["species"])


def _check_methods(r: pd.DataFrame, unknown: np.ndarray) -> None:
    bad = Problems()
    for row in r[unknown].to_dict("records"):
        what = "classificationMethod is missing, so whether this is a candidate is not known"
        bad.add(what, "Write human or machine", file=row["file"], row=int(row["row"]), value=row["record"])
    bad.raise_any()


def _by(r: pd.DataFrame, machine: np.ndarray, classifier: str | None) -> np.ndarray:
    """bool [n]: the records by this classifier; all where none is asked for."""
    names = r["classified_by"] if "classified_by" in r else pd.Series("", r.index)
    known = names[machine].value_counts()
    if known.empty:
        what, fix = "no record of the species is a machine's", "Fit models.Occupancy to the history as it is"
        raise refuse(what, fix, file=r["file"].iloc[0] if len(r) else None)
    if classifier is not None and classifier not in known:
        fix = f"Give one of {', '.join(map(repr, sorted(known.index)))}"
        raise refuse("no record of the species is by this classifier", fix, value=classifier)
    if classifier is None and len(known) > 1:
        each = ", ".join(f"{name!r} ({known[name]:,})" for name in sorted(known.index))
        text = f"the scores are of several classifiers, {each}: if their scales differ, give classifier= one of them"
        warnings.warn(text, SurveyWarning, stacklevel=3)
    return np.ones(len(r), bool) if classifier is None else (names == classifier).to_numpy()


def _warn_if_overwritten(alone: int, verdicts: int) -> None:
    if alone and not verdicts:
        text = (
            f"no candidate has a score and a verdict of people, and {alone:,} records of the species are people's "
            "alone: if the export keeps only the last classification of a file, the scores of what people have "
            "looked at and the false candidates that they have corrected are lost"
        )
        warnings.warn(text, SurveyWarning, stacklevel=3)


# ---- what people said ---------------------------------------------------------------------------------------------


def _verdicts(r: pd.DataFrame, species: str, machine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int [n]: what people said of each of the machine's records; bool [n]: the records by which they said so."""
    human, media = ((r[a] == b).to_numpy() for a, b in (("classification_method", "human"), ("level", "media")))
    of_file, of_event = _key(r, "media", media), _key(r, "event", True)
    says = np.where(human, _statement(r, species), OPEN)
    by_file = _all_say(of_file, human & media, says, of_file)
    by_event = _all_say(of_event, ~media, says, of_event)
    seen = _in(of_event, of_event[says == TRUE])
    verdict = np.where(by_file != OPEN, by_file, by_event)
    below = _all_say(of_event, machine & media, verdict, of_event)
    verdict = np.where(media, verdict, np.where(seen, TRUE, np.where(below == FALSE, FALSE, OPEN)))
    verdict = np.where(machine, verdict, OPEN)
    cleared = machine & media & (verdict == FALSE) & (by_file == OPEN)
    told = media & (says != OPEN) & _in(of_file, of_file[machine & media])
    told |= ~media & (says == TRUE) & _in(of_event, of_event[machine & (verdict == TRUE)])
    told |= ~media & (says == FALSE) & _in(of_event, of_event[cleared])
    return verdict, told


def _key(r: pd.DataFrame, name: str, where) -> np.ndarray:
    """object [n]: the file or event of each record, with its deployment; "" without one."""
    given = (r[name] != "").to_numpy() & where
    return np.where(given, (r["deployment"] + "\n" + r[name]).to_numpy(object), "")


def _in(key: np.ndarray, some: np.ndarray) -> np.ndarray:
    return pd.Series(key).isin(set(some) - {""}).to_numpy()


def _all_say(key: np.ndarray, which: np.ndarray, says: np.ndarray, of: np.ndarray) -> np.ndarray:
    """int [n]: TRUE where one record of the key `of` says so, FALSE where all of them do, else OPEN."""
    use = which & (key != "")
    most = pd.Series(says[use]).groupby(key[use]).max()
    return most.reindex(of).fillna(OPEN).to_numpy(int)


def _statement(r: pd.DataFrame, species: str) -> np.ndarray:
    """int [n]: whether a record names the species (or a subspecies), something else, or leaves it open."""
    animal, name = r["type"] == "animal", r["species"]
    same = animal & ((name == species) | name.str.startswith(species + " "))
    higher = {" ".join(species.split()[:n]) for n in range(len(species.split()))}
    group = name.isin(higher) | name.str.contains(r"\bspp?\.?$", regex=True)
    group |= ~name.str.contains(" ") if " " in species else False
    other = (animal & ~same & ~group) | r["type"].isin(ELSE)
    return np.select([same, other], [TRUE, FALSE], OPEN)


# ---- where they belong --------------------------------------------------------------------------------------------


def _ends(season: Season, tables: SurveyTables, marks) -> tuple[np.ndarray, np.ndarray]:
    """Why each record is no candidate of the season, "" where it is one; and its occasion."""
    how = tables.provenance
    fates, dates = Fates(tables.records), (season.edges[0], season.edges[-1]) if DATES in how else None
    for which, reason in marks:
        fates.mark(which, reason)
    one_level = replace(season.tables, records=tables.records.assign(level="event"))
    moment = sort_out(
        fates, one_level, how["species"], season.work, dates=dates, outside=how[OUTSIDE], identified=False
    )
    at, i = number(moment, season.edges), np.flatnonzero(fates.open)
    of = pd.Index(season.tables.deployments["deployment"]).get_indexer(pd.Index(tables.records["deployment"].iloc[i]))
    unknown = np.zeros(len(at), bool)
    unknown[i] = np.isnan(season.work.effort[at[i] - 1, season.work.place[of]])
    fates.mark(unknown, UNKNOWN_EFFORT)
    return fates.fate, at


def _of_visit(history: DetectionHistory, place: pd.DataFrame) -> np.ndarray:
    """object [n]: "used" where the history has the visit, else why not."""
    keys = ["site", "season", "visit"]
    visits = history.visits[keys].assign(done=history.done).drop_duplicates(keys)
    done = place.merge(visits, on=keys, how="left")["done"]
    return np.where(done.isna(), NOT_THERE, np.where(done == True, Ledger.USED, UNKNOWN_EFFORT))  # noqa: E712


def _finished(tables: SurveyTables, fate: np.ndarray, visit: np.ndarray, classifier: str | None) -> SurveyTables:
    """The tables with the end of every record and the ledger, as `detection_history` leaves them."""
    r, used = tables.records, fate == Ledger.USED
    ledger = Ledger.of(r["file"], r["row"], fate)
    ledger.check()
    occasion = pd.Series(pd.array(np.where(used, visit, 0), "Int64"), index=r.index).where(used)
    choices = {"candidates of": classifier or "any classifier"}
    return replace(
        tables, records=r.assign(fate=fate, occasion=occasion), ledger=ledger, provenance=tables.provenance | choices
    )
