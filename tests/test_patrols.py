"""Patrols: every metre and every observation ends somewhere, and a cell without effort is missing and never zero."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patrol_files import BY_NAME, CAT, CRS, STRAIGHT, ZONE, cells, found, gpx, lines, one_walk, patrols, smart, times

from uncia.survey import Cells, SurveyError, read_patrols, to_metres


def km_of(history):
    return dict(zip(history.visits["site"], history.effort, strict=True))


class TestByCell:
    def test_a_straight_walk(self, tmp_path):
        history = one_walk(tmp_path, [found("P1", (3.0, 1.0)), found("P1", (4.5, 1.2))]).by_cell(cells())
        km = km_of(history)
        assert [round(km[f"E{e}N3500"], 3) for e in (500, 502, 504)] == [1.8, 2.0, 1.2]
        assert history.value[history.done].tolist() == [0.0, 1.0, 1.0]
        assert history.effort_unit == "km" and history.area.tolist() == [4.0] * 9 and history.crs.to_epsg() == 32647

    def test_no_effort_is_missing_and_never_zero(self, tmp_path):
        history = one_walk(tmp_path, [found("P1", (3.0, 1.0)), found("P1", (3.0, 5.0))]).by_cell(cells())
        assert np.isnan(history.value[history.effort == 0]).all() and (history.effort == 0).sum() == 6
        assert history.ledger.count("no effort in its cell and period") == 1 and history.ledger.count() == 2

    def test_months_and_years(self, tmp_path):
        walks = [(f"W{m}", [(STRAIGHT, times(11, f"2024-{m:02d}-15 08:00"))]) for m in (4, 6)]
        p = patrols(gpx(tmp_path / "a.gpx", *walks), smart(tmp_path / "o.csv", found("P", (3, 1), "2024-06-15 09:00")))
        months = p.by_cell(cells())
        assert months.visits["visit"].unique().tolist() == [1, 2, 3]
        assert not months.done[months.visits["visit"] == 2].any()
        years = p.by_cell(cells(), seasons="year")
        assert years.season_labels == (2024,) and years.visits["visit"].unique().tolist() == [4, 5, 6]
        two = p.by_cell(
            cells(), seasons={"spring": ("2024-04-01", "2024-04-30"), "summer": ("2024-06-01", "2024-06-30")}
        )
        assert two.season_labels == ("spring", "summer") and two.detected.sum(axis=0).tolist() == [0, 1]
        weeks = p.by_cell(cells(), period="1 week", start="2024-06-01")
        assert weeks.effort.sum() == pytest.approx(5.0, rel=1e-3)
        assert weeks.effort_ledger.loc["outside the dates", "km"] == pytest.approx(5.0, rel=1e-3)

    def test_the_month_is_that_of_the_local_calendar(self, tmp_path):
        """Seven in the morning of the first of June in China is still May in Greenwich."""
        track = gpx(tmp_path / "w.gpx", ("W", [(STRAIGHT, times(11, "2024-06-01 00:10"))]))
        history = patrols(track).by_cell(cells(), seasons="year")
        assert history.visits["visit"].unique().tolist() == [6]

    def test_counts(self, tmp_path):
        rows = [found("P1", (3.0, 1.0)), found("P1", (3.1, 1.0), "2024-05-01 09:10")]
        p = one_walk(tmp_path, rows)
        assert np.nansum(p.by_cell(cells(), kind="count").value) == 2
        once = p.by_cell(cells())
        assert np.nansum(once.value) == 1
        assert once.ledger.count("same place and time again (detection keeps one)") == 1

    def test_every_observation_has_an_end(self, tmp_path):
        rows = [
            found("P1", (3.0, 1.0)),
            found("P1", (3.0, 1.0), who="Vulpes vulpes"),
            found("P1", (3.0, 1.0), who=""),
            found("P1", (3.0, 1.0), what="Snare"),
            found("P1", (9.0, 9.0)),
            found("P9", (3.0, 1.0), how="Vehicle"),
            found("P1", (3.0, 1.0), "2024-08-01 09:00"),
        ]
        history = one_walk(tmp_path, rows).by_cell(cells(), species=CAT, category="scat")
        ends = history.ledger.table().set_index(["file", "reason"])["records"]
        assert ends["seen.csv"].to_dict() == {
            "used": 1, "another species": 1, "no species": 1, "another category": 1, "outside the cells": 1,
            "moved by vehicle": 1, "outside the dates": 1,
        }  # fmt: skip
        assert ends["walk.gpx"].to_dict() == {"used": 1}

    def test_direction_and_distance(self, tmp_path):
        """The thing lies 1.5 km east of where the patrol stood: in the next cell."""
        p = one_walk(tmp_path, [found("P1", (1.2, 1.0))])
        text = (tmp_path / "seen.csv").read_text().splitlines()
        text = [text[0] + ",Direction,Distance", text[1] + ",90,1500"]
        (tmp_path / "seen.csv").write_text("\n".join(text))
        p = patrols(tmp_path / "walk.gpx", tmp_path / "seen.csv")
        history = p.by_cell(cells())
        assert history.visits["site"][history.value == 1].tolist() == ["E502N3500"]


class TestWhatCounts:
    def test_only_on_foot(self, tmp_path):
        walk, drive = ("P1", [(STRAIGHT, times(11))]), ("P2", [(STRAIGHT, times(11, "2024-05-02 08:00", 1))])
        track = lines(tmp_path / "t.geojson", walk, drive, transport=["Foot", "Vehicle"])
        p = read_patrols(track, timezone=ZONE)
        history = p.by_cell(cells())
        assert history.effort.sum() == pytest.approx(5.0, rel=1e-3)
        assert history.effort_ledger.loc["moved by vehicle", "km"] == pytest.approx(5.0, rel=1e-3)
        assert history.ledger.count("moved by vehicle") == 1
        both = p.by_cell(cells(), transport=("foot", "vehicle"))
        assert both.effort.sum() == pytest.approx(10.0, rel=1e-3)

    def test_transport_by_what_the_observations_of_the_patrol_say(self, tmp_path):
        track = gpx(tmp_path / "w.gpx", ("P1", [(STRAIGHT, times(11))]), ("P2", [(STRAIGHT[::-1], times(11))]))
        seen = smart(tmp_path / "o.csv", found("P1", (3, 1)), found("P2", (3, 1), how="骑马"))
        p = read_patrols(track, seen, timezone=ZONE, mapping=BY_NAME)
        assert p.tracks["transport"].tolist() == ["foot", "horse"]

    def test_gaps_and_jumps(self, tmp_path):
        points = [(0.2, 1), (0.7, 1), (1.2, 1), (1.7, 5.9), (1.7, 1), (2.2, 1), (2.7, 1)]
        when = times(7).to_series().reset_index(drop=True)
        when[6] += pd.Timedelta(hours=2)
        p = patrols(gpx(tmp_path / "w.gpx", ("P", [(points, list(when))])))
        history = p.by_cell(cells())
        km = history.effort_ledger["km"].round(2).to_dict()
        assert km == {"used": 1.5, "faster than is plausible": 9.83, "gap of more than 30 minutes": 0.5}
        assert p.by_cell(cells(), longest_gap=200, fastest=100).effort.sum() == pytest.approx(11.83, abs=0.01)

    def test_the_same_track_again(self, tmp_path):
        walk = ("P1", [(STRAIGHT, times(11))])
        p = patrols([gpx(tmp_path / "a.gpx", walk), gpx(tmp_path / "b.gpx", walk)])
        history = p.by_cell(cells())
        assert history.effort.sum() == pytest.approx(5.0, rel=1e-3)
        assert history.ledger.count("the same track again") == 1
        assert history.effort_ledger.loc["the same track again", "km"] == pytest.approx(5.0, rel=1e-3)

    def test_two_exports_that_overlap(self, tmp_path):
        """The device was read out after the first half, and again at the end."""
        when = times(len(STRAIGHT))
        first = gpx(tmp_path / "a.gpx", ("noon", [(STRAIGHT[:6], when[:6])]))
        whole = gpx(tmp_path / "b.gpx", ("evening", [(STRAIGHT, when)]))
        history = patrols([first, whole]).by_cell(cells())
        assert history.effort.sum() == pytest.approx(5.0, rel=1e-3)
        assert history.effort_ledger.loc["the same way again", "km"] == pytest.approx(2.5, rel=1e-3)

    def test_one_line_drawn_for_two_walks(self, tmp_path):
        walk = ("P", [(STRAIGHT, None)])
        track = lines(tmp_path / "t.shp", walk, walk, walk, date=["2024-07-03", "2024-07-09", "2024-07-09"])
        history = patrols(track).by_cell(cells(), seasons="year")
        assert history.effort.sum() == pytest.approx(10.0, rel=1e-3)
        assert history.ledger.count("the same track again") == 1

    def test_a_fix_without_satellites(self, tmp_path):
        track = gpx(tmp_path / "w.gpx", ("P", [(STRAIGHT, times(11))]))
        lines_of = track.read_text().splitlines()
        fix = next(i for i, line in enumerate(lines_of) if "trkpt" in line) + 5
        lines_of[fix] = re.sub(r'lat=".*?" lon=".*?"', 'lat="0.0" lon="9.0"', lines_of[fix])
        track.write_text("\n".join(lines_of))
        history = patrols(track).by_cell(cells())
        assert history.effort.sum() == pytest.approx(4.0, rel=1e-3)
        assert np.isfinite(history.effort_ledger["km"]).all()

    def test_observations_of_a_patrol_by_car(self, tmp_path):
        walk, drive = ("P1", [(STRAIGHT, times(11))]), ("P2", [(STRAIGHT, times(11, minutes=1))])
        track = lines(tmp_path / "t.geojson", walk, drive, patrol=["P1", "P2"], transport=["foot", "vehicle"])
        seen = smart(tmp_path / "o.csv", found("P2", (3, 1), how=""))
        history = patrols(track, seen).by_cell(cells())
        assert history.ledger.count("moved by vehicle") == 2 and not history.detected.any()

    def test_stretches_are_not_joined(self, tmp_path):
        parts = [(STRAIGHT[:5], times(5)), (STRAIGHT[6:], times(5, "2024-05-01 08:50"))]
        history = patrols(gpx(tmp_path / "w.gpx", ("P", parts))).by_cell(cells())
        assert history.effort.sum() == pytest.approx(4.0, rel=1e-3)

    def test_fixes_out_of_order(self, tmp_path):
        when = times(len(STRAIGHT))
        order = np.random.default_rng(1).permutation(len(STRAIGHT))
        mixed = [(np.array(STRAIGHT)[order], when[order])]
        p = patrols(gpx(tmp_path / "w.gpx", ("P", mixed)))
        assert p.by_cell(cells()).effort.sum() == pytest.approx(5.0, rel=1e-3)


class TestFormats:
    @pytest.mark.parametrize("suffix", ["geojson", "shp", "gpkg"])
    def test_lines_with_times_in_z(self, tmp_path, suffix):
        walk = ("P1", [(STRAIGHT, times(11))])
        track = lines(tmp_path / f"t.{suffix}", walk)
        by_line = patrols(track).by_cell(cells(), seasons="year")
        by_gpx = patrols(gpx(tmp_path / "t.gpx", walk)).by_cell(cells(), seasons="year")
        np.testing.assert_allclose(by_line.effort, by_gpx.effort, atol=1e-6)
        assert by_line.visits["visit"].unique().tolist() == [5]

    def test_several_lines_of_one_track(self, tmp_path):
        parts = [(STRAIGHT[:5], times(5)), (STRAIGHT[6:], times(5, "2024-05-01 08:50"))]
        history = patrols(lines(tmp_path / "t.shp", ("P", parts))).by_cell(cells())
        assert history.effort.sum() == pytest.approx(4.0, rel=1e-3)

    def test_heights_are_no_times(self, tmp_path):
        track = lines(tmp_path / "t.geojson", ("P1", [(STRAIGHT, None)]))
        text = track.read_text().replace(" ] ]", ", 4500.0 ] ]").replace(" ], [", ", 4500.0 ], [")
        track.write_text(text)
        p = patrols(track)
        assert p.fixes["time"].isna().all() and "4500" in text
        assert p.by_cell(cells(), period="season").effort.sum() == pytest.approx(5.0, rel=1e-3)

    def test_times_beside_the_line(self, tmp_path):
        stamps = [[f"{t:%Y-%m-%dT%H:%M:%S%z}" for t in times(11)]]
        track = lines(tmp_path / "t.geojson", ("P1", [(STRAIGHT, None)]), coordTimes=stamps)
        assert patrols(track).fixes["time"].tolist() == list(times(11))

    def test_a_date_in_place_of_times(self, tmp_path):
        track = lines(tmp_path / "t.shp", ("P1", [(STRAIGHT, None)]), **{"date": ["2024-07-03"]})
        history = patrols(track).by_cell(cells(), seasons="year")
        assert history.visits["visit"].unique().tolist() == [7] and history.done.sum() == 3

    def test_local_times_without_offset(self, tmp_path):
        track = gpx(tmp_path / "t.gpx", ("P", [(STRAIGHT, times(11))]), zone=None)
        assert patrols(track).fixes["time"].tolist() == list(times(11))

    def test_a_folder(self, tmp_path):
        (tmp_path / "in").mkdir()
        gpx(tmp_path / "in" / "a.gpx", ("P", [(STRAIGHT, times(11))]))
        lines(tmp_path / "b.geojson", ("Q", [(STRAIGHT, times(11, "2024-05-03 08:00"))]))
        assert patrols(tmp_path).tracks["track"].tolist() == ["a 1", "b 1"]

    def test_another_language(self, tmp_path):
        walk = gpx(tmp_path / "walk.gpx", ("P1", [(STRAIGHT, times(11))]))
        (tmp_path / "seen.csv").write_text(
            "Identifiant;Mode;Date du point;Heure;Longitude X;Latitude Y;Catégorie;Espèce\n"
            "P1;A pied;1 mai 2024;09:00;99,0305;31,6360;Crotte;Panthère des neiges\n",
            "utf-8",
        )
        mapping = tmp_path / "mapping.toml"
        mapping.write_text(
            'months = ["janv.", "févr.", "mars", "avr.", "mai", "juin", '
            '"juil.", "août", "sept.", "oct.", "nov.", "déc."]\n'
            '[observations]\npatrol = "Identifiant"\ntime = ["Date du point", "Heure"]\nx = "Longitude X"\n'
            'y = "Latitude Y"\ncategory = "Catégorie"\nspecies = "Espèce"\ntransport = "Mode"\n'
            'values = { species = { "Panthère des neiges" = "Panthera uncia" } }\n',
            "utf-8",
        )
        p = patrols(walk, tmp_path / "seen.csv", mapping=mapping)
        row = p.observations.iloc[0]
        assert row[["species", "transport", "category"]].tolist() == ["Panthera uncia", "foot", "Crotte"]
        assert row["time"] == pd.Timestamp("2024-05-01 09:00", tz=ZONE)
        assert np.nansum(p.by_cell(cells(), species="Panthera uncia").value) == 1

    def test_dates_as_smart_writes_them(self, tmp_path):
        (tmp_path / "seen.csv").write_text(
            "Patrol ID,Waypoint Date,Waypoint Time,X,Y,Observation Category 0,Observation Category 1\n"
            'P1,"May 1, 2024",9:05:10 AM,99.0305,31.636,Sign,Scat\nP1,"May 1, 2024",1:05:10 PM,,,Sign,\n'
        )
        o = patrols(gpx(tmp_path / "w.gpx", ("P1", [(STRAIGHT, times(11))])), tmp_path / "seen.csv").observations
        assert o["time"].tolist() == [pd.Timestamp(f"2024-05-01 {h}:05:10", tz=ZONE) for h in ("09", "13")]
        assert o["category"].tolist() == ["Sign > Scat", "Sign"] and o["longitude"].isna().tolist() == [False, True]

    def test_excel(self, tmp_path):
        smart(tmp_path / "seen.csv", found("P1", (3.0, 1.0), "2024-05-01 09:05"))
        frame = pd.read_csv(tmp_path / "seen.csv")
        frame["Waypoint Date"] = pd.to_datetime(frame["Waypoint Date"]).dt.date
        frame["Waypoint Time"] = pd.to_datetime(frame["Waypoint Time"], format="%H:%M:%S").dt.time
        frame.to_excel(tmp_path / "seen.xlsx", index=False)
        track = gpx(tmp_path / "w.gpx", ("P1", [(STRAIGHT, times(11))]))
        a, b = (patrols(track, tmp_path / f"seen.{kind}").observations for kind in ("csv", "xlsx"))
        pd.testing.assert_frame_equal(a.drop(columns=["file", "record"]), b.drop(columns=["file", "record"]))

    def test_chinese_words(self, tmp_path):
        text = "巡护编号,方式,日期,时间,经度,纬度,物种\nP1,徒步,2024年5月1日,09:00,99.0305,31.636,雪豹\n"
        (tmp_path / "seen.csv").write_bytes(text.encode("gb18030"))
        columns = {"patrol": "巡护编号", "transport": "方式", "time": ["日期", "时间"], "x": "经度", "y": "纬度"}
        columns |= {"species": "物种", "values": {"species": {"雪豹": "Panthera uncia"}}}
        track = gpx(tmp_path / "w.gpx", ("P1", [(STRAIGHT, times(11))]))
        how = {"transport": None, "mapping": {"observations": columns, "tracks": {"patrol": "name"}}}
        history = patrols(track, tmp_path / "seen.csv", **how).by_cell(cells(), species="Panthera uncia")
        assert history.detected.sum() == 1

    def test_projected_positions(self, tmp_path):
        (tmp_path / "seen.csv").write_text("Patrol ID,Waypoint Date,X,Y,Species\nP1,2024-05-01,503000,3501000,cat\n")
        p = patrols(gpx(tmp_path / "w.gpx", ("P1", [(STRAIGHT, times(11))])), tmp_path / "seen.csv", crs=CRS)
        history = p.by_cell(cells())
        assert history.visits["site"][history.value == 1].tolist() == ["E502N3500"]


class TestSegments:
    def test_a_straight_walk(self, tmp_path):
        rows = [found("P1", (0.9, 1.05), "2024-05-01 08:15"), found("P1", (3.3, 1.0), "2024-05-01 09:02")]
        history = one_walk(tmp_path, rows).by_segment(cells(), 0.5)
        assert history.visits["site"].tolist() == ["E500N3500"] * 4 + ["E502N3500"] * 4 + ["E504N3500"] * 2
        assert history.visits["visit"].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
        np.testing.assert_allclose(history.effort, [0.5, 0.5, 0.5, 0.3] + [0.5] * 4 + [0.5, 0.7], rtol=1e-3)
        assert history.value.tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]

    def test_a_passage_too_short(self, tmp_path):
        history = one_walk(tmp_path).by_segment(cells(), 3.0)
        assert history.visits["site"].tolist() == ["E500N3500", "E502N3500"]
        km = history.effort_ledger["km"].round(2).to_dict()
        assert km == {"used": 3.8, "on passages too short for a segment": 1.2}

    def test_each_passage_is_a_trail(self, tmp_path):
        there_and_back = STRAIGHT + STRAIGHT[::-1][1:]
        history = one_walk(tmp_path, points=there_and_back).by_segment(cells(), 1.0)
        trails = history.visits.groupby("site")["trail"].unique().map(list).to_dict()
        assert trails["E502N3500"] == ["walk 1, passage 2", "walk 1, passage 4"]
        assert trails["E504N3500"] == ["walk 1, passage 3"]  # in and out again without leaving the cell

    def test_time_tells_which_passage(self, tmp_path):
        there_and_back = STRAIGHT + STRAIGHT[::-1][1:]
        rows = [found("P1", (3.0, 1.0), "2024-05-01 10:43")]
        history = one_walk(tmp_path, rows, points=there_and_back).by_segment(cells(), 1.0)
        assert history.visits["trail"][history.value == 1].tolist() == ["walk 1, passage 4"]

    def test_what_belongs_to_no_segment(self, tmp_path):
        rows = [
            found("P1", (3.0, 1.3)),
            found("P2", (3.0, 1.0)),
            found("P1", (3.0, 1.0), "2024-05-01 22:00"),
        ]
        history = one_walk(tmp_path, rows).by_segment(cells(), 1.0)
        assert history.ledger.count("no segment of its patrol and time within 200 m") == 3

    def test_months_are_seasons_when_asked(self, tmp_path):
        walks = [(f"W{m}", [(STRAIGHT, times(11, f"2024-{m:02d}-15 08:00"))]) for m in (4, 6)]
        p = patrols(gpx(tmp_path / "a.gpx", *walks))
        seasons = {4: ("2024-04-01", "2024-04-30"), 6: ("2024-06-01", "2024-06-30")}
        history = p.by_segment(cells(), 1.0, seasons=seasons)
        assert history.season_labels == (4, 5, 6)
        assert history.visits.groupby("season")["effort"].sum().round(2).to_dict() == {4: 5.0, 6: 5.0}


# ---- what must not matter -------------------------------------------------------------------------------------------


def wander(seed: int, n: int = 40):
    """A walk that crosses cells and their corners, leaves the grid and comes back, in km."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, n))
    steps = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(0.05, 0.8, (n, 1))
    points = np.cumsum(steps, axis=0) + rng.uniform(0, 6, 2)
    points = np.abs((points + 1.0) % 16.0 - 8.0) - 1.0  # folded back at one km outside the grid
    some = rng.random(n) < 0.2
    points[some] = np.round(points[some] / 2.0) * 2.0  # exactly on corners and borders
    return points


