"""survey.toml: one form that says what a survey is, where its data lie and what to make of them."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..survey.errors import Problems, refuse

BEST = "best by AICc"
Formula = str | float

UNION_MEMBER = re.compile(r"constrained-\w+|float|int|str|literal\[.*\]|function-.*")

# What each data format needs, and what it may have, among the keys of [data].
FORMATS = {
    "camtrap-dp": (("path",), ("identities", "failures")),
    "field-tables": (("path",), ("mapping", "deployments", "records", "identities", "failures", "dates")),
    "secr": (("captures", "traps"), ("covariates", "usage", "effort_unit")),
    "wildlife-insights": (("path",), ("identities", "failures")),
}


class Part(BaseModel):
    """A section of the form; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Survey(Part):
    """[survey]: what was surveyed, where and in which time zone."""

    name: str = Field(description="how the report calls the survey")
    species: str = Field(default="", description="scientific name as in the records")
    common_name: str = Field(default="animals", description="plural that sentences use, e.g. 'leopards'")
    timezone: str = Field(default="", description="local time zone, e.g. 'Asia/Shanghai'")
    crs: str | None = Field(default=None, description="projected coordinate system, e.g. 'EPSG:32649'")


class Data(Part):
    """[data]: where the tables lie, relative to survey.toml."""

    format: Literal["camtrap-dp", "field-tables", "secr", "wildlife-insights"]
    path: str | None = None
    identities: str | None = None
    failures: str | None = None
    mapping: str | None = Field(default=None, description="file that says how the columns of field tables are called")
    deployments: str | None = None
    records: str | None = None
    dates: Literal["dmy", "mdy"] | None = Field(
        default=None, description="order of day and month where it is not clear"
    )
    captures: str | None = None
    traps: str | None = None
    covariates: tuple[str, ...] | None = None
    usage: Literal["binary", "effort"] | None = None
    effort_unit: str | None = None
    encoding: str | None = Field(default=None, description="of text files that are neither UTF-8 nor GB18030")

    @model_validator(mode="after")
    def _fits_format(self) -> Data:
        needed, allowed = FORMATS[self.format]
        given = {name for name in type(self).model_fields if name != "format" and getattr(self, name) is not None}
        for name in needed:
            if name not in given:
                raise ValueError(f"data in the format {self.format!r} need the key {name!r}", f"Add {name} = …")
        for name in sorted(given - {"encoding", *needed, *allowed}):
            raise ValueError(f"data in the format {self.format!r} have no {name!r}", "Leave it out")
        return self


class Occasions(Part):
    """[occasions]: how time is cut and what counts as one detection."""

    length: str | int = "1 day"
    day_boundary: str = "noon"
    kind: Literal["proximity", "count", "multi"] = "proximity"
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


class Mask(Part):
    """[mask]: where activity centres can be."""

    buffer: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="metres around the detectors"
    )
    spacing: float | None = Field(default=None, gt=0, description="metres")
    polygon: str | None = Field(default=None, description="outline outside which there is no habitat")
    holes: tuple[str, ...] = Field(default=(), description="outlines inside which there is no habitat: lakes, glaciers")
    covariates: dict[str, str] = Field(default={}, description="name in formulas = raster file")


class Model(Part):
    """[[models]]: one model to fit; what is left out takes the default of models.SCR."""

    name: str
    D: str = "~ 1"
    lambda0: Formula | None = None
    g0: Formula | None = None
    sigma: Formula = "~ 1"
    z: Formula | None = None
    w: Formula | None = None
    detection: str = "hazard half-normal"
    likelihood: Literal["full", "conditional"] = "full"
    distribution: Literal["poisson", "binomial"] = "poisson"
    counts: Literal["poisson", "binomial"] = "poisson"
    links: dict[str, str] = Field(default={}, description="other links by parameter, e.g. D = 'identity'")


class Region(Part):
    """[[regions]]: an area in which to count the animals."""

    name: str
    file: str


class Report(Part):
    """[report]: what is told, and to whom."""

    model: str = Field(default=BEST, description="name of the model to report, or 'best by AICc'")
    interval: Literal["wald", "profile"] = "wald"
    language: Literal["en"] = "en"
    public: bool = Field(default=False, description="leave out what would lead somebody to the animals")
    public_grid: float = Field(default=10_000.0, gt=0, description="metres to which a public report rounds places")


