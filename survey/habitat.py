"""The habitat mask: a regular raster of places where an activity centre can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import xarray as xr
from pyproj import CRS

from .captures import CaptureHistory
from .crs import projected
from .detectors import Detectors
from .display import facts_html, some
from .errors import refuse
from .frozen import fixed, same, settle
from .units import cell_area_km2

MOST_CELLS = 50_000_000  # a raster of this size is a spacing in the wrong unit


@dataclass(frozen=True, eq=False)
class HabitatMask:
    """Square cells on a regular raster; `habitat[row, column]` says where activity centres can be.

    Parameters
    ----------
    x0, y0 : centre of column 0 and row 0, metres; rows go north
    spacing : side of a cell, metres
    habitat : bool [ny, nx]
    crs : projected CRS, or None for local metres
    covariates : Dataset on dims (y, x) of the same raster
    buffer : the buffer that made the mask, metres, if one did

    Raises
    ------
    SurveyError : a spacing that is not above zero, no habitat cell at all, a CRS in degrees, covariates on another
        raster
    """

    x0: float
    y0: float
    spacing: float
    habitat: np.ndarray
    crs: CRS | Any = None  # whatever pyproj understands goes in; a CRS or None is kept
    covariates: xr.Dataset = field(default_factory=xr.Dataset)
    buffer: float | None = None

    def __post_init__(self):
        settle(
            self,
            x0=float(self.x0),
            y0=float(self.y0),
            spacing=_positive(self.spacing, "the spacing of the habitat mask"),
            habitat=fixed(self.habitat, bool),
            crs=None if self.crs is None else projected(self.crs, "the CRS of the habitat mask"),
        )
        if not self.habitat.any():
            raise refuse("the habitat mask has no cells", "Use a larger buffer, a finer spacing or another polygon")
        for name, layer in self.covariates.data_vars.items():
            if layer.shape != self.habitat.shape:
                what = f"the covariate {name!r} is not on the raster of the habitat mask"
                raise refuse(what, f"Give {self.habitat.shape}", value=layer.shape)

    # ---- ways to make one -------------------------------------------------------------------------------------

    @classmethod
    def around(
        cls,
        detectors: Detectors | CaptureHistory,
        buffer: float | str = "auto",
        spacing: float | None = None,
    ) -> HabitatMask:
        """Cells within `buffer` metres of a detector, or of a line or an area that was searched.

        Cell centres are at (minimum coordinate - buffer) + spacing/2 + i·spacing in x and y. `buffer="auto"` is five
        times the spread of the animals' detections when captures are given (`CaptureHistory.pooled_sd`), four times
        the detectors' spacing otherwise; a fit checks it and says if it was too small. `spacing` defaults to a
        sixty-fourth of the extent in x, as is usual in the field.
        """
        spread = detectors.pooled_sd() if isinstance(detectors, CaptureHistory) else float("nan")
        detectors = detectors.detectors if isinstance(detectors, CaptureHistory) else detectors
        if buffer == "auto":
            between = detectors.spacing if np.isfinite(detectors.spacing) else 1000.0
            buffer = 5.0 * spread if np.isfinite(spread) else 4.0 * between
        buffer = _positive(buffer, "the buffer")
        west, south, east, north = detectors.bounds
        if spacing is None:
            spacing = (east - west + 2.0 * buffer) / 64.0
        spacing = _positive(spacing, "the spacing")
        x0, y0 = west - buffer + spacing / 2.0, south - buffer + spacing / 2.0
        shape = _grid(x0, y0, east + buffer, north + buffer, spacing)
        if detectors.shapes:
            row, column = np.indices(shape)
            habitat = detectors.away((x0 + spacing * column).ravel(), (y0 + spacing * row).ravel()) <= buffer
            return cls(x0, y0, spacing, habitat.reshape(shape), detectors.crs, buffer=buffer)
        habitat = _within(detectors.x - x0, detectors.y - y0, buffer, spacing, shape)
        return cls(x0, y0, spacing, habitat, detectors.crs, buffer=buffer)

    @classmethod
    def from_points(cls, x, y, spacing: float, crs=None, covariates=None) -> HabitatMask:
        """The raster through given cell centres (metres), which must lie on one regular grid.

        `covariates` is a table, or name -> values, in the order of the points.

        Raises
        ------
        SurveyError : a point is missing or given twice, or is more than 1 % of the spacing away from the grid
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        spacing = _positive(spacing, "the spacing")
        if x.size == 0 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise refuse("the points of a habitat mask must be given and finite", "Remove empty rows", value=x.size)
        x0, y0 = x.min(), y.min()
        shape = _grid(x0, y0, x.max() + spacing / 2.0, y.max() + spacing / 2.0, spacing)
        column, row = np.rint((x - x0) / spacing).astype(int), np.rint((y - y0) / spacing).astype(int)
        off = np.maximum(np.abs(x0 + column * spacing - x), np.abs(y0 + row * spacing - y)).max()
        habitat = np.zeros(shape, bool)
        habitat[row, column] = True
        twice = x.size - np.count_nonzero(habitat)
        if off > 0.01 * spacing or twice:
            raise refuse(
                f"the points do not lie on a square grid of {spacing:g} m, one in each cell",
                "Give the spacing that the points have, and each point once",
                value=f"{off:.3g} m off the grid, {twice} in the cell of another",
            )
        made = cls(x0, y0, spacing, habitat, crs)
        for name, values in {} if covariates is None else dict(covariates).items():
            if np.shape(values) != x.shape or np.asarray(values).dtype.kind not in "biuf":
                what = f"the covariate {name!r} is not one number for each of {x.size} points"
                raise refuse(what, "Give each kind a number, and write C(name) in formulas")
            layer = np.full(shape, np.nan)
            layer[row, column] = np.asarray(values, float)
            made = made.with_covariate(str(name), layer)
        return made

    @classmethod
    def from_polygon(cls, polygon, spacing: float, crs=None) -> HabitatMask:
        """Cells whose centre lies inside a polygon.

        Parameters
        ----------
        polygon : path of a vector file (GeoPackage, shapefile, GeoJSON, KML), a GeoDataFrame or a shapely geometry
            in metres of `crs`
        spacing : metres
        crs : projected CRS of the mask; a file in another CRS is projected to it

        Raises
        ------
        SurveyError : no polygon in the file, several layers, no CRS, or degrees without a projected `crs`
        """
        from .vector import read_region

        spacing = _positive(spacing, "the spacing")
        geometry, system = read_region(polygon, crs)
        west, south, east, north = geometry.bounds
        x0, y0 = west + spacing / 2.0, south + spacing / 2.0
        everywhere = cls(x0, y0, spacing, np.ones(_grid(x0, y0, east, north, spacing), bool), system)
        return replace(everywhere, habitat=everywhere.contained_in(geometry))

    # ---- ways to change one -----------------------------------------------------------------------------------

    def clip(self, polygon, *, outside: bool = False) -> HabitatMask:
        """Keep the cells inside a polygon (or, with `outside=True`, drop them: lakes, glaciers, villages)."""
        from .vector import read_region

        geometry, _ = read_region(polygon, self.crs)
        inside = self.contained_in(geometry)
        if not outside and not (self.habitat & inside).any():
            x, y = (z.mean() for z in self.centres())
            away = geometry.distance(shapely.Point(x, y)) / 1000.0
            raise refuse(
                f"no cell of the habitat mask lies in the polygon, which is {away:,.4g} km from the mask's middle",
                "Check the polygon, its CRS and that of the survey; or use a larger buffer or a finer spacing",
                file=polygon if isinstance(polygon, (str, Path)) else None,
            )
        return replace(self, habitat=self.habitat & (~inside if outside else inside))

    def with_covariate(self, name: str, raster, *, method: str = "bilinear") -> HabitatMask:
        """The mask with one more covariate, sampled at the cell centres.

        Parameters
        ----------
        name : how formulas will call it
        raster : path of a GeoTIFF, an xarray DataArray with a CRS, or a NumPy array [ny, nx] on this very raster
        method : resampling by rioxarray ("bilinear", "nearest", "average", …)

        Raises
        ------
        SurveyError : habitat cells without a value, with their number and what to do
        """
        from .raster import onto_mask

        if not name.replace(".", "_").isidentifier():
            raise refuse(
                "a covariate needs a name that formulas can use", "Use letters, digits, _ and dots", value=name
            )
        values = onto_mask(raster, self, method)
        lost = self.habitat & ~np.isfinite(values)
        if lost.any():
            raise refuse(
                f"the raster for {name!r} has no value in {int(lost.sum()):,} of {self.size:,} habitat cells",
                "Extend the raster, or clip the mask to where it has values",
                file=raster if isinstance(raster, (str, Path)) else None,
            )
        layer = xr.DataArray(values, dims=("y", "x"), coords={"y": self.y, "x": self.x})
        return replace(self, covariates=self.covariates.assign({name: layer}))

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """M, the number of habitat cells."""
        return int(np.count_nonzero(self.habitat))

    def __len__(self) -> int:
        return self.size

    @property
    def cell_area(self) -> float:
        """km² of one cell."""
        return cell_area_km2(self.spacing)

    @property
    def area(self) -> float:
        """km² of habitat."""
        return self.size * self.cell_area

    @property
    def x(self) -> np.ndarray:
        """float [nx]: centres of the columns, metres."""
        return self.x0 + self.spacing * np.arange(self.habitat.shape[1])

    @property
    def y(self) -> np.ndarray:
        """float [ny]: centres of the rows, metres, going north."""
        return self.y0 + self.spacing * np.arange(self.habitat.shape[0])

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """x[M], y[M] of the habitat cells in row-major order."""
        row, column = np.nonzero(self.habitat)
        return self.x0 + self.spacing * column, self.y0 + self.spacing * row

    def contained_in(self, geometry) -> np.ndarray:
        """bool [ny, nx]: the cell's centre lies in a shapely polygon (in metres of this CRS)."""
        from rasterio.features import rasterize
        from rasterio.transform import Affine

        half = self.spacing / 2.0
        to_map = Affine(self.spacing, 0.0, self.x0 - half, 0.0, self.spacing, self.y0 - half)  # rows go north
        inside = rasterize([geometry], out_shape=self.habitat.shape, transform=to_map, dtype="uint8")
        return np.asarray(inside).astype(bool)

    def cell_of(self, x, y) -> np.ndarray:
        """int: index among the M habitat cells of the cell that holds each position, -1 outside habitat or unknown."""
        flat = self._flat(x, y)
        number = np.where(self.habitat, np.cumsum(self.habitat).reshape(self.habitat.shape) - 1, -1).ravel()
        return np.where(flat < 0, -1, number[flat])

    def is_habitat(self, x, y) -> np.ndarray:
        """bool: whether each position (metres) is in a habitat cell."""
        flat = self._flat(x, y)
        return (flat >= 0) & self.habitat.ravel()[flat]

    def _flat(self, x, y) -> np.ndarray:
        """int: position of the cell that holds each x, y in the flattened raster, -1 off it or where x or y is NaN."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        ny, nx = self.habitat.shape
        column, row = (x - self.x0) / self.spacing + 0.5, (y - self.y0) / self.spacing + 0.5
        on_raster = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        return np.where(on_raster, np.floor(row) * nx + np.floor(column), -1).astype(int)

    def to_xarray(self, values, name: str = "value") -> xr.DataArray:
        """Values over the M habitat cells as a raster (NaN outside habitat), with its CRS for GIS programs."""
        full = np.full(self.habitat.shape, np.nan)
        full[self.habitat] = values
        layer = xr.DataArray(full, dims=("y", "x"), coords={"y": self.y, "x": self.x}, name=name)
        if self.crs is not None:
            import rioxarray  # noqa: F401  (gives arrays their .rio)

            layer = layer.rio.write_crs(self.crs.to_string())
        return layer

    def covariate(self, name: str) -> np.ndarray:
        """float [M]: one covariate over the habitat cells."""
        return self.covariates[name].to_numpy()[self.habitat]

    def equals(self, other: object) -> bool:
        """The same cells with the same covariates."""
        return (
            isinstance(other, HabitatMask)
            and (self.x0, self.y0, self.spacing, self.crs) == (other.x0, other.y0, other.spacing, other.crs)
            and same(self.habitat, other.habitat)
            and self.covariates.equals(other.covariates)
        )

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.covariates.data_vars)) or "none"
        return (
            f"HabitatMask: {some(self.size, 'cell')} of {self.spacing:g} m, {self.area:,.4g} km², covariates: {names}"
        )

    def _repr_html_(self) -> str:
        ny, nx = self.habitat.shape
        return facts_html(
            "Habitat mask",
            {
                "habitat": f"{self.size:,} cells of {self.spacing:g} m, {self.area:,.4g} km²",
                "raster": f"{ny:,} rows, {nx:,} columns",
                "buffer": "none" if self.buffer is None else f"{self.buffer:,.6g} m",
                "CRS": "local metres" if self.crs is None else self.crs.to_string(),
                "covariates": ", ".join(map(str, self.covariates.data_vars)) or "none",
            },
        )


def _positive(value, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (np.isfinite(number) and number > 0):
        raise refuse(f"{what} must be a number of metres above zero", "Correct it", value=value)
    return number


def _grid(x0: float, y0: float, east: float, north: float, spacing: float) -> tuple[int, int]:
    """ny, nx of the raster whose first centre is (x0, y0) and whose centres stay below `east` and `north`."""
    ny, nx = (max(1, int(np.ceil((end - start) / spacing - 1e-9))) for start, end in ((y0, north), (x0, east)))
    if ny * nx > MOST_CELLS:
        raise refuse(
            f"a habitat mask of {spacing:g} m would have {ny * nx:,.2g} cells",
            "Use a coarser spacing, and check that spacing, buffer and coordinates are all in metres",
        )
    return ny, nx


def _within(x, y, radius: float, spacing: float, shape: tuple[int, int]) -> np.ndarray:
    """bool [ny, nx]: the cell's centre is at most `radius` from one of the points x[K], y[K].

    x, y are metres from the centre of cell [0, 0]. On each row a disc is a run of columns: +1 where it begins, -1
    after its end, and the running sum says how many discs cover a cell. The work is discs × rows, not × cells.
    """
    ny, nx = shape
    change = np.zeros((ny, nx + 1), np.int32)
    for px, py in zip(x, y, strict=True):
        rows = np.arange(max(0, int(np.ceil((py - radius) / spacing))), min(ny - 1, int((py + radius) // spacing)) + 1)
        half = np.sqrt(np.maximum(radius**2 - (rows * spacing - py) ** 2, 0.0))
        first = np.clip(np.ceil((px - half) / spacing).astype(int), 0, nx)
        after = np.clip(np.floor((px + half) / spacing).astype(int) + 1, first, nx)
        change[rows, first] += 1
        change[rows, after] -= 1
    return np.cumsum(change, axis=1, dtype=np.int32)[:, :nx] > 0
