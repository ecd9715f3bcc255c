"""Multistate occupancy: not occupied, occupied, occupied in a higher sense (Nichols et al. 2007, Ecology 88:1395)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from .delta import proportion, realised
from .history_model import HistoryModel, Symbol, check_detections
from .mixing import Mixed, mix
from .single_season import naive_start, one_season
from .state_forms import Nested, Odds
from .visits import Groups, detections_by_site

FORMS = {"nested": Nested, "odds": Odds}


def _odds(name: str, rows: str, meaning: str) -> Symbol:
    return Symbol(name, rows, meaning, ("log",), "odds")


class MultistateOccupancy(HistoryModel):
    """True states 0 (not occupied), 1 and 2 (e.g. breeding); a visit finds nothing, state 1, or, in state 2 only,
    state 2.

    Parameters
    ----------
    history : DetectionHistory of one season, values 0, 1 and 2
    form : "nested" with psi, R, p1, p2 and delta, or "odds" with psi1, psi2, p11, p12 and p22 (multinomial logits), see
        `models.occupancy.state_forms`
    formulas : one per parameter by name, e.g. R="~ forest"; psi… and R over site covariates, the others over covariates
        of visits and sites; "~ 1" by default

    Raises
    ------
    SurveyError : nothing was found, no site was found in state 2, several seasons, values above 2, a wrong formula
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
        Symbol("R", "site", "probability that an occupied site is in state 2"),
        Symbol("p1", "visit", "probability of detection in state 1"),
        Symbol("p2", "visit", "probability of detection in state 2"),
        Symbol("delta", "visit", "probability that a detection in state 2 shows that state"),
        _odds("psi1", "site", "odds of state 1 against not occupied"),
        _odds("psi2", "site", "odds of state 2 against not occupied"),
        _odds("p11", "visit", "odds of finding state 1 against nothing in state 1"),
        _odds("p12", "visit", "odds of finding state 1 against nothing in state 2"),
        _odds("p22", "visit", "odds of finding state 2 against nothing in state 2"),
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
        one_season(history, "MultistateOccupancy for each season")
        if form not in FORMS:
            raise refuse("this form is not known", f"Use {' or '.join(map(repr, FORMS))}", value=form)
        self.form = FORMS[form]()
        unknown = sorted(set(formulas) - set(self.form.names))
        if unknown:
            has = ", ".join(self.form.names)
            raise refuse(f"the {form} form has no such parameter", f"It has {has}", value=unknown)
        self.found = history.value[history.done].astype(int)
        if not (self.found == 2).any():
            raise refuse("no site was found in state 2", "Use models.Occupancy")
        self.visits = Groups(history.site_of[history.done], history.n_sites)
        super().__init__(history, {name: formulas.get(name, "~ 1") for name in self.form.names}, links)

    def _mixed(self, values: Mapping[str, np.ndarray], prob: np.ndarray) -> Mixed:
        return mix(self.form.prior(values), self.visits.loglik(prob))

    def evaluate(self, values, gradient):
        prob = self.form.prob(values, self.found)
        mixed = self._mixed(values, prob)
        loglik = float(mixed.total.sum())
        if not gradient:
            return loglik, None
        by_prob = self.visits.pull(prob, mixed.posterior)
        by_prior = self.form.pull_prior(values, mixed.relative)
        return loglik, by_prior | self.form.pull_prob(values, self.found, by_prob)

    def start_values(self):
        naive = naive_start(detections_by_site(self.history), self.history.visited)
        found = max(int(self.history.detected.any(axis=1).sum()), 1)
        higher = len(np.unique(self.visits.group[self.found == 2])) / found
        return self.form.start(naive["psi"], min(0.8, max(0.2, higher)), naive["p"])

    def states(self, vector: np.ndarray) -> np.ndarray:
        """float [N, 3]: probability of each state given what was found; exactly 0 or 1 where that settles it."""
        values = self.parameters.values(vector)
        prob = self.form.prob(values, self.found)
        posterior = self._mixed(values, prob).posterior
        highest = np.zeros(self.history.n_sites, int)
        np.maximum.at(highest, self.visits.group, self.found)
        posterior[highest == 2] = [0.0, 0.0, 1.0]
        return posterior

    def posterior(self, vector):
        states = self.states(vector)
        found = self.history.detected[:, 0]
        columns = {"site": self.history.sites.index, "found": found}
        return pd.DataFrame(columns | {f"state {k}": states[:, k] for k in range(3)})

    def derive(self, fit, interval):
        prior = lambda v: self.form.prior(self.parameters.values(v))  # noqa: E731
        n, share = self.history.n_sites, np.full(self.history.n_sites, 1.0 / self.history.n_sites)
        over, here = f"mean over {n} sites", f"these {n} sites"
        found = self.history.detected.any(axis=1)
        any_state = lambda v: np.where(found, 1.0, 1.0 - self.states(v)[:, 0])  # noqa: E731
        rows = [
            proportion(fit, "occupancy", over, lambda v: 1.0 - prior(v)[:, 0].mean()),
            proportion(fit, "occupancy in state 2", over, lambda v: prior(v)[:, 2].mean()),
            realised(fit, "proportion occupied", "proportion", here, share, any_state),
            realised(fit, "proportion in state 2", "proportion", here, share, lambda v: self.states(v)[:, 2]),
        ]
        return table(rows)

    def _draw(self, values, rng):
        prior = self.form.prior(values).cumsum(axis=1)
        state = (rng.uniform(size=(len(prior), 1)) > prior[:, :2]).sum(axis=1)[self.visits.group]
        rows = np.arange(len(state))
        chance = np.stack(
            [self.form.prob(values, np.full(len(state), y))[rows, state] for y in range(3)], axis=1
        ).cumsum(axis=1)
        return (rng.uniform(size=(len(state), 1)) > chance[:, :2]).sum(axis=1)
