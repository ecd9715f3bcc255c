"""Vector files: polygons of study areas, in metres of a stated CRS."""

from __future__ import annotations

from pathlib import Path

import shapely

from .crs import projected
from .errors import refuse


def read_region(region, crs=None):
    """One (multi)polygon in metres and its CRS.

    Parameters
    ----------
    region : path of a vector file, GeoDataFrame/GeoSeries, or shapely geometry already in metres of `crs`
    crs : projected CRS to bring it to; without it a file must itself be in metres

    Returns
    -------
    geometry : shapely Polygon or MultiPolygon
    crs : pyproj CRS, or None for a bare geometry without one
    """
    target = None if crs is None else projected(crs)
    if isinstance(region, shapely.Geometry):
        return _polygon(region, "the geometry"), target
    import geopandas as gpd

    name = Path(region).name if isinstance(region, (str, Path)) else "the geometry"
    frame = _read(region) if isinstance(region, (str, Path)) else region
    series = frame.geometry if isinstance(frame, gpd.GeoDataFrame) else frame
    if series.crs is None:
        if target is None:
            raise refuse(f"{name} states no CRS", "Save it with its CRS (.prj), or give crs=", file=name)
    elif target is not None:
        series = series.to_crs(target)
    else:
        target = projected(series.crs, f"the CRS of {name}")
    return _polygon(series.union_all(), name), target


def _read(path) -> object:
    import geopandas as gpd

    if not Path(path).exists():
        raise refuse("there is no such file", "Check the path; it is relative to where you are or to survey.toml", file=path)
    try:
        return gpd.read_file(path)
    except Exception as error:
        raise refuse(
            "the file cannot be read as a vector layer", "Use GeoPackage, shapefile, GeoJSON or KML", file=path
        ) from error


def _polygon(geometry, name: str):
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    parts = [g for g in getattr(geometry, "geoms", [geometry]) if g.geom_type in ("Polygon", "MultiPolygon")]
    if not parts or shapely.union_all(parts).area == 0:
        raise refuse(f"{name} holds no polygon with an area", "Give the outline as a polygon", value=geometry.geom_type)
    return shapely.union_all(parts)


