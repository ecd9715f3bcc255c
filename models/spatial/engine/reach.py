"""How far each detector and each animal reaches, and what the windows leave out.

Outside the disc of radius ρ around an animal's centre c its likelihood is at most

    log f_i(m) ≤ B_i(ρ) = Σ_e count_e [log(x_e κ_e) − decay_e(max(ρ − |p_e − c|, 0))],      κ = the hazard at distance 0

because undetected exposure can only lower it, and expm1(u) exp(−u) ≤ u for the exposure spent on detections. So
(Σ_m mu_m) exp(B_i(ρ)) bounds the part of the integral that a window omits; and as the integral over a window is a
lower bound of the whole, the ratio of the two is a certificate, and it also says which radius suffices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...detection import DetectionFunction
from .blockwise import BlockModel, Passes
from .shapes import SHAPES

# First guess: windows end where f_i has fallen by exp(-44) from its value at the centre. With 40 a third of the
# evaluations of the exponential on captdata had to be done twice.
START = 44.0
DOUBLINGS, HALVINGS = 60, 10  # a radius within a thousandth of the least one that suffices: `high` always does


@dataclass(frozen=True)
class Discs:
    """The animals' windows at one value of the parameters. Lengths in cells."""

    x: np.ndarray  # float [n]
    y: np.ndarray  # float [n]
    radius: np.ndarray  # float [n]
    away: np.ndarray  # float [E], distance of each event from its animal's centre
    ceiling: np.ndarray  # float [n], Σ count log(x κ)
    sigma: np.ndarray  # float [E]
    third: np.ndarray  # float [E]


class Reach:
    """Windows and certificates for one problem."""

    def __init__(self, model: BlockModel, function: DetectionFunction, tolerance: float):
        self.tolerance = tolerance
        self._shape = SHAPES[function.name]
        self._hazard = function.hazard
        self._encounters = model.encounters
        box = model.blocks.box
        self._corners = box[:, 0].min(), box[:, 1].max(), box[:, 2].min(), box[:, 3].max()
        # the most exposure to a pass that any animal can have had
        self._exposure = model.exposure @ model.void_weight
        if model.weight is not None and len(model.weight):
            self._exposure = np.maximum(self._exposure, model.exposure @ model.weight.max(axis=0))
        if model.encounters.own is not None:
            own, most = model.encounters.own.exposure, np.zeros_like(self._exposure)
            np.maximum.at(most, own.column, own.entry)
            self._exposure = self._exposure + most

    @property
    def exposed(self) -> np.ndarray:
        """bool [G]: whether anybody was exposed to a pass; nobody is to the fixes of collared animals."""
        return self._exposure > 0

    def _log_peak(self, passes: Passes) -> np.ndarray:
        """log κ [G]: the hazard is at most κ times the shape, −log(1 − g) being convex in g."""
        if self._hazard:
            return passes.log_scale
        return np.log(-np.log1p(-np.minimum(np.exp(passes.log_scale), 1.0 - 2.0**-53)))

    def passes(self, passes: Passes) -> np.ndarray:
        """Radius [G] outside which a pass adds less than the tolerance, absolutely and relative to its peak."""
        log_peak = self._log_peak(passes) + np.log(np.maximum(self._exposure, 1e-300))
        c = np.maximum(log_peak, 0.0) - np.log(self.tolerance)
        return self._shape.reach(c, passes.sigma, passes.third)

    def animals(self, passes: Passes) -> Discs:
        """First windows: discs at the weighted centroid of each animal's detections."""
        encounters = self._encounters
        n, animal = encounters.n, encounters.animal
        seen, count = encounters.linear.column, encounters.linear.entry
        sigma, third = passes.sigma[seen], passes.third[seen]
        precision = count / sigma**2
        weight = np.bincount(animal, precision, minlength=n)
        x = np.bincount(animal, precision * passes.x[seen], minlength=n) / weight
        y = np.bincount(animal, precision * passes.y[seen], minlength=n) / weight
        away = np.hypot(passes.x[seen] - x[animal], passes.y[seen] - y[animal])
        ceiling = encounters.constant + np.bincount(animal, count * self._log_peak(passes)[seen], minlength=n)
        fallen = np.bincount(animal, count * self._shape.decay(away, sigma, third), minlength=n)
        counts = np.bincount(animal, count, minlength=n)
        # every event has decayed by its share of the total at this distance
        share = (START + fallen) / counts
        radius = np.zeros(n)
        np.maximum.at(radius, animal, away + self._shape.reach(share[animal], sigma, third))
        return Discs(x, y, radius, away, ceiling, sigma, third)

    def _log_f_bound(self, discs: Discs, radius: np.ndarray) -> np.ndarray:
        """B_i(ρ) [n]."""
        animal, count = self._encounters.animal, self._encounters.linear.entry
        distance = np.maximum(radius[animal] - discs.away, 0.0)
        decay = self._shape.decay(np.minimum(distance, 1e9), discs.sigma, discs.third)
        return discs.ceiling - np.bincount(animal, count * decay, minlength=self._encounters.n)

    def bound(self, discs: Discs, log_a: np.ndarray, total: float) -> np.ndarray:
        """Relative error bound [n] of each integral: zero where the window covers everything or is not asked for."""
        log_omitted = np.log(max(total, 1e-300)) + self._log_f_bound(discs, discs.radius)
        left, right, bottom, top = self._corners
        farthest = np.hypot(np.maximum(discs.x - left, right - discs.x), np.maximum(discs.y - bottom, top - discs.y))
        known = np.isfinite(log_a)
        excess = np.where(known, log_omitted - np.where(known, log_a, 0.0), np.inf)
        return np.where((discs.radius >= farthest) | (discs.radius < 0.0), 0.0, np.exp(np.minimum(excess, 700.0)))

    def widened(self, discs: Discs, short: np.ndarray, log_a: np.ndarray, total: float) -> Discs:
        """Windows that suffice for the animals `short` [n]: by bisection of B_i; everywhere if nothing is known yet."""
        goal = log_a + np.log(0.5 * self.tolerance) - np.log(max(total, 1e-300))
        known = short & np.isfinite(log_a)
        low, high = discs.radius.copy(), np.maximum(discs.radius, 1.0) * 2.0
        for _ in range(DOUBLINGS):
            short_of = known & (self._log_f_bound(discs, high) > goal)
            if not short_of.any():
                break
            high = np.where(short_of, 2.0 * high, high)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            enough = self._log_f_bound(discs, middle) <= goal
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return replace(discs, radius=np.where(known, high, np.where(short, np.inf, discs.radius)))
