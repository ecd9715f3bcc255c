"""Detection histories from the tables of camera surveys: the same effort, occasions and fates as capture histories."""

import numpy as np
import pandas as pd
import pytest
from bad_inputs import good
from bad_inputs.good import SITE, change

from uncia import survey
from uncia.survey import SurveyError

HOW = SITE | {"occasion": "1 day"}
SEEN = [["A", 3], ["A", 9], ["B", 4], ["C", 8]]


def tables_of(kind, folder, **files):
    write = {"camtrap_dp": good.package, "field": good.field, "wildlife_insights": good.wildlife}[kind]
    write(folder, **{k: v for k, v in files.items() if k != "failures"})
    read = getattr(survey, f"tables_from_{kind}")
    if "failures" in files:
        good.write(folder, failures__csv=files["failures"])
        return read(folder, timezone=SITE["timezone"], failures=folder / "failures.csv")
    return read(folder, timezone=SITE["timezone"])


def make(tables, **how):
    how = {k: v for k, v in (HOW | how).items() if k != "timezone"}
    return survey.detection_history(tables, **how)


def found(history):
    rows = history.visits[history.done & (np.nan_to_num(history.value) > 0)]
    return rows[["site", "visit"]].to_numpy(object).tolist()


@pytest.mark.parametrize("kind", ["camtrap_dp", "field", "wildlife_insights"])
def test_every_source(kind, tmp_path):
    tables = tables_of(kind, tmp_path)
    history = make(tables)
    assert found(history) == SEEN
    assert list(history.sites.index) == ["A", "B", "C"] and history.effort_unit == "camera days"
    assert {"x", "y", "longitude", "latitude"} <= set(history.sites) and history.crs.to_epsg() == 32649
    assert history.ledger.count() == 4
    assert sum(history.ledger.read.values()) == len(tables.records) == len(history.ledger.ends())


def test_effort_and_occasions_are_those_of_the_capture_history(tmp_path):
    tables = tables_of("camtrap_dp", tmp_path, failures=good.FAILURES)
    history, captures = make(tables), survey.assemble(tables, **{k: v for k, v in HOW.items() if k != "timezone"})
    effort = history.visits.pivot(index="visit", columns="site", values="effort")
    np.testing.assert_array_equal(effort.to_numpy(), captures.detectors.effort)
    pd.testing.assert_frame_equal(history.tables.occasions.drop(columns="season"), captures.occasions)
    pd.testing.assert_series_equal(history.tables.records["time"], captures.tables.records["time"])


def test_no_effort_is_missing_and_never_zero(tmp_path):
    history = make(tables_of("camtrap_dp", tmp_path, failures=good.FAILURES))
    idle = history.effort == 0
    assert idle.sum() >= 2 and np.isnan(history.value[idle]).all() and not history.done[idle].any()
    failed = history.visits["site"].eq("A") & history.visits["visit"].eq(12)
    assert 0 < history.visits.loc[failed, "effort"].item() < 1  # noon to midnight
    of_c = history.visits.loc[history.visits["site"].eq("C"), "effort"].to_numpy()
    np.testing.assert_allclose(of_c[:3], [0, 2 / 24, 1])  # set at 10:00 on the third day, the occasion ends at noon


def test_effort_not_known_is_missing(tmp_path):
    open_end = good.cell(good.STATIONS, "B", end="")
    tables = tables_of("field", tmp_path, deployments=open_end)
    history = make(tables)
    b = history.visits["site"].eq("B").to_numpy()
    assert np.isnan(history.effort[b]).any() and not history.done[b][-3:].any()
    assert ["B", 4] not in found(history) and history.ledger.count("the effort is not known") == 1


def test_records_are_counted_or_kept_once(tmp_path):
    more = "r6,A,2024-04-03 02:10,Panthera pardus,\nr7,A,2024-04-03 05:00,Panthera pardus,\n"
    tables = tables_of("field", tmp_path, records=good.RECORDS + more)
    once, counted = make(tables), make(tables, kind="count")
    at = once.visits["site"].eq("A") & once.visits["visit"].eq(3)
    assert (once.value[at], counted.value[at]) == (1, 2)
    assert once.ledger.count("within 30 minutes of the last independent record") == 1
    assert once.ledger.count("same site and occasion again (detection keeps one)") == 1
    assert counted.ledger.count() == 5 and once.ledger.count() == 4
    assert make(tables, kind="count", independence=None).value[at] == 3


