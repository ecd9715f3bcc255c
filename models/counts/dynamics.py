"""How numbers change between seasons: what each animal leaves, what comes from elsewhere, what the density does.

Each dynamics turns natural-scale values [U distinct transitions] into `Transitions` between the numbers 0 … K, and
pulls derivatives back. (Dail & Madsen 2011; Hostetler & Chandler 2015, Ecology 96:1713.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln, xlogy

from ..kernels.abundance_chain import NEGLIGIBLE, branching, branching_adjoint, poisson_adjoint, poisson_rows

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Transitions:
    """Rows of numbers to numbers, with the columns low ≤ m < high that matter, and what goes above K."""

    matrix: np.ndarray  # [U, K + 1, K + 1]
    low: np.ndarray  # int [U, K + 1]
    high: np.ndarray
    lost: np.ndarray  # [U, K + 1]

    @classmethod
    def empty(cls, u: int, most: int) -> Transitions:
        shape = (u, most + 1)
        return cls(np.empty((*shape, most + 1)), np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape))


@dataclass(frozen=True)
class Dynamics(ABC):
    """`newcomers` is the parameter that is the mean number of newcomers to a site, or None."""

    newcomers: str | None

    @abstractmethod
    def transitions(self, v: Values, most: int) -> Transitions:
        """Over the numbers 0 … most."""

    @abstractmethod
    def pull(self, v: Values, made: Transitions, by: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives [U] of the parameters in use, from those with respect to the rows [U, K + 1, K + 1], used up."""

    @abstractmethod
    def draw(self, n: np.ndarray, v: Values, rng: np.random.Generator) -> np.ndarray:
        """Numbers next season."""

    def expected(self, n: np.ndarray, v: Values) -> np.ndarray | None:
        """Mean number next season from a mean number n; None where that does not follow from the mean alone."""
        return None

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """gamma, omega or capacity, whichever are used."""

    def with_immigration(self) -> Dynamics:
        """The same, with newcomers of mean iota."""
        return replace(self, newcomers="iota")


@dataclass(frozen=True)
class Branching(Dynamics):
    """Survivors with omega, Poisson offspring of each animal of mean gamma, Poisson newcomers; where they apply."""

    offspring: bool  # gamma is the mean number of young of one animal

    @property
    def parameters(self):
        return ("gamma", "omega") if self.offspring or self.newcomers == "gamma" else ("omega",)

    def _row0(self, v: Values, most: int) -> np.ndarray:
        if self.newcomers is not None:
            return poisson_pmf(v[self.newcomers], most)
        row0 = np.zeros((len(v["omega"]), most + 1))
        row0[:, 0] = 1.0
        return row0

    def _each(self, v: Values, most: int) -> np.ndarray:
        """float [U, L]: distribution of what one animal leaves."""
        omega = v["omega"][:, None]
        if not self.offspring:
            return np.concatenate([1.0 - omega, omega], axis=1)
        young = poisson_pmf(v["gamma"], most)
        return np.ascontiguousarray(_band((1.0 - omega) * young + omega * _later(young)))

    def transitions(self, v, most):
        made = Transitions.empty(len(v["omega"]), most)
        branching(self._row0(v, most), self._each(v, most), made.matrix, made.low, made.high, made.lost)
        return made

    def pull(self, v, made, by):
        most, g = made.matrix.shape[1] - 1, self._each(v, made.matrix.shape[1] - 1)
        by_row0, by_g = np.empty(made.low.shape), np.empty_like(g)
        branching_adjoint(g, made.matrix, made.low, made.high, by, by_row0, by_g)
        found = {}
        if self.newcomers is not None:
            found[self.newcomers] = pull_poisson(poisson_pmf(v[self.newcomers], most), by_row0)
        if not self.offspring:
            return found | {"omega": by_g[:, 1] - by_g[:, 0]}
        young, omega = poisson_pmf(v["gamma"], most)[:, : g.shape[1]], v["omega"][:, None]
        step = _later(young) - young
        found["omega"] = np.sum(by_g * step, axis=1)
        found["gamma"] = np.sum(by_g * ((1.0 - omega) * step + omega * _later(step)), axis=1)
        return found

    def expected(self, n, v):
        each = v["omega"] + (v["gamma"] if self.offspring else 0.0)
        return n * each + (0.0 if self.newcomers is None else v[self.newcomers])

    def draw(self, n, v, rng):
        stay = rng.binomial(n, v["omega"])
        born = rng.poisson(n * v["gamma"]) if self.offspring else 0
        return np.asarray(stay + born + (0 if self.newcomers is None else rng.poisson(v[self.newcomers])))


