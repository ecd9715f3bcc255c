"""Sites: what each visit found, where the sites are, how occupancy follows the land, and how it goes on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .places import draw_outlines, legend_below
from .style import BLUE, GREY, LIGHT, ORANGE, SURFACE, as_map, new_axes

CURVE = 60  # points of a curve
FEW_VALUES = 8  # different values of a covariate that are drawn one by one


def findings(history, ax=None):
    """Sites visited (rows) by visits (columns): found or not, or the number counted; white where none was done."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    ax = ax or new_axes(4.6)
    table = visit_table(history)
    done = (~np.isnan(table)).sum(axis=1)
    share = np.where(done > 0, (np.nan_to_num(table) > 0).sum(axis=1) / np.maximum(done, 1), -1.0)
    table = table[np.argsort(-share, kind="stable")][: max(1, int((done > 0).sum()))]  # sites never visited come last
    if np.nanmax(table) > 1:
        shown = ax.imshow(table, aspect="auto", cmap=SURFACE, vmin=0, interpolation="nearest")
        ax.figure.colorbar(shown, ax=ax, location="top", label="found on a visit", shrink=0.6, aspect=30)
    else:
        ax.imshow(table, aspect="auto", cmap=ListedColormap([LIGHT, BLUE]), vmin=0, vmax=1, interpolation="nearest")
        patches = [Patch(color=BLUE, label="found"), Patch(color=LIGHT, label="nothing found")]
        patches.append(Patch(facecolor="white", edgecolor=GREY, label="no visit"))
        ax.legend(handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
    _season_ticks(ax, history, table.shape[1] // history.n_seasons)
    ax.set(ylabel=f"{len(table):,} sites", yticks=[])
    return ax


def visit_table(history) -> np.ndarray:
    """float [N, T · most visits of a season]: findings in the order of visits, NaN where none was done."""
    group = history.site_of * history.n_seasons + history.season_of
    nth = pd.Series(group).groupby(group).cumcount().to_numpy()
    most = int(nth.max()) + 1
    table = np.full((history.n_sites * history.n_seasons, most), np.nan)
    table[group[history.done], nth[history.done]] = history.value[history.done]
    return table.reshape(history.n_sites, -1)


def _season_ticks(ax, history, visits: int) -> None:
    if history.n_seasons == 1:
        at = np.arange(0, visits, max(1, int(np.ceil(visits / 10))))
        ax.set_xticks(at, [str(i + 1) for i in at])
        ax.set(xlabel="visits in order")
        return
    for t in range(1, history.n_seasons):
        ax.axvline(t * visits - 0.5, color=GREY, lw=0.6)
    every = max(1, int(np.ceil(history.n_seasons / 10)))
    at = np.arange(0, history.n_seasons, every)
    ax.set_xticks(at * visits + visits / 2 - 0.5, [str(history.season_labels[t]) for t in at])
    ax.set(xlabel="season")


def site_map(sites: pd.DataFrame, value: np.ndarray, found: np.ndarray, label: str, outlines=(), cells=None, ax=None):
    """Sites coloured by a value from 0 on; rings where something was found.

    Parameters
    ----------
    sites : with x and y [m]
    value : [N], such as the probability that each site is occupied
    found : bool [N]
    cells : outlines of the sites (`survey.Cells`) when they are pieces of land
    """
    ax = ax or new_axes(4.6)
    draw_outlines(ax, outlines, "#8a9499")
    x, y = sites["x"].to_numpy(float), sites["y"].to_numpy(float)
    top = 1.0 if np.nanmax(value) <= 1.0 else float(np.nanmax(value))
    size = float(np.clip(2400 / max(len(x), 1), 9, 60))
    if cells is None:
        shown = ax.scatter(x, y, c=value, s=size, cmap=SURFACE, vmin=0.0, vmax=top, zorder=2)
        ax.scatter(x[found], y[found], s=2.2 * size, fc="none", ec=ORANGE, linewidths=1.2, label="found")
    else:
        shown = _filled(ax, cells, list(sites.index), value, top)
        ax.plot(x[found], y[found], "o", color=ORANGE, ms=5.5, mec="white", mew=0.8, label="found")
        corners = np.array([outline.bounds for outline in cells.outline])
        x, y = corners[:, [0, 2]].ravel(), corners[:, [1, 3]].ravel()
    ax.figure.colorbar(shown, ax=ax, location="bottom", label=label, shrink=0.8, pad=0.06, aspect=30)
    legend_below(ax)
    margin = 0.05 * max(np.ptp(x), np.ptp(y), 1000.0)
    ax.set_xlim(x.min() - margin, x.max() + margin)
    ax.set_ylim(y.min() - 3 * margin, y.max() + margin)
    return as_map(ax, x, y)


def _filled(ax, cells, names: list, value: np.ndarray, top: float):
    """Cells as polygons coloured by a value."""
    from matplotlib.collections import PolyCollection

    at = {name: i for i, name in enumerate(cells.name)}
    parts = [(part, v) for n, v in zip(names, value, strict=True) for part in _polygons(cells.outline[at[n]])]
    rings = [np.asarray(part.exterior.coords)[:, :2] for part, _ in parts]
    shown = PolyCollection(
        rings, array=np.array([v for _, v in parts]), cmap=SURFACE, edgecolors="white", linewidths=0.6
    )
    shown.set_clim(0.0, top)
    return ax.add_collection(shown)


def _polygons(shape) -> list:
    return list(getattr(shape, "geoms", [shape]))


def surface(layers, layer: str, label: str, outlines=(), ax=None):
    """One layer of a predicted surface: "estimate" or "se"."""
    ax = ax or new_axes(4.4)
    values = layers[layer].to_numpy()
    x, y = layers["x"].to_numpy(), layers["y"].to_numpy()
    half = 0.5 * abs(x[1] - x[0]) if len(x) > 1 else 500.0
    extent = (x.min() - half, x.max() + half, y.min() - half, y.max() + half)
    image = values if y[0] <= y[-1] else values[::-1]
    top = 1.0 if layer == "estimate" and np.nanmax(values) <= 1.0 else float(np.nanmax(values))
    shown = ax.imshow(image, extent=extent, origin="lower", cmap=SURFACE, vmin=0.0, vmax=top, interpolation="nearest")
    ax.figure.colorbar(shown, ax=ax, location="bottom", label=label, shrink=0.8, pad=0.02, aspect=30)
    draw_outlines(ax, outlines, "white")
    return as_map(ax, np.array(extent[:2]), np.array(extent[2:]))


def effect(fit, parameter: str, covariate: str, frame: pd.DataFrame, label: str, ax=None):
    """A parameter along one of its covariates, the others at a typical value, with its band; points for few values.

    Parameters
    ----------
    frame : covariates over the rows of the parameter
    """
    ax = ax or new_axes(3.2)
    others = {name: _typical(frame[name]) for name in fit.model.parameters[parameter].design.variables}
    if _few(frame[covariate]):  # also numbers, such as years, which a formula may take as factors
        return _by_level(fit, parameter, covariate, frame, others, label, ax)
    values = frame[covariate].to_numpy(float)
    at = np.linspace(np.nanmin(values), np.nanmax(values), CURVE)
    told = fit.predict(parameter, pd.DataFrame(others | {covariate: at}))
    ax.fill_between(at, told["lower"], told["upper"], color=BLUE, alpha=0.18, lw=0)
    ax.plot(at, told["estimate"], color=BLUE, lw=2)
    ax.plot(np.unique(values[np.isfinite(values)]), np.zeros(len(np.unique(values[np.isfinite(values)]))), "|",
            color=GREY, ms=6, transform=ax.get_xaxis_transform(), clip_on=False)  # fmt: skip
    ax.set(xlabel=covariate, ylabel=label, ylim=(0, 1.02 if np.nanmax(told["upper"]) <= 1.0 else None))
    return ax


def _by_level(fit, parameter, covariate, frame, others, label, ax):
    levels = sorted(pd.unique(frame[covariate].dropna()), key=lambda v: (str(type(v)), v))
    column = pd.Categorical(levels, frame[covariate].cat.categories) if _categorical(frame[covariate]) else levels
    told = fit.predict(parameter, pd.DataFrame({k: [v] * len(levels) for k, v in others.items()} | {covariate: column}))
    whiskers(ax, told["estimate"], told["lower"], told["upper"])
    ax.set_xticks(range(len(levels)), [str(level) for level in levels])
    ax.set(xlabel=covariate, ylabel=label, ylim=(0, 1.02 if np.nanmax(told["upper"]) <= 1.0 else None))
    return ax


def _few(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column) or column.nunique() <= FEW_VALUES


def _categorical(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _typical(column: pd.Series):
    """The mean of numbers of many values, the most frequent of anything else."""
    return column.mode().iloc[0] if _few(column) else float(column.mean())


def whiskers(ax, estimate, lower, upper, at=None, color=BLUE, label=None, marker="o"):
    """Estimates with their intervals; an interval that is not known is not drawn."""
    estimate, lower, upper = (np.asarray(v, float) for v in (estimate, lower, upper))
    at = np.arange(len(estimate)) if at is None else np.asarray(at, float)
    known = np.isfinite(lower) & np.isfinite(upper)
    ax.vlines(at[known], lower[known], upper[known], color=color, lw=1.6)
    ax.plot(at, estimate, marker, color=color, ms=5.5, label=label)
    return ax


def through_seasons(rows: pd.DataFrame, naive: pd.Series | None, label: str, ax=None):
    """An estimate of every season with its interval, and crosses for the share of sites at which something was found.

    Parameters
    ----------
    rows : estimates in the order of the seasons, with `season`
    naive : share by season, or None
    """
    ax = ax or new_axes(3.4)
    whiskers(ax, rows["estimate"], rows["lower"], rows["upper"], label="estimate, 95 % interval")
    if naive is not None:
        ax.plot(range(len(naive)), naive, "x", color=ORANGE, ms=6, label="found, of the sites visited")
        ax.set_ylim(0, 1.02)
    else:
        ax.set_ylim(0, None)
    every = max(1, int(np.ceil(len(rows) / 10)))
    ax.set_xticks(range(0, len(rows), every), [str(v) for v in rows["season"].iloc[::every]])
    ax.set(ylabel=label, xlabel="season", xlim=(-0.5, len(rows) - 0.5))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    return ax
