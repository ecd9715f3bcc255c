"""How surveys of marked animals are told: the report of numbers, survival and recruitment."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from .. import words
from ..figures import encounters as draw
from ..story import Story
from ..texts import Texts
from . import tables

# Quantities that the headline tells, those that a model has, two at most; and those of the section of estimates.
HEADLINES = ("abundance", "survival", "superpopulation")
TOLD = (*HEADLINES, "recruits", "growth", "recruitment", "seniority", "move", "temporary emigration", "detection")
NOT_DRAWN = ("entry", "abundance", "expected abundance", "superpopulation", "never met")
FEW = 4  # estimates of one quantity that are told one by one; of more, the first and the last


class EncounterStory(Story):
    """How many animals there are, and what becomes of them, from encounters without coordinates."""

    folded: ClassVar = frozenset({"T31", "T32"})

    # ---- sentences ----------------------------------------------------------------------------------------------

    def headline(self, texts: Texts) -> str:
        history, animals = self.study.history, self.study.config.survey.common_name
        of = [quantity for quantity in HEADLINES if len(self._of(quantity))][:2] or [self._rows()["quantity"].iloc[0]]
        met = texts.say("met", met=f"{history.n_animals:,}", animals=animals, encounters=f"{history.n_encounters:,}")
        return " ".join([met, *(words.estimates(self._few(quantity), texts, animals) for quantity in of)])

    def in_short(self, texts: Texts) -> list[str]:
        history = self.study.history
        once = int(history.frequency @ ((history.states > 0).sum(axis=1) == 1))
        first, last = self.study.labels[0], self.study.labels[-1]
        told = dict(occasions=history.n_occasions, first=first, last=last, once=f"{once:,}")
        return [texts.say("met_once", **told), self._precision(texts)]

    def _precision(self, texts: Texts) -> str:
        """What change two such estimates of abundance could show."""
        rows = self._of("abundance")
        if len(rows) != 1:
            return ""
        return words.change(float(rows["rse"].iloc[0]), texts.say)

    def _rows(self) -> pd.DataFrame:
        return self.analysis.estimates[self.analysis.estimates["model"] == self.analysis.reported]

    def _of(self, quantity: str) -> pd.DataFrame:
        """The rows of a quantity; of numbers on several occasions the expected ones, whose intervals hold what chance
        adds."""
        rows = self._rows()[self._rows()["quantity"] == quantity]
        if quantity != "abundance" or len(rows) < 2:
            return rows
        expected = self._rows()[self._rows()["quantity"] == "expected abundance"]
        return expected if len(expected) else rows

    def _few(self, quantity: str) -> pd.DataFrame:
        rows = self._of(quantity)
        return rows if len(rows) <= FEW else rows.iloc[[0, -1]]

    def outline(self, texts: Texts):
        animals = self.study.config.survey.common_name
        told = [words.estimates(self._few(quantity), texts, animals) for quantity in TOLD]
        told.append(texts.of_model(type(self.analysis.fit.model).__name__))
        tests = self.analysis.goodness
        fits = words.goodness(tests.iloc[0], texts) if len(tests) else texts.say("goodness_none")
        drawn = list(self._drawn())
        rows = [" ".join(drawn[i : i + 2]) for i in range(0, len(drawn), 2)]
        return [
            ("met", [], ("T1", "T30", "F30 F33")),
            ("where", told, ("F31", *rows, "T9", "T8")),
            ("fit", [fits], ("T12", "T32", "T11", "T10")),
            (
                "checks",
                [words.findings(self.study.findings, texts), *map(texts.term, self.study.notes)],
                ("T15", "T16"),
            ),
            ("lists", [], ("T31", "T14")),
        ]

    # ---- tables and figures -------------------------------------------------------------------------------------

    def tables(self):
        makers = {
            "T1": tables.summary,
            "T30": tables.occasions,
            "T31": tables.animals,
            "T32": tables.releases,
        }
        return {name: lambda make=make: make(self.analysis) for name, make in makers.items()}

    def figures(self):
        history, labels = self.study.history, self.study.labels
        states = getattr(self.analysis.fit.model, "states", ())
        made = {"F30": lambda: draw.timeline(history, labels, states), "F33": lambda: draw.met_times(history)}
        rows = self._of("abundance")
        if len(rows) == history.n_occasions > 1:
            met = history.frequency @ (history.states > 0)
            made["F31"] = lambda: draw.numbers(rows, labels, met)
        made |= {
            name: lambda quantity=quantity: draw.side_by_side(self._of(quantity), self._unit(quantity))
            for name, quantity in self._drawn().items()
        }
        return made

    def _drawn(self) -> dict[str, str]:
        """Figure -> quantity, for those with several estimates: F32a, F32b, …"""
        rows = self._rows()
        several = [q for q in dict.fromkeys(rows["quantity"]) if q not in NOT_DRAWN and 2 <= len(self._of(q)) <= 24]
        known = [q for q in several if np.isfinite(self._of(q)["estimate"]).all()]
        return {f"F32{'abcdef'[i]}": quantity for i, quantity in enumerate(known[:6])}

    def _unit(self, quantity: str) -> str:
        unit = str(self._of(quantity)["unit"].iloc[0])
        return f"{quantity}, {unit}" if unit else quantity

    def heading(self, name: str, texts: Texts) -> str:
        quantity = self._drawn().get(name)
        return texts.heading(name) if quantity is None else quantity.capitalize()

    def note(self, name: str, texts: Texts) -> str:
        return texts.note("F32" if name in self._drawn() else name)

    def model_columns(self, name: str) -> dict[str, str]:
        rows = self.analysis.estimates.query("model == @name and quantity == 'abundance'")
        if len(rows) == 0 or rows["scope"].iloc[0] != "all":
            return {}
        one = rows.iloc[0]
        low, high = words.whole(one["lower"]), words.whole(one["upper"])
        return {"abundance": f"{words.whole(one['estimate'])} ({low} – {high})"}
