"""Ghosts: density by all animals and given two detections, and how often the diagnosis notices.

    python benchmarks/recovery_ghosts.py [data sets] [rows.csv] [response]     prints the table of recovery_ghosts.md

A ghost is a detection of a known animal that was not recognised and is in the data as a new animal seen once. Three
worlds: none; one ghost in ten animals of the data; one detection in ten not recognised. Rows go to the file as they
come, and a second run does only what is missing. `response` is a learned response, such as bk: animals come back to a
camera that has seen them more than twice as often (exp(0.8)); there is then no diagnosis.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey

SIDE, SPACING, OCCASIONS = 6, 2000.0, 8
HAZARD = {"detection": "hazard half-normal"}
TRUTH = {"D": 10.0, "lambda0": 0.12, "sigma": 2000.0}
WORLDS = ("no ghosts", "10 % of the animals are ghosts", "10 % of the detections are ghosts")


def plan(response: str = "") -> models.SCR:
    """36 cameras, 2 km apart, for 8 occasions."""
    x, y = np.meshgrid(np.arange(SIDE) * SPACING + 5e5, np.arange(SIDE) * SPACING + 4e6)
    names = [f"C{k + 1:02d}" for k in range(SIDE**2)]
    detectors = survey.Detectors(names, x.ravel(), y.ravel(), np.ones((OCCASIONS, SIDE**2)), "proximity")
    seen = pd.DataFrame({"animal": ["a"], "occasion": [1], "detector": ["C08"]})
    mask = survey.HabitatMask.around(detectors, 7500.0, 1000.0)
    return models.SCR(survey.CaptureHistory(seen, detectors), mask, lambda0=f"~ {response or 1}", **HAZARD)


def haunted(captures: survey.CaptureHistory, world: str, seed: int) -> survey.CaptureHistory:
    """The captures with some detections under new names, each of an animal that keeps at least one."""
    rng, frame = np.random.default_rng([seed, 7]), captures.detections.copy()
    if world == WORLDS[1]:
        number = rng.binomial(captures.n_animals, 1.0 / 9.0)  # so that one in ten of the animals in the data is one
    else:
        number = 0 if world == WORLDS[0] else rng.binomial(len(frame), 0.1)
    animals = frame["animal"].to_numpy(object)
    for j in range(number):
        names, times = np.unique(animals.astype(str), return_counts=True)
        rows = np.flatnonzero(np.isin(animals.astype(str), names[times > 1]))
        animals[rng.choice(rows)] = f"ghost {j}"
    return replace(captures, detections=frame.assign(animal=animals), animals=pd.DataFrame())


def one(model: models.SCR, world: str, seed: int, response: str = "") -> list[tuple]:
    """Density with its interval by all animals and by those seen twice, and the p-value of the diagnosis."""
    learned = {"lambda0": {"Intercept": np.log(TRUTH["lambda0"]), response: 0.8}} if response else {}
    data = haunted(model.simulate(TRUTH | learned, seed), world, seed)
    fit = model.on(data).fit()
    p = np.nan if response else fit.ghosts().p_value
    rows = []
    for at_least in (1, 2):
        used = fit if at_least == 1 else fit.model.given_at_least(2).fit()
        r = used.derive().iloc[0]
        animals = used.model.sample_size
        rows.append((world, seed, at_least, animals, r["estimate"], r["se"], r["lower"], r["upper"], p))
    return rows


COLUMNS = ["world", "seed", "at_least", "animals", "estimate", "se", "lower", "upper", "p"]


def run(n: int, path: Path, response: str = "") -> pd.DataFrame:
    """All rows, those of the file among them."""
    done = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS)
    have, model = set(zip(done["world"], done["seed"], strict=True)), plan(response)
    for seed in range(n):
        for world in WORLDS:
            if (world, seed) not in have:
                rows = pd.DataFrame(one(model, world, seed, response), columns=COLUMNS)
                rows.to_csv(path, mode="a", header=not path.exists(), index=False)
    return pd.read_csv(path)


def table(drawn: pd.DataFrame) -> str:
    """Bias, spread and coverage of density, with Monte-Carlo errors, and the share of p-values below 0.05."""
    head = "| world | animals with | animals used | mean D | bias | s.d. | mean SE | coverage | p < 0.05 |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    D = TRUTH["D"]
    for (world, at_least), d in drawn.groupby(["world", "at_least"], sort=False):
        n = len(d)
        bias, error = 100 * (d["estimate"].mean() / D - 1), 100 * d["estimate"].std() / np.sqrt(n) / D
        hit = (d["lower"] <= D) & (d["upper"] >= D)
        cover, miss = 100 * hit.mean(), 100 * np.sqrt(hit.mean() * (1 - hit.mean()) / n)
        share = (d["p"] < 0.05).mean()
        noticed, unsure = 100 * share, 100 * np.sqrt(share * (1 - share) / n)
        which = f"{noticed:.1f} ± {unsure:.1f} %" if at_least == 1 and d["p"].notna().any() else ""
        lines.append(
            f"| {world} | ≥ {at_least} detection{'s' if at_least > 1 else ''} | {d['animals'].mean():.1f} "
            f"| {d['estimate'].mean():.2f} | {bias:+.1f} ± {error:.1f} % | {d['estimate'].std():.2f} "
            f"| {d['se'].mean():.2f} | {cover:.1f} ± {miss:.1f} % | {which} |"
        )
    return "\n".join(lines)


def main(n: str = "200", path: str = "recovery_ghosts.csv", response: str = "") -> None:
    """Print the table."""
    drawn = run(int(n), Path(path), response)
    print(f"{drawn['seed'].nunique()} data sets of each world; true density {TRUTH['D']:g}.\n\n{table(drawn)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
