"""Places: one position in metres for every location, from the deployments that stood there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pyproj import CRS

from .crs import projected, suggest_utm, to_degrees, to_metres
from .errors import Problems, refuse

SAME_PLACE = 500.0  # metres: deployments of one location are never further apart
FAR = 50_000.0  # metres: a station further from the middle than this, and than ten times the median, is told
TOO_FAR = 1_000_000.0  # metres: no survey is this wide


def locate(deployments: pd.DataFrame, crs) -> tuple[pd.DataFrame, CRS, list[str]]:
    """The deployments with x, y in metres of `crs` and longitude, latitude; the CRS; and what should be known.

    Raises
    ------
    SurveyError : no CRS, or one in degrees (with the UTM zone to use); positions outside the CRS's area, or far
        from all others (swapped or mistyped coordinates)
    """
    known = deployments["longitude"].notna().any()
    utm = suggest_utm(deployments["longitude"], deployments["latitude"]) if known else None
    if crs is None:
        fix = f"Give a projected one in metres, e.g. crs={utm or 'EPSG:32649'!r}"
        raise refuse("the coordinate reference system is not given", fix)
    system = projected(crs, utm=utm)
    frame = deployments.copy()
    metres = frame["x"].notna()
    if (~metres).any():
        x, y = to_metres(frame.loc[~metres, "longitude"], frame.loc[~metres, "latitude"], system)
        frame.loc[~metres, "x"], frame.loc[~metres, "y"] = x, y
    if metres.any():
        lon, lat = to_degrees(frame.loc[metres, "x"], frame.loc[metres, "y"], system)
        frame.loc[metres, "longitude"], frame.loc[metres, "latitude"] = lon, lat
    _check_area(frame, system)
    return frame, system, _check_distances(frame)


def _check_area(frame: pd.DataFrame, system: CRS) -> None:
    """Positions are where the CRS is made for, with six degrees to spare."""
    bad, area = Problems(), system.area_of_use
    west, south, east, north = area.bounds if area else (-180, -90, 180, 90)
    made_for = f"{system.to_string()} is made for ({area.name.split('. ')[0] if area else 'the world'})"
    lon, lat = frame["longitude"].to_numpy(), frame["latitude"].to_numpy()
    fits = lambda lon, lat: (lon >= west - 6) & (lon <= east + 6) & (lat >= south - 6) & (lat <= north + 6)  # noqa: E731
    out = ~fits(lon, lat) if west <= east else np.zeros(len(frame), bool)
    if len(out) and out.all() and not fits(lat, lon).all():
        raise refuse(
            f"no deployment lies where {made_for}",
            f"Give the CRS of the survey, e.g. crs={suggest_utm(lon, lat)!r}, or correct the coordinates",
            file=frame["file"].iloc[0],
            row=int(frame["row"].iloc[0]),
            value=_position(lon[0], lat[0]),
        )
    for i in np.flatnonzero(out):
        swapped = bool(fits(lat[i], lon[i]))
        bad.add(
            "latitude and longitude look swapped" if swapped else f"the position is not where {made_for}",
            "Exchange the two" if swapped else "Correct the coordinates",
            file=frame["file"].iloc[i],
            row=int(frame["row"].iloc[i]),
            value=_position(lon[i], lat[i]),
        )
    bad.raise_any()


def _check_distances(frame: pd.DataFrame) -> list[str]:
    """Deployments of one location are close together, and no place is unbelievably far from the others."""
    bad, notes = Problems(), []
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    away = np.hypot(x - np.median(x), y - np.median(y))
    for i in np.flatnonzero(away > TOO_FAR):
        bad.add(
            f"location {frame['location'].iloc[i]!r} is {away[i] / 1000:,.0f} km away from the others",
            "Correct the coordinates",
            file=frame["file"].iloc[i],
            row=int(frame["row"].iloc[i]),
            value=_position(frame["longitude"].iloc[i], frame["latitude"].iloc[i]),
        )
    middle = frame.groupby("location")[["x", "y"]].transform("first")
    apart = np.hypot(x - middle["x"], y - middle["y"]).to_numpy()
    for i in np.flatnonzero(apart > SAME_PLACE):
        bad.add(
            f"the deployments of location {frame['location'].iloc[i]!r} are {apart[i]:,.0f} m apart",
            "Correct the coordinates, or give the places different names",
            file=frame["file"].iloc[i],
            row=int(frame["row"].iloc[i]),
            value=_position(frame["longitude"].iloc[i], frame["latitude"].iloc[i]),
        )
    bad.raise_any()
    far = (away > FAR) & (away > 10 * np.median(away))
    for location in frame["location"][far].unique():
        notes.append(
            f"location {location!r} is {away[frame['location'] == location].max() / 1000:,.0f} km from the middle"
        )
    return notes


def _position(longitude: float, latitude: float) -> str:
    return f"longitude {longitude:.5g}, latitude {latitude:.5g}"


def detector_table(frame: pd.DataFrame, known_columns) -> pd.DataFrame:
    """One row per location, in order of appearance: mean position and the covariates on which its deployments agree.

    A covariate that differs within a location is left out: it describes the camera and not the place.
    """
    groups = frame.groupby("location", sort=False)
    table = groups[["x", "y", "longitude", "latitude"]].mean()
    for name in [c for c in frame.columns if c not in known_columns]:
        if (groups[name].nunique(dropna=False) == 1).all():
            table[name] = groups[name].first()
    return table.reset_index()
