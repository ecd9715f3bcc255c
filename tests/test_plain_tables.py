"""Plain tables of visits, encounters, histories and fates: what is read, and what is said of bad ones."""

import numpy as np
import pytest

from uncia import survey

SITES = "site,x,y,slope\nA,500100,4000100,1\nB,500200,4000100,2.5\n"


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def message(function, *arguments, **options):
    with pytest.raises(survey.SurveyError) as error:
        function(*arguments, **options)
    return str(error.value)


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_visits_with_names_of_their_own(tmp_path):
    visits = "plot;days;seen;snow\nA;3;1;0,5\nA;0;;0,25\nB;4;0;1,5\n"
    write(tmp_path, v__csv=visits, s__csv=SITES)
    names = {"site": "plot", "value": "seen", "effort": "days"}
    history = survey.read_visits(tmp_path / "v.csv", sites=tmp_path / "s.csv", columns=names, crs="EPSG:32647")
    assert list(history.sites.index) == ["A", "B"] and list(history.sites["slope"]) == [1.0, 2.5]
    assert list(history.done) == [True, False, True]
    assert list(history.visits["snow"]) == [0.5, 0.25, 1.5]  # decimal commas
    assert history.crs.to_epsg() == 32647


def test_degrees_become_metres(tmp_path):
    write(tmp_path, v__csv="site,value\nA,1\n", s__csv="site,longitude,latitude\nA,99.0,36.0\n")
    history = survey.read_visits(tmp_path / "v.csv", sites=tmp_path / "s.csv", crs="EPSG:32647")
    x, y = survey.to_metres([99.0], [36.0], "EPSG:32647")
    assert history.sites.loc["A", ["x", "y"]].tolist() == pytest.approx([x[0], y[0]])


def test_a_matrix_is_the_same_as_its_visits(tmp_path):
    write(tmp_path, m__csv="site,w1,w2\nA,1,\nB,0,0\n", e__csv="site,w1,w2\nA,7,0\nB,3,7\n")
    wide = survey.read_matrix(tmp_path / "m.csv", effort=tmp_path / "e.csv")
    write(tmp_path, v__csv="site,visit,value,effort\nA,1,1,7\nA,2,,0\nB,1,0,3\nB,2,0,7\n")
    long = survey.read_visits(tmp_path / "v.csv")
    np.testing.assert_array_equal(wide.value, long.value)
    np.testing.assert_array_equal(wide.effort, long.effort)


