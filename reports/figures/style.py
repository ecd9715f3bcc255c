"""One look for all figures, readable on a phone and for colour-blind eyes; and the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure

# Okabe & Ito (2008): eight colours that all eyes tell apart.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, BLACK = "#56B4E9", "#D55E00", "#F0E442", "#000000"
MANY = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK)
GREY, LIGHT = "#666666", "#d9dee2"
SURFACE = "viridis"
WIDTH = 4.8  # inches: 10-point letters are still 10 pixels high on a phone
CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "SimHei", "WenQuanYi Zen Hei")


@contextmanager
def look() -> Iterator[None]:
    """The settings under which figures are drawn and saved."""
    settings = {
        "font.family": _families(),
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.linewidth": 0.8,
        "legend.frameon": False,
        "svg.hashsalt": "uncia",
        "savefig.dpi": 150,
    }
    with mpl.rc_context(settings):
        yield


@cache
def _families() -> tuple[str, ...]:
    """A font that comes with matplotlib, and one with Chinese letters if this machine has any."""
    known = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *[name for name in CHINESE if name in known][:1])


def new_axes(height: float = 3.6, width: float = WIDTH):
    """An Axes on a figure of its own, which no global list of figures keeps alive."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def can_write(fonts: Sequence[str]) -> bool:
    """Whether this machine has one of the fonts that a language needs in pictures; True where it needs none."""
    known = {font.name for font in font_manager.fontManager.ttflist}
    return not fonts or not known.isdisjoint(fonts)


def drawn(figure: Figure, kind: str, fonts: Sequence[str] = ()) -> bytes:
    """The figure as "svg" or "png", without the time of drawing.

    Parameters
    ----------
    fonts : of a language whose letters DejaVu Sans lacks: an SVG then holds the text itself, to be drawn in the first
        of these fonts that the reader has
    """
    buffer = io.BytesIO()
    nothing = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    with mpl.rc_context({"svg.fonttype": "none" if fonts else "path"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader has the font
        figure.savefig(buffer, format=kind, metadata=nothing)
    if not (fonts and kind == "svg"):
        return buffer.getvalue()
    stack = ", ".join(f"'{name}'" for name in (*fonts, "DejaVu Sans"))
    return re.sub(
        r"(font-family:|font: [^;\"]*?px) [^;\"]*", rf"\1 {stack}, sans-serif", buffer.getvalue().decode()
    ).encode()


def as_map(ax, x, y):
    """Make the Axes a map: equal scales, no coordinates, a bar of round length; `x`, `y` [m] say how far it goes."""
    ax.set(aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    west, east, south = float(np.min(x)), float(np.max(x)), float(np.min(y))
    length = round_length(east - west)
    below = south - 0.06 * (east - west)
    ax.plot([west, west + length], [below, below], color=BLACK, lw=2, solid_capstyle="butt", label="_scale")
    ax.annotate(f"{length / 1000:g} km", (west + length, below), (5, 0), textcoords="offset points", va="center")
    return ax


def round_length(extent: float) -> float:
    """1, 2 or 5 times a power of ten, about a fifth of the extent.

    >>> round_length(52_000), round_length(1_200)
    (10000.0, 200.0)
    """
    power = 10.0 ** np.floor(np.log10(extent / 5.0)) if extent > 0 else 1000.0
    return float(max(step * power for step in (1, 2, 5) if step == 1 or step * power <= max(extent, power) / 5.0))
