"""What was estimated: the density surface with its standard error."""

from __future__ import annotations

import numpy as np

from .places import draw_outlines
from .style import SURFACE, as_map, new_axes

LABELS = {"estimate": "animals per 100 km²", "se": "standard error"}


def density(surface, layer: str = "estimate", outlines=(), ax=None):
    """One layer of a density surface.

    Parameters
    ----------
    surface : Dataset of `fit.predict("D")`, or a coarser one
    layer : "estimate" or "se"
    outlines : polygons to draw over it
    """
    ax = ax or new_axes(4.4)
    values = surface[layer].to_numpy()
    x, y = surface["x"].to_numpy(), surface["y"].to_numpy()
    half = 0.5 * abs(x[1] - x[0]) if len(x) > 1 else 0.5 * abs(y[1] - y[0]) if len(y) > 1 else 500.0
    extent = (x.min() - half, x.max() + half, y.min() - half, y.max() + half)
    top = float(np.nanmax(values))
    image = values if y[0] <= y[-1] else values[::-1]
    shown = ax.imshow(
        image, extent=extent, origin="lower", cmap=SURFACE, vmin=0.0, vmax=top or 1.0, interpolation="nearest"
    )
    ax.figure.colorbar(shown, ax=ax, location="bottom", label=LABELS[layer], shrink=0.8, pad=0.02, aspect=30)
    draw_outlines(ax, outlines, "white")
    return as_map(ax, np.array(extent[:2]), np.array(extent[2:]))


def detection(fit, ax=None, session=None):
    """The detection function with its band and the distances in the data."""
    from ...models.spatial.plots import plot_detection

    return plot_detection(fit, ax or new_axes(3.6), session=session)
