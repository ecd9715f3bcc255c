"""The likelihood along the fast path: Gaussian hazards on tiles, where nearly everything is a small matrix product.

An animal's Poisson counts multiply to one Gaussian (precision Σ count/σ², centred at the weighted centroid),

    Σ_e count_e log(x_e h_e(m)) = peak_i − precision_i |m − c_i|²/2

so animals and detectors are the same kind of object, and log_a_i = peak_i + log Σ_m mu_m exp(−Λ(m)) Gaussian_i(m).
Binary and competing detections, and exposure that differs between animals, multiply this by local terms. Where the
Gaussian is a probability g (half-normal g0), hazards are −log(1 − g) and every detection has a local term, log h / g
at least. Animals whose sum underflows are handed to the radial path, which works in logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..kernels.spatial_curve import curve
from ..kernels.spatial_local import Local, sweep
from ..kernels.spatial_spread import catch, integrate, pull, spread
from ..kernels.spatial_tables import TILE, Gaussians, Tiles, fill_tables, gather
from .blockwise import BlockModel, Passes
from .curvature import Curvature
from .local import local_terms
from .over_blocks import NOBODY, BlockState, checked
from .problem import Raster
from .radial import RadialPath
from .windows import Blocks
from .workspace import WorkspacePool

# e-folds between an animal's centre and the edge of its first window, beyond what the field there asks for
EFOLDS = 31.0
LEAST, MOST = 31.0, 60.0
# sums below this have lost terms to underflow
FAINT = 1e-270
# cells × animals up to which the radial path's curvature, quick to compile, is also quick enough to run
SMALL = 3e6
# Work, in microseconds, per tile and per entry of the lists: of animals, of animals with local terms, of passes, of
# passes whose hazard is taken cell by cell. Measured; it decides how the work is cut, which changes no digit.
PER_TILE, PER_ANIMAL, PER_LOCAL, PER_PASS, PER_CHANCE = 4.0, 0.15, 2.5, 0.1, 1.0
# less than this is not worth a second thread
LITTLE = 300.0
# Gaussians from which their tables are
MANY = 400
# what the other direction of a sweep does not need
NONE, NONE_2 = np.empty(0), np.empty((0, 2))
# √2/2 cells: from a cell's centre to its corner
CORNER = 0.7072


class Lists(NamedTuple):
    """Gaussians by tile, as CSR."""

    start: np.ndarray  # int [T + 1]
    item: np.ndarray  # int [entries]
    gaussians: Gaussians


class PassLists(NamedTuple):
    """The passes by tile; Λ is the sum of weight · hazard."""

    start: np.ndarray
    item: np.ndarray
    gaussians: Gaussians
    weight: np.ndarray  # float [G]


@dataclass(frozen=True)
class Animals:
    """Each animal's product of detections as one Gaussian. Lengths in cells."""

    x: np.ndarray  # float [n]
    y: np.ndarray  # float [n]
    precision: np.ndarray  # float [n]
    peak: np.ndarray  # float [n], log of the product at the centre
    beyond: np.ndarray | float  # float [n], log of what the likelihood can be times the Gaussian


@dataclass(frozen=True)
class SeparableState:
    """What the derivatives need of an evaluation."""

    passes: Passes
    log_mu: np.ndarray  # float [M]
    near: PassLists
    unseen: np.ndarray  # float [T, 32, 32], mu exp(-Λ)
    centre: Animals
    windows: Lists  # the animals
    local: Local
    mass: np.ndarray  # float [n], Σ unseen · Gaussian · local terms; 0 for animals on the radial path
    along_x: np.ndarray  # float [n, 2], without local terms: Σ unseen · Gaussian (dx, dx²)
    faint: BlockState | None  # the animals whose mass underflows


