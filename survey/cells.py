"""Cells: sites that are pieces of land, a square grid over a study area or polygons of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS, Proj

from .crs import projected, suggest_utm, to_degrees
from .display import facts_html
from .errors import Problems, refuse
from .frozen import fixed, settle
from .units import M2_PER_KM2
from .vector import read_layer, read_region

if TYPE_CHECKING:
    import geopandas as gpd

MOST_CELLS = 1_000_000  # a grid of this size is a side in the wrong unit
SCALE = 0.01  # a metre of the map may differ from a metre on the ground by this share


@dataclass(frozen=True, eq=False)
class Cells:
    """N sites with an outline each.

    Parameters
    ----------
    name : N names, all different
    outline : N shapely polygons in metres of `crs`, which share borders at most
    crs : projected CRS
    area : km² [N] that counts for the area occupied; by default that of the outlines

    Raises
    ------
    SurveyError : no cells, a name twice, outlines that overlap or are no polygons, a CRS in degrees, or one whose
        metres are not metres on the ground where the cells are (Web Mercator)
    """

    name: Sequence[str]
    outline: Any
    crs: CRS | Any
    area: Any = None
    tree: shapely.STRtree = field(init=False, repr=False)

    def __post_init__(self):
        names, outline = tuple(str(n) for n in self.name), fixed(self.outline, object)
        system = projected(self.crs, "the CRS of the cells")
        bad = Problems()
        if not names or len(names) != len(outline):
            raise refuse("cells need one name for each outline", "Give at least one", value=(len(names), len(outline)))
        for twice in sorted({n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else ()):
            bad.add("a cell's name is used twice", "Give every cell its own", value=twice)
        for i in np.flatnonzero(~np.isin(shapely.get_type_id(outline), (3, 6)) | ~(shapely.area(outline) > 0)):
            bad.add(f"cell {names[i]!r} is no polygon with an area", "Correct its outline", value=str(outline[i])[:40])
        bad.raise_any()
        tree = shapely.STRtree(outline)
        shapely.prepare(outline)  # asked about many steps of tracks
        _check_overlaps(names, outline, tree)
        _check_scale(outline, system)
        area = shapely.area(outline) / M2_PER_KM2 if self.area is None else self.area
        settle(self, name=names, outline=outline, crs=system, area=fixed(area, float), tree=tree)

    # ---- ways to make some --------------------------------------------------------------------------------------

    @classmethod
    def grid(cls, area, side_km: float, crs=None, *, least_inside: float = 0.5) -> Cells:
        """Square cells over a study area, on lines at whole multiples of the side, so that surveys of other years and
        of neighbours share them. A cell is named after its south-west corner in km, "E512N3840".

        Parameters
        ----------
        area : path of a vector file, GeoDataFrame, or shapely polygon in metres of `crs`
        side_km : side of a cell, km
        crs : projected CRS in metres; needed unless the file is in one
        least_inside : the share of a cell that must lie in the area, above 0 up to 1. Cells stay whole squares, but
            only what lies in the area counts in `area`

        Raises
        ------
        SurveyError : what `Cells` refuses; a side that is not above 0; no cell that lies in the area enough
        """
        region, system = read_region(area, crs)
        if system is None:
            raise refuse("the study area states no CRS", "Give crs=, a projected one in metres")
        if not (np.isfinite(side_km) and side_km > 0) or not 0.0 < least_inside <= 1.0:
            what = "the side of a cell must be above 0 km, and the share inside above 0 up to 1"
            raise refuse(what, "Correct them", value=(side_km, least_inside))
        side = 1000.0 * side_km
        west, south, east, north = region.bounds
        columns, rows = (np.arange(np.floor(a / side), np.ceil(b / side)) for a, b in ((west, east), (south, north)))
        if len(columns) * len(rows) > MOST_CELLS:
            raise refuse("the grid would have more than a million cells", "Is the side given in km?", value=side_km)
        column, row = (values.ravel() for values in np.meshgrid(columns, rows))
        squares = shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
        shapely.prepare(region)
        inside = np.where(shapely.covers(region, squares), 1.0, np.nan)
        edge = np.isnan(inside)
        inside[edge] = shapely.area(shapely.intersection(squares[edge], region)) / side**2
        keep = inside >= least_inside - 1e-9
        if not keep.any():
            least, most = (f"{100 * share:.2g} %" for share in (least_inside, inside.max()))
            what = f"no cell of {side_km:g} km lies in the study area by {least} (the best by {most})"
            raise refuse(what, "Use smaller cells, or a lower least_inside")
        names = [f"E{c * side_km:g}N{r * side_km:g}" for c, r in zip(column[keep], row[keep], strict=True)]
        return cls(names, squares[keep], system, inside[keep] * side_km**2)

    @classmethod
    def from_layer(cls, layer, name: str, crs=None) -> Cells:
        """The polygons of a vector file (or GeoDataFrame), each named in the column `name`, in metres of `crs`."""
        path = Path(layer) if isinstance(layer, (str, Path)) else None
        frame: Any = layer if path is None else read_layer(path)
        if name not in frame:
            raise refuse("the layer has no such column", "Name the one with the names of cells", file=path, value=name)
        if frame.crs is None:
            raise refuse("the layer states no CRS", "Save it with its CRS", file=path)
        frame = frame if crs is None else frame.to_crs(projected(crs))
        return cls(frame[name].astype(str).tolist(), shapely.make_valid(frame.geometry.to_numpy()), frame.crs)

    # ---- what they hold -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.name)

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """x, y [N] of the centroids, metres."""
        points = shapely.centroid(self.outline)
        return shapely.get_x(points), shapely.get_y(points)

    def at(self, x, y) -> np.ndarray:
        """int [n]: the position of the cell that holds each point, -1 where none; on a border the first."""
        points: Any = shapely.points(np.asarray(x, float), np.asarray(y, float))
        found = np.full(points.shape, len(self))
        known = np.flatnonzero(np.isfinite(shapely.get_x(points)) & np.isfinite(shapely.get_y(points)))
        of, cell = self.tree.query(points[known], predicate="intersects")
        np.minimum.at(found, known[of], cell)
        return np.where(found == len(self), -1, found)

    def frame(self, **columns) -> gpd.GeoDataFrame:
        """The outlines as a GeoDataFrame indexed by `site`, with `area` [km²] and further columns [N], for maps."""
        import geopandas as gpd
        import pandas as pd

        index = pd.Index(self.name, name="site")
        return gpd.GeoDataFrame({"area": self.area, **columns}, index=index, geometry=list(self.outline), crs=self.crs)

    def sites(self):
        """Table of the sites: `x`, `y` [m] of the centres, `longitude`, `latitude`, indexed by `site`."""
        import pandas as pd

        x, y = self.centres()
        lon, lat = to_degrees(x, y, self.crs)
        columns = {"x": x, "y": y, "longitude": lon, "latitude": lat}
        return pd.DataFrame(columns, index=pd.Index(self.name, name="site"))

    def __repr__(self) -> str:
        return f"{len(self)} cells, {self.area.sum():,.5g} km², {self.crs.to_string()}"

    def _repr_html_(self) -> str:
        return facts_html("Cells", {"cells": len(self), "km²": f"{self.area.sum():,.5g}", "CRS": self.crs.to_string()})


def _check_overlaps(names: tuple[str, ...], outline: np.ndarray, tree: shapely.STRtree) -> None:
    """Cells may share borders and no land, else effort and sign would count twice."""
    a, b = tree.query(outline, predicate="intersects")
    a, b = a[a < b], b[a < b]
    shared = shapely.area(shapely.intersection(outline[a], outline[b]))
    smaller = np.minimum(shapely.area(outline[a]), shapely.area(outline[b]))
    bad = Problems()
    for i in np.flatnonzero(shared > 1e-6 * smaller)[:20]:
        what = f"cells {names[a[i]]!r} and {names[b[i]]!r} overlap"
        bad.add(what, "Correct their outlines: effort would count twice", value=f"{shared[i]:,.0f} m²")
    bad.raise_any()


def _check_scale(outline: np.ndarray, system: CRS) -> None:
    """Metres of the map are metres on the ground."""
    west, south, east, north = shapely.total_bounds(outline)
    lon, lat = to_degrees([(west + east) / 2.0], [(south + north) / 2.0], system)
    check_scale(float(lon[0]), float(lat[0]), system)


def check_scale(longitude: float, latitude: float, system: CRS) -> None:
    """Refuse a CRS whose metres are more than 1 % off at a place: km of effort would be as wrong."""
    factors = Proj(system).get_factors(longitude, latitude)
    off = max(abs(factors.meridional_scale - 1.0), abs(factors.parallel_scale - 1.0))
    if not off <= SCALE:
        raise refuse(
            f"a metre of {system.to_string()} is {factors.parallel_scale:.3g} m of ground here"
            if np.isfinite(off)
            else f"{system.to_string()} is not made for this place",
            f"Use the UTM zone of the survey, {suggest_utm([longitude], [latitude])!r}",
            value=f"longitude {longitude:.5g}, latitude {latitude:.5g}",
        )
