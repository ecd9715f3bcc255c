"""Apparent survival of marked animals, given their first encounter (Cormack 1964, Jolly 1965, Seber 1965)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...survey.encounters import EncounterHistory
from ...survey.errors import refuse
from ..derived import Estimate, table
from ..fit import Fit
from ..kernels.survival import cormack_jolly_seber
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, scopes, used_covariates
from .layout import build, lay_out, occasion_factors, profiles

TINY = 1e-300
NAMES = ("t", "T", "age", "cohort")


class CJS(MarkedModel[Fit]):
    """Cormack-Jolly-Seber model.

    Parameters
    ----------
    history : EncounterHistory; states above 1 count as met, intervals are in `history.interval_unit`
    phi : formula of survival per unit of time from occasion t to t + 1, over animal and occasion covariates (of
        occasion t), `t` (factor), `T` (number, occasion 1 is 0), `age` (occasions since the first encounter, the first
        interval is 0) and `cohort` (factor, occasion of the first encounter); or a number
    p : formula of detection on occasion t + 1, over the same (covariates of occasion t + 1, `age` from 1); or a number

    Notes
    -----
    The log-likelihood is the sum of log Pr(history | first encounter) over animals and has no constant, as in MARK:
    -2 loglik is MARK's -2log(L), and n of AICc is the number of releases, as there. Survival is apparent: who has left
    for good counts as dead. With phi and p both by occasion the last two have no estimates of their own, only their
    product; the verdict says so.

    Raises
    ------
    SurveyError : fewer than two occasions, nobody met before the last occasion, a formula or name is wrong
    """

    def __init__(self, history: EncounterHistory, phi: str | float = "~ 1", p: str | float = "~ 1"):
        if history.n_occasions < 2 or not (history.first < history.n_occasions - 1).any():
            raise refuse("survival needs animals met before the last occasion", "Give more occasions")
        if not (history.intervals > 0).all():
            raise refuse("occasions of one primary period are 0 apart", "Use RobustDesign, or collapse them first")
        self.history = history
        self.formulas = {"phi": phi, "p": p}
        self.options = {}
        self._arrange()

    def _arrange(self) -> None:
        history, T = self.history, self.history.n_occasions
        used = used_covariates(self.formulas, history.animals, history.occasions, NAMES)
        self.groups, self.profile, (first,) = profiles(history.animals, used, history.first)
        shape = (len(self.groups), T - 1)
        alive = np.arange(T - 1)[None, :] >= np.asarray(first)[:, None]
        age = np.maximum(np.arange(T - 1)[None, :] - np.asarray(first)[:, None], 0)
        cohort = pd.Series(pd.Categorical([str(f + 1) for f in first], [str(t + 1) for t in range(T)]))
        self.layouts = {}
        for name, start in (("phi", 0), ("p", 1)):
            known = by_axis(0, self.groups) | {"cohort": (0, cohort)}
            known |= by_axis(1, occasion_factors(np.arange(1 + start, T + start)))
            if len(history.occasions):
                known |= by_axis(1, history.occasions.iloc[start : T - 1 + start].reset_index(drop=True))
            known["age"] = (None, pd.Series((age + start).ravel().astype(float)))
            self.layouts[name] = lay_out(self.formulas[name], shape, known, alive)
        unit = f"probability per {history.interval_unit}"
        words = {
            "phi": ("logit", unit, "probability to survive and stay"),
            "p": ("logit", "probability per occasion", "probability that a living animal is met"),
        }
        self.parameters = ParameterSet([build(n, self.formulas[n], self.layouts[n], *words[n]) for n in self.formulas])
        self._spread_by_interval()
        self._rows()

    def _spread_by_interval(self) -> None:
        """Kernel rows of phi: one for every parameter row and length of interval."""
        index = self.layouts["phi"].index
        lengths, which = np.unique(self.history.intervals, return_inverse=True)
        code = index * len(lengths) + which[None, :]
        kept, row = np.unique(code, return_inverse=True)
        self.phi_index = np.ascontiguousarray(row.reshape(index.shape).astype(np.int32))
        self.p_index = np.ascontiguousarray(self.layouts["p"].index)
        self._phi_row, self._length = kept // len(lengths), lengths[kept % len(lengths)]

    def _rows(self) -> None:
        """Different histories of animals met before the last occasion."""
        history = self.history
        useful = history.first < history.n_occasions - 1
        met = np.minimum(history.states, 1)[useful]
        key = np.column_stack([self.profile[useful], history.removed[useful], met])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.frequency = np.bincount(row.ravel(), history.frequency[useful], len(different))
        self.row_profile = different[:, 0].astype(np.int64)
        self.lost = different[:, 1].astype(bool)
        self.met = np.ascontiguousarray(different[:, 2:].astype(np.int8))
        self.first = (self.met > 0).argmax(axis=1).astype(np.int64)
        self.last = (self.met.shape[1] - 1 - (self.met[:, ::-1] > 0).argmax(axis=1)).astype(np.int64)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def evaluate(self, values, gradient):
        survival = np.clip(values["phi"], TINY, 1.0)
        p = np.clip(values["p"], TINY, 1.0 - 1e-16)
        over = survival[self._phi_row] ** self._length
        log_rows, d_over, d_p = np.empty(len(self.met)), np.zeros(len(over)), np.zeros(len(p))
        at = (self.met, self.first, self.last, self.lost, self.row_profile, self.phi_index, self.p_index)
        cormack_jolly_seber(*at, np.maximum(over, TINY), p, self.frequency, log_rows, d_over, d_p)
        loglik = float(self.frequency @ log_rows)
        if not gradient:
            return loglik, None
        slope = self._length * survival[self._phi_row] ** (self._length - 1.0)
        return loglik, {"phi": np.bincount(self._phi_row, d_over * slope, len(survival)), "p": d_p}

    def start(self):
        last = self.last > self.first
        returned = float(self.frequency @ last) / max(float(self.frequency.sum()), 1.0)
        length = float(self.history.intervals.mean())
        return self.parameters.start({"phi": np.clip(returned + 0.1, 0.1, 0.9) ** (1.0 / length), "p": 0.6})

    @property
    def sample_size(self) -> int:
        """Releases: encounters before the last occasion after which the animal was let go (MARK's effective size)."""
        return int(self.frequency @ ((self.met[:, :-1] > 0).sum(axis=1) - self.lost))

    def deviance(self, fit, by: Sequence[str] = ()) -> float:
        """Twice the log-likelihood that a parameter for every history would give more, as MARK's deviance.

        Parameters
        ----------
        by : animal covariates that make groups, each with probabilities of its own for the histories of a cohort
        """
        history = self.history
        useful = history.first < history.n_occasions - 1
        groups = [pd.factorize(history.animals[name][useful])[0] for name in by]
        cohort = np.column_stack([history.first[useful], *groups])
        weight = history.frequency[useful]
        return -2.0 * fit.loglik + 2.0 * (
            _log_shares(np.column_stack([cohort, history.removed[useful], history.states[useful]]), weight)
            - _log_shares(cohort, weight)
        )

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def derive(self, fit, interval):
        """Survival and detection for every combination of their covariates."""
        rows = []
        for name in ("phi", "p"):
            p = self.parameters[name]
            frame = self.predict(fit, name, None)
            for words, r in zip(scopes(self.layouts[name].frame), frame.itertuples(), strict=True):
                quantity = "survival" if name == "phi" else "detection"
                numbers = (r.estimate, r.se, r.lower, r.upper)
                rows.append(Estimate(quantity, p.unit, words, *numbers, f"95% Wald on the {p.link.name}"))
        return table(rows)

    def remarks(self, fit):
        """The last survival and detection when only their product is known."""
        found = self._last_product(fit)
        if found is None:
            return ()
        value, se = found
        words = f"Of the last phi and the last p only the product is determined: {value:.4f} (standard error {se:.4f})"
        return (Remark(Outcome.IMPRECISE, words),)

    def _last_product(self, fit) -> tuple[float, float] | None:
        """phi p of the last interval with its standard error, when neither phi nor p has one of its own."""
        if self.formulas_fixed or fit.determined is None or not fit.determined.directions.size:
            return None
        g = int(self.row_profile[self.first.argmax()])
        J, product = np.zeros((3, self.parameters.size)), 1.0
        for j, name in enumerate(("phi", "p")):
            p, row = self.parameters[name], self.layouts[name].index[g, -1]
            value = fit.values[name][row]
            assert p.design is not None  # nothing is fixed here
            J[j, self.parameters.slice_of(name)] = p.design.matrix[row]
            product *= value ** (self.history.intervals[-1] if name == "phi" else 1.0)
            slope = p.link.slope(p.eta(fit.vector[self.parameters.slice_of(name)]))[row] / value
            J[2] += J[j] * slope * (self.history.intervals[-1] if name == "phi" else 1.0)
        variance = np.diag(fit.covariance_of(J))
        confounded = np.isnan(variance[:2]).all() and np.isfinite(variance[2])
        return (float(product), float(product * np.sqrt(variance[2]))) if confounded else None

    @property
    def formulas_fixed(self) -> bool:
        """True when phi or p is fixed at a number."""
        return any(not isinstance(f, str) for f in self.formulas.values())

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories after the first encounters of the data, drawn at natural-scale values (as for `at`)."""
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        history, T = self.history, self.history.n_occasions
        animal = np.repeat(np.arange(len(history.states)), history.frequency)
        profile, first = self.profile[animal], history.first[animal]
        over = (at["phi"][self._phi_row] ** self._length)[self.phi_index]
        states = np.where(history.states[animal] < 0, -1, 0).astype(np.int8)
        states[np.arange(len(animal)), first] = 1
        alive = np.ones(len(animal), bool)
        for t in range(T - 1):
            since = first <= t
            alive &= ~since | (rng.random(len(animal)) < over[profile, t])
            seen = since & alive & (rng.random(len(animal)) < at["p"][self.p_index[profile, t]])
            states[:, t + 1] = np.where(seen & (states[:, t + 1] == 0), 1, states[:, t + 1])
        animals = history.animals.iloc[animal].set_axis([str(i + 1) for i in range(len(animal))], axis=0)
        return EncounterHistory(
            states, None, None, animals, history.occasions, history.intervals, history.interval_unit
        )


def _log_shares(keys: np.ndarray, weight: np.ndarray) -> float:
    """sum of n log n over different rows of `keys`."""
    row = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    n = np.bincount(row, weight)
    return float(np.sum(n[n > 0] * np.log(n[n > 0])))
