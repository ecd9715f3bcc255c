"""Patrols and detection histories that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely
from patrol_files import SMART, STRAIGHT, ZONE, cells, found, gpx, lines, smart, times

from uncia import survey

from . import good

WALK = ("P1", [(STRAIGHT, times(11))])
OFFICE = "Patrouille,Quand,X,Y\nP1,2024-05-01 09:00,99.03,31.63\n"
Make = Callable[[Path], object]


@dataclass(frozen=True)
class PatrolCase:
    """One bad input: as `Case`, read by `read_patrols` and laid on cells.

    Parameters
    ----------
    build : writes walk.gpx and seen.csv, or others, into a folder
    options : keywords of `read_patrols` that differ from those of good patrols
    tracks, seen : what is read, relative to the folder
    visits : keywords of `by_cell`, or of `by_segment` with `length_km`
    """

    name: str
    build: Make
    expect: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    tracks: str | tuple[str, ...] = "walk.gpx"
    seen: str | None = "seen.csv"
    visits: dict[str, Any] = field(default_factory=dict)

    def read(self, folder: Path) -> survey.DetectionHistory:
        options = {"timezone": ZONE, "transport": "foot"} | self.options
        names = [self.tracks] if isinstance(self.tracks, str) else self.tracks
        seen = None if self.seen is None else folder / self.seen
        patrols = survey.read_patrols([folder / name for name in names], seen, **options)
        how = dict(self.visits)
        if "length_km" in how:
            return patrols.by_segment(cells(), how.pop("length_km"), **how)
        return patrols.by_cell(cells(), **how)


def good_patrols(folder: Path) -> None:
    gpx(folder / "walk.gpx", WALK)
    smart(folder / "seen.csv", found("P1", (3.0, 1.0)))


def walk(text: str) -> Make:
    """Good observations and a GPX file of this text."""
    return lambda folder: (good_patrols(folder), (folder / "walk.gpx").write_text(text, "utf-8"))


def seen(text: str) -> Make:
    """A good track and observations of this text."""
    return lambda folder: (good_patrols(folder), (folder / "seen.csv").write_text(text, "utf-8"))


def row(**values: str) -> Make:
    """Good patrols with other values in the one observation."""

    def build(folder: Path) -> None:
        good_patrols(folder)
        header, line = (folder / "seen.csv").read_text("utf-8").splitlines()
        changed = dict(zip(header.split(","), line.split(","), strict=True)) | values
        (folder / "seen.csv").write_text(f"{','.join(changed)}\n{','.join(changed.values())}\n", "utf-8")

    return build


def feature(geometry, **columns) -> Make:
    """Good observations and a layer of these shapes."""

    def build(folder: Path) -> None:
        good_patrols(folder)
        gpd.GeoDataFrame(columns, geometry=geometry, crs="EPSG:4326").to_file(folder / "walk.gpkg")

    return build


def without_projection(folder: Path) -> None:
    """A shapefile that was sent without its .prj."""
    good_patrols(folder)
    lines(folder / "walk.shp", WALK)
    (folder / "walk.prj").unlink()


LINE = shapely.LineString([(99.0, 31.63), (99.02, 31.63)])
TRKPT = '<gpx><trk><name>P</name><trkseg><trkpt lat="{lat}" lon="99.0"><time>{time}</time></trkpt></trkseg></trk></gpx>'
IN_GPKG = {"tracks": "walk.gpkg"}

TRACKS = [
    PatrolCase("no such track", good_patrols, ("walks.gpx: there is no such file of tracks",), tracks="walks.gpx"),
    PatrolCase("no track at all", good_patrols, ("no file of tracks is given", "Effort is known"), tracks=()),
    PatrolCase("track twice", good_patrols, ("walk.gpx: the file of tracks is given twice",), tracks=("walk.gpx",) * 2),
    PatrolCase("a folder without tracks", lambda f: (f / "in").mkdir(), ("the folder holds no tracks",), tracks="in"),
    PatrolCase("not GPX", walk("P1;31.6;99.0\n"), ("walk.gpx: the file is not GPX", "Export it again")),
    PatrolCase("waypoints only", walk('<gpx><wpt lat="3" lon="9"/></gpx>'), ("walk.gpx: the file holds no track",)),
    PatrolCase(
        "a fix off the globe",
        walk(TRKPT.format(lat="316.3", time="2024-05-01T08:00:00Z")),
        ("walk.gpx, row 1: point 1 of the track has no latitude and longitude in degrees",),
    ),
    PatrolCase(
        "a fix of no time",
        walk(TRKPT.format(lat="31.63", time="1 May 24, noon")),
        ("walk.gpx, row 1: time of point 1 of the track: this is not a date and time (found '1 May 24, noon')",),
    ),
    PatrolCase(
        "transport not stated",
        lambda f: (gpx(f / "walk.gpx", WALK), seen(SMART)(f)),
        ("walk.gpx, row 1: it is not stated how the patrol moved on this track", "Give transport='foot'"),
        options={"transport": None},
    ),
    PatrolCase("points for lines", feature([shapely.Point(99, 31)]), ("row 1: a track must be a line",), **IN_GPKG),
    PatrolCase("no CRS", without_projection, ("walk.shp: the layer states no CRS", ".prj"), tracks="walk.shp"),
    PatrolCase(
        "fewer times than points",
        lambda f: lines(f / "walk.geojson", ("P1", [(STRAIGHT, None)]), coordTimes=[["2024-05-01T08:00:00Z"]]),
        ("walk.geojson, row 1: the track has 11 points and 1 times",),
        tracks="walk.geojson",
        seen=None,
    ),
    PatrolCase(
        "a date that is none",
        feature([LINE], date=["2024-02-30"]),
        ("walk.gpkg, row 1: date: this is not a date in the calendar",),
        **IN_GPKG,
    ),
    PatrolCase(
        "no time and no date",
        feature([LINE]),
        ("no track has a time or a date, so effort cannot be laid on months or dates", "period='season'"),
        **IN_GPKG,
    ),
    PatrolCase("no time zone", good_patrols, ("the local time zone of the survey is not given",), {"timezone": None}),
]
OBSERVED = [
    PatrolCase("no such observations", good_patrols, ("smart.csv: there is no such file",), seen="smart.csv"),
    PatrolCase(
        "headings of another language",
        seen(OFFICE.replace("X,Y", "Est,Nord")),
        ("2 problems", "seen.csv, row 1: there is no column 'long' for 'x'", "or name yours in the mapping"),
    ),
    PatrolCase(
        "a mapping to no column",
        good_patrols,
        ("seen.csv, row 1: there is no column 'Specie' for 'species'", "Did you mean 'Species'?"),
        {"mapping": {"observations": {"species": "Specie"}}},
    ),
    PatrolCase(
        "a mapping of tracks to no column",
        good_patrols,
        ("walk.gpx: there is no column 'Mode' for 'transport'",),
        {"mapping": {"tracks": {"transport": "Mode"}}},
    ),
    PatrolCase(
        "a mapping with a wrong name",
        good_patrols,
        ("has a name that is not known (found 'observations.specie'). Did you mean 'observations.species'?",),
        {"mapping": {"observations": {"specie": "Species"}}},
    ),
    PatrolCase(
        "eleven months",
        good_patrols,
        ("months must be the names of the twelve months",),
        {"mapping": {"months": ["jan"] * 11}},
    ),
    PatrolCase(
        "words that are no table",
        good_patrols,
        ("values must be tables of words (found {'transport': 'foot'})",),
        {"mapping": {"observations": {"values": {"transport": "foot"}}}},
    ),
    PatrolCase(
        "day or month",
        row(**{"Waypoint Date": "05/06/2024"}),
        ("seen.csv, row 2: time: the day and the month cannot be told apart (found '05/06/2024 09:00:00')",),
    ),
    PatrolCase(
        "no date", row(**{"Waypoint Date": "Mai 2024"}), ("seen.csv, row 2: time: this is not a date and time",)
    ),
    PatrolCase(
        "latitude and longitude swapped",
        row(X="31.6", Y="99.0"),
        ("seen.csv, row 2: latitude and longitude look swapped (found (99.0, 31.6)). Exchange the two columns",),
    ),
    PatrolCase("metres for degrees", row(X="503000"), ("row 2: latitude must be", "metres belong in columns x and y")),
    PatrolCase("no number", row(X="99°03'"), ("seen.csv, row 2: X must be a number",)),
    PatrolCase("a direction over the circle", row(Direction="400"), ("row 2: Direction must be between 0 and 360",)),
    PatrolCase("a distance in another unit", row(Distance="12000"), ("row 2: Distance must be between 0 and 5000",)),
    PatrolCase("a CRS that is none", good_patrols, ("the CRS of x and y is not understood",), {"crs": "UTM47"}),
]
VISITS = [
    PatrolCase(
        "another species",
        good_patrols,
        ("no record is of this species (found 'Felis bietii'). Did you mean 'Felis bieti'?",),
        visits={"species": "Felis bietii"},
    ),
    PatrolCase(
        "several species",
        lambda f: (good_patrols(f), smart(f / "seen.csv", found("P1", (3, 1)), found("P1", (3, 1), who="Lynx lynx"))),
        ("the observations hold several species", "Give species= one of them"),
    ),
    PatrolCase(
        "no such category",
        good_patrols,
        ("no observation is of this category (found 'track'). They are of ['Scat']",),
        visits={"category": "track"},
    ),
    PatrolCase(
        "no such transport",
        good_patrols,
        ("no track is of this transport (found ['horse']). The tracks are of foot",),
        visits={"transport": "horse"},
    ),
    PatrolCase(
        "walked elsewhere",
        lambda f: (good_patrols(f), gpx(f / "walk.gpx", ("P1", [([(50, 50), (51, 50)], times(2))]))),
        ("no km was walked in the cells and dates", "1.0 km outside the cells"),
    ),
    PatrolCase(
        "a track of one fix",
        lambda f: (good_patrols(f), gpx(f / "walk.gpx", ("P1", [(STRAIGHT[:1], times(1))]))),
        ("no step of any track counts (found '1 tracks'). Why not: each has a single fix",),
    ),
    PatrolCase(
        "a track of no fix",
        walk("<gpx><trk><name>P1</name></trk></gpx>"),
        ("no step of any track counts (found '1 tracks'). Why not: no fixes",),
    ),
    PatrolCase(
        "walked in another year",
        good_patrols,
        ("no patrol walked on these dates (found '2023-01-01 to 2023-12-31')",),
        visits={"start": "2023-01-01", "end": "2023-12-31"},
    ),
    PatrolCase(
        "a date of the survey that is none",
        good_patrols,
        ("season 1 has no first and last date",),
        visits={"start": "spring"},
    ),
    PatrolCase(
        "a period that is none",
        good_patrols,
        ("the length of an occasion is not understood (found 'quarter')",),
        visits={"period": "quarter"},
    ),
    PatrolCase(
        "seasons that overlap",
        good_patrols,
        ("seasons 'a' and 'b' overlap", "correct their dates"),
        visits={"seasons": {"a": ("2024-05-01", "2024-06-01"), "b": ("2024-06-01", "2024-07-01")}},
    ),
    PatrolCase(
        "seasons that are none",
        good_patrols,
        ("the seasons are not understood (found 'winter')",),
        visits={"seasons": "winter"},
    ),
    PatrolCase(
        "dates twice",
        good_patrols,
        ("dates are given twice (found '2024-05-01 to None')", "the seasons have their dates"),
        visits={"seasons": {"a": ("2024-05-01", "2024-06-01")}, "start": "2024-05-01"},
    ),
    PatrolCase(
        "a gap of no minutes",
        good_patrols,
        ("a limit of gaps, speed or slack is not possible",),
        visits={"longest_gap": 0},
    ),
    PatrolCase(
        "neither detection nor count",
        good_patrols,
        ("this choice is not known (found 'sign'). Use 'detection' or 'count'",),
        visits={"kind": "sign"},
    ),
    PatrolCase("segments of no length", good_patrols, ("must be above 0 km",), visits={"length_km": 0.0}),
    PatrolCase(
        "segments longer than cells",
        good_patrols,
        ("no passage through a cell is long enough for a segment (found '30 km')",),
        visits={"length_km": 30.0},
    ),
]


@dataclass(frozen=True)
class SitesCase:
    """One bad use of good camera tables, as `Case`."""

    name: str
    how: dict[str, Any]
    expect: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)

    def build(self, folder: Path) -> None:
        good.package(folder, **self.files)

    def read(self, folder: Path) -> survey.DetectionHistory:
        tables = survey.tables_from_camtrap_dp(folder, timezone=good.SITE["timezone"])
        how = {"crs": "EPSG:32649", "species": "Panthera pardus"} | self.how
        return survey.detection_history(tables, **how)


NO_RECORDS = good.OBSERVATIONS.splitlines()[0] + "\n"
SITES = [
    SitesCase("visits of no length", {"occasion": "often"}, ("the length of an occasion is not understood",)),
    SitesCase("sites without CRS", {"crs": None}, ("the coordinate reference system is not given", "EPSG:32649")),
    SitesCase(
        "nothing was recorded", {}, ("there are no records", "never_found='accept'"), {"observations": NO_RECORDS}
    ),
    SitesCase("a key of sites that is none", {"site_from": "cell"}, ("no deployment has this key in its groups",)),
    SitesCase("cells of another country", {"site_from": cells()}, ("the cells are in another CRS than the survey",)),
]
CASES = [*TRACKS, *OBSERVED, *VISITS, *SITES]
