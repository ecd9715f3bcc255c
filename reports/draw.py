"""The figures of one report, drawn: their images and captions; their ids never change."""

from __future__ import annotations

from dataclasses import dataclass

from . import posterior
from .analysis import Analysis
from .figures.style import can_write, drawn, look
from .texts import Texts


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
    public, story = analysis.study.config.report.public, analysis.story
    made = {}
    for name, draw in (dict(story.figures()) | posterior.figures(analysis)).items():
        if public and name in story.on_maps:
            continue
        with look():
            axes = draw()
            axes = axes if isinstance(axes, tuple) else (axes,)
            named = zip(_suffixes(axes), axes, strict=True)
            images = tuple(_image(f"{name}{suffix}", ax.figure, texts) for suffix, ax in named)
        made[name] = Figure(name, story.heading(name, texts), images, _note(name, story, texts))
    return made


def _note(name: str, story, texts: Texts) -> str:
    return texts.note(name) if name == "F60" else story.note(name, texts)


def _suffixes(axes: tuple) -> tuple[str, ...]:
    return ("",) if len(axes) == 1 else tuple("abcdefgh"[: len(axes)])


def _image(name: str, figure, texts: Texts) -> Image:
    """Both drawings in the language of the report.

    The page's drawings (SVG) hold letters that the reader's fonts draw. The others need a font here: without one for
    the language they have their English labels.
    """
    english = None if can_write(texts.fonts) else drawn(figure, "png")
    texts.figure(figure)
    return Image(name, drawn(figure, "svg", texts.fonts), english or drawn(figure, "png"))
