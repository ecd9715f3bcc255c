"""Occupancy at two scales: several methods or devices at a site (Nichols et al. 2008, J. Appl. Ecol. 45:1321)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ..derived import table
from .delta import mean_of, proportion
from .history_model import HistoryModel, Symbol, check_detections
from .mixing import Mixed, mix_two
from .single_season import naive_start, occupied_rows
from .visits import detections_by_season


class MultiMethodOccupancy(HistoryModel):
    """A site is occupied with psi; on an occasion the species is available at an occupied site with theta; visits of
    that occasion (methods, devices, repeats) detect it with p when it is available.

    Parameters
    ----------
    history : DetectionHistory whose seasons are the occasions; values 0 and 1. Methods are visits of one occasion, with
        the covariate `method` for p="~ method"
    psi : formula over site covariates
    theta : formula over covariates of sites and seasons
    p : formula over covariates of visits, seasons and sites
    exposure : True takes p per unit of effort, 1 - (1 - p)^effort

    Raises
    ------
    SurveyError : nothing was found, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("theta", "season", "probability of being available on an occasion at an occupied site"),
        Symbol("p", "visit", "probability of detection on a visit while available"),
    )

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        theta: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        exposure: bool = False,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        self.visits = detections_by_season(history, exposure)
        self.absent = np.where(history.detected.any(axis=1), -np.inf, 0.0)
        super().__init__(history, {"psi": psi, "theta": theta, "p": p}, links)

    def _mixed(self, values: Mapping[str, np.ndarray]) -> tuple[Mixed, Mixed]:
        """Of the sites [N], and of the occasions at an occupied site [N·T]."""
        available = mix_two(values["theta"], self.visits.present(values["p"]), self.visits.absent())
        by_site = available.total.reshape(self.history.n_sites, -1).sum(axis=1)
        return mix_two(values["psi"], by_site, self.absent), available

    def fitted(self, values):
        available = np.repeat(values["psi"], self.history.n_seasons) * values["theta"]
        return available[self.visits.group] * self.visits.probability(values["p"])

    def by_site(self, values):
        return self._mixed(values)[0].total

    def evaluate(self, values, gradient):
        sites, occasions = self._mixed(values)
        loglik = float(sites.total.sum())
        if not gradient:
            return loglik, None
        occupied = np.repeat(sites.posterior[:, 0], self.history.n_seasons)
        adjoints = {"psi": sites.relative[:, 0] - sites.relative[:, 1]}
        adjoints["theta"] = occupied * (occasions.relative[:, 0] - occasions.relative[:, 1])
        return loglik, adjoints | {"p": self.visits.pull_p(values["p"], occupied * occasions.posterior[:, 0])}

    def start_values(self):
        naive = naive_start(self.visits, np.bincount(self.visits.group, minlength=len(self.visits.any)) > 0)
        found = self.history.detected
        psi = min(0.9, 1.2 * (found.any(axis=1).sum() + 1.0) / (self.history.visited.sum() + 2.0))
        return {"psi": psi, "theta": min(0.9, max(0.1, naive["psi"] / psi)), "p": naive["p"]}

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability that each site is occupied, given what was found there."""
        posterior = self._mixed(self.parameters.values(vector))[0].posterior[:, 0]
        return np.where(np.isneginf(self.absent), 1.0, posterior)

    def posterior(self, vector):
        sites, occasions = self._mixed(self.parameters.values(vector))
        available = np.repeat(sites.posterior[:, 0], self.history.n_seasons) * occasions.posterior[:, 0]
        rows = self.history.season_frame()[["site", "season"]]
        found = self.history.detected.ravel()
        occupied = np.repeat(self.occupied(vector), self.history.n_seasons)
        columns = {"found": found, "occupied": occupied, "available": np.where(found, 1.0, available)}
        return pd.concat([rows, pd.DataFrame(columns)], axis=1)

    def derive(self, fit, interval):
        values, n, t = self.parameters.values, self.history.n_sites, self.history.n_seasons
        use = lambda v: (np.repeat(values(v)["psi"], t) * values(v)["theta"]).mean()  # noqa: E731
        over = f"mean over {n} sites and {t} occasions"
        visits = f"mean over {len(self.visits.seen)} visits"
        rows = [
            mean_of(fit, "occupancy", f"mean over {n} sites", "psi", interval),
            mean_of(fit, "availability", over, "theta", interval),
            proportion(fit, "occupied and available", over, use),
            mean_of(fit, "detection", visits, "p", interval),
        ]
        return table(rows + occupied_rows(fit, self.history, self.occupied))

    def _draw(self, values, rng):
        occupied = rng.uniform(size=self.history.n_sites) < values["psi"]
        available = rng.uniform(size=len(values["theta"])) < values["theta"]
        there = (np.repeat(occupied, self.history.n_seasons) & available)[self.visits.group]
        return there & (rng.uniform(size=len(there)) < self.visits.probability(values["p"]))
