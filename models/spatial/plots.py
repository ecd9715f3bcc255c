"""Plots of a spatial fit; every function takes an Axes and gives it back."""

from __future__ import annotations

import numpy as np
import shapely

from ..derived import z_of
from .rows import AREA

COLORS = ["#1b4965", "#b5651d", "#4f772d"]


def plot_detection(fit, ax=None, session: str | None = None, points: int = 200):
    """Detection probability in one unit of effort against distance, with a 95 % band and the distances in the data.

    One curve for each class of animals, before anything is learned. The ticks along the axis are the distances between
    each detection and the mean position of its animal: shorter than those to the true activity centre, so they show
    where the data lie and not how well the curve fits. Of searched areas, where detection has no probability at a
    place, the curve is the density of detections relative to its largest.
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(6, 4), layout="constrained")[1]
    part = fit.model.session(session)
    seen = _distances(part.captures) if part.metric is None else np.empty(0)
    shape = fit.model.detection
    sigma = float(np.median(fit.model.values_of(fit.values, part)["sigma"]))
    reach = max(3.0 * sigma, float(seen.max(initial=0.0)))
    d = np.linspace(0.0, reach, points)
    groups = _groups(part)
    for (label, rows), color in zip(groups, COLORS * len(groups), strict=False):
        _one_curve(ax, fit, d, lambda vector, rows=rows: _curve(fit.model, part, rows, vector, d), label, color)
    if len(groups) > 1:
        ax.legend(frameon=False)
    ax.plot(seen / 1000, np.zeros(len(seen)), "|", color="#b5651d", ms=9, alpha=0.5, clip_on=False)
    relative = [_of_area(part, rows) for _, rows in groups]
    what = "probability of detection per unit of effort"
    what = "density of detections, relative" if all(relative) else what + ", of areas relative density" * any(relative)
    ways = "" if part.metric is None else ", as the model measures it"
    ax.set(xlabel=f"distance from the activity centre (km{ways})", ylabel=what)
    ax.set_title(shape.name, fontsize=10)
    ax.set_xlim(0, reach / 1000)
    ax.set_ylim(0, None)
    return ax


def _groups(session) -> list[tuple[str, np.ndarray]]:
    """The naive rows of each method and class of animals, with its name."""
    naive = (session.rows[list(session.arranged.learned.names)] == 0).all(axis=1).to_numpy()
    groups = [("", naive)]
    if len(session.methods) > 1:
        by = session.rows["method"].astype(str).to_numpy()
        groups = [(m.name, naive & (by == m.name)) for m in session.methods]
    if session.classes is not None:
        own, classes = session.rows[session.classes.name].astype(str).to_numpy(), session.classes
        words = {c: classes.describe(c) for c in classes.labels}
        groups = [(", ".join(filter(None, (m, words[c]))), rows & (own == c)) for m, rows in groups for c in words]
    return [(label, np.flatnonzero(rows)) for label, rows in groups]


def _one_curve(ax, fit, d, curve, label: str, color: str) -> None:
    middle = curve(fit.vector)
    ax.plot(d / 1000, middle, color=color, lw=2, label=label)
    used = np.isfinite(np.diag(fit.covariance))
    if used.all() and len(used):
        jacobian = np.array(
            [(curve(fit.vector + h) - curve(fit.vector - h)) / 2e-5 for h in 1e-5 * np.eye(len(used))]
        ).T
        s = np.sqrt(np.einsum("ij,jk,ik->i", jacobian, fit.covariance, jacobian))
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.where(middle > 0, np.exp(z_of() * s / middle), 1.0)
        ax.fill_between(d / 1000, middle / spread, np.minimum(middle * spread, 1.0), color=color, alpha=0.2, lw=0)


def _curve(model, session, rows, vector, d):
    """Probability of detection [d] at the median of each parameter over `rows`."""
    values = model.values_of(model.parameters.values(vector), session)
    if _of_area(session, rows):
        shape = [np.median(values[name][rows]) for name in model.detection.parameters[1:]]
        return model.detection.relative(d, *[*shape, 1.0][:2])
    return model.detection.probability_at(d, *(np.median(values[name][rows]) for name in model.detection.parameters))


def _of_area(session, rows: np.ndarray) -> bool:
    """Whether rows are those of searched areas."""
    scale = np.resize(session.arranged.scale, len(session.rows))
    return bool(len(rows)) and bool(np.all(scale[rows] == AREA))


def _distances(captures) -> np.ndarray:
    """Distance of each detection from the mean position of its animal, metres."""
    return np.hypot(*(np.column_stack(captures.places) - captures.centroids()[captures.animal_index]).T)


def draw_detectors(ax, detectors, color: str) -> None:
    """Detectors on a map in km: crosses, or the outlines and lines of what was searched."""
    points = [k for k in range(len(detectors)) if not detectors.shapes or detectors.shapes[k].geom_type == "Point"]
    ax.plot(detectors.x[points] / 1000, detectors.y[points] / 1000, "+", color=color, ms=4, mew=0.8)
    shapes = np.asarray(detectors.shapes, object)
    outline = np.where(shapely.get_dimensions(shapes) == 2, shapely.boundary(shapes), shapes)
    for part in shapely.get_parts(outline[shapely.get_dimensions(outline) == 1]):
        ax.plot(*(shapely.get_coordinates(part).T / 1000), color=color, lw=0.7, alpha=0.8)


def plot_density(fit, ax=None, session: str | None = None):
    """The density surface (animals per 100 km²) with the detectors."""
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(6, 5), layout="constrained")[1]
    surface = fit.predict("D", session=session)["estimate"]
    detectors = fit.model.session(session).captures.detectors
    mesh = ax.pcolormesh(
        surface["x"] / 1000, surface["y"] / 1000, surface.to_numpy(), cmap="viridis", shading="nearest"
    )
    ax.figure.colorbar(mesh, ax=ax, label="animals per 100 km²", shrink=0.8)
    draw_detectors(ax, detectors, "white")
    ax.set(xlabel="x (km)", ylabel="y (km)", aspect="equal")
    return ax
