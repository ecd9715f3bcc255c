"""Make the example survey: `python examples/mountain_reserve/make.py [folder]` writes the same bytes every time.

A mountain reserve of 1,500 km² with ridges and valleys that run from west to east. Thirty cameras stand for sixty days;
in May and June teams walk ridgelines and valley bottoms with a GPS and collect scats, of which a laboratory can name
some; three snow leopards wear collars. Nobody went there: the animals are simulated, and truth.json says what is true.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from uncia import survey
from uncia.reports.files import write_geopackage, write_geotiff

HERE = Path(__file__).parent
SEED = 20240501
CRS, TIMEZONE, SPECIES = "EPSG:32647", "Asia/Shanghai", "Panthera uncia"
X0, Y0, WIDE, HIGH = 500_000.0, 3_960_000.0, 50_000.0, 30_000.0  # metres: corner and size of the reserve
MARGIN = 12_000.0  # metres around it in which animals live too
PERIOD = 6_000.0  # metres from one ridge to the next
INTERCEPT, SLOPE = np.log(1.2), 0.6  # log density: animals per 100 km² where ruggedness is 0, and per unit of it
SIGMA = 2_600.0  # metres
CAMERA = 0.035  # detections per camera day at an activity centre
RIDGE, VALLEY = 0.40, 0.16  # scats per km walked at an activity centre
SUCCESS = {"May": 0.75, "June": 0.5}  # share of scats whose DNA gives a name
DAYS, STATIONS = 60, (6, 5)
FIRST = {"May": "2024-05-06", "June": "2024-06-03"}
WALKS = {"May": 10, "June": 8}
STEP, FIXES = 120.0, 90  # metres from one fix to the next, every two minutes and a half; fixes of a walk
COLLARED, COLLAR_DAYS = 3, 45


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    write_land(folder)
    x, y, sex = animals(rng)
    names = np.array([f"SL{i + 1:02d}" for i in range(len(x))], object)
    cameras = photographs(x, y, names, sex, rng)
    tables = survey.fieldwork(
        cameras,
        species=SPECIES,
        seed=SEED,
        timezone=TIMEZONE,
        start="2024-05-01",
        others={"Pseudois nayaur": 4.0, "Vulpes vulpes": 1.5, "blank": 2.0},
    )
    survey.write_camtrap_dp(folder / "camtrap-dp", tables, title="A mountain reserve (simulated)", overwrite=True)
    walks = all_walks(rng)
    (folder / "tracks").mkdir(exist_ok=True)
    for walk in walks:
        write_track(walk, folder / "tracks" / f"{walk['name']}.gpx")
    scats(walks, x, y, names, sex, rng).to_csv(folder / "scats.csv", index=False, lineterminator="\n")
    wearing = collared(x, y)
    collars(wearing, x, y, names, rng).to_csv(folder / "collars.csv", index=False, lineterminator="\n")
    inside = shapely.contains_xy(reserve(), x, y)
    truth = {
        "about": "simulated by examples/mountain_reserve/make.py; nobody went there",
        "animals in the reserve": int(inside.sum()),
        "animals in the reserve, expected": round(expected(), 1),
        "sigma (m)": SIGMA,
        "detections per camera day at the activity centre": CAMERA,
        "scats per km of ridge at the activity centre": RIDGE,
        "scats per km of valley at the activity centre": VALLEY,
        "log density per unit of ruggedness": SLOPE,
    }
    text = json.dumps(truth, indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8", newline="\n")


# ---- the land -----------------------------------------------------------------------------------------------------


def reserve() -> shapely.Polygon:
    return shapely.box(X0, Y0, X0 + WIDE, Y0 + HIGH)


def crest(x, k: int, ridge: bool) -> np.ndarray:
    """Northing of the k-th ridge, or of the valley north of it, at easting x, metres."""
    bend = 900.0 * np.sin((x - X0) / 5_500.0 + k) + 400.0 * np.sin((x - X0) / 1_700.0 + 2 * k)
    return Y0 + PERIOD * (k + (0.25 if ridge else 0.75)) + bend


def ruggedness(x, y) -> np.ndarray:
    """From 0 (plain) to about 2; more in the south-west of the land."""
    return (
        1.0 + 0.7 * np.sin((x - X0) / 17_000.0 + 1.0) * np.cos((y - Y0) / 13_000.0) + 0.2 * np.sin((y - Y0) / 4_000.0)
    )


def write_land(folder: Path, step: float = 1000.0) -> None:
    import geopandas as gpd
    import xarray as xr

    frame = gpd.GeoDataFrame({"name": ["reserve"]}, geometry=[reserve()], crs=CRS)
    (folder / "reserve.gpkg").unlink(missing_ok=True)
    write_geopackage(frame, folder / "reserve.gpkg", "reserve")
    x = np.arange(X0 - 2 * MARGIN, X0 + WIDE + 2 * MARGIN, step) + step / 2
    y = np.arange(Y0 + HIGH + 2 * MARGIN, Y0 - 2 * MARGIN, -step) - step / 2
    values = np.round(ruggedness(*np.meshgrid(x, y)), 2).astype("float32")
    layer = xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}, name="ruggedness")
    write_geotiff(layer, folder / "ruggedness.tif", CRS)


def density(x, y) -> np.ndarray:
    """Animals per m²."""
    return np.exp(INTERCEPT + SLOPE * ruggedness(x, y)) / 1e8


def expected(step: float = 250.0) -> float:
    """Animals expected in the reserve."""
    x, y = np.meshgrid(np.arange(0, WIDE, step) + step / 2, np.arange(0, HIGH, step) + step / 2)
    return float(density(X0 + x, Y0 + y).sum() * step**2)


# ---- the animals and what was found of them -----------------------------------------------------------------------


def animals(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activity centres by thinning, and sexes."""
    wide, high = WIDE + 2 * MARGIN, HIGH + 2 * MARGIN
    most = np.exp(INTERCEPT + SLOPE * 2.0) / 1e8
    n = rng.poisson(most * wide * high)
    x, y = X0 - MARGIN + rng.uniform(0, wide, n), Y0 - MARGIN + rng.uniform(0, high, n)
    kept = rng.random(n) < density(x, y) / most
    return x[kept], y[kept], rng.choice(["female", "male"], int(kept.sum()))


