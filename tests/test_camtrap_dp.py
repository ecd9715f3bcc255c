"""Camtrap DP in and out."""

import gzip
import json
import shutil
import zipfile

import jsonschema
import numpy as np
import pandas as pd
import pytest
from bad_inputs import good
from bad_inputs.good import DEPLOYMENTS, FAILURES, IDENTITIES, OBSERVATIONS, SITE, cell, change
from reference import reference

from uncia import survey
from uncia.survey.occasions import lay
from uncia.survey.readers.camtrap_dp import schema

SCR = {"timezone": "Asia/Shanghai", "crs": "EPSG:32649", "species": "Panthera pardus"}


def read(folder, **how):
    return survey.read_camtrap_dp(folder, **(SITE | how))


def animals_at(captures):
    return captures.detections[["animal", "occasion", "detector", "count"]].to_numpy(object).tolist()


HISTORY = [["L1", 3, "A", 1], ["L1", 4, "B", 1], ["L2", 8, "C", 1], ["L2", 9, "A", 1]]


class TestReading:
    def test_a_small_survey(self, tmp_path):
        good.package(tmp_path)
        captures = read(tmp_path)
        assert animals_at(captures) == HISTORY
        assert captures.detectors.id == ("A", "B", "C")
        assert captures.n_occasions == 20
        assert captures.occasions["start"].iloc[0] == pd.Timestamp("2024-03-31 12:00", tz="Asia/Shanghai")
        np.testing.assert_allclose(captures.detectors.effort[0], [2 / 24, 1 / 24, 0], atol=1e-12)
        assert str(captures.ledger) == (
            "observations.csv: 6 records read\n         4  used\n         1  another species\n         1  blank"
        )

    def test_tables_for_reports(self, tmp_path):
        good.package(tmp_path, failures__csv=FAILURES)
        tables = read(tmp_path, failures=tmp_path / "failures.csv").tables
        assert tables.lost().to_dict("records") == [
            {"reason": "snow", "failures": 1, "deployments": 1, "camera_days": 2.0}
        ]
        assert tables.calendar().loc["d1"].sum() == pytest.approx(17.0)
        used = tables.records[tables.records["fate"] == "used"]
        assert used["occasion"].tolist() == [3, 4, 8, 9]
        assert tables.provenance["independence"] == "30 minutes since the last independent record"
        assert tables.provenance["day boundary"] == "noon"
        assert tables.crs == "EPSG:32649"

    @pytest.mark.parametrize("what", ["descriptor", "zip", "zip in a folder", "gzip", "byte order mark", "CRLF"])
    def test_ways_to_come(self, tmp_path, what):
        good.package(tmp_path)
        path = tmp_path
        if what == "descriptor":
            path = tmp_path / "datapackage.json"
        elif what.startswith("zip"):
            path = tmp_path / "out.zip"
            with zipfile.ZipFile(path, "w") as file:
                for name in ("datapackage.json", "deployments.csv", "observations.csv"):
                    file.write(tmp_path / name, f"survey/{name}" if what == "zip in a folder" else name)
        elif what == "gzip":
            (tmp_path / "observations.csv").write_bytes(gzip.compress(OBSERVATIONS.encode()))
        elif what == "byte order mark":
            (tmp_path / "observations.csv").write_bytes(OBSERVATIONS.encode("utf-8-sig"))
        else:
            (tmp_path / "observations.csv").write_bytes(OBSERVATIONS.replace("\n", "\r\n").encode())
        assert animals_at(read(path)) == HISTORY

    def test_order_of_rows_does_not_matter(self, tmp_path):
        header, *rows = OBSERVATIONS.splitlines()
        good.package(tmp_path, observations="\n".join([header, *rows[::-1]]) + "\n")
        assert animals_at(read(tmp_path)) == HISTORY

    def test_unknown_columns_and_resources(self, tmp_path):
        package = good.descriptor()
        package["resources"].append({"name": "individuals", "data": [{"id": 1, "individualName": "Reinaert"}]})
        more = DEPLOYMENTS.replace("\n", ",x\n").replace("deploymentGroups,x", "deploymentGroups,targetTaxa")
        good.package(tmp_path, package=package, deployments=more)
        assert animals_at(read(tmp_path)) == HISTORY

    def test_offsets_may_differ(self, tmp_path):
        """The same instants written in UTC and in another zone."""
        text = change(OBSERVATIONS, "2024-04-03T02:00:00+08:00", "2024-04-02T18:00:00Z")
        good.package(tmp_path, observations=change(text, "2024-04-04T03:00:00+08:00", "2024-04-03T21:00:00+02:00"))
        assert animals_at(read(tmp_path)) == HISTORY

    def test_midnight_puts_early_hours_on_another_day(self, tmp_path):
        good.package(tmp_path)
        assert [row[1] for row in animals_at(read(tmp_path, day_boundary="midnight"))] == [3, 4, 8, 9]
        assert read(tmp_path, day_boundary="midnight").occasions["start"].iloc[0].day == 1

    def test_longer_occasions(self, tmp_path):
        good.package(tmp_path)
        captures = read(tmp_path, occasion="1 week")
        assert captures.n_occasions == 3
        np.testing.assert_allclose(captures.detectors.effort.sum(axis=0), read(tmp_path).detectors.effort.sum(axis=0))

    def test_part_of_the_survey(self, tmp_path):
        good.package(tmp_path)
        captures = read(tmp_path, start="2024-04-03", end="2024-04-09")
        assert captures.n_occasions == 6
        assert captures.ledger.count("outside the dates of the survey") == 1
        assert animals_at(captures) == [["L1", 1, "B", 1], ["L2", 5, "C", 1], ["L2", 6, "A", 1]]
        assert captures.detectors.effort.sum() == 18.0

    def test_one_session(self, tmp_path):
        text = cell(DEPLOYMENTS, "d3", deploymentGroups="grid:X | season:autumn")
        good.package(tmp_path, deployments=text)
        captures = read(tmp_path, session_from="season", session="spring")
        assert captures.session == "spring"
        assert captures.detectors.id == ("A", "B")
        assert captures.ledger.count("another session") == 1

    def test_two_cameras_at_one_place(self, tmp_path):
        """One detector with the union of their time, and one visit seen by both."""
        pair = DEPLOYMENTS + "d4,A,37.0001,113.00,2024-04-01T10:00:00+08:00,2024-04-20T10:00:00+08:00,false,\n"
        seen = (
            OBSERVATIONS + OBSERVATIONS.splitlines()[1].replace("o1,d1", "o9,d4").replace(":00:00+", ":00:20+") + "\n"
        )
        good.package(tmp_path, deployments=pair, observations=seen)
        captures = read(tmp_path, kind="count")
        assert animals_at(captures) == HISTORY
        assert captures.detectors.effort[:, 0].sum() == pytest.approx(19.0)
        assert captures.ledger.count("within 30 minutes of the last independent record") == 1

    def test_independence_decides_counts(self, tmp_path):
        again = OBSERVATIONS.splitlines()[1].replace("o1,", "o9,").replace("e1", "e9").replace("T02:00:00", "T02:20:00")
        good.package(tmp_path, observations=OBSERVATIONS + again + "\n")
        assert read(tmp_path, kind="count").n_detections == 4
        assert read(tmp_path, kind="count", independence=("last record", "10 minutes")).n_detections == 5
        proximity = read(tmp_path, independence=None)
        assert proximity.n_detections == 4
        assert proximity.ledger.count("same animal, place and occasion again (proximity keeps one)") == 1

    def test_wrong_clocks_are_left_out_with_their_effort(self, tmp_path):
        good.package(tmp_path, deployments=cell(DEPLOYMENTS, "d2", timestampIssues="true"))
        captures = read(tmp_path)
        assert captures.ledger.count("timestamp issues of its deployment") == 1
        assert np.isnan(captures.detectors.effort[2, 1]) and not captures.detectors.used[:, 1].any()

    def test_no_end_is_no_zero(self, tmp_path):
        good.package(tmp_path, deployments=cell(DEPLOYMENTS, "d2", deploymentEnd=""))
        captures = read(tmp_path)
        assert captures.detectors.effort[3, 1] == 1.0  # the blank of 11 April shows that it still worked
        assert np.isnan(captures.detectors.effort[12:, 1]).all()

    def test_last_image_as_the_end(self, tmp_path):
        """A record at the very moment of the end, or of the beginning of a failure, is not outside."""
        end = cell(DEPLOYMENTS, "d3", deploymentEnd="2024-04-08T04:00:00+08:00")
        failed = "deploymentID,start,end,reason\nd1,2024-04-09T05:00:00+08:00,,battery\n"
        good.package(tmp_path, deployments=end, failures__csv=failed)
        captures = read(tmp_path, failures=tmp_path / "failures.csv")
        assert animals_at(captures) == HISTORY
        assert captures.detectors.effort[8:, 0].tolist()[:2] == [17 / 24, 0.0]

    def test_visits_of_every_species(self, tmp_path):
        deer = OBSERVATIONS.splitlines()[5]
        soon = deer.replace("o5,", "o7,").replace("T12:00:00", "T12:10:00")
        good.package(tmp_path, observations=OBSERVATIONS + soon + "\n")
        tables = read(tmp_path).tables
        assert tables.visits()["species"].value_counts().to_dict() == {"Panthera pardus": 4, "Capreolus pygargus": 1}
        assert len(tables.visits(("last record", "5 minutes"))) == 6

    def test_contradictions_can_be_dropped(self, tmp_path):
        late = cell(OBSERVATIONS, "o2", eventStart="2024-05-04T03:00:00+08:00")
        good.package(tmp_path, observations=late, failures__csv=cell(FAILURES, "d1", start="2024-04-08"))
        captures = read(tmp_path, failures=tmp_path / "failures.csv", outside="drop")
        assert captures.n_detections == 2
        assert captures.ledger.count("outside its deployment") == 1
        assert captures.ledger.count("during a failure of its camera") == 1

    def test_names_that_are_alike(self, tmp_path):
        good.package(tmp_path, observations=OBSERVATIONS.replace(",L2", ",l-01"))
        with pytest.warns(survey.SurveyWarning, match="names that are alike, 'L1' and 'l-01': are they one"):
            assert read(tmp_path).n_animals == 2

    def test_one_place_far_away(self, tmp_path):
        good.package(tmp_path, deployments=cell(DEPLOYMENTS, "d3", latitude="38.5"))
        with pytest.warns(survey.SurveyWarning, match=r"location 'C' is 164 km from the middle"):
            assert read(tmp_path).n_animals == 2

    def test_another_time_zone_than_the_times_are_written_in(self, tmp_path):
        good.package(tmp_path)
        with pytest.warns(survey.SurveyWarning, match=r"with the offset \+08:00, where Europe/Brussels has \+02:00"):
            read(tmp_path, timezone="Europe/Brussels")

    def test_records_without_a_place_in_the_standard(self, tmp_path):
        """Field tables may hold records of no deployment; the rest can be written."""
        records = good.RECORDS + "r6,A,2024-06-01 12:00,Capreolus pygargus,\nr7,A,,Capreolus pygargus,\n"
        good.field(tmp_path, records=records)
        captures = survey.read_field_tables(tmp_path, **SITE)
        assert captures.ledger.count("another species") == 3
        survey.write_camtrap_dp(tmp_path / "dp", captures.tables)
        assert animals_at(read(tmp_path / "dp")) == HISTORY

    def test_time_without_offset_is_local(self, tmp_path):
        good.package(tmp_path, observations=OBSERVATIONS.replace("+08:00", ""))
        assert animals_at(read(tmp_path)) == HISTORY

    def test_one_animal_once(self, tmp_path):
        """Legal but poor: no recaptures. Whoever gives identities has looked."""
        good.package(tmp_path, identities__csv="observationID,individual\no1,L1\n")
        captures = read(tmp_path, identities=tmp_path / "identities.csv")
        assert (captures.n_animals, captures.n_recaptures) == (1, 0)
        assert captures.ledger.count("no identity") == 3


