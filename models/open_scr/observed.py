"""The records of all primary sessions as one set of arrays, and the hazards of all detectors at given parameters.

A *pass* is a detector under one distinct row of detection parameters; detectors that stand in the same place in several
sessions under the same parameters are one pass. Fields Λ and terms of records are those of `spatial.engine.problem`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ...survey.captures import CaptureHistory, natural_order
from ...survey.errors import refuse
from ..detection import DetectionFunction
from ..spatial.arrange import Arranged
from ..spatial.engine.problem import BINARY, COUNT, MULTI
from ..spatial.engine.shapes import SHAPES
from ..spatial.methods import log_multiplicities

MOST = 4e8  # passes × cells: about 13 GB


@dataclass(frozen=True, eq=False)
class Records:
    """The animals and their records in T sessions: what does not depend on parameters. See `kernels.open_scr`."""

    names: pd.Index  # [n]
    first: np.ndarray  # int [n], session of the first detection
    last: np.ndarray  # int [n]
    gone: np.ndarray  # bool [n], taken out of the population at the last detection
    visit: np.ndarray  # int [n, T]
    weight: np.ndarray  # float [V, most fields of a session]
    event_start: np.ndarray  # int [V + 1]
    event_base: np.ndarray  # int [E], base pass
    event_kind: np.ndarray  # int [E]
    event_count: np.ndarray
    event_exposure: np.ndarray
    event_field: np.ndarray  # int [E], among all fields
    field_start: np.ndarray  # int [T + 1]
    void_weight: np.ndarray  # float [F]
    entry_field: np.ndarray  # int [J]
    entry_base: np.ndarray  # int [J], base pass
    entry_exposure: np.ndarray
    base_x: np.ndarray  # float [B], base passes: those of every session
    base_y: np.ndarray
    base_row: np.ndarray  # int [B], row of the detection covariates
    row_session: np.ndarray  # int [rows], session of each row of the detection covariates
    constant: float

    @classmethod
    def of(cls, captures: Sequence[CaptureHistory], arranged: Sequence[Arranged]) -> Records:
        """The sessions one after another, with the same animals by name."""
        names = pd.Index(sorted({a for c in captures for a in c.animals.index}, key=natural_order), dtype=object)
        n, T = len(names), len(captures)
        visit, gone = np.full((n, T), -1, np.int64), np.zeros((n, T), bool)
        fields = np.concatenate([[0], np.cumsum([a.problem.n_fields for a in arranged])]).astype(np.int64)
        widest = max(a.problem.n_fields for a in arranged)
        weight, starts, count, events = [], [np.zeros(1, np.int64)], 0, []
        bases, entries, rows, at_base, at_row, at_event = [], [], [], 0, 0, 0
        constant = 0.0
        for t, (c, a) in enumerate(zip(captures, arranged, strict=True)):
            problem = a.problem
            if problem.personal is not None:
                raise refuse("learned responses are not part of open models", "Leave b, bk, B, Bk, k and K out")
            if not np.isin(problem.event_kind, (COUNT, BINARY, MULTI)).all() or problem.once is not None:
                raise refuse("these detectors are not part of open models", "Use proximity, count or multi detectors")
            here = names.get_indexer(c.animals.index)
            visit[here, t] = count + np.arange(len(here))
            gone[here[c.animal_index[c.detections["removed"].to_numpy(bool)]], t] = True
            weight.append(np.pad(problem.weight, ((0, 0), (0, widest - problem.n_fields))))
            starts.append(at_event + problem.event_start[1:])
            field = np.where(problem.event_field >= 0, problem.event_field + fields[t], -1)
            columns = (problem.event_kind, problem.event_count, problem.event_exposure, field)
            events.append((problem.event_pass + at_base, *columns))
            entries.append((problem.entry_field + fields[t], problem.entry_pass + at_base, problem.entry_exposure))
            bases.append((problem.pass_x, problem.pass_y, problem.pass_row + at_row))
            rows.append(np.full(len(a.rows), t))
            constant += a.constant + log_multiplicities(c)
            count, at_event = count + len(here), at_event + len(problem.event_pass)
            at_base, at_row = at_base + len(problem.pass_x), at_row + len(a.rows)
        seen = visit >= 0
        last = T - 1 - seen[:, ::-1].argmax(axis=1)
        for i, t in zip(*np.nonzero(gone), strict=True):
            if last[i] > t:
                raise refuse(
                    f"animal {names[i]!r} was detected in session {captures[last[i]].session!r} "
                    f"after it was removed in session {captures[t].session!r}",
                    "Correct the removal or the identity",
                    value=names[i],
                )
        event, entry, base = (_joined(parts) for parts in (events, entries, bases))
        return cls(
            names=names,
            first=seen.argmax(axis=1).astype(np.int64),
            last=last.astype(np.int64),
            gone=gone.any(axis=1),
            visit=visit,
            weight=np.concatenate(weight).astype(float),
            event_start=np.concatenate(starts).astype(np.int64),
            event_base=event[0].astype(np.int64),
            event_kind=event[1].astype(np.int64),
            event_count=event[2].astype(float),
            event_exposure=event[3].astype(float),
            event_field=event[4].astype(np.int64),
            field_start=fields,
            void_weight=np.concatenate([a.problem.void_weight for a in arranged]).astype(float),
            entry_field=entry[0].astype(np.int64),
            entry_base=entry[1].astype(np.int64),
            entry_exposure=entry[2].astype(float),
            base_x=base[0].astype(float),
            base_y=base[1].astype(float),
            base_row=base[2].astype(np.int64),
            row_session=np.concatenate(rows),
            constant=constant,
        )

    def part(self, animals: np.ndarray) -> tuple[np.ndarray, ...]:
        """first, last, gone and visit of some animals."""
        return tuple(np.ascontiguousarray(v[animals]) for v in (self.first, self.last, self.gone, self.visit))


def _joined(parts: list[tuple]) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


@dataclass(frozen=True, eq=False)
class Hazards:
    """log h [G, M] of each pass, its slope by the logarithm of the detection function, and that one's slopes."""

    log_h: np.ndarray
    slope: np.ndarray | None
    first: np.ndarray  # [2, G, M]


