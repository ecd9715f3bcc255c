"""Collars, clumped counts and capped detectors from survey.toml to the report."""

from __future__ import annotations

import numpy as np
import pytest
import small_survey

from uncia.reports.analysis import analyse
from uncia.reports.report import write_report
from uncia.reports.simulate import write_simulated
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

PARTS = """
[occasions]
length = "4 days"
kind = "count"

[telemetry]
file = "collars.csv"
thin_hours = 12

[[models]]
name = "clumped"
counts = "negative binomial"
"""


def write(folder, parts: str = PARTS):
    """The small survey with fixes every six hours of one of its cats and of another animal."""
    folder.mkdir(exist_ok=True)
    form = small_survey.write(folder)
    form.write_text(form.read_text("utf-8").split("[[models]]")[0] + parts, "utf-8")
    name = small_survey.histories().animals.index[0]
    rng = np.random.default_rng(4)
    rows = "animal,x,y,time\n"
    for animal, x, y in ((name, 505_000, 4_005_000), ("collar 9", 503_000, 4_001_000)):
        for i, (dx, dy) in enumerate(rng.normal(0.0, 2000.0, (20, 2))):
            rows += f"{animal},{x + dx:.0f},{y + dy:.0f},2024-05-{1 + i // 4:02d} {6 * (i % 4):02d}:00\n"
    (folder / "collars.csv").write_text(rows, "utf-8")
    return form


def test_the_report_tells_of_collars_and_of_the_clumping_of_counts(tmp_path):
    study = read_study(write(tmp_path))
    assert len(study.captures.telemetry) == 20
    assert "collars.csv" in {name for name, _ in study.inputs}
    found = analyse(study)
    assert found.fit.model.counts == "negative binomial"
    assert "size" in set(found.estimates["quantity"])
    page = write_report(found, tmp_path / "report").read_text("utf-8")
    for words in ("Collared animals", "2, 1 of them detected", "20, 20 more dropped for being too close in time"):
        assert words in page
    assert "closer in time to the one before than the interval asked for" in page  # where every record went
    assert "collars.csv" in page
    assert not any(f"{x:.0f}" in page for x in study.captures.telemetry.fixes["x"])  # no place of a fix


def test_a_simulated_survey_has_collars_of_its_own(tmp_path):
    study = read_study(write(tmp_path / "survey"))
    values = {"D": 6.0, "lambda0": 0.3, "sigma": 2000.0, "size": 0.8}
    made = write_simulated(study, tmp_path / "simulated", 5, values)
    again = read_study(tmp_path / "simulated").captures
    assert len(again.telemetry) == 20
    both = [name for name in again.telemetry.names if name in again.animals.index]
    assert both == [name for name in made.captures.telemetry.names if name in made.captures.animals.index]
    assert len(both) == 1


def test_capped_detectors_are_told_in_the_form(tmp_path):
    with pytest.raises(SurveyError, match="a capped detector records one"):
        read_study(write(tmp_path, PARTS.replace('kind = "count"', 'kind = "capped"')))


def test_what_is_wrong_with_collars_names_the_row(tmp_path):
    form = write(tmp_path)
    table = tmp_path / "collars.csv"
    table.write_text(table.read_text("utf-8").replace("2024-05-02 06:00", "yesterday", 1), "utf-8")
    with pytest.raises(SurveyError, match=r"collars.csv, row 7: time"):
        read_study(form)
    form.write_text(form.read_text("utf-8").replace('file = "collars.csv"', 'file = "collar.csv"'), "utf-8")
    with pytest.raises(SurveyError, match="there is no such file"):
        read_study(form)
