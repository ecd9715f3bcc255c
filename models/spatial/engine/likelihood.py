"""The spatial capture-recapture likelihood of one session: per-animal integrals, gradient and curvature.

    log_a_i  = log Σ_m mu_m f_i(m)                     mu_m: expected number of activity centres in cell m
    detected = Σ_m mu_m (1 − exp(−Λ0(m)))              Λ0: what an animal that is never caught was exposed to

Every likelihood of the family (Poisson or binomial N, full or conditional, classes, sessions) is a function of
these two; compose it outside and give its derivatives to `pullback` or `curvature`. Observation terms f_i are
defined in `problem.py`. Sums run over the cells near the animal; each sum carries a bound of what it left out,
and animals whose bound is too large are summed again over a window that suffices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...detection import DETECTION_FUNCTIONS
from .blockwise import BlockModel, Passes
from .clumped import ClumpedPath
from .curvature import Curvature
from .density import Covariates, Density, Given, LogLinear, design_of
from .encounters import Encounters, check
from .problem import SpatialProblem
from .radial import RadialPath
from .separable import SeparablePath
from .shapes import SHAPES
from .workers import Workers

GAUSSIAN = ("hazard half-normal", "half-normal")


@dataclass(frozen=True)
class Evaluation:
    """The likelihood's ingredients at one value of its arguments."""

    log_a: np.ndarray  # float [n], log Σ_m mu_m f_i(m); -inf where an animal's data are impossible
    detected: float  # expected number of animals detected
    total: float  # expected number of animals
    bound: float  # largest relative truncation error of any exp(log_a)
    rows: np.ndarray = field(repr=False)  # float [R, 3], where this was evaluated
    density: Density = field(repr=False)  # the same
    state: Any = field(repr=False)  # what the derivatives need, private to the engine

    @property
    def impossible(self) -> np.ndarray:
        """Animals [k] that could not have been seen as they were from any cell that may hold an animal."""
        return np.flatnonzero(np.isneginf(self.log_a))


