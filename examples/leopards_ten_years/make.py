"""Make ten years of leopards: `python examples/leopards_ten_years/make.py [folder]` writes the same bytes every time.

Every leopard of a valley from 2015 to 2025, born, grown up, dead; and every year a camera survey that meets some of
them and tells them apart by their rosettes. From 2020 on more cubs survive. All of it is simulated: truth.json has the
true survival and the true numbers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
SEED = 2015
YEARS = tuple(range(2015, 2026))
STAGES = ("cub", "subadult", "adult")
CUB_SURVIVAL = {"before 2020": 0.30, "since 2020": 0.50}
SURVIVAL = {"subadult": 0.70, "adult": 0.84}
GROWN = 0.55  # probability that a subadult that survives is adult in the next year
MET = {"cub": 0.50, "subadult": 0.55, "adult": 0.70}  # probability to be met in a year's survey
ADULTS, LITTER = 50, 1.0  # adults in the first year; cubs per adult and year that live to be photographed


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    stage = live(rng)
    chance = np.array([0.0, *(MET[s] for s in STAGES)])
    met = np.where(rng.random(stage.shape) < chance[stage], stage, 0)
    seen = np.flatnonzero((met > 0).any(axis=1))
    order = seen[np.lexsort((seen, (met[seen] > 0).argmax(axis=1)))]
    names = [f"L{i + 1:03d}" for i in range(len(order))]
    write(pd.DataFrame(met[order], columns=YEARS, index=names), folder / "stages.csv")
    grown = (met[order] == 3).astype(int)
    grown_up = pd.DataFrame(grown, columns=YEARS, index=names)
    write(grown_up[grown.any(axis=1)], folder / "adults.csv")
    text = json.dumps(truth(stage), indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    print(f"{folder}: {len(order)} leopards met, {int((met > 0).sum())} encounters")


def live(rng: np.random.Generator) -> np.ndarray:
    """Stage of every leopard in every year [leopards, years]: 0 not born or dead, 1 cub, 2 subadult, 3 adult."""
    now = np.array([3] * ADULTS + [2] * 8 + [1] * 14)
    lives = np.zeros((len(now), len(YEARS)), int)
    lives[:, 0] = now
    for t, year in enumerate(YEARS[1:], 1):
        before = lives[:, t - 1]
        cub = CUB_SURVIVAL["since 2020" if year - 1 >= 2020 else "before 2020"]
        survival = np.array([0.0, cub, SURVIVAL["subadult"], SURVIVAL["adult"]])[before]
        alive = rng.random(len(before)) < survival
        grown = rng.random(len(before)) < GROWN
        lives[:, t] = np.where(alive, np.choose(before, [0, 2, np.where(grown, 3, 2), 3]), 0)
        born = np.zeros((rng.poisson(LITTER * (before == 3).sum()), len(YEARS)), int)
        born[:, t] = 1
        lives = np.vstack([lives, born])
    return lives


def write(met: pd.DataFrame, path: Path) -> None:
    met.rename_axis("animal").to_csv(path, lineterminator="\n")


def truth(stage: np.ndarray) -> dict:
    """True survival, and true numbers by year."""
    adults = (stage == 3).sum(axis=0)
    new = ((stage[:, 1:] == 3) & (stage[:, :-1] != 3)).sum(axis=0)
    return {
        "about": "simulated by examples/leopards_ten_years/make.py; nobody took these photographs",
        "survival": {"cub": CUB_SURVIVAL, **SURVIVAL},
        "adults": {str(year): int(n) for year, n in zip(YEARS, adults, strict=True)},
        "new adults": {f"{year} to {year + 1}": int(n) for year, n in zip(YEARS[:-1], new, strict=True)},
        "cubs": {str(year): int(n) for year, n in zip(YEARS, (stage == 1).sum(axis=0), strict=True)},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