class Detection:
    """The passes of all classes of animals, and the fields of each class."""

    def __init__(
        self, records: Records, function: DetectionFunction, index: np.ndarray, cells: tuple[np.ndarray, np.ndarray]
    ):
        """index: int [C, rows], the kernel's row for each class and row of the covariates."""
        self.records, self.function, self.cells = records, function, cells
        self.shape = SHAPES[function.name]
        key = [np.column_stack([records.base_x, records.base_y, i[records.base_row]]) for i in index]
        different, which = np.unique(np.concatenate(key), axis=0, return_inverse=True)
        which = which.reshape(len(index), -1)
        if len(different) * len(cells[0]) > MOST:
            raise refuse(
                "the detectors and cells of an open model are too many for the memory",
                "Use a coarser mask",
                value=f"{len(different):,} detectors under distinct parameters × {len(cells[0]):,} cells",
            )
        self.x, self.y = np.ascontiguousarray(different[:, 0]), np.ascontiguousarray(different[:, 1])
        self.row = different[:, 2].astype(np.int64)
        F, G = int(records.field_start[-1]), len(different)
        self.event_pass = [np.ascontiguousarray(w[records.event_base], np.int64) for w in which]
        self.exposure = [
            csr_array((records.entry_exposure, (records.entry_field, w[records.entry_base])), shape=(F, G))
            for w in which
        ]

    def hazards(self, rows: np.ndarray) -> Hazards:
        """At detection parameters rows [R, 3]."""
        G, M = len(self.x), len(self.cells[0])
        value, first = np.empty((G, M)), np.empty((2, G, M))
        if len(self.function.parameters) == 2:
            first[1] = 0.0
        own = rows[self.row]
        sigma, third = np.ascontiguousarray(own[:, 1]), np.ascontiguousarray(own[:, 2])
        self.shape.kernel(1, self.x, self.y, sigma, third, *self.cells, value, first, np.empty((3, 0, 0)))
        value += np.log(own[:, 0])[:, None]
        if self.function.hazard:
            return Hazards(value, None, first)
        g = np.minimum(np.exp(value), 1.0 - 2.0**-53)
        h = -np.log1p(-g)
        small = g < 1e-12
        log_h = np.where(small, value, np.log(np.where(small, 1.0, h)))
        return Hazards(log_h, np.where(small, 1.0, g / ((1.0 - g) * np.where(small, 1.0, h))), first)

    def fields(self, hazards: Hazards, c: int) -> np.ndarray:
        """Λ [F, M] for animals of class c."""
        return np.ascontiguousarray(self.exposure[c] @ np.exp(hazards.log_h))

    def pull(self, hazards: Hazards, rows: np.ndarray, d_log_h: np.ndarray) -> np.ndarray:
        """Derivatives [R, 3] by the rows of parameters from those by log h [G, M]."""
        if hazards.slope is not None:
            d_log_h = d_log_h * hazards.slope
        by = np.stack([d_log_h.sum(axis=1), *(np.einsum("gm,gm->g", d_log_h, f) for f in hazards.first)], axis=1)
        total = np.stack([np.bincount(self.row, b, len(rows)) for b in by.T], axis=1)
        total[:, :2] /= rows[:, :2]
        return total
