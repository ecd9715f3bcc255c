"""Deterministic starting values for spatial capture-recapture that work from two animals on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import brentq

from ...survey.detectors import AREAS, ONCE
from ..detection import DetectionFunction
from .metric import COST
from .nodes import Nodes
from .rows import EngineRows, log_measure

MOST_ANIMALS = 300  # centroids of this many animals are plenty for a start


def starting_values(model, fixed: Mapping[str, float]) -> dict[str, float]:
    """Natural-scale starting values of every parameter; those in `fixed` are kept.

    sigma: pooled standard deviation of detections about their animal's centroid (Calhoun & Casby 1958), a quarter
    more because centroids lie too close to the detections; without movement, half the detectors' spacing.
    Intercept: with each centroid taken for the activity centre, the summed hazard Λ that gives the mean number of
    detections of animals detected at least once, Λ/(1 - exp(-Λ)).
    D: the number of animals over the effective sampling area at these values.
    """
    detection = model.detection
    parts = [s for s in model.sessions if s.captures.n_animals]
    sigma, third = shape_start(detection, 1.25 * float(np.median([_spread(s.captures) for s in parts])))
    values = {"sigma": sigma} | dict.fromkeys(detection.parameters[2:], third) | dict(fixed)
    shape = [values[name] for name in detection.parameters[1:]]
    if detection.scale not in values:
        values[detection.scale] = intercept_start(model, {m.name for s in parts for m in s.methods}, shape)
    values[COST] = 1.0
    if model.classes is not None:
        values.setdefault("pmix", model.classes.start([s.captures for s in model.sessions]))
    if model.counts == "negative binomial":
        values.setdefault("size", 2.0)
    if "D" not in values:
        values["D"] = 1.0 if model.likelihood == "conditional" else _density(model, values)
    return values


def intercept_start(model, methods: set[str], shape) -> float:
    """Natural-scale start of lambda0 or g0 of some methods; that of all methods if they detected nothing."""
    every = [m for s in model.sessions for m in s.methods if m.captures.n_animals]
    some = [m for m in every if m.name in methods] or every
    found = float(np.clip(np.median([_intercept(m.captures, model.detection, *shape) for m in some]), 1e-6, 20.0))
    return found if model.detection.hazard else float(-np.expm1(-min(found, 2.0)))


def methods_apart(model, vector: np.ndarray) -> np.ndarray:
    """Starting coefficients with the intercept of each method where its own detections put it."""
    p = model.parameters[model.detection.scale]
    if p.design is None or "method" not in p.design.variables or len(p.design.names) != len(p.terms):
        return vector
    values, rows = model.parameters.values(vector), model.rows
    shape = [float(np.median(values[name])) for name in model.detection.parameters[1:]]
    names = rows["method"].astype(str)
    start = {name: intercept_start(model, {name}, shape) for name in names.unique()}
    eta = p.link.forward(names.map(start).to_numpy(float))
    moved = vector.copy()
    moved[model.parameters.slice_of(p.name)] = np.linalg.lstsq(p.design.fixed, eta, rcond=None)[0]
    D = model.parameters["D"]
    if model.likelihood == "full" and D.design is not None:
        moved[model.parameters.slice_of("D")] = D.start(_density_at(model, model.parameters.values(moved)))
    return moved


def _density_at(model, values: Mapping[str, np.ndarray]) -> float:
    """The number of animals over the effective sampling area at natural-scale values."""
    esa = sum(
        float(s.detection_probability(model.values_of(values, s)).sum()) * s.mask.cell_area
        for s in model.sessions
        if s.parts
    )
    area = sum(s.mask.area for s in model.sessions)
    return 100.0 * max(model.sample_size / max(esa, 1e-12), 1.2 * model.sample_size / area)


def told_apart(model, vector: np.ndarray) -> np.ndarray:
    """Starting coefficients at which classes that nobody knows differ, so that the likelihood is not level there.

    Of a few ways to differ in the first parameter with such a term, the one of the greatest likelihood.
    """
    if model.classes is None or not model.classes.latent:
        return vector
    labels, name = model.parameters.labels, model.classes.name
    main = [j for j, (p, term) in enumerate(labels) if p != "pmix" and name in term and ":" not in term]
    first = [j for j in main if labels[j][0] == labels[main[0]][0]] if main else []
    if not first:
        return vector
    intercept = [j for j, label in enumerate(labels) if label == (labels[first[0]][0], "Intercept")]
    size = 1.2 if labels[first[0]][0] in ("lambda0", "g0") else 0.6
    tries = []
    for way in (size, -size):
        moved = vector.copy()
        moved[first] += way * np.linspace(1.0, 2.0, len(first))
        moved[intercept] -= 0.5 * way
        tries.append((model.loglik(moved), -way, moved))
    return max(tries, key=lambda t: t[:2])[2]


def _density(model, values) -> float:
    row = np.ones(4)
    row[3] = values.get("size", 1.0)
    row[: len(model.detection.parameters)] = [values[name] for name in model.detection.parameters]
    esa = area = 0.0
    for s in model.sessions:
        if s.parts:
            rows = np.tile(row, (s.parts[0].problem.n_rows, 1))
            engine = s.engine_of(s.parts[0], None)
            size = rows[:, 3] if s.clumped else None
            rows = EngineRows.of(model.detection, s.arranged.scale, rows[:, :3], size).value
            esa += float(engine.detection_probability(rows).sum()) * s.mask.cell_area
        area += s.mask.area
    n = model.sample_size
    return 100.0 * max(n / max(esa, 1e-12), 1.2 * n / area)


def _spread(captures) -> float:
    spread, spacing = captures.pooled_sd(), captures.detectors.spacing
    if np.isfinite(spread):
        return spread
    return 0.4 * spacing if np.isfinite(spacing) and spacing > 0 else 800.0


def _intercept(captures, detection, sigma, third=1.0) -> float:
    per_animal = captures.n_detections / captures.n_animals
    if captures.detectors.kind in ONCE:  # saturates at one capture per occasion
        per_animal = -captures.n_occasions * np.log1p(-min(0.95, per_animal / captures.n_occasions))
    total = brentq(lambda u: u / -np.expm1(-u) - max(per_animal, 1.02), 1e-3, 1e6)
    return total / max(_mean_exposure(captures, detection, sigma, third), 1e-300)


def shape_start(detection: DetectionFunction, spread: float) -> tuple[float, float]:
    """sigma and the third parameter whose second moment is about that of a half-normal with `spread`."""
    name = detection.name.removeprefix("hazard ")
    if name in ("exponential", "w-exponential"):
        return spread / np.sqrt(3.0), 0.2 * spread
    if name in ("rate", "hazard-rate", "hazard rate"):
        return 0.9 * spread, 3.0
    if name == "annular normal":
        return 0.9 * spread, 0.3 * spread
    if name == "cumulative lognormal":
        return 1.25 * spread, 0.6 * spread
    if name == "cumulative gamma":
        return 1.25 * spread, 3.0
    if name == "compound half-normal":
        return 0.8 * spread, 2.0
    if name == "variable power":
        return 1.1 * spread, 1.5
    return spread, 1.0


def _mean_exposure(captures, detection, sigma, third) -> float:
    """Mean over animals of Σ effort × relative hazard at their centroid: the hazard per unit of the intercept."""
    detectors = captures.detectors
    effort = np.where(detectors.used, detectors.effort, 0.0).sum(axis=0)
    index, weight = captures.animal_index, captures.detections["count"].to_numpy(float)
    total = np.bincount(index, weight)
    x, y = (np.bincount(index, weight * z) / total for z in captures.places)
    step = max(1, len(x) // MOST_ANIMALS)
    at_x, at_y = detectors.x, detectors.y
    if detectors.located:
        nodes = Nodes.of(detectors, 2.0 * sigma)
        effort, at_x, at_y = np.repeat(effort, np.diff(nodes.start)) * nodes.weight, nodes.x, nodes.y
        if detectors.kind in AREAS:
            effort = effort / np.exp(log_measure(detection.name, np.array([sigma]), np.array([third]))[0])
    sums = [
        float(effort @ detection.relative(np.hypot(at_x - a, at_y - b), sigma, third))
        for a, b in zip(x[::step], y[::step], strict=True)
    ]
    return float(np.mean(sums))
