"""Records that a machine classified: from Camtrap DP to candidates, with what people said, to a fitted model."""

import numpy as np
import pandas as pd
import pytest
import shapely
from bad_inputs import good
from bad_inputs.good import DEPLOYMENTS, change

from uncia import survey
from uncia.models.occupancy.classified import ClassifiedOccupancy
from uncia.survey import SurveyError

ZONE, CAT, DEER = "Asia/Shanghai", "Panthera pardus", "Capreolus pygargus"
HOW = {"species": CAT, "crs": "EPSG:32649", "occasion": "1 day"}
COLUMNS = (
    "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationLevel,observationType,scientificName,"
    "classificationMethod,classifiedBy,classificationProbability"
).split(",")


def row(name, deployment, media, event, time, species, by, score="", **more):
    """One observation; `by` is a person or, in capitals, a machine."""
    time = f"2024-04-{time}:00+08:00"
    kind = species if species in ("blank", "unknown", "human") else "animal"
    method = "" if by == "" else "machine" if by.isupper() else "human"
    values = [name, deployment, media, event, time, time, "media" if media else "event", kind]
    values += ["" if kind == species else species, method, by, score]
    return dict(zip(COLUMNS, map(str, values), strict=True)) | more


def text(rows):
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def tables_of(folder, rows, **files):
    good.package(folder, observations=rows if isinstance(rows, str) else text(rows), **files)
    return survey.tables_from_camtrap_dp(folder, timezone=ZONE)


def history_of(folder, rows, deployments=DEPLOYMENTS, **how):
    return survey.detection_history(tables_of(folder, rows, deployments=deployments), **(HOW | how))


def told(candidates):
    t = candidates.table
    keys = ["record", "site", "visit", "score", "verified"]
    return [tuple("" if pd.isna(v) else v for v in line) for line in t[keys].to_numpy(object).tolist()]


ROWS = [
    row("m1", "d1", "p1", "e1", "03T02:00", CAT, "NET", 0.9),  # a person names the species
    row("h1", "d1", "p1", "e1", "03T02:00", CAT, "ann", 0.5),
    row("m2", "d1", "p2", "e2", "03T03:00", CAT, "NET", 0.4),  # another species: false
    row("h2", "d1", "p2", "e2", "03T03:00", DEER, "ann"),
    row("m3", "d1", "p3", "e3", "05T02:00", CAT, "NET", 0.3),  # two opinions, one of the species
    row("h3", "d1", "p3", "e3", "05T02:00", DEER, "ann"),
    row("h3b", "d1", "p3", "e3", "05T02:00", CAT + " japonensis", "bob"),
    row("m4", "d2", "p4", "e4", "04T03:00", CAT, "NET", 0.6),  # nobody can say; the genus; nobody looked
    row("h4", "d2", "p4", "e4", "04T03:00", "unknown", "ann"),
    row("m5", "d2", "p5", "e5", "06T03:00", CAT, "NET", 0.61),
    row("h5", "d2", "p5", "e5", "06T03:00", "Panthera", "ann"),
    row("m6", "d2", "p6", "e6", "07T03:00", CAT, "NET", 0.62),
    row("m7", "d3", "p7", "e7", "04T04:00", CAT, "NET", 0.7),  # a blank
    row("h7", "d3", "p7", "e7", "04T04:00", "blank", "ann"),
    row("h8", "d3", "p8", "e8", "08T04:00", CAT, "ann", 0.99),  # a person's alone: true, no score
    row("m9", "d3", "p9", "e9", "09T04:00", CAT, "NET"),  # no probability
    row("m10", "d3", "p10", "e10", "09T05:00", DEER, "NET", 0.8),
    row("h11", "d3", "p11", "e11", "09T06:00", DEER, "ann"),
]
TOLD = [
    ("m1", "A", 3, 0.9, "true"),
    ("m2", "A", 3, 0.4, "false"),
    ("m3", "A", 5, 0.3, "true"),
    ("m4", "B", 4, 0.6, ""),
    ("m5", "B", 6, 0.61, ""),
    ("m6", "B", 7, 0.62, ""),
    ("m7", "C", 4, 0.7, "false"),
    ("h8", "C", 8, "", "true"),
    ("m9", "C", 9, "", ""),
]


