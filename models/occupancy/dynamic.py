"""Dynamic occupancy: colonisation and local extinction between seasons (MacKenzie et al. 2003, Ecology 84:2200)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from .chains import on_off
from .delta import mean_of
from .history_model import Symbol, check_detections
from .seasons import STATE_SYMBOLS, SeasonalOccupancy, state_formulas, state_start
from .single_season import naive_start
from .visits import detections_by_season


class DynamicOccupancy(SeasonalOccupancy):
    """Occupied in the first season with psi; between seasons gained with gamma and lost with epsilon.

    Parameters
    ----------
    history : DetectionHistory of two or more seasons, values 0 and 1; seasons without visits may be among them
    psi : formula over site covariates, occupancy of the first season
    gamma : colonisation of a site that is not occupied, formula over covariates of sites and of the season it starts
        from (`season` among them)
    epsilon : local extinction, likewise
    p : formula over covariates of visits, seasons and sites
    autologistic : formula over the covariates of gamma, in place of epsilon: one logit of occupancy in the next season
        with the state before in it, logit gamma + autologistic · z (Royle & Dorazio 2008, section 9.5), so that
        covariates of gamma act on colonisation and persistence alike; 0.0 is occupancy without memory
    exposure : True takes p per unit of effort, 1 - (1 - p)^effort

    Raises
    ------
    SurveyError : nothing was found, values above 1, both epsilon and autologistic, a wrong formula or name
    """

    symbols = (*STATE_SYMBOLS, Symbol("p", "visit", "probability of detection on a visit to an occupied site"))

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        gamma: str | float = "~ 1",
        epsilon: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        autologistic: str | float | None = None,
        exposure: bool = False,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        self.visits = detections_by_season(history, exposure)
        self.certain = self.visits.any
        formulas = state_formulas(history, psi, gamma, epsilon) | {"p": p}
        if autologistic is not None:
            _only_autologistic(history, epsilon)
            formulas = {name: f for name, f in formulas.items() if name != "epsilon"} | {"autologistic": autologistic}
        super().__init__(history, formulas, links)

    def found(self, values, gradient):
        emission = on_off(self.visits.present(values["p"]), self.visits.absent())
        return emission, lambda by: {"p": self.visits.pull_p(values["p"], by[:, 0])}

    def start_values(self):
        visited = np.bincount(self.visits.group, minlength=len(self.visits.any)) > 0
        naive = naive_start(self.visits, visited)
        return naive | state_start(self.history, naive["psi"])

    def occupied_and_found(self, values):
        """Occupancy from the rates alone [N·T], and the probability [V] that a visit to an occupied site detects."""
        return self.projected_at(values).ravel(), self.visits.probability(values["p"])

    def fitted(self, values):
        psi, p = self.occupied_and_found(values)
        return psi[self.visits.group] * p

    def more_rows(self, fit, interval):
        return [mean_of(fit, "detection", f"mean over {len(self.visits.seen)} visits", "p", interval)]

    def _draw(self, values, rng):
        there = self.draw_states(values, rng)[self.visits.group]
        return there & (rng.uniform(size=len(there)) < self.visits.probability(values["p"]))


def _only_autologistic(history: DetectionHistory, epsilon: str | float) -> None:
    """Refuse what contradicts an autologistic model."""
    if epsilon != "~ 1":
        raise refuse("epsilon and autologistic say the same twice", "Leave out one of them", value=epsilon)
    if history.n_seasons == 1:
        raise refuse("the history has one season, so there is none before", "Leave out autologistic")
