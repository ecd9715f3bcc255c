"""Fieldwork: the tables that simulated capture histories could have come from.

Deployments and failures are made from the effort of the detectors (or are given); every detection gets a time within
its occasion while the camera worked; other species, blanks and images can be added. Reading the result back gives the
same detections and, to half a second, the same effort.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from .captures import CaptureHistory
from .crs import projected, to_degrees
from .effort import DAY, instants, working_pieces
from .errors import refuse
from .occasions import lay
from .tables import DEPLOYMENTS, FAILURES, IDENTITIES, RECORDS, SurveyTables, empty
from .times import zone_of
from .together import Together

SECOND = 1_000_000
REASONS = ("battery empty", "snow on the lens", "moved by an animal", "memory card full", "stolen")
NOT_ANIMALS = ("blank", "human", "vehicle", "unknown", "unclassified")


def fieldwork(
    captures: CaptureHistory,
    *,
    species: str,
    seed: int,
    timezone: str | None = None,
    start: str | None = None,
    occasion_days: int = 1,
    day_boundary: str = "noon",
    tables: SurveyTables | None = None,
    reasons: Sequence[str] = REASONS,
    visit_every: int | None = None,
    others: Mapping[str, float] | None = None,
    images: int = 0,
    apart: float = 30.0,
) -> SurveyTables:
    """Deployments, failures, records and identities for capture histories.

    Parameters
    ----------
    captures : with detectors of kind "proximity" or "count" in a projected CRS, effort in camera days
    species : scientific name of the animals
    seed : everything drawn here follows from it
    timezone, start : local time zone and first local date; not needed when the occasions are dated
    occasion_days, day_boundary : length of the occasions and where they are cut, when they are not dated
    tables : deployments and failures to use instead of those made from the effort; its records are ignored
    reasons : of failures, drawn at random
    visit_every : days after which a camera is visited, which ends one deployment and starts the next
    others : name -> events per 100 camera days, of other species, of "blank", "human", "vehicle", or of the same
        species (then nobody could tell the individual)
    images : media-level rows per event, a second apart
    apart : minutes between records of one animal at one place, at least

    Raises
    ------
    SurveyError : effort beyond the length of the occasion, more detections than fit, no CRS
    """
    if captures.detectors.crs is None:
        raise refuse(
            "the detectors have no CRS, so they have no longitude and latitude", "Give the detectors their crs"
        )
    if captures.detectors.located or isinstance(captures, Together):
        fix = "Give the histories of the cameras"
        raise refuse("only cameras have deployments and records", fix, value=type(captures).__name__)
    rng, system = np.random.default_rng(seed), projected(captures.detectors.crs)
    known = timezone or (tables.timezone if tables is not None else _zone_name(captures.occasions))
    zone_of(known)
    timezone = str(known)
    occasions = _occasions(captures, timezone, start, occasion_days, day_boundary)
    edges = np.append(instants(occasions["start"]), instants(occasions["end"].tail(1)))
    if tables is None:
        deployments, failures = _deployments(captures, edges, timezone, rng, reasons, visit_every)
    else:
        deployments, failures = tables.deployments, tables.failures
    shell = SurveyTables(deployments, failures, empty(RECORDS, timezone), empty(IDENTITIES), timezone)
    work = _pieces_by_place(shell)
    records = _detections(captures, work, edges, species, rng, apart)
    records = pd.concat([records, _others(work, others or {}, rng)], ignore_index=True)
    records = _finish(records, deployments, timezone, images)
    return SurveyTables(
        deployments,
        failures,
        records,
        _identities(captures, records, rng),
        timezone,
        crs=system.to_string(),
        provenance={"format": "simulated", "species": species, "seed": seed},
    )


def _zone_name(occasions: pd.DataFrame) -> str | None:
    return str(occasions["start"].dt.tz) if "start" in occasions and occasions["start"].dt.tz is not None else None


def _occasions(captures: CaptureHistory, timezone: str, start: str | None, days: int, boundary: str) -> pd.DataFrame:
    if start is None and {"start", "end"} <= set(captures.occasions.columns):
        return captures.occasions
    if start is None:
        raise refuse("the occasions have no dates", "Give start= the first local date, e.g. '2024-05-01'")
    return lay(pd.Timestamp(start), captures.n_occasions, length=days, boundary=boundary, timezone=timezone)


def _local(instants_: np.ndarray, timezone: str) -> pd.DatetimeIndex:
    """Local times, to the second."""
    whole = np.asarray(instants_, np.int64) // SECOND * SECOND
    return pd.DatetimeIndex(whole.astype("datetime64[us]"), tz="UTC").tz_convert(zone_of(timezone))


# ---- deployments --------------------------------------------------------------------------------------------------


def _deployments(
    captures: CaptureHistory, edges: np.ndarray, timezone: str, rng, reasons: Sequence[str], visit_every: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Deployments and failures whose effort is that of the detectors."""
    rows, lost = [], []
    never = [[(int(edges[0]), int(edges[0]), False), (int(edges[-1]), int(edges[-1]), False)]]
    for k, location in enumerate(captures.detectors.id):
        number = 0
        for run in _runs(captures.detectors.effort[:, k], edges, location) or never:
            for begin, finish in _visits(run[0][0], run[-1][1], timezone, rng, visit_every):
                number += 1
                rows.append((f"{location}-{number}", location, begin, finish, run[0][2]))
                gaps = [(max(a[1], begin), min(b[0], finish)) for a, b in pairwise(run)]
                lost += [(f"{location}-{number}", a, b) for a, b in gaps if b > a]
    frame = pd.DataFrame(rows, columns=["deployment", "location", "start", "end", "timestamp_issues"])
    frame["start"], frame["end"] = _local(frame["start"], timezone), _local(frame["end"], timezone)
    k = pd.Index(captures.detectors.id).get_indexer(pd.Index(frame["location"]))
    x, y = captures.detectors.x[k], captures.detectors.y[k]
    longitude, latitude = to_degrees(x, y, captures.detectors.crs)
    frame = frame.assign(
        x=x, y=y, longitude=longitude, latitude=latitude, coordinate_uncertainty=np.nan, camera="", groups=""
    )
    frame = frame.assign(file="deployments.csv", row=np.arange(len(frame)) + 2)[list(DEPLOYMENTS)]
    covariates = captures.detectors.covariates.iloc[k].reset_index(drop=True)
    failures = pd.DataFrame(lost, columns=["deployment", "start", "end"])
    failures["start"], failures["end"] = _local(failures["start"], timezone), _local(failures["end"], timezone)
    failures["reason"] = rng.choice(np.array(reasons, object), len(failures))
    failures = failures.assign(file="failures.csv", row=np.arange(len(failures)) + 2)[list(FAILURES)]
    return pd.concat([frame, covariates], axis=1), failures


