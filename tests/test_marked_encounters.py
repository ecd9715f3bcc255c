"""Encounter histories: every way in, and messages with file and row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uncia.survey.captures import CaptureHistory
from uncia.survey.detectors import Detectors
from uncia.survey.encounters import EncounterHistory, read_inp
from uncia.survey.errors import SurveyError
from uncia.survey.readers.animal_tables import read_histories


def captures(rows, effort=None, session="1"):
    effort = np.ones((3, 2)) if effort is None else effort
    detectors = Detectors(id=("a", "b"), x=[0.0, 1000.0], y=[0.0, 0.0], effort=effort, kind="count")
    return CaptureHistory(pd.DataFrame(rows), detectors, session=session)


def test_strings_and_facts():
    history = EncounterHistory.from_strings(["0110", "10.1", "0001"], [2, 1, 3])
    assert (history.n_animals, history.n_occasions, history.n_encounters) == (6, 4, 9)
    assert history.first.tolist() == [1, 0, 3] and history.last.tolist() == [2, 3, 3]
    assert repr(history) == "EncounterHistory(6 animals, 4 occasions, 9 encounters)"
    assert "<table>" in history._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        history.states[0, 0] = 1


def test_all_faults_at_once():
    with pytest.raises(SurveyError) as error:
        EncounterHistory(np.array([[1, 0], [0, 0]]), frequency=[1, 1.5], intervals=[-1.0])
    assert [p.what for p in error.value.problems] == [
        "frequencies must be whole numbers from 0",
        "intervals must not be negative",
        "an animal was never met",
    ]
    with pytest.raises(SurveyError, match="frequency needs 2 rows"):
        EncounterHistory(np.ones((2, 2), int), frequency=[1])
    with pytest.raises(SurveyError, match="whole numbers from -1"):
        EncounterHistory(np.full((2, 2), 0.5))


def test_table():
    rows = {"animal": ["x", "y", "x"], "occasion": [2020, 2021, 2023], "removed": [False, False, True]}
    history = EncounterHistory.from_table(
        pd.DataFrame(rows), occasions=range(2020, 2025), animals=pd.DataFrame({"sex": ["f", "m"]}, index=["y", "x"])
    )
    assert history.states.tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]]
    assert history.removed.tolist() == [True, False]
    assert history.animals["sex"].tolist() == ["m", "f"]
    with pytest.raises(SurveyError, match="occasion that is not listed"):
        EncounterHistory.from_table(pd.DataFrame(rows), occasions=[2020, 2021])
    with pytest.raises(SurveyError, match="Add occasion"):
        EncounterHistory.from_table(pd.DataFrame({"animal": ["x"]}))


def test_captures_lose_their_coordinates():
    effort = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    rows = {"animal": ["x", "x", "y"], "occasion": [1, 3, 1], "detector": ["a", "a", "b"], "count": [2, 1, 1]}
    first = captures(rows | {"removed": [False, True, False]}, effort)
    history = EncounterHistory.from_captures(first)
    assert history.states.tolist() == [[1, -1, 1], [1, -1, 0]]
    assert history.removed.tolist() == [True, False]
    later = captures({"animal": ["z", "y"], "occasion": [1, 2], "detector": ["a", "b"]})
    both = EncounterHistory.from_captures(captures(rows), later, intervals=[2.0], interval_unit="year")
    assert both.n_animals == 3 and both.primary.tolist() == [0, 0, 0, 1, 1, 1]
    assert both.intervals.tolist() == [0, 0, 2, 0, 0]


def test_inp(tmp_path):
    path = tmp_path / "data.inp"
    path.write_text("/* two\n groups */\n1101 12 3 0.5;\n0100 -2 0 1.5; \n\n1.11 0 1 2;\n", "utf-8")
    history = read_inp(path, groups={"sex": ["male", "female"]}, covariates=["mass"])
    assert history.frequency.tolist() == [12, 3, 2, 1]
    assert history.removed.tolist() == [False, False, True, False]
    assert history.animals["sex"].tolist() == ["male", "female", "male", "female"]
    assert history.animals["mass"].tolist() == [0.5, 0.5, 1.5, 2.0]
    assert history.states[3].tolist() == [1, -1, 1, 1]
    path.write_text("1101 12;\n110 3;\n0100 x;\n0100 1\n", "utf-8")
    with pytest.raises(SurveyError) as error:
        read_inp(path)
    assert [(p.row, p.what.split(" ")[1]) for p in error.value.problems] == [(2, "line"), (3, "line"), (4, "line")]
    assert "data.inp, row 3" in str(error.value)


def table(tmp_path, text):
    (tmp_path / "h.csv").write_text(text)
    return tmp_path / "h.csv"


def test_histories_as_text_in_one_column(tmp_path):
    """Tables for RMark and marked: the history, how many, and covariates; a negative number was not released."""
    h = read_histories(table(tmp_path, "ch,freq,sex\n0110,3,F\n10.1,-2,M\n0011,0,M\n0001,1,F\n"))
    assert h.states.tolist() == [[0, 1, 1, 0], [1, 0, -1, 1], [0, 0, 0, 1]]
    assert h.frequency.tolist() == [3, 2, 1] and h.removed.tolist() == [False, True, False]
    assert h.animals["sex"].tolist() == ["F", "M", "F"]
    two = read_histories(table(tmp_path, "animal,ch\nx,A0B\ny,0B0\n"), codes={"A": 1, "B": 2}, intervals=[1, 2])
    assert two.states.tolist() == [[1, 0, 2], [0, 2, 0]] and two.animals.index.tolist() == ["x", "y"]
    assert two.intervals.tolist() == [1, 2]


@pytest.mark.parametrize(
    "text, words",
    [
        ("ch\n0110\n11\n", r"h.csv, row 3: a history has 2 characters and others have 4 \(found '11'\).*leading zeros"),
        ("ch\n0110\n0A10\n", r"row 3: a history has characters that are not known \(found '0A10'\).*give codes"),
        ("ch\n0110\n0000\n", r"row 3: the animal was never met \(found '0000'\)"),
        ("ch,freq\n0110,x\n", r"row 2: freq must be a whole number|row 2: freq must be a number"),
    ],
)
def test_histories_as_text_that_cannot_be(tmp_path, text, words):
    with pytest.raises(SurveyError, match=words):
        read_histories(table(tmp_path, text))


def test_periods_of_a_robust_design_as_occasions():
    states = [[0, 1, 0, 0, 2], [-1, -1, 2, 0, 1], [0, 0, 1, -1, 0]]
    known = pd.DataFrame({"year": [1, 1, 2, 2, 2], "night": range(5)})
    h = EncounterHistory(np.array(states), [1, 2, 3], [False, True, False], None, known, [0, 3, 0, 0], "year")
    by = h.by_period()
    assert by.states.tolist() == [[1, 2], [-1, 1], [0, 1]] and by.intervals.tolist() == [3]
    assert by.frequency.tolist() == [1, 2, 3] and by.removed.tolist() == [False, True, False]
    assert by.occasions.to_dict("list") == {"year": [1, 2]} and by.interval_unit == "year"


def test_surveys_named_by_years_are_years_apart():
    rows = {"animal": ["a"], "occasion": [1], "detector": ["a"]}
    named = [captures(rows, session=name) for name in ("2018", "2019", "2021")]
    assert EncounterHistory.from_captures(*named).by_period().intervals.tolist() == [1, 2]
    other = [captures(rows, session=name) for name in ("spring", "autumn")]
    assert EncounterHistory.from_captures(*other).by_period().intervals.tolist() == [1]
    with pytest.raises(SurveyError, match="surveys are not in the order of the years they are named by"):
        EncounterHistory.from_captures(named[1], named[0])
