"""Patrols to detection histories: km of effort and what was found, by cell and period or by segments of the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .cells import Cells
from .crs import to_metres
from .detections import DetectionHistory
from .effort import UNKNOWN
from .errors import refuse
from .fates import Fates
from .ledger import Ledger
from .patrols import Patrols
from .segments import NOWHERE, SHORT, TOO_SHORT, nearest, segments_of
from .steps import SLACK
from .walked import Walked, walked
from .wanted import one_of

KINDS = ("detection", "count")
OFF_TRACK, NO_EFFORT = "no segment of its patrol and time", "no effort in its cell and period"


def by_cell(
    patrols: Patrols,
    cells: Cells,
    *,
    species: str | None = None,
    category: str | None = None,
    period: str = "month",
    seasons=None,
    start: str | None = None,
    end: str | None = None,
    transport: str | Sequence[str] = ("foot",),
    kind: str = "detection",
    longest_gap: float = 30.0,
    fastest: float | None = None,
    slack: float = SLACK,
) -> DetectionHistory:
    """Visits to cells by patrols: every cell in every period, missing where nobody walked.

    Parameters
    ----------
    cells : the sites
    species : as in the observations; may be left out when they hold one species only
    category : only observations whose category holds this text, whatever the case, e.g. "scat"
    period : "month", "season" (one visit per season), or whole days as in "2 weeks"; on the local calendar
    seasons : None (one), "year" (then months are visits 1 to 12), or label → (first, last local date), both included
    start, end : first and last local date, both included, when only a part of the data is wanted
    transport : the ways of moving that count as effort; tracks and observations of others are told in the ledger
    kind : "detection" (1 found, 0 not found) or "count" (observations)
    longest_gap : minutes without a fix above which the way between is not known and does not count
    fastest : km/h above which a step is an error of position and does not count; by default what is possible with the
        transport (on foot 10)
    slack : metres by which a device may be off without a step being too fast

    Returns
    -------
    DetectionHistory with km as effort, the covariates `tracks` (how many walked there) and `period` (its first local
    date), `ledger` (observations and tracks), `effort_ledger` (km by what became of them) and `cells`

    Raises
    ------
    SurveyError : unknown species or category, tracks or dates without effort, a choice that is not known
    """
    w = walked(patrols, cells, transport, period, seasons, (start, end), longest_gap, fastest, slack)
    _choose(patrols, w, species, category, transport, kind)
    n, t = len(cells), len(w.calendar)
    at = w.pieces["period"].to_numpy() * n + w.pieces["cell"].to_numpy()
    km = np.bincount(at, w.pieces["km"], n * t)
    effort = np.where(km > 0, km, 0.0)
    x, y = _seen_at(patrols, cells.crs)
    cell = cells.at(x, y)
    w.fates.mark(cell < 0, "outside the cells")
    where = np.where((cell >= 0) & (w.period >= 0), w.period * n + cell, 0)
    w.fates.mark(effort[where] == 0, NO_EFFORT)
    value = _values(w.fates, where, n * t, kind)
    rows = {
        "site": np.tile(np.array(cells.name, object), t),
        "season": np.repeat(w.calendar["season"].to_numpy(object), n),
        "visit": np.repeat(w.calendar["visit"].to_numpy(), n),
        "value": np.where(effort > 0, value, np.nan),
        "effort": effort,
        "tracks": _tracks_in(w, at, n * t),
        "period": np.repeat([f"{day:%Y-%m-%d}" for day in w.calendar["start"]], n),
    }
    return _history(patrols, w, cells, pd.DataFrame(rows).infer_objects())


def by_segment(
    patrols: Patrols,
    cells: Cells,
    length_km: float = 1.0,
    *,
    species: str | None = None,
    category: str | None = None,
    period: str = "season",
    seasons=None,
    start: str | None = None,
    end: str | None = None,
    transport: str | Sequence[str] = ("foot",),
    longest_gap: float = 30.0,
    fastest: float | None = None,
    slack: float = SLACK,
    within: float = 200.0,
) -> DetectionHistory:
    """Ordered segments of the ways walked: each passage of a track through a cell is a trail of that site.

    Segments are laid from where the passage begins. What is left at its end belongs to the segment before when it is
    shorter than half a segment, else it is a segment of its own; a passage shorter than that has no segment.

    Parameters
    ----------
    length_km : length of a segment, km
    period : a passage ends with the period; "season" cuts at seasons only
    within : metres from the way; an observation further off belongs to no segment. Of the passages of its own patrol
        that are this near and less than two hours away, it belongs to the nearest in time
    others : as in `by_cell`; an observation counts where the patrol stood

    Returns
    -------
    DetectionHistory with trails, segments as visits, km as effort, `ledger`, `effort_ledger` and `cells`
    """
    if not (np.isfinite(length_km) and length_km > 0):
        raise refuse("the length of a segment must be above 0 km", "Correct it", value=length_km)
    w = walked(patrols, cells, transport, period, seasons, (start, end), longest_gap, fastest, slack)
    _choose(patrols, w, species, category, transport, "detection")
    pieces, segments, w = segments_of(w, 1000.0 * length_km, patrols.tracks["track"])
    o = patrols.observations
    w.fates.mark(cells.at(*to_metres(o["longitude"], o["latitude"], cells.crs)) < 0, "outside the cells")
    segment = nearest(patrols, w, cells, pieces, within)
    w.fates.mark(segment == TOO_SHORT, SHORT)
    w.fates.mark(segment == NOWHERE, f"{OFF_TRACK} within {within:g} m")
    value = _values(w.fates, np.maximum(segment, 0), len(segments), "detection")
    calendar = w.calendar.iloc[segments["period"]]
    rows = {
        "site": np.array(cells.name, object)[segments["cell"]],
        "season": calendar["season"].to_numpy(object),
        "trail": segments["trail"].to_numpy(object),
        "visit": segments["visit"].to_numpy(),
        "value": value,
        "effort": segments["km"].to_numpy(),
    }
    frame = pd.DataFrame(rows).infer_objects()
    return _history(patrols, w, cells, frame)


def effort_table(patrols: Patrols, cells: Cells, **how) -> pd.DataFrame:
    """Km walked: `season`, `visit`, `site`, `km`, `tracks`, one row where there was any."""
    defaults = {"transport": ("foot",), "period": "month", "seasons": None, "longest_gap": 30.0, "fastest": None}
    how = defaults | {"slack": SLACK, "start": None, "end": None} | how
    w = walked(patrols, cells, dates=(how.pop("start"), how.pop("end")), **how)
    rows = w.pieces.assign(track=w.steps.track[w.pieces["step"]])
    table = rows.groupby(["period", "cell"], as_index=False).agg(km=("km", "sum"), tracks=("track", "nunique"))
    calendar = w.calendar.iloc[table["period"]].reset_index(drop=True)
    site = np.array(cells.name, object)[table["cell"]]
    columns = {"season": calendar["season"], "visit": calendar["visit"], "site": site}
    return pd.DataFrame(columns | {"km": table["km"], "tracks": table["tracks"]})


# ---- observations ---------------------------------------------------------------------------------------------------


def _choose(patrols: Patrols, w: Walked, species: str | None, category: str | None, transport, kind: str) -> None:
    """Mark the observations that are not of what is wanted."""
    if kind not in KINDS:
        raise refuse("this choice is not known", f"Use {KINDS[0]!r} or {KINDS[1]!r}", value=kind)
    o, modes = patrols.observations, [transport] if isinstance(transport, str) else list(transport)
    if category is not None:
        other = ~o["category"].str.contains(category, case=False, regex=False).to_numpy(bool)
        if len(o) and other.all():
            known = list(pd.unique(o["category"]))[:8]
            raise refuse("no observation is of this category", f"They are of {known}", value=category)
        w.fates.mark(other, "another category")
    named = o["species"][w.fates.open]
    if species is not None or (named != "").any():
        wanted = one_of(named, species, "the observations")
        w.fates.mark(o["species"] == "", "no species")
        w.fates.mark(o["species"] != wanted, "another species")
    by = patrols.tracks[patrols.tracks["patrol"] != ""].groupby("patrol")["transport"]
    known = by.first()[by.nunique() == 1].to_dict()
    of_patrol = pd.Series([known.get(patrol, "") for patrol in o["patrol"]], o.index, dtype=object)
    moved = o["transport"].where(o["transport"] != "", of_patrol)
    for mode in sorted(set(moved) - {"", *modes}):
        w.fates.mark(moved == mode, f"moved by {mode}")
    w.fates.mark(o["longitude"].isna(), "no position")
    w.fates.mark((w.moment == UNKNOWN) & (w.period < 0), "no time")
    w.fates.mark(w.period < 0, "outside the dates")


def _seen_at(patrols: Patrols, crs) -> tuple[np.ndarray, np.ndarray]:
    """Metres of where the thing was seen: direction and distance from where the patrol stood."""
    o = patrols.observations
    x, y = to_metres(o["longitude"], o["latitude"], crs)
    x, y = (np.where(np.isfinite(v), v, np.nan) for v in (x, y))
    away = (o["distance"] * o["direction"].notna()).fillna(0.0).to_numpy(float)
    toward = np.deg2rad(o["direction"].fillna(0.0).to_numpy(float))
    return x + away * np.sin(toward), y + away * np.cos(toward)


def _values(fates: Fates, where: np.ndarray, n: int, kind: str) -> np.ndarray:
    """float [n]: what was found at each place among `where`; every observation that is still open ends here."""
    open_ = np.flatnonzero(fates.open)
    if kind == "detection":
        again = pd.Series(where[open_]).duplicated().to_numpy()
        again_at = np.zeros(len(where), bool)
        again_at[open_[again]] = True
        fates.mark(again_at, "same place and time again (detection keeps one)")
        open_ = np.flatnonzero(fates.open)
    fates.mark(fates.open, Ledger.USED)
    return np.bincount(where[open_], minlength=n).astype(float)


# ---- the history ----------------------------------------------------------------------------------------------------


def _tracks_in(w: Walked, at: np.ndarray, n: int) -> np.ndarray:
    """int [n]: how many tracks went through each cell and period."""
    pairs = pd.DataFrame({"at": at, "track": w.steps.track[w.pieces["step"]]}).drop_duplicates()
    return np.bincount(pairs["at"], minlength=n)


def _history(patrols: Patrols, w: Walked, cells: Cells, visits: pd.DataFrame) -> DetectionHistory:
    o, t = patrols.observations, patrols.tracks
    file, row = pd.concat([o["file"], t["file"]]), pd.concat([o["row"], t["row"]])
    ledger = Ledger.of(file, row, np.concatenate([w.fates.fate, w.tracks]))
    ledger.check()
    return DetectionHistory(
        visits,
        cells.sites(),
        area=cells.area,
        effort_unit="km",
        crs=cells.crs,
        cells=cells,
        ledger=ledger,
        effort_ledger=w.kilometres,
    )
