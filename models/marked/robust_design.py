"""Robust design: primary periods with short occasions inside, between them survival and temporary emigration.

Inside a period the population is closed and any `ClosedCapture` model gives the probability to be met in it; between
periods the marked animals survive, and are here or away (Kendall, Nichols & Hines 1997).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..derived import log_normal_above, table
from ..fit import Fit
from ..kernels.survival_emigration import temporary_emigration
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, used_covariates
from .closed import ClosedCapture
from .layout import build, lay_out, occasion_factors, profiles
from .losses import with_losses

TINY = 1e-300
OPEN = ("phi", "gamma_out", "gamma_away")
WORDS = {
    "phi": "survival",
    "gamma_out": "emigration",
    "gamma_away": "staying away",
    "p": "detection",
    "c": "detection again",
    "pi": "class",
    "sigma_p": "differences in detection",
}


class RobustFit(Fit):
    """A `Fit` of a robust design: adds the number of animals here in each primary period."""

    def abundance(self) -> pd.DataFrame:
        """N of every primary period, n / Pr(met in it), with log-normal intervals on N - n (rows as of `derive`)."""
        return self.model.abundance_table(self)


class RobustDesign(MarkedModel[RobustFit]):
    """Survival, temporary emigration and abundance from primary periods with several occasions.

    Parameters
    ----------
    history : EncounterHistory whose intervals are 0 inside a primary period and above 0 between periods
    phi : formula of survival per unit of time from period t to t + 1, over animal factors, `t` (period, factor), `T`
    gamma_out : formula of the probability that an animal here in period t is away in t + 1 (gamma''); None: nobody goes
    gamma_away : formula of the probability that an animal away in period t is so in t + 1 (gamma'); None: as gamma_out,
        random emigration
    p, c, pi, classes, heterogeneity, nodes : of the closed model inside periods, as for `ClosedCapture`; further names
        there are `primary` (period, factor) and `within` (occasion inside the period, from 0). Classes and effects of
        animals are drawn anew in each period.

    Notes
    -----
    Log-likelihood: log Pr(periods met | first period met) plus the histories inside periods given that the animal was
    met in the period (Huggins form), without constants; N = n / Pr(met in the period). With Markovian emigration by
    period the last gammas are confounded with the last survival; the verdict names flat directions.

    Raises
    ------
    SurveyError : fewer than two periods, covariates that are numbers, gamma_away without gamma_out
    """

    fit_class = RobustFit

    def __init__(
        self,
        history: EncounterHistory,
        phi: str | float = "~ 1",
        p: str | float | None = None,
        c: str | float | None = None,
        *,
        gamma_out: str | float | None = None,
        gamma_away: str | float | None = None,
        pi: str | float | None = None,
        classes: int = 1,
        heterogeneity: str | None = None,
        nodes: int = 40,
    ):
        self.history, self.options = history, {"classes": classes}
        if heterogeneity:
            self.options |= {"heterogeneity": heterogeneity, "nodes": nodes}
        self.K = int(history.primary[-1]) + 1 if history.n_occasions else 0
        if self.K < 2:
            raise refuse("a robust design needs at least two primary periods", "Give intervals above 0 between them")
        if gamma_away is not None and gamma_out is None:
            raise refuse("animals that stay away must have gone away", "Give gamma_out too")
        if gamma_away is not None and self.K < 3:
            raise refuse("staying away shows only over three primary periods", "Leave gamma_away out", value=self.K)
        self.formulas = {"phi": phi}
        self.formulas |= {} if gamma_out is None else {"gamma_out": gamma_out}
        self.formulas |= {} if gamma_away is None else {"gamma_away": gamma_away}
        self._group({"p": p, "c": c, "pi": pi})
        self._closed_part(p, c, pi)
        self._open_part()
        made = [self._parameter(name) for name in OPEN if name in self.formulas]
        self.parameters = ParameterSet(made + list(self.closed.parameters))
        self.layouts |= self.closed.layouts
        self.formulas |= self.closed.formulas

    # ---- arranging --------------------------------------------------------------------------------------------

    def _group(self, inside: Mapping) -> None:
        """Profiles of animals, and the periods in which each row was met [R, K]."""
        h = self.history
        names = ("t", "T", "b", "h", "primary", "within")
        used = used_covariates({**self.formulas, **inside}, h.animals, h.occasions, names)
        numbers = sorted(name for name in used if pd.api.types.is_float_dtype(h.animals[name]))
        if numbers:
            raise refuse("the robust design takes groups, no covariates that are numbers", "Use CJS", value=numbers)
        lost = h.states == MISSING
        if (lost != lost[:1]).any():
            raise refuse("some animals were not looked for on occasions when others were", "Use CJS")
        self.groups, self.profile, _ = profiles(h.animals, used, np.zeros(len(lost)))
        inside_period = h.primary[None, :] == np.arange(self.K)[:, None]
        self.met = np.array([(h.states[:, k] > 0).any(axis=1) for k in inside_period]).T.astype(np.int8)
        self.looked = np.array([(~lost[0][k]).any() for k in inside_period])
        self.met[:, ~self.looked] = MISSING

    def _closed_part(self, p, c, pi) -> None:
        """Every period in which an animal was met is a closed history of its own, not looked for in other periods."""
        h, G = self.history, len(self.groups)
        blocks, rows, frequency, lost, inside_of = [], [], [], [], []
        for k in np.flatnonzero(self.looked):
            inside = h.primary == k
            who = np.flatnonzero(self.met[:, k] == 1)
            states = np.full((len(who) + G, h.n_occasions), MISSING)
            states[: len(who), inside] = h.states[who][:, inside]
            # A group of which nobody was met still has a probability to be met: a history that nobody has.
            states[len(who) :, inside] = np.where(h.states[0, inside] == MISSING, MISSING, 1)
            blocks.append(states)
            rows.append(np.column_stack([np.append(self.profile[who], np.arange(G)), np.full(len(who) + G, k)]))
            frequency.append(np.append(h.frequency[who], np.zeros(G, int)))
            inside_of += [who, np.full(G, -1)]
            last = h.removed[who] & (h.primary[h.last[who]] == k)
            lost.append(np.append(last, np.zeros(G, bool)))
        rows = np.vstack(rows)
        self.history_of_inside = np.concatenate(inside_of)  # whose each closed history is, -1 for nobody's
        animals = self.groups.iloc[rows[:, 0]].assign(_profile=rows[:, 0], _period=rows[:, 1])
        animals = animals.set_axis([str(i) for i in range(len(rows))], axis=0)
        names = [str(k + 1) for k in range(self.K)]
        starts = np.searchsorted(h.primary, h.primary)
        occasions = h.occasions.assign(primary=pd.Categorical([names[k] for k in h.primary], names))
        occasions = (
            occasions if len(occasions) else pd.DataFrame({"primary": pd.Categorical([names[k] for k in h.primary])})
        )
        occasions = occasions.assign(within=(np.arange(h.n_occasions) - starts).astype(float))
        pseudo = EncounterHistory(
            np.vstack(blocks), np.concatenate(frequency), np.concatenate(lost), animals, occasions
        )
        self.closed = ClosedCapture(pseudo, p, c, pi=pi, likelihood="conditional", **self.options)
        self.star_index = np.zeros((G, self.K), np.int64)
        self.star_index[rows[:, 0], rows[:, 1]] = self.closed.profile

    def _open_part(self) -> None:
        """Layouts of survival and emigration [G, K - 1], and the different rows of the kernel."""
        G, K, h = len(self.groups), self.K, self.history
        self.length = h.intervals[h.intervals > 0]
        self.layouts = {}
        known = by_axis(0, self.groups) | by_axis(1, occasion_factors(np.arange(1, K)))
        for name in OPEN:
            if name in self.formulas:
                cells = np.ones((G, K - 1), bool)
                cells[:, 0] = name != "gamma_away"  # who has just been marked was here
                self.layouts[name] = lay_out(self.formulas[name], (G, K - 1), known, cells)
        key = np.column_stack([self.profile, h.removed, self.met])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.row_of_history = row.ravel()
        self.frequency = np.bincount(row.ravel(), h.frequency, len(different))
        self.row_profile = different[:, 0].astype(np.int64)
        met = np.ascontiguousarray(different[:, 2:].astype(np.int8))
        last = K - 1 - (met[:, ::-1] > 0).argmax(axis=1)
        self.first, self.row_met = (met > 0).argmax(axis=1).astype(np.int64), met
        self.end = np.where(different[:, 1] == 1, last, K - 1).astype(np.int64)

    def _parameter(self, name: str):
        unit = f"probability per {self.history.interval_unit}" if name == "phi" else "probability"
        meaning = {
            "phi": "probability to survive",
            "gamma_out": "probability that an animal here is away in the next period",
            "gamma_away": "probability that an animal away is away in the next period",
        }
        return build(name, self.formulas[name], self.layouts[name], "logit", unit, meaning[name])

    # ---- likelihood -------------------------------------------------------------------------------------------

    def _cells(self, values):
        """phi of the intervals, out and away [G, K - 1]."""
        phi = np.clip(values["phi"], TINY, 1.0)[self.layouts["phi"].index]
        zero = np.zeros_like(phi)
        out = values["gamma_out"][self.layouts["gamma_out"].index] if "gamma_out" in values else zero
        away = values["gamma_away"][self.layouts["gamma_away"].index] if "gamma_away" in values else out
        return phi**self.length, out, away

    def star(self, values) -> np.ndarray:
        """Probability to be met in a period when here [G, K], 0 where nobody looked."""
        met = -np.expm1(self.closed.log_unseen(values))[self.star_index]
        return np.where(self.looked, met, 0.0)

    def evaluate(self, values, gradient):
        inside, adjoints = self.closed.evaluate({n: values[n] for n in self.closed.parameters.names}, gradient)
        phi, out, away = (np.ascontiguousarray(a) for a in self._cells(values))
        star = self.star(values)
        log_rows = np.empty(len(self.row_met))
        d_phi, d_out, d_away, d_star = (np.zeros_like(a) for a in (phi, out, away, star))
        at = (self.row_met, self.first, self.end, self.row_profile, phi, out, away, star, self.frequency)
        temporary_emigration(*at, log_rows, d_phi, d_out, d_away, d_star)
        loglik = float(self.frequency @ log_rows) + inside
        if not gradient:
            return loglik, None
        index = self.star_index[:, self.looked].ravel()
        assert adjoints is not None  # the gradient was asked for
        by_unseen = np.bincount(index, (d_star * (star - 1.0))[:, self.looked].ravel(), len(self.closed.n))
        more = self.closed.pull_unseen(values, by_unseen)
        adjoints = {n: adjoints[n] + more[n] for n in adjoints}
        survival = np.clip(values["phi"], TINY, 1.0)[self.layouts["phi"].index]
        cells = {"phi": d_phi * self.length * phi / survival}
        if "gamma_away" in values:
            cells |= {"gamma_out": d_out, "gamma_away": d_away}
        elif "gamma_out" in values:
            cells["gamma_out"] = d_out + d_away
        opened = {n: np.bincount(self.layouts[n].index.ravel(), d.ravel(), len(values[n])) for n, d in cells.items()}
        return loglik, opened | adjoints

    def start(self):
        again = float(self.frequency @ ((self.row_met > 0).sum(axis=1) > 1)) / max(self.frequency.sum(), 1.0)
        phi = float(np.clip(again + 0.2, 0.3, 0.9)) ** (1.0 / float(self.length.mean()))
        opened = [
            p.start({"phi": phi, "gamma_out": 0.2, "gamma_away": 0.4}[p.name])
            for p in self.parameters
            if p.name in OPEN and p.design is not None
        ]
        return np.concatenate([*opened, self.closed.start()])

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def abundance_table(self, fit) -> pd.DataFrame:
        """See `RobustFit.abundance`."""
        values, rows = fit.values, []
        unseen = np.exp(self.closed.log_unseen(values))
        for k in np.flatnonzero(self.looked):
            groups = self.star_index[:, k]
            n = self.closed.n[groups]
            chance = n * unseen[groups] / (1.0 - unseen[groups]) ** 2
            weight = np.bincount(groups, chance, len(unseen))
            nothing = {p.name: np.zeros_like(values[p.name]) for p in self.parameters}
            J = self.parameters.pull(fit.vector, nothing | self.closed.pull_unseen(values, weight))[None, :]
            with np.errstate(invalid="ignore"):
                se = float(np.sqrt(fit.covariance_of(J)[0, 0] + chance.sum()))
            N = float((n / (1.0 - unseen[groups])).sum())
            rows.append(log_normal_above("abundance", "animals", f"period {k + 1}", n.sum(), N, se))
        return table(rows)

    def derive(self, fit, interval):
        rows = self.parameter_rows(fit, {name: WORDS[name] for name in self.parameters.names}, interval)
        return pd.concat([table(rows), self.abundance_table(fit)], ignore_index=True)

    def remarks(self, fit):
        if ((self.row_met > 0).sum(axis=1) > 1).any():
            return ()
        return (Remark(Outcome.IMPRECISE, "No animal was met in two periods, so these data say nothing of survival"),)

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories drawn at natural-scale values (as for `at`), of the animals from the period they were first met in.

        In this first period they are drawn until they are met. On each occasion as large a share of those met is lost
        as in the data.
        """
        rng = np.random.default_rng(seed)
        at = self.parameters.values(self.coefficients_for(values))
        phi, out, away = self._cells(at)
        p, log_class = self.closed.kernel_rows(at)
        proportion = np.exp(log_class)
        h = self.history
        animal = np.repeat(np.arange(len(h.states)), h.frequency)
        g, first = self.profile[animal], (self.met[animal] > 0).argmax(axis=1)
        states = np.zeros((len(animal), h.n_occasions), np.int8)
        alive, here = np.ones(len(animal), bool), np.ones(len(animal), bool)
        for k in range(self.K):
            if k:
                since = first < k
                alive &= ~since | (rng.random(len(animal)) < phi[g, k - 1])
                gone = rng.random(len(animal)) < np.where(here, out[g, k - 1], away[g, k - 1])
                here = np.where(since, ~gone, True)
            todo = np.flatnonzero(alive & here & (first <= k) & self.looked[k])
            inside = np.flatnonzero(h.primary == k)
            while len(todo):
                drawn = self._draw_inside(rng, p, proportion, self.star_index[g[todo], k], inside)
                states[np.ix_(todo, inside)] = drawn
                todo = todo[(first[todo] == k) & ~drawn.any(axis=1)]
        states[:, h.states[0] == MISSING] = MISSING
        animals = h.animals.iloc[animal].set_axis([str(i + 1) for i in range(len(animal))], axis=0)
        states, removed = with_losses(states, h, rng)
        return EncounterHistory(states, None, removed, animals, h.occasions, h.intervals, h.interval_unit)

    def _draw_inside(self, rng, p, proportion, group, inside) -> np.ndarray:
        """Closed histories [animals, occasions of one period]."""
        kind = (rng.random((len(group), 1)) > np.cumsum(proportion, axis=1)[group, :-1]).sum(axis=1)
        drawn, marked = np.zeros((len(group), len(inside)), np.int8), np.zeros(len(group), int)
        for j, t in enumerate(inside):
            drawn[:, j] = rng.random(len(group)) < p[self.closed.index[group, kind, marked, t]]
            if self.history.states[0, t] == MISSING:
                drawn[:, j] = 0
            marked |= drawn[:, j]
        return drawn