class SurveyConfig(Part):
    """The whole form."""

    survey: Survey
    data: Data
    occasions: Occasions = Occasions()
    mask: Mask = Mask()
    models: tuple[Model, ...] = (Model(name="constant"),)
    regions: tuple[Region, ...] = ()
    report: Report = Report()
    simulate: dict[str, float | dict[str, float]] = Field(default={}, description="true values for `uncia simulate`")
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _names_fit(self) -> SurveyConfig:
        names = [model.name for model in self.models]
        if not names:
            raise ValueError("there are no models", "Give at least one [[models]]")
        for kind, given in (("models", names), ("regions", [region.name for region in self.regions])):
            twice = sorted({name for name in given if given.count(name) > 1})
            if twice:
                raise ValueError(f"two {kind} have the name {twice[0]!r}", "Give each its own")
        if self.report.model not in (BEST, *names):
            raise ValueError(
                f"report.model names no model: {self.report.model!r}", _near(self.report.model, [BEST, *names])
            )
        return self


def read_config(path: str | Path) -> SurveyConfig:
    """The form in a file.

    Raises
    ------
    SurveyError : no such file, a TOML mistake with its line, unknown keys with what may have been meant, wrong values;
        all faults of the form at once
    """
    path = Path(path)
    if path.is_dir():
        path = path / "survey.toml"
    if not path.is_file():
        raise refuse(
            "there is no such file", "Check the path, or start one with `uncia init`", file=path, value=str(path)
        )
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise refuse("the file is not in UTF-8", "Save it as UTF-8 text", file=path) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), path, text) from None
    return config_from(content, path, text)


def config_from(content: dict, file: str | Path, text: str = "") -> SurveyConfig:
    """The form in a dictionary; `file` and its `text` are for messages."""
    try:
        return SurveyConfig.model_validate(content)
    except ValidationError as error:
        bad, told = Problems(), set()
        for fault in error.errors():
            loc = _place(fault["loc"])
            if loc not in told:  # every member of a union complains about one and the same value
                what, fix, value = _in_words(fault, loc)
                bad.add(what, fix, file=file, row=_row(text, loc), value=value)
            told.add(loc)
        bad.raise_any()
        raise


def _syntax(message: str, path: Path, text: str):
    where = re.search(r"\(at line (\d+), column \d+\)", message)
    row = int(where[1]) if where else text.count("\n") + 1
    what = re.sub(r"\s*\(at .*\)", "", message)
    fix = 'Text needs quotes ("…"), a list needs [ ], and a key stands in one section only once'
    return refuse(f"this is not TOML: {what[:1].lower()}{what[1:]}", fix, file=path, row=row)


def _place(loc: tuple) -> tuple:
    """The keys and numbers that lead to a value, without pydantic's names for the members of a union."""
    return tuple(part for part in loc if isinstance(part, int) or not UNION_MEMBER.fullmatch(part))


def _in_words(fault: dict, loc: tuple) -> tuple[str, str, object]:
    """What is wrong, how to fix it and the value, from one fault that pydantic found."""
    where, key = _section(loc[:-1]), loc[-1] if loc else ""
    kind, value = fault["type"], fault.get("input")
    shown = value if isinstance(value, (str, int, float, bool)) else None
    if kind == "extra_forbidden":
        return f"{where} has no key {key!r}", _near(str(key), _keys(loc[:-1])), None
    if kind == "missing":
        return f"{where} lacks the key {key!r}", f"Add {key} = …", None
    if kind == "value_error":
        what, fix = fault["ctx"]["error"].args
        return what, fix, None
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        return f"{where}: {key} is not one of the possible values", _near(str(value), allowed), shown
    return f"{where}: {key}: {fault['msg'][:1].lower()}{fault['msg'][1:]}", "Correct the value", shown


def _section(loc: tuple) -> str:
    names = [part for part in loc if isinstance(part, str)]
    return f"[{'.'.join(names)}]" if names else "the form"


def _keys(loc: tuple) -> list[str]:
    """The keys that the section at `loc` knows."""
    part: type[Part] = SurveyConfig
    for name in loc:
        if isinstance(name, str) and name in part.model_fields:
            inner = {"models": Model, "regions": Region}.get(name, part.model_fields[name].annotation)
            part = inner if isinstance(inner, type) and issubclass(inner, Part) else part
    return list(part.model_fields)


def _near(given: str, known: list[str]) -> str:
    close = get_close_matches(given, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Use one of {', '.join(map(repr, known))}"


def _row(text: str, loc: tuple) -> int | None:
    """The line of the form that holds the key at `loc`, or else the heading of its section."""
    *section, key = [part for part in loc if isinstance(part, str)] or [""]
    nth = next((part for part in loc if isinstance(part, int)), 0)
    seen, current, index, heading = Counter(), "", 0, None
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*\[{1,2}\s*([^\]]+?)\s*\]", line)
        if found:
            current = found[1]
            index, seen[current] = seen[current], seen[current] + 1
            here = current in (".".join(section), ".".join([*section, key])) and index == nth
            heading = number if here else heading
        elif (
            current == ".".join(section)
            and (not current or heading)
            and re.match(rf"\s*[\"']?{re.escape(key)}\b", line)
        ):
            if not current or index == nth:
                return number
    return heading
