"""Two species at the same sites, with interaction (Rota et al. 2016, Methods Ecol. Evol. 7:1164)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import table
from .delta import proportion, realised
from .history_model import HistoryModel, Symbol, check_detections, spread
from .mixing import Mixed, mix
from .single_season import naive_start, one_season
from .visits import detections_by_site

STATES = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])  # presence of the first and of the second species


class TwoSpeciesOccupancy(HistoryModel):
    """Log odds of a site's species: f1 of the first alone, f2 of the second alone, f1 + f2 + f12 of both, against none.

    Parameters
    ----------
    first, second : DetectionHistory of one season each, of the same sites in the same order, values 0 and 1; their
        visits may differ
    f1, f2, f12 : formulas over site covariates of the first history. f12 is the change of one species' log odds by the
        presence of the other; f12=0.0 makes them independent
    p1, p2 : formulas over covariates of visits and sites of each history
    names : of the species

    Raises
    ------
    SurveyError : a species was never found, sites differ, several seasons, values above 1, a wrong formula or name
    """

    symbols = (
        Symbol("f1", "site", "log odds of the first species without the second", ("identity",), "log odds"),
        Symbol("f2", "site", "log odds of the second species without the first", ("identity",), "log odds"),
        Symbol("f12", "site", "change of log odds by the presence of the other", ("identity",), "log odds"),
        Symbol("p1", "visit", "probability of detection of the first species on a visit where it is"),
        Symbol("p2", "second visit", "probability of detection of the second species on a visit where it is"),
    )
    data_kind = "detections of two species"

    def __init__(
        self,
        first: DetectionHistory,
        second: DetectionHistory,
        f1: str | float = "~ 1",
        f2: str | float = "~ 1",
        f12: str | float = "~ 1",
        p1: str | float = "~ 1",
        p2: str | float = "~ 1",
        *,
        names: tuple[str, str] = ("first species", "second species"),
        links: Mapping[str, str] | None = None,
    ):
        for history in (first, second):
            check_detections(history)
            one_season(history, "TwoSpeciesOccupancy for each season")
        if list(first.sites.index) != list(second.sites.index):
            raise refuse(
                "the histories of the two species have different sites",
                "Give both the same table of sites",
                value=sorted(set(first.sites.index) ^ set(second.sites.index))[:5],
            )
        self.second, self.species = second, tuple(names)
        self.visits = detections_by_site(first), detections_by_site(second)
        super().__init__(first, {"f1": f1, "f2": f2, "f12": f12, "p1": p1, "p2": p2}, links)

    def frame(self, symbol):
        return self.second.visit_frame() if symbol.rows == "second visit" else super().frame(symbol)

    @property
    def sample_size(self) -> int:
        """Number of sites visited for either species."""
        return int((self.history.visited | self.second.visited).sum())

    def on(self, history: tuple[DetectionHistory, DetectionHistory]):
        """The same model of other histories of the two species."""
        return self._with(first=history[0], second=history[1])

    def not_comparable(self, other):
        reason = super().not_comparable(other)
        if not reason and not self.second.equals(other.second):
            return "they are of different detection histories of the second species"
        return reason

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _prior(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, 4] over STATES."""
        f1, f2 = values["f1"], values["f2"]
        odds = np.stack([f1 + f2 + values["f12"], f1, f2, np.zeros_like(f1)], axis=1)
        odds = np.exp(odds - odds.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def _mixed(self, values: Mapping[str, np.ndarray], prior: np.ndarray) -> Mixed:
        loglik = np.zeros_like(prior)
        for species, visits in enumerate(self.visits):
            here = STATES[:, species] == 1
            loglik[:, here] += visits.present(values[f"p{species + 1}"])[:, None]
            loglik[:, ~here] += visits.absent()[:, None]
        return mix(prior, loglik)

    def marginal(self, values: Mapping[str, np.ndarray], species: int) -> np.ndarray:
        """float [N]: probability that a species (0 or 1) is at each site, whatever the other."""
        return self._prior(values)[:, STATES[:, species] == 1].sum(axis=1)

    def found_together(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, 4]: probability that both, the first only, the second only, or neither is found at a site."""
        found = [-np.expm1(self._silence(values, s)) for s in (0, 1)]
        first, second = (f[:, None] * (STATES[:, s] == 1) for s, f in enumerate(found))
        cells = [first * second, first * (1.0 - second), (1.0 - first) * second, (1.0 - first) * (1.0 - second)]
        return np.stack([(self._prior(values) * cell).sum(axis=1) for cell in cells], axis=1)

    def _silence(self, values: Mapping[str, np.ndarray], species: int) -> np.ndarray:
        """float [N]: log-probability that no visit finds a species where it is."""
        visits = self.visits[species]
        missed = np.log1p(-visits.probability(values[f"p{species + 1}"]))
        return np.bincount(visits.group, weights=missed, minlength=self.history.n_sites)

    def by_site(self, values):
        return self._mixed(values, self._prior(values)).total

    def evaluate(self, values, gradient):
        prior = self._prior(values)
        mixed = self._mixed(values, prior)
        loglik = float(mixed.total.sum())
        if not gradient:
            return loglik, None
        surprise = mixed.posterior - prior
        adjoints = {"f1": surprise[:, :2].sum(axis=1), "f2": surprise[:, [0, 2]].sum(axis=1), "f12": surprise[:, 0]}
        for species, visits in enumerate(self.visits):
            here = mixed.posterior[:, STATES[:, species] == 1].sum(axis=1)
            adjoints[f"p{species + 1}"] = visits.pull_p(values[f"p{species + 1}"], here)
        return loglik, adjoints

    def start_values(self):
        one, two = (naive_start(v, h.visited) for v, h in zip(self.visits, (self.history, self.second), strict=True))
        odds = lambda psi: float(np.log(psi / (1.0 - psi)))  # noqa: E731
        return {"f1": odds(one["psi"]), "f2": odds(two["psi"]), "f12": 0.0, "p1": one["p"], "p2": two["p"]}

    # ---- what follows ---------------------------------------------------------------------------------------

    def present(self, vector: np.ndarray, species: int) -> np.ndarray:
        """float [N]: probability that a species (0 or 1) is at each site, given what was found of both."""
        values = self.parameters.values(vector)
        posterior = self._mixed(values, self._prior(values)).posterior
        return np.where(self.visits[species].any, 1.0, posterior[:, STATES[:, species] == 1].sum(axis=1))

    def posterior(self, vector):
        columns = {"site": self.history.sites.index}
        for species, name in enumerate(self.species):
            columns[f"found {name}"] = self.visits[species].any
            columns[name] = self.present(vector, species)
        return pd.DataFrame(columns)

    def derive(self, fit, interval):
        values, n = self.parameters.values, self.history.n_sites
        over, share = f"mean over {n} sites", np.full(n, 1.0 / n)
        rows = []
        for species, name in enumerate(self.species):
            other, own, theirs = self.species[1 - species], f"f{species + 1}", STATES[:, species] == 1
            marginal = lambda v, here=theirs: self._prior(values(v))[:, here].sum(axis=1).mean()  # noqa: E731
            with_it = lambda v, own=own: expit(values(v)[own] + values(v)["f12"]).mean()  # noqa: E731
            without = lambda v, own=own: expit(values(v)[own]).mean()  # noqa: E731
            rows += [
                proportion(fit, f"occupancy of {name}", over, marginal),
                proportion(fit, f"occupancy of {name} with {other}", over, with_it),
                proportion(fit, f"occupancy of {name} without {other}", over, without),
            ]
            z = lambda v, species=species: self.present(v, species)  # noqa: E731
            rows.append(realised(fit, f"proportion with {name}", "proportion", f"these {n} sites", share, z))
            if self.history.area is not None:
                rows.append(realised(fit, f"area with {name}", "km²", f"these {n} sites", self.history.area, z))
        return table(rows)

    def _draw(self, values, rng):
        prior = self._prior(values).cumsum(axis=1)
        state = (rng.uniform(size=(len(prior), 1)) > prior[:, :3]).sum(axis=1)
        drawn = []
        for species, visits in enumerate(self.visits):
            there = STATES[state, species][visits.group] == 1
            drawn.append(there & (rng.uniform(size=len(there)) < values[f"p{species + 1}"]))
        return drawn

    def _as_history(self, drawn):
        histories = zip((self.history, self.second), drawn, strict=True)
        return tuple(history.with_values(spread(history.done, found)) for history, found in histories)
