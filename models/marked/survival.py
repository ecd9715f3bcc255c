"""Apparent survival of marked animals, given their first encounter (Cormack 1964, Jolly 1965, Seber 1965)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...survey.encounters import EncounterHistory
from ...survey.errors import refuse
from ..derived import table
from ..fit import Fit
from ..kernels.survival import cormack_jolly_seber
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, one_of, used_covariates
from .individual import ROUGH, Shift, mixed, normal_nodes, shifted
from .layout import Layout, build, lay_out, occasion_factors, profiles
from .losses import with_losses

TINY = 1e-300
NAMES = ("t", "T", "age", "new", "cohort")
QUANTITIES = {
    "phi": "survival",
    "p": "detection",
    "tau": "transients",
    "sigma_phi": "differences in survival",
    "sigma_p": "differences in detection",
}


class CJS(MarkedModel[Fit]):
    """Cormack-Jolly-Seber model.

    Parameters
    ----------
    history : EncounterHistory; states above 1 count as met, intervals are in `history.interval_unit`
    phi : formula of survival per unit of time from occasion t to t + 1, over animal and occasion covariates (of
        occasion t), `t` (factor), `T` (number, occasion 1 is 0), `age` (occasions since the first encounter, the first
        interval is 0), `new` (1 in the first interval after the first encounter, else 0) and `cohort` (factor, occasion
        of the first encounter); or a number
    p : formula of detection on occasion t + 1, over the same (covariates of occasion t + 1, `age` from 1); or a number
    tau : formula of the proportion of transients among animals met for the first time, over animal covariates and
        `cohort`: they leave at once and for good (Pradel et al. 1997); none by default. phi is then that of residents.
        The same likelihood as phi "~ new", but tau cannot be below 0.
    individual : "phi", "p" or both, which have a normal effect of each animal on the logit scale, with the standard
        deviations sigma_phi and sigma_p (Gimenez & Choquet 2010); phi and p are then those of an animal in the middle
    nodes : of the Gauss-Hermite quadrature over each effect; the verdict says when they are too few

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

    def __init__(
        self,
        history: EncounterHistory,
        phi: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        tau: str | float | None = None,
        individual: str | Sequence[str] = (),
        nodes: int = 20,
    ):
        individual = (individual,) if isinstance(individual, str) else tuple(individual)
        for name in individual:
            one_of("individual", name, ("phi", "p"))
        if history.n_occasions < 2 or not (history.first < history.n_occasions - 1).any():
            raise refuse("survival needs animals met before the last occasion", "Give more occasions")
        if not (history.intervals > 0).all():
            raise refuse("occasions of one primary period are 0 apart", "Use RobustDesign, or collapse them first")
        self.history = history
        self.formulas = {"phi": phi, "p": p} | ({} if tau is None else {"tau": tau})
        self.individual, self.nodes = individual, nodes
        self.options = {"individual": individual, "nodes": nodes} if individual else {}
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
            known["new"] = (None, pd.Series((age == 0).ravel().astype(float)))
            self.layouts[name] = lay_out(self.formulas[name], shape, known, alive)
        if "tau" in self.formulas:
            of_animals = by_axis(0, self.groups) | {"cohort": (0, cohort)}
            released = np.asarray(first) < T - 1
            self.layouts["tau"] = lay_out(self.formulas["tau"], shape[:1], of_animals, released)
        unit = f"probability per {history.interval_unit}"
        words = {
            "phi": ("logit", unit, "probability to survive and stay"),
            "p": ("logit", "probability per occasion", "probability that a living animal is met"),
            "tau": ("logit", "proportion", "transients among animals met for the first time"),
        }
        made = [build(n, self.formulas[n], self.layouts[n], *words[n]) for n in self.formulas]
        for name in self.individual:
            one = self.layouts[f"sigma_{name}"] = Layout(pd.DataFrame(index=[0]), np.zeros(1, np.int32))
            what = ("log", "standard deviation on the logit scale", f"how much animals differ in {name}")
            made.append(build(f"sigma_{name}", "~ 1", one, *what))
        self.parameters = ParameterSet(made)
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
        self.row_of_history = np.full(len(useful), -1)  # -1 where a history says nothing
        self.row_of_history[useful] = row.ravel()
        self.frequency = np.bincount(row.ravel(), history.frequency[useful], len(different))
        self.row_profile = different[:, 0].astype(np.int64)
        self.lost = different[:, 1].astype(bool)
        self.met = np.ascontiguousarray(different[:, 2:].astype(np.int8))
        self.first = (self.met > 0).argmax(axis=1).astype(np.int64)
        self.last = (self.met.shape[1] - 1 - (self.met[:, ::-1] > 0).argmax(axis=1)).astype(np.int64)
        self.points, self.log_weight = normal_nodes(self.nodes, len(self.individual))

    # ---- likelihood -------------------------------------------------------------------------------------------

    def evaluate(self, values, gradient):
        survival, p = np.clip(values["phi"], TINY, 1.0), np.clip(values["p"], TINY, 1.0 - 1e-16)
        if not self.individual and "tau" not in values:
            log_rows, d_phi, d_p = self._residents(survival, p, self.frequency)
            return float(self.frequency @ log_rows), {"phi": d_phi, "p": d_p} if gradient else None
        log_nodes = np.array([self._residents(*self._at(values, z), self.frequency)[0] for z in self.points])
        log_resident, share = mixed(log_nodes, self.log_weight)
        log_rows, stays, adjoints = self._with_transients(values, log_resident)
        loglik = float(self.frequency @ log_rows)
        if not gradient:
            return loglik, None
        by = {"phi": Shift(survival), "p": Shift(p)}
        for z, weight in zip(self.points, share * stays * self.frequency, strict=True):
            moved = self._at(values, z)
            _, *d = self._residents(*moved, weight)
            for name, at, change in zip(by, moved, d, strict=True):
                by[name].add(change, at, z[self.individual.index(name)] if name in self.individual else 0.0)
        for name, shift in by.items():
            adjoints[name] = shift.by_probability
            if name in self.individual:
                adjoints[f"sigma_{name}"] = np.array([shift.by_sigma])
        return loglik, adjoints

    def _residents(self, survival, p, weight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log Pr of the rows when all animals are alike and stay, and the derivatives of their weighted sum."""
        over = survival[self._phi_row] ** self._length
        log_rows, d_over, d_p = np.empty(len(self.met)), np.zeros(len(over)), np.zeros(len(p))
        at = (self.met, self.first, self.last, self.lost, self.row_profile, self.phi_index, self.p_index)
        cormack_jolly_seber(*at, np.maximum(over, TINY), p, weight.astype(float), log_rows, d_over, d_p)
        slope = self._length * survival[self._phi_row] ** (self._length - 1.0)
        return log_rows, np.bincount(self._phi_row, d_over * slope, len(survival)), d_p

    def _at(self, values, z) -> tuple[np.ndarray, np.ndarray]:
        """phi and p of an animal whose effects are z standard deviations."""
        found = []
        for name, top in (("phi", 1.0), ("p", 1.0 - 1e-16)):
            value = np.clip(values[name], TINY, top)
            if name in self.individual:
                value = shifted(value, float(values[f"sigma_{name}"][0]) * z[self.individual.index(name)])
            found.append(value)
        return found[0], found[1]

    def _with_transients(self, values, log_resident):
        """log Pr [R] of residents and transients together, the share [R] of the residents in it, derivatives by tau.

        A transient is never met again: (1 - tau) Pr(history of a resident) + tau, the last only if it was not.
        """
        if "tau" not in values:
            return log_resident, np.ones(len(log_resident)), {}
        index = self.layouts["tau"].index[self.row_profile]
        tau, resident, gone = values["tau"][index], np.exp(log_resident), self.last == self.first
        log_rows = np.where(
            gone, np.log(tau + (1.0 - tau) * resident), np.log1p(-np.minimum(tau, 1.0 - 1e-16)) + log_resident
        )
        stays = np.where(gone, (1.0 - tau) * np.exp(log_resident - log_rows), 1.0)
        by_tau = np.where(gone, (1.0 - resident) * np.exp(-log_rows), -1.0 / np.maximum(1.0 - tau, 1e-16))
        return log_rows, stays, {"tau": np.bincount(index, self.frequency * by_tau, len(values["tau"]))}

    def start(self):
        last = self.last > self.first
        returned = float(self.frequency @ last) / max(float(self.frequency.sum()), 1.0)
        length = float(self.history.intervals.mean())
        values = {"phi": np.clip(returned + 0.1, 0.1, 0.9) ** (1.0 / length), "p": 0.6, "tau": 0.1}
        return self.parameters.start(values | {"sigma_phi": 0.5, "sigma_p": 0.5})

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
        """Survival, detection and transients for every combination of their covariates, and how animals differ."""
        return table(self.parameter_rows(fit, {n: QUANTITIES[n] for n in self.parameters.names}, interval))

    def remarks(self, fit):
        """The last survival and detection when only their product is known; a quadrature that is too coarse."""
        found, remarks = self._last_product(fit), []
        if found is not None:
            words = "Of the last phi and the last p only the product is determined: {:.4f} (standard error {:.4f})"
            remarks.append(Remark(Outcome.IMPRECISE, words.format(*found)))
        if self.individual:
            finer = type(self)(self.history, **self.formulas, individual=self.individual, nodes=2 * self.nodes)
            error = abs(finer.loglik(fit.vector) - fit.loglik)
            if error > ROUGH:
                words = (
                    f"The integral over animals is off by {error:.2g} in the log-likelihood: use nodes={2 * self.nodes}"
                )
                remarks.append(Remark(Outcome.IMPRECISE, words))
        return tuple(remarks)

    def _last_product(self, fit) -> tuple[float, float] | None:
        """phi p of the last interval with its standard error, when neither phi nor p has one of its own."""
        if self.formulas_fixed or self.individual or fit.determined is None or not fit.determined.directions.size:
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

    def __repr__(self) -> str:
        differ = f"; animals differ in {' and '.join(self.individual)})" if self.individual else ")"
        return super().__repr__()[:-1] + differ

    @property
    def formulas_fixed(self) -> bool:
        """True when phi or p is fixed at a number."""
        return any(not isinstance(f, str) for f in self.formulas.values())

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories after the first encounters of the data, drawn at natural-scale values (as for `at`).

        On each occasion as large a share of those met is lost as in the data.
        """
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        history, T = self.history, self.history.n_occasions
        animal = np.repeat(np.arange(len(history.states)), history.frequency)
        profile, first = self.profile[animal], history.first[animal]
        effect = {n: float(at[f"sigma_{n}"][0]) * rng.normal(size=len(animal)) for n in self.individual}
        tau = at["tau"][self.layouts["tau"].index[profile]] if "tau" in at else 0.0
        states = np.where(history.states[animal] < 0, -1, 0).astype(np.int8)
        states[np.arange(len(animal)), first] = 1
        alive = rng.random(len(animal)) >= tau
        for t in range(T - 1):
            since = first <= t
            phi, p = at["phi"][self.layouts["phi"].index[profile, t]], at["p"][self.p_index[profile, t]]
            phi, p = (shifted(v, effect[n]) if n in effect else v for n, v in (("phi", phi), ("p", p)))
            alive &= ~since | (rng.random(len(animal)) < phi ** history.intervals[t])
            seen = since & alive & (rng.random(len(animal)) < p)
            states[:, t + 1] = np.where(seen & (states[:, t + 1] == 0), 1, states[:, t + 1])
        animals = history.animals.iloc[animal].set_axis([str(i + 1) for i in range(len(animal))], axis=0)
        states, removed = with_losses(states, history, rng)
        return EncounterHistory(
            states, None, removed, animals, history.occasions, history.intervals, history.interval_unit
        )


def _log_shares(keys: np.ndarray, weight: np.ndarray) -> float:
    """sum of n log n over different rows of `keys`."""
    row = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    n = np.bincount(row, weight)
    return float(np.sum(n[n > 0] * np.log(n[n > 0])))
