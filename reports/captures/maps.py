"""Files for GIS programs: the density surface, the captures and the habitat mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..analysis import Analysis
from ..files import write_geopackage, write_geotiff
from ..rasters import coarsen, stacked


def density_surface(analysis: Analysis) -> xr.Dataset:
    """Density with its error over the habitat mask; averaged over coarse squares in a public report."""
    study = analysis.study
    surface = study.told(analysis.fit).predict("D", session=study.session)
    report = study.config.report
    return coarsen(surface, report.public_grid) if report.public else surface


def write_maps(analysis: Analysis, folder: Path) -> None:
    """density.tif always; captures.gpkg and mask.gpkg unless the report is public. Without a CRS there is no map."""
    crs = analysis.study.mask.crs
    if crs is None:
        return
    surface = density_surface(analysis)
    write_geotiff(stacked(surface), folder / "density.tif", crs)
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
    where = gpd.points_from_xy(*captures.places)
    write_geopackage(gpd.GeoDataFrame(seen, geometry=where, crs=detectors.crs), path, "captures")


def _write_mask(analysis: Analysis, path: Path) -> None:
    """The habitat cells as squares with their covariates and density."""
    import geopandas as gpd
    import shapely

    mask = analysis.study.mask
    x, y = mask.centres()
    half = mask.spacing / 2.0
    values = {name: mask.covariate(str(name)) for name in mask.covariates.data_vars}
    study: Any = analysis.study
    surface = study.told(analysis.fit).predict("D", session=study.session)
    values["density"] = surface["estimate"].to_numpy()[mask.habitat]
    cells = shapely.box(x - half, y - half, x + half, y + half)
    write_geopackage(gpd.GeoDataFrame(values, geometry=cells, crs=mask.crs), path, "mask")