@pytest.mark.filterwarnings("ignore:the package has no event rows")
class TestFiles:
    def test_verdicts_on_the_same_file(self, tmp_path):
        history = history_of(tmp_path, ROWS)
        candidates = survey.candidates_of(history)
        assert told(candidates) == TOLD
        assert str(candidates.ledger) == (
            "observations.csv: 18 records read\n         9  used\n         5  what people said of a candidate\n"
            "         3  another species\n         1  unknown"
        )
        assert repr(candidates) == "Candidates: 9, 7 with a score, 3 verified as true, 2 as false"
        assert candidates.table["row"].tolist() == [2, 4, 6, 9, 11, 13, 14, 16, 17]

    def test_the_history_and_its_model(self, tmp_path):
        history = history_of(tmp_path, ROWS)
        made = survey.with_candidates(history, survey.candidates_of(history))
        found = made.visits[made.done & (made.value > 0)].set_index(["site", "visit"])
        assert found.index.tolist() == [("A", 3), ("A", 5), ("B", 4), ("B", 6), ("B", 7), ("C", 4), ("C", 8), ("C", 9)]
        np.testing.assert_array_equal(found["score"], [0.9, 0.3, 0.6, 0.61, 0.62, 0.7, np.nan, np.nan])
        assert found["verified"].fillna("").tolist() == ["true", "true", "", "", "", "false", "true", ""]
        np.testing.assert_array_equal(made.effort, history.effort)
        assert made.ledger.count() == 9 and made.tables.provenance["candidates of"] == "any classifier"
        used = made.tables.records[made.tables.records["fate"] == "used"]
        assert used["occasion"].tolist() == [line[2] for line in TOLD]
        model = ClassifiedOccupancy(made)
        assert (model.judged == 1).sum() == 3 and (model.judged == 0).sum() == 1 and model.scored.sum() == 6

    def test_the_order_of_records_does_not_matter(self, tmp_path):
        forth, back = tmp_path / "forth", tmp_path / "back"
        forth.mkdir()
        back.mkdir()
        one, other = (history_of(f, rows) for f, rows in ((forth, ROWS), (back, ROWS[::-1])))
        found = survey.candidates_of(other)
        assert sorted(told(found)) == sorted(TOLD)
        a, b = survey.with_candidates(one, survey.candidates_of(one)), survey.with_candidates(other, found)
        pd.testing.assert_frame_equal(a.visits, b.visits)

    def test_one_of_several_classifiers(self, tmp_path):
        rows = [*ROWS, row("m12", "d1", "p12", "e12", "12T02:00", CAT, "OTHER", 0.2)]
        history = history_of(tmp_path, rows)
        with pytest.warns(survey.SurveyWarning, match=r"several classifiers, 'NET' \(8\), 'OTHER' \(1\): if their sca"):
            assert len(survey.candidates_of(history).table) == 10
        only = survey.candidates_of(history, classifier="NET")
        assert told(only) == TOLD and only.ledger.count("by another classifier") == 1
        with pytest.raises(
            SurveyError, match=r"of the species is by this classifier \(found 'net'\). Give one of 'NET'"
        ):
            survey.candidates_of(history, classifier="net")

    def test_records_that_count_nowhere(self, tmp_path):
        rows = [
            *ROWS,
            row("x1", "d1", "q1", "f1", "28T02:00", CAT, "NET", 0.9),
            row("x2", "d2", "q2", "f2", "05T02:00", CAT, "NET", 0.9) | {"cameraSetupType": "setup"},
            row("x3", "d1", "q3", "f3", "15T02:00", CAT, "NET", 0.9),
        ]
        history = history_of(tmp_path, rows, outside="drop", end="2024-04-14")
        candidates = survey.candidates_of(history)
        assert told(candidates) == TOLD
        assert candidates.ledger.count("outside the dates of the survey") == 2
        assert candidates.ledger.count("set-up or calibration of the camera") == 1
        history = history_of(tmp_path, rows, outside="drop")
        assert survey.candidates_of(history).ledger.count("outside its deployment") == 1

    def test_sites_and_visits_that_the_history_does_not_have(self, tmp_path):
        history = history_of(tmp_path, ROWS)
        part = survey.DetectionHistory(history.visits[history.visits["site"] != "B"], tables=history.tables)
        candidates = survey.candidates_of(part)
        assert told(candidates) == [line for line in TOLD if line[1] != "B"]
        assert candidates.ledger.count("its visit is not in the history") == 3

    def test_sites_and_seasons_of_groups(self, tmp_path):
        groups = DEPLOYMENTS.replace("season:spring", "grid:G1 | season:2023")
        groups = change(
            groups, "12:00:00+08:00,false,grid:G1 | season:2023", "12:00:00+08:00,false,grid:G2|season:2024"
        )
        history = history_of(tmp_path, ROWS, groups, site_from="grid", season_from="season")
        table = survey.candidates_of(history).table
        assert table[["site", "season"]].drop_duplicates().to_numpy(object).tolist() == [["G1", 2023], ["G2", 2024]]
        made = survey.with_candidates(history, survey.candidates_of(history))
        found = made.visits[made.done & (made.value > 0)]
        assert len(found) == 8 and found.loc[found["site"] == "G2", "visit"].tolist() == [
            3,
            7,
            8,
        ]  # d3 began a day later

    def test_cells_and_named_seasons(self, tmp_path):
        groups = change(DEPLOYMENTS, "12:00:00+08:00,false,season:spring", "12:00:00+08:00,false,season:autumn")
        plain = history_of(tmp_path, ROWS)
        box = shapely.box(*(plain.sites[["x", "y"]].min() - 2000), *(plain.sites[["x", "y"]].max() + 2000))
        cells = survey.Cells.grid(box, 1.0, "EPSG:32649")
        history = history_of(tmp_path, ROWS, groups, site_from=cells, season_from="season")
        table = survey.candidates_of(history).table
        assert table["season"].tolist() == ["spring"] * 6 + ["autumn"] * 3
        assert table["site"].nunique() == 3 and set(table["site"]) <= set(history.sites.index)
        made = survey.with_candidates(history, survey.candidates_of(history))
        assert (made.value > 0).sum() == 8

    def test_unknown_effort(self, tmp_path):
        """A camera without a known end worked until its last record, and from that visit on its effort is not known."""
        history = history_of(tmp_path, ROWS, change(DEPLOYMENTS, "2024-04-20T11:00:00+08:00", ""))
        candidates = survey.candidates_of(history)
        assert candidates.ledger.count("the effort is not known") == 1
        assert told(candidates) == [line for line in TOLD if line[0] != "m6"]

    def test_an_export_that_keeps_the_last_classification(self, tmp_path):
        """Where people have looked, the machine's row is gone."""
        seen = {line["mediaID"] for line in ROWS if line["observationID"].startswith("h")}
        gone = [a for a in ROWS if not (a["observationID"].startswith("m") and a["mediaID"] in seen)]
        history = history_of(tmp_path, gone)
        with pytest.warns(
            survey.SurveyWarning, match="and 2 records of the species are people's alone: if the export k"
        ):
            candidates = survey.candidates_of(history)
        assert told(candidates) == [
            ("h1", "A", 3, "", "true"),
            ("m6", "B", 7, 0.62, ""),
            ("h8", "C", 8, "", "true"),
            ("m9", "C", 9, "", ""),
        ]

    def test_tables_can_be_used_again(self, tmp_path):
        """What was chosen for one history says nothing of the next one."""
        first = history_of(tmp_path, ROWS, season_from="season", start="2024-04-02", end="2024-04-12")
        assert first.tables.provenance["season from"] == "season"
        assert first.tables.provenance["dates"] == "2024-04-02 to 2024-04-12"
        again = survey.detection_history(first.tables, **HOW)
        assert not {"season from", "dates", "site from"} & set(again.tables.provenance)
        assert told(survey.candidates_of(again)) == TOLD

    def test_all_are_lost(self, tmp_path):
        rows = [line for line in ROWS if line["deploymentID"] == "d1"]
        history = history_of(tmp_path, rows, DEPLOYMENTS.replace("false", "true", 1))
        candidates = survey.candidates_of(history)
        assert candidates.ledger.count("timestamp issues of its deployment") == 3
        assert np.nansum(survey.with_candidates(history, candidates).value) == 0

    def test_seasons_by_date(self, tmp_path):
        seasons = {1: ("2024-04-01", "2024-04-05"), 2: ("2024-04-06", "2024-04-12")}
        table = survey.candidates_of(history_of(tmp_path, ROWS, seasons=seasons)).table
        assert table["season"].tolist() == [1, 1, 1, 1, 1, 2, 1, 2, 2]


