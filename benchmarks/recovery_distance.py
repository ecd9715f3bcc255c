"""Simulated truth with distances that are not straight lines: least-cost coefficient, density, sigma, barriers.

    python -m benchmarks.recovery_distance 200 > benchmarks/recovery_distance.md
    python -m benchmarks.recovery_distance 200 collars      # one case: that whose name begins so

Results are kept as they come in a file of the folder for temporary files, so that a run that stops can go on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import gaussian_filter

from uncia import models, survey

KEPT = Path(tempfile.gettempdir()) / "uncia_recovery_distance.csv"
HOW = {"detection": "hazard half-normal"}
WORDS = """\
36 cameras 2 km apart for 10 occasions, 900 cells of 500 m; ± one Monte-Carlo standard error. D is in animals per
100 km², its bias relative; the other parameters are on the link scale (log), their bias absolute. Coverage is that of
the 95 % intervals (log-normal for D, Wald for coefficients). Every data set is fitted twice: as it came about, and with
straight lines; with collars a third time, without their fixes. Animals are drawn uniformly; density, and so what is
wrong with it, is that of the whole mask. Collars: four animals that were detected and two others, 25 fixes each."""


def cameras() -> survey.Detectors:
    x, y = np.meshgrid(np.arange(6) * 2000.0 + 2500.0, np.arange(6) * 2000.0 + 2500.0)
    return survey.Detectors([f"C{i}" for i in range(36)], x.ravel(), y.ravel(), np.ones((10, 36)), "count")


def raster() -> survey.HabitatMask:
    """30 × 30 cells with a smooth covariate of mean 0 and s.d. 1."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=(30, 30)), 2)
    mask = survey.HabitatMask(250.0, 250.0, 500.0, np.ones((30, 30), bool))
    return mask.with_covariate("ruggedness", (noise - noise.mean()) / noise.std())


def plan(distance, collars: bool = False) -> models.SCR:
    """The survey; with collars on four animals that were detected and on two others, 25 fixes each."""
    names = [f"a{i}" for i in range(6)]
    seen = pd.DataFrame({"animal": names[:4], "occasion": 1, "detector": "C1"})
    nothing = survey.CaptureHistory(seen, cameras())
    if collars:
        fixes = pd.DataFrame({"animal": np.repeat(names, 25), "x": 7000.0, "y": 7000.0})
        nothing = nothing.with_telemetry(survey.Telemetry(fixes))
    return models.SCR(nothing, raster(), distance=distance, **HOW)


RIVER = shapely.LineString([(7250.0, -1000.0), (7250.0, 9100.0)])  # one crossing, in the north
CASES = {
    "least cost, log cost = 0.8 × ruggedness": (
        models.LeastCost("~ ruggedness"),
        {"D": 30.0, "lambda0": 0.1, "sigma": 1200.0, "cost": {"ruggedness": 0.8}},
    ),
    "no resistance: cost = 0 × ruggedness": (
        models.LeastCost("~ ruggedness"),
        {"D": 30.0, "lambda0": 0.1, "sigma": 1200.0, "cost": {"ruggedness": 0.0}},
    ),
    "a river with one crossing": (
        models.LeastCost(barriers=RIVER),
        {"D": 30.0, "lambda0": 0.1, "sigma": 1500.0},
    ),
    "collars, log cost = 0.8 × ruggedness": (
        models.LeastCost("~ ruggedness"),
        {"D": 30.0, "lambda0": 0.1, "sigma": 1200.0, "cost": {"ruggedness": 0.8}},
    ),
}


