"""A survey of sites for two species: what each visit found of the one and of the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ...survey.detections import DetectionHistory
from ...survey.verify import Findings
from ..model_parts import built
from ..sites.checks import check
from ..sites.study import SiteStudy, make_mask, on_land, read
from ..study import simulated_goodness
from .form import PairForm


@dataclass(frozen=True, eq=False)
class PairStudy(SiteStudy):
    """A study of sites with the `history` of one species and that of the `second`."""

    form: ClassVar = PairForm

    second: DetectionHistory = field(kw_only=True)

    @classmethod
    def read(cls, config: Any, folder: Path) -> PairStudy:
        first, second = (on_land(form, folder, read(form, folder)) for form in (config, config.of_second()))
        return cls(config, folder, first, make_mask(config, folder), second=second)

    @classmethod
    def files_named(cls, config: Any) -> list[str | None]:
        return [*super().files_named(config), config.second.path]

    @property
    def names(self) -> tuple[str, str]:
        """What the two species are called."""
        return self.config.survey.common_name, self.config.second.common_name

    @property
    def histories(self) -> tuple[DetectionHistory, DetectionHistory]:
        """Of the two species."""
        return self.history, self.second

    def build(self, part: Any):
        unnamed = part.names == type(part).model_fields["names"].default
        named = part.model_copy(update={"names": self.names}) if unnamed else part
        return built(named, self.history, self.second)

    def story(self, analysis):
        from .story import PairStory

        return PairStory(analysis)

    @property
    def data(self) -> tuple:
        return (*self.histories, *super().data[1:])

    @cached_property
    def findings(self) -> Findings:
        """The checks of both histories; each says which species it is about."""
        aware = all("effort" in str(part.model_dump()) for part in self.config.models)
        fixes = {"effort-ignored": "Give effort in the formulas of p1 and p2"}  # this model has no exposure
        found = [
            replace(finding, what=f"{name}: {finding.what}", fix=fixes.get(finding.id, finding.fix))
            for name, history in zip(self.names, self.histories, strict=True)
            for finding in check(history, aware)
        ]
        return Findings(tuple(found))

    def goodness(self, fit: Any):
        return simulated_goodness(fit, self.config.report.goodness, self.config.seed)
