"""Growth rates and probabilities of decline on simulated programmes of ten years, beside regression on point estimates.

`python benchmarks/trend.py` (about 8 minutes on one core; rows are kept in --store and not made again) prints the
tables of trend.md.

A programme: true log numbers move as a random walk with drift for ten years, with a process standard deviation of 0.10
per year; the drift is such that numbers change by -50 %, 0 or +50 % in nine years on average. Estimates have errors
with a coefficient of variation of 0.15 to 0.30 of their own and 0.10 that all years share (detection). What must be
covered is what really happened in that programme, which differs from the average by the process.

A second table fits the years themselves: ten sessions of a camera survey with shared detection, one joint model.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from uncia import models, survey
from uncia.models.trends.trend import end_point_contrast, slope_contrast

YEARS = np.arange(2015.0, 2025.0)
CHANGES = (-0.5, 0.0, 0.5)
PROCESS, SHARED = 0.10, 0.10
METHODS = ("state-space", "log-linear", "gls", "state-space, errors taken as independent", "regression on estimates")


def programme(change: float, seed: int) -> tuple[np.ndarray, models.AnnualEstimates]:
    """True log numbers and the estimates of one programme."""
    rng = np.random.default_rng([seed, round(100 * change) + 100])
    drift = np.log1p(change) / 9
    true = 3.0 + np.concatenate([[0.0], np.cumsum(drift + PROCESS * rng.normal(size=9))])
    V = SHARED**2 * np.ones((10, 10)) + np.diag(rng.uniform(0.15, 0.30, 10) ** 2)
    return true, models.AnnualEstimates(YEARS, rng.multivariate_normal(true, V), V)


def naive(annual: models.AnnualEstimates) -> tuple[float, float, tuple[float, float], tuple[float, ...]]:
    """Least squares on the logarithms of point estimates, as a spreadsheet does it."""
    c, y = slope_contrast(annual.years), annual.log_estimates
    slope, T = float(c @ y), len(y)
    rest = y - y.mean() - slope * (annual.years - annual.years.mean())
    se = float(np.sqrt(rest @ rest / (T - 2) / np.sum((annual.years - annual.years.mean()) ** 2)))
    half = float(student.ppf(0.975, T - 2)) * se
    chance = tuple(float(student.cdf((np.log1p(-s) / 9 - slope) / se, T - 2)) for s in (0.0, 0.3, 0.5))
    return slope, se, (slope - half, slope + half), chance


def row(true: np.ndarray, annual: models.AnnualEstimates, method: str, change: float) -> dict:
    """One method on one programme: interval of the slope, whether it holds the truth, and P(decline)."""
    truth = float(slope_contrast(YEARS) @ true)
    ends = float(end_point_contrast(YEARS) @ true)
    if method == "regression on estimates":
        slope, _, (low, high), chance = naive(annual)
        covers_ends, (below, above) = low <= ends <= high, (low, high)
    else:
        name, known = method.split(",")[0], annual
        if "independent" in method:
            known = models.AnnualEstimates(YEARS, annual.log_estimates, np.diag(np.diag(annual.covariance)))
        found = models.trend(known, name)
        growth = found.log_growth("slope")
        slope, (low, high) = growth.centre, growth.limits
        chance = tuple(found.probability_of_decline(s, "slope") for s in (0.0, 0.3, 0.5))
        a, b = found.log_growth("end-point").limits
        covers_ends = a <= ends <= b
        below, above = found.underlying_growth().limits
    fell = [truth * 9 < np.log1p(-s) for s in (0.0, 0.3, 0.5)]
    drift = np.log1p(change) / 9
    return {
        "change": change, "method": method, "error": slope - truth, "width": high - low,
        "covers": low <= truth <= high, "covers end-point": covers_ends, "covers drift": below <= drift <= above,
        **{f"p{k}": v for k, v in enumerate(chance)}, **{f"fell{k}": v for k, v in enumerate(fell)},
    }  # fmt: skip


def simulate(n: int, store: Path) -> pd.DataFrame:
    """All programmes, kept as they come."""
    done = pd.read_csv(store) if store.exists() else pd.DataFrame()
    first = 0 if not len(done) else int(done["seed"].max()) + 1
    for seed in range(first, n):
        rows = []
        for change in CHANGES:
            true, annual = programme(change, seed)
            rows += [row(true, annual, method, change) | {"seed": seed} for method in METHODS]
        pd.DataFrame(rows).to_csv(store, mode="a", header=not store.exists(), index=False)
    return pd.read_csv(store)


def coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage and width of 95 % intervals of the growth rate."""
    groups = rows.groupby(["method", "change"], sort=False)
    table = groups[["covers", "covers end-point", "covers drift", "width", "error"]].mean()
    return table.assign(rmse=groups["error"].agg(lambda e: float(np.sqrt(np.mean(e**2))))).reset_index()