def test_encounters_and_histories_say_the_same(tmp_path):
    write(
        tmp_path, e__csv="animal,occasion\na,2020\na,2022\nb,2021\n", o__csv="occasion,effort\n2020,1\n2021,2\n2022,3\n"
    )
    long = survey.read_encounters(tmp_path / "e.csv", occasions=tmp_path / "o.csv", interval_unit="year")
    write(tmp_path, h__csv="animal,2020,2021,2022,sex\na,1,0,1,male\nb,0,1,.,female\n")
    wide = survey.read_histories(tmp_path / "h.csv")
    np.testing.assert_array_equal(long.states, [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(wide.states, [[1, 0, 1], [0, 1, -1]])  # a dot: nobody looked
    assert list(long.occasions["occasion"]) == list(wide.occasions["occasion"]) == [2020, 2021, 2022]
    assert list(long.occasions["effort"]) == [1, 2, 3] and list(wide.animals["sex"]) == ["male", "female"]


def test_fates_by_dates_and_by_numbers(tmp_path):
    write(tmp_path, d__csv="animal,entry,exit,died\na,2024-01-01,2024-01-20,yes\nb,2024-01-08,2024-02-05,no\n")
    dates = survey.read_fates(tmp_path / "d.csv", "7 days")
    write(tmp_path, n__csv="animal,entry,exit,died\na,0,2.714285714285714,yes\nb,1,5,no\n")
    numbers = survey.read_fates(tmp_path / "n.csv", 1.0)
    np.testing.assert_array_equal(dates.at_risk, numbers.at_risk)
    np.testing.assert_array_equal(dates.died, numbers.died)
    own = survey.read_fates(tmp_path / "d.csv", "7 days", clock="entry")
    assert own.at_risk[:, 0].all() and list(own.at_risk.sum(axis=1)) == [3, 4]


# ---- bad tables -----------------------------------------------------------------------------------------------------

VISITS = [
    ("site,seen\nA,1\n", "row 1: there is no column 'value' (found ['site', 'seen']). Add it"),
    ("site,value\nA,1\nA,two\n", "row 3: value must be a number (found 'two'). Correct the value"),
    ("site,value\nA,-1\n", "row 2: value must be 0 or more (found -1)"),
    ("site,value\nA,0.5\n", "row 2: value must be a whole number (found 0.5)"),
    ("site,value\n,1\n", "row 2: site is missing. Fill it in"),
    ("site,value,effort\nA,1,0\n", "row 2: something was found without effort (found 'A'). Give the effort"),
    ("site,visit,value\nA,1,1\nB,1,0\nA,1,0\n", "row 4: this visit is given twice, first in row 2"),
    ("site,value\nA,1\nC,0\n", "row 3: the site is not in the table of sites (found 'C'). Add it to s.csv"),
    ("site,season,value\nA,,1\n", "row 2: season is missing"),
    ("site,value,value\nA,1,1\n", "row 1: the heading 'value' is used twice"),
    ("", "the file is empty"),
]


@pytest.mark.parametrize(("text", "expected"), VISITS, ids=range(len(VISITS)))
def test_bad_visits(text, expected, tmp_path):
    write(tmp_path, v__csv=text, s__csv=SITES)
    said = message(survey.read_visits, tmp_path / "v.csv", sites=tmp_path / "s.csv")
    assert expected in said and "v.csv" in said


def test_all_bad_rows_at_once(tmp_path):
    write(tmp_path, v__csv="site,value\nA,x\nB,1.5\n,0\n")
    said = message(survey.read_visits, tmp_path / "v.csv")
    assert said.startswith("3 problems in the input:") and all(f"row {r}" in said for r in (2, 3, 4))


SITE_TABLES = [
    ("site,x,y\nA,1,2\nA,3,4\n", "row 3: site is the same as in row 2 (found 'A'). Give every row its own"),
    ("site,x,y\nA,one,2\n", "row 2: x must be a number (found 'one')"),
    ("name,x,y\nA,1,2\n", "row 1: there is no column 'site'"),
    ("site,longitude,latitude\nA,99,36\n", "sites in degrees need a projected coordinate system"),
    ("site,longitude,latitude\nA,990,36\n", "row 2: longitude must be between -180 and 180 (found 990)"),
]


@pytest.mark.parametrize(("text", "expected"), SITE_TABLES, ids=range(len(SITE_TABLES)))
def test_bad_tables_of_sites(text, expected, tmp_path):
    write(tmp_path, v__csv="site,value\nA,1\n", s__csv=text)
    assert expected in message(survey.read_visits, tmp_path / "v.csv", sites=tmp_path / "s.csv")


def test_tables_beside_a_matrix_must_fit_it(tmp_path):
    write(tmp_path, m__csv="site,w1,w2\nA,1,0\n", e__csv="site,w1,w3\nA,7,7\n", only__csv="site\nA\n")
    said = message(survey.read_matrix, tmp_path / "m.csv", effort=tmp_path / "e.csv")
    assert said == "e.csv: the sites or visits are not those of the findings. Give it the sites and headings of m.csv"
    assert "there are no columns of visits" in message(survey.read_matrix, tmp_path / "only.csv")


ENCOUNTERS = [
    ("animal\na\n", "there is no column 'occasion'"),
    ("animal,occasion\na,2020\na,2031\n", "row 3: the occasion is not in the table of occasions (found 2031)"),
    ("animal,occasion,state\na,2020,0\n", "row 2: state must be between 1 and 99 (found 0)"),
    ("animal,occasion,state\na,2020,1\na,2020,2\n", "row 2: 'a' was met in two states on occasion 2020"),
    ("animal,occasion,removed\na,2020,perhaps\n", "row 2: removed must be true or false (found 'perhaps')"),
]


@pytest.mark.parametrize(("text", "expected"), ENCOUNTERS, ids=range(len(ENCOUNTERS)))
def test_bad_encounters(text, expected, tmp_path):
    write(tmp_path, e__csv=text, o__csv="occasion\n2020\n2021\n")
    assert expected in message(survey.read_encounters, tmp_path / "e.csv", occasions=tmp_path / "o.csv")


HISTORIES = [
    ("animal,first,second\na,1,0\n", "there are no columns of occasions"),
    ("animal,2020,2021\na,1,x\n", "row 2: occasion 2021 must be 0, 1, a state or empty (found 'x')"),
    ("animal,2020,2021\na,0,0\n", "row 2: the animal was never met (found 'a'). Leave its row out"),
    ("animal,2020\na,1\na,1\n", "row 3: animal is the same as in row 2"),
    ("animal,frequency,2020\na,1.5,1\n", "row 2: frequency must be a whole number"),
]


@pytest.mark.parametrize(("text", "expected"), HISTORIES, ids=range(len(HISTORIES)))
def test_bad_histories(text, expected, tmp_path):
    assert expected in message(survey.read_histories, write(tmp_path, h__csv=text) / "h.csv")


FATES = [
    ("animal,entry,exit\na,2024-01-01,2024-02-01\n", {}, "there is no column 'died'"),
    ("animal,entry,exit,died\na,2024-02-01,2024-01-01,no\n", {}, "row 2: the exit is before the entry"),
    ("animal,entry,exit,died\na,2024-01-01,2024-02-01,maybe\n", {}, "row 2: died must be true or false"),
    ("animal,entry,exit,died\na,2024-01-01,,no\n", {}, "row 2: exit is missing"),
    ("animal,entry,exit,died\na,2024-01-01,2024-02-01,\n", {}, "row 2: died is missing"),
    ("animal,entry,exit,died\na,1,5,no\na,2,6,no\n", {"length": 1.0}, "row 3: animal is the same as in row 2"),
    ("animal,entry,exit,died\na,2024-01-01,2024-02-01,no\n", {"length": "soon"}, "this is no length of a period"),
    ("animal,entry,exit,died\na,1,5,no\n", {"length": 1.0, "clock": "moon"}, "this clock is not known"),
    ("animal,entry,exit,died\na,1,5,no\n", {"length": 1.0, "clock": "entry", "begin": 0}, "begins by itself"),
]


@pytest.mark.parametrize(("text", "options", "expected"), FATES, ids=range(len(FATES)))
def test_bad_fates(text, options, expected, tmp_path):
    options = {"length": "7 days"} | options
    assert expected in message(survey.read_fates, write(tmp_path, f__csv=text) / "f.csv", **options)
