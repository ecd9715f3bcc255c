"""Where animals live, as the engine takes it: log mu for every cell, or log-linear in covariates and never written out.

A log-linear density is evaluated tile by tile where the tile is used, and its gradient is summed up there: ten million
cells cost twelve passes over memory less than with log mu as an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Given:
    """log mu as an array."""

    log_mu: np.ndarray  # float [M]

    @property
    def size(self) -> int:
        return self.log_mu.size

    @property
    def terms(self) -> tuple[float, np.ndarray, np.ndarray]:
        """What kernels take: log mu = offset + Σ coefficients [P] · fields [P, M]."""
        return 0.0, np.ones(1), self.log_mu[None]

    def room(self) -> np.ndarray:
        """Where kernels write the derivatives by log mu."""
        return np.empty(self.log_mu.size)

    def gradient(self, d_log_mu: np.ndarray, by_fields: np.ndarray) -> np.ndarray:
        """The derivatives, by log mu, that kernels found."""
        return d_log_mu

    def back(self, d_log_mu: np.ndarray) -> np.ndarray:
        """Derivatives by log mu are what is asked for."""
        return d_log_mu


@dataclass(frozen=True)
class Covariates:
    """The columns of a design matrix of log density: those that vary as rows, the others as numbers."""

    constant: np.ndarray  # float [P], what a column is everywhere; 0 for those that vary
    varying: np.ndarray  # int [V], the columns that vary
    fields: np.ndarray  # float [V, M]

    @classmethod
    def of(cls, design: np.ndarray) -> Covariates:
        """Of a matrix [M, P]; nothing is copied if its columns lie one after another and constants come first."""
        first = design[0]
        alike = np.array([bool((column == value).all()) for column, value in zip(design.T, first, strict=True)])
        varying = np.flatnonzero(~alike)
        columns = design.T
        if varying.size and varying[-1] - varying[0] == varying.size - 1:
            columns = columns[varying[0] : varying[-1] + 1]
        else:
            columns = columns[varying]
        return cls(np.where(alike, first, 0.0), varying, np.ascontiguousarray(columns, float))

    def at(self, coefficients, offset: float = 0.0) -> LogLinear:
        """log mu = offset + design · coefficients [P]."""
        return LogLinear(self, np.asarray(coefficients, float), float(offset))


@dataclass(frozen=True)
class LogLinear:
    """log mu = offset + design · coefficients."""

    covariates: Covariates
    coefficients: np.ndarray  # float [P]
    offset: float

    @property
    def size(self) -> int:
        return self.covariates.fields.shape[1]

    @cached_property
    def terms(self) -> tuple[float, np.ndarray, np.ndarray]:
        """As of `Given`."""
        c = self.covariates
        return float(self.offset + c.constant @ self.coefficients), self.coefficients[c.varying], c.fields

    @property
    def log_mu(self) -> np.ndarray:
        """[M], made anew."""
        offset, coefficients, fields = self.terms
        log_mu = coefficients @ fields
        log_mu += offset
        return log_mu

    def room(self) -> np.ndarray:
        """None is needed."""
        return np.empty(0)

    def gradient(self, d_log_mu: np.ndarray, by_fields: np.ndarray) -> np.ndarray:
        """Derivatives [P] by the coefficients from sums [T, V + 1] of those by log mu along the fields, and of all."""
        return self._of_sums(by_fields.sum(axis=0))

    def back(self, d_log_mu: np.ndarray) -> np.ndarray:
        """Derivatives [P] by the coefficients from those by log mu [M]."""
        return self._of_sums(np.append(self.covariates.fields @ d_log_mu, d_log_mu.sum()))

    def _of_sums(self, sums: np.ndarray) -> np.ndarray:
        d_coefficients = self.covariates.constant * sums[-1]
        d_coefficients[self.covariates.varying] += sums[:-1]
        return d_coefficients


def flat(cells: int, value: float) -> LogLinear:
    """The logarithm of one value in all cells; there is nothing to estimate."""
    none = np.empty(0)
    return Covariates(none, np.empty(0, int), np.empty((0, cells))).at(none, float(np.log(value)))


Density = Given | LogLinear


def design_of(directions: np.ndarray | Covariates) -> np.ndarray:
    """[M, P], written out."""
    if not isinstance(directions, Covariates):
        return directions
    design = np.empty((directions.fields.shape[1], len(directions.constant)))
    design[:] = directions.constant
    design[:, directions.varying] = directions.fields.T
    return design
