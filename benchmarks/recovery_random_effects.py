"""Simulated truth with random effects: are fixed effects and standard deviations recovered?

    python -m benchmarks.recovery_random_effects 40 > benchmarks/recovery_random_effects.md

Every data set draws its random effects and its observations anew from a seed; the table has the mean error of the
estimates, the share of 95 % intervals that hold the truth, and their Monte-Carlo standard errors.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from uncia.models import CJS, DynamicOccupancy, NMixture, Occupancy
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory


def sites(n: int, j: int, t: int = 1, regions: int = 20, seed: int = 1) -> DetectionHistory:
    """Sites in regions, with a covariate x; every visit finds something, to be replaced by simulated findings."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "region": [f"r{i % regions}" for i in range(n)]})
    return DetectionHistory.from_wide(np.ones((n, t, j)), sites=frame)


def animals(n: int, t: int) -> EncounterHistory:
    """n animals first met on each occasion but the last."""
    first = np.repeat(np.arange(t - 1), n)
    met = (np.arange(t)[None, :] >= first[:, None]).astype(int)
    return EncounterHistory(met)


BAR = chr(92) + "|"  # a bar within a table
WORDS = """\
Every data set draws its random effects anew, so that the truth of an intercept is that of the middle of the population
of groups. The standard deviation and the length of a smooth are known together better than each alone: the curve is
what is recovered. The last column counts fits that put a standard deviation at 0, without an interval."""
LOGIT = {"Intercept": 0.4, "x": 0.8}
CASES = {
    "Occupancy, psi ~ x + (1 | region): 300 sites, 5 visits, 20 regions; Laplace": (
        Occupancy(sites(300, 5), "~ x + (1 | region)", "~ 1"),
        {"psi": LOGIT, "p": 0.4},
        {"psi: 1 | region": 1.0},
        {"integration": "laplace"},
    ),
    "the same data; quadrature where Laplace is off": (
        Occupancy(sites(300, 5), "~ x + (1 | region)", "~ 1"),
        {"psi": LOGIT, "p": 0.4},
        {"psi: 1 | region": 1.0},
        {},
    ),
    "Occupancy, p ~ (1 | site): 200 sites, 8 visits; quadrature": (
        Occupancy(sites(200, 8), "~ x", "~ (1 | site)"),
        {"psi": LOGIT, "p": {"Intercept": -0.5}},
        {"p: 1 | site": 1.0},
        {},
    ),
    "DynamicOccupancy, gamma ~ (1 | season), p ~ (1 | season): 150 sites, 12 seasons, 3 visits; Laplace": (
        DynamicOccupancy(sites(150, 3, 12), "~ 1", "~ (1 | season)", "~ 1", "~ (1 | season)"),
        {"psi": 0.5, "gamma": {"Intercept": -1.0}, "epsilon": 0.2, "p": {"Intercept": 0.0}},
        {"gamma: 1 | season": 0.8, "p: 1 | season": 0.6},
        {},
    ),
    "NMixture, lambda ~ x + (1 | region): 200 sites, 4 visits, 20 regions": (
        NMixture(sites(200, 4), "~ x + (1 | region)", "~ 1"),
        {"lambda": {"Intercept": 0.8, "x": 0.4}, "p": 0.4},
        {"lambda: 1 | region": 0.5},
        {},
    ),
    "CJS, phi ~ (1 | t): 15 occasions, 20 animals first met on each; Laplace": (
        CJS(animals(20, 15), "~ (1 | t)", "~ 1"),
        {"phi": {"Intercept": 0.8}, "p": 0.6},
        {"phi: 1 | t": 0.7},
        {},
    ),
    "Occupancy, psi ~ s(x): 300 sites, 5 visits; sd 1, length 1.5": (
        Occupancy(sites(300, 5), "~ s(x)", "~ 1"),
        {"psi": {"Intercept": 0.2}, "p": 0.4},
        {"psi: s(x)": 1.0, "length psi: s(x)": 1.5},
        {},
    ),
}


def one(model, values, variation, how, seed):
    """Rows (name, truth, estimate, covered) of one data set; None when it cannot be fitted."""
    drawn = model.draw(values, variation, seed)
    fit = model.on(model.simulate(drawn, seed)).fit(**how)
    if not fit.verdict.good:
        return None
    rows, fixed, found = [], fit.coefficients, fit.variation()
    truth = model.parameters.given(model.parameters.vector_from(values))
    for r in fixed.itertuples():
        value = truth[r.parameter][r.term]
        rows.append((f"{r.parameter}: {r.term}", value, r.estimate, r.lower <= value <= r.upper))
    for r in found.itertuples():
        if r.kind == "sd":
            value = variation[f"{r.parameter}: {r.term}"]
            held = np.nan if np.isnan(r.upper) else float(r.lower <= value <= r.upper)
            rows.append((f"sd of {r.parameter}: {r.term}", value, r.estimate, held))
    if any(term.axes for _, term, _ in model.parameters.random if hasattr(term, "axes")):
        curve = fit.predict("psi", fit.model.history.sites[["x"]].sort_values("x").iloc[::10])
        p = model.parameters["psi"]
        eta = p.design.at(fit.model.history.sites.sort_values("x").iloc[::10])
        real = p.link.inverse(eta @ np.array(list(drawn["psi"].values())))
        inside = float(np.mean((curve["lower"] <= real) & (real <= curve["upper"])))
        rows.append(
            ("psi along x (mean share of places)", float(np.mean(real)), float(curve["estimate"].mean()), inside)
        )
    return rows


def main(n: int) -> None:
    print(f"# Recovery of random effects\n\n`python -m benchmarks.recovery_random_effects {n}`\n\n{WORDS}\n")
    for words, (model, values, variation, how) in CASES.items():
        begin, done, lost = time.process_time(), [], 0
        for seed in range(n):
            rows = one(model, values, variation, how, 1000 + seed)
            lost += rows is None
            done += rows or []
        frame = pd.DataFrame(done, columns=["what", "truth", "estimate", "covered"])
        seconds = (time.process_time() - begin) / n
        print(f"## {words}\n\n{n - lost} of {n} data sets with a good fit, {seconds:.2f} s of CPU each\n")
        print(
            "| | truth | mean estimate | bias (MC error) | median | 95 % interval holds the truth (MC error) | at 0 |"
        )
        print("|---|---|---|---|---|---|---|")
        for what, g in frame.groupby("what", sort=False):
            error = g["estimate"] - g["truth"]
            covered = g["covered"].astype(float)
            known = covered.dropna()
            mc = np.sqrt(known.mean() * (1 - known.mean()) / max(len(known), 1))
            print(
                f"| {what.replace('|', BAR)} | {g['truth'].mean():.3g} | {g['estimate'].mean():.3f} "
                f"| {error.mean():+.3f} "
                f"({error.std() / np.sqrt(len(g)):.3f}) | {g['estimate'].median():.3f} "
                f"| {known.mean():.3f} ({mc:.3f}) | {int(covered.isna().sum())} |"
            )
        print(flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
