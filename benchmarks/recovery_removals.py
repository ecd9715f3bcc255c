"""Simulated truth with losses on capture: are density and detection those that were simulated?

    python -m benchmarks.recovery_removals 50 > benchmarks/recovery_removals.md

Traps that hold an animal, and cameras.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from uncia import models, survey

AT = {"D": 30.0, "lambda0": 0.25, "sigma": 1500.0}
WORDS = """\
36 traps or cameras 2 km apart for 8 occasions; ± one Monte-Carlo standard error. On every occasion on which an animal
is detected it is removed with the probability given. Coverage is that of the 95 % intervals."""


def plan(kind: str) -> models.SCR:
    x, y = np.meshgrid(np.arange(6) * 2000.0, np.arange(6) * 2000.0)
    d = survey.Detectors([f"C{i}" for i in range(36)], x.ravel(), y.ravel(), np.ones((8, 36)), kind)
    nothing = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C1"]})
    mask = survey.HabitatMask.around(d, 6000.0, 750.0)
    return models.SCR(survey.CaptureHistory(nothing, d), mask, detection="hazard half-normal", threads=1)


def run(n: int) -> pd.DataFrame:
    rows = []
    for kind in ("multi", "proximity"):
        model = plan(kind)
        for removed in (0.0, 0.3, 0.6):
            for seed in range(n):
                captures = model.simulate(AT, 40 + seed, removed=removed)
                fit = model.on(captures).fit()
                gone = captures.detections["removed"].sum()
                for r in fit.coefficients.itertuples():
                    truth = np.log(AT[r.parameter])
                    error, held = r.estimate - truth, r.lower <= truth <= r.upper
                    rows.append((kind, removed, r.parameter, error, r.se, held, captures.n_animals, gone))
    return pd.DataFrame(rows, columns=["kind", "p", "quantity", "error", "se", "held", "animals", "gone"])


def main(n: int) -> None:
    begin = time.process_time()
    frame = run(n)
    seconds = time.process_time() - begin
    print(f"# Recovery: losses on capture\n\n`python -m benchmarks.recovery_removals {n}`\n\n{WORDS}\n")
    print(f"{n} data sets each, {seconds:.0f} s of CPU in all.\n")
    print("| detectors | removed | animals | removals | quantity | bias of log | s.d. | mean SE | coverage |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (kind, p, quantity), g in frame.groupby(["kind", "p", "quantity"], sort=False):
        share = g["held"].mean()
        print(
            f"| {kind} | {p:g} | {g['animals'].mean():.0f} | {g['gone'].mean():.0f} | {quantity} "
            f"| {g['error'].mean():+.3f} ± {g['error'].std() / np.sqrt(len(g)):.3f} | {g['error'].std():.3g} "
            f"| {g['se'].mean():.3g} | {100 * share:.0f} ± {100 * np.sqrt(share * (1 - share) / len(g)):.0f} % |"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
