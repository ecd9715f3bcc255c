"""A survey small enough to be read, fitted and reported in a second: 25 stations, 20 days, simulated animals."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import xarray as xr

from uncia import survey
from uncia.reports.files import write_geopackage, write_geotiff

CRS = "EPSG:32647"
SPECIES = "Panthera uncia"
FORM = """\
seed = 3

[survey]
name = "Snow leopards of a small valley"
species = "Panthera uncia"
common_name = "snow leopards"
timezone = "Asia/Shanghai"
crs = "EPSG:32647"

[data]
format = "camtrap-dp"
path = "data"

[mask]
buffer = 9_000
spacing = 1_500

[mask.covariates]
rugged = "rugged.tif"

[[models]]
name = "constant"

[[models]]
name = "rugged"
D = "~ rugged"

[[regions]]
name = "Valley"
file = "valley.gpkg"

[simulate]
D = 4.0
lambda0 = 0.1
sigma = 2000.0
"""


def histories(animals: int = 14, seed: int = 5) -> survey.CaptureHistory:
    """Capture histories of simulated animals at 25 stations, with a failure and a station set up late."""
    rng = np.random.default_rng(seed)
    x, y = (500_000 + 2500.0 * v.ravel() for v in np.meshgrid(range(5), range(5)))
    y = y + 3_500_000  # x and y begin at 500 km and 4000 km
    effort = np.ones((20, 25))
    effort[8:13, 7] = 0.0
    effort[:4, 3] = 0.0
    centres = rng.uniform([498_000, 3_998_000], [512_000, 4_012_000], (animals, 2))
    away = np.hypot(centres[:, :1] - x, centres[:, 1:] - y)
    hazard = 0.15 * np.exp(-0.5 * (away / 2000.0) ** 2)
    animal, occasion, station = np.nonzero(rng.random((animals, 20, 25)) < -np.expm1(-hazard[:, None] * effort))
    seen = pd.DataFrame(
        {
            "animal": [f"cat {i + 1}" for i in animal],
            "occasion": occasion + 1,
            "detector": [f"S{k + 1:02d}" for k in station],
        }
    )
    names = sorted(set(seen["animal"]))
    return survey.CaptureHistory(
        seen,
        survey.Detectors([f"S{k + 1:02d}" for k in range(25)], x, y, effort, crs=CRS),
        animals=pd.DataFrame({"sex": ["female", "male"] * len(names)}).iloc[: len(names)].set_axis(names),
    )


def write(folder: Path, form: str = FORM) -> Path:
    """The survey in a folder: Camtrap DP, a raster, a region and the form; returns the path of the form."""
    others = {"Pseudois nayaur": 8.0, "blank": 3.0, "human": 1.0}
    tables = survey.fieldwork(
        histories(), species=SPECIES, seed=1, timezone="Asia/Shanghai", start="2024-05-01", others=others
    )
    survey.write_camtrap_dp(folder / "data", tables)
    x, y = 485_000 + 500.0 * np.arange(80), 4_025_000 - 500.0 * np.arange(80)
    values = 1.0 + np.sin(x / 9000)[None, :] * np.cos(y / 7000)[:, None]
    write_geotiff(xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}), folder / "rugged.tif", CRS)
    box = shapely.box(497_000, 3_997_000, 513_500, 4_013_500)
    valley = gpd.GeoDataFrame({"name": ["Valley"]}, geometry=[box], crs=CRS)
    write_geopackage(valley, folder / "valley.gpkg", "valley")
    (folder / "survey.toml").write_text(form, encoding="utf-8")
    return folder / "survey.toml"
