"""Make the example survey: `python examples/heshun/make.py [folder]` writes the same bytes every time.

A county of 2,250 km² in the Taihang mountains, 300 cameras within ninety days, and leopards whose density follows
the ruggedness of the land. Nobody took these photographs: the animals are simulated, and truth.json says where they
live. The design is the one of surveys that such counties do; the place names are real, the outline is not.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from uncia import survey
from uncia.reports.files import write_geopackage, write_geotiff
from uncia.reports.simulate import simulate_survey
from uncia.survey.tables import FAILURES, IDENTITIES, RECORDS, empty

HERE = Path(__file__).parent
SEED = 20250301
CRS, TIMEZONE, SPECIES = "EPSG:32649", "Asia/Shanghai", "Panthera pardus"
CENTRE, AREA = (113.45, 37.31), 2250e6  # degrees; m²
STATIONS, PAIRED = 270, 30  # two cameras at 30 places make 300 cameras
MODEL = {"D": "~ ruggedness", "detection": "hazard half-normal"}
VALUES = {"D": {"Intercept": -0.18, "ruggedness": 1.0}, "lambda0": 0.018, "sigma": 3000.0}
BUFFER, SPACING = 15_000.0, 1_000.0

# reason, share of the failures, whether the camera stayed out of order until it was collected
REASONS = (
    ("battery", 0.40, True),
    ("snow on the lens", 0.20, False),
    ("stolen", 0.12, True),
    ("tilted by cattle", 0.18, False),
    ("card full", 0.10, True),
)
# events per 100 camera days of everything else that cameras see, and of leopards that nobody could name
OTHERS = {
    "Sus scrofa": 3.0,
    "Capreolus pygargus": 6.0,
    "Vulpes vulpes": 2.0,
    "Prionailurus bengalensis": 0.8,
    "Meles leucurus": 1.2,
    "Lepus tolai": 1.5,
    "Phasianus colchicus": 2.0,
    "Bos taurus": 1.2,
    "human": 1.6,
    "blank": 3.0,
    SPECIES: 0.2,
}


def main(folder: Path = HERE) -> None:
    """Write the whole example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    county = outline(rng)
    write_polygon(county, folder / "study_area.gpkg")
    write_raster(county, rng, folder / "ruggedness.tif")
    design = stand(county, rng)
    captures = survey.assemble(with_placeholder(design), species=SPECIES, crs=CRS)
    mask = survey.HabitatMask.around(captures.detectors, BUFFER, SPACING)
    mask = mask.with_covariate("ruggedness", folder / "ruggedness.tif")
    simulated = simulate_survey(
        captures,
        mask,
        MODEL,
        VALUES,
        SEED,
        species=SPECIES,
        regions={"Heshun county": mask.clip(county)},
        distribution="binomial",
        others=OTHERS,
    )
    survey.write_camtrap_dp(
        folder / "camtrap-dp", simulated.tables, title="Leopards of Heshun (simulated)", overwrite=True
    )
    truth = {"about": "simulated by examples/heshun/make.py; nobody took these photographs", **simulated.truth}
    text = json.dumps(truth, indent=1, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    print(f"{folder}: {simulated.captures!r}")


# ---- the land -----------------------------------------------------------------------------------------------------


def outline(rng: np.random.Generator) -> shapely.Polygon:
    """A county: a closed wavy line around the centre, of exactly AREA."""
    x, y = (float(v[0]) for v in survey.to_metres([CENTRE[0]], [CENTRE[1]], CRS))
    angle = np.linspace(0.0, 2.0 * np.pi, 120, endpoint=False)
    radius = np.ones_like(angle)
    for k in range(2, 7):
        radius += 0.28 / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    shape = shapely.Polygon(np.column_stack([1.15 * radius * np.cos(angle), 0.9 * radius * np.sin(angle)]))
    scale = np.sqrt(AREA / shape.area)
    return shapely.transform(shape, lambda points: np.round(points * scale + [x, y]))


def write_polygon(county: shapely.Polygon, path: Path) -> None:
    import geopandas as gpd

    path.unlink(missing_ok=True)
    write_geopackage(gpd.GeoDataFrame({"name": ["Heshun county"]}, geometry=[county], crs=CRS), path, "study_area")


def write_raster(county: shapely.Polygon, rng: np.random.Generator, path: Path, step: float = 500.0) -> None:
    """Ruggedness, the standard deviation of elevation within a kilometre, in hundreds of metres."""
    import xarray as xr
    from scipy.ndimage import gaussian_filter

    west, south, east, north = np.round(np.asarray(county.bounds) / step) * step
    margin = BUFFER + 5_000.0
    x = np.arange(west - margin, east + margin, step) + step / 2
    y = np.arange(north + margin, south - margin, -step) - step / 2
    noise = rng.standard_normal((2, len(y), len(x)))
    broad, fine = gaussian_filter(noise[0], 22), gaussian_filter(noise[1], 7)
    field = broad / broad.std() + 0.6 * fine / fine.std()
    values = np.round(1.2 + 0.45 * field / field.std(), 2).clip(0.05)
    layer = xr.DataArray(values.astype("float32"), dims=("y", "x"), coords={"y": y, "x": x}, name="ruggedness")
    write_geotiff(layer, path, CRS)


# ---- the cameras --------------------------------------------------------------------------------------------------


def stand(county: shapely.Polygon, rng: np.random.Generator) -> survey.SurveyTables:
    """Deployments and failures: ten days of setting up, eleven weeks of work, collected in the same order."""
    x, y = places(county, rng)
    longitude, latitude = survey.to_degrees(x, y, CRS)
    order = np.argsort(np.round(y / 4000) * 1e7 + x)  # teams work their way valley by valley
    longitude, latitude = np.round(longitude[order], 5), np.round(latitude[order], 5)
    paired = np.sort(rng.choice(STATIONS, PAIRED, replace=False))
    at = np.sort(np.concatenate([np.arange(STATIONS), paired]))
    day = np.sort(rng.integers(0, 10, STATIONS))[at]
    start = pd.Timestamp("2025-03-01", tz=TIMEZONE) + pd.to_timedelta(day, "D")
    start += pd.to_timedelta(rng.integers(9 * 60, 17 * 60, STATIONS)[at], "min")
    end = start + pd.to_timedelta(rng.integers(74 * 1440, 80 * 1440, STATIONS)[at], "min")
    camera = np.arange(1, len(at) + 1)
    deployments = pd.DataFrame(
        {
            "deployment": [f"HS{station + 1:03d}-{c:03d}" for station, c in zip(at, camera, strict=True)],
            "location": [f"HS{station + 1:03d}" for station in at],
            "camera": [f"C{c:03d}" for c in camera],
            "longitude": longitude[at],
            "latitude": latitude[at],
            "x": np.nan,
            "y": np.nan,
            "start": start.as_unit("us"),
            "end": end.as_unit("us"),
            "timestamp_issues": False,
            "coordinate_uncertainty": 10.0,
            "groups": "season:2025",
            "file": "deployments.csv",
            "row": camera + 1,
            "featureType": rng.choice(["trailGame", "trailHiking", "roadDirt"], STATIONS, p=[0.6, 0.25, 0.15])[at],
        }
    )
    nothing = empty(RECORDS, TIMEZONE), empty(IDENTITIES)
    return survey.SurveyTables(deployments, failures(deployments, rng), *nothing, TIMEZONE)


def places(county: shapely.Polygon, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Well-spread places: each is, of thirty random ones, the furthest from those chosen before."""
    west, south, east, north = county.bounds
    chosen = np.empty((0, 2))
    while len(chosen) < STATIONS:
        few = rng.uniform([west, south], [east, north], (90, 2))
        few = few[shapely.contains_xy(county, *few.T)][:30]
        gap = np.hypot(*(few[:, None, :] - chosen).transpose(2, 0, 1)).min(axis=1, initial=np.inf)
        chosen = np.vstack([chosen, few[np.argmax(gap)]])
    return chosen[:, 0], chosen[:, 1]


def failures(deployments: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One camera in seven fails once, for one of REASONS."""
    rows = []
    names, shares, lasting = zip(*REASONS, strict=True)
    for i in np.flatnonzero(rng.random(len(deployments)) < 1 / 7):
        d = deployments.iloc[i]
        k = rng.choice(len(names), p=shares)
        begin = d["start"].normalize() + pd.Timedelta(days=int(rng.integers(12, 70)))
        end = d["end"] if lasting[k] else begin + pd.Timedelta(days=int(rng.integers(3, 12)))
        rows.append((d["deployment"], begin, min(end, d["end"]), names[k], "failures.csv", len(rows) + 2))
    return pd.DataFrame(rows, columns=list(FAILURES))


def with_placeholder(design: survey.SurveyTables) -> survey.SurveyTables:
    """The design with one visit of one animal, because histories without any record are refused; only the detectors
    and their effort are used of it."""
    first = design.deployments.iloc[0]
    visit = {"record": "none", "deployment": first["deployment"], "location": first["location"], "type": "animal"}
    visit |= {"time": first["start"] + pd.Timedelta(hours=1), "level": "event", "species": SPECIES, "count": 1}
    place = {"setup": False, "file": "none", "row": 2}
    blank = lambda columns: dict.fromkeys(columns, "")  # noqa: E731
    records = pd.DataFrame([blank(RECORDS) | {"occasion": pd.NA} | visit | place])
    identities = pd.DataFrame([blank(IDENTITIES) | {"record": "none", "individual": "nobody"} | place])
    return replace(design, records=records, identities=identities[list(IDENTITIES)])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