def _runs(effort: np.ndarray, edges: np.ndarray, location: str) -> list[list[tuple[int, int, bool]]]:
    """Stretches of fieldwork at one place: lists of working pieces (start, end, whether the clock was wrong).

    A partial occasion is worked from its beginning when the camera worked before, else until its end, so that
    set-up, failure and collection look as they do in the field. Unknown effort is a camera with a wrong clock.
    """
    length = np.diff(edges)
    amount = np.rint(effort * DAY / SECOND) * SECOND
    too_much = np.flatnonzero(amount > length + SECOND)
    if len(too_much):
        raise refuse(
            f"the effort at {location!r} on occasion {too_much[0] + 1} is more than the occasion's length",
            "Several cameras at one place count once; give effort in camera days",
            value=float(effort[too_much[0]]),
        )
    runs: list[list[tuple[int, int, bool]]] = []
    for s in np.flatnonzero(amount != 0):
        begin, finish, unknown = int(edges[s]), int(edges[s + 1]), bool(np.isnan(amount[s]))
        together = bool(runs) and runs[-1][-1][2] == unknown
        continues = together and runs[-1][-1][1] == begin
        if not unknown and amount[s] < finish - begin:
            begin, finish = (begin, begin + int(amount[s])) if continues else (finish - int(amount[s]), finish)
        if continues:
            runs[-1][-1] = (runs[-1][-1][0], finish, unknown)
        elif together and not unknown:
            runs[-1].append((begin, finish, unknown))
        else:
            runs.append([(begin, finish, unknown)])
    return runs


def _visits(begin: int, finish: int, timezone: str, rng, every: int | None) -> list[tuple[int, int]]:
    """The time between set-up and collection, cut by visits in the middle of the day."""
    if every is None:
        return [(begin, finish)]
    first = _local(np.array([begin]), timezone)[0].tz_localize(None).normalize()
    n = int((finish - begin) / DAY / every)
    walls = (
        first + np.arange(1, n + 1) * pd.Timedelta(days=every) + pd.to_timedelta(rng.integers(540, 960, n), unit="min")
    )
    times = pd.DatetimeIndex(walls).tz_localize(
        zone_of(timezone), nonexistent="shift_forward", ambiguous=np.ones(n, bool)
    )
    cuts = [t for t in instants(times).tolist() if begin < t < finish]
    return list(pairwise([begin, *cuts, finish]))


# ---- records ------------------------------------------------------------------------------------------------------


def _pieces_by_place(tables: SurveyTables) -> dict[str, list[tuple[int, int, str]]]:
    """location -> its working pieces (start, end, deployment) in order of time, without overlap."""
    d = tables.deployments
    clock = d["timestamp_issues"].to_numpy(bool)
    by_place: dict[str, list[tuple[int, int, str]]] = {}
    unit, start, end = working_pieces(tables)
    order = np.argsort(start, kind="stable")
    names, places = d["deployment"].to_numpy(object), d["location"].to_numpy(object)
    for u, a, b in zip(unit[order].tolist(), start[order].tolist(), end[order].tolist(), strict=True):
        if not clock[u]:
            pieces = by_place.setdefault(places[u], [])
            a = max(a, pieces[-1][1]) if pieces else a
            if b > a:
                pieces.append((a, b, names[u]))
    return by_place


