"""What the spatial likelihood is evaluated on: plain arrays, nothing else.

One session of spatial capture-recapture is a raster of candidate activity centres, a list of *passes*
(a detector under one distinct row of detection parameters), *fields* (sums of passes over the raster)
and the animals' detections. Models build a `SpatialProblem` once; `engine.SpatialLikelihood` evaluates it.

For an animal i with its activity centre in cell m, and h_g(m) the hazard of pass g per unit of exposure,

    Λ_f(m)     = Σ_{j in field f} exposure_j · h_{pass_j}(m)
    log f_i(m) = − Σ_f weight_if Λ_f(m) + Σ_{e of i} count_e · term_e(m)

    term of a COUNT event    log(x_e h_g(m))                       Poisson counts; x_e is the event's exposure
    term of a BINARY event   log(expm1(x_e h_g(m)))                Bernoulli and binomial trials
    term of a MULTI event    log(x_e h_g(m)) + log φ(Λ_f(m)),      competing hazards; f is the field of the
                             φ(u) = expm1(u)/u                     one occasion on which the animal was caught
    term of a CLUMPED event  of negative-binomial counts, see `clumped`

so that every observation model is "the field that everybody shares" plus sparse terms where the animal was seen
(Borchers & Efford 2008, eqs 2-6, rewritten with hazards). Constants that do not depend on parameters
(multiplicities, factorials) are added by the model.

What single animals are exposed to beyond the fields is *personal*: an animal that has learned of a detector has
exchanged the naive hazard there for the learned one, so that the first counts with a negative exposure,

    log f_i(m) −= Σ_{c of i} x_c h_c(m)         Λ_f(m) of a MULTI event += Σ_{c of the event} x_c h_c(m)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .windows import Blocks

COUNT, BINARY, MULTI, CLUMPED = 0, 1, 2, 3


@dataclass(frozen=True)
class Raster:
    """A regular raster of square cells; only `habitat` cells can hold an activity centre.

    Cells are numbered 0..M-1 in row-major order over the True entries of `habitat` (y rows ascending, x columns
    ascending); all arrays "over cells" use this order.
    """

    x0: float  # m, centre of column 0
    y0: float  # m, centre of row 0
    spacing: float  # m
    habitat: np.ndarray  # bool [ny, nx]

    @property
    def size(self) -> int:
        """M, the number of habitat cells."""
        return int(np.count_nonzero(self.habitat))

    @cached_property
    def blocks(self) -> Blocks:
        """The raster cut into blocks, once for all likelihoods on it."""
        from .windows import Blocks

        return Blocks.of(self)

    def __getstate__(self) -> dict:
        """Blocks do not travel to other processes: they are made sooner than read."""
        return {name: value for name, value in self.__dict__.items() if name != "blocks"}

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """x[M], y[M] of the habitat cells, metres."""
        row, column = np.nonzero(self.habitat)
        return self.x0 + self.spacing * column, self.y0 + self.spacing * row


@dataclass(frozen=True)
class Personal:
    """Exposure that is added to that by the fields, for single animals. C and P are numbers of entries."""

    start: np.ndarray  # int [n + 1], CSR over the entries of each animal
    passes: np.ndarray  # int [C]
    exposure: np.ndarray  # float [C], below zero where the fields say too much
    event: np.ndarray  # int [P], ascending: the MULTI events whose field is not the shared one
    event_start: np.ndarray  # int [P + 1], CSR over the entries of each such event
    event_pass: np.ndarray  # int
    event_exposure: np.ndarray  # float, below zero where the field says too much


@dataclass(frozen=True)
class OneDetection:
    """The ways in which an animal can be detected exactly once: Pr(once | m) = exp(−Λ0(m)) Σ_j times_j exp(term_j(m)).

    A pass, kind and exposure on several occasions are one way, with their number. J is the number of ways.
    """

    passes: np.ndarray  # int [J]
    kind: np.ndarray  # int [J]: COUNT, BINARY or MULTI
    exposure: np.ndarray  # float [J], > 0
    field: np.ndarray  # int [J]: the field of the occasion for MULTI, -1 otherwise
    times: np.ndarray  # float [J]: how often
    weight: np.ndarray | None = None  # float [J, F], exposure to the fields, where the one detection changes it
    personal: Personal | None = None  # what the one detection changes at single detectors


@dataclass(frozen=True)
class SpatialProblem:
    """One session as arrays. G passes, R parameter rows, F fields, n animals, E events, J field entries."""

    raster: Raster
    detection: str  # name of the detection function, a key of models.detection.DETECTION_FUNCTIONS
    pass_x: np.ndarray  # float [G], m
    pass_y: np.ndarray  # float [G], m
    pass_row: np.ndarray  # int [G], row of the detection parameters
    n_rows: int  # R
    entry_field: np.ndarray  # int [J], ascending
    entry_pass: np.ndarray  # int [J]
    entry_exposure: np.ndarray  # float [J], > 0 (effort x number of identical occasions)
    void_weight: np.ndarray  # float [F]: exposure of an animal that is never caught to each field
    weight: np.ndarray  # float [n, F]: the same for each animal (differs only after a loss on capture)
    event_start: np.ndarray  # int [n + 1], CSR over events
    event_pass: np.ndarray  # int [E]
    event_kind: np.ndarray  # int [E]: COUNT, BINARY or MULTI
    event_count: np.ndarray  # float [E], >= 1
    event_exposure: np.ndarray  # float [E], > 0
    event_field: np.ndarray  # int [E]: the field of the occasion for MULTI, -1 otherwise
    personal: Personal | None = None
    once: OneDetection | None = None  # where animals that were detected once are not in the data

    pass_effort: np.ndarray | None = None  # float [G], of the detector-occasion of a clumped pass; NaN for others

    @property
    def n_animals(self) -> int:
        return len(self.event_start) - 1

    @property
    def n_fields(self) -> int:
        return len(self.void_weight)
