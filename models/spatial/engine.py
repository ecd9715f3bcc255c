"""The spatial capture-recapture likelihood of one session: per-animal integrals, gradient and curvature.

    log_a_i  = log Σ_m mu_m f_i(m)                     mu_m: expected number of activity centres in cell m
    detected = Σ_m mu_m (1 − exp(−Λ0(m)))              Λ0: what an animal that is never caught was exposed to

Every likelihood of the family (Poisson or binomial N, full or conditional, classes, sessions) is a function of
these two; compose it outside and give its derivatives to `pullback` or `curvature`. Observation terms f_i are
defined in `problem.py`. Sums run over the cells near the animal; each sum carries a bound of what it left out,
and animals whose bound is too large are summed again over a window that suffices.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import ThreadpoolController

from ..detection import DETECTION_FUNCTIONS
from .curvature import Curvature, total_curvature
from .encounters import Encounters, check
from .problem import SpatialProblem
from .radial import Passes, RadialPath, Windows, adjoints, integral, over_passes
from .reach import Reach
from .shapes import SHAPES
from .windows import Blocks

SIDE = 32  # cells along a block


@dataclass(frozen=True)
class Evaluation:
    """The likelihood's ingredients at one value of its arguments."""

    log_a: np.ndarray  # float [n], log Σ_m mu_m f_i(m); -inf where an animal's data are impossible
    detected: float  # expected number of animals detected
    total: float  # expected number of animals
    bound: float  # largest relative truncation error of any exp(log_a)
    _log_mu: np.ndarray = field(repr=False)  # [M], block order
    _rows: np.ndarray = field(repr=False)  # [R, 3]
    _windows: Windows = field(repr=False)

    @property
    def impossible(self) -> np.ndarray:
        """Animals [k] that could not have been seen as they were from any cell that may hold an animal."""
        return np.flatnonzero(np.isneginf(self.log_a))


