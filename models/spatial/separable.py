"""The likelihood along the fast path: Gaussian hazards on tiles, where everything is a small matrix product.

An animal's Poisson counts multiply to one Gaussian (precision Σ count/σ², centred at the weighted centroid),

    Σ_e count_e log(x_e h_e(m)) = peak_i − precision_i |m − c_i|²/2

so animals and detectors are the same kind of object, and log_a_i = peak_i + log Σ_m mu_m exp(−Λ(m)) Gaussian_i(m).
Animals whose sum underflows are handed to the radial path, which works in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels import spatial_tiles as kernel
from ..kernels.spatial_tiles import TILE, Gaussians, Tiles
from .blockwise import BlockModel, Passes
from .problem import Raster
from .radial import RadialPath, RadialState
from .windows import Blocks

# e-folds between an animal's centre and the edge of its first window, beyond what the field there asks for
EFOLDS = 31.0
LEAST, MOST = 31.0, 60.0
# sums below this have lost terms to underflow
FAINT = 1e-270
# √2/2 cells: from a cell's centre to its corner
CORNER = 0.7072


@dataclass(frozen=True)
class Lists:
    """Items by tile, as CSR."""

    start: np.ndarray  # int [T + 1]
    item: np.ndarray  # int [entries]


@dataclass(frozen=True)
class Animals:
    """Each animal's product of detections as one Gaussian. Lengths in cells."""

    x: np.ndarray  # float [n]
    y: np.ndarray  # float [n]
    precision: np.ndarray  # float [n]
    peak: np.ndarray  # float [n], log of the product at the centre


@dataclass(frozen=True)
class SeparableState:
    """What the derivatives need of an evaluation."""

    passes: Passes
    log_mu: np.ndarray  # float [M]
    detectors: Gaussians
    near: Lists
    unseen: np.ndarray  # float [T, 32, 32], mu exp(-Λ)
    centre: Animals
    animals: Gaussians
    windows: Lists
    mass: np.ndarray  # float [n], Σ unseen · Gaussian; 0 for animals on the radial path
    faint: RadialState | None  # the animals whose mass underflows
    log_a: np.ndarray  # float [n]


