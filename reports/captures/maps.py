"""Files for GIS programs: the density surface, the captures and the habitat mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ..analysis import Analysis
from ..files import write_geopackage, write_geotiff

LAYERS = ("estimate", "se", "lower", "upper")


def density_surface(analysis: Analysis) -> xr.Dataset:
    """Density with its error over the habitat mask; averaged over coarse squares in a public report."""
    surface = analysis.fit.predict("D")
    report = analysis.study.config.report
    return coarsen(surface, report.public_grid) if report.public else surface


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


def write_maps(analysis: Analysis, folder: Path) -> None:
    """density.tif always; captures.gpkg and mask.gpkg unless the report is public. Without a CRS there is no map."""
    crs = analysis.study.mask.crs
    if crs is None:
        return
    surface = density_surface(analysis)
    stack = xr.concat([surface[name] for name in LAYERS], dim=pd.Index(LAYERS, name="band"), combine_attrs="drop")
    stack = stack.assign_coords(band=np.arange(1, len(LAYERS) + 1)).drop_vars("spatial_ref", errors="ignore")
    stack.attrs["long_name"] = LAYERS
    write_geotiff(stack, folder / "density.tif", crs)
    if not analysis.study.config.report.public:
        _write_captures(analysis.study.captures, folder / "captures.gpkg")
        _write_mask(analysis, folder / "mask.gpkg")


def _write_captures(captures, path: Path) -> None:
    """Layers `stations` (effort, detections) and `captures` (a point per animal, occasion and station)."""
    import geopandas as gpd

    detectors = captures.detectors
    count = captures.detections.groupby("detector")["count"].sum().reindex(detectors.id, fill_value=0)
    stations = {"station": detectors.id, "effort": np.nansum(detectors.effort, axis=0), "detections": count.to_numpy()}
    points = gpd.points_from_xy(detectors.x, detectors.y)
    write_geopackage(gpd.GeoDataFrame(stations, geometry=points, crs=detectors.crs), path, "stations")
    seen = captures.detections[["animal", "occasion", "detector", "count"]].astype({"animal": str, "detector": str})
    where = points[captures.detector_index]
    write_geopackage(gpd.GeoDataFrame(seen, geometry=where, crs=detectors.crs), path, "captures")


def _write_mask(analysis: Analysis, path: Path) -> None:
    """The habitat cells as squares with their covariates and density."""
    import geopandas as gpd
    import shapely

    mask = analysis.study.mask
    x, y = mask.centres()
    half = mask.spacing / 2.0
    values = {name: mask.covariate(str(name)) for name in mask.covariates.data_vars}
    values["density"] = analysis.fit.predict("D")["estimate"].to_numpy()[mask.habitat]
    cells = shapely.box(x - half, y - half, x + half, y + half)
    write_geopackage(gpd.GeoDataFrame(values, geometry=cells, crs=mask.crs), path, "mask")
