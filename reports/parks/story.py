"""How several parks of one population are told: with matched animals as one survey, else with each animal once."""

from __future__ import annotations

from ...models.summary import number
from ..captures.story import CaptureStory
from ..texts import Texts
from ..words import change, whole

ONCE = "all masks"  # the scope of estimates that count the ground, and the animals, of several parks once


class ParkStory(CaptureStory):
    """The report of parks. Where nobody has compared their animals, the joint model counts some of them twice."""

    @property
    def apart(self) -> bool:
        """Whether the number of animals is that of `models.unmatched_parks`."""
        rows = self.analysis.estimates.query("model == @self.analysis.reported")
        return bool((rows["scope"] == ONCE).any())

    def headline(self, texts: Texts) -> str:
        if not self.apart:
            return super().headline(texts)
        row = self.analysis.told("expected abundance", ONCE)
        told = {"N": whole(row["estimate"]), "N_lower": whole(row["lower"]), "N_upper": whole(row["upper"])}
        return texts.say("parks_apart", animals=self.study.config.survey.common_name, **told)

    def in_short(self, texts: Texts) -> list[str]:
        if not self.apart:
            return super().in_short(texts)
        several = self.analysis.told("animals detected by several parks", ONCE)
        met = {name: study.captures.n_animals for name, study in self.study.parks}
        each = texts.say("and").join(f"{n} ({name})" for name, n in met.items())
        told = {"low": max(met.values()), "high": sum(met.values()), "each": each}
        told |= {name: number(several[name], 2) for name in ("estimate", "lower", "upper")}
        rse = self.analysis.told("expected abundance", ONCE)["rse"]
        return [texts.say("parks_apart_met", **told), change(rse, texts.say)]

    def note(self, name: str, texts: Texts) -> str:
        said = super().note(name, texts)
        return f"{said} {texts.note('T9_parks')}" if name == "T9" and self.apart else said

    def models_note(self, texts: Texts) -> str:
        return texts.note("T8_parks") if self.apart else super().models_note(texts)