class SpatialLikelihood:
    """The likelihood of one `SpatialProblem`; holds only what does not depend on parameters.

    problem:   one session as arrays; contradictions raise ValueError naming the animal.
    threads:   how many threads share the work (None: the processor's cores). Results are the same for any number.
    tolerance: relative truncation error allowed in each animal's integral; detectors are left out of cells where
               their hazard is below this, absolutely and relative to its peak.
    """

    def __init__(self, problem: SpatialProblem, threads: int | None = None, tolerance: float = 1e-12):
        check(problem)
        self.problem, self.threads, self.tolerance = problem, threads, tolerance
        self._function = DETECTION_FUNCTIONS[problem.detection]
        raster, shape = problem.raster, SHAPES[problem.detection]
        exposure = np.zeros((len(problem.pass_x), problem.n_fields))
        np.add.at(exposure, (problem.entry_pass, problem.entry_field), problem.entry_exposure)
        alike = bool(np.all(problem.weight == problem.void_weight))
        model = BlockModel(
            blocks=raster.blocks,
            shape=shape,
            probability=not self._function.hazard,
            exposure=exposure,
            void_weight=np.asarray(problem.void_weight, float),
            weight=None if alike else np.asarray(problem.weight, float),
            encounters=Encounters.of(problem),
        )
        radial = RadialPath(model, self._function, Workers(threads), tolerance)
        separable = problem.detection in GAUSSIAN and SeparablePath.serves(model)
        self._path = SeparablePath(radial, raster) if separable else radial
        if problem.pass_effort is not None:
            self._path = ClumpedPath(radial, problem, self._function, tolerance)
        self._size = model.blocks.cell.size
        self._x = (np.asarray(problem.pass_x, float) - raster.x0) / raster.spacing
        self._y = (np.asarray(problem.pass_y, float) - raster.y0) / raster.spacing
        self._lengths = np.array([1.0, raster.spacing, raster.spacing if shape.third_is_length else 1.0])
        names = self._function.parameters
        self._above = np.array([-5e-324 if name == "w" else 0.0 for name in names])
        self._up_to = np.array([1.0 if name == "g0" else np.finfo(float).max for name in names])

    def __getstate__(self) -> tuple:
        """Only the problem travels to another process: threads and workspaces stay behind."""
        return self.problem, self.threads, self.tolerance

    def __setstate__(self, state: tuple) -> None:
        self.__init__(*state)

    def evaluate(self, log_mu, rows, gradient: bool = True) -> Evaluation:
        """The integrals at log_mu [M] (-inf: no animals in that cell) and detection parameters rows [R, 3].

        log_mu may also be `Covariates.at(coefficients)`: log-linear, never written out where hazards are Gaussian.
        rows holds natural-scale (lambda0 or g0, sigma in metres, z or w in metres); two-parameter functions ignore
        the third column. With clumped counts a fourth column is their size.
        `gradient` says that `pullback` will follow; it may in any case.
        Raises ValueError for parameters outside their range.
        """
        rows = np.array(rows, float)
        density = self._density(log_mu)
        given = density if self.on_tiles else density.log_mu
        log_a, detected, total, bound, state = self._path.evaluate(self._passes(rows), given)
        return Evaluation(log_a, detected, total, bound, rows, density, state)

    def pullback(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives (d_log_mu [M], d_rows [R, 3]) of an objective with derivatives d_log_a [n] and d_detected.

        Where the density was log-linear: by its coefficients [P] instead of log_mu.
        `total` is the sum of exp(log_mu); an objective that uses it adds d_total · mu to d_log_mu.
        Animals with log_a = -inf contribute nothing.
        """
        d_density, d_passes = self._path.pullback(evaluation.state, np.asarray(d_log_a, float), float(d_detected))
        if not self.on_tiles:
            d_density = evaluation.density.back(d_density)
        return d_density, self._by_rows(d_passes, evaluation.rows)

    def curvature(self, evaluation: Evaluation, d_log_a, d_detected, log_mu_directions, row_directions) -> Curvature:
        """Exact first and second derivatives along P directions, for Newton steps and standard errors.

        log_mu_directions [M, P] (or the same as `Covariates`) and row_directions [R, 3, P] say how log_mu and rows
        move per unit of each parameter.
        Returns `Curvature(log_a [n, P], detected [P], second [P, P])`: the derivatives of log_a and detected, and
        Σ_i d_log_a_i ∂²log_a_i + d_detected ∂²detected along the (straight) directions. The Hessian of an objective
        f(log_a, detected) of parameters ψ is `second` plus J' f'' J with J the first derivatives, plus
        Σ d_log_mu ∂²log_mu/∂ψ² and Σ d_rows ∂²rows/∂ψ² where the links bend.
        """
        steep = np.asarray(row_directions, float) / self._steepness(evaluation.rows)[:, :, None]
        along_mu, along = log_mu_directions, steep[self.problem.pass_row]
        if not isinstance(along_mu, Covariates):
            along_mu = np.asarray(along_mu, float)
        elif not self.on_tiles:
            along_mu = design_of(along_mu)
        return self._path.curvature(evaluation.state, np.asarray(d_log_a, float), float(d_detected), along_mu, along)

    @property
    def on_tiles(self) -> bool:
        """Whether log-linear densities are taken as they are, and not written out."""
        return isinstance(self._path, SeparablePath)

    @property
    def curvature_cost(self) -> float:
        """About how many gradients a call of `curvature` costs."""
        return self._path.curvature_cost

    def detection_probability(self, rows) -> np.ndarray:
        """p.(x) = 1 − exp(−Λ0(x)) [M]: the probability that an animal centred in each cell is detected at all."""
        return self._path.detection_probability(self._passes(np.asarray(rows, float)))

    def activity_centre(self, animal: int | np.ndarray, log_mu, rows) -> np.ndarray:
        """The posterior probability [M] that the animal's activity centre lies in each cell, or [k, M] of several
        animals; sums to one."""
        given = self._density(log_mu).log_mu
        log_q = self._path.log_posterior(self._passes(np.asarray(rows, float)), given, animal)
        top = log_q.max(axis=-1, keepdims=True)
        if np.isneginf(top).any():
            which = np.atleast_1d(animal)[np.isneginf(np.atleast_2d(top)[:, 0])][0]
            raise ValueError(f"animal {which} could not have been seen as it was from any cell of the mask")
        density = np.exp(log_q - top)
        return density / density.sum(axis=-1, keepdims=True)

    def _passes(self, rows: np.ndarray) -> Passes:
        """Each pass's parameters, lengths in cells."""
        clumped = self.problem.pass_effort is not None
        if rows.shape != (self.problem.n_rows, 3 + clumped):
            raise ValueError(f"rows has shape {rows.shape}, expected ({self.problem.n_rows}, {3 + clumped})")
        self._check_range(rows)
        inner = rows[:, :3] / self._lengths
        if len(self._function.parameters) == 2:
            inner[:, 2] = 1.0
        row = self.problem.pass_row
        sigma, third = inner.T[1:, row]
        return Passes(self._x, self._y, np.log(inner[:, 0])[row], sigma, third, rows[row, 3] if clumped else None)

    def _check_range(self, rows: np.ndarray) -> None:
        used = rows[:, : self._above.size]
        good = (used > self._above) & (used <= self._up_to)
        if not good.all():
            row, column = np.argwhere(~good)[0]
            raise ValueError(f"{self._function.parameters[column]} = {used[row, column]} is outside its range")
        if not (rows[:, 3:] > 0).all():
            raise ValueError("the size of clumped counts must be above zero")

    def _steepness(self, rows: np.ndarray) -> np.ndarray:
        """[R, 3 or 4] what turns derivatives by (log scale, log σ, third in cells, size) into those by natural rows."""
        steep = np.ones_like(rows)
        steep[:, :2], steep[:, 2] = rows[:, :2], self._lengths[2]
        return steep

    def _by_rows(self, d_passes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Derivatives [R, 3 or 4] by natural rows from those [G, 3 or 4] by what passes have."""
        place = np.add.outer(self.problem.pass_row * rows.shape[1], np.arange(rows.shape[1])).ravel()
        return np.bincount(place, d_passes.ravel(), rows.size).reshape(rows.shape) / self._steepness(rows)

    def _density(self, log_mu) -> Density:
        if isinstance(log_mu, LogLinear):
            density, shape = log_mu, (log_mu.size,)
        else:
            density = Given(np.ascontiguousarray(log_mu, float))
            shape = density.log_mu.shape
        if shape != (self._size,):
            raise ValueError(f"log_mu has shape {shape}, but the raster has {self._size} cells")
        return density