class TestLevels:
    """Media rows repeat what event rows say: never both."""

    MEDIA = "".join(
        line.replace("o", "m", 1).replace(",,e", f",p{i},e").replace(",event,", ",media,") + "\n"
        for i, line in enumerate(OBSERVATIONS.splitlines()[1:5])
    )

    def test_event_rows_are_used(self, tmp_path):
        good.package(tmp_path, observations=OBSERVATIONS + self.MEDIA)
        captures = read(tmp_path, kind="count", independence=None)
        assert animals_at(captures) == HISTORY
        assert captures.ledger.count("media level (the events are used)") == 4

    def test_media_rows_alone_are_used_and_told(self, tmp_path):
        good.package(tmp_path, observations=OBSERVATIONS.splitlines()[0] + "\n" + self.MEDIA)
        with pytest.warns(survey.SurveyWarning, match="no event rows"):
            captures = read(tmp_path)
        assert animals_at(captures) == HISTORY

    @pytest.mark.parametrize("by", ["observationID", "eventID", "mediaID", "record"])
    def test_identities_by_any_name(self, tmp_path, by):
        keys = {"observationID": "o", "eventID": "e", "mediaID": "p", "record": "e"}
        first = 0 if by == "mediaID" else 1
        rows = [f"{keys[by]}{first + i},{who},left" for i, who in enumerate(["L1", "L1", "L2", "L2"])]
        good.package(tmp_path, observations=OBSERVATIONS + self.MEDIA)
        good.write(tmp_path, identities__csv="\n".join([f"{by},individualID,flank", *rows]))
        captures = read(tmp_path, identities=tmp_path / "identities.csv")
        assert animals_at(captures) == HISTORY
        assert set(captures.tables.identities["flank"]) == {"left"}

    def test_files_that_no_observation_names(self, tmp_path):
        """With event rows only, a file belongs to the event of its camera and its time."""
        stamp = "2024-04-{day} {hour}:00:0{second}+08:00"
        shots = [("f1", "d1", "03", "02", 0), ("f2", "d2", "04", "03", 5), ("f3", "d2", "04", "04", 0)]
        rows = [f"{m},{d}," + stamp.format(day=day, hour=h, second=s) for m, d, day, h, s in shots]
        package = good.descriptor()
        package["resources"].append({"name": "media", "path": "media.csv"})
        good.package(tmp_path, package=package, media__csv="\n".join(["mediaID,deploymentID,timestamp", *rows]))
        good.write(tmp_path, identities__csv="mediaID,individual\nf1,L1\nf2,L1\n")
        assert animals_at(read(tmp_path, identities=tmp_path / "identities.csv")) == HISTORY[:2]
        good.write(tmp_path, identities__csv="mediaID,individual\nf3,L1\n")
        with pytest.raises(survey.SurveyError, match=r"row 2: there is no record of this name \(found 'f3'\)"):
            read(tmp_path, identities=tmp_path / "identities.csv")

    def test_two_animals_in_one_event(self, tmp_path):
        text = cell(OBSERVATIONS, "o3", count="2")
        good.package(tmp_path, observations=text, identities__csv=IDENTITIES + "o3,L1,female\n")
        captures = read(tmp_path, identities=tmp_path / "identities.csv")
        assert captures.n_detections == 5
        assert captures.ledger.count() == 4
        assert captures.animals["sex"].to_dict() == {"L1": "female", "L2": "male"}


