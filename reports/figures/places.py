"""Maps: the stations in their mask, and the spider map of who was seen where."""

from __future__ import annotations

import numpy as np

from .style import BLACK, BLUE, GREY, MANY, as_map, new_axes


def study_area(captures, mask, outlines=(), ax=None):
    """Stations in the habitat mask: places where the animal was seen are filled, the others are crosses."""
    ax = ax or new_axes(4.6)
    backdrop(ax, mask, outlines)
    detectors = captures.detectors
    points = draw_searched(ax, detectors)
    seen = np.isin(np.arange(len(detectors)), captures.detector_index)
    if points.any():
        without, having = points & ~seen, points & seen
        ax.plot(detectors.x[without], detectors.y[without], "+", color=GREY, ms=5, mew=0.9, label="station")
        ax.plot(detectors.x[having], detectors.y[having], "o", color=BLUE, ms=3.6, label="station with a detection")
    if not points.all():
        places = ~points[captures.detector_index]
        x, y = captures.places
        ax.plot(x[places], y[places], ".", color="#b5651d", ms=3.5, label="found in a search")
    legend_below(ax)
    return as_map(ax, mask.x, mask.y)


def spider(captures, outlines=(), ax=None):
    """Every detection joined to the mean position of its animal: how far they were seen to move."""
    from matplotlib.collections import LineCollection

    ax = ax or new_axes(4.6)
    detectors, centres = captures.detectors, captures.centroids()
    draw_outlines(ax, outlines, "#8a9499")
    points = draw_searched(ax, detectors)
    if points.any():
        ax.plot(detectors.x[points], detectors.y[points], "+", color="#999999", ms=4, mew=0.7, label="station")
    legs = np.unique(np.column_stack([captures.animal_index, *captures.places]), axis=0)
    animal = legs[:, 0].astype(int)
    colours = [MANY[i % len(MANY)] for i in range(len(centres))]
    lines = np.stack([centres[animal], legs[:, 1:]], axis=1)
    ax.add_collection(LineCollection(lines, colors=[colours[i] for i in animal], linewidths=1.1, alpha=0.85))
    ax.scatter(*centres.T, s=14, c=colours, edgecolors="white", linewidths=0.4, zorder=3, label="mean position")
    legend_below(ax)
    west, south, east, north = detectors.bounds
    margin = 0.03 * max(east - west, north - south, 1000.0)
    ax.set_xlim(west - margin, east + margin)
    ax.set_ylim(south - 3 * margin, north + margin)
    return as_map(ax, np.array([west, east]), np.array([south, north]))


def draw_searched(ax, detectors) -> np.ndarray:
    """Lines and outlines of what was searched; returns which detectors are points, bool [K]."""
    import shapely

    if not detectors.shapes:
        return np.ones(len(detectors), bool)
    shapes = np.asarray(detectors.shapes, object)
    dimensions = shapely.get_dimensions(shapes)
    outline = np.where(dimensions == 2, shapely.boundary(shapes), shapes)[dimensions > 0]
    for n, part in enumerate(shapely.get_parts(outline)):
        label = "searched" if n == 0 else None
        ax.plot(*shapely.get_coordinates(part).T, color="#8a9499", lw=0.6, zorder=1, label=label)
    return dimensions == 0


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
