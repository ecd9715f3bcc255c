"""Simulated truth recovered: collars, negative-binomial counts, mark-resight.

    python benchmarks/recovery_marks.py [data sets] [first letters of a scenario]     prints tables of recovery_marks.md

Every data set is drawn by `simulate` of the model and fitted by `fit` from its own starting values. Bias is relative
for densities and absolute for coefficients (link scale); all numbers carry their Monte-Carlo standard error.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from recovery_scr import table

from uncia import models, survey

SIDE, SPACING = 6, 2000.0
HAZARD = {"detection": "hazard half-normal"}
COLUMNS = ["seed", "quantity", "truth", "estimate", "se", "lower", "upper"]


def detectors(kind: str, occasions: int, shift: float = 0.0) -> survey.Detectors:
    """36 detectors, 2 km apart."""
    x, y = np.meshgrid(np.arange(SIDE) * SPACING + 5e5 + shift, np.arange(SIDE) * SPACING + 4e6 + shift)
    names = [f"C{k + 1:02d}" for k in range(SIDE**2)]
    return survey.Detectors(names, x.ravel(), y.ravel(), np.ones((occasions, SIDE**2)), kind, effort_unit="occasions")


def plan(kind: str, occasions: int) -> tuple[survey.CaptureHistory, survey.HabitatMask]:
    """Ten animals seen twice, so that a model can be made, and the habitat."""
    d, animals = detectors(kind, occasions), [f"a{i}" for i in range(10)]
    seen = pd.DataFrame({"animal": animals * 2, "occasion": [1] * 10 + [2] * 10, "detector": ["C08"] * 20})
    return survey.CaptureHistory(seen, d), survey.HabitatMask.around(d, 7500.0, 1000.0)


def collars(captures: survey.CaptureHistory, fixes: int = 40) -> survey.Telemetry:
    """Four collars on animals that are detected and two on others."""
    names = [*captures.animals.index[:4], "U1", "U2"]
    frame = pd.DataFrame({"animal": np.repeat(names, fixes), "x": 5.05e5, "y": 4.005e6})
    return survey.Telemetry(frame)


def telemetry(seed: int, rows: list) -> float:
    """Few detections; collars say what sigma is."""
    captures, mask = plan("proximity", 5)
    truth = {"D": 8.0, "lambda0": 0.07, "sigma": 2000.0}
    model = models.SCR(captures, mask, telemetry=collars(captures), **HAZARD)
    data = model.simulate(truth, seed)
    begin = time.perf_counter()
    fit = model.on(data).fit()
    seconds = time.perf_counter() - begin
    note(rows, seed, model, truth, fit)
    alone = models.SCR(data.with_telemetry(None), mask, **HAZARD).fit()
    note(rows, seed, model, truth, alone, "without the collars", ["sigma"])
    return seconds


def clumped(seed: int, rows: list) -> float:
    """Photographs in bursts."""
    captures, mask = plan("count", 8)
    truth = {"D": 12.0, "lambda0": 0.3, "sigma": 2000.0, "size": 0.3}
    model = models.SCR(captures, mask, counts="negative binomial", **HAZARD)
    data = model.simulate(truth, seed)
    begin = time.perf_counter()
    fit = model.on(data).fit()
    seconds = time.perf_counter() - begin
    note(rows, seed, model, truth, fit)
    poisson = models.SCR(data, mask, **HAZARD).fit()
    note(rows, seed, model, truth, poisson, "as Poisson counts", ["lambda0", "sigma"])
    rows.append((seed, "ΔAIC of Poisson counts", np.nan, poisson.aic - fit.aic, np.nan, np.nan, np.nan))
    return seconds


def resight(seed: int, rows: list) -> float:
    """Marked in traps on three occasions, sighted at cameras between them on five."""
    captures, mask = plan("multi", 3)
    marking = survey.CaptureHistory(captures.detections, captures.detectors)
    nobody = survey.CaptureHistory(captures.detections.iloc[:0], detectors("count", 5, 1000.0))
    zero = np.zeros((5, SIDE**2))
    model = models.MarkResight(marking, survey.Sightings(nobody, zero, zero), mask, lambda0="~ phase", **HAZARD)
    lambda0 = {"Intercept": np.log(0.08), "phase[T.sighting]": np.log(1.5)}
    truth = {"D": 14.0, "lambda0": lambda0, "sigma": 2000.0, "pID": 0.7}
    data = model.simulate(truth, seed)
    begin = time.perf_counter()
    fit = model.on(data).fit()
    seconds = time.perf_counter() - begin
    adjusted = fit.model.adjusted(fit).fit()
    note(rows, seed, model, truth, adjusted)
    note(rows, seed, model, truth, fit, "overdispersion ignored", [])
    known = replace(data[1], unmarked=None, unidentified=None)
    marked = models.MarkResight(data[0], known, mask, lambda0="~ phase", pID=1.0, **HAZARD).fit()
    note(rows, seed, model, truth, marked, "sightings without a name left out", [])
    for name, n in data[1].totals.items():
        rows.append((seed, f"{name} sightings", np.nan, n, np.nan, np.nan, np.nan))
    return seconds


def resight_by_sex(seed: int, rows: list) -> float:
    """Two years; animals of two sexes, known of two thirds of those marked; cameras that say seen or not."""
    parts = []
    for year in ("2023", "2024"):
        captures, mask = plan("multi", 3)
        sex = pd.DataFrame({"sex": np.resize(["f", "m", ""], captures.n_animals)}, index=captures.animals.index)
        begun = survey.CaptureHistory(captures.detections, captures.detectors, animals=sex, session=year)
        nobody = survey.CaptureHistory(captures.detections.iloc[:0], detectors("proximity", 5, 1000.0), session=year)
        zero = np.zeros((5, SIDE**2))
        parts.append((begun, survey.Sightings(nobody, zero, zero), mask))
    how = {"D": "~ session", "lambda0": "~ phase", "sigma": "~ sex", "classes": "sex", **HAZARD}
    model = models.MarkResight(*(list(part) for part in zip(*parts, strict=True)), **how)
    lambda0 = {"Intercept": np.log(0.08), "phase[T.sighting]": np.log(1.5)}
    sigma = {"Intercept": np.log(1700.0), "sex[T.m]": 0.35}
    D = {"Intercept": np.log(14.0), "session[T.2024]": -0.4}
    truth = {"D": D, "lambda0": lambda0, "sigma": sigma, "pID": 0.7, "pmix": 0.4}
    data = model.simulate(truth, seed)
    begin = time.perf_counter()
    fit = model.on(data).fit()
    seconds = time.perf_counter() - begin
    adjusted = fit.model.adjusted(fit).fit()
    note(rows, seed, model, truth | {"D": 14.0}, adjusted, whole=truth)
    return seconds


def note(rows: list, seed: int, model, truth: dict, fit, words: str = "", parameters=None, whole=None) -> None:
    """Density and the coefficients of a fit beside the truth; `whole`: with all coefficients of D."""
    values = dict(zip(model.parameters.labels, model.parameters.vector_from(whole or truth), strict=True))
    more = f", {words}" if words else ""
    for label, (_, r) in zip(fit.model.parameters.labels, fit.coefficients.iterrows(), strict=True):
        own = label[0] != "D" or label[1] != "Intercept"
        if own and (parameters is None or label[0] in parameters):
            name = f"{label[0]} ({label[1]}){more}"
            rows.append((seed, name, values[label], r["estimate"], r["se"], r["lower"], r["upper"]))
    r = fit.derive().query("quantity == 'density'").iloc[0]
    rows.append((seed, f"D, all{more}", truth["D"], r["estimate"], r["se"], r["lower"], r["upper"]))
    if not words:
        rows.append((seed, "animals", np.nan, fit.model.sample_size, np.nan, np.nan, np.nan))


SCENARIOS = {
    "telemetry: 4 collars on animals detected, 2 on others, 40 fixes each": telemetry,
    "clumped counts: negative binomial, size 0.3": clumped,
    "resighting: marked in traps on 3 occasions, sighted at cameras on 5": resight,
    "sexes: marked and sighted in two years, sexes known of two thirds": resight_by_sex,
}


def main(n: int = 200, only: str = "") -> None:
    """Print the tables of all scenarios, or of those whose name begins so."""
    for name, scenario in SCENARIOS.items():
        if not name.startswith(only):
            continue
        rows: list = []
        seconds = [scenario(seed, rows) for seed in range(n)]
        drawn = pd.DataFrame(rows, columns=COLUMNS)
        print(f"## {name}\n\n{n} data sets; {np.median(seconds):.2f} s per fit.\n\n{table(drawn)}\n", flush=True)


if __name__ == "__main__":
    main(int((*sys.argv[1:], 200)[0]), *sys.argv[2:3])
