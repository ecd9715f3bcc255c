"""Small surveys of sites and of marked animals as plain tables, each with a survey.toml."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from uncia.reports.files import write_geopackage, write_geotiff

CRS = "EPSG:32647"
HEAD = '[survey]\nname = "Cats"\ncommon_name = "cats"\ncrs = "EPSG:32647"\n'
REPORT = "[report]\ngoodness = {goodness}\nmodel = '{model}'\n"


def models(*entries: str) -> str:
    """[[models]] by the lines of each."""
    return "".join(f"[[models]]\n{entry}\n" for entry in entries)


def visits(most: int = 1, seasons: int = 1, n: int = 30, j: int = 4, seed: int = 4) -> pd.DataFrame:
    """Sites that differ, with gaps, and effort in days; values up to `most`."""
    rng = np.random.default_rng(seed)
    there = rng.random((n, seasons)) < 0.65
    rows = []
    for i in range(n):
        for t in range(seasons):
            for k in range(j):
                days = 0 if rng.random() < 0.1 else int(rng.integers(2, 8))
                value = int(rng.binomial(most, 0.45)) if there[i, t] and rng.random() < 0.8 else 0
                rows.append((f"S{i + 1:02d}", 2020 + t, k + 1, "" if days == 0 else value, days))
    frame = pd.DataFrame(rows, columns=["site", "season", "visit", "value", "effort"])
    return frame if seasons > 1 else frame.drop(columns="season")


def sites(folder: Path, form: str, table: pd.DataFrame | None = None, more: str = "") -> Path:
    """A survey of sites in a folder: visits.csv, sites.csv, a raster, an outline and the form."""
    table = visits() if table is None else table
    table.to_csv(folder / "visits.csv", index=False)
    names = sorted(set(table["site"]))
    rng = np.random.default_rng(1)
    x, y = 500_000 + 100 * rng.integers(20, 180, len(names)), 4_000_000 + 100 * rng.integers(20, 180, len(names))
    pd.DataFrame({"site": names, "x": x, "y": y, "slope": np.round(rng.normal(size=len(names)), 2)}).to_csv(
        folder / "sites.csv", index=False
    )
    at_x, at_y = 495_000 + 1000.0 * np.arange(31), 4_025_000 - 1000.0 * np.arange(31)
    values = np.sin(at_x / 5000)[None, :] * np.cos(at_y / 4000)[:, None]
    write_geotiff(xr.DataArray(values, dims=("y", "x"), coords={"y": at_y, "x": at_x}), folder / "rugged.tif", CRS)
    box = shapely.box(500_000, 4_000_000, 520_000, 4_020_000)
    write_geopackage(gpd.GeoDataFrame({"name": ["land"]}, geometry=[box], crs=CRS), folder / "land.gpkg", "land")
    data = '[data]\nformat = "visits"\npath = "visits.csv"\nsites = "sites.csv"\neffort_unit = "camera days"\n'
    (folder / "survey.toml").write_text(HEAD + data + more + form, encoding="utf-8")
    return folder / "survey.toml"


def histories(stages: int = 1, n: int = 60, years: int = 6, seed: int = 3) -> pd.DataFrame:
    """Animals that enter, live on with 0.75 and are met with 0.6; met as stage 1 first, then as 2, when stages = 2."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        born, met = int(rng.integers(0, years)), []
        alive = True
        for t in range(years):
            alive = alive and (t <= born or rng.random() < 0.75)
            stage = 1 if t == born or stages == 1 else 2
            met.append(stage if alive and t >= born and rng.random() < 0.6 else 0)
        if any(met):
            rows.append((f"A{i + 1}", "female" if i % 2 else "male", *met))
    return pd.DataFrame(rows, columns=["animal", "sex", *range(2020, 2020 + years)])


def marked(folder: Path, form: str, table: pd.DataFrame | None = None) -> Path:
    """A survey of marked animals in a folder."""
    (histories() if table is None else table).to_csv(folder / "histories.csv", index=False)
    data = '[data]\nformat = "histories"\npath = "histories.csv"\ninterval_unit = "year"\n'
    (folder / "survey.toml").write_text(HEAD + data + form, encoding="utf-8")
    return folder / "survey.toml"


def monitored(folder: Path, form: str) -> Path:
    """A survey of released animals in a folder."""
    rng = np.random.default_rng(8)
    rows = []
    for i in range(30):
        species, start = ("lynx", "desert cat")[i % 2], pd.Timestamp("2022-01-01") + pd.Timedelta(days=int(i) * 9)
        weeks = int(min(rng.geometric(0.03 if i % 2 else 0.015), 45))
        end = start + pd.Timedelta(days=7 * weeks)
        rows.append((f"R{i + 1}", species, f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}", "yes" if weeks < 45 else "no"))
    columns = ["animal", "species", "entry", "exit", "died"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "fates.csv", index=False)
    data = '[data]\nformat = "fates"\npath = "fates.csv"\nlength = "7 days"\nperiod = "week"\nclock = "entry"\n'
    (folder / "survey.toml").write_text(HEAD + data + form, encoding="utf-8")
    return folder / "survey.toml"
