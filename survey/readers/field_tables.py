"""Field tables: what a team keeps in its own spreadsheets, as CSV or Excel; other headings through `mapping.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..assemble import assemble
from ..captures import CaptureHistory
from ..columns import Columns
from ..crs import looks_like_degrees
from ..errors import SurveyError, refuse
from ..packages import Files
from ..sexes import SEX
from ..sheets import Sheet, sheet_names, sheet_of
from ..tables import DEPLOYMENTS, FAILURES, SurveyTables, empty
from ..times import NOON, WHOLE_DAY_ENDS, WHOLE_DAY_STARTS
from .mapping import COLUMNS, FieldMapping, read_mapping
from .reading import (
    NEVER,
    Reading,
    attach_failures,
    check_dates,
    degrees,
    identities_of,
    make_records,
    read_failures,
    read_identities,
    set_up,
    stamp,
    stretch,
    unknown_names,
)

ENDINGS = (".csv", ".xlsx", ".tsv", ".txt", ".csv.gz")
NO_COLUMN = "the records have no column of individuals"
TYPES = {"blank": "blank", "empty": "blank", "human": "human", "homo sapiens": "human", "person": "human"}
TYPES |= {"vehicle": "vehicle", "unknown": "unknown", "unclassified": "unclassified", "animal": "animal"}
ALMOST = 0.75  # of the letters of a table's name
CLOSE = 0.85  # of the letters of a column's name
MEANT = ("county", "recorder", "recorded")  # headings that look like ours and are others
SAY_WHO = ("species", "individual", "count")  # columns of the records without which animals are other ones
LIFE_STAGES = ("adult", "subadult", "juvenile")


def read_field_tables(
    path: str | Path,
    *,
    mapping: str | Path | Mapping[str, Any] | None = None,
    deployments: str | Path | None = None,
    records: str | Path | None = None,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
    **how,
) -> CaptureHistory:
    """Capture histories from a team's own tables, as CSV or Excel. Columns in brackets may be left out.

    deployments : station, [deployment], [camera], longitude and latitude (degrees) or x and y (metres), start, end,
        [groups], [timestamp_issues], [coordinate_uncertainty], and any covariates of the station. Dated without
        times, a deployment begins and ends at noon, or with a record that shows it worked earlier or later that day.
    records : station or deployment, [camera], time, [species], [individual], [count], [sex], [life_stage], [type],
        [record], [event], [media]. With `media` they are images, else visits.
    identities (optional) : record, event or media, individual, [sex], [confidence], [flank], [observer], [comment]
    failures (optional) : station or deployment, [camera], start, [end], [reason]. Dated without times, a failure lasts
        from the first through the last day; without an end, until the end of the deployment.

    Parameters
    ----------
    path : folder or zip with deployments.csv, records.csv, …, or one Excel workbook with sheets of these names
    mapping : TOML file that names other headings, or "camtrapR"
    deployments, records, identities, failures : files to use instead of those in `path`
    timezone : local time zone of the survey and of times without an offset; required
    dates : "dmy" or "mdy" when dates end with the year and the order does not show
    encoding : of CSV files that are neither UTF-8 nor GB18030
    **how : `species`, `occasion`, `crs`, `kind`, `day_boundary`, `independence`, … as in `survey.assemble`

    Raises
    ------
    SurveyError : everything that is wrong, with file and row
    """
    files = {"deployments": deployments, "records": records, "identities": identities, "failures": failures}
    tables = tables_from_field(path, mapping=mapping, timezone=timezone, dates=dates, encoding=encoding, **files)
    return assemble(tables, **how)


def tables_from_field(
    path: str | Path,
    *,
    mapping: str | Path | Mapping[str, Any] | None = None,
    deployments: str | Path | None = None,
    records: str | Path | None = None,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    dates: str | None = None,
    encoding: str | None = None,
) -> SurveyTables:
    """A team's own tables, before any capture history is made; see `read_field_tables`."""
    names = read_mapping(mapping)
    reading = Reading(timezone, encoding or names.encoding, dates or names.dates)
    files = {"deployments": deployments, "records": records, "identities": identities, "failures": failures}
    source = _Source(path, reading, names, files)
    columns = source.columns
    c, r = columns("deployments"), columns("records")
    if c is None or r is None:
        raise source.lacks("deployments" if c is None else "records")
    for table, found in (("deployments", c), ("records", r)):
        _almost_read(reading, found, table)
    sites, start_is_date, end_is_date = _deployments(reading, c)
    reading.problems.raise_any()
    found = _records(reading, r, sites, start_is_date, end_is_date)
    reading.problems.raise_any()
    sites = stretch(sites, found, start_is_date, end_is_date)
    lost = _problem_pairs(reading, c, sites, names.tables["deployments"].problems)
    source.tell_of_others(f := columns("failures"), "failures")
    if f is not None:
        lost = pd.concat([lost, read_failures(reading, f, sites)], ignore_index=True)
    source.tell_of_others(i := columns("identities"), "identities")
    if i is not None:
        named = read_identities(reading, i, found, _keys(found))
        refusal = "" if len(named) else f"{i.sheet.name} names no individual"
    else:
        named = identities_of(found)
        why = f"the column {r.heading('individual')!r} of {r.sheet.name} is empty" if r.has("individual") else NO_COLUMN
        refusal = "" if len(named) else f"{why}, and there is no table of identities"
    provenance = {
        "format": "field tables",
        "source": str(path),
        "records from": r.sheet.name,
        "files": sorted({*sites["file"], *found["file"], *lost["file"], *named["file"]}),
        "no identities because": refusal,
    }
    return reading.finish(sites, lost, found, named, provenance=provenance)


