"""survey.toml of monitored animals: collared or released, and their fates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..model_parts import models_of, one_of, plain
from ..parts import DataPart, Form, Report, Survey

MODELS = models_of("MonitoredAnimals")
NAMES = tuple(model.__name__ for model in MODELS)
DEFAULT = "KnownFate"


class Data(DataPart):
    """[data]: where the table of fates lies, relative to survey.toml."""

    formats: ClassVar = {
        "fates": (("path", "length"), ("begin", "clock", "period", "dates")),
        "fates-inp": (("path",), ("groups", "covariates", "period")),
    }

    format: Literal["fates", "fates-inp"]
    path: str | None = None
    length: str | float | None = Field(default=None, description="of a period: '7 days', or a number")
    period: str = Field(default="period", description="what a period is, such as 'week'")
    clock: Literal["calendar", "entry"] = Field(
        default="calendar", description="'entry': every animal's time begins when it is released or collared"
    )
    begin: str | float | None = Field(default=None, description="of the first period; the first entry by default")
    dates: Literal["dmy", "mdy"] | None = Field(
        default=None, description="order of day and month where it is not clear"
    )
    groups: tuple[str, ...] | dict[str, tuple[str, ...]] | None = Field(
        default=None, description="names of the frequency columns of MARK's .inp file"
    )
    covariates: tuple[str, ...] | None = Field(default=None, description="names of the covariates of MARK's .inp file")
    encoding: str | None = None


class FateReport(Report):
    """[report]: what is told."""

    horizon: int | None = Field(default=None, gt=0, description="periods over which survival is told; all by default")


class FateForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = NAMES
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    models: tuple[one_of(MODELS, DEFAULT), ...] = Field(  # type: ignore[valid-type]
        default=(plain(MODELS[NAMES.index(DEFAULT)]),)
    )
    report: FateReport = FateReport()
    seed: int = Field(default=1, ge=0)
