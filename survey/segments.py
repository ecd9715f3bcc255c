"""Segments: the ways walked through cells, in order, cut into lengths; and on which of them a thing was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import shapely

from .cells import Cells
from .crs import to_metres
from .effort import UNKNOWN
from .errors import refuse
from .ledger import Ledger
from .patrols import Patrols
from .walked import Walked

SHORT = "on passages too short for a segment"
NOWHERE, TOO_SHORT = -1, -2  # in place of the position of a segment
LATEST = 120.0  # minutes by which the clocks of an observation and of a fix may differ


def segments_of(w: Walked, length: float, names: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame, Walked]:
    """Pieces with their segment, segments, and what was walked with passages too short for one told among the km.

    Parameters
    ----------
    length : metres of a segment
    names : of the tracks

    Returns
    -------
    pieces : `step`, `begin`, `end` and `segment`, each piece in one segment or TOO_SHORT for one
    segments : `cell`, `period`, `trail`, `visit` (from 1 along the trail), `km`
    """
    p = in_passages(w)
    track = w.steps.track[p["step"]]
    passages = (
        p.assign(track=track)
        .groupby("passage")
        .agg(cell=("cell", "first"), period=("period", "first"), track=("track", "first"), metres=("metres", "sum"))
    )
    count = np.floor(passages["metres"].to_numpy() / length + 0.5).astype(int)  # a rest of half a segment is one
    if not count.any():
        fix = "Use shorter segments or larger cells"
        raise refuse("no passage through a cell is long enough for a segment", fix, value=f"{length / 1000:g} km")
    before = np.cumsum(count) - count
    keep = count[p["passage"]] > 0
    pieces = _split(p[keep], length, count, before)
    of_segment = np.repeat(np.arange(len(count)), count)
    number = passages.groupby("track").cumcount() + 1
    trail = [f"{names.iloc[t]}, passage {k}" for t, k in zip(passages["track"], number, strict=True)]
    segments = passages[["cell", "period"]].assign(trail=trail).iloc[of_segment].reset_index(drop=True)
    segments["visit"] = np.arange(len(segments)) - before[of_segment] + 1
    segments["km"] = np.bincount(pieces["segment"], pieces["end"] - pieces["begin"], len(segments)) / 1000.0
    kilometres = w.kilometres.copy()
    for reason, which in ((SHORT, ~keep), (Ledger.USED, keep)) if not keep.all() else ():
        kilometres.loc[reason] = [p["metres"][which].sum() / 1000.0, len(np.unique(track[which]))]
    dropped = p.loc[~keep, ["step", "begin", "end"]].assign(segment=TOO_SHORT)
    return pd.concat([pieces, dropped], ignore_index=True), segments, replace(w, kilometres=kilometres)


def in_passages(w: Walked) -> pd.DataFrame:
    """The pieces with their `metres`, their `passage` (from 0) and how many metres of it lie `behind` them."""
    p, s = w.pieces, w.steps
    so_far = (np.cumsum(s.metres) - s.metres)[p["step"]]  # metres along all steps, to see where a way is broken
    at, until = so_far + p["begin"].to_numpy(), so_far + p["end"].to_numpy()
    same = (np.diff(s.stretch[p["step"]]) == 0) & (np.diff(p["cell"]) == 0) & (np.diff(p["period"]) == 0)
    new = np.ones(len(p), bool)
    new[1:] = ~(same & (np.abs(at[1:] - until[:-1]) < 0.01))
    passage = np.cumsum(new) - 1
    metres = p["end"].to_numpy() - p["begin"].to_numpy()
    behind = np.cumsum(metres) - metres
    return p.assign(metres=metres, passage=passage, behind=behind - behind[new][passage])


def _split(p: pd.DataFrame, length: float, count: np.ndarray, before: np.ndarray) -> pd.DataFrame:
    """Pieces cut where a segment ends: `step`, `begin`, `end`, `segment`.

    Parameters
    ----------
    count : segments of each passage; the last takes the rest
    before : segments of the passages before
    """
    last_of_passage = count[p["passage"]] - 1
    which = lambda metres: np.clip(np.floor(metres / length).astype(int), 0, last_of_passage)  # noqa: E731
    p = p.assign(first=which(p["behind"]), last=which(p["behind"] + p["metres"] - 1e-6))
    p = p.reset_index(drop=True)
    p = p.loc[p.index.repeat(p["last"] - p["first"] + 1)]
    number = p["first"].to_numpy() + p.groupby(level=0).cumcount().to_numpy()
    left = np.maximum(number * length - p["behind"], 0.0)
    right = np.where(number == p["last"], p["metres"], (number + 1) * length - p["behind"])
    columns = {"step": p["step"], "begin": p["begin"] + left, "end": p["begin"] + right}
    columns["segment"] = before[p["passage"]] + number
    return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()})


def nearest(patrols: Patrols, w: Walked, cells: Cells, pieces: pd.DataFrame, within: float) -> np.ndarray:
    """int [observations]: the segment on which each was seen, or NOWHERE, or TOO_SHORT for one."""
    o, s = patrols.observations, w.steps
    x, y = to_metres(o["longitude"], o["latitude"], cells.crs)
    open_ = np.flatnonzero(w.fates.open)
    step = pieces["step"].to_numpy()
    along = (s.end[step] - s.start[step]) / s.metres[step, None]
    ends = [s.start[step] + along * pieces[side].to_numpy()[:, None] for side in ("begin", "end")]
    tree = shapely.STRtree(shapely.linestrings(np.stack(ends, axis=1)))
    points: Any = shapely.points(x[open_], y[open_])
    of, piece = tree.query(points, predicate="dwithin", distance=within)
    away = shapely.distance(points[of], tree.geometries[piece])
    step, i = step[piece], open_[of]
    share = (pieces["begin"].to_numpy()[piece] + pieces["end"].to_numpy()[piece]) / 2.0 / s.metres[step]
    known = s.timed[step] & (w.moment[i] != UNKNOWN)
    passing = s.time[step] + share * np.where(known, s.until[step] - s.time[step], 0)
    patrol = patrols.tracks["patrol"].to_numpy(object)[s.track[step]]
    own = o["patrol"].to_numpy(object)[i]
    period = w.pieces.drop_duplicates("step").set_index("step")["period"].reindex(step).to_numpy()
    table = pd.DataFrame(
        {
            "i": i,
            "late": np.where(known, np.abs(passing - w.moment[i]) / 60e6, 0.0).round(),
            "away": away,
            "segment": pieces["segment"].to_numpy()[piece],
        }
    )
    stranger = (patrol != own) & (patrol != "") & (own != "")
    now = (w.period[i] == period) | (w.moment[i] == UNKNOWN)
    table = table[~stranger & now & (table["late"] <= LATEST)]
    best = table.sort_values(["i", "late", "away", "segment"], kind="stable").drop_duplicates("i")
    out = np.full(len(o), NOWHERE)
    out[best["i"].to_numpy(int)] = best["segment"].to_numpy(int)
    return out
