"""How surveys of samples are told: how many animals there are."""

from __future__ import annotations

import pandas as pd

from .. import words
from ..figures import encounters as draw
from ..story import Story
from ..tables import facts
from ..texts import Texts


class SampleStory(Story):
    """How many animals left the samples, and how many left none that was found."""

    def headline(self, texts: Texts) -> str:
        samples, animals = self.study.samples, self.study.config.survey.common_name
        first = texts.say("sampled", samples=f"{samples.n_samples:,}", animals=f"{samples.n_animals:,} {animals}")
        return f"{first} {words.estimates(self._of('abundance'), texts, animals)}"

    def in_short(self, texts: Texts) -> list[str]:
        once = int((self.study.samples.counts == 1).sum())
        rse = float(self.analysis.told("abundance")["rse"])
        return [texts.say("sampled_once", once=f"{once:,}"), words.change(rse, texts.say)]

    def _of(self, quantity: str) -> pd.DataFrame:
        return self.analysis.estimates.query("model == @self.analysis.reported and quantity == @quantity")

    def outline(self, texts: Texts):
        animals = self.study.config.survey.common_name
        told = [words.estimates(self._of("abundance"), texts, animals)]
        told.append(texts.of_model(type(self.analysis.fit.model).__name__))
        tests = self.analysis.goodness
        fits = words.goodness(tests.iloc[0], texts) if len(tests) else texts.say("goodness_none")
        return [
            ("found", [], ("T1", "F34")),
            ("where", told, ("T9", "T8")),
            ("fit", [fits], ("T12", "T11", "T10")),
            ("checks", [words.findings(self.study.findings, texts), *map(texts.term, self.study.notes)], ("T15",)),
            ("lists", [], ("T14",)),
        ]

    def tables(self):
        return {"T1": self._summary}

    def _summary(self) -> pd.DataFrame:
        """T1: one line per fact."""
        samples = self.study.samples
        lines = {
            "Species": self.study.species,
            "Samples": f"{samples.n_samples:,}",
            "Animals found": f"{samples.n_animals:,}",
            "Animals found once only": f"{int((samples.counts == 1).sum()):,}",
            "Samples of the animal found most often": f"{int(samples.counts.max()):,}",
        }
        return facts(lines)

    def figures(self):
        return {"F34": lambda: draw.times(self.study.samples.counts, "samples of an animal")}
