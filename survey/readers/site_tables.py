"""Detection histories from plain tables: one row per visit, or one row per site with a column per visit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd

from ..columns import FALSE, TRUE, Columns
from ..crs import looks_like_degrees, projected, to_metres
from ..detections import DetectionHistory
from ..errors import Problems, refuse
from ..times import WHOLE_DAY_STARTS
from .plain import covariates, in_file, labels, only_once, open_table

FINDINGS = ("value", "detected", "count")  # what the findings may be called
KEYS = ("site", "season", "trail", "visit", "method")


def read_visits(
    path: str | Path,
    *,
    sites: str | Path | None = None,
    seasons: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    dates: str | None = None,
    **more,
) -> DetectionHistory:
    """A detection history from a table with one row per visit.

    Parameters
    ----------
    path : CSV or Excel file with the columns `site` and `value` (0, 1, a state or a count; empty: the visit did not
        take place), which may also be called `count`, or `detected` with yes and no; and where there are such `season`,
        `visit`, `effort`, `trail`, `method`; any other column is a covariate of the visit. In place of `visit` there
        may be `date`: the dates of a site in a season are its visits, and `day`, the day of the year, is a covariate
    sites : table with `site`, covariates, and coordinates `x` and `y` [m] or `longitude` and `latitude`; it also says
        which sites there are
    seasons : table with `season` (and `site`) and covariates of seasons
    columns : what we call a column -> what the table of visits calls it, e.g. {"site": "plot"}
    dates : "dmy" or "mdy" for dates that end with the year
    crs : projected coordinate system of x and y, and to which longitude and latitude go
    more : `area` and `effort_unit`, as for `DetectionHistory`

    Raises
    ------
    SurveyError : missing columns, values that are no whole numbers from 0, visits given twice, unknown sites, …; all
        bad rows at once
    """
    bad = Problems()
    table = open_table(path, bad, columns, encoding)
    table.order = dates
    finding = next((name for name in FINDINGS if table.has(name)), "value")
    if not table.require("site", finding):
        bad.raise_any()
    visits: dict = {"site": table.text("site", required=True)}
    visits |= {name: labels(table, name) for name in KEYS[1:] if table.has(name)}
    dated = table.has("date") and "visit" not in visits
    visits |= _by_date(table, visits) if dated else {}
    only_once(table, {k: v for k, v in visits.items() if k in KEYS}, "this visit") if "visit" in visits else None
    visits["value"] = _yes_or_no(table) if finding == "detected" else table.number(finding, low=0, whole=True)
    if table.has("effort"):
        visits["effort"] = table.number("effort", low=0)
        for i in np.flatnonzero(~(visits["effort"] > 0) & (visits["value"] > 0)):
            table.fault(i, "something was found without effort", "Give the effort of this visit", visits["site"][i])
    frame = pd.DataFrame(visits)
    more_columns = covariates(table, *KEYS, finding, "effort", *(["date"] if dated else []))
    where = read_sites(sites, bad, crs, encoding)
    if len(where):
        _all_known(table, visits["site"], where.index, sites)
    bad.raise_any()
    by_season = read_seasons(seasons, encoding)
    with in_file(path):
        return DetectionHistory(pd.concat([frame, more_columns], axis=1), where, by_season, crs=crs, **more)


def _yes_or_no(table: Columns) -> np.ndarray:
    """float [n]: 1 and 0 of `detected`, NaN where missing."""
    word = table.choice("detected", dict.fromkeys(TRUE, "yes") | dict.fromkeys(FALSE, "no"))
    return np.where(word == "", np.nan, word == "yes").astype(float)


def _by_date(table: Columns, keys: Mapping[str, object]) -> dict[str, np.ndarray]:
    """The visits of a site in a season, numbered by their dates, and `day`, the day of the year."""
    day = table.time("date", UTC, required=True, dates=WHOLE_DAY_STARTS).normalize()
    by = [pd.Series(keys[name]) for name in ("site", "season") if name in keys]
    rank = pd.Series(day).groupby(by).rank("dense")
    return {"visit": rank.fillna(0).astype(int).to_numpy(), "day": day.day_of_year.to_numpy(float)}


def read_matrix(
    path: str | Path,
    *,
    sites: str | Path | None = None,
    effort: str | Path | None = None,
    visit_covariates: Mapping[str, str | Path] | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    **more,
) -> DetectionHistory:
    """A detection history of one season from a table with one row per site: `site`, and a column for each visit.

    Parameters
    ----------
    path : CSV or Excel file; an empty cell is a visit that did not take place
    sites : as for `read_visits`
    effort : table of the same rows and columns
    visit_covariates : name -> table of the same rows and columns
    crs, more : as for `read_visits`

    Raises
    ------
    SurveyError : no column of visits, values that are no whole numbers from 0, tables that do not fit together; all
        bad rows at once
    """
    bad = Problems()
    found = _matrix(path, bad, encoding, low=0, whole=True)
    beside = {name: _matrix(file, bad, encoding) for name, file in (visit_covariates or {}).items()}
    worked = None if effort is None else _matrix(effort, bad, encoding, low=0)
    more_files = {effort: worked} | {file: beside[name] for name, file in (visit_covariates or {}).items()}
    for file, table in more_files.items():
        if table is not None and (set(table.index), list(table)) != (set(found.index), list(found)):
            fix = f"Give it the sites and headings of {Path(path).name}"
            bad.add("the sites or visits are not those of the findings", fix, file=file)
    where = read_sites(sites, bad, crs, encoding)
    bad.raise_any()
    with in_file(path):
        return DetectionHistory.from_wide(
            found,
            sites=where if len(where) else None,
            site_names=list(found.index),
            effort=None if worked is None else worked.loc[found.index].to_numpy(),
            visit_covariates={name: table.loc[found.index].to_numpy() for name, table in beside.items()},
            crs=crs,
            **more,
        )


def _matrix(path: str | Path, bad: Problems, encoding: str | None, **limits) -> pd.DataFrame:
    table = open_table(path, bad, None, encoding)
    if not table.require("site"):
        return pd.DataFrame()
    names = table.text("site", required=True)
    table.unique("site", names)
    visits = [h for h in table.sheet.headings if h != table.heading("site")]
    if not visits:
        raise refuse("there are no columns of visits", "Give one beside `site` for each visit", file=path)
    return pd.DataFrame({h: table.number(h, **limits) for h in visits}, index=names)


def read_sites(
    path: str | Path | None, bad: Problems, crs: str | None = None, encoding: str | None = None
) -> pd.DataFrame:
    """Covariates by site, with coordinates in metres `x` and `y` where the table has any; empty without a table."""
    if path is None:
        return pd.DataFrame()
    table = open_table(path, bad, None, encoding)
    if not table.require("site"):
        return pd.DataFrame()
    names = table.text("site", required=True)
    table.unique("site", names)
    frame = covariates(table, "site").set_axis(pd.Index(names, name="site"), axis=0)
    if table.has("x", "y"):
        frame = frame.assign(x=table.number("x"), y=table.number("y"))
        if crs is not None and looks_like_degrees(frame["x"], frame["y"]):
            found = (float(frame["x"].iloc[0]), float(frame["y"].iloc[0]))
            what = "x and y look like degrees and must be metres"
            bad.add(what, "Call them longitude and latitude", file=table.sheet.name, value=found)
    elif table.has("longitude", "latitude"):
        longitude, latitude = table.number("longitude", low=-180, high=180), table.number("latitude", low=-90, high=90)
        if crs is None:
            bad.add(
                "sites in degrees need a projected coordinate system", "Give crs, the UTM zone of the survey", file=path
            )
        else:
            x, y = to_metres(longitude, latitude, projected(crs))
            frame = frame.assign(x=x, y=y)
    return frame


def read_seasons(path: str | Path | None, encoding: str | None = None) -> pd.DataFrame:
    """Covariates by season (and site); empty without a table."""
    if path is None:
        return pd.DataFrame()
    bad = Problems()
    table = open_table(path, bad, None, encoding)
    if not table.require("season"):
        bad.raise_any()
    keys: dict = {"season": labels(table, "season")}
    if table.has("site"):
        keys["site"] = table.text("site", required=True)
    only_once(table, keys, "this season")
    bad.raise_any()
    return pd.concat([pd.DataFrame(keys), covariates(table, "season", "site")], axis=1)


def _all_known(table, named: np.ndarray, known: pd.Index, sites) -> None:
    for i in np.flatnonzero(~np.isin(named.astype(str), known.astype(str))):
        if named[i]:
            fix = f"Add it to {Path(sites).name}, or correct the name"
            table.fault(i, "the site is not in the table of sites", fix, named[i])
