"""A survey of cameras and scats from survey.toml to the report, and `uncia check` of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import small_survey
from patrol_files import gpx
from typer.testing import CliRunner

from uncia import survey
from uncia.reports.analysis import analyse
from uncia.reports.cli import app
from uncia.reports.report import write_report
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

METHODS = """
[[methods]]
name = "scat"
tracks = "walks.gpx"
scats = "scats.csv"

[[models]]
name = "two methods"
lambda0 = "~ method"
"""


def write(folder, methods=METHODS):
    """The small survey with two walks through its cells and scats of its cats beside them."""
    form = small_survey.write(folder)
    text = form.read_text("utf-8").split("[[models]]")[0]
    form.write_text(text + methods, "utf-8")
    rng = np.random.default_rng(2)
    # patrol_files counts km from (500, 3500); the small survey begins at (500, 4000)
    walks = {"A": [(x, 501.0 + 0.5 * np.sin(x)) for x in np.arange(0.0, 10.0, 0.4)]}
    walks["B"] = [(5.0 + 0.3 * np.cos(y), y) for y in np.arange(500.0, 510.0, 0.4)]
    when = {"A": "2024-05-03 08:00", "B": "2024-05-07 08:00"}
    stamps = {
        name: pd.date_range(when[name], periods=len(p), freq="8min", tz="Asia/Shanghai") for name, p in walks.items()
    }
    gpx(folder / "walks.gpx", *((name, [(points, stamps[name])]) for name, points in walks.items()))
    rows = "sample,animal,date,x,y,sex\n"
    cats = small_survey.histories().animals
    for i in range(14):
        name = "AB"[i % 2]
        x, y = walks[name][int(rng.integers(1, 20))]
        cat, sex = ("", "") if i % 5 == 4 else (cats.index[i % 4], cats["sex"].iloc[i % 4])
        rows += f"s{i},{cat},{when[name][:10]},{500_000 + 1000 * x + 5:.1f},{3_500_000 + 1000 * y:.1f},{sex}\n"
    (folder / "scats.csv").write_text(rows, "utf-8")
    return form


@pytest.fixture(scope="module")
def form(tmp_path_factory):
    return write(tmp_path_factory.mktemp("methods"))


def test_the_report_of_two_methods(form, tmp_path):
    study = read_study(form)
    assert isinstance(study.captures, survey.Together)
    assert [m for m in study.captures.methods] == ["camera", "scat"]
    assert {"walks.gpx", "scats.csv"} <= {name for name, _ in study.inputs}
    found = analyse(study)
    page = write_report(found, tmp_path / "report").read_text("utf-8")
    told = ("Walked (scat)", "Stations (camera)", "Animals by method", "camera + scat", "km walked)")
    for words in (*told, "individuals were identified in"):
        assert words in page
    assert "method = scat" in set(found.estimates["scope"])
    assert (tmp_path / "report" / "captures.gpkg").exists()


def test_check_tells_where_scats_and_records_went(form):
    result = CliRunner().invoke(app, ["check", str(form)], terminal_width=200)
    assert result.exit_code in (0, 1), result.output
    for words in ("by 2 methods (camera:", "scats.csv: 14 records read", "no identity", "walks.gpx: 2 records read"):
        assert words in " ".join(result.output.split())


def test_searched_areas_in_the_form(tmp_path):
    import geopandas as gpd
    import shapely

    box = shapely.box(504_000.0, 4_004_000.0, 507_000.0, 4_006_000.0)
    frame = gpd.GeoDataFrame({"name": ["meadow"]}, geometry=[box], crs=small_survey.CRS)
    form = write(
        tmp_path, METHODS.replace('tracks = "walks.gpx"\nscats', 'areas = "areas.gpkg"\nnames = "name"\ndetections')
    )
    frame.to_file(tmp_path / "areas.gpkg")
    (tmp_path / "scats.csv").write_text("animal,x,y\ncat 1,505000,4005000\ncat 2,506000,4004500\n", "utf-8")
    found = read_study(form).captures.methods["scat"]
    assert found.detectors.kind == "area" and found.detectors.id == ("meadow",)
    assert found.detections["detector"].tolist() == ["meadow", "meadow"]
    (tmp_path / "scats.csv").write_text("animal,x,y\ncat 1,505000,4005000\ncat 2,509000,4004500\n", "utf-8")
    with pytest.raises(
        SurveyError, match=r"scats.csv, row 3: animal 'cat 2' was detected at 'meadow' on occasion 1, but"
    ):
        read_study(form)


def folder(parent, name):
    (parent / name).mkdir()
    return parent / name


def test_two_methods_of_one_name_are_refused_as_one_would_replace_the_other(tmp_path):
    form = write(folder(tmp_path, "a"), METHODS.replace('name = "scat"', 'name = "camera"', 1))
    with pytest.raises(
        SurveyError, match=r"two methods are called 'camera' \(that of \[data\], see `method` at the top\)"
    ):
        read_study(form)
    again = METHODS.split("[[models]]")[0]
    form = write(folder(tmp_path, "b"), again + METHODS)
    with pytest.raises(SurveyError, match=r"two methods are called 'scat'\. Give each method its own name"):
        read_study(form)


def test_a_method_that_cannot_be(tmp_path):
    form = write(folder(tmp_path, "a"), METHODS.replace('tracks = "walks.gpx"\n', ""))
    with pytest.raises(SurveyError, match="the method 'scat' has scats"):
        read_study(form)
    form = write(folder(tmp_path, "b"), METHODS.replace("[[models]]", 'kind = "count"\n[[models]]', 1))
    with pytest.raises(SurveyError, match="the method 'scat' counts by cell and has no cells"):
        read_study(form)
