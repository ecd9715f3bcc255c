"""Predicted surfaces as rasters: coarse ones for the public, and the layers of one as bands."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

LAYERS = ("estimate", "se", "lower", "upper")


def coarsen(surface: xr.Dataset, grid: float) -> xr.Dataset:
    """Means over squares of about `grid` metres whose edges are multiples of the grid, so that they tell nothing of
    where the mask begins."""
    labels = {axis: (np.floor(surface[axis].to_numpy() / grid) + 0.5) * grid for axis in ("x", "y")}
    frame = surface[list(LAYERS)].to_dataframe()[list(LAYERS)].reset_index()
    frame = frame.assign(x=np.tile(labels["x"], len(labels["y"])), y=np.repeat(labels["y"], len(labels["x"])))
    means = frame.groupby(["y", "x"])[list(LAYERS)].mean()
    coarse = means.to_xarray().assign_attrs(surface.attrs)
    crs = surface["estimate"].rio.crs if hasattr(surface["estimate"], "rio") else None
    return coarse if crs is None else coarse.rio.write_crs(crs)


def stacked(surface: xr.Dataset) -> xr.DataArray:
    """The layers of a surface as the bands of one raster."""
    stack = xr.concat([surface[name] for name in LAYERS], dim=pd.Index(LAYERS, name="band"), combine_attrs="drop")
    stack = stack.assign_coords(band=np.arange(1, len(LAYERS) + 1)).drop_vars("spatial_ref", errors="ignore")
    stack.attrs["long_name"] = LAYERS
    return stack
