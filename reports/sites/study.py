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
        history = on_land(config, folder, read(config, folder))
        return cls(config, folder, history, make_mask(config, folder))

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


def on_land(config: SiteForm, folder: Path, history: DetectionHistory) -> DetectionHistory:
    """The history whose sites have the values of the form's rasters, averaged as for the cells of the map.

    Raises
    ------
    SurveyError : sites without coordinates, or where a raster has no value
    """
    rasters, spacing = config.mask.covariates, config.mask.spacing
    if not rasters:
        return history
    places = history.sites.reindex(columns=["x", "y"]).to_numpy(float)
    lost = list(history.sites.index[~np.isfinite(places).all(axis=1)])
    if lost:
        fix = "Add x and y [m], or longitude and latitude, to the table of sites"
        raise refuse("sites have no coordinates, so rasters cannot be read at them", fix, value=lost[:10])
    x, y = np.unique(np.floor(places / spacing) * spacing + spacing / 2.0, axis=0).T
    around = HabitatMask.from_points(x, y, spacing, history.crs)
    cell, found = around.cell_of(places[:, 0], places[:, 1]), {}
    for name, raster in rasters.items():
        found[name] = around.with_covariate(name, folder / raster).covariate(name)[cell]
    return replace(history, sites=history.sites.assign(**found), seasons=history._season_table())
