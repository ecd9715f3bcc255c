"""How numbers change between seasons: what each animal leaves, and what comes from elsewhere.

Each dynamics turns natural-scale values [U distinct transitions] into row0[U, K + 1], the newcomers, and g[U, L], what
one animal leaves behind, and pulls derivatives back. (Dail & Madsen 2011; Hostetler & Chandler 2015, Ecology 96:1713.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

Values = Mapping[str, np.ndarray]


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


@dataclass(frozen=True)
class Dynamics:
    """Survivors with omega, Poisson offspring of each animal of mean gamma, Poisson newcomers; where they apply."""

    survival: bool  # omega: an animal stays with this probability
    offspring: bool  # gamma is the mean number of young (or, without survival, of animals) that one animal leaves
    newcomers: str | None  # the parameter that is the mean number of newcomers to a site, or None

    def rows(self, v: Values, most: int) -> tuple[np.ndarray, np.ndarray]:
        """row0[U, most + 1], g[U, L]."""
        some = next(iter(v.values()))
        if self.newcomers is None:
            row0 = np.zeros((len(some), most + 1))
            row0[:, 0] = 1.0
        else:
            row0 = poisson_pmf(v[self.newcomers], most)
        return row0, np.ascontiguousarray(_band(self._each(v, most)))

    def _each(self, v: Values, most: int) -> np.ndarray:
        """float [U, most + 1]: distribution of what one animal leaves."""
        young = poisson_pmf(v["gamma"], most) if self.offspring else None
        if not self.survival:
            assert young is not None  # who neither stays nor has young leaves no next season
            return young
        omega = v["omega"][:, None]
        if young is None:
            return np.concatenate([1.0 - omega, omega], axis=1)
        return (1.0 - omega) * young + omega * _later(young)

    def pull(self, v: Values, most: int, by_row0: np.ndarray, by_g: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives [U] of the parameters in use."""
        found = {}
        if self.newcomers is not None:
            found[self.newcomers] = pull_poisson(poisson_pmf(v[self.newcomers], most), by_row0)
        length = by_g.shape[1]
        if self.offspring:
            young = poisson_pmf(v["gamma"], most)[:, :length]
            if not self.survival:
                return found | {"gamma": pull_poisson(young, by_g)}
            omega = v["omega"][:, None]
            found["omega"] = np.sum(by_g * (_later(young) - young), axis=1)
            step = _later(young) - young
            found["gamma"] = np.sum(by_g * ((1.0 - omega) * step + omega * _later(step)), axis=1)
        else:
            found["omega"] = by_g[:, 1] - by_g[:, 0]
        return found

    def expected(self, n: np.ndarray, v: Values) -> np.ndarray:
        """Mean number next season from a mean number n."""
        each = (v["omega"] if self.survival else 0.0) + (v["gamma"] if self.offspring else 0.0)
        return n * each + (0.0 if self.newcomers is None else v[self.newcomers])

    def draw(self, n: np.ndarray, v: Values, rng: np.random.Generator) -> np.ndarray:
        """Numbers next season."""
        stay = rng.binomial(n, v["omega"]) if self.survival else 0
        born = rng.poisson(n * v["gamma"]) if self.offspring else 0
        return np.asarray(stay + born + (0 if self.newcomers is None else rng.poisson(v[self.newcomers])))


def _band(pmf: np.ndarray, negligible: float = 1e-20) -> np.ndarray:
    """Without the columns at the end that are nowhere above `negligible`."""
    used = np.flatnonzero((pmf > negligible).any(axis=0))
    return pmf[:, : max(2, int(used[-1]) + 1 if len(used) else 2)]


DYNAMICS = {
    "constant": Dynamics(survival=True, offspring=False, newcomers="gamma"),
    "autoregressive": Dynamics(survival=True, offspring=True, newcomers=None),
    "no trend": Dynamics(survival=True, offspring=False, newcomers="gamma"),
    "trend": Dynamics(survival=False, offspring=True, newcomers=None),
}
