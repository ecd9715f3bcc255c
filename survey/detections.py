"""Detection histories: what was seen at sites, visit by visit, with what was never visited kept apart from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyproj import CRS

from .crs import projected
from .display import facts_html, some
from .errors import Problems, refuse
from .frozen import fixed, settle
from .ledger import Ledger

if TYPE_CHECKING:
    from .cells import Cells
    from .tables import SurveyTables

KEYS = ("site", "season", "trail", "visit", "method")  # what tells two visits apart, and their order
RESERVED = {"site", "season", "visit", "value", "effort"}


@dataclass(frozen=True, eq=False)
class DetectionHistory:
    """Visits to N sites in T seasons, ragged.

    Parameters
    ----------
    visits : DataFrame, one row per visit in any order
        site : name
        value : 0 nothing found, 1 found; or a state, or a count of animals; missing = the visit did not take place
        season : optional label; whole numbers are filled up, so that a year without any survey is a season too
        visit : optional order or name of the visit within site and season; by default the order of the rows
        effort : optional; 0 or missing = the visit did not take place
        trail, method : optional; together with the others they tell two visits apart. The visits of a trail are its
            segments in order
        anything else : covariates of the visit
    sites : DataFrame indexed by site name, covariates of sites; also says which sites exist and their order
    seasons : DataFrame with `season` (and `site` when they differ between sites) and covariates of seasons
    area : km² of a site (one number) or of every site [N], for the area occupied
    effort_unit : in words
    crs : projected CRS of `x` and `y` among the covariates of sites, where these are metres of one
    cells : the outlines of sites that are pieces of land, for maps
    ledger : where each record of the source went
    effort_ledger : effort by what became of it, where some did not count
    tables : the tables that the history was made from, for reports

    Raises
    ------
    SurveyError : values that are no whole numbers or below zero, unknown sites, a detection without effort, a visit
        given twice, … All faults at once.
    """

    visits: pd.DataFrame
    sites: pd.DataFrame = field(default_factory=pd.DataFrame)
    seasons: pd.DataFrame = field(default_factory=pd.DataFrame)
    area: np.ndarray | Any = None  # one number goes in; [N] or None is kept
    effort_unit: str = "visits"
    crs: CRS | Any = None  # whatever pyproj understands goes in; a CRS or None is kept
    cells: Cells | None = None
    ledger: Ledger = field(default_factory=Ledger)
    effort_ledger: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: SurveyTables | None = None
    season_labels: tuple = field(init=False, repr=False)
    site_of: np.ndarray = field(init=False, repr=False)  # int [V]
    season_of: np.ndarray = field(init=False, repr=False)  # int [V]
    value: np.ndarray = field(init=False, repr=False)  # float [V], NaN where the visit did not take place
    effort: np.ndarray = field(init=False, repr=False)  # float [V]
    done: np.ndarray = field(init=False, repr=False)  # bool [V], the visit took place

    def __post_init__(self):
        bad = Problems()
        visits = _columns(self.visits, bad)
        sites = _sites(self.sites, visits, bad)
        bad.raise_any()
        labels = _season_labels(visits["season"], self.seasons)
        visits = visits.assign(
            _site=pd.Index(sites.index).get_indexer(visits["site"]), _season=_positions(labels, visits["season"])
        )
        visits = visits.sort_values(["_site", "_season", *_extra(visits)], kind="stable").reset_index(drop=True)
        _check_visits(visits, bad)
        bad.raise_any()
        value = visits["value"].astype(float).to_numpy()
        effort = visits["effort"].astype(float).to_numpy()
        settle(
            self,
            visits=visits.drop(columns=["_site", "_season"]),
            sites=sites,
            seasons=_season_covariates(self.seasons, labels, tuple(sites.index)),
            crs=None if self.crs is None else projected(self.crs, "the CRS of the sites"),
            area=None if self.area is None else fixed(np.broadcast_to(self.area, len(sites)), float),
            season_labels=labels,
            site_of=fixed(visits["_site"], np.int64),
            season_of=fixed(visits["_season"], np.int64),
            value=fixed(value, float),
            effort=fixed(effort, float),
            done=fixed(np.isfinite(value) & (effort > 0), bool),
        )
        if self.area is not None and not (self.area > 0).all():
            raise refuse("the area of a site must be above 0", "Give it in km²", value=float(self.area.min()))

    # ---- ways to make one -----------------------------------------------------------------------------------

    @classmethod
    def from_wide(
        cls,
        value,
        *,
        sites: pd.DataFrame | None = None,
        site_names: Sequence[str] | None = None,
        season_labels: Sequence | None = None,
        visit_covariates: Mapping[str, np.ndarray] | None = None,
        season_covariates: Mapping[str, np.ndarray] | None = None,
        effort=None,
        **more,
    ) -> DetectionHistory:
        """From an array [site, visit] or [site, season, visit], NaN where there was no visit.

        Parameters
        ----------
        value : array or DataFrame (its index names the sites)
        sites : covariates of sites [N rows]
        visit_covariates : name → array of the same shape as `value`
        season_covariates : name → array [site, season]
        effort : array of the same shape, or one number
        """
        if isinstance(value, pd.DataFrame) and site_names is None and not isinstance(value.index, pd.RangeIndex):
            site_names = list(value.index)
            if sites is not None and not isinstance(sites.index, pd.RangeIndex):
                sites = _in_order(sites, site_names)
        y = np.asarray(value, float)
        y = y[:, None, :] if y.ndim == 2 else y
        if y.ndim != 3:
            raise refuse(
                "the values have the wrong shape", "Give [site, visit] or [site, season, visit]", value=y.shape
            )
        n, t, j = y.shape
        names = [str(s) for s in (site_names if site_names is not None else _names_of(sites, n))]
        labels = list(season_labels) if season_labels is not None else list(range(1, t + 1))
        if len(names) != n or len(labels) != t:
            raise refuse(
                "the names do not fit the values", "Give one per row or season", value=(len(names), len(labels))
            )
        frame = pd.DataFrame(
            {
                "site": np.repeat(names, t * j),
                "season": np.tile(np.repeat(labels, j), n),
                "visit": np.tile(np.arange(1, j + 1), n * t),
                "value": y.ravel(),
            }
        )
        if effort is not None:
            frame["effort"] = np.broadcast_to(np.asarray(effort, float), np.shape(value)).ravel()
        for name, array in (visit_covariates or {}).items():
            frame[name] = _like(name, array, np.shape(value))
        covariates = pd.DataFrame(index=pd.Index(names)) if sites is None else sites.set_axis(names, axis=0)
        seasons = pd.DataFrame({"site": np.repeat(names, t), "season": np.tile(labels, n)})
        for name, array in (season_covariates or {}).items():
            seasons[name] = _like(name, array, (n, t))
        return cls(frame, covariates, seasons, **more)

    @classmethod
    def from_long(cls, table: pd.DataFrame, columns: Mapping[str, str] | None = None, **more) -> DetectionHistory:
        """From a table of visits with other headings; `columns` maps theirs to ours, e.g. {"plot": "site"}."""
        missing = sorted(set(columns or {}) - set(table.columns))
        if missing:
            raise refuse("the table lacks columns", "Check their spelling", value=missing)
        return cls(table.rename(columns=dict(columns or {})), **more)

    @classmethod
    def side_by_side(cls, histories: Mapping[str, DetectionHistory], **more) -> DetectionHistory:
        """Several methods at the same sites, e.g. {"camera": …, "sign": …}; see `methods.side_by_side`."""
        from .methods import side_by_side

        return side_by_side(histories, **more)

    def visits_as_seasons(self) -> DetectionHistory:
        """Each visit as a season, the shape of `MultiMethodOccupancy`; see `methods.visits_as_seasons`."""
        from .methods import visits_as_seasons

        return visits_as_seasons(self)

    def with_covariate(self, name: str, raster, **how) -> DetectionHistory:
        """One more covariate of sites from a raster, or of sites and seasons from one raster per season.

        See `covariates.with_covariate` for the parameters.
        """
        from .covariates import with_covariate

        return with_covariate(self, name, raster, **how)

    def with_table(self, table: pd.DataFrame) -> DetectionHistory:
        """More covariates from a table with `site`, and `season`, `visit`, … ; see `covariates.with_table`."""
        from .covariates import with_table

        return with_table(self, table)

    def with_values(self, value: np.ndarray, effort: np.ndarray | None = None) -> DetectionHistory:
        """The same visits with other findings [V] (and efforts); what was not done stays undone."""
        new = {"value": np.where(self.done, value, np.nan)} | ({} if effort is None else {"effort": effort})
        return replace(self, visits=self.visits.assign(**new), seasons=self._season_table())

    def as_detections(self) -> DetectionHistory:
        """Found (1) or not (0) in place of counts, calling indices and other numbers above 0."""
        return self.with_values(np.minimum(self.value, 1.0))

    def without_missing(self, *names: str) -> DetectionHistory:
        """Without visits and sites whose covariates of these names are unknown.

        Such a visit counts as not done; such a site goes, with its visits.
        """
        unknown = sorted(set(names) - set(self.sites) - set(self.visits))
        if unknown:
            raise refuse("there is no such covariate of sites or visits", "Check its spelling", value=unknown)
        at_sites = [name for name in names if name in self.sites]
        keep = ~self.sites[at_sites].isna().any(axis=1).to_numpy()
        at_visits = [name for name in names if name in self.visits]
        lost = self.visits[at_visits].isna().any(axis=1).to_numpy()
        visits = self.visits.assign(value=np.where(lost, np.nan, self.value))[keep[self.site_of]]
        seasons = self._season_table()
        return replace(
            self,
            visits=visits,
            sites=self.sites[keep],
            seasons=seasons[seasons["site"].isin(self.sites.index[keep])],
            area=None if self.area is None else self.area[keep],
        )

    def only_sites(self, which: Sequence) -> DetectionHistory:
        """The history of some sites, by name or by a bool for each site; seasons stay, also those without a visit."""
        given = np.asarray(which)
        if given.dtype == bool and given.shape != (self.n_sites,):
            raise refuse("every site needs a yes or no", f"Give {self.n_sites}", value=given.shape)
        keep = given if given.dtype == bool else self.sites.index.isin(given.astype(str))
        unknown = [] if given.dtype == bool else sorted(set(given.astype(str)) - set(self.sites.index))
        if unknown:
            raise refuse("there are no such sites", "Check their names", value=unknown[:10])
        if not keep.any():
            raise refuse("no site is left", "Choose at least one", value=self.n_sites)
        seasons = self._season_table()
        return replace(
            self,
            visits=self.visits[keep[self.site_of]],
            sites=self.sites[keep],
            seasons=seasons[seasons["site"].isin(self.sites.index[keep])],
            area=None if self.area is None else self.area[keep],
        )

    def one_season(self, label) -> DetectionHistory:
        """The visits of one season, its covariates among those of the sites."""
        if label not in self.season_labels:
            raise refuse("there is no such season", f"Use one of {self.season_labels}", value=label)
        t = self.season_labels.index(label)
        here = self.seasons.iloc[t :: self.n_seasons].set_axis(self.sites.index, axis=0).drop(columns=["season"])
        sites = pd.concat([self.sites, here[here.columns.difference(self.sites.columns)]], axis=1)
        return replace(self, visits=self.visits[self.season_of == t], sites=sites, seasons=pd.DataFrame())

    # ---- what it holds --------------------------------------------------------------------------------------

    @property
    def n_sites(self) -> int:
        """N."""
        return len(self.sites)

    @property
    def n_seasons(self) -> int:
        """T."""
        return len(self.season_labels)

    @property
    def visited(self) -> np.ndarray:
        """bool [N]: at least one visit was done."""
        return np.bincount(self.site_of[self.done], minlength=self.n_sites) > 0

    @property
    def detected(self) -> np.ndarray:
        """bool [N, T]: found at least once."""
        found = np.zeros((self.n_sites, self.n_seasons), bool)
        hit = self.done & (np.nan_to_num(self.value) > 0)
        found[self.site_of[hit], self.season_of[hit]] = True
        return found

    def site_frame(self) -> pd.DataFrame:
        """Covariates of the N sites, with `site`."""
        return self.sites.reset_index(drop=True).assign(site=self.sites.index)

    def season_frame(self) -> pd.DataFrame:
        """Covariates of sites and seasons [N·T rows, season fastest], with `site` and `season`."""
        rows = self.site_frame().iloc[np.repeat(np.arange(self.n_sites), self.n_seasons)].reset_index(drop=True)
        return _joined(rows, self.seasons)

    def visit_frame(self, which: np.ndarray | None = None) -> pd.DataFrame:
        """Covariates of the visits that were done (or of those in `which`), with those of their sites and seasons."""
        which = self.done if which is None else which
        rows = self.season_frame().iloc[(self.site_of * self.n_seasons + self.season_of)[which]].reset_index(drop=True)
        return _joined(rows, self.visits.drop(columns=["value", "site", "season"])[which].reset_index(drop=True))

    def _season_table(self) -> pd.DataFrame:
        return self.seasons.assign(site=np.repeat(self.sites.index.to_numpy(), self.n_seasons))

    def equals(self, other: object) -> bool:
        """The same visits, sites and seasons."""
        return (
            isinstance(other, DetectionHistory)
            and self.visits.equals(other.visits)
            and self.sites.equals(other.sites)
            and self.seasons.equals(other.seasons)
        )

    def __repr__(self) -> str:
        seasons = f", {self.n_seasons} seasons" if self.n_seasons > 1 else ""
        found = int(self.detected.any(axis=1).sum())
        visits = some(int(self.done.sum()), "visit")
        return f"{some(self.n_sites, 'site')}{seasons}, {visits}, found at {some(found, 'site')}"

    def _repr_html_(self) -> str:
        return facts_html(
            "Detection history",
            {
                "sites": f"{self.n_sites}, {int(self.visited.sum())} of them visited",
                "seasons": self.n_seasons,
                "visits": f"{int(self.done.sum())} done, {int((~self.done).sum())} missing",
                "effort": f"{self.effort[self.done].sum():,.5g} {self.effort_unit}",
                "found at": f"{int(self.detected.any(axis=1).sum())} sites",
                "covariates of sites": ", ".join(map(str, self.sites.columns)) or "none",
                "covariates of visits": ", ".join(map(str, set(self.visits.columns) - RESERVED)) or "none",
            },
        )


def _in_order(sites: pd.DataFrame, names: pd.Index) -> pd.DataFrame:
    """The rows of the table of sites as the values name them."""
    missing = sorted(map(str, set(names) - set(sites.index)))
    if missing:
        raise refuse("the values name sites that are not in the table of sites", "Add them", value=missing[:10])
    return sites.loc[names]


def _names_of(sites: pd.DataFrame | None, n: int) -> list[str]:
    if sites is None or isinstance(sites.index, pd.RangeIndex):
        return [str(i + 1) for i in range(n)]
    return [str(name) for name in sites.index]


def _like(name: str, array, shape: tuple) -> np.ndarray:
    """A covariate, flat, when it has the right shape."""
    array = np.asarray(array)
    if array.shape != shape:
        raise refuse(f"the covariate {name!r} has the wrong shape", f"Give {shape}", value=array.shape)
    return array.ravel()


def _columns(visits: pd.DataFrame, bad: Problems) -> pd.DataFrame:
    """The table with site as text and every column that may be left out."""
    lacking = [name for name in ("site", "value") if name not in visits]
    if lacking:
        raise refuse("the table of visits lacks columns", "Add them, or use from_long(columns=…)", value=lacking)
    visits = visits.assign(site=visits["site"].astype(str))
    for name in ("value", "effort"):
        if name in visits:
            numbers = pd.to_numeric(visits[name], errors="coerce")
            for i in np.flatnonzero(numbers.isna() & visits[name].notna())[:20]:
                bad.add(f"{name} is not a number", "Correct it or leave it empty", value=visits[name].iloc[i])
            visits[name] = numbers.astype(float)
    visits["effort"] = visits["effort"] if "effort" in visits else 1.0
    visits["season"] = visits["season"] if "season" in visits else 1
    if "visit" not in visits:
        visits["visit"] = visits.groupby(_keys(visits, without="visit"), sort=False).cumcount() + 1
    return visits


def _keys(visits: pd.DataFrame, without: str = "") -> list[str]:
    return [key for key in KEYS if key in visits and key != without]


def _extra(visits: pd.DataFrame) -> list[str]:
    """What the visits of a site in a season are sorted by."""
    return [key for key in _keys(visits) if key not in ("site", "season")]


def _sites(sites: pd.DataFrame, visits: pd.DataFrame, bad: Problems) -> pd.DataFrame:
    """Covariates indexed by name; sites of the visits in order of appearance when no table says more."""
    sites = sites.set_index("site") if "site" in sites else sites
    if not len(sites):
        names = pd.unique(visits["site"])
        if len(names) == 0:
            bad.add("there are no sites", "Give at least one visit or one site")
        return pd.DataFrame(index=pd.Index(names, name="site"))
    sites = sites.set_axis(pd.Index(sites.index.astype(str), name="site"), axis=0)
    for name in sites.index[sites.index.duplicated()].unique():
        bad.add("the site is in the table of sites twice", "Give every site one row", value=name)
    for name in sorted(set(pd.unique(visits["site"])) - set(sites.index))[:20]:
        bad.add("the visits name a site that is not in the table of sites", "Add it or correct the name", value=name)
    return sites


def _season_labels(column: pd.Series, seasons: pd.DataFrame) -> tuple:
    """Labels in order, whole numbers without gaps."""
    labels = list(pd.unique(pd.concat([column, seasons["season"]]) if "season" in seasons else column)) or [1]
    if any(pd.isna(label) for label in labels):
        raise refuse("a visit or a row of the table of seasons has no season", "Fill in its season")
    if all(_number(label) and float(label).is_integer() for label in labels):
        return tuple(range(int(min(labels)), int(max(labels)) + 1))
    return tuple(sorted(labels))


def _number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _positions(labels: tuple, column: pd.Series) -> np.ndarray:
    return pd.Index(labels).get_indexer(column)


def _season_covariates(table: pd.DataFrame, labels: tuple, sites: tuple) -> pd.DataFrame:
    """[N·T rows, season fastest] with `season` and the covariates."""
    n, t = len(sites), len(labels)
    grid = pd.DataFrame({"site": np.repeat(sites, t), "season": np.tile(np.array(labels), n)})
    if table.empty or set(table.columns) <= {"site", "season"}:
        return grid.drop(columns="site")
    keys = [key for key in ("site", "season") if key in table]
    if "site" in table:
        table = table.assign(site=table["site"].astype(str))
    if table.duplicated(keys).any():
        row = table[table.duplicated(keys)].iloc[0]
        raise refuse(
            "the table of seasons has a row twice", "Give one row per season (and site)", value=list(row[keys])
        )
    return grid.merge(table, on=keys, how="left").drop(columns="site")


def _joined(rows: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Columns side by side; the finer table wins where both have a name."""
    return pd.concat([rows[rows.columns.difference(more.columns, sort=False)], more], axis=1)


def _check_visits(visits: pd.DataFrame, bad: Problems) -> None:
    value, effort = visits["value"].to_numpy(), visits["effort"].to_numpy()
    where = visits["site"].to_numpy()
    known = np.isfinite(value)
    for i in np.flatnonzero(np.isinf(value) | (known & ((value < 0) | (value != np.floor(value)))))[:20]:
        bad.add(f"a finding at site {where[i]!r} is no whole number from 0 on", "Correct it", value=float(value[i]))
    for i in np.flatnonzero((effort < 0) | np.isinf(effort))[:20]:
        bad.add(f"the effort at site {where[i]!r} must be 0 or more", "Correct it", value=float(effort[i]))
    for i in np.flatnonzero(known & (value > 0) & ((effort == 0) | np.isnan(effort)))[:20]:
        what = f"something was found at site {where[i]!r} without effort"
        bad.add(what, "Give the effort of this visit", value=None if np.isnan(effort[i]) else 0.0)
    keys = _keys(visits)
    for i in np.flatnonzero(visits.duplicated(keys))[:20]:
        row = tuple(visits[keys].iloc[i])
        bad.add(f"a visit is given twice ({', '.join(keys)})", "Keep one row per visit", value=row)
