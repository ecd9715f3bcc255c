"""The likelihood along the path that serves every detection function: block by block, windows cut by radius."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..detection import DetectionFunction
from .blockwise import Adjoints, BlockModel, Passes, Step, Windows, adjoints, integral, over_passes
from .curvature import Curvature, total_curvature
from .reach import Reach
from .workers import Workers

NOBODY = np.empty(0, np.int64)


@dataclass(frozen=True)
class RadialState:
    """What the derivatives need of an evaluation."""

    passes: Passes
    windows: Windows
    log_mu: np.ndarray  # float [M], block order
    log_a: np.ndarray  # float [n]


class RadialPath:
    """Integrals and derivatives of one problem; fields over cells [M] come and go in cell order."""

    curvature_cost = 4.0  # gradients, measured
    columns = 3  # of a pass that derivatives are by

    def __init__(self, model: BlockModel, function: DetectionFunction, workers: Workers, tolerance: float):
        self.model, self.blocks, self.workers = model, model.blocks, workers
        self.reach = Reach(model, function, tolerance)

    def evaluate(
        self, passes: Passes, log_mu: np.ndarray, only: np.ndarray | None = None
    ) -> tuple[np.ndarray, float, float, float, RadialState]:
        """(log_a [n], detected, total, bound, state); log_a is -inf for animals that `only` [n] leaves out."""
        log_mu = log_mu[self.blocks.cell]
        total = checked(float(np.exp(log_mu).sum()))
        discs = self.reach.animals(passes)
        if only is not None:
            discs = replace(discs, radius=np.where(only, discs.radius, -1.0))
        windows = self._windows(passes, discs, discs.radius)
        log_a, detected = self._integrals(passes, windows, log_mu)
        bound = self.reach.bound(discs, log_a, total)
        short = bound > self.reach.tolerance
        if short.any():
            discs = self.reach.widened(discs, short, log_a, total)
            windows = self._windows(passes, discs, discs.radius)
            wider = self._windows(passes, discs, np.where(short, discs.radius, -1.0))
            again, _ = self._integrals(passes, wider, log_mu)
            log_a = np.where(short, again, log_a)
            bound = self.reach.bound(discs, log_a, total)
        state = RadialState(passes, windows, log_mu, log_a)
        return log_a, detected, total, float(bound.max(initial=0.0)), state

    def pullback(self, state: RadialState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3]) by log mu and by (log scale, log σ, third) of every pass."""
        passes, windows, log_mu = state.passes, state.windows, state.log_mu
        log_a = np.where(np.isneginf(state.log_a), np.inf, state.log_a)

        def work(block):
            parts = []
            for step in self.model.steps(passes, windows, block, 1):
                over = adjoints(self.model, step, log_mu, log_a, d_log_a, d_detected)
                parts.append((step.low, step.high, over.log_mu, step.passes, self.over_passes(step, over)))
            return parts

        d_log_mu, d_passes = np.empty(log_mu.size), np.zeros((passes.x.size, self.columns))
        for parts in self._map(work):
            for low, high, over_mu, near, over_near in parts:
                d_log_mu[low:high] = over_mu
                d_passes[near] += over_near
        return self._in_cells(d_log_mu), d_passes

    def over_passes(self, step: Step, over: Adjoints) -> np.ndarray:
        """Derivatives [K, columns] by what the passes of a step have."""
        return over_passes(step, over.log_h)

    def curvature(self, state: RadialState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """Second derivatives along directions along_mu [M, P] and along [G, 3, P]."""
        return total_curvature(
            self.model,
            self._map,
            state.passes,
            state.windows,
            state.log_mu,
            state.log_a,
            d_log_a,
            d_detected,
            along_mu[self.blocks.cell],
            along,
        )

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        windows = self._windows(passes, None, None)
        out = np.empty(self.blocks.cell.size)

        def work(block):
            for step in self.model.steps(passes, windows, block, 0):
                out[step.low : step.high] = -np.expm1(-step.void)

        self._map(work)
        return self._in_cells(out)

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal."""
        windows = self._windows(passes, None, None)
        blocks = len(self.blocks)
        windows = windows._replace(animal_start=np.arange(blocks + 1), animals=np.full(blocks, animal))
        out = log_mu[self.blocks.cell]

        def work(block):
            for step in self.model.steps(passes, windows, block, 0):
                out[step.low : step.high] += step.log_f[0]

        self._map(work)
        return self._in_cells(out)

    def _windows(self, passes: Passes, discs, radius) -> Windows:
        """The passes near each block and, unless `discs` is None, the animals."""
        near = self.blocks.cover(passes.x, passes.y, self.reach.passes(passes))
        if discs is None:
            return Windows(*near, np.zeros(len(self.blocks) + 1, np.int64), NOBODY)
        return Windows(*near, *self.blocks.cover(discs.x, discs.y, radius))

    def _integrals(self, passes: Passes, windows: Windows, log_mu) -> tuple[np.ndarray, float]:
        """log Σ mu f [n] and the expected number detected."""

        def work(block):
            detected, parts = 0.0, []
            for step in self.model.steps(passes, windows, block, 0):
                detected -= float(np.exp(log_mu[step.low : step.high]) @ np.expm1(-step.void))
                if step.animals.size:
                    parts.append((step.animals, *integral(step, log_mu)))
            return detected, parts

        results = self._map(work)
        parts = [part for _, block_parts in results for part in block_parts]
        return log_sum(parts, self.model.encounters.n), sum(detected for detected, _ in results)

    def _map(self, work) -> list:
        with self.workers.one_blas_thread():
            return self.workers.map(work, range(len(self.blocks)))

    def _in_cells(self, field: np.ndarray) -> np.ndarray:
        out = np.empty_like(field)
        out[self.blocks.cell] = field
        return out


def checked(total: float) -> float:
    """Σ mu, which is not finite if any log_mu is not: a test that costs no pass over the cells."""
    if not total < np.inf:
        raise ValueError("log_mu must be finite, or -inf where no animal can be")
    return total


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
