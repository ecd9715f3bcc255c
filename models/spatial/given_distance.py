"""The likelihood where distances between detectors and cells are given and not straight lines.

The same sums as along the radial path, block by block, with the shape of the detection function evaluated at the
distances of the pairs that are within reach. All shapes depend on d/σ (and w/σ), so that their derivative by a distance
is that by σ with the sign turned: d ∂ℓ/∂d = −σ ∂ℓ/∂σ − w ∂ℓ/∂w.

What is left out has a bound as everywhere. On a block of cells no animal's likelihood is more than

    B = Σ_e count_e [log(x_e κ_e) − decay(nearest distance of e's detector to the block)]

so that animals are left out of blocks where exp(B) times the animals expected there does not matter; and a detector's
distances are found as far as its hazard matters, further where animals seen at it need them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from ...survey.errors import refuse
from ..kernels.spatial_blocks import log_hazard
from .blockwise import Adjoints, BlockModel, Passes, Step, Windows
from .distances import Distances, Reached
from .encounters import ranges
from .engine import Evaluation, SpatialLikelihood
from .over_blocks import NOBODY, BlockState, OverBlocks, checked
from .problem import SpatialProblem
from .radial import RadialPath

FIRST = 40.0  # animals are first left out of blocks where they are exp(-40) as likely as in their best
FURTHER = 15.0  # that much more a hazard has to fall where animals were seen, mostly; otherwise ways are found twice


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distances in block order, lengths in cells; `key` is place × cells + position and ascends."""

    reached: Reached
    size: int  # M
    key: np.ndarray  # int [E]
    entry: np.ndarray  # int [E], position among those of `reached`
    distance: np.ndarray  # float [E], cells
    near: np.ndarray  # float [B, K], least distance of a place to a block; infinite where out of reach

    @classmethod
    def of(cls, reached: Reached, blocks, spacing: float) -> Pairs:
        """From distances in metres by cell."""
        size = blocks.cell.size
        position = np.empty(size, np.int64)
        position[blocks.cell] = np.arange(size)
        place, at = reached.place, position[reached.cell]
        entry = np.argsort(place * size + at, kind="stable")
        key, distance = (place * size + at)[entry], reached.metres[entry] / spacing
        near = np.full((len(blocks), len(reached.start) - 1), np.inf)
        block = np.searchsorted(blocks.start, at, side="right") - 1
        np.minimum.at(near, (block, place), reached.metres / spacing)
        return cls(reached, size, key, entry, distance, near)


class GivenPasses(NamedTuple):
    """`Passes` with the distances of their places. The field names are those of `Passes`."""

    x: np.ndarray
    y: np.ndarray
    log_scale: np.ndarray
    sigma: np.ndarray
    third: np.ndarray
    place: np.ndarray  # int [G]
    pairs: Pairs


@dataclass
class GivenStep(Step):
    """A step that knows which pairs it is made of."""

    pair: np.ndarray | Any = None  # int [E'], position in block order
    row: np.ndarray | Any = None  # int [E'], place among `passes`
    column: np.ndarray | Any = None  # int [E'], place among the cells


