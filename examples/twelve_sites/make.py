"""Twelve camera surveys of one region, simulated: python examples/twelve_sites/make.py

Two strata of a region: seven sites in forest, five in steppe, drawn at random. Density and detection vary between the
sites of a stratum; at one site of the steppe nothing was seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey

SEED = 13
CRS = "EPSG:32649"
AREAS = {"forest": 21_000.0, "steppe": 26_000.0}  # km²
MEAN = {"forest": 2.6, "steppe": 0.9}  # animals per 100 km²
BETWEEN_D, BETWEEN_LAMBDA0 = 0.3, 0.5  # standard deviations of logarithms between sites
LAMBDA0, SIGMA = 0.12, 2200.0
OCCASIONS, DAYS = 12, 5


def main(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    strata = ["forest"] * 7 + ["steppe"] * 5
    cameras, seen, sites = [], [], []
    for j, stratum in enumerate(strata):
        name = f"{stratum} {j + 1 if stratum == 'forest' else j - 6}"
        D = MEAN[stratum] * np.exp(rng.normal(-0.5 * BETWEEN_D**2, BETWEEN_D))
        lambda0 = LAMBDA0 * np.exp(rng.normal(0.0, BETWEEN_LAMBDA0))
        detectors = design(j, rng)
        mask = survey.HabitatMask.around(detectors, 9_000.0, 1_000.0)
        nothing = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": [detectors.id[0]]})
        plan = models.SCR(survey.CaptureHistory(nothing, detectors), mask, detection="hazard half-normal")
        captures = plan.simulate({"D": D, "lambda0": lambda0, "sigma": SIGMA}, 100 * SEED + j)
        seen.append(captures.detections.drop(columns="removed").assign(site=name))
        cameras.append(camera_table(detectors, name))
        sites.append({"site": name, "stratum": stratum, "density": D, "lambda0": lambda0})
    folder.mkdir(parents=True, exist_ok=True)
    pd.concat(cameras, ignore_index=True).to_csv(folder / "cameras.csv", index=False, lineterminator="\n")
    columns = ["site", "animal", "occasion", "detector", "count"]
    pd.concat(seen, ignore_index=True)[columns].to_csv(folder / "captures.csv", index=False, lineterminator="\n")
    known = pd.DataFrame(sites)
    known[["site", "stratum"]].to_csv(folder / "sites.csv", index=False, lineterminator="\n")
    truth = {
        "animals": {s: AREAS[s] * MEAN[s] / 100.0 for s in AREAS},
        "area (km²)": AREAS,
        "sites": known.round(4).to_dict("records"),
        "lambda0": LAMBDA0,
        "sigma": SIGMA,
    }
    text = json.dumps(truth, indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def design(j: int, rng: np.random.Generator) -> survey.Detectors:
    """16 cameras about 2.5 km apart, some of which failed for a while."""
    x, y = np.meshgrid(np.arange(4) * 2500.0, np.arange(4) * 2500.0)
    x, y = x.ravel() + rng.uniform(-300, 300, 16), y.ravel() + rng.uniform(-300, 300, 16)
    east, north = 400_000.0 + 40_000.0 * (j % 4), 4_200_000.0 + 50_000.0 * (j // 4)
    effort = np.full((OCCASIONS, 16), float(DAYS))
    for k in rng.choice(16, 2, replace=False):
        effort[rng.integers(3, 9) :, k] = 0.0
    return survey.Detectors(
        [f"C{k + 1:02d}" for k in range(16)], np.round(east + x), np.round(north + y), effort / DAYS, "count", crs=CRS
    )


def camera_table(detectors: survey.Detectors, site: str) -> pd.DataFrame:
    """One row per camera: where it stood and the days it worked on each occasion."""
    days = pd.DataFrame((detectors.effort.T * DAYS).astype(int), columns=[f"days {s + 1}" for s in range(OCCASIONS)])
    where = pd.DataFrame({"site": site, "detector": detectors.id, "x": detectors.x, "y": detectors.y})
    return pd.concat([where.astype({"x": int, "y": int}), days], axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
