"""Positions of animals along ways that are not straight lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from ..detection import DetectionFunction
from .engine.shapes import SHAPES
from .least_cost import Ways
from .metric import Metric

NOTHING = 35.0  # minus the logarithm of k where no fix is drawn
MANY = 10  # places tried for each fix


def draw_along(
    rng: np.random.Generator,
    detection: DetectionFunction,
    metric: Metric,
    values: Mapping[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    times: int,
    sigma: float,
    third: float = 1.0,
) -> pd.DataFrame:
    """Fixes of an animal that lives in the cell around x, y [1], of density k(d)/Z (`ranges`): columns who, x, y.

    A cell is drawn with the probability that it has, a place in it evenly; places are kept by rejection, so that their
    density is that at the place and not at the centre of the cell.
    """
    raster = metric.mask if metric.landscape is None else metric.landscape.raster
    cx, cy = raster.centres()
    home = metric.mask.cell_of(x, y)
    far = from_cell(metric, values, int(home[0]), detection.name, sigma, third)
    k = detection.relative(far, sigma, third)
    found = []
    while sum(len(part) for part in found) < times:
        cell = rng.choice(len(k), MANY * times, p=k / k.sum())
        place = np.stack([cx[cell], cy[cell]], axis=1) + rng.uniform(-0.5, 0.5, (len(cell), 2)) * raster.spacing
        odds = detection.relative(to_places(metric, values, int(home[0]), far, *place.T), sigma, third) / k[cell]
        found.append(place[rng.random(len(odds)) * odds.max() < odds])
    whole = np.concatenate(found)[:times]
    return pd.DataFrame({"who": 0, "x": whole[:, 0], "y": whole[:, 1]})


def from_cell(metric: Metric, values, cell: int, detection: str, sigma: float, third: float) -> np.ndarray:
    """Metres [N] from a habitat cell to all that animals can stand in, infinite out of reach."""
    raster = metric.mask if metric.landscape is None else metric.landscape.raster
    far = np.full(1, NOTHING), np.full(1, sigma), np.full(1, third)
    limit, out = float(SHAPES[detection].reach(*far)[0]), np.full(raster.size, np.inf)
    for around in metric.at(values).around(np.array([cell]), limit):
        out[around.cell] = around.metres
    out[cell if metric.landscape is None else metric.landscape.node_of[cell]] = 0.0
    return out


def to_places(metric: Metric, values, cell: int, far: np.ndarray, x, y) -> np.ndarray:
    """Metres [P] between a habitat cell and places, `far` [N] being those from it to all cells."""
    distances = metric.at(values)
    if isinstance(distances, Ways):
        return distances.to_places(far, x, y)
    cx, cy = metric.mask.centres()
    return np.array([metric.spec(float(a), float(b), cx, cy)[cell] for a, b in zip(x, y, strict=True)])


def from_searched_cells(metric: Metric, values, x, y, limit: float) -> Callable:
    """A function (animal [J], x [J], y [J]) of metres [J] between animals that live at x, y [n] and searched places."""
    raster = metric.mask if metric.landscape is None else metric.landscape.raster
    cx, cy = raster.centres()
    searched = np.flatnonzero(metric.place_of(cx, cy) >= 0)
    whole = np.column_stack([metric.between(values, x, y, cx[searched], cy[searched], limit), np.full(len(x), np.inf)])
    column = np.full(raster.size + 1, len(searched))
    column[searched] = np.arange(len(searched))
    return lambda animal, a, b: whole[animal, column[raster.cell_of(a, b)]]