@dataclass(frozen=True)
class GivenBlockModel(BlockModel):
    """A block model whose hazards are evaluated at given distances."""

    def _hazards(self, passes: Any, near, animals, low, high, order) -> GivenStep:
        pairs, base = passes.pairs, passes.place[near] * passes.pairs.size
        begin, end = np.searchsorted(pairs.key, base + low), np.searchsorted(pairs.key, base + high)
        pair, row = ranges(begin, end), np.repeat(np.arange(near.size), end - begin)
        column = pairs.key[pair] - np.repeat(base + low, end - begin)
        size = (near.size, high - low)
        log_h, first = np.full(size, -np.inf), np.zeros((2, *size) if order > 0 else (2, 0, 0))
        second = np.zeros((3, *size) if order > 1 else (3, 0, 0))
        self._shapes(order, passes, near, pairs.distance[pair], row, column, log_h, first, second)
        log_h += passes.log_scale[near, None]
        h, link = np.exp(log_h), [None, None]
        if self.probability:
            link = [np.empty(size if order > d else (0, 0)) for d in range(2)]
            log_hazard(order, h, log_h, *link)
        sums = self.exposure[near].T @ h
        made = (low, high, near, animals, log_h, h, sums, self.void_weight @ sums, first, second, *link)
        return GivenStep(*made, pair=pair, row=row, column=column)

    def _shapes(self, order, passes, near, distance, row, column, log_h, first, second) -> None:
        """The shape at every pair; passes with the same σ and third parameter in one call."""
        kinds, which = np.unique(np.stack([passes.sigma[near], passes.third[near]]), axis=1, return_inverse=True)
        kind = which.reshape(-1)[row]
        zero = np.zeros(1)
        for j, (sigma, third) in enumerate(kinds.T):
            mine = np.flatnonzero(kind == j) if kinds.shape[1] > 1 else slice(None)
            d, k, m = distance[mine], row[mine], column[mine]
            value = np.empty((1, d.size))
            by, twice = np.zeros((2, 1, d.size)), np.zeros((3, 1, d.size))
            at = (zero, zero, np.array([sigma]), np.array([third]), d, np.zeros(d.size))
            self.shape.kernel(order, *at, value, by, twice)
            log_h[k, m] = value[0]
            if order > 0:
                first[:, k, m] = by[:, 0]
            if order > 1:
                second[:, k, m] = twice[:, 0]

    def over_distances(self, step: GivenStep, passes: GivenPasses, over_log_h: np.ndarray) -> np.ndarray:
        """Derivatives [E'] by the distances (in cells) of the step's pairs."""
        k, m = step.row, step.column
        bar = over_log_h[k, m] if step.link_first is None else over_log_h[k, m] * step.link_first[k, m]
        slope = step.shape_first[0, k, m]
        if self.shape.third_is_length:
            slope = slope + passes.third[step.passes][k] * step.shape_first[1, k, m]
        d = passes.pairs.distance[step.pair]
        return np.divide(-bar * slope, d, out=np.zeros_like(d), where=d > 0)


