"""secr's text files: every variant that is met in the field, bad files as text, and the round trip."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference, scr_data

from uncia import survey
from uncia.survey.errors import SurveyError, SurveyWarning

TRAPS = "A1 0 0\nA2 100 0\nA3 200 50\n"
CAPTURES = "1 cat1 1 A1\n1 cat1 2 A2\n1 cat2 3 A3\n"


@pytest.fixture
def read(tmp_path):
    """Read captures and traps that are given as text (or bytes)."""

    def reader(captures, traps=TRAPS, detector="proximity", **options):
        paths = []
        for name, content in (("capt.txt", captures), ("trap.txt", traps)):
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name).write_bytes(data)
            paths.append(tmp_path / name)
        return survey.read_secr(*paths, detector=detector, **options)

    return reader


def words(error) -> str:
    return str(error.value)


# ---- the reference data sets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "captures", "traps", "options"),
    [
        ("captdata", "capt.txt", "trap.txt", {}),
        ("hare", "hareCH6capt.txt", "hareCH6trap.txt", {}),
        ("stoatDNA", "stoatcapt.txt", "stoattrap.txt", {"noccasions": 7}),
    ],
)
def test_text_files_give_the_same_histories_as_the_tables_beside_them(name, captures, traps, options):
    folder = reference(name)
    read = survey.read_secr(folder / captures, folder / traps, detector="multi", **options)
    assert read.equals(scr_data(name)[0])


# ---- variants ----------------------------------------------------------------------------------------------------


def test_plain_files(read):
    captures = read(CAPTURES)
    assert (captures.n_animals, captures.n_detections, captures.n_occasions) == (2, 3, 3)
    assert captures.detectors.effort.tolist() == [[1.0] * 3] * 3
    assert captures.detectors.kind == "proximity"
    assert captures.session == "1"
    assert str(captures.ledger) == "capt.txt: 3 records read\n         3  used"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_byte_order_marks(read, newline, mark):
    data = [mark + text.replace("\n", newline).encode() for text in (CAPTURES, TRAPS)]
    assert read(*data).equals(read(CAPTURES))


@pytest.mark.parametrize("separator", [",", ", ", "\t", "   "])
def test_separators(read, separator):
    captures, traps = (text.replace(" ", separator) for text in (CAPTURES, TRAPS))
    assert read(captures, traps).equals(read(CAPTURES))


def test_comments_blank_lines_and_header_without_a_sign(read):
    captures = "# from the field\n\n#Session ID Occasion Detector\n" + CAPTURES.replace("\n", " # seen\n", 1)
    assert read(captures, "# traps\n" + TRAPS + "\n# end").equals(read(CAPTURES))
    assert read("Session,ID,Occasion,Detector\n" + CAPTURES.replace(" ", ","), "ID x y\n" + TRAPS).equals(
        read(CAPTURES)
    )


def test_commas_at_the_end_of_a_line_from_a_spreadsheet(read):
    captures = CAPTURES.replace(" ", ",").replace("\n", ",,\n")
    assert read(captures, TRAPS.replace(" ", ",").replace("\n", ",,\n")).equals(read(CAPTURES))


def test_names_in_quotation_marks(read):
    captures = read('1 "old tom" 1 A1\n"1" cat2 2 "A#2"\n', 'A1 0 0\n"A#2" 100 0\n')
    assert list(captures.animals.index) == ["cat2", "old tom"]
    assert captures.detectors.id == ("A1", "A#2")


def test_chinese_letters_in_gb18030(read):
    captures, traps = "1 豹一 1 东山站\n1 豹二 2 东山站\n", "东山站 100 200\n西山站 300 400\n"
    assert read(captures.encode("gb18030"), traps.encode("gb18030")).equals(read(captures, traps))


def test_positions_instead_of_names_within_a_tolerance(read):
    by_place = "1 cat1 1 0 0\n1 cat1 2 100.4 0\n1 cat2 3 200 50\n"
    assert read(by_place).equals(read(CAPTURES))
    assert read(by_place, fmt="XY").equals(read(CAPTURES))


def test_detectors_with_numbers_as_names_are_still_names(read):
    captures = read("1 a 1 2 5\n1 b 1 3 6\n", "1 0 0\n2 100 0\n3 200 0\n", covariates=["age"])
    assert list(captures.detections["detector"]) == ["2", "3"]
    assert list(captures.animals["age"]) == [5, 6]


def test_usage_strings(read):
    captures = read(CAPTURES, "A1 0 0 1110\nA2 100 0 0100\nA3 200 50 0011\n")
    assert captures.detectors.effort.T.tolist() == [[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]]


def test_usage_string_with_blanks(read):
    captures = read(CAPTURES, "A1 0 0 11 10\nA2 100 0 0100\nA3 200 50 0 0 1 1\n", usage="binary")
    assert captures.detectors.effort.T.tolist() == [[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]]


def test_a_detector_without_a_known_usage(read):
    effort = read(CAPTURES, "A1 0 0 111\nA2 100 0 111\nA3 200 50 111\nA4 9 9 NA\n").detectors.effort
    assert effort.shape == (3, 4)
    assert np.isnan(effort[:, 3]).all()


def test_numeric_effort_with_unknown_values(read):
    captures = read(CAPTURES, "A1 0 0 10 0.5 1\nA2 100 0 0 3 NA\nA3 200 50 1 1 1e1\n")
    np.testing.assert_array_equal(captures.detectors.effort.T, [[10, 0.5, 1], [0, 3, np.nan], [1, 1, 10]])


def test_nights_that_look_like_a_usage_string(read):
    traps = "A1 0 0 10\nA2 100 0 11\nA3 200 50 11\n"
    captures = "1 cat 1 A2\n"
    assert read(captures, traps).n_occasions == 2
    assert read(captures, traps, usage="effort").detectors.effort.tolist() == [[10, 11, 11]]


def test_covariates_of_detectors_with_the_slash_as_a_column(read):
    traps = "#ID,X,Y,Effort,/,Rgd,Topo\n1,0,0,45,/,0.5,ridge\n2,1000,0,30,/,NA,valley\n3,0,1000,7,/,1,-\n"
    captures = read("#Session,ID,Occasion,Detector,Sex\n1,a,1,1,F\n1,b,1,2,\n1,b,1,3,M\n", traps, "count")
    assert captures.detectors.effort.tolist() == [[45, 30, 7]]
    pd.testing.assert_frame_equal(
        captures.detectors.covariates,
        pd.DataFrame({"Rgd": [0.5, np.nan, 1.0], "Topo": ["ridge", "valley", None]}),
        check_dtype=False,
    )
    assert captures.animals["Sex"].to_dict() == {"a": "F", "b": "M"}


@pytest.mark.parametrize("line", ["A1 0 0 011 / 5 wet", "A1 0 0 011 /5 wet", "A1 0 0 011/ 5 wet", "A1 0 0 011/5 wet"])
def test_the_slash_may_stick_to_a_word(read, line):
    captures = read("1 cat 2 A1\n", line + "\nA2 9 9 111 / 6 dry\n", detector_covariates=["slope", "soil"])
    assert captures.detectors.effort.T.tolist() == [[0, 1, 1], [1, 1, 1]]
    assert captures.detectors.covariates.to_dict("list") == {"slope": [5, 6], "soil": ["wet", "dry"]}


def test_covariates_without_usage_and_without_names(read):
    captures = read(CAPTURES, "A1 0 0 / 1\nA2 100 0 / 2\nA3 200 50 / 3\n")
    assert captures.detectors.covariates.to_dict("list") == {"covariate1": [1, 2, 3]}
    assert captures.detectors.effort.shape == (3, 3)


def test_a_column_of_captures_without_a_name_is_not_read(read):
    assert list(read("1 cat1 1 A1 x\n1 cat1 2 A2 y\n").animals.columns) == []


def test_a_covariate_that_differs_between_captures_keeps_the_first_and_says_so(read):
    with pytest.warns(SurveyWarning, match="^sex differs between captures of one animal; the first is kept: cat2$"):
        captures = read("1 cat1 1 A1 F\n1 cat2 1 A2 NA\n1 cat2 2 A1 M\n1 cat2 3 A1 F\n", covariates=["sex"])
    assert captures.animals["sex"].to_dict() == {"cat1": "F", "cat2": "M"}


def test_minus_sign_means_removed(read):
    captures = read("1 cat1 1 A1\n1 cat1 -2 A2\n1 cat2 3 A3\n")
    assert list(captures.detections["removed"]) == [False, True, False]
    assert list(captures.detections["occasion"]) == [1, 2, 3]


def test_counts_are_repeated_lines(read):
    captures = read(CAPTURES + "1 cat1 1 A1\n1 cat1 1 A1\n", detector="count")
    assert list(captures.detections["count"]) == [3, 1, 1]


def test_single_catch_traps_stay_what_they_are(read):
    """The model says in its verdict that its likelihood is that of multi-catch traps."""
    assert read(CAPTURES, detector="single").detectors.kind == "single"


def test_no_captures_are_data(read):
    captures = read("1 NONE 5 A1\n")
    assert (captures.n_animals, captures.n_occasions) == (0, 5)
    assert "a line that says that nothing was caught" in str(captures.ledger)
    assert read("# Session ID Occasion Detector\n", noccasions=4).n_occasions == 4


def test_several_sessions_in_numeric_order_with_one_file_of_traps(read):
    sessions = read("10 a 1 A1\n9 a 2 A2\n9 b 1 A3\n11 NONE 3 A1\n")
    assert list(sessions) == ["9", "10", "11"]
    assert [h.n_animals for h in sessions.values()] == [2, 1, 0]
    assert [h.n_occasions for h in sessions.values()] == [2, 1, 3]
    assert [sum(h.ledger.read.values()) for h in sessions.values()] == [2, 1, 1]


def test_one_file_of_traps_per_session(tmp_path):
    (tmp_path / "capt.txt").write_text("2005 a 1 X\n2006 a 2 Y\n")
    (tmp_path / "t1.txt").write_text("X 0 0\nX2 50 0\n")
    (tmp_path / "t2.txt").write_text("Y 0 0 11\n")
    files = [tmp_path / "t1.txt", tmp_path / "t2.txt"]
    sessions = survey.read_secr(tmp_path / "capt.txt", files, detector="multi")
    assert [h.detectors.id for h in sessions.values()] == [("X", "X2"), ("Y",)]
    named = survey.read_secr(tmp_path / "capt.txt", {2005: files[0], 2006: files[1], 2007: files[1]}, detector="multi")
    assert named["2005"].equals(sessions["2005"])
    assert named["2007"].n_animals == 0


# ---- bad files ---------------------------------------------------------------------------------------------------


def test_all_bad_rows_at_once(read):
    with pytest.raises(SurveyError) as error:
        read("1 a 1 A1\n1 b first A1\n1 c 0 A1\n1 d\n", "A1 0 0\nA2 100\nA3 x y\nA1 5 5\n")
    assert words(error) == (
        "6 problems in the input:\n"
        "  1. trap.txt, row 2: a detector needs a name, x and y in metres (found ['A2', '100']). Correct the line\n"
        "  2. trap.txt, row 3: a detector needs a name, x and y in metres (found ['A3', 'x', 'y']). Correct the line\n"
        "  3. trap.txt, row 4: the detector is already on row 1 (found 'A1'). "
        "Give every detector one line; of searched areas and lines say detector='polygon' or 'transect' "
        "(in survey.toml, kind)\n"
        "  4. capt.txt, row 2: the occasion is no whole number above zero (found 'first'). "
        "Give the number of the occasion from 1 on (a minus sign before it = did not come back)\n"
        "  5. capt.txt, row 3: the occasion is no whole number above zero (found '0'). "
        "Give the number of the occasion from 1 on (a minus sign before it = did not come back)\n"
        "  6. capt.txt, row 4: a capture needs session, ID, occasion, detector (found '1 d'). Complete the line"
    )


def test_unknown_detectors_and_late_occasions_name_their_rows(read):
    with pytest.raises(SurveyError) as error:
        read("# seen\n1 a 1 A1\n1 b 2 A9\n2 c 5 A1\n2 d 1 B7\n", TRAPS, noccasions=3)
    assert words(error) == (
        "3 problems in the input:\n"
        "  1. capt.txt, row 3: a detection names a detector that does not exist (found 'A9'). "
        "Add it to the detectors or correct the name\n"
        "  2. capt.txt, row 5: a detection names a detector that does not exist (found 'B7'). "
        "Add it to the detectors or correct the name\n"
        "  3. capt.txt, row 4: a detection names an occasion outside 1..3 (found 5). "
        "Correct the occasion or extend the effort"
    )


BAD = {
    "unused detector": (
        ("1 cat 2 A1\n", "A1 0 0 10\nA2 9 9 11\n"),
        {},
        "capt.txt, row 1: animal 'cat' was detected at 'A1' on occasion 2, where the effort is zero. "
        "Correct the detection or the dates of the deployment and its failures",
    ),
    "twice at a binary detector": (
        ("1 cat 2 A1\n1 cat 2 A1\n", TRAPS),
        {},
        "capt.txt, row 2: animal 'cat' was detected 2 times at 'A1' on occasion 2, and a proximity detector holds one. "
        'Use kind="count", or reduce them to one',
    ),
    "two multi-catch traps": (
        ("1 cat 2 A1\n1 cat 2 A2\n", TRAPS),
        {"detector": "multi"},
        "capt.txt, row 2: animal 'cat' was detected at 'A2' on occasion 2, and in another trap too: multi-catch traps "
        'hold an animal for the occasion. Use kind="proximity", or keep one capture per occasion',
    ),
    "two animals in a single-catch trap": (
        ("1 cat 2 A1\n1 tom 2 A1\n", TRAPS),
        {"detector": "single"},
        "capt.txt, row 2: single-catch trap 'A1' holds two animals on occasion 2. "
        'Correct the trap or the occasion, or use detector="multi"',
    ),
    "alive after removal": (
        ("1 cat -2 A1\n1 cat 3 A2\n", TRAPS),
        {},
        "capt.txt, row 2: animal 'cat' was detected at 'A2' on occasion 3, after it was removed on occasion 2. "
        "Correct the removal or the detection",
    ),
    "no detector at this place": (
        ("1 cat 1 0 0\n1 cat 2 130 40\n", TRAPS),
        {},
        "capt.txt, row 2: there is no detector at this x, y; the nearest is 'A2', 50 m away (found '130 40'). "
        "Correct it, or give a larger tolerance",
    ),
    "usage of unequal length": (
        (CAPTURES, "A1 0 0 1 1 1\nA2 100 0 1 1\nA3 200 50 1 1 1\n"),
        {},
        "trap.txt, row 2: detector 'A2' has usage for 2 occasions and others for 3. "
        "Give every detector every occasion, 0 where it was not set",
    ),
    "usage strings of unequal length": (
        (CAPTURES, "A1 0 0 0111\nA2 100 0 111\nA3 200 50 0111\n"),
        {},
        "trap.txt, row 2: detector 'A2' has usage for 3 occasions and others for 4. "
        "Give every detector every occasion, 0 where it was not set; "
        "or say usage='effort' if these are amounts of effort on one occasion",
    ),
    "usage that is no string": (
        (CAPTURES, "A1 0 0 012\nA2 100 0 111\nA3 200 50 111\n"),
        {"usage": "binary"},
        "trap.txt, row 1: the usage of detector 'A1' is no string of 0 and 1 (found '2'). Correct it",
    ),
    "usage that is no number": (
        (CAPTURES, "A1 0 0 1 1 1\nA2 100 0 1 x 1\nA3 200 50 1 1 1\n"),
        {},
        "trap.txt, row 2: the usage of detector 'A2' is no number (found 'x'). Correct it (NA where unknown)",
    ),
    "covariates of unequal number": (
        (CAPTURES, "A1 0 0 / a b\nA2 100 0 / a\nA3 200 50 / a b\n"),
        {},
        "trap.txt, row 2: the detector has 1 covariates and others have 2. Fill in NA where a value is missing",
    ),
    "degrees": (
        ("1 cat 1 A1\n", "A1 112.401 37.2\nA2 112.45 37.3\n"),
        {},
        "trap.txt: the detectors' coordinates look like degrees (found (112.401, 37.2)). Project them to metres with "
        "survey.to_metres(longitude, latitude, crs); their UTM zone is EPSG:32649",
    ),
    "usage against noccasions": (
        (CAPTURES, "A1 0 0 111\nA2 100 0 111\nA3 200 50 111\n"),
        {"noccasions": 5},
        "trap.txt: the usage has 3 occasions, and noccasions says 5. "
        "Correct one of them, or say usage='binary' or usage='effort'",
    ),
    "dates as occasions": (
        ("1 cat 20240501 A1\n", TRAPS),
        {},
        "capt.txt: an occasion looks like a date (found 20240501). Number the occasions from 1 on, or give noccasions",
    ),
    "open quotation mark": (
        ('1 cat 1 A1\n1 "cat 2 A1\n', TRAPS),
        {},
        "capt.txt, row 2: a quotation mark is not closed. Close it or remove it",
    ),
    "other kind": (
        (CAPTURES, TRAPS),
        {"detector": "signal"},
        "this kind of detector is not known (found 'signal'). Use one of count, proximity, multi, single, "
        "capped, area, exclusive area, transect, exclusive transect",
    ),
    "names of covariates": (
        (CAPTURES, TRAPS),
        {"covariates": ["sex"]},
        "capt.txt: 1 names for 0 columns of covariates (found ['sex']). Give one each",
    ),
    "nothing at all": (
        ("# none yet\n", TRAPS),
        {},
        "capt.txt: nothing says how many occasions there were. Number the occasions from 1 on, or give noccasions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_as_text(read, name):
    texts, options, message = BAD[name]
    with pytest.raises(SurveyError) as error:
        read(*texts, **options)
    assert words(error) == message


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SurveyError, match=re.escape("capt.txt: there is no such file")):
        survey.read_secr(tmp_path / "capt.txt", tmp_path / "trap.txt", detector="multi")


def test_as_many_files_of_traps_as_sessions(tmp_path):
    (tmp_path / "capt.txt").write_text("1 a 1 A1\n2 a 1 A1\n")
    (tmp_path / "trap.txt").write_text(TRAPS)
    trap = tmp_path / "trap.txt"
    with pytest.raises(SurveyError, match="3 files of detectors for 2 sessions"):
        survey.read_secr(tmp_path / "capt.txt", [trap] * 3, detector="multi")
    with pytest.raises(SurveyError, match="no file of detectors for a session"):
        survey.read_secr(tmp_path / "capt.txt", {"1": trap}, detector="multi")


# ---- the round trip ----------------------------------------------------------------------------------------------

NAMES = st.text("abcXYZ019 ._-é猫#,/", min_size=1, max_size=6).filter(
    lambda s: s == s.strip() and s not in ("NONE", "-", "/")
)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
LEVELS = st.sampled_from(["ridge", "valley floor", None])


@st.composite
def histories(draw, session="1"):
    """A small survey of any kind, with gaps, losses, unknown effort and covariates; perhaps without any animal."""
    K, S = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["count", "proximity", "multi"]))
    efforts = (
        st.sampled_from([0.0, 1.0]) if draw(st.booleans()) else st.sampled_from([0.0, 0.25, 1.0, 10.0, 11.0, np.nan])
    )
    effort = np.array(draw(st.lists(st.lists(efforts, min_size=K, max_size=K), min_size=S, max_size=S)))
    effort[0, 0] = 10.0
    # positions are whole numbers far apart, since coordinates below ten with fractions are taken for degrees
    places = draw(st.lists(st.tuples(st.integers(-9999, 9999), st.integers(1000, 9999)), min_size=K, max_size=K))
    x, y = np.array(places, float).T
    names = draw(st.lists(NAMES, min_size=K, max_size=K, unique=True))
    traps = pd.DataFrame({"slope": draw(st.lists(NUMBERS, min_size=K, max_size=K)), "the place": ["a"] * K})
    detectors = survey.Detectors(
        names, x, y, effort, kind, None, "occasions", traps if draw(st.booleans()) else pd.DataFrame()
    )
    rows, gone = [], set()
    animals = draw(st.lists(NAMES, max_size=4, unique=True))
    for animal in animals:
        for s in range(S):
            open_traps = np.flatnonzero(detectors.used[s])
            if len(open_traps) and animal not in gone and draw(st.booleans()):
                k = draw(st.sampled_from(list(open_traps)))
                removed = draw(st.integers(0, 9)) == 0
                count = draw(st.integers(1, 3)) if kind == "count" else 1
                rows.append((animal, s + 1, names[k], count, removed))
                gone |= {animal} if removed else set()
    frame = pd.DataFrame(rows, columns=["animal", "occasion", "detector", "count", "removed"])
    age = pd.DataFrame({"age": [draw(LEVELS) for _ in animals]}, index=pd.Index(animals, dtype=object), dtype=object)
    return survey.CaptureHistory(frame, detectors, age, session=session)


def same(read, written) -> None:
    """Equal but for the types of text columns, and for covariates where there is no animal to write them for."""
    pd.testing.assert_frame_equal(read.detections, written.detections, check_dtype=False)
    for name in ("x", "y", "effort"):
        np.testing.assert_array_equal(getattr(read.detectors, name), getattr(written.detectors, name))
    assert (read.detectors.id, read.detectors.kind) == (written.detectors.id, written.detectors.kind)
    pd.testing.assert_frame_equal(read.detectors.covariates, written.detectors.covariates, check_dtype=False)
    assert read.session == written.session
    if written.n_animals:
        known = written.animals.notna()
        assert read.animals.where(known, "").astype(str).equals(written.animals.where(known, "").astype(str))


@given(histories())
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_again(tmp_path_factory, captures):
    paths = survey.write_secr(captures, tmp_path_factory.mktemp("secr"))
    same(survey.read_secr(*paths, detector=captures.detectors.kind), captures)


@given(histories("2005"), histories("2006"))
@settings(max_examples=8, deadline=None)
def test_several_sessions_are_read_again(tmp_path_factory, first, second):
    if first.detectors.kind != second.detectors.kind:
        return
    paths = survey.write_secr([first, second], tmp_path_factory.mktemp("secr") / "two")
    read = survey.read_secr(*paths, detector=first.detectors.kind)
    same(read["2005"], first)
    same(read["2006"], second)


def test_the_written_files(tmp_path):
    detectors = survey.Detectors(["A1", "A 2"], [0, 100], [0, 5.5], [[1, 1], [0, 1]], "multi", "EPSG:32649")
    detections = {"animal": ["cat", "cat"], "occasion": [1, 2], "detector": ["A1", "A 2"], "removed": [False, True]}
    captures = survey.CaptureHistory(pd.DataFrame(detections), detectors, pd.DataFrame({"sex": ["F"]}, index=["cat"]))
    written = survey.write_secr(captures, tmp_path / "hills")
    assert [path.name for path in written] == ["hillscapt.txt", "hillstrap.txt"]
    assert written[0].read_text() == '# Session ID Occasion Detector sex\n1 cat 1 A1 F\n1 cat -2 "A 2" F\n'
    assert written[1].read_text() == (
        '# kind multi, effort in camera days, CRS EPSG:32649\n# Detector x y usage\nA1 0.0 0.0 10\n"A 2" 100.0 5.5 11\n'
    )


def test_what_cannot_be_written(tmp_path):
    detectors = survey.Detectors(["A1"], [0], [0], [[1]])
    for animal, message in (("NONE", "an animal is called NONE"), ('to"m', "a name cannot be written")):
        captures = survey.CaptureHistory(
            pd.DataFrame({"animal": [animal], "occasion": [1], "detector": ["A1"]}), detectors
        )
        with pytest.raises(SurveyError, match=message):
            survey.write_secr(captures, tmp_path)
        with pytest.raises(SurveyError, match="sessions need different names"):
            survey.write_secr([captures, captures], tmp_path)
