"""What a classifier found, by visit: images or recordings with scores, some of which people have looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .detections import KEYS, DetectionHistory
from .errors import Problems, refuse
from .ledger import Ledger
from .tables import SurveyTables

WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates among the records of a camera survey; see `survey.candidates_of`.

    Parameters
    ----------
    table : one row per candidate: `site`, `season`, `visit`, `score` (NaN: none), `verified` ("true", "false" or
        missing), and the `record`, `file` and `row` it comes from
    tables : the tables, with the end of every record and the ledger
    """

    table: pd.DataFrame
    tables: SurveyTables

    @property
    def ledger(self) -> Ledger:
        """Where each record went."""
        return self.tables.ledger

    def __repr__(self) -> str:
        words, t = self.table["verified"], self.table
        return (
            f"Candidates: {len(t):,}, {t['score'].notna().sum():,} with a score, "
            f"{(words == 'true').sum():,} verified as true, {(words == 'false').sum():,} as false"
        )


def with_candidates(history: DetectionHistory, candidates: pd.DataFrame | Candidates) -> DetectionHistory:
    """The visits of a history with the candidates of a species, as `models.ClassifiedOccupancy` takes them.

    A visit has the value 1 if it has a candidate, else 0; `score`, the highest of its candidates; and `verified`:
    "true" if one of them was, "false" if all of them were looked at and are of something else, else missing.

    Parameters
    ----------
    history : the visits, whatever they found; those that were not done stay so
    candidates : one row per image or recording that the classifier took for the species: `site`, `visit` (and `season`,
        `trail`, `method` where the history has them), `score` (missing: it has none), and optional `verified`, "true",
        "false" or missing. Or what `candidates_of` found in the history's records, whose ledger the history then has

    Raises
    ------
    SurveyError : a column is missing, a candidate is of no visit that was done, a score is no number, an unknown word
        in `verified`; all faults at once
    """
    if isinstance(candidates, Candidates):
        made = with_candidates(history, candidates.table)
        more = {"tables": candidates.tables, "ledger": candidates.ledger}
        return replace(made, seasons=made._season_table(), **more)
    keys = [key for key in KEYS if key in history.visits and (key != "season" or history.n_seasons > 1)]
    lacking = [name for name in (*keys, "score") if name not in candidates]
    if lacking:
        raise refuse("the table of candidates lacks columns", "Add them", value=lacking)
    frame = candidates.assign(site=candidates["site"].astype(str), row=np.arange(len(candidates)))
    where = history.visits[keys].assign(at=np.arange(len(history.visits)))
    at = frame[["row", *keys]].merge(where, on=keys, how="left").sort_values("row")["at"].to_numpy(float)
    score = pd.to_numeric(frame["score"], errors="coerce").to_numpy(float)
    judged = _judged(frame)
    given = frame["score"].notna().to_numpy() & (frame["score"] != "").to_numpy()
    _check(history, frame, keys, at, given & ~np.isfinite(score), judged)
    visit, n = at.astype(int), len(history.visits)
    highest = pd.Series(score).groupby(visit).max().reindex(range(n)).to_numpy()
    known = pd.Series(judged).groupby(visit)
    true = (known.max().reindex(range(n)) == 1.0).to_numpy()
    false = (known.apply(lambda v: bool((v == 0.0).all())).reindex(range(n)) == True).to_numpy()  # noqa: E712
    words = pd.Series(np.select([true, false], ["true", "false"], ""), dtype=object).replace("", None)
    value = np.where(history.done, np.bincount(visit, minlength=n) > 0, np.nan)
    visits = history.visits.assign(value=value, score=highest, verified=words.to_numpy())
    return replace(history, visits=visits, seasons=history._season_table())


def _judged(frame: pd.DataFrame) -> np.ndarray:
    """1 true, 0 false, NaN not looked at, infinite for a word that is not known."""
    if "verified" not in frame:
        return np.full(len(frame), np.nan)
    words = frame["verified"].to_numpy(object)
    seen = ~pd.isna(words) & (words != "")
    return np.array([WORDS.get(str(w).lower(), np.inf) if s else np.nan for w, s in zip(words, seen, strict=True)])


def _check(history: DetectionHistory, frame: pd.DataFrame, keys: list[str], at, no_number, judged) -> None:
    bad = Problems()
    lost = np.isnan(at)
    lost[~lost] = ~history.done[at[~lost].astype(int)]
    faults = (
        (lost, keys, "a candidate is of no visit that was done", "Correct its site and visit, or add the visit"),
        (no_number, ["score"], "the score of a candidate is no number", "Correct it or drop the row"),
        (np.isinf(judged), ["verified"], "this verification is not known", "Use 'true', 'false' or leave it empty"),
    )
    for wrong, columns, what, fix in faults:
        for row in np.flatnonzero(wrong)[:20]:
            value = ", ".join(str(frame[name].iloc[row]) for name in columns)
            bad.add(f"{what} (row {row + 1} of the candidates)", fix, value=value)
    bad.raise_any()
