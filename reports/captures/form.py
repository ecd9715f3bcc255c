"""survey.toml of spatial capture-recapture."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from ...models import LeastCost
from ...survey.readers.secr_shapes import OF_SECR
from ..parts import RECORDS, Form, Formula, Occasions, Part, Records, Report, Survey
from .both_flanks import check_flanks
from .methods import Method
from .resight import Marking, ResightModel, check_marking


class Data(Records):
    """[data]: where the tables lie, relative to survey.toml."""

    formats: ClassVar = {
        name: (needed, (*allowed, "registry", "flank")) for name, (needed, allowed) in RECORDS.items()
    } | {"secr": (("captures", "traps"), ("covariates", "usage", "noccasions", "effort_unit"))}

    format: Literal["camtrap-dp", "field-tables", "secr", "wildlife-insights"]
    captures: str | None = None
    traps: str | None = None
    covariates: tuple[str, ...] | None = None
    usage: Literal["binary", "effort"] | None = None
    noccasions: int | None = Field(default=None, ge=1, description="where the files end before the last occasion")
    effort_unit: str | None = None
    registry: str | None = Field(default=None, description="file of decisions on identities: aliases, merges, splits")
    flank: Literal["left", "right", "more animals", "both"] | None = Field(
        default=None, description="whose photographs are used, where identities say which flank they show"
    )
    encoding: str | None = Field(default=None, description="of text files that are neither UTF-8 nor GB18030")


class Mask(Part):
    """[mask]: where activity centres can be."""

    buffer: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="metres around the detectors"
    )
    spacing: float | None = Field(default=None, gt=0, description="metres")
    table: str | None = Field(default=None, description="table of cells, x and y with covariates, in place of a buffer")
    polygon: str | None = Field(default=None, description="outline outside which there is no habitat")
    holes: tuple[str, ...] = Field(default=(), description="outlines inside which there is no habitat: lakes, glaciers")
    covariates: dict[str, str] = Field(default={}, description="name in formulas = raster file")
    barriers: str | None = Field(
        default=None, description="lines or polygons that animals do not cross; least cost only"
    )

    @model_validator(mode="after")
    def _one_origin(self):
        if self.table is not None and self.buffer != "auto":
            raise ValueError("[mask]: a table of cells has no buffer", "Leave out buffer or table")
        return self


Kind = Literal["proximity", "count", "multi", "single", "capped", "polygon", "polygonX", "transect", "transectX"]


class Caught(Occasions):
    """[occasions], with the searches of areas and lines that secr's files can hold."""

    kind: Kind = "proximity"  # pyright: ignore[reportIncompatibleVariableOverride]


