"""The animals' detections as sparse rows: what each adds to its log-likelihood, linear terms first.

    log f_i = constant_i − Σ_f weight_if Λ_f + Σ linear_ig log h_g + Σ trials_it log φ(x_t h_t) + Σ caught_if log φ(Λ_f)

COUNT events are linear. A BINARY event is linear plus one of the distinct *trials* (pass, exposure), since
log expm1(u) = log u + log φ(u). A MULTI event is linear plus log φ of the field of its occasion, or of its own field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.sparse_rows import add_product, add_transposed
from .problem import BINARY, CLUMPED, COUNT, MULTI, Personal, SpatialProblem


def ranges(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """The numbers start_0 .. stop_0 - 1, start_1 .. stop_1 - 1, ... in one array."""
    length = stop - start
    return np.arange(length.sum()) + np.repeat(start - (np.cumsum(length) - length), length)


@dataclass(frozen=True)
class SparseRows:
    """A CSR matrix with one row per animal."""

    start: np.ndarray  # int [n + 1]
    column: np.ndarray  # int [entries]
    entry: np.ndarray  # float [entries]

    @classmethod
    def of(cls, row, column, entry, n: int) -> SparseRows:
        """From coordinates with ascending rows."""
        start = np.searchsorted(row, np.arange(n + 1))
        return cls(start, np.ascontiguousarray(column, np.int64), np.ascontiguousarray(entry, float))

    @classmethod
    def from_csr(cls, start, column, entry) -> SparseRows:
        """From the three arrays of a CSR matrix."""
        return cls(
            np.ascontiguousarray(start, np.int64),
            np.ascontiguousarray(column, np.int64),
            np.ascontiguousarray(entry, float),
        )

    @property
    def csr(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As kernels take it."""
        return self.start, self.column, self.entry

    def add_to(self, out: np.ndarray, rows: np.ndarray, place: np.ndarray, x: np.ndarray, factor: float = 1.0) -> None:
        """out [A, B] += factor · these rows [A, ·] times x [K, B]; column c is row place[c] of x."""
        add_product(factor, self.start, self.column, self.entry, rows, place, x, out)

    def add_back(
        self, out: np.ndarray, rows: np.ndarray, place: np.ndarray, x: np.ndarray, factor: float = 1.0
    ) -> None:
        """out [K, B] += factor · the transpose of these rows times x [A, B]."""
        add_transposed(factor, self.start, self.column, self.entry, rows, place, x, out)

    def entries_of(self, rows: np.ndarray) -> np.ndarray:
        """Positions of all entries of some rows."""
        return ranges(self.start[rows], self.start[rows + 1])


@dataclass(frozen=True)
class OwnExposure:
    """What single animals are exposed to beyond the fields, see `problem.Personal`."""

    exposure: SparseRows  # [n, G] to add to the exposure of the fields
    caught: SparseRows  # [n, P] captures in fields of their own
    field: SparseRows  # [P, G] to add to the shared field
    base: np.ndarray  # int [P], the shared field

    @classmethod
    def of(cls, personal: Personal, problem: SpatialProblem, animal: np.ndarray) -> OwnExposure:
        """From the arrays of a problem, with the animal of each event."""
        n, event = problem.n_animals, personal.event
        start = np.searchsorted(animal[event], np.arange(n + 1))
        exposure = SparseRows.from_csr(personal.start, personal.passes, personal.exposure)
        field = SparseRows.from_csr(personal.event_start, personal.event_pass, personal.event_exposure)
        caught = SparseRows.from_csr(start, np.arange(len(event)), problem.event_count[event])
        return cls(exposure, caught, field, problem.event_field[event])

    def passes_of(self, animals: np.ndarray) -> np.ndarray:
        """Passes that the personal terms of some animals use, repeated ones too."""
        return np.concatenate(
            [
                self.exposure.column[self.exposure.entries_of(animals)],
                self.field.column[self.field.entries_of(self.captures_of(animals))],
            ]
        )

    def captures_of(self, animals: np.ndarray) -> np.ndarray:
        """Positions among the P captures of those of some animals."""
        return self.caught.entries_of(animals)


