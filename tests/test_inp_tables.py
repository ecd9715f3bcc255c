"""MARK's input files of known fates and of sites."""

from __future__ import annotations

import re

import numpy as np
import pytest

from uncia import models, survey
from uncia.survey import SurveyError

DUCKS = """/* black ducks,
   8 weeks */
/* 01 */ 110000 1 1 1.16;
/* 04 */ 101100 2 0 1.20;
/* 05 */ 101000 1 0 1.08;
/* 06 */ 001010 1 1 1.12;
"""
SITES = "1.02  1 0 ;\n00..  2 1;\n"


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def test_known_fates(tmp_path):
    ducks = survey.read_fates_inp(write(tmp_path / "d.inp", DUCKS), covariates=["age", "weight"], period="week")
    assert ducks.at_risk.astype(int).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert ducks.died.astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert ducks.animals["weight"].tolist() == [1.16, 1.2, 1.2, 1.08, 1.12] and ducks.period == "week"
    fit = models.KnownFate(ducks, "~ 1").fit()
    assert fit.derive()["estimate"].iloc[0] == pytest.approx(1 - 3 / 9, rel=1e-4)


def test_sites_of_groups_and_seasons(tmp_path):
    path = write(tmp_path / "s.inp", SITES)
    one = survey.read_visits_inp(path, groups=["wet", "dry"])
    assert one.sites["group"].tolist() == ["wet", "wet", "wet", "dry"]
    assert one.visits["value"].fillna(-1).to_numpy().reshape(4, 4).tolist() == [
        [1, -1, 0, 2], [0, 0, -1, -1], [0, 0, -1, -1], [0, 0, -1, -1]
    ]  # fmt: skip
    two = survey.read_visits_inp(path, groups=["wet", "dry"], n_seasons=2, area=np.full(4, 2.0))
    assert two.n_seasons == 2 and two.area.tolist() == [2.0] * 4


@pytest.mark.parametrize(
    "read, text, words",
    [
        (survey.read_fates_inp, "1001 1;\n", "row 1: a period is none of 10, 11 and 00 (found '1001 1;'). Write 10"),
        (survey.read_fates_inp, "1110 1;\n", "row 1: an animal lives after its death (found '1110 1;')"),
        (survey.read_fates_inp, "111 1;\n", "a history of known fates has two characters per period"),
        (survey.read_fates_inp, "10 1;\n11 -2;\n", "row 2: a number of animals is negative (found '11 -2;'). Give how"),
        (survey.read_visits_inp, "01 1;\n11 -2;\n", "row 2: a number of sites is negative (found '11 -2;'). Give how"),
        (survey.read_visits_inp, "0A 1;\n", "row 1: a history has characters that are not known: A"),
    ],
)
def test_words(tmp_path, read, text, words):
    with pytest.raises(SurveyError, match=re.escape(words)):
        read(write(tmp_path / "x.inp", text))


def test_seasons_of_unequal_length(tmp_path):
    with pytest.raises(SurveyError, match="4 visits are not 3 seasons of equally many"):
        survey.read_visits_inp(write(tmp_path / "s.inp", "1.02 1;\n"), n_seasons=3)
