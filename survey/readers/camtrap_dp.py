"""Camtrap DP 1.0 to 1.0.2 (https://camtrap-dp.tdwg.org): a folder, a zip or a datapackage.json.

The standard cannot say when a camera failed within a deployment, nor how sure an identity is. Both are read from
custom resources `failures` and `identities` of the package, or from files beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
import pandas as pd

from ..assemble import assemble
from ..captures import CaptureHistory
from ..columns import Columns
from ..errors import refuse
from ..packages import Files, inside
from ..sheets import Sheet, sheet_from_records, sheet_of
from ..tables import CLASSIFICATIONS, DEPLOYMENTS, FAILURES, IDENTITIES, SurveyTables, empty
from .reading import (
    Reading,
    check_dates,
    degrees,
    identities_of,
    make_records,
    read_failures,
    read_identities,
    recurring,
    stamp,
    unknown_names,
)

DESCRIPTOR = "datapackage.json"
VERSIONS = ("1.0", "1.0.1", "1.0.2")
COVARIATES = ("cameraModel", "cameraDelay", "cameraHeight", "detectionDistance", "baitUse", "featureType", "habitat")
CLASSIFIED = dict(
    zip(CLASSIFICATIONS, ("classificationMethod", "classifiedBy", "classificationProbability"), strict=True)
)


def read_camtrap_dp(
    path: str | Path,
    *,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    encoding: str | None = None,
    **how,
) -> CaptureHistory:
    """Capture histories from a Camtrap DP package.

    Parameters
    ----------
    path : folder, zip or datapackage.json
    identities : CSV or Excel file with `observationID` (or `eventID`, `mediaID`), `individual`, and optionally `sex`,
        `confidence`, `flank`, `observer`, `comment`. Without it the package's resource `identities` is used, or the
        observations' `individualID` when they are identities.
    failures : CSV or Excel file with `deploymentID`, `start`, `end`, `reason`; else the package's resource `failures`
    timezone : local time zone of the survey, e.g. "Asia/Shanghai"; required
    encoding : of CSV files that are neither UTF-8 nor GB18030
    **how : `species`, `occasion`, `crs`, `kind`, `day_boundary`, `independence`, … as in `survey.assemble`

    Raises
    ------
    SurveyError : everything that is wrong, with file and row
    """
    tables = tables_from_camtrap_dp(
        path, identities=identities, failures=failures, timezone=timezone, encoding=encoding
    )
    return assemble(tables, **how)


def tables_from_camtrap_dp(
    path: str | Path,
    *,
    identities: str | Path | None = None,
    failures: str | Path | None = None,
    timezone: str | None = None,
    encoding: str | None = None,
) -> SurveyTables:
    """The tables of a Camtrap DP package, before any capture history is made; see `read_camtrap_dp`."""
    reading = Reading(timezone, encoding)
    package = Package(path, encoding)
    deployments = _deployments(reading, reading.columns(package.table("deployments")))
    if deployments["deployment"].duplicated().any():
        reading.problems.raise_any()  # which would be told a second time as deployments that do not exist
    observations = reading.columns(package.table("observations"))
    records = _records(reading, observations, deployments)
    reading.problems.raise_any()
    if len(records) and not (records["level"] == "event").any():
        reading.notes.append(
            "the package has no event rows: its media rows are used, joined by the rule of independence"
        )
    sheet = reading.sheet(failures, "failures") if failures is not None else package.custom("failures")
    lost = empty(FAILURES, reading.zone)
    if sheet is not None:
        lost = read_failures(reading, reading.columns(sheet), deployments)
    sheet = reading.sheet(identities, "identities") if identities is not None else package.custom("identities")
    if sheet is not None:
        named = read_identities(
            reading, reading.columns(sheet), records, _keys(reading, records, observations, package)
        )
        refusal = "" if len(named) else f"{sheet.name} names no individual"
    else:
        refusal = _why_not_identities(package, records)
        named = empty(IDENTITIES) if refusal else identities_of(records)
    provenance = {
        "format": f"Camtrap DP {package.version}",
        "source": str(path),
        "records from": observations.sheet.name,
        "files": sorted({*deployments["file"], *records["file"], *lost["file"], *named["file"]}),
        "no identities because": refusal,
        "sampling design": package.project.get("samplingDesign", ""),
    }
    return reading.finish(deployments, lost, records, named, provenance=provenance)


class Package:
    """The descriptor of a package and access to its tables."""

    def __init__(self, path: str | Path, encoding: str | None = None):
        path = Path(path)
        self.encoding = encoding
        self.files = Files(path.parent if path.name == DESCRIPTOR and path.is_file() else path)
        found = self.files.find(DESCRIPTOR)
        if found is None:
            raise refuse(f"there is no {DESCRIPTOR} here", "Give the folder or the zip that holds it", value=str(path))
        self.base = found[: -len(DESCRIPTOR)].rstrip("/")
        self.descriptor = _json(self.files.read(found), DESCRIPTOR)
        project = self.descriptor.get("project")
        self.project: dict = project if isinstance(project, dict) else {}
        listed = self.descriptor.get("resources")
        listed = listed if isinstance(listed, list) else []
        self.resources = {r["name"]: r for r in listed if isinstance(r, dict) and "name" in r}
        self.version = self._version()

    def _version(self) -> str:
        match = re.search(r"camtrap-dp/(\d+\.\d+[^/]*)/", str(self.descriptor.get("profile", "")))
        version = match[1] if match else "of unstated version"
        if match and version not in VERSIONS:
            raise refuse(
                f"this is Camtrap DP {version}",
                f"Export it as one of {', '.join(VERSIONS)} (the R package camtrapdp converts older packages)",
                file=DESCRIPTOR,
            )
        return version

    def table(self, name: str) -> Sheet:
        """One of the three tables that every package has."""
        sheet = self.custom(name)
        if sheet is None:
            raise refuse(
                f"the package has no resource {name!r}", "Export it again", file=DESCRIPTOR, value=list(self.resources)
            )
        return sheet

    def custom(self, name: str) -> Sheet | None:
        """A resource of the package, None when it has no such resource."""
        resource = self.resources.get(name)
        if resource is None:
            return None
        if isinstance(resource.get("data"), list):
            return sheet_from_records([r for r in resource["data"] if isinstance(r, dict)], f"{DESCRIPTOR} ({name})")
        path = resource.get("path")
        if not isinstance(path, str):
            raise refuse(f"the resource {name!r} needs one path", "Export it as one file", file=DESCRIPTOR, value=path)
        if path.startswith(("http://", "https://")):
            raise refuse(
                f"the resource {name!r} is on the network",
                "Download it beside datapackage.json",
                file=DESCRIPTOR,
                value=path,
            )
        member = inside(self.base, path, file=DESCRIPTOR)
        if not self.files.has(member):
            raise refuse(
                f"the file of the resource {name!r} is missing",
                "Put it beside datapackage.json",
                file=DESCRIPTOR,
                value=path,
            )
        return sheet_of(self.files.read(member), Path(path).name, table=name, encoding=self.encoding)


def _json(data: bytes, name: str) -> dict:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise refuse("the descriptor is not UTF-8", "Export the package again", file=name) from error
    except json.JSONDecodeError as error:
        raise refuse(f"the descriptor is not JSON: {error.msg}", "Correct it", file=name, row=error.lineno) from error
    if not isinstance(value, dict):
        raise refuse("the descriptor must be a JSON object", "Export the package again", file=name)
    return value


# ---- tables -------------------------------------------------------------------------------------------------------


@cache
def schema(table: str) -> dict[str, dict]:
    """field name -> field of the vendored table schema of Camtrap DP 1.0.2."""
    text = (package_files("uncia.survey.schemas") / f"{table}-table-schema.json").read_text("utf-8")
    return {field["name"]: field for field in json.loads(text)["fields"]}


def _field(reading: Reading, c: Columns, table: str, name: str):
    """A column, typed and checked as its schema says."""
    field = schema(table)[name]
    rules = field.get("constraints", {})
    required = rules.get("required", False)
    match field["type"]:
        case "number" | "integer":
            low, high = rules.get("minimum", -np.inf), rules.get("maximum", np.inf)
            return c.number(name, required=required, low=low, high=high, whole=field["type"] == "integer")
        case "boolean":
            return c.flag(name)
        case "datetime":
            return c.time(name, reading.zone, required=required)
        case _ if "enum" in rules:
            return c.choice(name, rules["enum"], required=required)
        case _:
            values = c.text(name, required=required)
            if rules.get("unique"):
                c.unique(name, values)
            return values


def _required(table: str) -> list[str]:
    return [name for name, field in schema(table).items() if field.get("constraints", {}).get("required")]


def _deployments(reading: Reading, c: Columns) -> pd.DataFrame:
    if not c.require(*(n for n in _required("deployments") if n != "deploymentEnd")):
        reading.problems.raise_any()
    if len(c) == 0:
        raise refuse("there are no deployments", "Export the package again", file=c.sheet.name)
    field = lambda name: _field(reading, c, "deployments", name)  # noqa: E731
    longitude, latitude = degrees(c, "latitude", "longitude")
    start, end = field("deploymentStart"), c.time("deploymentEnd", reading.zone)
    check_dates(c, start, end)
    _check_offsets(reading, c, start)
    name, place = field("deploymentID"), field("locationID")
    covariates = {n: field(n) for n in COVARIATES if (c.text(n) != "").any()}  # the standard writes empty columns too
    frame = pd.DataFrame(
        {
            "deployment": name,
            "location": np.where(place != "", place, _unnamed_places(name, field("locationName"), longitude, latitude)),
            "camera": field("cameraID"),
            "longitude": longitude,
            "latitude": latitude,
            "x": np.nan,
            "y": np.nan,
            "start": start,
            "end": end,
            "timestamp_issues": field("timestampIssues"),
            "coordinate_uncertainty": field("coordinateUncertainty"),
            "groups": field("deploymentGroups"),
        }
    )
    return stamp(frame, c)[list(DEPLOYMENTS)].assign(**covariates)


def _check_offsets(reading: Reading, c: Columns, start: pd.DatetimeIndex) -> None:
    """Times written with an offset that is never that of the local time zone: perhaps the zone is another."""
    written = pd.Series(c.text("deploymentStart"), dtype=object).str.extract(r"([+-]\d\d):?(\d\d)$")
    written = (written[0] + ":" + written[1])[written[0].notna() & np.asarray(start.notna())]
    local = start[written.index].strftime("%z").str.replace(r"(\d\d)$", r":\1", regex=True)
    if len(written) and not (written.to_numpy(object) == local.to_numpy(object)).any():
        reading.notes.append(
            f"{c.sheet.name} writes times with the offset {written.iloc[0]}, where {reading.timezone} has {local[0]}: "
            "is this the local time zone of the survey?"
        )


def _unnamed_places(name: np.ndarray, location_name: np.ndarray, longitude, latitude) -> np.ndarray:
    """Places without a locationID: their name, else that of the first deployment at the same coordinates."""
    first = pd.Series(name).groupby([np.round(longitude, 5), np.round(latitude, 5)], dropna=False).transform("first")
    return np.where(location_name != "", location_name, first.to_numpy(object))


def _records(reading: Reading, c: Columns, deployments: pd.DataFrame) -> pd.DataFrame:
    if not c.require(*_required("observations")):
        reading.problems.raise_any()
    field = lambda name: _field(reading, c, "observations", name)  # noqa: E731
    name, deployment = field("observationID"), field("deploymentID")
    fix = "Use a deploymentID of the deployments' table"
    unknown_names(c, "deployment", deployment, set(deployments["deployment"]), fix)
    where = deployments.drop_duplicates("deployment").set_index("deployment")["location"]
    given = {ours: theirs for ours, theirs in CLASSIFIED.items() if (c.text(theirs) != "").any()}
    classifications = {ours: field(theirs) for ours, theirs in given.items()}
    records = make_records(
        c,
        record=name,
        deployment=deployment,
        location=where.reindex(deployment).to_numpy(object),
        event=field("eventID"),
        media=field("mediaID"),
        time=field("eventStart"),
        level=field("observationLevel"),
        type=field("observationType"),
        setup=field("cameraSetupType") != "",
        species=field("scientificName"),
        count=field("count"),
        individual=field("individualID"),
        sex=field("sex"),
        life_stage=field("lifeStage"),
    )
    return records.assign(**classifications)


# ---- identities ---------------------------------------------------------------------------------------------------


def _why_not_identities(package: Package, records: pd.DataFrame) -> str:
    """Why the observations' individualID cannot be taken for identities; empty when it can.

    Exports of unmarked species number the animals of each sequence in this field.
    """
    if package.project.get("individualAnimals") is False:
        return "the package says project.individualAnimals = false, so an individualID would not name an animal"
    if not (records["individual"] != "").any():
        return "no observation has an individualID, and no identities are given"
    if not recurring(records):
        return "no individualID occurs in two events, so they number the animals of a sequence and do not name them"
    return ""


def _keys(
    reading: Reading, records: pd.DataFrame, observations: Columns, package: Package
) -> dict[str, Callable[[], pd.DataFrame]]:
    """The names that records go by: observationID; eventID and mediaID of the rows that will be used.

    An event or a file stands for the event row of its animals, or for its media rows where there are no event rows.
    """
    i = np.arange(len(records))
    level = "event" if (records["level"] == "event").any() else "media"
    chosen = ((records["level"] == level) & (records["type"] == "animal")).to_numpy()

    def by_event() -> pd.DataFrame:
        return pd.DataFrame({"key": records["event"], "i": i})[chosen & (records["event"] != "").to_numpy()]

    def by_media() -> pd.DataFrame:
        media = records[(records["media"] != "") & (records["level"] == "media")]
        if level == "media":
            return pd.DataFrame({"key": media["media"], "i": i[media.index]})
        event_of = media.loc[media["event"] != "", ["media", "event"]].rename(columns={"event": "key"})
        if event_of.empty:
            event_of = _events_of_files(reading, records[chosen], observations, package)
        linked = event_of.drop_duplicates().merge(by_event(), on="key")
        return linked.assign(key=linked["media"])[["key", "i"]]

    by_record = lambda: pd.DataFrame({"key": records["record"], "i": i})  # noqa: E731
    return {"observationID": by_record, "eventID": by_event, "mediaID": by_media}


def _events_of_files(reading: Reading, events: pd.DataFrame, observations: Columns, package: Package) -> pd.DataFrame:
    """`media` and the event `key` that it belongs to by deployment and time, when no observation links the two."""
    sheet = package.custom("media")
    if sheet is None:
        return pd.DataFrame({"media": [], "key": []}, dtype=object)
    c = reading.columns(sheet)
    if not c.require("mediaID", "deploymentID", "timestamp"):
        reading.problems.raise_any()
    files = pd.DataFrame(
        {
            "media": c.text("mediaID", required=True),
            "deployment": c.text("deploymentID", required=True),
            "time": c.time("timestamp", reading.zone, required=True),
        }
    )
    ends = observations.time("eventEnd", reading.zone)[events.index]
    events = events[["event", "deployment", "time"]].rename(columns={"event": "key"}).assign(end=ends)
    found = pd.merge_asof(files.dropna().sort_values("time"), events.sort_values("time"), on="time", by="deployment")
    return found.loc[(found["time"] <= found["end"]) & (found["key"] != ""), ["media", "key"]]
