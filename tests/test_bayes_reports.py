"""method = "bayes" in survey.toml: the same report from draws, with what they are worth, and the same numbers again."""

from __future__ import annotations

import json
import re
import sys

import jsonschema
import pytest
import small_survey

from uncia.reports import report
from uncia.reports.analysis import analyse
from uncia.reports.results import results_of, schema
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

BAYES = """[report]
method = "bayes"
sampler = "surface"
draws = 12
chains = 2
priors.sigma = { kind = "LogNormal", median = 2000, factor = 3 }
"""


def asked(place, words: str):
    """The small survey with other words in [report]."""
    form = small_survey.write(place)
    text = form.read_text("utf-8")
    text = text.replace("[report]\n", words) if "[report]\n" in text else f"{text}\n{words}"
    form.write_text(text, "utf-8")
    return read_study(place)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return analyse(asked(tmp_path_factory.mktemp("survey"), BAYES))


def test_the_report_is_of_draws(analysis, tmp_path):
    path = report.write_report(analysis, tmp_path / "report")
    found = re.findall(r'(?:figure|div class="table") id="(\w+)"', path.read_text("utf-8"))
    assert {"T8", "T9", "T60", "T61", "T62", "F60", "F7"} <= set(found)
    told = json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))
    jsonschema.validate(told, schema())
    assert told["posterior"]["priors"]["sigma"]["Intercept"] == {"kind": "LogNormal", "median": 2000.0, "factor": 3.0}
    assert told["posterior"]["seed"] == told["seed"] and told["posterior"]["draws"] == 12
    intervals = {row["interval"] for row in told["estimates"]}
    assert all("credible" in words or words == "fixed" for words in intervals)
    density = next(row for row in told["estimates"] if row["quantity"] == "density")
    assert density["lower"] < density["estimate"] < density["upper"]


def test_the_same_seed_gives_the_same_numbers(analysis, tmp_path):
    again = analyse(asked(tmp_path, BAYES))
    assert results_of(again)["estimates"] == results_of(analysis)["estimates"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            'priors.sigma = { kind = "Cauchy", scale = 2 }',
            r"\[report.priors\]: sigma has no distribution that is known",
        ),
        ('priors.sigma = { kind = "LogNormal", scale = 2 }', r"\[report.priors\]: sigma has other numbers than its"),
    ],
)
def test_priors_that_are_none(tmp_path, words, said):
    with pytest.raises(SurveyError, match=said):
        analyse(asked(tmp_path, f'[report]\nmethod = "bayes"\nsampler = "surface"\n{words}\n'))


def test_without_pymc_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    monkeypatch.setitem(sys.modules, "arviz", None)
    study = asked(tmp_path, '[report]\nmethod = "bayes"\n')
    with pytest.raises(SurveyError, match=r"needs PyMC and ArviZ.*Run pip install 'uncia\[bayes\]'"):
        analyse(study)
