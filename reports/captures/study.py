"""A survey of animals told apart: capture histories, habitat mask, regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ... import survey
from ...models import SCR
from ...models.spatial.fit import SpatialFit
from ...survey.captures import CaptureHistory
from ...survey.detectors import AREAS
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.ledger import Ledger
from ...survey.sightings import Sightings
from ...survey.telemetry import Telemetry
from ...survey.together import methods_of
from ...survey.vector import read_region, read_shapes
from ...survey.verify import Findings
from ..model_parts import built
from ..records import read_captures, read_flanks, records_named
from ..study import Study, simulated_goodness
from . import both_flanks, regions
from .form import CaptureForm
from .methods import read_method
from .resight import ResightModel, read_sightings

WALD = "95% Wald on the link scale"


@dataclass(frozen=True, eq=False)
class CaptureStudy(Study):
    """A study with `captures` and the `mask` of where activity centres can be, with its covariates."""

    form: ClassVar = CaptureForm
    leaves: ClassVar = ("density.tif", "captures.gpkg", "mask.gpkg")

    captures: CaptureHistory
    mask: HabitatMask
    resight: tuple[CaptureHistory | None, Sightings, Ledger] | None = None  # of [marking]
    flanks: tuple[CaptureHistory, ...] = ()  # left and right, where both are used; `captures` is one of them

    @classmethod
    def read(cls, config: CaptureForm, folder: Path) -> CaptureStudy:
        if config.data.flank == "both":
            sides = tuple(read_flanks(config.survey, config.data, config.occasions, folder))
            shown = both_flanks.shown(sides)
            return cls(config, folder, shown, make_mask(config, folder, shown), flanks=sides)
        captures = read(config, folder).with_telemetry(read_collars(config, folder))
        resight = None
        if config.marking is not None:
            resight = read_sightings(config.marking, captures, folder, config.data.encoding)
        return cls(config, folder, captures, make_mask(config, folder, captures), resight)

    @classmethod
    def files_named(cls, config: CaptureForm) -> list[str | None]:
        data, mask = config.data, config.mask
        *records, mapping = records_named(data)
        named = [*records, data.captures, data.traps, mapping]
        named += [
            mask.table,
            mask.polygon,
            mask.barriers,
            *mask.holes,
            *mask.covariates.values(),
            *(f for m in config.methods for f in m.files()),
        ]
        named += config.telemetry.files if config.telemetry is not None else ()
        named += config.marking.files() if config.marking is not None else ()
        return [*named, *(region.file for region in config.regions)]

    def build(self, part: Any) -> SCR:
        if isinstance(part, ResightModel):
            assert self.resight is not None  # the form holds it
            found = built(part, *self.resight[:2], self.mask)
            assert isinstance(found, SCR)
            return found
        return SCR(list(self.flanks) or self.captures, self.mask, **part.options(self.barriers))

    @property
    def is_one_history(self) -> bool:
        """Whether `captures` is all that there is, as surveys of several years or sites need it."""
        return self.resight is None and not self.flanks

    @property
    def session(self) -> str | None:
        """The session of the fits that is told of, where there are several."""
        return self.captures.session if self.flanks else None

    def told(self, fit: SpatialFit) -> SpatialFit:
        """A fit with the standard errors that people are told."""
        return fit.inflated(both_flanks.TWICE) if self.flanks else fit

    @cached_property
    def barriers(self):
        """What animals do not cross, as one shapely geometry, or None."""
        file = getattr(getattr(self.config, "mask", None), "barriers", None)
        return None if file is None else read_shapes(self.folder / file, self.mask.crs)

    def story(self, analysis):
        from .story import CaptureStory

        return CaptureStory(analysis)

    @property
    def data(self) -> tuple:
        if self.resight is None:
            return *(self.flanks or (self.captures,)), self.mask
        return self.captures, *(part for part in self.resight[:2] if part is not None), self.mask

    def estimates(self, fit: SpatialFit) -> pd.DataFrame:
        """Density, abundance, sampling area and detection in the mask and in every region."""
        fit = self.told(fit)
        if self.flanks:
            tables = both_flanks.estimates(self, fit)
        else:
            tables = [fit.derive(), *(fit.abundance(file, region) for region, file in self.regions.items())]
        tables += [detection_estimates(fit, p) for p in fit.model.detecting]
        tables += [detection_estimates(fit, "pID")] if self.resight is not None else []
        tables += [cost_estimates(fit)] if "cost" in fit.model.parameters else []
        return pd.concat(tables, ignore_index=True)

    def definitions(self, fit: SpatialFit) -> dict[str, str]:
        from ...models.trends.from_fits import definition_of

        of_form = {"identities": self.config.data.identities or "", "species": self.species}
        of_form["flank"] = "" if self.tables is None else str(self.tables.provenance.get("flank", ""))
        return {k: v for k, v in of_form.items() if v} | definition_of(fit)

    def goodness(self, fit: SpatialFit) -> pd.DataFrame:
        return simulated_goodness(fit, self.config.checks.goodness, self.config.seed)

    def check(self) -> None:
        regions.check(self)

    def check_model(self, model) -> None:
        regions.check_model(self, model)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data and of the regions."""
        return Findings((*survey.verify(self.captures, self.mask), *regions.findings(self)))

    @property
    def ledger(self):
        """Where the records went, those of collars and of sightings without a name with them."""
        own, collars = both_flanks.ledger(self.flanks) or self.captures.ledger, self.captures.telemetry
        more = [] if collars is None else [collars.ledger]
        more += [] if self.resight is None else [self.resight[2]]
        for one in more:
            own = Ledger(own.read | one.read, own.entries + one.entries)
        return own

    @property
    def tables(self):
        return self.captures.tables

    @property
    def species(self) -> str:
        """What the records call the animals."""
        tables = self.captures.tables
        found = "" if tables is None else str(tables.provenance.get("species", ""))
        return found or super().species

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


