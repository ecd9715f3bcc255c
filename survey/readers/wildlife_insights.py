"""Wildlife Insights exports: deployments.csv with one or many images*.csv or sequences*.csv, in a folder or a zip.

The export has local times without offset. Its only word on failures is `camera_functioning`, without dates: give the
dates of failures in a file of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ..assemble import assemble
from ..captures import CaptureHistory
from ..columns import Columns
from ..errors import refuse
from ..packages import Files
from ..sexes import SEX
from ..sheets import sheet_of
from ..tables import DEPLOYMENTS, FAILURES, IDENTITIES, SurveyTables, empty
from .reading import (
    Reading,
    check_dates,
    degrees,
    first_of,
    identities_of,
    make_records,
    read_failures,
    read_identities,
    recurring,
    set_up,
    stamp,
    stretch,
    unknown_names,
)

RECORD_FILES = re.compile(r"(?:.*/)?(images|sequences)[^/]*\.csv(?:\.gz)?", re.IGNORECASE)
COVARIATES = ("feature_type", "bait_type", "sensor_height", "sensor_orientation", "quiet_period", "detection_distance")
WORKED = frozenset({"", "camera functioning"})
AGES = {"adult": "adult", "subadult": "subadult", "juvenile": "juvenile"}


def read_wildlife_insights(
    path: str | Path,
    *,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    encoding: str | None = None,
    **how,
) -> CaptureHistory:
    """Capture histories from a Wildlife Insights export.

    Parameters
    ----------
    path : folder or zip
    identities : CSV or Excel file with `image_id`, `sequence_id` or `filename`, `individual`, and optionally `sex`,
        `confidence`, `flank`, `observer`, `comment`; without it `individual_id` of the images, when it names animals
    failures : CSV or Excel file with `deployment` (or `station`), `start`, `end`, `reason`
    timezone : local time zone of the survey; required
    encoding : of CSV files that are neither UTF-8 nor GB18030
    **how : `species`, `occasion`, `crs`, `kind`, `day_boundary`, `independence`, … as in `survey.assemble`

    Raises
    ------
    SurveyError : everything that is wrong, with file and row
    """
    files = {"identities": identities, "failures": failures}
    return assemble(tables_from_wildlife_insights(path, timezone=timezone, encoding=encoding, **files), **how)


def tables_from_wildlife_insights(
    path: str | Path,
    *,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    encoding: str | None = None,
) -> SurveyTables:
    """The tables of a Wildlife Insights export, before any capture history is made; see `read_wildlife_insights`."""
    reading = Reading(timezone, encoding)
    files = Files(path)
    sheet = lambda name: sheet_of(files.read(name), Path(name).name, encoding=encoding)  # noqa: E731
    where = files.find("deployments.csv")
    names = [name for name in files.names if RECORD_FILES.fullmatch(name)]
    if where is None or not names:
        missing = "deployments.csv" if where is None else "images.csv or sequences.csv"
        raise refuse(f"there is no {missing} here", "Give the folder or zip of the export", value=str(path))
    c = reading.columns(sheet(where))
    sites, start_is_date, end_is_date = _deployments(reading, c)
    reading.problems.raise_any()
    record_columns = [reading.columns(sheet(name)) for name in names]
    records = pd.concat([_records(reading, r, sites) for r in record_columns], ignore_index=True)
    records["record"] = _numbered(records["record"])
    reading.problems.raise_any()
    sites = stretch(sites, records, start_is_date, end_is_date)
    lost = empty(FAILURES, reading.zone)
    if failures is not None:
        lost = read_failures(reading, reading.columns(reading.sheet(failures, "failures")), sites)
    _note_failures(reading, c, lost)
    if identities is not None:
        i = reading.columns(reading.sheet(identities, "identities"))
        named = read_identities(reading, i, records, _keys(records))
        refusal = "" if len(named) else f"{i.sheet.name} names no individual"
    else:
        refusal = _why_not_identities(records)
        named = empty(IDENTITIES) if refusal else identities_of(records)
    provenance = {
        "format": "Wildlife Insights",
        "source": str(path),
        "records from": ", ".join(r.sheet.name for r in record_columns),
        "files": sorted({*sites["file"], *records["file"], *lost["file"], *named["file"]}),
        "no identities because": refusal,
    }
    return reading.finish(sites, lost, records, named, provenance=provenance)


def _deployments(reading: Reading, c: Columns) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The deployments; and whether their start and their end are dates without a time."""
    if not c.require("deployment_id", "longitude", "latitude", "start_date", "end_date"):
        reading.problems.raise_any()
    if len(c) == 0:
        raise refuse("there are no deployments", "Export the project again", file=c.sheet.name)
    name, place = c.text("deployment_id", required=True), c.text("placename")
    c.unique("deployment_id", name)
    longitude, latitude = degrees(c, "latitude", "longitude")
    start, start_is_date = set_up(reading, c, "start_date", required=True)
    end, end_is_date = set_up(reading, c, "end_date")
    check_dates(c, start, end)
    frame = pd.DataFrame(
        {
            "deployment": name,
            "location": np.where(place != "", place, name),
            "camera": c.text("camera_id"),
            "longitude": longitude,
            "latitude": latitude,
            "x": np.nan,
            "y": np.nan,
            "start": start,
            "end": end,
            "timestamp_issues": False,
            "coordinate_uncertainty": np.nan,
            "groups": _groups(c),
        }
    )
    covariates = {n: c.text(n) for n in COVARIATES if c.has(n)}
    return stamp(frame, c)[list(DEPLOYMENTS)].assign(**covariates), start_is_date, end_is_date


