"""Open populations: survival and recruitment (Pradel), and the number of animals (Jolly-Seber, POPAN).

The likelihood is that of Schwarz & Arnason (1996), given the animals met at all (Link & Barker 2005) in `Pradel`, with
the size of the superpopulation in it in `JollySeber`. One model, four ways to write recruitment.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import digamma, gammaln

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..design import formula_variables
from ..fit import Fit
from ..kernels.survival import cormack_jolly_seber
from ..parameters import ParameterSet
from .base import MarkedModel, by_axis, one_of, used_covariates
from .entry import by_growth, by_weights, first_encounter, first_encounter_back, growth_back
from .layout import build, lay_out, occasion_factors, profiles

TINY = 1e-300
RECRUITMENT = {
    "f": ("log", "recruits per animal and unit of time", "recruitment"),
    "growth": ("log", "ratio per unit of time", "growth rate of the population, lambda"),
    "gamma": ("logit", "probability per unit of time", "seniority: an animal was here before"),
    "b": ("log", "ratio to the animals of the first occasion", "new animals before an occasion"),
}


class OpenFit(Fit):
    """A `Fit` of an open population: adds numbers by occasion with their joint covariance."""

    def abundance(self) -> pd.DataFrame:
        """N by occasion, recruits and growth between occasions, over all groups (`JollySeber` only)."""
        from .open_derived import abundance_table

        return abundance_table(self)

    def abundance_covariance(self) -> np.ndarray:
        """Covariance [T, T] of the expected N by occasion, over all groups: what a trend through them needs."""
        from .open_derived import abundance_covariance

        return abundance_covariance(self)


class Pradel(MarkedModel[OpenFit]):
    """Survival and recruitment from encounter histories, given the animals that were met at all.

    Parameters
    ----------
    history : EncounterHistory; states above 1 count as met
    phi : formula of survival per unit of time from occasion t to t + 1 (animal and occasion covariates, `t`, `T`)
    p : formula of detection on every occasion
    f, growth, gamma : formula of one of: recruits per animal, growth rate lambda = phi + f, seniority gamma = phi /
        lambda, per unit of time from occasion t to t + 1; f by default

    Notes
    -----
    The likelihood conditions on animals met at least once in the study; it is not that of Pradel (1996), who took the
    number of encounters on each occasion as given. It has no constant. With intervals d, survival is phi^d and growth
    (phi + f)^d.

    Animals that were not released after an encounter (losses on capture) say nothing of what comes after it. Phi, f,
    growth and gamma are those of the population as it would be without these losses, as in openCR.

    Raises
    ------
    SurveyError : two kinds of recruitment, animals that were not looked for when others were
    """

    fit_class = OpenFit

    def __init__(
        self,
        history: EncounterHistory,
        phi: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        f: str | None = None,
        growth: str | None = None,
        gamma: str | None = None,
    ):
        self._make(history, phi, p, {"f": f, "growth": growth, "gamma": gamma}, "f")

    def _make(self, history, phi, p, recruitment, default: str, size: Mapping[str, str] | None = None) -> None:
        given = {name: formula for name, formula in recruitment.items() if formula is not None}
        if len(given) > 1:
            raise refuse("recruitment is one parameter", f"Give one of {', '.join(recruitment)}", value=list(given))
        if history.n_occasions < 2 or not (history.intervals > 0).all():
            fix = "Give intervals above 0; of a robust design take the periods: history.by_period()"
            raise refuse("an open population needs occasions that are apart in time", fix)
        if history.n_animals == 0:
            raise refuse("no animal was met, so there is nothing to fit", "Check the species, dates and identities")
        self.history, self.options = history, {}
        size = size or {}
        self.recruitment = next(iter(given), default)
        self.formulas = {"phi": phi, "p": p, self.recruitment: given.get(self.recruitment, "~ 1")}
        self.formulas |= size
        self._arrange()

    # ---- rows and parameters ----------------------------------------------------------------------------------

    def _arrange(self) -> None:
        history, T = self.history, self.history.n_occasions
        used = used_covariates(self.formulas, history.animals, history.occasions)
        self.groups, self.profile, (lost,) = profiles(history.animals, used, history.states == MISSING)
        if len({row.tobytes() for row in lost}) > 1:
            raise refuse("some animals were not looked for on occasions when others were", "Use CJS")
        self.looked = ~lost[0]
        G, unit = len(self.groups), f"probability per {history.interval_unit}"
        self.layouts = {}
        for name, formula in self.formulas.items():
            known = by_axis(0, self.groups)
            shape, used_cells = (G,), None
            if name not in ("N", "f0"):
                start = 1 if name == "b" else 0
                span = np.arange(start, T if name in ("p", "b") else T - 1)
                known |= by_axis(1, occasion_factors(span + 1))
                if len(history.occasions):
                    known |= by_axis(1, history.occasions.iloc[span].reset_index(drop=True))
                shape = (G, len(span))
                used_cells = np.broadcast_to(self.looked, shape) if name == "p" else None
            self.layouts[name] = lay_out(formula, shape, known, used_cells)
        words = RECRUITMENT | {
            "phi": ("logit", unit, "probability to survive and stay"),
            "p": ("logit", "probability per occasion", "probability that a living animal is met"),
            "N": ("log", "animals", "superpopulation: all animals that lived here at some time of the study"),
            "f0": ("log", "animals", "animals that lived here at some time of the study and were never met"),
        }
        self.parameters = ParameterSet([build(n, self.formulas[n], self.layouts[n], *words[n]) for n in self.formulas])
        self._rows()

    def _rows(self) -> None:
        history = self.history
        met = np.minimum(history.states, 1)
        key = np.column_stack([self.profile, history.removed, met])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.row_of_history = row.ravel()
        self.frequency = np.bincount(row.ravel(), history.frequency, len(different))
        self.row_profile, self.lost = different[:, 0].astype(np.int64), different[:, 1].astype(bool)
        self.met = np.ascontiguousarray(different[:, 2:].astype(np.int8))
        self.first = (self.met > 0).argmax(axis=1).astype(np.int64)
        self.last = (self.met.shape[1] - 1 - (self.met[:, ::-1] > 0).argmax(axis=1)).astype(np.int64)
        G, T = len(self.groups), history.n_occasions
        self.newly_met = np.zeros((G, T))
        np.add.at(self.newly_met, (self.row_profile, self.first), self.frequency)
        self.n = self.newly_met.sum(axis=1)
        self.lost_at = np.zeros((G, T))
        np.add.at(self.lost_at, (self.row_profile[self.lost], self.last[self.lost]), self.frequency[self.lost])
        self._cells = np.arange(G * (T - 1), dtype=np.int32).reshape(G, T - 1)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def natural(self, values) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Survival of the intervals [G, T - 1], p [G, T] (0 where nobody looked), growth [G, T - 1] (None with b)."""
        length = self.history.intervals[None, :]
        phi = np.clip(values["phi"], TINY, 1.0)[self.layouts["phi"].index]
        p = np.where(self.looked, np.clip(values["p"], TINY, 1.0 - 1e-12)[self.layouts["p"].index], 0.0)
        kind = self.recruitment
        if kind == "b":
            return phi**length, p, None
        r = values[kind][self.layouts[kind].index]
        growth = {"f": lambda: phi + r, "growth": lambda: r, "gamma": lambda: phi / np.maximum(r, TINY)}[kind]()
        return phi**length, p, growth**length

    def entries(self, values):
        """Shares of the superpopulation that enter before each occasion."""
        survival, _, growth = self.natural(values)
        if growth is None:
            return by_weights(survival, values["b"][self.layouts["b"].index])
        return by_growth(survival, growth)

    def evaluate(self, values, gradient):
        survival, p, growth = self.natural(values)
        entry = self.entries(values)
        if not entry.possible:
            return -np.inf, None if not gradient else {name: np.full(len(v), np.nan) for name, v in values.items()}
        at = first_encounter(entry.beta, survival, p)
        later, d_survival, d_p = self._later(survival, p)
        u = self.newly_met
        seen = np.where(u > 0, np.log(np.maximum(at.psi * at.p, TINY)), 0.0)
        number, d_met, d_N = self._number(values, at.met)
        loglik = later + float((u * seen).sum()) - float(self.n @ np.log(at.met)) + number
        if not gradient:
            return loglik, None
        d_psi = np.divide(u, at.psi, out=np.zeros_like(u), where=u > 0)
        d_p += np.divide(u, p, out=np.zeros_like(u), where=u > 0)
        d_beta, more_survival, more_p = first_encounter_back(at, survival, d_psi, d_met - self.n / at.met)
        total = entry.new.sum(axis=1, keepdims=True)
        d_new = (d_beta - (d_beta * entry.beta).sum(axis=1, keepdims=True)) / total
        return loglik, self._pull(values, survival, growth, d_survival + more_survival, d_p + more_p, d_new) | d_N

    def _later(self, survival, p):
        """Log-likelihood after the first encounter, its derivatives by survival [G, T - 1] and p [G, T]."""
        d_survival, d_p = np.zeros(survival.size), np.zeros(survival.size)
        log_rows = np.empty(len(self.met))
        over, detection = np.ascontiguousarray(survival.ravel()), np.ascontiguousarray(p[:, 1:].ravel())
        at = (self.met, self.first, self.last, self.lost, self.row_profile, self._cells, self._cells)
        cormack_jolly_seber(*at, np.maximum(over, TINY), detection, self.frequency, log_rows, d_survival, d_p)
        d_p = np.hstack([np.zeros((len(p), 1)), d_p.reshape(survival.shape)])
        return float(self.frequency @ log_rows), d_survival.reshape(survival.shape), d_p

    def _number(self, values, met):
        """What the number of animals adds: nothing when given the animals met."""
        return 0.0, np.zeros(len(met)), {}

    def _pull(self, values, survival, growth, d_survival, d_p, d_new) -> dict[str, np.ndarray]:
        """Derivatives by the parameters' rows."""
        length, kind = self.history.intervals[None, :], self.recruitment
        phi = np.clip(values["phi"], TINY, 1.0)[self.layouts["phi"].index]
        by_phi = np.zeros_like(phi)
        if kind == "b":
            by_kind = d_new[:, 1:]
        else:
            more, d_growth = growth_back(survival, growth, d_new)
            d_survival = d_survival + more
            base = np.maximum(growth ** (1.0 / length), TINY)
            d_base = d_growth * length * growth / base
            r = values[kind][self.layouts[kind].index]
            by_phi += {"f": 1.0, "growth": 0.0, "gamma": 1.0 / np.maximum(r, TINY)}[kind] * d_base
            by_kind = d_base * (1.0 if kind != "gamma" else -phi / np.maximum(r, TINY) ** 2)
        by_phi += d_survival * length * survival / phi
        cells = {"phi": by_phi, "p": np.where(self.looked, d_p, 0.0), kind: by_kind}
        return {n: np.bincount(self.layouts[n].index.ravel(), by.ravel(), len(values[n])) for n, by in cells.items()}

    def start(self):
        later = self.frequency @ (self.last > self.first) / max(self.n.sum() - self.newly_met[:, -1].sum(), 1.0)
        phi = float(np.clip(later + 0.1, 0.2, 0.9)) ** (1.0 / float(self.history.intervals.mean()))
        recruits = {"f": 1.05 - phi, "growth": 1.05, "gamma": phi / 1.05}
        recruits["b"] = float(np.clip(self.newly_met[:, 1:].mean() / max(self.newly_met[:, 0].mean(), 0.5), 0.05, 2.0))
        size = {"N": 1.3 * self.n.mean(), "f0": 0.3 * self.n.mean()}
        return self.parameters.start({"phi": phi, "p": 0.6} | size | recruits)

    def derive(self, fit, interval):
        from .open_derived import derived_table

        return derived_table(fit, interval)

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories drawn at natural-scale values (as for `at`) of N animals; in Pradel n / Pr(met at all)."""
        from .open_derived import simulate_open

        return simulate_open(self, self.coefficients_for(values), seed)


class JollySeber(Pradel):
    """Numbers, survival and recruitment of an open population (Jolly-Seber-Schwarz-Arnason, POPAN).

    Parameters
    ----------
    history, phi, p, f, growth, gamma : as for `Pradel`
    b : formula of new animals before occasion t, relative to those of the first occasion (over the later occasions);
        the default way to write recruitment, "~ t": every occasion its own
    distribution : "poisson" (default): N is an expected number, and its standard error has the chance in it that so
        many animals live here. "binomial": N is the number itself (POPAN in MARK), with f0 = N - n as the parameter.
    size : formula of N (or f0) over groups; every group its own by default

    Notes
    -----
    The log-likelihood is that of `Pradel` plus, for "poisson", n log(N Pr) - N Pr - log n!, with Pr the probability to
    be met at all; for "binomial", log N!/(N - n)! + n log Pr + (N - n) log(1 - Pr), without log n!, as in MARK.
    N by occasion is derived; animals not released after an encounter are in the N of that occasion, not in later ones.
    """

    def __init__(
        self,
        history: EncounterHistory,
        phi: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        b: str | None = None,
        f: str | None = None,
        growth: str | None = None,
        gamma: str | None = None,
        distribution: str = "poisson",
        size: str | None = None,
    ):
        one_of("distribution", distribution, ("poisson", "binomial"))
        recruitment = {"b": b, "f": f, "growth": growth, "gamma": gamma}
        if all(formula is None for formula in recruitment.values()):
            recruitment["b"] = "~ t" if history.n_occasions > 2 else "~ 1"
        names = formula_groups(history, (phi, p, *recruitment.values()))
        size = ("~ " + (" * ".join(names) or "1")) if size is None else size
        self._make(history, phi, p, recruitment, "b", {"N" if distribution == "poisson" else "f0": size})
        self.options = {"distribution": distribution}

    def on(self, history: EncounterHistory) -> JollySeber:
        formulas = {name: f for name, f in self.formulas.items() if name not in ("N", "f0")}
        return type(self)(history, **formulas, **self.options, size=self.formulas.get("N", self.formulas.get("f0")))

    def not_comparable(self, other) -> str:
        return super().not_comparable(other) or (
            "" if self.options == other.options else "they treat the number of animals differently"
        )

    def _number(self, values, met):
        if "N" in values:
            index = self.layouts["N"].index
            N = values["N"][index]
            mean = N * met
            number = float(np.sum(self.n * np.log(mean) - mean - gammaln(self.n + 1.0)))
            return number, self.n / met - N, {"N": np.bincount(index, self.n / N - met, len(values["N"]))}
        index = self.layouts["f0"].index
        f0, missed = values["f0"][index], np.maximum(1.0 - met, TINY)
        N = self.n + f0
        number = np.sum(gammaln(N + 1.0) - gammaln(f0 + 1.0) + self.n * np.log(met) + f0 * np.log(missed))
        by_f0 = digamma(N + 1.0) - digamma(f0 + 1.0) + np.log(missed)
        return float(number), self.n / met - f0 / missed, {"f0": np.bincount(index, by_f0, len(values["f0"]))}


def formula_groups(history: EncounterHistory, formulas) -> list[str]:
    """Animal covariates in some formulas, as factors of a formula for N."""
    named = {str(i): f for i, f in enumerate(formulas) if isinstance(f, str)}
    everything = {str(c) for c in history.animals.columns}
    used = set().union(*(formula_variables(f) for f in named.values())) & everything
    numbers = [name for name in used if pd.api.types.is_float_dtype(history.animals[name])]
    if numbers:
        raise refuse(
            "N by a covariate that is a number is not defined", "Use Pradel, or make groups of it", value=numbers
        )
    return [f"C({name})" for name in sorted(used)]
