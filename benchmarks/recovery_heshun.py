"""Does the example's design recover the truth? 200 simulated surveys with the detectors, effort and land of Heshun.

Run `python benchmarks/recovery_heshun.py` (options: --surveys, --workers); it goes on where it stopped, because every
survey depends on its own seed only and its row is kept in recovery_heshun.csv. The table is recovery_heshun.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
FORM = HERE.parent / "examples" / "heshun" / "survey.toml"
ROWS, TABLE = HERE / "recovery_heshun.csv", HERE / "recovery_heshun.md"
SEED = 7_000_000  # survey i has the seed SEED + i
REGION = "Heshun county"


@cache
def study():
    from uncia.reports.study import read_study

    return read_study(FORM)


@cache
def truth() -> dict:
    """True values, and the model that they belong to, as truth.json keeps them."""
    return json.loads((FORM.parent / "truth.json").read_text("utf-8"))


def one_survey(i: int) -> list[dict]:
    """Simulate survey i (a Poisson number of animals), fit the true model, and put estimates beside the truth."""
    from uncia import models

    known = truth()
    base = models.SCR(study().captures, study().mask, **known["model"], threads=1)
    D = base.parameters.values(base.parameters.vector_from(known["values"]))["D"]
    centres = models.simulate_population(study().mask, D, SEED + i)
    captures = base.simulate(known["values"], SEED + i, centres)
    began = time.perf_counter()
    fit = models.SCR(captures, study().mask, **known["model"], threads=1).fit()
    county = study().mask.clip(study().regions[REGION])
    seconds = time.perf_counter() - began
    lived = int(np.sum(county.cell_of(centres["x"], centres["y"]) >= 0))
    true = {
        "density": known["scopes"][REGION]["density (animals per 100 km²)"],
        "expected abundance": known["scopes"][REGION]["expected abundance"],
        "realised abundance": lived,
        "lambda0": known["values"]["lambda0"],
        "sigma": known["values"]["sigma"],
    }
    parameters = [fit.predict(name).assign(quantity=name) for name in ("lambda0", "sigma")]
    found = pd.concat([fit.abundance(county, REGION), *parameters], ignore_index=True).set_index("quantity")
    return [
        {
            "survey": i,
            "quantity": name,
            "truth": value,
            "animals": captures.n_animals,
            "good": fit.verdict.good,
            "seconds": round(seconds, 2),
            **{column: float(found.loc[name, column]) for column in ("estimate", "se", "lower", "upper")},
        }
        for name, value in true.items()
    ]


def summary(rows: pd.DataFrame) -> str:
    """Relative bias and coverage with their Monte-Carlo errors, as a Markdown table."""
    n = rows["survey"].nunique()
    lines = [
        "# Recovery of the example's design",
        "",
        f"{n} simulated surveys of examples/heshun (same stations, effort and land; Poisson number of animals), fitted "
        f"with the true model; scope of density and abundance: {REGION}. Bias and coverage with their Monte-Carlo "
        "standard errors. Realised abundance is compared with the animals that lived in the county in that survey.",
        "",
        f"- animals identified: {rows.groupby('survey')['animals'].first().mean():.1f} on average, "
        f"{rows['animals'].min()} to {rows['animals'].max()}",
        f"- fits that converged with nothing serious to say: {rows.groupby('survey')['good'].first().mean():.1%}",
        f"- seconds per survey, one thread: median {rows.groupby('survey')['seconds'].first().median():.1f}, "
        f"largest {rows['seconds'].max():.1f}",
        "",
        "| quantity | truth | mean estimate | relative bias | mean SE / SD of estimates | coverage of 95 % intervals |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in rows.groupby("quantity", sort=False):
        error = part["estimate"] / part["truth"] - 1.0
        covered = ((part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])).mean()
        spread = (part["estimate"] - part["truth"]).std(ddof=1)
        lines.append(
            f"| {name} | {part['truth'].mean():.4g} | {part['estimate'].mean():.4g} "
            f"| {error.mean():+.1%} ± {error.std(ddof=1) / np.sqrt(n):.1%} | {part['se'].mean() / spread:.2f} "
            f"| {covered:.1%} ± {np.sqrt(covered * (1 - covered) / n):.1%} |"
        )
    return "\n".join(lines) + "\n"


def keep(rows: list[dict]) -> None:
    """Append the rows of one survey."""
    new = not ROWS.exists()
    with ROWS.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--surveys", type=int, default=200)
    arguments.add_argument("--workers", type=int, default=os.cpu_count())
    asked = arguments.parse_args()
    done = set(pd.read_csv(ROWS)["survey"]) if ROWS.exists() else set()
    with ProcessPoolExecutor(asked.workers) as pool:
        waiting = [pool.submit(one_survey, i) for i in range(asked.surveys) if i not in done]
        for number, future in enumerate(as_completed(waiting), 1):
            keep(future.result())
            print(f"{len(done) + number} of {asked.surveys}", end="\r", flush=True)
    rows = pd.read_csv(ROWS).sort_values(["survey"], kind="stable")
    rows = rows[rows["survey"] < asked.surveys]
    TABLE.write_text(summary(rows), encoding="utf-8", newline="\n")
    print(summary(rows))


if __name__ == "__main__":
    main()
