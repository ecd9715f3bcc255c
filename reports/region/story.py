"""How the sites of a region are told: density by site, and animals by stratum."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from ...models.summary import number, percent
from ..figures.style import new_axes
from ..story import Story
from ..texts import Texts
from ..words import findings, whole
from .study import DESIGN, MODEL


class RegionStory(Story):
    """Sites of one region."""

    folded: ClassVar = frozenset({"T9"})

    def headline(self, texts: Texts) -> str:
        total = self._total()
        animals, sites = self.study.config.survey.common_name, len(self.study.parts)
        if total is not None:
            told = {name: whole(total[name]) for name in ("estimate", "lower", "upper")}
            return texts.say("region_total", animals=animals, sites=sites, **told)
        density = self._density()
        low, high = (number(density["estimate"].agg(how), 2) for how in ("min", "max"))
        return texts.say("region_sites", animals=animals, sites=sites, low=low, high=high)

    def _total(self) -> pd.Series | None:
        """Of all strata, or of the only one; by the design where there is one."""
        rows = self.analysis.estimates.query("model == @self.analysis.reported")
        for quantity in (DESIGN, MODEL):
            mine = rows[rows["quantity"] == quantity]
            if len(mine):
                return mine.iloc[-1]
        return None

    def _density(self) -> pd.DataFrame:
        rows = self.analysis.estimates.query("model == @self.analysis.reported and quantity == 'density'")
        return rows[rows["scope"].isin([f"session {site.name}" for site, _ in self.study.parts])]

    def in_short(self, texts: Texts) -> list[str]:
        captures = [study.captures for _, study in self.study.parts]
        empty = sum(c.n_animals == 0 for c in captures)
        told = texts.say(
            "region_data",
            sites=len(captures),
            animals_seen=f"{sum(c.n_animals for c in captures):,}",
            detections=f"{sum(c.n_detections for c in captures):,}",
            stations=f"{sum(len(c.detectors) for c in captures):,}",
        )
        return [f"{told} {texts.some('region_empty', empty)}" if empty else told]

    def outline(self, texts: Texts):
        by_both = [texts.say("region_two_errors")] if self.study.strata else []
        return [
            ("survey", [], ("T70",)),
            ("estimates", by_both, ("T71", "F70", "T8", "T9", "T11", "T10")),
            ("checks", [findings(self.study.findings, texts)], ("T15",)),
            ("lists", [], ("T14",)),
        ]

    def tables(self):
        return {"T70": self._sites, "T71": self._strata}

    def _sites(self) -> pd.DataFrame:
        """T70: what was done and seen at each site."""
        rows = []
        for site, study in self.study.parts:
            c = study.captures
            row = {"site": site.name, "stratum": site.stratum or ""} if self.study.strata else {"site": site.name}
            row |= {"stations": len(c.detectors), "effort": f"{np.nansum(c.detectors.effort):,.1f}"}
            row |= {"animals": c.n_animals, "detections": c.n_detections}
            rows.append(row | {"spatial recaptures": c.n_spatial_recaptures, "km²": f"{study.mask.area:,.0f}"})
        return pd.DataFrame(rows)

    def _strata(self) -> pd.DataFrame | None:
        """T71: animals by stratum, with both errors."""
        totals = self.study.totals(self.analysis.fit)
        if totals is None:
            return None
        rows = []
        for t in totals.to_dict("records"):
            row = {"stratum": t["stratum"], "sites": t["sites"], "km²": f"{t['area']:,.0f}"}
            row |= {"density": number(t["density"], 3), "animals": whole(t["animals"])}
            for kind in ("design", "model"):
                known = np.isfinite(t[f"se_{kind}"])
                ends = f"{whole(t[f'lower_{kind}'])} – {whole(t[f'upper_{kind}'])}" if known else "–"
                row |= {f"RSE by the {kind}": percent(t[f"se_{kind}"] / t["animals"]) if known else "–"}
                row |= {f"95 % interval by the {kind}": ends}
            rows.append(row)
        return pd.DataFrame(rows)

    def figures(self):
        return {"F70": self._by_site}

    def _by_site(self):
        """Density of every site with its interval."""
        ax, rows = new_axes(3.8), self._density()
        place, estimate = np.arange(len(rows)), rows["estimate"].to_numpy(float)
        ends = rows[["lower", "upper"]].to_numpy(float)
        known = np.isfinite(ends).all(axis=1)
        ax.vlines(place[known], ends[known, 0], ends[known, 1], color="#4a7aa7", lw=1.2)
        ax.plot(place, estimate, "o", color="#4a7aa7", ms=4.5)
        ax.set(ylabel="animals per 100 km²", ylim=(min(0.0, -0.03 * np.nanmax(ends)), None))
        ax.set_xticks(place, [s.removeprefix("session ") for s in rows["scope"]], rotation=45, ha="right")
        return ax

    def note(self, name: str, texts: Texts) -> str:
        return texts.note(name)