class GivenPath(OverBlocks):
    """Integrals and derivatives of one problem at given distances; in `curvature` the distances are held."""

    model: GivenBlockModel

    def __init__(self, radial: RadialPath, place: np.ndarray, spacing: float, distances: Distances | None):
        model = GivenBlockModel(**{f.name: getattr(radial.model, f.name) for f in fields(BlockModel)})
        super().__init__(model, radial.workers)
        self.place, self.spacing, self.distances = place, spacing, distances
        self.reach, self._radial = radial.reach, radial

    def with_distances(self, distances: Distances) -> GivenPath:
        """The same path at other distances."""
        return GivenPath(self._radial, self.place, self.spacing, distances)

    def evaluate(self, passes: Passes, log_mu: np.ndarray) -> tuple[np.ndarray, float, float, float, BlockState]:
        """(log_a [n], detected, total, bound, state)."""
        log_mu = log_mu[self.blocks.cell]
        total, limit = checked(float(np.exp(log_mu).sum())), self._limits(passes)
        here = self._with_pairs(passes, limit)
        while True:
            best = self._block_bounds(here)
            floor = best.max(axis=0, initial=-np.inf) - FIRST
            windows = self._windows(here, best, floor)
            log_a, detected = self._integrals(here, windows, log_mu)
            bound = self._left_out(best, floor, log_a, log_mu)
            short = bound > self.reach.tolerance
            if short.any():
                log_total = np.log(max(total, 1e-300))
                floor = np.where(short, log_a + np.log(0.5 * self.reach.tolerance) - log_total, floor)
                windows = self._windows(here, best, floor)
                log_a, detected = self._integrals(here, windows, log_mu)
                bound = self._left_out(best, floor, log_a, log_mu)
            beyond = self._beyond(here, log_a, total)
            bound = bound + beyond
            if not (beyond > self.reach.tolerance).any():
                break
            limit = self._wider(here, limit, log_a, total, beyond > self.reach.tolerance)
            here = self._with_pairs(passes, limit)
        state = BlockState(here, windows, log_mu, log_a)
        return log_a, detected, total, float(bound.max(initial=0.0)), state

    def pullback(self, state: BlockState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3])."""
        return self.pullback_all(state, d_log_a, d_detected)[:2]

    def pullback_all(self, state: BlockState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3], derivatives by the cost of every cell)."""
        passes, pairs = state.passes, state.passes.pairs

        def by_distance(step: GivenStep, over: Adjoints) -> tuple[np.ndarray, np.ndarray]:
            return pairs.entry[step.pair], self.model.over_distances(step, passes, over.log_h) / self.spacing

        d_log_mu, d_passes, found = self._pulled(state, d_log_a, d_detected, by_distance)
        d_metres = np.zeros(pairs.key.size)
        for entry, metres in found:
            np.add.at(d_metres, entry, metres)
        assert self.distances is not None
        return d_log_mu, d_passes, self.distances.pull(pairs.reached, d_metres)

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        here = self._with_pairs(passes, self._limits(passes))
        return self._probability(here, self._windows(here, None, None))

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal."""
        here = self._with_pairs(passes, np.full(self.place.max(initial=-1) + 1, np.inf))
        return self._posterior(here, self._windows(here, None, None), log_mu, animal)

    # ---- what is near what --------------------------------------------------------------------------------------

    def _limits(self, passes: Passes) -> np.ndarray:
        """Metres [K] from each place beyond which its hazards are below the tolerance; where animals were seen more."""
        limit, seen = np.zeros(self.place.max(initial=-1) + 1), np.unique(self.model.encounters.linear.column)
        np.maximum.at(limit, self.place, self.reach.passes(passes) * self.spacing)
        fall = np.full(seen.size, FURTHER - np.log(self.reach.tolerance))
        far = self.model.shape.reach(fall, passes.sigma[seen], passes.third[seen])
        np.maximum.at(limit, self.place[seen], far * self.spacing)
        return limit

    def _with_pairs(self, passes: Passes, limit: np.ndarray) -> GivenPasses:
        assert self.distances is not None, "distances are given by `at`"
        pairs = Pairs.of(self.distances.within(limit), self.blocks, self.spacing)
        return GivenPasses(*passes[:5], self.place, pairs)

    def _block_bounds(self, passes: GivenPasses) -> np.ndarray:
        """B [blocks, n]: log of the most that each animal's likelihood can be in each block."""
        encounters, shape = self.model.encounters, self.model.shape
        seen, count, animal = encounters.linear.column, encounters.linear.entry, encounters.animal
        peak = self._peak(passes)
        out = np.empty((len(self.blocks), encounters.n))
        for b, near in enumerate(passes.pairs.near):
            d = near[passes.place[seen]]
            fall = count * shape.decay(np.minimum(d, 1e9), passes.sigma[seen], passes.third[seen])
            out[b] = peak - np.bincount(animal, np.where(np.isfinite(d), fall, np.inf), minlength=encounters.n)
        return out

    def _peak(self, passes: GivenPasses) -> np.ndarray:
        """log of the most [n] that each animal's likelihood can be anywhere: at all its detectors at once."""
        encounters = self.model.encounters
        log_peak = encounters.linear.entry * self.reach._log_peak(passes)[encounters.linear.column]
        return encounters.constant + np.bincount(encounters.animal, log_peak, minlength=encounters.n)

    def _windows(self, passes: GivenPasses, best: np.ndarray | None, floor: np.ndarray | None) -> Windows:
        """Passes whose hazard matters in a block, and animals whose likelihood may."""
        near = passes.pairs.near[:, passes.place] <= self.reach.passes(passes)[None]
        pass_start, which = _csr(near)
        if best is None:
            return Windows(pass_start, which, np.zeros(len(near) + 1, np.int64), NOBODY)
        return Windows(pass_start, which, *_csr(np.isfinite(best) & (best >= floor)))

    def _left_out(self, best, floor, log_a, log_mu) -> np.ndarray:
        """Relative bound [n] of what the blocks left out could add."""
        mu = np.add.reduceat(np.exp(log_mu), self.blocks.start[:-1])
        out = np.where(np.isfinite(best) & (best < floor), best, -np.inf)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            excess = np.where(np.isneginf(out), 0.0, mu[:, None] * np.exp(np.minimum(out - log_a, 700.0)))
        return excess.sum(axis=0)

    def _beyond(self, passes: GivenPasses, log_a, total: float) -> np.ndarray:
        """Relative bound [n] of what the cells beyond the limits of the detectors could add."""
        encounters, limit = self.model.encounters, passes.pairs.reached.limit
        seen, count, animal = encounters.linear.column, encounters.linear.entry, encounters.animal
        far = np.minimum(limit[passes.place[seen]] / self.spacing, 1e9)
        fall = count * self.model.shape.decay(far, passes.sigma[seen], passes.third[seen])
        least = np.full(encounters.n, np.inf)
        np.minimum.at(least, animal, np.where(np.isfinite(limit[passes.place[seen]]), fall, np.inf))
        peak = self._peak(passes)
        with np.errstate(invalid="ignore"):
            excess = np.log(max(total, 1e-300)) + peak - least - log_a
        return np.where(np.isinf(least), 0.0, np.exp(np.clip(np.nan_to_num(excess, nan=700.0), -700.0, 700.0)))

    def _wider(self, passes: GivenPasses, limit, log_a, total: float, short: np.ndarray) -> np.ndarray:
        """Limits that suffice for the animals `short` [n]; without end where nothing is known of them yet."""
        encounters, out = self.model.encounters, limit.copy()
        seen, count, animal = encounters.linear.column, encounters.linear.entry, encounters.animal
        peak = self._peak(passes)
        needed = peak - log_a + np.log(max(total, 1e-300)) - np.log(0.25 * self.reach.tolerance)
        events = np.flatnonzero(short[animal])
        c = needed[animal[events]] / count[events]
        far = self.model.shape.reach(np.minimum(c, 1e6), passes.sigma[seen[events]], passes.third[seen[events]])
        metres = np.where(np.isfinite(c), far * self.spacing, np.inf)
        np.maximum.at(out, passes.place[seen[events]], metres)
        return out


