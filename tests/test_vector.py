"""Outlines from vector files: any CRS, holes, several shapes; and what a file can lack."""

import geopandas as gpd
import pytest
import shapely

from uncia.survey import HabitatMask, SurveyError
from uncia.survey.vector import read_region

UTM = "EPSG:32649"
LAKE = shapely.box(112.45, 37.15, 112.50, 37.20)
COUNTY = shapely.box(112.40, 37.10, 112.60, 37.30).difference(LAKE)


def layer(geometry=COUNTY, crs="EPSG:4326"):
    return gpd.GeoDataFrame({"name": ["county"]}, geometry=[geometry], crs=crs)


@pytest.mark.parametrize("file", ["county.gpkg", "county.shp", "county.geojson"])
def test_a_file_in_degrees_is_projected(tmp_path, file):
    layer().to_file(tmp_path / file)
    mask = HabitatMask.from_polygon(tmp_path / file, 250, UTM)
    area = layer().to_crs(UTM).area.sum() / 1e6
    assert mask.crs.to_epsg() == 32649
    assert mask.area == pytest.approx(area, rel=0.01)
    assert mask.cell_of(*map(float, layer(LAKE).to_crs(UTM).union_all().centroid.coords[0])) == -1


def test_a_file_in_another_zone_is_projected(tmp_path):
    layer().to_crs("EPSG:32650").to_file(tmp_path / "county.gpkg")
    mask = HabitatMask.from_polygon(tmp_path / "county.gpkg", 500, UTM)
    assert mask.size == pytest.approx(HabitatMask.from_polygon(layer(), 500, UTM).size, rel=0.01)
    assert HabitatMask.from_polygon(tmp_path / "county.gpkg", 500).crs.to_epsg() == 32650


def test_several_shapes_become_one(tmp_path):
    parts = [shapely.box(0, 0, 600, 1000), shapely.box(400, 0, 1000, 1000), shapely.Point(5000, 5000)]
    gpd.GeoDataFrame(geometry=parts, crs=UTM).to_file(tmp_path / "parts.gpkg")
    geometry, _ = read_region(tmp_path / "parts.gpkg")
    assert geometry.equals(shapely.box(0, 0, 1000, 1000))


def test_crossing_outlines_are_repaired():
    bow_tie = shapely.Polygon([(0, 0), (1000, 1000), (1000, 0), (0, 1000)])
    assert read_region(bow_tie)[0].area == pytest.approx(500_000)


def test_a_bare_geometry_is_in_metres_of_the_stated_crs():
    assert read_region(shapely.box(0, 0, 1, 1))[1] is None
    assert read_region(shapely.box(0, 0, 1, 1), UTM)[1].to_epsg() == 32649


def message(region, crs=None) -> str:
    with pytest.raises(SurveyError) as error:
        read_region(region, crs)
    return str(error.value)


def test_degrees_name_the_zone(tmp_path):
    layer().to_file(tmp_path / "county.gpkg")
    assert message(tmp_path / "county.gpkg") == (
        "county.gpkg: the layer is in degrees, and distances need metres. "
        "Say into which CRS to project it, e.g. crs='EPSG:32649'"
    )


def test_a_shapefile_without_its_prj(tmp_path):
    layer().to_file(tmp_path / "county.shp")
    (tmp_path / "county.prj").unlink()
    assert message(tmp_path / "county.shp", UTM) == (
        "county.shp: the layer states no CRS. Save it with its CRS (a shapefile needs its .prj beside it), "
        "or set it with geopandas set_crs"
    )


def test_a_file_with_several_layers(tmp_path):
    for name in ("county", "park"):
        layer(crs=UTM).to_file(tmp_path / "all.gpkg", layer=name)
    assert message(tmp_path / "all.gpkg").startswith(
        "all.gpkg: the file does not have one layer (found ['county', 'park']). Save the outline in a file of "
        "its own (in Python, give geopandas.read_file(path, layer=…))"
    )


def test_no_area_no_file_no_vector_file(tmp_path):
    layer(shapely.Point(1, 1), UTM).to_file(tmp_path / "point.gpkg")
    (tmp_path / "text.gpkg").write_text("an outline")
    assert message(tmp_path / "point.gpkg") == (
        "point.gpkg: the layer holds no polygon with an area (found 'Point'). Give the outline as a polygon"
    )
    assert message(tmp_path / "text.gpkg").startswith("text.gpkg: the file cannot be read as a vector layer")
    assert message("nowhere.shp").startswith("nowhere.shp: there is no such file. Check the path")
    assert "holds no polygon" in message(layer().iloc[:0], UTM)
    assert message(COUNTY, "EPSG:4326").startswith("the coordinate reference system is in degrees")