class SeparablePath:
    """Integrals and derivatives of one problem with Gaussian hazards or probabilities."""

    def __init__(self, radial: RadialPath, raster: Raster):
        self.radial, self.model, self.workers = radial, radial.model, radial.workers
        self.blocks = self.model.blocks
        self.tiles = tiles_of(self.blocks, raster)
        self.tolerance = radial.reach.tolerance
        self._pool = WorkspacePool()
        self._local = local_terms(self.model)
        self._exposure = self.model.exposure @ self.model.void_weight
        self._plain = self._local.none and not self.model.probability
        self._small = self.blocks.cell.size * self.model.encounters.n <= SMALL
        # not False but None: kernels are not compiled for what is None
        self._chances = True if self.model.probability else None
        self._competing = True if len(self._local.ratio) else None

    @property
    def curvature_cost(self) -> float:
        """About how many gradients `curvature` costs, measured."""
        if self.model.probability:
            return 50.0
        return 16.0 if self._small else 6.0

    @staticmethod
    def serves(model: BlockModel) -> bool:
        """Whether the fast path covers this problem: every pass in use is one that the void is exposed to."""
        if model.encounters.own is not None:
            return False
        return bool(np.all((model.exposure @ model.void_weight > 0) | ~model.exposure.any(axis=1)))

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def evaluate(self, passes: Passes, log_mu: np.ndarray) -> tuple[np.ndarray, float, float, float, SeparableState]:
        """(log_a [n], detected, total, bound, state)."""
        workspace = self._pool.take()
        with self.workers.one_blas_thread():
            near = self._near(workspace, passes)
            unseen = workspace.array("unseen", len(self.blocks), TILE, TILE)
            sums = np.empty((len(self.blocks), 3))
            pieces = self._pieces(near)
            self._over(pieces, spread, log_mu, near, self._chances, unseen, sums)
            detected, total = sums[:, :2].sum(axis=0)
            checked(total)
            ceiling = float(sums[:, 2].max())
            centre = self._collapse(passes)
            radius = self._first_radius(centre, unseen, ceiling)
            windows, local, mass, along_x = self._integrate(workspace, centre, radius, unseen, near)
            bound = _bound(centre, radius, mass, ceiling)
            short = (bound > self.tolerance) & (mass > FAINT)
            if short.any():
                radius = np.where(short, _sufficient(centre, mass, ceiling, self.tolerance), radius)
                windows, local, mass, along_x = self._integrate(workspace, centre, radius, unseen, near)
                bound = _bound(centre, radius, mass, ceiling)
            worst = float(bound.max(initial=0.0, where=mass > FAINT))
        faint = ~(mass > FAINT)
        mass[faint] = 0.0
        with np.errstate(divide="ignore"):
            log_a = centre.peak + np.log(mass)
        afar = None
        if faint.any():
            others, *_, afar_bound, afar = self.radial.evaluate(passes, log_mu, only=faint)
            log_a, worst = np.where(faint, others, log_a), max(worst, afar_bound)
            local = self._local.at(np.where(faint, -1.0, radius))  # no rows of any tile: nothing to overflow
        state = SeparableState(passes, log_mu, near, unseen, centre, windows, local, mass, along_x, afar)
        self._pool.give_back_with(state, workspace)
        return log_a, float(detected), float(total), worst, state

    def _near(self, workspace, passes: Passes) -> PassLists:
        """The passes as Gaussians: of hazards with their exposure, or of probabilities with the exposure beside."""
        scale, reach = np.exp(passes.log_scale), self.radial.reach.passes(passes)
        weight = np.ones_like(scale)
        if self.model.probability:
            weight = self._exposure
        else:
            scale *= self._exposure
        return PassLists(
            *self._lists(workspace, "passes", passes.x, passes.y, passes.sigma**-2.0, scale, reach), weight
        )

    def _collapse(self, passes: Passes) -> Animals:
        """The Gaussian of each animal's detections."""
        encounters = self.model.encounters
        n, animal = encounters.n, encounters.animal
        seen, count = encounters.linear.column, encounters.linear.entry
        precision = count / passes.sigma[seen] ** 2

        def total(weight):
            return np.bincount(animal, weight, minlength=n)

        whole = total(precision)
        x, y = total(precision * passes.x[seen]) / whole, total(precision * passes.y[seen]) / whole
        spread = (passes.x[seen] - x[animal]) ** 2 + (passes.y[seen] - y[animal]) ** 2
        peak = encounters.constant + total(count * passes.log_scale[seen] - 0.5 * precision * spread)
        if not self.model.probability:
            return Animals(x, y, whole, peak, 0.0)
        # a detection is at most as likely as its hazard, which is at most h(g0)/g0 times the Gaussian
        beyond = np.log(-np.log1p(-np.minimum(np.exp(passes.log_scale), 1.0 - 2.0**-53))) - passes.log_scale
        return Animals(x, y, whole, peak, total(count * beyond[seen]))

    def _first_radius(self, centre: Animals, unseen: np.ndarray, log_ceiling: float) -> np.ndarray:
        """A radius [n] that nearly always suffices: wider where the field at the centre says the mass is elsewhere."""
        ny, nx = self.blocks.block_at.shape
        column = np.clip(np.rint(centre.x), 0, nx * TILE - 1).astype(int)
        row = np.clip(np.rint(centre.y), 0, ny * TILE - 1).astype(int)
        tile = self.blocks.block_at[row // TILE, column // TILE]
        here = np.where(tile >= 0, unseen[tile, row % TILE, column % TILE], 0.0)
        folds = EFOLDS + log_ceiling - np.log(np.maximum(here, 1e-300))
        return np.sqrt(2.0 * np.clip(folds, LEAST, MOST) / centre.precision) + 2 * CORNER

    def _integrate(self, workspace, centre, radius, unseen, near) -> tuple[Lists, Local, np.ndarray, np.ndarray]:
        """The animals' windows, their local terms, their masses [n] and, if these are plain, moments along x [n, 2]."""
        ones = np.ones_like(radius)
        windows = self._lists(workspace, "animals", centre.x, centre.y, centre.precision, ones, radius)
        parts = workspace.array("parts", windows.item.size, 3 if self._plain else 1)
        local = self._local.at(radius)
        pieces = self._pieces(near, windows)
        if self._plain:
            self._over(pieces, integrate, unseen, windows, parts)
        else:
            before = (unseen, windows, NONE, near, 0.0, self._chances, self._competing, local, NOBODY)
            self._over(pieces, sweep, False, NONE, *before, parts[:, 0], NONE, NONE_2, NONE_2, NONE_2)
        sums = np.zeros((centre.x.size, parts.shape[1]))
        gather(windows.item, parts, sums)
        return windows, local, sums[:, 0].copy(), sums[:, 1:]

    def _lists(self, workspace, name: str, x, y, precision, weight, radius) -> Lists:
        """Tables over the tiles within `radius` of each centre, and the Gaussians by tile."""
        ny, nx = self.blocks.block_at.shape
        first_x, n_x = _extent(x, radius, nx)
        first_y, n_y = _extent(y, radius, ny)
        rows = np.cumsum(n_x + n_y)
        base_x, base_y = rows - (n_x + n_y), rows - n_y
        centre = np.stack([x, y, precision], axis=1)
        span = np.stack([base_x - first_x, base_y - first_y, first_x, n_x, first_y, n_y], axis=1)
        g = Gaussians(centre, span, workspace.array(name, int(rows[-1]) if rows.size else 0, TILE))
        pieces = 2 * self.workers.threads if x.size > MANY else 1
        edges = [x.size * k // pieces for k in range(pieces + 1)]
        tasks: list[Callable[[], Any]] = [lambda: self.blocks.cover(x, y, radius)]
        tasks += [lambda k=k: fill_tables(g, weight, edges[k], edges[k + 1]) for k in range(pieces)]
        found = self.workers.map(lambda task: task(), tasks) if x.size > MANY else [task() for task in tasks]
        start, item = found[0]
        return Lists(start, item, g)

    # ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pullback(self, state: SeparableState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3]) by log mu and by (log scale, log σ, third) of every pass."""
        d_log_mu, d_passes = self._without_faint(state, d_log_a, d_detected)
        if state.faint is not None:
            more = self.radial.pullback(state.faint, d_log_a, 0.0)
            d_log_mu, d_passes = d_log_mu + more[0], d_passes + more[1]
        return d_log_mu, d_passes

    def _without_faint(self, state: SeparableState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """`pullback` but for the animals on the radial path."""
        near, windows, passes = state.near, state.windows, state.passes
        present = state.mass > 0.0
        d_present = np.where(present, d_log_a, 0.0)
        share = d_present / np.where(present, state.mass, 1.0)
        d_log_mu = np.empty(state.log_mu.size)
        scratch = self._pool.take()
        of_passes = scratch.array("of passes", near.item.size, 2)
        of_animals = scratch.array("of animals", windows.item.size, 3)
        before = (state.log_mu, state.unseen, windows, share, near, d_detected)
        moments = np.zeros((passes.x.size, 2))
        pieces = self._pieces(near, windows)
        with self.workers.one_blas_thread():
            if self._plain:
                self._over(pieces, pull, *before, d_log_mu, of_animals, of_passes)
            else:
                first, trial_pass = self._local.trials_of(windows.item)
                of_trials = scratch.array("of trials", trial_pass.size, 2)
                after = (NONE, d_log_mu, of_animals, of_passes, of_trials)
                kinds = (self._chances, self._competing)
                self._over(pieces, sweep, True, *before, *kinds, state.local, first, *after)
                gather(trial_pass, of_trials, moments)
        gather(near.item, of_passes, moments)
        d_passes = np.zeros((passes.x.size, 3))
        d_passes[:, 0] = moments[:, 0]
        d_passes[:, 1] = moments[:, 1] / passes.sigma**2
        moments = np.zeros((state.mass.size, 3))
        gather(windows.item, of_animals, moments)
        if self._plain:  # share times Σ q, Σ q dy, Σ q dy²: the rest is known
            dx, dxx = (share[:, None] * state.along_x).T
            _, dy, dyy = moments.T
            around = dx, dy, dxx + dyy
        else:
            around = (moments * share[:, None]).T
        self._add_detections(state, d_present, around, d_passes)
        self._pool.give_back(scratch)
        return d_log_mu, d_passes

    def _add_detections(self, state: SeparableState, d_log_a, around, d_passes) -> None:
        """The derivatives of Σ count (log λ − d²/2σ²) under the animals' posteriors; around [3] of [n]: their Σ q dx,
        Σ q dy and Σ q d² from their centres."""
        encounters, centre, passes = self.model.encounters, state.centre, state.passes
        animal, seen, count = encounters.animal, encounters.linear.column, encounters.linear.entry
        off_x, off_y = centre.x[animal] - passes.x[seen], centre.y[animal] - passes.y[seen]
        dx, dy, square = (moment[animal] for moment in around)
        square = square + 2 * (off_x * dx + off_y * dy) + d_log_a[animal] * (off_x**2 + off_y**2)
        size = len(d_passes)
        d_passes[:, 0] += np.bincount(seen, count * d_log_a[animal], minlength=size)
        d_passes[:, 1] += np.bincount(seen, count * square, minlength=size) / passes.sigma**2

    def curvature(self, state: SeparableState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """Second derivatives along directions along_mu [M, P] and along [G, 3, P]."""
        if self.model.probability or self._small:
            *_, radial = self.radial.evaluate(state.passes, state.log_mu)
            return self.radial.curvature(radial, d_log_a, d_detected, along_mu, along)
        return self._curvature_on_tiles(state, d_log_a, d_detected, along_mu, along)

    def _curvature_on_tiles(self, state: SeparableState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """As `curvature`; the animals that underflow are added from the radial path."""
        near, windows, passes = state.near, state.windows, state.passes
        size, blocks = along_mu.shape[1], len(self.blocks)
        moving = np.flatnonzero(along[:, :2].any(axis=(0, 1)))
        log_scale, log_sigma = along[:, 0, moving].T.copy(), along[:, 1, moving].T / passes.sigma**2
        present = state.mass > 0.0
        inverse = np.where(present, 1.0 / np.where(present, state.mass, 1.0), 0.0)
        share = d_log_a * inverse
        of_entries, squares = np.zeros((windows.item.size, size)), np.zeros((near.item.size, 3))
        detected, second = np.zeros((blocks, size)), np.zeros((blocks, size, size))
        own = np.zeros((blocks, moving.size, moving.size))
        before = (state.log_mu, state.unseen, windows, share, near, d_detected, state.local)
        directions = (np.ascontiguousarray(along_mu).T, moving, log_scale, log_sigma)
        quadratic = self._quadratic(state, log_scale, log_sigma)
        with self.workers.one_blas_thread():
            pieces = self._pieces(near, windows)
            self._over(pieces, curve, *before, *directions, quadratic, of_entries, squares, detected, second, own)
        first, moments = np.zeros((state.mass.size, size)), np.zeros((passes.x.size, 3))
        gather(windows.item, of_entries, first)
        gather(near.item, squares, moments)
        first *= inverse[:, None]
        whole = second.sum(axis=0)
        own = own.sum(axis=0)
        whole[np.ix_(moving, moving)] += own + np.tril(own, -1).T
        whole -= (first * d_log_a[:, None]).T @ first
        _, slopes = self._without_faint(state, d_log_a, d_detected)
        whole[np.ix_(moving, moving)] += _of_hazards(moments, slopes, log_scale, log_sigma, passes.sigma)
        found = Curvature(first, detected.sum(axis=0), whole)
        if state.faint is None:
            return found
        more = self.radial.curvature(state.faint, d_log_a, 0.0, along_mu, along)
        return Curvature(found.log_a + more.log_a, found.detected, found.second + more.second)

    def _quadratic(self, state: SeparableState, log_scale, log_sigma) -> np.ndarray:
        """[n, D, 4]: Σ count (∂log λ + ∂log σ d²/σ²) of each animal as a polynomial around its centre."""
        encounters, centre, passes = self.model.encounters, state.centre, state.passes
        animal, seen, count = encounters.animal, encounters.linear.column, encounters.linear.entry
        off_x, off_y = centre.x[animal] - passes.x[seen], centre.y[animal] - passes.y[seen]
        out = np.empty((encounters.n, len(log_scale), 4))
        for j, (a, b) in enumerate(zip(log_scale[:, seen], log_sigma[:, seen], strict=True)):
            terms = (a + b * (off_x**2 + off_y**2), 2 * b * off_x, 2 * b * off_y, b)
            out[:, j] = np.stack([np.bincount(animal, count * term, minlength=encounters.n) for term in terms], axis=1)
        return out

    # ── views ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        workspace, caught = self._pool.take(), np.empty(self.blocks.cell.size)
        with self.workers.one_blas_thread():
            near = self._near(workspace, passes)
            self._over(self._pieces(near), catch, near, self._chances, caught)
        self._pool.give_back(workspace)
        return caught

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several."""
        return self.radial.log_posterior(passes, log_mu, animal)

    def _pieces(self, near: PassLists, windows: Lists | None = None) -> list[tuple[int, int]]:
        """The tiles cut into runs of about the same work, as many as are worth a thread."""
        threads = self.workers.threads
        if threads == 1:
            return [(0, len(self.blocks))]
        cost = np.full(len(self.blocks), PER_TILE)
        cost += (PER_CHANCE if self.model.probability else PER_PASS) * np.diff(near.start)
        if windows is not None:
            cost += (PER_ANIMAL if self._plain else PER_LOCAL) * np.diff(windows.start)
        done = np.cumsum(cost)
        if done[-1] < LITTLE:
            return [(0, len(self.blocks))]
        n = threads if done[-1] < 10 * LITTLE else 4 * threads  # more pieces than threads even out what was guessed
        edges = np.searchsorted(done, done[-1] * np.arange(1, n) / n)
        edges = np.unique(np.concatenate([[0], edges, [len(self.blocks)]]))
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    def _over(self, pieces, stage, *arguments) -> None:
        """stage(tiles, t0, t1, ...) over all tiles."""
        plain = [tuple(a) if isinstance(a, Lists | PassLists) else a for a in arguments]
        self.workers.map(lambda piece: stage(self.tiles, *piece, *plain), pieces)


def _of_hazards(moments, slopes, log_scale, log_sigma, sigma) -> np.ndarray:
    """[D, D] what the second derivatives of the hazards add, h = λ exp(−d²/2σ²).

    moments [G, 3]: of (derivative by Λ) · h with 1, d², d⁴; slopes [G, 3]: the gradient by log λ and log σ. Directions
    are straight in λ and σ, so ∂²log λ = −∂log λ ∂log λ' and likewise for σ.
    """
    zero, two, four = moments.T
    ss, st, tt = (
        (a * weight) @ b.T
        for a, weight, b in [
            (log_scale, zero - slopes[:, 0], log_scale),
            (log_scale, two, log_sigma),
            (log_sigma, four - 3 * slopes[:, 1] * sigma**4, log_sigma),
        ]
    )
    return ss + st + st.T + tt


def tiles_of(blocks: Blocks, raster: Raster) -> Tiles:
    """Where each block's rows of habitat begin among the cells, and which of their 32 columns are habitat."""
    ny, nx = blocks.block_at.shape
    padded = np.zeros((ny * TILE, nx * TILE), bool)
    padded[: raster.habitat.shape[0], : raster.habitat.shape[1]] = raster.habitat
    bits = np.packbits(padded, axis=1, bitorder="little").reshape(ny, TILE, nx, TILE // 8).view("<u4")[..., 0]
    before = np.cumsum(padded.reshape(-1, TILE).sum(axis=1)).reshape(ny, TILE, nx)
    first = before - padded.reshape(ny, TILE, nx, TILE).sum(axis=3)
    row, column = np.nonzero(blocks.block_at >= 0)
    order = np.argsort(blocks.block_at[row, column])
    row, column = row[order], column[order]
    place = np.stack([column, row], axis=1)
    return Tiles(
        place, first.transpose(0, 2, 1)[row, column].copy(), bits.transpose(0, 2, 1)[row, column].astype(np.int64)
    )


def _extent(centre, radius, n_tiles) -> tuple[np.ndarray, np.ndarray]:
    """First tile and number of tiles for each Gaussian, along one axis."""
    # truncation towards zero is harmless: negative places are clipped to tile 0 anyway
    reach = np.minimum(radius, 1e9)
    first = np.minimum(np.maximum((centre - reach) / TILE, 0.0), n_tiles - 1).astype(np.int64)
    last = np.minimum(np.maximum((centre + reach) / TILE, 0.0), n_tiles - 1).astype(np.int64)
    return first, last - first + 1


def _log_tail(centre: Animals, log_ceiling: float, rim: np.ndarray) -> np.ndarray:
    """log of a bound of Σ mu Gaussian over the cells farther than rim + √2 from the centre.

    Each cell's Gaussian is at most its integral over the cell with distances shortened by half a diagonal h, and
    ∫_s^∞ (r + h) exp(−τr²/2) dr ≤ exp(−τs²/2) (1 + h/s)/τ.
    """
    tau = centre.precision
    return centre.beyond + log_ceiling + np.log(2 * np.pi / tau * (1 + CORNER / rim)) - 0.5 * tau * rim**2


def _bound(centre: Animals, radius: np.ndarray, mass: np.ndarray, log_ceiling: float) -> np.ndarray:
    """Relative error bound [n] of each mass."""
    rim = np.maximum(radius - 2 * CORNER, 1e-3)
    return np.exp(np.minimum(_log_tail(centre, log_ceiling, rim) - np.log(np.maximum(mass, FAINT)), 700.0))


def _sufficient(centre: Animals, mass: np.ndarray, log_ceiling: float, tolerance: float) -> np.ndarray:
    """The radius [n] at which the bound falls to half the tolerance, the mass being at least what it is now."""
    at_one = _log_tail(centre, log_ceiling, np.ones_like(mass)) + 0.5 * centre.precision
    folds = at_one - np.log(np.maximum(mass, FAINT)) - np.log(0.5 * tolerance)
    return np.maximum(np.sqrt(2 * np.maximum(folds, 0.0) / centre.precision), 1.0) + 2 * CORNER