class TestOfficialExample:
    def folder(self):
        return reference("camtrap_dp") / "example"

    def test_it_is_read(self):
        tables = survey.tables_from_camtrap_dp(self.folder(), timezone="Europe/Brussels")
        assert len(tables.deployments) == 4 and len(tables.records) == 549
        events = tables.records[tables.records["level"] == "event"]
        assert (len(events), events["count"].sum()) == (36, 56)
        local, utc = tables.records["time"], tables.records["time"].dt.tz_convert("UTC")
        assert (local.dt.date != utc.dt.date).sum() == 68

    def test_it_names_no_animals(self):
        how = {"timezone": "Europe/Brussels", "crs": "EPSG:32631", "species": "Vulpes vulpes"}
        with pytest.raises(
            survey.SurveyError, match=r"no identities: the package says project.individualAnimals = false"
        ):
            survey.read_camtrap_dp(self.folder(), **how)

    def test_with_identities_only_events_count(self, tmp_path):
        tables = survey.tables_from_camtrap_dp(self.folder(), timezone="Europe/Brussels")
        ducks = tables.records.query("level == 'event' and species == 'Anas platyrhynchos'")
        who = ducks["sex"].replace({"": "Dewey", "female": "Daisy", "male": "Donald"})
        named = pd.DataFrame({"observationID": ducks["record"], "individual": who})
        named.to_csv(tmp_path / "ids.csv", index=False)
        captures = survey.read_camtrap_dp(
            self.folder(),
            identities=tmp_path / "ids.csv",
            timezone="Europe/Brussels",
            crs="EPSG:32631",
            species="Anas platyrhynchos",
            kind="count",
            independence=None,
        )
        assert captures.n_detections <= len(ducks)
        assert captures.ledger.count("media level (the events are used)") == 513
        captures.ledger.check()


