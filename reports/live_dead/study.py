"""A survey of marked animals that are met alive on occasions and reported between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ... import survey
from ...survey.live_dead import LiveDeadHistory
from ...survey.verify import Findings
from ..encounters.study import EncounterStudy, timing
from ..model_parts import built
from ..study import plain_text, simulated_goodness
from .form import LiveDeadForm


@dataclass(frozen=True, eq=False)
class LiveDeadStudy(EncounterStudy):
    """A study of encounters alive (`history`), and of them with what was `reported` between occasions."""

    form: ClassVar = LiveDeadForm

    reported: LiveDeadHistory = field(kw_only=True)

    @classmethod
    def read(cls, config: Any, folder: Path) -> LiveDeadStudy:
        data = config.data
        more, path = timing(data), folder / str(data.path)
        if data.format == "live-dead-inp":
            plain_text(data)
            found = survey.read_live_dead_inp(path, data.groups or (), data.covariates or (), **more)
        else:
            places = {name: folder / file for name in ("animals", "occasions") if (file := getattr(data, name))}
            found = survey.read_live_dead(path, folder / str(data.reports), encoding=data.encoding, **places, **more)
        return cls(config, folder, found.live, reported=found)

    @classmethod
    def files_named(cls, config: Any) -> list[str | None]:
        data = config.data
        return [data.path, data.reports, data.animals, data.occasions]

    def build(self, part: Any):
        return built(part, self.reported)

    def story(self, analysis):
        from .story import LiveDeadStory

        return LiveDeadStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.reported,)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the encounters. Reports tell of survival too, so no animal needs to be met twice."""
        told = self.reported.n_found_dead + self.reported.n_resighted
        found = super().findings
        return Findings(tuple(f for f in found.items if not told or f.id != "no-animal-met-again"))

    def goodness(self, fit: Any):
        return simulated_goodness(fit, self.config.report.goodness, self.config.seed)
