"""What every survey.toml has: the survey, the report, the names of its models; a kind of survey adds its own parts."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .texts import ENGLISH, languages

BEST = "best by AICc"
Formula = str | float

# What each format of field records needs, and what it may have, among the keys of [data].
RECORDS = {
    "camtrap-dp": (("path",), ("identities", "failures")),
    "field-tables": (("path",), ("mapping", "deployments", "records", "identities", "failures", "dates")),
    "wildlife-insights": (("path",), ("identities", "failures")),
}


class Faults(ValueError):
    """Several things that are wrong with a form at once: what, how to fix it, and the keys that lead to it."""

    def __init__(self, found: list[tuple[str, str, tuple[str, ...]]]):
        self.found = found
        super().__init__(*found)


class Part(BaseModel):
    """A section of the form; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True)


class Survey(Part):
    """[survey]: what was surveyed, where and in which time zone."""

    name: str = Field(description="how the report calls the survey")
    species: str = Field(default="", description="scientific name as in the records")
    common_name: str = Field(default="animals", description="plural that sentences use, e.g. 'leopards'")
    timezone: str = Field(default="", description="local time zone, e.g. 'Asia/Shanghai'")
    crs: str | None = Field(default=None, description="projected coordinate system, e.g. 'EPSG:32649'")


class DataPart(Part):
    """[data]: where the tables lie, relative to survey.toml. Some keys of a format are needed."""

    formats: ClassVar[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    anywhere: ClassVar[frozenset[str]] = frozenset({"encoding"})  # keys that every format may have

    format: Any  # each kind of survey lists its own

    @model_validator(mode="after")
    def _fits_format(self):
        chosen = self.format
        needed, allowed = self.formats[chosen]
        fields = {name: field for name, field in type(self).model_fields.items() if name != "format"}
        given = {name for name, field in fields.items() if getattr(self, name) not in (None, field.default)}
        for name in needed:
            if name not in given:
                raise ValueError(f"data in the format {chosen!r} need the key {name!r}", f"Add {name} = …")
        for name in sorted(given - self.anywhere - {*needed, *allowed}):
            raise ValueError(f"data in the format {chosen!r} have no {name!r}", "Leave it out")
        return self


class Records(DataPart):
    """[data] of deployments and records, in any format that has a reader."""

    path: str | None = None
    identities: str | None = None
    failures: str | None = None
    mapping: str | None = Field(default=None, description="file that says how the columns of field tables are called")
    deployments: str | None = None
    records: str | None = None
    dates: Literal["dmy", "mdy"] | None = Field(
        default=None, description="order of day and month where it is not clear"
    )


class Occasions(Part):
    """[occasions]: how time is cut and what counts as one detection."""

    length: str | int = "1 day"
    day_boundary: str = "noon"
    kind: Literal["proximity", "count", "multi", "single", "capped"] = "proximity"
    independence: str = Field(
        default="30 minutes since the last independent record",
        description="or 'none': only records of one moment are one",
    )
    outside: Literal["refuse", "drop"] = Field(
        default="refuse", description="identified records while no camera worked"
    )
    start: str | None = Field(default=None, description="first local date, when only a part of the data is wanted")
    end: str | None = None
    session_from: str | None = Field(default=None, description="key in the deployments' groups that holds the session")
    session: str | None = Field(default=None, description="the session wanted")


class Report(Part):
    """[report]: what is told, and to whom."""

    model: str = Field(default=BEST, description="name of the model to report, or 'best by AICc'")
    interval: Literal["wald", "profile"] = "wald"
    method: Literal["likelihood", "bayes"] = Field(default="likelihood", description="bayes: draws, needs uncia[bayes]")
    sampler: Literal["nuts", "surface"] = Field(default="nuts", description="of method = 'bayes'")
    draws: int = Field(default=1000, ge=4, description="of each chain")
    chains: int = Field(default=4, ge=1)
    priors: dict[str, dict[str, Any]] = Field(default_factory=dict, description="distributions by parameter")
    previous: str | None = Field(default=None, description="results.json of the last report, to say what has changed")
    language: str = Field(default=ENGLISH, description="of the report; each has a file in reports/templates")
    public: bool = Field(default=False, description="leave out what would lead somebody to the animals")
    public_grid: float = Field(default=10_000.0, gt=0, description="metres to which a public report rounds places")

    @field_validator("language")
    @classmethod
    def _there_is(cls, language: str) -> str:
        if language not in languages():
            raise ValueError(f"there is no report in the language {language!r}", near(language, languages()))
        return language


class TestedReport(Report):
    """[report] of models whose goodness of fit is found by simulation."""

    goodness: int = Field(default=100, ge=0, description="simulated data sets of the goodness of fit; 0: none")


class Form(Part):
    """A whole survey.toml. A kind of survey lists its sections; all have survey, data, models, report and seed."""

    model_names: ClassVar[tuple[str, ...]] = ()  # what [[models]] may ask for with model = "…"
    formats: ClassVar[tuple[str, ...]] = ()  # of [data]
    needs_models: ClassVar[bool] = True

    @model_validator(mode="after")
    def _names_fit(self):
        names = [model.name for model in getattr(self, "models")]  # noqa: B009
        wanted = getattr(self, "report").model  # noqa: B009
        if not names and self.needs_models:
            raise ValueError("there are no models", "Give at least one [[models]]")
        for kind, given in (("models", names), ("regions", [region.name for region in getattr(self, "regions", ())])):
            twice = sorted({name for name in given if given.count(name) > 1})
            if twice:
                raise ValueError(f"two {kind} have the name {twice[0]!r}", "Give each its own")
        if wanted not in (BEST, *names):
            what = f"report.model names no model: {wanted!r}"
            raise Faults([(what, near(wanted, [BEST, *names]), ("report", "model"))])
        return self


def near(given: str, known: Iterable[str]) -> str:
    """What somebody may have meant, or all there is."""
    known = list(known)
    close = get_close_matches(given, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Use one of {', '.join(map(repr, known))}"
