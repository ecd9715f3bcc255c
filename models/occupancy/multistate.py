"""Multistate occupancy: not occupied, occupied, occupied in a higher sense (Nichols et al. 2007, Ecology 88:1395).

Over several seasons the states are a Markov chain (MacKenzie et al. 2009, Ecology 90:823).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from .chains import Passed, run_chains
from .delta import proportion, realised
from .history_model import HistoryModel, Symbol, check_detections
from .single_season import naive_start
from .state_forms import Nested, Odds
from .visits import Groups, detections_by_season

FORMS = {"nested": Nested, "odds": Odds}


def _odds(name: str, rows: str, meaning: str) -> Symbol:
    return Symbol(name, rows, meaning, ("log",), "odds")


class MultistateOccupancy(HistoryModel):
    """True states 0 (not occupied), 1 and 2 (e.g. breeding); a visit finds nothing, state 1, or, in state 2 only,
    state 2. Between seasons a site goes from each state to each.

    Parameters
    ----------
    history : DetectionHistory of one or more seasons, values 0, 1 and 2
    form : "nested" with psi, R, p1, p2 and delta, and over several seasons phi0, phi1, phi2 (occupied in the next
        season, from each state) and R0, R1, R2 (then in state 2); or "odds" with psi1, psi2, p11, p12 and p22
        (multinomial logits), and over several seasons phi01, phi02, phi10, phi12, phi20 and phi21 (going from the first
        to the second state against staying). See `models.occupancy.state_forms`
    formulas : one per parameter by name, e.g. R="~ forest"; psi… and R over site covariates, phi… and R0, R1, R2 over
        covariates of sites and of the season they start from, the others over covariates of visits and sites; "~ 1" by
        default

    Raises
    ------
    SurveyError : nothing was found, no site was found in state 2, values above 2, a wrong formula
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("R", "site", "probability that an occupied site is in state 2"),
        Symbol("p1", "visit", "probability of detection in state 1"),
        Symbol("p2", "visit", "probability of detection in state 2"),
        Symbol("delta", "visit", "probability that a detection in state 2 shows that state"),
        _odds("psi1", "site", "odds of state 1 against not occupied"),
        _odds("psi2", "site", "odds of state 2 against not occupied"),
        *(Symbol(f"phi{m}", "transition", f"probability of being occupied next, from state {m}") for m in range(3)),
        *(Symbol(f"R{m}", "transition", f"probability of state 2 if occupied next, from state {m}") for m in range(3)),
        _odds("p11", "visit", "odds of finding state 1 against nothing in state 1"),
        _odds("p12", "visit", "odds of finding state 1 against nothing in state 2"),
        _odds("p22", "visit", "odds of finding state 2 against nothing in state 2"),
        *(
            _odds(name, "transition", f"odds of going from state {name[3]} to {name[4]} against staying")
            for name in Odds.changes
        ),
    )
    data_kind = "states"

    def __init__(
        self,
        history: DetectionHistory,
        *,
        form: str = "nested",
        links: Mapping[str, str] | None = None,
        **formulas: str | float,
    ):
        check_detections(history, most=2)
        if form not in FORMS:
            raise refuse("this form is not known", f"Use {' or '.join(map(repr, FORMS))}", value=form)
        self.form = FORMS[form]()
        names = (*self.form.names, *(self.form.changes if history.n_seasons > 1 else ()))
        unknown = sorted(set(formulas) - set(names))
        if unknown:
            what = f"the {form} form has no such parameter" + ("" if history.n_seasons > 1 else " for one season")
            raise refuse(what, f"It has {', '.join(names)}", value=unknown)
        self.value = history.value[history.done].astype(int)
        if not (self.value == 2).any():
            raise refuse("no site was found in state 2", "Use models.Occupancy or models.DynamicOccupancy")
        self.visits = Groups(detections_by_season(history).group, history.n_sites * history.n_seasons)
        self.starts = np.arange(history.n_sites + 1, dtype=np.int64) * history.n_seasons
        super().__init__(history, {name: formulas.get(name, "~ 1") for name in names}, links)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _transition(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N·T, 3, 3] into each season; the first of a site is not read."""
        whole = np.zeros((self.history.n_sites, self.history.n_seasons, 3, 3))
        if self.history.n_seasons > 1:
            whole[:, 1:] = self.form.transition(values).reshape(self.history.n_sites, -1, 3, 3)
        return whole.reshape(-1, 3, 3)

    def _passed(self, values: Mapping[str, np.ndarray], prob: np.ndarray, gradient: bool) -> Passed:
        emission = self.visits.loglik(prob)
        return run_chains(self.form.prior(values), self._transition(values), emission, self.starts, gradient)

    def by_site(self, values):
        return self._passed(values, self.form.prob(values, self.value), False).total

    def evaluate(self, values, gradient):
        prob = self.form.prob(values, self.value)
        passed = self._passed(values, prob, gradient)
        loglik = float(passed.total.sum())
        if not gradient:
            return loglik, None
        adjoints = self.form.pull_prior(values, passed.by_initial)
        if self.history.n_seasons > 1:
            into = passed.by_transition.reshape(self.history.n_sites, -1, 3, 3)[:, 1:].reshape(-1, 3, 3)
            adjoints |= self.form.pull_transition(values, into)
        return loglik, adjoints | self.form.pull_prob(values, self.value, self.visits.pull(prob, passed.posterior))

    def start_values(self):
        visits = detections_by_season(self.history)
        naive = naive_start(visits, np.bincount(visits.group, minlength=len(visits.any)) > 0)
        higher = len(np.unique(self.visits.group[self.value == 2])) / max(int(visits.any.sum()), 1)
        return self.form.start(naive["psi"], min(0.8, max(0.2, higher)), naive["p"])

    # ---- what follows ---------------------------------------------------------------------------------------

    def fitted(self, values):
        state = self.projected_at(values).reshape(-1, 3)[self.visits.group]
        chance = [np.sum(state * self.form.prob(values, np.full(len(state), y)), axis=1) for y in range(3)]
        return chance[1] + 2.0 * chance[2]

    def projected(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T, 3]: probability of each state by season from the rates alone."""
        return self.projected_at(self.parameters.values(vector))

    def projected_at(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, T, 3]: `projected` at natural-scale values."""
        n, t = self.history.n_sites, self.history.n_seasons
        state, into = np.empty((n, t, 3)), self._transition(values).reshape(n, t, 3, 3)
        state[:, 0] = self.form.prior(values)
        for s in range(1, t):
            state[:, s] = np.einsum("nk,nkj->nj", state[:, s - 1], into[:, s])
        return state

    def states(self, vector: np.ndarray) -> np.ndarray:
        """float [N·T, 3]: probability of each state given what was found; exactly 0 or 1 where that settles it."""
        values = self.parameters.values(vector)
        posterior = self._passed(values, self.form.prob(values, self.value), True).posterior
        highest = np.zeros(len(posterior), int)
        np.maximum.at(highest, self.visits.group, self.value)
        posterior[highest == 2] = [0.0, 0.0, 1.0]
        return posterior

    def posterior(self, vector):
        states = self.states(vector)
        rows = self.history.season_frame()[["site", "season"] if self.history.n_seasons > 1 else ["site"]]
        return rows.assign(found=self.history.detected.ravel(), **{f"state {k}": states[:, k] for k in range(3)})

    def derive(self, fit, interval):
        n, labels, rows = self.history.n_sites, self.history.season_labels, []
        share, found = np.full(n, 1.0 / n), self.history.detected
        for t, label in enumerate(labels):
            season = f"season {label}, " if len(labels) > 1 else ""
            over, here = f"{season}mean over {n} sites", f"{season}these {n} sites"
            given = lambda v, t=t: self.states(v).reshape(n, -1, 3)[:, t]  # noqa: E731
            either = lambda v, t=t, given=given: np.where(found[:, t], 1.0, 1.0 - given(v)[:, 0])  # noqa: E731
            rows += [
                proportion(fit, "occupancy", over, lambda v, t=t: 1.0 - self.projected(v)[:, t, 0].mean()),
                proportion(fit, "occupancy in state 2", over, lambda v, t=t: self.projected(v)[:, t, 2].mean()),
                realised(fit, "proportion occupied", "proportion", here, share, either),
                realised(fit, "proportion in state 2", "proportion", here, share, lambda v, g=given: g(v)[:, 2]),
            ]
            if self.history.area is not None:
                area, two = self.history.area, lambda v, g=given: g(v)[:, 2]
                rows.append(realised(fit, "area occupied", "km²", here, area, either))
                rows.append(realised(fit, "area in state 2", "km²", here, area, two))
        return table(rows)

    def _draw(self, values, rng):
        n, t = self.history.n_sites, self.history.n_seasons
        states, into = np.empty((n, t), int), self._transition(values).reshape(n, t, 3, 3)
        states[:, 0] = _one_of(self.form.prior(values), rng)
        for s in range(1, t):
            states[:, s] = _one_of(into[np.arange(n), s, states[:, s - 1]], rng)
        state = states.ravel()[self.visits.group]
        rows = np.arange(len(state))
        chance = [self.form.prob(values, np.full(len(state), y))[rows, state] for y in range(3)]
        return _one_of(np.stack(chance, axis=1), rng)


def _one_of(chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int [rows]: a state from its probabilities [rows, 3]."""
    return (rng.uniform(size=(len(chance), 1)) > chance.cumsum(axis=1)[:, :2]).sum(axis=1)