def _groups(c: Columns) -> np.ndarray:
    """Subproject and event as key:value labels, from which a session can be chosen."""
    labels = [np.full(len(c), "", object)]
    for key, column in (("subproject", "subproject_name"), ("event", first_of(c, "event_name", "event"))):
        text = c.text(column)
        labels.append(np.where(text != "", f"{key}:" + text, ""))
    return np.array([" | ".join(filter(None, parts)) for parts in zip(*labels, strict=True)], object)


def _records(reading: Reading, c: Columns, sites: pd.DataFrame) -> pd.DataFrame:
    time = first_of(c, "timestamp", "start_time")
    image = first_of(c, "image_id", "sequence_id")
    if not c.require("deployment_id", image, time, "genus", "species"):
        reading.problems.raise_any()
    deployment = c.text("deployment_id", required=True)
    fix = "Export deployments and images together"
    unknown_names(c, "deployment", deployment, set(sites["deployment"]), fix)
    where = sites.set_index("deployment")["location"].reindex(deployment)
    genus, epithet, common = c.text("genus"), c.text("species"), c.text("common_name")
    species = np.where((genus != "") & (epithet != ""), genus + " " + epithet, common)
    return make_records(
        c,
        record=c.text(image, required=True),
        deployment=deployment,
        location=where.fillna("").to_numpy(object),
        event=c.text("sequence_id"),
        media=c.text("filename"),
        time=c.time(time, reading.zone),
        type=_type(c, species),
        species=species,
        count=c.number(first_of(c, "number_of_objects", "group_size"), low=0, whole=True),
        individual=c.text("individual_id"),
        sex=c.choice("sex", SEX) if c.has("sex") else np.full(len(c), "", object),
        life_stage=np.array([AGES.get(age.casefold(), "") for age in c.text("age")], object),
    )


def _type(c: Columns, species: np.ndarray) -> np.ndarray:
    lower = np.array([s.casefold() for s in species], object)
    kind = np.where(np.isin(lower.astype(str), ["homo sapiens", "human", "human-camera trapper"]), "human", "animal")
    kind = np.where(np.isin(lower.astype(str), ["vehicle", "motor vehicle"]), "vehicle", kind)
    kind = np.where(np.isin(lower.astype(str), ["no cv result", "unknown", ""]), "unclassified", kind)
    return np.where(c.flag("is_blank") | (lower == "blank"), "blank", kind).astype(object)


def _numbered(names: pd.Series) -> pd.Series:
    """Names of records; the second animal in one image is "name#2"."""
    n = names.groupby(names).cumcount() + 1
    return names.where(n == 1, names + "#" + n.astype(str))


def _note_failures(reading: Reading, c: Columns, lost: pd.DataFrame) -> None:
    """Cameras that are said to have failed, without a word on when."""
    text = c.text("camera_functioning")
    failed = np.array([value.casefold() not in WORKED for value in text], bool)
    names = [n for n in c.text("deployment_id")[failed] if n not in set(lost["deployment"])]
    if names:
        some = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
        reading.notes.append(
            f"{len(names)} deployments are said to have failed, but not when ({some}): their effort is counted whole. "
            "Give the dates as failures="
        )


def _why_not_identities(records: pd.DataFrame) -> str:
    """Why individual_id cannot be taken for identities; empty when it can."""
    if not (records["individual"] != "").any():
        return "no image has an individual_id, and no identities are given"
    if not recurring(records):
        return "no individual_id occurs in two events, so they do not name animals"
    return ""


def _keys(records: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """How identities can name records. An image with several animals goes by its name for each of them."""
    i = np.arange(len(records))

    def by(names: pd.Series) -> Callable[[], pd.DataFrame]:
        return lambda: pd.DataFrame({"key": names, "i": i})[(names != "").to_numpy()]

    image = records["record"].str.replace(r"#\d+$", "", regex=True)
    return {"image_id": by(image), "sequence_id": by(records["event"]), "filename": by(records["media"])}