class SpatialLikelihood:
    """The likelihood of one `SpatialProblem`; holds only what does not depend on parameters.

    problem:   one session as arrays; contradictions raise ValueError naming the animal.
    threads:   how many threads share the work (None: the processor's cores). Results are the same for any number.
    tolerance: relative truncation error allowed in each animal's integral.
    """

    def __init__(self, problem: SpatialProblem, threads: int | None = None, tolerance: float = 1e-12):
        check(problem)
        self.problem = problem
        self.threads = threads or os.cpu_count() or 1
        self._function = DETECTION_FUNCTIONS[problem.detection]
        self._blocks = Blocks.of(problem.raster, SIDE)
        exposure = np.zeros((len(problem.pass_x), problem.n_fields))
        np.add.at(exposure, (problem.entry_pass, problem.entry_field), problem.entry_exposure)
        alike = bool(np.all(problem.weight == problem.void_weight))
        self._path = RadialPath(
            blocks=self._blocks,
            shape=SHAPES[problem.detection],
            probability=not self._function.hazard,
            exposure=exposure,
            void_weight=np.asarray(problem.void_weight, float),
            weight=None if alike else np.asarray(problem.weight, float),
            encounters=Encounters.of(problem),
        )
        raster = problem.raster
        self._x = (np.asarray(problem.pass_x, float) - raster.x0) / raster.spacing
        self._y = (np.asarray(problem.pass_y, float) - raster.y0) / raster.spacing
        third = raster.spacing if self._path.shape.third_is_length else 1.0
        self._lengths = np.array([1.0, raster.spacing, third])
        self._reach = Reach(self._path, self._function, tolerance)
        self._blas = ThreadpoolController()

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def evaluate(self, log_mu, rows, gradient: bool = True) -> Evaluation:
        """The integrals at log_mu [M] (-inf: no animals in that cell) and detection parameters rows [R, 3].

        rows holds natural-scale (lambda0 or g0, sigma in metres, z or w in metres); two-parameter functions ignore
        the third column. `gradient` says whether `pullback` will follow (it may in any case).
        Raises ValueError for parameters outside their range.
        """
        log_mu = self._in_blocks(log_mu)
        passes = self._passes(rows)
        mu = np.exp(log_mu)
        total = float(mu.sum())
        discs = self._reach.animals(passes)
        near = self._blocks.cover(passes.x, passes.y, self._reach.passes(passes))
        windows = Windows(*near, *self._blocks.cover(discs.x, discs.y, discs.radius))
        log_a, detected = self._integrals(passes, windows, log_mu)
        bound = self._reach.bound(discs, log_a, total)
        short = bound > self._reach.tolerance
        if short.any():
            discs = self._reach.widened(discs, short, log_a, total)
            windows = Windows(*near, *self._blocks.cover(discs.x, discs.y, discs.radius))
            only = np.where(short, discs.radius, -1.0)
            again, _ = self._integrals(passes, Windows(*near, *self._blocks.cover(discs.x, discs.y, only)), log_mu)
            log_a = np.where(short, again, log_a)
            bound = self._reach.bound(discs, log_a, total)
        return Evaluation(log_a, detected, total, float(bound.max(initial=0.0)), log_mu, np.array(rows, float), windows)

    def _integrals(self, passes: Passes, windows: Windows, log_mu) -> tuple[np.ndarray, float]:
        """log Σ mu f [n] and the expected number detected."""

        def work(block):
            detected, parts = 0.0, []
            for step in self._path.steps(passes, windows, block, 0):
                detected -= float(np.exp(log_mu[step.low : step.high]) @ np.expm1(-step.void))
                if step.animals.size:
                    parts.append((step.animals, *integral(self._path, step, log_mu)))
            return detected, parts

        results = self._over_blocks(work)
        parts = [part for _, block_parts in results for part in block_parts]
        return log_sum(parts, self._path.encounters.n), sum(detected for detected, _ in results)

    # ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pullback(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives (d_log_mu [M], d_rows [R, 3]) of an objective with derivatives d_log_a [n] and d_detected.

        `total` is the sum of exp(log_mu); an objective that uses it adds d_total · mu to d_log_mu.
        Animals with log_a = -inf contribute nothing.
        """
        passes = self._passes(evaluation._rows)
        log_mu = evaluation._log_mu
        log_a = np.where(np.isneginf(evaluation.log_a), np.inf, evaluation.log_a)
        d_log_a, d_detected = np.asarray(d_log_a, float), float(d_detected)

        def work(block):
            parts = []
            for step in self._path.steps(passes, evaluation._windows, block, 1):
                over = adjoints(self._path, step, log_mu, log_a, d_log_a, d_detected)
                parts.append((step.low, step.high, over.log_mu, step.passes, over_passes(step, over.log_h)))
            return parts

        d_log_mu, d_passes = np.empty(log_mu.size), np.zeros((self._x.size, 3))
        for parts in self._over_blocks(work):
            for low, high, over_mu, near, over_near in parts:
                d_log_mu[low:high] = over_mu
                d_passes[near] += over_near
        return self._in_cells(d_log_mu), self._over_rows(d_passes) / self._steepness(evaluation._rows)

    def curvature(self, evaluation: Evaluation, d_log_a, d_detected, log_mu_directions, row_directions) -> Curvature:
        """Exact first and second derivatives along P directions, for Newton steps and standard errors.

        log_mu_directions [M, P] and row_directions [R, 3, P] say how log_mu and rows move per unit of each parameter.
        Returns `Curvature(log_a [n, P], detected [P], second [P, P])`: the derivatives of log_a and detected, and
        Σ_i d_log_a_i ∂²log_a_i + d_detected ∂²detected along the (straight) directions. The Hessian of an objective
        f(log_a, detected) of parameters ψ is `second` plus J' f'' J with J the first derivatives, plus
        Σ d_log_mu ∂²log_mu/∂ψ² and Σ d_rows ∂²rows/∂ψ² where the links bend.
        """
        rows = evaluation._rows
        steep = np.asarray(row_directions, float) / self._steepness(rows)[:, :, None]
        return total_curvature(
            self._path,
            self._over_blocks,
            self._passes(rows),
            evaluation._windows,
            evaluation._log_mu,
            evaluation.log_a,
            np.asarray(d_log_a, float),
            float(d_detected),
            np.asarray(log_mu_directions, float)[self._blocks.cell],
            steep[self.problem.pass_row],
        )

    # ── views ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def detection_probability(self, rows) -> np.ndarray:
        """p.(x) = 1 − exp(−Λ0(x)) [M]: the probability that an animal centred in each cell is detected at all."""
        passes = self._passes(rows)
        nobody = np.zeros(len(self._blocks) + 1, np.int64)
        near = self._blocks.cover(passes.x, passes.y, self._reach.passes(passes))
        windows = Windows(*near, nobody, np.empty(0, np.int64))
        out = np.empty(self._blocks.cell.size)

        def work(block):
            for step in self._path.steps(passes, windows, block, 0):
                out[step.low : step.high] = -np.expm1(-step.void)

        self._over_blocks(work)
        return self._in_cells(out)

    def activity_centre(self, animal: int, log_mu, rows) -> np.ndarray:
        """The posterior probability [M] that the animal's activity centre lies in each cell; sums to one."""
        log_mu, passes = self._in_blocks(log_mu), self._passes(rows)
        everywhere = np.arange(len(self._blocks) + 1)
        near = self._blocks.cover(passes.x, passes.y, self._reach.passes(passes))
        windows = Windows(*near, everywhere, np.full(len(self._blocks), animal))
        out = np.empty(log_mu.size)

        def work(block):
            for step in self._path.steps(passes, windows, block, 0):
                out[step.low : step.high] = step.log_f[0] + log_mu[step.low : step.high]

        self._over_blocks(work)
        if np.isneginf(out.max()):
            raise ValueError(f"animal {animal} could not have been seen as it was from any cell of the mask")
        density = np.exp(out - out.max())
        return self._in_cells(density / density.sum())

    # ── plumbing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _over_blocks(self, work) -> list:
        """work(block) for every block, in block order; BLAS runs one thread per call, since blocks are the parallelism."""
        blocks = range(len(self._blocks))
        with self._blas.limit(limits=1, user_api="blas"):
            if self.threads == 1 or len(blocks) == 1:
                return [work(block) for block in blocks]
            with ThreadPoolExecutor(self.threads) as pool:
                return list(pool.map(work, blocks))

    def _passes(self, rows) -> Passes:
        """Each pass's parameters, lengths in cells."""
        rows = np.asarray(rows, float)
        if rows.shape != (self.problem.n_rows, 3):
            raise ValueError(f"rows has shape {rows.shape}, expected ({self.problem.n_rows}, 3)")
        self._check_range(rows)
        row = self.problem.pass_row
        inner = rows / self._lengths
        if len(self._function.parameters) == 2:
            inner[:, 2] = 1.0
        return Passes(self._x, self._y, np.log(inner[row, 0]), inner[row, 1], inner[row, 2])

    def _check_range(self, rows: np.ndarray) -> None:
        names = self._function.parameters
        for column, name in enumerate(names):
            value = rows[:, column]
            good = np.isfinite(value) & ((value >= 0) if name == "w" else (value > 0))
            if name == "g0":
                good &= value <= 1
            if not good.all():
                raise ValueError(f"{name} = {value[~good][0]} is outside its range")

    def _steepness(self, rows: np.ndarray) -> np.ndarray:
        """[R, 3] what turns derivatives by (log scale, log σ, third in cells) into derivatives by natural rows."""
        return np.stack([rows[:, 0], rows[:, 1], np.full(len(rows), self._lengths[2])], axis=1)

    def _over_rows(self, d_passes: np.ndarray) -> np.ndarray:
        """Sums [R, 3] of derivatives over the passes [G, 3] of each row."""
        row, size = self.problem.pass_row, self.problem.n_rows
        return np.stack([np.bincount(row, column, minlength=size) for column in d_passes.T], axis=1)

    def _in_blocks(self, log_mu) -> np.ndarray:
        log_mu = np.asarray(log_mu, float)
        if log_mu.shape != (self._blocks.cell.size,):
            raise ValueError(f"log_mu has shape {log_mu.shape}, but the raster has {self._blocks.cell.size} cells")
        if np.isnan(log_mu).any() or np.isposinf(log_mu).any():
            raise ValueError("log_mu must be finite, or -inf where no animal can be")
        return log_mu[self._blocks.cell]

    def _in_cells(self, field: np.ndarray) -> np.ndarray:
        out = np.empty_like(field)
        out[self._blocks.cell] = field
        return out


def log_sum(parts, n: int) -> np.ndarray:
    """log Σ exp over parts (animals, peak, sum relative to the peak), for each of n animals."""
    top = np.full(n, -np.inf)
    for animals, peak, _ in parts:
        top[animals] = np.maximum(top[animals], peak)
    reference = np.where(np.isfinite(top), top, 0.0)
    mass = np.zeros(n)
    for animals, peak, relative in parts:
        mass[animals] += relative * np.exp(peak - reference[animals])
    with np.errstate(divide="ignore"):
        return reference + np.log(mass)
