"""How surveys of two species are told: where each is, and how the one changes the odds of the other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...models.summary import number
from .. import words
from ..figures import sites as draw
from ..sites import tables
from ..sites.story import SiteStory, capital
from ..tables import facts
from ..texts import Texts

WHERE = "probability that {} use the site"


class PairStory(SiteStory):
    """Where two species are, together and apart."""

    def headline(self, texts: Texts) -> str:
        study = self.study
        visited = int((study.history.visited | study.second.visited).sum())
        first, second = (int(history.detected.any(axis=1).sum()) for history in study.histories)
        names = {"animals": capital(study.names[0]), "other": study.names[1]}
        said = [texts.say("found_both", found=first, found_other=second, visited=visited, **names)]
        said += [self._told(f"proportion with {name}", "proportion with", name, texts) for name in self._species]
        return " ".join(said)

    @property
    def _species(self) -> tuple[str, str]:
        model: Any = self.analysis.fit.model
        return model.species

    def _told(self, quantity: str, sentence: str, animals: str, texts: Texts) -> str:
        rows = self._of(quantity).assign(quantity=sentence)
        return words.estimates(rows, texts, animals)

    def _overlooked(self, texts: Texts) -> str:
        return ""

    def outline(self, texts: Texts):
        told = []
        for name, other in (self._species, self._species[::-1]):
            for joined in ("with", "without"):
                where = texts.say(f"{joined}_other", animals=name, other=other)
                told.append(self._told(f"occupancy of {name} {joined} {other}", "occupancy of", where, texts))
        told.append(texts.of_model(type(self.analysis.fit.model).__name__))
        sections = super().outline(texts)
        return [(name, told if name == "where" else said, shown) for name, said, shown in sections]

    # ---- tables and figures -------------------------------------------------------------------------------------

    def tables(self):
        return {**super().tables(), "T1": self._summary, "T21": self._sites}

    def _summary(self) -> pd.DataFrame:
        """T1: one line per fact, those of the visits by species."""
        lines = {}
        for name, history in zip(self.study.names, self.study.histories, strict=True):
            lines |= {
                f"Visits done, {name}": f"{int(history.done.sum()):,}",
                f"Visits that found {name}": f"{int((history.value[history.done] > 0).sum()):,}",
                f"Sites where {name} were found": f"{int(history.detected.any(axis=1).sum())}",
            }
        whole = tables.summary(self.analysis)
        shared = whole[~whole[""].isin(("Species", "Visits done", "Visits that found something"))]
        shared = shared[~shared[""].isin(("Visits that did not take place", "Sites where something was found"))]
        return pd.concat([shared, facts(lines)], ignore_index=True)

    def _sites(self) -> pd.DataFrame | None:
        """T21: the sites, with the probability that each species is there."""
        frame = tables.sites(self.analysis)
        if frame is None or self.study.config.report.public:
            return frame
        state = self._state()
        frame = frame.rename(columns={"findings": f"findings of {self.study.names[0]}"})
        return frame.assign(**{name: [number(v, 2) for v in state[name]] for name in self._species})

    def figures(self):
        made, study = super().figures(), self.study
        made["F20"] = lambda: tuple(
            self._titled(draw.findings(history), name)
            for name, history in zip(study.names, study.histories, strict=True)
        )
        if {"x", "y"} <= set(study.history.sites) and study.history.sites[["x", "y"]].notna().all(axis=None):
            made["F21"] = lambda: tuple(self._map(*pair) for pair in zip(self._species, study.histories, strict=True))
        return made

    def _state(self) -> pd.DataFrame:
        """The probability that each species is there, by site."""
        fit: Any = self.analysis.fit
        return fit.posterior().set_index("site").reindex(self.study.history.sites.index)

    def _map(self, name: str, history):
        value, found = self._state()[name].to_numpy(float), history.detected[:, -1]
        return draw.site_map(history.sites, value, found, WHERE.format(name), self._outlines(), history.cells)

    @staticmethod
    def _titled(ax, name: str):
        ax.set_ylabel(f"{ax.get_ylabel()}, {name}")
        return ax
