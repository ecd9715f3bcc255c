"""The figures of one report, drawn: which there are, their images and captions; their ids never change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .analysis import Analysis
from .figures import animals, estimates, places, work
from .figures.style import drawn, look
from .maps import density_surface
from .tables import calendar
from .texts import Texts

ON_MAPS = ("F1", "F4")  # show where cameras stand: not for the public


@dataclass(frozen=True)
class Image:
    """One drawing as SVG and PNG."""

    name: str
    svg: bytes
    png: bytes


@dataclass(frozen=True)
class Figure:
    """One or two images under a stable id."""

    id: str
    title: str
    images: tuple[Image, ...]
    note: str = ""


def figures_of(analysis: Analysis, texts: Texts) -> dict[str, Figure]:
    """All figures that this survey has data for, by id."""
    public = analysis.study.config.report.public
    made = {}
    for name, draw in _drawings(analysis).items():
        if public and name in ON_MAPS:
            continue
        with look():
            axes = draw()
            axes = axes if isinstance(axes, tuple) else (axes,)
            images = tuple(_image(f"{name}{suffix}", ax) for suffix, ax in zip(_suffixes(axes), axes, strict=True))
        made[name] = Figure(name, texts.heading(name), images, _note(name, analysis, texts))
    return made


def _suffixes(axes: tuple) -> tuple[str, ...]:
    return ("",) if len(axes) == 1 else tuple("abcdefgh"[: len(axes)])


def _image(name: str, ax) -> Image:
    return Image(name, drawn(ax.figure, "svg"), drawn(ax.figure, "png"))


def _drawings(analysis: Analysis) -> dict[str, Callable]:
    """What can be drawn from this survey, by id."""
    study = analysis.study
    captures, mask, outlines = study.captures, study.mask, study.outlines
    made = {"F1": lambda: places.study_area(captures, mask, outlines)}
    worked = calendar(analysis)
    if worked is not None:
        made["F2"] = lambda: work.calendar(worked)
    made["F3"] = lambda: animals.accumulation(captures)
    made["F4"] = lambda: places.spider(captures, outlines)
    visits = dated_visits(analysis)
    if visits is not None and len(visits) >= 10:
        made["F5"] = lambda: animals.activity(visits)
    made["F6"] = lambda: estimates.detection(analysis.fit)
    surface = density_surface(analysis)
    layers = [layer for layer in ("estimate", "se") if surface[layer].notnull().any()]
    made["F7"] = lambda: tuple(estimates.density(surface, layer, outlines) for layer in layers)
    made["F14"] = lambda: animals.capture_frequencies(captures)
    return made


def dated_visits(analysis: Analysis):
    """Local times of the visits of the reported species, or None without records."""
    tables = analysis.study.captures.tables
    if tables is None:
        return None
    r = tables.records
    level = "event" if (r["level"] == "event").any() else "media"
    return r.loc[
        (r["species"] == analysis.study.species) & (r["level"] == level) & r["time"].notna() & ~r["setup"], "time"
    ]


def _note(name: str, analysis: Analysis, texts: Texts) -> str:
    if name == "F5":
        return texts.note("F5", species=analysis.study.species)
    if name != "F7":
        return texts.note(name)
    report = analysis.study.config.report
    design = analysis.fit.as_full().model.parameters["D"].design
    more = [texts.note("F7_flat")] if design is None or design.constant else []
    more += [texts.note("F7_public", grid=f"{report.public_grid / 1000:g}")] if report.public else []
    return " ".join([texts.note("F7"), *more])
