"""HabitatMask: the field's usual masks cell by cell, outlines with holes, covariates, positions, invariances."""

import pickle

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import mask as reference_mask
from reference import scr_data

from uncia.survey import Detectors, HabitatMask, SurveyError


def detectors(x, y, crs=None):
    return Detectors(range(len(x)), x, y, np.ones((1, len(x))), crs=crs)


@pytest.fixture
def square():
    """Ten by ten cells of 100 m."""
    return HabitatMask(50.0, 50.0, 100.0, np.ones((10, 10), bool))


# ---- around detectors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "buffer"), [("captdata", 100), ("hare", 250), ("stoatDNA", 1000), ("housemouse", 25)])
def test_the_masks_that_the_field_makes(name, buffer):
    captures, theirs = scr_data(name)
    ours = HabitatMask.around(captures.detectors, buffer)
    assert ours.size == theirs.size
    assert ours.spacing == pytest.approx(theirs.spacing, rel=1e-12)
    np.testing.assert_array_equal(ours.habitat, theirs.habitat)
    np.testing.assert_allclose(ours.centres(), theirs.centres(), rtol=0, atol=1e-9 * buffer)
    assert ours.buffer == buffer


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1000)), min_size=1, max_size=8),
    st.floats(10, 500),
    st.floats(7, 90),
)
@settings(max_examples=50, deadline=None)
def test_around_keeps_exactly_the_cells_within_the_buffer(places, buffer, spacing):
    x, y = np.array(places).T + 1000.0
    try:
        mask = HabitatMask.around(detectors(x, y), buffer, spacing)
    except SurveyError as error:  # cells larger than the disc may all miss it
        assert "no cells" in str(error) and spacing > buffer
        return
    distance = np.hypot(mask.x[None, :, None] - x, mask.y[:, None, None] - y).min(axis=2)
    unclear = np.abs(distance - buffer) < 1e-9 * buffer
    np.testing.assert_array_equal(mask.habitat | unclear, (distance <= buffer) | unclear)
    assert mask.x[0] == x.min() - buffer + spacing / 2
    assert mask.y[-1] < y.max() + buffer <= mask.y[-1] + spacing + 1e-6


@given(st.permutations(range(6)), st.integers(-50, 50), st.integers(-50, 50))
@settings(max_examples=30, deadline=None)
def test_order_and_shift_of_detectors_do_not_matter(order, dx, dy):
    x, y = np.array([0.0, 10, 300, 340, 500, 90]), np.array([0.0, 500, 20, 250, 600, 90])
    plain = HabitatMask.around(detectors(x, y), 200.0, 32.0)
    order = list(order)
    other = HabitatMask.around(detectors(x[order] + 1024.0 * dx, y[order] + 1024.0 * dy), 200.0, 32.0)
    assert (other.x0, other.y0) == (plain.x0 + 1024.0 * dx, plain.y0 + 1024.0 * dy)
    np.testing.assert_array_equal(other.habitat, plain.habitat)


def test_buffer_from_the_spacing_of_the_detectors():
    mask = HabitatMask.around(detectors([0, 300], [0, 400]))
    assert mask.buffer == 2000.0
    assert mask.spacing == (300 + 2 * 2000) / 64
    assert HabitatMask.around(detectors([500.0], [0])).buffer == 4000.0


def test_buffer_from_the_movement_of_the_animals():
    captures = scr_data("captdata")[0]
    assert HabitatMask.around(captures).buffer == 5.0 * captures.pooled_sd()
    assert HabitatMask.around(captures, 100).equals(HabitatMask.around(captures.detectors, 100))


# ---- from points -------------------------------------------------------------------------------------------------


