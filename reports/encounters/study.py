"""A survey of marked animals: who was met on which occasion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from ... import survey
from ...models import goodness_of_fit
from ...survey.encounters import EncounterHistory
from ...survey.errors import refuse
from ...survey.ledger import Ledger
from ...survey.tables import SurveyTables
from ...survey.verify import Findings
from ..model_parts import built
from ..records import read_captures, records_named
from ..study import TEST, Study, merge_alike, plain_text, simulated_goodness
from .checks import check
from .form import EncounterForm

CONTINGENCY = ("CJS", "JollySeber", "Pradel")  # models that TEST 2 and TEST 3 are about


def timing(data: Any) -> dict[str, Any]:
    """What a form says of the time between occasions."""
    return {k: v for k in ("intervals", "interval_unit") if (v := getattr(data, k)) is not None}


def _read(config: EncounterForm, folder: Path) -> tuple:
    """The history by the reader of the form's format; and its tables and ledger, made from records."""
    data = config.data
    more, path = timing(data), folder / str(data.path)
    if data.format == "inp":
        plain_text(data)
        return (survey.read_inp(path, data.groups or (), data.covariates or (), data.codes, **more),)
    if data.format == "histories":
        given = data.occasions
        headings = [given] if isinstance(given, str) else given
        more |= {"codes": data.codes, "encoding": data.encoding}
        return (survey.read_histories(path, occasions=headings, **more),)
    if data.format == "encounters":
        beside = {"animals": data.animals, "occasions": _table(data.occasions)}
        places = {name: None if file is None else folder / file for name, file in beside.items()}
        return (survey.read_encounters(path, encoding=data.encoding, **places, **more),)
    captures = read_captures(config.survey, data, config.occasions, folder)
    return EncounterHistory.from_captures(captures, **more), (captures.tables, captures.ledger)


@dataclass(frozen=True, eq=False)
class EncounterStudy(Study):
    """A study with a `history` of encounters; `tables` and `ledger` where it was made from records."""

    form: ClassVar = EncounterForm

    history: EncounterHistory
    records: tuple[SurveyTables | None, Ledger] = (None, Ledger())

    @classmethod
    def read(cls, config: EncounterForm, folder: Path) -> EncounterStudy:
        history, *records = _read(config, folder)
        history = history.by_period() if config.data.by_period else history
        return cls(config, folder, history, *((records[0],) if records else ()))

    @classmethod
    def files_named(cls, config: EncounterForm) -> list[str | None]:
        data = config.data
        occasions = _table(data.occasions) if data.format == "encounters" else None
        return [*records_named(data), data.animals, occasions]

    def build(self, part: Any):
        return built(part, self.history)

    def story(self, analysis):
        from .story import EncounterStory

        return EncounterStory(analysis)

    @property
    def data(self) -> tuple:
        return (self.history,)

    @property
    def tables(self):
        return self.records[0]

    @property
    def ledger(self):
        return self.records[1]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the occasions."""
        known = self.history.occasions
        if "occasion" in known:
            return tuple(map(str, known["occasion"]))
        return tuple(str(t + 1) for t in range(self.history.n_occasions))

    @cached_property
    def findings(self) -> Findings:
        """The checks of the data."""
        found = check(self.history, self.labels)
        return Findings(tuple(found))

    def estimates(self, fit: Any) -> pd.DataFrame:
        """What people are told, with occasions by their names."""
        rows = merge_alike(fit.derive())
        return rows.assign(scope=[self.worded(scope) for scope in rows["scope"]])

    def worded(self, text: str) -> str:
        """Occasions by their names, where they have any: "occasion 1 to 2" -> "2015 to 2016", "t = 1" -> "t = 2015"."""
        if "occasion" not in self.history.occasions:
            return text
        label = lambda k: self.labels[int(k) - 1]  # noqa: E731
        text = re.sub(r"\boccasion (\d+) to (\d+)", lambda m: f"{label(m[1])} to {label(m[2])}", text)
        text = re.sub(r"\boccasion (\d+)", lambda m: label(m[1]), text)
        return re.sub(r"\b(t|cohort) = (\d+)", lambda m: f"{m[1]} = {label(m[2])}", text)

    def goodness(self, fit: Any) -> pd.DataFrame:
        """TEST 2 and TEST 3 of models of survival of one state, else what simulation gives."""
        if type(fit.model).__name__ not in CONTINGENCY or self.history.n_occasions < 3:
            return simulated_goodness(fit, self.config.report.goodness, self.config.seed)
        found = goodness_of_fit(self.history)
        overall = {"test": "TEST 2 and TEST 3 together", **found.overall, "c_hat": found.c_hat}
        parts = found.tests[["statistic", "df", "p"]].assign(
            test="TEST " + found.tests["test"] + ": " + found.tests["null hypothesis"], c_hat=float("nan")
        )
        return pd.DataFrame([overall, *parts.to_dict("records")])[list(TEST)]


def _table(name: str | tuple[str, ...] | None) -> str | None:
    """The table of occasions that a form names."""
    if name is None or isinstance(name, str):
        return name
    raise refuse("occasions must be one table here", "Give the name of a CSV file", value=list(name))
