"""One block of cells at a time, for any detection function: a few transcendental kernels and matrix products.

On one block of cells the passes near it and the animals whose windows touch it are gathered; everything linear
(fields, exponents, adjoints) is then a small dense product. Nothing larger than one block is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...kernels.sparse_rows import add_transposed
from ...kernels.spatial_blocks import log_hazard, log_phi
from ...kernels.spatial_rows import integrate_rows, pass_sums, posterior_rows
from .encounters import Encounters, OwnExposure
from .shapes import Shape
from .windows import Blocks
from .workspace import Workspace, WorkspacePool

# doubles in the largest working array of one step: with about ten arrays, some 20 MB per thread
STEP = 2**18
NO_LINK = np.empty((0, 0))  # of hazards that have a shape themselves


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


class Seen(NamedTuple):
    """What is looked up once for a block: K passes, T distinct trials in which its animals were seen."""

    passes: np.ndarray  # int [K], ascending
    place: np.ndarray | Any = None  # int [G], of each pass among them; anything for others
    trial_place: np.ndarray | Any = None  # int, of each of all distinct trials among the T
    trial_pass: np.ndarray | Any = None  # int [T], place of a trial's pass among `passes`
    trial_exposure: np.ndarray | Any = None  # float [T]


@dataclass
class Step:
    """One block, or part of one: the cells [low, high) in block order with everything evaluated on them.

    Its arrays are those of a workspace, which the next step will use.
    """

    low: int
    high: int
    passes: np.ndarray  # int [K]
    animals: np.ndarray  # int [A]
    room: Workspace
    log_h: np.ndarray  # [K, B]
    h: np.ndarray  # [K, B]
    fields: np.ndarray  # [F, B] Λ_f
    void: np.ndarray  # [B] Λ of an animal that is never caught
    shape_first: np.ndarray  # [1 or 2, K, B] derivatives of log relative
    shape_second: np.ndarray  # [3, K, B]
    link_first: np.ndarray | None  # [K, B] d log h / d log g, None for hazards
    link_second: np.ndarray | None
    log_f: np.ndarray | Any = None  # [A, B] log f_i without log mu
    place: np.ndarray | Any = None  # int [G], of each pass among `passes`; anything for others
    trial_place: np.ndarray | Any = None  # int, of each distinct trial among those of the animals
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
    pool: WorkspacePool = field(default_factory=WorkspacePool, kw_only=True, repr=False, compare=False)

    def steps(self, passes: Passes, windows: Windows, block: int, order: int, rooms: list | None = None):
        """The evaluated steps of one block, one at a time; `order` derivatives of the hazards.

        With a list of rooms every step has one of its own, which is added to it, and can be kept.
        """
        near = windows.passes[windows.pass_start[block] : windows.pass_start[block + 1]]
        animals = windows.animals[windows.animal_start[block] : windows.animal_start[block + 1]]
        seen = self._seen(near, animals) if animals.size else Seen(near)
        low, end = self.blocks.start[block], self.blocks.start[block + 1]
        length = max(16, STEP // max(seen.passes.size, animals.size, 1))
        while low < end:
            room = self.pool.take()
            high = min(low + length, end)
            step = self._hazards(room, passes, seen.passes, animals, low, high, order)
            if animals.size:
                self._histories(step, seen, order)
            yield step
            if rooms is None:
                self.pool.give_back(room)
            else:
                rooms.append(room)
            low = high

    def _seen(self, near, animals) -> Seen:
        """Of a block with these passes near it and these animals."""
        if animals.size == self.encounters.n and near.size == len(self.exposure):
            return self._everything
        return self._look_up(near, animals)

    @cached_property
    def _everything(self) -> Seen:
        return self._look_up(np.arange(len(self.exposure)), np.arange(self.encounters.n))

    def _look_up(self, near, animals) -> Seen:
        linear, trials, own = self.encounters.linear, self.encounters.trials, self.encounters.own
        width, trial_width = len(self.exposure), len(self.encounters.trial_pass)
        more = [] if own is None else [own.passes_of(animals)]
        passes = united(width, near, linear.column[linear.entries_of(animals)], *more)
        place = place_of(passes, width)
        if not trial_width:
            return Seen(passes, place, self.encounters.trial_pass, self.encounters.trial_pass, np.empty(0))
        found = united(trial_width, trials.column[trials.entries_of(animals)])
        at = place[self.encounters.trial_pass[found]]
        return Seen(passes, place, place_of(found, trial_width), at, self.encounters.trial_exposure[found])

    def _hazards(self, room: Workspace, passes: Passes, near, animals, low, high, order) -> Step:
        size = (near.size, high - low)
        log_h, h = room.array("log h", *size), room.array("h", *size)
        first = room.array("first", 1 + self.shape.third, *(size if order > 0 else (0, 0)))
        second = room.array("second", 3, *(size if order > 1 else (0, 0)))
        x, y = self.blocks.x[low:high], self.blocks.y[low:high]
        at = (passes.x[near], passes.y[near], passes.sigma[near], passes.third[near])
        self.shape.kernel(order, *at, x, y, log_h, first, second)
        log_h += passes.log_scale[near, None]
        np.exp(log_h, out=h)
        link = [None, None]
        if self.probability:
            link = [room.array(f"link {d}", *(size if order > d else (0, 0))) for d in range(2)]
            log_hazard(order, h, log_h, *link)
        fields = self.exposure[near].T @ h
        return Step(low, high, near, animals, room, log_h, h, fields, self.void_weight @ fields, first, second, *link)

    def _histories(self, step: Step, seen: Seen, order: int) -> None:
        """log f_i of the block's animals, equation of `encounters`."""
        animals, encounters, cells = step.animals, self.encounters, step.high - step.low
        step.place, step.trial_place = seen.place, seen.trial_place
        exposed = step.void if self.weight is None else self.weight[animals] @ step.fields
        log_f = step.room.array("log f", animals.size, cells)
        np.subtract(encounters.constant[animals, None], exposed, out=log_f)
        encounters.linear.add_to(log_f, animals, step.place, step.log_h)
        if seen.trial_pass.size:
            self._trials(step, seen, order)
            encounters.trials.add_to(log_f, animals, step.trial_place, step.trial_phi[0])
        if encounters.caught is not None:
            step.field_phi = phi(order, step.fields)
            log_f += encounters.caught[animals] @ step.field_phi[0]
        if encounters.own is not None:
            step.own = self._own(step, encounters.own, order)
            encounters.own.exposure.add_to(log_f, animals, step.place, step.h, -1.0)
            encounters.own.caught.add_to(log_f, animals, step.own.place, step.own.phi[0])
        step.log_f = log_f

    def _trials(self, step: Step, seen: Seen, order: int) -> None:
        """log φ of the trials in which the block's animals were seen, and its derivatives by log h."""
        step.trial_pass, size = seen.trial_pass, (seen.trial_pass.size, step.high - step.low)
        u = np.take(step.h, seen.trial_pass, axis=0, out=step.room.array("u", *size), mode="clip")
        u *= seen.trial_exposure[:, None]
        rooms = [step.room.array(f"trial {d}", size[0] if d <= order else 1, size[1]) for d in range(3)]
        step.trial_phi = phi(order, u, rooms)
        if order > 0:
            rooms[1] *= u
        if order > 1:
            rooms[2] *= u
            rooms[2] *= u
            rooms[2] += rooms[1]

    def _own(self, step: Step, own: OwnExposure, order: int) -> OwnStep:
        """The personal terms of the block's animals."""
        captures = own.captures_of(step.animals)
        base = own.base[captures]
        field = step.fields[base]
        own.field.add_to(field, captures, step.place, step.h)
        return OwnStep(captures, place_of(captures, len(own.base)), base, phi(order, field))


