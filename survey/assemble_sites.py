"""From a survey's tables to detection histories: one species at places, whoever the animals are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from .cells import Cells
from .detections import DetectionHistory
from .effort import Work, instants
from .errors import Problems, SurveyWarning, refuse
from .fates import Fates, sort_out
from .independence import Independence
from .ledger import Ledger
from .occasions import boundary_hours, number, occasion_days
from .places import detector_table, locate
from .tables import DEPLOYMENTS, SurveyTables
from .wanted import date_at, labels, occasions_of, one_session, one_species

KINDS = ("detection", "count")
OTHER_SEASON, OTHER_DATES = "another session", "outside the dates of the survey"
NEVER_FOUND = ("refuse", "accept")
UNKNOWN_EFFORT = "the effort is not known"
DATES, SEASON_FROM, SITE_FROM, OUTSIDE = (
    "dates",
    "season from",
    "site from",
    "records outside the camera's working time",
)


def detection_history(
    tables: SurveyTables,
    *,
    species: str | None = None,
    occasion: str | int = "1 week",
    crs=None,
    kind: str = "detection",
    day_boundary: str = "noon",
    independence: Independence | Sequence | str | None = ("last independent record", "30 minutes"),
    outside: str = "refuse",
    start: str | None = None,
    end: str | None = None,
    season_from: str | None = None,
    seasons: Mapping[object, tuple[str, str]] | None = None,
    site_from: str | Cells | None = None,
    never_found: str = "refuse",
) -> DetectionHistory:
    """Visits to sites from the tables of a camera survey: every place on every occasion.

    Effort of a visit is the camera days worked, after failures; where that is 0 or not known, the visit is missing.

    Parameters
    ----------
    species : scientific name as in the records; may be left out when the records hold one species only
    occasion : length of a visit in whole days, "1 day", "5 days", "1 week"
    crs : projected coordinate reference system in metres, e.g. "EPSG:32649"
    kind : "detection" (1 found, 0 not found) or "count" (independent records)
    day_boundary : local clock time that separates days: "noon" for animals of the night, "midnight" or "HH:MM"
    independence : (what the time is counted from, how long), as in `assemble`; within a site
    outside : "refuse" records of the species from outside their deployment or within a failure of their camera, or
        "drop" them (and count them in the ledger)
    start, end : first and last local date, when only a part of the data is wanted
    season_from : the key in the deployments' groups that holds the season, e.g. "season"; whole numbers are years
    seasons : instead of that, label → (first, last local date), both included, cut out of continuous data. A season
        ends at the day boundary after its last date, and its last occasion may be shorter. `Patrols` take the same
    site_from : `Cells`, or the key in the deployments' groups that holds the site, e.g. "grid", when several stations
        stand in one; their camera days add up. Without it every location is a site
    never_found : what to do when no record is of the species: "refuse" (is the name right?) or "accept" (all zeros)

    Returns
    -------
    DetectionHistory with x, y [m], longitude, latitude and the covariates of the sites, `ledger` and `tables` (whose
    occasions have their season)

    Raises
    ------
    SurveyError : unknown species, season or site; contradictory records; seasons that overlap; no effort at all
    """
    for value, known in ((kind, KINDS), (outside, ("refuse", "drop")), (never_found, NEVER_FOUND)):
        if value not in known:
            raise refuse("this choice is not known", f"Use {known[0]!r} or {known[1]!r}", value=value)
    if season_from is not None and seasons is not None:
        raise refuse(
            "the seasons are given twice", "Give season_from=, or seasons= with their dates", value=season_from
        )
    if seasons is not None and not (start is None and end is None):
        fix = "Leave out start and end: the seasons have their dates"
        raise refuse("dates are given twice", fix, value=f"{start} to {end}")
    length, _ = occasion_days(occasion), boundary_hours(day_boundary)
    choices = {
        "species": _species(tables, species, never_found),
        "occasion": f"{length} day" + "s" * (length > 1),
        "day boundary": day_boundary,
        "independence": str(Independence.parse(independence)),
        "kind": kind,
        OUTSIDE: outside,
    }
    deployments, system, notes = locate(tables.deployments, crs)
    for text in notes:
        warnings.warn(text, SurveyWarning, stacklevel=2)
    choices["crs"] = system.to_string()
    dated = not (start is None and end is None and seasons is None)
    choices |= {DATES: f"{start} to {end}" if seasons is None else "of the seasons"} if dated else {}
    choices |= {} if season_from is None else {SEASON_FROM: season_from}
    choices |= {SITE_FROM: site_from} if isinstance(site_from, str) else {}
    located = replace(tables, deployments=deployments, crs=system.to_string(), notes=(*tables.notes, *notes))
    cells = site_from if isinstance(site_from, Cells) else None
    if cells is not None and cells.crs != system:
        what, fix = "the cells are in another CRS than the survey", f"Give crs={cells.crs.to_string()!r}"
        raise refuse(what, fix, value=system.to_string())
    sites, site_of = _sites(deployments, site_from)
    places = pd.Index(site_of.index)
    cut_out = _cut_out(located, length, day_boundary, start, end, season_from, seasons, places)
    visits = [_visits(season, choices, dated, site_of.to_numpy(), len(sites)) for season in cut_out]
    frame = pd.concat([rows for rows, _, _ in visits], ignore_index=True)
    if not (frame["effort"] > 0).any():
        raise refuse("no camera has worked on any occasion", "Check the dates of deployments, failures and seasons")
    finished = _finished(located, choices, cut_out, *first_end([ends for _, *ends in visits]))
    frame["site"] = sites.index[frame["site"]]
    more = {"effort_unit": "camera days", "crs": system, "ledger": finished.ledger, "tables": finished}
    return DetectionHistory(frame, sites, cells=cells, area=None if cells is None else cells.area, **more)


def _finished(tables: SurveyTables, choices: dict, seasons: list[Season], fate, occasion) -> SurveyTables:
    """The tables with the end of every record, the occasions of all seasons and every choice."""
    r, used = tables.records, fate == Ledger.USED
    ledger = Ledger.of(r["file"], r["row"], fate)
    ledger.check()
    numbers = pd.array(np.where(used, occasion, 0), "Int64")
    records = r.assign(fate=fate, occasion=pd.Series(numbers, index=r.index).where(used))
    occasions = pd.concat([season.occasions.assign(season=season.label) for season in seasons])
    before = {k: v for k, v in tables.provenance.items() if k not in (DATES, SEASON_FROM, SITE_FROM)}
    return replace(tables, records=records, ledger=ledger, occasions=occasions, provenance=before | choices)


def _species(tables: SurveyTables, species: str | None, never_found: str) -> str:
    if never_found == "accept" and species is not None:
        return species
    if tables.records.empty:
        raise refuse(
            "there are no records",
            "Check the files; if nothing at all was found, say so with species= and never_found='accept'",
            file=tables.provenance.get("records from"),
        )
    return one_species(tables, species)


# ---- sites --------------------------------------------------------------------------------------------------------


def _sites(deployments: pd.DataFrame, key: str | Cells | None) -> tuple[pd.DataFrame, pd.Series]:
    """Covariates indexed by site; and location → position of its site, -1 for locations of no site."""
    if key is None:
        table = detector_table(deployments, DEPLOYMENTS).rename(columns={"location": "site"})
        return table.set_index("site"), pd.Series(range(len(table)), index=table["site"])
    if isinstance(key, Cells):
        return key.sites(), _in_cells(deployments, key)
    named = deployments.assign(site=labels(deployments, key))
    bad = Problems()
    differing = named.groupby("location")["site"].nunique(dropna=False)
    for location in differing.index[differing > 1]:
        row = named[named["location"] == location].iloc[-1]
        bad.add(
            f"location {location!r} belongs to several sites",
            f"Give its deployments one {key}",
            file=row["file"],
            row=int(row["row"]),
            value=sorted(map(str, named.loc[named["location"] == location, "site"].unique())),
        )
    for row in named[named["site"].isna()].drop_duplicates("location").to_dict("records"):
        what = f"location {row['location']!r} has no {key}, so its site is not known"
        bad.add(what, f"Write '{key}:…' in the groups of its deployment", file=row["file"], row=int(row["row"]))
    bad.raise_any()
    stations = detector_table(named, DEPLOYMENTS)
    table = detector_table(stations.assign(location=stations["site"]), (*DEPLOYMENTS, "site"))
    table = table.rename(columns={"location": "site"}).set_index("site")
    at = pd.Index(table.index).get_indexer(stations["site"])
    return table, pd.Series(at, index=stations["location"])


def _in_cells(deployments: pd.DataFrame, cells: Cells) -> pd.Series:
    """Location → position of the cell it stands in."""
    stations = detector_table(deployments, DEPLOYMENTS)
    at, bad = cells.at(stations["x"], stations["y"]), Problems()
    for location in stations["location"][at < 0]:
        row = deployments[deployments["location"] == location].iloc[0]
        what, fix = f"location {location!r} stands in no cell", "Extend the cells, or leave its deployments out"
        bad.add(what, fix, file=row["file"], row=int(row["row"]), value=f"x {row['x']:.0f}, y {row['y']:.0f}")
    bad.raise_any()
    return pd.Series(at, index=stations["location"])


# ---- seasons ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Season:
    """What was done in one season."""

    label: object
    tables: SurveyTables  # its deployments, all records
    occasions: pd.DataFrame
    edges: np.ndarray  # int [S + 1], microseconds
    work: Work


def _cut_out(tables, length: int, boundary: str, start, end, key: str | None, windows, places: pd.Index):
    """The seasons in order."""
    if windows is not None:
        return _windows(tables, length, boundary, windows, places)
    if key is None:
        return [_season(1, tables, occasions_of(tables, length, boundary, start, end), places)]
    out = []
    for label, written in _season_names(tables.deployments, key).items():
        of_season, _ = one_session(tables, key, written)
        out.append(_season(label, of_season, occasions_of(of_season, length, boundary, start, end), places))
    return sorted(out, key=lambda season: season.label)


def _season_names(deployments: pd.DataFrame, key: str) -> dict:
    """Label of each season → as the deployments write it; whole numbers are years, and one without survey counts."""
    found = sorted(labels(deployments, key).dropna().unique())
    whole = all(label.isdigit() for label in found)
    return {int(label) if whole else label: label for label in found}


def _windows(tables: SurveyTables, length: int, boundary: str, windows: Mapping, places: pd.Index) -> list[Season]:
    """Seasons of given dates; the last occasion of each ends with it."""
    out = []
    for label, dates in windows.items():
        if isinstance(dates, str) or len(dates) != 2:
            raise refuse(
                f"season {label!r} has no first and last date", "Give seasons={2023: ('2023-05-01', '2023-07-01')}"
            )
        last = date_at(str(dates[1]), boundary, tables.timezone, f"end of season {label!r}")
        last = date_at(str((last + pd.Timedelta(days=1)).date()), boundary, tables.timezone, "end")
        occasions = occasions_of(tables, length, boundary, str(dates[0]), str(last.date()))
        occasions.loc[occasions.index[-1], "end"] = min(occasions["end"].iloc[-1], last)
        out.append(_season(label, tables, occasions, places))
    in_time = sorted(out, key=lambda season: season.edges[0])
    for a, b in pairwise(in_time):
        if b.edges[0] < a.edges[-1]:
            raise refuse(
                f"seasons {a.label!r} and {b.label!r} overlap",
                "A record can count in one season only: correct their dates",
                value=f"{b.occasions['start'].iloc[0]:%Y-%m-%d} before {a.occasions['end'].iloc[-1]:%Y-%m-%d}",
            )
    return out


def _season(label, tables: SurveyTables, occasions: pd.DataFrame, places: pd.Index) -> Season:
    edges = np.append(instants(occasions["start"]), instants(occasions["end"].tail(1)))
    return Season(label, tables, occasions, edges, Work(tables, edges, places))


def cut_again(history: DetectionHistory, tables: SurveyTables) -> tuple[list[Season], pd.Series]:
    """The seasons that `detection_history` cut out of the history's tables; and location → name of its site."""
    key, by = tables.provenance.get(SEASON_FROM), tables.provenance.get(SITE_FROM)
    sites, at = _sites(tables.deployments, by if history.cells is None else history.cells)
    written = {} if key is None else _season_names(tables.deployments, key)
    out = []
    for label, occasions in tables.occasions.groupby("season", sort=False):
        of_season, _ = one_session(tables, key, written.get(label))
        out.append(_season(label, of_season, occasions, pd.Index(at.index)))
    return out, pd.Series(sites.index[at], index=at.index)