class _Source:
    """Where the tables are: files of a folder or zip, sheets of one workbook, or files of their own."""

    def __init__(self, path: str | Path, reading: Reading, mapping: FieldMapping, files: dict[str, str | Path | None]):
        self.reading, self.mapping, self.own = reading, mapping, files
        self.path = Path(path)
        self.files = None if self.path.suffix.lower() == ".xlsx" else Files(path)

    def columns(self, table: str) -> Columns | None:
        """The columns of one of our tables; None when there is no such table."""
        sheet = self._sheet(table)
        if sheet is None:
            return None
        mapped = self.mapping.tables[table]
        return self.reading.columns(mapped.applied(sheet), mapped.names)

    def _others(self, table: str) -> tuple[str, list[str], str | None]:
        """What tables are here (sheets or files), their names, and the one that is almost called as this one."""
        if self.files is None:
            kind, names = "sheet", sheet_names(self.path.read_bytes(), self.path.name)
        else:
            kind, names = "file", [n for n in self.files.names if n.casefold().endswith(ENDINGS)]
        stems = {Path(name).name.split(".")[0].strip().casefold(): name for name in names}
        close = get_close_matches(table, [stem for stem in stems if stem not in COLUMNS], n=1, cutoff=ALMOST)
        return kind, names, stems[close[0]] if close else None

    def lacks(self, table: str) -> SurveyError:
        """That a table which must be there is not, and what may be it."""
        kind, names, close = self._others(table)
        fix = f"Add {table}.csv (or .xlsx), or name the file in the mapping or as {table}="
        if kind == "sheet":
            fix = f"Name a sheet so, or give the table as a file of its own, {table}="
        fix = f"Did you mean {close!r}? Rename it {table!r}" if close else fix
        return refuse(f"there is no {kind} with the table of {table}", fix, file=self.path, value=names[:12])

    def tell_of_others(self, found: Columns | None, table: str) -> None:
        """A note on a sheet or file that is almost called as a table that need not be there."""
        if found is None and (close := self._others(table)[2]) is not None:
            self.reading.notes.append(f"{close!r} is not read: if it is the table of {table}, rename it {table!r}")

    def _sheet(self, table: str) -> Sheet | None:
        own = self.own.get(table)
        if own is not None:
            return self.reading.sheet(own, table)
        if self.files is None:
            if not self.path.is_file():
                raise refuse("there is no such file", "Check the path and the spelling", value=str(self.path))
            data = self.path.read_bytes()
            if table not in [title.strip().casefold() for title in sheet_names(data, self.path.name)]:
                return None
            return sheet_of(data, self.path.name, table=table)
        wanted = self.mapping.tables[table].file
        for name in [wanted] if wanted else [table + ending for ending in ENDINGS]:
            found = self.files.find(name)
            if found is not None:
                return sheet_of(self.files.read(found), Path(found).name, table=table, encoding=self.reading.encoding)
        return None


