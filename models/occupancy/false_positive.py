"""Occupancy when some detections are of something else (Royle & Link 2006; Miller et al. 2011, Ecology 92:1422).

Over several seasons false detections lie on top of dynamic occupancy (Miller et al. 2013, PLoS ONE 8:e65808).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..verdict import Outcome, Remark
from .delta import mean_of
from .history_model import Symbol, check_detections
from .seasons import STATE_SYMBOLS, SeasonalOccupancy, state_formulas, state_start
from .single_season import naive_start
from .visits import Groups, detections_by_season

CERTAINTIES = {
    "certain": "a detection is always true",
    "uncertain": "a detection may be false",
    "confirmable": "1 = a detection that may be false, 2 = a detection confirmed to be true",
}


class FalsePositiveOccupancy(SeasonalOccupancy):
    """A visit finds the species with p where it is, and something taken for it with fp where it is not.

    Parameters
    ----------
    history : DetectionHistory of one or more seasons, values 0, 1 and, on confirmable visits, 2 (a confirmed detection)
    psi : formula over site covariates, occupancy (of the first season)
    p, fp : formulas over covariates of visits, seasons and sites
    b : probability that a detection on a confirmable visit is confirmed; only where there are such visits
    certainty : covariate of visits that says "certain", "uncertain" or "confirmable"; without it all visits are
        confirmable if there is a value of 2, else uncertain
    gamma, epsilon : colonisation and local extinction between seasons, see `DynamicOccupancy`

    Raises
    ------
    SurveyError : nothing was found, a value that its kind of visit cannot have, a wrong formula
    """

    symbols = (
        *STATE_SYMBOLS[:3],
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
        gamma: str | float = "~ 1",
        epsilon: str | float = "~ 1",
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=2)
        self.kind = _kinds(history, certainty)
        self.value = history.value[history.done].astype(int)
        _check_values(self.kind, self.value)
        self.visits = Groups(detections_by_season(history).group, history.n_sites * history.n_seasons)
        sure = (self.value == 2) | ((self.value == 1) & (self.kind == "certain"))
        self.certain = np.bincount(self.visits.group[sure], minlength=history.n_sites * history.n_seasons) > 0
        formulas = {"p": p, "fp": fp} | ({"b": b} if (self.kind == "confirmable").any() else {})
        super().__init__(history, state_formulas(history, psi, gamma, epsilon) | formulas, links)

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

    def found(self, values, gradient):
        prob = self._prob(values)
        return self.visits.loglik(prob), lambda by: self._pull(values, *self.visits.pull(prob, by).T)

    def fitted(self, values):
        occupied = self.projected_at(values).ravel()[self.visits.group]
        worth = 1.0 + np.where(self.kind == "confirmable", values["b"], 0.0) if "b" in values else 1.0
        return occupied * values["p"] * worth + (1.0 - occupied) * self._false(values)

    def _pull(self, values: Mapping[str, np.ndarray], occupied: np.ndarray, not_occupied: np.ndarray):
        """From derivatives [V] with respect to the probabilities at occupied sites and at others."""
        y, found = self.value, {}
        found["fp"] = not_occupied * np.choose(y, [-1.0, 1.0, 0.0]) * (self.kind != "certain")
        if "b" not in values:
            return found | {"p": occupied * np.where(y > 0, 1.0, -1.0)}
        b, p = np.where(self.kind == "confirmable", values["b"], 0.0), values["p"]
        found["p"] = occupied * np.choose(y, [-np.ones_like(b), 1.0 - b, b])
        found["b"] = occupied * np.choose(y, [np.zeros_like(p), -p, p]) * (self.kind == "confirmable")
        return found

    def start_values(self):
        visits = detections_by_season(self.history)
        naive = naive_start(visits, np.bincount(visits.group, minlength=len(self.certain)) > 0)
        p = min(0.9, 1.5 * naive["p"])
        return state_start(self.history, 0.7 * naive["psi"]) | {"p": p, "fp": 0.1 * p, "b": 0.5}

    # ---- what follows ---------------------------------------------------------------------------------------

    def more_rows(self, fit, interval):
        visits = f"mean over {len(self.value)} visits"
        names = {"detection": "p", "false detection": "fp"} | ({"confirmation": "b"} if "b" in self.parameters else {})
        return [mean_of(fit, quantity, visits, name, interval) for quantity, name in names.items()]

    def remarks(self, fit):
        if (self.kind == "uncertain").all():
            detail = (
                "No detection is known to be true: only the assumption that true detections are more frequent than "
                "false ones tells occupied sites from others (Royle & Link 2006)"
            )
            return (Remark(Outcome.IMPRECISE, detail),)
        return ()

    def _draw(self, values, rng):
        there = self.draw_states(values, rng)[self.visits.group]
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
