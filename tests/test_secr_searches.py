"""secr's text files of searched areas and lines, and forms that take one session of several."""

import re

import pytest
from shapely import Polygon

from uncia import survey
from uncia.reports.study import read_study
from uncia.survey.errors import SurveyError

TRAPS = "A1 0 0\nA2 100 0\nA3 200 50\n"
AREAS = """# polyID  x  y
N 0 0
N 100 0
N 100 100
N 0 0
S 300 0
S 400 0
S 400 80
"""
LINES = "# ID x y\n1 0 0 01 / wet\n1 100 0\n1 100 100\n2 300 0 11 / dry\n2 400 0\n"


@pytest.mark.parametrize("kind, ours", [("polygon", "area"), ("polygonX", "exclusive area"), ("area", "area")])
def test_searched_areas(tmp_path, kind, ours):
    (tmp_path / "areas.txt").write_text(AREAS)
    (tmp_path / "found.txt").write_text(
        "# Session ID Occasion x y sex\n1 a 1 60 10 F\n1 a 2 390.5 20 F\n1 b 2 90 80 M\n"
    )
    read = survey.read_secr(tmp_path / "found.txt", tmp_path / "areas.txt", detector=kind)
    shapes = {"N": Polygon([(0, 0), (100, 0), (100, 100)]), "S": Polygon([(300, 0), (400, 0), (400, 80)])}
    assert all(a.equals(b) for a, b in zip(read.detectors.shapes, shapes.values(), strict=True))
    assert read.detectors.id == ("N", "S")
    assert read.detectors.kind == ours and read.detectors.effort.tolist() == [[1, 1], [1, 1]]
    at = read.detections.sort_values(["animal", "occasion"])
    assert at[["detector", "x", "y"]].to_numpy().tolist() == [["N", 60.0, 10.0], ["S", 390.5, 20.0], ["N", 90.0, 80.0]]
    assert read.animals["sex"].tolist() == ["F", "M"]


def test_searched_lines_take_usage_and_covariates_of_the_first_corner(tmp_path):
    (tmp_path / "lines.txt").write_text(LINES)
    (tmp_path / "found.txt").write_text("1 a 2 60 0\n1 b 1 390 0\n")
    read = survey.read_secr(tmp_path / "found.txt", tmp_path / "lines.txt", detector="transect")
    assert [shape.length for shape in read.detectors.shapes] == [200.0, 100.0]
    assert read.detectors.effort.tolist() == [[0, 1], [1, 1]]
    assert read.detectors.covariates["covariate1"].tolist() == ["wet", "dry"]


@pytest.mark.parametrize(
    "areas, found, words",
    [
        ("1 0 0\n1 9 0\n", "1 a 1 3 0", "area '1' has 2 corners and needs 3 or more"),
        ("1 0 0\n1 9 9\n1 9 0\n1 0 9\n", "1 a 1 3 0", "the outline of area '1' crosses itself"),
        (AREAS, "1 a 1 500 0", "animal 'a' was detected at 'S' on occasion 1, but lies 100 m outside it"),
        (AREAS, "1 a 1 N", "a capture needs session, ID, occasion, x, y"),
    ],
)
def test_searches_that_cannot_be(tmp_path, areas, found, words):
    (tmp_path / "areas.txt").write_text(areas)
    (tmp_path / "found.txt").write_text(found)
    with pytest.raises(SurveyError, match=re.escape(words)):
        survey.read_secr(tmp_path / "found.txt", tmp_path / "areas.txt", detector="polygon")


def test_corners_without_a_search(tmp_path):
    (tmp_path / "areas.txt").write_text(AREAS)
    (tmp_path / "found.txt").write_text("1 a 1 N")
    with pytest.raises(SurveyError, match="of searched areas and lines say detector='polygon' or 'transect'"):
        survey.read_secr(tmp_path / "found.txt", tmp_path / "areas.txt", detector="proximity")


FORM = """
[survey]
name = "voles"
[data]
format = "secr"
captures = "capt.txt"
traps = "trap.txt"
noccasions = 4
[occasions]
kind = "multi"
{session}
"""


def test_a_form_takes_one_session_of_several(tmp_path):
    (tmp_path / "trap.txt").write_text(TRAPS)
    (tmp_path / "capt.txt").write_text("2019 a 1 A1\n2019 a 2 A2\n2021 b 1 A1\n2021 c 3 A3\n")

    def captures(session, wanted=None):
        (tmp_path / "survey.toml").write_text(FORM.format(session=session))
        return read_study(tmp_path / "survey.toml", wanted).captures

    for found in (captures('session = "2021"'), captures("", "2021")):
        assert found.session == "2021" and list(found.animals.index) == ["b", "c"] and found.n_occasions == 4
    with pytest.raises(SurveyError, match=r"the captures hold several sessions.*Say which: session"):
        captures("")
    with pytest.raises(SurveyError, match=r"the captures have no such session \(found '2020'\)\. There are 2019, 2021"):
        captures('session = "2020"')
