"""How surveys of monitored animals are told: the report of survival."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd

from ...models import kaplan_meier
from ...models.summary import number, percent
from ...survey.errors import SurveyError
from .. import words
from ..figures import fates as draw
from ..figures.encounters import side_by_side
from ..story import Story
from ..texts import Texts
from . import tables

MOST_TOLD, MOST_DRAWN = 3, 6  # kinds of animals in the headline, and curves


class FateStory(Story):
    """How collared or released animals survive."""

    folded: ClassVar = frozenset({"T41", "T42"})

    # ---- sentences ----------------------------------------------------------------------------------------------

    def headline(self, texts: Texts) -> str:
        animals, name = self.study.animals, self.study.config.survey.common_name
        first = texts.say("followed", followed=animals.n_animals, animals=name, died=animals.n_deaths)
        told = self._over() if len(self._over()) else self._rows().iloc[:1]
        second = words.estimates(told, texts, name) if len(told) <= MOST_TOLD else self._observed(texts)
        return f"{first} {second}"

    def in_short(self, texts: Texts) -> list[str]:
        animals = self.study.animals
        risk = animals.at_risk.sum(axis=1)
        told = dict(time=f"{risk.sum():,}", period=animals.period, mean=number(float(risk[risk > 0].mean()), 3))
        return [texts.say("followed_time", **told), texts.say("censored", period=animals.period)]

    def _period(self) -> str:
        """What a period is, in the plural."""
        return f"{self.study.animals.period}s"

    def _rows(self) -> pd.DataFrame:
        return self.analysis.estimates[self.analysis.estimates["model"] == self.analysis.reported]

    def _over(self) -> pd.DataFrame:
        """Survival over the horizon."""
        rows = self._rows()
        return rows[(rows["quantity"] == "survival") & rows["scope"].str.startswith("over ")]

    def outline(self, texts: Texts):
        name = self.study.config.survey.common_name
        few = self._over() if len(self._over()) <= MOST_TOLD else self._over()[:0]
        told = [words.estimates(few, texts, name), self._observed(texts)]
        told.append(texts.of_model(type(self.analysis.fit.model).__name__))
        tests = self.analysis.goodness
        return [
            ("watched", [], ("T1", "F40", "T40")),
            ("where", told, ("F41 F42", "T9", "T8", "T11", "T10")),
            ("fit", [words.goodness(tests.iloc[0], texts)] if len(tests) else [], ("T12",)),
            ("checks", [words.findings(self.study.findings, texts), *map(texts.term, self.study.notes)], ("T15",)),
            ("lists", [], ("T42", "T41", "T14")),
        ]

    def _observed(self, texts: Texts) -> str:
        """What the data say without a model."""
        observed = kaplan_meier(self.study.animals)
        observed = observed[(observed["period"] <= self.study.horizon) & (observed["at_risk"] > 0)]
        last = observed.iloc[-1]
        share = {name: percent(float(last[name])) for name in ("estimate", "lower", "upper")}
        within = texts.say(f"within_{self.study.config.data.clock}", periods=int(last["period"]), period=self._period())
        return texts.say("kaplan_meier", within=within, **share)

    # ---- tables and figures -------------------------------------------------------------------------------------

    def tables(self):
        makers = {
            "T1": tables.summary,
            "T40": tables.groups,
            "T41": tables.individuals,
            "T42": tables.life_table,
        }
        return {name: lambda make=make: make(self.analysis) for name, make in makers.items()}

    def figures(self):
        study, period = self.study, self.study.animals.period
        curves = self._curves()
        observed = kaplan_meier(study.animals)
        since = {"calendar": f"{period}s since the beginning", "entry": f"{period}s since release"}
        made = {"F40": lambda: draw.timeline(study.animals, since[study.config.data.clock])}
        made["F41"] = lambda: draw.survival(curves, observed, period, study.horizon)
        rows = self._over()
        if len(rows) > 1:
            short = rows.assign(scope=[scope.split(", ", 1)[-1] for scope in rows["scope"]])
            label = f"survival over {study.horizon} {period}s"
            made["F42"] = lambda: side_by_side(short, label)
        return made

    def _curves(self) -> dict[str, pd.DataFrame]:
        """Survival of each kind of animal, as far as the model goes."""
        fit: Any = self.analysis.fit
        found = {}
        for told, covariates in self.study.kinds(fit)[:MOST_DRAWN]:
            try:
                found[told] = fit.survival(max(self.study.horizon, self.study.animals.n_periods), **covariates)
            except SurveyError:  # the model says nothing of so many periods
                found[told] = fit.survival(None, **covariates)
        return found

    def model_columns(self, name: str) -> dict[str, str]:
        rows = self.analysis.estimates.query("model == @name and quantity == 'survival'")
        rows = rows[rows["scope"].str.startswith("over ")]
        if len(rows) != 1:
            return {"survival": ""}
        one = rows.iloc[0]
        return {"survival": f"{number(one['estimate'], 2)} ({number(one['lower'], 2)} – {number(one['upper'], 2)})"}