def read(config: CaptureForm, folder: Path) -> CaptureHistory:
    """Capture histories by the reader of the form's format, with those by other methods."""
    first = read_data(config, folder)
    if not config.methods:
        return first
    others = {m.name: read_method(m, config.survey, folder, first.session) for m in config.methods}
    return survey.together({config.method: first} | others)


def read_collars(config: CaptureForm, folder: Path) -> Telemetry | None:
    """The fixes of [telemetry]."""
    given = config.telemetry
    if given is None:
        return None
    return survey.read_telemetry(
        [folder / name for name in given.files],
        config.survey.crs or None,
        timezone=config.survey.timezone or None,
        columns=given.columns or None,
        thin_hours=given.thin_hours,
        date_order=given.dates,
    )


def read_data(config: CaptureForm, folder: Path) -> CaptureHistory:
    """Capture histories of [data]."""
    data = config.data
    if data.format != "secr":
        return read_captures(config.survey, data, config.occasions, folder)
    given = {name: getattr(data, name) for name in ("covariates", "usage", "noccasions", "effort_unit")}
    options = {name: value for name, value in given.items() if value is not None}
    found = survey.read_secr(
        folder / str(data.captures),
        folder / str(data.traps),
        detector=config.occasions.kind,
        crs=config.survey.crs or None,
        encoding=data.encoding,
        **options,
    )
    sessions, wanted = found if isinstance(found, dict) else {found.session: found}, config.occasions.session
    if wanted is None and len(sessions) > 1:
        fix = 'Say which: session = "…" in [occasions]; several together are a form of [[years]]'
        raise refuse("the captures hold several sessions", fix, value=list(sessions))
    if wanted is not None and wanted not in sessions:
        raise refuse("the captures have no such session", f"There are {', '.join(sessions)}", value=wanted)
    return next(iter(sessions.values())) if wanted is None else sessions[wanted]


def make_mask(config: CaptureForm, folder: Path, captures: CaptureHistory) -> HabitatMask:
    """The habitat mask of the form: around the detectors, cut to the outline, without the holes, with covariates."""
    if config.mask.table is not None:
        crs = config.survey.crs or None
        mask = survey.read_mask(folder / config.mask.table, config.mask.spacing, crs=crs, encoding=config.data.encoding)
    else:
        mask = HabitatMask.around(captures, config.mask.buffer, config.mask.spacing)
    if config.mask.polygon is not None:
        mask = mask.clip(folder / config.mask.polygon)
    for hole in config.mask.holes:
        mask = mask.clip(folder / hole, outside=True)
    for name, raster in config.mask.covariates.items():
        mask = mask.with_covariate(name, folder / raster)
    return mask


def detection_estimates(fit: SpatialFit, parameter: str) -> pd.DataFrame:
    """A detection parameter as rows of estimates, one for each distinct setting of its covariates."""
    table = fit.predict(parameter).drop_duplicates(ignore_index=True)
    covariates = [c for c in table.columns if c not in ("estimate", "se", "lower", "upper")]
    scopes = [", ".join(f"{c} = {row[c]}" for c in covariates) or "all detectors" for _, row in table.iterrows()]
    known = fit.model.parameters[parameter]
    methods = methods_of(fit.model.sessions[0].captures)
    by = table["method"].astype(str) if "method" in table else [next(iter(methods))] * len(table)
    common = len(methods) > 1 and "method" not in table
    units = [known.unit if common else known.unit.replace("unit of effort", unit_of(methods[m].detectors)) for m in by]
    interval = WALD if known.fixed is None else "fixed"
    rows = table[["estimate", "se", "lower", "upper"]].assign(rse=table["se"] / table["estimate"])
    return rows.assign(quantity=parameter, unit=units, scope=scopes, interval=interval)


def cost_estimates(fit: SpatialFit) -> pd.DataFrame:
    """The resistance coefficients of least-cost distance: log cost of a metre per unit of each covariate."""
    table = fit.coefficients.query("parameter == 'cost'")
    rows = table[["estimate", "se", "lower", "upper"]].assign(rse=table["se"] / table["estimate"].abs())
    unit = "log cost of a metre per unit"
    return rows.assign(quantity="cost", unit=unit, scope=table["term"], interval=WALD)


def unit_of(detectors) -> str:
    """One unit of effort of detectors."""
    if detectors.kind in AREAS:
        return "search of a whole range"
    return "km walked" if detectors.located else detectors.effort_unit.removesuffix("s")
