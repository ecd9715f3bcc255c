"""Least-cost distance and barriers from survey.toml to the report."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import shapely
import small_survey
from test_cli import run
from test_config import message

from uncia.models import LeastCost
from uncia.reports.analysis import analyse
from uncia.reports.study import read_study
from uncia.reports.texts import texts

LEAST_COST = """
[[models]]
name = "least cost"
distance = "least cost"
cost = "~ rugged"
"""


def form(folder):
    """The small survey with a river that has a ford, and a model with ways of least cost."""
    path = small_survey.write(folder)
    river = shapely.LineString([(503_750, 3_990_000), (503_750, 4_006_000)])
    gpd.GeoDataFrame({"name": ["river"]}, geometry=[river], crs=small_survey.CRS).to_file(path.parent / "river.gpkg")
    text = path.read_text("utf-8").replace("[mask]\n", '[mask]\nbarriers = "river.gpkg"\n')
    path.write_text(text + LEAST_COST + '\n[report]\nmodel = "least cost"\n', encoding="utf-8")
    return path


def test_from_the_form_to_the_page(tmp_path):
    study = read_study(form(tmp_path))
    assert "river.gpkg" in {path for path, _ in study.inputs}
    analysis = analyse(study)
    fit = analysis.fit
    assert isinstance(fit.model.distance, LeastCost)
    rows = analysis.estimates.query("model == 'least cost' and quantity == 'cost'")
    assert rows["scope"].tolist() == ["rugged"]
    assert rows["estimate"].iloc[0] == fit.vector[-1]
    along = "Distances are not straight lines but along the ways that cost an animal least"
    said = [p for _, paragraphs, _ in study.story(analysis).outline(texts("en")) for p in paragraphs]
    assert f"{along}, around the barriers of the survey." in said


def test_simulate_takes_the_barriers_along(tmp_path):
    values = ["--set", "D=6", "--set", "lambda0=0.1", "--set", "sigma=2000", "--set", "cost.rugged=0.3"]
    result = run("simulate", form(tmp_path), "--seed", 4, "--out", tmp_path / "sim", *values)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sim" / "river.gpkg").exists()
    truth = json.loads((tmp_path / "sim" / "truth.json").read_text("utf-8"))
    assert truth["model"]["distance"] == "LeastCost(~ rugged, 16 neighbours, barriers)"
    assert run("check", tmp_path / "sim").exit_code == 0


def test_message(tmp_path):
    text = small_survey.FORM + '\n[[models]]\nname = "c"\ncost = "~ rugged"\n'
    assert "model 'c' has a cost and straight distances" in message(tmp_path, text)


def test_collars_go_along_the_ways(tmp_path):
    path = form(tmp_path)
    name, rng = small_survey.histories().animals.index[0], np.random.default_rng(4)
    places = np.array([505_000, 4_005_000]) + rng.normal(0.0, 1500.0, (8, 2))
    rows = [f"{name},{x:.0f},{y:.0f},2024-05-{i + 1:02d} 04:00" for i, (x, y) in enumerate(places)]
    (path.parent / "collars.csv").write_text("\n".join(["animal,x,y,time", *rows]), "utf-8")
    before, after = (
        path.read_text("utf-8").replace('cost = "~ rugged"', 'through = "everywhere"').split("[[models]]", 1)
    )
    ways = after[after.index('name = "least cost"') :]
    path.write_text(f'{before}[[models]]\n{ways}\n[telemetry]\nfile = "collars.csv"\n', "utf-8")
    study = read_study(path)
    analysis = analyse(study)
    assert len(analysis.fit.model.captures.telemetry) == 8
    distance = "LeastCost(shortest way, 16 neighbours, barriers, through more than habitat)"
    assert repr(analysis.fit.model.distance) == distance
    said = " ".join(p for _, paragraphs, _ in study.story(analysis).outline(texts("en")) for p in paragraphs)
    assert "Distances are not straight lines" in said
    bad = path.read_text("utf-8").replace('distance = "least cost"\n', "")
    assert "model 'least cost' has straight distances, which lead through" in message(tmp_path, bad)