class Model(Part):
    """[[models]]: one model to fit; what is left out takes the default of models.SCR."""

    name: str
    D: str = "~ 1"
    lambda0: Formula | None = None
    g0: Formula | None = None
    sigma: Formula = "~ 1"
    z: Formula | None = None
    w: Formula | None = None
    classes: str | None = Field(default=None, description="covariate of the animals, e.g. 'sex', or 'h2' or 'h3'")
    pmix: Formula | None = None
    detection: str = "hazard half-normal"
    likelihood: Literal["full", "conditional"] = "full"
    distribution: Literal["poisson", "binomial"] = "poisson"
    counts: Literal["poisson", "binomial", "negative binomial"] = "poisson"
    size: Formula | None = Field(default=None, description="clumping of negative-binomial counts")
    at_least: Literal[1, 2] = Field(default=1, description="2 leaves out animals detected once, some may be ghosts")
    links: dict[str, str] = Field(default={}, description="other links by parameter, e.g. D = 'identity'")
    distance: Literal["straight", "least cost"] = Field(
        default="straight", description="least cost: along the ways that cost an animal least, around [mask] barriers"
    )
    cost: str | None = Field(default=None, description="formula of the log cost of a metre; none: the shortest way")
    neighbours: Literal[8, 16] = Field(default=16, description="of a cell, to which steps of a way can lead")

    through: Literal["habitat", "everywhere"] = Field(
        default="habitat", description="cells that ways lead through; everywhere: all of the mask's raster"
    )

    def options(self, barriers=None) -> dict:
        """The arguments of models.SCR after the data; `barriers`: shapes that ways do not cross."""
        said = self.model_dump(exclude={"name", "distance", "cost", "neighbours", "through"}, exclude_none=True)
        if self.distance == "straight":
            return said
        through = None if self.through == "habitat" else self.through
        return said | {"distance": LeastCost(self.cost, barriers, self.neighbours, through)}

    @model_validator(mode="after")
    def _cost_of_ways(self):
        if self.cost is not None and self.distance != "least cost":
            raise ValueError(
                f"model {self.name!r} has a cost and straight distances", "Add distance = 'least cost', or leave it out"
            )
        if self.through != "habitat" and self.distance != "least cost":
            raise ValueError(
                f"model {self.name!r} has straight distances, which lead through everything", "Leave through out"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _kind(cls, content):
        """`model = "SCR"` may be said, as in the other kinds of survey, and need not."""
        if isinstance(content, dict) and content.get("model") == "SCR":
            return {name: value for name, value in content.items() if name != "model"}
        return content


def _kind(entry: Any) -> str:
    """SCR, where the entry does not say."""
    found = entry.get("model") if isinstance(entry, dict) else getattr(entry, "model", None)
    return "MarkResight" if found == "MarkResight" else "SCR"


AnyModel = Annotated[Annotated[Model, Tag("SCR")] | Annotated[ResightModel, Tag("MarkResight")], Discriminator(_kind)]


class Collars(Part):
    """[telemetry]: positions of collared animals, see `survey.read_telemetry`."""

    files: tuple[str, ...] = Field(min_length=1, description="tables with animal and longitude, latitude or x, y")
    thin_hours: float | None = Field(default=None, gt=0, description="hours between fixes of an animal that are kept")
    columns: dict[str, str] = Field(default={}, description="what this project calls a column = what the files call it")
    dates: Literal["dmy", "mdy"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_file(cls, content):
        """`file = "collars.csv"` may be said for one file."""
        if isinstance(content, dict) and isinstance(content.get("file"), str) and "files" not in content:
            return {name: v for name, v in content.items() if name != "file"} | {"files": (content["file"],)}
        return content


class Region(Part):
    """[[regions]]: an area in which to count the animals."""

    name: str
    file: str


class Checks(Part):
    """[checks]: what is asked of the reported model after it has been fitted."""

    goodness: int = Field(default=0, ge=0, description="simulated data sets, each fitted again; 0: none")
    ghosts: bool = Field(default=False, description="animals detected once, and density without them")
    residuals: bool = Field(default=False, description="where more or fewer detections were made than expected")
    closure: bool = Field(default=False, description="whether animals came or went during the survey")
    mask: bool = Field(default=False, description="density on a wider and on a finer habitat mask")


class CaptureForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = ("SCR", "MarkResight")
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    method: str = Field(default="camera", description="how the method of [data] is called where there are [[methods]]")
    methods: tuple[Method, ...] = ()
    telemetry: Collars | None = None
    marking: Marking | None = None
    occasions: Caught = Caught()
    mask: Mask = Mask()
    models: tuple[AnyModel, ...] = (Model(name="constant"),)
    regions: tuple[Region, ...] = ()
    checks: Checks = Checks()
    report: Report = Report()
    simulate: dict[str, float | dict[str, float]] = Field(default={}, description="true values for `uncia simulate`")
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _parts_fit(self):
        kind = self.occasions.kind
        if kind in OF_SECR and self.data.format != "secr":
            what = f"[occasions]: kind = {kind!r} is of searches in the files of secr"
            raise ValueError(what, "Searched areas and lines in other formats go into [[methods]]")
        names = [self.method, *(method.name for method in self.methods)]
        for name in dict.fromkeys(
            n for n in names if self.methods and names.count(n) > 1
        ):  # one would replace the other
            who = " (that of [data], see `method` at the top)" if name == self.method else ""
            raise ValueError(f"two methods are called {name!r}{who}", "Give each method its own name")
        check_marking(self)
        check_flanks(self)
        return self
