"""How a spatial model and its data differ, place by place."""

from __future__ import annotations

import numpy as np

from .places import backdrop, draw_outlines
from .style import GREY, as_map, new_axes

SIDES = "PuOr_r"  # purple below, orange above: two sides that all eyes tell apart


def residual_map(table, mask, outlines=(), which: str = "residual_given_animals", ax=None):
    """Stations by residual: the larger the dot the further from what is expected; orange above, purple below."""
    ax = ax or new_axes(4.6)
    backdrop(ax, mask)
    draw_outlines(ax, outlines, GREY)
    shown, lost = table.dropna(subset=[which]), table[table[which].isna()]
    z = shown[which].to_numpy(float)
    most = max(2.0, float(np.abs(z).max(initial=0.0)))
    size = 10.0 + 34.0 * np.abs(z)
    colours = {"cmap": SIDES, "vmin": -most, "vmax": most, "edgecolor": "#444444", "lw": 0.5}
    dots = ax.scatter(shown["x"], shown["y"], c=z, s=size, zorder=3, **colours)
    ax.plot(lost["x"], lost["y"], "x", color=GREY, ms=4, mew=0.8)
    label = "standard deviations from what is expected"
    ax.figure.colorbar(dots, ax=ax, location="bottom", label=label, shrink=0.8, pad=0.02, aspect=30)
    return as_map(ax, mask.x, mask.y)
