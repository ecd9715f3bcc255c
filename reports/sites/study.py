"""A survey of sites: what each visit found or counted, and the land around."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ... import survey
from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..model_parts import built
from ..records import read_tables, records_named
from ..study import Study, simulated_goodness
from .form import SiteForm, model_of


@dataclass(frozen=True, eq=False)
class SiteStudy(Study):
    """A study with a `history` of visits to sites, and the `mask` of the land where the form gives its outline."""

    form: ClassVar = SiteForm
    leaves: ClassVar = ("sites.gpkg", "psi.tif")

    history: DetectionHistory
    mask: HabitatMask | None = None

    @classmethod
    def read(cls, config: SiteForm, folder: Path) -> SiteStudy:
        history = read(config, folder)
        mask = make_mask(config, folder)
        return cls(config, folder, history if mask is None else on_land(history, mask), mask)

    @classmethod
    def files_named(cls, config: SiteForm) -> list[str | None]:
        data, mask = config.data, config.mask
        named = [*records_named(data), data.sites, data.seasons, data.effort, *data.visit_covariates.values()]
        return [*named, mask.polygon, *mask.holes, *mask.covariates.values()]

    def build(self, part: Any):
        return built(model_of(part), part, self.history)

    def story(self, analysis):
        from .story import SiteStory

        return SiteStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.history,) if self.mask is None else (self.history, self.mask)

    def goodness(self, fit: Any) -> pd.DataFrame:
        return simulated_goodness(fit, self.config.report.goodness, self.config.seed)

    @property
    def tables(self):
        return self.history.tables

    @property
    def ledger(self):
        return self.history.ledger

    @property
    def species(self) -> str:
        found = "" if self.tables is None else str(self.tables.provenance.get("species", ""))
        return found or super().species


def read(config: SiteForm, folder: Path) -> DetectionHistory:
    """The detection history by the reader of the form's format."""
    data, about = config.data, config.survey
    more: dict[str, Any] = {"encoding": data.encoding, "crs": about.crs}
    more |= {name: getattr(data, name) for name in ("area", "effort_unit") if getattr(data, name) is not None}
    place = lambda name: None if name is None else folder / name  # noqa: E731
    if data.format == "visits":
        seasons = place(data.seasons)
        path = folder / str(data.path)
        return survey.read_visits(path, sites=place(data.sites), seasons=seasons, columns=data.columns, **more)
    if data.format == "matrix":
        beside = {name: folder / file for name, file in data.visit_covariates.items()}
        path, effort = folder / str(data.path), place(data.effort)
        return survey.read_matrix(path, sites=place(data.sites), effort=effort, visit_covariates=beside, **more)
    return _from_records(config, folder)


def _from_records(config: SiteForm, folder: Path) -> DetectionHistory:
    cut = config.occasions
    history = survey.detection_history(
        read_tables(config.survey, config.data, folder),
        species=config.survey.species or None,
        occasion=cut.length,
        crs=config.survey.crs,
        kind=cut.kind,
        day_boundary=cut.day_boundary,
        independence=None if cut.independence == "none" else cut.independence,
        outside=cut.outside,
        start=cut.start,
        end=cut.end,
        season_from=cut.season_from,
        seasons={int(k) if k.isdigit() else k: v for k, v in cut.seasons.items()} or None,
        site_from=cut.site_from,
    )
    area = config.data.area
    return history if area is None else replace(history, area=np.full(history.n_sites, area))


def make_mask(config: SiteForm, folder: Path) -> HabitatMask | None:
    """The land of the form, with its rasters; None without an outline."""
    about = config.mask
    if about.polygon is None:
        return None
    mask = HabitatMask.from_polygon(folder / about.polygon, about.spacing, config.survey.crs)
    for hole in about.holes:
        mask = mask.clip(folder / hole, outside=True)
    for name, raster in about.covariates.items():
        mask = mask.with_covariate(name, folder / raster)
    return mask


def on_land(history: DetectionHistory, mask: HabitatMask) -> DetectionHistory:
    """The history whose sites have the covariates of the cells they lie in.

    Raises
    ------
    SurveyError : sites without coordinates, or outside the land
    """
    names = [str(name) for name in mask.covariates.data_vars]
    if not names:
        return history
    if not {"x", "y"} <= set(history.sites):
        fix = "Add x and y [m], or longitude and latitude, to the table of sites"
        raise refuse("the sites have no coordinates, so rasters cannot be read at them", fix)
    cell = mask.cell_of(history.sites["x"].to_numpy(float), history.sites["y"].to_numpy(float))
    outside = list(history.sites.index[cell < 0])
    if outside:
        fix = "Extend [mask] polygon, or correct their coordinates or the CRS"
        raise refuse(f"{len(outside)} sites lie outside the land of [mask]", fix, value=outside[:10])
    sites = history.sites.assign(**{name: mask.covariate(name)[cell] for name in names})
    return replace(history, sites=sites, seasons=history._season_table())