def _almost_read(reading: Reading, c: Columns, table: str) -> None:
    """Headings that are almost those of columns that are not there: a slip loses the column in silence."""
    ours, absent = {c.heading(name) for name in COLUMNS[table]}, [n for n in COLUMNS[table] if not c.has(n)]
    for heading in c.sheet.headings:
        close = get_close_matches(heading.strip().casefold(), absent, n=1, cutoff=CLOSE)
        if heading in ours or not close or heading.strip().casefold() in MEANT:
            continue
        what = f"the column {heading!r} is not read as {close[0]!r}"
        if close[0] in SAY_WHO:
            reading.problems.add(what, "Rename it", file=c.sheet.name, row=1)
        else:
            reading.notes.append(f"{c.sheet.name}: {what}: rename it, if it is this")


# ---- deployments --------------------------------------------------------------------------------------------------


def _deployments(reading: Reading, c: Columns) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The deployments; and whether their start and their end are dates without a time."""
    metres = c.has("x", "y")
    if not c.require("station", "start", "end", *(("x", "y") if metres else ("longitude", "latitude"))):
        reading.problems.raise_any()
    if len(c) == 0:
        raise refuse("there are no deployments", "Fill in the table", file=c.sheet.name)
    station, camera = c.text("station", required=True), c.text("camera")
    start, start_is_date = set_up(reading, c, "start", required=True)
    end, end_is_date = set_up(reading, c, "end")
    check_dates(c, start, end)
    nothing = np.full(len(c), np.nan)
    longitude, latitude = (nothing, nothing) if metres else degrees(c, "latitude", "longitude")
    x, y = (c.number("x", required=True), c.number("y", required=True)) if metres else (nothing, nothing)
    if metres and looks_like_degrees(x, y):
        c.fault(
            0,
            "x and y look like degrees and must be metres",
            "Call them longitude and latitude",
            (float(x[0]), float(y[0])),
        )
    frame = pd.DataFrame(
        {
            "deployment": _names(c, station, camera, start),
            "location": station,
            "camera": camera,
            "longitude": longitude,
            "latitude": latitude,
            "x": x,
            "y": y,
            "start": start,
            "end": end,
            "timestamp_issues": c.flag("timestamp_issues"),
            "coordinate_uncertainty": c.number("coordinate_uncertainty", low=0),
            "groups": c.text("groups"),
        }
    )
    return stamp(frame, c)[list(DEPLOYMENTS)].assign(**_covariates(c)), start_is_date, end_is_date


def _names(c: Columns, station: np.ndarray, camera: np.ndarray, start: pd.DatetimeIndex) -> np.ndarray:
    """The deployments' own names, or names made of the station and, where that is not enough, camera and start."""
    if c.has("deployment"):
        names = c.text("deployment", required=True)
        c.unique("deployment", names)
        return names
    names = station
    for more in (camera, start.strftime("%Y-%m-%d").to_numpy(object)):
        twice = pd.Series(names).duplicated(keep=False).to_numpy()
        if not twice.any():
            return names
        names = np.where(twice & (more != "") & pd.notna(more), names + "/" + np.where(pd.isna(more), "", more), names)
    first = pd.Series(c.row).groupby(pd.Series(names)).transform("first").to_numpy()
    for i in np.flatnonzero(pd.Series(names).duplicated().to_numpy()):
        c.fault(
            i,
            f"the same station starts on the same day as in row {first[i]}",
            "Delete one, or name the cameras",
            names[i],
        )
    return names


def _covariates(c: Columns) -> dict[str, np.ndarray]:
    """Columns that are not ours describe the station; numbers where all values are numbers."""
    ours = {c.heading(name) for name in COLUMNS["deployments"]}
    found = {}
    for heading in c.sheet.headings:
        if heading not in ours and heading not in DEPLOYMENTS and not re.match(r"(?i)problem\s*\d+", heading):
            values = c.covariate(heading)
            found[heading] = values if isinstance(values, np.ndarray) else values.fillna("").to_numpy(object)
    return found


