"""How spatial capture-recapture is told: the report of density."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ...models.summary import number, percent
from ...survey.together import Together
from .. import camera_days
from ..figures import animals, estimates, places, work
from ..figures import fit as figures_of_fit
from ..story import Story
from ..texts import Texts
from ..words import findings
from . import tables, words
from .checks import FitChecks
from .identities import decisions
from .maps import density_surface, write_maps


class CaptureStory(Story):
    """Density and numbers of animals that were told apart."""

    folded: ClassVar = frozenset({"T2", "T5", "T18"})
    on_maps: ClassVar = frozenset({"F1", "F4", "F8"})

    @cached_property
    def checks(self) -> FitChecks:
        """What the form asks of the reported fit."""
        return FitChecks(self.analysis)

    def headline(self, texts: Texts) -> str:
        return words.headline(self.analysis, texts)

    def in_short(self, texts: Texts) -> list[str]:
        return [words.data(self.analysis, texts), words.precision(self.analysis, texts.say)]

    def outline(self, texts: Texts):
        study, say = self.study, texts.say
        lost = camera_days.lost_in_words(study.tables, texts) if study.tables is not None else ""
        notes = () if study.config.report.public else study.notes  # they name places
        return [
            ("survey", [lost], ("T1", "F1 F2", "T3", "T4")),
            ("animals", [], ("T6", "F14 F3", "F4 F5")),
            (
                "estimates",
                [
                    words.sightings(self.analysis, say),
                    say("both_flanks") if study.flanks else "",
                    words.detection(self.analysis, say),
                    words.distance(self.analysis, say),
                ],
                ("T9", "T8", "F7", "F6"),
            ),
            ("fit", self.checks.paragraphs(texts), ("T12", "T17", "F8")),
            ("checks", [findings(study.findings, texts), *map(texts.term, notes)], ("T15", "T18", "T16")),
            ("lists", [], ("T5", "T2", "T14")),
        ]

    def tables(self):
        makers = {
            "T1": tables.survey_summary,
            "T2": tables.stations,
            "T3": camera_days.lost_days,
            "T4": camera_days.visits_by_species,
            "T5": tables.individuals,
            "T6": tables.recaptures,
            "T9": tables.estimates,
        }
        made = {name: lambda make=make: make(self.analysis) for name, make in makers.items()}
        return made | {"T17": self.checks.table, "T18": lambda: decisions(self.analysis)}

    def figures(self):
        captures, mask, outlines = self.study.captures, self.study.mask, self.study.outlines
        made = {"F1": lambda: places.study_area(captures, mask, outlines)}
        worked = camera_days.calendar(self.analysis)
        if worked is not None:
            made["F2"] = lambda: work.calendar(worked)
        if not isinstance(captures, Together):  # occasions of several methods have no common order
            made["F3"] = lambda: animals.accumulation(captures)
        made["F4"] = lambda: places.spider(captures, outlines)
        visits = self.dated_visits()
        if visits is not None and len(visits) >= 10:
            made["F5"] = lambda: animals.activity(visits)
        made["F6"] = lambda: estimates.detection(self.study.told(self.analysis.fit), session=self.study.session)
        surface = density_surface(self.analysis)
        layers = [layer for layer in ("estimate", "se") if surface[layer].notnull().any()]
        made["F7"] = lambda: tuple(estimates.density(surface, layer, outlines) for layer in layers)
        residuals = self.checks.residuals
        if residuals is not None:
            made["F8"] = lambda: figures_of_fit.residual_map(residuals, mask, outlines)
        made["F14"] = lambda: animals.capture_frequencies(captures)
        return made

    def dated_visits(self):
        """Local times of the visits of the reported species, or None without records."""
        if self.study.tables is None:
            return None
        r = self.study.tables.records
        level = "event" if (r["level"] == "event").any() else "media"
        here = (r["species"] == self.study.species) & (r["level"] == level) & r["time"].notna() & ~r["setup"]
        return r.loc[here, "time"]

    def note(self, name: str, texts: Texts) -> str:
        report, crs = self.study.config.report, self.study.captures.detectors.crs
        grid = f"{report.public_grid / 1000:g}"
        if name == "T2" and report.public:
            return texts.note("T2_public", grid=grid)
        if name == "T2":
            return texts.note("T2", crs="local coordinates" if crs is None else f"{crs.name} ({crs.to_string()})")
        if name == "T12":
            return texts.note("T12_captures")
        if name == "T9":
            return texts.note("T9_captures", realised=texts.note("T9_realised"))
        if name == "F5":
            return texts.note("F5", species=self.study.species)
        if name != "F7":
            return texts.note(name)
        design = self.analysis.fit.as_full().model.parameters["D"].design
        more = [texts.note("F7_flat")] if design is None or design.constant else []
        more += [texts.note("F7_public", grid=grid)] if report.public else []
        return " ".join([texts.note("F7"), *more])

    def model_columns(self, name: str):
        rows = self.analysis.estimates.query("model == @name and quantity == 'density'").set_index("scope")
        first, *others = dict.fromkeys((words.scope(self.analysis), words.MASK))  # the headline's, then the mask's
        told = {f"density, {first}": number(rows.loc[first, "estimate"], 3), "RSE": percent(rows.loc[first, "rse"])}
        return told | {f"density, {other}": number(rows.loc[other, "estimate"], 3) for other in others}

    def models_note(self, texts: Texts) -> str:
        first = words.scope(self.analysis)
        said = texts.note("T8_mask") if first == words.MASK else texts.note("T8_region", region=first)
        return f"{said} {texts.note('T8_flanks')}" if self.study.flanks else said

    def write_files(self, folder: Path) -> None:
        write_maps(self.analysis, folder)
