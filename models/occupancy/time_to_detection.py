"""Occupancy from the time until the first detection (Garrard et al. 2008, Austral Ecol. 33:986)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from .delta import mean_of, proportion
from .history_model import HistoryModel, Symbol, check_detections, spread
from .mixing import Mixed, mix_two
from .single_season import occupied_rows, one_season
from .visits import Groups


class TimeToDetection(HistoryModel):
    """A site is occupied with psi; at an occupied site detections come at a constant rate, and a visit ends with the
    first one or when its time is up.

    Parameters
    ----------
    history : DetectionHistory of one season. value 1: found, effort is the time it took; value 0: not found, effort is
        the time spent
    psi : formula over site covariates
    rate : detections per unit of effort, formula over covariates of visits and sites
    limit : covariate of visits that says how long each could have lasted; only simulations need it, which otherwise
        let every visit last as long as the longest one here
    links : of psi "logit" (default) or "cloglog"

    Raises
    ------
    SurveyError : nothing was found, all efforts are alike, several seasons, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("rate", "visit", "detections per unit of effort at an occupied site", ("log",), "per unit of effort"),
    )
    data_kind = "times to detection"

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        rate: str | float = "~ 1",
        *,
        limit: str | None = None,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        one_season(history, "TimeToDetection for each season")
        self.time, self.seen = history.effort[history.done], history.value[history.done] > 0
        if np.ptp(self.time) == 0:
            raise refuse(
                "all efforts are alike, so they are no times to detection",
                "Give the time until the find as the effort of a visit that found something, or use models.Occupancy",
                value=float(self.time[0]),
            )
        if limit is not None and limit not in history.visits:
            raise refuse("the visits have no such covariate", "Check its spelling", value=limit)
        longest = np.full(len(self.time), self.time.max())
        self.limit = longest if limit is None else history.visits[limit].to_numpy(float)[history.done]
        self.visits = Groups(history.site_of[history.done], history.n_sites)
        self.found = np.bincount(self.visits.group[self.seen], minlength=history.n_sites) > 0
        self.absent = np.where(self.found, -np.inf, 0.0)
        super().__init__(history, {"psi": psi, "rate": rate}, links)

    def _mixed(self, values: Mapping[str, np.ndarray]) -> Mixed:
        """Density rate · exp(-rate · t) of a find at t, exp(-rate · t) of none until t."""
        rate = values["rate"]
        logs = np.where(self.seen, np.log(rate), 0.0) - rate * self.time
        present = np.bincount(self.visits.group, weights=logs, minlength=self.history.n_sites)
        return mix_two(values["psi"], present, self.absent)

    def fitted(self, values):
        return values["psi"][self.visits.group] * -np.expm1(-values["rate"] * self.limit)

    def by_site(self, values):
        return self._mixed(values).total

    def evaluate(self, values, gradient):
        mixed = self._mixed(values)
        loglik = float(mixed.total.sum())
        if not gradient:
            return loglik, None
        rate = self.seen / values["rate"] - self.time
        psi = mixed.relative[:, 0] - mixed.relative[:, 1]
        return loglik, {"psi": psi, "rate": rate * mixed.posterior[self.visits.group, 0]}

    def start_values(self):
        there = self.found[self.visits.group]
        n = max(int(self.history.visited.sum()), 1)
        psi = min(0.9, 1.1 * (self.found.sum() + 1.0) / (n + 2.0))
        return {"psi": psi, "rate": float(self.seen.sum() / self.time[there].sum())}

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability that each site is occupied, given what was found there; exactly 1 where found."""
        return np.where(self.found, 1.0, self._mixed(self.parameters.values(vector)).posterior[:, 0])

    def posterior(self, vector):
        columns = {"site": self.history.sites.index, "found": self.found, "occupied": self.occupied(vector)}
        return pd.DataFrame(columns)

    def derive(self, fit, interval):
        unit = self.history.effort_unit
        one = lambda v: -np.expm1(-self.parameters.values(v)["rate"]).mean()  # noqa: E731
        rows = [
            mean_of(fit, "occupancy", f"mean over {self.history.n_sites} sites", "psi", interval),
            mean_of(fit, "rate of detection", f"mean over {len(self.time)} visits, effort in {unit}", "rate", interval),
            proportion(fit, "detection", "within one unit of effort", one),
            *occupied_rows(fit, self.history, self.occupied),
        ]
        return table(rows)

    def _draw(self, values, rng):
        there = (rng.uniform(size=self.history.n_sites) < values["psi"])[self.visits.group]
        wait = np.where(there, rng.exponential(1.0 / values["rate"]), np.inf)
        return wait < self.limit, np.minimum(wait, self.limit)

    def _as_history(self, drawn):
        found, time = drawn
        effort = self.history.effort.copy()
        effort[self.history.done] = time
        return self.history.with_values(spread(self.history.done, found), effort)
