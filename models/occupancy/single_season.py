"""Single-season occupancy (MacKenzie et al. 2002, Ecology 83:2248)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from .delta import mean_of, realised
from .history_model import HistoryModel, Symbol, check_detections
from .mixing import Mixed, mix_two
from .one_pass import OnePass
from .visits import detections_by_site


class Occupancy(HistoryModel):
    """A site is occupied for the whole survey with probability psi; a visit to an occupied site detects with p.

    Parameters
    ----------
    history : DetectionHistory of one season, values 0 and 1
    psi : formula over site covariates, or a number, which fixes it
    p : formula over covariates of visits, sites and `visit`, or a number
    exposure : True takes p per unit of effort: a visit with effort e detects with probability 1 - (1 - p)^e. With the
        cloglog link of p, log effort is then an offset on the hazard
    known_occupied : names of sites known to be occupied from other evidence
    links : "logit" (default) or "cloglog", by parameter

    Raises
    ------
    SurveyError : nothing was found, several seasons, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("p", "visit", "probability of detection on a visit to an occupied site"),
    )

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        exposure: bool = False,
        known_occupied: Sequence[str] = (),
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        one_season(history, "DynamicOccupancy")
        self.exposure = exposure
        self.visits = detections_by_site(history, exposure)
        self.absent = self.visits.absent()
        self.known = np.zeros(history.n_sites, bool)
        self.known[_positions(history, known_occupied)] = True
        self.absent[self.known] = -np.inf
        super().__init__(history, {"psi": psi, "p": p}, links)
        self.one_pass = OnePass.of(self.parameters, self.visits, bool(len(known_occupied)))

    def loglik(self, vector):
        return super().loglik(vector) if self.one_pass is None else self.one_pass(vector, False)[0]

    def loglik_and_gradient(self, vector):
        return super().loglik_and_gradient(vector) if self.one_pass is None else self.one_pass(vector, True)

    def _mixed(self, values: Mapping[str, np.ndarray]) -> Mixed:
        return mix_two(values["psi"], self.visits.present(values["p"]), self.absent)

    def occupied_and_found(self, values):
        """psi [N], and the probability [V] that a visit to an occupied site detects."""
        return np.where(self.known, 1.0, values["psi"]), self.visits.probability(values["p"])

    def fitted(self, values):
        psi, p = self.occupied_and_found(values)
        return psi[self.visits.group] * p

    def by_site(self, values):
        return self._mixed(values).total

    def evaluate(self, values, gradient):
        mixed = self._mixed(values)
        loglik = float(mixed.total.sum())
        if not gradient:
            return loglik, None
        p = self.visits.pull_p(values["p"], mixed.posterior[:, 0])
        return loglik, {"psi": mixed.relative[:, 0] - mixed.relative[:, 1], "p": p}

    def start_values(self):
        return naive_start(self.visits, self.history.visited)

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability that each site is occupied, given what was found there; exactly 1 where found."""
        posterior = self._mixed(self.parameters.values(vector)).posterior[:, 0]
        return np.where(np.isneginf(self.absent), 1.0, posterior)

    def posterior(self, vector):
        found = self.history.detected[:, 0]
        return pd.DataFrame({"site": self.history.sites.index, "found": found, "occupied": self.occupied(vector)})

    def derive(self, fit, interval):
        n, visits = self.history.n_sites, len(self.visits.seen)
        unit = f"mean over {visits} visits" if not self.exposure else f"per unit of effort, mean over {visits} visits"
        rows = [
            mean_of(fit, "occupancy", f"mean over {n} sites", "psi", interval),
            mean_of(fit, "detection", unit, "p", interval),
            *occupied_rows(fit, self.history, self.occupied),
        ]
        return table(rows)

    def _draw(self, values, rng):
        occupied = rng.uniform(size=self.history.n_sites) < values["psi"]
        p = self.visits.probability(values["p"]) * occupied[self.visits.group]
        return rng.uniform(size=len(p)) < p


def occupied_rows(fit, history, occupied) -> list:
    """The proportion of these very sites that is occupied, and their area when it is known."""
    n = history.n_sites
    rows = [realised(fit, "proportion occupied", "proportion", f"these {n} sites", np.full(n, 1.0 / n), occupied)]
    if history.area is not None:
        rows.append(realised(fit, "area occupied", "km²", f"these {n} sites", history.area, occupied))
    return rows


def naive_start(visits, visited: np.ndarray) -> dict[str, float]:
    """psi and p from the sites where something was found, psi a little higher for those that were missed."""
    found = visits.any
    n = max(int(visited.sum()), 1)
    there = found[visits.group]
    mean_effort = 1.0 if visits.exposure is None else float(np.mean(visits.exposure))
    p = (visits.seen.sum() + 0.5) / (there.sum() + 1.0) * 0.8 / max(mean_effort, 1.0)
    return {"psi": min(0.9, (found.sum() + 1.0) / (n + 2.0) * 1.2), "p": min(0.9, p)}


def one_season(history: DetectionHistory, instead: str) -> None:
    """Refuse several seasons."""
    if history.n_seasons > 1:
        fix = f"Use models.{instead}, or history.one_season(label)"
        raise refuse("the history has several seasons", fix, value=list(history.season_labels)[:10])


def _positions(history: DetectionHistory, names: Sequence[str]) -> np.ndarray:
    where = history.sites.index.get_indexer([str(name) for name in names])
    if (where < 0).any():
        raise refuse("a site known to be occupied is not in the history", "Check its name", value=list(names)[:10])
    return where
