"""Loglinear models of a closed population: heterogeneity as a curve over the number of times that an animal was met.

log E(animals with history w) = constant + sum over occasions of w_t logit(p_t) + eta(k), k the number of times met
(Rivest & Baillargeon 2007). Only the counts by occasion and by k matter, so the cost is quadratic in the occasions;
the 2^T histories are never listed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..parameters import ParameterSet
from .base import MarkedModel, by_axis, one_of, used_covariates
from .closed_fit import ClosedFit
from .composition import conditional, full
from .layout import Layout, build, lay_out, occasion_factors

CURVES = {
    "poisson": lambda k: 2.0**k - 1.0,
    "darroch": lambda k: k**2 / 2.0,
    "gamma": lambda k: -np.log(3.5 + k) + np.log(3.5),
}  # eta(k) = tau times this (Rivest & Baillargeon 2007, table 1)


class LogLinear(MarkedModel[ClosedFit]):
    """Loglinear capture-recapture of a closed population.

    Parameters
    ----------
    history : EncounterHistory; everybody is looked for on every occasion
    p : formula of detection over occasion covariates, `t` and `T`: M0 and Mh "~ 1", Mt and Mth "~ t"
    heterogeneity : None; "poisson", "darroch" or "gamma" curves; or "chao", a free value for every k from 3, none of
        them below 0, which makes N a lower bound (Chao 1987)
    likelihood : "conditional" on the animals met (equal to the Poisson regression of the counts), or "full"
    steps : with "chao", the k that have a value of their own; chosen by `fit`

    Raises
    ------
    SurveyError : groups, unequal effort by animal, or no animal met
    """

    fit_class = ClosedFit

    def __init__(
        self,
        history: EncounterHistory,
        p: str = "~ 1",
        *,
        heterogeneity: str | None = None,
        likelihood: str = "conditional",
        steps: tuple[int, ...] | None = None,
    ):
        one_of("heterogeneity", heterogeneity, (None, *CURVES, "chao"))
        one_of("likelihood", likelihood, ("full", "conditional"))
        looked = history.states != MISSING
        if history.n_animals == 0 or not (looked == looked[:1]).all() or history.removed.any():
            raise refuse(
                "loglinear models need animals that were all looked for on the same occasions and none lost",
                "Use ClosedCapture",
            )
        self.history, self.heterogeneity, self.likelihood = history, heterogeneity, likelihood
        self.options = {"heterogeneity": heterogeneity, "likelihood": likelihood}
        self.occasion = np.flatnonzero(looked[0])
        self._count()
        self.steps = self._first_steps() if steps is None and heterogeneity == "chao" else steps or ()
        self._arrange(p)

    def _count(self) -> None:
        """Animals met on each occasion [T], and met k times [T + 1]; with them everything is said."""
        met = self.history.states[:, self.occasion] > 0
        frequency = self.history.frequency
        self.met = (frequency @ met).astype(float)
        self.times = np.bincount(met.sum(axis=1), frequency, len(self.occasion) + 1)
        self.n = np.array([frequency.sum()], float)
        self.groups = pd.DataFrame(index=[0])

    def _first_steps(self) -> tuple[int, ...]:
        return tuple(int(k) for k in np.flatnonzero(self.times) if k >= 3)

    def _arrange(self, p: str) -> None:
        T = len(self.occasion)
        covariates = self.history.occasions
        covariates = covariates.iloc[self.occasion] if len(covariates) else covariates
        known = by_axis(0, occasion_factors(self.occasion + 1)) | by_axis(0, covariates)
        self.formulas = {"p": p}
        if used_covariates(self.formulas, self.history.animals, self.history.occasions):
            raise refuse("loglinear models have no groups", "Use ClosedCapture for covariates of animals", value=p)
        self.layouts = {"p": lay_out(p, (T,), known)}
        k = np.arange(T + 1, dtype=float)
        if self.heterogeneity == "chao":
            self.curve = (k[None, :] == np.array(self.steps)[:, None]).astype(float)
        else:
            self.curve = np.array([CURVES[self.heterogeneity](k)] if self.heterogeneity else np.empty((0, T + 1)))
            # In units of the largest k met, so that tau is of the order of one: 2^k - 1 grows beyond all bounds.
            self.curve /= np.abs(self.curve[:, np.flatnonzero(self.times).max()][:, None])
        made = [build("p", p, self.layouts["p"], "logit", "", "detection of an animal met on no other occasion")]
        if len(self.curve):
            names = [str(s) for s in self.steps]
            rows = range(len(self.curve))
            frame = pd.DataFrame({"k": pd.Categorical(names, names)} if names else {}, index=rows)
            self.layouts["tau"] = Layout(frame, np.arange(len(self.curve)))
            formula = "~ 0 + k" if len(self.steps) > 1 else "~ 1"
            made.append(build("tau", formula, self.layouts["tau"], "identity", "", "heterogeneity"))
        if self.likelihood == "full":
            self.layouts["f0"] = Layout(pd.DataFrame(index=[0]), np.zeros(1, int))
            made.append(build("f0", "~ 1", self.layouts["f0"], "log", "animals", "number of animals never met"))
        self.parameters = ParameterSet(made)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def _mass(self, values):
        """p [T], eta(k) [T + 1], log Z of the tilted count, its derivatives by p and by eta, and P_k by occasion.

        Z = sum over k of P_k exp(eta_k), P_k the probability that k of T independent detections happen; by the
        recursion over occasions and its adjoint.
        """
        p = values["p"][self.layouts["p"].index]
        T = len(p)
        eta = values["tau"] @ self.curve if "tau" in values else np.zeros(T + 1)
        before = np.zeros((T + 1, T + 2))
        before[0, 0] = 1.0
        for t in range(T):
            before[t + 1] = (1.0 - p[t]) * before[t]
            before[t + 1, 1:] += p[t] * before[t, :-1]
        top = eta.max()
        after = np.zeros(T + 2)
        after[:-1] = np.exp(eta - top)
        terms = before[T, :-1] * after[:-1]
        Z = terms.sum()
        by_p = np.empty(T)
        for t in range(T - 1, -1, -1):
            by_p[t] = before[t, :-1] @ (after[1:] - after[:-1]) / Z
            after[:-1] = (1.0 - p[t]) * after[:-1] + p[t] * after[1:]
        return p, eta, top + np.log(Z), by_p, terms / Z, before

    def _parts(self, values, weight_met: float, weight_unseen: float):
        """sum log Pr(history) and log Pr(never met), and the derivatives of their weighted sum."""
        p, eta, log_Z, by_p, by_eta, _ = self._mass(values)
        n, logs = self.n[0], np.log1p(-p)
        met = self.met @ (np.log(p) - logs) + n * (logs.sum() - log_Z) + self.times @ eta
        unseen = logs.sum() - log_Z
        weight = weight_met * n + weight_unseen
        d_p = weight_met * self.met / (p * (1.0 - p)) - weight * (1.0 / (1.0 - p) + by_p)
        d_eta = weight_met * self.times - weight * by_eta
        adjoints = {"p": np.bincount(self.layouts["p"].index, d_p, len(values["p"]))}
        if "tau" in values:
            adjoints["tau"] = self.curve @ d_eta
        return met, unseen, adjoints

    def evaluate(self, values, gradient):
        met, unseen, _ = self._parts(values, 1.0, 0.0)
        one, log_unseen = np.ones(1), np.array([unseen])
        if self.likelihood == "full":
            whole = full(np.array([met]), one, log_unseen, self.n, values["f0"])
        else:
            whole = conditional(np.array([met]), one, log_unseen, self.n)
        if not gradient:
            return whole.loglik, None
        adjoints = self._parts(values, 1.0, float(whole.by_unseen[0]))[2]
        return whole.loglik, adjoints | ({"f0": whole.by_f0} if "f0" in values else {})

    def log_unseen(self, values) -> np.ndarray:
        """log Pr(never met) [1]."""
        return np.array([self._parts(values, 0.0, 1.0)[1]])

    def pull_unseen(self, values, weight) -> dict[str, np.ndarray]:
        """Derivatives of weight * log Pr(never met); weight [1]."""
        return self._parts(values, 0.0, float(weight[0]))[2]

    # ---- running it -------------------------------------------------------------------------------------------

    def start(self):
        n, T = self.n[0], len(self.occasion)
        p = float(np.clip(0.8 * self.met.sum() / (n * T), 1e-3, 0.9))
        return self.parameters.start({"p": p, "tau": 0.0, "f0": max(n * (1.0 - p) ** T, 0.5)})

    def fit(self, **options) -> ClosedFit:
        """Maximum likelihood. Chao's steps below 0 are left out, until none is below 0; the fit's model says which."""
        fit = super().fit(**options)
        if self.heterogeneity != "chao" or not self.steps:
            return fit
        values = fit.values["tau"]
        kept = tuple(k for k, eta in zip(self.steps, values, strict=True) if eta >= 0.0)
        if kept == self.steps:
            return fit
        return type(self)(self.history, self.formulas["p"], **self.options, steps=kept).fit(**options)

    def deviance(self, fit) -> float:
        """Twice the log-likelihood that a model with a parameter for every history would have more (conditional)."""
        met = self.history.states[:, self.occasion] > 0
        _, row = np.unique(met, axis=0, return_inverse=True)
        count = np.bincount(row.ravel(), self.history.frequency)
        values = fit.values
        met_part, unseen, _ = self._parts(values, 1.0, 0.0)
        mine = met_part - self.n[0] * np.log(-np.expm1(unseen))
        return float(2.0 * (count @ np.log(count / self.n[0]) - mine))

    def derive(self, fit, interval):
        return fit.derived_table(interval)

    def name_rows(self, name, rows):
        return super().name_rows(name, rows).replace("f0", "f0, the number of animals never met,", 1)

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Encounter histories drawn at natural-scale values (as for `at`), of n / Pr(met) or n + f0 animals."""
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        p, _, _, _, share, before = self._mass(at)
        size = self.n[0] + float(at["f0"][0]) if "f0" in at else self.n[0] / -np.expm1(self.log_unseen(at)[0])
        count = int(size) + int(rng.random() < size % 1)
        left = rng.choice(len(share), count, p=share / share.sum())
        met = np.zeros((count, len(p)), np.int8)
        for t in range(len(p) - 1, -1, -1):  # backwards: of k animals met by now, was this one the k-th?
            here = p[t] * np.where(left > 0, before[t, left - 1], 0.0) / before[t + 1, left]
            met[:, t] = rng.random(count) < here
            left = left - met[:, t]
        states = np.full((count, self.history.n_occasions), MISSING, np.int8)
        states[:, self.occasion] = met
        h = self.history
        seen = met.any(axis=1)
        return EncounterHistory(states[seen], None, None, None, h.occasions, h.intervals, h.interval_unit)

    def on(self, history: EncounterHistory) -> LogLinear:
        return type(self)(history, self.formulas["p"], **self.options)

    def not_comparable(self, other) -> str:
        if isinstance(other, LogLinear) and self.history is other.history and self.likelihood == other.likelihood:
            return ""
        return super().not_comparable(other) or "they are of different encounter histories"

    def __repr__(self) -> str:
        kind = f", {self.heterogeneity}" if self.heterogeneity else ""
        return f"LogLinear(p {self.formulas['p']}{kind}; {self.likelihood} likelihood)"