def calibration(rows: pd.DataFrame, k: int = 0) -> pd.DataFrame:
    """How often numbers fell when the probability said so: by classes of the probability."""
    edges = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0]
    label = [f"{a:.0%} to {b:.0%}" for a, b in pairwise(edges)]
    found = rows.assign(bin=pd.cut(rows[f"p{k}"], edges, labels=label, include_lowest=True))
    found = found[found["method"].isin((METHODS[0], METHODS[-1]))]
    groups = found.groupby(["method", "bin"], observed=True)
    return groups.agg(n=("seed", "size"), said=(f"p{k}", "mean"), fell=(f"fell{k}", "mean")).reset_index()


# ---- real fits -----------------------------------------------------------------------------------------------------


def refit(change: float, seed: int) -> dict:
    """Ten years of a small camera survey, one joint model, and its trend."""
    rng = np.random.default_rng([7, seed, round(100 * change) + 100])
    true = 4.0 * np.exp(np.concatenate([[0.0], np.cumsum(np.log1p(change) / 9 + PROCESS * rng.normal(size=9))]))
    x, y = (v.ravel() for v in np.meshgrid(500_000 + 3000.0 * np.arange(6), 4_000_000 + 3000.0 * np.arange(6)))
    captures, masks = [], []
    for year, density in zip(YEARS, true, strict=True):
        detectors = survey.Detectors([f"S{k}" for k in range(36)], x, y, np.ones((12, 36)))
        mask = survey.HabitatMask.around(detectors, 8000.0, 1500.0)
        empty = survey.CaptureHistory(pd.DataFrame({"animal": ["a"], "occasion": [1], "detector": ["S0"]}), detectors,
                                      session=f"{year:.0f}")  # fmt: skip
        model = models.SCR(empty, mask, detection="hazard half-normal")
        captures.append(model.simulate({"D": density, "lambda0": 0.12, "sigma": 2000.0}, int(rng.integers(2**31))))
        masks.append(mask)
    fit = models.SCR(captures, masks, D="~ session", detection="hazard half-normal").fit()
    found = models.trend(fit)
    growth, truth = found.log_growth("slope"), float(slope_contrast(YEARS) @ np.log(true))
    low, high = growth.limits
    a = found.annual
    sd = np.sqrt(np.diag(a.covariance))
    R = a.covariance / np.outer(sd, sd)
    inside = np.abs(a.log_estimates - np.log(true)) < 1.96 * sd
    return {"change": change, "seed": seed, "covers": low <= truth <= high, "width": high - low,
            "error": growth.centre - truth, "rse": sd.mean(), "correlation": R[np.triu_indices(10, 1)].mean(),
            "years covered": inside.mean()}  # fmt: skip


def refits(n: int, store: Path) -> pd.DataFrame:
    """A few programmes of real fits."""
    done = pd.read_csv(store) if store.exists() else pd.DataFrame()
    first = 0 if not len(done) else int(done["seed"].max()) + 1
    for seed in range(first, n):
        rows = [refit(change, seed) for change in CHANGES]
        pd.DataFrame(rows).to_csv(store, mode="a", header=not store.exists(), index=False)
    return pd.read_csv(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programmes", type=int, default=500)
    parser.add_argument("--refits", type=int, default=20)
    parser.add_argument("--store", type=Path, default=Path("trend_rows"))
    args = parser.parse_args()
    args.store.mkdir(exist_ok=True)
    rows = simulate(args.programmes, args.store / "programmes.csv")
    print(coverage(rows).round(4).to_string(index=False))
    for k, more in enumerate(("", " of more than 30 %", " of more than 50 %")):
        print(f"\ndecline{more}")
        print(calibration(rows, k).round(3).to_string(index=False))
    fits = refits(args.refits, args.store / "refits.csv")
    print(fits.groupby("change").mean().round(4).drop(columns="seed").to_string())


if __name__ == "__main__":
    main()
