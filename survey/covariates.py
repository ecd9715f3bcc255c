"""Covariates of detection histories: rasters sampled at the sites, and tables of sites, seasons or visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import shapely

from .detections import KEYS, RESERVED, DetectionHistory
from .errors import Problems, refuse

MISSING = ("refuse", "keep")


def with_covariate(
    history: DetectionHistory, name: str, raster, *, how: str = "mean", radius: float = 0.0, missing: str = "refuse"
) -> DetectionHistory:
    """The history with one more covariate, sampled at the sites.

    Parameters
    ----------
    name : how formulas will call it
    raster : path of a GeoTIFF or DataArray with a CRS; or label → raster for every season
    how : "mean" over the outline of a site (or over the circle of `radius` around its x and y), or "point": the value
        at its x and y. A site without outline and radius has its point only
    radius : metres
    missing : "refuse" sites without a value, or "keep" them as not known (see `DetectionHistory.without_missing`)

    Raises
    ------
    SurveyError : sites without position or value; a season without raster; what is wrong with a raster
    """
    if not str(name).isidentifier() or name in RESERVED:
        raise refuse("a covariate needs a name that formulas can use", "Use letters, digits and _", value=name)
    if how not in ("mean", "point") or missing not in MISSING or not radius >= 0:
        fix = "Give how='mean' or 'point', missing='refuse' or 'keep', a radius of 0 m or more"
        raise refuse("a choice of sampling is not known", fix, value=(how, missing, radius))
    if isinstance(raster, Mapping):
        lacking = [label for label in history.season_labels if label not in raster]
        if lacking:
            raise refuse(f"there is no raster of {name!r} for some seasons", "Give one for each", value=lacking[:10])
        columns = [_sampled(history, name, raster[s], how, radius, missing) for s in history.season_labels]
        seasons = history._season_table().assign(**{name: np.column_stack(columns).ravel()})
        return replace(history, seasons=seasons)
    values = _sampled(history, name, raster, how, radius, missing)
    return replace(history, sites=history.sites.assign(**{name: values}), seasons=history._season_table())


def _sampled(history: DetectionHistory, name: str, raster, how: str, radius: float, missing: str) -> np.ndarray:
    from .raster import at_places

    values = at_places(raster, places(history, how, radius), history.crs)
    lost = ~np.isfinite(values)
    if lost.any() and missing == "refuse":
        fix = "Extend the raster, or give missing='keep' and leave these sites out with without_missing()"
        if {"x", "y"} <= set(history.sites):  # far away is another slip than just beyond the edge
            first = history.sites.loc[lost].iloc[0]
            where = f"the first is at x = {first['x']:,.0f}, y = {first['y']:,.0f}"
            check = f"Check the CRS of the sites, and that x and y are not swapped ({where})"
            fix = f"{check}. Else {fix[0].lower()}{fix[1:]}"
        what = f"the raster for {name!r} has no value at {int(lost.sum()):,} of {history.n_sites:,} sites"
        raise refuse(what, fix, value=list(history.sites.index[lost][:8]))
    return values


def places(history: DetectionHistory, how: str = "mean", radius: float = 0.0) -> np.ndarray:
    """Outlines or points of the N sites, in metres of the history's CRS."""
    if history.crs is None:
        fix = "Give crs= and the columns x and y of its sites"
        raise refuse("the history has no CRS, so a raster cannot be laid on its sites", fix)
    if history.cells is not None and how == "mean" and radius == 0:
        at = pd.Index(history.cells.name).get_indexer(history.sites.index)
        if (at < 0).any():
            raise refuse("a site has no outline", "Name it like its cell", value=list(history.sites.index[at < 0][:8]))
        return history.cells.outline[at]
    if not {"x", "y"} <= set(history.sites):
        raise refuse("the sites have no x and y", "Add these columns, in metres, to the table of sites")
    x, y = history.sites["x"].to_numpy(float), history.sites["y"].to_numpy(float)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    if lost.any():
        raise refuse("a site has no position", "Fill in x and y", value=list(history.sites.index[lost][:8]))
    points: Any = shapely.points(x, y)
    return points if how == "point" or radius == 0 else shapely.buffer(points, radius)


def with_table(history: DetectionHistory, table: pd.DataFrame) -> DetectionHistory:
    """The history with the covariates of a table.

    Parameters
    ----------
    table : one row per site (`site`), per season (`season`), per site and season, or per visit (`site`, `season` when
        there are several, `visit`, and `trail` and `method` where the visits have them); every other column is a
        covariate. It may hold more sites and visits than the history, but none of the history's may be missing

    Raises
    ------
    SurveyError : no key, a row twice, sites, seasons or visits without a row, a covariate that is there already
    """
    keys = [key for key in KEYS if key in table]
    columns = [name for name in table if name not in keys]
    if not keys or not columns:
        fix = "Give 'site', 'season' or 'visit', and covariates"
        raise refuse("the table has no key or no covariate", fix, value=list(table.columns)[:10])
    there = {*history.sites, *history.seasons, *history.visits}
    again = [name for name in columns if name in there or name in RESERVED]
    if again:
        raise refuse("the history has these covariates already", "Rename them", value=again)
    table = table.assign(site=table["site"].astype(str)) if "site" in keys else table
    if "visit" in keys or "trail" in keys or "method" in keys:
        lacking = [key for key in history.visits if key in KEYS and key not in keys]
        if history.n_seasons == 1 and lacking == ["season"]:
            keys, lacking = keys, []
        if lacking:
            raise refuse("the table of visits lacks keys", "Add them", value=lacking)
        wanted = history.visits[history.done]
        joined = _joined(history.visits, table, keys, wanted)
        return replace(history, visits=joined, seasons=history._season_table())
    if keys == ["site"]:
        sites = history.sites.rename_axis("site").reset_index()
        joined = _joined(sites, table, keys, sites).set_index("site")
        return replace(history, sites=joined, seasons=history._season_table())
    seasons = history._season_table()
    return replace(history, seasons=_joined(seasons, table, keys, seasons))


def _joined(rows: pd.DataFrame, table: pd.DataFrame, keys: list[str], wanted: pd.DataFrame) -> pd.DataFrame:
    bad = Problems()
    for _, row in table[table.duplicated(keys)].head(20).iterrows():
        bad.add(f"the table has two rows for one {' and '.join(keys)}", "Keep one", value=list(row[keys]))
    bad.raise_any()
    known = pd.MultiIndex.from_frame(table[keys].astype(object))
    lost = wanted[~pd.MultiIndex.from_frame(wanted[keys].astype(object)).isin(known)]
    for _, row in lost.head(20).iterrows():
        bad.add(f"the table has no row for a {' and '.join(keys)} of the history", "Add it", value=list(row[keys]))
    bad.raise_any()
    return rows.merge(table, on=keys, how="left").set_axis(rows.index, axis=0)
