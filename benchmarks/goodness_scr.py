"""Goodness of fit of spatial capture-recapture: p-values under the model, and what the tests notice.

    python benchmarks/goodness_scr.py [data sets] [replicates] [rows.csv]     prints the table of goodness_scr.md

Worlds: the model itself; photographs in bursts (each record is followed by a Poisson number of others); animals that
differ (log lambda0 normal with s.d. 0.8); cameras that differ (the same); animals in groups of four that live at one
place. Each data set is tested by refitting and by resampling. Rows go to the file as they come.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey
from uncia.survey.errors import SurveyError

SIDE, SPACING, OCCASIONS = 5, 2000.0, 5
HAZARD = {"detection": "hazard half-normal"}
TRUTH = {"D": 20.0, "lambda0": 0.3, "sigma": 2000.0}
WORLDS = ("the model", "bursts of photographs", "animals differ", "cameras differ", "groups at one place")


def plan() -> models.SCR:
    """25 cameras, 2 km apart, counting for 5 occasions."""
    x, y = np.meshgrid(np.arange(SIDE) * SPACING + 5e5, np.arange(SIDE) * SPACING + 4e6)
    names = [f"C{k + 1:02d}" for k in range(SIDE**2)]
    detectors = survey.Detectors(names, x.ravel(), y.ravel(), np.ones((OCCASIONS, SIDE**2)), "count")
    seen = pd.DataFrame({"animal": ["a"], "occasion": [1], "detector": ["C08"]})
    mask = survey.HabitatMask.around(detectors, 7500.0, 1500.0)
    return models.SCR(survey.CaptureHistory(seen, detectors), mask, **HAZARD)


def data(model: models.SCR, world: str, seed: int) -> survey.CaptureHistory:
    """One data set of a world."""
    rng, detectors = np.random.default_rng([seed, WORLDS.index(world)]), model.captures.detectors
    at = models.simulate_population(model.mask, TRUTH["D"], seed)
    if world == WORLDS[4]:
        at = at.iloc[: len(at) // 4].loc[np.repeat(np.arange(len(at) // 4), 4)].reset_index(drop=True)
    if world in WORLDS[:2] or world == WORLDS[4]:
        found = model.simulate(TRUTH, seed, at)
        if world == WORLDS[1]:
            more = found.detections["count"] * (1 + rng.poisson(1.0, len(found.detections)))
            found = replace(found, detections=found.detections.assign(count=more))
        return found
    distance = np.hypot(at["x"].to_numpy()[:, None] - detectors.x, at["y"].to_numpy()[:, None] - detectors.y)
    u = np.exp(0.8 * rng.normal(size=(len(at), 1) if world == WORLDS[2] else (1, len(detectors.x))))
    h = TRUTH["lambda0"] * u * np.exp(-0.5 * (distance / TRUTH["sigma"]) ** 2)
    count = rng.poisson(np.broadcast_to(h[:, None, :], (len(at), OCCASIONS, len(detectors.x))))
    i, s, k = np.nonzero(count)
    names = np.asarray(detectors.id, object)[k]
    frame = {"animal": [f"a{j}" for j in i], "occasion": s + 1, "detector": names, "count": count[i, s, k]}
    return survey.CaptureHistory(pd.DataFrame(frame), detectors)


def run(n: int, replicates: int, path: Path) -> pd.DataFrame:
    """world, seed, way, statistic, p of all data sets, those of the file among them."""
    columns = ["world", "seed", "way", "statistic", "p", "c_hat"]
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)
    have, model = set(zip(done["world"], done["seed"], strict=True)), plan()
    for seed in range(n):
        for world in WORLDS:
            if (world, seed) in have:
                continue
            try:
                fit = model.on(data(model, world, seed)).fit()
            except SurveyError:  # nobody was detected
                continue
            if not fit.verdict.good:  # too few recaptures to say anything
                continue
            parts = []
            for way in ("refitted", "resampled"):
                found = fit.goodness(replicates, seed, refit=way == "refitted", workers=1).tests
                parts.append(found[["statistic", "p", "c_hat"]].assign(world=world, seed=seed, way=way)[columns])
            pd.concat(parts).to_csv(path, mode="a", header=not path.exists(), index=False)
    return pd.read_csv(path)


def table(drawn: pd.DataFrame) -> str:
    """Of each world, way and statistic: mean and s.d. of p (0.5 and 0.29 if uniform), shares of p up to 0.1 and 0.5."""
    head = "| world | way | statistic | mean p | s.d. of p | p ≤ 0.1 | p ≤ 0.5 | mean c-hat |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for (world, way, statistic), d in drawn.groupby(["world", "way", "statistic"], sort=False):
        p, n = d["p"], len(d)
        low, half = (p <= 0.1 + 1e-9).mean(), (p <= 0.5 + 1e-9).mean()
        error = 100 * np.sqrt(low * (1 - low) / n)
        name = statistic.replace("Freeman-Tukey, ", "")
        lines.append(
            f"| {world} | {way} | {name} | {p.mean():.2f} | {p.std():.2f} | {100 * low:.0f} ± {error:.0f} % "
            f"| {100 * half:.0f} % | {d['c_hat'].mean():.2f} |"
        )
    return "\n".join(lines)


def main(n: str = "64", replicates: str = "19", path: str = "goodness_scr.csv") -> None:
    """Print the table."""
    drawn = run(int(n), int(replicates), Path(path))
    few, most = (f(drawn.groupby("world")["seed"].nunique()) for f in (min, max))
    print(f"{few} to {most} data sets of each world, {replicates} replicates each.\n\n{table(drawn)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
