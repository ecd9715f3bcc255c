"""Closed populations whose animals are identified from photographs or genotypes, not always rightly.

A misidentified encounter makes a ghost: an animal that does not exist, met once. Plain capture-recapture takes ghosts
for animals that are hard to meet again, and N comes out too high: by a third with one encounter in eight wrong
(Johansson et al. 2020). Model M_t,alpha (Yoshizaki et al. 2011; Link et al. 2010), here with its exact likelihood.

Given who was rightly met, the ghosts of an occasion are a binomial number of the animals not rightly met on it. So the
unknowns are only how many animals there are, and which of the single encounters are real; the sum over both is a
convolution over occasions that does not depend on p, and with a known rate of identification is done once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..derived import Estimate, log_normal, log_normal_above, table
from ..design import formula_variables
from ..fit import Fit
from ..kernels.closed_misidentification import ghost_weights
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, used_covariates
from .layout import Layout, build, lay_out, occasion_factors

TINY = 1e-300


class MisidentifiedFit(Fit):
    """A `Fit` of `MisidentifiedCapture`: adds how many of the animals met once are real."""

    def real_animals(self) -> dict[str, float]:
        """Expected numbers given the data: animals met at all, those that were rightly met, ghosts."""
        model = self.model
        met, ghosts = model.history.n_animals, model.expected_ghosts(self.values)
        return {"identities": float(met), "rightly met": met - ghosts, "ghosts": ghosts}


class MisidentifiedCapture(MarkedModel[MisidentifiedFit]):
    """Capture-recapture of a closed population with misidentification.

    Parameters
    ----------
    history : EncounterHistory; one encounter per animal and occasion, everybody looked for on the same occasions
    p : formula of the detection probability over occasion covariates, `t` and `T`; or a number
    alpha : the probability that an encounter is identified rightly: a number, or "~ 1" to estimate it
    checked : (right, checked): identifications that were read again by somebody who knew, and how many of them were
        right; they tell alpha when it is estimated

    Notes
    -----
    Assumed: a wrong identification always makes a new identity, which is not met again; animals do not differ. The
    number of animals is Poisson with mean N. Log-likelihood: that of the numbers of animals with each history, without
    their multiplicities; at alpha = 1 it is -N Pr(met) + n log N + sum log Pr(history), plus, with `checked`,
    right log alpha + wrong log(1 - alpha).

    Raises
    ------
    SurveyError : losses, animal covariates, animals not looked for when others were, alpha outside 0..1
    """

    fit_class = MisidentifiedFit

    def __init__(
        self,
        history: EncounterHistory,
        p: str | float = "~ 1",
        alpha: str | float = 0.95,
        *,
        checked: tuple[int, int] | None = None,
    ):
        looked = history.states != MISSING
        if history.n_animals == 0 or not (looked == looked[:1]).all() or history.removed.any():
            raise refuse("all animals must be looked for on the same occasions, and none lost", "Leave the others out")
        if not isinstance(alpha, str) and not 0.0 < alpha <= 1.0:
            raise refuse(
                "alpha must be above 0 and not above 1", "Give the share of right identifications", value=alpha
            )
        if isinstance(alpha, str) and formula_variables(alpha):
            raise refuse("alpha is one number for all encounters", 'Use alpha="~ 1"', value=alpha)
        if checked is not None and not 0 <= checked[0] <= checked[1]:
            raise refuse("checked must be (right, checked)", "Give e.g. (95, 100)", value=checked)
        self.history, self.checked = history, checked
        self.formulas, self.options = {"p": p, "alpha": alpha}, {"checked": checked}
        self.occasion = np.flatnonzero(looked[0])
        self._count()
        self._arrange()
        self._weights: tuple[float, np.ndarray, np.ndarray] | None = None

    def _count(self) -> None:
        """What the likelihood needs of the histories: animals met once by occasion [T], and those met more often."""
        met, frequency = self.history.states[:, self.occasion] > 0, self.history.frequency
        once = met.sum(axis=1) == 1
        self.singles = (frequency[once] @ met[once]).astype(np.int64)
        self.twice = (frequency[~once] @ met[~once]).astype(np.int64)
        self.n_twice = int(frequency[~once].sum())
        plain = self.history.n_animals / max(self._share_met(), 0.02)
        self.most = int(np.ceil(3.0 * plain + 50.0))
        size = self.most + self.n_twice + 1
        self.log_factorial = gammaln(np.arange(size) + 1.0)

    def _share_met(self) -> float:
        """Rough probability to be met at all, from how often those that were met again were met."""
        T = len(self.occasion)
        p = max(
            (self.twice.sum() - self.n_twice) / max(self.n_twice * (T - 1), 1), 0.5 / max(self.history.n_animals, 1)
        )
        return float(1.0 - (1.0 - min(p, 0.9)) ** T)

    def _arrange(self) -> None:
        covariates = self.history.occasions
        used = {"p": self.formulas["p"]}
        if used_covariates(used, self.history.animals, covariates):
            raise refuse("a ghost has no covariates", "Use covariates of occasions", value=self.formulas["p"])
        covariates = covariates.iloc[self.occasion].reset_index(drop=True) if len(covariates) else covariates
        known = by_axis(0, occasion_factors(self.occasion + 1)) | by_axis(0, covariates)
        one = Layout(pd.DataFrame(index=[0]), np.zeros(1, np.int32))
        self.layouts = {"p": lay_out(self.formulas["p"], (len(self.occasion),), known), "alpha": one, "N": one}
        words = {
            "p": ("logit", "probability per occasion", "probability that an animal is met"),
            "alpha": ("logit", "probability per encounter", "probability that an encounter is identified rightly"),
            "N": ("log", "animals", "expected number of animals"),
        }
        made = [build(n, f, self.layouts[n], *words[n]) for n, f in (self.formulas | {"N": "~ 1"}).items()]
        self.parameters = ParameterSet(made)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def _ghosts(self, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and expected real singles for 0..most animals not met twice; remembered for one alpha."""
        if self._weights is None or self._weights[0] != alpha:
            weight, real = np.empty(self.most + 1), np.empty(self.most + 1)
            wrong = np.log(1.0 - alpha) if alpha < 1.0 else -np.inf
            absent = self.n_twice - self.twice
            ghost_weights(self.singles, absent, float(np.log(alpha)), float(wrong), self.log_factorial, weight, real)
            self._weights = (alpha, weight, real)
        return self._weights[1:]

    def _terms(self, values):
        """log-likelihood of each number of animals N = n_twice + 0..most, up to what they share; p [T]; E(real)."""
        p = np.clip(values["p"], TINY, 1.0 - 1e-16)[self.layouts["p"].index]
        alpha, mean = float(values["alpha"][0]), float(values["N"][0])
        weight, real = self._ghosts(alpha)
        N = self.n_twice + np.arange(self.most + 1.0)
        met = self.twice + self.singles
        shared = met @ (np.log(p) - np.log1p(-p)) + self.twice.sum() * np.log(alpha) - mean
        shared += gammaln(self.singles + 1.0).sum()
        return N * (np.log(mean) + np.log1p(-p).sum()) + weight + shared, p, real

    def evaluate(self, values, gradient):
        terms, p, real = self._terms(values)
        loglik = float(logsumexp(terms))
        alpha, mean = float(values["alpha"][0]), float(values["N"][0])
        right, wrong = (self.checked[0], self.checked[1] - self.checked[0]) if self.checked else (0, 0)
        loglik += right * np.log(alpha) + (wrong * np.log1p(-alpha) if wrong else 0.0)
        if not gradient:
            return loglik, None
        posterior = np.exp(terms - logsumexp(terms))
        N = self.n_twice + float(posterior @ np.arange(self.most + 1.0))
        met = self.twice + self.singles
        d_p = met / p - (N - met) / (1.0 - p)
        rightly = self.twice.sum() + float(posterior @ real) + right
        wrongly = self.singles.sum() - float(posterior @ real) + wrong
        d_alpha = rightly / alpha - (wrongly / (1.0 - alpha) if alpha < 1.0 else 0.0)
        adjoints = {"p": np.bincount(self.layouts["p"].index, d_p, len(values["p"]))}
        return loglik, adjoints | {"alpha": np.array([d_alpha]), "N": np.array([N / mean - 1.0])}

    def number_of_animals(self, values) -> tuple[float, float]:
        """Mean of the number of animals given the data, and the probability that it is near the most considered."""
        terms, _, _ = self._terms(values)
        posterior = np.exp(terms - logsumexp(terms))
        return self.n_twice + float(posterior @ np.arange(len(posterior))), float(
            posterior[-len(posterior) // 10 :].sum()
        )

    def expected_ghosts(self, values) -> float:
        """Expected number of single encounters that are no animals."""
        terms, _, real = self._terms(values)
        return float(self.singles.sum() - np.exp(terms - logsumexp(terms)) @ real)

    def start(self):
        T, n = len(self.occasion), self.history.n_animals
        alpha = self.formulas["alpha"] if not isinstance(self.formulas["alpha"], str) else None
        alpha = alpha or ((self.checked[0] + 1.0) / (self.checked[1] + 2.0) if self.checked else 0.95)
        share = self._share_met()
        real = max(self.n_twice + self.singles.sum() * alpha * 0.7, 1.0)
        p = float(np.clip((self.twice.sum() + self.singles.sum()) * share / (real * T), 1e-3, 0.9))
        return self.parameters.start({"p": p, "alpha": alpha, "N": min(real / share, 2.0 * n / share)})

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def derive(self, fit, interval):
        """The animals that were there, and their expected number."""
        mean = float(fit.values["N"][0])
        at = self.parameters.slice_of("N")
        J = np.zeros((1, self.parameters.size))
        J[0, at] = mean
        with np.errstate(invalid="ignore"):
            variance = float(fit.covariance_of(J)[0, 0])
        realised = self.number_of_animals(fit.values)[0]
        se = np.sqrt(max(variance - mean, 0.0)) if np.isfinite(variance) else np.nan  # less what chance adds to N
        rows = [
            log_normal_above("abundance", "animals", "all", self.n_twice, realised, se),
            log_normal("expected abundance", "animals", "all", mean, np.sqrt(variance)),
        ]
        for name, quantity in (("p", "detection"), ("alpha", "identification")):
            parameter = self.parameters[name]
            if parameter.design is None or not parameter.design.constant:
                continue
            r = self.predict(fit, name, None).iloc[0]
            limits = (r["estimate"], r["se"], r["lower"], r["upper"])
            rows.append(Estimate(quantity, parameter.unit, "all", *limits, "95% Wald on the logit"))
        return table(rows)

    def remarks(self, fit):
        found = []
        if self.number_of_animals(fit.values)[1] > 1e-3:
            found.append(Remark(Outcome.FLAT, "N, which grows without bound"))
        if isinstance(self.formulas["alpha"], str) and self.checked is None:
            words = "alpha is told only by the surplus of animals met once, which animals that differ make as well"
            found.append(Remark(Outcome.IMPRECISE, words))
        return tuple(found)

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories of identities, ghosts among them, drawn at natural-scale values (as for `at`)."""
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        p, alpha = at["p"][self.layouts["p"].index], float(at["alpha"][0])
        met = rng.random((rng.poisson(at["N"][0]), len(p))) < p
        right = rng.random(met.shape) < alpha
        who, when = np.nonzero(met & ~right)
        ghosts = np.zeros((len(who), len(p)), bool)
        ghosts[np.arange(len(who)), when] = True
        seen = np.vstack([met & right, ghosts])
        states = np.full((len(seen), self.history.n_occasions), MISSING, np.int8)
        states[:, self.occasion] = seen
        h = self.history
        return EncounterHistory(states[seen.any(axis=1)], None, None, None, h.occasions, h.intervals, h.interval_unit)


def identification_curve(
    history: EncounterHistory, rates: Sequence[float] = (1.0, 0.98, 0.95, 0.9, 0.85, 0.8), p: str = "~ 1"
) -> pd.DataFrame:
    """How the number of animals depends on the rate of right identification: any closed data set, any rate.

    Returns
    -------
    DataFrame with alpha, estimate, se, lower, upper of the number of animals, expected ghosts, and the log-likelihood
    """
    rows = []
    for alpha in rates:
        fit = MisidentifiedCapture(history, p, float(alpha)).fit()
        row = fit.derive().iloc[0]
        rows.append(
            {"alpha": float(alpha)}
            | {name: row[name] for name in ("estimate", "se", "lower", "upper")}
            | {"ghosts": fit.real_animals()["ghosts"], "loglik": fit.loglik}
        )
    return pd.DataFrame(rows)
