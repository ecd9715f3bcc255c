"""How surveys of animals that are also reported between occasions are told."""

from __future__ import annotations

import pandas as pd

from ..encounters import tables
from ..encounters.story import EncounterStory
from ..tables import facts
from ..texts import Texts


class LiveDeadStory(EncounterStory):
    """Encounters on occasions, and what was reported between them."""

    def in_short(self, texts: Texts) -> list[str]:
        reported = self.study.reported
        said = texts.say("reported", dead=f"{reported.n_found_dead:,}", alive=f"{reported.n_resighted:,}")
        return [said, *super().in_short(texts)]

    def tables(self):
        return {**super().tables(), "T1": self._summary}

    def _summary(self) -> pd.DataFrame:
        """T1: one line per fact."""
        reported = self.study.reported
        lines = {"Found dead and reported": f"{reported.n_found_dead:,}"}
        lines["Reports of living animals between occasions"] = f"{reported.n_resighted:,}"
        return pd.concat([tables.summary(self.analysis), facts(lines)], ignore_index=True)