def _problem_pairs(reading: Reading, c: Columns, sites: pd.DataFrame, pair: tuple[str, str] | None) -> pd.DataFrame:
    """Failures from pairs of columns such as Problem1_from and Problem1_to in the table of deployments."""
    found = [empty(FAILURES, reading.zone)]
    n = 1
    while pair is not None and c.has(pair[0].replace("{n}", str(n))):
        begin, finish = (heading.replace("{n}", str(n)) for heading in pair)
        if c.require(finish):
            frame = pd.DataFrame(
                {
                    "name": sites["deployment"],
                    "start": c.time(begin, reading.zone, dates=WHOLE_DAY_STARTS),
                    "end": c.time(finish, reading.zone, dates=WHOLE_DAY_ENDS),
                    "reason": "not stated",
                }
            )
            for i in np.flatnonzero(frame["start"].isna() & frame["end"].notna()):
                c.fault(i, f"{finish} has no {begin}", "Fill in when the failure began")
            given = stamp(frame, c)[frame["start"].notna()].reset_index(drop=True)
            found.append(attach_failures(reading, c, given, sites, "deployment"))
        n += 1
    return pd.concat([f for f in found if len(f)] or found, ignore_index=True)


# ---- records ------------------------------------------------------------------------------------------------------


def _records(reading: Reading, c: Columns, sites: pd.DataFrame, start_is_date, end_is_date) -> pd.DataFrame:
    by = "deployment" if c.has("deployment") else "station"
    if not c.require(by, "time"):
        reading.problems.raise_any()
    name, camera = c.text(by, required=True), c.text("camera")
    key = "deployment" if by == "deployment" else "location"
    unknown_names(c, by, name, set(sites[key]), f"Use a {by} of the deployments' table")
    time, species = c.time("time", reading.zone), c.text("species")
    record = c.text("record", required=True) if c.has("record") else np.array([f"row {n}" for n in c.row], object)
    if c.has("record"):
        c.unique("record", record)
    kind = (
        c.choice("type", TYPES)
        if c.has("type")
        else np.array([TYPES.get(s.casefold(), "animal") for s in species], object)
    )
    place = sites.drop_duplicates(key).set_index(key, drop=False)["location"].reindex(name).fillna("").to_numpy(object)
    if by == "station":
        deployment = _deployment_at(sites, start_is_date, end_is_date, name, camera, time)
    else:
        deployment = name
    return make_records(
        c,
        record=record,
        deployment=deployment,
        location=place,
        event=c.text("event"),
        media=(media := c.text("media")),
        time=time,
        level=np.full(len(c), "media" if (media != "").any() else "event", object),
        type=np.where(kind == "", "animal", kind),
        species=species,
        count=c.number("count", low=1, whole=True),
        individual=c.text("individual"),
        sex=c.choice("sex", SEX),
        life_stage=c.choice("life_stage", LIFE_STAGES),
    )


def _deployment_at(sites: pd.DataFrame, start_is_date, end_is_date, station, camera, time) -> np.ndarray:
    """object [n]: the deployment at a station (and of a camera, where both say) at a time; "" when there is none."""
    bounds = pd.DataFrame(
        {
            "station": sites["location"],
            "deployment": sites["deployment"],
            "its_camera": sites["camera"],
            "first": sites["start"].where(~start_is_date, sites["start"].dt.normalize()),
            "last": sites["end"].where(~end_is_date, sites["end"] + NOON).fillna(NEVER),
        }
    )
    asked = pd.DataFrame({"i": np.arange(len(time)), "station": station, "camera": camera, "time": time})
    pairs = asked.merge(bounds, on="station")
    same = (pairs["camera"] == "") | (pairs["its_camera"] == "") | (pairs["camera"] == pairs["its_camera"])
    pairs = pairs[same & (pairs["time"] >= pairs["first"]) & (pairs["time"] <= pairs["last"])].drop_duplicates("i")
    found = np.full(len(time), "", object)
    found[pairs["i"]] = pairs["deployment"]
    return found


def _keys(records: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """How identities can name records."""
    i = np.arange(len(records))

    def by(name: str) -> Callable[[], pd.DataFrame]:
        return lambda: pd.DataFrame({"key": records[name], "i": i})[(records[name] != "").to_numpy()]

    return {name: by(name) for name in ("record", "event", "media")}
