"""Packages, files and text that cannot be opened as they are."""

from __future__ import annotations

import gzip

from .case import Case, deployment, dp, resource, tables, workbook, zipped
from .good import DEPLOYMENTS, OBSERVATIONS, RECORDS, STATIONS, change, descriptor, write

OLD = descriptor(profile="https://raw.githubusercontent.com/tdwg/camtrap-dp/0.1.6/camtrap-dp-profile.json")
ONLY_ONE = descriptor(resources=[{"name": "deployments", "path": "deployments.csv"}])
CYRILLIC = change(STATIONS, "B,", "Кордон Тигровый,").encode("cp1251")
FIELD = {"reader": "field_tables"}

PACKAGES = [
    Case("no such folder", dp(), ("there is no such file or folder", "survye"), path="survye"),
    Case("misspelt zip", zipped(), ("there is no such file", "Did you mean 'survey.zip'?"), path="survy.zip"),
    Case(
        "a table for the package",
        dp(),
        ("deployments.csv: this is neither a folder nor a zip",),
        path="deployments.csv",
    ),
    Case("no descriptor", tables(), ("there is no datapackage.json here",)),
    Case("descriptor not JSON", dp(package='{"profile": 1,\n oops'), ("datapackage.json, row 2", "not JSON")),
    Case("descriptor not UTF-8", dp(package=b'{"title": "\xff"}'), ("datapackage.json", "not UTF-8")),
    Case("descriptor a list", dp(package="[]"), ("datapackage.json", "must be a JSON object")),
    Case("old version", dp(package=OLD), ("Camtrap DP 0.1.6", "1.0.2")),
    Case("no observations", dp(package=ONLY_ONE), ("no resource 'observations'", "['deployments']")),
    Case("file missing", dp(package=resource("observations", "obs.csv")), ("'observations' is missing", "'obs.csv'")),
    Case(
        "path traversal", dp(package=resource("observations", "../o.csv")), ("leads out of the package", "'../o.csv'")
    ),
    Case("absolute path", dp(package=resource("observations", "/etc/passwd")), ("leads out of the package", "/etc/p")),
    Case("drive letter", dp(package=resource("observations", r"C:\o.csv")), ("leads out of the package", "C:")),
    Case("on the network", dp(package=resource("observations", "https://x.org/o.csv")), ("on the network", "Download")),
    Case("list of paths", dp(package=resource("observations", ["a.csv", "b.csv"])), ("needs one path", "'b.csv'")),
    Case("zip traversal", zipped(up__evil__csv=b"x"), ("leads out of it", "../evil.csv"), path="survey.zip"),
    Case(
        "zip bomb", zipped(bomb__csv=bytes(100 << 20)), ("unpacks to far more", "bomb.csv, 100 MiB"), path="survey.zip"
    ),
    Case(
        "damaged zip",
        lambda folder: write(folder, survey__zip=b"PK\x03\x04 this is no zip"),
        ("survey.zip", "not a zip file, or it is damaged"),
        path="survey.zip",
    ),
    Case(
        "damaged gzip",
        dp(observations=gzip.compress(OBSERVATIONS.encode())[:-20]),
        ("observations.csv", "compressed file is damaged"),
    ),
    Case("gzip bomb", dp(observations=gzip.compress(bytes(100 << 20))), ("unpacks to far more", "more than 64 MiB")),
]

TEXT = [
    Case("empty file", dp(deployments=""), ("deployments.csv: the file is empty",)),
    Case("only blanks", dp(deployments="\n \n\n"), ("deployments.csv: the file is empty",)),
    Case(
        "header only", dp(deployments=DEPLOYMENTS.split("\n")[0] + "\n"), ("deployments.csv: there are no deployments",)
    ),
    Case("no records", dp(observations=OBSERVATIONS.split("\n")[0] + "\n"), ("there are no records",)),
    Case("not text", dp(deployments=bytes(range(256)) * 4), ("deployments.csv", "this is not a text file")),
    Case(
        "misspelt column",
        dp(deployments=change(DEPLOYMENTS, "deploymentStart", "deploymentStrat")),
        ("deployments.csv, row 1: there is no column 'deploymentStart'", "Did you mean 'deploymentStrat'?"),
    ),
    Case(
        "heading twice",
        dp(deployments=change(DEPLOYMENTS, "timestampIssues", "deploymentID")),
        ("deployments.csv, row 1: the heading 'deploymentID' is used twice",),
    ),
    Case(
        "row too short",
        dp(deployments=change(DEPLOYMENTS, "d2,B,37.02,", "d2,B,")),
        ("deployments.csv, row 3: the row has 7 values and the header has 8 columns",),
    ),
    Case(
        "unquoted comma",
        dp(observations=change(OBSERVATIONS, "o3,", "o3,x,")),
        ("observations.csv, row 4", "12 values", "unquoted comma"),
    ),
    Case(
        "open quote",
        dp(observations=change(OBSERVATIONS, "o2,d2", '"o2,d2')),
        ("row 3", "a quotation mark is not closed"),
    ),
    Case(
        "unclear encoding", tables(deployments=CYRILLIC), ("deployments.csv, row 3", "not clear", "'cp1251'"), **FIELD
    ),
    Case(
        "wrong encoding given",
        tables(deployments=CYRILLIC),
        ("deployments.csv, row 3", "the letters are not in utf-8"),
        options={"encoding": "utf-8"},
        **FIELD,
    ),
    Case(
        "unknown encoding", tables(), ("the encoding is not known", "'utf-9'"), options={"encoding": "utf-9"}, **FIELD
    ),
    Case("latitude a word", deployment("d2", latitude="north"), ("row 3: latitude must be a number (found 'north')",)),
]

EXCEL = [
    Case(
        "old workbook",
        lambda folder: write(folder, survey__xlsx=b"\xd0\xcf\x11\xe0" + bytes(100)),
        ("survey.xlsx: this is an old Excel file (.xls)", "Save it as .xlsx"),
        path="survey.xlsx",
        **FIELD,
    ),
    Case("old workbook as a table", tables(records=b"\xd0\xcf\x11\xe0" + bytes(100)), ("records.csv", ".xls"), **FIELD),
    Case("damaged workbook", tables(records=b"PK\x03\x04 oops"), ("records.csv", "not a zip file"), **FIELD),
    Case(
        "zip that is no workbook",
        lambda folder: (zipped()(folder), (folder / "survey.zip").rename(folder / "survey.xlsx"))[0],
        ("survey.xlsx", "this workbook cannot be opened"),
        path="survey.xlsx",
        **FIELD,
    ),
    Case(
        "sheet missing",
        lambda folder: write(folder, survey__xlsx=workbook(deployments=[["station"], ["A"]], Tabelle2=[["x"]])),
        ("survey.xlsx", "there is no sheet with the table of records (found ['deployments', 'Tabelle2'])"),
        path="survey.xlsx",
        **FIELD,
    ),
    Case(
        "which sheet",
        tables(records=workbook(Sheet1=[["station"]], Sheet2=[["station"]])),
        ("records.csv", "several sheets and none is called 'records'", "['Sheet1', 'Sheet2']"),
        **FIELD,
    ),
    Case(
        "error of Excel",
        tables(records=workbook(records=[r.split(",") for r in change(RECORDS, "r2,B", "r2,#REF!").splitlines()])),
        ("row 3: station holds an error of Excel (found '#REF!')",),
        **FIELD,
    ),
]
