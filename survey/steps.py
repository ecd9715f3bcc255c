"""Steps: the way from one fix of a track to the next, cut where it crosses from one cell into another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely

from .cells import Cells
from .crs import to_metres
from .effort import UNKNOWN, instants

FASTEST = {"foot": 10.0, "horse": 25.0, "bicycle": 40.0, "boat": 60.0, "motorbike": 100.0, "vehicle": 120.0}
FASTEST_OTHER = 120.0  # km/h
SLACK = 30.0  # metres by which a fix may be off without making a step implausible


@dataclass(frozen=True)
class Steps:
    """S steps in the order of tracks, parts and time.

    Parameters
    ----------
    track : int [S], position of the track
    stretch : int [S], unbroken stretches are numbered through all tracks; a step that does not count ends one
    start, end : float [S, 2], metres
    time, until : int [S], microseconds since 1970 UTC, UNKNOWN where not known
    timed : bool [S], its times are those of fixes and not the date of its track
    metres : float [S]
    fate : object [S], "" for those that count, else why not
    """

    track: np.ndarray
    stretch: np.ndarray
    start: np.ndarray
    end: np.ndarray
    time: np.ndarray
    until: np.ndarray
    timed: np.ndarray
    metres: np.ndarray
    fate: np.ndarray


def steps_of(
    tracks: pd.DataFrame, fixes: pd.DataFrame, crs, *, longest_gap: float, fastest: float | None, slack: float = SLACK
) -> Steps:
    """All steps of the tracks, those after long gaps or of implausible speed marked.

    Parameters
    ----------
    tracks, fixes : tables of `Patrols`
    crs : projected CRS
    longest_gap : minutes without a fix, above which the way between is not known
    fastest : km/h above which a step is an error of position; None = by transport
    slack : metres that are forgiven, for jitter of the device
    """
    time = instants(fixes["time"])
    track, part = fixes["track"].to_numpy(int), fixes["part"].to_numpy(int)
    timed = pd.Series(time != UNKNOWN).groupby(track).transform("all").to_numpy(bool)
    # Fixes of one part are in order of time; of tracks that lack times they stay in the order of the file.
    order = np.lexsort((np.arange(len(time)), np.where(timed, time, 0), part, track))
    track, part, time = track[order], part[order], time[order]
    x, y = to_metres(fixes["longitude"].to_numpy()[order], fixes["latitude"].to_numpy()[order], crs)
    place = np.column_stack([x, y])
    linked = np.flatnonzero((track[1:] == track[:-1]) & (part[1:] == part[:-1]))
    date = instants(tracks["date"])
    start, end = place[linked], place[linked + 1]
    begin, until = time[linked], time[linked + 1]
    both = (begin != UNKNOWN) & (until != UNKNOWN)
    metres = np.hypot(*(end - start).T)
    nowhere = ~np.isfinite(metres)  # a device without satellites writes places that no map of the survey can show
    metres[nowhere] = 0.0
    seconds = np.where(both, until - begin, 0) / 1e6
    by_track = [FASTEST.get(kind, FASTEST_OTHER) if fastest is None else fastest for kind in tracks["transport"]]
    limit = np.array(by_track, float)[track[linked]]
    fate = np.full(len(linked), "", object)
    fate[both & (seconds > 60.0 * longest_gap)] = f"gap of more than {longest_gap:g} minutes"
    fast = both & (metres > limit / 3.6 * seconds + slack)
    fate[fast & (fate == "")] = "faster than is plausible"
    fate[nowhere] = "a position that cannot be"
    same = pd.DataFrame(np.column_stack([begin, until, *np.rint(1000.0 * np.hstack([start, end])).T]))
    fate[both & (fate == "") & same.duplicated().to_numpy()] = "the same way again"  # in two exports of one device
    begin = np.where(begin == UNKNOWN, date[track[linked]], begin)
    until = np.where(until == UNKNOWN, begin, until)
    broken = np.ones(len(linked), bool)
    broken[1:] = (np.diff(linked) > 1) | (fate[1:] != "") | (fate[:-1] != "")
    return Steps(track[linked], np.cumsum(broken), start, end, begin, until, both, metres, fate)


def cut_by(steps: Steps, cells: Cells, which: np.ndarray) -> pd.DataFrame:
    """The pieces of steps that lie in cells, in the order walked.

    Every metre is in one cell at most: along a common border it is in the first of the two.

    Parameters
    ----------
    which : positions of the steps to cut

    Returns
    -------
    DataFrame, one row per piece: `step` (its position), `cell` (its position), `begin` and `end` [m from the step's
    start]; what lies in no cell has no row
    """
    lines: Any = shapely.linestrings(np.stack([steps.start[which], steps.end[which]], axis=1))
    i, cell = cells.tree.query(lines, predicate="intersects")
    within = shapely.covers(cells.outline[cell], lines[i])
    length = steps.metres[which]
    # A step along a common border is covered by both cells, and counts for the first.
    whole = pd.DataFrame({"i": i[within], "cell": cell[within]}).groupby("i", as_index=False)["cell"].min()
    whole = whole.assign(begin=0.0, end=length[whole["i"]])
    crossing = ~within & ~np.isin(i, whole["i"])
    i, cell = i[crossing], cell[crossing]
    parts, of = shapely.get_parts(shapely.intersection(lines[i], cells.outline[cell]), return_index=True)
    line = shapely.get_type_id(parts) == 1
    parts, of = parts[line], of[line]
    i, cell = i[of], cell[of]
    first = shapely.get_coordinates(shapely.get_point(parts, 0)).reshape(-1, 2)
    last = shapely.get_coordinates(shapely.get_point(parts, -1)).reshape(-1, 2)
    origin = steps.start[which][i]
    a, b = np.hypot(*(first - origin).T), np.hypot(*(last - origin).T)
    pieces = pd.DataFrame({"i": i, "cell": cell, "begin": np.minimum(a, b), "end": np.maximum(a, b)})
    pieces = pieces.sort_values(["i", "begin", "cell"], kind="stable", ignore_index=True)
    reached = pieces.groupby("i")["end"].cummax().groupby(pieces["i"]).shift(fill_value=0.0)
    pieces["begin"] = np.maximum(pieces["begin"], reached)
    pieces = pd.concat([whole, pieces[pieces["end"] > pieces["begin"]]], ignore_index=True)
    pieces = pieces.sort_values(["i", "begin"], kind="stable", ignore_index=True)
    return pieces.assign(step=np.asarray(which)[pieces["i"].to_numpy(int)])[["step", "cell", "begin", "end"]]
