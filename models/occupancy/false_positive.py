"""Occupancy when some detections are of something else (Royle & Link 2006; Miller et al. 2011, Ecology 92:1422)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from ..verdict import Outcome, Remark
from .delta import mean_of
from .history_model import HistoryModel, Symbol, check_detections
from .mixing import Mixed, mix
from .single_season import naive_start, occupied_rows, one_season
from .visits import Groups, detections_by_site

CERTAINTIES = {
    "certain": "a detection is always true",
    "uncertain": "a detection may be false",
    "confirmable": "1 = a detection that may be false, 2 = a detection confirmed to be true",
}


class FalsePositiveOccupancy(HistoryModel):
    """A visit finds the species with p where it is, and something taken for it with fp where it is not.

    Parameters
    ----------
    history : DetectionHistory of one season, values 0, 1 and, on confirmable visits, 2 (a confirmed detection)
    psi : formula over site covariates
    p, fp : formulas over covariates of visits and sites
    b : probability that a detection on a confirmable visit is confirmed; only where there are such visits
    certainty : covariate of visits that says "certain", "uncertain" or "confirmable"; without it all visits are
        confirmable if there is a value of 2, else uncertain

    Raises
    ------
    SurveyError : nothing was found, several seasons, a value that its kind of visit cannot have, a wrong formula
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("p", "visit", "probability of detection on a visit to an occupied site"),
        Symbol("fp", "visit", "probability of a false detection on a visit to a site that is not occupied"),
        Symbol("b", "visit", "probability that a detection at an occupied site is confirmed"),
    )
    data_kind = "detections with certainty"

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        p: str | float = "~ 1",
        fp: str | float = "~ 1",
        b: str | float = "~ 1",
        *,
        certainty: str = "certainty",
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=2)
        one_season(history, "DynamicOccupancy")
        self.kind = _kinds(history, certainty)
        self.value = history.value[history.done].astype(int)
        _check_values(self.kind, self.value)
        self.visits = Groups(history.site_of[history.done], history.n_sites)
        confirmable = bool((self.kind == "confirmable").any())
        super().__init__(history, {"psi": psi, "p": p, "fp": fp} | ({"b": b} if confirmable else {}), links)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _prob(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [V, 2]: probability of what each visit found at an occupied site and at one that is not."""
        p, fp, y = values["p"], self._false(values), self.value
        if "b" not in values:
            return np.stack([np.where(y > 0, p, 1.0 - p), np.where(y > 0, fp, 1.0 - fp)], axis=1)
        b = np.where(self.kind == "confirmable", values["b"], 0.0)
        occupied = np.choose(y, [1.0 - p, p * (1.0 - b), p * b])
        return np.stack([occupied, np.choose(y, [1.0 - fp, fp, np.zeros_like(fp)])], axis=1)

    def _false(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.where(self.kind == "certain", 0.0, values["fp"])

    def _mixed(self, values: Mapping[str, np.ndarray], prob: np.ndarray) -> Mixed:
        return mix(np.stack([values["psi"], 1.0 - values["psi"]], axis=1), self.visits.loglik(prob))

    def evaluate(self, values, gradient):
        prob = self._prob(values)
        mixed = self._mixed(values, prob)
        loglik = float(mixed.total.sum())
        if not gradient:
            return loglik, None
        occupied, not_occupied = self.visits.pull(prob, mixed.posterior).T
        y, false = self.value, self.kind != "certain"
        adjoints = {"psi": mixed.relative[:, 0] - mixed.relative[:, 1]}
        adjoints["fp"] = not_occupied * np.choose(y, [-1.0, 1.0, 0.0]) * false
        if "b" not in values:
            return loglik, adjoints | {"p": occupied * np.where(y > 0, 1.0, -1.0)}
        b, p = np.where(self.kind == "confirmable", values["b"], 0.0), values["p"]
        adjoints["p"] = occupied * np.choose(y, [-np.ones_like(b), 1.0 - b, b])
        adjoints["b"] = occupied * np.choose(y, [np.zeros_like(p), -p, p]) * (self.kind == "confirmable")
        return loglik, adjoints

    def start_values(self):
        naive = naive_start(detections_by_site(self.history), self.history.visited)
        p = min(0.9, 1.5 * naive["p"])
        return {"psi": 0.7 * naive["psi"], "p": p, "fp": 0.1 * p, "b": 0.5}

    # ---- what follows ---------------------------------------------------------------------------------------

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability that each site is occupied, given what was found there."""
        values = self.parameters.values(vector)
        prob = self._prob(values)
        certain = np.isneginf(self.visits.loglik(prob)[:, 1])
        return np.where(certain, 1.0, self._mixed(values, prob).posterior[:, 0])

    def posterior(self, vector):
        found = self.history.detected[:, 0]
        return pd.DataFrame({"site": self.history.sites.index, "found": found, "occupied": self.occupied(vector)})

    def derive(self, fit, interval):
        visits = f"mean over {len(self.value)} visits"
        rows = [
            mean_of(fit, "occupancy", f"mean over {self.history.n_sites} sites", "psi", interval),
            mean_of(fit, "detection", visits, "p", interval),
            mean_of(fit, "false detection", visits, "fp", interval),
        ]
        if "b" in self.parameters:
            rows.append(mean_of(fit, "confirmation", visits, "b", interval))
        return table(rows + occupied_rows(fit, self.history, self.occupied))

    def remarks(self, fit):
        if (self.kind == "uncertain").all():
            detail = (
                "No detection is known to be true: only the assumption that true detections are more frequent than "
                "false ones tells occupied sites from others (Royle & Link 2006)"
            )
            return (Remark(Outcome.IMPRECISE, detail),)
        return ()

    def _draw(self, values, rng):
        there = (rng.uniform(size=self.history.n_sites) < values["psi"])[self.visits.group]
        found = rng.uniform(size=len(there)) < np.where(there, values["p"], self._false(values))
        if "b" not in values:
            return found
        confirmed = found & there & (self.kind == "confirmable") & (rng.uniform(size=len(there)) < values["b"])
        return found + confirmed.astype(int)


def _kinds(history: DetectionHistory, certainty: str) -> np.ndarray:
    """What is known about the detections of each visit [V]."""
    if certainty not in history.visits:
        any_confirmed = np.nanmax(history.value) == 2
        return np.full(int(history.done.sum()), "confirmable" if any_confirmed else "uncertain", dtype=object)
    kinds = history.visits[certainty].to_numpy(object)[history.done]
    unknown = sorted({str(k) for k in kinds} - set(CERTAINTIES))
    if unknown:
        raise refuse("this certainty of a visit is not known", f"Use {', '.join(CERTAINTIES)}", value=unknown)
    return kinds


def _check_values(kind: np.ndarray, value: np.ndarray) -> None:
    wrong = (kind != "confirmable") & (value > 1)
    if wrong.any():
        raise refuse(
            "a value of 2 (confirmed) on a visit that is not confirmable",
            "Give 0 or 1, or call the visit confirmable",
            value=str(kind[wrong][0]),
        )
