"""The likelihood along the fast path: Gaussian hazards on tiles, where nearly everything is a small matrix product.

An animal's Poisson counts multiply to one Gaussian (precision Σ count/σ², centred at the weighted centroid),

    Σ_e count_e log(x_e h_e(m)) = peak_i − precision_i |m − c_i|²/2

so animals and detectors are the same kind of object, and log_a_i = peak_i + log Σ_m mu_m exp(−Λ(m)) Gaussian_i(m).
Binary and competing detections, and exposure that differs between animals, multiply this by local terms. Where the
Gaussian is a probability g (half-normal g0), hazards are −log(1 − g) and every detection has a local term, log h / g
at least. Animals whose sum underflows are handed to the radial path, which works in logarithms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...kernels.spatial_bend import bend
from ...kernels.spatial_cover import boxes
from ...kernels.spatial_events import certify, collapse, first_radius, lay_out, to_passes
from ...kernels.spatial_local import Local, sweep
from ...kernels.spatial_products import TILE
from ...kernels.spatial_scores import bend_local
from ...kernels.spatial_spread import catch, integrate, pull, spread
from ...kernels.spatial_tables import Gaussians, Tiles, fill_tables, gather
from .blockwise import BlockModel, Passes
from .curvature import Curvature
from .density import Covariates, Density, design_of
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
# cells × animals up to which the radial path's curvature, quick to compile, is also quick enough to run: of hazards, of
# probabilities
SMALL, SMALL_CHANCES = 3e6, 1e5
# Work, in microseconds, per tile and per entry of the lists: of animals, of animals with local terms, of passes, of
# passes whose hazard is taken cell by cell. Measured; it decides how the work is cut, which changes no digit.
PER_TILE, PER_ANIMAL, PER_LOCAL, PER_PASS, PER_CHANCE = 2.5, 0.1, 1.2, 0.06, 1.0
# less than this is not worth a second thread; fewer tiles for each thread cannot be shared evenly
LITTLE, FEW = 150.0, 8
# Gaussians from which their tables are; from which more pieces than threads even out what was guessed; what it takes
# to list Gaussians by tile, in units of what their tables take
MANY, EVEN_MORE, COVER = 100, 4000, 0.65
# what the other direction of a sweep does not need
NONE, NONE_2 = np.empty(0), np.empty((0, 2))
# √2/2 cells: from a cell's centre to its corner
CORNER = 0.7072


class Lists(NamedTuple):
    """Gaussians by tile, as CSR."""

    start: np.ndarray  # int [T + 1]
    item: np.ndarray  # int [entries]
    box: np.ndarray  # int32 [entries], the part of the tile that each reaches
    gaussians: Gaussians


class PassLists(NamedTuple):
    """The passes by tile; Λ is the sum of weight · hazard."""

    start: np.ndarray
    item: np.ndarray
    box: np.ndarray
    gaussians: Gaussians
    weight: np.ndarray  # float [G]


@dataclass(frozen=True)
class Animals:
    """Each animal's product of detections as one Gaussian. Lengths in cells."""

    x: np.ndarray  # float [n]
    y: np.ndarray  # float [n]
    precision: np.ndarray  # float [n]
    peak: np.ndarray  # float [n], log of the product at the centre
    beyond: np.ndarray  # float [n], log of what the likelihood can be times the Gaussian


