"""results.json and estimates.csv: what they hold, and that the schema in the package describes it."""

import copy
import io
import json

import jsonschema
import pandas as pd
import pytest
import small_survey

from uncia.reports.analysis import analyse
from uncia.reports.results import read_results, results_of, schema, to_json, write_estimates
from uncia.reports.study import read_study
from uncia.survey import SurveyError


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return analyse(read_study(small_survey.write(tmp_path_factory.mktemp("survey"))))


@pytest.fixture(scope="module")
def results(analysis):
    return results_of(analysis)


def test_the_schema_is_a_schema_and_describes_the_results(results):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(to_json(results)), schema())


@pytest.mark.parametrize("key", ["uncia", "inputs", "config", "environment", "seed", "models", "estimates"])
def test_the_schema_misses_what_is_not_there(results, key):
    less = {name: value for name, value in results.items() if name != key}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(less, schema())


def test_the_schema_refuses_what_it_does_not_know(results):
    more = copy.deepcopy(results)
    more["estimates"][0]["mood"] = "good"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(more, schema())


def test_every_model_in_every_scope(results):
    seen = {(row["model"], row["quantity"], row["scope"]) for row in results["estimates"]}
    for model in ("constant", "rugged"):
        for scope in ("habitat mask", "Valley"):
            for quantity in ("density", "expected abundance", "realised abundance"):
                assert (model, quantity, scope) in seen
        assert (model, "effective sampling area", "habitat mask") in seen
        assert (model, "lambda0", "all detectors") in seen and (model, "sigma", "all detectors") in seen
    assert len(seen) == len(results["estimates"])


def test_units_and_intervals_are_stated(results):
    units = {row["quantity"]: row["unit"] for row in results["estimates"]}
    assert units["density"] == "animals per 100 km²"
    assert units["lambda0"] == "detections per camera day"
    assert units["sigma"] == "m"
    assert all(row["interval"].startswith("95% ") for row in results["estimates"])


def test_inputs_begin_with_the_form_and_name_every_file(results):
    paths = [entry["path"] for entry in results["inputs"]]
    assert paths[0] == "survey.toml"
    assert {"data/datapackage.json", "data/deployments.csv", "data/observations.csv", "rugged.tif"} <= set(paths)
    assert "valley.gpkg" in paths


def test_the_form_inside_has_every_default(results):
    assert results["config"]["occasions"]["day_boundary"] == "noon"
    assert results["config"]["models"][0]["detection"] == "hazard half-normal"


def test_infinite_aicc_is_null(analysis, results):
    text = to_json(results | {"models": [results["models"][0] | {"aicc": None}]})
    jsonschema.validate(json.loads(text), schema())
    with pytest.raises(ValueError, match="Out of range float"):
        to_json({"aicc": float("inf")})


def test_estimates_csv_has_the_same_numbers(analysis, results, tmp_path):
    write_estimates(analysis.estimates, tmp_path / "estimates.csv")
    frame = pd.read_csv(io.StringIO((tmp_path / "estimates.csv").read_text("utf-8")))
    assert list(frame.columns) == list(results["estimates"][0])
    assert frame["estimate"].tolist() == pytest.approx([row["estimate"] for row in results["estimates"]])


def test_results_are_read_back_with_their_form(analysis, results, tmp_path):
    (tmp_path / "results.json").write_text(to_json(results), encoding="utf-8")
    again, config = read_results(tmp_path)
    assert again == results
    assert config == analysis.study.config


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "results.json, row 1: this is not JSON. Give the results.json of a report"),
        ("[]", "results.json: this is no results.json: it lacks 'uncia'. Give the one of a report"),
        ('{"uncia": "1"}', "results.json: this is no results.json: it lacks 'inputs'. Give the one of a report"),
    ],
)
def test_what_is_no_results(tmp_path, content, said):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(SurveyError) as error:
        read_results(tmp_path / "results.json")
    assert str(error.value) == said
