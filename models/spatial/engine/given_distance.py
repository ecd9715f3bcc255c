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

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from ...kernels.spatial_blocks import log_hazard
from .blockwise import Adjoints, BlockModel, Passes, Step, Windows
from .distances import Distances, Reached
from .encounters import ranges
from .likelihood import Evaluation
from .over_blocks import NOBODY, BlockState, OverBlocks, checked
from .radial import RadialPath
from .ranges import Fixes, Ground, Ranges, along_distances

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
    ranges: Ranges | None = None  # of collared animals


@dataclass
class GivenStep(Step):
    """A step that knows which pairs it is made of."""

    pair: np.ndarray | Any = None  # int [E'], position in block order
    row: np.ndarray | Any = None  # int [E'], place among `passes`
    column: np.ndarray | Any = None  # int [E'], place among the cells
    log_z: np.ndarray | None = None  # [B], see `ranges`


@dataclass(frozen=True)
class GivenBlockModel(BlockModel):
    """A block model whose hazards are evaluated at given distances."""

    fixes: Fixes | None = field(default=None, kw_only=True)

    def _hazards(self, room, passes: Any, near, animals, low, high, order) -> GivenStep:
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
        made = (low, high, near, animals, room, log_h, h, sums, self.void_weight @ sums, first, second, *link)
        log_z = None if passes.ranges is None else passes.ranges.log_z[low:high]
        return GivenStep(*made, pair=pair, row=row, column=column, log_z=log_z)

    def _histories(self, step: Any, seen: Any, order: int) -> None:
        super()._histories(step, seen, order)
        if self.fixes is not None and step.log_z is not None:
            mine = np.flatnonzero(self.fixes.count[step.animals])
            step.log_f[mine] -= self.fixes.count[step.animals[mine], None] * step.log_z

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
        third = passes.third[step.passes][k]
        return along_distances(self.shape, passes.pairs.distance[step.pair], third, step.shape_first[:, k, m], bar)


