"""Coordinates and dates that cannot be right."""

from __future__ import annotations

from .case import Case, deployment, dp, observation, record, tables
from .good import DEPLOYMENTS, FAILURES, STATIONS, cell, change

BELGIUM = change(change(DEPLOYMENTS, ",37.", ",51."), ",113.", ",4.")
SEMICOLONS = "station;x;y;start;end\nA;600,123;4100000;2024-04-01 10:00;2024-04-20 10:00\n"
CAMTRAPR = """\
Station,utm_x,utm_y,Setup_date,Retrieval_date,Problem1_from,Problem1_to
A,600000,4100000,2024-04-01,2024-04-20,,2024-04-09
"""
SAME_DAY = STATIONS + "B,113.00,37.02,2024-04-01 15:00,2024-04-20 11:00\n"
FIELD = {"reader": "field_tables"}
BRUSSELS = {"timezone": "Europe/Brussels"}
FAILURE = {"failures": "failures.csv"}

PLACES = [
    Case(
        "quoted decimal comma",
        dp(deployments=change(DEPLOYMENTS, "37.02", '"37,02"')),
        ("deployments.csv, row 3: latitude must be a number, and the comma is unclear (found '37,02')", "with a point"),
    ),
    Case(
        "comma of thousands",
        tables(deployments=SEMICOLONS),
        ("row 2: x must be a number, and the comma is unc",),
        **FIELD,
    ),
    Case(
        "swapped columns",
        dp(deployments=change(DEPLOYMENTS, "latitude,longitude", "longitude,latitude")),
        ("3 problems", "row 2: latitude and longitude look swapped (found (113.0, 37.0))", "row 4", "Exchange"),
    ),
    Case(
        "one row swapped within range",
        dp(deployments=change(BELGIUM, "51.02,4.00", "4.00,51.02")),
        ("deployments.csv, row 3: latitude and longitude look swapped", "Exchange the two"),
        options={"crs": "EPSG:32631"},
    ),
    Case("metres as degrees", deployment("d2", latitude="4097000"), ("row 3", "metres belong in columns x and y")),
    Case("latitude missing", deployment("d2", latitude="NA"), ("deployments.csv, row 3: latitude is missing",)),
    Case(
        "digit lost", deployment("d2", longitude="13.0"), ("row 3", "not where EPSG:32649 is made for", "longitude 13,")
    ),
    Case(
        "one place, two positions",
        deployment("d2", locationID="A", latitude="37.05"),
        ("row 3", "of location 'A' are 5,", "m apart"),
    ),
    Case("far away", deployment("d2", latitude="58.5"), ("row 3", "location 'B' is 2,", "km away from the others")),
    Case("no CRS", dp(), ("reference system is not given", "crs='EPSG:32649'"), options={"crs": None}),
    Case(
        "CRS in degrees",
        dp(),
        ("is in degrees", "the UTM zone of the survey, 'EPSG:32649'"),
        options={"crs": "EPSG:4326"},
    ),
    Case("CRS not known", dp(), ("is not understood", "EPSG:99999"), options={"crs": "EPSG:99999"}),
    Case(
        "wrong UTM zone", dp(), ("no deployment lies where EPSG:32612", "'EPSG:32649'"), options={"crs": "EPSG:32612"}
    ),
    Case(
        "degrees as metres",
        tables(deployments=change(STATIONS, "longitude,latitude", "x,y")),
        ("deployments.csv, row 2: x and y look like degrees and must be metres", "Call them longitude and latitude"),
        **FIELD,
    ),
]

