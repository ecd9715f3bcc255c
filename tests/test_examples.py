"""The examples: they can be made again, are read without a warning, and their intervals cover the truth."""

import json
import runpy
from pathlib import Path

import geopandas as gpd
import nbformat
import pytest
import rioxarray
from nbclient import NotebookClient

from uncia.reports.analysis import analyse
from uncia.reports.study import read_study

EXAMPLES = Path(__file__).parent.parent / "examples"
HESHUN = EXAMPLES / "heshun"


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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}}).execute()
