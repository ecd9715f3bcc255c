"""Methods: cameras, scat and sign at the same sites, side by side in one detection history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .detections import DetectionHistory
from .errors import Problems, refuse

FIRST = ("site", "season", "visit", "method", "value", "effort")
POSITION = ("x", "y", "longitude", "latitude")


def side_by_side(histories: Mapping[str, DetectionHistory], **more) -> DetectionHistory:
    """One history of several methods, told apart by the covariate `method` of visits.

    Visits of different methods belong together when they have the same site, season and visit; make them with the same
    periods. A site need not have all methods. For `MultiMethodOccupancy`, whose occasions are seasons, follow with
    `visits_as_seasons`; models that know no occasions take the visits of all methods as they are.

    Parameters
    ----------
    histories : name of the method → its history. Sites of one name are one site
    more : `area`, `cells` and others of DetectionHistory; by default those of the first method that has them

    Raises
    ------
    SurveyError : fewer than two methods, one that has methods itself, a covariate of sites on which methods disagree
    """
    if len(histories) < 2:
        raise refuse("side by side needs at least two methods", "Give {'camera': …, 'sign': …}", value=list(histories))
    for name, history in histories.items():
        if "method" in history.visits:
            raise refuse(f"the history of {name!r} has methods itself", "Give one history for each method")
        if "trail" in history.visits:
            fix = "Use by_cell for its visits"
            raise refuse(f"the history of {name!r} has trails, which cannot stand beside other methods", fix)
    visits = [h.visits.assign(method=name) for name, h in histories.items()]
    first_with_cells = sorted(histories.values(), key=lambda h: h.cells is None)
    sites = _merged([h.sites.rename_axis("site").reset_index() for h in first_with_cells], ["site"])
    areas = pd.concat([pd.Series(h.area, h.sites.index) for h in first_with_cells if h.area is not None] or [None])
    areas = areas[~areas.index.duplicated()].reindex(sites["site"]) if len(areas) else areas
    default = {
        "area": areas.to_numpy() if len(areas) and areas.notna().all() else None,
        "cells": first_with_cells[0].cells,
        "crs": next((h.crs for h in first_with_cells if h.crs is not None), None),
        "effort_unit": "; ".join(f"{h.effort_unit} ({name})" for name, h in histories.items()),
    }
    with_seasons = [h._season_table() for h in first_with_cells]
    seasons = _merged(with_seasons, ["site", "season"])
    together = pd.concat(visits, ignore_index=True)
    together = together[[*FIRST, *sorted(set(together) - set(FIRST))]]
    return DetectionHistory(together, sites.set_index("site"), seasons, **(default | more))


def _merged(tables: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Rows of all tables; where two tables give a covariate they must agree, but for positions the first counts."""
    bad, whole = Problems(), tables[0]
    for table in tables[1:]:
        both = [c for c in table if c in whole and c not in keys]
        at = whole[keys + both].merge(table[keys + both], on=keys, suffixes=("", " "))
        for name in [c for c in both if c not in POSITION]:
            a, b = at[name], at[f"{name} "]
            differ = at[(a != b) & a.notna() & b.notna()]
            for _, row in differ.head(5).iterrows():
                what = f"the methods disagree on {name!r} at {', '.join(map(str, row[keys]))}"
                bad.add(what, "Correct it, or leave it out of one history", value=(row[name], row[f"{name} "]))
        outer = whole.merge(table, on=keys, how="outer", suffixes=("", " "), sort=False)
        for name in both:
            outer[name] = outer[name].where(outer[name].notna(), outer.pop(f"{name} "))
        order = pd.concat([whole[keys], table[keys]]).drop_duplicates()
        whole = order.merge(outer, on=keys, how="left")
    bad.raise_any()
    return whole


def visits_as_seasons(history: DetectionHistory) -> DetectionHistory:
    """Each visit as a season of its own, in their order: the shape of `MultiMethodOccupancy`.

    Raises
    ------
    SurveyError : several seasons, visits that are not numbered
    """
    if history.n_seasons > 1:
        fix = "Take one with one_season(label) first"
        raise refuse("the history has several seasons", fix, value=list(history.season_labels)[:10])
    number = pd.to_numeric(history.visits["visit"], errors="coerce")
    if number.isna().any() or (number != np.floor(number)).any():
        raise refuse(
            "the visits are not numbered", "Number the occasions 1, 2, …", value=history.visits["visit"].iloc[0]
        )
    one = history.one_season(history.season_labels[0])
    visits = one.visits.assign(season=number.astype(int).to_numpy(), visit=1)
    return DetectionHistory(
        visits,
        one.sites,
        area=one.area,
        effort_unit=one.effort_unit,
        crs=one.crs,
        cells=one.cells,
        ledger=one.ledger,
        effort_ledger=one.effort_ledger,
        tables=one.tables,
    )
