"""Covariates of sites, seasons and visits; rasters at sites; methods side by side."""

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401  (gives arrays their .rio)
import xarray as xr
from bad_inputs import good
from patrol_files import CRS, STRAIGHT, X0, Y0, cells, found, gpx, patrols, smart, times

from uncia import models, survey
from uncia.survey import DetectionHistory, SurveyError


def raster(values=None, crs=CRS, step=250.0):
    """10 × 10 km whose values are km east of the corner of the cells."""
    x, y = X0 - 2000 + step * np.arange(40), Y0 + 8000 - step * np.arange(40)
    east = np.broadcast_to((x - X0) / 1000.0, (40, 40)) if values is None else values
    layer = xr.DataArray(east.copy(), dims=("y", "x"), coords={"y": y, "x": x}).rio.write_crs(CRS)
    return layer if crs == CRS else layer.rio.reproject(crs, nodata=np.nan)


def at_cells(**more):
    grid = cells()
    visits = pd.DataFrame({"site": np.repeat(grid.name, 2), "visit": np.tile([1, 2], 9), "value": 0.0})
    return DetectionHistory(visits, grid.sites(), crs=CRS, cells=grid, area=grid.area, **more)


def two_seasons():
    visits = pd.DataFrame({"site": list("aabb"), "season": [2021, 2023] * 2, "value": [0, 1, 0, 0.0]})
    where = pd.DataFrame({"x": [X0 + 500, X0 + 4500], "y": [Y0, Y0]}, index=["a", "b"])
    return DetectionHistory(visits, where, crs=CRS)


class TestRasters:
    def test_means_over_cells(self):
        history = at_cells().with_covariate("east", raster())
        np.testing.assert_allclose(history.sites["east"], history.sites["x"] / 1000 - X0 / 1000, atol=0.13)
        steep = raster(np.arange(1600.0).reshape(40, 40) ** 2)
        mean = at_cells().with_covariate("steep", steep).sites["steep"].to_numpy()
        inside = steep.sel(x=slice(X0, X0 + 2000), y=slice(Y0 + 2000, Y0))
        open_ = (inside.x > X0) & (inside.x < X0 + 2000) & (inside.y > Y0) & (inside.y < Y0 + 2000)
        assert mean[0] == pytest.approx(float(inside.where(open_).mean()), rel=0.02)

    def test_points_and_circles(self):
        history = at_cells().with_covariate("east", raster(), how="point")
        np.testing.assert_allclose(history.sites["east"], history.sites["x"] / 1000 - X0 / 1000, atol=0.126)
        around = two_seasons().with_covariate("east", raster(), radius=700)
        np.testing.assert_allclose(around.sites["east"], [0.5, 4.5], atol=1e-9)

    def test_another_crs_and_a_file(self, tmp_path):
        raster(crs="EPSG:4326").rio.to_raster(tmp_path / "east.tif")
        got = at_cells().with_covariate("east", tmp_path / "east.tif")
        expected = at_cells().with_covariate("east", raster())
        np.testing.assert_allclose(got.sites["east"], expected.sites["east"], atol=0.15)

    def test_a_cell_smaller_than_the_raster_takes_the_value_at_its_middle(self):
        coarse = raster().coarsen(x=20, y=20).mean().rio.write_crs(CRS)
        grid = cells()
        assert set(at_cells().with_covariate("east", coarse).sites["east"]) <= set(coarse.to_numpy().ravel())
        assert len(grid) == 9

    def test_one_raster_per_season(self):
        layers = {2021: raster(), 2022: raster() + 10, 2023: raster() + 20}
        history = two_seasons().with_covariate("east", layers)
        frame = history.season_frame()
        np.testing.assert_allclose(frame["east"], [0.5, 10.5, 20.5, 4.5, 14.5, 24.5], atol=0.13)
        with pytest.raises(SurveyError, match=r"no raster of 'east' for some seasons \(found \[2022\]\)"):
            two_seasons().with_covariate("east", {2021: raster(), 2023: raster()})

    def test_missing_values(self):
        layer = raster().where(raster() > 3.0)
        with pytest.raises(SurveyError) as raised:
            at_cells().with_covariate("east", layer)
        assert "no value at 3 of 9 sites (found ['E500N3500', 'E500N3502', 'E500N3504'])" in str(raised.value)
        kept = at_cells().with_covariate("east", layer, missing="keep")
        assert kept.without_missing("east").n_sites == 6

    @pytest.mark.parametrize(
        ("history", "how", "words"),
        [
            (lambda: at_cells(), {"name": "a b"}, "a covariate needs a name that formulas can use"),
            (lambda: at_cells(), {"how": "median"}, "a choice of sampling is not known"),
            (lambda: DetectionHistory.from_wide([[1, 0]]), {}, "the history has no CRS"),
            (lambda: DetectionHistory.from_wide([[1, 0]], crs=CRS), {}, "the sites have no x and y"),
        ],
    )
    def test_refused(self, history, how, words):
        with pytest.raises(SurveyError) as raised:
            history().with_covariate(how.pop("name", "east"), raster(), **how)
        assert words in str(raised.value)


