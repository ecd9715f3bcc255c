"""Searched areas and lines in secr's text files: a detector is the corners that several lines give, in their order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import shapely

from ..display import some
from ..errors import Problems, refuse

OF_SECR = {
    "polygon": "area",
    "polygonX": "exclusive area",
    "transect": "transect",
    "transectX": "exclusive transect",
}
SHAPED = tuple(OF_SECR.values())


def shapes_of(
    corners: Mapping[str, list[tuple[float, float]]], kind: str, rows: Mapping[str, int], name: str, bad: Problems
) -> tuple:
    """Polygons (closed where the file does not) or lines through the corners of each detector, first on row `rows`.

    Too few corners, and outlines that cross themselves, are problems.
    """
    shapes, area = [], kind.endswith("area")
    least, word = (3, "area") if area else (2, "line")
    for detector, places in corners.items():
        n, where = len(dict.fromkeys(places)), {"file": name, "row": rows[detector]}
        if n < least:
            what = f"{word} {detector!r} has {some(n, 'corner')} and needs {least} or more"
            bad.add(what, "Give every corner a line with the same name", **where)
            continue
        shapes.append(shapely.Polygon(places) if area else shapely.LineString(places))
        if not shapely.is_valid(shapes[-1]):
            what = f"the outline of area {detector!r} crosses itself"
            bad.add(what, "Give the corners in their order along the outline", **where)
    return tuple(shapes)


def searched(caught: pd.DataFrame, names: list[str], shapes: tuple) -> pd.DataFrame:
    """The nearest area or line, x and y of each capture.

    Raises
    ------
    SurveyError : captures that give no x and y
    """
    if len(caught) and len(caught["place"].iloc[0]) != 2:
        what, fix = "a capture in a searched area or on a line needs x and y", "Give session, ID, occasion, x, y"
        raise refuse(what, fix, file=caught["file"].iloc[0])
    x, y = np.array([[float(word) for word in place] for place in caught["place"]]).reshape(-1, 2).T
    nearest = shapely.STRtree(list(shapes)).nearest(np.asarray(shapely.points(x, y), object))
    return pd.DataFrame({"detector": np.asarray(names, object)[nearest], "x": x, "y": y}, index=caught.index)
