"""The density of a fix where distances are not straight lines, and what it needs: a normaliser for every centre.

A fix v of an animal that lives at x has the density

    k(d(x, v)) / Z(x),      Z(x) = a Σ_u k(d(x, u))

with u all cells that an animal can stand in, a their area: those of the raster through which least-cost ways lead
(`LeastCost(through=…)`, by default the habitat), or the habitat cells where distances come from a function. It is the
density of `telemetry` with the distance d instead of a straight line and the ground that there is instead of the plane:
near the edge of the raster, or in a valley between walls, an animal is found more often where it can be. Where a metre
costs one everywhere and x is far from edges, Z(x) is ∫ k(|u|) du but for the directions that steps can have, and for
cells that are wide compared with sigma.

Z(x) differs between centres and changes with sigma and the costs; its derivatives go along the trees of shortest ways
from x, like those of every distance. It is worked out for the centres alone at which a collared animal's fixes do not
rule it out: with n_i fixes, log f_i(x) is at most what it is without Z less n_i log z(x), where z(x) ≤ Z(x) sums over
the neighbours of x only, and at least what it is at one x for which Z is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .distances import Distances
from .problem import SpatialProblem
from .shapes import Shape

LEFT_OUT = 1e-11  # of k: distances beyond are not found


@dataclass(frozen=True, eq=False)
class Fixes:
    """Which passes of a problem are fixes of collared animals."""

    one: int  # any of these passes: they have one row
    count: np.ndarray  # float [n], how many each animal has

    @classmethod
    def of(cls, problem: SpatialProblem, row: int | None) -> Fixes | None:
        """Of a problem in which fixes have the parameter row `row`; None if it has none."""
        mine = np.flatnonzero(problem.pass_row == row) if row is not None else np.empty(0, int)
        if not mine.size:
            return None
        animal = np.repeat(np.arange(problem.n_animals), np.diff(problem.event_start))
        here = np.isin(problem.event_pass, mine)
        count = np.bincount(animal[here], problem.event_count[here], minlength=problem.n_animals)
        return cls(int(mine[0]), count) if count.any() else None


class Ranges(NamedTuple):
    """What is known of Z at one value of the parameters, cells in block order; lengths in metres."""

    low: np.ndarray  # float [M], log of a number that is not more than Z
    log_z: np.ndarray  # float [M], infinite where Z has not been worked out


class Ground(NamedTuple):
    """The shape of an animal's range at one value of the parameters. Lengths in cells."""

    distances: Distances
    shape: Shape
    sigma: float
    third: float
    spacing: float  # m

    def least(self, cells: int) -> np.ndarray:
        """log z [M] of all habitat cells."""
        cell, metres = self.distances.beside()
        k = np.exp(at_distances(self, 0, metres / self.spacing)[0])
        return np.log(self._own + np.bincount(cell, k, minlength=cells)) + 2.0 * np.log(self.spacing)

    def log_z(self, cells: np.ndarray) -> np.ndarray:
        """log Z [C] of some habitat cells, Z in m²."""
        found = [np.empty(0)]
        for around in self.distances.around(cells, self._limit):
            k = np.exp(at_distances(self, 0, around.metres / self.spacing)[0])
            found.append(np.log(self._own + _sums(k, around.start)))
        return np.concatenate(found) + 2.0 * np.log(self.spacing)

    def pull(self, cells: np.ndarray, log_z: np.ndarray, over: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives by (log σ, third) [2] and by the cost of every cell, given those [C] by log Z."""
        weight = over / np.exp(log_z - 2.0 * np.log(self.spacing))
        value, by = at_distances(self, 1, np.zeros(1))
        out, over_cost, first = weight.sum() * np.exp(value) * by[:, 0], np.zeros(0), 0
        for around in self.distances.around(cells, self._limit):
            size = np.diff(around.start)
            mine, first = weight[first : first + len(size)], first + len(size)
            d = around.metres / self.spacing
            value, by = at_distances(self, 1, d)
            bar = np.repeat(mine, size) * np.exp(value)
            out = out + by @ bar
            more = self.distances.pull_around(
                around, along_distances(self.shape, d, self.third, by, bar) / self.spacing
            )
            over_cost = over_cost + more if over_cost.size else more
        return out, over_cost

    @property
    def _own(self) -> float:
        """k at the centre."""
        return float(np.exp(at_distances(self, 0, np.zeros(1))[0][0]))

    @property
    def _limit(self) -> float:
        """Metres beyond which k is nothing."""
        far = np.full(1, -np.log(LEFT_OUT))
        return self.spacing * float(self.shape.reach(far, np.full(1, self.sigma), np.full(1, self.third))[0])


def at_distances(of: Ground, order: int, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log k [E] at distances in cells, and with order 1 its derivatives [2, E] by (log σ, third)."""
    zero = np.zeros(1)
    value, by = np.empty((1, d.size)), np.zeros((2, 1, d.size))
    at = (zero, zero, np.array([of.sigma]), np.array([of.third]), d, np.zeros(d.size))
    of.shape.kernel(order, *at, value, by, np.zeros((3, 1, d.size)))
    return value[0], by[:, 0]


def along_distances(shape: Shape, d: np.ndarray, third, by: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Derivatives [E] by distances, given those `bar` by log k: shapes depend on d/σ (and w/σ) alone.

    by : float [2, E], derivatives of log k by (log σ, third)
    """
    slope = by[0] + third * by[1] if shape.third_is_length else by[0]
    return np.divide(-bar * slope, d, out=np.zeros_like(d), where=d > 0)


def _sums(x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Σ of x over the parts start[c] .. start[c + 1]."""
    return np.bincount(np.repeat(np.arange(len(start) - 1), np.diff(start)), x, minlength=len(start) - 1)
