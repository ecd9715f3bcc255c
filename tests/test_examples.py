"""The examples: they can be made again, are read without a warning, and their intervals cover the truth."""

import json
import runpy
import warnings
from functools import cache
from pathlib import Path

import geopandas as gpd
import nbformat
import pytest
import rioxarray
from nbclient import NotebookClient

from uncia.reports.analysis import analyse
from uncia.reports.config import read_config
from uncia.reports.study import read_study, study_of
from uncia.reports.tables import ledger

EXAMPLES = Path(__file__).parent.parent / "examples"
HESHUN = EXAMPLES / "heshun"
# Examples made again by a test, and how many bytes they may have.
MADE = {"desert_cats": 3e5, "released_animals": 3e5, "leopards_ten_years": 3e5, "ranger_patrols": 1.5e6}
MADE |= {"mountain_reserve": 6e5, "twelve_sites": 1e5}

DRAWN = {"10_density_surface", "11_few_animals"}  # notebooks that need PyMC


@pytest.fixture(scope="module")
def heshun():
    return read_study(HESHUN)


def test_the_survey_is_made_again(tmp_path):
    """Text byte for byte; the map files by content, because their bytes change with the version of GDAL."""
    runpy.run_path(str(HESHUN / "make.py"))["main"](tmp_path)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    text = {name for name in made if name.endswith((".csv", ".json"))}
    assert made - text == {"study_area.gpkg", "ruggedness.tif"}
    assert {"camtrap-dp/observations.csv", "camtrap-dp/identities.csv", "truth.json"} <= text
    for name in text:
        assert (tmp_path / name).read_bytes() == (HESHUN / name).read_bytes(), name
    first, second = (gpd.read_file(folder / "study_area.gpkg") for folder in (tmp_path, HESHUN))
    assert first.geometry.iloc[0].equals(second.geometry.iloc[0]) and first.crs == second.crs
    rasters = [rioxarray.open_rasterio(folder / "ruggedness.tif") for folder in (tmp_path, HESHUN)]
    assert rasters[0].equals(rasters[1]) and rasters[0].rio.crs == rasters[1].rio.crs


def test_the_example_is_small():
    assert sum(p.stat().st_size for p in HESHUN.rglob("*") if p.is_file() and "report" not in p.parts) < 3e6


def test_the_survey_is_like_the_one_it_stands_for(heshun):
    captures, tables = heshun.captures, heshun.captures.tables
    assert tables.deployments["camera"].nunique() == 300
    assert tables.deployments["location"].duplicated().sum() == 30  # two cameras at one place are one detector
    assert len(captures.detectors) == 270 and captures.n_occasions == 90
    assert 80 <= captures.n_animals <= 100
    assert len(tables.failures) > 20 and tables.failures["reason"].nunique() == 5
    assert captures.ledger.count("no identity") > 0 and captures.ledger.count("blank") > 0
    assert not heshun.findings.errors and not heshun.findings.warnings


def test_the_headline_covers_the_truth(heshun):
    analysis = analyse(heshun)
    truth = json.loads((HESHUN / "truth.json").read_text("utf-8"))["scopes"]["Heshun county"]
    names = {
        "density": "density (animals per 100 km²)",
        "expected abundance": "expected abundance",
        "realised abundance": "realised abundance",
    }
    assert analysis.reported == "ruggedness" and analysis.fit.verdict.good
    for quantity, name in names.items():
        told = analysis.told(quantity, "Heshun county")
        assert told["lower"] <= truth[name] <= told["upper"], quantity


@pytest.mark.parametrize("name", MADE)
def test_the_small_surveys_are_made_again(name, tmp_path):
    """Text byte for byte; maps by content."""
    runpy.run_path(str(EXAMPLES / name / "make.py"))["main"](tmp_path)
    there = files_of(EXAMPLES / name)
    made = set(files_of(tmp_path))
    assert made | {"make.py"} == {file for file in there if not file.endswith(".toml")}
    for file in made:
        first, second = tmp_path / file, EXAMPLES / name / file
        if file.endswith(".gpkg"):
            assert gpd.read_file(first).geometry.iloc[0].equals(gpd.read_file(second).geometry.iloc[0])
        elif file.endswith(".tif"):
            assert rioxarray.open_rasterio(first).equals(rioxarray.open_rasterio(second))
        else:
            assert first.read_bytes() == second.read_bytes(), file
    assert sum((EXAMPLES / name / file).stat().st_size for file in there) < MADE[name]


