"""Searched areas and lines where distances are not straight lines: cell by cell.

A way ends in a cell. What was searched of an area or a line within a cell therefore counts as if it lay at the cell's
centre, and so does what was found there,

    Λ(x) = Σ_cells effort × (km or m² searched in the cell) × h(d(x, centre of the cell))

so that places are known to the cell and no better: σ comes out too large by about (w/σ)²/24 of it with cells w wide,
1 % where they are half a σ. Cells are those that animals can move through. `lambda0` of areas is the number of
detections expected of an animal whose whole range is searched, were a metre to cost one everywhere (`rows`).
"""

from __future__ import annotations

import numpy as np
import shapely

from ...survey.captures import CaptureHistory
from ...survey.detectors import AREAS
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from .nodes import Nodes


def searched_cells(captures: CaptureHistory, ground: HabitatMask) -> tuple[Nodes, tuple[np.ndarray, np.ndarray]]:
    """A node for each cell of each searched shape, and the centres x, y [m] of the cells that detections lie in.

    ground : the cells that animals can move through

    Raises
    ------
    SurveyError : something was searched or found outside them
    """
    detectors, (cx, cy) = captures.detectors, ground.centres()
    parts = [(_of_area if detectors.kind in AREAS else _of_line)(shape, ground) for shape in detectors.shapes]
    at = ground.cell_of(*captures.places)
    words = []
    for k, (_, size, outside) in enumerate(parts):
        found = int(np.sum((captures.detector_index == k) & (at < 0)))
        if found or outside > 1e-9 * size.sum():
            share = 100.0 * outside / (outside + size.sum())
            words.append(f"{share:.1f} % of {detectors.id[k]} and {found} detection{'s' * (found != 1)} there")
    if words:
        raise refuse(
            "along ways a search is known by its cells, and some of it lies outside those that animals move through",
            "Extend the mask to it, or let through= of LeastCost hold it",
            value="; ".join(words),
        )
    cell, size = (np.concatenate([part[j] for part in parts]) for j in (0, 1))
    start = np.cumsum([0, *(len(part[0]) for part in parts)])
    return Nodes(cx[cell], cy[cell], size, start), (cx[at], cy[at])


def _of_area(shape, ground: HabitatMask) -> tuple[np.ndarray, np.ndarray, float]:
    """(cells, m² of the shape in each, m² outside all)."""
    (x, y), half = ground.centres(), 0.5 * ground.spacing
    west, south, east, north = shapely.bounds(shape)
    near = np.flatnonzero((x > west - half) & (x < east + half) & (y > south - half) & (y < north + half))
    boxes = shapely.box(x[near] - half, y[near] - half, x[near] + half, y[near] + half)
    area = shapely.area(shapely.intersection(shape, boxes))
    kept = area > 0
    return near[kept], area[kept], max(0.0, float(shapely.area(shape) - area.sum()))


def _of_line(shape, ground: HabitatMask) -> tuple[np.ndarray, np.ndarray, float]:
    """(cells, km of the line in each, km outside all): cut where it crosses from one cell to the next."""
    ends = [shapely.get_coordinates(part) for part in shapely.get_parts(shape)]
    a, b = np.concatenate([z[:-1] for z in ends]), np.concatenate([z[1:] for z in ends])
    segment, at = [np.arange(len(a))] * 2, [np.zeros(len(a)), np.ones(len(a))]
    for axis, first in enumerate((ground.x0, ground.y0)):
        edge = first - 0.5 * ground.spacing
        low, high = (np.floor((z[:, axis] - edge) / ground.spacing).astype(int) for z in (a, b))
        low, count = np.minimum(low, high), np.abs(high - low)
        which = np.repeat(np.arange(len(a)), count)
        line = low[which] + 1 + np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        segment.append(which)
        at.append((edge + line * ground.spacing - a[which, axis]) / (b - a)[which, axis])
    segment, at = np.concatenate(segment), np.concatenate(at)
    order = np.lexsort((at, segment))
    segment, at = segment[order], at[order]
    same = segment[1:] == segment[:-1]
    of, t, u = segment[1:][same], at[:-1][same], at[1:][same]
    middle = a[of] + (0.5 * (t + u))[:, None] * (b - a)[of]
    km = (u - t) * np.hypot(*(b - a)[of].T) / 1000.0
    cell = ground.cell_of(*middle.T)
    total = np.bincount(cell[cell >= 0], km[cell >= 0], ground.size)
    return np.flatnonzero(total > 0), total[total > 0], float(km[cell < 0].sum())
