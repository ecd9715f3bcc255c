"""Simulated truth with random effects of sites on density and detection: means and standard deviations.

    python -m benchmarks.recovery_sessions 60 > benchmarks/recovery_sessions.md

Results are kept as they come in a file of the folder for temporary files, so that a run that stops can go on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey

KEPT = Path(tempfile.gettempdir()) / "uncia_recovery_sessions.csv"
COLUMNS = ["seed", "how", "quantity", "truth", "estimate", "se", "covered", "seconds"]
HOW = {"detection": "hazard half-normal", "threads": 1}
SITES = 12
RANDOM = {"D": "~ (1 | session)", "lambda0": "~ (1 | session)"}
AT = {"D": {"Intercept": np.log(8.0)}, "lambda0": {"Intercept": np.log(0.15)}, "sigma": 1500.0}
SD = {"D: 1 | session": 0.5, "lambda0: 1 | session": 0.5}
WORDS = f"""\
{SITES} sites of 25 cameras 2 km apart for 8 occasions; ± one Monte-Carlo standard error. Density and lambda0 of the
sites vary about their means with the standard deviations (of logarithms) given; sigma is shared. Each data set draws
the sites anew and is fitted by Laplace's approximation, and with density and lambda0 the same everywhere.
Coefficients are on the link scale (log). Coverage is that of the 95 % intervals; a standard deviation that is
estimated as 0 has none."""


def plan(**formulas) -> models.SCR:
    x, y = np.meshgrid(np.arange(5) * 2000.0, np.arange(5) * 2000.0)
    captures, masks = [], []
    for j in range(SITES):
        d = survey.Detectors([f"C{i}" for i in range(25)], x.ravel(), y.ravel(), np.ones((8, 25)), "count")
        nothing = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C1"]})
        captures.append(survey.CaptureHistory(nothing, d, session=f"s{j + 1:02d}"))
        masks.append(survey.HabitatMask.around(d, 6000.0, 1000.0))
    return models.SCR(captures, masks, **formulas, **HOW)


def one(model: models.SCR, shared: models.SCR, seed: int) -> list[tuple]:
    """Rows (how, quantity, truth, estimate, se, covered) of one data set."""
    captures = model.simulate(model.draw(AT, SD, seed), seed)
    rows = []
    for how, plain in (("random sites", model), ("sites alike", shared)):
        fit = plain.on(captures).fit(**({"integration": "laplace"} if how == "random sites" else {}))
        for r in fit.coefficients.itertuples():
            truth = AT[r.parameter]["Intercept"] if isinstance(AT[r.parameter], dict) else np.log(AT[r.parameter])
            rows.append((how, r.parameter, truth, r.estimate, r.se, float(r.lower <= truth <= r.upper)))
        if how == "random sites":
            for r in fit.variation().itertuples():
                truth = SD[f"{r.parameter}: {r.term}"]
                held = np.nan if np.isnan(r.upper) else float(r.lower <= truth <= r.upper)
                rows.append((how, f"sd of {r.parameter}", truth, r.estimate, r.se, held))
        rows.append((how, "serious remark", 0.0, float(not fit.verdict.good), 0.0, 1.0))
    return [*rows, ("", "animals detected", 0.0, sum(c.n_animals for c in captures), 0.0, 1.0)]


def run(n: int) -> pd.DataFrame:
    known = set(pd.read_csv(KEPT)["seed"]) if KEPT.exists() else set()
    model, shared = plan(**RANDOM), plan()
    for seed in range(n):
        if seed not in known:
            begin = time.process_time()
            rows = one(model, shared, 700 + seed)
            seconds = time.process_time() - begin
            frame = pd.DataFrame([(seed, *row, seconds) for row in rows], columns=COLUMNS)
            frame.to_csv(KEPT, mode="a", header=not KEPT.exists(), index=False)
    return pd.read_csv(KEPT)


def main(n: int) -> None:
    frame = run(n)
    seconds, seen = frame.groupby("seed")["seconds"].first().mean(), frame["quantity"].eq("animals detected")
    lost = int(frame.loc[frame["quantity"].eq("serious remark"), "estimate"].sum())
    print(f"# Recovery: random effects of sites in SCR\n\n`python -m benchmarks.recovery_sessions {n}`\n\n{WORDS}\n")
    print(f"{frame['seed'].nunique()} data sets of {frame.loc[seen, 'estimate'].mean():.0f} animals on average,")
    print(f"{seconds:.1f} s of CPU each; {lost} fits with a serious remark.\n")
    print("| quantity | truth | mean | bias | s.d. | mean SE | coverage | at 0 |\n|---|---|---|---|---|---|---|---|")
    wanted = frame[~frame["quantity"].isin(["serious remark", "animals detected"])]
    for (how, quantity), g in wanted.groupby(["how", "quantity"], sort=False):
        error, known = g["estimate"] - g["truth"], g["covered"].dropna()
        share = known.mean()
        print(
            f"| {quantity}, {how} | {g['truth'].iloc[0]:.4g} | {g['estimate'].mean():.4g} "
            f"| {error.mean():+.3f} ± {error.std() / np.sqrt(len(g)):.3f} | {g['estimate'].std():.3g} "
            f"| {g['se'].mean():.3g} | {100 * share:.1f} ± {100 * np.sqrt(share * (1 - share) / len(known)):.1f} % "
            f"| {int(g['covered'].isna().sum())} |"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
