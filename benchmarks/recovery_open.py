"""Simulated truth recovered by `OpenSCR`: centres that stay, centres that move, and moves that the model ignores.

    python benchmarks/recovery_open.py [data sets [store]]      prints the table of recovery_open.md

Animals live in continuous space, not in cells: they settle anywhere in the region, move by a bivariate normal (drawn
again until they land in the region), and are drawn without any code of the model. `store`, a CSV file, keeps the
estimates, so that a run can go on where it stopped.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey

WIDTH, SPACING, OCCASIONS, YEARS = 33_000.0, 1_500.0, 5, range(2015, 2021)  # m, m, per year
DENSITY, PHI, RECRUITS, LAMBDA0, SIGMA, MOVE = 4.0, 0.75, 0.30, 0.20, 2_000.0, 3_000.0
GROWTH = PHI + RECRUITS
SCENARIOS = {"centres stay": (0.0, "none"), "centres move": (MOVE, "normal"), "moves ignored": (MOVE, "none")}


def plan() -> tuple[survey.Detectors, survey.HabitatMask]:
    """36 cameras 3 km apart in the middle of a square of 33 km."""
    at = (WIDTH - 15_000.0) / 2.0 + np.arange(6) * 3_000.0
    x, y = np.meshgrid(at, at)
    names = [f"C{k + 1:02d}" for k in range(36)]
    detectors = survey.Detectors(names, x.ravel(), y.ravel(), np.ones((OCCASIONS, 36)), effort_unit="occasions")
    side = round(WIDTH / SPACING)
    return detectors, survey.HabitatMask(SPACING / 2, SPACING / 2, SPACING, np.ones((side, side), bool))


def draw(seed: int, move: float, detectors: survey.Detectors) -> list[survey.CaptureHistory]:
    """Six years of captures of one population."""
    rng = np.random.default_rng(seed)
    first = DENSITY * (WIDTH / 1e4) ** 2
    at, who, made, count = np.zeros((0, 2)), np.zeros(0, int), [], 0
    for t, year in enumerate(YEARS):
        alive = rng.random(len(who)) < PHI
        at, who = at[alive], who[alive]
        if move:
            at = _moved(rng, at, move)
        new = rng.poisson(first if t == 0 else first * GROWTH ** (t - 1) * RECRUITS)
        at, who = np.vstack([at, rng.uniform(0.0, WIDTH, (new, 2))]), np.append(who, count + np.arange(new))
        count += new
        distance = np.hypot(at[:, :1] - detectors.x, at[:, 1:] - detectors.y)
        p = -np.expm1(-LAMBDA0 * np.exp(-0.5 * (distance / SIGMA) ** 2))
        i, s, k = np.nonzero(rng.random((len(who), OCCASIONS, 36)) < p[:, None, :])
        frame = pd.DataFrame(
            {"animal": [f"A{a}" for a in who[i]], "occasion": s + 1, "detector": np.asarray(detectors.id, object)[k]}
        )
        made.append(survey.CaptureHistory(frame, detectors, session=str(year)))
    return made


def _moved(rng: np.random.Generator, at: np.ndarray, scale: float) -> np.ndarray:
    """Each animal's next centre, inside the region."""
    to, left = at.copy(), np.arange(len(at))
    while len(left):
        to[left] = at[left] + rng.normal(scale=scale, size=(len(left), 2))
        left = left[((to[left] < 0.0) | (to[left] > WIDTH)).any(axis=1)]
    return to


def estimates(fit) -> list[tuple]:
    """(quantity, truth, estimate, se, lower, upper)."""
    found, area = fit.derive().set_index(["quantity", "scope"]), (WIDTH / 1e4) ** 2
    last = DENSITY * area * GROWTH ** (len(YEARS) - 1)
    wanted = {
        "density 2015": (DENSITY, ("density", "session 2015")),
        "N 2020": (last, ("expected abundance", "session 2020")),
        "survival": (PHI, ("survival", "all")),
        "recruitment": (RECRUITS, ("recruitment", "all")),
        "growth": (GROWTH, ("growth", "session 2015 to 2020")),
        "sigma, m": (SIGMA, ("sigma", "all")),
        "move_scale, m": (MOVE, ("scale of movement", "all")),
    }
    columns = ["estimate", "se", "lower", "upper"]
    return [(name, truth, *found.loc[key, columns]) for name, (truth, key) in wanted.items() if key in found.index]


def run(n: int, store: Path | None) -> pd.DataFrame:
    """One row per scenario, data set and quantity; those in the store are not made again."""
    columns = ["scenario", "seed", "quantity", "truth", "estimate", "se", "lower", "upper", "seconds"]
    done = pd.read_csv(store) if store and store.exists() else pd.DataFrame(columns=columns)
    detectors, mask = plan()
    movement = {"none": models.Movement(), "normal": models.Movement("normal", reach=15_000.0)}
    for seed in range(n):
        for scenario, (move, kernel) in SCENARIOS.items():
            if ((done["scenario"] == scenario) & (done["seed"] == seed)).any():
                continue
            captures, begin = draw(seed, move, detectors), time.perf_counter()
            model = models.OpenSCR(captures, mask, detection="hazard half-normal", move=movement[kernel])
            fit = model.fit()
            seconds = time.perf_counter() - begin
            rows = [(scenario, seed, *row, seconds) for row in estimates(fit)]
            rows.append((scenario, seed, "animals", np.nan, len(model.records.names), np.nan, np.nan, np.nan, seconds))
            done = pd.concat([done, pd.DataFrame(rows, columns=columns)], ignore_index=True)
        if store:
            done.to_csv(store, index=False)
    return done[done["seed"] < n]


def table(drawn: pd.DataFrame) -> str:
    """The Markdown table of one scenario."""
    lines = ["| quantity | truth | mean | bias | s.d. | mean SE | coverage |", "|---|---|---|---|---|---|---|"]
    for quantity, d in drawn.groupby("quantity", sort=False):
        n, truth = len(d), float(d["truth"].iloc[0])
        if np.isnan(truth):
            lines.append(f"| {quantity} detected | | {d['estimate'].mean():.1f} | | {d['estimate'].std():.1f} | | |")
            continue
        bias, error = 100 * (d["estimate"].mean() / truth - 1), 100 * d["estimate"].std() / np.sqrt(n) / truth
        hit = (d["lower"].le(truth) & d["upper"].ge(truth)).mean()
        miss = np.sqrt(hit * (1 - hit) / n)
        lines.append(
            f"| {quantity} | {truth:.4g} | {d['estimate'].mean():.4g} | {bias:+.1f} ± {error:.1f} % "
            f"| {d['estimate'].std():.3g} | {d['se'].mean():.3g} | {100 * hit:.1f} ± {100 * miss:.1f} % |"
        )
    return "\n".join(lines)


def main(n: str = "200", store: str = "") -> None:
    """Print the tables."""
    drawn = run(int(n), Path(store) if store else None)
    for scenario, d in drawn.groupby("scenario", sort=False):
        seconds = d.groupby("seed")["seconds"].first().mean()
        print(f"## {scenario}\n\n{n} data sets, {seconds:.1f} s per fit.\n\n{table(d)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
