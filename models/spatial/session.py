"""One session of spatial capture-recapture: its log-likelihood as a function of natural-scale arrays.

A session knows nothing of formulas: density comes as one value per cell of its mask, detection as one value per
distinct row. A model of several sessions adds them up, so that its cost is the sum of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell
from ..detection import DetectionFunction
from .arrange import arrange
from .composition import Composed, binomial, conditional, poisson
from .engine import SpatialLikelihood
from .problem import SpatialProblem

COMPOSE = {"poisson": poisson, "binomial": binomial, "conditional": conditional}


@dataclass(frozen=True, eq=False)
class Session:
    """The data of one session, arranged for the engine."""

    name: str
    captures: CaptureHistory
    mask: HabitatMask
    detection: DetectionFunction
    composition: str  # key of COMPOSE
    problem: SpatialProblem
    engine: SpatialLikelihood
    rows: pd.DataFrame  # covariates of the R distinct rows of detection parameters
    row_of: np.ndarray  # int [S, K]: row of each occasion and detector
    constant: float  # of the log-likelihood

    @classmethod
    def of(cls, captures, mask, detection, variables, *, composition, counts, threads, extra) -> Session:
        """Arrange the data; `extra` are covariates of the session for detection formulas (name: value)."""
        check_data(captures, mask)
        arranged = arrange(captures, mask, detection.name, variables, counts)
        rows = arranged.rows.assign(**extra)
        engine = SpatialLikelihood(arranged.problem, threads)
        made = (arranged.problem, engine, rows, arranged.row_of, arranged.constant)
        return cls(captures.session, captures, mask, detection, composition, *made)

    def kernel_input(
        self, values: Mapping[str, np.ndarray], cell_area: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """log_mu [M], log expected animals per cell (of `cell_area` km²), and rows [R, 3], the detection parameters."""
        D = np.maximum(values["D"], 0.0)
        with np.errstate(divide="ignore"):
            log_mu = np.log(density_to_animals_per_cell(D, cell_area or self.mask.cell_area))
        rows = np.ones((self.problem.n_rows, 3))
        for j, name in enumerate(self.detection.parameters):
            rows[:, j] = values[name]
        return log_mu, rows

    def evaluate(self, values, gradient: bool):
        """Log-likelihood, and its derivatives with respect to each array of `values`."""
        log_mu, rows = self.kernel_input(values)
        at = self.engine.evaluate(log_mu, rows, gradient)
        whole = self._composed(at)
        return whole.loglik, self._adjoints(values["D"], log_mu, at, whole)[0] if gradient else None

    def curvature(self, values, along: Mapping[str, np.ndarray]):
        """Second derivatives [P, P] along straight directions of the values, and the adjoints.

        along : for each parameter [its rows, P], how its values move per unit of each of the P directions
        """
        log_mu, rows = self.kernel_input(values)
        at = self.engine.evaluate(log_mu, rows)
        whole = self._composed(at)
        adjoints, d_log_mu = self._adjoints(values["D"], log_mu, at, whole)
        mu = np.exp(log_mu)
        D = np.where(values["D"] > 0, values["D"], np.inf)[:, None]
        along_mu = along["D"] / D  # of log D
        along_rows = np.zeros((*rows.shape, along_mu.shape[1]))
        for j, name in enumerate(self.detection.parameters):
            along_rows[:, j] = along[name]
        ones = np.ones(self.captures.n_animals)
        found = self.engine.curvature(at, ones, whole.by_detected, along_mu, along_rows)
        second = found.second - along_mu.T @ (d_log_mu[:, None] * along_mu)  # log D bends as D moves straight
        d_total = mu @ along_mu
        detected2, both, total2 = whole.second
        cross = np.outer(found.detected, d_total)
        second += detected2 * np.outer(found.detected, found.detected) + both * (cross + cross.T)
        second += total2 * np.outer(d_total, d_total) + whole.by_total * (along_mu.T @ (mu[:, None] * along_mu))
        return second, adjoints

    def _composed(self, at) -> Composed:
        compose = COMPOSE[self.composition]
        return compose(float(np.sum(at.log_a)) + self.constant, at.detected, at.total, self.captures.n_animals)

    def _adjoints(self, D, log_mu, at, whole: Composed):
        """Derivatives by the values, and by log_mu with everything that depends on it."""
        d_log_mu, d_rows = self.engine.pullback(at, np.ones(self.captures.n_animals), whole.by_detected)
        d_log_mu = d_log_mu + whole.by_total * np.exp(log_mu)
        adjoints = {"D": np.divide(d_log_mu, D, out=np.zeros_like(D, float), where=D > 0)}
        return adjoints | {name: d_rows[:, j] for j, name in enumerate(self.detection.parameters)}, d_log_mu


def check_data(captures: CaptureHistory, mask: HabitatMask) -> None:
    """Captures and mask can be used together.

    Raises
    ------
    SurveyError : they are of different coordinate reference systems
    """
    a, b = captures.detectors.crs, mask.crs
    if a is not None and b is not None and a != b:
        raise refuse(
            "the detectors and the habitat mask have different CRS", "Make both in one CRS", value=f"{a.name}; {b.name}"
        )
    if (a is None) != (b is None):
        raise refuse("only one of detectors and habitat mask has a CRS", "Give both the same CRS, or neither")