def one(model: models.SCR, values: dict, seed: int) -> list[tuple]:
    """Rows (how, quantity, truth, estimate, se, covered) of one data set."""
    captures = model.simulate(values, seed)
    rows, truth = [], model.parameters.given(model.parameters.vector_from(values))
    hows = [("as it came about", model.on(captures)), ("straight lines", models.SCR(captures, raster(), **HOW))]
    if captures.telemetry is not None:
        hows.insert(1, ("without the collars", model.on(captures.with_telemetry(None))))
    for how, fitted in hows:
        fit = fitted.fit()
        for r in fit.coefficients.itertuples():
            if r.parameter != "D":
                at = truth[r.parameter][r.term]
                rows.append((how, f"{r.parameter} ({r.term})", at, r.estimate, r.se, r.lower <= at <= r.upper))
        d = fit.derive().set_index("quantity").loc["density"]
        rows.append((how, "D", values["D"], d.estimate, d.se, d.lower <= values["D"] <= d.upper))
        rows.append((how, "converged", 1.0, float(fit.verdict.good), 0.0, True))
        rows.append((how, "log-likelihood", 0.0, fit.loglik, 0.0, True))
    return [*rows, ("", "animals detected", 0.0, captures.n_animals, 0.0, True)]


def run(n: int, only: str) -> pd.DataFrame:
    columns = ["case", "seed", "how", "quantity", "truth", "estimate", "se", "covered", "seconds"]
    done = pd.read_csv(KEPT) if KEPT.exists() else pd.DataFrame(columns=columns)
    known = set(zip(done["case"], done["seed"], strict=True))
    for case, (distance, values) in CASES.items():
        if not case.startswith(only):
            continue
        model = plan(distance, case.startswith("collars"))
        for seed in range(n if case.startswith("least") else n // 2):
            if (case, seed) in known:
                continue
            begin = time.process_time()
            rows = one(model, values, 500 + seed)
            seconds = time.process_time() - begin
            frame = pd.DataFrame([(case, seed, *row, seconds) for row in rows], columns=columns)
            frame.to_csv(KEPT, mode="a", header=not KEPT.exists(), index=False)
    whole = pd.read_csv(KEPT)
    return whole[whole["case"].str.startswith(only)]


def table(frame: pd.DataFrame) -> None:
    print("| quantity | truth | mean | bias | s.d. | mean SE | coverage |\n|---|---|---|---|---|---|---|")
    wanted = frame[~frame["quantity"].isin(["converged", "log-likelihood", "animals detected"])]
    for (how, quantity), g in wanted.fillna("").groupby(["how", "quantity"], sort=False):
        relative = g["truth"].iloc[0] if quantity == "D" else 1.0
        error, m = (g["estimate"] - g["truth"]) / relative, len(g)
        share = g["covered"].astype(float).mean()
        bias = (error.mean(), error.std() / np.sqrt(m))
        words = (
            f"{100 * bias[0]:+.1f} ± {100 * bias[1]:.1f} %" if quantity == "D" else f"{bias[0]:+.3f} ± {bias[1]:.3f}"
        )
        print(
            f"| {quantity}, {how} | {g['truth'].iloc[0]:.4g} | {g['estimate'].mean():.4g} | {words} "
            f"| {g['estimate'].std():.3g} | {g['se'].astype(float).mean():.3g} "
            f"| {100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / m):.1f} % |"
        )


def main(n: int, only: str = "") -> None:
    frame = run(n, only)
    if not only:
        print("# Recovery: distances that are not straight lines\n")
        print(f"`python -m benchmarks.recovery_distance {n}`\n\n{WORDS}\n")
    for case, g in frame.groupby("case", sort=False):
        both = g[g["quantity"] == "log-likelihood"].pivot(index="seed", columns="how", values="estimate")
        gain = (both["as it came about"] - both["straight lines"]).median()
        seen = g.loc[g["quantity"] == "animals detected", "estimate"].mean()
        lost = int((g["quantity"].eq("converged") & (g["estimate"] < 1)).sum())
        seconds = g.groupby("seed")["seconds"].first().mean()
        print(f"## {case}\n\n{g['seed'].nunique()} data sets of {seen:.1f} animals on average, {seconds:.1f} s of CPU")
        print(
            f"each; {lost} fits with a serious remark. The log-likelihood is greater by {gain:.1f} (median) than with"
        )
        print("straight lines.\n")
        table(g)
        print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, *sys.argv[2:3])
