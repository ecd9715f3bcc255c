"""Abundance in many regions, sessions and classes at once: estimates, covariances, totals of strata."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from scipy.special import stdtrit
from scr_problems import small
from test_scr_distance import rough

from uncia import models
from uncia.models.spatial.joint import _codes
from uncia.survey.errors import SurveyError

HALVES = {"west": shapely.box(49_800, 79_800, 50_300, 80_800), "east": shapely.box(50_300, 79_800, 50_800, 80_800)}
QUANTITIES = ["density", "expected abundance", "realised abundance"]
OPTIONS = {
    "constant": {},
    "forest": {"D": "~ forest"},
    "sex": {"D": "~ forest", "classes": "sex", "g0": "~ sex"},
    "conditional": {"likelihood": "conditional"},
    "binomial": {"D": "~ forest", "distribution": "binomial"},
    "conditional, binomial": {"likelihood": "conditional", "distribution": "binomial"},
    "least cost": {"distance": models.LeastCost("~ ruggedness")},
}


def fitted(options: dict):
    captures, mask = rough("proximity")
    return models.SCR(captures, mask, **options).fit()


@pytest.mark.parametrize("name", OPTIONS)
def test_one_region_is_that_of_abundance(name):
    fit = fitted(OPTIONS[name])
    for region, whole in ((None, True), (HALVES["west"], False)):
        joint = fit.joint_abundance(None if whole else {"west": region})
        mine = joint.table[joint.table["animals"] == "all"].set_index("quantity").loc[QUANTITIES]
        there = fit.abundance(region).drop_duplicates("quantity").set_index("quantity").loc[QUANTITIES]
        columns = ["estimate", "se", "lower", "upper"]
        # cells that the outline cuts have one p. here, and one for each of their parts there
        tolerance = 1e-7 if whole else 5e-3
        np.testing.assert_allclose(mine[columns].astype(float), there[columns].astype(float), rtol=tolerance)


@pytest.mark.parametrize("name", ["forest", "sex"])
def test_strata_add_up_to_the_whole(name):
    fit = fitted(OPTIONS[name])
    whole, parts = fit.joint_abundance(), fit.joint_abundance("forest")
    for quantity in ("expected_covariance", "realised_covariance"):
        a, b = getattr(whole, quantity), getattr(parts, quantity)
        kinds = a.index.get_level_values("animals")
        for kind in kinds:
            rows = b.index[b.index.get_level_values("animals") == kind]
            here = a.loc[[k for k in a.index if k[2] == kind]].iloc[0, list(kinds).index(kind)]
            assert b.loc[rows, rows].to_numpy().sum() == pytest.approx(here, rel=1e-8)
    totals = [j.total().set_index("quantity")[["estimate", "se"]] for j in (whole, parts)]
    np.testing.assert_allclose(*totals, rtol=1e-8)
    found = np.linalg.eigvalsh(parts.realised_covariance.to_numpy())
    assert found.min() > -1e-9 * found.max()


def test_overlapping_regions():
    fit = fitted({})
    west, east = (fit.model.mask.clip(HALVES[name]) for name in ("west", "east"))
    joint = fit.joint_abundance({"a": west, "b": west, "c": east})
    for covariance in (joint.expected_covariance.to_numpy(), joint.realised_covariance.to_numpy()):
        assert covariance[0, 1] == pytest.approx(covariance[0, 0], rel=1e-9)
    # a detected animal lives in one of them
    assert joint.realised_covariance.iloc[0, 2] < joint.realised_covariance.iloc[0, 1]


def test_sessions_share_what_the_model_shares():
    captures, mask = small("proximity")
    both = [replace(captures, session=name) for name in ("1", "2")]
    for options, shared in (({}, True), ({"g0": "~ session", "sigma": "~ session"}, False)):
        fit = models.SCR(both, [mask, mask], D="~ session", **options).fit()
        joint = fit.joint_abundance()
        assert list(joint.expected_covariance.index) == [(s, "habitat mask", "all") for s in ("1", "2")]
        cross = joint.expected_covariance.iloc[0, 1] / joint.expected_covariance.iloc[0, 0]
        assert (cross > 0.01) if shared else (abs(cross) < 1e-6)
        each = fit.derive().query("quantity == 'realised abundance'")["se"]
        np.testing.assert_allclose(np.sqrt(np.diag(joint.realised_covariance)), each, rtol=1e-6)


def test_regions_as_layers_and_rasters(tmp_path):
    fit = fitted({"D": "~ forest"})
    layer = gpd.GeoDataFrame(
        {"park": ["north", "south", "south"]},
        geometry=[
            shapely.box(49_800, 80_300, 50_800, 80_800),
            shapely.box(49_800, 79_800, 50_300, 80_300),
            shapely.box(50_300, 79_800, 50_800, 80_300),
        ],
        crs="EPSG:32643",
    )
    captures, mask = fit.model.captures, fit.model.mask
    projected = models.SCR(
        replace(captures, detectors=replace(captures.detectors, crs="EPSG:32643")), replace(mask, crs="EPSG:32643")
    ).fit()
    layer.to_file(tmp_path / "parks.gpkg")
    by = projected.joint_abundance(tmp_path / "parks.gpkg", by="park")
    assert [k[1] for k in by.expected_covariance.index] == ["north", "south"]
    assert [k[1] for k in projected.joint_abundance(layer).expected_covariance.index] == [
        "region 1",
        "region 2",
        "region 3",
    ]
    strata = fit.joint_abundance("forest")
    assert [k[1] for k in strata.expected_covariance.index] == ["forest 0", "forest 1"]
    raster = projected.model.mask.to_xarray(mask.covariate("forest"))
    again = projected.joint_abundance(raster)
    assert [k[1] for k in again.expected_covariance.index] == ["stratum 0", "stratum 1"]
    same = projected.joint_abundance("forest").expected_covariance
    np.testing.assert_allclose(again.expected_covariance, same)


def sites(D: str):
    captures, mask = small("proximity")
    found = [captures]
    model = models.SCR(captures, mask, detection="hazard half-normal")
    for seed in (11, 12, 13, 14):
        found.append(model.simulate({"D": 900.0, "lambda0": 0.3, "sigma": 300.0}, seed))
    data = [replace(c, session=f"s{j}", animals=c.animals[[]]) for j, c in enumerate(found)]
    covariates = models.SCR(data, [mask] * 5, D=D, detection="hazard half-normal")
    return covariates.fit(), mask


def test_totals_of_strata():
    fit, mask = sites("~ session - 1")
    strata = {"s0": "hills", "s1": "hills", "s2": "hills", "s3": "plain", "s4": "plain"}
    areas = {"hills": 20.0, "plain": 2.0 * mask.area}
    table = models.stratum_totals(fit, strata, areas).set_index("stratum")
    D = np.exp(fit.coefficients.query("parameter == 'D'")["estimate"].to_numpy()) / 100.0
    hills = D[:3]
    total, fraction = 20.0 * hills.mean(), 1.0 - 3 * mask.area / 20.0
    se = 20.0 * np.sqrt(hills.var(ddof=1) / 3 * fraction)
    assert table.loc["hills", "animals"] == pytest.approx(total)
    assert table.loc["hills", "se_design"] == pytest.approx(se)
    factor = np.exp(stdtrit(2, 0.975) * np.sqrt(np.log1p((se / total) ** 2)))
    assert table.loc["hills", "upper_design"] == pytest.approx(total * factor)
    assert table.loc["plain", "se_design"] == pytest.approx(0.0, abs=1e-9)  # all of it was surveyed
    assert table.loc["all", "animals"] == pytest.approx(total + table.loc["plain", "animals"])
    alone = np.hypot(table.loc["hills", "se_model"], table.loc["plain", "se_model"])
    assert table.loc["all", "se_model"] > alone  # they share detection
    constant, _ = sites("~ 1")
    assert np.isnan(models.stratum_totals(constant, strata, areas)["se_design"]).all()
    messages = (
        (({"s0": "hills"}, areas), "a session has no stratum"),
        ((strata, {"hills": 20.0}), "the area of stratum 'plain' is not known"),
        ((strata, areas | {"plain": 1.0}), "stratum 'plain' is smaller than the masks of its sites together"),
    )
    for given, words in messages:
        with pytest.raises(SurveyError, match=words):
            models.stratum_totals(fit, *given)


def test_messages():
    fit = fitted({})
    far = shapely.box(50_900, 80_900, 52_000, 82_000)
    with pytest.raises(SurveyError, match="% of a region lies outside the habitat mask of session 1"):
        fit.joint_abundance({"far": far})
    with pytest.raises(SurveyError, match="'height' has 1600 different values on the habitat mask"):
        _codes("height", np.arange(1600.0))
    with pytest.raises(SurveyError, match="there is no such row"):
        fit.joint_abundance().total([("1", "nowhere", "all")])
