"""The report of a survey of animals told apart: what [checks] asks for."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
import small_survey

from uncia.reports import report
from uncia.reports.analysis import analyse
from uncia.reports.captures.checks import FitChecks
from uncia.reports.config import config_from
from uncia.reports.study import read_study
from uncia.reports.texts import texts
from uncia.survey.errors import SurveyError

CHECKS = """
[checks]
goodness = 2
ghosts = true
residuals = true
closure = true
mask = true

"""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    form = small_survey.write(tmp_path_factory.mktemp("survey"))
    form.write_text(form.read_text("utf-8").replace("[[regions]]", CHECKS + "[[regions]]"), "utf-8")
    return analyse(read_study(form))


def with_ghosts(analysis, number: int):
    """The same survey in which some detections stand under new names."""
    captures = analysis.study.captures
    frame, rng = captures.detections.copy(), np.random.default_rng(1)
    for j in range(number):
        times = frame["animal"].map(frame["animal"].value_counts())
        frame.loc[rng.choice(frame.index[times > 1]), "animal"] = f"ghost {j}"
    haunted = replace(captures, detections=frame, animals=frame[["animal"]].drop_duplicates().set_index("animal"))
    fits = {"constant": analysis.fits["constant"].model.on(haunted).fit()}
    return replace(analysis, study=replace(analysis.study, captures=haunted), fits=fits)


@pytest.fixture(scope="module")
def haunted(analysis):
    return with_ghosts(analysis, 3)


@pytest.fixture(scope="module")
def page(haunted, tmp_path_factory):
    return report.write_report(haunted, tmp_path_factory.mktemp("out") / "report").read_text("utf-8")


def plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").split())


def test_the_page_shows_what_was_asked_for(page, haunted):
    text = plain(page)
    assert 'id="T12"' in page
    assert 'id="T17"' in page
    assert 'id="F8"' in page
    assert "Do model and data agree" in text
    assert "Freeman-Tukey, animal × detector (2 simulated data sets)" in text
    test = haunted.fit.ghosts()
    assert f"{test.observed} animals were detected once, about as many as the model expects" in text
    assert re.search(r"Without the \d+ animals detected once density in the habitat mask is [\d.]+ per 100 km²", text)
    assert "The stations with more and with fewer detections than expected lie mixed" in text
    assert "By tables of detections, animals taken for alike (Stanley" in text
    assert "by Otis et al. 1978" in text
    assert "with a wider one density changes by" in text


def test_the_table_is_that_of_the_fit(haunted):
    table = FitChecks(haunted).table()
    there = haunted.fit.sensitivity_to_ghosts()
    assert list(table["detections of each animal"]) == ["≥ 1"] * 3 + ["≥ 2"] * 3
    assert list(table["left out"]) == list(there["left_out"])
    assert table["change"].iloc[0] == ""
    assert table["change"].iloc[3].endswith("%")


def test_without_the_section_nothing_is_checked(tmp_path):
    quiet = analyse(read_study(small_survey.write(tmp_path)))
    assert quiet.story.checks.paragraphs(texts("en")) == []
    assert quiet.story.tables()["T17"]() is None
    assert "F8" not in quiet.story.figures()


def test_the_map_of_residuals_shows_places(haunted):
    assert "F8" in haunted.story.figures()
    assert "F8" in haunted.story.on_maps  # which a public report leaves out


def test_no_ghosts_and_many(analysis):
    few = FitChecks(analysis)
    assert few._ghosts(texts("en")).startswith("No animal was detected once only, where the model expects")
    assert few.table() is None
    told = FitChecks(with_ghosts(analysis, 12))._ghosts(texts("en"))
    assert "more than the model expects" in told
    assert "Compare their photographs again" in told
    assert "−" in told.split("detected once density in the habitat mask is")[1]


def test_what_cannot_be_checked_is_said(analysis):
    model = analysis.fits["constant"].model.with_formulas(lambda0="~ bk")
    checks = FitChecks(replace(analysis, fits={"constant": model.fit()}))
    told = checks.paragraphs(texts("en"))
    words = "There is no check of animals detected once here: the number of animals detected once is not known with"
    assert any(one.startswith(words) for one in told)
    assert all("{" not in words for words in told)


def test_in_chinese_nothing_is_left_in_english(haunted):
    told = texts("zh")
    assert all(told.tidy(words) for words in FitChecks(haunted).paragraphs(told))
    told.frame(FitChecks(haunted).table().astype(str))
    assert not {text for text in told.missing if " " in text}


def test_a_model_of_the_form_leaves_out_animals_detected_once(haunted):
    form = small_survey.FORM.replace('name = "constant"', 'name = "constant"\nat_least = 2')
    config = config_from(tomllib.loads(form), "survey.toml", form)
    assert haunted.study.build(config.models[0]).at_least == 2
    assert haunted.study.build(config.models[1]).at_least == 1


def test_faults_of_the_form_are_told():
    form = small_survey.FORM + "\n[checks]\ngost = true\n"
    with pytest.raises(SurveyError, match=r"\[checks\] has no key 'gost'.*ghosts"):
        config_from(tomllib.loads(form), "survey.toml", form)
