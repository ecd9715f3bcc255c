"""What a model expects of animals whose activity centres are known: detections of each at each detector.

Fit checks compare it with the data; the activity centres are those of cells, or drawn from their posterior. Everything
follows from the hazards by occasion as `simulate` has them, so that every kind of detector is treated alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from ....survey.detectors import AREAS, ONCE
from ..arrange import movement, raster_of
from ..by_cell import searched_cells
from ..detected_twice import few_exposures
from ..metric import ground_of
from ..nodes import Nodes
from ..rows import log_measure
from ..simulate import _detections, _distances, _reach, detection_table
from ..simulate_ways import from_searched_cells

CHUNK = 2_000_000  # distances at a time


@dataclass(frozen=True)
class Moments:
    """Detections of n animals at the K detectors of one method, all occasions together."""

    mean: np.ndarray  # float [n, K]
    variance: np.ndarray  # float [n, K]
    once: np.ndarray  # float [n, K]: Pr(one detection there and no other by the method) is exp(-hazard) once
    silent: np.ndarray  # float [n, K], −log Pr(no detection there)
    hazard: np.ndarray  # float [n], −log Pr(no detection by the method)

    @property
    def square(self) -> np.ndarray:
        """float [n, K], mean of the squared number of detections."""
        return self.variance + self.mean**2


def moments(model, session, method, vector, x, y, of_class, who=None) -> Moments:
    """Of animals with their activity centres at x, y [n].

    Parameters
    ----------
    vector : coefficients [p]
    of_class : int [n], the class of each animal
    who : int [n], whose experience and removal each animal has (position in the session); by default they are naive
    """
    table, detectors = detection_table(model, session, method, vector), method.captures.detectors
    hazard_of = _Searched(model, session, method, vector, x, y, table) if detectors.located else None
    if hazard_of is None:
        places = pd.DataFrame({"x": x, "y": y})
        hazard_of = _Points(model, _distances(model, session, vector, places, detectors, table))
    n, K = len(x), len(detectors)
    mean, variance, once, silent, hazard = (*np.zeros((4, n, K)), np.zeros(n))
    for turn in _turns(model, session, method, who):
        parameters = np.broadcast_to(table[of_class[:, None], turn.code, turn.state], (n, K, table.shape[-1]))
        found = _of_occasion(model, detectors.kind, hazard_of(parameters), turn.effort, parameters)
        weight = turn.times * turn.alive[:, None]
        for total, value in zip((mean, variance, once, silent), found[:4], strict=True):
            total += weight * value
        # detectors that compete have one hazard for all of them, on occasions that are weighted as a whole
        hazard += weight[:, 0] * found[4] if detectors.kind in ONCE else (weight * found[3]).sum(axis=1)
    return Moments(mean, variance, once, silent, hazard)


class _Points:
    """Hazard [n, K] per unit of effort at detectors that stand at a place."""

    def __init__(self, model, distance: np.ndarray):
        self.function, self.distance = model.detection, distance

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        return self.function.hazard_at(self.distance, *np.moveaxis(parameters[..., :3], -1, 0))


class _Searched:
    """Hazard [n, K] per unit of effort of what was searched, by the nodes of the likelihood."""

    def __init__(self, model, session, method, vector, x: np.ndarray, y: np.ndarray, table: np.ndarray):
        self.detectors, self.function = method.captures.detectors, model.detection
        self.x, self.y, self.far = x, y, None
        if session.metric is None:
            scale = movement(method.captures, session.mask)
            self.nodes = Nodes.of(self.detectors, scale, model.detection.name, raster_of(session.mask))
        else:
            self.nodes = searched_cells(method.captures, ground_of(session.metric.spec, session.mask))[0]
            values = model.values_of(model.parameters.values(vector), session)
            self.far = from_searched_cells(session.metric, values, x, y, _reach(model, table))

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        n, K = parameters.shape[:2]
        out = np.zeros((n, K))
        for k in range(K):
            here = slice(self.nodes.start[k], self.nodes.start[k + 1])
            height, sigma, third = parameters[:, k, :3].T
            if self.detectors.kind in AREAS:
                height = height / np.exp(log_measure(self.function.name, sigma, third)[0])
            for rows in np.array_split(np.arange(n), n * (here.stop - here.start) // CHUNK + 1):
                if self.far is not None:
                    away = self.far(rows[:, None], self.nodes.x[here], self.nodes.y[here])
                else:
                    away = np.hypot(self.x[rows, None] - self.nodes.x[here], self.y[rows, None] - self.nodes.y[here])
                h = self.function.hazard_at(away, height[rows, None], sigma[rows, None], third[rows, None])
                out[rows, k] = h @ self.nodes.weight[here]
        return out


@dataclass(frozen=True)
class _Turn:
    """An occasion, or as many as are alike."""

    effort: np.ndarray  # float [K]
    code: np.ndarray  # int [K]
    times: np.ndarray  # float [K]
    state: np.ndarray  # int [n or 1, K], what was learned
    alive: np.ndarray  # float [n or 1], who is still there


def _turns(model, session, method, who) -> Iterator[_Turn]:
    """The occasions of a method."""
    captures, learned, code = method.captures, method.arranged.learned, method.arranged.code
    effort = np.where(captures.detectors.used, captures.detectors.effort, 0.0)
    S, K = effort.shape
    if who is None or not (learned.names or captures.detections["removed"].any()):
        state = learned.detector if who is not None else np.zeros((S, K), int)
        if captures.detectors.kind in ONCE:
            alike = np.hstack([effort, code, state])
            _, first, times = np.unique(alike, axis=0, return_index=True, return_counts=True)
            for s, t in zip(first, times, strict=True):
                yield _Turn(effort[s], code[s], np.full(K, float(t)), state[s][None, :], np.ones(1))
        else:
            yield from _by_detector(effort, code, state, model.counts == "poisson")
        return
    n, last = session.captures.n_animals, _last(session, method)
    place = learned.place
    for s in range(S):
        state = learned.detector[s] | learned.animal[:, s][:, None]
        here = place[place["occasion"] == s]
        whole = np.broadcast_to(state, (n, K)).copy()
        whole[here["animal"], here["detector"]] |= here["bits"].to_numpy(int)
        yield _Turn(effort[s], code[s], np.ones(K), whole[who], (s < last[who]).astype(float))


def _by_detector(effort: np.ndarray, code: np.ndarray, state: np.ndarray, smooth: bool) -> Iterator[_Turn]:
    """Occasions that are alike to one detector are one turn of it: detectors have nothing to do with each other.

    smooth : all that is asked for is a smooth function of effort × hazard, so that a few efforts stand for many
    """
    K = effort.shape[1]
    kinds = []
    for k in range(K):
        values, times = np.unique(np.stack([code[:, k], state[:, k], effort[:, k]]), axis=1, return_counts=True)
        start = np.flatnonzero(np.diff(values[:2], axis=1, prepend=-1).any(axis=0))
        parts = []
        for a, b in pairwise([*start, len(times)]):
            x, number = values[2, a:b], times[a:b].astype(float)
            x, number = few_exposures(x, number) if smooth else (x, number)
            parts.append(np.stack([x, np.full(len(x), values[0, a]), np.full(len(x), values[1, a]), number]))
        kinds.append(np.hstack(parts))
    most = max(one.shape[1] for one in kinds)
    whole = np.zeros((4, most, K))
    for k, one in enumerate(kinds):
        whole[:, : one.shape[1], k] = one
    e, c, w, times = whole[0], whole[1].astype(int), whole[2].astype(int), whole[3]
    for j in range(most):
        yield _Turn(e[j], c[j], times[j], w[j][None, :], np.ones(1))


def _last(session, method) -> np.ndarray:
    """int [n]: the occasion after which each animal of the session is not exposed."""
    captures, animals = method.captures, session.captures.animals.index
    last = np.full(len(animals), captures.n_occasions)
    gone = captures.detections[captures.detections["removed"]]
    last[animals.get_indexer(gone["animal"])] = gone["occasion"]
    return last


def _of_occasion(model, kind: str, unit: np.ndarray, effort: np.ndarray, parameters: np.ndarray):
    """Of one occasion: mean, variance, odds of one detection alone, −log Pr(none there) [n, K], and hazard [n]."""
    hazard = unit * effort
    if kind in ONCE:
        H = hazard.sum(axis=1)
        share = np.divide(hazard, H[:, None], out=np.zeros_like(hazard), where=H[:, None] > 0)
        p = share * -np.expm1(-H)[:, None]
        return p, p * (1.0 - p), share * np.expm1(H)[:, None], -np.log1p(-p), H
    if kind in ("proximity", "capped"):
        p = -np.expm1(-hazard)
        return p, p * (1.0 - p), np.expm1(hazard), hazard, hazard.sum(axis=1)
    if kind == "count" and model.counts == "binomial":
        p = -np.expm1(-unit)
        return effort * p, effort * p * (1.0 - p), effort * np.expm1(unit), hazard, hazard.sum(axis=1)
    if kind == "count" and model.counts == "negative binomial":
        r = parameters[..., 3]
        silent = r * np.log1p(hazard / r)
        return hazard, hazard + hazard**2 / r, hazard / (1.0 + hazard / r), silent, silent.sum(axis=1)
    return hazard, hazard, hazard, hazard, hazard.sum(axis=1)


def observed(session, method) -> np.ndarray:
    """int [n, K]: detections of each animal of the session at each detector of a method."""
    captures = method.captures
    found = np.zeros((session.captures.n_animals, len(captures.detectors)), int)
    animal = session.captures.animals.index.get_indexer(captures.animals.index)[captures.animal_index]
    np.add.at(found, (animal, captures.detector_index), captures.detections["count"].to_numpy())
    return found


def drawn(model, session, method, vector, x, y, of_class, rng: np.random.Generator) -> np.ndarray:
    """int [n, K]: simulated detections of naive animals with their activity centres at x, y [n]."""
    places = pd.DataFrame({"x": x, "y": y})
    frame = _detections(model, session, method, vector, places, of_class, rng)
    found = np.zeros((len(x), len(method.captures.detectors)), int)
    np.add.at(found, tuple(frame[["animal", "detector"]].to_numpy(int).T), frame["count"].to_numpy(int))
    return found


def centres(session, values, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells and classes [n, R] of the detected animals, at quantiles u [n, R] of their posterior distribution."""
    cell, of_class = np.zeros(u.shape, int), np.zeros(u.shape, int)
    if not len(u):
        return cell, of_class
    share = session.class_shares(values) if session.classes is not None else np.ones((len(u), 1))
    log_mu, rows = session.kernel_input(values)
    for i in range(len(u)):
        parts = session._centres(i, log_mu, rows, values)
        whole = np.concatenate([share[i, c] * surface for c, surface in parts])
        cumulated = np.cumsum(whole)
        at = np.searchsorted(cumulated, u[i] * cumulated[-1], side="right").clip(max=len(whole) - 1)
        cell[i], of_class[i] = at % session.mask.size, np.array([c for c, _ in parts])[at // session.mask.size]
    return cell, of_class


def undetected(session, values, part) -> np.ndarray:
    """float [M]: expected animals of the class of `part` in each cell that are not in the data."""
    log_mu, rows = session.kernel_input(values)
    share = session.proportions(values).value[part.of_class]
    return share * np.exp(log_mu) * (1.0 - session.engine_of(part, values).detection_probability(rows[part.rows]))
