"""Captures, mask and formulas to the arrays of a `SpatialProblem`.

The detection parameters are formulas on the dims occasion and detector. Their distinct design rows are found once;
a detector carries one pass per distinct row and not one per occasion; occasions that are alike in effort and rows are
one field. Collapsing never changes the log-likelihood, which is that of the data by occasion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from .problem import BINARY, COUNT, MULTI, Raster, SpatialProblem


@dataclass(frozen=True, eq=False)
class Arranged:
    """A problem, the covariates of its parameter rows, and the constants of the log-likelihood."""

    problem: SpatialProblem
    rows: pd.DataFrame  # R rows: covariates of each distinct parameter row
    row_of: np.ndarray  # int [S, K]: the parameter row of each occasion and detector
    constant: float  # terms that depend on the data alone


def raster_of(mask: HabitatMask) -> Raster:
    """The mask as the engine knows it: where its cells are, without CRS and covariates."""
    return Raster(mask.x0, mask.y0, mask.spacing, mask.habitat)


def arrange(
    captures: CaptureHistory, mask: HabitatMask, detection: str, variables: set[str], counts: str = "poisson"
) -> Arranged:
    """The arrays of one session.

    Parameters
    ----------
    captures, mask : the data
    detection : name of the detection function
    variables : names of the covariates that the detection formulas use
    counts : "poisson" or "binomial" (size = effort) for count detectors

    Raises
    ------
    SurveyError : a covariate is unknown or missing where a detector was in use; counts above their size
    """
    detectors = captures.detectors
    effort = np.where(detectors.used, detectors.effort, 0.0)  # [S, K]
    row_of, rows = _distinct_rows(captures, variables)
    kind = _event_kind(detectors.kind, counts)
    summed = kind != MULTI and not captures.detections["removed"].any()
    classes, members = _fields(effort, row_of, summed)
    void = np.ones(1) if summed else np.bincount(classes).astype(float)
    passes, pass_of = _passes(row_of, effort)
    entries = _entries(classes, members, effort, pass_of)
    events, constant = _events(captures, effort, pass_of, classes, kind)
    problem = SpatialProblem(
        raster=raster_of(mask),
        detection=detection,
        pass_x=detectors.x[passes[:, 0]],
        pass_y=detectors.y[passes[:, 0]],
        pass_row=passes[:, 1],
        n_rows=len(rows),
        entry_field=entries["field"].to_numpy(),
        entry_pass=entries["pass"].to_numpy(),
        entry_exposure=entries["exposure"].to_numpy(),
        void_weight=void,
        weight=_weights(captures, classes, void),
        **events,
    )
    return Arranged(problem, rows, row_of, constant - _log_multiplicities(captures))


def detection_frame(captures: CaptureHistory) -> pd.DataFrame:
    """Covariates that detection formulas can use, one row per occasion × detector (occasion-major).

    `t` is the occasion as a factor, `T` its number from 0, `detector` the name; then the covariates of the detectors.
    """
    detectors, S, K = captures.detectors, captures.n_occasions, len(captures.detectors)
    frame = pd.DataFrame(
        {"t": pd.Categorical(np.repeat(np.arange(1, S + 1), K)), "T": np.repeat(np.arange(S, dtype=float), K)}
    )
    frame["detector"] = np.tile(np.asarray(detectors.id, object), S)
    for name in detectors.covariates.columns:
        frame[str(name)] = pd.concat([detectors.covariates[name]] * S, ignore_index=True)
    return frame


def _event_kind(kind: str, counts: str) -> int:
    if kind == "count":
        return COUNT if counts == "poisson" else BINARY
    return MULTI if kind == "multi" else BINARY


def _distinct_rows(captures: CaptureHistory, variables: set[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """row_of [S, K] and the covariates of the R distinct rows."""
    S, K = captures.n_occasions, len(captures.detectors)
    frame = detection_frame(captures)
    known = [name for name in frame.columns if name in variables]
    if not known:
        return np.zeros((S, K), int), frame.iloc[:1].reset_index(drop=True)
    used = captures.detectors.used.ravel()
    for name in known:
        if frame.loc[used, name].isna().any():
            where = frame.loc[used & frame[name].isna(), "detector"].iloc[0]
            raise refuse(f"the covariate {name!r} is missing at detector {where!r}", "Fill it in or drop the covariate")
    used_frame = frame.loc[used, known]
    code = np.zeros(S * K, int)
    code[used] = used_frame.groupby(known, sort=True, observed=True).ngroup()
    first = used_frame.index[np.unique(code[used], return_index=True)[1]]
    return code.reshape(S, K), frame.loc[first].reset_index(drop=True)


def _fields(effort, row_of, summed: bool) -> tuple[np.ndarray, np.ndarray]:
    """classes [S]: the field of each occasion; members: the occasions whose effort makes up the fields.

    When everybody is exposed to all occasions alike, one field is the sum of them all. Otherwise occasions that are
    alike share a field that holds one of them, and animals count how often they were exposed to it.
    """
    S = effort.shape[0]
    if summed:
        return np.zeros(S, int), np.arange(S)
    alike = np.hstack([effort, np.where(effort > 0, row_of, -1)])
    _, first, classes = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    return classes.ravel(), first


def _passes(row_of, effort) -> tuple[np.ndarray, np.ndarray]:
    """passes [G, 2] of (detector, row) in use, and pass_of [S, K] (-1 where unused)."""
    n_rows = int(row_of.max()) + 1
    key = np.where(effort > 0, np.arange(effort.shape[1])[None, :] * n_rows + row_of, -1)
    found, inverse = np.unique(key, return_inverse=True)
    inverse = inverse.reshape(effort.shape) - int(found[0] == -1)
    found = found[found >= 0]
    return np.column_stack([found // n_rows, found % n_rows]), inverse


def _entries(classes, members, effort, pass_of) -> pd.DataFrame:
    """Field entries: the exposure of each pass in each field."""
    s, k = np.nonzero(effort[members] > 0)
    s = members[s]
    frame = pd.DataFrame({"field": classes[s], "pass": pass_of[s, k], "exposure": effort[s, k]})
    return frame.groupby(["field", "pass"], sort=True)["exposure"].sum().reset_index()


def _weights(captures: CaptureHistory, classes, void) -> np.ndarray:
    """[n, F]: how often each animal was exposed to each field; fewer after its removal."""
    weight = np.tile(void, (captures.n_animals, 1))
    frame = captures.detections
    for position in np.flatnonzero(frame["removed"]):
        animal, last = captures.animal_index[position], int(frame["occasion"].iloc[position])
        weight[animal] = np.bincount(classes[:last], minlength=len(void))
    return weight


def _events(captures: CaptureHistory, effort, pass_of, classes, kind: int) -> tuple[dict, float]:
    """The animals' detections as CSR events, and the factorial constants."""
    frame = captures.detections
    s, k = frame["occasion"].to_numpy() - 1, captures.detector_index
    count = frame["count"].to_numpy(float)
    exposure, constant = effort[s, k], 0.0
    if captures.detectors.kind == "count" and kind == COUNT:
        constant = -float(gammaln(count + 1.0).sum())
    elif captures.detectors.kind == "count":
        _check_sizes(captures, effort, exposure, count)
        constant = float((gammaln(exposure + 1) - gammaln(count + 1) - gammaln(exposure - count + 1)).sum())
        exposure = np.ones_like(exposure)  # each of the `effort` trials has the hazard of one unit
    table = pd.DataFrame(
        {
            "animal": captures.animal_index,
            "pass": pass_of[s, k],
            "exposure": exposure,
            "field": classes[s] if kind == MULTI else -1,
            "count": count,
        }
    )
    table = table.groupby(["animal", "pass", "exposure", "field"], sort=True)["count"].sum().reset_index()
    start = np.searchsorted(table["animal"], np.arange(captures.n_animals + 1))
    return {
        "event_start": start.astype(np.int64),
        "event_pass": table["pass"].to_numpy(np.int64),
        "event_kind": np.full(len(table), kind, np.int64),
        "event_count": table["count"].to_numpy(float),
        "event_exposure": table["exposure"].to_numpy(float),
        "event_field": table["field"].to_numpy(np.int64),
    }, constant


def _check_sizes(captures, effort, size, count) -> None:
    whole = np.all(effort == np.rint(effort))
    if not whole or np.any(count > size):
        raise refuse(
            "binomial counts need effort in whole trials, at least as many as the detections",
            "Use counts='poisson', or give the number of trials as effort",
            value=None if whole else float(effort[effort != np.rint(effort)][0]),
        )


def _log_multiplicities(captures: CaptureHistory) -> float:
    """Σ log(multiplicity!) over identical histories, the multinomial constant of the field's programs."""
    frame = captures.detections
    text = frame["occasion"].astype(str) + "@" + frame["detector"] + "x" + frame["count"].astype(str)
    histories = text.groupby(captures.animal_index).agg("|".join)
    return float(gammaln(histories.value_counts().to_numpy() + 1.0).sum())
