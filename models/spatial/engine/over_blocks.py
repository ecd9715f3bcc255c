"""What the paths that walk over blocks of cells share: sums over cells, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .blockwise import Adjoints, BlockModel, Step, Windows, adjoints, integral, over_passes
from .curvature import Curvature, total_curvature
from .workers import Workers

NOBODY = np.empty(0, np.int64)
# float64s up to which an evaluation keeps its steps for the derivatives, and about how many one cell has of each
KEPT, PER_PASS, PER_ANIMAL = 2**22, 8, 2
ALONE = 2**21  # as many of all passes and animals that one thread is done before a second one has begun


@dataclass(frozen=True)
class BlockState:
    """What the derivatives need of an evaluation."""

    passes: Any  # as the path's block model takes them
    windows: Windows
    log_mu: np.ndarray  # float [M], block order
    log_a: np.ndarray  # float [n]
    steps: list | None = None  # of each block, where they are kept for the derivatives


class OverBlocks:
    """Sums over the cells of windows; which passes and animals these hold is the path's own affair."""

    curvature_cost = 4.0  # gradients, measured
    columns = 3  # of a pass that derivatives are by

    def __init__(self, model: BlockModel, workers: Workers):
        self.model, self.blocks, self.workers = model, model.blocks, workers
        size = PER_PASS * len(model.exposure) + PER_ANIMAL * model.encounters.n
        self._alone = self.blocks.cell.size * size <= ALONE

    def over_passes(self, step: Step, over: Adjoints) -> np.ndarray:
        """Derivatives [K, columns] by what the passes of a step have."""
        return over_passes(step, over.log_h)

    def curvature(self, state: BlockState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """Second derivatives along directions along_mu [M, P] and along [G, 3, P]."""
        at = (state.passes, state.windows, state.log_mu, state.log_a, d_log_a, d_detected)
        return total_curvature(self.model, self._map, *at, along_mu[self.blocks.cell], along)

    def _pulled(
        self, state: BlockState, d_log_a, d_detected, also: Callable[[Any, Adjoints], Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray, list]:
        """d_log_mu [M], d_passes [G, columns], and what `also` makes of every step and its adjoints, in block order."""
        passes, windows, log_mu = state.passes, state.windows, state.log_mu
        log_a = np.where(np.isneginf(state.log_a), np.inf, state.log_a)

        def work(block):
            parts = []
            kept = None if state.steps is None else state.steps[block]
            for step in kept or self.model.steps(passes, windows, block, 1):
                over = adjoints(self.model, step, log_mu, log_a, d_log_a, d_detected)
                more = None if also is None else also(step, over)
                parts.append((step.low, step.high, over.log_mu, step.passes, self.over_passes(step, over), more))
            return parts

        d_log_mu, d_passes, found = np.empty(log_mu.size), np.zeros((passes.x.size, self.columns)), []
        for parts in self._map(work):
            for low, high, over_mu, near, over_near, more in parts:
                d_log_mu[low:high] = over_mu
                d_passes[near] += over_near
                found.append(more)
        return self._in_cells(d_log_mu), d_passes, found

    def _probability(self, passes, windows: Windows) -> np.ndarray:
        """p.(x) [M]."""
        out = np.empty(self.blocks.cell.size)

        def work(block):
            for step in self.model.steps(passes, windows, block, 0):
                out[step.low : step.high] = -np.expm1(-step.void)

        self._map(work)
        return self._in_cells(out)

    def _posterior(self, passes, windows: Windows, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several, over all blocks; `windows`: which passes are near.

        Several share the hazards of the detectors, which are most of the work of one.
        """
        blocks, animals = len(self.blocks), np.atleast_1d(animal)
        start = len(animals) * np.arange(blocks + 1)
        windows = windows._replace(animal_start=start, animals=np.tile(animals, blocks))
        out = np.tile(log_mu[self.blocks.cell], (len(animals), 1))

        def work(block):
            for step in self.model.steps(passes, windows, block, 0):
                out[:, step.low : step.high] += step.log_f

        self._map(work)
        return self._in_cells(out if np.ndim(animal) else out[0])

    def _integrals(self, passes, windows: Windows, log_mu) -> tuple[np.ndarray, float]:
        """log Σ mu f [n] and the expected number detected."""
        return self._summed(passes, windows, log_mu)[:2]

    def _summed(self, passes, windows: Windows, log_mu, keep: bool = False) -> tuple[np.ndarray, float, list]:
        """As `_integrals`, and for every block its (steps, rooms) if they are to be kept for the derivatives."""

        def work(block):
            detected, parts, steps, rooms = 0.0, [], [], []
            for step in self.model.steps(passes, windows, block, int(keep), rooms if keep else None):
                detected -= float(np.exp(log_mu[step.low : step.high]) @ np.expm1(-step.void))
                if step.animals.size:
                    parts.append((step.animals, *integral(step, log_mu)))
                if keep:
                    steps.append(step)
            return detected, parts, (steps, rooms)

        results = self._map(work)
        parts = [part for _, block_parts, _ in results for part in block_parts]
        detected = sum(detected for detected, _, _ in results)
        return log_sum(parts, self.model.encounters.n), detected, [kept for *_, kept in results]

    def _kept(self, state: BlockState, kept: list) -> BlockState:
        """A state that has these steps for as long as it lives."""
        state = replace(state, steps=[steps for steps, _ in kept])
        for _, rooms in kept:
            for room in rooms:
                self.model.pool.give_back_with(state, room)
        return state

    def _fits(self, windows: Windows) -> bool:
        """Whether the steps of an evaluation are few enough to be kept."""
        held = PER_PASS * np.diff(windows.pass_start) + PER_ANIMAL * np.diff(windows.animal_start)
        return float(np.diff(self.blocks.start) @ held) <= KEPT

    def _map(self, work) -> list:
        with self.workers.one_blas_thread():
            if self._alone:
                return [work(block) for block in range(len(self.blocks))]
            return self.workers.map(work, range(len(self.blocks)))

    def _in_cells(self, field: np.ndarray) -> np.ndarray:
        out = np.empty_like(field)
        out[..., self.blocks.cell] = field
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