def files_of(folder):
    """Paths of an example's files within its folder, without a report that somebody made of it."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return [file.as_posix() for file in files if not {"report", "__pycache__"} & set(file.parts)]


@cache
def of_form(name, form="survey.toml"):
    """The analysis of an example without its simulated goodness of fit, and its truth."""
    config = read_config(EXAMPLES / name / form)
    if hasattr(config.report, "goodness"):
        config = config.model_copy(update={"report": config.report.model_copy(update={"goodness": 0})})
    analysis = analyse(study_of(config, EXAMPLES / name, form))
    assert analysis.fit.verdict.good
    return analysis, json.loads((EXAMPLES / name / "truth.json").read_text("utf-8"))


def test_desert_cats_are_counted_by_site_and_not_by_plateau():
    analysis, truth = of_form("desert_cats")
    told = analysis.told("abundance")
    assert analysis.reported == "Royle-Nichols, shrub"
    assert told["lower"] < truth["cats within 2 sigma of a camera, mean"] < told["upper"]
    assert told["unit"] == "animals per site"


def test_the_area_that_rangers_found_occupied_covers_the_truth():
    """Sign comes in runs: the model that knows it covers the truth, and the one that does not is too sure."""
    analysis, truth = of_form("ranger_patrols")
    area, occupied = truth["area occupied (km²)"], analysis.study.history.sites.index.isin(truth["occupied"])
    assert analysis.reported == "sign in runs"
    told = analysis.told("area occupied")
    assert told["lower"] < area < told["upper"]
    plain = analysis.estimates.query("model == 'segments as independent replicates' and quantity == 'area occupied'")
    assert plain["upper"].item() < area and area == 25 * occupied.sum()
    assert not analysis.study.history.detected[~occupied].any()  # rangers never take a fox for a leopard
    names = {"use after an unused segment": "use of a kilometre after an unused one"}
    names |= {"use after a used segment": "use of a kilometre after a used one"}
    names |= {"detection": "detection of the sign of a used kilometre"}
    for quantity, name in names.items():
        row = analysis.told(quantity)
        assert row["lower"] < truth[name] < row["upper"], quantity


def test_snow_leopards_by_cameras_scats_and_collars_are_as_many_as_they_truly_are():
    analysis, truth = of_form("mountain_reserve")
    assert analysis.reported == "ruggedness" and analysis.study.captures.shared()["camera + scat"] > 10
    told = analysis.told("expected abundance", "Reserve")
    assert told["lower"] < truth["animals in the reserve, expected"] < told["upper"]
    told = analysis.told("realised abundance", "Reserve")
    assert told["lower"] < truth["animals in the reserve"] < told["upper"]
    sigma = analysis.told("sigma")
    assert sigma["lower"] < truth["sigma (m)"] < sigma["upper"]
    camera = analysis.told("lambda0", "method = camera")
    assert camera["lower"] < truth["detections per camera day at the activity centre"] < camera["upper"]


def test_a_table_of_many_files_tells_them_together():
    analysis, _ = of_form("ranger_patrols")
    told = ledger(analysis).set_index(["file", "reason"])["records"]
    assert dict(told.loc["62 files .gpx"]) == {"read": "62", "used": "60", "moved by vehicle": "2"}
    assert {file for file, _ in told.index} == {"62 files .gpx", "smart.csv"}


def test_released_animals_survive_as_they_truly_do():
    analysis, truth = of_form("released_animals")
    year = truth["survival of 52 weeks"]
    whole = analysis.estimates.query("model == 'first weeks' and scope == 'over 52 weeks'").iloc[0]
    assert whole["lower"] < year["all"] < whole["upper"]
    assert analysis.reported == "first weeks, origin and species"
    for row in analysis.estimates.query("model == @analysis.reported and scope.str.startswith('over')").itertuples():
        origin, species = (part.split(" = ")[1] for part in row.scope.split(", ")[1:])
        assert row.lower < year[f"{species}, {origin}"] < row.upper


def test_leopards_survive_by_stage_as_they_truly_do():
    analysis, truth = of_form("leopards_ten_years")
    assert analysis.reported == "stage, more cubs since 2020"
    rows = analysis.estimates.query("model == @analysis.reported and quantity == 'survival'").set_index("scope")
    true = {
        "occasion = 2015 to 2019, state = cub": truth["survival"]["cub"]["before 2020"],
        "occasion = 2020 to 2024, state = cub": truth["survival"]["cub"]["since 2020"],
        "occasion = 2015 to 2024, state = subadult": truth["survival"]["subadult"],
        "occasion = 2015 to 2024, state = adult": truth["survival"]["adult"],
    }
    assert set(true) == set(rows.index)
    assert all(rows.loc[scope, "lower"] < value < rows.loc[scope, "upper"] for scope, value in true.items())


def test_adult_leopards_are_as_many_as_they_truly_are():
    analysis, truth = of_form("leopards_ten_years", "adults.toml")
    expected = analysis.estimates.query("model == @analysis.reported and quantity == 'expected abundance'")
    for row in expected.itertuples():
        assert row.lower < truth["adults"][row.scope] < row.upper


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path):
    notebook, slow = nbformat.read(path, as_version=4), path.stem in DRAWN
    if slow:  # committed with outputs, for those who cannot run them
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ArviZ announces its next version
            pytest.importorskip("pymc", reason="PyMC is not installed: pip install -e '.[bayes]'")
    assert any(cell.get("outputs") for cell in notebook.cells) == slow, (
        "commit notebooks without outputs, but for these"
    )
    NotebookClient(
        notebook, timeout=1500 if slow else 300, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}}
    ).execute()
