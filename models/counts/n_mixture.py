"""N-mixture: abundance from repeated counts (Royle 2004, Biometrics 60:108)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ..derived import log_normal, table
from ..kernels.abundance_mixture import binomial_counts
from ..occupancy.abundance_prior import PRIORS, check_mixture, prior
from ..occupancy.delta import covariance, mean_of, numbers_here
from ..occupancy.history_model import HistoryModel, Symbol, check_detections
from ..occupancy.mixing import mix_two
from ..occupancy.royle_nichols import MOST, cut_short
from ..occupancy.single_season import one_season
from ..occupancy.visits import Groups
from ..verdict import Outcome, Remark

MIXTURES = (*PRIORS, "zero-inflated poisson")


class NMixture(HistoryModel):
    """N animals live at a site, N of mean lambda; a visit counts each of them with p.

    Parameters
    ----------
    history : DetectionHistory of one season, values are counts of animals
    lambda_ : formula over site covariates (the parameter is called "lambda")
    p : formula over covariates of visits and sites
    mixture : "poisson"; "negative binomial", which adds alpha: variance lambda + lambda² / alpha; or "zero-inflated
        poisson", which adds zero, the probability that a site cannot hold animals
    most : largest number of animals at a site; by default the sum ends where what is left cannot matter
    links : of p "logit" (default) or "cloglog"

    Raises
    ------
    SurveyError : nothing was counted, several seasons, a wrong formula or name
    """

    symbols = (
        Symbol("lambda", "site", "mean number of animals at a site", ("log",), "animals per site"),
        Symbol("p", "visit", "probability that a visit counts a given animal"),
        Symbol("alpha", "one", "size of the negative binomial", ("log",), ""),
        Symbol("zero", "one", "probability that a site cannot hold animals", ("logit",)),
    )
    data_kind = "counts"

    def __init__(
        self,
        history: DetectionHistory,
        lambda_: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        mixture: str = "poisson",
        most: int = MOST,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=None)
        one_season(history, "OpenNMixture")
        check_mixture(mixture, MIXTURES)
        self.mixture, self.most = mixture, int(most)
        self.count = history.value[history.done].astype(np.int64)
        self.visits = Groups(history.site_of[history.done], history.n_sites)
        self.least = np.zeros(history.n_sites)
        np.maximum.at(self.least, self.visits.group, self.count)
        self.empty = np.where(self.least > 0, -np.inf, 0.0)  # log-likelihood of the counts where no animal can be
        more = {"poisson": {}, "negative binomial": {"alpha": "~ 1"}, "zero-inflated poisson": {"zero": "~ 1"}}
        super().__init__(history, {"lambda": lambda_, "p": p} | more[mixture], links)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _prior(self, values: Mapping[str, np.ndarray]):
        return prior("negative binomial" if "alpha" in values else "poisson", values)

    def _summed(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The kernel's outputs by name."""
        at, n = self._prior(values), self.history.n_sites
        out = {name: np.empty(n) for name in ("total", "mean", "square", "by_b", "by_c")}
        out["last"] = np.empty(n, np.int64)
        p = np.ascontiguousarray(values["p"])
        binomial_counts(at.b, at.c, at.log_p0, p, self.count, self.visits.start, self.most, *out.values())
        return out

    def fitted(self, values):
        held = 1.0 - values["zero"][0] if "zero" in values else 1.0
        return held * values["lambda"][self.visits.group] * values["p"]

    def by_site(self, values):
        total = self._summed(values)["total"]
        if "zero" not in values:
            return total
        return mix_two(np.full(len(total), 1.0 - values["zero"][0]), total, self.empty).total

    def evaluate(self, values, gradient):
        out = self._summed(values)
        held, adjoints, total = 1.0, {}, out["total"]
        if "zero" in values:
            sites = mix_two(np.full(len(total), 1.0 - values["zero"][0]), total, self.empty)
            held, total = sites.posterior[:, 0], sites.total
            adjoints["zero"] = np.array([np.sum(sites.relative[:, 1] - sites.relative[:, 0])])
        loglik = float(total.sum())
        if not gradient:
            return loglik, None
        p, y, group = values["p"], self.count, self.visits.group
        weight = held[group] if isinstance(held, np.ndarray) else held
        adjoints["p"] = weight * (y / p - (out["mean"][group] - y) / (1.0 - p))
        return loglik, adjoints | self._prior(values).pull(out["by_b"], out["by_c"], held)

    def start_values(self):
        rate = float(np.mean(self.least[self.history.visited])) * 1.5
        p = min(0.8, max(0.1, float(self.count.mean()) / rate))
        return {"lambda": rate, "p": p, "alpha": 1.0, "zero": 0.3}

    # ---- what follows ---------------------------------------------------------------------------------------

    def moments(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance [N] of the number of animals at each site, given what was counted there."""
        values = self.parameters.values(vector)
        out = self._summed(values)
        held = 1.0
        if "zero" in values:
            held = mix_two(np.full(len(self.empty), 1.0 - values["zero"][0]), out["total"], self.empty).posterior[:, 0]
        mean = held * out["mean"]
        return mean, held * out["square"] - mean**2

    def posterior(self, vector):
        mean, variance = self.moments(vector)
        columns = {"most counted": self.least.astype(int), "abundance": mean, "sd": np.sqrt(np.maximum(variance, 0.0))}
        return pd.DataFrame({"site": self.history.sites.index} | columns)

    def expected(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: mean number of animals at each site, before the counts."""
        values = self.parameters.values(vector)
        return values["lambda"] * (1.0 - values["zero"][0] if "zero" in values else 1.0)

    def derive(self, fit, interval):
        n = self.history.n_sites
        mean = lambda v: self.expected(v).mean()  # noqa: E731
        se = float(np.sqrt(covariance(fit, mean)[0, 0]))
        total, variance = self.moments(fit.vector)
        of_estimates = covariance(fit, lambda v: self.moments(v)[0].sum())[0, 0]
        realised_se = float(np.sqrt(variance.sum() + of_estimates))
        here, least = f"these {n} sites", float(self.least.sum())
        visits = f"of a given animal, mean over {len(self.count)} visits"
        rows = [
            log_normal("abundance", "animals per site", f"mean over {n} sites", float(mean(fit.vector)), se),
            *numbers_here(self.history, here, least, float(total.sum()), realised_se),
            mean_of(fit, "detection", visits, "p", interval),
        ]
        if "zero" in self.parameters:
            rows.append(mean_of(fit, "sites that cannot hold animals", "", "zero", interval))
        return table(rows)

    def likeness(self) -> float:
        """Mean covariance of two counts of the same site: at 0 or below, abundance is estimated as infinite.

        Dennis, Morgan & Ridout 2015, Biometrics 71:237, eq. 4, with pairs pooled over sites of any number of visits.
        """
        y, group, n = self.count.astype(float), self.visits.group, self.history.n_sites
        visits, total = np.bincount(group, minlength=n), np.bincount(group, weights=y, minlength=n)
        pairs = np.sum(visits * (visits - 1.0))
        if pairs == 0:
            return float("nan")
        products = np.sum(total**2 - np.bincount(group, weights=y * y, minlength=n))
        weight = (visits - 1.0)[group]
        return float(products / pairs - (np.sum(weight * y) / np.sum(weight)) ** 2)

    def remarks(self, fit):
        found = cut_short(self._summed(fit.values)["last"], self.most)
        likeness = self.likeness()
        if not likeness > 0:
            what = "no site was visited twice" if np.isnan(likeness) else f"their mean covariance is {likeness:.3g}"
            detail = (
                f"Counts of the same site are no more alike than counts of different sites ({what}): such data do not "
                "tell few animals seen often from many seen rarely (Dennis, Morgan & Ridout 2015)"
            )
            found = (*found, Remark(Outcome.IMPRECISE, detail))
        return found

    def _draw(self, values, rng):
        animals = self._prior(values).draw(rng)
        if "zero" in values:
            animals = np.where(rng.uniform(size=len(animals)) < values["zero"][0], 0, animals)
        return rng.binomial(animals[self.visits.group], values["p"])