def test_from_points_gives_the_cells_back():
    theirs = reference_mask("blackbear")
    x, y = theirs.centres()
    order = np.random.default_rng(1).permutation(len(x))
    assert HabitatMask.from_points(x[order], y[order], 500).equals(theirs)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([0, 100, 230], [0, 0, 0], "the points do not lie on a square grid of 100 m, one in each cell (found '30 m"),
        ([0, 100, 100.2], [0, 0, 0], "one in each cell (found '0.2 m off the grid, 1 in the cell of another')"),
        ([0, np.nan], [0, 0], "the points of a habitat mask must be given and finite"),
        ([], [], "the points of a habitat mask must be given and finite"),
        ([0, 1e9], [0, 1e9], "a habitat mask of 100 m would have 1e+14 cells"),
    ],
)
def test_points_that_are_no_raster(x, y, words):
    with pytest.raises(SurveyError) as error:
        HabitatMask.from_points(x, y, 100)
    assert words in str(error.value)


# ---- outlines ----------------------------------------------------------------------------------------------------


def test_from_polygon_with_a_hole():
    lake = shapely.box(200, 200, 500, 500)
    mask = HabitatMask.from_polygon(shapely.box(0, 0, 1000, 1000).difference(lake), 100)
    assert mask.size == 100 - 9
    assert mask.area == pytest.approx(0.91)
    assert mask.cell_area == pytest.approx(0.01)
    assert mask.cell_of(250, 250) == -1


@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
@settings(max_examples=25, deadline=None)
def test_an_outline_keeps_exactly_the_centres_inside(seed, n):
    """Against shapely's test of every point, for spiky outlines with a hole at map coordinates."""
    rng = np.random.default_rng(seed)
    angle, radius = np.sort(rng.uniform(0, 2 * np.pi, n)), rng.uniform(4e3, 9e3, n)
    star = shapely.make_valid(shapely.Polygon(np.c_[5e5 + radius * np.cos(angle), 4.1e6 + radius * np.sin(angle)]))
    region = star.difference(shapely.Point(5.02e5, 4.101e6).buffer(1500))
    mask = HabitatMask.from_polygon(region, 173.0)
    x, y = np.meshgrid(mask.x, mask.y)
    np.testing.assert_array_equal(mask.habitat, shapely.contains_xy(region, x, y))


def test_clip_keeps_the_inside_or_the_outside(square):
    lake = shapely.box(0, 0, 300, 1000)
    assert square.clip(lake).size == 30
    assert square.clip(lake, outside=True).size == 70
    assert square.size == 100
    with pytest.raises(SurveyError, match=r"no cell of the habitat mask lies in the polygon, which is 6\.364 km from"):
        square.clip(shapely.box(5000, 5000, 6000, 6000))
    with pytest.raises(SurveyError, match="the habitat mask has no cells"):
        square.clip(shapely.box(-1, -1, 6000, 6000), outside=True)


def test_a_spacing_in_kilometres_is_refused_before_memory_is_full():
    with pytest.raises(SurveyError, match=r"a habitat mask of 1 m would have .* cells.*all in metres"):
        HabitatMask.around(detectors([500_000, 512_500], [4_900_000, 4_912_500]), 8000.0, 1.0)


def test_a_spacing_in_the_wrong_unit_is_refused():
    with pytest.raises(SurveyError, match=r"a habitat mask of 0\.0005 m would have"):
        HabitatMask.from_polygon(shapely.box(0, 0, 1000, 1000), 0.0005)


@pytest.mark.parametrize("spacing", [0, -5, np.nan, "wide", None])
def test_a_spacing_that_is_no_length(spacing):
    with pytest.raises(SurveyError, match="the spacing must be a number of metres above zero"):
        HabitatMask.from_polygon(shapely.box(0, 0, 1, 1), spacing)


# ---- covariates --------------------------------------------------------------------------------------------------


