"""Starting values of open spatial models from the data."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...survey.together import methods_of
from ..spatial.starts import _intercept, _spread, shape_start

if TYPE_CHECKING:
    from .model import OpenSCR

RATES = {"phi": 0.75, "f": 0.3, "growth": 1.02, "gamma": 0.75, "move_shape": 3.0}


def starting_values(model: OpenSCR) -> dict[str, float]:
    """One natural-scale value per parameter; those that are fixed are kept.

    sigma and the intercept as for closed sessions; D from the animals of a session over its effective sampling area;
    the scale of movement from the displacement of the animals' mean places between sessions.
    """
    fixed = {p.name: float(p.fixed) for p in model.parameters if p.fixed is not None}
    detection = model.detection
    parts = [c for whole in model.captures for c in methods_of(whole).values() if c.n_animals]
    sigma, third = shape_start(detection, 1.25 * float(np.median([_spread(c) for c in parts])))
    values = {"sigma": sigma} | dict.fromkeys(detection.parameters[2:], third) | fixed
    shape = [values[name] for name in detection.parameters[1:]]
    intercept = float(np.clip(np.median([_intercept(c, detection, *shape) for c in parts]), 1e-6, 20.0))
    values.setdefault(detection.scale, intercept if detection.hazard else float(-np.expm1(-min(intercept, 2.0))))
    years = float(model.years.mean())
    values.setdefault("b", 0.3 * years)
    values = RATES | values
    if model.classes is not None:
        values.setdefault("pmix", model.classes.start(model.captures))
    if "move_scale" in model.parameters:
        values.setdefault("move_scale", _moves(model, sigma))
    values.setdefault("D", _density(model, values))
    return values


def _moves(model: OpenSCR, sigma: float) -> float:
    """Per axis, the root mean square of the displacement from one session to the next; below a third of the reach."""
    squares = []
    for a, b in pairwise(model.captures):
        both = a.animals.index.intersection(b.animals.index)
        from_here, to = (c.centroids()[c.animals.index.get_indexer(both)] for c in (a, b))
        squares += list(((from_here - to) ** 2).sum(axis=1) / 2.0)
    found = np.sqrt(np.mean(squares)) if squares else sigma
    most = max(model.mover.reach / 3.0, model.mask.spacing)
    return float(np.clip(found, 0.5 * model.mask.spacing, most))


def _density(model: OpenSCR, values) -> float:
    if model.likelihood != "full":
        return 1.0
    vector = np.array([values[name] for name in model.detection.parameters] + [1.0] * 3)[:3]
    rows = np.tile(vector, (len(model.row_index), 1))
    hazards = model.passes.hazards(rows)
    field, records = model.passes.fields(hazards, 0), model.records
    esa = []
    for t in range(len(model.captures)):
        here = slice(*records.field_start[t : t + 2])
        caught = -np.expm1(-(records.void_weight[here] @ field[here]))
        esa.append(float(caught.sum()) * model.mask.cell_area)
    seen = (records.visit >= 0).sum(axis=0)
    return 100.0 * max(float(seen.sum() / max(sum(esa), 1e-9)), 1.2 * float(seen.mean()) / model.mask.area)