class TestTables:
    def test_sites_seasons_and_visits(self):
        history = two_seasons().with_table(pd.DataFrame({"site": ["b", "a", "z"], "slope": [3, 1, 9]}))
        assert history.sites["slope"].tolist() == [1, 3]
        history = history.with_table(pd.DataFrame({"season": [2021, 2022, 2023], "snow": [1, 2, 3]}))
        assert history.season_frame()["snow"].tolist() == [1, 2, 3] * 2
        rows = history.visits[["site", "season", "visit"]].assign(wind=[5, 6, 7, 8])
        history = history.with_table(rows.sample(frac=1, random_state=1))
        assert history.visits["wind"].tolist() == [5, 6, 7, 8]
        assert history.value.tolist() == two_seasons().value.tolist()

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ({"site": ["a"], "slope": [1]}, "the table has no row for a site of the history (found ['b'])"),
            ({"site": ["a", "a", "b"], "slope": [1, 2, 3]}, "the table has two rows for one site (found ['a'])"),
            ({"site": ["a", "b"], "x": [1, 2]}, "the history has these covariates already (found ['x'])"),
            ({"site": ["a", "b"]}, "the table has no key or no covariate"),
            (
                {"site": ["a", "b"], "visit": [1, 1], "wind": [1, 2]},
                "the table of visits lacks keys (found ['season'])",
            ),
        ],
    )
    def test_refused(self, table, words):
        with pytest.raises(SurveyError) as raised:
            two_seasons().with_table(pd.DataFrame(table))
        assert words in str(raised.value)


class TestMethods:
    @pytest.fixture
    def sign(self, tmp_path):
        seen = smart(tmp_path / "o.csv", found("P1", (3, 1)), found("P1", (5, 1), "2024-06-01 09:00"))
        walks = [("P1", [(STRAIGHT, times(11))]), ("P2", [(STRAIGHT, times(11, "2024-06-01 08:00"))])]
        return patrols(gpx(tmp_path / "w.gpx", *walks), seen).by_cell(cells())

    @pytest.fixture
    def camera(self):
        visits = pd.DataFrame({"site": ["E500N3500"] * 2 + ["E502N3500"] * 2, "visit": [1, 2] * 2})
        return DetectionHistory(visits.assign(value=[1, 0, 0, 1], effort=[30, 31, 30, 0.5]), effort_unit="camera days")

    def test_side_by_side(self, sign, camera):
        both = DetectionHistory.side_by_side({"camera": camera, "sign": sign})
        assert both.n_sites == 9 and both.cells is sign.cells and both.area.sum() == 36.0
        assert both.effort_unit == "camera days (camera); km (sign)"
        for name, history in (("camera", camera), ("sign", sign)):
            rows = both.visits["method"].eq(name).to_numpy()
            assert both.effort[rows].sum() == pytest.approx(history.effort.sum())
            assert both.done[rows].sum() == history.done.sum()
        assert both.detected.sum() == 3

    def test_the_order_of_methods_does_not_matter(self, sign, camera):
        a = DetectionHistory.side_by_side({"camera": camera, "sign": sign})
        b = DetectionHistory.side_by_side({"sign": sign, "camera": camera})
        assert a.equals(b)

    def test_two_scales(self, sign, camera):
        both = DetectionHistory.side_by_side({"camera": camera, "sign": sign}).visits_as_seasons()
        assert both.season_labels == (1, 2) and both.done.sum() == camera.done.sum() + sign.done.sum()
        model = models.MultiMethodOccupancy(both, p="~ method")
        assert np.isfinite(model.loglik(np.zeros(model.parameters.size)))
        assert set(both.visit_frame()["method"]) == {"camera", "sign"}

    def test_one_model_that_knows_no_occasions(self, sign, camera):
        both = DetectionHistory.side_by_side({"camera": camera, "sign": sign})
        assert models.Occupancy(both, p="~ method").sample_size == 3

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda s, c: {"camera": c}, "at least two methods"),
            (
                lambda s, c: {"a": c.with_table(pd.DataFrame({"site": c.sites.index, "slope": [1, 2]})),
                              "b": s.with_table(pd.DataFrame({"site": s.sites.index, "slope": 1}))},
                "the methods disagree on 'slope' at E502N3500 (found (1, 2))",
            ),
            (
                lambda s, c: {"a": DetectionHistory.side_by_side({"x": c, "y": s}), "b": s},
                "the history of 'a' has methods itself",
            ),
        ],
    )  # fmt: skip
    def test_refused(self, sign, camera, make, words):
        with pytest.raises(SurveyError) as raised:
            DetectionHistory.side_by_side(make(sign, camera))
        assert words in str(raised.value)


