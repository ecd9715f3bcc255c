"""Slow, obvious twins of what depends on distances that are not straight lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import oracle_scr
import pandas as pd
import shapely
from scipy.special import gammaln, logsumexp

from uncia.models.detection import DETECTION_FUNCTIONS


def between_cells(mask, cost: np.ndarray, neighbours: int = 16, wall=None) -> np.ndarray:
    """Least-cost distances [M, M] between cells: every cell in turn as a stop on the way (Floyd 1962)."""
    x, y = mask.centres()
    away = np.full((mask.size, mask.size), np.inf)
    np.fill_diagonal(away, 0.0)
    for u in range(mask.size):
        for v in range(mask.size):
            apart = sorted((round(abs(x[u] - x[v]) / mask.spacing), round(abs(y[u] - y[v]) / mask.spacing)))
            way = shapely.LineString([(x[u], y[u]), (x[v], y[v])])
            near = apart in ([0, 1], [1, 1]) or (neighbours == 16 and apart == [1, 2])
            if near and not (wall is not None and way.intersects(wall)):
                away[u, v] = np.hypot(x[u] - x[v], y[u] - y[v]) * (cost[u] + cost[v]) / 2
    for stop in range(mask.size):
        away = np.minimum(away, away[:, [stop]] + away[[stop]])
    return away


def from_places(mask, cost: np.ndarray, at_x, at_y, between: np.ndarray, wall=None) -> np.ndarray:
    """Least-cost distances [J, M] from places, which are joined to the cells whose centres are within 1.6 cells."""
    x, y = mask.centres()
    out = np.full((len(at_x), mask.size), np.inf)
    for j, (a, b) in enumerate(zip(at_x, at_y, strict=True)):
        away = np.hypot(x - a, y - b)
        home = int(mask.cell_of(a, b))
        home = int(away.argmin()) if home < 0 else home
        for v in np.flatnonzero(away <= 1.6 * mask.spacing):
            if wall is None or not shapely.LineString([(a, b), (x[v], y[v])]).intersects(wall):
                first = max(away[v], 1e-6) * (cost[home] + cost[v]) / 2
                out[j] = np.minimum(out[j], first + between[v])
    return out


def log_fixes(detection: str, sigma: float, fixes: np.ndarray, between: np.ndarray, area: float) -> np.ndarray:
    """log density [M] of an animal's fixes, at distances [F, M], given each centre; area of a cell in m²."""
    shape = DETECTION_FUNCTIONS[detection]
    normaliser = area * shape.relative(between, sigma, 1.0).sum(axis=1)
    with np.errstate(divide="ignore"):
        return np.log(shape.relative(fixes, sigma, 1.0)).sum(axis=0) - len(fixes) * np.log(normaliser)


def with_collars(
    captures,
    mask,
    detection: str,
    D: float,
    parameters: Callable,
    distances: np.ndarray,
    fixes: np.ndarray,
    between: np.ndarray,
    classes: Mapping[str, float] | None = None,
) -> float:
    """The log-likelihood animal by animal; `parameters(class)` gives (lambda0, sigma).

    distances [K, M], fixes [F, M] (in the order of telemetry.fixes), between [M, N]: metres to habitat cells; N cells
    are those that animals can stand in
    """
    shares, mu, area = classes or {"": 1.0}, D * mask.cell_area / 100, mask.cell_area * 1e6
    telemetry = captures.telemetry
    whose = telemetry.fixes["animal"].to_numpy()

    def log_f(c: str, name: str, seen: dict) -> np.ndarray:
        found = oracle_scr.log_history(
            captures, mask, detection, lambda row: parameters(c), seen, captures.n_occasions, {}, distances
        )
        return found + of_fixes(c, name)

    def of_fixes(c: str, name: str) -> np.ndarray:
        return log_fixes(detection, parameters(c)[1], fixes[whose == name], between, area)

    total = 0.0
    for name, seen in zip(captures.animals.index, oracle_scr.histories(captures), strict=True):
        sex = captures.animals.loc[name, "sex"] if classes else None
        possible = [sex] if isinstance(sex, str) else list(shares)
        total += logsumexp([np.log(shares[c] * mu) + logsumexp(log_f(c, name, seen)) for c in possible])
    for name in set(whose) - set(captures.animals.index):
        sex = telemetry.animals["sex"].get(name)
        possible = {sex: 1.0} if classes and isinstance(sex, str) else shares
        total += logsumexp([np.log(p / mask.size) + logsumexp(of_fixes(c, name)) for c, p in possible.items()])
    detected = sum(p * mu * np.sum(-np.expm1(log_f(c, "", {}))) for c, p in shares.items())
    alike = pd.Series([tuple(sorted(seen.items())) for seen in oracle_scr.histories(captures)]).value_counts()
    return float(total - detected - gammaln(alike.to_numpy() + 1.0).sum())


def searched(
    captures, mask, ground, D: float, scale: float, sigma: float, detection: str, between: np.ndarray
) -> float:
    """The log-likelihood of animals found in searched shapes: each cell of the ground by what of a shape is in it.

    scale : hazard at the centre, per km of a line or m² of an area; between [M, N]: metres from habitat to ground cells
    """
    shape, half, detectors = DETECTION_FUNCTIONS[detection], 0.5 * ground.spacing, captures.detectors
    of_line = detectors.kind.startswith("transect")
    h = scale * shape.relative(between, sigma, 1.0)
    exposure = np.zeros(mask.size)
    for n, (x, y) in enumerate(zip(*ground.centres(), strict=True)):
        cell = shapely.box(x - half, y - half, x + half, y + half)
        for k, one in enumerate(detectors.shapes):
            part = shapely.intersection(one, cell)
            size = part.length / 1000 if of_line else part.area
            exposure += np.where(detectors.used[:, k], detectors.effort[:, k], 0.0).sum() * size * h[:, n]
    mu, total = D * mask.cell_area / 100, 0.0
    frame = captures.detections
    for _, mine in frame.groupby("animal"):
        log_f = -exposure
        for row in mine.itertuples():
            k = list(detectors.id).index(row.detector)
            log_f = log_f + np.log(detectors.effort[row.occasion - 1, k] * h[:, int(ground.cell_of(row.x, row.y))])
        total += np.log(mu) + logsumexp(log_f)
    return float(total - mu * np.sum(-np.expm1(-exposure)))
