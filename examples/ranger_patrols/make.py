"""Make the patrols: `python examples/ranger_patrols/make.py [folder]` writes the same files every time.

Rangers of three townships walk the valleys of a plateau of 96 cells of 5 × 5 km and note the sign of snow leopards. A
cell is occupied with a probability that rises with its ruggedness; in an occupied cell the animals use some kilometres
of a valley and not others, in runs. The tracks are GPX, the observations a SMART export; truth.json says which cells
are occupied.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
import xarray as xr
from scipy.special import expit

from uncia import survey
from uncia.reports.files import write_geopackage, write_geotiff

HERE = Path(__file__).parent
SEED = 3
CRS = "EPSG:32647"  # UTM zone 47 north, metres
SIDE, X0, Y0, COLUMNS, ROWS = 5_000.0, 500_000.0, 3_500_000.0, 12, 8
INTERCEPT, SLOPE = -0.2, 1.2  # of logit psi over ruggedness
AFTER_UNUSED, AFTER_USED, DETECTION = 0.05, 0.85, 0.6  # of a kilometre
ON_FOOT, BY_CAR, FIXES, STEP = 60, 2, 180, 110.0  # patrols, fixes of a patrol, metres between them
SMART = ("Patrol ID", "Patrol Transport Type", "Waypoint Date", "Waypoint Time", "X", "Y")
SMART += ("Observation Category 0", "Observation Category 1", "Species")


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    (folder / "tracks").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    write_plateau(folder / "plateau.gpkg")
    occupied = settle(land(folder / "rugged.tif"), rng)
    records = []
    for number in range(ON_FOOT + BY_CAR):
        patrol, on_foot = f"T{number % 3 + 1}-{number:03d}", number < ON_FOOT
        x, y = walk(rng)
        time = clock(number, on_foot, rng)
        write_track(patrol, x, y, time, folder / "tracks" / f"{patrol}.gpx")
        records += observations(patrol, on_foot, x, y, time, occupied, rng)
    outside = survey.to_degrees(X0 - 9_000, Y0, CRS)
    records.append((*records[0][:4], *outside, "Sign", "Scat", "Panthera uncia"))
    table = pd.DataFrame(records, columns=list(SMART)).round({"X": 6, "Y": 6})
    table.to_csv(folder / "smart.csv", index=False, lineterminator="\n")
    write_truth(occupied, folder / "truth.json")
    print(f"{folder}: {occupied.sum()} of {occupied.size} cells are occupied, {len(records)} observations")


# ---- the land and the animals -------------------------------------------------------------------------------------


def write_plateau(path: Path) -> None:
    """The outline of the townships' land."""
    import geopandas as gpd

    path.unlink(missing_ok=True)
    outline = shapely.box(X0, Y0, X0 + COLUMNS * SIDE, Y0 + ROWS * SIDE)
    write_geopackage(gpd.GeoDataFrame({"name": ["plateau"]}, geometry=[outline], crs=CRS), path, "plateau")


def land(path: Path) -> xr.DataArray:
    """Ruggedness, on a raster that reaches beyond the plateau."""
    east = X0 + np.arange(0.0, 62_000.0, 500.0) - 1_000.0
    north = (Y0 + np.arange(0.0, 42_000.0, 500.0) - 1_000.0)[::-1]
    rugged = np.sin((east[None, :] - X0) / 9_000.0) + np.cos((north[:, None] - Y0) / 7_000.0)
    layer = xr.DataArray(np.round(rugged, 3), dims=("y", "x"), coords={"y": north, "x": east}, name="rugged")
    write_geotiff(layer, path, CRS)
    return layer


def settle(rugged: xr.DataArray, rng: np.random.Generator) -> np.ndarray:
    """Which cells are occupied [columns, rows]."""
    row, column = np.divmod(np.arange(COLUMNS * ROWS), COLUMNS)
    middle = {"x": xr.DataArray(X0 + (column + 0.5) * SIDE), "y": xr.DataArray(Y0 + (row + 0.5) * SIDE)}
    occupied = np.zeros((COLUMNS, ROWS), bool)
    occupied[column, row] = rng.random(len(row)) < expit(INTERCEPT + SLOPE * rugged.interp(middle).to_numpy())
    return occupied


