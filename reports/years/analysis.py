"""The years estimated, jointly or one by one, and the trend through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from ...models import AnnualEstimates, Verdict, trend
from ...models.derived import COLUMNS as DERIVED
from ...models.trends.processes import METHODS
from ...models.trends.trend import Trend
from ...survey.errors import SurveyError
from ..analysis import COLUMNS, Analysis, analyse, fit_all
from .study import YearPart, YearStudy

ONE_BY_ONE = "each year by itself"
WHOLE = "all years"  # the key of the analysis of a form that has all years


@dataclass(frozen=True, eq=False)
class YearAnalysis(Analysis):
    """Estimates of several years and what became of the population."""

    by_year: dict[str, Analysis] = field(default_factory=dict)  # of years with a form of their own, one by one

    @property
    def joint(self) -> bool:
        """Whether all years are in one model."""
        return self.study.joint

    @cached_property
    def reported(self) -> str:
        """Name of the model, or of the way, whose trend people are told."""
        if self.study.whole is not None:
            return self.by_year[WHOLE].reported
        if self.study.counts is not None:
            return f"TRIM model {self.study.counts.model}"
        return Analysis.reported.func(self) if self.joint else ONE_BY_ONE

    @property
    def fit(self) -> Any:
        if self.joint:
            return self.fits[self.reported]
        remarks = tuple(r for a in self.by_year.values() for r in a.fit.verdict.remarks)
        return SimpleNamespace(verdict=Verdict(tuple(dict.fromkeys(remarks))), model=None)

    @property
    def annual(self) -> AnnualEstimates:
        """The estimates of the years with the covariance of their errors, of the reported model."""
        return self.series[self.reported].annual

    @property
    def trend(self) -> Trend:
        """The trend by the method that the form asks for, or the usual one."""
        return self.series[self.reported]

    @cached_property
    def series(self) -> dict[str, Trend]:
        """The trend by each model of the years."""
        if self.joint:
            return {name: self._trend(self._of_fit(fit)) for name, fit in self.fits.items()}
        if self.study.whole is not None:
            asked, whole = self.study.config.series, self.by_year[WHOLE]
            how = {"quantity": self.study.config.trend.quantity, "years": asked.years, "kind": asked.kind}
            return {whole.reported: self._trend(AnnualEstimates.from_fit(whole.fit, **how))}
        if self.study.counts is not None:
            return {self.reported: self._trend(self.study.counts.annual_estimates())}
        return {ONE_BY_ONE: self._trend(self._one_by_one())}

    @property
    def sources(self) -> list[str]:
        """Where the estimate of each year comes from, in a word."""
        series = self.study.config.series
        if series is not None:
            return [str(series.survey or series.counts)] * len(self.annual)
        return [source_of(part) for part in self.study.parts]

    def _trend(self, annual: AnnualEstimates, method: str | None = None) -> Trend:
        asked = self.study.config.trend
        return trend(annual, method or asked.method, generation=asked.generation, despite=asked.despite)

    @cached_property
    def other_methods(self) -> dict[str, Trend]:
        """The trend by the other methods, as far as the data allow them."""
        found = {}
        for method in (*METHODS, "estimates"):
            if method == self.trend.method:
                continue
            try:
                found[method] = self._trend(self.annual, method)
            except SurveyError:  # such as too few years for a variance
                continue
        return found

    # ---- the estimates of the years -----------------------------------------------------------------------------

    def _of_fit(self, fit: Any) -> AnnualEstimates:
        regions = [self.study.folder / region.file for region in self.study.config.regions]
        quantity = self.study.config.trend.quantity
        return AnnualEstimates.from_fit(fit, quantity=quantity, region=regions[0] if regions else None)

    def _one_by_one(self) -> AnnualEstimates:
        asked = self.study.config.trend
        correlation = None
        if asked.correlation is not None:  # the form has the years in any order, here they rise
            order = np.argsort([year.year for year in self.study.config.years], kind="stable")
            correlation = np.array(asked.correlation)[np.ix_(order, order)]
        if all(part.year.estimate is not None for part in self.study.parts):
            frame = pd.DataFrame([_published(part) for part in self.study.parts])
            return AnnualEstimates.from_table(
                frame, quantity=asked.quantity or "abundance", unit=asked.unit, correlation=correlation
            )
        stored = {part.label: self._stored(part) for part in self.study.parts}
        known = next(c for c in stored.values() if c["estimates"][0]["quantity"])
        for content in stored.values():  # a published estimate is of what the others are
            row = content["estimates"][0]
            if not row["quantity"]:
                like = _like(known, asked)
                row |= {"quantity": like["quantity"], "unit": like["unit"], "scope": like["scope"]}
        return AnnualEstimates.from_results(stored, quantity=asked.quantity, scope=asked.scope, correlation=correlation)

    def _stored(self, part: YearPart) -> dict[str, Any]:
        """A year as a results.json holds it."""
        if part.results is not None:
            content = part.results
            return {**content, "definitions": dict(content.get("definitions", {})) | part.year.definitions}
        if part.study is None:
            row = {"model": "published", "quantity": "", "unit": "", "scope": "", "interval": "published"}
            row |= {"estimate": part.year.estimate, "se": part.year.se}
            return {"reported": "published", "estimates": [row], "definitions": part.year.definitions}
        own = self.by_year[part.label]
        definitions = own.study.definitions(own.fit) | part.year.definitions
        return {"reported": own.reported, "estimates": own.estimates.to_dict("records"), "definitions": definitions}

    # ---- what a report needs ------------------------------------------------------------------------------------

    @cached_property
    def comparison(self) -> pd.DataFrame | str:
        """The joint models by AICc, or why there are none to compare."""
        if not self.joint:
            return "every year has models of its own"
        return Analysis.comparison.func(self)  # type: ignore[attr-defined]

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Every year and the trend, of every model."""
        parts = []
        for name, found in self.series.items():
            of_years = found.annual.table().rename(columns={"year": "scope"})
            of_years = of_years.assign(quantity=found.annual.quantity, unit=found.annual.unit)
            rows = pd.concat([of_years[list(DERIVED)], found.derive(), self._beyond(name)], ignore_index=True)
            parts.append(rows.assign(model=name, method=found.method))
        return pd.concat(parts, ignore_index=True)[list(COLUMNS)]

    def _beyond(self, name: str) -> pd.DataFrame:
        """What an open population tells beside the years: survival, arrivals, movement."""
        fit = self.fits.get(name)
        if fit is None or not hasattr(fit, "expected_animals"):
            return pd.DataFrame(columns=list(DERIVED))
        rows = fit.derive()
        told = rows["quantity"].isin(("density", "growth"))
        told |= (rows["quantity"] == "expected abundance") & ~rows["scope"].str.contains(",")  # that of all classes
        return rows[~told]

    @cached_property
    def goodness(self) -> pd.DataFrame:
        return pd.DataFrame(columns=["test", "statistic", "df", "p", "c_hat"])

    @property
    def more_results(self) -> dict[str, Any]:
        annual, asked, found = self.annual, self.study.config.trend, self.trend
        told = annual.table()
        years = [
            {"year": label, "estimate": float(told["estimate"][i]), "rse": float(told["rse"][i]),
             "source": source, "definitions": {k: str(v) for k, v in annual.definitions[i].items()}}
            for i, (label, source) in enumerate(zip(annual.labels, self.sources, strict=True))
        ]  # fmt: skip
        how = {"method": found.method, "definitions": "slope; end-point", "generation": asked.generation,
               "prior of sigma": _prior(found), "base": asked.base or float(annual.years[0])}  # fmt: skip
        return {"years": years, "log_covariance": np.asarray(annual.covariance).tolist(), "trend": how}