def _csr(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and column of the True entries of [rows, columns]."""
    row, column = np.nonzero(mask)
    return np.searchsorted(row, np.arange(len(mask) + 1)), column


def pulled(engine: SpatialLikelihood, at: Evaluation, d_log_a, d_detected) -> tuple:
    """`pullback` of any engine, and the derivatives by the cost of every cell, 0 where there is none."""
    if not isinstance(engine, GivenDistanceLikelihood):
        return *engine.pullback(at, d_log_a, d_detected), 0.0
    over_mu, over_rows, over_cost = engine.pullback_all(at, d_log_a, d_detected)
    return over_mu, over_rows, over_cost if over_cost.size else 0.0


class GivenDistanceLikelihood(SpatialLikelihood):
    """`SpatialLikelihood` at given distances: `at(distances)` first, then as usual.

    place : int [G], which place each pass of the problem stands at
    """

    def __init__(
        self, problem: SpatialProblem, place, threads: int | None = None, tolerance: float = 1e-12, distances=None
    ):
        if problem.pass_effort is not None or problem.once is not None:
            raise refuse(
                "negative-binomial counts and histories of two detections or more need straight-line distances",
                "Leave distance= out, or use Poisson counts of all animals",
            )
        super().__init__(problem, threads, tolerance)
        radial = getattr(self._path, "radial", self._path)
        self._place = np.asarray(place, np.int64)
        self._path = GivenPath(radial, self._place, problem.raster.spacing, distances)

    def at(self, distances: Distances) -> GivenDistanceLikelihood:
        """The likelihood at these distances; shares everything else."""
        other = object.__new__(GivenDistanceLikelihood)
        other.__dict__.update(self.__dict__)
        other._path = self._path.with_distances(distances)
        return other

    def __getstate__(self) -> tuple:
        return self.problem, self._place, self.threads, self.tolerance, self._path.distances

    def __setstate__(self, state: tuple) -> None:
        self.__init__(*state)

    def pullback_all(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `pullback`, and the derivatives by the cost of every cell (empty where distances have none)."""
        whole = self._path.pullback_all(evaluation.state, np.asarray(d_log_a, float), float(d_detected))
        row, size = self.problem.pass_row, self.problem.n_rows
        d_rows = np.stack([np.bincount(row, column, minlength=size) for column in whole[1].T], axis=1)
        return whole[0], d_rows / self._steepness(evaluation.rows), whole[2]
