"""Predictions over rasters on disk are those in memory, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from uncia import models
from uncia.models import predict_raster
from uncia.models.occupancy import predict as module
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError

SHAPE = (13, 17)


def write(path, values, corner=500000.0, **more):
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32648", "nodata": -9999.0}
    profile |= {"width": values.shape[1], "height": values.shape[0], "transform": from_origin(corner, 4e6, 100, 100)}
    with rasterio.open(path, "w", **(profile | more)) as target:
        target.write(np.where(np.isnan(values), -9999.0, values).astype("float32"), 1)
    return path


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(1)
    sites = pd.DataFrame({"forest": rng.normal(size=120), "slope": rng.normal(size=120)})
    model = models.Occupancy(DetectionHistory.from_wide(np.ones((120, 5)), sites=sites), "~ scale(forest) + slope")
    return model.on(
        model.simulate({"psi": dict(zip(model.parameters["psi"].terms, [0, 1, -1], strict=True)), "p": 0.4}, 1)
    ).fit()


@pytest.fixture
def rasters(tmp_path):
    rng = np.random.default_rng(2)
    forest, slope = rng.normal(size=(2, *SHAPE)).astype("float32").astype(float)
    forest[3, 4] = np.nan
    paths = {"forest": write(tmp_path / "forest.tif", forest), "slope": write(tmp_path / "slope.tif", slope)}
    return paths, forest, slope


@pytest.mark.parametrize("block", [1, 40, 100_000])
def test_on_disk_as_in_memory(fit, rasters, tmp_path, monkeypatch, block):
    paths, forest, slope = rasters
    monkeypatch.setattr(module, "BLOCK", block)
    told = []
    out = predict_raster(
        fit, "psi", paths, tmp_path / "psi.tif", progress=lambda done, total: told.append((done, total))
    )
    here = fit.predict("psi", xr.Dataset({"forest": (("y", "x"), forest), "slope": (("y", "x"), slope)}))
    with rasterio.open(out) as found:
        assert found.descriptions == ("estimate", "se", "lower", "upper") and found.tags()["parameter"] == "psi"
        assert found.crs.to_epsg() == 32648 and found.transform == from_origin(500000.0, 4e6, 100, 100)
        for k, name in enumerate(found.descriptions, 1):
            np.testing.assert_allclose(found.read(k), here[name].to_numpy(), rtol=1e-6)
            assert np.isnan(found.read(k)).sum() == 1
    assert told[-1] == (221, 221) and [t[0] for t in told] == sorted(t[0] for t in told)
    assert not list(tmp_path.glob("*.part*"))


def test_mask_and_values_that_are_the_same_everywhere(fit, rasters, tmp_path):
    paths, forest, _ = rasters
    inside = np.zeros(SHAPE)
    inside[:5] = 1.0
    mask = write(tmp_path / "mask.tif", inside)
    out = predict_raster(fit, "psi", {"forest": paths["forest"]}, tmp_path / "o.tif", values={"slope": 0.5}, mask=mask)
    expect = fit.predict("psi", pd.DataFrame({"forest": forest[:5].ravel(), "slope": 0.5}).dropna())
    with rasterio.open(out) as found:
        layer = found.read(1)
    assert np.isnan(layer[5:]).all()
    np.testing.assert_allclose(layer[:5].ravel()[~np.isnan(forest[:5].ravel())], expect["estimate"], rtol=1e-6)


def test_a_constant_and_an_undetermined_parameter(fit, rasters, tmp_path):
    paths = rasters[0]
    with rasterio.open(predict_raster(fit, "p", paths, tmp_path / "p.tif")) as found:
        np.testing.assert_allclose(found.read(1), fit.predict("p")["estimate"].iloc[0], rtol=1e-6)
    everywhere = models.Occupancy(DetectionHistory.from_wide(np.ones((10, 5)))).fit()
    with rasterio.open(predict_raster(everywhere, "psi", paths, tmp_path / "q.tif")) as found:
        assert np.isnan(found.read(2)).all() and (found.read(1) > 0.999).all()


def test_refusals(fit, rasters, tmp_path):
    paths, forest, _ = rasters
    with pytest.raises(SurveyError, match=r"not given \(found \['slope'\]\)"):
        predict_raster(fit, "psi", {"forest": paths["forest"]}, tmp_path / "a.tif")
    with pytest.raises(SurveyError, match="different grids"):
        moved = write(tmp_path / "moved.tif", forest, corner=1.0)
        predict_raster(fit, "psi", paths | {"slope": moved}, tmp_path / "a.tif")
    with pytest.raises(SurveyError, match="overwrite"):
        predict_raster(fit, "psi", paths, paths["slope"])
    with pytest.raises(SurveyError, match="not there"):
        predict_raster(fit, "psi", paths | {"slope": tmp_path / "no.tif"}, tmp_path / "a.tif")
    fixed = models.Occupancy(fit.model.history, p=0.4).fit()
    with pytest.raises(SurveyError, match="p is fixed"):
        predict_raster(fixed, "p", paths, tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
