"""Large single-season data: covariates to gradient in one pass, where both links are logit."""

from __future__ import annotations

import numpy as np

from ..kernels.occupancy_logit import occupancy_logit
from ..parameters import ParameterSet
from .visits import Detections

WORTH = 50_000  # visits from which the one pass is worth compiling and a copy of the designs


class OnePass:
    """The likelihood of `Occupancy` over coefficients, without natural-scale arrays in between."""

    def __init__(self, parameters: ParameterSet, visits: Detections):
        self.parameters = parameters
        psi, p = parameters["psi"].design, parameters["p"].design
        assert psi is not None and p is not None  # see `of`
        self.site, self.visit = np.ascontiguousarray(psi.matrix.T), np.ascontiguousarray(p.matrix.T)
        self.seen, self.start = visits.seen.astype(np.int8), visits.start

    @classmethod
    def of(cls, parameters: ParameterSet, visits: Detections, known: bool) -> OnePass | None:
        """One for data that deserve it, None where the general way must do."""
        plain = all(p.design is not None and p.link.name == "logit" for p in parameters)
        if not plain or parameters.random or known or visits.exposure is not None or len(visits.seen) < WORTH:
            return None
        return cls(parameters, visits)

    def __call__(self, vector: np.ndarray, gradient: bool) -> tuple[float, np.ndarray]:
        """Log-likelihood and gradient [p] (zeros without `gradient`) at coefficients [p]."""
        beta, alpha = (np.ascontiguousarray(self.parameters.split(vector)[name]) for name in ("psi", "p"))
        by_beta, by_alpha = np.empty_like(beta), np.empty_like(alpha)
        loglik = occupancy_logit(self.site, self.visit, self.seen, self.start, beta, alpha, gradient, by_beta, by_alpha)
        return loglik, np.concatenate([by_beta, by_alpha])
