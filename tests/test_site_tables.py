"""Detection histories from plain tables: columns by what they mean, and every fault with its file and row."""

import re

import numpy as np
import pandas as pd
import pytest

from uncia import models
from uncia.reports.study import read_study
from uncia.survey import DetectionHistory, SurveyError, read_matrix, read_visits

LONG = "site,visit,value,effort,wind\na,1,0,2.5,3\na,2,1,1,4\nb,1,,0,5\nb,2,0,1.5,\n"


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def visits(folder, text=LONG, **how):
    return read_visits(write(folder / "visits.csv", text), **how)


def refused(folder, text, **how):
    with pytest.raises(SurveyError) as raised:
        visits(folder, text, **how)
    return str(raised.value)


class TestLong:
    def test_columns(self, tmp_path):
        history = visits(tmp_path)
        expected = pd.DataFrame({"site": list("aabb"), "visit": [1, 2] * 2, "value": [0, 1, np.nan, 0.0]})
        expected = expected.assign(effort=[2.5, 1, 0, 1.5], wind=[3, 4, 5, np.nan])
        assert history.equals(DetectionHistory(expected)) and history.done.tolist() == [True, True, False, True]

    def test_other_names_and_yes_or_no(self, tmp_path):
        text = "plot;found;km\na;no;2,5\na;Yes;1\nb;;\nb;0;1,5\n"
        history = visits(tmp_path, text, columns={"site": "plot", "detected": "found", "effort": "km"})
        np.testing.assert_array_equal(history.value, [0, 1, np.nan, 0])
        assert history.effort[[0, 1, 3]].tolist() == [2.5, 1.0, 1.5]

    def test_counts(self, tmp_path):
        history = visits(tmp_path, "site,count\na,3\na,0\n")
        assert history.value.tolist() == [3, 0] and history.visits["visit"].tolist() == [1, 2]

    def test_dates_are_visits(self, tmp_path):
        """Methods of one date are one visit; rows need not be in order."""
        text = "site,date,method,value\na,03/06/2024,sign,1\n"
        text += "a,21/05/2024,camera,0\na,21/05/2024,sign,1\nb,03/06/2024,sign,0\n"
        history = visits(tmp_path, text)
        rows = history.visits[["site", "visit", "method", "value", "day"]].to_numpy(object).tolist()
        assert rows == [
            ["a", 1, "camera", 0, 142], ["a", 1, "sign", 1, 142], ["a", 2, "sign", 1, 155], ["b", 1, "sign", 0, 155],
        ]  # fmt: skip

    def test_a_date_beside_the_visit_is_a_covariate(self, tmp_path):
        history = visits(tmp_path, "site,visit,date,value\na,1,2024-05-01,0\n")
        assert history.visits["date"].tolist() == ["2024-05-01"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("plot,value\na,1\n", "visits.csv, row 1: there is no column 'site'"),
            ("site,seen\na,1\n", "visits.csv, row 1: there is no column 'value'"),
            ("site,detected\na,yes\na,maybe\n", "visits.csv, row 3: detected must be one of yes, no (found 'maybe')"),
            ("site,count\na,-1\na,1.5\n", "row 2: count must be 0 or more (found -1)"),
            ("site,count\na,-1\na,1.5\n", "row 3: count must be a whole number (found 1.5)"),
            ("site,value,effort\na,1,\n", "visits.csv, row 2: something was found without effort (found 'a')"),
            ("site,value,effort\na,1,0\n", "visits.csv, row 2: something was found without effort (found 'a')"),
            (
                "site,date,value\na,05/06/2024,1\n",
                "visits.csv, row 2: date: the day and the month cannot be told apart",
            ),
            ("site,date,value\na,2024-02-30,1\n", "visits.csv, row 2: date: this is not a date in the calendar"),
            (
                "site,date,value\na,2024-05-01,1\na,2024-05-01,0\n",
                "visits.csv, row 3: this visit is given twice, first in row 2 (found 'site a, visit 1')",
            ),
        ],
    )
    def test_refused(self, tmp_path, text, words):
        assert words in refused(tmp_path, text)

    def test_tables_of_sites_and_seasons(self, tmp_path):
        sites = write(
            tmp_path / "sites.csv", "site,slope,x,y\na,3,500000,3500000\nb,4,501000,3500000\nc,5,502000,3500000\n"
        )
        seasons = write(tmp_path / "seasons.csv", "season,snow\n2021,1\n2023,3\n")
        text = "site,season,value\na,2021,1\na,2023,0\nb,2021,0\n"
        history = visits(tmp_path, text, sites=sites, seasons=seasons, crs="EPSG:32647")
        assert list(history.sites.index) == ["a", "b", "c"] and history.season_labels == (2021, 2022, 2023)
        assert history.crs.to_epsg() == 32647 and history.sites["slope"].tolist() == [3, 4, 5]
        assert "row 2: the site is not in the table of sites (found 'd')" in refused(
            tmp_path, "site,value\nd,1\n", sites=sites
        )


