"""Rasters onto a habitat mask or at sites: read, reproject, resample; by rioxarray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .errors import refuse

if TYPE_CHECKING:
    from .habitat import HabitatMask

OTHER_NAMES = {"lon": "x", "longitude": "x", "easting": "x", "lat": "y", "latitude": "y", "northing": "y"}


def onto_mask(raster, mask: HabitatMask, method: str = "bilinear") -> np.ndarray:
    """Values of `raster` at the cell centres of `mask`, float [ny, nx], NaN where it has none.

    Parameters
    ----------
    raster : path of a GeoTIFF, DataArray with a CRS (rioxarray), or array [ny, nx] already on the mask's raster
    mask : HabitatMask
    method : name of a rasterio resampling

    Raises
    ------
    SurveyError : no such file, not a raster, several bands or variables, no CRS of raster or mask
    """
    if isinstance(raster, np.ndarray):
        if raster.shape != mask.habitat.shape:
            raise refuse("the array is not on the mask's raster", f"Give {mask.habitat.shape}", value=raster.shape)
        return raster.astype(float)
    from rasterio.enums import Resampling
    from rasterio.transform import Affine

    if method not in Resampling.__members__:
        raise refuse("this resampling is not known", "Use e.g. 'bilinear', 'nearest' or 'average'", value=method)
    if mask.crs is None:
        raise refuse("the habitat mask has no CRS, so a raster cannot be placed on it", "Give the detectors a CRS")
    path = Path(raster) if isinstance(raster, (str, Path)) else None
    layer = _one_band(raster if path is None else _read(path), path)
    half = mask.spacing / 2.0
    placed = layer.astype(float).rio.reproject(
        mask.crs.to_wkt(),
        transform=Affine(mask.spacing, 0.0, mask.x0 - half, 0.0, -mask.spacing, mask.y[-1] + half),
        shape=mask.habitat.shape,
        resampling=Resampling[method],
        nodata=np.nan,
    )
    return placed.to_numpy()[::-1].astype(float)  # rasters run from north to south, masks to the north


def at_places(raster, places, crs) -> np.ndarray:
    """Values of `raster` at points, or their means over polygons, float [N]; NaN where it has none.

    The mean of a polygon is that of the raster's cells whose centres lie in it, as far as their values are known; a
    polygon that holds no centre takes the value at its own.

    Parameters
    ----------
    raster : path of a GeoTIFF or DataArray with a CRS (rioxarray)
    places : N shapely points or polygons in `crs`

    Raises
    ------
    SurveyError : no such file, not a raster, several bands or variables, no CRS
    """
    import geopandas as gpd
    import shapely

    path = Path(raster) if isinstance(raster, (str, Path)) else None
    layer = _one_band(raster if path is None else _read(path), path).sortby(["x", "y"])
    shapes = gpd.GeoSeries(list(places), crs=crs)
    long = float(np.abs(np.diff(shapes.bounds[["minx", "maxx"]])).max())
    if long > 0:
        shapes = shapes.segmentize(long / 16.0)  # straight edges are curves in another CRS
    shapes = shapes.to_crs(layer.rio.crs)
    x, y = layer["x"].to_numpy(), layer["y"].to_numpy()
    west, south, east, north = shapes.total_bounds
    # two cells more than needed, so that the nearest centre to every point is there
    columns = slice(max(np.searchsorted(x, west) - 2, 0), np.searchsorted(x, east) + 2)
    rows = slice(max(np.searchsorted(y, south) - 2, 0), np.searchsorted(y, north) + 2)
    x, y, values = x[columns], y[rows], layer.transpose("y", "x")[rows, columns].to_numpy().astype(float)
    outlines: Any = shapes.to_numpy()
    middle = shapely.centroid(outlines)
    out = _nearest(x, y, values, shapely.get_x(middle), shapely.get_y(middle))
    for i, shape in enumerate(outlines if long > 0 else ()):
        west, south, east, north = shapely.bounds(shape)
        a, b = np.searchsorted(x, [west, east])
        c, d = np.searchsorted(y, [south, north])
        inside = shapely.contains_xy(shape, *np.meshgrid(x[a:b], y[c:d]))
        if inside.any():
            of_shape = values[c:d, a:b][inside]
            out[i] = of_shape[np.isfinite(of_shape)].mean() if np.isfinite(of_shape).any() else np.nan
    return out


def _nearest(x: np.ndarray, y: np.ndarray, values: np.ndarray, at_x: np.ndarray, at_y: np.ndarray) -> np.ndarray:
    """The value of the raster cell that holds each point; NaN outside."""
    if len(x) < 2 or len(y) < 2:
        return np.full(len(at_x), np.nan)
    half = (x[1] - x[0]) / 2.0, (y[1] - y[0]) / 2.0
    column = np.clip(np.rint((at_x - x[0]) / (2.0 * half[0])).astype(int), 0, len(x) - 1)
    row = np.clip(np.rint((at_y - y[0]) / (2.0 * half[1])).astype(int), 0, len(y) - 1)
    inside = (np.abs(at_x - x[column]) <= 1.000001 * half[0]) & (np.abs(at_y - y[row]) <= 1.000001 * half[1])
    return np.where(inside, values[row, column], np.nan)


def _read(path: Path) -> xr.DataArray | xr.Dataset | list[xr.Dataset]:
    import rioxarray

    if not path.exists():
        raise refuse("there is no such raster", "Check the path", file=path)
    try:
        return rioxarray.open_rasterio(path, masked=True)
    except Exception as error:
        raise refuse("the file cannot be read as a raster", "Use a GeoTIFF", file=path) from error


def _one_band(layer, path: Path | None) -> xr.DataArray:
    """The raster as DataArray on (y, x) with its CRS, missing values as NaN."""
    import rioxarray  # noqa: F401  (gives arrays their .rio)

    if not isinstance(layer, xr.DataArray):
        raise refuse("the raster has several variables", "Give a file with one band or one DataArray", file=path)
    layer = layer.squeeze(drop=True)
    layer = layer.rename({name: axis for name, axis in OTHER_NAMES.items() if name in layer.dims})
    if sorted(layer.dims) != ["x", "y"]:
        raise refuse("the raster is not one band on x and y", "Select one band", file=path, value=dict(layer.sizes))
    if layer.rio.crs is None:
        raise refuse("the raster states no CRS", "Save it with its CRS (rioxarray's rio.write_crs)", file=path)
    missing = layer.rio.nodata
    return layer if missing is None or np.isnan(missing) else layer.where(layer != missing)