class TestEvents:
    """People classify events where the machine classifies files."""

    ROWS = (
        row("e1", "d1", "", "e1", "03T02:00", CAT, "ann"),
        row("m1", "d1", "p1", "e1", "03T02:00", CAT, "NET", 0.9),
        row("e2", "d1", "", "e2", "05T02:00", DEER, "ann"),
        row("m2", "d1", "p2", "e2", "05T02:00", CAT, "NET", 0.4),
        row("e3", "d2", "", "e3", "06T02:00", DEER, "ann"),  # beside a machine's event row it says nothing of it
        row("m3e", "d2", "", "e3", "06T02:00", CAT, "NET", 0.5),
        row("m3", "d2", "p3", "e3", "06T02:00", CAT, "NET", 0.5),
        row("e4", "d3", "", "e4", "07T02:00", CAT, "ann"),  # the cat is on another file than the machine thought
        row("m4", "d3", "p4", "e4", "07T02:00", CAT, "NET", 0.2),
        row("h4", "d3", "p4", "e4", "07T02:00", DEER, "ann"),
        row("m5e", "d3", "", "e5", "08T02:00", CAT, "NET", 0.3),  # all its files are of something else
        row("m5", "d3", "p5", "e5", "08T02:00", CAT, "NET", 0.3),
        row("h5", "d3", "p5", "e5", "08T02:00", "blank", "ann"),
        row("m6", "d3", "p6", "e1", "09T02:00", CAT, "NET", 0.35),  # an event of the same name at another camera
    )
    TOLD = (
        ("m1", "A", 3, 0.9, "true"),
        ("m2", "A", 5, 0.4, "false"),
        ("m3e", "B", 6, 0.5, ""),
        ("m3", "B", 6, 0.5, ""),
        ("e4", "C", 7, "", "true"),
        ("m4", "C", 7, 0.2, "false"),
        ("m5e", "C", 8, 0.3, "false"),
        ("m5", "C", 8, 0.3, "false"),
        ("m6", "C", 9, 0.35, ""),
    )

    def test_verdicts_on_the_event(self, tmp_path):
        history = history_of(tmp_path, list(self.ROWS))
        candidates = survey.candidates_of(history)
        assert told(candidates) == list(self.TOLD)
        assert candidates.ledger.count("what people said of a candidate") == 4
        assert candidates.ledger.count("another species") == 1
        made = survey.with_candidates(history, candidates).visits.set_index(["site", "visit"])
        assert made.loc[("C", 7), ["value", "score", "verified"]].tolist() == [1, 0.2, "true"]