def _prior(found: Trend) -> str:
    from ...models.trends.trend import NODES, SCALE

    if found.method not in SCALE:
        return "none"
    return f"half-Cauchy, scale {SCALE[found.method]:g}, {NODES} nodes"


def _published(part: YearPart) -> dict[str, Any]:
    return {"year": part.year.year, "estimate": part.year.estimate, "se": part.year.se} | part.year.definitions


def _like(known: dict[str, Any], asked: Any) -> dict[str, Any]:
    from ...models.trends.annual import reported_row

    return reported_row(known, asked.quantity, asked.scope)


def source_of(part: YearPart) -> str:
    """Where the estimate of a year comes from, in a word."""
    if part.year.estimate is not None:
        return part.year.source or "published"
    return str(part.year.survey or part.year.results)


def analyse_years(study: YearStudy, progress: Callable[[str, int, float], None] | None = None) -> YearAnalysis:
    """Fit the years, jointly or one by one.

    Raises
    ------
    SurveyError : a year that cannot be fitted; years that cannot be compared
    """
    study.compare_years()
    if study.whole is not None:
        whole = analyse(study.whole, progress)
        made = YearAnalysis(study, whole.fits, {WHOLE: whole})
    elif study.joint:
        made = YearAnalysis(study, fit_all(study, progress))
    else:
        by_year = {}
        for part in study.parts:
            if part.study is not None:
                told = (lambda n, e, ll, y=part.label: progress(f"{y}: {n}", e, ll)) if progress else None
                by_year[part.label] = analyse(part.study, told)
        fits = {f"{year}: {name}": fit for year, a in by_year.items() for name, fit in a.fits.items()}
        made = YearAnalysis(study, fits, by_year)
    _ = made.trend  # what cannot be compared is refused before anything is written
    return made
