"""The figures of one report, drawn: their images and captions; their ids never change."""

from __future__ import annotations

from dataclasses import dataclass

from .analysis import Analysis
from .figures.style import drawn, look
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
    for name, draw in story.figures().items():
        if public and name in story.on_maps:
            continue
        with look():
            axes = draw()
            axes = axes if isinstance(axes, tuple) else (axes,)
            images = tuple(_image(f"{name}{suffix}", ax) for suffix, ax in zip(_suffixes(axes), axes, strict=True))
        made[name] = Figure(name, story.heading(name, texts), images, story.note(name, texts))
    return made


def _suffixes(axes: tuple) -> tuple[str, ...]:
    return ("",) if len(axes) == 1 else tuple("abcdefgh"[: len(axes)])


def _image(name: str, ax) -> Image:
    return Image(name, drawn(ax.figure, "svg"), drawn(ax.figure, "png"))