class TestWide:
    def test_a_matrix_with_effort_and_covariates(self, tmp_path):
        found = write(tmp_path / "found.csv", "site,v1,v2\na,0,1\nb,,0\n")
        effort = write(tmp_path / "km.csv", "site,v1,v2\nb,0,1.5\na,2.5,1\n")
        history = read_matrix(
            found, effort=effort, visit_covariates={"wind": write(tmp_path / "w.csv", "site,v1,v2\na,3,4\nb,5,6\n")}
        )
        assert history.equals(
            DetectionHistory.from_wide(
                [[0, 1], [np.nan, 0]],
                site_names=["a", "b"],
                effort=[[2.5, 1], [0, 1.5]],
                visit_covariates={"wind": np.array([[3.0, 4], [5, 6]])},
            )
        )

    def test_refused(self, tmp_path):
        with pytest.raises(SurveyError) as raised:
            read_matrix(write(tmp_path / "found.csv", "site,v1,v2\na,0,x\na,2.5,0\n"))
        message = str(raised.value)
        assert "found.csv, row 2: v2 must be a number (found 'x')" in message
        assert "found.csv, row 3: v1 must be a whole number (found 2.5)" in message
        assert "found.csv, row 3: site is the same as in row 2 (found 'a')" in message


WIDE = """y.1,y.2,elev,kind,x,y,date.1,date.2,rain.1,rain.2,effort.1,effort.2
0,1,200,bog,10,20,3,5,dry,wet,1,2
NA,0,300,fen,30,40,NA,6,,dry,NA,1
"""


def test_a_table_of_unmarked(tmp_path):
    """Visits y.1, y.2 with their covariates, and covariates of sites, in one table without names of sites."""
    history = read_matrix(write(tmp_path / "wide.csv", WIDE))
    values = [[1, 1, 0, 3, "dry", 1], [1, 2, 1, 5, "wet", 2], [2, 2, 0, 6, "dry", 1]]
    found = history.visits[history.visits["value"].notna()]
    assert (
        found[["site", "visit", "value", "date", "rain", "effort"]].astype({"site": int}).to_numpy().tolist() == values
    )
    assert history.sites.to_dict("list") == {"elev": [200, 300], "kind": ["bog", "fen"], "x": [10, 30], "y": [20, 40]}
    long = "site,visit,value,date\n1,1,0,3\n1,2,1,5\n2,2,0,6\n"
    assert np.array_equal(read_visits(write(tmp_path / "long.csv", long)).visits["value"], found["value"])


def test_visits_with_other_names_and_seasons(tmp_path):
    table = "site,det991,det992,det001,det002,date991,date992,date001,date002,bio1,bio2\na,0,1,,1,7,8,9,10,5,6\n"
    history = read_matrix(write(tmp_path / "w.csv", table), visits="det", n_seasons=2)
    assert history.visits[["season", "value", "date"]].fillna(-1).to_numpy().tolist() == [
        [1, 0, 7], [1, 1, 8], [2, -1, 9], [2, 1, 10]
    ]  # fmt: skip
    assert history.sites.columns.tolist() == ["bio1", "bio2"]
    one = read_matrix(
        tmp_path / "w.csv", visits=["det001", "det002"], sites=write(tmp_path / "s.csv", "site,wet\na,1\n")
    )
    assert one.visits["value"].fillna(-1).tolist() == [-1, 1] and one.visits["date"].tolist() == [9, 10]
    assert one.sites.loc["a", ["wet", "det991", "bio2"]].tolist() == [1, 0, 6]


@pytest.mark.parametrize(
    "table, how, words",
    [
        (WIDE, {"visits": "v"}, "no column is a visit (found 'v'). Give what their headings begin with, as 'y' of"),
        (WIDE, {"visits": ["y.1", "y.3"]}, "the table has no such visits (found ['y.3']). There are y.1, y.2, elev"),
        (WIDE, {"n_seasons": 3}, "2 visits are not 3 seasons of equally many"),
        ("y.1,y_2,y.3\n0,1,1\n", {"visits": "y"}, "the visits are numbered in two ways (found 'y')"),
        (WIDE.replace("0,1,200", "0,x,200"), {}, "row 2: y.2 must be a number (found 'x')"),
        (WIDE.replace("wet,1,2", "wet,1,-2"), {}, "row 2: effort.2 must be 0 or more (found -2)"),
    ],
)
def test_wide_tables_that_cannot_be(tmp_path, table, how, words):
    with pytest.raises(SurveyError, match=re.escape(words)):
        read_matrix(write(tmp_path / "wide.csv", table), **how)


FORM = """
[survey]
name = "frogs"
[data]
format = "matrix"
path = "wide.csv"
detections = true
known = ["date", "elev.sc"]
[[models]]
name = "all"
psi = "~ elev.sc"
p = "~ date"
"""


def test_a_form_takes_calls_as_detections_and_leaves_out_what_is_not_known(tmp_path):
    table = "site,y.1,y.2,elev.sc,date.1,date.2\na,0,3,1.5,4,5\nb,2,0,,4,5\nc,0,1,0.5,,7\nd,0,0,0.1,1,2\n"
    write(tmp_path / "wide.csv", table)
    write(tmp_path / "survey.toml", FORM)
    study = read_study(tmp_path / "survey.toml")
    history = study.history
    assert list(history.sites.index) == ["a", "c", "d"]
    assert history.visits["value"].fillna(-1).tolist() == [0, 1, -1, 1, 0, 0]
    assert study.build(study.config.models[0])
    left_out = "1 site and 3 visits are left out because one of these covariates is not known: date, elev.sc"
    assert study.notes == (left_out,)
    whole = read_matrix(tmp_path / "wide.csv")
    with pytest.raises(SurveyError, match=r"larger than 1 \(found 3.0\).*of counts take history.as_detections\(\)"):
        models.Occupancy(whole)
    with pytest.raises(SurveyError, match=r"'elev.sc' has no value in 1 of 4 rows.*history.without_missing\(name\)"):
        models.Occupancy(whole.as_detections(), "~ elev.sc")
