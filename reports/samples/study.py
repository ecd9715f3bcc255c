"""A survey of samples: how often each animal was found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ... import survey
from ...survey.checks.finding import error, some, warning
from ...survey.samples import SampleCounts
from ...survey.verify import Findings
from ..model_parts import built
from ..study import Study, simulated_goodness
from .form import SampleForm

FEW = 5  # animals found again, below which estimates rest on little


@dataclass(frozen=True, eq=False)
class SampleStudy(Study):
    """A study of `samples`."""

    form: ClassVar = SampleForm

    samples: SampleCounts

    @classmethod
    def read(cls, config: SampleForm, folder: Path) -> SampleStudy:
        data = config.data
        return cls(config, folder, survey.read_samples(folder / str(data.path), encoding=data.encoding))

    @classmethod
    def files_named(cls, config: SampleForm) -> list[str | None]:
        return [config.data.path]

    def build(self, part: Any):
        return built(part, self.samples)

    def story(self, analysis):
        from .story import SampleStory

        return SampleStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.samples,)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data."""
        again = int((np.asarray(self.samples.counts) > 1).sum())
        if again == 0:
            what = "No animal was found twice, so these data say nothing of how many were never found"
            return Findings((error("no-animal-found-again", what, "Check the identities, or collect more samples"),))
        if again < FEW:
            what = f"Only {some(again, 'animal')} were found more than once"
            fix = "Treat the numbers as a rough guide, and collect more samples"
            return Findings((warning("few-animals-found-again", what, fix),))
        return Findings(())

    def goodness(self, fit: Any):
        return simulated_goodness(fit, self.config.report.goodness, self.config.seed)
