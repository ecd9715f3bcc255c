"""Large single-season data: covariates to gradient in one pass, where both links are logit."""

from __future__ import annotations

import numpy as np

from ..kernels.occupancy_logit import BLOCK, occupancy_logit
from ..parameters import ParameterSet
from .visits import Detections

WORTH = 50_000  # visits from which the one pass is worth compiling and a copy of the designs


class OnePass:
    """The likelihood of `Occupancy` over coefficients, without natural-scale arrays in between."""

    def __init__(self, parameters: ParameterSet, visits: Detections):
        self.parameters = parameters
        number = np.diff(visits.start)
        order = np.argsort(number, kind="stable")  # sites with alike numbers of visits lie together
        blocks = -(-len(order) // BLOCK)
        self.visits = np.zeros(blocks * BLOCK, np.int64)
        self.visits[: len(order)] = number[order]
        self.found = np.zeros(blocks * BLOCK, bool)
        self.found[: len(order)] = visits.any[order]
        most = self.visits.reshape(blocks, BLOCK).max(axis=1)
        self.first = np.concatenate([[0], np.cumsum(most * BLOCK)]).astype(np.int64)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        where = place[visits.group]  # of each visit's site
        which = np.arange(len(visits.group)) - visits.start[visits.group]  # its number at the site
        self.designs = {
            "psi": _Packed(parameters["psi"], place, blocks * BLOCK, visits.any),
            "p": _Packed(
                parameters["p"],
                self.first[where // BLOCK] + which * BLOCK + where % BLOCK,
                int(self.first[-1]),
                visits.seen,
            ),
        }

    @classmethod
    def of(cls, parameters: ParameterSet, visits: Detections, known: bool) -> OnePass | None:
        """One for data that deserve it, None where the general way must do."""
        plain = all(p.design is not None and p.link.name == "logit" for p in parameters)
        if not plain or known or parameters.random or visits.exposure is not None or len(visits.seen) < WORTH:
            return None
        return cls(parameters, visits)

    def __call__(self, vector: np.ndarray, gradient: bool) -> tuple[float, np.ndarray]:
        """Log-likelihood and gradient [p] (meaningless without `gradient`) at coefficients [p]."""
        parts = self.parameters.split(vector)
        psi, p = self.designs["psi"], self.designs["p"]
        beta, alpha = psi.spread(parts["psi"]), p.spread(parts["p"])
        by_beta, by_alpha = np.empty_like(beta), np.empty_like(alpha)
        loglik = occupancy_logit(
            psi.matrix, p.matrix, self.found, self.visits, self.first, beta, alpha, gradient, by_beta, by_alpha
        )
        slope = np.concatenate([psi.gather(by_beta), p.found - p.gather(by_alpha)])
        return loglik + float(parts["p"] @ p.found), slope


class _Packed:
    """A design with its rows at other places and without its intercept; and the sums of its rows where found."""

    def __init__(self, parameter, place: np.ndarray, size: int, found: np.ndarray):
        matrix = parameter.design.matrix
        constant = np.flatnonzero((matrix == 1.0).all(axis=0))[:1]
        self.others = np.setdiff1d(np.arange(matrix.shape[1]), constant)
        self.order = np.concatenate([constant, self.others])
        self.begin = 1 - len(constant)  # 1 without an intercept
        self.matrix = np.zeros((len(self.others), size))
        for k, column in enumerate(self.others):
            self.matrix[k, place] = matrix[:, column]
        self.found = found.astype(float) @ matrix

    def spread(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients with the intercept first, 0 where there is none."""
        return np.concatenate([np.zeros(self.begin), coefficients[self.order]])

    def gather(self, by: np.ndarray) -> np.ndarray:
        """Derivatives in the order of the coefficients."""
        found = np.empty(len(self.order))
        found[self.order] = by[self.begin :]
        return found