def history_of(folder, *tracks, split=False, grid=None):
    files = [gpx(folder / f"{name}.gpx", (name, parts)) for name, parts in tracks]
    return patrols(files).by_cell(grid or cells(), fastest=1e6)


@given(seed=st.integers(0, 10**6), at=st.integers(1, 38))
@settings(max_examples=8, deadline=None)
def test_splitting_a_track_changes_nothing(tmp_path_factory, seed, at):
    folder, points, when = tmp_path_factory.mktemp("split"), wander(seed), times(40)
    whole = patrols(gpx(folder / "w.gpx", ("W", [(points, when)])))
    parts = [(points[: at + 1], when[: at + 1]), (points[at:], when[at:])]
    in_parts = patrols(gpx(folder / "p.gpx", ("W", parts)))
    in_files = patrols([gpx(folder / f"{k}.gpx", (f"W{k}", [part])) for k, part in enumerate(parts)])
    expected = whole.by_cell(cells(), fastest=1e6).effort
    np.testing.assert_allclose(in_parts.by_cell(cells(), fastest=1e6).effort, expected, atol=1e-9)
    np.testing.assert_allclose(in_files.by_cell(cells(), fastest=1e6).effort, expected, atol=1e-9)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_no_metre_is_lost_or_counted_twice(tmp_path_factory, seed):
    import shapely

    folder, points = tmp_path_factory.mktemp("km"), wander(seed)
    grid = cells()
    p = patrols(gpx(folder / "w.gpx", ("W", [(points, times(40))])))
    history = p.by_cell(grid, fastest=1e6)
    at = np.column_stack(to_metres(p.fixes["longitude"], p.fixes["latitude"], CRS))
    np.testing.assert_allclose(at, 1000.0 * points + [500_000, 3_500_000], atol=1e-3)
    line, steps = shapely.LineString(at), shapely.linestrings(np.stack([at[:-1], at[1:]], axis=1))
    inside = shapely.length(shapely.intersection(steps, shapely.union_all(grid.outline))).sum() / 1000.0
    assert history.effort.sum() == pytest.approx(inside, abs=1e-5)
    assert history.effort_ledger["km"].sum() == pytest.approx(line.length / 1000.0, abs=1e-5)
    segments = p.by_segment(grid, 0.7, fastest=1e6)
    short = segments.effort_ledger["km"].get("on passages too short for a segment", 0.0)
    assert segments.effort.sum() + short == pytest.approx(inside, abs=1e-5)
    whole = (segments.effort >= 0.35 - 1e-9) & (segments.effort < 1.05 + 1e-9)
    assert whole.all()


