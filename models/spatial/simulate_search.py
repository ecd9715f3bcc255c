"""Detections of animals on lines and in areas that were searched, each at its place.

In an area an animal leaves a Poisson number of signs around its activity centre, and those within are found; on
a line the hazard per km at each place thins a Poisson process along it. Where an animal is detected at most once per
occasion one of its detections is kept: all are equally likely to be the first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely

from ...survey.detectors import AREAS, ONCE, Detectors
from ..detection import DetectionFunction
from .rows import log_measure

RINGS = 4000  # places at which the distribution of distances is known


def draw(
    rng: np.random.Generator,
    function: DetectionFunction,
    detectors: Detectors,
    effort: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    parameters: np.ndarray,
    far: Callable | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Detections of one occasion: animal, shape, and x and y [m].

    Parameters
    ----------
    effort : float [K], of each shape on this occasion
    x, y : float [n], the animals' activity centres, metres
    parameters : float [n or 1, K, 3]
    far : metres [J] of animals [J] from places x, y [J] where they are no straight lines
    """
    shape = (len(x), len(detectors))
    parameters = np.broadcast_to(parameters[..., :3], (*shape, 3))
    if far is None:
        in_areas, far = _in_areas, lambda animal, a, b: np.hypot(a - x[animal], b - y[animal])
    else:
        in_areas = _in_areas_along
    if detectors.kind in AREAS:
        animal, k, px, py = in_areas(rng, function, detectors, effort, x, y, parameters, far)
    else:
        animal, k, px, py = _on_lines(rng, function, detectors, effort, x, y, parameters, far)
    order = np.lexsort((k, animal))
    if detectors.kind in ONCE:
        order = rng.permutation(len(animal))
        order = np.sort(order[np.unique(animal[order], return_index=True)[1]])
    return animal[order], k[order], px[order], py[order]


def _in_areas_along(rng, function, detectors, effort, x, y, parameters, far):
    """As `_in_areas`, of places tried evenly over each area."""
    parts = []
    for k in np.flatnonzero(effort > 0):
        p, shape = parameters[:, k], detectors.shapes[k]
        per_m2 = p[:, 0] / np.exp(log_measure(function.name, p[:, 1], p[:, 2])[0])
        animal = np.repeat(np.arange(len(x)), rng.poisson(per_m2 * effort[k] * shapely.area(shape)))
        px, py = _evenly(rng, shape, len(animal))
        kept = rng.random(len(animal)) < function.relative(far(animal, px, py), p[animal, 1], p[animal, 2])
        parts.append((animal[kept], np.full(int(kept.sum()), k), px[kept], py[kept]))
    return _joined(parts)


def _evenly(rng: np.random.Generator, shape, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in a polygon."""
    west, south, east, north = shapely.bounds(shape)
    shapely.prepare(shape)
    found = np.empty((0, 2))
    while len(found) < n:
        more = rng.uniform([west, south], [east, north], (2 * n + 10, 2))
        found = np.concatenate([found, more[shapely.contains_xy(shape, *more.T)]])
    return found[:n, 0], found[:n, 1]


def _in_areas(rng, function, detectors, effort, x, y, parameters, far):
    parts = []
    for k in np.flatnonzero(effort > 0):
        p = parameters[:, k]
        animal = np.repeat(np.arange(len(x)), rng.poisson(p[:, 0] * effort[k]))
        away, angle = _distances(rng, function, p[animal, 1:]), rng.uniform(0.0, 2.0 * np.pi, len(animal))
        px, py = x[animal] + away * np.cos(angle), y[animal] + away * np.sin(angle)
        shapely.prepare(detectors.shapes[k])
        inside = shapely.contains_xy(detectors.shapes[k], px, py)
        parts.append((animal[inside], np.full(int(inside.sum()), k), px[inside], py[inside]))
    return _joined(parts)


def _distances(rng, function, shapes: np.ndarray) -> np.ndarray:
    """One distance for each row (sigma, third), of density ∝ r k(r)."""
    out, at = np.empty(len(shapes)), rng.random(len(shapes))
    different, which = np.unique(shapes, axis=0, return_inverse=True)
    for j, (sigma, third) in enumerate(different):
        edge = sigma + (third if function.parameters[-1] == "w" else 0.0)
        r = np.linspace(0.0, 40.0 * edge, RINGS * 10)
        middle = 0.5 * (r[1:] + r[:-1])
        share = np.append(0.0, np.cumsum(middle * function.relative(middle, sigma, third)))
        mine = which.ravel() == j
        out[mine] = np.interp(at[mine] * share[-1], share, r)
    return out


def _on_lines(rng, function, detectors, effort, x, y, parameters, far):
    lines = np.asarray(detectors.shapes, object)
    km = shapely.length(lines) / 1000.0
    number = rng.poisson(parameters[..., 0] * (km * np.maximum(effort, 0.0)))
    animal, k = (np.repeat(v, number.ravel()) for v in (a.ravel() for a in np.indices(number.shape)))
    places = along(lines[k], rng.random(len(k)) * 1000.0 * km[k])
    away, p = far(animal, *places.T), parameters[animal, k]
    kept = rng.random(len(k)) < function.relative(away, p[:, 1], p[:, 2])
    return animal[kept], k[kept], places[kept, 0], places[kept, 1]


def along(lines: np.ndarray, metres: np.ndarray) -> np.ndarray:
    """float [n, 2]: the place so far along each line, its parts one after the other."""
    parts, of = shapely.get_parts(lines, return_index=True)
    length = shapely.length(parts)
    first = np.searchsorted(of, np.arange(len(lines)))
    before = np.concatenate([[0.0], np.cumsum(length)])
    part = np.searchsorted(before, before[first] + metres, side="right") - 1
    part = np.clip(part, first, np.searchsorted(of, np.arange(len(lines)), side="right") - 1)
    place = shapely.line_interpolate_point(parts[part], before[first] + metres - before[part])
    return shapely.get_coordinates(place).reshape(-1, 2)


def _joined(parts):
    if not parts:
        return np.empty(0, int), np.empty(0, int), np.empty(0), np.empty(0)
    animal, k, x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return animal, k, x, y
