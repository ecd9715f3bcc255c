"""Lines and areas that were searched as quadrature nodes: points with a length (km) or an area (m²).

An animal's exposure to a search is an integral of its hazard over the line or the area; with nodes u_q and weights w_q
it is the sum Σ w_q h(|u_q - x|), so that to the engine a search is many detectors that nobody was seen at, and each
detection is one at its own place (Efford 2011, eqs 1-3, with the integral as a sum).

Straight pieces carry Gauss-Legendre nodes of the order that makes the error of the integral of a Gaussian less than
TOLERANCE for sigma down to LEAST of what the data suggest. Areas are square tiles; where an outline cuts one, what is
left is triangles (collapsed coordinates, all weights positive). Ways with many bends are grouped into pieces of a fifth
of sigma, with four nodes that have their length, mean place and covariance. Functions with an edge at the animal's
centre, such as the exponential, gain nothing from high orders; their tiles have corners at the centres of the mask's
cells, and weights that allow for an edge there (`edge_rule`), wherever an animal is thought to live. `error_of`
measures the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import shapely
from scipy.special import gammaln

from ...survey.detectors import AREAS, Detectors
from ...survey.errors import refuse
from ..detection import DetectionFunction
from .engine.problem import Personal, Raster, SpatialProblem

TOLERANCE = 1e-9
LEAST = 0.6
TILE = 4.0  # widest piece, in units of the least sigma
FINE = 0.2  # of the pieces of a winding way
PER_UNIT, MOST = 6.0, 400_000  # about how many nodes a square of the least sigma has; how many there may be
FEW, MANY, FEW_WITHIN = 3, 5, 3.0  # nodes along a tile of a function with an edge; few within so many pitches
PITCH = 0.15  # sigma between the nodes of functions with an edge
SMOOTH = ("hazard half-normal", "half-normal")


@dataclass(frozen=True, eq=False)
class Nodes:
    """Q nodes of K searched shapes, in the order of the shapes."""

    x: np.ndarray  # float [Q], m
    y: np.ndarray  # float [Q], m
    weight: np.ndarray  # float [Q], km of line or m² of area
    start: np.ndarray  # int [K + 1]

    @classmethod
    def of(
        cls, detectors: Detectors, sigma: float, function: str = "half-normal", raster: Raster | None = None
    ) -> Nodes:
        """Nodes of everything that was searched.

        Parameters
        ----------
        sigma : about the scale of movement, metres
        function : name of the detection function
        raster : that of the activity centres, needed for functions that are not smooth
        """
        smooth = function in SMOOTH or raster is None
        rule = Rule(LEAST * sigma if smooth else PITCH * sigma, None if smooth else raster)
        make = area_nodes if detectors.kind in AREAS else line_nodes
        about = PER_UNIT * float(shapely.area(detectors.shapes).sum()) / rule.unit**2
        if about > MOST:
            raise refuse(
                f"the searched areas are very large for animals that move about {sigma:,.0f} m: about {about:,.0f} "
                "places would be needed to add up their hazards",
                'Cut them into cells and use kind="count" with the effort of each, or give all detections of animals',
                value=f"{float(shapely.area(detectors.shapes).sum()) / 1e6:,.4g} km²",
            )
        parts = [make(shape, rule) for shape in detectors.shapes]
        x, y, weight = (np.concatenate([part[j] for part in parts]) for j in range(3))
        return cls(x, y, weight, np.cumsum([0, *(len(part[0]) for part in parts)]))


@dataclass(frozen=True)
class Rule:
    """How many nodes a piece has: `unit` is the least sigma of a smooth function, the pitch of one with an edge."""

    unit: float  # m
    raster: Raster | None  # None: smooth

    @property
    def widest(self) -> float:
        """Metres, of one piece."""
        return TILE * self.unit

    def tiles(self, bounds) -> tuple[np.ndarray, np.ndarray, float, float]:
        """West and south edges [tiles] of tiles over the bounds, their width and height."""
        west, south, east, north = bounds
        if self.raster is None:
            nx, ny = (max(1, int(np.ceil((b - a) / self.widest))) for a, b in ((west, east), (south, north)))
            width, height = (east - west) / nx, (north - south) / ny
            x, y = west + width * np.arange(nx), south + height * np.arange(ny)
        else:
            r = self.raster
            width = height = r.spacing / np.ceil(r.spacing / self.widest)
            first = [np.floor((a - z) / width) for a, z in ((west, r.x0), (south, r.y0))]
            last = [np.ceil((b - z) / width) for b, z in ((east, r.x0), (north, r.y0))]
            x, y = (z + width * np.arange(a, b) for z, a, b in zip((r.x0, r.y0), first, last, strict=True))
        return *(v.ravel() for v in np.meshgrid(x, y)), width, height

    def order(self, length: float) -> int:
        """Nodes along a piece."""
        return order(length / self.unit) if self.raster is None else max(1, int(np.ceil(length / self.unit)))


# ---- quadrature ----------------------------------------------------------------------------------------------------


def error_of(detectors: Detectors, sigma: float, detection: DetectionFunction, values, raster, x, y) -> float:
    """Largest error of the exposure of animals at x, y [m], relative to the largest exposure.

    sigma : scale of movement with which the nodes in use were made
    values : sigma and the third parameter at which it is measured
    """
    found = []
    for fineness in (1.0, 0.5):
        nodes = Nodes.of(detectors, fineness * sigma, detection.name, raster)
        parts = [slice(k, k + 1000) for k in range(0, len(nodes.x), 1000)]
        far = [np.hypot(np.subtract.outer(x, nodes.x[p]), np.subtract.outer(y, nodes.y[p])) for p in parts]
        found.append(sum(detection.relative(d, *values) @ nodes.weight[p] for d, p in zip(far, parts, strict=True)))
    return float(np.abs(found[0] - found[1]).max() / np.max(found[1]))


def order(ratio: float) -> int:
    """Gauss-Legendre nodes for the integral of a Gaussian over a piece of `ratio` sigma.

    The remainder L^(2q+1) (q!)^4 / ((2q+1) (2q)!^3) f^(2q), with |f^(2q)| ≤ (2q)! / (2^q q!) σ^-2q.
    """
    for q in range(1, 40):
        log = 2 * q * np.log(max(ratio, 1e-12)) + 3 * gammaln(q + 1) - 2 * gammaln(2 * q + 1) - q * np.log(2.0)
        if log - np.log(2 * q + 1) < np.log(TOLERANCE):
            return q
    return 40


@cache
def unit_rule(q: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in [0, 1] and weights that sum to one."""
    at, weight = np.polynomial.legendre.leggauss(q)
    return 0.5 * (at + 1.0), 0.5 * weight


