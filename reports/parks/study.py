"""Several parks read as their forms say, and put together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ...models import unmatched_parks
from ...models.spatial.fit import SpatialFit
from ...survey.errors import refuse
from ...survey.parks import JoinedParks, join_parks, union_of_masks
from ...survey.verify import Findings
from ..captures import regions
from ..captures.study import CaptureStudy
from ..study import files_of, read_study
from .form import ParksForm

DETECTION = ("lambda0", "g0", "sigma", "z", "w", "size", "pmix")


def without_park(formula: str) -> str:
    """A formula without the terms of the park, which is the `method` of the joint model.

    >>> without_park("~ method + T")
    '~ T'
    """
    if re.search(r"\bmethod\b", formula) is None:
        return formula
    others = []
    for term in formula.removeprefix("~").split("+"):
        factors = [part.strip() for part in term.split("*") if re.search(r"\bmethod\b", part) is None]
        others += [" * ".join(factors)] if factors and factors != ["0"] else []
    return f"~ {' + '.join(others) or '1'}"


@dataclass(frozen=True, eq=False)
class ParkStudy(CaptureStudy):
    """Capture histories in which the parks are methods, on the ground of all their masks."""

    form: ClassVar = ParksForm

    parks: tuple[tuple[str, CaptureStudy], ...] = ()
    joined: JoinedParks | None = None

    @classmethod
    def read(cls, config: Any, folder: Path) -> ParkStudy:
        parks = []
        for park in config.parks:
            study = read_study(folder / park.survey, config.session)
            if type(study) is not CaptureStudy or not study.is_one_history:
                what = "a park is a survey of animals that were told apart at cameras, not of [marking] or both flanks"
                raise refuse(what, "Give its survey.toml", value=park.survey)
            parks.append((park.name, study))
        session = config.session or "1"
        histories = {name: replace(study.captures, session=session) for name, study in parks}
        joined = join_parks(histories, config.identities)
        mask = union_of_masks({name: study.mask for name, study in parks})
        whole = replace(joined.sessions[0], tables=None)  # every park has its own: see their reports
        return cls(config, folder, whole, mask, parks=tuple(parks), joined=joined)  # type: ignore[arg-type]

    @classmethod
    def files_named(cls, config: Any) -> list[str | None]:
        return [*(park.survey for park in config.parks), *(region.file for region in config.regions)]

    def named_files(self) -> list[str | None]:
        pairs = zip(self.config.parks, self.parks, strict=True)
        return [*self.files_named(self.config), *files_of((park.survey, study) for park, (_, study) in pairs)]

    def estimates(self, fit: SpatialFit) -> pd.DataFrame:
        """As of one survey; of animals that nobody has compared also each park alone, and what to expect in both."""
        found = super().estimates(fit)
        if self.config.identities == "matched" or fit.model.likelihood != "full":
            return found
        alone = {name: study.build(self._part(fit)).fit() for name, study in self.parks}
        return pd.concat([found, unmatched_parks(alone).table], ignore_index=True)

    def story(self, analysis):
        from .story import ParkStory

        return ParkStory(analysis)

    def _part(self, fit: SpatialFit):
        """The model of one park alone: without the effect of the park."""
        part = next(p for p in self.config.models if self.build(p).formulas == fit.model.formulas)
        formulas = {n: v for n in DETECTION if isinstance(v := getattr(part, n), str)}
        return part.model_copy(update={n: without_park(formula) for n, formula in formulas.items()})

    @cached_property
    def findings(self) -> Findings:
        """The checks of the parks' data, each with its park."""
        own = Findings.of_parts((name, study.findings) for name, study in self.parks)
        return Findings((*own, *regions.findings(self)))

    def definitions(self, fit: SpatialFit) -> dict[str, str]:
        from ...models.trends.from_fits import definition_of

        return {"parks": ", ".join(name for name, _ in self.parks), "identities": self.config.identities} | {
            k: v for k, v in definition_of(fit).items() if k != "identities"
        }
