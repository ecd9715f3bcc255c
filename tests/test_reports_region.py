"""Reports of several sites: totals of strata, a site without captures, two languages, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import small_years

from uncia.reports.analysis import analyse
from uncia.reports.config import read_config
from uncia.reports.report import write_report
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

HEAD = """\
seed = 3

[survey]
name = "Snow leopards of four valleys"
species = "Panthera uncia"
common_name = "snow leopards"
"""
SITES = "".join(
    f'\n[[sites]]\nname = "valley {k}"\nsurvey = "{k}/survey.toml"\nstratum = "{s}"\n'
    for k, s in ((1, "north"), (2, "north"), (3, "south"), (4, "south"))
)
STRATA = '\n[[strata]]\nname = "north"\narea = 4_000\n\n[[strata]]\nname = "south"\narea = 3_000\n'
MODELS = '\n[[models]]\nname = "every site"\nD = "~ session"\n\n[[models]]\nname = "stratum"\nD = "~ stratum"\n'


def write(folder, text: str = HEAD + SITES + STRATA + MODELS):
    for k, animals in ((1, 14), (2, 9), (3, 6), (4, 7)):
        small_years.write_year(folder, k, animals, seed=k)
    (folder / "survey.toml").write_text(text, "utf-8")
    return folder / "survey.toml"


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return analyse(read_study(write(tmp_path_factory.mktemp("region"))))


def test_totals_of_strata_are_told_with_both_errors(analysis, tmp_path):
    rows = analysis.estimates.query("model == 'every site'").set_index(["quantity", "scope"])
    design, model = (rows.loc[(f"abundance by the {kind}", "stratum north")] for kind in ("design", "model"))
    assert design["estimate"] == model["estimate"]
    densities = [rows.loc[("density", f"session valley {k}"), "estimate"] for k in (1, 2)]
    assert design["estimate"] == pytest.approx(4000.0 * np.mean(densities) / 100.0)
    alike = analysis.estimates.query("model == 'stratum' and quantity == 'abundance by the design'")
    assert alike.empty  # the model says that the sites of a stratum are alike
    page = write_report(analysis, tmp_path / "report").read_text("utf-8")
    for words in ("snow leopards in the region (95", "Animals by stratum", "RSE by the design", "Density by site"):
        assert words in page
    assert 'id="T71"' in page
    assert 'id="F70"' in page


def test_in_chinese(analysis, tmp_path):
    from dataclasses import replace

    report = analysis.study.config.report.model_copy(update={"language": "zh"})
    config = analysis.study.config.model_copy(update={"report": report})
    told = replace(analysis, study=replace(analysis.study, config=config))
    page = write_report(told, tmp_path / "report").read_text("utf-8")
    assert "各层的个体数量" in page
    assert "RSE by the design" not in page


def test_inputs_are_those_of_the_sites(analysis):
    names = {path for path, _ in analysis.study.inputs}
    assert {"survey.toml", "1/survey.toml", "4/captures.txt", "2/traps.txt"} <= names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SITES + STRATA.replace("south", "west"), "the site 'valley 3' is in no stratum that has an area"),
        (SITES.replace("valley 2", "valley 1") + STRATA, "two sites have the name 'valley 1'"),
        (SITES.replace("survey =", "surveys ="), r"\[sites\] has no key 'surveys'"),
    ],
)
def test_messages(tmp_path, text, words):
    (tmp_path / "survey.toml").write_text(HEAD + text, "utf-8")
    with pytest.raises(SurveyError, match=words):
        read_config(tmp_path)