def test_cameras_in_cells(tmp_path):
    """Stations of one cell are one site; cells without station are sites without visits."""
    import shapely

    good.package(tmp_path)
    tables = survey.tables_from_camtrap_dp(tmp_path, timezone="Asia/Shanghai")
    how = {"species": "Panthera pardus", "crs": "EPSG:32649", "occasion": "1 day"}
    stations = survey.detection_history(tables, **how)
    x, y = stations.sites["x"], stations.sites["y"]
    grid = survey.Cells.grid(shapely.box(x.min() - 2e4, y.min() - 2e4, x.max() + 2e4, y.max() + 2e4), 10, "EPSG:32649")
    history = survey.detection_history(tables, site_from=grid, **how)
    assert history.n_sites == len(grid) and history.visited.sum() == len(set(grid.at(x, y)))
    assert history.effort.sum() == pytest.approx(stations.effort.sum()) and history.area.sum() == grid.area.sum()
    small = survey.Cells.grid(shapely.box(x.min() - 1500, y.min() - 500, x.min() + 500, y.max() + 500), 1, "EPSG:32649")
    with pytest.raises(SurveyError, match=r"deployments\.csv, row 4: location 'C' stands in no cell"):
        survey.detection_history(tables, site_from=small, **how)
    with pytest.raises(SurveyError, match="the cells are in another CRS than the survey"):
        survey.detection_history(tables, site_from=cells(), **how)


def test_cameras_and_patrols_by_the_same_seasons(tmp_path):
    """Two halves of April are the occasions; cameras and sign are the methods of each."""
    import geopandas as gpd
    import shapely

    good.package(tmp_path)
    line = shapely.LineString([(112.98, 37.0), (113.05, 37.0)])
    dates = ["2024-04-05", "2024-04-14"]
    walks = gpd.GeoDataFrame({"date": dates, "transport": "foot"}, geometry=[line, line], crs="EPSG:4326")
    walks.to_file(tmp_path / "walks.geojson")
    (tmp_path / "seen.csv").write_text("Patrol ID,date,X,Y,Species\nP1,2024-04-14,113.03,37.0,Panthera pardus\n")
    grid = survey.Cells.grid(shapely.box(676_000, 4_094_000, 684_000, 4_100_000), 2, "EPSG:32649")
    halves = {1: ("2024-04-01", "2024-04-07"), 2: ("2024-04-08", "2024-04-20")}
    tables = survey.tables_from_camtrap_dp(tmp_path, timezone="Asia/Shanghai")
    how = {"species": "Panthera pardus", "seasons": halves}
    cameras = survey.detection_history(tables, site_from=grid, crs="EPSG:32649", occasion="20 days", **how)
    mapping = {"observations": {"time": "date"}}
    patrols = survey.read_patrols(
        tmp_path / "walks.geojson", tmp_path / "seen.csv", timezone="Asia/Shanghai", mapping=mapping
    )
    sign = patrols.by_cell(grid, period="season", **how)
    both = DetectionHistory.side_by_side({"camera": cameras, "sign": sign})
    assert both.season_labels == (1, 2) and both.visits.groupby(["site", "season"]).size().eq(2).all()
    assert both.visits[both.done].groupby("method").size().to_dict() == {"camera": 6, "sign": sign.done.sum()}
    model = models.MultiMethodOccupancy(both, p="~ method")
    assert np.isfinite(model.loglik(np.zeros(model.parameters.size)))
    detected = both.visits[both.value == 1].groupby("method")["season"].unique()
    assert {method: set(seasons) for method, seasons in detected.items()} == {"camera": {1, 2}, "sign": {2}}
