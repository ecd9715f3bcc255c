"""One block of cells at a time, for any detection function: a few transcendental kernels and matrix products.

On one block of cells the passes near it and the animals whose windows touch it are gathered; everything linear
(fields, exponents, adjoints) is then a small dense product. Nothing larger than one block is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...kernels.spatial_blocks import log_hazard, log_phi, scatter_rows
from .encounters import Encounters, OwnExposure, SparseRows
from .shapes import Shape
from .windows import Blocks

# doubles in the largest working array of one step: with about ten arrays, some 20 MB per thread
STEP = 2**18


class Passes(NamedTuple):
    """The passes at one value of the parameters, lengths in cells."""

    x: np.ndarray  # float [G]
    y: np.ndarray  # float [G]
    log_scale: np.ndarray  # float [G], log lambda0 or log g0
    sigma: np.ndarray  # float [G]
    third: np.ndarray  # float [G], z or w
    size: np.ndarray | None = None  # float [G], r of passes with clumped counts


class Windows(NamedTuple):
    """Which passes and which animals each block sees, as CSR over blocks."""

    pass_start: np.ndarray
    passes: np.ndarray
    animal_start: np.ndarray
    animals: np.ndarray


@dataclass
class Step:
    """One block, or part of one: the cells [low, high) in block order with everything evaluated on them."""

    low: int
    high: int
    passes: np.ndarray  # int [K]
    animals: np.ndarray  # int [A]
    log_h: np.ndarray  # [K, B]
    h: np.ndarray  # [K, B]
    fields: np.ndarray  # [F, B] Λ_f
    void: np.ndarray  # [B] Λ of an animal that is never caught
    shape_first: np.ndarray  # [2, K, B] derivatives of log relative
    shape_second: np.ndarray  # [3, K, B]
    link_first: np.ndarray | None  # [K, B] d log h / d log g, None for hazards
    link_second: np.ndarray | None
    log_f: np.ndarray | Any = None  # [A, B] log f_i without log mu
    place: np.ndarray | Any = None  # int [G], of each pass among `passes`; anything for others
    linear: np.ndarray | Any = None  # [A, K] powers of the hazards, for second derivatives
    trials: np.ndarray | None = None  # [A, T] successes
    trial_pass: np.ndarray | Any = None  # int [T], place of a trial's pass among `passes`
    trial_phi: list = field(default_factory=list)  # [T, B] log φ(x h) and its derivatives with respect to log h
    field_phi: list = field(default_factory=list)  # [F, B] log φ(Λ) and its derivatives with respect to Λ
    own: OwnStep | Any = None  # what the block's animals are exposed to beyond the fields


@dataclass(frozen=True)
class OwnStep:
    """Personal exposure on one step: of A animals, with C captures in fields of their own."""

    captures: np.ndarray  # int [C], positions among all captures in fields of their own
    place: np.ndarray  # int, of each of these among the C
    base: np.ndarray  # int [C], the shared field
    phi: list  # [C, B] log φ of the field and its derivatives with respect to it


@dataclass(frozen=True)
class BlockModel:
    """What the block-wise likelihood needs to know about a problem."""

    blocks: Blocks
    shape: Shape
    probability: bool  # True: the scale is g0 and the hazard −log(1 − g)
    exposure: np.ndarray  # float [G, F]
    void_weight: np.ndarray  # float [F]
    weight: np.ndarray | None  # float [n, F], None where every animal has the void's
    encounters: Encounters

    def steps(self, passes: Passes, windows: Windows, block: int, order: int):
        """The evaluated steps of one block, one at a time; `order` derivatives of the hazards."""
        near = windows.passes[windows.pass_start[block] : windows.pass_start[block + 1]]
        animals = windows.animals[windows.animal_start[block] : windows.animal_start[block + 1]]
        if animals.size:
            linear, own = self.encounters.linear, self.encounters.own
            seen = linear.column[linear.entries_of(animals)]
            near = np.unique(np.concatenate([near, seen] + ([] if own is None else [own.passes_of(animals)])))
        low, end = self.blocks.start[block], self.blocks.start[block + 1]
        length = max(16, STEP // max(near.size, animals.size, 1))
        while low < end:
            high = min(low + length, end)
            step = self._hazards(passes, near, animals, low, high, order)
            if animals.size:
                self._histories(step, order)
            yield step
            low = high

    def _hazards(self, passes: Passes, near, animals, low, high, order) -> Step:
        size = (near.size, high - low)
        log_h, first = np.empty(size), np.zeros((2, *size) if order > 0 else (2, 0, 0))
        second = np.zeros((3, *size) if order > 1 else (3, 0, 0))
        x, y = self.blocks.x[low:high], self.blocks.y[low:high]
        at = (passes.x[near], passes.y[near], passes.sigma[near], passes.third[near])
        self.shape.kernel(order, *at, x, y, log_h, first, second)
        log_h += passes.log_scale[near, None]
        h = np.exp(log_h)
        link = [None, None]
        if self.probability:
            link = [np.empty(size if order > d else (0, 0)) for d in range(2)]
            log_hazard(order, h, log_h, *link)
        fields = self.exposure[near].T @ h
        return Step(low, high, near, animals, log_h, h, fields, self.void_weight @ fields, first, second, *link)

    def _histories(self, step: Step, order: int) -> None:
        """log f_i of the block's animals, equation of `encounters`."""
        animals, encounters = step.animals, self.encounters
        step.place = place_of(step.passes, len(self.exposure))
        if order > 1:
            step.linear = dense_rows(encounters.linear, animals, step.passes, len(self.exposure))
        exposed = step.void if self.weight is None else self.weight[animals] @ step.fields
        log_f = encounters.constant[animals, None] - exposed
        encounters.linear.add_to(log_f, animals, step.place, step.log_h)
        self._trials(step, log_f, order)
        if encounters.caught is not None:
            step.field_phi = phi(order, step.fields)
            log_f += encounters.caught[animals] @ step.field_phi[0]
        if encounters.own is not None:
            step.own = self._own(step, encounters.own, order)
            encounters.own.exposure.add_to(log_f, animals, step.place, step.h, -1.0)
            encounters.own.caught.add_to(log_f, animals, step.own.place, step.own.phi[0])
        step.log_f = log_f

    def _own(self, step: Step, own: OwnExposure, order: int) -> OwnStep:
        """The personal terms of the block's animals."""
        captures = own.captures_of(step.animals)
        base = own.base[captures]
        field = step.fields[base]
        own.field.add_to(field, captures, step.place, step.h)
        return OwnStep(captures, place_of(captures, len(own.base)), base, phi(order, field))

    def _trials(self, step: Step, log_f: np.ndarray, order: int) -> None:
        trials = self.encounters.trials
        seen = np.unique(trials.column[trials.entries_of(step.animals)])
        if not seen.size:
            return
        step.trials = dense_rows(trials, step.animals, seen, len(self.encounters.trial_pass))
        step.trial_pass = np.searchsorted(step.passes, self.encounters.trial_pass[seen])
        u = self.encounters.trial_exposure[seen, None] * step.h[step.trial_pass]
        step.trial_phi = phi(order, u)
        log_f += step.trials @ step.trial_phi[0]
        if order > 0:
            step.trial_phi[1] *= u
        if order > 1:
            step.trial_phi[2] = step.trial_phi[2] * u * u + step.trial_phi[1]