def area_nodes(shape, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y [m] and weight [m²] of a polygon."""
    x, y, width, height = rule.tiles(shapely.bounds(shape))
    tiles = shapely.box(x, y, x + width, y + height)
    shapely.prepare(shape)
    whole = shapely.covers(shape, tiles)
    cut = shapely.get_parts(shapely.get_parts(shapely.intersection(shape, tiles[~whole])))
    cut = cut[(shapely.get_type_id(cut) == 3) & (shapely.area(cut) > 0)]
    square = shapely.area(shapely.envelope(cut)) <= shapely.area(cut) * (1.0 + 1e-12)
    pieces = [_box(box, rule) for box in (*shapely.bounds(tiles[whole]), *shapely.bounds(cut[square]))]
    pieces += [_triangle(t, rule) for t in _triangles(cut[~square])]
    x, y, weight = (np.concatenate([p[k] for p in pieces]) for k in range(3))
    return x, y, weight


def _box(bounds, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of a rectangle, the products of those along its sides."""
    west, south, east, north = bounds
    width, height = east - west, north - south
    if rule.raster is None:
        (a, v), (b, w) = unit_rule(rule.order(width)), unit_rule(rule.order(height))
        share = np.outer(v, w)
    else:
        q = FEW if max(width, height) <= FEW_WITHIN * rule.unit else MANY
        a, share = edge_rule(q, round(height / width, 9))
        b = a
    x, y = np.meshgrid(west + a * width, south + b * height, indexing="ij")
    return x.ravel(), y.ravel(), (width * height * share).ravel()


@cache
def edge_rule(q: int, aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """Places [q] along each side of a rectangle of height `aspect` × width, and weights [q, q] that sum to one.

    Gauss-Legendre nodes whose weights are moved, as little as possible and alike under reflections, so that besides
    polynomials (to degree 3, or 5 with q = 5) the distance r from each corner is integrated exactly, and r³ with q = 5:
    what a function with an edge at a corner has in its series. Gauss-Legendre weights where this makes one negative.
    """
    t, w = unit_rule(q)
    x, y = np.meshgrid(t, aspect * t, indexing="ij")
    r, plain, u, v = np.hypot(x, y), np.outer(w, w), 2.0 * x - 1.0, 2.0 * y / aspect - 1.0
    mirrored = np.minimum(np.arange(q), q - 1 - np.arange(q))
    orbit = (mirrored[:, None] * q + mirrored).ravel()
    powers = (1, 3) if q >= MANY else (1,)
    kept = [np.ones_like(u), u**2, v**2] + ([u**4, v**4, u**2 * v**2] if q >= MANY else [])
    rows = [np.bincount(orbit, p.ravel(), q * q) for p in [*kept, *(r**p for p in powers)]]
    lacking = [0.0] * len(kept) + [_mean_of_radius(aspect, p) - float(np.sum(plain * r**p)) for p in powers]
    weight = plain + np.linalg.lstsq(np.array(rows), np.array(lacking), rcond=None)[0][orbit].reshape(q, q)
    return (t, weight) if (weight > 0).all() else (t, plain)


def _mean_of_radius(aspect: float, power: int) -> float:
    """Mean of r^power over a rectangle of width 1, r being the distance from a corner; in polar coordinates."""
    t, w = unit_rule(60)
    corner = np.arctan(aspect)
    rest = 0.5 * np.pi - corner
    one = corner * (w @ (1.0 / np.cos(corner * t)) ** (power + 2))
    other = rest * (w @ (aspect / np.sin(corner + rest * t)) ** (power + 2))
    return float((one + other) / ((power + 2) * aspect))


def _triangles(shapes: np.ndarray) -> np.ndarray:
    """float [T, 3, 2]: the corners of triangles that make up polygons."""
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(shapes))
    return shapely.get_coordinates(triangles).reshape(-1, 4, 2)[:, :3]


def _triangle(corner: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of one triangle in collapsed coordinates: A + s (B - A) + s t (C - B), of area element 2 |ABC| s."""
    A, B, C = corner
    sides = np.hypot(*(corner - np.roll(corner, 1, axis=0)).T)
    s, v = unit_rule(rule.order(sides.max()) + 1)  # one more for the factor s
    t, w = unit_rule(rule.order(sides.max()))
    place = A + s[:, None, None] * (B - A) + (s[:, None] * t)[:, :, None] * (C - B)
    twice = abs((B - A)[0] * (C - A)[1] - (B - A)[1] * (C - A)[0])
    weight = twice * (s * v)[:, None] * w
    return place[..., 0].ravel(), place[..., 1].ravel(), weight.ravel()


def line_nodes(shape, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y [m] and weight [km] of a line."""
    found = [_one_line(shapely.get_coordinates(part), rule) for part in shapely.get_parts(shape)]
    x, y, weight = (np.concatenate([part[k] for part in found]) for k in range(3))
    return x, y, weight / 1000.0


def _one_line(place: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of a way through places [n, 2]."""
    step = np.hypot(*np.diff(place, axis=0).T)
    at = np.append(0.0, np.cumsum(step))
    piece_length = FINE * rule.unit if rule.raster is None else 2.0 * rule.unit
    if np.median(step) > 0.5 * piece_length or len(step) < 5:
        parts = [_straight(place[i], place[i + 1], rule) for i in np.flatnonzero(step > 0)]
        x, y, weight = (np.concatenate([part[k] for part in parts]) for k in range(3))
        return x, y, weight
    pieces = max(1, int(np.ceil(at[-1] / piece_length)))
    edges = np.linspace(0.0, at[-1], pieces + 1)
    cuts = np.unique(np.concatenate([at, edges]))
    ends = np.column_stack([np.interp(cuts, at, z) for z in place.T])
    length, piece = np.diff(cuts), np.searchsorted(edges, 0.5 * (cuts[1:] + cuts[:-1])) - 1
    total = np.bincount(piece, length, pieces)
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * (ends[1:] - ends[:-1])
    mean = np.column_stack([np.bincount(piece, length * z, pieces) for z in middle.T]) / total[:, None]
    off = middle - mean[piece]
    spread = off[:, :, None] * off[:, None, :] + half[:, :, None] * half[:, None, :] / 3.0
    spread = (
        np.stack([np.bincount(piece, length * s, pieces) for s in spread.reshape(-1, 4).T], axis=1) / total[:, None]
    )
    value, axis = np.linalg.eigh(spread.reshape(-1, 2, 2))
    move = axis * np.sqrt(np.maximum(value, 0.0))[:, None, :]  # columns are half-axes
    nodes = mean[:, None] + np.stack([move @ np.array([a, b]) for a in (-1.0, 1.0) for b in (-1.0, 1.0)], axis=1)
    return nodes[..., 0].ravel(), nodes[..., 1].ravel(), np.repeat(total / 4.0, 4)


def _straight(a: np.ndarray, b: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    length = float(np.hypot(*(b - a)))
    n = max(1, int(np.ceil(length / rule.widest)))
    at, weight = unit_rule(rule.order(length / n))
    t = ((np.arange(n)[:, None] + at) / n).ravel()
    return a[0] + t * (b - a)[0], a[1] + t * (b - a)[1], np.tile(weight * length / n, n)


# ---- the problem -----------------------------------------------------------------------------------------------------


def unfold(
    problem: SpatialProblem,
    shape: np.ndarray,
    nodes: Nodes,
    places: tuple[np.ndarray, np.ndarray],
    detection: np.ndarray,
) -> SpatialProblem:
    """The problem with every pass over a shape divided into its nodes, and every event at its own place.

    shape : int [G], the shape of each pass
    places : x and y [m] of the rows of the detections
    detection : int [E], the row of each event
    """
    size = np.diff(nodes.start)[shape]
    first = np.concatenate([[0], np.cumsum(size)])
    which = np.repeat(nodes.start[:-1][shape] - first[:-1], size) + np.arange(first[-1])
    x, y = (z[detection] for z in places)
    entry = _spread(problem.entry_pass, first)
    field = np.repeat(problem.entry_field, size[problem.entry_pass])
    exposure = np.repeat(problem.entry_exposure, size[problem.entry_pass]) * nodes.weight[which[entry]]
    return replace(
        problem,
        pass_x=np.concatenate([nodes.x[which], x]),
        pass_y=np.concatenate([nodes.y[which], y]),
        pass_row=np.concatenate([np.repeat(problem.pass_row, size), problem.pass_row[problem.event_pass]]),
        entry_field=field,
        entry_pass=entry,
        entry_exposure=exposure,
        event_pass=first[-1] + np.arange(len(detection)),
        personal=None if problem.personal is None else _personal(problem.personal, first, nodes.weight[which]),
    )


def _spread(passes: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The nodes of each pass, one pass after the other."""
    size = np.diff(first)[passes]
    begin = np.concatenate([[0], np.cumsum(size)])
    return np.repeat(first[:-1][passes] - begin[:-1], size) + np.arange(begin[-1])


def _personal(own: Personal, first: np.ndarray, weight: np.ndarray) -> Personal:
    """Personal exposure to passes as exposure to their nodes."""
    size = np.diff(first)
    mine, then = _spread(own.passes, first), _spread(own.event_pass, first)
    stops = [np.concatenate([[0], np.cumsum(size[passes])]) for passes in (own.passes, own.event_pass)]
    return replace(
        own,
        start=stops[0][own.start],
        passes=mine,
        exposure=np.repeat(own.exposure, size[own.passes]) * weight[mine],
        event_start=stops[1][own.event_start],
        event_pass=then,
        event_exposure=np.repeat(own.event_exposure, size[own.event_pass]) * weight[then],
    )
