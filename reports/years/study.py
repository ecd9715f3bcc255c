"""Several years read as their form says: each year's own study, stored report or published estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ...models import SCR, OpenSCR, TrimFit, trim
from ...models.trends.annual import AnnualEstimates, correlation_of, reported_row
from ...models.trends.comparable import check_comparable
from ...models.trends.footprint import CommonFootprint, common_footprint
from ...models.trends.from_fits import Known, known_of
from ...survey.errors import Problems, SurveyError, refuse
from ...survey.parks import union_of_masks
from ...survey.sheets import read_sheet
from ...survey.verify import Findings
from ..captures.study import CaptureStudy
from ..captures.words import MASK
from ..model_parts import built
from ..parts import near
from ..study import Study, files_of, read_study
from .form import Trends, Year, YearsForm, no_base
from .models import OpenModel

BY_MODEL = frozenset({"detection", "estimator", "distance"})  # definitions that a year's models may differ in
OF_AREAS = ("density", "expected abundance", "realised abundance")  # quantities whose scope is an area


@dataclass(frozen=True, eq=False)
class YearPart:
    """One year: its study, or the content of its results.json, or only what the form says."""

    year: Year
    study: Any = None
    results: dict | None = None

    @property
    def label(self) -> str:
        return self.year.label

    @property
    def models(self) -> tuple:
        """The models of its own form."""
        return tuple(getattr(getattr(self.study, "config", None), "models", ()))

    @cached_property
    def definitions(self) -> dict[str, str]:
        """What was done in this year, by its first model."""
        known: dict[str, str] = {}
        if self.results is not None:
            known = {k: str(v) for k, v in self.results.get("definitions", {}).items()}
        elif self.study is not None and self.models:
            known = self.study.definitions(SimpleNamespace(model=self.study.build(self.models[0])))
        return known | self.year.definitions

    def check_scope(self, asked: Trends) -> None:
        """That the year has an estimate of the scope that [trend] asks for, as far as is known before it is fitted."""
        if self.results is not None:
            try:
                reported_row(self.results, asked.quantity, asked.scope)
            except SurveyError as error:
                told = (replace(p, what=f"the report of {self.label} has no such estimate") for p in error.problems)
                raise SurveyError(told) from None
        areas = getattr(self.study, "regions", None) if isinstance(self.study, CaptureStudy) else None
        known = None if areas is None else [MASK, *areas]
        if known and asked.scope not in (None, *known) and asked.quantity in (None, *OF_AREAS):
            what = f"[trend] scope: the survey of {self.label} has no such area"
            raise refuse(what, near(asked.scope, known), value=asked.scope)


@dataclass(frozen=True, eq=False)
class YearStudy(Study):
    """A study of several years."""

    form: ClassVar = YearsForm

    parts: tuple[YearPart, ...] = ()
    whole: Any = None  # the study of all years, where one form has them
    counts: TrimFit | None = None  # counts at sites, read by TRIM

    @classmethod
    def read(cls, config: YearsForm, folder: Path) -> YearStudy:
        from ..results import read_results  # which knows all kinds of forms

        series = config.series
        if series is not None and series.survey is not None:
            return cls(config, folder, whole=_own(folder / series.survey, None))
        if series is not None:
            counts = _counted(series, folder)
            base, years = config.trend.base, [float(year) for year in counts.years]
            if base is not None and base not in years:
                raise refuse(*no_base(base, years), value=f"{base:g}")
            return cls(config, folder, counts=counts)
        parts, bad = [], Problems()
        for year in sorted(config.years, key=lambda y: y.year):
            try:
                own = None if year.survey is None else _own(folder / year.survey, year.session)
                stored = None if year.results is None else read_results(folder / year.results)[0]
                parts.append(YearPart(year, own, stored))
                parts[-1].check_scope(config.trend)
            except SurveyError as error:  # the others are read all the same: what is wrong is told at once
                bad.found += error.problems
        bad.raise_any()
        made = cls(config, folder, tuple(parts))
        if config.models:
            made._captures()  # that all are captures is said before anything is fitted
        return made

    @classmethod
    def files_named(cls, config: YearsForm) -> list[str | None]:
        series = () if config.series is None else (config.series.survey, config.series.counts)
        return [*series, *(name for year in config.years for name in (year.survey, year.results))]

    def named_files(self) -> list[str | None]:
        forms = [(str(part.year.survey), part.study) for part in self.parts if part.study is not None]
        forms += [] if self.whole is None else [(str(self.config.series.survey), self.whole)]
        return [*self.files_named(self.config), *files_of(forms), *(region.file for region in self.config.regions)]

    # ---- what is fitted -------------------------------------------------------------------------------------------

    @property
    def joint(self) -> bool:
        """Whether all years are estimated in one model."""
        return bool(self.config.models)

    def _captures(self) -> list[CaptureStudy]:
        found = []
        for part in self.parts:
            if not isinstance(part.study, CaptureStudy) or not part.study.is_one_history:
                raise refuse("only spatial capture-recapture without [marking] has [[models]] of several years",
                             "Leave [[models]] out: each year is then estimated by its own form",
                             value=part.label)  # fmt: skip
            found.append(part.study)
        return found

    @cached_property
    def common(self) -> CommonFootprint | None:
        """The captures on the ground that all years share, where the form asks for it."""
        if self.config.trend.footprint == "own":
            return None
        captures = [replace(s.captures, session=p.label) for s, p in zip(self._captures(), self.parts, strict=True)]
        return common_footprint(captures, [s.mask for s in self._captures()])

    def build(self, part: Any) -> SCR | OpenSCR:
        studies = self._captures()
        if self.common is not None:
            captures, masks = list(self.common.captures), list(self.common.masks)
        else:
            captures = [replace(s.captures, session=p.label) for s, p in zip(studies, self.parts, strict=True)]
            masks = [s.mask for s in studies]
        if isinstance(part, OpenModel):
            whole = union_of_masks({p.label: mask for p, mask in zip(self.parts, masks, strict=True)})
            return built(part, captures, masks[0] if all(m.equals(masks[0]) for m in masks) else whole)  # type: ignore[return-value]
        return SCR(captures, masks, **part.options())

    def compare_years(self) -> None:
        """That the years can be compared, and differ in what [trend] accepts, as far as it is known before a fit.

        Raises
        ------
        SurveyError : differences that nobody has accepted; names in despite of what does not differ
        """
        despite = self.config.trend.despite
        if self.whole is not None or self.counts is not None:
            known = Known(("all",), ({},), (None,)) if despite else None  # one model says the same of all its years
        elif self.joint:
            regions = [self.folder / region.file for region in self.config.regions]
            known = known_of(self.build(self.config.models[0]), regions[0] if regions else None)
        else:
            known = Known(tuple(p.label for p in self.parts), tuple(p.definitions for p in self.parts), ())
            told_later = {"scope", "interval"}
            if any(len(p.models) > 1 for p in self.parts):
                told_later |= BY_MODEL
            despite = tuple(name for name in despite if name not in told_later)
        if known is not None:
            check_comparable(known, despite)
        if self.config.trend.correlation is not None:  # of the errors of estimates whose variance is not known yet
            T = len(self.parts)
            AnnualEstimates(np.arange(T, dtype=float), np.zeros(T), correlation_of(self.config.trend.correlation, T))

    def prepare(self) -> None:
        self.compare_years()
        if self.whole is not None:
            self.whole.prepare()
        elif self.joint:
            super().prepare()
        else:
            for part in self.parts:
                if part.study is not None:
                    part.study.prepare()

    def analyse(self, progress=None):
        from .analysis import analyse_years

        return analyse_years(self, progress)

    def story(self, analysis):
        from .story import YearStory

        return YearStory(analysis)

    @property
    def data(self) -> tuple:
        if self.whole is not None:
            return self.whole.data
        own = tuple(thing for part in self.parts if part.study is not None for thing in part.study.data)
        return own if self.counts is None else (self.counts,)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the years' data, each with its year."""
        if self.whole is not None:
            return self.whole.findings
        return Findings.of_parts((part.label, part.study.findings) for part in self.parts if part.study is not None)


def _counted(series: Any, folder: Path) -> TrimFit:
    """TRIM's fit of the counts that the form names."""
    path = folder / series.counts
    if not path.is_file():
        raise refuse("there is no such table of counts", "Check series.counts", value=series.counts)
    how = {"changepoints": series.changepoints, "weights": series.weights}
    how |= {"overdispersion": series.overdispersion, "serial_correlation": series.serial_correlation}
    return trim(pd.DataFrame(read_sheet(path).raw), series.model, **how)


def _own(path: Path, session: str | None) -> Study:
    study = read_study(path, session)
    if isinstance(study, YearStudy):
        raise refuse("a year is described by a form of several years", "Give the survey of one year", value=str(path))
    return study
