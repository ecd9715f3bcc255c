"""The habitat mask: a regular raster of places where an activity centre can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from pyproj import CRS

from .crs import projected
from .detectors import Detectors
from .errors import refuse
from .units import cell_area_km2


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
    """

    x0: float
    y0: float
    spacing: float
    habitat: np.ndarray
    crs: CRS | str | None = None
    covariates: xr.Dataset = field(default_factory=xr.Dataset)
    buffer: float | None = None

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("habitat", np.ascontiguousarray(self.habitat, bool))
        put("crs", None if self.crs is None else projected(self.crs, "the CRS of the habitat mask"))
        if not self.spacing > 0:
            raise refuse("the spacing of the habitat mask must be above zero", "Give it in metres", value=self.spacing)
        if not self.habitat.any():
            raise refuse("the habitat mask has no cells", "Use a larger buffer, a finer spacing or another polygon")

    # ---- ways to make one -------------------------------------------------------------------------------------

    @classmethod
    def around(cls, detectors: Detectors, buffer: float | str = "auto", spacing: float | None = None) -> HabitatMask:
        """Cells within `buffer` metres of a detector.

        Cell centres are at (minimum coordinate - buffer) + spacing/2 + i·spacing in x and y. `buffer="auto"` is
        four times the movement that the detectors' spacing suggests; a fit checks it and says if it was too small.
        `spacing` defaults to a sixty-fourth of the extent in x, as is usual in the field.
        """
        if buffer == "auto":
            buffer = 4.0 * (detectors.spacing if np.isfinite(detectors.spacing) else 1000.0)
        buffer = _positive(buffer, "the buffer")
        if spacing is None:
            spacing = (np.ptp(detectors.x) + 2.0 * buffer) / 64.0
        spacing = _positive(spacing, "the spacing")
        x0 = detectors.x.min() - buffer + spacing / 2.0
        y0 = detectors.y.min() - buffer + spacing / 2.0
        nx = int(np.ceil((detectors.x.max() + buffer - x0) / spacing - 1e-9)) or 1
        ny = int(np.ceil((detectors.y.max() + buffer - y0) / spacing - 1e-9)) or 1
        habitat = np.zeros((ny, nx), bool)
        for x, y in zip(detectors.x, detectors.y, strict=True):
            _mark_disc(habitat, x - x0, y - y0, buffer, spacing)
        return cls(float(x0), float(y0), float(spacing), habitat, detectors.crs, buffer=float(buffer))

    @classmethod
    def from_points(cls, x, y, spacing: float, crs=None) -> HabitatMask:
        """The raster through given cell centres (metres), which must lie on one regular grid.

        Raises
        ------
        SurveyError : a point is not finite, or is more than 1 % of the spacing away from the grid
        """
        x, y = np.asarray(x, float), np.asarray(y, float)
        spacing = _positive(spacing, "the spacing")
        if x.size == 0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise refuse("the points of a habitat mask must be given and finite", "Remove empty rows", value=x.size)
        x0, y0 = x.min(), y.min()
        column, row = np.rint((x - x0) / spacing).astype(int), np.rint((y - y0) / spacing).astype(int)
        off = np.maximum(np.abs(x0 + column * spacing - x), np.abs(y0 + row * spacing - y))
        if off.max() > 0.01 * spacing:
            raise refuse(
                f"the points do not lie on a square grid of {spacing:g} m",
                "Give the spacing that the points have",
                value=f"{off.max():.3g} m off",
            )
        habitat = np.zeros((row.max() + 1, column.max() + 1), bool)
        habitat[row, column] = True
        return cls(float(x0), float(y0), float(spacing), habitat, crs)

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
        SurveyError : no polygon in the file, or degrees without a projected `crs`
        """
        from .vector import read_region

        spacing = _positive(spacing, "the spacing")
        geometry, system = read_region(polygon, crs)
        west, south, east, north = geometry.bounds
        x0, y0 = west + spacing / 2.0, south + spacing / 2.0
        nx = max(1, int(np.ceil((east - x0) / spacing - 1e-9)))
        ny = max(1, int(np.ceil((north - y0) / spacing - 1e-9)))
        empty = cls(float(x0), float(y0), float(spacing), np.ones((ny, nx), bool), system)
        return replace(empty, habitat=empty.contained_in(geometry))

    # ---- ways to change one -----------------------------------------------------------------------------------

    def clip(self, polygon, *, outside: bool = False) -> HabitatMask:
        """Keep the cells inside a polygon (or, with `outside=True`, drop them: lakes, glaciers, villages)."""
        from .vector import read_region

        geometry, _ = read_region(polygon, self.crs)
        inside = self.contained_in(geometry)
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

        if not name.isidentifier():
            raise refuse("a covariate needs a name that formulas can use", "Use letters, digits and _", value=name)
        values = onto_mask(raster, self, method)
        lost = self.habitat & ~np.isfinite(values)
        if lost.any():
            raise refuse(
                f"the raster for {name!r} has no value in {int(lost.sum()):,} of {self.size:,} habitat cells",
                "Extend the raster, or clip the mask to where it has values",
                file=raster if isinstance(raster, str) else None,
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
        """bool [ny, nx]: the cell's centre lies in a shapely geometry (of this CRS)."""
        import shapely

        shapely.prepare(geometry)
        inside = np.zeros(self.habitat.shape, bool)
        x = self.x
        for row, y in enumerate(self.y):  # row by row: constant memory for rasters of 10⁷ cells
            inside[row] = shapely.contains_xy(geometry, x, np.full(x.shape, y))
        return inside

    def cell_of(self, x, y) -> np.ndarray:
        """int: index among the M habitat cells of the cell that holds each position, -1 outside habitat."""
        column = np.floor((np.asarray(x, float) - self.x0) / self.spacing + 0.5).astype(int)
        row = np.floor((np.asarray(y, float) - self.y0) / self.spacing + 0.5).astype(int)
        ny, nx = self.habitat.shape
        inside = (row >= 0) & (row < ny) & (column >= 0) & (column < nx)
        number = np.where(self.habitat.ravel(), np.cumsum(self.habitat.ravel()) - 1, -1).reshape(ny, nx)
        return np.where(inside, number[np.clip(row, 0, ny - 1), np.clip(column, 0, nx - 1)], -1)

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

    def __repr__(self) -> str:
        names = ", ".join(self.covariates.data_vars) or "none"
        return f"HabitatMask: {self.size:,} cells of {self.spacing:g} m, {self.area:,.4g} km², covariates: {names}"


def _positive(value, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (np.isfinite(number) and number > 0):
        raise refuse(f"{what} must be a number of metres above zero", "Correct it", value=value)
    return number


def _mark_disc(habitat: np.ndarray, dx: float, dy: float, radius: float, spacing: float) -> None:
    """Mark the cells whose centre is within `radius` of (dx, dy), both from the centre of cell [0, 0]."""
    ny, nx = habitat.shape
    c0, c1 = max(0, int((dx - radius) // spacing)), min(nx, int((dx + radius) // spacing) + 2)
    r0, r1 = max(0, int((dy - radius) // spacing)), min(ny, int((dy + radius) // spacing) + 2)
    u = (spacing * np.arange(c0, c1) - dx) ** 2
    v = (spacing * np.arange(r0, r1) - dy) ** 2
    habitat[r0:r1, c0:c1] |= u[None, :] + v[:, None] <= radius * radius
