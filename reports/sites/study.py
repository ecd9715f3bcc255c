"""A survey of sites: what each visit found or counted, and the land around."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ... import survey
from ...survey.detections import DetectionHistory
from ...survey.display import some
from ...survey.errors import SurveyWarning
from ...survey.habitat import HabitatMask
from ...survey.verify import Findings
from ..model_parts import built
from ..records import read_tables, records_named
from ..study import Study, plain_text, simulated_goodness
from .checks import OF_COUNTS, check, check_counts, check_ledger
from .form import SiteForm

TRACK_FILES = (".gpx", ".geojson", ".json", ".shp", ".gpkg")


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
        named += [data.observations, data.cells]
        return [*named, mask.polygon, *mask.holes, *mask.covariates.values()]

    def build(self, part: Any):
        return built(part, self.history)

    def story(self, analysis):
        from .story import SiteStory

        return SiteStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.history,) if self.mask is None else (self.history, self.mask)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data."""
        parts = self.config.models
        timed = [part.model == "TimeToDetection" for part in parts]  # whose effort is the time until a find
        aware = [getattr(part, "exposure", False) or "effort" in str(part.model_dump()) for part in parts]
        found = [*check(self.history, all(map(max, aware, timed)), all(timed)), *check_ledger(self.ledger)]
        if any(part.model in OF_COUNTS for part in parts):
            found += check_counts(self.history)
        return Findings(tuple(found))

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
    """The detection history of the form."""
    history = _read(config, folder)
    history = history.as_detections() if config.data.detections else history
    return _with_known(history, config.data.known) if config.data.known else history


def _with_known(history: DetectionHistory, names: tuple[str, ...]) -> DetectionHistory:
    """Without sites and visits of which a covariate is not known, and a warning that says how many they are."""
    kept = history.without_missing(*names)
    sites, visits = history.n_sites - kept.n_sites, int(history.done.sum() - kept.done.sum())
    if sites or visits:
        left_out = f"{some(sites, 'site')} and {some(visits, 'visit')}"
        what = f"{left_out} are left out because one of these covariates is not known: {', '.join(names)}"
        warnings.warn(what, SurveyWarning, stacklevel=2)
    return kept


def _read(config: SiteForm, folder: Path) -> DetectionHistory:
    """The detection history by the reader of the form's format."""
    data, about = config.data, config.survey
    more: dict[str, Any] = {"encoding": data.encoding, "crs": about.crs}
    more |= {name: getattr(data, name) for name in ("area", "effort_unit") if getattr(data, name) is not None}
    place = lambda name: None if name is None else folder / name  # noqa: E731
    if data.format == "visits":
        seasons = place(data.seasons)
        path = folder / str(data.path)
        more["dates"] = data.dates
        return survey.read_visits(path, sites=place(data.sites), seasons=seasons, columns=data.columns, **more)
    if data.format == "matrix":
        beside = {name: folder / file for name, file in data.visit_covariates.items()}
        path, effort = folder / str(data.path), place(data.effort)
        more |= {"visits": data.visits, "n_seasons": data.n_seasons, "sites": place(data.sites)}
        return survey.read_matrix(path, effort=effort, visit_covariates=beside, **more)
    if data.format == "visits-inp":
        plain_text(data)
        del more["encoding"]
        how = {"n_seasons": data.n_seasons, **more}
        return survey.read_visits_inp(folder / str(data.path), data.groups or (), data.covariates or (), **how)
    return _from_patrols(config, folder) if data.format == "patrols" else _from_records(config, folder)


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
        seasons=_labels(cut.seasons),
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
    """The history whose sites have the values of the form's rasters."""
    for name, raster in config.mask.covariates.items():
        history = history.with_covariate(name, folder / raster)
    return history


def _from_patrols(config: SiteForm, folder: Path) -> DetectionHistory:
    """Visits to cells, or segments of the ways through them, from tracks and observations of patrols."""
    data, about, how = config.data, config.survey, config.patrols
    path = folder / str(data.path)
    tracks = sorted(file for file in path.iterdir() if file.suffix.lower() in TRACK_FILES) if path.is_dir() else path
    patrols = survey.read_patrols(
        tracks,
        None if data.observations is None else folder / data.observations,
        timezone=about.timezone,
        mapping=None if data.mapping is None else folder / data.mapping,
        transport=how.transport,
        encoding=data.encoding,
    )
    area = folder / str(data.cells)
    named = data.cell_names
    cells = survey.Cells.grid(area, data.side_km, about.crs) if named is None else survey.Cells.from_layer(area, named)
    given = {"period": how.period, "seasons": _labels(how.seasons), "category": how.category}
    given |= {"species": about.species or None, "start": how.start, "end": how.end, "transport": how.on}
    chosen = {name: value for name, value in given.items() if value is not None}
    if how.segment_km is None:
        return patrols.by_cell(cells, kind=how.kind, **chosen)
    return patrols.by_segment(cells, how.segment_km, **chosen)


def _labels(seasons: Any) -> Any:
    """Seasons with whole numbers as labels where they are such."""
    if not isinstance(seasons, dict):
        return seasons
    return {int(k) if k.isdigit() else k: v for k, v in seasons.items()} or None