def simulated(kind="proximity", seed=1, K=12, S=15):
    """Capture histories as a simulation makes them: staggered set-up, failures, a camera that never worked."""
    rng = np.random.default_rng(seed)
    effort = np.ones((S, K))
    effort[:3, :4] = 0.0
    effort[3, :4] = 0.25
    effort[5:8, 5] = 0.0
    effort[8, 5] = 0.5
    effort[6:9, 6] = np.nan
    effort[:, 7] = 0.0
    effort[-1] *= 0.4
    animal, occasion, detector = (rng.integers(0, n, 80) for n in (9, S, K))
    seen = np.nan_to_num(effort[occasion, detector]) > 0.3
    frame = pd.DataFrame({"animal": animal, "occasion": occasion + 1, "detector": detector})[seen].drop_duplicates()
    frame["animal"] = "L" + frame["animal"].astype(str)
    frame["detector"] = "S" + frame["detector"].astype(str)
    frame["count"] = rng.integers(1, 4, len(frame)) if kind == "count" else 1
    detectors = survey.Detectors(
        id=tuple(f"S{k}" for k in range(K)),
        x=650_000 + rng.uniform(0, 30_000, K),
        y=4_100_000 + rng.uniform(0, 30_000, K),
        effort=effort,
        kind=kind,
        crs="EPSG:32649",
        covariates=pd.DataFrame({"featureType": np.where(np.arange(K) % 2, "trailGame", "roadDirt")}),
    )
    sex = pd.DataFrame({"sex": ["female", "male", "female"] * 3}, index=[f"L{i}" for i in range(9)])
    return survey.CaptureHistory(frame, detectors, animals=sex)