def write_truth(occupied: np.ndarray, path: Path) -> None:
    cells = [f"E{(X0 + c * SIDE) / 1000:.0f}N{(Y0 + r * SIDE) / 1000:.0f}" for c, r in np.argwhere(occupied)]
    truth = {
        "about": "simulated by examples/ranger_patrols/make.py; nobody walked these patrols",
        "cells": occupied.size,
        "area occupied (km²)": float(occupied.sum() * (SIDE / 1000) ** 2),
        "use of a kilometre after an unused one": AFTER_UNUSED,
        "use of a kilometre after a used one": AFTER_USED,
        "detection of the sign of a used kilometre": DETECTION,
        "occupied": cells,
    }
    text = json.dumps(truth, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


# ---- the patrols --------------------------------------------------------------------------------------------------


def walk(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fixes of one patrol, metres: along a valley, folded back at the edge of the plateau."""
    wide, high = COLUMNS * SIDE, ROWS * SIDE
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, FIXES))
    x = rng.uniform(0, wide) + np.cumsum(STEP * np.cos(heading))
    y = rng.uniform(0, high) + np.cumsum(STEP * np.sin(heading))
    return X0 + wide - np.abs(x % (2 * wide) - wide), Y0 + high - np.abs(y % (2 * high) - high)


def clock(number: int, on_foot: bool, rng: np.random.Generator) -> pd.DatetimeIndex:
    """Times of the fixes, UTC: every two minutes on foot, every quarter of a minute by car."""
    begin = pd.Timestamp("2024-05-02 00:30") + pd.Timedelta(days=number * 60 // 62, hours=int(rng.integers(0, 3)))
    return begin + pd.to_timedelta(np.arange(FIXES) * (120 if on_foot else 15), "s")


def sign_along(x: np.ndarray, y: np.ndarray, occupied: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Positions among the fixes where sign of a snow leopard is found."""
    cell = np.column_stack([(x - X0) // SIDE, (y - Y0) // SIDE]).astype(int)
    found, used, in_cell = [], False, 0.0
    for i in range(1, len(x)):
        entered = (cell[i] != cell[i - 1]).any()
        before, in_cell = in_cell, 0.0 if entered else in_cell + np.hypot(x[i] - x[i - 1], y[i] - y[i - 1])
        if entered or i == 1:  # the first kilometre of a passage is used as often as any
            used = rng.random() < AFTER_UNUSED / (AFTER_UNUSED + 1 - AFTER_USED)
        elif in_cell // 1000 == before // 1000:
            continue
        else:
            used = rng.random() < (AFTER_USED if used else AFTER_UNUSED)
        if used and occupied[tuple(cell[i])] and rng.random() < DETECTION:
            found.append(i)
    return found


def observations(patrol, on_foot, x, y, time, occupied, rng: np.random.Generator) -> list[tuple]:
    """What a patrol wrote down, as rows of SMART: scats of snow leopards, and two of foxes."""
    scats = [(i, "Panthera uncia") for i in (sign_along(x, y, occupied, rng) if on_foot else [])]
    scats += [(int(i), "Vulpes vulpes") for i in rng.integers(0, FIXES, 2)]
    rows = []
    for i, species in scats:
        local = time[i] + pd.Timedelta(hours=8)
        when = (f"{local:%b %d, %Y}", f"{local:%I:%M:%S %p}")
        where = survey.to_degrees(x[i], y[i], CRS)
        rows.append((patrol, "Foot" if on_foot else "Vehicle", *when, *where, "Sign", "Scat", species))
    return rows


def write_track(patrol: str, x: np.ndarray, y: np.ndarray, time: pd.DatetimeIndex, path: Path) -> None:
    longitude, latitude = survey.to_degrees(x, y, CRS)
    points = "".join(
        f'<trkpt lat="{b:.6f}" lon="{a:.6f}"><time>{t:%Y-%m-%dT%H:%M:%SZ}</time></trkpt>\n'
        for a, b, t in zip(longitude, latitude, time, strict=True)
    )
    head = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">\n'
    text = f"{head}<trk><name>{patrol}</name><trkseg>\n{points}</trkseg></trk></gpx>\n"
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
