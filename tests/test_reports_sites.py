"""Reports of sites: occupancy and counts from survey.toml, all models, maps, the public, and the same numbers again."""

import json
import re

import geopandas as gpd
import jsonschema
import numpy as np
import patrol_files
import pytest
import rioxarray
import shapely
import small_sites
import small_survey

from uncia.reports import report, words
from uncia.reports.analysis import analyse
from uncia.reports.files import write_geopackage
from uncia.reports.reproduce import reproduce
from uncia.reports.results import results_of, schema
from uncia.reports.sites.form import MODELS
from uncia.reports.study import read_study
from uncia.reports.tables import tables_of
from uncia.reports.texts import texts

TEXTS = texts("en")
LAND = '[mask]\npolygon = "land.gpkg"\nspacing = 1000\ncovariates = { rugged = "rugged.tif" }\n'
TWO = small_sites.models(
    'name = "constant"', 'name = "rugged"\npsi = "~ rugged + slope"\nexposure = true'
) + small_sites.REPORT.format(goodness=5, model="rugged")


def page(folder):
    return (folder / "report.html").read_text("utf-8")


def ids(folder):
    return re.findall(r'(?:figure|div class="table") id="(\w+)"', page(folder))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sites")
    small_sites.sites(place, LAND + TWO)
    return place


@pytest.fixture(scope="module")
def analysis(folder):
    return analyse(read_study(folder))


@pytest.fixture(scope="module")
def written(analysis, folder):
    return report.write_report(analysis, folder / "report").parent


def test_the_page_has_its_tables_and_figures(written):
    found = ids(written)
    assert sorted(found) == sorted(set(found))
    wanted = {"T1", "T8", "T9", "T10", "T11", "T12", "T14", "T21", "F20", "F21", "F23a", "F23b"}
    assert wanted <= set(found)
    text = page(written)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text) and "<script" not in text
    assert 'id="F22"' not in text  # psi depends on the slope of the sites, of which there is no raster


def test_the_headline_says_found_and_estimated(analysis):
    said = words.headline(analysis, TEXTS)
    found, visited = map(int, re.match(r"Cats were found at (\d+) of (\d+) sites visited\.", said).groups())
    assert found == int(analysis.study.history.detected.any(axis=1).sum()) and visited == 30
    row = analysis.told("proportion occupied")
    assert f"Allowing for what was overlooked, {words.percent(row['estimate'])} of the sites are in use" in said
    assert f"95 % interval {words.percent(row['lower'])} to {words.percent(row['upper'])}" in said


def test_missing_visits_are_told_and_are_no_zeros(analysis):
    missing = int((~analysis.study.history.done).sum())
    assert missing > 0
    assert f"{missing} visits that could have been did not take place" in words.in_short(analysis, TEXTS)[0]


def test_the_results_are_as_the_schema_says_and_come_out_again(analysis, written):
    results = json.loads((written / "results.json").read_text("utf-8"))
    jsonschema.validate(results, schema())
    assert results["config"]["models"][1]["psi"] == "~ rugged + slope"
    assert {row["test"].split(" (")[0] for row in results["goodness"]} >= {"MacKenzie-Bailey"}
    assert results["inputs"][0]["path"] == "survey.toml"
    assert {"visits.csv", "sites.csv", "rugged.tif", "land.gpkg"} <= {e["path"] for e in results["inputs"]}
    again = reproduce(written)
    assert again.same and len(again.numbers) > 30
    assert any(number.what.startswith("rugged: MacKenzie-Bailey") for number in again.numbers)


def test_another_number_of_the_goodness_of_fit_is_noticed(written, tmp_path):
    results = json.loads((written / "results.json").read_text("utf-8"))
    results["goodness"][0]["statistic"] *= 1.001
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    again = reproduce(tmp_path / "results.json", written.parent)
    assert [number.what.split(", ")[-1] for number in again.different] == ["statistic"]


