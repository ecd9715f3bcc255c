"""Simulated populations and capture histories from a model and its survey."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell

CHUNK = 2_000_000  # hazards drawn at a time
COLUMNS = ["animal", "occasion", "detector", "count"]


def simulate_population(mask: HabitatMask, D, seed: int, *, distribution: str = "poisson") -> pd.DataFrame:
    """Activity centres (columns x, y, metres), uniform within their cells.

    Parameters
    ----------
    D : animals per 100 km², a number or one value per habitat cell [M]
    seed : of NumPy's default generator
    distribution : "poisson" number of animals, or "binomial": exactly round(∫ D dx) of them
    """
    return _population(mask, D, np.random.default_rng(seed), distribution)


def _population(mask: HabitatMask, D, rng: np.random.Generator, distribution: str) -> pd.DataFrame:
    mu = density_to_animals_per_cell(np.broadcast_to(np.asarray(D, float), (mask.size,)), mask.cell_area)
    if np.any(mu < 0) or not np.isfinite(mu).all():
        raise refuse("density must be 0 or more everywhere", "Correct D", value=float(mu.min()))
    total = float(mu.sum())
    N = int(rng.poisson(total)) if distribution == "poisson" else round(total)
    cell = np.sort(rng.choice(mask.size, N, p=mu / total)) if N else np.empty(0, int)
    x, y = mask.centres()
    jitter = rng.uniform(-0.5, 0.5, (2, N)) * mask.spacing
    return pd.DataFrame({"x": x[cell] + jitter[0], "y": y[cell] + jitter[1]})


def simulate_sessions(model, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None):
    """See `SCR.simulate`. Animals that are never detected are not in the data."""
    rng = np.random.default_rng(seed)
    natural = model.parameters.values(model.parameters.vector_from(values))
    made = [_simulate(model, s, model.values_of(natural, s), rng, centres) for s in model.sessions]
    return made[0] if len(made) == 1 else made


def _simulate(model, session, values, rng: np.random.Generator, centres: pd.DataFrame | None) -> CaptureHistory:
    at = _population(session.mask, values["D"], rng, model.distribution) if centres is None else centres
    detectors = session.captures.detectors
    effort = np.where(detectors.used, detectors.effort, 0.0)
    rows = session.kernel_input(values)[1]
    found = []
    step = max(1, CHUNK // max(1, effort.size))
    for begin in range(0, len(at), step):
        part = at.iloc[begin : begin + step]
        distance = np.hypot(part["x"].to_numpy()[:, None] - detectors.x, part["y"].to_numpy()[:, None] - detectors.y)
        animal, s, k, count = _draw(rng, model, session, distance, effort, rows)
        found.append(pd.DataFrame({"animal": animal + begin, "occasion": s + 1, "detector": k, "count": count}))
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS, dtype=int)
    seen = np.unique(frame["animal"])
    width = max(3, len(str(len(seen))))
    names = {a: f"A{i + 1:0{width}d}" for i, a in enumerate(seen)}
    frame["animal"] = frame["animal"].map(names)
    frame["detector"] = np.asarray(detectors.id, object)[frame["detector"].to_numpy(int)]
    return CaptureHistory(frame, detectors, occasions=session.captures.occasions, session=session.name)


def _draw(rng, model, session, distance, effort, rows):
    """Detections (animal, occasion, detector, count) of animals at `distance` [n, K] from the detectors."""
    shape, kind = model.detection, session.captures.detectors.kind
    n, (S, K) = len(distance), effort.shape
    animals, occasions, places, counts = [], [], [], []
    for s in range(S):
        unit = shape.hazard_at(distance, *rows[session.row_of[s]].T)  # one row of parameters per detector
        hazard = unit * effort[s]
        if kind == "multi":
            a, k, c = _one_trap(rng, hazard)
        elif kind == "proximity":
            a, k = np.nonzero(rng.random((n, K)) < -np.expm1(-hazard))
            c = np.ones(len(a), int)
        else:
            drawn = (
                rng.poisson(hazard)
                if model.counts == "poisson"
                else rng.binomial(effort[s].astype(int), -np.expm1(-unit))
            )
            a, k = np.nonzero(drawn)
            c = drawn[a, k]
        for whole, part in ((animals, a), (occasions, np.full(len(a), s)), (places, k), (counts, c)):
            whole.append(part)
    return tuple(np.concatenate(part).astype(int) for part in (animals, occasions, places, counts))


def _one_trap(rng, hazard):
    """Competing hazards: caught with probability 1 - exp(-H), in trap k with probability h_k / H."""
    total = hazard.cumsum(axis=1)
    H = total[:, -1]
    caught = np.flatnonzero(rng.random(len(H)) < -np.expm1(-H))
    where = rng.random(len(caught)) * H[caught]
    k = np.array([np.searchsorted(total[a], u, side="right") for a, u in zip(caught, where, strict=True)], int)
    return caught, k, np.ones(len(caught), int)
