"""How long a habitat mask of ten million cells takes, made in each of the ways, and what else is done with it.

    python benchmarks/habitat_masks.py

A county of 80 × 80 km with cells of 25 m; the outline has 5,000 corners and a hole. Prints seconds and cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import rioxarray  # noqa: F401  (gives arrays their .rio)
import shapely
import xarray as xr

from uncia import survey

UTM = "EPSG:32649"
SPACING = 25.0


def cameras(n: int, seed: int) -> survey.Detectors:
    """n cameras in the middle 50 × 50 km."""
    x, y = np.random.default_rng(seed).uniform(0, 50_000, (2, n)) + np.array([[515_000.0], [4_115_000.0]])
    return survey.Detectors(range(n), x, y, np.ones((1, n)), crs=UTM)


def county(corners: int, seed: int) -> shapely.Geometry:
    """A ragged outline of about 40 km radius with a lake."""
    rng = np.random.default_rng(seed)
    angle, radius = np.sort(rng.uniform(0, 2 * np.pi, corners)), rng.uniform(36_000, 44_000, corners)
    ring = np.column_stack([540_000 + radius * np.cos(angle), 4_140_000 + radius * np.sin(angle)])
    return shapely.Polygon(ring).difference(shapely.Point(540_000, 4_140_000).buffer(3_000))


def elevation() -> xr.DataArray:
    """A raster in degrees at about 90 m over the county."""
    x, y = np.arange(110.8, 112.2, 0.00083), np.arange(38.0, 36.8, -0.00083)
    return xr.DataArray(
        np.add.outer(np.sin(40 * y), np.cos(30 * x)), dims=("y", "x"), coords={"y": y, "x": x}
    ).rio.write_crs("EPSG:4326")


def timed(words: str, work: Callable[[], object]) -> object:
    """Run, print seconds, pass the result on."""
    start = time.perf_counter()
    result = work()
    print(f"{time.perf_counter() - start:6.2f} s  {words}")
    return result


def main() -> None:
    """Make the masks and use them."""
    few, many, outline, raster = cameras(300, 1), cameras(10_000, 2), county(5_000, 3), elevation()
    mask = timed("around 300 cameras, buffer 15 km", lambda: survey.HabitatMask.around(few, 15_000, SPACING))
    print(f"          {mask}")
    timed("around 10,000 cameras, buffer 15 km", lambda: survey.HabitatMask.around(many, 15_000, SPACING))
    inside = timed("from an outline of 5,000 corners", lambda: survey.HabitatMask.from_polygon(outline, SPACING, UTM))
    print(f"          {inside}")
    timed("clipped by that outline", lambda: mask.clip(outline))
    x, y = timed("its centres", inside.centres)
    timed("the same from its points", lambda: survey.HabitatMask.from_points(x, y, SPACING, UTM))
    timed("cells of 10,000 positions", lambda: mask.cell_of(many.x, many.y))
    timed("a covariate from a raster in degrees", lambda: inside.with_covariate("elevation", raster))


if __name__ == "__main__":
    main()
