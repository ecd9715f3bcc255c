"""survey.toml of samples: scats or hair of one search, each with the animal that left it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..model_parts import models_of, one_of, plain
from ..parts import DataPart, Form, Survey, TestedReport

MODELS = models_of("SampleCounts | Sequence[int]")
NAMES = tuple(model.__name__ for model in MODELS)
DEFAULT = "Capwire"


class Data(DataPart):
    """[data]: where the table of samples lies, relative to survey.toml."""

    formats: ClassVar = {"samples": (("path",), ())}

    format: Literal["samples"]
    path: str | None = Field(default=None, description="one row per sample with `animal`, or per animal with `count`")
    encoding: str | None = None


class SampleForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = NAMES
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    models: tuple[one_of(MODELS, DEFAULT), ...] = Field(  # type: ignore[valid-type]
        default=(plain(MODELS[NAMES.index(DEFAULT)]),)
    )
    report: TestedReport = TestedReport()
    seed: int = Field(default=1, ge=0)
