"""Density that is log-linear in covariates of the cells, as the engine takes it: never written out, cell by cell.

What a formula and a log link say of log D is a matrix times coefficients. On ten million cells the matrix is there
already; the values of D, their logarithms, and the derivatives by both would be twelve more passes over memory for
each evaluation, and for second derivatives one array more for every coefficient (ten seconds and two gigabytes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..model import F, Model
from .engine.density import Covariates, LogLinear, flat
from .engine.likelihood import GAUSSIAN, SpatialLikelihood
from .session import Session

MOST = 600.0  # of log D that an exponential takes


@dataclass(frozen=True, eq=False)
class LinearDensity:
    """log D of every session of a model."""

    sessions: tuple[Covariates, ...]
    least: np.ndarray  # float [terms], of each column over all cells
    greatest: np.ndarray
    offset: float = 0.0  # log D where nothing is estimated

    @classmethod
    def of(cls, model: Any) -> LinearDensity | None:
        """None where density is not log-linear or an engine needs it cell by cell, as for a given number of animals."""
        D = model.parameters["D"]
        if not all(map(_takes, model.sessions)):
            return None
        if D.design is None and D.fixed > 0:
            same = [flat(len(session.mask), D.fixed) for session in model.sessions]
            return cls(tuple(one.covariates for one in same), np.empty(0), np.empty(0), same[0].offset)
        if D.design is None or D.design.random or D.link.name != "log":
            return None
        cells = [model.values_of({"D": D.design.fixed}, session)["D"] for session in model.sessions]
        least, greatest = np.array([(column.min(), column.max()) for column in D.design.fixed.T]).T
        return cls(tuple(map(Covariates.of, cells)), least, greatest)

    def at(self, coefficients: np.ndarray) -> tuple[LogLinear, ...] | None:
        """log D by session; None where it may be too large for its exponential."""
        most = np.maximum(coefficients * self.least, coefficients * self.greatest).sum()
        return tuple(c.at(coefficients, self.offset) for c in self.sessions) if most < MOST else None

    def along(self, where: slice, size: int) -> tuple[Covariates, ...]:
        """How log D of each session moves with `size` coefficients, those of D being `where` among them."""
        return tuple(
            replace(c, constant=np.pad(c.constant, (where.start, size - where.stop)), varying=c.varying + where.start)
            for c in self.sessions
        )


class LinearInCoefficients(Model[F]):
    """A model of sessions that takes the short way where its density is log-linear."""

    sessions: tuple[Session, ...]

    @cached_property
    def _linear(self) -> LinearDensity | None:
        return LinearDensity.of(self)

    def _short(self, vector: np.ndarray) -> dict[str, Any] | None:
        """The values, with log D by session as it is made up; None where D is needed cell by cell."""
        log_D = None if self._linear is None else self._linear.at(vector[self.parameters.slice_of("D")])
        return None if log_D is None else self.parameters.values(vector, "D") | {"D": log_D}

    def log_density(self, vector: np.ndarray, session: Session) -> LogLinear | None:
        """log D over the cells of a session's mask as it is made up; None where it is not log-linear."""
        values = self._short(vector)
        return None if values is None else values["D"][self.sessions.index(session)]

    def loglik(self, vector):
        values = self._short(vector)
        return super().loglik(vector) if values is None else self.evaluate(values, False)[0]

    def loglik_and_gradient(self, vector):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            values = self._short(vector)
            if values is None or not all(np.isfinite(v).all() for name, v in values.items() if name != "D"):
                return super().loglik_and_gradient(vector)
            loglik, adjoints = self.evaluate(values, True)
            return loglik, self.parameters.pull(vector, adjoints, "D")

    def hessian(self, vector):
        values, p = self._short(vector), self.parameters
        if self._linear is None or values is None:
            return super().hessian(vector)
        along = p.along(vector, "D") | {"D": self._linear.along(p.slice_of("D"), p.size)}
        found = self.curvature(values, along)
        return None if found is None else found[0] + p.bent(vector, found[1], "D")


def may_be_linear(model: Any, link: str) -> bool:
    """Whether a model, before its data are arranged, looks like one whose density need not be written out."""
    known = model.likelihood == "conditional" or model.distribution == "poisson"
    return known and link == "log" and model.detection.name in GAUSSIAN and model.distance is None


def _takes(session: Session) -> bool:
    """Whether a session's engines take log-linear densities, and nothing else needs their sum."""
    engines = [part.engine for part in session.parts]
    return (
        type(session) is Session
        and session.composition != "binomial"
        and all(type(engine) is SpatialLikelihood and engine.on_tiles for engine in engines)
    )


def joined(parts: list[Mapping[str, np.ndarray]], like: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The adjoints of all sessions: one after another, as the values are; summed where they are by coefficients."""
    if len(parts) == 1:
        return dict(parts[0])
    return {
        name: (np.sum if isinstance(value, tuple) else np.concatenate)([part[name] for part in parts], axis=0)
        for name, value in like.items()
    }