@dataclass(frozen=True)
class SeparableState:
    """What the derivatives need of an evaluation."""

    passes: Passes
    density: Density
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
        self._counting = np.arange(len(self.blocks) + 1.0)
        self._pool = WorkspacePool()
        self._local = local_terms(self.model)
        self._exposure = self.model.exposure @ self.model.void_weight
        self._weight = self._exposure if self.model.probability else np.ones_like(self._exposure)
        self._one_each = np.ones(self.model.encounters.n)
        self._plain = self._local.none and not self.model.probability
        small = SMALL_CHANCES if self.model.probability else SMALL
        self._small = self.blocks.cell.size * self.model.encounters.n <= small
        # not False but None: kernels are not compiled for what is None
        self._chances = True if self.model.probability else None
        self._competing = True if len(self._local.ratio) else None

    @property
    def curvature_cost(self) -> float:
        """About how many gradients `curvature` costs, measured."""
        if self._small:
            return 50.0 if self.model.probability else 16.0
        return 2.0

    @staticmethod
    def serves(model: BlockModel) -> bool:
        """Whether the fast path covers this problem: every pass in use is one that the void is exposed to."""
        if model.encounters.own is not None:
            return False
        return bool(np.all((model.exposure @ model.void_weight > 0) | ~model.exposure.any(axis=1)))

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def evaluate(self, passes: Passes, density: Density) -> tuple[np.ndarray, float, float, float, SeparableState]:
        """(log_a [n], detected, total, bound, state)."""
        workspace = self._pool.take()
        near, outline = self._near(workspace, passes)
        unseen = workspace.array("unseen", len(self.blocks), TILE, TILE)
        sums = np.empty((len(self.blocks), 3))
        pieces = self._pieces(near)
        self._over(pieces, spread, density.terms, near, self._chances, unseen, sums, first=outline)
        detected, total, _ = sums.sum(axis=0).tolist()
        checked(total)
        ceiling = float(sums[:, 2].max())
        centre = self._collapse(passes)
        radius = self._first_radius(centre, unseen, ceiling)
        windows, local, mass, along_x = self._integrate(workspace, centre, radius, unseen, near)
        log_a, sufficient, worst, n_faint = self._certify(centre, radius, mass, ceiling)
        if worst > self.tolerance:
            radius = np.maximum(radius, sufficient)
            windows, local, mass, along_x = self._integrate(workspace, centre, radius, unseen, near)
            log_a, _, worst, n_faint = self._certify(centre, radius, mass, ceiling)
        afar = None
        if n_faint:
            faint = mass == 0.0
            others, *_, afar_bound, afar = self.radial.evaluate(passes, density.log_mu, only=faint)
            log_a, worst = np.where(faint, others, log_a), max(worst, afar_bound)
            local = self._local.at(np.where(faint, -1.0, radius))  # no rows of any tile: nothing to overflow
        state = SeparableState(passes, density, near, unseen, centre, windows, local, mass, along_x, afar)
        self._pool.give_back_with(state, workspace)
        return log_a, detected, total, worst, state

    def _near(self, workspace, passes: Passes) -> tuple[PassLists, Callable]:
        """The passes as Gaussians: of hazards with their exposure, or of probabilities with the exposure beside; and
        what is to be done first on tiles, see `_lists`."""
        scale, reach = np.exp(passes.log_scale), self.radial.reach.passes(passes)
        weight = self._weight
        if not self.model.probability:
            scale *= self._exposure
        lists, outline = self._lists(workspace, "passes", passes.x, passes.y, passes.sigma**-2.0, scale, reach)
        return PassLists(*lists, weight), outline

    def _collapse(self, passes: Passes) -> Animals:
        """The Gaussian of each animal's detections."""
        encounters = self.model.encounters
        n, animal = encounters.n, encounters.animal
        seen, count, found = encounters.linear.column, encounters.linear.entry, np.empty((4, encounters.n))
        at = (passes.x, passes.y, passes.sigma, passes.log_scale)
        collapse(animal, seen, count, *at, encounters.constant, found)
        x, y, precision, peak = found
        if not self.model.probability:
            return Animals(x, y, precision, peak, np.zeros(n))
        # a detection is at most as likely as its hazard, which is at most h(g0)/g0 times the Gaussian
        beyond = np.log(-np.log1p(-np.minimum(np.exp(passes.log_scale), 1.0 - 2.0**-53))) - passes.log_scale
        return Animals(x, y, precision, peak, np.bincount(animal, count * beyond[seen], minlength=n).astype(float))

    def _first_radius(self, centre: Animals, unseen: np.ndarray, log_ceiling: float) -> np.ndarray:
        """A radius [n] that nearly always suffices: wider where the field at the centre says the mass is elsewhere."""
        radius, block_at = np.empty_like(centre.x), self.blocks.block_at
        first_radius(centre.x, centre.y, centre.precision, unseen, block_at, log_ceiling, EFOLDS, LEAST, MOST, radius)
        return radius + 2 * CORNER

    def _certify(self, centre: Animals, radius, mass, log_ceiling: float) -> tuple[np.ndarray, np.ndarray, float, int]:
        """log_a [n], the radius [n] that suffices, the worst bound and how many masses are faint, which become 0."""
        log_a, wider = np.empty_like(mass), radius.copy()
        at = (centre.precision, centre.beyond, centre.peak, radius, log_ceiling, CORNER, FAINT, self.tolerance)
        return log_a, wider, *certify(*at, mass, log_a, wider)

    def _integrate(self, workspace, centre, radius, unseen, near) -> tuple[Lists, Local, np.ndarray, np.ndarray]:
        """The animals' windows, their local terms, their masses [n] and, if these are plain, moments along x [n, 2]."""
        shape = (centre.x, centre.y, centre.precision, self._one_each)
        windows, outline = self._lists(workspace, "animals", *shape, radius)
        parts = workspace.array("parts", windows.item.size, 3 if self._plain else 1)
        local = self._local.at(radius)
        pieces = self._pieces(None if self._plain else near, windows)
        if self._plain:
            self._over(pieces, integrate, unseen, windows, parts, first=outline)
        else:
            before = (unseen, windows, NONE, near, 0.0, self._chances, self._competing, local, NOBODY)
            after = (parts[:, 0], NONE, NONE_2, NONE_2, NONE_2, NONE_2)
            self._over(pieces, sweep, False, (0.0, NONE, NONE_2), *before, *after, first=outline)
        sums = np.zeros((centre.x.size, parts.shape[1]))
        gather(windows.item, parts, sums, 0)
        return windows, local, sums[:, 0].copy(), sums[:, 1:]

    def _lists(self, workspace, name: str, x, y, precision, weight, radius) -> tuple[Lists, Callable]:
        """Tables over the tiles within `radius` of each centre, and the Gaussians by tile; and what fills the boxes of
        tiles t0 … t1 - 1, to be called by the thread that uses them first."""
        ny, nx = self.blocks.block_at.shape
        centre, span = np.empty((x.size, 3)), np.empty((x.size, 6), np.int64)
        rows = lay_out(x, y, precision, radius, nx, ny, centre, span)
        g = Gaussians(centre, span, workspace.array(name, rows, TILE))
        edges = self._shares(x.size)

        def lay(k: int) -> Any:
            found = self.blocks.cover(x, y, radius) if k == 0 else None
            fill_tables(g, weight, edges[k], edges[k + 1])
            return found

        start, item = self.workers.map(lay, range(len(edges) - 1))[0]
        box, place, habitat = np.empty(item.size, np.int32), self.tiles.place, self.blocks.box
        outline = lambda t0, t1: boxes(t0, t1, start, item, x, y, radius, place, habitat, box)  # noqa: E731
        return Lists(start, item, box, g), outline

    def _shares(self, n: int) -> list[int]:
        """n Gaussians cut into runs; the first is shorter, whose thread also makes the lists."""
        threads = self.workers.threads
        pieces = 1 if n <= MANY else threads if n <= EVEN_MORE else 4 * threads
        first = max((1 + COVER) / pieces - COVER, 0.0)
        return [0, *(n * np.linspace(first, 1.0, pieces)).astype(int).tolist()] if pieces > 1 else [0, n]

    # ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pullback(self, state: SeparableState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_density, d_passes [G, 3]) by log mu [M] or coefficients [P], and (log scale, log σ, third) of passes."""
        d_density, d_passes = self._without_faint(state, d_log_a, d_detected)
        if state.faint is not None:
            more = self.radial.pullback(state.faint, d_log_a, 0.0)
            d_density, d_passes = d_density + state.density.back(more[0]), d_passes + more[1]
        return d_density, d_passes

    def _without_faint(self, state: SeparableState, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """`pullback` but for the animals on the radial path."""
        near, windows, passes = state.near, state.windows, state.passes
        present = state.mass > 0.0
        d_present = np.where(present, d_log_a, 0.0)
        share = d_present / np.where(present, state.mass, 1.0)
        d_log_mu, by_fields = state.density.room(), np.empty((len(self.blocks), len(state.density.terms[1]) + 1))
        scratch = self._pool.take()
        of_passes = scratch.array("of passes", near.item.size, 2)
        of_animals = scratch.array("of animals", windows.item.size, 2 if self._plain else 3)
        before = (state.density.terms, state.unseen, windows, share, near, d_detected)
        d_passes = np.zeros((passes.x.size, 3))
        pieces = self._pieces(near, windows)
        if self._plain:
            self._over(pieces, pull, *before, d_log_mu, by_fields, of_animals, of_passes)
        else:
            first, trial_pass = self._local.trials_of(windows.item)
            of_trials = scratch.array("of trials", trial_pass.size, 2)
            after = (NONE, d_log_mu, by_fields, of_animals, of_passes, of_trials)
            kinds = (self._chances, self._competing)
            self._over(pieces, sweep, True, *before, *kinds, state.local, first, *after)
            gather(trial_pass, of_trials, d_passes, 0)
        gather(near.item, of_passes, d_passes, 0)
        d_passes[:, 1] /= passes.sigma**2
        around = np.zeros((state.mass.size, 3))
        if self._plain:  # Σ q dy, Σ q dy²; those along x are known
            around[:, ::2] = state.along_x
            gather(windows.item, of_animals, around, 1)
        else:
            gather(windows.item, of_animals, around, 0)
        self._add_detections(state, d_present, share, around, d_passes)
        self._pool.give_back(scratch)
        return state.density.gradient(d_log_mu, by_fields), d_passes

    def _add_detections(self, state: SeparableState, d_log_a, share, around, d_passes) -> None:
        """The derivatives of Σ count (log λ − d²/2σ²) under the animals' posteriors; share · around [n, 3]: their
        Σ q dx, Σ q dy and Σ q d² from their centres."""
        encounters, centre, passes = self.model.encounters, state.centre, state.passes
        seen = (encounters.animal, encounters.linear.column, encounters.linear.entry)
        at = (passes.x, passes.y, passes.sigma, centre.x, centre.y)
        to_passes(*seen, *at, d_log_a, share, around, d_passes)

    def curvature(self, state: SeparableState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """Second derivatives along directions along_mu [M, P], an array or `Covariates`, and along [G, 3, P]."""
        if self._small:
            with np.errstate(divide="ignore"):
                log_a = state.centre.peak + np.log(state.mass)
            if state.faint is not None:
                log_a = np.maximum(log_a, state.faint.log_a)
            radial = self.radial.state_of(state.passes, state.density.log_mu, log_a)
            return self.radial.curvature(radial, d_log_a, d_detected, design_of(along_mu), along)
        return self._curvature_on_tiles(state, d_log_a, d_detected, along_mu, along)

    def _curvature_on_tiles(self, state: SeparableState, d_log_a, d_detected, along_mu, along) -> Curvature:
        """As `curvature`; the animals that underflow are added from the radial path."""
        passes = state.passes
        moving = np.flatnonzero(along[:, :2].any(axis=(0, 1)))
        log_scale, log_sigma = along[:, 0, moving].T.copy(), along[:, 1, moving].T / passes.sigma**2
        present = state.mass > 0.0
        inverse = np.where(present, 1.0 / np.where(present, state.mass, 1.0), 0.0)
        first, detected, whole, slopes, bends = self._sums(
            state, d_log_a, inverse, d_detected, along_mu, moving, log_scale, log_sigma
        )
        first *= inverse[:, None]
        whole -= (first * d_log_a[:, None]).T @ first
        whole[np.ix_(moving, moving)] += _of_hazards(bends, slopes, log_scale, log_sigma, passes.sigma)
        found = Curvature(first, detected, whole)
        if state.faint is None:
            return found
        more = self.radial.curvature(state.faint, d_log_a, 0.0, design_of(along_mu), along)
        return Curvature(found.log_a + more.log_a, found.detected, found.second + more.second)

    def _sums(self, state: SeparableState, d_log_a, inverse, d_detected, along_mu, moving, log_scale, log_sigma):
        """Σ q ∂log q [n, P] of every animal, the derivatives of detected [P], the second derivatives [P, P] but for the
        products of the first and for what bends hazards, and for that the gradient by log scale and log σ of the
        passes [G, 2] and the moments [G, 3] of the second derivatives by their logarithms."""
        near, windows, blocks, n_passes = state.near, state.windows, len(self.blocks), state.passes.x.size
        if not isinstance(along_mu, Covariates):
            along_mu = Covariates.of(along_mu)
        n_fields = len(along_mu.fields) + 1
        size, share = n_fields + moving.size, d_log_a * inverse
        of_passes = np.zeros((n_passes, moving.size, 4))
        of_passes[:, :, 0], of_passes[:, :, 3] = -log_scale.T, -log_sigma.T
        of_entries, around = np.empty((windows.item.size, size)), np.empty((windows.item.size, 3))
        squares = np.empty((near.item.size, 5 if self._chances else 3))
        detected, second = np.zeros((blocks, size)), np.zeros((blocks, size, size))
        own = np.zeros((blocks, moving.size, moving.size))
        before = (state.density.terms, state.unseen, windows, share, near, d_detected)
        polynomials = (self._quadratic(state, log_scale, log_sigma), of_passes, of_entries, around)
        after, pieces = (squares, detected, second, own), self._pieces(near, windows)
        by_trials = np.zeros((n_passes, 5))
        if self._plain:
            self._over(pieces, bend, *before, along_mu.fields, *polynomials, *after)
        else:
            entry, trial_pass = self._local.trials_of(windows.item)
            of_trials = np.empty((trial_pass.size, 5))
            kinds = (self._chances, self._competing, state.local, entry, along_mu.fields, log_scale, log_sigma)
            self._over(pieces, bend_local, *before, *kinds, *polynomials, of_trials, *after)
            gather(trial_pass, of_trials, by_trials, 0)
        moments = np.zeros((n_passes, squares.shape[1]))
        first, spread_out = np.zeros((state.mass.size, size)), np.zeros((state.mass.size, 3))
        gather(near.item, squares, moments, 0)
        gather(windows.item, of_entries, first, 0)
        gather(windows.item, around, spread_out, 0)
        # minus the derivatives by hazards; of hazards themselves the slopes are two of the three second derivatives
        d_passes, bends = np.zeros((n_passes, 3)), by_trials[:, 2:] - moments[:, -3:]
        d_passes[:, :2] = by_trials[:, :2] - moments[:, :2]
        d_passes[:, 1] /= state.passes.sigma**2
        self._add_detections(state, d_log_a * (inverse > 0.0), share, spread_out, d_passes)
        whole = second.sum(axis=0)
        whole[n_fields:, n_fields:] += own.sum(axis=0)
        whole = np.triu(whole) + np.triu(whole, 1).T
        basis = np.zeros((len(along_mu.constant), size))
        basis[along_mu.varying, np.arange(n_fields - 1)] = 1.0
        basis[:, n_fields - 1] = along_mu.constant
        basis[moving, n_fields + np.arange(moving.size)] = 1.0
        return first @ basis.T, basis @ detected.sum(axis=0), basis @ whole @ basis.T, d_passes, bends

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
        near, outline = self._near(workspace, passes)
        self._over(self._pieces(near), catch, near, self._chances, caught, first=outline)
        self._pool.give_back(workspace)
        return caught

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several."""
        return self.radial.log_posterior(passes, log_mu, animal)

    def _pieces(self, near: PassLists | None, windows: Lists | None = None) -> list[tuple[int, int]]:
        """The tiles cut into runs of about the same work, as many as are worth a thread."""
        threads = self.workers.threads
        if threads == 1 or len(self.blocks) < FEW * threads:
            return [(0, len(self.blocks))]
        done = PER_TILE * self._counting
        if near is not None:
            done = done + (PER_CHANCE if self.model.probability else PER_PASS) * near.start
        if windows is not None:
            done = done + (PER_ANIMAL if self._plain else PER_LOCAL) * windows.start
        if done[-1] < LITTLE:
            return [(0, len(self.blocks))]
        # more pieces than threads even out what was guessed
        return _even(done, threads if done[-1] < 10 * LITTLE else 4 * threads)

    def _over(self, pieces, stage, *arguments, first: Callable | None = None) -> None:
        """stage(tiles, t0, t1, ...) over all tiles, and before it first(t0, t1)."""
        plain = [tuple(a) if type(a) in (Lists, PassLists) else a for a in arguments]

        def work(piece: tuple[int, int]) -> None:
            if first is not None:
                first(*piece)
            stage(self.tiles, *piece, *plain)

        self.workers.map(work, pieces)


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


def _even(start: np.ndarray, pieces: int) -> list[tuple[int, int]]:
    """Tiles cut into runs of about as much, what is before each tile being start [T + 1]."""
    edges = start.searchsorted(start[-1] * np.arange(1, pieces) / pieces).tolist()
    return list(itertools.pairwise(sorted({0, *edges, start.size - 1})))
