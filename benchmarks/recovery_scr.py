"""Simulated truth recovered: sexes known of seven animals in ten, learned responses, latent classes.

    python benchmarks/recovery_scr.py [data sets]        prints the table of recovery_scr.md

Every data set is drawn by `SCR.simulate` and fitted by `SCR.fit` from its own starting values. Bias is relative for
densities and absolute for coefficients (link scale); all numbers carry their Monte-Carlo standard error.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from uncia import models, survey

SIDE, SPACING, OCCASIONS = 6, 2000.0, 8
HAZARD = {"detection": "hazard half-normal"}


def plan(kind: str = "proximity") -> tuple[survey.CaptureHistory, survey.HabitatMask]:
    """36 cameras, 2 km apart, for 8 occasions; ten animals that only say that the sex of three in ten is not known."""
    x, y = np.meshgrid(np.arange(SIDE) * SPACING + 5e5, np.arange(SIDE) * SPACING + 4e6)
    names = [f"C{k + 1:02d}" for k in range(SIDE**2)]
    effort = np.ones((OCCASIONS, SIDE**2))
    detectors = survey.Detectors(names, x.ravel(), y.ravel(), effort, kind, effort_unit="occasions")
    animals = [f"a{i}" for i in range(10)]
    seen = pd.DataFrame({"animal": animals * 2, "occasion": [1] * 10 + [2] * 10, "detector": ["C08"] * 20})
    if kind == "multi":
        seen = seen.iloc[:10]
    sex = pd.DataFrame({"sex": ["female"] * 4 + ["male"] * 3 + [None] * 3}, index=animals)
    mask = survey.HabitatMask.around(detectors, 7500.0, 1000.0)
    return survey.CaptureHistory(seen, detectors, animals=sex), mask


SCENARIOS = {
    "sexes, 30 % unknown": {
        "options": {"classes": "sex", "lambda0": "~ sex", "sigma": "~ sex"},
        "truth": {
            "D": 12.0,
            "lambda0": {"Intercept": np.log(0.25), "sex[T.male]": np.log(0.6)},
            "sigma": {"Intercept": np.log(1500.0), "sex[T.male]": np.log(1.6)},
            "pmix": 0.4,
        },
    },
    "learned response bk (baited cameras)": {
        "options": {"lambda0": "~ bk"},
        "truth": {"D": 12.0, "lambda0": {"Intercept": np.log(0.08), "bk": np.log(4.0)}, "sigma": 2000.0},
        "wrong": {"lambda0": "~ 1"},
    },
    "learned response b (traps, one capture per occasion)": {
        "kind": "multi",
        "options": {"lambda0": "~ b"},
        "truth": {"D": 12.0, "lambda0": {"Intercept": np.log(0.10), "b": np.log(0.5)}, "sigma": 2000.0},
        "wrong": {"lambda0": "~ 1"},
    },
}


def model_of(kind: str, options: dict) -> models.SCR:
    """The model on data that serve as a plan; the learned responses that the formula needs are in them."""
    captures, mask = plan(kind)
    if kind == "multi":
        again = captures.detections.assign(occasion=2)
        captures = survey.CaptureHistory(
            pd.concat([captures.detections, again]), captures.detectors, animals=captures.animals
        )
    return models.SCR(captures, mask, **options, **HAZARD)


def run(name: str, n: int) -> pd.DataFrame:
    """One row per quantity: truth, mean, bias, spread, mean standard error and coverage of the 95 % interval."""
    scenario = SCENARIOS[name]
    model = model_of(scenario.get("kind", "proximity"), scenario["options"])
    truth = model.parameters.vector_from(scenario["truth"])
    shares = {"habitat mask": 1.0}
    if model.classes is not None:
        p = scenario["truth"]["pmix"]
        shares |= {"habitat mask, sex female": 1.0 - p, "habitat mask, sex male": p}
    rows, seconds = [], 0.0
    for seed in range(n):
        data = model.simulate(scenario["truth"], seed)
        begin = time.perf_counter()
        fit = model.on(data).fit()
        seconds += time.perf_counter() - begin
        table = fit.coefficients
        for (parameter, term), value, (_, r) in zip(model.parameters.labels, truth, table.iterrows(), strict=True):
            if parameter != "D":
                rows.append((seed, f"{parameter} ({term})", value, r["estimate"], r["se"], r["lower"], r["upper"]))
        density = fit.derive().query("quantity == 'density'").set_index("scope")
        for scope, share in shares.items():
            r, D = density.loc[scope], scenario["truth"]["D"] * share
            label = scope.replace("habitat mask", "D, all").replace("D, all, sex", "D,")
            rows.append((seed, label, D, r["estimate"], r["se"], r["lower"], r["upper"]))
        if "wrong" in scenario:
            simple = models.SCR(data, model.mask, **scenario["wrong"], **HAZARD).fit()
            r, D = simple.derive().iloc[0], scenario["truth"]["D"]
            rows.append((seed, "D, all, if the response is ignored", D, r["estimate"], r["se"], r["lower"], r["upper"]))
        rows.append((seed, "animals detected", np.nan, data.n_animals, np.nan, np.nan, np.nan))
    print(f"{name}: {seconds / n:.2f} s per fit", file=sys.stderr)
    columns = ["seed", "quantity", "truth", "estimate", "se", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns)


def table(drawn: pd.DataFrame) -> str:
    """The Markdown table of one scenario."""
    lines = ["| quantity | truth | mean | bias | s.d. | mean SE | coverage |", "|---|---|---|---|---|---|---|"]
    for quantity, d in drawn.groupby("quantity", sort=False):
        n, truth = len(d), d["truth"].iloc[0]
        if np.isnan(truth):
            lines.append(f"| {quantity} | | {d['estimate'].mean():.1f} | | {d['estimate'].std():.1f} | | |")
            continue
        relative = quantity.startswith("D,")
        unit, sign = (truth / 100, " %") if relative else (1.0, "")
        bias, error = (d["estimate"].mean() - truth) / unit, d["estimate"].std() / np.sqrt(n) / unit
        hit = d["lower"].le(truth) & d["upper"].ge(truth)
        cover, miss = 100 * hit.mean(), 100 * np.sqrt(hit.mean() * (1 - hit.mean()) / n)
        digits = 1 if relative else 3
        lines.append(
            f"| {quantity} | {truth:.4g} | {d['estimate'].mean():.4g} | {bias:+.{digits}f} ± {error:.{digits}f}{sign} "
            f"| {d['estimate'].std():.3g} | {d['se'].mean():.3g} | {cover:.1f} ± {miss:.1f} % |"
        )
    return "\n".join(lines)


def main(n: int = 200) -> None:
    """Print the tables of all scenarios."""
    for name in SCENARIOS:
        print(f"## {name}\n\n{n} data sets.\n\n{table(run(name, n))}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