def photographs(x, y, names, sex, rng: np.random.Generator) -> survey.CaptureHistory:
    """Thirty cameras on ridges, each for sixty days but for some failures."""
    columns, rows = STATIONS
    px = X0 + WIDE * (np.tile(np.arange(columns), rows) + 0.5) / columns + rng.uniform(-800, 800, columns * rows)
    py = crest(px, 0, True) + PERIOD * np.repeat(np.arange(rows), columns)
    effort = np.ones((DAYS, columns * rows))
    for k in rng.choice(columns * rows, 6, replace=False):
        effort[int(rng.integers(15, 50)) :, k] = 0.0
    away = np.hypot(x[:, None] - px, y[:, None] - py)
    hazard = CAMERA * np.exp(-0.5 * (away / SIGMA) ** 2)
    i, s, k = np.nonzero(rng.random((len(x), DAYS, len(px))) < -np.expm1(-hazard[:, None] * effort))
    stations = [f"K{j + 1:02d}" for j in range(len(px))]
    seen = pd.DataFrame({"animal": names[i], "occasion": s + 1, "detector": np.array(stations, object)[k]})
    known = pd.DataFrame({"sex": sex}, index=names)
    detectors = survey.Detectors(stations, np.round(px), np.round(py), effort, "proximity", CRS)
    return survey.CaptureHistory(seen, detectors, animals=known)


def all_walks(rng: np.random.Generator) -> list[dict]:
    """Walks along ridges and valleys, in turn; some ways are walked in both months."""
    found, number = [], 0
    for month, n in WALKS.items():
        for j in range(n):
            ridge, k = j % 2 == 0, int(rng.integers(0, 5))
            at = X0 + rng.uniform(1_000.0, WIDE - FIXES * STEP) + STEP * np.arange(FIXES)
            way = np.column_stack([at, crest(at, k, ridge)]) + rng.normal(0.0, 3.0, (FIXES, 2))  # the device's error
            number += 1
            day = pd.Timestamp(FIRST[month]) + pd.Timedelta(days=2 * j)
            name = f"{'ridge' if ridge else 'valley'}_{number:02d}"
            found.append({"name": name, "ridge": ridge, "month": month, "day": day, "way": way})
    return found