def _detections(
    captures: CaptureHistory, work: dict, edges: np.ndarray, species: str, rng, apart: float
) -> pd.DataFrame:
    """One record per detection, at times when the camera worked, at least `apart` minutes after the one before."""
    rows, gap, last = [], int(apart * 60 * SECOND) + SECOND, {}
    frame = captures.detections.sort_values(["animal", "detector", "occasion"], kind="stable")
    sexes = captures.animals["sex"].fillna("").to_dict() if "sex" in captures.animals else {}
    for animal, occasion, place, count in frame[["animal", "occasion", "detector", "count"]].to_numpy(object):
        begin = max(int(edges[occasion - 1]), last.get((animal, place), 0) + gap)
        span = [(max(a, begin), min(b, int(edges[occasion])), d) for a, b, d in work.get(place, ())]
        span = [piece for piece in span if piece[1] > piece[0]]
        room = sum(b - a for a, b, _ in span)
        if room < (count - 1) * gap + SECOND:
            raise refuse(
                f"{count} records of {animal!r} at {place!r} do not fit into occasion {occasion}",
                "Give a smaller apart=, or check the effort there",
            )
        slot = room / count
        drawn = _hours_of_night(rng, 1) if count == 1 else rng.random(count)
        for n in range(count):
            at = int(n * slot + drawn[n] * max(slot - gap, 0))
            time, deployment = _at(span, at)
            rows.append((deployment, place, time, "animal", species, animal, sexes.get(animal, "")))
            last[animal, place] = time
    return pd.DataFrame(rows, columns=["deployment", "location", "time", "type", "species", "individual", "sex"])


def _hours_of_night(rng, n: int) -> np.ndarray:
    """Fractions of a day from noon to noon with peaks at dusk and dawn."""
    return np.clip(rng.choice([0.32, 0.70], n) + 0.09 * rng.standard_normal(n), 0.0, 1.0)


def _at(span: list[tuple[int, int, str]], offset: int) -> tuple[int, str]:
    """The instant (a whole second) after `offset` microseconds of work, and the deployment that worked then."""
    ends = np.cumsum([end - begin for begin, end, _ in span])
    which = min(int(np.searchsorted(ends, offset, side="right")), len(span) - 1)
    begin, end, deployment = span[which]
    time = min(end - int(ends[which]) + offset, end - 1)
    return max(begin, time // SECOND * SECOND), deployment


def _others(work: dict, rates: Mapping[str, float], rng) -> pd.DataFrame:
    """Events of other species, blanks and people: Poisson numbers, uniform over the working time of all cameras."""
    pieces = [(place, *piece) for place, listed in work.items() for piece in listed]
    length = np.array([b - a for _, a, b, _ in pieces], float)
    rows = []
    for name, rate in rates.items():
        n = rng.poisson(rate * length.sum() / DAY / 100.0)
        kind, species = (name, "") if name in NOT_ANIMALS else ("animal", name)
        for which, part in zip(rng.choice(len(pieces), n, p=length / length.sum()), rng.random(n), strict=True):
            place, begin, end, deployment = pieces[which]
            time, _ = _at([(begin, end, deployment)], int(part * (end - begin)))
            rows.append((deployment, place, time, kind, species, "", ""))
    return pd.DataFrame(rows, columns=["deployment", "location", "time", "type", "species", "individual", "sex"])


def _finish(records: pd.DataFrame, deployments: pd.DataFrame, timezone: str, images: int) -> pd.DataFrame:
    """Records in order of deployment and time with names, and the images of each event after it."""
    order = pd.Index(deployments["deployment"]).get_indexer(pd.Index(records["deployment"]))
    records = records.iloc[np.lexsort((records["time"].to_numpy(np.int64), order))].reset_index(drop=True)
    event = np.array([f"e{i:06d}" for i in range(1, len(records) + 1)], object)
    records = records.assign(record=event, event=event, media="", level="event")
    shots = [
        records.assign(
            record=event + f"-{n}", media=event + f"-{n}", level="media", time=records["time"] + n * SECOND - SECOND
        )
        for n in range(1, images + 1)
    ]
    records = pd.concat([records, *shots]).sort_values("record", kind="stable", ignore_index=True)
    animal = (records["type"] == "animal").to_numpy()
    records = records.assign(
        time=_local(records["time"].to_numpy(np.int64), timezone),
        setup=False,
        count=pd.array(np.where(animal, 1, -1), "Int64"),
        life_stage="",
        file="observations.csv",
        row=np.arange(len(records)) + 2,
        fate="",
        occasion=pd.array([pd.NA] * len(records), "Int64"),
    )
    records.loc[~animal, "count"] = pd.NA
    return records[list(RECORDS)]


def _identities(captures: CaptureHistory, records: pd.DataFrame, rng) -> pd.DataFrame:
    named = records[(records["individual"] != "") & (records["level"] == "event")]
    frame = named[["record", "individual", "sex"]].reset_index(drop=True)
    flank = rng.choice(np.array(["left", "right", "both"], object), len(frame), p=[0.4, 0.4, 0.2])
    frame = frame.assign(confidence="certain", flank=flank, observer="", comment="")
    return frame.assign(file="identities.csv", row=np.arange(len(frame)) + 2)[list(IDENTITIES)]