class GivenPath(OverBlocks):
    """Integrals and derivatives of one problem at given distances; in `curvature` the distances are held."""

    model: GivenBlockModel

    def __init__(
        self, radial: RadialPath, place: np.ndarray, spacing: float, distances: Distances | None, fixes: Fixes | None
    ):
        model = self._model(radial.model, fixes)
        super().__init__(model, radial.workers)
        self.place, self.spacing, self.distances, self.fixes = place, spacing, distances, fixes
        self.reach, self._radial = radial.reach, radial
        if fixes is not None:
            self.curvature_cost = np.inf  # that of the normalisers is not worked out: differences of the gradient

    def _model(self, of: BlockModel, fixes: Fixes | None) -> GivenBlockModel:
        return GivenBlockModel(**{f.name: getattr(of, f.name) for f in fields(BlockModel)}, fixes=fixes)

    def with_distances(self, distances: Distances) -> GivenPath:
        """The same path at other distances."""
        return GivenPath(self._radial, self.place, self.spacing, distances, self.fixes)

    def evaluate(self, passes: Passes, log_mu: np.ndarray) -> tuple[np.ndarray, float, float, float, BlockState]:
        """(log_a [n], detected, total, bound, state)."""
        log_mu = log_mu[self.blocks.cell]
        total, limit = checked(float(np.exp(log_mu).sum())), self._limits(passes)
        here = self._with_pairs(passes, limit)
        while True:
            best = self._block_bounds(here)
            floor = best.max(axis=0, initial=-np.inf) - FIRST
            if self.fixes is not None:
                here, floor = self._with_ranges(here, best, floor, log_mu, self.fixes)
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
            beyond = self._beyond(here, log_a, log_mu, total)
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

        def further(step: GivenStep, over: Adjoints) -> tuple:
            log_z = None if self.fixes is None or over.q is None else -self.fixes.count[step.animals] @ over.q
            by_distance = self.model.over_distances(step, passes, over.log_h) / self.spacing
            return pairs.entry[step.pair], by_distance, slice(step.low, step.high), log_z

        d_log_mu, d_passes, found = self._pulled(state, d_log_a, d_detected, further)
        d_metres, d_log_z = np.zeros(pairs.key.size), np.zeros(self.blocks.cell.size)
        for entry, metres, where, log_z in found:
            np.add.at(d_metres, entry, metres)
            if log_z is not None:
                d_log_z[where] += log_z
        assert self.distances is not None
        d_cost = self.distances.pull(pairs.reached, d_metres)
        if self.fixes is not None:
            at = np.flatnonzero(d_log_z)
            known = passes.ranges.log_z[at]
            d_shape, more = self._ground(passes, self.fixes).pull(self.blocks.cell[at], known, d_log_z[at])
            d_passes[self.fixes.one, 1:3] += d_shape
            d_cost = d_cost + more if more.size else d_cost
        return d_log_mu, d_passes, d_cost

    def curvature(self, state: BlockState, d_log_a, d_detected, along_mu, along):
        """As `OverBlocks.curvature`, the distances being held; never asked for with fixes, see `curvature_cost`."""
        if self.fixes is not None:
            raise NotImplementedError("second derivatives with fixes along ways are differences of the gradient")
        return super().curvature(state, d_log_a, d_detected, along_mu, along)

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        here = self._with_pairs(passes, self._limits(passes))
        return self._probability(here, self._windows(here, None, None))

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several."""
        if self.fixes is not None and np.ndim(animal):
            return np.stack([self.log_posterior(passes, log_mu, int(one)) for one in np.asarray(animal)])
        here = self._with_pairs(passes, np.full(self.place.max(initial=-1) + 1, np.inf))
        if self.fixes is not None and np.any(self.fixes.count[animal]):
            best = self._block_bounds(here)
            best[:, ~np.isin(np.arange(best.shape[1]), animal)] = -np.inf
            floor = np.full(best.shape[1], -np.inf)
            here = self._with_ranges(here, best, floor, log_mu[self.blocks.cell], self.fixes)[0]
        return self._posterior(here, self._windows(here, None, None), log_mu, animal)

    # ---- collared animals ---------------------------------------------------------------------------------------

    def _ground(self, passes: GivenPasses, fixes: Fixes) -> Ground:
        assert self.distances is not None
        sigma, third = float(passes.sigma[fixes.one]), float(passes.third[fixes.one])
        return Ground(self.distances, self.model.shape, sigma, third, self.spacing)

    def _with_ranges(self, passes: GivenPasses, best, floor, log_mu, fixes: Fixes) -> tuple[GivenPasses, np.ndarray]:
        """The passes with Z at every centre that may matter, and the floors of the blocks that hold them.

        An animal's likelihood at one centre for which Z is known is a lower bound of the whole; where it is less than
        the tolerance times this even with the least that Z can be, the centre does not matter.
        """
        assert passes.ranges is not None
        low, total = passes.ranges.low, float(np.exp(log_mu).sum())
        best = np.where(fixes.count > 0, best, -np.inf)
        little = np.log(0.5 * self.reach.tolerance) - np.log(max(total, 1e-300))
        while True:
            whole = self._without_ranges(passes, best, floor, log_mu)
            at, top = _greatest(whole, fixes.count.size)
            sure = np.flatnonzero(np.isfinite(top))
            ground, log_z = self._ground(passes, fixes), np.full(low.size, np.inf)
            known = np.unique(at[sure])
            log_z[known] = ground.log_z(self.blocks.cell[known])
            least = np.full(top.size, -np.inf)  # of an animal's likelihood
            least[sure] = top[sure] - fixes.count[sure] * log_z[at[sure]]
            lower = np.where(fixes.count > 0, np.minimum(floor, least + little), floor)
            if not (np.isfinite(best) & (best >= lower) & (best < floor)).any():
                break
            floor = lower
        needed = np.zeros(low.size, bool)
        few = np.log(0.5 * self.reach.tolerance / low.size)
        for animals, begin, log_f in whole:
            where = slice(begin, begin + log_f.shape[1])
            most = log_f - fixes.count[animals, None] * low[where]
            needed[where] |= (np.isfinite(most) & (most >= (least[animals] + few)[:, None])).any(axis=0)
        more = np.flatnonzero(needed & np.isinf(log_z))
        log_z[more] = ground.log_z(self.blocks.cell[more])
        return passes._replace(ranges=Ranges(low, log_z)), floor

    def _without_ranges(self, passes: GivenPasses, best, floor, log_mu) -> list[tuple[np.ndarray, int, np.ndarray]]:
        """(animals, first cell, log mu f [A, B] without their Z) of some animals where they may live."""
        plain, windows = passes._replace(ranges=None), self._windows(passes, best, floor)

        def work(block):
            return [
                (step.animals, step.low, step.log_f + log_mu[step.low : step.high])
                for step in self.model.steps(plain, windows, block, 0)
                if step.animals.size
            ]

        return [part for parts in self._map(work) for part in parts]

    # ---- what is near what --------------------------------------------------------------------------------------

    def _limits(self, passes: Passes) -> np.ndarray:
        """Metres [K] from each place beyond which its hazards are below the tolerance; where animals were seen more."""
        limit, seen = np.zeros(self.place.max(initial=-1) + 1), np.unique(self.model.encounters.linear.column)
        used = self.reach.exposed
        np.maximum.at(limit, self.place[used], self.reach.passes(passes)[used] * self.spacing)
        fall = np.full(seen.size, FURTHER - np.log(self.reach.tolerance))
        far = self.model.shape.reach(fall, passes.sigma[seen], passes.third[seen])
        np.maximum.at(limit, self.place[seen], far * self.spacing)
        return limit

    def _with_pairs(self, passes: Passes, limit: np.ndarray) -> GivenPasses:
        assert self.distances is not None, "distances are given by `at`"
        pairs = Pairs.of(self.distances.within(limit), self.blocks, self.spacing)
        here = GivenPasses(*passes[:5], self.place, pairs)
        if self.fixes is None:
            return here
        low = self._ground(here, self.fixes).least(self.blocks.cell.size)[self.blocks.cell]
        return here._replace(ranges=Ranges(low, np.full(low.size, np.inf)))

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

    def _ceiling(self, passes: GivenPasses) -> np.ndarray:
        """The same with the least that Z can be."""
        if self.fixes is None or passes.ranges is None:
            return self._peak(passes)
        return self._peak(passes) - self.fixes.count * passes.ranges.low.min()

    def _windows(self, passes: GivenPasses, best: np.ndarray | None, floor: np.ndarray | None) -> Windows:
        """Passes whose hazard matters in a block, and animals whose likelihood may."""
        near = self.reach.exposed & (passes.pairs.near[:, passes.place] <= self.reach.passes(passes)[None])
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

    def _beyond(self, passes: GivenPasses, log_a, log_mu, total: float) -> np.ndarray:
        """Relative bound [n] of what the cells beyond the limits of the detectors could add."""
        encounters, limit = self.model.encounters, passes.pairs.reached.limit
        seen, count, animal = encounters.linear.column, encounters.linear.entry, encounters.animal
        far = np.minimum(limit[passes.place[seen]] / self.spacing, 1e9)
        fall = count * self.model.shape.decay(far, passes.sigma[seen], passes.third[seen])
        least = np.full(encounters.n, np.inf)
        np.minimum.at(least, animal, np.where(np.isfinite(limit[passes.place[seen]]), fall, np.inf))
        peak = self._ceiling(passes)
        with np.errstate(invalid="ignore"):
            excess = np.log(max(total, 1e-300)) + peak - least - log_a
        bound = np.where(np.isinf(least), 0.0, np.exp(np.clip(np.nan_to_num(excess, nan=700.0), -700.0, 700.0)))
        for i in np.flatnonzero((bound > self.reach.tolerance) & np.isfinite(log_a)):
            mine = slice(*np.searchsorted(animal, [i, i + 1]))
            bound[i] = min(
                bound[i], self._beyond_some(passes, seen[mine], count[mine], fall[mine], peak[i] - log_a[i], log_mu)
            )
        return bound

    def _beyond_some(self, passes: GivenPasses, seen, count, fall, excess: float, log_mu) -> float:
        """The bound of one animal, cell by cell: detectors beyond whose limit a cell is have fallen by `fall` at least.

        seen, count, fall : of each of its detections; excess : log of the most that its likelihood can be, relative
        """
        reached, M = passes.pairs.reached, self.blocks.cell.size
        fallen, here = np.zeros(M), np.zeros(M, int)
        for g, times, most in zip(seen, count, fall, strict=True):
            part = slice(reached.start[passes.place[g]], reached.start[passes.place[g] + 1])
            d, cell, by = reached.metres[part] / self.spacing, reached.cell[part], np.full(M, most)
            by[cell] = np.minimum(times * self.model.shape.decay(d, passes.sigma[g], passes.third[g]), most)
            fallen += by
            here[cell] += 1
        out = (here < len(seen))[self.blocks.cell]
        with np.errstate(over="ignore"):
            return float(np.exp(np.minimum(excess + log_mu[out] - fallen[self.blocks.cell[out]], 700.0)).sum())

    def _wider(self, passes: GivenPasses, limit, log_a, total: float, short: np.ndarray) -> np.ndarray:
        """Limits that suffice for the animals `short` [n]; without end where nothing is known of them yet."""
        encounters, out = self.model.encounters, limit.copy()
        seen, count, animal = encounters.linear.column, encounters.linear.entry, encounters.animal
        peak = self._ceiling(passes)
        needed = peak - log_a + np.log(max(total, 1e-300)) - np.log(0.25 * self.reach.tolerance)
        events = np.flatnonzero(short[animal])
        c = needed[animal[events]] / count[events]
        far = self.model.shape.reach(np.minimum(c, 1e6), passes.sigma[seen[events]], passes.third[seen[events]])
        metres = np.where(np.isfinite(c), far * self.spacing, np.inf)
        np.maximum.at(out, passes.place[seen[events]], metres)
        return out


def _greatest(parts, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(cell [n], value [n]): where each animal's log mu f is greatest; -inf where it has none."""
    at, top = np.zeros(n, int), np.full(n, -np.inf)
    for animals, begin, log_f in parts:
        cell = log_f.argmax(axis=1)
        value = log_f[np.arange(len(animals)), cell]
        better = value > top[animals]
        at[animals[better]], top[animals[better]] = begin + cell[better], value[better]
    return at, top


def _csr(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and column of the True entries of [rows, columns]."""
    row, column = np.nonzero(mask)
    return np.searchsorted(row, np.arange(len(mask) + 1)), column


def pulled(engine: Any, at: Evaluation, d_log_a, d_detected) -> tuple:
    """`pullback` of any engine, and the derivatives by the cost of every cell, 0 where there is none."""
    if not hasattr(engine, "pullback_all"):
        return *engine.pullback(at, d_log_a, d_detected), 0.0
    over_mu, over_rows, over_cost = engine.pullback_all(at, d_log_a, d_detected)
    return over_mu, over_rows, over_cost if over_cost.size else 0.0
