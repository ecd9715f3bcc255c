"""Coordinates are in metres of a known system, or refused with what to use instead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncia.survey import SurveyError, suggest_utm, to_degrees, to_metres
from uncia.survey.crs import looks_like_degrees, projected


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        ([113.5], [37.1], "EPSG:32649"),
        ([98.2, 99.1], [33.9, 34.2], "EPSG:32647"),
        ([-0.1], [51.5], "EPSG:32630"),
        ([18.4], [-33.9], "EPSG:32734"),
        ([180.0], [60.0], "EPSG:32660"),
        ([-180.0], [60.0], "EPSG:32601"),
        ([113.5, np.nan], [37.1, np.nan], "EPSG:32649"),
    ],
)
def test_the_utm_zone_of_a_survey(longitude, latitude, code):
    assert suggest_utm(longitude, latitude) == code


def test_metres_of_a_known_place():
    """The central meridian of zone 49 is 111°E; the equator has northing 0."""
    x, y = to_metres([111.0], [0.0], "EPSG:32649")
    assert x == pytest.approx([500_000])
    assert y == pytest.approx([0], abs=1e-6)


@given(st.floats(108, 114), st.floats(1, 60))
@settings(max_examples=30, deadline=None)
def test_there_and_back(longitude, latitude):
    x, y = to_metres(longitude, latitude, "EPSG:32649")
    assert np.allclose(to_degrees(x, y, "EPSG:32649"), (longitude, latitude), atol=1e-8)


@pytest.mark.parametrize(
    ("crs", "words"),
    [
        ("EPSG:4326", "the coordinate reference system is in degrees, and distances need metres (found 'EPSG:4326')"),
        ("EPSG:4490", "is in degrees"),
        ("EPSG:2263", "is not in metres (found 'NAD83 / New York Long Island (ftUS)')"),
        ("EPSG:4978", "has no eastings and northings"),
        ("EPSG:5773", "has no eastings and northings"),
        ("UTM 49", "is not understood (found 'UTM 49'). Give an EPSG code such as 'EPSG:32649'"),
        (None, "is not understood"),
    ],
)
def test_systems_that_hold_no_metres(crs, words):
    with pytest.raises(SurveyError) as error:
        projected(crs)
    assert words in str(error.value)


@pytest.mark.parametrize("crs", ["EPSG:32649", 32649, "EPSG:4547", "+proj=laea +lat_0=37 +lon_0=113 +units=m"])
def test_systems_in_metres(crs):
    assert projected(crs).is_projected


@pytest.mark.parametrize(
    ("x", "y", "degrees"),
    [
        ([112.41, 112.63], [37.12, 37.31], True),
        ([-3.7], [-55.2], True),
        ([112.41, np.nan], [37.12, np.nan], True),
        ([0, 3, 6], [0, 3, 6], False),  # a grid of traps for mice
        ([0.5, 40.5], [0.5, 3.5], False),
        ([612_000.5, 613_000.5], [4_100_000.5, 4_100_900.5], False),
        ([np.nan], [np.nan], False),
        ([], [], False),
    ],
)
def test_degrees_are_recognised(x, y, degrees):
    assert looks_like_degrees(x, y) is degrees
