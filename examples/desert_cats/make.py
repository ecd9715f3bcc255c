"""Make the desert cats: `python examples/desert_cats/make.py [folder]` writes the same bytes every time.

A plateau of some 2,000 km², sixty cameras for thirteen weeks, and desert cats that follow the shrub. No two of these
cats can be told apart on a photograph. They are simulated one by one, each with a place to live and cameras that it may
pass, so that truth.json can say how many there are: no model in the notebook is the one that made the data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from uncia.reports.files import write_geopackage, write_geotiff

HERE = Path(__file__).parent
SEED = 20240405
CRS = "EPSG:32647"  # UTM zone 47 north, metres
CORNER, SIZE, STEP = (480_000.0, 4_050_000.0), (64_000.0, 48_000.0), 1000.0
CATS = 120  # on the plateau
SHRUB = 1.1  # how strongly cats follow the shrub: log of density per unit
SIGMA = 1600.0  # metres, the spread of a cat's movements
RATE = 0.022  # photographs per camera day at the centre of a cat's range
CAMERAS, WEEKS = 60, 13


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    plateau = outline(rng)
    write_polygon(plateau, folder / "plateau.gpkg")
    x, y, shrub = land(rng, folder / "shrub.tif")
    cats = settle(plateau, x, y, shrub, rng)
    cameras = stand(plateau, rng)
    days = effort(rng)
    found = photographs(cats, cameras, days, rng)
    write_tables(cameras, days, found, folder)
    truth = {
        "about": "simulated by examples/desert_cats/make.py; nobody took these photographs",
        "cats on the plateau": CATS,
        "area (km²)": round(plateau.area / 1e6, 1),
        "sigma (m)": SIGMA,
        "photographs per camera day at the centre of a range": RATE,
        "cameras within 2 sigma of a cat": int((distances(cats, cameras).min(axis=0) < 2 * SIGMA).sum()),
        "cats within 2 sigma of a camera, mean": float((distances(cats, cameras) < 2 * SIGMA).sum(axis=0).mean()),
        "cats (x, y in m)": np.round(cats).astype(int).tolist(),
    }
    text = json.dumps(truth, indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    print(f"{folder}: found at {int((found > 0).any(axis=1).sum())} of {CAMERAS} cameras")


# ---- the land -----------------------------------------------------------------------------------------------------


def outline(rng: np.random.Generator) -> shapely.Polygon:
    """The plateau: a wavy line inside the raster."""
    angle = np.linspace(0.0, 2.0 * np.pi, 90, endpoint=False)
    wave = sum(0.05 * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    centre = np.array(CORNER) + np.array(SIZE) / 2
    points = np.column_stack([0.46 * SIZE[0] * np.cos(angle), 0.44 * SIZE[1] * np.sin(angle)]) * (1 + wave)[:, None]
    return shapely.Polygon(np.round(np.clip(points + centre, np.array(CORNER) + 500, np.array(CORNER) + SIZE - 500.0)))


def write_polygon(plateau: shapely.Polygon, path: Path) -> None:
    import geopandas as gpd

    path.unlink(missing_ok=True)
    write_geopackage(gpd.GeoDataFrame({"name": ["plateau"]}, geometry=[plateau], crs=CRS), path, "plateau")


def land(rng: np.random.Generator, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cover of shrub, in standard deviations from its mean, on a raster that reaches beyond the plateau."""
    import xarray as xr
    from scipy.ndimage import gaussian_filter

    x = np.arange(CORNER[0] - 5000, CORNER[0] + SIZE[0] + 5000, STEP) + STEP / 2
    y = np.arange(CORNER[1] + SIZE[1] + 5000, CORNER[1] - 5000, -STEP) - STEP / 2
    field = gaussian_filter(rng.standard_normal((len(y), len(x))), 4.0)
    shrub = np.round((field - field.mean()) / field.std(), 2)
    layer = xr.DataArray(shrub.astype("float32"), dims=("y", "x"), coords={"y": y, "x": x}, name="shrub")
    write_geotiff(layer, path, CRS)
    return x, y, shrub


# ---- the cats and the cameras -------------------------------------------------------------------------------------


def settle(plateau, x: np.ndarray, y: np.ndarray, shrub: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where each cat lives [cats, 2]: cells by their shrub, anywhere within a cell."""
    cell_x, cell_y = (v.ravel() for v in np.meshgrid(x, y))
    weight = np.exp(SHRUB * shrub.ravel()) * shapely.contains_xy(plateau, cell_x, cell_y)
    at = rng.choice(len(weight), CATS, p=weight / weight.sum())
    return np.column_stack([cell_x[at], cell_y[at]]) + rng.uniform(-STEP / 2, STEP / 2, (CATS, 2))


def stand(plateau, rng: np.random.Generator) -> np.ndarray:
    """Where the cameras stand [cameras, 2]: each is, of thirty random places, the furthest from those before."""
    west, south, east, north = plateau.bounds
    chosen = np.empty((0, 2))
    while len(chosen) < CAMERAS:
        few = rng.uniform([west, south], [east, north], (80, 2))
        few = few[shapely.contains_xy(plateau, *few.T)][:30]
        gap = np.hypot(*(few[:, None, :] - chosen).transpose(2, 0, 1)).min(axis=1, initial=np.inf)
        chosen = np.vstack([chosen, few[np.argmax(gap)]])
    return np.round(chosen[np.lexsort((chosen[:, 0], np.round(chosen[:, 1] / 8000)))])


def effort(rng: np.random.Generator) -> np.ndarray:
    """Days that each camera worked in each week [cameras, weeks]: set up within two weeks, and failures."""
    days = np.full((CAMERAS, WEEKS), 7)
    for i in range(CAMERAS):
        first = int(rng.integers(0, 14))
        days[i, : first // 7] = 0
        days[i, first // 7] -= first % 7
        if rng.random() < 0.30:  # snow, cattle, a full card: some weeks; or batteries or theft: until the end
            begin = int(rng.integers(2, WEEKS - 1))
            end = WEEKS if rng.random() < 0.5 else min(WEEKS, begin + int(rng.integers(1, 5)))
            days[i, begin:end] = 0
            days[i, begin - 1] = min(days[i, begin - 1], int(rng.integers(1, 7)))
    return days


def distances(cats: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Metres [cats, cameras]."""
    return np.hypot(*(cats[:, None, :] - cameras[None, :, :]).transpose(2, 0, 1))


def photographs(cats, cameras, days, rng: np.random.Generator) -> np.ndarray:
    """Photographs of cats [cameras, weeks]."""
    rate = RATE * np.exp(-0.5 * (distances(cats, cameras) / SIGMA) ** 2).sum(axis=0)
    return rng.poisson(rate[:, None] * days)


def write_tables(cameras: np.ndarray, days: np.ndarray, found: np.ndarray, folder: Path) -> None:
    """sites.csv and visits.csv: one row per camera and week; an empty cell where the camera did not work."""
    names = [f"DC{i + 1:02d}" for i in range(CAMERAS)]
    sites = pd.DataFrame({"site": names, "x": cameras[:, 0].astype(int), "y": cameras[:, 1].astype(int)})
    sites.to_csv(folder / "sites.csv", index=False, lineterminator="\n")
    worked = days.ravel() > 0
    visits = pd.DataFrame(
        {
            "camera": np.repeat(names, WEEKS),
            "week": np.tile(np.arange(1, WEEKS + 1), CAMERAS),
            "days": days.ravel(),
            "cat": np.where(worked, (found.ravel() > 0).astype(int).astype(str), ""),
        }
    )
    visits.to_csv(folder / "visits.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
