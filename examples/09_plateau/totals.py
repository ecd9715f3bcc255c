"""How many snow leopards live on the plateau, by stratum, in 2022 and in 2024: python examples/09_plateau/totals.py

One model of all sites and years (density of each site and year, detection shared by all) gives density at the sites.
A stratum's total is its area times the mean density of its sites. Its error has two parts:

- of the design: sites differ, and only some were drawn; this holds the error of each site's own density too
- of the model: detection is shared, so that its error moves all sites and years together, and no number of sites
  makes it smaller

The sites are the same in both years, and so is detection: the errors of the two totals go together, and their change is
better known than either. totals.csv has the strata; survey.toml, which `uncia report` takes, has the two totals with
their correlation.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models, survey

YEARS = (2022, 2024)
CRS = "EPSG:32646"
CELL = 100.0  # km²
OCCASIONS = 6

FORM = """\
# Snow leopards of the plateau in 2022 and 2024 (simulated). The totals and how their errors go together are those that
# totals.py prints. `uncia report survey.toml` tells the change.

seed = 9

[survey]
name = "Snow leopards of the plateau, 2022 and 2024 (simulated)"
species = "Panthera uncia"
common_name = "snow leopards"

{years}
[trend]
quantity = "abundance"
correlation = [[1.0, {r:.4f}], [{r:.4f}, 1.0]]
generation = 6.0
"""


def main(folder: Path, out: Path | None = None) -> pd.DataFrame:
    out = out or folder
    sites = pd.read_csv(folder / "sites.csv").set_index("site")
    cells = pd.read_csv(folder / "cells.csv")
    area = cells.groupby("stratum").size() * CELL
    fit = fitted(folder, sites)
    D, own, shared = densities(fit)
    rows, total, V, weights = [], np.zeros(2), np.zeros((2, 2)), np.zeros((2, len(D)))
    for stratum, mine in sites.groupby("stratum", sort=False):
        at = np.array([[list(D.index).index(f"{year} {site}") for site in mine.index] for year in YEARS])  # [2, n]
        n, A = len(mine), float(area[stratum])
        N = A * D.to_numpy()[at].mean(axis=1)
        by_design = between_sites(D.to_numpy()[at], own[at], A, n * fit.model.sessions[0].mask.area)
        W = np.zeros((2, len(D)))
        W[0, at[0]] = W[1, at[1]] = A / n
        by_model = W @ shared @ W.T
        rows += [row(stratum, year, n, A, N[k], by_design[k, k], by_model[k, k]) for k, year in enumerate(YEARS)]
        total, V, weights = total + N, V + by_design, weights + W
    by_model = weights @ shared @ weights.T
    whole = float(area.sum())
    for k, year in enumerate(YEARS):
        rows.append(row("all", year, len(sites), whole, total[k], V[k, k], by_model[k, k]))
    table = pd.DataFrame(rows).sort_values(["year"], kind="stable").reset_index(drop=True)
    table.round(3).to_csv(out / "totals.csv", index=False, lineterminator="\n")
    write_form(out / "survey.toml", total, V + by_model)
    return table


def fitted(folder: Path, sites: pd.DataFrame):
    """One model of all sites in both years."""
    cameras = pd.read_csv(folder / "cameras.csv", dtype={"camera": str})
    captures = pd.read_csv(folder / "captures.csv", dtype={"camera": str})
    histories, masks = [], []
    for year in YEARS:
        for site in sites.index:
            here = cameras[cameras["site"] == site]
            detectors = survey.Detectors(tuple(here["camera"]), here["x"].to_numpy(), here["y"].to_numpy(),
                                         np.ones((OCCASIONS, len(here))), crs=CRS, effort_unit="occasions")  # fmt: skip
            seen = captures[(captures["site"] == site) & (captures["year"] == year)]
            seen = seen.rename(columns={"camera": "detector"})[["animal", "occasion", "detector"]]
            histories.append(survey.CaptureHistory(seen, detectors, session=f"{year} {site}"))
            masks.append(survey.HabitatMask.around(detectors, 12_000.0, 2_000.0))
    return models.SCR(histories, masks, D="~ session", detection="hazard half-normal").fit()


def between_sites(D: np.ndarray, own: np.ndarray, area: float, surveyed: float) -> np.ndarray:
    """Covariance [2, 2] of a stratum's totals in both years from the scatter of its sites, which were drawn at random.

    Few sites can be alike by chance: their scatter is taken as no less than the error of their own densities [2, n].
    """
    n = D.shape[1]
    V = np.cov(D) / n * (1.0 - surveyed / area)
    least = own.sum(axis=1) / n**2
    V[np.diag_indices(2)] = np.maximum(np.diag(V), least)
    return area**2 * V


def densities(fit) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Animals per km² at each site and year; the variance of each that is its own; the covariance of shared detection.

    D = n / a at a site, a the effective area: given n, log D moves with detection as - log a does. The covariance of
    two sites has no other part; its own part at one site is found from the same gradients.
    """
    annual = models.AnnualEstimates.from_fit(fit, years=np.arange(len(fit.model.sessions)))
    names = [session.name for session in fit.model.sessions]
    D = pd.Series(annual.estimates / 100.0, index=names)
    of_detection = annual.covariance.copy()
    n = np.array([session.captures.n_animals for session in fit.model.sessions])
    of_detection[np.diag_indices(len(n))] -= 1.0 / n  # var(log D) = 1/n + var(log a)
    return D, D.to_numpy() ** 2 / n, np.outer(D, D) * of_detection


def row(stratum: str, year: int, n: int, area: float, total: float, design: float, model: float) -> dict:
    """A total with both parts of its error and a 95 % log-normal interval of them together."""
    se = np.sqrt(design + model)
    factor = np.exp(1.96 * np.sqrt(np.log1p((se / total) ** 2)))
    return {"year": year, "stratum": stratum, "sites": n, "km2": area, "per_100_km2": 100 * total / area,
            "animals": total, "se_design": np.sqrt(design), "se_model": np.sqrt(model), "se": se,
            "lower": total / factor, "upper": total * factor}  # fmt: skip


def write_form(path: Path, total: np.ndarray, V: np.ndarray) -> None:
    """The form of the report of both years."""
    se = np.sqrt(np.diag(V))
    logs = np.log1p(V / np.outer(total, total))  # covariance of the logarithms
    r = logs[0, 1] / np.sqrt(logs[0, 0] * logs[1, 1])
    years = "".join(
        f'[[years]]\nyear = {year}\nestimate = {total[k]:.1f}\nse = {se[k]:.1f}\nsource = "totals.csv"\n'
        f'definitions = {{ footprint = "the whole plateau, 120,000 km²", estimator = "14 sites in 3 strata" }}\n\n'
        for k, year in enumerate(YEARS)
    )
    path.write_text(FORM.format(years=years.rstrip() + "\n", r=r), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    place = Path(__file__).parent
    found = main(place, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    print(found.round(2).to_string(index=False))
