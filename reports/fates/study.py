"""A survey of monitored animals: when each was watched, and whether it died."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ... import survey
from ...models.derived import Estimate, table
from ...survey.errors import SurveyError
from ...survey.monitored import MonitoredAnimals
from ...survey.verify import Findings
from ..model_parts import built
from ..study import Study, merge_alike, plain_text
from .checks import check
from .form import FateForm

MOST_GROUPS = 8  # kinds of animals whose survival is told one by one


@dataclass(frozen=True, eq=False)
class FateStudy(Study):
    """A study of monitored `animals`."""

    form: ClassVar = FateForm

    animals: MonitoredAnimals

    @classmethod
    def read(cls, config: FateForm, folder: Path) -> FateStudy:
        data = config.data
        if data.format == "fates-inp":
            plain_text(data)
            names = (data.groups or (), data.covariates or ())
            return cls(config, folder, survey.read_fates_inp(folder / str(data.path), *names, period=data.period))
        how = {name: getattr(data, name) for name in ("begin", "encoding", "period", "clock", "dates")}
        return cls(config, folder, survey.read_fates(folder / str(data.path), data.length, **how))

    @classmethod
    def files_named(cls, config: FateForm) -> list[str | None]:
        return [config.data.path]

    def build(self, part: Any):
        return built(part, self.animals)

    def story(self, analysis):
        from .story import FateStory

        return FateStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.animals,)

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data."""
        return Findings(tuple(check(self.animals)))

    @cached_property
    def horizon(self) -> int:
        """Periods over which survival is told."""
        return self.config.report.horizon or self.animals.n_periods

    def estimates(self, fit: Any) -> pd.DataFrame:
        """Survival of a period as the model has it, and survival over the horizon for every kind of animal."""
        rows = merge_alike(fit.derive())
        over = f"over {self.horizon} {self.animals.period}s"
        told = []
        for words, covariates in self.kinds(fit):
            try:
                last = fit.survival(self.horizon, **covariates).iloc[-1]
            except SurveyError:  # the model says nothing of so many periods
                return rows
            scope = ", ".join([over, *([words] if words else [])])
            limits = {name: float(last[name]) for name in ("estimate", "se", "lower", "upper")}
            told.append(Estimate("survival", "probability", scope, **limits, interval="95% Wald on log(-log S)"))
        there = rows[~rows["scope"].str.startswith("over ")]
        return pd.concat([table(told), there], ignore_index=True)

    def kinds(self, fit: Any) -> list[tuple[str, dict]]:
        """The kinds of animals that a model tells apart, in words and as covariates; numbers at their mean."""
        frame = fit.model.layouts[next(iter(fit.model.formulas))].frame
        names = [name for name in frame if name in self.animals.animals]
        if not names:
            return [("", {})]
        known = self.animals.animals[names]
        known = known.assign(**{n: known[n].mean() for n in names if pd.api.types.is_float_dtype(known[n])})
        groups = known.drop_duplicates().sort_values(names).to_dict("records")[:MOST_GROUPS]
        words = lambda group: ", ".join(f"{k} = {_short(v)}" for k, v in group.items())  # noqa: E731
        return [(words(group), group) for group in groups]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