def scats(walks: list[dict], x, y, names, sex, rng: np.random.Generator) -> pd.DataFrame:
    """The teams' list: sample, date, place, and what the laboratory says."""
    rows = []
    for walk in walks:
        a, b = walk["way"][:-1], walk["way"][1:]
        km, middle = np.hypot(*(b - a).T) / 1000.0, (a + b) / 2
        squares = (middle[:, 0] - x[:, None]) ** 2 + (middle[:, 1] - y[:, None]) ** 2
        number = rng.poisson((RIDGE if walk["ridge"] else VALLEY) * km * np.exp(-0.5 * squares / SIGMA**2))
        for i, j in zip(*(np.repeat(v, number[np.nonzero(number)]) for v in np.nonzero(number)), strict=True):
            place = a[j] + rng.random() * (b - a)[j] + rng.normal(0.0, 8.0, 2)
            named = rng.random() < SUCCESS[walk["month"]]
            rows.append((walk["day"], place, names[i] if named else "", sex[i] if named else ""))
    camp = np.array([X0 + 25_000.0, Y0 + 1_000.0])  # two from beside the road, where nobody searched
    rows += [(pd.Timestamp("2024-05-12"), camp + 300.0 * k, names[k], sex[k]) for k in range(2)]
    rows.sort(key=lambda row: (row[0], row[1][0]))
    where = np.array([row[1] for row in rows])
    lon, lat = survey.to_degrees(where[:, 0], where[:, 1], CRS)
    return pd.DataFrame(
        {
            "sample": [f"S{n + 1:03d}" for n in range(len(rows))],
            "date": [f"{row[0]:%Y-%m-%d}" for row in rows],
            "longitude": np.round(lon, 6),
            "latitude": np.round(lat, 6),
            "animal": [row[2] for row in rows],
            "sex": [row[3] for row in rows],
        }
    )


def collared(x, y) -> list[int]:
    """Three animals that live in the reserve; animals with collars are caught where people go."""
    inside = np.flatnonzero(shapely.contains_xy(shapely.buffer(reserve(), -5_000.0), x, y))
    return [int(i) for i in inside[:: max(1, len(inside) // COLLARED)][:COLLARED]]


def collars(wearing: list[int], x, y, names, rng: np.random.Generator) -> pd.DataFrame:
    """One fix a day of each collared animal."""
    rows = []
    for i in wearing:
        place = np.array([x[i], y[i]]) + rng.normal(0.0, SIGMA, (COLLAR_DAYS, 2))
        lon, lat = survey.to_degrees(place[:, 0], place[:, 1], CRS)
        days = pd.date_range("2024-05-01 06:00", periods=COLLAR_DAYS, freq="D")
        rows += [
            (names[i], f"{day:%Y-%m-%d %H:%M}", round(a, 6), round(b, 6))
            for day, a, b in zip(days, lon, lat, strict=True)
        ]
    return pd.DataFrame(rows, columns=["animal", "time", "longitude", "latitude"])


def write_track(walk: dict, path: Path) -> None:
    lon, lat = survey.to_degrees(walk["way"][:, 0], walk["way"][:, 1], CRS)
    begin = walk["day"] + pd.Timedelta(minutes=30)  # half past eight there, in UTC
    when = begin + pd.to_timedelta(150 * np.arange(len(lon)), "s")
    points = "".join(
        f'<trkpt lat="{b:.6f}" lon="{a:.6f}"><time>{t:%Y-%m-%dT%H:%M:%SZ}</time></trkpt>\n'
        for a, b, t in zip(lon, lat, when, strict=True)
    )
    head = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">\n'
    text = f"{head}<trk><name>{walk['name']}</name><trkseg>\n{points}</trkseg></trk></gpx>\n"
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
