"""Occupancy with detection that rises with the number of animals (Royle & Nichols 2003, Ecology 84:777)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ..derived import table
from ..kernels.abundance_mixture import any_detection
from ..verdict import Outcome, Remark
from .abundance_prior import PRIORS, check_mixture, prior
from .delta import mean_of, proportion
from .history_model import HistoryModel, Symbol, check_detections
from .single_season import naive_start, occupied_rows, one_season
from .visits import detections_by_site

MOST = 100_000  # animals at a site that a sum goes up to; it ends by itself long before, with an error below 1e-15


class RoyleNichols(HistoryModel):
    """N animals use a site, N Poisson or negative binomial of mean lambda; a visit finds each of them with r.

    Parameters
    ----------
    history : DetectionHistory of one season, values 0 and 1
    lambda_ : formula over site covariates (the parameter is called "lambda")
    r : formula over covariates of visits and sites
    mixture : "poisson" or "negative binomial", which adds alpha: variance lambda + lambda² / alpha
    exposure : True takes r per unit of effort, 1 - (1 - r)^effort
    most : largest number of animals at a site; by default the sum ends where what is left cannot matter
    links : of r "logit" (default) or "cloglog"

    Notes
    -----
    lambda is not the abundance of a defined area: sites share animals that range over several of them.

    Raises
    ------
    SurveyError : nothing was found, several seasons, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("lambda", "site", "mean number of animals that use a site", ("log",), "animals per site"),
        Symbol("r", "visit", "probability that a visit finds a given animal"),
        Symbol("alpha", "one", "size of the negative binomial", ("log",), ""),
    )

    def __init__(
        self,
        history: DetectionHistory,
        lambda_: str | float = "~ 1",
        r: str | float = "~ 1",
        *,
        mixture: str = "poisson",
        exposure: bool = False,
        most: int = MOST,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        one_season(history, "OpenNMixture")
        check_mixture(mixture, PRIORS)
        self.mixture, self.most = mixture, int(most)
        self.visits = detections_by_site(history, exposure)
        formulas = {"lambda": lambda_, "r": r} | ({} if mixture == "poisson" else {"alpha": "~ 1"})
        super().__init__(history, formulas, links)

    def _summed(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The kernel's outputs by name."""
        n, at = self.history.n_sites, prior(self.mixture, values)
        r = np.ascontiguousarray(self.visits.probability(values["r"]))
        out = {name: np.empty(n) for name in ("total", "mean", "none", "by_b", "by_c")} | {"by_r": np.empty(len(r))}
        out["last"] = np.empty(n, np.int64)
        any_detection(at.b, at.c, at.log_p0, r, self.visits.seen, self.visits.start, self.most, *out.values())
        return out

    def fitted(self, values):
        at, r = prior(self.mixture, values), self.visits.probability(values["r"])
        mean = at.mean[self.visits.group] * r  # 1 minus the generating function of N at 1 - r
        return -np.expm1(-mean if at.size is None else -at.size * np.log1p(mean / at.size))

    def by_site(self, values):
        return self._summed(values)["total"]

    def evaluate(self, values, gradient):
        out = self._summed(values)
        loglik = float(out["total"].sum())
        if not gradient:
            return loglik, None
        adjoints = prior(self.mixture, values).pull(out["by_b"], out["by_c"])
        return loglik, adjoints | {"r": out["by_r"] * self.visits.slope(values["r"])}

    def start_values(self):
        naive = naive_start(self.visits, self.history.visited)
        rate = -np.log1p(-naive["psi"])
        return {"lambda": rate, "r": naive["p"] / max(1.0, rate), "alpha": 1.0}

    def abundance(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: mean number of animals at each site, given what was found there."""
        return self._summed(self.parameters.values(vector))["mean"]

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability of at least one animal, given what was found there."""
        return 1.0 - self._summed(self.parameters.values(vector))["none"]

    def psi(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability of at least one animal."""
        return -np.expm1(prior(self.mixture, self.parameters.values(vector)).log_p0)

    def posterior(self, vector):
        found = self.history.detected[:, 0]
        columns = {"site": self.history.sites.index, "found": found, "occupied": self.occupied(vector)}
        return pd.DataFrame(columns | {"abundance": self.abundance(vector)})

    def derive(self, fit, interval):
        n = self.history.n_sites
        over = f"mean over {n} sites"
        visits = f"of a given animal, mean over {len(self.visits.seen)} visits"
        rows = [
            mean_of(fit, "abundance", over, "lambda", interval),
            proportion(fit, "occupancy", over, lambda v: self.psi(v).mean()),
            mean_of(fit, "detection", visits, "r", interval),
            *occupied_rows(fit, self.history, self.occupied),
        ]
        return table(rows)

    def remarks(self, fit):
        return cut_short(self._summed(fit.values)["last"], self.most)

    def _draw(self, values, rng):
        animals = prior(self.mixture, values).draw(rng)[self.visits.group]
        r = self.visits.probability(values["r"])
        return rng.uniform(size=len(r)) < -np.expm1(animals * np.log1p(-r))


def cut_short(last: np.ndarray, most: int) -> tuple[Remark, ...]:
    """Say so when the sum over the number of animals met its limit."""
    sites = int((last >= most).sum())
    if not sites:
        return ()
    if most < MOST:
        detail = (
            f"`most` = {most:,} cuts the sum over the number of animals short at {sites} sites: abundance is too low"
        )
    else:
        detail = (
            f"The data do not bound abundance from above: at {sites} sites more than {most:,} animals are plausible. "
            "Do not report abundance (Dennis, Morgan & Ridout 2015)"
        )
    return (Remark(Outcome.IMPRECISE, detail),)
