"""A survey read as its form says: capture histories, habitat mask, regions, and the files all of it came from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from .. import survey
from ..survey.captures import CaptureHistory
from ..survey.errors import SurveyWarning, refuse
from ..survey.habitat import HabitatMask
from ..survey.vector import read_region
from .config import SurveyConfig, read_config
from .files import digest

TABLE_FILES = (".csv", ".gz", ".json", ".parquet", ".txt", ".xlsx")
SHAPEFILE = (".shp", ".dbf", ".shx", ".prj", ".cpg")
NAMED_MAPPINGS = ("camtrapR",)  # come with the readers and are no files of the survey


@dataclass(frozen=True, eq=False)
class Study:
    """What a form describes, read from its files.

    Parameters
    ----------
    config : the form
    folder : where its paths start
    captures : the capture histories
    mask : where activity centres can be, with its covariates
    inputs : path (relative to `folder`) and sha256 of every file that was read, the form first
    notes : what the readers warned about
    """

    config: SurveyConfig
    folder: Path
    captures: CaptureHistory
    mask: HabitatMask
    inputs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def findings(self):
        """The checks of the data as a table: id, severity, what, rows, fix."""
        return survey.verify(self.captures, self.mask)

    @property
    def species(self) -> str:
        """What the records call the animals."""
        tables = self.captures.tables
        found = "" if tables is None else str(tables.provenance.get("species", ""))
        return found or self.config.survey.species or self.config.survey.common_name

    @property
    def dates(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """When the first camera was set and the last one collected, or the ends of the occasions."""
        tables, occasions = self.captures.tables, self.captures.occasions
        if tables is not None and tables.deployments["end"].notna().all():
            return tables.deployments["start"].min(), tables.deployments["end"].max()
        return (occasions["start"].iloc[0], occasions["end"].iloc[-1]) if len(occasions) else None

    @cached_property
    def outlines(self) -> tuple:
        """The regions as shapely polygons in metres of the mask."""
        return tuple(read_region(file, self.mask.crs)[0] for file in self.regions.values())

    @property
    def regions(self) -> dict[str, Path]:
        """Name and file of each area in which animals are counted."""
        return {region.name: self.folder / region.file for region in self.config.regions}


def read_study(path: str | Path) -> Study:
    """The study of a survey.toml (or of the folder that holds one)."""
    path = Path(path)
    config = read_config(path)
    form = path / "survey.toml" if path.is_dir() else path
    return study_of(config, form.parent, form.name)


def study_of(config: SurveyConfig, folder: Path, form: str = "") -> Study:
    """The study of a form whose paths start in `folder`; `form` is the name of its file there."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SurveyWarning)
        captures = read_captures(config, folder)
        mask = make_mask(config, folder, captures)
    notes = tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, SurveyWarning)))
    for w in caught:
        if not issubclass(w.category, SurveyWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    return Study(config, folder, captures, mask, inputs_of(config, folder, form), notes)


def read_captures(config: SurveyConfig, folder: Path) -> CaptureHistory:
    """Capture histories by the reader of the form's format."""
    data, encoding = config.data, {"encoding": config.data.encoding}
    place = lambda name: None if name is None else folder / name  # noqa: E731
    if data.format == "secr":
        given = {"covariates": data.covariates, "usage": data.usage, "effort_unit": data.effort_unit}
        options = {name: value for name, value in given.items() if value is not None}
        crs = config.survey.crs or None
        found = survey.read_secr(
            place(data.captures), place(data.traps), detector=config.occasions.kind, crs=crs, **encoding, **options
        )
        if isinstance(found, dict):
            raise refuse("the captures hold several sessions", "Give each session files of its own", value=list(found))
        return found
    how = dict(
        timezone=config.survey.timezone,
        species=config.survey.species or None,
        crs=config.survey.crs,
        occasion=config.occasions.length,
        kind=config.occasions.kind,
        day_boundary=config.occasions.day_boundary,
        independence=None if config.occasions.independence == "none" else config.occasions.independence,
        outside=config.occasions.outside,
        start=config.occasions.start,
        end=config.occasions.end,
        session_from=config.occasions.session_from,
        session=config.occasions.session,
        **encoding,
    )
    beside = {"identities": place(data.identities), "failures": place(data.failures)}
    if data.format == "field-tables":
        mapping = data.mapping if data.mapping in NAMED_MAPPINGS else place(data.mapping)
        beside |= {"mapping": mapping, "deployments": place(data.deployments), "records": place(data.records)}
        return survey.read_field_tables(place(data.path), dates=data.dates, **beside, **how)
    reader = survey.read_camtrap_dp if data.format == "camtrap-dp" else survey.read_wildlife_insights
    return reader(place(data.path), **beside, **how)


def make_mask(config: SurveyConfig, folder: Path, captures: CaptureHistory) -> HabitatMask:
    """The habitat mask of the form: around the detectors, cut to the outline, without the holes, with covariates."""
    mask = HabitatMask.around(captures, config.mask.buffer, config.mask.spacing)
    if config.mask.polygon is not None:
        mask = mask.clip(folder / config.mask.polygon)
    for hole in config.mask.holes:
        mask = mask.clip(folder / hole, outside=True)
    for name, raster in config.mask.covariates.items():
        mask = mask.with_covariate(name, folder / raster)
    return mask


def inputs_of(config: SurveyConfig, folder: Path, form: str = "") -> tuple[tuple[str, str], ...]:
    """Path and sha256 of every file that the form names; of a folder, the tables that lie in it."""
    data, mask = config.data, config.mask
    named = [form, data.path, data.deployments, data.records, data.identities, data.failures]
    named += [data.captures, data.traps, data.mapping if data.mapping not in NAMED_MAPPINGS else None]
    named += [mask.polygon, *mask.holes, *mask.covariates.values(), *(region.file for region in config.regions)]
    files = [file for name in dict.fromkeys(filter(None, named)) for file in files_at(folder / name)]
    return tuple((_relative(file, folder), digest(file)) for file in dict.fromkeys(files))


def files_at(path: Path) -> list[Path]:
    """The path itself, the parts of a shapefile, or the tables in a folder."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in TABLE_FILES)
    if path.name == "datapackage.json":
        return files_at(path.parent)
    if path.suffix.lower() == ".shp":
        return [part for suffix in SHAPEFILE if (part := path.with_suffix(suffix)).is_file()]
    return [path]


def _relative(file: Path, folder: Path) -> str:
    """The path as the form would write it."""
    try:
        return file.relative_to(folder).as_posix()
    except ValueError:
        return file.as_posix()
