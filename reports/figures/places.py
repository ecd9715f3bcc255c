"""Maps: the stations in their mask, and the spider map of who was seen where."""

from __future__ import annotations

import numpy as np

from .style import BLACK, BLUE, GREY, MANY, as_map, new_axes


def study_area(captures, mask, outlines=(), ax=None):
    """Stations in the habitat mask: places where the animal was seen are filled, the others are crosses."""
    ax = ax or new_axes(4.6)
    backdrop(ax, mask, outlines)
    detectors = captures.detectors
    seen = np.isin(np.arange(len(detectors)), captures.detector_index)
    ax.plot(detectors.x[~seen], detectors.y[~seen], "+", color=GREY, ms=5, mew=0.9, label="station")
    ax.plot(detectors.x[seen], detectors.y[seen], "o", color=BLUE, ms=3.6, label="station with a detection")
    legend_below(ax)
    return as_map(ax, mask.x, mask.y)


def spider(captures, outlines=(), ax=None):
    """Every detection joined to the mean position of its animal: how far they were seen to move."""
    from matplotlib.collections import LineCollection

    ax = ax or new_axes(4.6)
    detectors, centres = captures.detectors, captures.centroids()
    draw_outlines(ax, outlines, "#8a9499")
    ax.plot(detectors.x, detectors.y, "+", color="#999999", ms=4, mew=0.7, label="station")
    pairs = np.unique(np.column_stack([captures.animal_index, captures.detector_index]), axis=0)
    legs = np.stack([centres[pairs[:, 0]], detectors.positions[pairs[:, 1]]], axis=1)
    colours = [MANY[i % len(MANY)] for i in range(len(centres))]
    ax.add_collection(LineCollection(legs, colors=[colours[i] for i in pairs[:, 0]], linewidths=1.1, alpha=0.85))
    ax.scatter(*centres.T, s=14, c=colours, edgecolors="white", linewidths=0.4, zorder=3, label="mean position")
    legend_below(ax)
    margin = 0.03 * max(np.ptp(detectors.x), np.ptp(detectors.y), 1000.0)
    ax.set_xlim(detectors.x.min() - margin, detectors.x.max() + margin)
    ax.set_ylim(detectors.y.min() - 3 * margin, detectors.y.max() + margin)
    return as_map(ax, detectors.x, detectors.y)


def backdrop(ax, mask, outlines=()):
    """The habitat mask as a light ground, and the outlines of the regions."""
    from matplotlib.colors import ListedColormap

    half = mask.spacing / 2
    extent = (mask.x[0] - half, mask.x[-1] + half, mask.y[0] - half, mask.y[-1] + half)
    ground = np.where(mask.habitat, 1.0, np.nan)
    ax.imshow(ground, extent=extent, origin="lower", cmap=ListedColormap(["#eef1ee"]), interpolation="nearest")
    draw_outlines(ax, outlines)


def draw_outlines(ax, outlines, color=BLACK):
    """Polygons as lines."""
    for outline in outlines:
        for part in getattr(outline, "geoms", [outline]):
            ax.plot(*np.asarray(part.exterior.coords).T[:2], color=color, lw=1.0)


def legend_below(ax):
    """The legend under the map, where it covers nothing."""
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.62, 0.02), ncols=2, fontsize=9, handletextpad=0.3, columnspacing=1.0
    )
