"""CaptureHistory: sums and orders detections, refuses what cannot be, holds no animals as well as many."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expected, reference, scr_data

from uncia.survey import CaptureHistory, Detectors, SurveyError

EFFORT = [[1, 1, 0], [1, np.nan, 1], [1, 1, 1]]


def detectors(kind="proximity"):
    return Detectors(["A", "B", "C"], [0, 300, 0], [0, 400, 1000], EFFORT, kind)


def table(*rows, columns=("animal", "occasion", "detector", "count", "removed")):
    return pd.DataFrame([row + (1, False)[len(row) - 3 :] for row in rows], columns=list(columns))


def captures(*rows, kind="proximity", **more):
    return CaptureHistory(table(*rows), detectors(kind), **more)


def message(*rows, **more) -> str:
    with pytest.raises(SurveyError) as error:
        captures(*rows, **more)
    return str(error.value)


# ---- what it holds -----------------------------------------------------------------------------------------------


def test_order_and_numbers():
    made = captures(("cat 10", 3, "B"), ("cat 2", 3, "A"), ("cat 2", 1, "B"), ("cat 10", 3, "A"))
    assert list(made.animals.index) == ["cat 2", "cat 10"]
    assert made.detections.to_numpy().tolist() == [
        ["cat 2", 1, "B", 1, False],
        ["cat 2", 3, "A", 1, False],
        ["cat 10", 3, "A", 1, False],
        ["cat 10", 3, "B", 1, False],
    ]
    assert (made.n_animals, made.n_detections, made.n_recaptures, made.n_spatial_recaptures) == (2, 4, 2, 2)
    assert made.animal_index.tolist() == [0, 0, 1, 1]
    assert made.detector_index.tolist() == [1, 0, 0, 1]
    assert made.capture_frequencies().to_dict() == {1: 1, 2: 1}
    assert repr(made) == (
        "CaptureHistory '1': 2 animals, 4 detections (2 spatial recaptures), "
        "3 proximity detectors, 3 occasions, 7 camera days"
    )


def test_repeated_rows_are_summed_and_a_removal_stays():
    made = captures(("x", 1, "A", 2), ("x", 1, "A", 3, True), kind="count")
    assert made.detections["count"].tolist() == [5]
    assert made.detections["removed"].tolist() == [True]


def test_counts_default_to_one():
    made = CaptureHistory(pd.DataFrame({"animal": [1], "occasion": [2.0], "detector": ["A"]}), detectors())
    assert made.n_detections == 1
    assert made.detections["occasion"].tolist() == [2]


def test_covariates_of_animals_follow_their_order_and_others_are_left_out():
    animals = pd.DataFrame({"sex": ["M", "F", "F"]}, index=["cat 10", "cat 2", "cat 3"])
    made = captures(("cat 10", 1, "A"), ("cat 2", 1, "A"), animals=animals)
    assert made.animals["sex"].to_dict() == {"cat 2": "F", "cat 10": "M"}
    assert captures(("cat 4", 1, "A"), animals=animals).animals["sex"].isna().all()


def test_more_covariates_of_animals():
    made = captures(("x", 1, "A"), ("y", 1, "B"), animals=pd.DataFrame({"sex": ["f"]}, index=["x"]))
    more = made.with_animals(pd.DataFrame({"mass": [30.0, 41.0]}, index=["y", "never seen"]))
    assert more.animals["mass"].tolist()[1] == 30.0 and np.isnan(more.animals["mass"].iloc[0])
    assert list(more.animals.columns) == ["sex", "mass"] and not more.equals(made)
    for table, words in [
        (pd.DataFrame({"sex": ["f"]}, index=["x"]), "the animals have this covariate already (found 'sex')"),
        (pd.DataFrame({"mass": [1.0]}, index=[7]), "no animal of the table was detected (found ['7'])"),
        (pd.DataFrame({"mass": [1.0, 2.0]}, index=["x", "x"]), "an animal has two rows of covariates (found 'x')"),
    ]:
        with pytest.raises(SurveyError) as error:
            made.with_animals(table)
        assert str(error.value).startswith(words)


def test_dense_view():
    dense = captures(("x", 1, "A"), ("y", 3, "C"), ("y", 3, "A")).to_xarray()
    assert dense.dims == ("animal", "occasion", "detector")
    assert dense.sum().item() == 3
    assert dense.sel(animal="y", occasion=3).to_numpy().tolist() == [1, 0, 1]


def test_dense_view_of_a_large_survey_is_refused():
    many = Detectors(range(10_000), np.arange(10_000) * 10, np.zeros(10_000), np.ones((90, 10_000)))
    seen = pd.DataFrame({"animal": range(200), "occasion": 1, "detector": range(200)})
    with pytest.raises(SurveyError, match="the dense view would not fit"):
        CaptureHistory(seen, many).to_xarray()


def test_no_animals_are_data():
    for nothing in (pd.DataFrame(), table()):
        made = CaptureHistory(nothing, detectors())
        assert (made.n_animals, made.n_detections, made.n_recaptures, made.n_spatial_recaptures) == (0, 0, 0, 0)
        assert np.isnan(made.pooled_sd())
        assert made.to_xarray().shape == (0, 3, 3)
        assert made.capture_frequencies().empty
        assert made.centroids().shape == (0, 2)
        assert list(made.detections) == ["animal", "occasion", "detector", "count", "removed"]


def test_equality_and_pickling():
    rows = [("x", 1, "A"), ("y", 3, "C")]
    made = captures(*rows, animals=pd.DataFrame({"sex": ["F", None]}, index=["x", "y"]))
    assert made.equals(pickle.loads(pickle.dumps(made)))
    assert captures(*rows).equals(captures(*rows[::-1]))
    assert not made.equals(captures(*rows))
    assert not captures(*rows).equals(captures(*rows, session="2"))
    assert not captures(*rows).equals(captures(rows[0]))
    assert not made.equals(None)


def test_html_names_the_facts():
    html = captures(("<x>", 1, "A"), ("<x>", 3, "B"))._repr_html_()
    assert "<th>animals</th><td>1</td>" in html
    assert "1 on 2" in html


# ---- movement ----------------------------------------------------------------------------------------------------


def test_movement_of_one_animal():
    made = captures(("x", 1, "A"), ("x", 3, "B"), ("x", 3, "A"), ("y", 1, "A"))
    # centroid (100, 133.3); squares 2·(100² + 133.3²) + 200² + 266.7²; 2·(4 - 2) degrees of freedom
    assert made.pooled_sd() == pytest.approx(np.sqrt((2 * 1e4 + 2 * 400**2 / 9 + 4e4 + 800**2 / 9) / 4))
    np.testing.assert_allclose(made.centroids(), [[100, 400 / 3], [0, 0]])


def test_no_movement():
    assert np.isnan(captures(("x", 1, "A"), ("x", 3, "A")).pooled_sd())
    assert np.isnan(captures(("x", 1, "A"), ("y", 3, "B")).pooled_sd())


def test_movement_equals_the_field():
    entry = next(e for e in expected("captdata") if e["model"].startswith("simple statistics"))
    assert scr_data("captdata")[0].pooled_sd() == pytest.approx(entry["derived"]["RPSV_CC"], rel=1e-9)


def test_counts_equal_the_field():
    captures = scr_data("captdata")[0]
    entry = next(e for e in expected("captdata") if e["model"] == "counts per occasion")["derived"]
    assert reference("captdata").is_dir()
    caught = captures.detections.groupby("occasion")["animal"].nunique()
    assert caught.tolist() == entry["n"][:5]
    assert captures.n_detections == entry["detections"][-1]
    frequencies = captures.capture_frequencies().reindex(range(1, 6), fill_value=0)
    assert frequencies.tolist() == entry["f"][:5]


# ---- what cannot be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        (
            [("x", 1, "Q")],
            "count",
            "a detection names a detector that does not exist (found 'Q'). Add it to the detectors or correct the name",
        ),
        (
            [("x", 4, "A")],
            "count",
            "a detection names an occasion outside 1..3 (found 4). Correct the occasion or extend the effort",
        ),
        (
            [("x", 1, "C")],
            "count",
            "animal 'x' was detected at 'C' on occasion 1, where the effort is zero. "
            "Correct the detection or the dates of the deployment and its failures",
        ),
        (
            [("x", 2, "B")],
            "count",
            "animal 'x' was detected at 'B' on occasion 2, where the effort is not known. "
            "Correct the detection or the dates of the deployment and its failures",
        ),
        (
            [("x", 1, "A", 2)],
            "proximity",
            "animal 'x' was detected 2 times at 'A' on occasion 1, and a proximity detector holds one. "
            'Use kind="count", or reduce them to one',
        ),
        (
            [("x", 1, "A"), ("x", 1, "B")],
            "multi",
            "animal 'x' was detected at 'B' on occasion 1, and in another trap too: multi-catch traps hold an animal "
            'for the occasion. Use kind="proximity", or keep one capture per occasion',
        ),
        (
            [("x", 1, "A"), ("y", 1, "A")],
            "single",
            "animal 'y' was detected at 'A' on occasion 1, where another animal was caught too: a single-catch trap "
            'holds one. Use kind="multi" if the trap can hold several, or correct the detector',
        ),
        (
            [("x", 2, "A", 1, True), ("x", 3, "A")],
            "count",
            "animal 'x' was detected at 'A' on occasion 3, after it was removed on occasion 2. "
            "Correct the removal or the detection",
        ),
        ([("x", 1, "A", 0)], "count", "detection 1 has a count below one (found 0). Leave out what was not detected"),
        ([("x", 1.5, "A")], "count", "detection 1 has an occasion that is no whole number (found 1.5). Correct it"),
        (
            [("x", 1, "A", 1, "yes")],
            "count",
            "detection 1 has removed that is neither true nor false (found 'yes'). Write True or False",
        ),
        (
            [(None, 1, "A")],
            "count",
            "detection 1 has no animal. Fill in the animal, or leave the detection out",
        ),
    ],
)
def test_one_clear_message(rows, kind, words):
    assert message(*rows, kind=kind) == words


def test_all_faults_at_once():
    text = message(("x", 1, "C"), ("y", 1, "A", 2), ("z", 2, "A", 1, True), ("z", 3, "A"))
    assert text.startswith("3 problems in the input:")


def test_file_and_row_are_named_when_they_are_known():
    rows = table(("x", 1, "A"), ("x", 1, "A"), ("y", 1, "C")).assign(file="seen.csv", row=[2, 3, 4])
    with pytest.raises(SurveyError) as error:
        CaptureHistory(rows, detectors())
    assert [(problem.file, problem.row) for problem in error.value.problems] == [("seen.csv", 4), ("seen.csv", 3)]
    good = CaptureHistory(rows.iloc[:1], detectors())
    assert list(good.detections) == ["animal", "occasion", "detector", "count", "removed"]


def test_columns_that_are_missing():
    with pytest.raises(SurveyError, match=r"the detections lack columns .* Add detector, occasion"):
        CaptureHistory(pd.DataFrame({"animal": ["x"]}), detectors())


def test_covariates_and_occasions_that_do_not_fit():
    twice = pd.DataFrame({"sex": ["F", "M"]}, index=["x", "x"])
    assert message(("x", 1, "A"), animals=twice) == "an animal has two rows of covariates (found 'x'). Keep one"
    dates = pd.DataFrame({"start": [1, 2], "end": [2, 3]})
    assert message(("x", 1, "A"), occasions=dates) == "occasions need one row for each of 3 (found 2). Give S rows"


# ---- invariances -------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 3), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=12
)


@given(ROWS, st.permutations(range(5)), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_and_of_detectors_does_not_matter(rows, order, random):
    """The same detections, whatever their order; the same statistics, whatever the order of the detectors."""
    x, y = np.array([0.0, 100.0, 500.0, 220.0, 900.0]), np.array([0.0, 700.0, 20.0, 350.0, 10.0])
    frame = pd.DataFrame(rows, columns=["animal", "occasion", "detector", "count"]).astype({"detector": str})

    def made(order, frame):
        order = list(order)
        traps = Detectors([str(k) for k in order], x[order], y[order], np.ones((3, 5)), "count")
        return CaptureHistory(frame, traps)

    plain, shuffled = made(range(5), frame), frame.sample(frac=1.0, random_state=random.randrange(2**31))
    assert plain.equals(made(range(5), shuffled))
    other = made(order, frame)
    assert (other.n_detections, other.n_spatial_recaptures) == (plain.n_detections, plain.n_spatial_recaptures)
    np.testing.assert_allclose(other.pooled_sd(), plain.pooled_sd())
    names = [str(k) for k in range(5)]
    assert other.to_xarray().sel(detector=names).equals(plain.to_xarray().sel(detector=names))
