"""The distribution of the number of animals at a site, as the abundance kernels want it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...survey.errors import refuse

PRIORS = ("poisson", "negative binomial")


@dataclass(frozen=True)
class Prior:
    """P(n + 1) / P(n) = (b n + c) / (n + 1), P(0) = exp(log_p0), for N sites of mean `mean`; `size` of NB or None."""

    b: np.ndarray
    c: np.ndarray
    log_p0: np.ndarray
    mean: np.ndarray
    size: float | None

    def pull(self, by_b: np.ndarray, by_c: np.ndarray, weight: np.ndarray | float = 1.0) -> dict[str, np.ndarray]:
        """Derivatives of Σ weight · log-likelihood with respect to lambda [N] and, for the NB, alpha [1]."""
        if self.size is None:
            return {"lambda": weight * (by_c - 1.0)}
        mu, a = self.mean, self.size
        whole = mu + a
        # b = μ/(μ + a), c = a b, log_p0 = -a log(1 + μ/a)
        by_mu = (by_b + a * by_c) * a / whole**2 - a / whole
        by_a = -by_b * mu / whole**2 + by_c * (mu / whole) ** 2 - np.log1p(mu / a) + mu / whole
        return {"lambda": weight * by_mu, "alpha": np.array([np.sum(weight * by_a)])}

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Numbers of animals [N]."""
        rate = self.mean if self.size is None else rng.gamma(self.size, self.mean / self.size)
        return rng.poisson(rate)


def prior(mixture: str, values: Mapping[str, np.ndarray]) -> Prior:
    """Poisson of mean lambda, or negative binomial with variance lambda + lambda² / alpha."""
    mu = values["lambda"]
    if mixture == "poisson":
        return Prior(np.zeros_like(mu), mu, -mu, mu, None)
    a = float(values["alpha"][0])
    b = mu / (mu + a)
    return Prior(b, a * b, -a * np.log1p(mu / a), mu, a)


def check_mixture(mixture: str, allowed: tuple[str, ...]) -> None:
    """Refuse a distribution that is not known."""
    if mixture not in allowed:
        raise refuse("this distribution of abundance is not known", f"Use one of {', '.join(allowed)}", value=mixture)