def test_a_walk_along_a_border_counts_once(tmp_path):
    points = [(2.0, y) for y in np.arange(0.5, 5.6, 0.5)]
    history = history_of(tmp_path, ("W", [(points, times(11))]))
    assert history.effort.sum() == pytest.approx(5.0, rel=1e-3)


def test_the_order_of_files_and_records_does_not_matter(tmp_path):
    walks = [(f"W{k}", [(wander(k), times(40, f"2024-05-{k + 1:02d} 08:00"))]) for k in range(4)]
    rows = [found(f"W{k}", tuple(wander(k)[i]), times(40, f"2024-05-{k + 1:02d} 08:00")[i].tz_localize(None))
            for k in range(4) for i in (3, 17, 30)]  # fmt: skip
    files = [gpx(tmp_path / f"{name}.gpx", (name, parts)) for name, parts in walks]
    first = patrols(files, smart(tmp_path / "o.csv", *rows), mapping=BY_NAME)
    other = patrols(files[::-1], smart(tmp_path / "o.csv", *rows[::-1]), mapping=BY_NAME)
    for make in (lambda p: p.by_cell(cells(), fastest=1e6), lambda p: p.by_segment(cells(), 0.5, fastest=1e6)):
        assert make(first).equals(make(other)) and make(first).ledger.table().equals(make(other).ledger.table())
    assert make(first).ledger.count() > 0


