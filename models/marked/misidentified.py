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
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaln, gammaln, logsumexp

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import Problems, refuse
from ..derived import Estimate, log_normal_above, table
from ..design import formula_variables
from ..fit import Fit
from ..kernels.closed_misidentification import ghost_weights
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, expected_number, used_covariates
from .layout import Layout, build, lay_out, occasion_factors

TINY = 1e-300
COARSE = 0.8  # share of one point of the quadrature from which on it is too coarse


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
    alpha : the probability that an encounter is identified rightly: a number, or "~ 1" to estimate it. By default it is
        estimated when `checked` or `readings` tell it, integrated over when there is a `prior`, and 0.95 otherwise.
    prior : (a, b): what is believed of alpha, a beta distribution, such as (95, 5) for "about 95 of 100"; the
        likelihood is averaged over it (by Gauss-Jacobi quadrature) and alpha is no parameter of the model
    checked : (right, checked): identifications that were read again by somebody who knew, and how many of them were
        right
    readings : DataFrame with a row per photograph or sample and a column per independent reading: the identity, or
        missing. The readings are as good as those of the encounters are (one reading each).
    nodes : of the quadrature over the prior; the verdict says when they are too few

    Notes
    -----
    Assumed: a wrong identification always makes a new identity, which is not met again; animals do not differ. The
    number of animals is Poisson with mean N. Log-likelihood: that of the numbers of animals with each history, without
    their multiplicities; at alpha = 1 it is -N Pr(met) + n log N + sum log Pr(history), plus, with `checked`,
    right log alpha + wrong log(1 - alpha). Of J readings of one photograph k agree: k log alpha + (J - k)
    log(1 - alpha); all differ: log((1 - alpha)^J + J alpha (1 - alpha)^(J - 1)), since two wrong readings do not agree.

    Raises
    ------
    SurveyError : losses, animal covariates, animals not looked for when others were, alpha outside 0..1
    """

    fit_class = MisidentifiedFit

    def __init__(
        self,
        history: EncounterHistory,
        p: str | float = "~ 1",
        alpha: str | float | None = None,
        *,
        prior: tuple[float, float] | None = None,
        checked: tuple[int, int] | None = None,
        readings: pd.DataFrame | None = None,
        nodes: int = 20,
    ):
        looked = history.states != MISSING
        if history.n_animals == 0 or not (looked == looked[:1]).all() or history.removed.any():
            raise refuse("all animals must be looked for on the same occasions, and none lost", "Leave the others out")
        if prior is not None and (alpha is not None or not min(prior) > 0):
            raise refuse("a prior is two numbers above 0, and leaves alpha out", "Give e.g. prior=(95, 5)", value=prior)
        if alpha is None and prior is None:
            alpha = 0.95 if checked is None and readings is None else "~ 1"
        if alpha is not None and not isinstance(alpha, str) and not 0.0 < alpha <= 1.0:
            raise refuse(
                "alpha must be above 0 and not above 1", "Give the share of right identifications", value=alpha
            )
        if isinstance(alpha, str) and formula_variables(alpha):
            raise refuse("alpha is one number for all encounters", 'Use alpha="~ 1"', value=alpha)
        if checked is not None and not 0 <= checked[0] <= checked[1]:
            raise refuse("checked must be (right, checked)", "Give e.g. (95, 100)", value=checked)
        self.history, self.checked, self.prior, self.nodes = history, checked, prior, nodes
        self.formulas = {"p": p} | ({} if alpha is None else {"alpha": alpha})
        self.options = {"checked": checked, "prior": prior, "readings": readings, "nodes": nodes}
        self.agreement = agreements(readings) if readings is not None else {}
        self._quadrature()
        self.occasion = np.flatnonzero(looked[0])
        self._count()
        self._arrange()
        self._weights: dict[float, tuple[np.ndarray, np.ndarray]] = {}

    def _quadrature(self) -> None:
        """Rates of identification with the logarithms of their weights: those of the prior and of all that was checked.

        The powers of alpha and 1 - alpha that checks and agreeing readings bring are taken into the beta distribution.
        """
        self.right, self.wrong = (self.checked[0], self.checked[1] - self.checked[0]) if self.checked else (0, 0)
        for (count, agree), times in self.agreement.items():
            self.right += times * agree
            self.wrong += times * (count - agree) if agree else 0
        if self.prior is None:
            return
        a, b = self.prior[0] + self.right, self.prior[1] + self.wrong
        self.rates, self.log_weight = beta_nodes(self.nodes, a, b)
        self.log_weight += betaln(a, b) - betaln(*self.prior)
        self.log_weight += [self._differing(rate)[0] for rate in self.rates]

    def _differing(self, alpha: float) -> tuple[float, float]:
        """What photographs whose readings all differ add to the log-likelihood, and its derivative by alpha."""
        loglik, slope = 0.0, 0.0
        for (J, agree), times in self.agreement.items():
            if agree == 0:
                wrong = max(1.0 - alpha, TINY)
                chance = wrong**J + J * alpha * wrong ** (J - 1)
                loglik += times * np.log(max(chance, TINY))
                slope -= times * J * (J - 1) * alpha * wrong ** (J - 2) / max(chance, TINY)
        return loglik, slope

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
        """Weights and expected real singles for 0..most animals not met twice; remembered for the latest rates."""
        if alpha not in self._weights:
            if len(self._weights) > self.nodes:
                self._weights.clear()
            weight, real = np.empty(self.most + 1), np.empty(self.most + 1)
            wrong = np.log(1.0 - alpha) if alpha < 1.0 else -np.inf
            absent = self.n_twice - self.twice
            ghost_weights(self.singles, absent, float(np.log(alpha)), float(wrong), self.log_factorial, weight, real)
            self._weights[alpha] = (weight, real)
        return self._weights[alpha]

    def _over(self, values) -> tuple[np.ndarray, np.ndarray]:
        """Rates of identification [K], one if it has no prior, and the logarithms of their weights."""
        if self.prior is not None:
            return self.rates, self.log_weight
        alpha = float(values["alpha"][0])
        checked = self.right * np.log(alpha) + (self.wrong * np.log1p(-alpha) if self.wrong else 0.0)
        return np.array([alpha]), np.array([checked + self._differing(alpha)[0]])

    def _terms(self, values):
        """Log-likelihood [K, most + 1] of every rate and N = n_twice + 0..most; p [T]; real singles [K, ..]."""
        p = np.clip(values["p"], TINY, 1.0 - 1e-16)[self.layouts["p"].index]
        mean = float(values["N"][0])
        rates, log_weight = self._over(values)
        each = [self._ghosts(float(alpha)) for alpha in rates]
        N = self.n_twice + np.arange(self.most + 1.0)
        met = self.twice + self.singles
        shared = met @ (np.log(p) - np.log1p(-p)) - mean + gammaln(self.singles + 1.0).sum()
        by_rate = log_weight + self.twice.sum() * np.log(rates)
        terms = N * (np.log(mean) + np.log1p(-p).sum()) + np.array([w for w, _ in each]) + shared + by_rate[:, None]
        return terms, p, np.array([real for _, real in each])

    def evaluate(self, values, gradient):
        terms, p, real = self._terms(values)
        loglik, mean = float(logsumexp(terms)), float(values["N"][0])
        if not gradient:
            return loglik, None
        posterior = np.exp(terms - loglik)
        N = self.n_twice + float(posterior.sum(axis=0) @ np.arange(self.most + 1.0))
        met = self.twice + self.singles
        d_p = met / p - (N - met) / (1.0 - p)
        adjoints = {"p": np.bincount(self.layouts["p"].index, d_p, len(values["p"])), "N": np.array([N / mean - 1.0])}
        if "alpha" in values:
            alpha, singles = float(values["alpha"][0]), float((posterior * real).sum())
            rightly = self.twice.sum() + singles + self.right
            wrongly = self.singles.sum() - singles + self.wrong
            d_alpha = rightly / alpha - (wrongly / (1.0 - alpha) if alpha < 1.0 else 0.0) + self._differing(alpha)[1]
            adjoints["alpha"] = np.array([d_alpha])
        return loglik, adjoints

    def number_of_animals(self, values) -> tuple[float, float]:
        """Mean of the number of animals given the data, and the probability that it is near the most considered."""
        terms, _, _ = self._terms(values)
        posterior = np.exp(terms - logsumexp(terms)).sum(axis=0)
        return self.n_twice + float(posterior @ np.arange(len(posterior))), float(
            posterior[-len(posterior) // 10 :].sum()
        )

    def expected_ghosts(self, values) -> float:
        """Expected number of single encounters that are no animals."""
        terms, _, real = self._terms(values)
        return float(self.singles.sum() - (np.exp(terms - logsumexp(terms)) * real).sum())

    def belief(self, values) -> np.ndarray:
        """Share [K] of each rate of identification of the prior, given the data and p and N."""
        terms = self._terms(values)[0]
        return np.exp(logsumexp(terms, axis=1) - logsumexp(terms))

    def start(self):
        T, n = len(self.occasion), self.history.n_animals
        alpha = self.formulas.get("alpha")
        if alpha is None or isinstance(alpha, str):
            a, b = self.prior or (0.95, 0.05)
            alpha = float((a + self.right) / (a + b + self.right + self.wrong))
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
            expected_number(fit, float(np.sqrt(variance)), interval),
        ]
        if self.prior is not None:
            share = self.belief(fit.values)
            rate = float(share @ self.rates)
            sd = float(np.sqrt(share @ (self.rates - rate) ** 2))
            limits = np.interp([0.025, 0.975], np.cumsum(share) - 0.5 * share, self.rates)
            words = "95% of the belief, given p and N"
            unit = "probability per encounter"
            rows.append(Estimate("identification", unit, "all", rate, sd, float(limits[0]), float(limits[1]), words))
        words, free = {"p": "detection", "alpha": "identification"}, {}
        for p in self.parameters:
            if p.name in words and p.design is not None and p.design.constant:
                free[p.name] = words[p.name]
        return table(rows + self.parameter_rows(fit, free, interval))

    def remarks(self, fit):
        found = []
        if self.number_of_animals(fit.values)[1] > 1e-3:
            found.append(Remark(Outcome.FLAT, "N, which grows without bound"))
        if self.prior is not None and self.belief(fit.values).max() > COARSE:
            words = f"The average over the prior of alpha rests on one point: use nodes={2 * self.nodes}"
            found.append(Remark(Outcome.IMPRECISE, words))
        if isinstance(self.formulas.get("alpha"), str) and self.checked is None and not self.agreement:
            words = "alpha is told only by the surplus of animals met once, which animals that differ make as well"
            found.append(Remark(Outcome.IMPRECISE, words))
        return tuple(found)

    def not_comparable(self, other) -> str:
        if isinstance(other, MisidentifiedCapture) and self.history is other.history:
            if self.checked != other.checked or self.agreement != other.agreement:
                return "they rest on different checks of identifications"
        return super().not_comparable(other)

    def __repr__(self) -> str:
        believed = f"; alpha from a beta({self.prior[0]:g}, {self.prior[1]:g}))" if self.prior else ")"
        return super().__repr__()[:-1] + believed

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories of identities, ghosts among them, drawn at natural-scale values (as for `at`).

        With a prior the rate of identification is drawn from it.
        """
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        p = at["p"][self.layouts["p"].index]
        alpha = float(at["alpha"][0]) if self.prior is None else float(rng.beta(self.prior[0], self.prior[1]))
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


