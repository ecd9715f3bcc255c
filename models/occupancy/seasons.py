"""Occupancy through seasons, whatever is found in a season: what all models share whose state is occupied or not.

A site is occupied in the first season with psi; between seasons it is gained with gamma and lost with epsilon
(MacKenzie et al. 2003, Ecology 84:2200). One season is the chain of length one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import Estimate, log_normal, table
from .chains import Passed, on_off, pull_two_state, put_two_state, run_chains
from .delta import covariance, mean_of, proportion, realised
from .history_model import HistoryFit, HistoryModel, Symbol

Values = Mapping[str, np.ndarray]
Pull = Callable[[np.ndarray], dict[str, np.ndarray]]

STATE_SYMBOLS = (
    Symbol("psi", "site", "probability that a site is occupied in the first season"),
    Symbol("gamma", "transition", "probability that a site not occupied is so in the next season"),
    Symbol("epsilon", "transition", "probability that an occupied site is not so in the next season"),
    Symbol(
        "autologistic",
        "transition",
        "change of the log odds of occupancy by having been occupied in the season before",
        ("identity",),
        "log odds",
    ),
)


class SeasonalFit(HistoryFit):
    """A fit through seasons: adds occupancy (or abundance), growth and trend with their full covariance.

    `kind` is "projected", what the rates imply for sites like these, or "smoothed", what these very sites did given
    what was found there. Rates that are alike in all seasons make projected changes alike and precise; smoothed ones
    are not bound to that.
    """

    def seasonal(self) -> pd.DataFrame:
        """Occupancy of each season, projected and smoothed."""
        frame = self.derive()
        return frame[frame["quantity"].isin([self.model.follows, "proportion occupied"])].reset_index(drop=True)

    def seasonal_means(self, kind: str = "projected") -> np.ndarray:
        """float [T]: mean occupancy of the seasons."""
        return self._mean(kind)(self.vector)

    def seasonal_covariance(self, kind: str = "projected") -> np.ndarray:
        """float [T, T]: covariance of `seasonal_means`: seasons share their parameters and, smoothed, their sites."""
        of_estimates = covariance(self, self._mean(kind))
        return of_estimates + self.model.covariance_of_states(self.vector) if kind == "smoothed" else of_estimates

    def growth(self, kind: str = "projected") -> pd.DataFrame:
        """Growth of occupancy from each season to the next, psi[t + 1] / psi[t], with log-normal limits."""
        labels, t = self.model.history.season_labels, self.model.history.n_seasons
        scopes = [f"{before} to {after}" for before, after in pairwise(labels)]
        names = [f"growth of {self.model.follows}"] * (t - 1)
        return table(self._ratios(names, scopes, np.diff(np.eye(t), axis=0), kind))

    def growth_covariance(self, kind: str = "projected") -> np.ndarray:
        """float [T - 1, T - 1]: covariance of the logarithms of `growth`."""
        step = np.diff(np.eye(self.model.history.n_seasons), axis=0)
        return step @ self._log_covariance(kind) @ step.T

    def trend(self, kind: str = "projected") -> pd.DataFrame:
        """Mean growth per season: the geometric mean from the first season to the last, and the log-linear slope."""
        return table(self.trend_rows(kind))

    def trend_rows(self, kind: str) -> list[Estimate]:
        """The rows of `trend`; up to three seasons both are the same, and there is one."""
        labels, t = self.model.history.season_labels, self.model.history.n_seasons
        if t == 1:
            return []
        away = np.arange(t) - (t - 1) / 2.0
        contrasts = np.stack([np.eye(t)[-1] - np.eye(t)[0], away * (t - 1) / (away @ away)]) / (t - 1)
        names, n = [f"{what} of {self.model.follows}" for what in ("growth", "trend")], 1 + (t > 3)
        return self._ratios(names[:n], [f"{labels[0]} to {labels[-1]}"] * n, contrasts[:n], kind)

    def _mean(self, kind: str) -> Callable[[np.ndarray], np.ndarray]:
        if kind not in ("projected", "smoothed"):
            raise refuse("this kind of occupancy is not known", "Use 'projected' or 'smoothed'", value=kind)
        return self.model.mean_projected if kind == "projected" else lambda v: self.model.smoothed(v).mean(axis=0)

    def _log_covariance(self, kind: str) -> np.ndarray:
        if self.model.history.n_seasons < 2:
            raise refuse("one season has no growth", "Give a history of several seasons")
        psi = self.seasonal_means(kind)
        return self.seasonal_covariance(kind) / np.outer(psi, psi)

    def _ratios(self, names: list[str], scopes: list[str], contrasts: np.ndarray, kind: str) -> list[Estimate]:
        """Estimates of exp(contrasts · log occupancy), per season."""
        V = self._log_covariance(kind)
        ratios = np.exp(contrasts @ np.log(self.seasonal_means(kind)))
        with np.errstate(invalid="ignore"):
            se = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, V, contrasts))
        rows = zip(names, scopes, ratios, se, strict=True)
        return [log_normal(name, "per season", scope, float(r), float(r * s)) for name, scope, r, s in rows]


class SeasonalOccupancy(HistoryModel):
    """Occupied or not through T ≥ 1 seasons. A subclass says how likely what was found in a season is (`found`).

    Attributes
    ----------
    certain : bool [N·T], season fastest: what was found proves that the site was occupied in that season
    """

    fit_class = SeasonalFit
    follows = "occupancy"
    certain: np.ndarray

    def __init__(
        self,
        history: DetectionHistory,
        formulas: Mapping[str, str | float],
        links: Mapping[str, str] | None = None,
    ):
        self.starts = np.arange(history.n_sites + 1, dtype=np.int64) * history.n_seasons
        super().__init__(history, {s.name: formulas[s.name] for s in self.symbols if s.name in formulas}, links)

    @abstractmethod
    def found(self, values: Values, gradient: bool) -> tuple[np.ndarray, Pull | Any]:
        """Log-likelihood [N·T, 2] of a season's visits where the site is occupied and where it is not.

        And, with `gradient`, what turns derivatives [N·T, 2] with respect to it into those of the parameters of
        detection.
        """

    @abstractmethod
    def more_rows(self, fit, interval: str) -> list[Estimate]:
        """What this model derives besides occupancy: detection and the like."""

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _rates(self, values: Values) -> tuple[np.ndarray, np.ndarray]:
        """Gain and loss [N·(T - 1)]. Autologistic: logit(1 - loss) = logit gain + autologistic."""
        gain = values["gamma"]
        if "autologistic" in values:
            return gain, expit(-(logit(gain) + values["autologistic"]))
        return gain, values["epsilon"]

    def _pull_rates(self, values: Values, by_gain: np.ndarray, by_loss: np.ndarray) -> dict[str, np.ndarray]:
        if "autologistic" not in values:
            return {"gamma": by_gain, "epsilon": by_loss}
        gain, loss = self._rates(values)
        by_eta = -by_loss * loss * (1.0 - loss)
        return {"gamma": by_gain + by_eta / (gain * (1.0 - gain)), "autologistic": by_eta}

    def _transition(self, values: Values) -> np.ndarray:
        """float [N·T, 2, 2] into each season; the first of a site is not read."""
        whole = np.zeros((self.history.n_sites, self.history.n_seasons, 2, 2))
        if self.history.n_seasons > 1:
            gain, loss = (rate.reshape(self.history.n_sites, -1) for rate in self._rates(values))
            put_two_state(gain, loss, whole[:, 1:])
        return whole.reshape(-1, 2, 2)

    def _passed(self, values: Values, gradient: bool) -> tuple[Passed, Pull | Any]:
        emission, pull = self.found(values, gradient)
        initial = on_off(values["psi"], 1.0 - values["psi"])
        return run_chains(initial, self._transition(values), emission, self.starts, gradient), pull

    def by_site(self, values):
        return self._passed(values, False)[0].total

    def evaluate(self, values, gradient):
        passed, pull = self._passed(values, gradient)
        loglik = float(passed.total.sum())
        if not gradient:
            return loglik, None
        adjoints = {"psi": passed.by_initial[:, 0] - passed.by_initial[:, 1]}
        if self.history.n_seasons > 1:
            into = passed.by_transition.reshape(self.history.n_sites, -1, 2, 2)[:, 1:].reshape(-1, 2, 2)
            adjoints |= self._pull_rates(values, *pull_two_state(into))
        return loglik, adjoints | pull(passed.posterior)

    # ---- what follows ---------------------------------------------------------------------------------------

    def projected(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: probability of occupancy by season from the rates alone."""
        return self.projected_at(self.parameters.values(vector))

    def projected_at(self, values: Values) -> np.ndarray:
        """float [N, T]: `projected` at natural-scale values."""
        n, t = self.history.n_sites, self.history.n_seasons
        psi = np.empty((n, t))
        psi[:, 0] = values["psi"]
        if t > 1:
            gain, loss = (rate.reshape(n, t - 1) for rate in self._rates(values))
            for s in range(1, t):
                psi[:, s] = psi[:, s - 1] * (1.0 - loss[:, s - 1]) + (1.0 - psi[:, s - 1]) * gain[:, s - 1]
        return psi

    def mean_projected(self, vector: np.ndarray) -> np.ndarray:
        """float [T]: mean of `projected` over the sites."""
        return self.projected(vector).mean(axis=0)

    def smoothed(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: probability of occupancy given all that was found at the site; exactly 1 where proven."""
        posterior = self._passed(self.parameters.values(vector), True)[0].posterior[:, 0]
        return np.where(self.certain, 1.0, posterior).reshape(self.history.n_sites, -1)

    def covariance_of_states(self, vector: np.ndarray) -> np.ndarray:
        """float [T, T]: covariance of the shares of these sites that are occupied, given what was found and the rates.

        Given everything found, the states of a site are still a Markov chain, whose pairs of seasons in a row are
        transition · by_transition of the backward pass.
        """
        values, (n, t) = self.parameters.values(vector), (self.history.n_sites, self.history.n_seasons)
        passed = self._passed(values, True)[0]
        z = self.smoothed(vector)
        pairs = (self._transition(values) * passed.by_transition).reshape(n, t, 2, 2)
        V = np.diag(np.sum(z * (1.0 - z), axis=0))
        for s in range(t - 1):
            joint = np.stack([z[:, s], np.zeros(n)], axis=1)  # occupied in season s, and the state of season r
            for r in range(s + 1, t):
                before = pairs[:, r].sum(axis=2)
                with np.errstate(invalid="ignore"):
                    share = np.where(before > 0, joint / before, 0.0)
                joint = np.einsum("ni,nij->nj", share, pairs[:, r])
                V[s, r] = V[r, s] = np.sum(joint[:, 0] - z[:, s] * z[:, r])
        return V / n**2

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N·T]: `smoothed`, season fastest."""
        return self.smoothed(vector).ravel()

    def posterior(self, vector):
        rows = self.history.season_frame()[["site", "season"] if self.history.n_seasons > 1 else ["site"]]
        return rows.assign(found=self.history.detected.ravel(), occupied=self.occupied(vector))

    def derive(self, fit, interval):
        n, labels = self.history.n_sites, self.history.season_labels
        if len(labels) == 1:
            rows = [mean_of(fit, "occupancy", f"mean over {n} sites", "psi", interval)]
        else:
            rows = [
                proportion(
                    fit, "occupancy", f"season {label}, mean over {n} sites", lambda v, t=t: self.mean_projected(v)[t]
                )
                for t, label in enumerate(labels)
            ]
        return table(rows + fit.trend_rows("projected") + self.more_rows(fit, interval) + self._realised(fit))

    def _realised(self, fit) -> list[Estimate]:
        """The proportion of these very sites that is occupied, and their area when it is known, by season."""
        n, labels, rows = self.history.n_sites, self.history.season_labels, []
        weights = [("proportion occupied", "proportion", np.full(n, 1.0 / n))]
        if self.history.area is not None:
            weights.append(("area occupied", "km²", self.history.area))
        for t, label in enumerate(labels):
            scope = f"these {n} sites" if len(labels) == 1 else f"season {label}, these {n} sites"
            z = lambda v, t=t: self.smoothed(v)[:, t]  # noqa: E731
            rows += [realised(fit, quantity, unit, scope, weight, z) for quantity, unit, weight in weights]
        return rows

    def draw_states(self, values: Values, rng: np.random.Generator) -> np.ndarray:
        """bool [N·T]: sites occupied by season, season fastest."""
        n, t = self.history.n_sites, self.history.n_seasons
        occupied = np.empty((n, t), bool)
        occupied[:, 0] = rng.uniform(size=n) < values["psi"]
        if t > 1:
            gains, losses = (rate.reshape(n, t - 1) for rate in self._rates(values))
            for s in range(1, t):
                stay = np.where(occupied[:, s - 1], 1.0 - losses[:, s - 1], gains[:, s - 1])
                occupied[:, s] = rng.uniform(size=n) < stay
        return occupied.ravel()


def state_formulas(
    history: DetectionHistory, psi: str | float, gamma: str | float, epsilon: str | float
) -> dict[str, str | float]:
    """The formulas of occupancy: gamma and epsilon only where there are several seasons.

    Raises
    ------
    SurveyError : gamma or epsilon are given for one season
    """
    if history.n_seasons > 1:
        return {"psi": psi, "gamma": gamma, "epsilon": epsilon}
    if (gamma, epsilon) != ("~ 1", "~ 1"):
        raise refuse("the history has one season, so nothing is gained or lost", "Leave out gamma and epsilon")
    return {"psi": psi}


def state_start(history: DetectionHistory, psi: float) -> dict[str, float]:
    """Where the rates begin."""
    return {"psi": psi} | ({"gamma": 0.15, "epsilon": 0.2, "autologistic": 3.0} if history.n_seasons > 1 else {})