TIMES = [
    Case(
        "ends before it starts",
        deployment("d2", deploymentEnd="2024-03-20T11:00:00+08:00"),
        ("deployments.csv, row 3: the deployment ends before it starts", "2024-04-01 11:00:00+08:00 to 2024-03-20"),
    ),
    Case(
        "ends when it starts",
        deployment("d2", deploymentEnd="2024-04-01T11:00:00+08:00"),
        ("row 3: the deployment ends when",),
    ),
    Case(
        "clock reset",
        deployment("d2", deploymentStart="1970-01-01T00:00:00Z"),
        ("row 3", "in the years of camera traps"),
    ),
    Case(
        "year mistyped",
        deployment("d2", deploymentEnd="2204-04-20T11:00:00Z"),
        ("row 3", "in the years of camera", "2204"),
    ),
    Case(
        "not a date",
        deployment("d2", deploymentStart="last spring"),
        ("row 3: deploymentStart: this is not a date", "'last spring'"),
    ),
    Case(
        "30 February",
        observation("o2", eventStart="2024-02-30T03:00:00Z"),
        ("row 3: eventStart: this is not a date in the c",),
    ),
    Case("start missing", deployment("d2", deploymentStart=""), ("row 3: deploymentStart is missing. Fill it in",)),
    Case("no time zone", dp(), ("time zone of the survey is not given", "'Asia/Shanghai'"), options={"timezone": None}),
    Case(
        "misspelt time zone",
        dp(),
        ("the time zone is not known (found 'Asia/Shanghia'). Did you mean 'Asia/Shanghai'",),
        options={"timezone": "Asia/Shanghia"},
    ),
    Case(
        "hour that was skipped",
        record("r1", time="2024-03-31 02:30"),
        ("records.csv, row 2: time: this local time does not exist: the clocks went forward", "'+01:00'"),
        options=BRUSSELS,
        **FIELD,
    ),
    Case(
        "hour that came twice",
        record("r1", time="2023-10-29 02:30"),
        ("records.csv, row 2: time: this local time came twice: the clocks went back",),
        options=BRUSSELS,
        **FIELD,
    ),
    Case(
        "number of Excel",
        record("r1", time="45385.0833"),
        ("row 2: time: this is Excel's internal number for a date, 2024-04-03 01:59:57", "'45385.0833'"),
        **FIELD,
    ),
    Case(
        "day or month",
        record("r1", time="03/04/2024 02:00"),
        ("row 2: time: the day and the month cannot be", "dates='dmy'"),
        **FIELD,
    ),
    Case(
        "date without time",
        record("r1", time="2024-04-03"),
        ("records.csv, row 2: time: the time of day is missing",),
        **FIELD,
    ),
    Case(
        "same station, same day",
        tables(deployments=SAME_DAY),
        ("deployments.csv, row 5: the same station starts on the same day as in row 3", "name the cameras"),
        **FIELD,
    ),
    Case(
        "half a problem",
        tables(stations__csv=CAMTRAPR, records="Station,DateTimeOriginal\nA,2024-04-03 02:00:00\n"),
        ("stations.csv, row 2: Problem1_to has no Problem1_from", "Fill in when the failure began"),
        options={"mapping": "camtrapR"},
        **FIELD,
    ),
]

FAILING = [
    Case(
        "failure of no deployment",
        dp(failures__csv=cell(FAILURES, "d1", deploymentID="d9")),
        ("failures.csv, row 2: there is no deployment of this name (found 'd9')",),
        options=FAILURE,
    ),
    Case(
        "failure ends before it starts",
        dp(failures__csv=cell(FAILURES, "d1", end="2024-04-10")),
        ("failures.csv, row 2: the failure ends before it starts",),
        options=FAILURE,
    ),
    Case(
        "failure outside its deployment",
        dp(failures__csv=cell(FAILURES, "d1", start="2024-05-01", end="2024-05-02")),
        ("failures.csv, row 2: the failure lies outside the dates of deployment 'd1'",),
        options=FAILURE,
    ),
    Case(
        "failure without start",
        dp(failures__csv=cell(FAILURES, "d1", start="")),
        ("failures.csv, row 2: start is missing",),
        options=FAILURE,
    ),
    Case("no table of failures", dp(), ("failures.csv", "there is no such file"), options=FAILURE),
]
