"""survey.toml of live encounters on occasions, and of reports of animals between them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..model_parts import models_of, one_of
from ..parts import DataPart, Form, Survey, TestedReport

MODELS = models_of("LiveDeadHistory")
NAMES = tuple(model.__name__ for model in MODELS)


class Data(DataPart):
    """[data]: where the tables lie, relative to survey.toml."""

    formats: ClassVar = {
        "live-dead": (("path", "reports"), ("animals", "occasions")),
        "live-dead-inp": (("path",), ("groups", "covariates")),
    }
    anywhere: ClassVar = frozenset({"encoding", "intervals", "interval_unit"})

    format: Literal["live-dead", "live-dead-inp"]
    path: str | None = Field(default=None, description="encounters alive, or an .inp file in the format LDLD")
    reports: str | None = Field(default=None, description="table of reports: animal, after, found (dead or alive)")
    animals: str | None = Field(default=None, description="table of covariates of animals")
    occasions: str | None = Field(default=None, description="table of all occasions in order")
    groups: tuple[str, ...] | dict[str, tuple[str, ...]] | None = Field(
        default=None, description="names of the frequency columns of an .inp file"
    )
    covariates: tuple[str, ...] | None = Field(default=None, description="names of the covariates of an .inp file")
    intervals: tuple[float, ...] | None = Field(
        default=None, description="time between occasions, and after the last one; 1 by default"
    )
    interval_unit: str | None = Field(default=None, description="such as 'year'")
    encoding: str | None = None


class LiveDeadForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = NAMES
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    models: tuple[one_of(MODELS), ...]  # type: ignore[valid-type]
    report: TestedReport = TestedReport()
    seed: int = Field(default=1, ge=0)
