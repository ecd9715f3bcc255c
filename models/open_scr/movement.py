"""How activity centres move from one primary session to the next: kernels over cells, and the same for whole fields.

A kernel of relative weight k(r) takes an animal from a cell to those within `reach`; within a cell, r is the
root-mean-square distance of a disc of its area from the centre, spacing/√(2π). Weights are those of the cells' centres
(program openCR's way). Animals settle in habitat only: the weights are divided by their sum Z over the habitat around,
or the raster is a torus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..kernels.open_scr import ANYWHERE, MOVE, STAY, Moves, spread

KERNELS = {"normal": 1, "exponential": 1, "t": 2, "uniform": 0}  # with the number of their parameters
EDGES = ("renormalise", "wrap")
DEFAULT_CELLS = 10


@dataclass(frozen=True)
class Movement:
    """What activity centres do between primary sessions.

    Parameters
    ----------
    kernel : "none" (they stay), "independent" (each session anew, in proportion to D), or a kernel of r, the distance
        moved, with the parameters `move_scale` a (m) and `move_shape` b:
        "normal" exp(-r²/2a²) (bivariate normal, BVN), "exponential" exp(-r/a) (BVE), "t" (1 + r²/a²)^-(b + 1) (2Dt,
        BVT), "uniform" (within `reach`, no parameter)
    reach : m, the farthest move; 10 cells by default. The fit says how much of the kernel lies beyond
    edge : "renormalise": animals settle in habitat within reach; "wrap": what leaves a rectangular mask comes in on
        the other side
    own_cell : m, the distance moved by an animal that stays in its cell; spacing/√(2π) by default
    """

    kernel: str = "none"
    reach: float | None = None
    edge: str = "renormalise"
    own_cell: float | None = None

    def __post_init__(self):
        names = ("none", "independent", *KERNELS)
        if self.kernel not in names:
            raise refuse("this kind of movement is not known", f"Use one of {', '.join(names)}", value=self.kernel)
        if self.edge not in EDGES:
            raise refuse("this treatment of the mask's edge is not known", f"Use {' or '.join(EDGES)}", value=self.edge)
        for what, value in (("reach", self.reach), ("own_cell", self.own_cell)):
            if value is not None and not (np.isfinite(value) and value >= 0.0):
                raise refuse(f"{what} must be a distance in metres", "Correct it", value=value)

    @classmethod
    def of(cls, given: str | Mapping[str, object] | Movement) -> Movement:
        """From the name of a kernel, or from arguments by name."""
        if isinstance(given, Movement):
            return given
        if isinstance(given, str):
            return cls(given)
        unknown = sorted(set(given) - {f.name for f in fields(cls)})
        if unknown:
            known = ", ".join(f.name for f in fields(cls))
            raise refuse("the movement has no such argument", f"It has {known}", value=unknown[0])
        return cls(**given)  # type: ignore[arg-type]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the model's parameters that the movement has."""
        return ("move_scale", "move_shape")[: KERNELS.get(self.kernel, 0)]


