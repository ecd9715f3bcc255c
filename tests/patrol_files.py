"""Patrols made for tests: tracks in metres written as GPX, GeoJSON or shapefile, and SMART exports."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from uncia.survey import Cells, read_patrols, to_degrees

CRS = "EPSG:32647"
ZONE = "Asia/Shanghai"
X0, Y0 = 500_000.0, 3_500_000.0
CAT = "Felis bieti"
STRAIGHT = [(x, 1.0) for x in np.arange(0.2, 5.3, 0.5)]  # 5 km eastward through three cells
BY_NAME = {"tracks": {"patrol": "name"}}
SMART = "Patrol ID,Patrol Transport Type,Waypoint Date,Waypoint Time,X,Y,Observation Category 0,Species\n"


def cells(columns: int = 3, rows: int = 3, side: float = 2.0) -> Cells:
    """Square cells of `side` km from x = 500 km, y = 3500 km on."""
    return Cells.grid(shapely.box(X0, Y0, X0 + 1000 * side * columns, Y0 + 1000 * side * rows), side, CRS)


def degrees(points) -> np.ndarray:
    """[n, 2] longitude and latitude of points in km from the corner of the cells."""
    points = 1000.0 * np.asarray(points, float).reshape(-1, 2)
    return np.column_stack(to_degrees(X0 + points[:, 0], Y0 + points[:, 1], CRS))


def times(n: int, start: str = "2024-05-01 08:00", minutes: float = 10.0) -> pd.DatetimeIndex:
    return pd.Timestamp(start, tz=ZONE) + pd.to_timedelta(np.arange(n) * minutes, "min")


def gpx(path: Path, *tracks, zone: str | None = "UTC") -> Path:
    """Tracks (name, [(points in km, times or None), …]) as GPX; without `zone` the times are written without offset."""
    text = '<?xml version="1.0"?>\n<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">\n'
    for name, parts in tracks:
        text += f"<trk><name>{name}</name>\n"
        for points, when in parts:
            text += "<trkseg>\n"
            for i, (lon, lat) in enumerate(degrees(points)):
                stamp = "" if when is None else f"<time>{_stamp(when[i], zone)}</time>"
                text += f'<trkpt lat="{lat:.9f}" lon="{lon:.9f}">{stamp}</trkpt>\n'
            text += "</trkseg>\n"
        text += "</trk>\n"
    path.write_text(text + "</gpx>\n", "utf-8")
    return path


def _stamp(when: pd.Timestamp, zone: str | None) -> str:
    return f"{when.tz_convert('UTC'):%Y-%m-%dT%H:%M:%SZ}" if zone else f"{when:%Y-%m-%dT%H:%M:%S}"


def lines(path: Path, *tracks, **columns) -> Path:
    """Tracks as lines of a GeoJSON or shapefile, times in milliseconds as third coordinate where there are any."""
    shapes = []
    for _, parts in tracks:
        of_track = []
        for points, when in parts:
            at = degrees(points)
            z = None if when is None else when.as_unit("ms").asi8[:, None]
            of_track.append(shapely.LineString(at if z is None else np.column_stack([at, z])))
        shapes.append(of_track[0] if len(of_track) == 1 else shapely.MultiLineString(of_track))
    frame = gpd.GeoDataFrame({"name": [name for name, _ in tracks], **columns}, geometry=shapes, crs="EPSG:4326")
    frame.to_file(path)
    return path


def smart(path: Path, *rows) -> Path:
    """A SMART export of rows (patrol, transport, local time, (x, y) in km, category, species)."""
    text = SMART
    for patrol, transport, when, place, category, species in rows:
        lon, lat = degrees(place)[0]
        when = pd.Timestamp(when)
        text += f"{patrol},{transport},{when:%Y-%m-%d},{when:%H:%M:%S},{lon:.8f},{lat:.8f},{category},{species}\n"
    path.write_text(text, "utf-8")
    return path


def patrols(tracks, observations=None, **how):
    return read_patrols(tracks, observations, **({"timezone": ZONE, "transport": "foot"} | how))


def one_walk(folder, rows=(), points=STRAIGHT, **how):
    """One track of a patrol P1 with a fix every ten minutes, and its observations."""
    track = gpx(folder / "walk.gpx", ("P1", [(points, times(len(points)))]))
    return patrols(track, smart(folder / "seen.csv", *rows), mapping=BY_NAME, **how)


def found(patrol, place, when="2024-05-01 09:00", *, how="Foot", what="Scat", who=CAT):
    return (patrol, how, when, place, what, who)