def test_species_without_identities(tmp_path):
    tables = tables_of("camtrap_dp", tmp_path)
    history = make(tables, species="Capreolus pygargus")
    assert found(history) == [["A", 11]] and history.ledger.count("another species") == 4


class TestSeasons:
    def test_of_dates(self, tmp_path):
        seasons = {2023: ("2024-04-01", "2024-04-04"), 2024: ("2024-04-06", "2024-04-14")}
        history = make(tables_of("camtrap_dp", tmp_path), seasons=seasons)
        assert history.season_labels == (2023, 2024)
        rows = history.visits[np.nan_to_num(history.value) > 0]
        assert rows[["site", "season", "visit"]].to_numpy(object).tolist() == [
            ["A", 2023, 2], ["A", 2024, 3], ["B", 2023, 3], ["C", 2024, 2],
        ]  # fmt: skip
        assert history.visits.groupby("season")["visit"].max().tolist() == [4, 9]
        assert history.ledger.count() == 4

    def test_records_between_seasons(self, tmp_path):
        seasons = {"early": ("2024-04-01", "2024-04-03"), "late": ("2024-04-08", "2024-04-14")}
        history = make(tables_of("camtrap_dp", tmp_path), seasons=seasons)
        assert history.ledger.count("outside the dates of the survey") == 1
        assert history.ledger.count() == 3

    def test_the_last_occasion_ends_with_the_season(self, tmp_path):
        history = make(tables_of("camtrap_dp", tmp_path), occasion="1 week", seasons={1: ("2024-04-02", "2024-04-11")})
        effort = history.visits.pivot(index="site", columns="visit", values="effort")
        assert effort.loc["B"].tolist() == [7.0, 3.0]

    def test_of_groups_and_years_without_survey(self, tmp_path):
        deployments = change(good.DEPLOYMENTS, "12:00:00+08:00,false,season:spring", "12:00:00+08:00,false,season:2024")
        deployments = deployments.replace("season:spring", "season:2021")
        history = make(tables_of("camtrap_dp", tmp_path, deployments=deployments), season_from="season")
        assert history.season_labels == (2021, 2022, 2023, 2024)
        assert history.detected.sum(axis=0).tolist() == [2, 0, 0, 1] and history.ledger.count() == 4
        assert not history.done[(history.visits["site"] == "C") & (history.visits["season"] == 2021)].any()

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            (
                {"seasons": {1: ("2024-04-01", "2024-04-08"), 2: ("2024-04-08", "2024-04-12")}},
                "seasons 1 and 2 overlap (found '2024-04-08 before 2024-04-09')",
            ),
            ({"seasons": {1: "2024-04-01"}}, "season 1 has no first and last date"),
            ({"season_from": "season", "seasons": {}}, "the seasons are given twice"),
            ({"seasons": {1: ("2024-04-01", "2024-04-08")}, "start": "2024-04-03"}, "dates are given twice"),
            ({"season_from": "saison"}, "no deployment has this key in its groups (found 'saison')"),
        ],
    )
    def test_refused(self, how, words, tmp_path):
        with pytest.raises(SurveyError) as raised:
            make(tables_of("camtrap_dp", tmp_path), **how)
        assert words in str(raised.value)


class TestSites:
    def grouped(self, folder):
        text = good.DEPLOYMENTS.replace("season:spring", "grid:G1")
        return good.change(text, "2024-04-20T12:00:00+08:00,false,grid:G1", "2024-04-20T12:00:00+08:00,false,grid:G2")

    def test_stations_of_one_cell_add_up(self, tmp_path):
        tables = tables_of("camtrap_dp", tmp_path, deployments=self.grouped(tmp_path))
        cells, stations = make(tables, site_from="grid"), make(tables)
        assert list(cells.sites.index) == ["G1", "G2"]
        of_cells = cells.visits.pivot(index="visit", columns="site", values="effort")
        of_stations = stations.visits.pivot(index="visit", columns="site", values="effort")
        np.testing.assert_allclose(of_cells["G1"], of_stations["A"] + of_stations["B"])
        np.testing.assert_allclose(of_cells["G2"], of_stations["C"])
        assert found(cells) == [["G1", 3], ["G1", 4], ["G1", 9], ["G2", 8]]
        assert cells.sites["x"].iloc[0] == pytest.approx(stations.sites["x"].iloc[:2].mean())

    def test_a_station_without_cell(self, tmp_path):
        text = change(
            self.grouped(tmp_path), "2024-04-20T11:00:00+08:00,false,grid:G1", "2024-04-20T11:00:00+08:00,false,"
        )
        with pytest.raises(SurveyError) as raised:
            make(tables_of("camtrap_dp", tmp_path, deployments=text), site_from="grid")
        assert "deployments.csv, row 3: location 'B' has no grid, so its site is not known. Write 'grid:…'" in str(
            raised.value
        )

    def test_a_station_in_two_cells(self, tmp_path):
        text = (
            self.grouped(tmp_path)
            + "d4,A,37.00,113.00,2024-04-21T10:00:00+08:00,2024-04-25T10:00:00+08:00,false,grid:G2\n"
        )
        with pytest.raises(SurveyError) as raised:
            make(tables_of("camtrap_dp", tmp_path, deployments=text), site_from="grid")
        assert "row 5: location 'A' belongs to several sites (found ['G1', 'G2'])" in str(raised.value)


