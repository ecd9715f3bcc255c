"""survey.toml of several years."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ...models.trends.comparable import DEFINED
from ..captures.form import Region
from ..parts import Faults, Form, Part, Report, Survey, near
from .models import YearsModel

Fault = tuple[str, str, tuple[str, ...]]  # what is wrong, how to mend it, the keys that lead to it


class Year(Part):
    """[[years]]: a year by its own survey.toml, by the results.json of its report, or by a published estimate."""

    year: float = Field(description="the year, as a number")
    survey: str | None = Field(default=None, description="survey.toml of the year")
    session: str | None = Field(default=None, description="the session of that survey, where it holds several")
    results: str | None = Field(default=None, description="results.json of a report on the year")
    estimate: float | None = Field(default=None, gt=0, description="a published estimate")
    se: float | None = Field(default=None, gt=0, description="its standard error")
    source: str | None = Field(default=None, description="of a published estimate: who published it")
    definitions: dict[str, str] = Field(default={}, description="what was done in that year, where no file says it")

    @property
    def label(self) -> str:
        return f"{self.year:g}"

    @model_validator(mode="after")
    def _one_source(self):
        given = [name for name in ("survey", "results", "estimate") if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"the year {self.label} needs one of survey, results and estimate"
            raise ValueError(what, "Give survey = …, results = …, or estimate = … with se = …")
        if self.session is not None and self.survey is None:
            raise ValueError(f"the year {self.label} has a session and no survey", "Give survey = …")
        if (self.estimate is None) != (self.se is None):
            raise ValueError(f"the estimate of {self.label} needs its standard error", "Give estimate = … and se = …")
        return self


class Series(Part):
    """[series]: all years from one source: a survey.toml whose reported model follows them, or counts at sites."""

    survey: str | None = Field(
        default=None, description="form of seasons (occupancy, abundance) or of an open population"
    )
    years: tuple[float, ...] | None = Field(default=None, description="of the seasons, where names do not hold them")
    kind: Literal["projected", "smoothed"] | None = Field(default=None, description="of occupancy through seasons")
    counts: str | None = Field(default=None, description="table of counts: site, year, count (TRIM)")
    model: Literal[1, 2, 3] = Field(default=3, description="of TRIM: no change, linear, an effect of every year")
    changepoints: tuple[float, ...] | None = Field(
        default=None, description="of model 2: years at which the slope changes"
    )
    overdispersion: bool = True
    serial_correlation: bool = True
    weights: str | None = Field(default=None, description="column with the weight of a site")

    @model_validator(mode="after")
    def _one_source(self):
        if (self.survey is None) == (self.counts is None):
            raise ValueError("[series] needs one of survey and counts", "Give survey = … or counts = …")
        return self


class Trends(Part):
    """[trend]: what is followed through the years, and how."""

    quantity: str | None = Field(default=None, description="e.g. 'density'; by default the first that the years have")
    unit: str = Field(default="animals", description="of published estimates, where all years are published")
    scope: str | None = Field(
        default=None, description="of reports: the area or setting, as in their table of estimates"
    )
    method: Literal["state-space", "log-linear", "smooth", "gls", "estimates"] | None = Field(
        default=None, description="see models.trend"
    )
    generation: float | None = Field(default=None, gt=0, description="years, for the three generations of the Red List")
    correlation: tuple[tuple[float, ...], ...] | None = Field(
        default=None, description="of the errors of years that are not in one model, in their order; none by default"
    )
    base: float | None = Field(default=None, description="year of the index; the first by default")
    despite: tuple[str, ...] = Field(default=(), description="differences between years that are accepted, and marked")
    footprint: Literal["own", "common"] = Field(default="own", description="'common': only ground that all years share")


class YearsForm(Form):
    """The whole form. Without [[models]] each year is estimated by its own form; with them all years in one model."""

    model_names: ClassVar[tuple[str, ...]] = ("OpenSCR",)
    formats: ClassVar[tuple[str, ...]] = ()
    needs_models: ClassVar[bool] = False

    survey: Survey
    years: tuple[Year, ...] = ()
    series: Series | None = None
    trend: Trends = Trends()
    models: tuple[YearsModel, ...] = ()
    regions: tuple[Region, ...] = ()
    report: Report = Report()
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _years_fit(self):
        found = [*self._of_years(), *self._of_models(), *self._of_trend()]
        if found:
            raise Faults(found)
        return self

    def _of_years(self) -> Iterator[Fault]:
        """What is wrong with where the years come from."""
        if (self.series is None) == (not self.years) or (self.series is not None and self.models):
            fix = "Give one of them; [[models]] are for [[years]]"
            yield "the years come from [[years]] or from [series]", fix, ()
        if self.years and len(self.years) < 2:
            yield "a change needs two years", "Give at least two [[years]]", ()
        labels = [year.label for year in self.years]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            several = f"the years {', '.join(twice)} are" if len(twice) > 1 else f"the year {twice[0]} is"
            yield f"{several} there twice", "Give each year once", ()

    def _of_models(self) -> Iterator[Fault]:
        """What only years in one model have, and what they cannot have."""
        if self.models and any(year.survey is None for year in self.years):
            what = "[[models]] of several years need the survey of every year"
            yield what, "Give survey = … for each, or leave [[models]] out", ()
        if self.models and self.trend.correlation is not None:
            what = "[[models]] know how the errors of the years go together"
            yield what, "Leave correlation out", ("trend", "correlation")
        if self.trend.footprint == "common" and not self.models:
            what = "the ground that all years share is for years in one model, and there are no [[models]]"
            yield what, "Give [[models]], or leave footprint out", ("trend", "footprint")
        if self.regions and not self.models:
            what = "[[regions]] of several years are for [[models]]"
            yield what, "Give scope = … in [trend]: the name of a region in the years' own forms", ()

    def _of_trend(self) -> Iterator[Fault]:
        """What [trend] asks for that these years cannot have."""
        asked, R, T = self.trend, self.trend.correlation, len(self.years)
        if R is not None and self.series is not None:
            yield "the errors of a [series] go together as its model says", "Leave correlation out", ("trend",)
        elif R is not None and (len(R) != T or any(len(row) != T for row in R)):
            what = f"the correlation must have {T} rows of {T} numbers"
            yield what, "One for each pair of years", ("trend", "correlation")
        known = [year.year for year in self.years]
        known = list(self.series.years) if self.series is not None and self.series.years is not None else known
        if asked.base is not None and known and asked.base not in known:
            yield (*no_base(asked.base, known), ("trend", "base"))
        if asked.scope is not None and not any(year.estimate is None for year in self.years):
            what = "[trend] has a scope, which is for years with a form or a report of their own"
            yield what, "Leave it out", ("trend", "scope")
        elif asked.scope is not None and self.models:
            what = "[trend] has a scope, which is for years with a form or a report of their own"
            yield what, "Leave it out, and give the area as [[regions]]", ("trend", "scope")
        names = {*DEFINED, *(name for year in self.years for name in year.definitions)}
        if not any(year.results for year in self.years):  # an older report may call more things by a name
            for name in sorted(set(asked.despite) - names):
                yield (
                    f"[trend] despite: {name!r} is nothing that years differ in",
                    near(name, names),
                    ("trend", "despite"),
                )


def no_base(base: float, years: Iterable[float]) -> tuple[str, str]:
    """What is said of a base year that is not there, and how to mend it."""
    return f"there is no estimate of the base year {base:g}", f"Use one of {', '.join(f'{y:g}' for y in sorted(years))}"
