"""Detections of animals on lines and in areas that were searched, each at its place.

In an area an animal leaves a Poisson number of signs around its activity centre, and those within are found; on
a line the hazard per km at each place thins a Poisson process along it. Where an animal is detected at most once per
occasion one of its detections is kept: all are equally likely to be the first.
"""

from __future__ import annotations

import numpy as np
import shapely

from ...survey.detectors import AREAS, ONCE, Detectors
from ..detection import DetectionFunction

RINGS = 4000  # places at which the distribution of distances is known


def draw(
    rng: np.random.Generator,
    function: DetectionFunction,
    detectors: Detectors,
    effort: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    parameters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Detections of one occasion: animal, shape, and x and y [m].

    Parameters
    ----------
    effort : float [K], of each shape on this occasion
    x, y : float [n], the animals' activity centres, metres
    parameters : float [n or 1, K, 3]
    """
    shape = (len(x), len(detectors))
    parameters = np.broadcast_to(parameters[..., :3], (*shape, 3))
    found = (_in_areas if detectors.kind in AREAS else _on_lines)(rng, function, detectors, effort, x, y, parameters)
    animal, k, px, py = found
    order = np.lexsort((k, animal))
    if detectors.kind in ONCE:
        order = rng.permutation(len(animal))
        order = np.sort(order[np.unique(animal[order], return_index=True)[1]])
    return animal[order], k[order], px[order], py[order]


def _in_areas(rng, function, detectors, effort, x, y, parameters):
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


def _on_lines(rng, function, detectors, effort, x, y, parameters):
    lines = np.asarray(detectors.shapes, object)
    km = shapely.length(lines) / 1000.0
    number = rng.poisson(parameters[..., 0] * (km * np.maximum(effort, 0.0)))
    animal, k = (np.repeat(v, number.ravel()) for v in (a.ravel() for a in np.indices(number.shape)))
    places = along(lines[k], rng.random(len(k)) * 1000.0 * km[k])
    away = np.hypot(places[:, 0] - x[animal], places[:, 1] - y[animal])
    p = parameters[animal, k]
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
