"""Two results beside each other, the environment, and the section on what has changed since the last report."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import small_years

from uncia.reports import freeze, report
from uncia.reports.analysis import analyse
from uncia.reports.compare import compare, compare_results
from uncia.reports.reproduce import changed_inputs
from uncia.reports.results import read_results, schema
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One year with its report."""
    made = tmp_path_factory.mktemp("year")
    small_years.write_year(made, 2024, 14, 4)
    report.write_report(analyse(read_study(made / "2024")), made / "2024" / "report")
    return made / "2024"


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "report" / "results.json").read_text("utf-8"))


def test_nothing_moves_between_a_report_and_itself(folder, results):
    found = compare(folder / "report", folder / "report" / "results.json")
    assert found.moved == () and found.changes == () and found.unmoved > 20
    assert found.why == "nothing is known to have changed"


def test_numbers_that_moved_by_their_standard_errors(results):
    now = copy.deepcopy(results)
    row = now["estimates"][0]
    row["estimate"] += 0.5 * row["se"]
    found = compare_results(results, now)
    assert [m.what for m in found.moved] == [f"constant: {row['quantity']} in {row['scope']}"]
    assert found.moved[0].errors == pytest.approx(0.5) and found.furthest == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda r: r["inputs"][1].update(sha256="0" * 64), "data", "captures.txt is not the file it was"),
        (lambda r: r["inputs"].pop(), "data", "traps.txt is no longer read"),
        (lambda r: r["inputs"].append({"path": "2019/survey.toml", "sha256": ""}), "config", "2019/survey.toml is new"),
        (lambda r: r["inputs"].append({"path": "registry.toml", "sha256": ""}), "data", "registry.toml is new"),
        (lambda r: r["config"]["mask"].update(buffer=9000.0), "config", "mask.buffer was 8000.0 and is 9000.0"),
        (lambda r: r["config"]["models"][0].update(D="~ x"), "config", "models.constant.D was '~ 1' and is '~ x'"),
        (lambda r: r["environment"].update(numpy="1.0"), "version", "and is 1.0"),
        (lambda r: r.update(uncia="9.9"), "version", "and is 9.9"),
    ],
)
def test_what_changed_is_told_by_its_kind(results, change, kind, said):
    now = copy.deepcopy(results)
    change(now)
    found = compare_results(results, now)
    assert [k for k, _ in found.changes] == [kind] and said in found.changes[0][1]
    assert found.why == kind


def test_several_changes_can_each_be_the_reason(results):
    now = copy.deepcopy(results)
    now["uncia"] = "9.9"
    now["config"]["seed"] = 8
    assert compare_results(results, now).why == "config or version"


def test_the_next_report_says_what_has_changed(folder, results):
    form = (folder / "survey.toml").read_text("utf-8")
    try:
        (folder / "survey.toml").write_text(
            form.replace("8_000", "9_000") + '[report]\nprevious = "report/results.json"\n', "utf-8"
        )
        analysis = analyse(read_study(folder))
        page = report.write_report(analysis, folder / "next").read_text("utf-8")
    finally:
        (folder / "survey.toml").write_text(form, "utf-8")
    assert "What changed in the data or the software since the last report" in page
    assert "mask.buffer was 8000.0 and is 9000.0" in page and 'id="T58"' in page and 'id="T59"' in page
    assert "What changed: the form (1)." in page
    written = json.loads((folder / "next" / "results.json").read_text("utf-8"))
    assert "report/results.json" in [entry["path"] for entry in written["inputs"]]


def test_a_last_report_that_is_not_there(folder):
    form = (folder / "survey.toml").read_text("utf-8")
    try:
        (folder / "survey.toml").write_text(form + '[report]\nprevious = "2023/results.json"\n', "utf-8")
        with pytest.raises(SurveyError, match=r"report\.previous is not there"):
            read_study(folder)
    finally:
        (folder / "survey.toml").write_text(form, "utf-8")


def test_definitions_and_conventions_are_in_the_results(results):
    assert results["definitions"]["footprint"].startswith("628 km², cells ")
    assert results["definitions"]["observation"] == "proximity, occasions"
    assert results["definitions"]["detection"] == "hazard half-normal, of its own"
    assert results["conventions"]["level"] == 0.95
    assert {"conventions", "definitions"} <= set(schema()["properties"])


@pytest.mark.parametrize("path", sorted((EXAMPLES / "results").glob("*.json")), ids=lambda p: p.stem)
def test_results_kept_of_the_examples(path):
    """CI reproduces them; here: they are results, of files that are still what they were."""
    kept, _ = read_results(path)
    jsonschema.validate(kept, schema())
    folder = EXAMPLES / path.stem.split(".")[0]
    assert list(changed_inputs(kept, folder)) == []


# ---- the environment -----------------------------------------------------------------------------------------------


def test_the_environment_is_locked_with_hashes(folder, monkeypatch):
    monkeypatch.setattr(freeze, "own_hash", lambda: "0" * 64)  # the sources may be at work on
    path = freeze.freeze(folder / "report" / "results.json")
    text = path.read_text("utf-8")
    assert path.name == "environment.lock" and text == freeze.text_of_lock()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    names = [line.split("==")[0] for line in lines]
    assert names[0] == "uncia" and {"numpy", "scipy", "numba", "jinja2"} <= set(names)
    assert all(freeze.LINE.fullmatch(line) and "# sha256 of content" in line for line in lines)
    assert freeze.differences(path) == []


def test_an_environment_that_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(freeze, "own_hash", lambda: "0" * 64)
    lines = freeze.text_of_lock().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("numpy=="))
    lines[at] = "numpy==1.0  # sha256 of content " + "0" * 64
    (tmp_path / "environment.lock").write_text("\n".join([*lines, "ghost==2.0"]), "utf-8")
    said = freeze.differences(tmp_path)
    assert said[0].startswith("numpy was 1.0 and is") and "ghost 2.0 is not installed" in said


@pytest.mark.parametrize(
    ("text", "said"), [(None, "there is no such file"), ("numpy 1.0", "this is no line of a lock")]
)
def test_a_lock_that_is_none(tmp_path, text, said):
    if text is not None:
        (tmp_path / "environment.lock").write_text(text, "utf-8")
    with pytest.raises(SurveyError, match=said):
        freeze.differences(tmp_path / "environment.lock")