FIELDWORK = {"species": "Panthera pardus", "seed": 3, "timezone": "Asia/Shanghai", "start": "2024-05-01"}
OTHERS = {"Capreolus pygargus": 40.0, "blank": 20.0, "human": 5.0, "Panthera pardus": 2.0}


class TestRoundTrip:
    @pytest.mark.parametrize("kind", ["proximity", "count"])
    @pytest.mark.parametrize(
        "extras", [{}, {"visit_every": 4}, {"others": OTHERS, "images": 2}], ids=["plain", "visits", "others"]
    )
    def test_detections_and_effort_come_back(self, tmp_path, kind, extras):
        captures = simulated(kind)
        survey.write_camtrap_dp(tmp_path, captures, **FIELDWORK, **extras)
        back = survey.read_camtrap_dp(tmp_path, kind=kind, **SCR)
        pd.testing.assert_frame_equal(back.detections, captures.detections)
        assert back.detectors.id == captures.detectors.id
        np.testing.assert_array_equal(np.isnan(back.detectors.effort), np.isnan(captures.detectors.effort))
        np.testing.assert_allclose(back.detectors.effort, captures.detectors.effort, atol=1e-5)
        np.testing.assert_allclose(back.detectors.x, captures.detectors.x, atol=0.01)
        assert back.animals["sex"].equals(captures.animals["sex"])
        assert back.detectors.covariates["featureType"].equals(captures.detectors.covariates["featureType"])
        assert back.ledger.count() == captures.n_detections

    @pytest.mark.parametrize("seed", range(8))
    def test_any_survey_comes_back(self, tmp_path, seed):
        """Any effort with gaps, any length and boundary of occasions, across changes of the clock."""
        rng = np.random.default_rng(seed)
        K, S, length = int(rng.integers(1, 7)), int(rng.integers(3, 20)), int(rng.choice([1, 2, 5]))
        boundary, zone = str(rng.choice(["noon", "midnight", "02:30"])), str(rng.choice(["Europe/Brussels", "+05:30"]))
        first = str(rng.choice(["2024-03-25", "2024-10-22"]))
        occasions = lay(pd.Timestamp(first), S, length=length, boundary=boundary, timezone=zone)
        days = ((occasions["end"] - occasions["start"]) / pd.Timedelta(days=1)).to_numpy()[:, None]
        part = np.select([rng.random((S, K)) < p for p in (0.1, 0.2, 0.4)], [np.nan, 0.0, rng.random((S, K))], 1.0)
        part[0, 0] = 1.0
        animal, s, k = (rng.integers(0, n, 30) for n in (4, S, K))
        animal, s, k = np.r_[animal, 0], np.r_[s, 0], np.r_[k, 0]
        seen = np.nan_to_num(part[s, k]) > 0.25
        frame = pd.DataFrame({"animal": animal, "occasion": s + 1, "detector": k})[seen].drop_duplicates().astype(str)
        x, y = 500_000 + rng.uniform(0, 2e4, K), 4_100_000 + rng.uniform(0, 2e4, K)
        names = tuple(str(i) for i in range(K))
        detectors = survey.Detectors(names, x, y, part * days, kind="count", crs="EPSG:32649")
        captures = survey.CaptureHistory(frame.astype({"occasion": int}), detectors)
        cutting = {"day_boundary": boundary, "timezone": zone, "start": first}
        survey.write_camtrap_dp(tmp_path, captures, species="x", seed=seed, occasion_days=length, **cutting)
        last = f"{occasions['end'].iloc[-1]:%Y-%m-%d}"
        how = {"species": "x", "kind": "count", "occasion": length, "crs": "EPSG:32649", "end": last}
        back = survey.read_camtrap_dp(tmp_path, **how, **cutting)
        pd.testing.assert_frame_equal(back.detections, captures.detections)
        np.testing.assert_allclose(back.detectors.effort, detectors.effort, atol=1e-5)

    def test_tables_come_back(self, tmp_path):
        """What was read can be written and read again."""
        survey.write_camtrap_dp(tmp_path / "a", simulated(), **FIELDWORK, others=OTHERS)
        first = survey.read_camtrap_dp(tmp_path / "a", **SCR)
        survey.write_camtrap_dp(tmp_path / "b", first.tables)
        second = survey.read_camtrap_dp(tmp_path / "b", **SCR)
        pd.testing.assert_frame_equal(second.detections, first.detections)
        np.testing.assert_array_equal(second.detectors.effort, first.detectors.effort)
        assert str(second.ledger) == str(first.ledger)

    def test_the_same_seed_writes_the_same_bytes(self, tmp_path):
        for name in ("a", "b"):
            survey.write_camtrap_dp(tmp_path / name, simulated(), **FIELDWORK, others=OTHERS, images=1)
        for file in sorted((tmp_path / "a").iterdir()):
            assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()

    def test_before_anything_was_seen(self, tmp_path):
        tables = survey.fieldwork(simulated(), **FIELDWORK)
        survey.write_camtrap_dp(tmp_path, tables)
        design = survey.lay_out(tables, crs="EPSG:32649")
        assert design.n_animals == 0
        back = survey.read_camtrap_dp(tmp_path, **SCR)
        np.testing.assert_array_equal(design.detectors.effort, back.detectors.effort)
        assert design.occasions.equals(back.occasions)

    def test_given_deployments_are_used(self, tmp_path):
        """Deployments and failures first, effort from them, animals on top: the order of a simulation study."""
        tables = survey.fieldwork(simulated(), **FIELDWORK, visit_every=5)
        survey.write_camtrap_dp(tmp_path / "a", tables)
        design = survey.read_camtrap_dp(tmp_path / "a", **SCR)
        survey.write_camtrap_dp(tmp_path / "b", design, species="Panthera pardus", seed=8, tables=tables)
        again = survey.read_camtrap_dp(tmp_path / "b", **SCR)
        pd.testing.assert_frame_equal(again.detections, design.detections)
        np.testing.assert_array_equal(again.detectors.effort, design.detectors.effort)
        assert len(again.tables.deployments) == len(tables.deployments)

    def test_it_follows_the_standard(self, tmp_path):
        descriptor = survey.write_camtrap_dp(tmp_path, simulated(), **FIELDWORK, others=OTHERS, images=1)
        package = json.loads(descriptor.read_text("utf-8"))
        profile = json.loads((reference("camtrap_dp") / "schemas" / "camtrap-dp-profile.json").read_text("utf-8"))
        own = next(part for part in profile["allOf"] if "properties" in part)
        own["properties"].pop("spatial")  # defined at geojson.org, which tests do not ask
        jsonschema.Draft7Validator({"$defs": profile.get("$defs", {}), **own}).validate(package)
        for table in ("deployments", "media", "observations"):
            frame = pd.read_csv(tmp_path / f"{table}.csv", dtype=str, keep_default_na=False)
            assert list(frame.columns) == list(schema(table))
            for name, field in schema(table).items():
                rules, values = field.get("constraints", {}), frame[name]
                assert not rules.get("required") or (values != "").all(), name
                assert not rules.get("unique") or values.is_unique, name
                given = values[values != ""]
                assert given.isin(rules["enum"]).all() if "enum" in rules else True, name
                if field["type"] == "datetime":
                    assert given.str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d").all(), name

    def test_nothing_is_overwritten(self, tmp_path):
        survey.write_camtrap_dp(tmp_path, simulated(), **FIELDWORK)
        with pytest.raises(survey.SurveyError, match="there is a package already"):
            survey.write_camtrap_dp(tmp_path, simulated(), **FIELDWORK)
        survey.write_camtrap_dp(tmp_path, simulated(), **FIELDWORK, overwrite=True)

    def test_effort_of_two_cameras_cannot_be_written(self):
        captures = simulated()
        detectors = survey.Detectors(("S0",), [650_000.0], [4_100_000.0], np.array([[2.0]]), crs="EPSG:32649")
        twice = survey.CaptureHistory(captures.detections.iloc[:0], detectors)
        with pytest.raises(survey.SurveyError, match="more than the occasion's length"):
            survey.fieldwork(twice, **FIELDWORK)

    def test_records_are_at_night_and_apart(self):
        tables = survey.fieldwork(simulated("count"), **FIELDWORK)
        times = tables.records.sort_values(["individual", "location", "time"])
        gap = times.groupby(["individual", "location"])["time"].diff().dropna()
        assert gap.min() >= pd.Timedelta(minutes=30)


def test_vendored_schemas_are_those_of_the_standard():
    for table in ("deployments", "media", "observations"):
        official = json.loads((reference("camtrap_dp") / "schemas" / f"{table}-table-schema.json").read_text("utf-8"))
        assert [field["name"] for field in official["fields"]] == list(schema(table))


def test_a_copy_of_the_folder_is_all_it_takes(tmp_path):
    """Failures and identities travel in the package."""
    survey.write_camtrap_dp(tmp_path / "a", simulated(), **FIELDWORK)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    captures = survey.read_camtrap_dp(tmp_path / "b", **SCR)
    assert len(captures.tables.failures) > 0 and len(captures.tables.identities) == captures.n_detections
