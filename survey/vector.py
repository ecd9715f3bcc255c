"""Vector files: polygons of study areas, in metres of a stated CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from .crs import projected, suggest_utm
from .errors import refuse


def read_region(region, crs=None) -> tuple[BaseGeometry, CRS | None]:
    """One (multi)polygon in metres and its CRS.

    Parameters
    ----------
    region : path of a vector file, GeoDataFrame/GeoSeries, or shapely geometry already in metres of `crs`
    crs : projected CRS to bring it to; without it a file must itself be in metres

    Returns
    -------
    geometry : shapely Polygon or MultiPolygon; several polygons become one, crossing outlines are repaired
    crs : pyproj CRS, or None for a bare geometry without one

    Raises
    ------
    SurveyError : no such file, not a vector file, several layers, no CRS, degrees without a projected `crs`, no area
    """
    target = None if crs is None else projected(crs)
    if isinstance(region, shapely.Geometry):
        return _polygon(region, "the geometry", None), target
    path = Path(region) if isinstance(region, (str, Path)) else None
    layer: Any = region if path is None else read_layer(path)  # anything with a geometry column
    series = layer.geometry
    return _polygon(_in_metres(series, target, path), "the layer", path), target or CRS(series.crs)


def read_shapes(shapes, crs=None) -> BaseGeometry:
    """Lines, polygons or points as one geometry in metres: what cannot be crossed, where people live.

    Parameters are those of `read_region`.

    Raises
    ------
    SurveyError : no such file, not a vector file, several layers, no CRS, nothing in it
    """
    target = None if crs is None else projected(crs)
    path = Path(shapes) if isinstance(shapes, (str, Path)) else None
    if isinstance(shapes, shapely.Geometry):
        whole: Any = shapes
    else:
        layer: Any = shapes if path is None else read_layer(path)
        whole = _in_metres(layer.geometry, target, path)
    if whole.is_empty:
        raise refuse("there is nothing in the layer", "Draw the lines or polygons", file=path)
    return whole


def _in_metres(series, target: CRS | None, path: Path | None) -> shapely.Geometry:
    """The union of all shapes, in `target` or else in the layer's own CRS, which must then be in metres."""
    if series.crs is None:
        # without a CRS the numbers of a file can be metres of any zone, so a target alone does not place them
        fix = "Save it with its CRS (a shapefile needs its .prj beside it), or set it with geopandas set_crs"
        raise refuse("the layer states no CRS", fix, file=path)
    if target is not None:
        return series.to_crs(target).union_all()
    if series.crs.is_geographic:
        west, south, east, north = series.total_bounds
        fix = f"Say into which CRS to project it, e.g. crs={suggest_utm([west, east], [south, north])!r}"
        raise refuse("the layer is in degrees, and distances need metres", fix, file=path)
    projected(series.crs, "the CRS of the layer")
    return series.union_all()


def read_layer(path: Path) -> Any:
    """GeoDataFrame of the one layer of a file.

    Raises
    ------
    SurveyError : no such file, not a vector file, several layers
    """
    import geopandas as gpd
    import pyogrio

    if not path.exists():
        fix = "Check the path; it is relative to where you are or to survey.toml"
        raise refuse("there is no such file", fix, file=path)
    try:
        layers = [name for name, _ in pyogrio.list_layers(path)]
        frame = gpd.read_file(path, layer=layers[0]) if layers else None
    except Exception as error:
        fix = "Use GeoPackage, shapefile, GeoJSON or KML"
        raise refuse("the file cannot be read as a vector layer", fix, file=path) from error
    if len(layers) != 1:
        fix = "Save the outline in a file of its own (in Python, give geopandas.read_file(path, layer=…))"
        raise refuse("the file does not have one layer", fix, file=path, value=layers)
    return frame


def _polygon(geometry, name: str, path: Path | None):
    """The parts of a geometry that have an area, valid."""
    kind = "nothing" if geometry is None or geometry.is_empty else geometry.geom_type
    whole = shapely.make_valid(geometry) if kind != "nothing" else shapely.Polygon()
    parts = [part for part in getattr(whole, "geoms", [whole]) if part.geom_type in ("Polygon", "MultiPolygon")]
    area = shapely.union_all(parts)
    if area.area == 0:
        raise refuse(f"{name} holds no polygon with an area", "Give the outline as a polygon", file=path, value=kind)
    return area