@dataclass(frozen=True)
class Growth(Dynamics):
    """A Poisson number of mean n times a growth, which may fall with n, and newcomers."""

    capacity: bool = True  # gamma is the growth of the logarithm at n = 0, 0 at the capacity; else the growth itself
    ricker: bool = True  # falls with n; else with log(n + 1): Gompertz

    @property
    def parameters(self):
        return ("gamma", "capacity") if self.capacity else ("gamma",)

    def _crowded(self, n: np.ndarray, v: Values) -> np.ndarray:
        """Of the capacity: 1 - n / K, or 1 - log(n + 1) / log(K + 1)."""
        if self.ricker:
            return 1.0 - n / v["capacity"]
        return 1.0 - np.log1p(n) / np.log1p(v["capacity"])

    def _grown(self, n: np.ndarray, v: Values) -> np.ndarray:
        """Mean number next season from n animals, without newcomers."""
        return n * (np.exp(v["gamma"] * self._crowded(n, v)) if self.capacity else v["gamma"])

    def _over_numbers(self, v: Values, most: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.arange(most + 1.0)[None, :], {name: value[:, None] for name, value in v.items()}

    def transitions(self, v, most):
        made = Transitions.empty(len(v["gamma"]), most)
        n, over = self._over_numbers(v, most)
        mean = self._grown(n, over) + (0.0 if self.newcomers is None else over[self.newcomers])
        poisson_rows(np.ascontiguousarray(mean), made.matrix, made.low, made.high, made.lost)
        return made

    def pull(self, v, made, by):
        by_mean = np.empty(made.low.shape)
        poisson_adjoint(made.matrix, made.low, made.high, by, by_mean)
        n, over = self._over_numbers(v, made.matrix.shape[1] - 1)
        found = {} if self.newcomers is None else {self.newcomers: by_mean.sum(axis=1)}
        if not self.capacity:
            return found | {"gamma": np.sum(by_mean * n, axis=1)}
        by_log = by_mean * self._grown(n, over)  # with respect to the logarithm of what has grown
        if self.ricker:
            slope = n / over["capacity"] ** 2
        else:
            slope = np.log1p(n) / (np.log1p(over["capacity"]) ** 2 * (1.0 + over["capacity"]))
        found["gamma"] = np.sum(by_log * self._crowded(n, over), axis=1)
        return found | {"capacity": np.sum(by_log * over["gamma"] * slope, axis=1)}

    def expected(self, n, v):
        if self.capacity:
            return None
        return n * v["gamma"] + (0.0 if self.newcomers is None else v[self.newcomers])

    def draw(self, n, v, rng):
        return rng.poisson(self._grown(n, v) + (0.0 if self.newcomers is None else v[self.newcomers]))


def poisson_pmf(mean: np.ndarray, most: int) -> np.ndarray:
    """float [U, most + 1]"""
    n = np.arange(most + 1)
    mean = mean[:, None]
    return np.exp(xlogy(n, mean) - mean - gammaln(n + 1.0))


def pull_poisson(pmf: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Derivatives [U] with respect to the mean: dP(n)/dmean = P(n - 1) - P(n)."""
    return np.sum(by * (_later(pmf) - pmf), axis=1)


def _later(pmf: np.ndarray) -> np.ndarray:
    """The distribution one animal higher, cut at the same length."""
    return np.concatenate([np.zeros((len(pmf), 1)), pmf[:, :-1]], axis=1)


def _band(pmf: np.ndarray) -> np.ndarray:
    """Without the columns at the end that are nowhere above what is negligible."""
    used = np.flatnonzero((pmf > NEGLIGIBLE).any(axis=0))
    return pmf[:, : max(2, int(used[-1]) + 1 if len(used) else 2)]


DYNAMICS = {
    "constant": Branching("gamma", offspring=False),
    "autoregressive": Branching(None, offspring=True),
    "no trend": Branching("gamma", offspring=False),
    "trend": Growth(None, capacity=False),
    "ricker": Growth(None),
    "gompertz": Growth(None, ricker=False),
}
