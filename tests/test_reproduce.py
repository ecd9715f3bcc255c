"""uncia reproduce: the same numbers again, or which input, version or number is another."""

import json
import shutil

import pytest
import small_survey
from typer.testing import CliRunner

from uncia.reports.cli import app
from uncia.reports.reproduce import Number


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    form = small_survey.write(folder)
    assert CliRunner().invoke(app, ["report", str(form)]).exit_code == 0
    return folder


@pytest.fixture
def survey(reported, tmp_path):
    shutil.copytree(reported, tmp_path / "copy")
    return tmp_path / "copy"


def reproduce(folder, *words):
    return CliRunner().invoke(app, ["reproduce", str(folder / "report" / "results.json"), *map(str, words)])


def change(folder, edit):
    path = folder / "report" / "results.json"
    results = json.loads(path.read_text("utf-8"))
    edit(results)
    path.write_text(json.dumps(results), encoding="utf-8")


def test_the_same_numbers_come_out(survey):
    result = reproduce(survey)
    assert result.exit_code == 0
    assert "DIFFERENT" not in result.output and "Changed" not in result.output
    assert "same       constant: density in Valley: " in result.output
    assert result.output.strip().endswith("numbers come out the same (to 1e-06).")


def test_another_number_is_named(survey):
    def edit(results):
        row = next(r for r in results["estimates"] if (r["model"], r["quantity"]) == ("rugged", "sigma"))
        row["estimate"] *= 1 + 1e-5

    change(survey, edit)
    result = reproduce(survey)
    assert result.exit_code == 1
    assert "DIFFERENT  rugged: sigma in all detectors: " in result.output
    assert "1 of " in result.output and "please tell us" in result.output


def test_a_changed_input_is_named(survey):
    path = survey / "data" / "observations.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    blank = next(i for i, line in enumerate(lines) if ",blank," in line)
    path.write_text("".join(lines[:blank] + lines[blank + 1 :]), encoding="utf-8")
    result = reproduce(survey)
    assert "Changed: data/observations.csv is not the file it was" in result.output
    assert result.exit_code == 0  # a blank image fewer changes no number


def test_a_changed_version_is_named(survey):
    change(survey, lambda results: results["environment"].update(scipy="0.1"))
    assert "Changed: scipy was 0.1 and is " in reproduce(survey).output


def test_missing_inputs(survey, tmp_path):
    (survey / "rugged.tif").unlink()
    result = reproduce(survey)
    assert result.exit_code == 1
    assert "1 of 9 inputs are missing" in result.output and "rugged.tif" in result.output


def test_results_far_from_their_inputs(survey, tmp_path):
    far = tmp_path / "far" / "report"
    far.mkdir(parents=True)
    shutil.copy(survey / "report" / "results.json", far)
    result = reproduce(far.parent)
    assert result.exit_code == 1
    assert "Say with --data in which folder survey.toml lies" in result.output
    assert reproduce(far.parent, "--data", survey).exit_code == 0


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [(1.0, 1.0 + 9e-7, True), (1.0, 1.0 + 2e-6, False), (None, None, True), (None, 1.0, False), (0.0, 0.0, True)],
)
def test_what_counts_as_the_same(then, now, same):
    assert Number("x", then, now).same is same
