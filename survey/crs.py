"""Coordinate reference systems: always known, always projected where a distance is needed."""

from __future__ import annotations

import numpy as np
from pyproj import CRS, Transformer

from .errors import refuse


def suggest_utm(longitude, latitude) -> str:
    """The EPSG code of the UTM zone at the centre of the given positions (degrees, WGS84).

    >>> suggest_utm([112.4, 112.6], [37.1, 37.3])
    'EPSG:32649'
    """
    lon, lat = float(np.nanmean(longitude)), float(np.nanmean(latitude))
    zone = min(60, int((lon + 180.0) // 6.0) + 1)
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def looks_like_degrees(x, y) -> bool:
    """True when coordinates that are said to be metres are longitudes and latitudes.

    They fit the globe, span less than ten degrees and have fractions: a grid of traps in local metres has whole
    numbers or is larger.

    >>> looks_like_degrees([112.41, 112.63], [37.12, 37.31]), looks_like_degrees([0.0, 3.0], [0.0, 3.0])
    (True, False)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not x.size or np.abs(x).max() > 360.0 or np.abs(y).max() > 90.0:
        return False
    whole = np.all(x == np.rint(x)) and np.all(y == np.rint(y))
    return bool(np.ptp(x) < 10.0 and np.ptp(y) < 10.0 and not whole)


def projected(crs, what: str = "the coordinate reference system", utm: str | None = None) -> CRS:
    """`crs` as a pyproj CRS in metres; degrees, feet and unknown systems are refused with what to do.

    `utm` is the UTM zone to name to the user, where it is known.
    """
    try:
        system = CRS.from_user_input(crs)
    except Exception as error:
        raise refuse(f"{what} is not understood", "Give an EPSG code such as 'EPSG:32649'", value=crs) from error
    if system.is_geographic:
        raise refuse(
            f"{what} is in degrees, and distances need metres",
            f"Give a projected system, e.g. the UTM zone of the survey, {utm!r}"
            if utm
            else "Give a projected system, e.g. the UTM zone of the survey ('EPSG:32649' for 108-114°E, north)",
            value=system.to_string(),
        )
    if system.is_geocentric or system.is_vertical or not system.axis_info:
        fix = "Give a projected system in metres, e.g. a UTM zone"
        raise refuse(f"{what} has no eastings and northings", fix, value=system.name)
    if abs(system.axis_info[0].unit_conversion_factor - 1.0) > 1e-9:
        raise refuse(
            f"{what} is not in metres", "Give a projected system in metres, e.g. a UTM zone", value=system.name
        )
    return system


def to_metres(longitude, latitude, crs) -> tuple[np.ndarray, np.ndarray]:
    """Project WGS84 degrees to x, y in metres of `crs`."""
    transform = Transformer.from_crs("EPSG:4326", projected(crs), always_xy=True)
    x, y = transform.transform(np.asarray(longitude, float), np.asarray(latitude, float))
    return np.asarray(x), np.asarray(y)


def to_degrees(x, y, crs) -> tuple[np.ndarray, np.ndarray]:
    """Project metres of `crs` to WGS84 longitude, latitude."""
    transform = Transformer.from_crs(projected(crs), "EPSG:4326", always_xy=True)
    lon, lat = transform.transform(np.asarray(x, float), np.asarray(y, float))
    return np.asarray(lon), np.asarray(lat)
