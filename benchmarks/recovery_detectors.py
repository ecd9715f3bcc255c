"""Simulated truth recovered: cameras and scats in one model, and a search along GPS tracks.

    python benchmarks/recovery_detectors.py [data sets] [file]     prints the tables of recovery_detectors.md

Every data set is drawn by `SCR.simulate` and fitted by `SCR.fit` from its own starting values. With a file (CSV) the
estimates are kept as they come, and data sets that are in it are not fitted again. Bias is relative for density and
absolute for coefficients (link scale); all numbers carry their Monte-Carlo standard error.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from recovery_scr import table

from uncia import models, survey

HAZARD = {"detection": "hazard half-normal"}
SUCCESS = (0.8, 0.45)  # the share of scats that DNA can name, on each of two occasions
COLUMNS = ["scenario", "seed", "quantity", "truth", "estimate", "se", "lower", "upper"]


def tracks(n: int, km: float, seed: int) -> dict[str, shapely.LineString]:
    """Winding ways through a square of 20 km with a fix every 100 m: first those on ridges, then those in valleys."""
    rng, found = np.random.default_rng(seed), {}
    for i in range(n):
        turn = rng.uniform(0.0, 2.0 * np.pi) + np.cumsum(rng.normal(0.0, 0.15, int(10 * km)))
        steps = 100.0 * np.column_stack([np.cos(turn), np.sin(turn)])
        way = rng.uniform(4000.0, 16_000.0, 2) + np.cumsum(steps, axis=0)
        way = 20_000.0 - np.abs((way % 40_000.0) - 20_000.0)  # turned back at the edge
        found[f"{'ridge' if i < n // 2 else 'valley'} {i + 1}"] = shapely.LineString(way + np.array([5e5, 4e6]))
    return found


def ways(seed: int = 7, occasions: int = 2) -> survey.Detectors:
    """Twelve tracks of 12 km on two occasions; each third track was walked twice on the first."""
    lines = tracks(12, 12.0, seed)
    effort = np.ones((occasions, len(lines)))
    effort[0, ::3] = 2.0
    ridge = pd.DataFrame({"ridge": [float(name.startswith("ridge")) for name in lines]})
    return survey.transects(lines, effort, covariates=ridge)


def cameras() -> survey.Detectors:
    """25 cameras 3 km apart for ten occasions of five days."""
    x, y = (4000.0 + 3000.0 * v.ravel() for v in np.meshgrid(range(5), range(5)))
    names = [f"C{k + 1:02d}" for k in range(25)]
    return survey.Detectors(names, x + 5e5, y + 4e6, np.full((10, 25), 5.0), "count")


def plan(parts: dict[str, survey.Detectors]) -> tuple:
    """Captures that serve as a plan, and the mask."""
    made = {}
    for name, d in parts.items():
        at = shapely.line_interpolate_point(d.shapes[0], 10.0) if d.located else shapely.Point(d.x[0], d.y[0])
        one = {"animal": ["a"], "occasion": [1], "detector": [d.id[0]], "x": [at.x], "y": [at.y]}
        made[name] = survey.CaptureHistory(pd.DataFrame(one), d)
    captures = survey.together(made) if len(made) > 1 else next(iter(made.values()))
    return captures, survey.HabitatMask.around(captures, 8000.0, 1250.0)


def both(seed: int) -> list[tuple]:
    """Cameras and scats in one model; the same cameras alone."""
    truth = {"D": 6.0, "sigma": 2000.0, "lambda0": {"method[camera]": np.log(0.015), "method[scat]": np.log(0.12)}}
    model = models.SCR(*plan({"camera": cameras(), "scat": ways()}), lambda0="~ 0 + method", **HAZARD)
    data = model.simulate(truth, seed)
    rows = rows_of(model.on(data).fit(), truth, "")
    alone = models.SCR(data.methods["camera"], model.mask, **HAZARD).fit()
    rows += [(f"{quantity}, cameras alone", *r) for quantity, *r in rows_of(alone, {"D": 6.0}, "D")]
    return [*rows, ("animals detected", np.nan, data.n_animals, np.nan, np.nan, np.nan)]


def along_tracks(seed: int) -> list[tuple]:
    """Scats on tracks, more on ridges; not all have an identity, fewer on the second occasion."""
    truth = {"D": 6.0, "sigma": 2000.0, "lambda0": {"Intercept": np.log(0.2), "ridge": np.log(2.0)}}
    model = models.SCR(*plan({"scat": ways()}), lambda0="~ ridge", **HAZARD)
    collected = model.simulate(truth, seed)
    rng, frame = np.random.default_rng([seed, 1]), collected.detections
    named = rng.random(len(frame)) < np.array(SUCCESS)[frame["occasion"] - 1]
    share = pd.Series(named).groupby(frame["occasion"].to_numpy()).mean().reindex([1, 2]).to_numpy()
    d = collected.detectors
    data = survey.CaptureHistory(frame[named], replace(d, effort=d.effort * share[:, None]))
    rows = rows_of(models.SCR(data, model.mask, lambda0="~ ridge", **HAZARD).fit(), truth, "")
    rows += [("scats collected", np.nan, len(frame), np.nan, np.nan, np.nan)]
    return [*rows, ("animals detected", np.nan, data.n_animals, np.nan, np.nan, np.nan)]


def rows_of(fit, truth: dict, only: str) -> list[tuple]:
    """(quantity, truth, estimate, se, lower, upper) of the coefficients and of density."""
    rows = []
    if not only:
        known = fit.model.parameters.vector_from(truth)
        for (parameter, term), value, (_, r) in zip(
            fit.model.parameters.labels, known, fit.coefficients.iterrows(), strict=True
        ):
            if parameter != "D":
                rows.append((f"{parameter} ({term})", value, r["estimate"], r["se"], r["lower"], r["upper"]))
    r = fit.derive().query("quantity == 'density'").iloc[0]
    return [*rows, ("D, all", truth["D"], r["estimate"], r["se"], r["lower"], r["upper"])]


SCENARIOS = {"cameras and scats": both, "search along GPS tracks": along_tracks}


def main(n: int = 200, file: str | None = None) -> None:
    """Print the tables of all scenarios."""
    kept = pd.read_csv(file) if file and Path(file).exists() else pd.DataFrame(columns=COLUMNS)
    for name, one in SCENARIOS.items():
        begin, made = time.perf_counter(), 0
        for seed in sorted(set(range(n)) - set(kept.loc[kept["scenario"] == name, "seed"])):
            rows = pd.DataFrame([(name, seed, *row) for row in one(seed)], columns=COLUMNS)
            kept, made = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows, made + 1
            if file:
                kept.to_csv(file, index=False)
        print(f"{name}: {(time.perf_counter() - begin) / max(made, 1):.2f} s a data set", file=sys.stderr)
        mine = kept[(kept["scenario"] == name) & (kept["seed"] < n)].astype({"estimate": float, "truth": float})
        print(f"## {name}\n\n{mine['seed'].nunique()} data sets.\n\n{table(mine)}\n")


if __name__ == "__main__":
    main(*(int(a) if a.isdecimal() else a for a in sys.argv[1:]))
