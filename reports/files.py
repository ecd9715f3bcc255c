"""Files that come out the same, byte for byte, whenever the same things are written; and whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import xarray as xr

EPOCH = "2000-01-01T00:00:00.000Z"  # stands where a format insists on a time of writing


def digest(path: str | Path) -> str:
    """sha256 of a file."""
    return sha256(Path(path).read_bytes()).hexdigest()


def write_geotiff(layer: xr.DataArray, path: str | Path, crs=None) -> None:
    """A raster (dims y, x) or a stack (dims band, y, x), compressed, from north to south; `crs` when it has none."""
    import rioxarray  # noqa: F401  (gives arrays their .rio)

    crs = layer.rio.crs if crs is None else crs
    raster = layer.sortby("y", ascending=False).astype("float32")
    raster = raster if crs is None else raster.rio.write_crs(crs)
    raster.rio.to_raster(path, compress="deflate", predictor=3)


def write_geopackage(frame, path: str | Path, layer: str) -> None:
    """A GeoDataFrame as one layer of a GeoPackage; a file that exists gets one more layer."""
    import pyogrio

    settings = {"OGR_CURRENT_DATE": EPOCH, "OGR_GPKG_ALLOW_THREADED_RTREE": "NO"}  # threads write in any order
    before = {name: pyogrio.get_gdal_config_option(name) for name in settings}
    pyogrio.set_gdal_config_options(settings)
    try:
        pyogrio.write_dataframe(frame, path, layer=layer, driver="GPKG")
    finally:
        pyogrio.set_gdal_config_options(before)


@contextmanager
def whole_folder(target: str | Path, names: tuple[str, ...]) -> Iterator[Path]:
    """A temporary folder whose content replaces `names` in `target` when everything went well; else nothing changes.

    Other files in `target` stay. Files of `names` that were not written this time go: a public report must not lie
    beside the maps of the one before.
    """
    target = Path(target).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield made
        target.mkdir(exist_ok=True)
        for name in names:
            _remove(target / name)
        for child in sorted(made.iterdir()):
            _remove(target / child.name)
            os.replace(child, target / child.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
