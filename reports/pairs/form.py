"""survey.toml of two species at the same sites: that of sites, and what the second species is."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from ...models import TwoSpeciesOccupancy
from ..model_parts import part_of, plain
from ..parts import Part
from ..sites.form import SiteForm

# What tells the findings of the second species in each format of [data]; of records and patrols it is the name.
TOLD_BY = {"visits": "value", "matrix": "path"}
TOLD_BY_RECORDS = "species"


class Second(Part):
    """[second]: the second species; the first is that of [survey]."""

    species: str = Field(default="", description="scientific name as in the records or observations")
    common_name: str = Field(description="plural that sentences use, e.g. 'wolves'")
    value: str | None = Field(default=None, description="heading of its findings in the table of visits")
    path: str | None = Field(default=None, description="matrix of its findings, with the same sites")


class PairForm(SiteForm):
    """The whole form."""

    model_names: ClassVar[tuple[str, ...]] = (TwoSpeciesOccupancy.__name__,)
    formats: ClassVar[tuple[str, ...]] = ()  # those of sites, from which only the model tells it

    second: Second
    models: tuple[part_of(TwoSpeciesOccupancy), ...] = Field(  # type: ignore[valid-type]
        default=(plain(TwoSpeciesOccupancy),)
    )

    @model_validator(mode="after")
    def _second_is_told(self):
        key = TOLD_BY.get(self.data.format, TOLD_BY_RECORDS)
        if not getattr(self.second, key):
            what = f"data in the format {self.data.format!r} do not say which findings are of the second species"
            raise ValueError(what, f"Add {key} = … in [second]")
        if key == TOLD_BY_RECORDS and not self.survey.species:
            raise ValueError("[survey] does not say which findings are of the first species", "Add species = …")
        return self

    def of_second(self) -> PairForm:
        """The same form with the findings of the second species in the place of those of the first."""
        data, survey = self.data, self.survey.model_copy(update={"species": self.second.species})
        if data.format == "visits":
            data = data.model_copy(update={"columns": {**data.columns, "value": self.second.value}})
        if data.format == "matrix":
            data = data.model_copy(update={"path": self.second.path})
        return self.model_copy(update={"data": data, "survey": survey})
