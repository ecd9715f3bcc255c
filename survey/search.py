"""Areas and lines that were searched, as detectors: every detection has its own place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from .captures import CaptureHistory
from .crs import projected, to_degrees, to_metres
from .detectors import Detectors
from .errors import Problems, refuse
from .ledger import Ledger
from .readers.plain import open_table
from .readers.reading import degrees
from .sexes import SEX, sexes_of
from .vector import read_layer


def searched_areas(
    areas,
    effort=1.0,
    *,
    occasions: int | None = None,
    names: str | Sequence[str] | None = None,
    once: bool = False,
    crs=None,
    covariates: pd.DataFrame | None = None,
) -> Detectors:
    """Areas that were searched for animals or their signs, each detection being recorded with its place.

    Parameters
    ----------
    areas : polygons of any shape, holes and several parts allowed: a vector file, a GeoDataFrame, or shapely geometries
        in metres of `crs` (a sequence, or {name: geometry})
    effort : number of searches of each area: one number, one per area, or [occasions, areas]; 0 where an area was not
        searched. Twice the effort is twice the hazard
    occasions : number of occasions, where `effort` does not say it; default 1
    names : column of the file with the names, or the names; default 1, 2, …
    once : an animal is recorded at most once per occasion (it is marked, or recognised); otherwise every detection
        counts
    crs : projected CRS; needed for a file in degrees
    covariates : one row per area; by default the other columns of the file

    Returns
    -------
    Detectors of kind "area" or "exclusive area". In a model `lambda0` is then the number of detections expected in one
    search of an animal whose whole range is searched (Efford 2011)

    Raises
    ------
    SurveyError : no such file or layer, no CRS, a shape that is no polygon or has no area, areas that overlap
    """
    shapes, names, columns, system = _shapes(areas, names, crs)
    _apart(names, shapes)
    kind = "exclusive area" if once else "area"
    return _detectors(kind, shapes, names, effort, occasions, "searches", covariates, columns, system)


def transects(
    lines,
    effort=1.0,
    *,
    occasions: int | None = None,
    names: str | Sequence[str] | None = None,
    once: bool = False,
    crs=None,
    covariates: pd.DataFrame | None = None,
) -> Detectors:
    """Lines that were walked in search of animals or their signs, each detection being recorded with its place.

    Parameters
    ----------
    lines : lines, several parts allowed; given as for `searched_areas`
    effort : how many times each line was walked: one number, one per line, or [occasions, lines]; 0 where it was not.
        The effort that counts is this times the length of the line in km
    occasions, names, once, crs, covariates : as for `searched_areas`

    Returns
    -------
    Detectors of kind "transect" or "exclusive transect". In a model `lambda0` is then the hazard of detection per km of
    line walked at the animal's activity centre

    Raises
    ------
    SurveyError : no such file or layer, no CRS, a shape that is no line or has no length
    """
    shapes, names, columns, system = _shapes(lines, names, crs)
    kind = "exclusive transect" if once else "transect"
    return _detectors(kind, shapes, names, effort, occasions, "times walked", covariates, columns, system)


def _shapes(given, names, crs) -> tuple[list, list[str], pd.DataFrame, Any]:
    """Geometries in metres with their names, the other columns of a file, and the CRS."""
    system = None if crs is None else projected(crs)
    if isinstance(given, dict):
        return list(given.values()), [str(name) for name in given], pd.DataFrame(), system
    path = Path(given) if isinstance(given, (str, Path)) else None
    layer: Any = given if path is None else read_layer(path)
    columns = pd.DataFrame()
    if hasattr(layer, "geometry") and not isinstance(layer, shapely.Geometry):
        if layer.crs is None:
            fix = "Save it with its CRS (a shapefile needs its .prj beside it), or set it with geopandas set_crs"
            raise refuse("the layer states no CRS", fix, file=path)
        system = system or projected(layer.crs, "the CRS of the layer")
        columns = pd.DataFrame(layer.drop(columns=layer.geometry.name)).reset_index(drop=True)
        shapes = list(layer.geometry.to_crs(system))
    else:
        shapes = [layer] if isinstance(layer, shapely.Geometry) else list(layer)
    if isinstance(names, str):
        if names not in columns:
            raise refuse("the layer has no such column of names", f"Its columns are {list(columns)}", value=names)
        columns, names = columns.drop(columns=names), columns[names].astype(str).tolist()
    names = [str(i + 1) for i in range(len(shapes))] if names is None else [str(name) for name in names]
    if len(names) != len(shapes):
        raise refuse("there is not one name for each shape", f"Give {len(shapes)} names", value=len(names))
    return shapes, names, columns, system


def _apart(names: Sequence[str], shapes: Sequence) -> None:
    """Areas do not overlap: a place in two of them would be searched twice under one name."""
    known = [s if isinstance(s, shapely.Geometry) else shapely.Polygon() for s in shapes]
    first, second = shapely.STRtree(known).query(known, predicate="intersects")
    bad = Problems()
    for i, j in zip(first, second, strict=True):
        common = shapely.area(shapely.intersection(known[i], known[j])) if i < j else 0.0
        if common > 1e-6 * min(known[i].area, known[j].area):
            what = f"the areas {names[i]!r} and {names[j]!r} overlap by {common:,.0f} m²"
            bad.add(what, "Cut the common part out of one; a place searched more often is an area with more effort")
    bad.raise_any()


def _detectors(kind, shapes, names, effort, occasions, unit, covariates, columns, system) -> Detectors:
    values = np.asarray(effort, float)
    if values.ndim < 2:
        values = np.broadcast_to(values, (occasions or 1, len(shapes))).copy()
    elif occasions not in (None, len(values)):
        raise refuse("effort and occasions differ", "Leave out occasions", value=(len(values), occasions))
    at = np.array([_middle(shape) for shape in shapes]).reshape(-1, 2)
    known = {} if not len(columns.columns) else {"covariates": columns}
    known |= {} if covariates is None else {"covariates": covariates}
    places = {"x": at[:, 0], "y": at[:, 1], "shapes": tuple(shapes)}
    return Detectors(id=tuple(names), effort=values, kind=kind, crs=system, effort_unit=unit, **places, **known)


def _middle(shape: Any) -> tuple[float, float]:
    """A place to draw a name at."""
    if not isinstance(shape, shapely.Geometry) or shapely.is_empty(shape):
        return (0.0, 0.0)
    x, y = shapely.get_coordinates(shapely.centroid(shape))[0]
    return (float(x), float(y))


def read_search(
    path: str | Path,
    detectors: Detectors,
    *,
    crs=None,
    names: Mapping[str, str] | None = None,
    session: str = "1",
    occasions: pd.DataFrame | None = None,
    encoding: str | None = None,
) -> CaptureHistory:
    """Capture histories of animals that were found in searched areas or on searched lines.

    Parameters
    ----------
    path : CSV or Excel file, one row per detection, with `animal`, `x` and `y` (or `longitude` and `latitude`), where
        there are several `occasion` (1, 2, …), and if known `sex`. `detector` is the area or line; without it the one
        in which the place lies
    detectors : see `searched_areas` and `transects`
    crs : of x and y; that of the detectors by default
    names : what we call a column → what the file calls it
    session, occasions : as for `CaptureHistory`

    Raises
    ------
    SurveyError : no such columns, values that cannot be read, places outside what was searched, an animal with two
        sexes; all bad rows
    """
    bad = Problems()
    c = open_table(path, bad, names, encoding)
    c.require("animal")
    if c.has("longitude", "latitude"):
        lon, lat = degrees(c, "latitude", "longitude")
        bad.raise_any()
        x, y = to_metres(lon, lat, detectors.crs)
    else:
        c.require("x", "y")
        x, y = c.number("x", required=True), c.number("y", required=True)
        if crs is not None and not bad.found and projected(crs) != detectors.crs:
            x, y = to_metres(*to_degrees(x, y, crs), detectors.crs)
    frame = pd.DataFrame(
        {
            "animal": c.text("animal", required=True),
            "occasion": c.number("occasion", low=1, whole=True) if c.has("occasion") else 1.0,
            "sex": c.choice("sex", SEX),
            "file": np.full(len(c), Path(path).name, object),
            "row": c.row,
        }
    )
    bad.raise_any()
    frame = frame.assign(x=x, y=y, detector=c.text("detector"))
    nearest = shapely.STRtree(list(detectors.shapes)).nearest(np.asarray(shapely.points(x, y), object))
    inside = np.asarray(detectors.id, object)[nearest]
    frame["detector"] = frame["detector"].where(frame["detector"] != "", inside)
    return CaptureHistory(
        frame.drop(columns="sex"),
        detectors,
        animals=sexes_of(frame),
        occasions=pd.DataFrame() if occasions is None else occasions,
        session=session,
        ledger=Ledger.of(frame["file"], frame["row"], np.full(len(frame), Ledger.USED, object)),
    )
