"""A snow-leopard programme over 120,000 km², simulated: python examples/09_plateau/make.py

1,200 cells of 10 km. In 2022 patrols look for sign in 150 of them, four times each. In 2022 and in 2024 cameras work at
the same fourteen sites, drawn at random within strata of how likely the land is to be used. Density follows the
ruggedness of the land and differs from site to site; between the two years numbers fall by about a fifth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from uncia import models, survey

SEED = 9
CRS = "EPSG:32646"
SIDE, COLUMNS, ROWS = 10_000.0, 40, 30  # metres; 400 km × 300 km
VISITED, VISITS, P_SIGN = 150, 4, 0.45
SITES = {"high": 6, "medium": 5, "low": 3}
LIMITS = (0.45, 0.75)  # of the true probability of use between the strata
LAMBDA0, SIGMA, OCCASIONS = 0.22, 3500.0, 6  # per occasion of ten days, metres
BETWEEN_SITES, BETWEEN_YEARS, CHANGE = 0.20, 0.10, -0.2  # standard deviations of logarithms; of all numbers
YEARS = (2022, 2024)


def main(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    land = plateau(rng)
    folder.mkdir(parents=True, exist_ok=True)
    land[["site", "x", "y", "ruggedness", "stratum"]].to_csv(folder / "cells.csv", index=False, lineterminator="\n")
    sign(land, rng).to_csv(folder / "sign.csv", index=False, lineterminator="\n")
    sites = draw_sites(land, rng)
    cameras, seen, density = [], [], []
    for j, site in enumerate(sites.itertuples()):
        detectors = design(site)
        cameras.append(pd.DataFrame({"site": site.site, "camera": detectors.id, "x": detectors.x, "y": detectors.y}))
        for k, year in enumerate(YEARS):
            D = site.density * (1.0 + CHANGE) ** k * np.exp(rng.normal(0.0, BETWEEN_YEARS) * k)
            density.append({"site": site.site, "year": year, "density": D})
            seen.append(captured(detectors, D, 1000 * SEED + 10 * j + k).assign(site=site.site, year=year))
    pd.concat(cameras).round(0).to_csv(folder / "cameras.csv", index=False, lineterminator="\n")
    columns = ["year", "site", "animal", "occasion", "camera"]
    pd.concat(seen)[columns].to_csv(folder / "captures.csv", index=False, lineterminator="\n")
    sites[["site", "stratum", "x", "y"]].to_csv(folder / "sites.csv", index=False, lineterminator="\n")
    truth = {
        "animals": {str(y): float((land["density"] * (1 + CHANGE) ** k).sum()) for k, y in enumerate(YEARS)},
        "change": CHANGE,
        "lambda0": LAMBDA0,
        "sigma": SIGMA,
        "density at the sites": pd.DataFrame(density).round(4).to_dict("records"),
    }
    text = json.dumps(truth, indent=1)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def plateau(rng: np.random.Generator) -> pd.DataFrame:
    """The cells with their ruggedness (mean 0, sd 1), true density per 100 km² and stratum."""
    rough = gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), 2.5)
    rough = (rough - rough.mean()) / rough.std()
    row, column = np.divmod(np.arange(ROWS * COLUMNS), COLUMNS)
    x, y = 300_000 + SIDE * (column + 0.5), 3_600_000 + SIDE * (row + 0.5)
    frame = pd.DataFrame({"site": [f"C{k:04d}" for k in range(len(row))], "x": x, "y": y})
    frame["ruggedness"] = rough.ravel().round(3)
    frame["density"] = 0.85 * np.exp(0.55 * frame["ruggedness"])
    frame["use"] = -np.expm1(-1.1 * frame["density"])  # of a cell, which is as large as a range
    strata = pd.cut(frame["use"], [0.0, *LIMITS, 1.0], labels=["low", "medium", "high"])
    return frame.assign(stratum=strata.astype(str))


def sign(land: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Whether sign was found on each visit to some cells drawn at random."""
    chosen = np.sort(rng.choice(len(land), VISITED, replace=False))
    used = rng.random(VISITED) < land["use"].to_numpy()[chosen]
    found = (rng.random((VISITED, VISITS)) < P_SIGN) & used[:, None]
    rows = [(land["site"].iloc[c], v + 1, int(found[i, v])) for i, c in enumerate(chosen) for v in range(VISITS)]
    return pd.DataFrame(rows, columns=["site", "visit", "value"])


def draw_sites(land: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Centres of camera sites in each stratum, at least 40 km apart and from the border."""
    kept: list[dict] = []
    for stratum, n in SITES.items():
        inside = land[land["stratum"] == stratum]
        inside = inside[inside["x"].between(320_000, 680_000) & inside["y"].between(3_620_000, 3_880_000)]
        mine = 0
        for i in rng.permutation(inside.index):
            cell = land.loc[i]
            if all(np.hypot(cell["x"] - k["x"], cell["y"] - k["y"]) >= 40_000 for k in kept):
                mine += 1
                D = float(cell["density"] * np.exp(rng.normal(-0.5 * BETWEEN_SITES**2, BETWEEN_SITES)))
                kept.append(
                    {"site": f"{stratum} {mine}", "stratum": stratum, "x": cell["x"], "y": cell["y"], "density": D}
                )
            if mine == n:
                break
    return pd.DataFrame(kept)


def design(site) -> survey.Detectors:
    """36 cameras on a grid of 4 km."""
    steps = 4000.0 * (np.arange(6) - 2.5)
    x, y = (v.ravel() for v in np.meshgrid(site.x + steps, site.y + steps))
    return survey.Detectors(tuple(f"{k + 1:02d}" for k in range(36)), x, y, np.full((OCCASIONS, 36), 1.0), crs=CRS,
                            effort_unit="occasions")  # fmt: skip


def captured(detectors: survey.Detectors, density: float, seed: int) -> pd.DataFrame:
    """Detections of animals that live around the cameras."""
    mask = survey.HabitatMask.around(detectors, 16_000.0, 2_000.0)
    nothing = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": [detectors.id[0]]})
    plan = models.SCR(survey.CaptureHistory(nothing, detectors), mask, detection="hazard half-normal")
    drawn = plan.simulate({"D": density, "lambda0": LAMBDA0, "sigma": SIGMA}, seed)
    return drawn.detections.rename(columns={"detector": "camera"})[["animal", "occasion", "camera"]]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