class SeparablePath:
    """Integrals and derivatives of one problem with Gaussian hazards and counts."""

    def __init__(self, radial: RadialPath, raster: Raster):
        self.radial, self.model, self.workers = radial, radial.model, radial.workers
        self.blocks = self.model.blocks
        self.tiles = tiles_of(self.blocks, raster)
        # a cover of every tile is found once per evaluation; chunks of tiles are the pieces of parallel work
        size = max(1, min(TILE, len(self.blocks) // 12))
        edges = np.append(np.arange(0, len(self.blocks), size), len(self.blocks))
        self.chunks = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    @staticmethod
    def serves(model: BlockModel) -> bool:
        """Whether the fast path covers this problem: counts, and every animal exposed like all others."""
        return model.weight is None and model.encounters.caught is None and not model.encounters.trial_pass.size

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def evaluate(self, passes: Passes, log_mu: np.ndarray) -> tuple[np.ndarray, float, float, float, SeparableState]:
        """(log_a [n], detected, total, bound, state)."""
        with self.workers.one_blas_thread():
            hazard = np.exp(passes.log_scale) * (self.model.exposure @ self.model.void_weight)
            reach = self.radial.reach.passes(passes)
            detectors, near = self._gaussians(passes.x, passes.y, passes.sigma**-2.0, hazard, reach)
            unseen = np.empty((len(self.blocks), TILE, TILE))
            sums = np.empty((len(self.blocks), 2))
            self._over_chunks(kernel.spread, log_mu, near.start, near.item, detectors, unseen, sums)
            detected, total = sums.sum(axis=0)
            log_ceiling = float(log_mu.max())
            centre = self._collapse(passes)
            radius = self._first_radius(centre, unseen, log_ceiling)
            animals, windows, mass = self._integrate(centre, radius, unseen)
            bound = _bound(centre, radius, mass, log_ceiling)
            short = (bound > self.radial.reach.tolerance) & (mass > FAINT)
            if short.any():
                needed = _sufficient(centre, mass, log_ceiling, self.radial.reach.tolerance)
                radius = np.where(short, needed, radius)
                animals, windows, mass = self._integrate(centre, radius, unseen)
                bound = _bound(centre, radius, mass, log_ceiling)
        faint = np.flatnonzero(mass <= FAINT)
        state = None
        mass[faint] = 0.0
        with np.errstate(divide="ignore"):
            log_a = centre.peak + np.log(mass)
        if faint.size:
            state = self.radial.everywhere(passes, log_mu, faint)
            log_a[faint], bound[faint] = state.log_a[faint], 0.0
        everything = SeparableState(
            passes, log_mu, detectors, near, unseen, centre, animals, windows, mass, state, log_a
        )
        return log_a, float(detected), float(total), float(bound.max(initial=0.0)), everything

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
        return Animals(x, y, whole, peak)

    def _first_radius(self, centre: Animals, unseen: np.ndarray, log_ceiling: float) -> np.ndarray:
        """A radius [n] that nearly always suffices: wider where the field at the centre says the mass is elsewhere."""
        ny, nx = self.blocks.block_at.shape
        column = np.clip(np.rint(centre.x), 0, nx * TILE - 1).astype(int)
        row = np.clip(np.rint(centre.y), 0, ny * TILE - 1).astype(int)
        tile = self.blocks.block_at[row // TILE, column // TILE]
        here = np.where(tile >= 0, unseen[tile, row % TILE, column % TILE], 0.0)
        folds = EFOLDS + log_ceiling - np.log(np.maximum(here, 1e-300))
        return np.sqrt(2.0 * np.clip(folds, LEAST, MOST) / centre.precision) + 2 * CORNER

    def _integrate(self, centre: Animals, radius, unseen) -> tuple[Gaussians, Lists, np.ndarray]:
        """The animals' tables and windows, and their masses [n]."""
        animals, windows = self._gaussians(centre.x, centre.y, centre.precision, np.ones_like(radius), radius)
        parts = np.empty((windows.item.size, 1))
        self._over_chunks(kernel.integrate, unseen, windows.start, windows.item, animals, parts[:, 0])
        mass = np.zeros((centre.x.size, 1))
        kernel.gather(windows.item, parts, mass)
        return animals, windows, mass[:, 0]

    def _gaussians(self, x, y, precision, weight, radius) -> tuple[Gaussians, Lists]:
        """Tables over the tiles within `radius` of each centre, and the lists of Gaussians by tile."""
        ny, nx = self.blocks.block_at.shape
        first_x, n_x, base_x = _extent(x, radius, nx)
        first_y, n_y, base_y = _extent(y, radius, ny)
        table_x, table_y = (np.empty((int(n.sum()), TILE)) for n in (n_x, n_y))
        pieces = np.linspace(0, x.size, 9).astype(int)

        def fill(piece):
            k0, k1 = pieces[piece], pieces[piece + 1]
            kernel.fill_tables(x, precision, np.ones_like(x), first_x, n_x, base_x, k0, k1, table_x)
            kernel.fill_tables(y, precision, weight, first_y, n_y, base_y, k0, k1, table_y)

        self.workers.map(fill, range(8))
        g = Gaussians(x, y, precision, first_x, n_x, base_x, first_y, n_y, base_y, table_x, table_y)
        return g, Lists(*self.blocks.cover(x, y, radius))

    # ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pullback(self, state: SeparableState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 3]) by log mu and by (log scale, log σ, third) of every pass."""
        present = state.mass > 0.0
        share = np.where(present, d_log_a / np.where(present, state.mass, 1.0), 0.0)
        d_log_mu = np.empty(state.log_mu.size)
        near, windows = state.near, state.windows
        from_fields = np.empty((near.item.size, 4))
        from_animals = np.empty((windows.item.size, 4))

        animals = (windows.start, windows.item, state.animals)
        detectors = (near.start, near.item, state.detectors)
        fields = (state.log_mu, state.unseen)
        out = (d_log_mu, from_animals, from_fields)
        with self.workers.one_blas_thread():
            self._over_chunks(kernel.pull, *fields, animals, share, detectors, d_detected, *out)
        fields, moments = np.zeros((near_size(state), 4)), np.zeros((state.mass.size, 4))
        kernel.gather(near.item, from_fields, fields)
        kernel.gather(windows.item, from_animals, moments)
        d_passes = np.zeros((state.passes.x.size, 3))
        d_passes[:, 0] = fields[:, 0]
        d_passes[:, 1] = fields[:, 3] / state.passes.sigma**2
        self._add_detections(state, np.where(present, d_log_a, 0.0), moments * share[:, None], d_passes)
        if state.faint is not None:
            more = self.radial.pullback(state.faint, d_log_a, 0.0)
            d_log_mu, d_passes = d_log_mu + more[0], d_passes + more[1]
        return d_log_mu, d_passes

    def _add_detections(self, state: SeparableState, d_log_a, moments, d_passes) -> None:
        """The derivatives of Σ count (log λ − d²/2σ²) under the animals' posteriors, moments [n, 4] around centres."""
        encounters, centre, passes = self.model.encounters, state.centre, state.passes
        animal, seen, count = encounters.animal, encounters.linear.column, encounters.linear.entry
        off_x, off_y = centre.x[animal] - passes.x[seen], centre.y[animal] - passes.y[seen]
        _, dx, dy, square = moments[animal].T
        square = square + 2 * (off_x * dx + off_y * dy) + d_log_a[animal] * (off_x**2 + off_y**2)
        size = len(d_passes)
        d_passes[:, 0] += np.bincount(seen, count * d_log_a[animal], minlength=size)
        d_passes[:, 1] += np.bincount(seen, count * square, minlength=size) / passes.sigma**2

    def curvature(self, state: SeparableState, d_log_a, d_detected, along_mu, along):
        """Second derivatives along directions along_mu [M, P] and along [G, 3, P]."""
        *_, radial = self.radial.evaluate(state.passes, state.log_mu)
        return self.radial.curvature(radial, d_log_a, d_detected, along_mu, along)

    # ── views ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        return self.radial.detection_probability(passes)

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal."""
        return self.radial.log_posterior(passes, log_mu, animal)

    def _over_chunks(self, stage, *arguments) -> None:
        """stage(tiles, t0, t1, ...) over all tiles."""
        self.workers.map(lambda chunk: stage(self.tiles, *chunk, *arguments), self.chunks)


def near_size(state: SeparableState) -> int:
    """G, the number of passes."""
    return state.passes.x.size


def tiles_of(blocks: Blocks, raster: Raster) -> Tiles:
    """Where each block's rows of habitat begin among the cells, and which of their 32 columns are habitat."""
    ny, nx = blocks.block_at.shape
    padded = np.zeros((ny * TILE, nx * TILE), bool)
    padded[: raster.habitat.shape[0], : raster.habitat.shape[1]] = raster.habitat
    bits = np.packbits(padded, axis=1, bitorder="little").reshape(ny, TILE, nx, TILE // 8).view("<u4")[..., 0]
    before = np.cumsum(padded.reshape(-1, TILE).sum(axis=1)).reshape(ny, TILE, nx)
    first = before - padded.reshape(ny, TILE, nx, TILE).sum(axis=3)
    row, column = np.nonzero(blocks.block_at >= 0)
    place = np.stack([column, row], axis=1)
    return Tiles(
        place, first.transpose(0, 2, 1)[row, column].copy(), bits.transpose(0, 2, 1)[row, column].astype(np.int64)
    )


def _extent(centre, radius, n_tiles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First tile, number of tiles and first row of the table for each Gaussian, along one axis."""
    reach = np.clip(radius, -1.0, 1e9)
    first = np.clip(np.floor((centre - reach) / TILE), 0, n_tiles - 1).astype(np.int64)
    last = np.clip(np.floor((centre + reach) / TILE), 0, n_tiles - 1).astype(np.int64)
    n = last - first + 1
    return first, n, np.cumsum(n) - n


def _log_tail(centre: Animals, log_ceiling: float, rim: np.ndarray) -> np.ndarray:
    """log of a bound of Σ mu Gaussian over the cells farther than rim + √2 from the centre.

    Each cell's Gaussian is at most its integral over the cell with distances shortened by half a diagonal h, and
    ∫_s^∞ (r + h) exp(−τr²/2) dr ≤ exp(−τs²/2) (1 + h/s)/τ.
    """
    tau = centre.precision
    return log_ceiling + np.log(2 * np.pi / tau * (1 + CORNER / rim)) - 0.5 * tau * rim**2


def _bound(centre: Animals, radius: np.ndarray, mass: np.ndarray, log_ceiling: float) -> np.ndarray:
    """Relative error bound [n] of each mass."""
    rim = np.maximum(radius - 2 * CORNER, 1e-3)
    return np.exp(np.minimum(_log_tail(centre, log_ceiling, rim) - np.log(np.maximum(mass, FAINT)), 700.0))


def _sufficient(centre: Animals, mass: np.ndarray, log_ceiling: float, tolerance: float) -> np.ndarray:
    """The radius [n] at which the bound falls to half the tolerance, the mass being at least what it is now."""
    at_one = _log_tail(centre, log_ceiling, np.ones_like(mass)) + 0.5 * centre.precision
    folds = at_one - np.log(np.maximum(mass, FAINT)) - np.log(0.5 * tolerance)
    return np.maximum(np.sqrt(2 * np.maximum(folds, 0.0) / centre.precision), 1.0) + 2 * CORNER
