"""Simulated truth with random walks over years: are the walk, its standard deviation and the years recovered?

    python -m benchmarks.recovery_random_walks fit 50
    python -m benchmarks.recovery_random_walks sample 50    # needs PyMC
    python -m benchmarks.recovery_random_walks table > benchmarks/recovery_random_walks.md

Every data set draws its walk and its observations anew from a seed. Rows are kept in recovery_random_walks.csv as they
come, so that a run that was stopped goes on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from uncia.models import CJS, NMixture, Occupancy
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory

YEARS = np.array([2008, 2009, 2010, 2012, 2013, 2014, 2015, 2018, 2019, 2020])  # no data in 2011, 2016, 2017
FILE = Path(__file__).with_suffix(".csv")
NOT_SAMPLED = "NMixture"  # to save time
COLUMNS = ["case", "how", "seed", "what", "truth", "estimate", "covered", "seconds"]
WORDS = """\
Data sets with a good fit, or whose chains agree (R-hat below 1.05; 2 chains of 300 draws, default priors). `years` are
the values of the parameter in the years of the data, `years without data` those in the gaps; shares are over all years
of all data sets, and the Monte-Carlo error is that of independent data sets. An estimate of the standard deviation is
the maximum of the marginal likelihood or the posterior mean; the last column counts fits that put it at 0, which give
no interval of it and take the years as alike. With ten years or so maximum likelihood is too sure of single years,
most of all of those without data; draws have the uncertainty of the standard deviation in them."""


def sites(n: int, j: int) -> DetectionHistory:
    frame = pd.DataFrame({"year": np.repeat(YEARS, n)})
    return DetectionHistory.from_wide(np.ones((len(frame), j)), sites=frame)


def animals(n: int) -> EncounterHistory:
    """n animals first met on each of 14 occasions but the last."""
    first = np.repeat(np.arange(13), n)
    return EncounterHistory((np.arange(14)[None, :] >= first[:, None]).astype(int))


CASES = {
    "Occupancy, psi ~ rw(year): 10 years, 20 sites in each, 4 visits": (
        lambda: Occupancy(sites(20, 4), "~ rw(year)", "~ 1"),
        {"psi": {"Intercept": 0.2}, "p": 0.5},
        {"psi: rw(year)": 0.5},
        pd.DataFrame({"year": np.arange(2008, 2021)}),
        np.isin(np.arange(2008, 2021), YEARS),
    ),
    "NMixture, lambda ~ rw(year): 10 years, 12 sites in each, 4 visits": (
        lambda: NMixture(sites(12, 4), "~ rw(year)", "~ 1"),
        {"lambda": {"Intercept": 0.9}, "p": 0.5},
        {"lambda: rw(year)": 0.25},
        pd.DataFrame({"year": np.arange(2008, 2021)}),
        np.isin(np.arange(2008, 2021), YEARS),
    ),
    "CJS, phi ~ rw(t): 14 occasions, 15 animals first met on each": (
        lambda: CJS(animals(15), "~ rw(t)", "~ 1"),
        {"phi": {"Intercept": 0.8}, "p": 0.6},
        {"phi: rw(t)": 0.4},
        pd.DataFrame({"t": [str(t) for t in range(1, 14)]}),
        np.ones(13, bool),
    ),
}


def one(case: str, how: str, seed: int) -> list[tuple]:
    """Rows of one data set; of one that cannot be fitted the seed alone."""
    make, values, variation, new, known = CASES[case]
    model, begin = make(), time.process_time()
    drawn = model.draw(values, variation, seed)
    name, label = next(iter(variation)).split(": ")
    p = model.parameters[name]
    real = p.link.inverse(p.design.at(new) @ np.array(list(drawn[name].values())))
    own = model.on(model.simulate(drawn, seed))
    if how == "fit":
        fit = own.fit()
        good, sd = fit.verdict.good, fit.variation().iloc[0]
        found = (sd["estimate"], sd["lower"], sd["upper"])
    else:
        draws = own.sample(draws=300, tune=500, chains=2, seed=seed)
        good, fit = draws.checks["r_hat"].max() < 1.05, draws.as_fit()
        sd = draws.variation.ravel()
        found = (sd.mean(), *np.quantile(sd, [0.025, 0.975]))
    seconds = time.process_time() - begin
    if not good:
        return [(case, how, seed, "lost", np.nan, np.nan, np.nan, seconds)]
    truth = variation[f"{name}: {label}"]
    held = np.nan if np.isnan(found[2]) else float(found[1] <= truth <= found[2])
    rows = [(case, how, seed, f"sd of {name}: {label}", truth, found[0], held, seconds)]
    table = fit.predict(name, new)
    inside = ((table["lower"] <= real) & (real <= table["upper"])).to_numpy()
    for what, which in (("years", known), ("years without data", ~known)):
        if which.any():
            means = (real[which].mean(), table["estimate"].to_numpy()[which].mean(), inside[which].mean())
            rows.append((case, how, seed, f"{name} in {what}", *means, seconds))
    return rows


def run(how: str, n: int) -> None:
    done = pd.read_csv(FILE) if FILE.exists() else pd.DataFrame(columns=COLUMNS)
    for seed in range(n):
        for case in CASES:
            if how == "sample" and case.startswith(NOT_SAMPLED):
                continue
            if not ((done["case"] == case) & (done["how"] == how) & (done["seed"] == seed)).any():
                rows = pd.DataFrame(one(case, how, seed), columns=COLUMNS)
                rows.to_csv(FILE, mode="a", header=not FILE.exists(), index=False, float_format="%.6g")


def table() -> None:
    whole = pd.read_csv(FILE)
    print(f"# Recovery of random walks over years\n\n{WORDS}\n")
    words = "95 % interval holds the truth (MC error)"
    print(f"| | by | data sets | truth | mean estimate | bias (MC error) | {words} | at 0 |")
    print("|---|---|---|---|---|---|---|---|")
    for case, of_case in whole.groupby("case", sort=False):
        print(f"| **{case}** | | | | | | | |")
        for (what, how), g in of_case[of_case["what"] != "lost"].groupby(["what", "how"], sort=False):
            of = len(of_case[of_case["how"] == how]["seed"].unique())
            error, held = g["estimate"] - g["truth"], g["covered"].dropna()
            print(
                f"| {what} | {how} | {len(g)} of {of} | {g['truth'].mean():.3f} | {g['estimate'].mean():.3f} "
                f"| {error.mean():+.3f} ({error.std() / np.sqrt(len(g)):.3f}) "
                f"| {held.mean():.3f} ({held.std() / np.sqrt(len(held)):.3f}) "
                f"| {g['covered'].isna().sum() if what.startswith('sd') else ''} |"
            )
    seconds = whole.groupby(["case", "how", "seed"])["seconds"].first().groupby("how").mean()
    print("\nCPU seconds per data set: " + ", ".join(f"{how} {s:.1f}" for how, s in seconds.items()))


if __name__ == "__main__":
    table() if sys.argv[1] == "table" else run(sys.argv[1], int(sys.argv[2]))
