"""Small spatial problems for tests, drawn at random but always alike for the same seed."""

from __future__ import annotations

import numpy as np

from uncia.models.spatial.engine.problem import BINARY, COUNT, MULTI, Raster, SpatialProblem

KINDS = {"count": COUNT, "binary": BINARY, "multi": MULTI}
THIRD = {"w-exponential": 60.0, "annular normal": 90.0, "hazard annular normal": 90.0, "cumulative lognormal": 70.0}

# 1 − (1 − u)^z, as a student writes it, loses its digits far out, and exp(−(d/σ)^z) underflows: stay within a few sigma
SIGMA = {"compound half-normal": 600.0, "hazard variable power": 600.0}


def holed_raster(ny: int, nx: int, spacing: float = 50.0) -> Raster:
    """A raster with a lake, a missing corner and an island."""
    habitat = np.ones((ny, nx), bool)
    habitat[ny // 3 : ny // 2, nx // 4 : nx // 2] = False
    habitat[: ny // 4, : nx // 4] = False
    habitat[0, 0] = True
    return Raster(x0=400_000.0, y0=4_100_000.0, spacing=spacing, habitat=habitat)


def parameters(detection: str, n_rows: int = 1) -> np.ndarray:
    """Plausible rows [R, 3] for a detection function, sigma in metres."""
    third = THIRD.get(detection, 3.0)
    rows = np.tile([0.12, SIGMA.get(detection, 150.0), third], (n_rows, 1))
    return rows * np.linspace(1.0, 1.3, n_rows)[:, None]


def problem(
    kind: str = "count",
    detection: str = "hazard half-normal",
    *,
    shape: tuple[int, int] = (45, 52),
    detectors: int = 20,
    animals: int = 9,
    occasions: int = 4,
    n_rows: int = 1,
    lost: bool = False,
    spread: float = 250.0,
    seed: int = 1,
) -> SpatialProblem:
    """A problem whose animals were seen near where they live; kind is "count", "binary", "multi" or "mixed".

    Effort differs between detectors and (for multi) occasions; `lost` removes every third animal before the last field.
    """
    rng = np.random.default_rng(seed)
    raster = holed_raster(*shape)
    x, y = raster.centres()
    at = rng.choice(x.size, detectors)
    pass_x, pass_y = x[at] + rng.uniform(-25, 25, detectors), y[at] + rng.uniform(-25, 25, detectors)
    pass_row = rng.integers(n_rows, size=detectors)
    n_fields = occasions if kind in ("multi", "mixed") else 2
    entries, effort = [], np.zeros((n_fields, detectors))
    for f in range(n_fields):
        for g in range(detectors):
            if rng.uniform() < 0.85:
                effort[f, g] = rng.choice([1.0, 1.0, 0.5])
                entries.append((f, g, effort[f, g]))
    weight = np.ones((animals, n_fields))
    if lost:
        weight[::3, -1] = 0.0
    events, start = [], [0]
    for i in range(animals):
        cell = rng.integers(x.size)
        near = np.argsort(np.hypot(pass_x - x[cell], pass_y - y[cell]) + rng.exponential(spread, detectors))
        kept = 0
        for f in range(n_fields):
            if weight[i, f] == 0:
                continue
            for g in near[: rng.integers(0, 3)] if kept or f + 1 < n_fields - lost else near:
                if effort[f, g] == 0:
                    continue
                which = KINDS[kind] if kind != "mixed" else KINDS[("count", "binary", "multi")[f % 3]]
                number = float(rng.integers(1, 4)) if which == COUNT else 1.0
                events.append((g, which, number, effort[f, g], f if which == MULTI else -1))
                kept += 1
                if which == MULTI or kept > 5:
                    break
        start.append(len(events))
    assert np.all(np.diff(start) > 0)
    field, entry_pass, exposure = (np.array(column) for column in zip(*entries, strict=True))
    event_pass, event_kind, count, event_exposure, event_field = (
        np.array(column) for column in zip(*events, strict=True)
    )
    return SpatialProblem(
        raster=raster,
        detection=detection,
        pass_x=pass_x,
        pass_y=pass_y,
        pass_row=pass_row,
        n_rows=n_rows,
        entry_field=field,
        entry_pass=entry_pass,
        entry_exposure=exposure,
        void_weight=np.ones(n_fields),
        weight=weight,
        event_start=np.array(start),
        event_pass=event_pass,
        event_kind=event_kind,
        event_count=count,
        event_exposure=event_exposure,
        event_field=event_field,
    )