def test_sites_carry_the_raster_and_the_map_is_predicted(tmp_path):
    form = small_sites.models('name = "rugged"\npsi = "~ rugged"') + small_sites.REPORT.format(
        goodness=0, model="rugged"
    )
    small_sites.sites(tmp_path, LAND + form)
    study = read_study(tmp_path)
    raster = rioxarray.open_rasterio(tmp_path / "rugged.tif").squeeze()
    sites = study.history.sites
    near = [float(raster.sel(x=s.x, y=s.y, method="nearest")) for s in sites.itertuples()]
    assert np.corrcoef(near, sites["rugged"])[0, 1] > 0.9
    made = analyse(study)
    folder = report.write_report(made, tmp_path / "report").parent
    assert {"F22", "F23a"} <= set(ids(folder)) and "T12" not in ids(folder)
    layers = rioxarray.open_rasterio(folder / "psi.tif")
    assert layers.rio.crs == "EPSG:32647" and layers.shape == (4, 20, 20)
    predicted = made.fit.predict("psi", study.mask)["estimate"]
    np.testing.assert_allclose(np.sort(layers[0].to_numpy().ravel()), np.sort(predicted.to_numpy().ravel()), rtol=1e-5)
    points = gpd.read_file(folder / "sites.gpkg")
    assert len(points) == 30 and points["occupied"].between(0, 1).all()
    public = report.write_report(report.public(made), tmp_path / "report").parent
    assert not (public / "sites.gpkg").exists() and not any((public / "figures").glob("F21*"))
    coarse = rioxarray.open_rasterio(public / "psi.tif")
    assert coarse.rio.resolution() == (10_000.0, -10_000.0)
    assert not re.search(r"S\d\d", re.sub(r"base64,[\w+/=]+", "", page(public)))


# ---- every model ----------------------------------------------------------------------------------------------------

COUNTS = small_sites.visits(most=4)
STATES = small_sites.visits(most=2)
SEASONS = small_sites.visits(seasons=4)
TIMES = small_sites.visits().assign(effort=lambda t: t["effort"] * (1 + 0.37 * (t["value"] == 1)))
ASKED = {
    "Occupancy": ("psi = '~ slope'", None),
    "RoyleNichols": ("lambda = '~ slope'\nexposure = true", None),
    "SignSurvey": ("theta_initial = 'stationary'", small_sites.visits(j=8)),
    "FalsePositiveOccupancy": ("", STATES),
    "MultistateOccupancy": ("", STATES),
    "MultiMethodOccupancy": ("", SEASONS),
    "DynamicOccupancy": ("epsilon = '~ slope'", SEASONS),
    "TimeToDetection": ("", TIMES),
    "NMixture": ("lambda = '~ slope'", COUNTS),
    "Removal": ("", COUNTS),
    "OpenNMixture": ("most = 9", small_sites.visits(most=3, seasons=2, n=12)),
}


def test_every_model_of_sites_is_asked_for_here():
    assert set(ASKED) <= {model.__name__ for model in MODELS}


@pytest.mark.parametrize("model", ASKED)
def test_every_model_is_reported(model, tmp_path):
    lines, table = ASKED[model]
    form = small_sites.models(f'name = "one"\nmodel = "{model}"\n{lines}')
    small_sites.sites(tmp_path, form + small_sites.REPORT.format(goodness=0, model="one"), table)
    made = analyse(read_study(tmp_path))
    assert type(made.fit.model).__name__ == model
    said = words.headline(made, TEXTS)
    assert said.startswith("Cats were found at ") and "interval" in said
    assert {"T1", "T8", "T9", "T11", "T21"} <= set(tables_of(made, TEXTS))
    jsonschema.validate(results_of(made), schema())
    assert TEXTS.of_model(model), "en.toml says in a sentence what the model means"


def test_seasons_are_told_from_the_first_to_the_last(tmp_path):
    form = small_sites.models('name = "one"\nmodel = "DynamicOccupancy"')
    small_sites.sites(tmp_path, form + small_sites.REPORT.format(goodness=0, model="one"), SEASONS)
    folder = report.write_report(analyse(read_study(tmp_path)), tmp_path / "report").parent
    assert {"T20", "F24"} <= set(ids(folder))
    assert "season 2020" in page(folder) and "season 2023" in page(folder)
    assert "From season to season occupancy changed by a factor of" in page(folder)


def test_the_records_of_cameras_become_visits(tmp_path):
    form = small_survey.write(tmp_path)
    text = form.read_text("utf-8")
    form.write_text(
        text[: text.index("[mask]")]
        + '[occasions]\nlength = "5 days"\n'
        + small_sites.models('name = "one"\nmodel = "Occupancy"')
        + small_sites.REPORT.format(goodness=0, model="one"),
        encoding="utf-8",
    )
    made = analyse(read_study(tmp_path))
    assert made.study.history.n_sites == 25 and made.study.species == "Panthera uncia"
    assert {"T3", "T4", "T16"} <= set(tables_of(made, TEXTS))
    results = results_of(made)
    assert {"data/observations.csv", "data/deployments.csv"} <= {entry["path"] for entry in results["inputs"]}


