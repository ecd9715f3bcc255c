"""Camtrap DP 1.0.2 packages, with the custom resources `failures` and `identities`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ..captures import CaptureHistory
from ..errors import refuse
from ..fieldwork import fieldwork
from ..readers.camtrap_dp import CLASSIFIED, COVARIATES, DESCRIPTOR, schema
from ..tables import SurveyTables

RAW = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
FAILURE_FIELDS = {
    "deploymentID": "The deployment that did not work.",
    "start": "From when, ISO 8601 with offset, inclusive.",
    "end": "Until when, exclusive; empty: until the end of the deployment.",
    "reason": "Why.",
}
IDENTITY_FIELDS = {
    "observationID": "The observation that shows the animal.",
    "individual": "Name of the animal.",
    "sex": "female, male or empty.",
    "confidence": "How sure the observer was.",
    "flank": "left, right, both or empty.",
    "observer": "Who identified.",
    "comment": "Free text.",
}


def write_camtrap_dp(
    folder: str | Path,
    survey: SurveyTables | CaptureHistory,
    *,
    title: str = "Camera trap survey",
    description: str = "",
    sampling_design: str = "targeted",
    overwrite: bool = False,
    **how,
) -> Path:
    """Write a survey as a Camtrap DP package that `read_camtrap_dp` reads back.

    Parameters
    ----------
    folder : made when it is not there
    survey : tables are written as they are, but for records without a time or a deployment, for which the standard
        has no place. Capture histories, simulated ones as a rule, are first given the
        fieldwork they could have come from: times within their occasions, deployments, failures (`survey.fieldwork`).
    title, description, sampling_design : what the package says about the project
    overwrite : replace a package that is already there
    **how : for capture histories, the options of `survey.fieldwork`: `species`, `start`, `timezone`, `seed`, …

    Returns
    -------
    Path of the datapackage.json

    Raises
    ------
    SurveyError : there is a package already, or the positions have no longitude and latitude
    """
    folder = Path(folder)
    if (folder / DESCRIPTOR).exists() and not overwrite:
        raise refuse("there is a package already", "Give another folder, or overwrite=True", value=str(folder))
    tables = survey if isinstance(survey, SurveyTables) else fieldwork(survey, **how)
    if tables.deployments[["longitude", "latitude"]].isna().any(axis=None):
        raise refuse("deployments have no longitude and latitude", "Give the detectors their CRS")
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "deployments": _deployments(tables),
        "media": _media(tables),
        "observations": _observations(tables),
        "failures": _failures(tables),
        "identities": _identities(tables),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    package = _descriptor(tables, title=title, description=description, sampling_design=sampling_design)
    text = json.dumps(package, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTOR).write_text(text, encoding="utf-8", newline="\n")
    return folder / DESCRIPTOR


# ---- tables -------------------------------------------------------------------------------------------------------


def _stamps(times: pd.Series) -> np.ndarray:
    """ISO 8601 with offset, to the second; empty for NaT."""
    given = times.notna().to_numpy()
    local = times[given].dt.tz_localize(None).to_numpy("datetime64[s]")
    shift = (local - times[given].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[s]")).astype(int) // 60
    offsets = {m: f"{'-' if m < 0 else '+'}{abs(m) // 60:02d}:{abs(m) % 60:02d}" for m in np.unique(shift).tolist()}
    text = np.full(len(times), "", object)
    text[given] = np.datetime_as_string(local).astype(object) + np.array([offsets[m] for m in shift.tolist()], object)
    return text


def _fields(table: str, values: dict) -> pd.DataFrame:
    """All columns of a table of the standard, in its order; those without values are empty."""
    n = max(len(v) for v in values.values())
    blank = np.full(n, "", object)
    return pd.DataFrame({name: values.get(name, blank) for name in schema(table)})


def _flags(values: pd.Series) -> np.ndarray:
    return np.where(values.to_numpy(bool), "true", "false").astype(object)


def _deployments(tables: SurveyTables) -> pd.DataFrame:
    d = tables.deployments
    covariates = {n: _flags(d[n]) if d[n].dtype == bool else d[n] for n in COVARIATES if n in d}
    return _fields(
        "deployments",
        {
            "deploymentID": d["deployment"],
            "locationID": d["location"],
            "locationName": d["location"],
            "latitude": d["latitude"].round(8),
            "longitude": d["longitude"].round(8),
            "coordinateUncertainty": d["coordinate_uncertainty"].round().astype("Int64"),
            "deploymentStart": _stamps(d["start"]),
            "deploymentEnd": _stamps(d["end"]),
            "cameraID": d["camera"],
            "timestampIssues": _flags(d["timestamp_issues"]),
            "deploymentGroups": d["groups"],
            **covariates,
        },
    )


def _observations(tables: SurveyTables) -> pd.DataFrame:
    r = tables.records[tables.records["time"].notna() & (tables.records["deployment"] != "")]
    stamps = _stamps(r["time"])
    return _fields(
        "observations",
        {
            "observationID": r["record"],
            "deploymentID": r["deployment"],
            "mediaID": r["media"],
            "eventID": r["event"],
            "eventStart": stamps,
            "eventEnd": stamps,
            "observationLevel": r["level"],
            "observationType": r["type"],
            "cameraSetupType": np.where(r["setup"], "setup", "").astype(object),
            "scientificName": r["species"],
            "count": r["count"],
            "lifeStage": r["life_stage"],
            "sex": r["sex"],
            "individualID": r["individual"],
            "classificationMethod": np.full(len(r), "human", object),
        }
        | {theirs: r[ours] for ours, theirs in CLASSIFIED.items() if ours in r},
    )


def _media(tables: SurveyTables) -> pd.DataFrame:
    """One row per file that an observation at media level names."""
    m = tables.records[(tables.records["media"] != "") & (tables.records["level"] == "media")].drop_duplicates("media")
    return _fields(
        "media",
        {
            "mediaID": m["media"],
            "deploymentID": m["deployment"],
            "captureMethod": np.full(len(m), "activityDetection", object),
            "timestamp": _stamps(m["time"]),
            "filePath": m["deployment"] + "/" + m["media"] + ".jpg",
            "filePublic": np.full(len(m), "false", object),
            "fileName": m["media"] + ".jpg",
            "fileMediatype": np.full(len(m), "image/jpeg", object),
        },
    )


def _failures(tables: SurveyTables) -> pd.DataFrame:
    f = tables.failures
    columns = [f["deployment"], _stamps(f["start"]), _stamps(f["end"]), f["reason"]]
    return pd.DataFrame(dict(zip(FAILURE_FIELDS, columns, strict=True)))


def _identities(tables: SurveyTables) -> pd.DataFrame:
    return tables.identities.rename(columns={"record": "observationID"})[list(IDENTITY_FIELDS)]


# ---- descriptor ---------------------------------------------------------------------------------------------------


def _descriptor(tables: SurveyTables, *, title: str, description: str, sampling_design: str) -> dict:
    d, r = tables.deployments, tables.records
    first, last = (
        d["start"].min(),
        max(t for t in (d["end"].max(), d["start"].max(), r["time"].max()) if not pd.isna(t)),
    )
    west, east = float(d["longitude"].min()), float(d["longitude"].max())
    south, north = float(d["latitude"].min()), float(d["latitude"].max())
    animals = r.loc[(r["type"] == "animal") & (r["species"] != ""), "species"]
    standard = [
        {
            "name": name,
            "path": f"{name}.csv",
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "schema": f"{RAW}/{name}-table-schema.json",
        }
        for name in ("deployments", "media", "observations")
    ]
    custom = [
        _custom("failures", "When cameras did not work within their deployments.", FAILURE_FIELDS),
        _custom("identities", "Which animal each observation shows.", IDENTITY_FIELDS),
    ]
    return {
        "resources": standard + custom,
        "profile": f"{RAW}/camtrap-dp-profile.json",
        "name": "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in title.lower()).split()) or "survey",
        "created": last.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": title,
        "description": description,
        "contributors": [{"title": "uncia", "role": "contributor"}],
        "project": {
            "title": title,
            "samplingDesign": sampling_design,
            "captureMethod": ["activityDetection"],
            "individualAnimals": bool(len(tables.identities)),
            "observationLevel": sorted(set(r["level"])) or ["event"],
        },
        "spatial": {
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
        "temporal": {"start": first.strftime("%Y-%m-%d"), "end": last.strftime("%Y-%m-%d")},
        "taxonomic": [{"scientificName": name} for name in sorted(set(animals))],
    }


def _custom(name: str, description: str, fields: dict[str, str]) -> dict:
    return {
        "name": name,
        "path": f"{name}.csv",
        "description": description,
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": {"fields": [{"name": f, "type": "string", "description": text} for f, text in fields.items()]},
    }
