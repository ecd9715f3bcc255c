"""How several years are told: the trend, what is not known of it, and whether the years can be compared."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...models.summary import percent
from ...models.trends.iucn import extrapolated, too_short, window
from ...models.trends.trend import signed
from ..figures.style import new_axes
from ..story import Story
from ..texts import Texts
from ..words import amount, counted, findings
from . import tables
from .analysis import YearAnalysis


class YearStory(Story):
    """Change from year to year."""

    folded: ClassVar = frozenset({"T55", "T9"})

    analysis: YearAnalysis

    # ---- sentences ----------------------------------------------------------------------------------------------

    def headline(self, texts: Texts) -> str:
        return f"{self._trend(texts)} {self._last(texts)}"

    def _trend(self, texts: Texts) -> str:
        """The change from the first year to the last, and whether the surveys can tell it from none."""
        r = self.analysis.trend.reading("end-point")
        kind = "assumed" if r["assumed"] else r["direction"] if r["sure"] else f"{r['direction']}_unsure"
        return texts.say(
            f"trend_{kind}",
            animals=self.study.config.survey.common_name,
            quantity=texts.term(self.analysis.annual.quantity),
            change=f"{abs(100 * r['change']):.0f} %",
            lower=signed(r["lower"]),
            upper=signed(r["upper"]),
            first=r["first"],
            last=r["last"],
        )

    def _last(self, texts: Texts) -> str:
        last = self.analysis.annual.table().iloc[-1]
        unit = self.analysis.annual.unit
        told = {name: amount(last[name], unit) for name in ("estimate", "lower", "upper")}
        quantity = texts.term(self.analysis.annual.quantity)
        return texts.say("year_estimate", year=last["year"], quantity=quantity, unit=counted(unit, texts), **told)

    def in_short(self, texts: Texts) -> list[str]:
        found = self.analysis.trend
        decline, rate = found.probability_of_decline(), found.log_growth("slope")
        ends = np.expm1(rate.limits)
        slope = texts.say(
            "trend_slope",
            rate=tables.percent_of(float(np.expm1(rate.centre))),
            lower=tables.percent_of(float(ends[0])),
            upper=tables.percent_of(float(ends[1])),
        )
        chance = texts.say(
            "trend_decline", p=tables.chance(decline), half=tables.chance(found.probability_of_decline(0.5))
        )
        down, up = found.detectable()
        power = texts.say("trend_power", down=percent(-down), up=f"{100 * up:,.0f} %")
        tied = texts.say("years_tied") if self.analysis.annual.tied else ""
        if found.reading("end-point")["assumed"]:
            return [tied, self._marked(texts)]
        return [f"{slope} {chance}", tied, self._red_list(texts), power, self._marked(texts)]

    def _red_list(self, texts: Texts) -> str:
        found = self.analysis.trend
        if found.generation is None:
            return ""
        if too_short(found):
            return texts.say("red_list_short", window=f"{window(found):g}", span=f"{found.span:g}")
        told = found.iucn("A2").sort_values("probability", ascending=False).iloc[0]
        kind = "red_list_beyond" if extrapolated(found) else "red_list"
        return texts.say(kind, category=texts.term(told["category"]), p=tables.chance(told["probability"]),
                         window=f"{window(found):g}", span=f"{found.span:g}")  # fmt: skip

    def _marked(self, texts: Texts) -> str:
        """What is not the same in all years, in so many words."""
        names = [texts.term(d.what) for d in self.analysis.trend.differences]
        return texts.say("years_differ", what=texts.say("and").join(names)) if names else texts.say("years_alike")

    def outline(self, texts: Texts):
        notes = () if self.study.config.report.public else self.study.notes
        together = self.study.config.trend.correlation is not None
        one = self.analysis.joint or self.study.whole is not None
        told = (
            "years_counts"
            if self.study.counts is not None
            else "years_joint"
            if one
            else "years_correlated"
            if together
            else "years_apart"
        )
        return [
            ("trend", [texts.say(told)], ("F50", "T50", "T51", "T49", "T52", "T53", "T54")),
            ("comparable", [self._marked(texts)], ("T57", "T56", "T55")),
            ("survey", [], ("T1",)),
            ("estimates", [], ("T8", "T9", "T11", "T10")),
            ("checks", [findings(self.study.findings, texts), *map(texts.term, notes)], ("T15",)),
            ("lists", [], ("T14",)),
        ]

    # ---- tables and figures -------------------------------------------------------------------------------------

    def tables(self):
        makers = {
            "T1": tables.summary,
            "T50": tables.by_year,
            "T51": tables.change,
            "T52": tables.variation,
            "T53": tables.red_list,
            "T54": tables.other_methods,
            "T55": tables.correlations,
            "T56": tables.work,
            "T57": tables.differences,
            "T49": tables.counts,
        }
        made = {name: lambda make=make: make(self.analysis) for name, make in makers.items()}
        return made if self.analysis.joint else made | {"T8": self._models, "T11": lambda: None}

    def _models(self):
        """T8 of years one by one: the model of each."""
        import pandas as pd

        rows = [
            {"year": year, "model": a.reported, "formulas": repr(a.fit.model), "verdict": str(a.fit.verdict)}
            for year, a in self.analysis.by_year.items()
        ]
        return pd.DataFrame(rows) if rows else None

    def figures(self):
        return {"F50": lambda: self.analysis.trend.plot(new_axes(3.8))}

    def note(self, name: str, texts: Texts) -> str:
        if name == "T50":
            return texts.note("T50", unit=texts.term(self.analysis.annual.unit))
        return texts.note(name)
