"""Open N-mixture: counts over seasons between which numbers change (Dail & Madsen 2011, Biometrics 67:577)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import log_normal, table
from ..kernels.abundance_chain import branching, branching_adjoint, chains, counts_loglik
from ..occupancy.abundance_prior import PRIORS, check_mixture, prior
from ..occupancy.delta import covariance, mean_of
from ..occupancy.history_model import HistoryModel, Symbol, check_detections
from ..occupancy.visits import Groups
from ..verdict import Outcome, Remark
from .dynamics import DYNAMICS

EDGE = 1e-8  # posterior probability of the largest number, above which it was too small
LARGEST = 1_000  # the largest number that is tried


class OpenNMixture(HistoryModel):
    """Numbers at sites change from season to season; a visit counts each animal with p.

    Parameters
    ----------
    history : DetectionHistory of two or more seasons, values are counts of animals
    lambda_ : mean number in the first season, formula over site covariates (the parameter is called "lambda")
    gamma : see `dynamics`; formula over covariates of sites and of the season a change starts from
    omega : probability that an animal stays, likewise; a number fixes it
    p : formula over covariates of visits, seasons and sites
    dynamics : "constant": survivors with omega and a Poisson number of newcomers of mean gamma; "autoregressive":
        survivors with omega and gamma young per animal; "no trend": newcomers make up the loss, gamma is
        (1 - omega) lambda; "trend": a Poisson number of mean gamma per animal, no omega
    immigration : formula of iota, the mean number of newcomers, with "autoregressive" and "trend"
    mixture : of the first season, "poisson" or "negative binomial", which adds alpha
    most : largest number of animals at a site; by default as large as the fit needs
    links : of omega and p "logit" (default) or "cloglog"

    Raises
    ------
    SurveyError : nothing was counted, one season, a count above `most`, a wrong formula or name
    """

    symbols = (
        Symbol("lambda", "site", "mean number of animals at a site in the first season", ("log",), "animals per site"),
        Symbol("gamma", "transition", "recruitment, see dynamics", ("log",), "animals"),
        Symbol("omega", "transition", "probability that an animal stays"),
        Symbol("iota", "transition", "mean number of newcomers", ("log",), "animals"),
        Symbol("p", "visit", "probability that a visit counts a given animal"),
        Symbol("alpha", "one", "size of the negative binomial", ("log",), ""),
    )
    data_kind = "counts"

    def __init__(
        self,
        history: DetectionHistory,
        lambda_: str | float = "~ 1",
        gamma: str | float = "~ 1",
        omega: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        dynamics: str = "constant",
        immigration: str | float | None = None,
        mixture: str = "poisson",
        most: int | None = None,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=None)
        check_mixture(mixture, PRIORS)
        if dynamics not in DYNAMICS:
            raise refuse("these dynamics are not known", f"Use {', '.join(DYNAMICS)}", value=dynamics)
        if history.n_seasons < 2:
            raise refuse("the history has one season", "Use models.NMixture", value=history.n_seasons)
        self.dynamics, self.kind = dynamics, DYNAMICS[dynamics]
        if immigration is not None:
            if self.kind.newcomers is not None:
                raise refuse("these dynamics have newcomers already", "Leave out immigration", value=dynamics)
            self.kind = replace(self.kind, newcomers="iota")
        self.mixture, self.automatic = mixture, most is None
        self.count = history.value[history.done].astype(np.int64)
        self.most = int(most) if most is not None else 2 * int(self.count.max()) + 20
        if self.count.max() > self.most:
            raise refuse("a count is above `most`", "Leave out most", value=int(self.count.max()))
        group = history.site_of * history.n_seasons + history.season_of
        self.visits = Groups(group[history.done], history.n_sites * history.n_seasons)
        given = {"lambda": lambda_, "gamma": gamma, "omega": omega, "iota": immigration, "p": p, "alpha": "~ 1"}
        absent = {"gamma"} if dynamics == "no trend" else set()
        absent |= set() if self.kind.survival else {"omega"}
        absent |= {"alpha"} if mixture == "poisson" else set()
        absent |= {"iota"} if immigration is None else set()
        super().__init__(history, {name: f for name, f in given.items() if name not in absent}, links)
        self.first_of, self.which = self._distinct()

    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Row of the first transition of each kind [U], and the kind of each transition [N, T - 1].

        Transitions are of one kind when all their covariates are alike, so that they are alike at any coefficients.
        """
        n, steps = self.history.n_sites, self.history.n_seasons - 1
        columns = [np.zeros((n * steps, 1))]
        for p in self.parameters:
            if p.name in ("gamma", "omega", "iota") and p.design is not None:
                columns.append(p.design.matrix)
            if p.name == "lambda" and self.dynamics == "no trend" and p.design is not None:
                columns.append(np.repeat(p.design.matrix, steps, axis=0))
        _, first, which = np.unique(np.hstack(columns), axis=0, return_index=True, return_inverse=True)
        return first, np.ascontiguousarray(which.reshape(n, steps))

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _changes(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values [N·(T - 1)] of what the dynamics use."""
        found = {name: values[name] for name in ("gamma", "omega", "iota") if name in values}
        if self.dynamics == "no trend":
            found["gamma"] = (1.0 - values["omega"]) * np.repeat(values["lambda"], self.history.n_seasons - 1)
        return found

    def _initial(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, K + 1], by the recursion of the Panjer class."""
        at, n = prior(self.mixture, values), np.arange(self.most)
        with np.errstate(divide="ignore"):
            steps = np.log((at.b[:, None] * n + at.c[:, None]) / (n + 1.0))
        return np.exp(
            at.log_p0[:, None] + np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
        )

    def _passed(self, values: Mapping[str, np.ndarray], gradient: bool):
        """total[N], posterior[N, T, K + 1], and the parts that a pullback needs."""
        n, t, K1 = self.history.n_sites, self.history.n_seasons, self.most + 1
        unique = {name: v[self.first_of] for name, v in self._changes(values).items()}
        row0, g = self.kind.rows(unique, self.most)
        transition = np.empty((len(self.first_of), K1, K1))
        branching(row0, g, transition)
        emission = np.empty((n * t, K1))
        counts_loglik(np.ascontiguousarray(values["p"]), self.count, self.visits.start, emission)
        total, by_transition = np.empty(n), np.empty_like(transition)
        posterior = np.empty((n, t, K1)) if gradient else np.empty((0, 0, 0))
        emission = emission.reshape(n, t, K1)
        chains(self._initial(values), transition, self.which, emission, gradient, total, posterior, by_transition)
        return total, posterior, (unique, g, transition, by_transition)

    def by_site(self, values):
        return self._passed(values, False)[0]

    def evaluate(self, values, gradient):
        total, posterior, parts = self._passed(values, gradient)
        loglik = float(total.sum())
        if not gradient:
            return loglik, None
        adjoints = self._pull_initial(values, posterior[:, 0])
        changes = self._pull_changes(parts)
        if self.dynamics == "no trend":
            by_gamma, repeated = changes.pop("gamma"), np.repeat(values["lambda"], self.history.n_seasons - 1)
            changes["omega"] = changes["omega"] - repeated * by_gamma
            by_site = ((1.0 - values["omega"]) * by_gamma).reshape(self.history.n_sites, -1).sum(axis=1)
            adjoints["lambda"] = adjoints["lambda"] + by_site
        mean = (posterior @ np.arange(self.most + 1.0)).ravel()[self.visits.group]
        p, y = values["p"], self.count
        return loglik, adjoints | changes | {"p": y / p - (mean - y) / (1.0 - p)}

    def _pull_initial(self, values: Mapping[str, np.ndarray], posterior: np.ndarray) -> dict[str, np.ndarray]:
        """From the posterior [N, K + 1] of the first season's numbers."""
        at, n = prior(self.mixture, values), np.arange(self.most)
        rate = at.b[:, None] * n + at.c[:, None]
        above = np.cumsum(posterior[:, ::-1], axis=1)[:, ::-1][:, 1:]  # probability of more than n
        return at.pull(np.sum(above * n / rate, axis=1), np.sum(above / rate, axis=1))

    def _pull_changes(self, parts) -> dict[str, np.ndarray]:
        """Derivatives [N·(T - 1)] of the parameters of change, shared out from the kinds of transitions."""
        unique, g, transition, by_transition = parts
        by_row0, by_g = np.empty(transition.shape[:2]), np.empty_like(g)
        branching_adjoint(g, transition, by_transition, by_row0, by_g)
        by = self.kind.pull(unique, self.most, by_row0, by_g)
        # transitions of one kind have one derivative between them, of which only the sum matters
        which = self.which.ravel()
        times = np.bincount(which, minlength=len(transition))
        return {name: (value / times)[which] for name, value in by.items()}

    def start_values(self):
        seasons = np.zeros(self.history.n_sites * self.history.n_seasons)
        np.maximum.at(seasons, self.visits.group, self.count)
        visited = np.bincount(self.visits.group, minlength=len(seasons)) > 0
        rate = 1.5 * max(float(seasons[visited].mean()), 0.1)
        p = min(0.8, max(0.1, float(self.count.mean()) / rate))
        gamma = {"constant": 0.4 * rate, "no trend": 0.4 * rate, "autoregressive": 0.4, "trend": 1.0}[self.dynamics]
        return {"lambda": rate, "gamma": gamma, "omega": 0.6, "iota": 0.2 * rate, "p": p, "alpha": 2.0}

    def fit(self, **options):
        """See `Model.fit`. Without `most`, fits again with larger numbers until the largest cannot matter."""
        fit = super().fit(**options)
        if not self.automatic or self.most >= LARGEST or not self.edge(fit.vector) > EDGE:
            return fit
        larger = self._with(most=min(2 * self.most, LARGEST))
        larger.automatic = True
        return larger.fit(**(options | {"start": fit.vector}))

    def edge(self, vector: np.ndarray) -> float:
        """Largest posterior probability that a site has the largest number of animals that is summed over."""
        return float(self._passed(self.parameters.values(vector), True)[1][:, :, -1].max())

    # ---- what follows ---------------------------------------------------------------------------------------

    def expected(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: mean numbers by season from the rates alone."""
        values, t = self.parameters.values(vector), self.history.n_seasons
        changes = {name: v.reshape(-1, t - 1) for name, v in self._changes(values).items()}
        numbers = np.empty((self.history.n_sites, t))
        numbers[:, 0] = values["lambda"]
        for s in range(1, t):
            now = {name: v[:, s - 1] for name, v in changes.items()}
            numbers[:, s] = self.kind.expected(numbers[:, s - 1], now)
        return numbers

    def posterior(self, vector):
        numbers = np.arange(self.most + 1.0)
        chance = self._passed(self.parameters.values(vector), True)[1]
        mean = (chance @ numbers).ravel()
        sd = np.sqrt(np.maximum((chance @ numbers**2).ravel() - mean**2, 0.0))
        return self.history.season_frame()[["site", "season"]].assign(abundance=mean, sd=sd)

    def derive(self, fit, interval):
        n, labels = self.history.n_sites, self.history.season_labels
        rows = []
        for t, label in enumerate(labels):
            mean = lambda v, t=t: self.expected(v)[:, t].mean()  # noqa: E731
            over = f"season {label}, mean over {n} sites"
            rows.append(log_normal("abundance", "animals per site", over, float(mean(fit.vector)), _se(fit, mean)))
        steps = len(labels) - 1

        def growth(vector):
            means = self.expected(vector).mean(axis=0)
            return (means[-1] / means[0]) ** (1.0 / steps)

        scope = f"{labels[0]} to {labels[-1]}"
        rows.append(log_normal("growth of abundance", "per season", scope, float(growth(fit.vector)), _se(fit, growth)))
        visits = f"of a given animal, mean over {len(self.count)} visits"
        rows.append(mean_of(fit, "detection", visits, "p", interval))
        return table(rows)

    def remarks(self, fit):
        if not self.edge(fit.vector) > 100 * EDGE:
            return ()
        detail = (
            f"Numbers at a site are limited to {self.most}, which the data do not rule out (probability up to "
            f"{self.edge(fit.vector):.2g}): abundance depends on that limit"
        )
        return (Remark(Outcome.IMPRECISE, detail),)

    def _draw(self, values, rng):
        n, t = self.history.n_sites, self.history.n_seasons
        changes = {name: v.reshape(n, t - 1) for name, v in self._changes(values).items()}
        animals = np.empty((n, t), np.int64)
        animals[:, 0] = prior(self.mixture, values).draw(rng)
        for s in range(1, t):
            now = {name: v[:, s - 1] for name, v in changes.items()}
            animals[:, s] = self.kind.draw(animals[:, s - 1], now, rng)
        return rng.binomial(animals.ravel()[self.visits.group], values["p"])


def _se(fit, function) -> float:
    return float(np.sqrt(covariance(fit, function)[0, 0]))