def test_patrols_become_visits_to_cells_or_segments(tmp_path):
    (tmp_path / "tracks").mkdir()
    way = np.arange(0.1, 6.0, 0.25)
    for k, north in enumerate((1.0, 3.0, 1.0)):
        when = patrol_files.times(len(way), start=f"2024-05-{k + 1:02d} 08:00")
        patrol_files.gpx(tmp_path / "tracks" / f"P{k}.gpx", (f"P{k}", [([(x, north) for x in way], when)]))
    lon, lat = patrol_files.degrees([(0.6, 1.0)])[0]
    seen = f"P0,foot,2024-05-01,08:20:00,{lon},{lat},scat,{patrol_files.CAT}\n"
    (tmp_path / "smart.csv").write_text(patrol_files.SMART + seen)
    (tmp_path / "mapping.toml").write_text('[tracks]\npatrol = "name"\n')
    x, y = patrol_files.X0, patrol_files.Y0
    area = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(x, y, x + 6000, y + 4000)], crs=patrol_files.CRS)
    write_geopackage(area, tmp_path / "area.gpkg", "area")
    head = small_sites.HEAD + f'species = "{patrol_files.CAT}"\ntimezone = "Asia/Shanghai"\n'
    data = '[data]\nformat = "patrols"\npath = "tracks"\nobservations = "smart.csv"\nmapping = "mapping.toml"\n'
    data += 'cells = "area.gpkg"\nside_km = 2\n[patrols]\ntransport = "foot"\n'
    (tmp_path / "survey.toml").write_text(head + data + small_sites.models('name = "a"') + "[report]\ngoodness = 0\n")
    made = analyse(read_study(tmp_path))
    assert made.study.history.n_sites == 6 and made.study.history.detected.sum() == 1
    assert {"T1", "T16", "T21", "T22"} <= set(tables_of(made, TEXTS))
    paths = {entry["path"] for entry in results_of(made)["inputs"]}
    assert {"tracks/P0.gpx", "smart.csv", "mapping.toml", "area.gpkg"} <= paths
    assert set(made.story.figures()) >= {"F20", "F21"}
    text = (tmp_path / "survey.toml").read_text("utf-8").replace("[patrols]", "[patrols]\nsegment_km = 1")
    (tmp_path / "survey.toml").write_text(text)
    assert "trail" in read_study(tmp_path).history.visits


def test_covariates_of_every_sort_are_drawn(tmp_path):
    table = small_sites.visits(seasons=3, n=40).assign(team=lambda t: np.where(t["visit"] % 2, "north", "south"))
    table.loc[table["site"] == "S01", ["value", "effort"]] = ["", 0]  # a site that was never visited
    entry = small_sites.models('name = "one"\nmodel = "DynamicOccupancy"\npsi = "~ slope"\np = "~ C(season) + team"')
    small_sites.sites(tmp_path, entry + small_sites.REPORT.format(goodness=0, model="one"), table)
    made = analyse(read_study(tmp_path))
    figures = made.story.figures()
    assert list(made.story._curves().values()) == [("psi", "slope"), ("p", "season"), ("p", "team")]
    shown = {name: figures[name]() for name in ("F20", "F23a", "F23b", "F23c")}
    assert [text.get_text() for text in shown["F23b"].get_xticklabels()] == ["2020", "2021", "2022"]
    assert [text.get_text() for text in shown["F23c"].get_xticklabels()] == ["north", "south"]
    assert len(shown["F23a"].lines[0].get_xdata()) == 60


@pytest.mark.parametrize(
    ("rows", "exposure", "expected"),
    [
        ("A,1,1\nB,0,1\n", True, {"sites-without-repeats", "few-sites-found"}),
        ("A,1,1\nA,0,1\nB,1,1\n", True, {"found-everywhere"}),
        ("A,1,7\nA,0,1\nB,0,7\n", False, {"few-sites-found", "effort-ignored"}),
        ("A,1,1\nA,0,1\nB,,0\nC,0,1\n", True, {"few-sites-found", "sites-never-visited"}),
    ],
)
def test_checks_of_visits(rows, exposure, expected, tmp_path):
    (tmp_path / "v.csv").write_text("site,value,effort\n" + rows)
    data = f"{small_sites.HEAD}[data]\nformat = 'visits'\npath = 'v.csv'\n"
    entry = small_sites.models(f"name = 'a'\nexposure = {str(exposure).lower()}")
    (tmp_path / "survey.toml").write_text(data + entry)
    findings = read_study(tmp_path).findings
    assert set(findings.ids) == expected
    assert all(finding.fix for finding in findings)
