"""Field records read as a form says: deployments and detections of whatever format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from .. import survey
from ..survey.captures import CaptureHistory
from ..survey.one_flank import assemble_flank, assemble_flanks
from ..survey.tables import SurveyTables
from .parts import Occasions, Records, Survey

NAMED_MAPPINGS = ("camtrapR",)  # come with the readers and are no files of the survey


def read_captures(about: Survey, data: Records, occasions: Occasions, folder: Path) -> CaptureHistory:
    """Capture histories by the reader of the format."""
    how = _how(about, data, occasions)
    registry = getattr(data, "registry", None)
    flank = getattr(data, "flank", None)
    if registry is not None or flank is not None:
        tables, rest = _tables(about, data, folder), _of_assembly(how)
        return survey.assemble(tables, **rest) if flank is None else assemble_flank(tables, flank, **rest)
    path, beside = files_of(data, folder)
    readers: dict[str, Any] = {
        "camtrap-dp": survey.read_camtrap_dp,
        "field-tables": survey.read_field_tables,
        "wildlife-insights": survey.read_wildlife_insights,
    }
    return readers[data.format](path, **beside, **how)


def read_flanks(about: Survey, data: Records, occasions: Occasions, folder: Path) -> list[CaptureHistory]:
    """Capture histories by the left and by the right flanks, two sessions."""
    return assemble_flanks(_tables(about, data, folder), **_of_assembly(_how(about, data, occasions)))


def _tables(about: Survey, data: Records, folder: Path) -> SurveyTables:
    """The tables, with today's identities where there is a registry of them."""
    registry, tables = getattr(data, "registry", None), read_tables(about, data, folder)
    return tables if registry is None else with_registry(tables, folder / registry)


def _of_assembly(how: dict[str, Any]) -> dict[str, Any]:
    """What is said of the assembly, without what is said of reading."""
    return {name: value for name, value in how.items() if name not in ("timezone", "encoding")}


def _how(about: Survey, data: Records, occasions: Occasions) -> dict[str, Any]:
    """The arguments of readers."""
    return dict(
        timezone=about.timezone,
        species=about.species or None,
        crs=about.crs,
        occasion=occasions.length,
        kind=occasions.kind,
        day_boundary=occasions.day_boundary,
        independence=None if occasions.independence == "none" else occasions.independence,
        outside=occasions.outside,
        start=occasions.start,
        end=occasions.end,
        session_from=occasions.session_from,
        session=occasions.session,
        encoding=getattr(data, "encoding", None),
    )


def with_registry(tables: SurveyTables, path: Path) -> SurveyTables:
    """The tables with today's identities; what the registry changed is said as a warning."""
    found = survey.IdentityRegistry.read(path).apply(tables)
    changes = found.provenance["identity_changes"]
    by_kind = changes.groupby("kind", sort=False)["records"].sum()
    parts = ", ".join(f"{n} by {kind}" for kind, n in by_kind.items()) or "none"
    changed = f"The identity registry changed identities of {len(tables.identities)} records: {parts}."
    warnings.warn(changed, survey.SurveyWarning, stacklevel=3)
    return found


def read_tables(about: Survey, data: Records, folder: Path) -> SurveyTables:
    """Deployments and records as they are, before anything is made of them."""
    path, beside = files_of(data, folder)
    readers: dict[str, Any] = {
        "camtrap-dp": survey.tables_from_camtrap_dp,
        "field-tables": survey.tables_from_field,
        "wildlife-insights": survey.tables_from_wildlife_insights,
    }
    encoding = getattr(data, "encoding", None)
    return readers[data.format](path, timezone=about.timezone or None, encoding=encoding, **beside)


def files_of(data: Records, folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The path to read, and the reader's other files (and the order of days and months)."""
    place = lambda name: None if name is None else folder / name  # noqa: E731
    beside: dict[str, Any] = {"identities": place(data.identities), "failures": place(data.failures)}
    if data.format == "field-tables":
        mapping = data.mapping if data.mapping in NAMED_MAPPINGS else place(data.mapping)
        beside |= {"mapping": mapping, "deployments": place(data.deployments), "records": place(data.records)}
        beside["dates"] = data.dates
    return place(data.path), beside


def records_named(data: Records) -> list[str | None]:
    """Paths of field records in the form."""
    mapping = data.mapping if data.mapping not in NAMED_MAPPINGS else None
    registry = getattr(data, "registry", None)
    return [data.path, data.deployments, data.records, data.identities, data.failures, mapping, registry]