class TestRefusals:
    def test_a_species_that_was_never_found(self, tmp_path):
        tables = tables_of("camtrap_dp", tmp_path)
        with pytest.raises(SurveyError, match="Did you mean 'Panthera pardus'"):
            make(tables, species="Panthera pardis")
        nothing = make(tables, species="Felis bieti", never_found="accept")
        assert not nothing.detected.any() and nothing.done.any() and nothing.ledger.count("another species") == 5

    def test_nothing_was_recorded(self, tmp_path):
        tables = tables_of("camtrap_dp", tmp_path, observations=good.OBSERVATIONS.splitlines()[0] + "\n")
        nothing = make(tables, never_found="accept")
        assert not nothing.detected.any() and nothing.effort.sum() == pytest.approx(56.08, abs=0.01)
        assert "56.083 camera days" in nothing._repr_html_()

    def test_contradictory_records(self, tmp_path):
        text = good.cell(good.OBSERVATIONS, "o1", eventStart="2024-05-03T02:00:00+08:00")
        tables = tables_of("camtrap_dp", tmp_path, observations=text)
        with pytest.raises(SurveyError, match=r"observations\.csv, row 2: the record is outside its deployment 'd1'"):
            make(tables)
        history = make(tables, outside="drop")
        assert history.ledger.count("outside its deployment") == 1 and history.ledger.count() == 3

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"kind": "counts"}, "this choice is not known (found 'counts'). Use 'detection' or 'count'"),
            ({"crs": "EPSG:4326"}, "is in degrees"),
            ({"start": "2024-05-01", "end": "2024-06-01"}, "no camera has worked on any occasion"),
        ],
    )
    def test_choices(self, how, words, tmp_path):
        with pytest.raises(SurveyError) as raised:
            make(tables_of("camtrap_dp", tmp_path), **how)
        assert words in str(raised.value)


def test_the_order_of_records_does_not_matter(tmp_path):
    header, *rows = good.OBSERVATIONS.splitlines()
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    here = make(tables_of("camtrap_dp", tmp_path / "a"))
    there = make(tables_of("camtrap_dp", tmp_path / "b", observations="\n".join([header, *rows[::-1], ""])))
    assert here.equals(there)


def test_many_files_are_told_together():
    names = [f"images_{k:02d}.csv" for k in range(12)] + ["deployments.xlsx"]
    rows = [(name, k, "used" if k < 2 else "blank") for name in names for k in range(5)]
    ledger = survey.Ledger.of(*zip(*rows, strict=True))
    assert str(ledger) == (
        "12 files .csv: 60 records read\n        24  used\n        36  blank\n"
        "deployments.xlsx: 5 records read\n         2  used\n         3  blank"
    )
    assert len(ledger.table()) == 26


def test_words_of_another_language_in_field_tables(tmp_path):
    good.field(tmp_path, records=good.RECORDS.replace("Panthera pardus", "金钱豹"))
    mapping = {"records": {"values": {"species": {"金钱豹": "Panthera pardus"}}}}
    tables = survey.tables_from_field(tmp_path, timezone=SITE["timezone"], mapping=mapping)
    assert found(make(tables)) == SEEN
    with pytest.raises(SurveyError, match=r"not known \(found 'records\.values\.specis'\)\. Did you mean"):
        survey.tables_from_field(
            tmp_path, timezone=SITE["timezone"], mapping={"records": {"values": {"specis": {"a": "b"}}}}
        )