def phi(order: int, u: np.ndarray) -> list[np.ndarray]:
    """[log φ(u), first, second derivative], as many as `order` asks for."""
    out = [np.empty(u.shape if d <= order else (0, 0)) for d in range(3)]
    log_phi(order, u, *out)
    return out


def place_of(columns: np.ndarray, width: int) -> np.ndarray:
    """int [width]: the place of each of `columns` among them; 0 for all others."""
    place = np.zeros(width, np.int64)
    place[columns] = np.arange(columns.size)
    return place


def dense_rows(rows: SparseRows, animals, columns, width: int) -> np.ndarray:
    """rows[animals][:, columns] as a dense array; `columns` ascending and complete, `width` their whole number."""
    place = place_of(columns, width)
    out = np.zeros((animals.size, columns.size))
    scatter_rows(rows.start, rows.column, rows.entry, animals, place, out)
    return out


def integral(step: Step, log_mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ_m mu_m f_i(m) over a step as (log of the largest term [A], sum relative to it [A])."""
    log_terms = step.log_f + log_mu[step.low : step.high]
    peak = log_terms.max(axis=1)
    reference = np.where(np.isfinite(peak), peak, 0.0)
    return peak, np.exp(log_terms - reference[:, None]).sum(axis=1)


class Adjoints(NamedTuple):
    """Derivatives of an objective on one step."""

    q: np.ndarray | None  # [A, B] d_log_a_i times the posterior of animal i's cell
    log_mu: np.ndarray  # [B]
    fields: np.ndarray  # [F, B]
    trials: np.ndarray | None  # [T, B] with respect to log φ(x h)
    caught: np.ndarray | Any  # [C, B] with respect to log φ of animals' own fields
    h: np.ndarray  # [K, B] through exposures alone
    log_h: np.ndarray  # [K, B]


def adjoints(model: BlockModel, step: Step, log_mu, log_a, d_log_a, d_detected: float) -> Adjoints:
    """The reverse pass down to log mu and log h; log_mu [M] in block order, log_a and d_log_a [n]."""
    mu = np.exp(log_mu[step.low : step.high])
    escape = d_detected * mu * np.exp(-step.void)
    over_mu = d_detected * mu * -np.expm1(-step.void)
    over_fields = np.outer(model.void_weight, escape)
    if not step.animals.size:
        over_h = model.exposure[step.passes] @ over_fields
        return Adjoints(None, over_mu, over_fields, None, None, over_h, over_h * step.h)
    q = np.exp(step.log_f + (log_mu[step.low : step.high] - log_a[step.animals, None]))
    q *= d_log_a[step.animals, None]
    shared = q.sum(axis=0)
    over_mu += shared
    if model.weight is None:
        over_fields -= np.outer(model.void_weight, shared)
    else:
        over_fields -= model.weight[step.animals].T @ q
    if model.encounters.caught is not None:
        over_fields += (model.encounters.caught[step.animals].T @ q) * step.field_phi[1]
    own, over_caught = model.encounters.own, None
    if own is not None:
        over_caught = _over_own_fields(own, step, q, over_fields)
    over_h = model.exposure[step.passes] @ over_fields
    if own is not None and over_caught is not None:
        own.exposure.add_back(over_h, step.animals, step.place, q, -1.0)
        own.field.add_back(over_h, step.own.captures, step.place, over_caught * step.own.phi[1])
    over_log_h = over_h * step.h
    model.encounters.linear.add_back(over_log_h, step.animals, step.place, q)
    over_trials = None
    if step.trials is not None:
        over_trials = step.trials.T @ q
        terms = over_trials * step.trial_phi[1]
        if np.all(np.diff(step.trial_pass)):  # ascending: every pass has but one kind of trial
            over_log_h[step.trial_pass] += terms
        else:
            np.add.at(over_log_h, step.trial_pass, terms)
    return Adjoints(q, over_mu, over_fields, over_trials, over_caught, over_h, over_log_h)


def _over_own_fields(own: OwnExposure, step: Step, q: np.ndarray, over_fields: np.ndarray) -> np.ndarray:
    """Derivatives [C, B] by log φ of the animals' own fields; those by the shared fields are added to over_fields."""
    over = np.zeros((step.own.captures.size, q.shape[1]))
    own.caught.add_back(over, step.animals, step.own.place, q)
    np.add.at(over_fields, step.own.base, over * step.own.phi[1])
    return over


def over_passes(step: Step, over_log_h: np.ndarray) -> np.ndarray:
    """Derivatives [K, 3] with respect to (log scale, log σ, third) of each pass from those with respect to log h."""
    bar = over_log_h if step.link_first is None else over_log_h * step.link_first
    return np.stack([bar.sum(axis=1), *(np.einsum("km,km->k", bar, by) for by in step.shape_first)], axis=1)
