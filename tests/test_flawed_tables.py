"""Readers of tables and text files on files with many slips: all are told at once, and what is right is read."""

import tomllib
from importlib.resources import files

import pytest

from uncia import survey
from uncia.survey.errors import SurveyError, SurveyWarning


@pytest.mark.parametrize(
    "words, kept", [("hembra macho ?", True), ("雌性 雄性 不详", True), ("m w x", False), ("naine koiras naine", True)]
)
def test_words_for_the_sexes_in_other_languages_are_read(tmp_path, words, kept):
    """A column of sexes of which no word is known is in another language; one slip beside known words is a slip."""
    rows = "".join(f"{i},1,{word}\n" for i, word in enumerate(words.split()))
    (tmp_path / "h.csv").write_text(f"animal,2021,sex\n{rows}", encoding="utf-8")
    lines = "".join(f"1 {i} 1 1 {word}\n" for i, word in enumerate(words.split()))
    (tmp_path / "captures.txt").write_text(f"# Session ID Occasion Detector sex\n{lines}", encoding="utf-8")
    (tmp_path / "traps.txt").write_text("1 0 0\n2 100 0\n")
    secr = {"captures": tmp_path / "captures.txt", "traps": tmp_path / "traps.txt", "detector": "proximity"}
    if kept:
        assert survey.read_histories(tmp_path / "h.csv").animals["sex"].tolist() == words.split()
        assert survey.read_secr(**secr).animals["sex"].dropna().tolist() == words.split()
        return
    for read in (lambda: survey.read_histories(tmp_path / "h.csv"), lambda: survey.read_secr(**secr)):
        with pytest.raises(
            SurveyError, match=r"row 4: sex must be .* 'x'.*or leave it empty where the sex is not known"
        ):
            read()


def problems(read, *given, **more):
    with pytest.raises(SurveyError) as error:
        read(*given, **more)
    return [(p.row, p.what) for p in error.value.problems]


FATES = """/* kinds of slips */
1010 1;
1011 1.5;
1110 1;
0110 1;
10 1;
1010 -2;
1010
1010 x;
10.0 1;
1010 inf;
"""


def test_all_slips_of_an_inp_file_are_told_at_once(tmp_path):
    path = tmp_path / "a.inp"
    path.write_text(FATES)
    line = "a line needs a history of 4 occasions, 1 frequencies and 0 covariates"
    assert problems(survey.read_fates_inp, path) == [
        (3, "a frequency is no whole number"),
        (4, "an animal lives after its death"),
        (5, "a period is none of 10, 11 and 00"),
        (6, line),
        (7, "a number of animals is negative"),
        (8, line),
        (9, "a line has something that is no number"),
        (10, "a period is none of 10, 11 and 00"),
        (11, "a frequency is no whole number"),
    ]
    path.write_text("01.1 -1;\n01a1 1;\n0102 1;\n")
    with pytest.raises(SurveyError) as error:
        survey.read_visits_inp(path)
    assert [(p.row, p.fix) for p in error.value.problems] == [(1, "Give how many there are"), (2, "Correct it")]
    path.write_text("01.1 1;\n")
    for wrong in (0, -1):
        assert problems(survey.read_visits_inp, path, n_seasons=wrong)[0][1].startswith("n_seasons must be")
        (tmp_path / "w.csv").write_text("y.1,y.2\n0,1\n")
        assert problems(survey.read_matrix, tmp_path / "w.csv", n_seasons=wrong)[0][1].startswith("n_seasons must be")
    for read in (survey.read_inp, survey.read_fates_inp, survey.read_visits_inp):
        assert problems(read, tmp_path / "none.inp") == [(None, "there is no such file")]


