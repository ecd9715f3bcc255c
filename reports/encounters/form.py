"""survey.toml of encounter histories: marked animals, without coordinates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..model_parts import models_of, one_of
from ..parts import RECORDS, Form, Occasions, Records, Survey, TestedReport

MODELS = models_of("EncounterHistory")
NAMES = tuple(model.__name__ for model in MODELS)


class Data(Records):
    """[data]: where the tables lie, relative to survey.toml."""

    formats: ClassVar = {
        "encounters": (("path",), ("animals", "occasions")),
        "histories": (("path",), ("occasions", "codes")),
        "inp": (("path",), ("groups", "covariates", "codes")),
        **RECORDS,
    }
    anywhere: ClassVar = frozenset({"encoding", "intervals", "interval_unit", "by_period"})

    format: Literal["encounters", "histories", "inp", "camtrap-dp", "field-tables", "wildlife-insights"]
    animals: str | None = Field(default=None, description="table of covariates of animals")
    occasions: str | tuple[str, ...] | None = Field(
        default=None, description="table of all occasions in order; of histories, the headings of the occasions"
    )
    groups: tuple[str, ...] | dict[str, tuple[str, ...]] | None = Field(
        default=None, description="names of the frequency columns of an .inp file"
    )
    covariates: tuple[str, ...] | None = Field(default=None, description="names of the covariates of an .inp file")
    codes: dict[str, int] | None = Field(
        default=None,
        description="numbers of states that are letters in an .inp file or a column `ch`: { A = 1, B = 2 }",
    )
    intervals: tuple[float, ...] | None = Field(default=None, description="time between occasions, 1 by default")
    by_period: bool = Field(default=False, description="take the periods of a robust design as occasions")
    interval_unit: str | None = Field(default=None, description="such as 'year'")
    encoding: str | None = None


class EncounterForm(Form):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = NAMES
    formats: ClassVar[tuple[str, ...]] = tuple(Data.formats)

    survey: Survey
    data: Data
    occasions: Occasions = Occasions()
    models: tuple[one_of(MODELS), ...]  # type: ignore[valid-type]
    report: TestedReport = TestedReport()
    seed: int = Field(default=1, ge=0)
