"""Removal: animals counted once each on successive visits (Zippin 1956; Dorazio et al. 2005, Biometrics 61:1093)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.detections import DetectionHistory
from ..derived import table
from ..occupancy.delta import covariance, mean_of, numbers_here
from ..occupancy.history_model import HistoryModel, Symbol, check_detections
from ..occupancy.single_season import one_season
from ..occupancy.visits import Groups


class Removal(HistoryModel):
    """Poisson numbers of mean lambda at sites; each visit takes away each animal still there with p.

    Parameters
    ----------
    history : DetectionHistory of one season, values are the animals taken (or first seen) on each visit, in order
    lambda_ : formula over site covariates (the parameter is called "lambda")
    p : formula over covariates of visits and sites
    links : of p "logit" (default) or "cloglog"

    Raises
    ------
    SurveyError : nothing was counted, several seasons, a wrong formula or name
    """

    symbols = (
        Symbol("lambda", "site", "mean number of animals at a site", ("log",), "animals per site"),
        Symbol("p", "visit", "probability that a visit takes a given animal"),
    )
    data_kind = "removals"

    def __init__(
        self,
        history: DetectionHistory,
        lambda_: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=None)
        one_season(history, "Removal for each season")
        self.count = history.value[history.done]
        self.visits = Groups(history.site_of[history.done], history.n_sites)
        self.constant = float(np.sum(gammaln(self.count + 1.0)))
        super().__init__(history, {"lambda": lambda_, "p": p}, links)

    def taken(self, p: np.ndarray) -> np.ndarray:
        """float [V]: probability that an animal is taken on a visit and not before."""
        left = np.cumsum(np.log1p(-p)) - np.log1p(-p)  # log of what earlier visits leave, all sites in one row
        first = np.append(left, 0.0)[self.visits.start[:-1]]
        return p * np.exp(left - first[self.visits.group])

    def fitted(self, values):
        return values["lambda"][self.visits.group] * self.taken(values["p"])

    def by_site(self, values):
        expected = values["lambda"][self.visits.group] * self.taken(values["p"])
        each = self.count * np.log(expected) - expected - gammaln(self.count + 1.0)
        return np.bincount(self.visits.group, weights=each, minlength=self.history.n_sites)

    def evaluate(self, values, gradient):
        p, group, y = values["p"], self.visits.group, self.count
        taken = self.taken(p)
        expected = values["lambda"][group] * taken
        loglik = float(np.sum(y * np.log(expected) - expected)) - self.constant
        if not gradient:
            return loglik, None
        surprise = y - expected
        later = np.append(np.cumsum(surprise[::-1])[::-1], 0.0)  # of this visit and all after it
        after = later[1:] - later[self.visits.start[1:]][group]
        n = self.history.n_sites
        by_lambda = np.bincount(group, weights=y, minlength=n) / values["lambda"]
        by_lambda -= np.bincount(group, weights=taken, minlength=n)
        return loglik, {"lambda": by_lambda, "p": surprise / p - after / (1.0 - p)}

    def start_values(self):
        total = np.bincount(self.visits.group, weights=self.count, minlength=self.history.n_sites)
        return {"lambda": 1.3 * float(total[self.history.visited].mean()), "p": 0.4}

    def missed(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: expected number of animals still at each site, which is Poisson given the counts."""
        values = self.parameters.values(vector)
        caught = np.bincount(self.visits.group, weights=self.taken(values["p"]), minlength=self.history.n_sites)
        return values["lambda"] * (1.0 - caught)

    def posterior(self, vector):
        total = np.bincount(self.visits.group, weights=self.count, minlength=self.history.n_sites)
        missed = self.missed(vector)
        columns = {"counted": total.astype(int), "abundance": total + missed, "sd": np.sqrt(missed)}
        return pd.DataFrame({"site": self.history.sites.index} | columns)

    def derive(self, fit, interval):
        n, counted = self.history.n_sites, float(self.count.sum())
        missed = lambda v: self.missed(v).sum()  # noqa: E731
        left = float(missed(fit.vector))
        left_se = float(np.sqrt(left + covariance(fit, missed)[0, 0]))
        visits = f"of an animal still there, mean over {len(self.count)} visits"
        rows = [
            mean_of(fit, "abundance", f"mean over {n} sites", "lambda", interval),
            *numbers_here(self.history, f"these {n} sites", counted, counted + left, left_se),
            mean_of(fit, "detection", visits, "p", interval),
        ]
        return table(rows)

    def _draw(self, values, rng):
        return rng.poisson(values["lambda"][self.visits.group] * self.taken(values["p"]))
