"""How surveys of sites are told: the report of occupancy and counts."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from ...models.summary import number, percent
from ...survey.vector import read_region
from .. import camera_days, words
from ..figures import sites as draw
from ..figures import work
from ..files import write_geopackage, write_geotiff
from ..rasters import coarsen, stacked
from ..story import Story
from ..texts import Texts
from . import tables

# Quantities that the headline tells, the first that a model has; and those that the section of estimates tells.
HEADLINES = ("proportion occupied", "abundance", "occupancy")
TOLD = ("occupancy", "proportion occupied", "area occupied", "abundance", "growth of occupancy", "growth of abundance")
MAPPED = {"occupied": "probability that the site is in use", "abundance": "animals at the site"}
PARAMETERS = ("psi", "lambda", "gamma", "epsilon", "theta", "p", "r", "rate")  # whose covariates are drawn, in order


class SiteStory(Story):
    """Where animals are, or how many, from visits to sites."""

    folded: ClassVar = frozenset({"T21"})
    on_maps: ClassVar = frozenset({"F21"})

    # ---- sentences ----------------------------------------------------------------------------------------------

    def headline(self, texts: Texts) -> str:
        history, animals = self.study.history, self.study.config.survey.common_name
        rows = self._first_and_last(next((q for q in HEADLINES if len(self._of(q))), ""))
        found = int(history.detected.any(axis=1).sum())
        first = texts.say("found_at", animals=capital(animals), found=found, visited=int(history.visited.sum()))
        return f"{first} {words.estimates(rows, texts, animals)}"

    def in_short(self, texts: Texts) -> list[str]:
        history, say = self.study.history, texts.say
        done, missing = int(history.done.sum()), int((~history.done).sum())
        per_site = number(done / max(int(history.visited.sum()), 1), 2)
        effort = f"{np.nansum(history.effort[history.done]):,.0f} {history.effort_unit}"
        told = dict(visited=int(history.visited.sum()), done=f"{done:,}", per_site=per_site, effort=effort)
        parts = [say("visits" if history.effort_unit == "visits" else "visits_effort", **told)]
        parts += [say("visits_missing", missing=f"{missing:,}")] if missing else []
        return [" ".join(parts), self._overlooked(texts)]

    def _overlooked(self, texts: Texts) -> str:
        """The share of the occupied sites at which nothing was found, of those visited in the last season."""
        state = tables.states(self.analysis)
        if state is None or "occupied" not in state:
            return ""
        history = self.study.history
        last = history.done & (history.season_of == history.n_seasons - 1)
        visited = np.isin(np.arange(history.n_sites), history.site_of[last])
        found, occupied = history.detected[:, -1][visited], state["occupied"].to_numpy(float)[visited]
        if not occupied.sum() > 0:
            return ""
        share = percent(float(occupied[~found].sum() / occupied.sum()))
        if history.n_seasons == 1:
            return texts.say("overlooked", share=share)
        return texts.say("overlooked_season", share=share, season=history.season_labels[-1])

    def _of(self, quantity: str) -> pd.DataFrame:
        rows = self.analysis.estimates
        return rows[(rows["model"] == self.analysis.reported) & (rows["quantity"] == quantity)]

    def _first_and_last(self, quantity: str) -> pd.DataFrame:
        rows = self._of(quantity)
        return rows if len(rows) < 3 else rows.iloc[[0, -1]]

    def outline(self, texts: Texts):
        study = self.study
        lost = camera_days.lost_in_words(study.tables, texts) if study.tables is not None else ""
        animals = study.config.survey.common_name
        told = [words.estimates(self._first_and_last(q), texts, animals) for q in TOLD]
        told.append(texts.of_model(type(self.analysis.fit.model).__name__))
        notes = () if study.config.report.public else study.notes  # they name places
        return [
            ("survey", [lost], ("T1", "T20", "T22", "F2", "T3", "T4")),
            ("found", [], ("F20 F21",)),
            ("where", told, ("T9", "T8", "F24", "F22", *_pairs(list(self._curves())))),
            ("fit", [self._fits(texts)], ("T12", "T11", "T10")),
            ("checks", [words.findings(study.findings, texts), *map(texts.term, notes)], ("T15", "T16")),
            ("lists", [], ("T21", "T14")),
        ]

    def _fits(self, texts: Texts) -> str:
        tests = self.analysis.goodness
        if not len(tests):
            return texts.say("goodness_none")
        return words.goodness(tests.iloc[0], texts)

    # ---- tables and figures -------------------------------------------------------------------------------------

    def tables(self):
        makers = {
            "T1": tables.summary,
            "T3": camera_days.lost_days,
            "T4": camera_days.visits_by_species,
            "T20": tables.seasons,
            "T21": tables.sites,
            "T22": tables.kilometres,
        }
        return {name: lambda make=make: make(self.analysis) for name, make in makers.items()}

    def figures(self):
        history, made = self.study.history, {}
        worked = camera_days.calendar(self.analysis)
        if worked is not None:
            made["F2"] = lambda: work.calendar(worked)
        made["F20"] = lambda: draw.findings(history)
        state = tables.states(self.analysis)
        known = [] if state is None else [name for name in tables.STATES if name in state]
        placed = {"x", "y"} <= set(history.sites) and history.sites[["x", "y"]].notna().all(axis=None)
        if placed and state is not None and known:
            label = MAPPED[known[0]]
            value, found = state[known[0]].to_numpy(float), history.detected[:, -1]
            made["F21"] = lambda: draw.site_map(history.sites, value, found, label, self._outlines(), history.cells)
        surface = self._surface()
        if surface is not None:
            of = self.analysis.fit.model.parameters[self._mapped()].unit or self._mapped()
            made["F22"] = lambda: tuple(
                draw.surface(surface, layer, f"{of}, {words_of}", self._outlines())
                for layer, words_of in (("estimate", "estimate"), ("se", "standard error"))
            )
        made |= {name: lambda pair=pair: self._curve(*pair) for name, pair in self._curves().items()}
        for quantity in ("proportion occupied", "abundance", "occupancy"):
            rows = self._of(quantity)
            if history.n_seasons > 1 and len(rows) == history.n_seasons:
                naive = None if quantity == "abundance" else tables.naive_share(history)
                rows = rows.assign(season=list(history.season_labels))
                made["F24"] = lambda r=rows, n=naive, q=quantity: draw.through_seasons(r, n, q)
                break
        return made

    def _curves(self) -> dict[str, tuple[str, str]]:
        """Figure -> parameter and covariate: F23a, F23b, … for the covariates of the reported model."""
        model = self.analysis.fit.model
        found = []
        for parameter in PARAMETERS:
            known = parameter in model.parameters and any(s.name == parameter for s in model.symbols)
            design = model.parameters[parameter].design if known else None
            if design is not None and not design.constant:
                found += [(parameter, covariate) for covariate in design.variables]
        return {f"F23{'abcdef'[i]}": pair for i, pair in enumerate(found[:6])}

    def _curve(self, parameter: str, covariate: str):
        model = self.analysis.fit.model
        symbol = next(s for s in model.symbols if s.name == parameter)
        label = f"{parameter}, {symbol.unit}" if symbol.unit else parameter
        return draw.effect(self.analysis.fit, parameter, covariate, model.frame(symbol), label)

    def _outlines(self) -> tuple:
        polygon = self.study.config.mask.polygon
        return () if polygon is None else (read_region(self.study.folder / polygon, self.study.mask.crs)[0],)

    # ---- maps ---------------------------------------------------------------------------------------------------

    def _mapped(self) -> str:
        """The parameter that is mapped."""
        return next((name for name in ("psi", "lambda") if name in self.analysis.fit.model.parameters), "")

    def _surface(self):
        """psi (or lambda) over the land, where it follows from rasters alone; None where it does not."""
        mask, name = self.study.mask, self._mapped()
        if mask is None or not name or self.study.history.cells is not None:  # psi is that of a cell, not of a point
            return None
        design = self.analysis.fit.model.parameters[name].design
        if design is None or design.constant or not set(design.variables) <= set(map(str, mask.covariates.data_vars)):
            return None
        surface, report = self.analysis.fit.predict(name, mask), self.study.config.report
        return coarsen(surface, report.public_grid) if report.public else surface

    def write_files(self, folder: Path) -> None:
        history, crs = self.study.history, self.study.history.crs
        surface = self._surface()
        if surface is not None and self.study.mask.crs is not None:
            write_geotiff(stacked(surface), folder / "psi.tif", self.study.mask.crs)
        if crs is None or self.study.config.report.public or not {"x", "y"} <= set(history.sites):
            return
        import geopandas as gpd

        frame = tables.by_site(self.analysis).drop(columns=["x", "y"])
        numbers = frame.drop(columns="site").apply(pd.to_numeric, errors="coerce")
        frame = pd.concat([frame["site"], numbers], axis=1)
        points = gpd.points_from_xy(history.sites["x"], history.sites["y"])
        if history.cells is not None:
            points = history.cells.frame().geometry.reindex(list(history.sites.index)).to_numpy()
        write_geopackage(gpd.GeoDataFrame(frame, geometry=points, crs=crs), folder / "sites.gpkg", "sites")

    def heading(self, name: str, texts: Texts) -> str:
        if name not in self._curves():
            return texts.heading(name)
        parameter, covariate = self._curves()[name]
        return texts.say("along", parameter=parameter, covariate=covariate)

    def note(self, name: str, texts: Texts) -> str:
        if name == "F22":
            report = self.study.config.report
            coarse = texts.note("F7_public", grid=f"{report.public_grid / 1000:g}") if report.public else ""
            return f"{texts.note('F22')} {coarse}".strip()
        return texts.note("F23" if name in self._curves() else name)


def _pairs(names: list[str]) -> list[str]:
    """Rows of two figures."""
    return [" ".join(names[i : i + 2]) for i in range(0, len(names), 2)]


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]
