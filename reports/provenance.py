"""Which software made the numbers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

# Whatever a number can depend on; geography because rasters are resampled and coordinates projected by it.
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "numba",
    "formulaic",
    "pyproj",
    "shapely",
    "geopandas",
    "rasterio",
    "rioxarray",
    "matplotlib",
)


def uncia_version() -> str:
    """The version of uncia that is installed."""
    try:
        return version("uncia")
    except PackageNotFoundError:
        return "not installed"


def environment() -> dict[str, str]:
    """Python, the kind of machine, and the versions of what the numbers depend on."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    return found | {name: version(name) for name in PACKAGES}