@dataclass(frozen=True)
class Encounters:
    """The detections of n animals. Built once per problem."""

    n: int
    animal: np.ndarray  # int [E], the animal of each event
    linear: SparseRows  # [n, G] power of each pass's hazard
    constant: np.ndarray  # float [n], Σ count log exposure
    trials: SparseRows  # [n, T] successes in each distinct trial
    trial_pass: np.ndarray  # int [T]
    trial_exposure: np.ndarray  # float [T]
    caught: np.ndarray | None  # float [n, F] captures in each competing field, None without MULTI events
    own: OwnExposure | None = None

    @classmethod
    def of(cls, problem: SpatialProblem) -> Encounters:
        """The sparse detections of a problem, with the constants that they alone determine."""
        n = problem.n_animals
        animal = np.repeat(np.arange(n), np.diff(problem.event_start))
        count = np.asarray(problem.event_count, float)
        constant = np.bincount(animal, count * np.log(problem.event_exposure), minlength=n).astype(float)
        binary = np.flatnonzero(problem.event_kind == BINARY)
        trial, column = np.unique(
            np.stack([problem.event_pass[binary], problem.event_exposure[binary]]), axis=1, return_inverse=True
        )
        own = None if problem.personal is None else OwnExposure.of(problem.personal, problem, animal)
        shared = problem.event_kind == MULTI
        if problem.personal is not None:
            shared[problem.personal.event] = False
        multi = np.flatnonzero(shared)
        caught = None
        if multi.size:
            caught = np.zeros((n, problem.n_fields))
            np.add.at(caught, (animal[multi], problem.event_field[multi]), count[multi])
        return cls(
            n=n,
            animal=animal,
            linear=SparseRows.of(animal, problem.event_pass, count, n),
            constant=constant,
            trials=SparseRows.of(animal[binary], column.reshape(-1), count[binary], n),
            trial_pass=trial[0].astype(np.int64),
            trial_exposure=trial[1].astype(float),
            caught=caught,
            own=own,
        )


def check(problem: SpatialProblem) -> None:
    """Raises ValueError with one sentence where the arrays contradict each other.

    Every detection must lie inside what its animal was exposed to; otherwise the truncation bounds would not hold.
    """
    n, passes, fields = problem.n_animals, len(problem.pass_x), problem.n_fields
    if problem.weight.shape != (n, fields):
        raise ValueError(f"weight has shape {problem.weight.shape}, but there are {n} animals and {fields} fields")
    if np.any(np.diff(problem.event_start) < 1):
        empty = np.flatnonzero(np.diff(problem.event_start) < 1)
        raise ValueError(f"animal {empty[0]} has no detection: an animal without detections is not in the data")
    if np.any(problem.entry_exposure <= 0) or np.any(problem.event_exposure <= 0):
        raise ValueError("every exposure must be positive: leave out a detector on occasions without effort")
    if not np.all(np.isin(problem.event_kind, (COUNT, BINARY, MULTI, CLUMPED))):
        raise ValueError("event_kind must be COUNT, BINARY, MULTI or CLUMPED")
    animal = np.repeat(np.arange(n), np.diff(problem.event_start))
    multi = problem.event_kind == MULTI
    if np.any((problem.event_field[multi] < 0) | (problem.event_field[multi] >= fields)):
        raise ValueError("every MULTI event needs the field of its occasion")
    caught = np.zeros((n, fields))
    np.add.at(caught, (animal[multi], problem.event_field[multi]), problem.event_count[multi])
    over = np.argwhere(caught > problem.weight * (1 + 1e-9))
    if over.size:
        raise ValueError(f"animal {over[0, 0]} was caught more often on field {over[0, 1]} than it was exposed to it")
    binary = np.flatnonzero(problem.event_kind == BINARY)
    exposure = np.zeros((passes, fields))
    np.add.at(exposure, (problem.entry_pass, problem.entry_field), problem.entry_exposure)
    pair, index = np.unique(animal[binary] * passes + problem.event_pass[binary], return_inverse=True)
    used = np.bincount(index.reshape(-1), problem.event_count[binary] * problem.event_exposure[binary])
    offered = np.einsum("ef,ef->e", problem.weight[pair // passes], exposure[pair % passes])
    if problem.personal is not None:
        own = problem.personal
        mine = np.repeat(np.arange(n), np.diff(own.start)) * passes + own.passes
        place = np.searchsorted(pair, mine)
        known = np.flatnonzero(pair[np.minimum(place, len(pair) - 1)] == mine) if len(pair) else np.empty(0, int)
        np.add.at(offered, place[known], own.exposure[known])
    over = np.flatnonzero(used > offered * (1 + 1e-9))
    if over.size:
        raise ValueError(
            f"animal {pair[over[0]] // passes} was detected on pass {pair[over[0]] % passes} "
            "in more trials than it was exposed to"
        )
