"""Rasters onto a mask: another CRS, missing values, resampling; and what a raster can lack."""

import numpy as np
import pytest
import rioxarray
import shapely
import xarray as xr

from uncia.survey import HabitatMask, SurveyError, to_degrees

UTM = "EPSG:32649"


@pytest.fixture
def mask():
    """16 × 16 km at 500 m near 112.5°E, 37.2°N."""
    return HabitatMask.from_polygon(shapely.box(625_000, 4_110_000, 641_000, 4_126_000), 500, UTM)


@pytest.fixture
def longitudes():
    """A raster in degrees whose values are its longitudes."""
    x, y = np.arange(112.2, 112.8, 0.01), np.arange(37.4, 37.0, -0.01)
    values = np.broadcast_to(x, (len(y), len(x))).copy()
    return xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}).rio.write_crs("EPSG:4326")


def test_a_geotiff_in_another_crs(mask, longitudes, tmp_path):
    longitudes.rio.to_raster(tmp_path / "longitude.tif")
    got = mask.with_covariate("longitude", tmp_path / "longitude.tif")
    expected, _ = to_degrees(*mask.centres(), UTM)
    np.testing.assert_allclose(got.covariate("longitude"), expected, atol=1e-4)
    assert mask.with_covariate("longitude", str(tmp_path / "longitude.tif")).equals(got)
    assert mask.with_covariate("longitude", longitudes).equals(got)


def test_rows_run_north(mask, longitudes):
    latitudes = longitudes * 0 + longitudes.y
    got = mask.with_covariate("latitude", latitudes.rio.write_crs("EPSG:4326"))
    _, expected = to_degrees(*mask.centres(), UTM)
    np.testing.assert_allclose(got.covariate("latitude"), expected, atol=1e-4)


def test_other_names_of_the_axes(mask, longitudes):
    renamed = longitudes.rename(x="lon", y="lat")
    assert mask.with_covariate("a", renamed).equals(mask.with_covariate("a", longitudes))


def test_resampling_by_name(mask, longitudes):
    coarse = (longitudes > 112.5).astype(float).rio.write_crs("EPSG:4326")
    assert set(mask.with_covariate("east", coarse, method="nearest").covariate("east")) == {0.0, 1.0}
    assert len(set(mask.with_covariate("east", coarse).covariate("east"))) > 2


@pytest.mark.parametrize("masked", [True, False])
def test_missing_values_stay_missing(mask, longitudes, tmp_path, masked):
    """The code for missing, -999, never leaks into a covariate."""
    whole = (longitudes * 100).where(longitudes > 112.45, -999).astype("int16").rio.write_nodata(-999)
    whole.rio.write_crs("EPSG:4326").rio.to_raster(tmp_path / "east.tif")
    raster = rioxarray.open_rasterio(tmp_path / "east.tif", masked=masked)
    with pytest.raises(SurveyError, match=r"the raster for 'east' has no value in \d+ of 1,024 habitat cells"):
        mask.with_covariate("east", raster)
    east = mask.clip(shapely.box(633_000, 4_100_000, 660_000, 4_130_000))
    assert east.with_covariate("east", raster).covariate("east").min() > 11_200


def message(mask, raster, **options) -> str:
    with pytest.raises(SurveyError) as error:
        mask.with_covariate("rugged", raster, **options)
    return str(error.value)


def test_what_a_raster_can_lack(mask, longitudes, tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    assert message(mask, tmp_path / "none.tif") == "none.tif: there is no such raster. Check the path"
    assert message(mask, tmp_path / "text.tif") == "text.tif: the file cannot be read as a raster. Use a GeoTIFF"
    assert message(mask, longitudes.drop_vars("spatial_ref")).startswith("the raster states no CRS")
    assert message(mask, longitudes.to_dataset(name="a")).startswith("the raster has several variables")
    bands = longitudes.expand_dims(band=[1, 2])
    assert message(mask, bands).startswith("the raster is not one band on x and y (found {'band': 2, 'y': 40, ")
    assert message(mask, longitudes, method="magic") == (
        "this resampling is not known (found 'magic'). Use e.g. 'bilinear', 'nearest' or 'average'"
    )
    assert message(mask, np.ones((2, 3))) == ("the array is not on the mask's raster (found (2, 3)). Give (32, 32)")


def test_local_metres_cannot_be_placed(longitudes):
    nowhere = HabitatMask(0.0, 0.0, 100.0, np.ones((2, 2), bool))
    assert message(nowhere, longitudes).startswith("the habitat mask has no CRS")
