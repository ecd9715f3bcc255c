"""Searched areas and lines in secr's text files: a detector is the corners that several lines give, in their order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import shapely

from ..errors import Problems, refuse

OF_SECR = {
    "polygon": "area",
    "polygonX": "exclusive area",
    "transect": "transect",
    "transectX": "exclusive transect",
}
SHAPED = tuple(OF_SECR.values())


def shapes_of(corners: Mapping[str, list[tuple[float, float]]], kind: str, name: str) -> tuple:
    """Polygons (closed where the file does not) or lines through the corners of each detector.

    Raises
    ------
    SurveyError : too few corners, outlines that cross themselves; all detectors at once
    """
    area, bad, shapes = kind.endswith("area"), Problems(), []
    least, word = (3, "area") if area else (2, "line")
    for detector, places in corners.items():
        if len(dict.fromkeys(places)) < least:
            what = f"{word} {detector!r} has {len(dict.fromkeys(places))} corners and needs {least} or more"
            bad.add(what, "Give every corner a line with the same name", file=name)
            continue
        shapes.append(shapely.Polygon(places) if area else shapely.LineString(places))
        if not shapely.is_valid(shapes[-1]):
            what = f"the outline of area {detector!r} crosses itself"
            bad.add(what, "Give the corners in their order along the outline", file=name)
    bad.raise_any()
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