def test_a_covariate_is_kept_over_habitat_in_row_major_order(square):
    layer = np.arange(100.0).reshape(10, 10)
    mask = square.clip(shapely.box(100, 0, 1000, 1000)).with_covariate("ruggedness", layer)
    assert mask.covariate("ruggedness").tolist() == layer[:, 1:].ravel().tolist()
    x, y = mask.centres()
    assert (x[0], y[0]) == (150, 50)
    assert "ruggedness" not in square.covariates
    assert repr(mask) == "HabitatMask: 90 cells of 100 m, 0.9 km², covariates: ruggedness"


def test_a_covariate_with_gaps_in_habitat_is_refused(square):
    layer = np.full((10, 10), np.nan)
    layer[0] = 1.0
    with pytest.raises(SurveyError) as error:
        square.with_covariate("slope", layer)
    assert str(error.value) == (
        "the raster for 'slope' has no value in 90 of 100 habitat cells. "
        "Extend the raster, or clip the mask to where it has values"
    )
    assert square.clip(shapely.box(0, 0, 1000, 100)).with_covariate("slope", layer).covariate("slope").sum() == 10


def test_a_covariate_needs_a_name_and_the_raster_of_the_mask(square):
    with pytest.raises(SurveyError, match="a covariate needs a name that formulas can use"):
        square.with_covariate("distance to shore", np.ones((10, 10)))
    with pytest.raises(SurveyError, match="'slope' is not on the raster of the habitat mask"):
        HabitatMask(0, 0, 1, np.ones((2, 2), bool), covariates=xr.Dataset({"slope": (("y", "x"), np.ones((3, 3)))}))


# ---- positions and rasters ---------------------------------------------------------------------------------------


def test_cell_of_positions():
    habitat = np.array([[True, False], [True, True]])
    mask = HabitatMask(50.0, 50.0, 100.0, habitat)
    assert mask.cell_of([10, 110, 99.9, 100.0, -0.1, 250, np.nan], [10, 10, 150, 150, 50, 50, 50]).tolist() == [
        *(0, -1, 1, 2, -1, -1, -1)
    ]
    assert mask.cell_of(150.0, 150.0) == 2
    assert mask.is_habitat([10, 110, np.nan, 1e12], [10, 10, 10, 10]).tolist() == [True, False, False, False]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_centre_is_in_its_own_cell(seed):
    rng = np.random.default_rng(seed)
    habitat = rng.random((7, 9)) < 0.6
    habitat[3, 3] = True
    mask = HabitatMask(rng.uniform(-1e5, 5e6), rng.uniform(0, 5e6), rng.uniform(0.5, 2e3), habitat)
    x, y = mask.centres()
    shift = rng.uniform(-0.49, 0.49, (2, mask.size)) * mask.spacing
    np.testing.assert_array_equal(mask.cell_of(x + shift[0], y + shift[1]), np.arange(mask.size))
    assert HabitatMask.from_points(x, y, mask.spacing).size == mask.size


def test_values_as_a_raster_with_its_crs():
    mask = HabitatMask(500_050.0, 50.0, 100.0, np.array([[True, False], [True, True]]), "EPSG:32649")
    layer = mask.to_xarray([1.0, 2.0, 3.0], "density")
    assert layer.name == "density"
    assert layer.rio.crs.to_epsg() == 32649
    np.testing.assert_array_equal(layer, [[1.0, np.nan], [2.0, 3.0]])
    assert layer.y.values.tolist() == [50.0, 150.0]


def test_nothing_changes_after_birth(square):
    with pytest.raises(ValueError, match="read-only"):
        square.habitat[0, 0] = False
    with pytest.raises(AttributeError):
        square.spacing = 5.0


def test_equality_and_pickling(square):
    mask = square.with_covariate("slope", np.ones((10, 10)))
    assert mask.equals(pickle.loads(pickle.dumps(mask)))
    assert not mask.equals(square)
    assert not square.equals(square.clip(shapely.box(0, 0, 300, 1000)))
    assert not square.equals(pd.DataFrame())


def test_html_names_the_facts(square):
    assert "<td>100 cells of 100 m, 1 km²</td>" in square._repr_html_()
