"""survey.toml of detection histories: sites, visits, and what was found or counted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..model_parts import models_of, one_of, plain
from ..parts import RECORDS, Form, Part, Records, Survey, TestedReport

MODELS = models_of("DetectionHistory")
NAMES = tuple(model.__name__ for model in MODELS)
DEFAULT = "Occupancy"


class Data(Records):
    """[data]: where the tables lie, relative to survey.toml."""

    formats: ClassVar = {
        "visits": (("path",), ("sites", "seasons", "columns", "dates")),
        "matrix": (("path",), ("visits", "n_seasons", "sites", "effort", "visit_covariates")),
        "visits-inp": (("path",), ("groups", "covariates", "n_seasons")),
        "patrols": (("path", "cells"), ("observations", "mapping", "cell_names", "side_km")),
        **RECORDS,
    }
    anywhere: ClassVar = frozenset({"encoding", "effort_unit", "area", "detections", "known"})

    format: Literal["visits", "matrix", "visits-inp", "patrols", "camtrap-dp", "field-tables", "wildlife-insights"]
    sites: str | None = Field(default=None, description="table of sites: coordinates and covariates")
    seasons: str | None = Field(default=None, description="table of covariates of seasons")
    columns: dict[str, str] = Field(default={}, description="our heading = that of the table of visits")
    visits: str | tuple[str, ...] | None = Field(
        default=None, description="what the headings of visits begin with, as 'y' of y.1, y.2, or the headings"
    )
    n_seasons: int = Field(default=1, ge=1, description="whose visits the columns are, one season after the other")
    effort: str | None = Field(default=None, description="table of effort, in the shape of the findings")
    visit_covariates: dict[str, str] = Field(default={}, description="name in formulas = table in the same shape")
    observations: str | None = Field(default=None, description="SMART export of the observations of patrols")
    cells: str | None = Field(default=None, description="area to be cut into cells, or the cells themselves")
    side_km: float = Field(default=5.0, gt=0, description="side of a cell")
    cell_names: str | None = Field(default=None, description="column of names, when `cells` are the cells themselves")
    groups: tuple[str, ...] | dict[str, tuple[str, ...]] | None = Field(
        default=None, description="names of the frequency columns of MARK's .inp file"
    )
    covariates: tuple[str, ...] | None = Field(default=None, description="names of the covariates of MARK's .inp file")
    detections: bool = Field(default=False, description="numbers above 0 are detections, and not counts or states")
    known: tuple[str, ...] = Field(default=(), description="covariates without which a site or visit is left out")
    effort_unit: str | None = None
    area: float | None = Field(default=None, gt=0, description="km² of a site, for the area occupied")
    encoding: str | None = None


class Visits(Part):
    """[occasions]: how the records of cameras become visits."""

    length: str | int = "1 week"
    day_boundary: str = "noon"
    kind: Literal["detection", "count"] = "detection"
    independence: str = Field(
        default="30 minutes since the last independent record",
        description="or 'none': only records of one moment are one",
    )
    outside: Literal["refuse", "drop"] = Field(default="refuse", description="records while no camera worked")
    start: str | None = Field(default=None, description="first local date, when only a part of the data is wanted")
    end: str | None = None
    season_from: str | None = Field(default=None, description="key in the deployments' groups that holds the season")
    site_from: str | None = Field(default=None, description="key in the deployments' groups that holds the site")
    seasons: dict[str, tuple[str, str]] = Field(default={}, description="season = [first, last local date]")


class Patrols(Part):
    """[patrols]: how the ways and observations of patrols become visits to cells."""

    segment_km: float | None = Field(default=None, gt=0, description="length of segments, for models of sign surveys")
    period: str | None = Field(default=None, description="a visit: 'month', 'season' or days as in '2 weeks'")
    seasons: Literal["year"] | dict[str, tuple[str, str]] | None = Field(
        default=None, description="'year', or season = [first, last local date]"
    )
    category: str | None = Field(default=None, description="text in the category of the observations that count")
    kind: Literal["detection", "count"] = "detection"
    on: tuple[str, ...] = Field(default=("foot",), description="ways of moving that count as effort")
    transport: str | None = Field(default=None, description="of tracks that do not say how the patrol moved")
    start: str | None = Field(default=None, description="first local date, when only a part of the data is wanted")
    end: str | None = None


class Mask(Part):
    """[mask]: the land: rasters that are covariates of the sites, and the area over which psi is mapped."""

    polygon: str | None = Field(default=None, description="outline of the area")
    spacing: float = Field(default=1000.0, gt=0, description="metres between cells")
    holes: tuple[str, ...] = Field(default=(), description="outlines inside which the species cannot be")
    covariates: dict[str, str] = Field(default={}, description="name in formulas = raster file")


class SiteForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = NAMES
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    occasions: Visits = Visits()
    patrols: Patrols = Patrols()
    mask: Mask = Mask()
    models: tuple[one_of(MODELS, DEFAULT), ...] = Field(  # type: ignore[valid-type]
        default=(plain(MODELS[NAMES.index(DEFAULT)]),)
    )
    report: TestedReport = TestedReport()
    seed: int = Field(default=1, ge=0)
