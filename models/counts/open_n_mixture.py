"""Open N-mixture: counts over seasons between which numbers change (Dail & Madsen 2011, Biometrics 67:577)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..derived import log_normal, table
from ..kernels.abundance_chain import chains, counts_loglik
from ..occupancy.abundance_prior import PRIORS, check_mixture, prior
from ..occupancy.delta import covariance, mean_of, numbers_here
from ..occupancy.history_model import HistoryModel, Symbol, check_detections
from ..occupancy.seasons import SeasonalFit
from ..occupancy.visits import Groups
from ..verdict import Outcome, Remark
from .dynamics import DYNAMICS, Dynamics

ENOUGH = 1e-6  # of the log-likelihood, which larger numbers may add before they are summed over too
LARGEST = 1_000  # the largest number that is tried
BUDGET = 2**24  # elements of the transitions that are held at a time
CHANGES = ("gamma", "omega", "capacity", "iota")  # parameters of change


@dataclass(frozen=True)
class Passed:
    """Chains of numbers of N sites over K + 1 numbers."""

    total: np.ndarray  # [N]
    missing: np.ndarray  # [N] no more than this share of exp(total) is missing for numbers above K
    posterior: np.ndarray  # [N, T, K + 1] of the numbers, with the gradient
    by_change: dict[str, np.ndarray]  # [U] derivatives by kind of transition, with the gradient


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
        (1 - omega) lambda; "trend": a Poisson number of mean gamma per animal, no omega; "ricker": a Poisson number of
        mean n exp(gamma (1 - n / capacity)) after n animals; "gompertz": of mean
        n exp(gamma (1 - log(n + 1) / log(capacity + 1)))
    immigration : formula of iota, the mean number of newcomers, with dynamics that have none
    capacity : number of animals at which a site neither gains nor loses, with "ricker" and "gompertz"; formula as gamma
    mixture : of the first season, "poisson" or "negative binomial", which adds alpha
    most : largest number of animals at a site; by default as large as the fit needs, so that larger numbers would add
        less than a millionth to the log-likelihood
    links : of omega and p "logit" (default) or "cloglog"

    Raises
    ------
    SurveyError : nothing was counted, one season, a count above `most`, a formula for what the dynamics do not have, a
        wrong formula or name
    """

    symbols = (
        Symbol("lambda", "site", "mean number of animals at a site in the first season", ("log",), "animals per site"),
        Symbol("gamma", "transition", "recruitment, see dynamics", ("log",), "animals"),
        Symbol("omega", "transition", "probability that an animal stays"),
        Symbol("capacity", "transition", "number at which a site neither gains nor loses", ("log",), "animals"),
        Symbol("iota", "transition", "mean number of newcomers", ("log",), "animals"),
        Symbol("p", "visit", "probability that a visit counts a given animal"),
        Symbol("alpha", "one", "size of the negative binomial", ("log",), ""),
    )
    data_kind = "counts"
    fit_class = SeasonalFit
    follows = "abundance"

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
        capacity: str | float = "~ 1",
        mixture: str = "poisson",
        most: int | None = None,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history, most=None)
        check_mixture(mixture, PRIORS)
        if history.n_seasons < 2:
            raise refuse("the history has one season", "Use models.NMixture", value=history.n_seasons)
        self.dynamics, self.kind = dynamics, _dynamics(dynamics, immigration)
        self.mixture, self.automatic = mixture, most is None
        self.count = history.value[history.done].astype(np.int64)
        self.most = int(most) if most is not None else 2 * int(self.count.max()) + 20
        if self.count.max() > self.most:
            raise refuse("a count is above `most`", "Leave out most", value=int(self.count.max()))
        group = history.site_of * history.n_seasons + history.season_of
        self.visits = Groups(group[history.done], history.n_sites * history.n_seasons)
        used = {"lambda", "p", *self.kind.parameters} - ({"gamma"} if dynamics == "no trend" else set())
        used |= ({"alpha"} if mixture != "poisson" else set()) | ({"iota"} if immigration is not None else set())
        given = {"lambda": lambda_, "gamma": gamma, "omega": omega, "capacity": capacity, "iota": immigration}
        for name in sorted({"gamma", "omega", "capacity"} - used):
            if given[name] != "~ 1":
                raise refuse(f"{dynamics!r} dynamics have no {name}", f"Leave out {name}", value=given[name])
        given |= {"p": p, "alpha": "~ 1"}
        super().__init__(history, {name: formula for name, formula in given.items() if name in used}, links)
        self.first_of, self.which = self._distinct()
        self.blocks = _blocks(self.which, (self.most + 1) ** 2)

    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Row of the first transition of each kind [U], and the kind of each transition [N, T - 1].

        Transitions are of one kind when all their covariates are alike, so that they are alike at any coefficients.
        """
        n, steps = self.history.n_sites, self.history.n_seasons - 1
        columns = [np.zeros((n * steps, 1))]
        for p in self.parameters:
            if p.name in CHANGES and p.design is not None:
                columns.append(p.design.matrix)
            if p.name == "lambda" and self.dynamics == "no trend" and p.design is not None:
                columns.append(np.repeat(p.design.matrix, steps, axis=0))
        _, first, which = np.unique(np.hstack(columns), axis=0, return_index=True, return_inverse=True)
        return first, np.ascontiguousarray(which.reshape(n, steps))

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _changes(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values [N·(T - 1)] of what the dynamics use."""
        found = {name: values[name] for name in CHANGES if name in values}
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

    def _emission(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, T, K + 1]: log-likelihood of each season's counts under each number."""
        emission = np.empty((len(self.visits.start) - 1, self.most + 1))
        counts_loglik(np.ascontiguousarray(values["p"]), self.count, self.visits.start, emission)
        return emission.reshape(self.history.n_sites, self.history.n_seasons, -1)

    def _passed(self, values: Mapping[str, np.ndarray], gradient: bool) -> Passed:
        n, t, K1 = self.history.n_sites, self.history.n_seasons, self.most + 1
        changes = {name: v[self.first_of] for name, v in self._changes(values).items()}
        initial, emission = self._initial(values), self._emission(values)
        total, missing = np.empty(n), np.empty(n)
        posterior = np.empty((n, t, K1) if gradient else (n, 0, 0))
        by_change = {name: np.zeros(len(self.first_of)) for name in changes}
        for sites, kinds, which in self.blocks:
            here = {name: v[kinds] for name, v in changes.items()}
            made = self.kind.transitions(here, self.most)
            by = np.zeros_like(made.matrix) if gradient else np.empty((0, 0, 0))
            given = (initial[sites], made.matrix, made.low, made.high, made.lost, which, emission[sites], gradient)
            chains(*given, total[sites], posterior[sites], by, missing[sites])
            if gradient:
                for name, value in self.kind.pull(here, made, by).items():
                    by_change[name][kinds] += value
        return Passed(total, missing, posterior, by_change)

    def fitted(self, values):
        return self.expected_at(values).ravel()[self.visits.group] * values["p"]

    def by_site(self, values):
        return self._passed(values, False).total

    def evaluate(self, values, gradient):
        passed = self._passed(values, gradient)
        loglik = float(passed.total.sum())
        if not gradient:
            return loglik, None
        adjoints = self._pull_initial(values, passed.posterior[:, 0])
        changes = self._over_transitions(passed.by_change)
        if self.dynamics == "no trend":
            by_gamma, repeated = changes.pop("gamma"), np.repeat(values["lambda"], self.history.n_seasons - 1)
            changes["omega"] = changes["omega"] - repeated * by_gamma
            by_site = ((1.0 - values["omega"]) * by_gamma).reshape(self.history.n_sites, -1).sum(axis=1)
            adjoints["lambda"] = adjoints["lambda"] + by_site
        mean = (passed.posterior @ np.arange(self.most + 1.0)).ravel()[self.visits.group]
        p, y = values["p"], self.count
        return loglik, adjoints | changes | {"p": y / p - (mean - y) / (1.0 - p)}

    def _pull_initial(self, values: Mapping[str, np.ndarray], posterior: np.ndarray) -> dict[str, np.ndarray]:
        """From the posterior [N, K + 1] of the first season's numbers."""
        at, n = prior(self.mixture, values), np.arange(self.most)
        rate = at.b[:, None] * n + at.c[:, None]
        above = np.cumsum(posterior[:, ::-1], axis=1)[:, ::-1][:, 1:]  # probability of more than n
        return at.pull(np.sum(above * n / rate, axis=1), np.sum(above / rate, axis=1))

    def _over_transitions(self, by_change: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Derivatives [N·(T - 1)], shared out from those of the kinds of transitions [U].

        Transitions of one kind have one derivative between them, of which only the sum matters.
        """
        which = self.which.ravel()
        times = np.bincount(which, minlength=len(self.first_of))
        return {name: (value / times)[which] for name, value in by_change.items()}

    def start_values(self):
        seasons = np.zeros(self.history.n_sites * self.history.n_seasons)
        np.maximum.at(seasons, self.visits.group, self.count)
        visited = np.bincount(self.visits.group, minlength=len(seasons)) > 0
        rate = 1.5 * max(float(seasons[visited].mean()), 0.1)
        p = min(0.8, max(0.1, float(self.count.mean()) / rate))
        gamma = {"constant": 0.4 * rate, "no trend": 0.4 * rate, "trend": 1.0}.get(self.dynamics, 0.4)
        change = {"gamma": gamma, "omega": 0.6, "capacity": rate, "iota": 0.2 * rate}
        return {"lambda": rate, "p": p, "alpha": 2.0} | change

    def fit(self, **options):
        """See `Model.fit`. Without `most`, fits again with larger numbers until the largest cannot matter."""
        fit = super().fit(**options)
        if not self.automatic or self.most >= LARGEST or not self.missing(fit.vector) > ENOUGH:
            return fit
        larger = self._with(most=min(2 * self.most, LARGEST))
        larger.automatic = True
        return larger.fit(**(options | {"start": fit.vector}))

    def missing(self, vector: np.ndarray) -> float:
        """Upper bound of what numbers above `most` would add to the log-likelihood (see the kernel `chains`)."""
        return float(np.log1p(self._passed(self.parameters.values(vector), False).missing).sum())

    # ---- what follows ---------------------------------------------------------------------------------------

    def expected(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: mean numbers by season from the rates alone."""
        return self.expected_at(self.parameters.values(vector))

    def expected_at(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N, T]: `expected` at natural-scale values."""
        t = self.history.n_seasons
        changes = {name: v.reshape(-1, t - 1) for name, v in self._changes(values).items()}
        numbers = np.empty((self.history.n_sites, t))
        numbers[:, 0] = values["lambda"]
        for s in range(1, t):
            mean = self.kind.expected(numbers[:, s - 1], {name: v[:, s - 1] for name, v in changes.items()})
            if mean is None:
                return self._expected_crowded(values)
            numbers[:, s] = mean
        return numbers

    def _expected_crowded(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """`expected` where the density matters, from the distribution of the numbers."""
        changes = {name: v[self.first_of] for name, v in self._changes(values).items()}
        chance = np.empty((self.history.n_sites, self.history.n_seasons, self.most + 1))
        chance[:, 0] = self._initial(values)
        for sites, kinds, which in self.blocks:
            made = self.kind.transitions({name: v[kinds] for name, v in changes.items()}, self.most)
            here = chance[sites]
            for s in range(1, self.history.n_seasons):
                for u in np.unique(which[:, s - 1]):
                    alike = which[:, s - 1] == u
                    here[alike, s] = here[alike, s - 1] @ made.matrix[u]
        return chance @ np.arange(self.most + 1.0)

    def posterior(self, vector):
        numbers = np.arange(self.most + 1.0)
        chance = self._passed(self.parameters.values(vector), True).posterior
        mean = (chance @ numbers).ravel()
        sd = np.sqrt(np.maximum((chance @ numbers**2).ravel() - mean**2, 0.0))
        return self.history.season_frame()[["site", "season"]].assign(abundance=mean, sd=sd)

    def mean_projected(self, vector: np.ndarray) -> np.ndarray:
        """float [T]: mean of `expected` over the sites."""
        return self.expected(vector).mean(axis=0)

    def smoothed(self, vector: np.ndarray) -> np.ndarray:
        """float [N, T]: mean number of animals at each site by season, given all its counts."""
        return self.posterior(vector)["abundance"].to_numpy().reshape(self.history.n_sites, -1)

    def covariance_of_states(self, vector: np.ndarray) -> np.ndarray:
        """Not known here, see `totals` for the variances."""
        raise refuse("seasons of smoothed numbers have no covariance here", "Use kind='projected'", value="smoothed")

    def totals(self, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance [T] of the animals at all sites by season, given the counts."""
        rows = self.posterior(vector)
        shape = (self.history.n_sites, self.history.n_seasons)
        return rows["abundance"].to_numpy().reshape(shape).sum(0), (rows["sd"].to_numpy() ** 2).reshape(shape).sum(0)

    def _numbers_here(self, fit) -> list:
        """The animals at these very sites by season."""
        n, (total, variance) = self.history.n_sites, self.totals(fit.vector)
        se = np.sqrt(variance + np.diag(covariance(fit, lambda v: self.totals(v)[0])))
        least = np.zeros(n * self.history.n_seasons)
        np.maximum.at(least, self.visits.group, self.count)
        least, rows = least.reshape(n, -1).sum(axis=0), []
        for t, label in enumerate(self.history.season_labels):
            scope = f"season {label}, these {n} sites"
            rows += numbers_here(self.history, scope, float(least[t]), float(total[t]), float(se[t]))
        return rows

    def derive(self, fit, interval):
        n, labels = self.history.n_sites, self.history.season_labels
        rows = []
        for t, label in enumerate(labels):
            mean = lambda v, t=t: self.expected(v)[:, t].mean()  # noqa: E731
            over = f"season {label}, mean over {n} sites"
            rows.append(log_normal("abundance", "animals per site", over, float(mean(fit.vector)), _se(fit, mean)))
        rows += fit.trend_rows("projected")
        visits = f"of a given animal, mean over {len(self.count)} visits"
        rows.append(mean_of(fit, "detection", visits, "p", interval))
        return table(rows + self._numbers_here(fit))

    def remarks(self, fit):
        missing = self.missing(fit.vector)
        if not missing > 100 * ENOUGH:
            return ()
        detail = (
            f"Numbers at a site are limited to {self.most}, and larger ones may add {missing:.2g} to the "
            "log-likelihood: abundance depends on that limit"
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


def _dynamics(name: str, immigration: str | float | None) -> Dynamics:
    """The dynamics by name, with newcomers of their own where asked for."""
    if name not in DYNAMICS:
        raise refuse("these dynamics are not known", f"Use {', '.join(DYNAMICS)}", value=name)
    kind = DYNAMICS[name]
    if immigration is None:
        return kind
    if kind.newcomers is not None:
        raise refuse("these dynamics have newcomers already", "Leave out immigration", value=name)
    return kind.with_immigration()


def _blocks(which: np.ndarray, each: int) -> list[tuple[slice, np.ndarray, np.ndarray]]:
    """Sites whose kinds of transitions [N, T - 1], of `each` elements, are held at a time; the kinds; which of them."""
    blocks, begin, held = [], 0, set()
    for i, kinds in enumerate([*map(set, which.tolist()), None]):
        if kinds is None or (held and len(held | kinds) * each > BUDGET):
            some, local = np.unique(which[begin:i], return_inverse=True)
            blocks.append((slice(begin, i), some, np.ascontiguousarray(local.reshape(i - begin, -1))))
            begin, held = i, set()
        held |= kinds or set()
    return blocks


def _se(fit, function) -> float:
    return float(np.sqrt(covariance(fit, function)[0, 0]))
