"""survey.toml of several sites of one region: [[sites]], each with a survey.toml of its own, in [[strata]]."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from ..captures.form import Model
from ..parts import Form, Part, Report, Survey, near


class Site(Part):
    """[[sites]]: one survey."""

    name: str
    survey: str = Field(description="survey.toml of the site")
    session: str | None = Field(default=None, description="the session of that survey, where it holds several")
    stratum: str | None = Field(default=None, description="in which the site was drawn at random")


class Stratum(Part):
    """[[strata]]: a part of the region in which sites were drawn at random."""

    name: str
    area: float = Field(gt=0, description="km² of habitat")


class RegionForm(Form):
    """The whole form. In formulas `session` is the site and `stratum` its stratum."""

    survey: Survey
    sites: tuple[Site, ...] = Field(min_length=2)
    strata: tuple[Stratum, ...] = ()
    models: tuple[Model, ...] = (Model(name="density of every site", D="~ session"),)
    report: Report = Report()
    seed: int = Field(default=1, ge=0)
    formats: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _sites_fit(self):
        for kind, names in (("sites", [s.name for s in self.sites]), ("strata", [s.name for s in self.strata])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {kind} have the name {twice[0]!r}", "Give each its own")
        known = [s.name for s in self.strata]
        for site in self.sites:
            if self.strata and site.stratum not in known:
                what = f"the site {site.name!r} is in no stratum that has an area"
                raise ValueError(what, near(str(site.stratum), known))
        return self