class TestCells:
    def test_lines_of_the_grid_do_not_depend_on_the_area(self):
        import shapely

        a = Cells.grid(shapely.box(500_300, 3_500_300, 507_000, 3_507_000), 2.0, CRS, least_inside=0.01)
        b = Cells.grid(shapely.box(501_000, 3_499_000, 509_000, 3_507_000), 2.0, CRS, least_inside=0.01)
        both = set(a.name) & set(b.name)
        assert len(both) >= 9
        for name in both:
            assert a.outline[a.name.index(name)].equals(b.outline[b.name.index(name)])

    def test_the_area_is_what_lies_in_the_study_area(self):
        import shapely

        region = shapely.box(500_000, 3_500_000, 503_200, 3_502_000)
        c = Cells.grid(region, 2.0, CRS)
        assert c.name == ("E500N3500", "E502N3500")
        np.testing.assert_allclose(c.area, [4.0, 2.4])
        assert len(Cells.grid(region, 2.0, CRS, least_inside=0.7)) == 1

    def test_a_layer(self, tmp_path):
        cells().frame().reset_index().to_file(tmp_path / "beats.gpkg")
        again = Cells.from_layer(tmp_path / "beats.gpkg", "site")
        assert again.name == cells().name and repr(again) == "9 cells, 36 km², EPSG:32647"

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda box: Cells(["a", "b"], [box(0, 0, 9, 9), box(5, 0, 14, 9)], CRS), "cells 'a' and 'b' overlap"),
            (lambda box: Cells(["a", "a"], [box(0, 0, 9, 9), box(9, 0, 14, 9)], CRS), "a cell's name is used twice"),
            (
                lambda box: Cells.grid(box(1.1e7, 4e6, 1.11e7, 4.1e6), 10, "EPSG:3857"),
                "a metre of EPSG:3857 is 1.21 m of ground here",
            ),
            (lambda box: Cells.grid(box(5e5, 4e6, 6e5, 4.1e6), 0.01, CRS), "Is the side given in km?"),
            (lambda box: Cells.grid(box(5e5, 4e6, 6e5, 4.1e6), -1, CRS), "the side of a cell must be above 0 km"),
            (
                lambda box: Cells.grid(box(5e5, 4e6, 5.01e5, 4.001e6), 10, CRS),
                "no cell of 10 km lies in the study area by 50 % (the best by 1 %)",
            ),
        ],
    )
    def test_refused(self, make, words):
        import shapely

        with pytest.raises(SurveyError) as raised:
            make(shapely.box)
        assert words in str(raised.value)