@pytest.mark.filterwarnings("ignore:the package has no event rows")
class TestReading:
    def test_the_columns_come_and_go(self, tmp_path):
        tables = tables_of(tmp_path, ROWS)
        r = tables.records.set_index("record")
        names = ["classification_method", "classified_by", "classification_probability"]
        assert r.loc["m1", names].tolist() == ["machine", "NET", 0.9]
        assert np.isnan(r.loc["h2", "classification_probability"])
        survey.write_camtrap_dp(tmp_path / "again", tables)
        again = survey.tables_from_camtrap_dp(tmp_path / "again", timezone=ZONE).records
        pd.testing.assert_frame_equal(again[names], tables.records[names])

    def test_absent_and_empty_columns_add_nothing(self, tmp_path):
        good.package(tmp_path)
        plain = survey.tables_from_camtrap_dp(tmp_path, timezone=ZONE).records
        header, *lines = good.OBSERVATIONS.splitlines()
        more = [header + ",classificationMethod,classifiedBy,classificationProbability", *[x + ",,NA," for x in lines]]
        good.package(tmp_path, observations="\n".join(more) + "\n")
        pd.testing.assert_frame_equal(survey.tables_from_camtrap_dp(tmp_path, timezone=ZONE).records, plain)
        assert "occasion" in plain.columns[-1]

    def test_wrong_values_are_told_at_once(self, tmp_path):
        rows = [dict(line) for line in ROWS]
        rows[0]["classificationProbability"] = "1.5"
        rows[2]["classificationProbability"] = "high"
        rows[4]["classificationMethod"] = "AI"
        with pytest.raises(SurveyError) as raised:
            tables_of(tmp_path, rows)
        assert str(raised.value) == (
            "3 problems in the input:\n"
            "  1. observations.csv, row 6: classificationMethod must be one of human, machine (found 'AI'). "
            "Correct the value\n"
            "  2. observations.csv, row 4: classificationProbability must be a number (found 'high'). "
            "Correct the value\n"
            "  3. observations.csv, row 2: classificationProbability must be between 0 and 1 (found 1.5). "
            "Correct the value"
        )