def test_slips_of_histories_as_text_are_told_at_once_and_numbers_are_read(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text(
        "animal,ch,freq\na,0110,1\nb,110,1\na,0000,1\nc,01A0,1\nd,0101,x\ne,0101,1.5\nf,,1\ng,0101,\ni,0 11,2\n"
    )
    told = problems(survey.read_histories, path)
    assert sorted(row for row, _ in told) == [3, 4, 4, 5, 6, 7, 8, 9, 10]
    path.write_text("ch,frequency,removed\n0110,3,yes\n0100,2,no\n0010,-1,no\n")
    h = survey.read_histories(path)
    assert h.frequency.tolist() == [3, 2, 1] and h.removed.tolist() == [True, False, True]
    assert not len(h.animals.columns)
    path.write_text("ch,freq\n0110,0\n")
    assert problems(survey.read_histories, path) == [(None, "there are no histories")]


def test_covariates_of_visits_of_which_one_is_missing_are_told(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("y.1,y.2,y.3,date.1,date.2,soil.1,bio12\n0,1,1,3,4,5,6\n0,0,1,4,5,6,7\n")
    with pytest.warns(SurveyWarning, match=r"w.csv: date.1, date.2 are taken for covariates of sites: .* would be 3"):
        h = survey.read_matrix(path)
    assert list(h.sites) == ["date.1", "date.2", "soil.1", "bio12"]
    assert problems(survey.read_matrix, path, visits=["y.1", "y.1"])[0][1] == "a visit is given twice"


def test_slips_of_corners_of_searched_areas_are_told_with_those_of_rows(tmp_path):
    (tmp_path / "t.txt").write_text(
        "A 0 0\nA 100 0\nA x 100\nB 200 0\nB 300 0\nC 0 0\nC 100 100\nC 100 0\nC 0 100\nD 5\n"
    )
    (tmp_path / "c.txt").write_text("1 a 2 60\n1 b 1 foo 20\n")
    files = {"captures": tmp_path / "c.txt", "traps": tmp_path / "t.txt", "detector": "polygon"}
    assert problems(survey.read_secr, **files) == [
        (3, "a detector needs a name, x and y in metres"),
        (10, "a detector needs a name, x and y in metres"),
        (4, "area 'B' has 2 corners and needs 3 or more"),
        (6, "the outline of area 'C' crosses itself"),
        (1, "a capture needs session, ID, occasion, x, y"),
        (2, "x and y must be numbers"),
    ]


def test_tables_of_cells_with_slips(tmp_path):
    path = tmp_path / "m.txt"
    path.write_text("x,y,a-b,a b,X\n0,0,1,2,3\n100,0,1,forest,3\n200,0\n")
    assert problems(survey.read_mask, path) == [
        (None, "the heading 'a_b' is used twice"),
        (None, "the heading 'x' is used twice"),
        (3, "a b must be a number"),
        (4, "the row has 2 values and the heading 5"),
    ]
    path.write_text("x,y\n99.12,33.25\n99.13,33.25\n")
    assert problems(survey.read_mask, path, crs="EPSG:32647") == [
        (None, "x and y of the cells are degrees, not metres")
    ]
    path.write_text("x;y\n0;0\n")
    with pytest.raises(SurveyError, match="commas, blanks or tabs between the values"):
        survey.read_mask(path)
    cells = "".join(f'"{i}",{i * 100 / 3:.1f},{j * 100 / 3:.1f},{i}\n' for i in range(40) for j in range(3))
    path.write_text('"","x","y","D.forest"\n' + cells)  # as R writes them, rounded to 0.1 m
    mask = survey.read_mask(path)
    assert mask.size == 120 and mask.spacing == pytest.approx(33.33, abs=0.01) and list(mask.covariates) == ["D.forest"]


def test_forms_to_fill_in_say_how_to_read_these_tables():
    """Every key with which a form tells of such a file stands in the form to fill in."""
    folder = files("uncia.reports.templates")
    for form, keys in {
        "survey.toml": ("captures", "noccasions", "session", "table"),
        "survey-animals.toml": ("codes", "by_period"),
        "survey-sites.toml": ("visits", "n_seasons", "groups", "detections", "known"),
        "survey-released.toml": ("groups",),
    }.items():
        lines = folder.joinpath(form).read_text("utf-8").splitlines()
        examples = tomllib.loads(
            "\n".join(line[2:] for line in lines if line.startswith(tuple(f"# {k} = " for k in keys)))
        )
        assert set(keys) == set(examples)


def test_a_county_is_no_count(tmp_path):
    (tmp_path / "deployments.csv").write_text("station,x,y,start,end\nA,500000,3700000,2024-01-01,2024-02-01\n")
    (tmp_path / "records.csv").write_text(
        "station,time,species,individual,county\nA,2024-01-03 10:00,Panthera uncia,u1,Qumarleb\n"
    )
    how = {"species": "Panthera uncia", "crs": "EPSG:32647", "timezone": "Asia/Shanghai"}
    assert survey.read_field_tables(tmp_path, **how).n_animals == 1


def test_effort_of_visits_is_given_once_and_where_something_was_found(tmp_path):
    wide, effort = tmp_path / "w.csv", tmp_path / "e.csv"
    wide.write_text("site,y.1,y.2,effort.1,effort.2\na,0,1,1,\nb,1,NA,1,2\n")
    assert problems(survey.read_matrix, wide) == [(None, "something was found at site 'a' without effort")]
    effort.write_text("site,y.1,y.2\na,1,-2\nb,1,2\n")
    assert problems(survey.read_matrix, wide, effort=effort) == [(None, "covariates of visits are in two tables")]
    wide.write_text("site,y.1,y.2\na,0,1\nb,1,NA\n")
    assert problems(survey.read_matrix, wide, effort=effort) == [(2, "y.2 must be 0 or more")]
