"""The registry of identities: files, decisions that follow each other, records, the difference between two years."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_survey

from uncia import survey
from uncia.reports.analysis import analyse
from uncia.reports.report import write_report
from uncia.reports.study import read_study
from uncia.survey.captures import CaptureHistory
from uncia.survey.errors import SurveyError
from uncia.survey.identities import IdentityRegistry, registry_changes

CSV = """\
kind,name,becomes,from,until,place,record,sex,reason,decided,by
animal,T-01,,,,,,female,,,
animal,T-02,,,,,,,,,
alias,F3,T-01,,,,,,,,
merge,T-09,T-02,,,,,,same left flank,2024-03-01,Li
alias,T-9,T-09,,,,,,,,
split,T-01,T-02,2024-05-10,,A | B,,,another animal at A and B,2024-06-01,Li
exclude,cub,,,,,,,cubs are not counted,2024-03-01,Li
"""


def registry(tmp_path, text: str = CSV, name: str = "identities.csv") -> IdentityRegistry:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return IdentityRegistry.read(path)


def test_decisions_follow_each_other(tmp_path):
    r = registry(tmp_path)
    names = pd.Series(["T-9", "F3", "T-01", "T-01", "T-01", "cub", "T-77"])
    time = pd.Series(
        pd.to_datetime(["2024-05-20 01:00"] * 2 + ["2024-05-09 23:00", "2024-05-10 00:30"] + ["2024-05-20 23:00"] * 3)
    )
    place = pd.Series(["C", "B", "A", "A", "C", "A", "A"])
    found = r.resolve(names, time, place)
    assert list(found["animal"]) == ["T-02", "T-02", "T-01", "T-02", "T-01", "", "T-77"]
    assert found["why"][5] == "left out by the identity registry: cubs are not counted"
    assert found["decision"][0] == (4, 3) and found["decision"][1] == (2, 5) and found["decision"][6] == ()
    assert r.final_names()["T-9"] == "T-02"
    assert r.animals.loc["T-02", "other names"] == "T-09 | T-9"
    assert r.unknown(["T-9", "T-77", "A 2", "A 10"]) == ["A 2", "A 10", "T-77"]
    assert "2 animal, 2 alias, 1 merge, 1 split, 1 exclude" in repr(r)


def test_csv_and_toml_hold_the_same(tmp_path):
    r = registry(tmp_path)
    for name in ("again.csv", "again.toml"):
        again = IdentityRegistry.read(r.write(tmp_path / name))
        assert again.decisions.equals(r.decisions)
    said = (
        '[[decisions]]\nkind = "split"\nname = "a"\nbecomes = "b"\nrecord = ["r1", "r2"]\nreason = "he said \\"no\\""\n'
    )
    r = registry(tmp_path, said, "x.toml")
    assert r.decisions["record"][0] == "r1 | r2"
    found = r.resolve(pd.Series(["a", "a"]), record=["r2", "r3"])
    assert list(found["animal"]) == ["b", "a"]
    assert IdentityRegistry.read(r.write(tmp_path / "y.toml")).decisions.equals(r.decisions)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("melt,a,b,,,,,,,,", "identities.csv, row 2: this kind of decision is not known (found 'melt')"),
        ("alias,a,,,,,,,,,", "row 2: a decision 'alias' does not say which animal it is (found 'a')"),
        ("merge,a,b,,,,,,,,", "row 2: a decision 'merge' gives no reason (found 'a')"),
        ("split,a,b,,,,,,why,,", "row 2: a split does not say which records (found 'a')"),
        ("exclude,a,b,,,,,,why,,", "row 2: a decision 'exclude' becomes nothing (found 'b')"),
        ("exclude,a,,May,,,,,why,,", "row 2: 'from' is no date (found 'May')"),
        ("alias,a,b,2024-01-01,,,,,,,", "row 2: a decision 'alias' is about all records of a name (found 'from')"),
        ("alias,a,a,,,,,,,,", "row 2: a name becomes itself (found 'a')"),
        ("animal,a,,,,,,boy,,,", "row 2: the sex is not known (found 'boy')"),
        ("alias,a,b,,,,,,,,\nalias,a,c,,,,,,,,", "row 3: the name 'a' becomes 'b' and 'c'"),
        ("alias,a,b,,,,,,,,\nmerge,b,a,,,,,,why,,", "row 2: the decisions lead in a circle (found 'a')"),
        ("animal,a,,,,,,,,,\nanimal,a,,,,,,,,,", "row 3: an animal is listed twice (found 'a')"),
        ("animal,a,,,,,,,,,\nalias,a,b,,,,,,,,", "row 2: this animal is listed, and also became another (found 'a')"),
        ("exclude,a,,2020,,,,,why,,", "row 2: 'from' is no date (found '2020')"),
        ("exclude,a,,2020-05-01,2020-04-30,,,,why,,", "row 2: a decision ends before it begins (found '2020-05-01 to"),
        ("merge,a,b,,,,,,why,,\nexclude,b,,,,,,,cub,,", "row 2: an animal is merged into 'b', of which row 3 leaves"),
        ("exclude,a,,,,,,,cub,,\nalias,a,b,,,,,,,,", "row 3: this name becomes 'b', and row 2 leaves out all its rec"),
    ],
)
def test_what_contradicts_itself(tmp_path, rows, words):
    with pytest.raises(SurveyError) as error:
        registry(tmp_path, CSV.splitlines()[0] + "\n" + rows + "\n")
    assert words in str(error.value)


def test_files_that_are_no_registry(tmp_path):
    with pytest.raises(SurveyError, match="there is no column 'kind'"):
        registry(tmp_path, "name,becomes\na,b\n")
    with pytest.raises(SurveyError, match="a registry has no such column"):
        registry(tmp_path, "kind,name,colour\nanimal,a,red\n")
    with pytest.raises(SurveyError, match="a registry is a list of"):
        registry(tmp_path, "kind = 'alias'\n", "a.toml")
    with pytest.raises(SurveyError, match="there is no such file"):
        IdentityRegistry.read(tmp_path / "none.toml")


def test_what_needs_dates_says_so(tmp_path):
    with pytest.raises(SurveyError, match="on 'T-01' is about some records, and their from is not known here"):
        registry(tmp_path).resolve(pd.Series(["T-01"]))
    both = CSV.splitlines()[0] + "\nsplit,a,b,2024-01-01,,,,,x,,\nsplit,a,c,,2024-12-31,,,,y,,\n"
    with pytest.raises(SurveyError, match="two decisions say different things of one record"):
        registry(tmp_path, both).resolve(pd.Series(["a"]), time=pd.Series(pd.to_datetime(["2024-05-01"])))


# ---- on data ---------------------------------------------------------------------------------------------------------


def test_capture_histories_get_todays_names(tmp_path):
    detectors = survey.Detectors(("A", "C"), [0.0, 1e3], [0.0, 0.0], np.ones((3, 2)))
    rows = [("T-9", 1, "A"), ("T-02", 2, "A"), ("T-02", 1, "A"), ("cub", 1, "C"), ("F3", 3, "C")]
    frame = pd.DataFrame(rows, columns=["animal", "occasion", "detector"])
    animals = pd.DataFrame({"sex": ["male", None]}, index=["T-02", "F3"])
    starts = pd.DataFrame({"start": pd.to_datetime(["2024-05-01", "2024-05-02", "2024-05-20"])})
    captures = CaptureHistory(frame, detectors, animals=animals, occasions=starts)
    found = registry(tmp_path).apply_to(captures)  # T-9 and T-02 are one animal, seen once on occasion 1
    assert found.n_detections == 3 and found.detections["count"].max() == 1
    found.ledger.check()
    assert found.ledger.count("another name of an animal that was detected there on that occasion") == 1
    assert found.ledger.count() == 3
    counted = registry(tmp_path).apply_to(replace(captures, detectors=replace(detectors, kind="count")))
    assert counted.n_detections == 4 and list(counted.detections["count"]) == [1, 2, 1]
    counted.ledger.check()
    seen = frame.assign(removed=[False, False, False, False, True])
    traps = registry(tmp_path).apply_to(replace(captures, detectors=replace(detectors, kind="multi"), detections=seen))
    assert traps.n_detections == 3 and traps.detections["removed"].sum() == 1
    captures = CaptureHistory(frame.drop(2), detectors, animals=animals, occasions=starts)
    found = registry(tmp_path).apply_to(captures)
    assert list(found.animals.index) == ["T-01", "T-02"]
    assert found.animals.loc["T-02", "sex"] == "male"
    assert found.n_detections == 3
    found.ledger.check()
    assert list(found.ledger.table()["records"]) == [3, 1] and "cubs are not counted" in str(found.ledger)


def test_several_methods_get_todays_names_each(tmp_path):
    detectors = survey.Detectors(("A", "C"), [0.0, 1e3], [0.0, 0.0], np.ones((2, 2)))
    frames = [[("a", 1, "A"), ("b", 2, "A"), ("c", 1, "C")], [("b", 1, "A"), ("a", 1, "A"), ("cub", 2, "C")]]
    columns = ["animal", "occasion", "detector"]
    one, two = (CaptureHistory(pd.DataFrame(rows, columns=columns), detectors) for rows in frames)
    both = survey.together({"camera": one, "hair": replace(two, detectors=replace(detectors, kind="count"))})
    sexes = pd.DataFrame({"sex": ["male", "female"]}, index=["b", "c"])
    rules = "kind,name,becomes,sex,reason\nmerge,b,a,,both flanks\nexclude,cub,,,cubs are not counted\n"
    found = registry(tmp_path, rules).apply_to(both.with_animals(sexes))
    assert {name: list(c.animals.index) for name, c in found.methods.items()} == {"camera": ["a", "c"], "hair": ["a"]}
    assert list(found.animals.index) == ["a", "c"] and list(found.animals["sex"]) == ["male", "female"]
    assert list(found.methods["hair"].detections["count"]) == [2] and found.n_detections == 5
    found.ledger.check()
    assert found.ledger.count("left out by the identity registry: cubs are not counted") == 1


def test_names_of_one_animal_agree_on_what_it_is(tmp_path):
    detectors = survey.Detectors(("A", "C"), [0.0, 1e3], [0.0, 0.0], np.ones((2, 2)))
    frame = pd.DataFrame([("a", 1, "A"), ("b", 2, "A")], columns=["animal", "occasion", "detector"])
    animals = pd.DataFrame({"sex": ["male", "female"]}, index=["a", "b"])
    captures = CaptureHistory(frame, detectors, animals=animals)
    merge = "kind,name,becomes,sex,reason\nmerge,b,a,,both flanks\n"
    with pytest.raises(SurveyError) as error:
        registry(tmp_path, merge).apply_to(captures)
    assert "the names of one animal have different 'sex' (found 'a: male and female')" in str(error.value)
    found = registry(tmp_path, merge + "animal,a,,female,\n").apply_to(captures)
    assert found.animals["sex"].to_dict() == {"a": "female"}
    fixes = survey.Telemetry(pd.DataFrame({"animal": ["b"], "x": [0.0], "y": [0.0]}))
    with pytest.raises(SurveyError, match="decisions are about collared animals"):
        registry(tmp_path, merge).apply_to(captures.with_telemetry(fixes))
    other = registry(tmp_path, "kind,name,becomes\nalias,z,a\n").apply_to(captures.with_telemetry(fixes))
    assert other.telemetry is not None


@pytest.fixture
def named(tmp_path):
    """A survey with a registry: two animals that are one, one that is left out."""
    form = small_survey.write(tmp_path)
    animals = read_study(form).captures.animals
    a, b = animals.index[animals["sex"] == "female"][:2]
    names, c = list(animals.index), animals.index[animals["sex"] == "male"][0]
    text = f"kind,name,becomes,reason\nmerge,{a},{b},one animal by both flanks\nexclude,{c},,too blurred\n"
    (tmp_path / "registry.csv").write_text(text, encoding="utf-8")
    text = form.read_text("utf-8").replace('path = "data"', 'path = "data"\nregistry = "registry.csv"')
    form.write_text(text, encoding="utf-8")
    return form, (a, b, c), len(names)


def test_a_survey_read_with_its_registry(named):
    form, (a, b, c), n = named
    study = read_study(form)
    assert study.captures.n_animals == n - 2
    assert b in study.captures.animals.index and not {a, c} & set(study.captures.animals.index)
    assert "registry.csv" in dict(study.inputs)
    left = study.ledger.count("left out by the identity registry: too blurred")
    changes = study.tables.provenance["identity_changes"]
    assert list(changes["kind"]) == ["merge", "exclude"] and changes["records"][1] == left > 0
    assert any("The identity registry changed" in note for note in study.notes)
    study.ledger.check()


def test_the_report_shows_the_decisions(named, tmp_path):
    form, _, _ = named
    text = form.read_text("utf-8").replace('[[models]]\nname = "rugged"\nD = "~ rugged"\n', "")
    form.write_text(text + '\n[report]\nlanguage = "zh"\n', encoding="utf-8")
    write_report(analyse(read_study(form)), tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "个体身份的更正" in page and "one animal by both flanks" in page and "too blurred" in page


def test_a_registry_needs_records_with_identities(tmp_path):
    form = small_survey.write(tmp_path)
    text = form.read_text("utf-8").replace('path = "data"', 'path = "data"\nregistry = "none.csv"')
    form.write_text(text, encoding="utf-8")
    with pytest.raises(SurveyError, match="there is no such file"):
        read_study(form)


# ---- two years -----------------------------------------------------------------------------------------------------


def test_the_difference_between_two_registries(tmp_path):
    before = registry(tmp_path)
    later = CSV.replace("T-01,,,,,,female", "T-01,,,,,,male").replace("animal,T-02,,,,,,,,,\n", "")
    later = later.replace("exclude,cub", "exclude,kitten")
    later += "animal,T-05,,,,,,female,,2025-03-01,Li\nmerge,T-02,T-05,,,,,,both flanks at last,2025-03-02,Wang\n"
    change = registry_changes(before, registry(tmp_path, later, "later.csv"))
    told = str(change).splitlines()
    assert told == [
        "T-05 is a new animal.",
        "T-01 was female and is now male.",
        "T-02 was T-02 and is now T-05 (both flanks at last).",
        "T-09 was T-02 and is now T-05 (same left flank).",
        "T-9 was T-02 and is now T-05.",
        "New exclude: kitten (cubs are not counted).",
        "Withdrawn exclude: cub (cubs are not counted).",
    ]
    assert list(change.table["what"]).count("another animal") == 3
    assert str(registry_changes(before, before)) == "The registries make the same animals of the same names."


def test_a_name_that_moved_and_was_split_is_told_twice(tmp_path):
    head = "kind,name,becomes,place,reason\n"
    before = registry(tmp_path, head + "animal,a,,,\n")
    more = head + "merge,a,d,,both flanks\nsplit,a,c,P1,another cat\nexclude,a,,P2,blurred\n"
    assert str(registry_changes(before, registry(tmp_path, more, "b.csv"))).splitlines() == [
        "a was a and is now d (both flanks).",
        "New split: a is c (another cat).",
        "New exclude: a (blurred).",
    ]