@pytest.mark.filterwarnings("ignore:the package has no event rows")
class TestRefusals:
    def test_nobody_says_who_classified(self, tmp_path):
        good.package(tmp_path)
        history = survey.detection_history(survey.tables_from_camtrap_dp(tmp_path, timezone=ZONE), **HOW)
        with pytest.raises(SurveyError) as raised:
            survey.candidates_of(history)
        assert str(raised.value) == (
            "observations.csv: the records do not say whether people or a machine classified them. "
            "Export Camtrap DP with classificationMethod and classificationProbability"
        )

    def test_some_do_not_say(self, tmp_path):
        rows = [*ROWS, row("z", "d1", "z1", "", "12T02:00", CAT, "", 0.4)]
        with pytest.raises(SurveyError) as raised:
            survey.candidates_of(history_of(tmp_path, rows))
        assert str(raised.value) == (
            "observations.csv, row 20: classificationMethod is missing, so whether this is a candidate is not known "
            "(found 'z'). Write human or machine"
        )

    def test_people_only(self, tmp_path):
        rows = [line for line in ROWS if line["classificationMethod"] == "human"]
        with pytest.raises(SurveyError) as raised:
            survey.candidates_of(history_of(tmp_path, rows))
        assert str(raised.value) == (
            "observations.csv: no record of the species is a machine's. Fit models.Occupancy to the history as it is"
        )

    def test_another_source(self):
        frame = pd.DataFrame({"site": ["a", "b"], "value": [1, 0]})
        with pytest.raises(
            SurveyError, match=r"was not made from the records of a camera survey\. Make it with survey."
        ):
            survey.candidates_of(survey.DetectionHistory(frame))

    def test_records_that_contradict_their_deployment(self, tmp_path):
        """Files are not checked by the history where there are events; as candidates they are."""
        rows = [*TestEvents.ROWS, row("x", "d1", "x1", "", "25T02:00", CAT, "NET", 0.4)]
        history = history_of(tmp_path, rows)
        with pytest.raises(SurveyError, match=r"observations\.csv, row 16: the record is outside its deployment 'd1'"):
            survey.candidates_of(history)
        kept = survey.candidates_of(history_of(tmp_path, rows, outside="drop"))
        assert kept.ledger.count("outside its deployment") == 1


@pytest.mark.filterwarnings("ignore:the package has no event rows")
def test_from_files_to_a_fit(tmp_path):
    """The fit is that of the same detections, scores and verdicts given by hand, and near the truth."""
    rng = np.random.default_rng(7)
    n, j = 60, 8
    there = rng.random(n) < 0.6
    deployments, rows, direct = [DEPLOYMENTS.splitlines()[0]], [], []
    for i in range(n):
        span = "2024-04-01T12:00:00+08:00,2024-04-09T12:00:00+08:00"
        deployments.append(f"d{i},S{i:02d},{37 + i // 8 * 0.02:.2f},{113 + i % 8 * 0.02:.2f},{span},false,")
        for k in range(j):
            true = there[i] and rng.random() < 0.5
            line = {"site": f"S{i:02d}", "visit": k + 1, "value": 0, "score": np.nan, "verified": None}
            if true or rng.random() < 0.2:
                score = round(float(1 / (1 + np.exp(-rng.normal(1.5 if true else -1.5, 1.0)))), 4)
                looked = rng.random() < 0.4
                name, at = f"{i}-{k}", f"{k + 2:02d}T0{rng.integers(0, 9)}:30"
                rows.append(row(f"m{name}", f"d{i}", f"p{name}", "", at, CAT, "NET", score))
                if looked:
                    rows.append(row(f"h{name}", f"d{i}", f"p{name}", "", at, CAT if true else "blank", "ann"))
                line |= {"value": 1, "score": score}
                line["verified"] = ("true" if true else "false") if looked else None
            direct.append(line)
    history = history_of(tmp_path, rows, "\n".join(deployments) + "\n")
    made = survey.with_candidates(history, survey.candidates_of(history))
    fit = ClassifiedOccupancy(made).fit()
    by_hand = ClassifiedOccupancy(survey.DetectionHistory(pd.DataFrame(direct))).fit()
    assert fit.loglik == pytest.approx(by_hand.loglik, abs=1e-9)
    truth = np.array([0.0, 0.0, np.log(0.25), 1.5, -1.5, 0.0, 0.0])
    assert made.n_sites == n and made.done.sum() == n * j
    psi = 1 / (1 + np.exp(-fit.vector[0]))
    assert abs(psi - there.mean()) < 0.1
    se = np.sqrt(np.diag(fit.covariance))
    assert (np.abs(fit.vector[1:] - truth[1:]) < 3 * se[1:]).all()
