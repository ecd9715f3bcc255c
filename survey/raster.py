"""Rasters onto a habitat mask: read, reproject, resample; by rioxarray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from .errors import refuse


def onto_mask(raster, mask, method: str = "bilinear") -> np.ndarray:
    """Values of `raster` at the cell centres of `mask`, float [ny, nx], NaN where it has none.

    Parameters
    ----------
    raster : path of a GeoTIFF, DataArray with a CRS (rioxarray), or array [ny, nx] already on the mask's raster
    mask : HabitatMask
    method : name of a rasterio resampling
    """
    if isinstance(raster, np.ndarray):
        if raster.shape != mask.habitat.shape:
            raise refuse("the array is not on the mask's raster", f"Give {mask.habitat.shape}", value=raster.shape)
        return raster.astype(float)
    import rioxarray
    from rasterio.enums import Resampling
    from rasterio.transform import from_origin

    if method not in Resampling.__members__:
        raise refuse("this resampling is not known", "Use e.g. 'bilinear', 'nearest' or 'average'", value=method)
    if isinstance(raster, (str, Path)):
        if not Path(raster).exists():
            raise refuse("there is no such raster", "Check the path", file=raster)
        try:
            layer = rioxarray.open_rasterio(raster, masked=True)
        except Exception as error:
            raise refuse("the file cannot be read as a raster", "Use a GeoTIFF", file=raster) from error
    else:
        layer = raster
    if not isinstance(layer, xr.DataArray):
        raise refuse("the raster has several variables", "Give a file with one band or one DataArray")
    layer = layer.squeeze(drop=True)
    if layer.ndim != 2:
        raise refuse("the raster has several bands", "Select one band", value=layer.shape)
    if layer.rio.crs is None:
        raise refuse("the raster states no CRS", "Save it with its CRS", file=raster if isinstance(raster, (str, Path)) else None)
    if mask.crs is None:
        raise refuse("the habitat mask has no CRS, so a raster cannot be placed on it", "Give the detectors a CRS")
    ny, nx = mask.habitat.shape
    half = mask.spacing / 2.0
    transform = from_origin(mask.x0 - half, mask.y[-1] + half, mask.spacing, mask.spacing)
    placed = layer.astype(float).rio.reproject(
        mask.crs.to_string(), transform=transform, shape=(ny, nx), resampling=Resampling[method], nodata=np.nan
    )
    return placed.to_numpy()[::-1].astype(float)  # rasters run from north to south, masks to the north