def beta_nodes(n: int, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Points [n] and log weights [n] of the beta distribution: Gauss-Jacobi quadrature (Golub & Welsch 1969)."""
    A, B, k = b - 1.0, a - 1.0, np.arange(1.0, n)
    whole = 2.0 * k + A + B
    middle = np.append((B - A) / (A + B + 2.0), (B - A) * (B + A) / (whole * (whole + 2.0)))
    beside = 4.0 * k * (k + A) * (k + B) * (k + A + B) / (whole**2 * (whole + 1.0) * np.where(k > 1, whole - 1.0, 1.0))
    beside[:1] = 4.0 * (1.0 + A) * (1.0 + B) / ((2.0 + A + B) ** 2 * (3.0 + A + B))
    x, vectors = eigh_tridiagonal(middle, np.sqrt(beside))
    return (1.0 + x) / 2.0, np.log(np.maximum(vectors[0] ** 2, TINY))


def agreements(readings: pd.DataFrame) -> dict[tuple[int, int], int]:
    """Photographs by the number of their readings and how many of these agree (0: all differ).

    Raises
    ------
    SurveyError : two pairs of readings that agree among themselves but not with each other; nothing read twice
    """
    found: dict[tuple[int, int], int] = {}
    bad = Problems()
    for name, row in readings.iterrows():
        same = row.dropna().astype(str).value_counts()
        if (same > 1).sum() > 1:
            what = "two identities have two readings each, but wrong readings are taken to be all different"
            bad.add(what, "Correct the row, or leave it out", row=None, value=str(name))
        elif same.sum() > 1:
            key = (int(same.sum()), int(same.iloc[0]) if same.iloc[0] > 1 else 0)
            found[key] = found.get(key, 0) + 1
    if not found and not bad.found:
        bad.add("no photograph was read twice", "Give a column per reading", value=list(readings.columns))
    bad.raise_any()
    return found


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
