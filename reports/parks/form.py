"""survey.toml of several parks with one population: [[parks]], each with a survey.toml of its own."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ..captures.form import Checks, Model, Region
from ..parts import Form, Part, Report, Survey


class Park(Part):
    """[[parks]]: one team's survey."""

    name: str
    survey: str = Field(description="survey.toml of the park, with its own cameras, seasons and registry")


class ParksForm(Form):
    """The whole form. The mask is the ground of all parks' masks, each cell once."""

    model_names: ClassVar[tuple[str, ...]] = ()
    formats: ClassVar[tuple[str, ...]] = ()

    survey: Survey
    identities: Literal["matched", "separate"] = Field(
        description="matched: a name is one animal in all parks; separate: nobody has compared their animals"
    )
    parks: tuple[Park, ...] = Field(min_length=2)
    session: str | None = Field(default=None, description="the session wanted of every park")
    models: tuple[Model, ...] = (Model(name="constant"),)
    regions: tuple[Region, ...] = ()
    checks: Checks = Checks()
    report: Report = Report()
    seed: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _parks_differ(self):
        names = [park.name for park in self.parks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two parks have the name {name!r}", "Give each its own")
        return self