def united(width: int, *numbers: np.ndarray) -> np.ndarray:
    """Those of the numbers below `width` that are in any of some arrays, ascending."""
    there = np.zeros(width, bool)
    for some in numbers:
        there[some] = True
    return there.nonzero()[0]


def phi(order: int, u: np.ndarray, rooms: list | None = None) -> list[np.ndarray]:
    """[log φ(u), first, second derivative], as many as `order` asks for; all three in `rooms` if given."""
    out = rooms or [np.empty((len(u) if d <= order else 1, u.shape[1])) for d in range(3)]
    log_phi(order, u, *out)
    return out


def place_of(columns: np.ndarray, width: int) -> np.ndarray:
    """int [width]: the place of each of `columns` among them; 0 for all others."""
    place = np.zeros(width, np.int64)
    place[columns] = np.arange(columns.size)
    return place


def integral(step: Step, log_mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ_m mu_m f_i(m) over a step as (log of the largest term [A], sum relative to it [A])."""
    peak, total = np.empty(step.animals.size), np.empty(step.animals.size)
    integrate_rows(step.log_f, log_mu[step.low : step.high], peak, total)
    return peak, total


class Adjoints(NamedTuple):
    """Derivatives of an objective on one step."""

    q: np.ndarray | Any  # [A, B] d_log_a_i times the posterior of animal i's cell
    log_mu: np.ndarray  # [B]
    trials: np.ndarray | None  # [T, B] with respect to log φ(x h)
    caught: np.ndarray | Any  # [C, B] with respect to log φ of animals' own fields
    h: np.ndarray  # [K, B] through exposures alone
    log_h: np.ndarray  # [K, B]


def adjoints(model: BlockModel, step: Step, log_mu, log_a, d_log_a, d_detected: float) -> Adjoints:
    """The reverse pass down to log mu and log h; log_mu [M] in block order, log_a and d_log_a [n]."""
    log_mu, encounters, room = log_mu[step.low : step.high], model.encounters, step.room
    escape = d_detected * np.exp(log_mu - step.void)
    over_mu = d_detected * np.exp(log_mu) * -np.expm1(-step.void)
    over_log_h = room.array("over log h", *step.h.shape)
    if not step.animals.size:
        over_h = model.exposure[step.passes] @ np.outer(model.void_weight, escape)
        return Adjoints(None, over_mu, None, None, over_h, np.multiply(over_h, step.h, out=over_log_h))
    q, shared = posterior(step, log_mu, log_a, d_log_a, room.array("q", *step.log_f.shape))
    over_mu += shared
    if model.weight is None:
        over_fields = np.outer(model.void_weight, escape - shared)
    else:
        over_fields = np.outer(model.void_weight, escape) - model.weight[step.animals].T @ q
    if encounters.caught is not None:
        over_fields += (encounters.caught[step.animals].T @ q) * step.field_phi[1]
    own, over_caught = encounters.own, None
    if own is not None:
        over_caught = _over_own_fields(own, step, q, over_fields)
    over_h = np.matmul(model.exposure[step.passes], over_fields, out=room.array("over h", *step.h.shape))
    if own is not None and over_caught is not None:
        own.exposure.add_back(over_h, step.animals, step.place, q, -1.0)
        own.field.add_back(over_h, step.own.captures, step.place, over_caught * step.own.phi[1])
    np.multiply(over_h, step.h, out=over_log_h)
    encounters.linear.add_back(over_log_h, step.animals, step.place, q)
    over_trials = None
    if step.trial_pass is not None:
        over_trials = room.array("over trials", *step.trial_phi[0].shape)
        over_trials[:] = 0.0
        encounters.trials.add_back(over_trials, step.animals, step.trial_place, q)
        terms = np.multiply(over_trials, step.trial_phi[1], out=room.array("u", *over_trials.shape))
        add_rows(over_log_h, step.trial_pass, terms)
    return Adjoints(q, over_mu, over_trials, over_caught, over_h, over_log_h)


def posterior(step: Step, log_mu, log_a, factor, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The posterior of the cell of each animal times its factor [A, B], and their sum [B]; log_mu [B], others [n]."""
    shared = np.zeros(log_mu.size)
    posterior_rows(step.animals, step.log_f, log_mu, log_a, factor, out, shared)
    return out, shared


def add_rows(out: np.ndarray, place: np.ndarray, x: np.ndarray) -> None:
    """out[place[t]] += x[t], also where places are the same."""
    every = np.arange(place.size + 1)
    add_transposed(1.0, every, every[:-1], np.ones(place.size), every[:-1], place, x, out)


def _over_own_fields(own: OwnExposure, step: Step, q: np.ndarray, over_fields: np.ndarray) -> np.ndarray:
    """Derivatives [C, B] by log φ of the animals' own fields; those by the shared fields are added to over_fields."""
    over = np.zeros((step.own.captures.size, q.shape[1]))
    own.caught.add_back(over, step.animals, step.own.place, q)
    np.add.at(over_fields, step.own.base, over * step.own.phi[1])
    return over


def over_passes(step: Step, over_log_h: np.ndarray) -> np.ndarray:
    """Derivatives [K, 3] with respect to (log scale, log σ, third) of each pass from those with respect to log h."""
    out = np.zeros((step.passes.size, 3))
    pass_sums(over_log_h, NO_LINK if step.link_first is None else step.link_first, step.shape_first, out)
    return out
