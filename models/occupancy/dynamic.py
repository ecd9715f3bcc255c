"""Dynamic occupancy: colonisation and local extinction between seasons (MacKenzie et al. 2003, Ecology 84:2200)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import log_normal, table
from .chains import Passed, pull_two_state, run_chains, two_state
from .delta import covariance, mean_of, proportion, realised
from .history_model import HistoryFit, HistoryModel, Symbol, check_detections
from .single_season import naive_start
from .visits import detections_by_season


class DynamicFit(HistoryFit):
    """A fit of dynamic occupancy: adds occupancy by season with its full covariance."""

    def seasonal(self) -> pd.DataFrame:
        """Occupancy of each season, projected (what the rates imply) and smoothed (given what was found)."""
        frame = self.derive()
        return frame[frame["quantity"].isin(["occupancy", "proportion occupied"])].reset_index(drop=True)

    def seasonal_covariance(self) -> np.ndarray:
        """float [T, T]: covariance of the projected occupancies of the seasons, which share their parameters."""
        return covariance(self, lambda v: self.model.projected(v).mean(axis=0))


class DynamicOccupancy(HistoryModel):
    """Occupied in the first season with psi; between seasons gained with gamma and lost with epsilon.

    Parameters
    ----------
    history : DetectionHistory of two or more seasons, values 0 and 1; seasons without visits may be among them
    psi : formula over site covariates, occupancy of the first season
    gamma : colonisation of a site that is not occupied, formula over covariates of sites and of the season it starts
        from (`season` among them)
    epsilon : local extinction, likewise
    p : formula over covariates of visits, seasons and sites
    exposure : True takes p per unit of effort, 1 - (1 - p)^effort

    Raises
    ------
    SurveyError : nothing was found, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied in the first season"),
        Symbol("gamma", "transition", "probability that a site not occupied is so in the next season"),
        Symbol("epsilon", "transition", "probability that an occupied site is not so in the next season"),
        Symbol("p", "visit", "probability of detection on a visit to an occupied site"),
    )
    fit_class = DynamicFit

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        gamma: str | float = "~ 1",
        epsilon: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        exposure: bool = False,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        self.visits = detections_by_season(history, exposure)
        self.starts = np.arange(history.n_sites + 1, dtype=np.int64) * history.n_seasons
        formulas = {"psi": psi, "p": p}
        if history.n_seasons > 1:
            formulas |= {"gamma": gamma, "epsilon": epsilon}
        elif (gamma, epsilon) != ("~ 1", "~ 1"):
            raise refuse("the history has one season, so nothing is gained or lost", "Leave out gamma and epsilon")
        super().__init__(history, {s.name: formulas[s.name] for s in self.symbols if s.name in formulas}, links)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _transition(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N·T, 2, 2] into each season; the first of a site is not read."""
        whole = np.zeros((self.history.n_sites, self.history.n_seasons, 2, 2))
        if self.history.n_seasons > 1:
            into = two_state(values["gamma"], values["epsilon"])
            whole[:, 1:] = into.reshape(self.history.n_sites, -1, 2, 2)
        return whole.reshape(-1, 2, 2)

    def _passed(self, values: Mapping[str, np.ndarray], gradient: bool) -> Passed:
        initial = np.stack([values["psi"], 1.0 - values["psi"]], axis=1)
        emission = np.stack([self.visits.present(values["p"]), self.visits.absent()], axis=1)
        return run_chains(initial, self._transition(values), emission, self.starts, gradient)

    def evaluate(self, values, gradient):
        passed = self._passed(values, gradient)
        loglik = float(passed.total.sum())
        if not gradient:
            return loglik, None
        adjoints = {"psi": passed.by_initial[:, 0] - passed.by_initial[:, 1]}
        if "gamma" in values:
            into = passed.by_transition.reshape(self.history.n_sites, -1, 2, 2)[:, 1:].reshape(-1, 2, 2)
            adjoints["gamma"], adjoints["epsilon"] = pull_two_state(into)
        return loglik, adjoints | {"p": self.visits.pull_p(values["p"], passed.posterior[:, 0])}

    def start_values(self):
        visited = np.bincount(self.visits.group, minlength=len(self.visits.any)) > 0
        return naive_start(self.visits, visited) | {"gamma": 0.15, "epsilon": 0.2}

    # ---- what follows ---------------------------------------------------------------------------------------

    def projected(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: probability of occupancy by season from the rates alone."""
        values, (n, t) = self.parameters.values(vector), (self.history.n_sites, self.history.n_seasons)
        psi = np.empty((n, t))
        psi[:, 0] = values["psi"]
        if t > 1:
            gamma, epsilon = (values[name].reshape(n, t - 1) for name in ("gamma", "epsilon"))
            for s in range(1, t):
                psi[:, s] = psi[:, s - 1] * (1.0 - epsilon[:, s - 1]) + (1.0 - psi[:, s - 1]) * gamma[:, s - 1]
        return psi

    def smoothed(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: probability of occupancy given everything that was found at the site; exactly 1 where found."""
        posterior = self._passed(self.parameters.values(vector), True).posterior[:, 0]
        return np.where(self.visits.any, 1.0, posterior).reshape(self.history.n_sites, -1)

    def posterior(self, vector):
        rows = self.history.season_frame()[["site", "season"]]
        return rows.assign(found=self.history.detected.ravel(), occupied=self.smoothed(vector).ravel())

    def derive(self, fit, interval):
        n, labels = self.history.n_sites, self.history.season_labels
        rows = []
        for t, label in enumerate(labels):
            over = f"season {label}, mean over {n} sites"
            rows.append(proportion(fit, "occupancy", over, lambda v, t=t: self.projected(v)[:, t].mean()))
        share, occupied = np.full(n, 1.0 / n), lambda v, t: self.smoothed(v)[:, t]
        for t, label in enumerate(labels):
            here = f"season {label}, these {n} sites"
            z = lambda v, t=t: occupied(v, t)  # noqa: E731
            rows.append(realised(fit, "proportion occupied", "proportion", here, share, z))
            if self.history.area is not None:
                rows.append(realised(fit, "area occupied", "km²", here, self.history.area, z))
        rows += self._growth(fit)
        rows.append(mean_of(fit, "detection", f"mean over {len(self.visits.seen)} visits", "p", interval))
        return table(rows)

    def _growth(self, fit) -> list:
        """Mean yearly growth of projected occupancy: the geometric mean from the first season to the last."""
        steps = self.history.n_seasons - 1
        if steps == 0:
            return []

        def growth(vector):
            means = self.projected(vector).mean(axis=0)
            return (means[-1] / means[0]) ** (1.0 / steps)

        se = float(np.sqrt(covariance(fit, growth)[0, 0]))
        first, last = self.history.season_labels[0], self.history.season_labels[-1]
        return [log_normal("growth of occupancy", "per season", f"{first} to {last}", float(growth(fit.vector)), se)]

    def _draw(self, values, rng):
        n, t = self.history.n_sites, self.history.n_seasons
        occupied = np.empty((n, t), bool)
        occupied[:, 0] = rng.uniform(size=n) < values["psi"]
        for s in range(1, t):
            gain, loss = (values[name].reshape(n, t - 1)[:, s - 1] for name in ("gamma", "epsilon"))
            occupied[:, s] = rng.uniform(size=n) < np.where(occupied[:, s - 1], 1.0 - loss, gain)
        there = occupied.ravel()[self.visits.group]
        return there & (rng.uniform(size=len(there)) < self.visits.probability(values["p"]))
