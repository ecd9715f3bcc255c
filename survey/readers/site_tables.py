"""Detection histories from plain tables: one row per visit, or one row per site with a column per visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from .wide_tables import check_seasons, parts_of

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
    visits: str | Sequence[str] | None = None,
    n_seasons: int = 1,
    sites: str | Path | None = None,
    effort: str | Path | None = None,
    visit_covariates: Mapping[str, str | Path] | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    **more,
) -> DetectionHistory:
    """A detection history from a table with one row per site: `site`, and a column for each visit.

    Parameters
    ----------
    path : CSV or Excel file; an empty cell or NA is a visit that did not take place
    visits : what the headings of the visits begin with, such as "y" of y.1, y.2, …, or the headings. The other columns
        are then covariates: of the visits, those that are numbered like them (date.1, date.2, …; `effort.1`, … is the
        effort), and of the sites the rest, which may hold `x` and `y` or `longitude` and `latitude`. Without `visits`
        this is so where there are y.1, y.2, …, as in tables for the R package unmarked; else every column is a visit
    n_seasons : number of seasons, where the columns are the visits of one season after the other, equally many of each
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
    table = open_table(path, bad, None, encoding)
    parts = parts_of([h for h in table.sheet.headings if h != table.heading("site")], visits, path)
    found = _matrix(table, bad, None if parts is None else parts.visits, low=0, whole=True)
    beside = {} if parts is None else {n: _family(table, h, n) for n, h in parts.covariates.items()}
    worked = beside.pop("effort", None)
    names = {**({} if effort is None else {"effort": effort}), **(visit_covariates or {})}
    twice = sorted(set(names) & {*beside, *(() if worked is None else ("effort",))})
    if twice:
        raise refuse("covariates of visits are in two tables", "Keep them in one", file=path, value=twice)
    limits = {"effort": {"low": 0.0}}
    tables = {n: _matrix(open_table(f, bad, None, encoding), bad, **limits.get(n, {})) for n, f in names.items()}
    for name, other in tables.items():
        if (set(other.index), list(other)) != (set(found.index), list(found)):
            fix = f"Give it the sites and headings of {Path(path).name}"
            bad.add("the sites or visits are not those of the findings", fix, file=names[name])
    where = read_sites(sites, bad, crs, encoding)
    own = pd.DataFrame() if parts is None else _own_sites(table, parts.sites, found.index, bad, crs)
    bad.raise_any()
    beside |= {name: other.loc[found.index].to_numpy() for name, other in tables.items()}
    worked = beside.pop("effort", worked)
    check_seasons(found.shape[1], n_seasons, path)
    shape = (len(found), n_seasons, -1) if n_seasons > 1 else found.shape
    with in_file(path):
        return DetectionHistory.from_wide(
            found.to_numpy().reshape(shape),
            sites=_joined(where, own, sites),
            site_names=list(found.index),
            effort=None if worked is None else worked.reshape(shape),
            visit_covariates={name: values.reshape(shape) for name, values in beside.items()},
            crs=crs,
            **more,
        )


def _matrix(table: Columns, bad: Problems, visits: list[str] | None = None, **limits) -> pd.DataFrame:
    if visits is not None and not table.has("site"):
        names = np.array([str(i + 1) for i in range(len(table))], object)
    elif not table.require("site"):
        return pd.DataFrame()
    else:
        names = table.text("site", required=True)
        table.unique("site", names)
    visits = [h for h in table.sheet.headings if h != table.heading("site")] if visits is None else visits
    if not visits:
        raise refuse("there are no columns of visits", "Give one beside `site` for each visit", file=table.sheet.name)
    return pd.DataFrame({h: table.number(h, **limits) for h in visits}, index=names)


def _family(table: Columns, headings: list[str], name: str) -> np.ndarray:
    """A covariate of visits [site, visit]: numbers where all that is given are numbers, else text."""
    if name == "effort":
        return np.column_stack([table.number(h, low=0) for h in headings])
    columns = [np.asarray(table.covariate(h)) for h in headings]
    if all(c.dtype.kind == "f" for c in columns):
        return np.column_stack(columns)
    return np.array([[word or None for word in table.text(h)] for h in headings], object).T


def _own_sites(table: Columns, headings: list[str], index: pd.Index, bad: Problems, crs: str | None) -> pd.DataFrame:
    """The columns of a table of findings that say something of the sites."""
    if not headings:
        return pd.DataFrame()
    frame = pd.DataFrame({h: table.covariate(h) for h in headings}).set_axis(index.rename("site"), axis=0)
    return _placed(table, frame, bad, crs)


def _joined(where: pd.DataFrame, own: pd.DataFrame, sites) -> pd.DataFrame | None:
    """Covariates of a table of sites and of the table of findings, together."""
    if not len(where) or not len(own):
        return where if len(where) else own if len(own) else None
    twice = sorted(set(where) & set(own))
    if twice:
        raise refuse("columns are in both tables", "Keep them in one", file=sites, value=twice)
    return where.join(own)


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
    return _placed(table, frame, bad, crs)


def _placed(table: Columns, frame: pd.DataFrame, bad: Problems, crs: str | None) -> pd.DataFrame:
    """The table with `x` and `y` in metres, where it has coordinates."""
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
                "sites in degrees need a projected coordinate system",
                "Give crs, the UTM zone of the survey",
                file=table.sheet.name,
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
