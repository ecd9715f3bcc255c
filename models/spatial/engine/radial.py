"""The likelihood along the path that serves every detection function: block by block, windows cut by radius."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...detection import DetectionFunction
from .blockwise import BlockModel, Passes, Windows
from .over_blocks import NOBODY, BlockState, OverBlocks, checked
from .reach import Reach
from .workers import Workers


class RadialPath(OverBlocks):
    """Integrals and derivatives of one problem; fields over cells [M] come and go in cell order."""

    def __init__(self, model: BlockModel, function: DetectionFunction, workers: Workers, tolerance: float):
        super().__init__(model, workers)
        self.reach = Reach(model, function, tolerance)

    def evaluate(
        self, passes: Passes, log_mu: np.ndarray, only: np.ndarray | None = None
    ) -> tuple[np.ndarray, float, float, float, BlockState]:
        """(log_a [n], detected, total, bound, state); log_a is -inf for animals that `only` [n] leaves out."""
        log_mu = log_mu[self.blocks.cell]
        total = checked(float(np.exp(log_mu).sum()))
        discs = self.reach.animals(passes)
        if only is not None:
            discs = replace(discs, radius=np.where(only, discs.radius, -1.0))
        windows = self._windows(passes, discs, discs.radius)
        keep = self._fits(windows)
        log_a, detected, kept = self._summed(passes, windows, log_mu, keep)
        bound = self.reach.bound(discs, log_a, total)
        short = bound > self.reach.tolerance
        if short.any():
            discs = self.reach.widened(discs, short, log_a, total)
            windows = self._windows(passes, discs, discs.radius)
            wider = self._windows(passes, discs, np.where(short, discs.radius, -1.0))
            again, _ = self._integrals(passes, wider, log_mu)
            log_a = np.where(short, again, log_a)
            bound = self.reach.bound(discs, log_a, total)
        state = BlockState(passes, windows, log_mu, log_a)
        if keep and not short.any():
            state = self._kept(state, kept)
        return log_a, detected, total, float(bound.max(initial=0.0)), state

    def state_of(self, passes: Passes, log_mu: np.ndarray, log_a: np.ndarray) -> BlockState:
        """The state of an evaluation whose log_a [n] are known."""
        log_mu = log_mu[self.blocks.cell]
        total, discs = float(np.exp(log_mu).sum()), self.reach.animals(passes)
        short = self.reach.bound(discs, log_a, total) > self.reach.tolerance
        if short.any():
            discs = self.reach.widened(discs, short, log_a, total)
        return BlockState(passes, self._windows(passes, discs, discs.radius), log_mu, log_a)

    def pullback(self, state: BlockState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3]) by log mu and by (log scale, log σ, third) of every pass."""
        return self._pulled(state, d_log_a, d_detected)[:2]

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        return self._probability(passes, self._windows(passes, None, None))

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several."""
        return self._posterior(passes, self._windows(passes, None, None), log_mu, animal)

    def _windows(self, passes: Passes, discs, radius) -> Windows:
        """The passes near each block and, unless `discs` is None, the animals."""
        near = self.blocks.cover(passes.x, passes.y, self.reach.passes(passes))
        if discs is None:
            return Windows(*near, np.zeros(len(self.blocks) + 1, np.int64), NOBODY)
        return Windows(*near, *self.blocks.cover(discs.x, discs.y, radius))