class Mover:
    """Movement on one mask. Arrays over cells are [M]; with `settled`, a probability for each cell, for ANYWHERE."""

    def __init__(self, movement: Movement, mask: HabitatMask):
        self.movement = movement
        self.mode = {"none": STAY, "independent": ANYWHERE}.get(movement.kernel, MOVE)
        row, column = np.nonzero(mask.habitat)
        self.row, self.column = row.astype(np.int64), column.astype(np.int64)
        ny, nx = mask.habitat.shape
        self.shape, self.wrap = (ny, nx), movement.edge == "wrap" and self.mode == MOVE
        if self.wrap and not mask.habitat.all():
            raise refuse("only a mask that is a full rectangle can be wrapped", "Use edge='renormalise'")
        reach = DEFAULT_CELLS * mask.spacing if movement.reach is None else movement.reach
        whole = int(np.floor(reach / mask.spacing + 1e-9)) if self.mode == MOVE else 0
        cells = whole if self.wrap else min(whole, max(ny, nx) - 1)  # moves beyond the raster need no place
        self.reach, self.cells = whole * mask.spacing, cells
        step = np.arange(-cells, cells + 1)
        far = np.hypot(step[:, None], step[None, :])
        own = mask.spacing / np.sqrt(2.0 * np.pi) if movement.own_cell is None else movement.own_cell
        self.within = far <= whole + 0.5
        self.distance = np.where(far > 0, far * mask.spacing, own)

    def weights(self, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
        """The kernel [2r + 1, 2r + 1], and its derivatives [P, …] by its parameters."""
        name, d = self.movement.kernel, self.distance
        if name == "normal":
            k = np.exp(-0.5 * (d**2 - d.min() ** 2) / a**2)  # a factor common to all cells is no matter
            slopes = [k * (d**2 - d.min() ** 2) / a**3]
        elif name == "exponential":
            k = np.exp(-(d - d.min()) / a)
            slopes = [k * (d - d.min()) / a**2]
        elif name == "t":
            u = d**2 / a**2
            k = (1.0 + u) ** -(b + 1.0)
            slopes = [k * (b + 1.0) * 2.0 * u / (a * (1.0 + u)), -k * np.log1p(u)]
        else:
            k, slopes = np.ones_like(d), []
        inside = self.within
        return k * inside, np.array([s * inside for s in slopes]).reshape(-1, *d.shape)

    def beyond(self, a: float, b: float) -> float:
        """The share of the kernel, over a plane, that lies beyond its reach."""
        R = self.reach
        if self.movement.kernel == "normal":
            return float(np.exp(-0.5 * (R / a) ** 2))
        if self.movement.kernel == "exponential":
            return float(np.exp(-R / a) * (1.0 + R / a))
        return float((1.0 + (R / a) ** 2) ** -b) if self.movement.kernel == "t" else 0.0

    def at(self, scale: np.ndarray, shape: np.ndarray, settled: np.ndarray) -> Moving:
        """Movement at parameter values [T - 1] of the intervals (ignored where the kernel has none)."""
        return Moving(self, scale, shape, settled)


class Moving:
    """Movement at given values, on fields over cells, with the derivatives that it collects on the way back."""

    def __init__(self, mover: Mover, scale: np.ndarray, shape: np.ndarray, settled: np.ndarray):
        self.mover, self.mode, self.settled = mover, mover.mode, settled
        M, intervals = len(mover.row), len(scale)
        size = 2 * mover.cells + 1
        P = len(mover.movement.parameters)
        different, which = np.unique(np.column_stack([scale, shape]), axis=0, return_inverse=True)
        self.which = which.ravel().astype(np.int64)
        if mover.mode != MOVE or not intervals:
            self.which, different = np.zeros(intervals, np.int64), np.ones((1, 2))
        Q = len(different)
        self.kernel, self.slope = np.ones((Q, size, size)), np.zeros((Q, P, size, size))
        self.around, self.around_slope = np.ones((Q, M)), np.zeros((Q, P, M))
        for q, (a, b) in enumerate(different):
            if mover.mode == MOVE:
                self.kernel[q], self.slope[q] = mover.weights(a, b)
                self._spread(np.ones(M), self.kernel[q], self.around[q])
                for p in range(P):
                    self._spread(np.ones(M), self.slope[q, p], self.around_slope[q, p])
        self.d_move, self.d_settled = np.zeros((intervals, P)), np.zeros(M)

    def _spread(self, source, kernel, out=None) -> np.ndarray:
        m, out = self.mover, np.empty(len(source)) if out is None else out
        spread(np.ascontiguousarray(source), m.row, m.column, kernel, m.wrap, m.shape, out)
        return out

    @property
    def arrays(self) -> Moves:
        """What the kernels of animals take as `move`."""
        m = self.mover
        how = (self.which, m.wrap, m.shape, self.around, self.around_slope, self.settled)
        return Moves(m.row, m.column, self.kernel, self.slope, *how)

    def forward(self, t: int, source: np.ndarray) -> np.ndarray:
        """Where animals [M] of session t are in session t + 1."""
        if self.mode == STAY:
            return source
        if self.mode == ANYWHERE:
            return source.sum() * self.settled
        k = self.which[t]
        return self._spread(source / self.around[k], self.kernel[k])

    def forward_back(self, t: int, source: np.ndarray, d_out: np.ndarray) -> np.ndarray:
        """Derivatives by source, from those by `forward`; the movement's own are collected."""
        if self.mode == STAY:
            return d_out
        if self.mode == ANYWHERE:
            self.d_settled += source.sum() * d_out
            return np.full(len(source), float(d_out @ self.settled))
        k = self.which[t]
        from_here, back = source / self.around[k], self._spread(d_out, self.kernel[k])
        self._collect(t, k, from_here, d_out, back)
        return back / self.around[k]

    def backward(self, t: int, later: np.ndarray) -> np.ndarray:
        """The mean of `later` [M], of session t + 1, over where an animal of each cell in session t will be."""
        if self.mode == STAY:
            return later
        if self.mode == ANYWHERE:
            return np.full(len(later), float(self.settled @ later))
        k = self.which[t]
        return self._spread(later, self.kernel[k]) / self.around[k]

    def backward_back(self, t: int, later: np.ndarray, d_out: np.ndarray) -> np.ndarray:
        """Derivatives by later, from those by `backward`; the movement's own are collected."""
        if self.mode == STAY:
            return d_out
        if self.mode == ANYWHERE:
            self.d_settled += later * d_out.sum()
            return d_out.sum() * self.settled
        k = self.which[t]
        from_here = d_out / self.around[k]
        self._collect(t, k, from_here, later, self._spread(later, self.kernel[k]))
        return self._spread(from_here, self.kernel[k])

    def _collect(self, t: int, k: int, source: np.ndarray, target: np.ndarray, back: np.ndarray) -> None:
        """Of Σ target · (kernel of source), source being animals over Z, and back the kernel of target."""
        for p in range(self.d_move.shape[1]):
            change = target @ self._spread(source, self.slope[k, p])
            self.d_move[t, p] += change - (source * back / self.around[k]) @ self.around_slope[k, p]
