"""How natural-scale detection parameters become the rows that the engine evaluates, with their derivatives.

A row of the engine is (scale, sigma, third), its hazard per unit of exposure being scale · k(d; sigma, third) with
k(0) = 1 at its peak. What `lambda0` means, and so what the scale is, differs between kinds of detectors:

    POINT   scale = lambda0 (or g0)                   at a detector, or per km of line at a place
    AREA    scale = lambda0 / c(sigma, third)         per m² searched; lambda0 is then the number of detections expected
                                                      of an animal whose whole range is searched (Efford 2011, eq. 3)
    FIX     scale = 1 / c(sigma, third)               density of one position of an animal, per m²
    WAY     scale = 1                                 the same where distances are not straight lines, see `ranges`

with c = ∫ k(|u|) du over the plane, in m². Each is a product of powers, so that derivatives are those of its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, ndtr, polygamma

from ...survey.errors import refuse
from ..detection import DetectionFunction

POINT, AREA, FIX, WAY = 0, 1, 2, 3


@dataclass(frozen=True)
class EngineRows:
    """Rows of the engine and how they move with the natural-scale values. R rows."""

    value: np.ndarray  # float [R, 3]
    slope: np.ndarray | None = None  # float [R, 3], of each scale by the three values; None: all rows are POINT
    bend: np.ndarray | None = None  # float [R, 3, 3], second derivatives of each scale

    @classmethod
    def of(cls, detection: DetectionFunction, kind: np.ndarray, values: np.ndarray, size=None) -> EngineRows:
        """From natural-scale values [R, 3] (1 for a third that the function does not have) and `kind` [R].

        size [R], that of clumped counts, becomes a fourth column.
        """
        if size is not None:
            three = cls.of(detection, kind, values)
            return cls(np.column_stack([three.value, size]), three.slope, three.bend)
        if not kind.any():
            return cls(values)
        power, here = np.where(kind >= FIX, 0.0, 1.0), np.isin(kind, (AREA, FIX))
        rows, slope, bend = values.copy(), np.zeros((len(values), 3)), np.zeros((len(values), 3, 3))
        slope[:, 0] = power / values[:, 0]
        bend[:, 0, 0] = -power / values[:, 0] ** 2
        if here.any():
            whole, first, second = log_measure(detection.name, values[here, 1], values[here, 2])
            slope[here, 1:], bend[here, 1:, 1:] = -first, -second
            rows[here, 0] = np.exp(power[here] * np.log(values[here, 0]) - whole)
        rows[kind == WAY, 0] = 1.0
        scale = rows[:, 0, None]
        bend = scale[:, :, None] * (bend + slope[:, :, None] * slope[:, None, :])
        return cls(rows, scale * slope, bend)

    def back(self, d_rows: np.ndarray) -> np.ndarray:
        """Derivatives by the natural-scale values [R, 3] from those by the engine's rows."""
        if self.slope is None:
            return d_rows
        return d_rows[:, :1] * self.slope + d_rows[:, :3] * np.array([0.0, 1.0, 1.0])

    def along(self, directions: np.ndarray) -> np.ndarray:
        """How the engine's rows move [R, 3, P] where the natural-scale values move along `directions` [R, 3, P]."""
        if self.slope is None:
            return directions
        moved = directions.copy()
        moved[:, 0] = np.einsum("rj,rjp->rp", self.slope, directions)
        return moved

    def bent(self, d_rows: np.ndarray, directions: np.ndarray) -> np.ndarray | float:
        """Σ d_rows ∂²rows [P, P] along straight directions of the natural-scale values."""
        if self.bend is None:
            return 0.0
        return np.einsum("r,rjp,rjk,rkq->pq", d_rows[:, 0], directions, self.bend, directions, optimize=True)


def log_measure(name: str, sigma: np.ndarray, third: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log c [R], c = 2π ∫ r k(r) dr in m², with first [R, 2] and second [R, 2, 2] derivatives by (sigma, third).

    Raises
    ------
    SurveyError : the detection function has no finite c, or is one of probabilities
    """
    R = len(sigma)
    first, second = np.zeros((R, 2)), np.zeros((R, 2, 2))
    whole = np.log(2.0 * np.pi) + 2.0 * np.log(sigma)
    first[:, 0], second[:, 0, 0] = 2.0 / sigma, -2.0 / sigma**2
    if name in ("hazard half-normal", "hazard exponential"):
        return whole, first, second
    if name == "hazard annular normal":
        return _annular(sigma, third, whole, first, second)
    if name not in SHAPES:
        raise refuse(
            "searches of areas and positions of animals need a detection function that is a hazard",
            f"Use one of {', '.join(map(repr, USABLE))}",
            value=name,
        )
    factor, by, twice = SHAPES[name](third)
    first[:, 1], second[:, 1, 1] = by, twice
    return whole + factor, first, second


def _annular(sigma, w, whole, first, second):
    """c = 2πσ² G(w/σ), G(u) = exp(-u²/2) + u √(2π) Φ(u)."""
    u = w / sigma
    bell = np.exp(-0.5 * u**2)
    slope = np.sqrt(2.0 * np.pi) * ndtr(u)
    G = bell + u * slope
    by, twice = slope / G, bell / G - (slope / G) ** 2
    first = first + np.stack([-by * u / sigma, by / sigma], axis=1)
    second[:, 0, 0] += twice * (u / sigma) ** 2 + 2.0 * by * u / sigma**2
    second[:, 0, 1] = second[:, 1, 0] = -twice * u / sigma**2 - by / sigma**2
    second[:, 1, 1] = twice / sigma**2
    return whole + np.log(G), first, second


def _variable_power(z):
    """∫ r exp(-(r/σ)^z) dr = σ² Γ(2/z) / z."""
    a = 2.0 / z
    by, twice = -a / z, 2.0 * a / z**2
    return (
        gammaln(a) - np.log(z),
        digamma(a) * by - 1.0 / z,
        polygamma(1, a) * by**2 + digamma(a) * twice + 1.0 / z**2,
    )


def _hazard_rate(z):
    """∫ r (1 - exp(-(r/σ)^-z)) dr = σ² Γ(1 - 2/z) / 2, which is finite for z > 2."""
    a = 1.0 - 2.0 / np.where(z > 2.0, z, np.nan)
    by, twice = 2.0 / z**2, -4.0 / z**3
    return (
        gammaln(a) - np.log(2.0),
        digamma(a) * by,
        polygamma(1, a) * by**2 + digamma(a) * twice,
    )


def _cumulative_gamma(z):
    """∫ r Pr(T > r) dr = E(T²) / 2 = σ² (z + 1) / 2z for a threshold T of mean σ and shape z."""
    return np.log(z + 1.0) - np.log(2.0 * z), 1.0 / (z + 1.0) - 1.0 / z, 1.0 / z**2 - 1.0 / (z + 1.0) ** 2


SHAPES = {
    "hazard variable power": _variable_power,
    "hazard hazard-rate": _hazard_rate,
    "hazard cumulative gamma": _cumulative_gamma,
}
USABLE = ("hazard half-normal", "hazard exponential", "hazard annular normal", *SHAPES)