# ---- visits -------------------------------------------------------------------------------------------------------


def _visits(
    season: Season, choices: dict, dated: bool, site_of_place: np.ndarray, n_sites: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """One row per site (its position) and occasion of the season; and the end and the occasion of every record."""
    tables, effort = season.tables, _by_site(season.work.effort, site_of_place, n_sites)
    fates, dates = Fates(tables.records), (season.edges[0], season.edges[-1]) if dated else None
    how = {"dates": dates, "outside": choices[OUTSIDE], "identified": False}
    moment = sort_out(fates, tables, choices["species"], season.work, **how)
    number_of = number(moment, season.edges)
    i = np.flatnonzero(fates.open)
    of = pd.Index(tables.deployments["deployment"]).get_indexer(pd.Index(tables.records["deployment"].iloc[i]))
    place, occasion = season.work.place[of], number_of[i]
    site = site_of_place[place]
    why = np.full(len(i), "", object)
    why[np.isnan(season.work.effort[occasion - 1, place])] = UNKNOWN_EFFORT
    rule, still = Independence.parse(choices["independence"]), np.flatnonzero(why == "")
    why[still[~rule.keep(site[still], moment[i[still]])]] = rule.repeated
    if choices["kind"] == "detection":
        still = np.flatnonzero(why == "")
        again = pd.DataFrame({"site": site, "occasion": occasion}).iloc[still].duplicated().to_numpy()
        why[still[again]] = "same site and occasion again (detection keeps one)"
    fates.fate[i] = np.where(why == "", Ledger.USED, why)
    value, used = np.zeros(effort.shape), why == ""
    np.add.at(value, (occasion[used] - 1, site[used]), 1.0)
    columns = {
        "site": np.repeat(np.arange(n_sites), len(effort)),
        "season": season.label,
        "visit": np.tile(np.arange(1, len(effort) + 1), n_sites),
        "value": np.where(effort > 0, value, np.nan).T.ravel(),
        "effort": effort.T.ravel(),
    }
    return pd.DataFrame(columns), fates.fate, number_of


def _by_site(effort: np.ndarray, site_of_place: np.ndarray, n_sites: int) -> np.ndarray:
    """float [S, N]: camera days of the stations of each site; NaN where none surely worked and one may have."""
    total, unknown = np.zeros((len(effort), n_sites)), np.zeros((len(effort), n_sites), bool)
    np.add.at(total.T, site_of_place, np.nan_to_num(effort.T))
    np.logical_or.at(unknown.T, site_of_place, np.isnan(effort.T))
    return np.where((total == 0) & unknown, np.nan, total)


def first_end(ends: Sequence[Sequence[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The end of each record over the seasons, and its occasion: that of its own season, where it has one."""
    fate, occasion = (column.copy() for column in ends[0])
    for other, at in ends[1:]:
        better = np.isin(fate, (OTHER_SEASON, OTHER_DATES)) & (other != OTHER_SEASON)
        fate, occasion = np.where(better, other, fate), np.where(better, at, occasion)
    return fate, occasion
