"""Several sites read as their forms say, as sessions of one model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ...models import SCR, stratum_totals
from ...models.spatial.fit import SpatialFit
from ...survey.errors import refuse
from ...survey.verify import Findings
from ..captures.form import Model
from ..captures.study import CaptureStudy
from ..study import Study, files_of, read_study
from .form import RegionForm, Site

DESIGN, MODEL = "abundance by the design", "abundance by the model"


@dataclass(frozen=True, eq=False)
class RegionStudy(Study):
    """A study of sites; each is a session of its models."""

    form: ClassVar = RegionForm

    parts: tuple[tuple[Site, CaptureStudy], ...] = ()

    @classmethod
    def read(cls, config: RegionForm, folder: Path) -> RegionStudy:
        parts = []
        for site in config.sites:
            study = read_study(folder / site.survey, site.session)
            if type(study) is not CaptureStudy or not study.is_one_history:
                what = "a site is a survey of animals that were told apart, without [marking] and flank = 'both'"
                raise refuse(what, "Give the survey.toml of spatial capture-recapture", value=site.survey)
            parts.append((site, study))
        return cls(config, folder, tuple(parts))

    @classmethod
    def files_named(cls, config: RegionForm) -> list[str | None]:
        return [site.survey for site in config.sites]

    def named_files(self) -> list[str | None]:
        return [*self.files_named(self.config), *files_of((site.survey, study) for site, study in self.parts)]

    @property
    def data(self) -> tuple:
        return tuple(thing for _, study in self.parts for thing in (study.captures, study.mask))

    @property
    def strata(self) -> dict[str, str]:
        """Stratum of each site; empty without strata."""
        return {site.name: str(site.stratum) for site, _ in self.parts} if self.config.strata else {}

    def build(self, part: Model) -> SCR:
        captures = [replace(study.captures, session=site.name) for site, study in self.parts]
        options: dict[str, Any] = part.options()
        if "distance" in options:
            options["distance"] = [part.options(study.barriers)["distance"] for _, study in self.parts]
        if self.strata:
            options["session_covariates"] = pd.DataFrame({"stratum": self.strata})
        return SCR(captures, [study.mask for _, study in self.parts], **options)

    def story(self, analysis):
        from .story import RegionStory

        return RegionStory(analysis)

    def totals(self, fit: SpatialFit) -> pd.DataFrame | None:
        """Animals in every stratum and in all, see `models.stratum_totals`."""
        if not self.strata or fit.model.likelihood != "full":
            return None
        return stratum_totals(fit, self.strata, {s.name: s.area for s in self.config.strata})

    def estimates(self, fit: SpatialFit) -> pd.DataFrame:
        """Those of the sites, and the totals of the strata by the design and by the model."""
        totals, found = self.totals(fit), [fit.derive()]
        if totals is None:
            return found[0]
        for quantity, kind in ((DESIGN, "design"), (MODEL, "model")):
            rows = pd.DataFrame({"quantity": quantity, "unit": "animals", "scope": "stratum " + totals["stratum"]})
            rows.loc[totals["stratum"] == "all", "scope"] = "all strata"
            rows = rows.assign(estimate=totals["animals"], se=totals[f"se_{kind}"], interval="95% log-normal")
            rows = rows.assign(lower=totals[f"lower_{kind}"], upper=totals[f"upper_{kind}"])
            known = rows.assign(rse=rows["se"] / rows["estimate"])[rows["se"].notna()]
            found += [known] if len(known) else []
        return pd.concat(found, ignore_index=True)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the sites' data, each with its site."""
        return Findings.of_parts((site.name, study.findings) for site, study in self.parts)

    @property
    def species(self) -> str:
        return self.config.survey.species or self.parts[0][1].species
