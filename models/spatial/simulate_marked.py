"""Simulated marking and sightings, see `mark_resight`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.sightings import Sightings
from .mark_resight import MarkResight
from .marked_session import MARKING, after_marking
from .simulate import _detections, _population


def simulate_marked(model: MarkResight, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None):
    """See `MarkResight.simulate`."""
    rng, session = np.random.default_rng(seed), model.session()
    vector = model.parameters.vector_from(values)
    natural = model.parameters.values(vector)
    at = _population(session.mask, natural["D"], rng, "poisson") if centres is None else centres
    alike = np.zeros(len(at), int)
    methods = {m.name: m for m in session.methods}
    first, marking, name = np.full(len(at), np.inf), None, {}
    if model.marking is not None:
        found = _detections(model, session, methods[MARKING], vector, at, alike, rng)
        by = found.groupby("animal")["occasion"].min()
        first[by.index.to_numpy(int)] = by
        name = _names(by.index)
        marking = _history(model.marking, found, name)
    else:
        n0 = _marked(model, rng, len(at))
        chosen = np.sort(rng.permutation(len(at))[:n0])
        first[chosen], name = 0, _names(chosen)
    return marking, _sightings(model, session, vector, natural["pID"], at, first, name, rng)


def _marked(model: MarkResight, rng, N: int) -> int:
    """Number of marked animals of a sighting-only survey."""
    if model.marked == "unknown":
        return min(N, rng.poisson(1.5 * model.captures.n_animals))
    return min(N, int(model.marked or 0))


def _names(animals) -> dict[int, str]:
    width = max(3, len(str(len(animals))))
    return {int(a): f"A{i + 1:0{width}d}" for i, a in enumerate(animals)}


def _history(like: CaptureHistory, found: pd.DataFrame, name: Mapping[int, str]) -> CaptureHistory:
    frame = found.assign(
        animal=found["animal"].map(name),
        detector=np.asarray(like.detectors.id, object)[found["detector"].to_numpy(int)],
    )
    return CaptureHistory(frame, like.detectors, occasions=like.occasions, session=like.session)


def _sightings(model: MarkResight, session, vector, pID, at, first, name, rng) -> Sightings:
    """Sightings of all animals, divided into those of unmarked, identified and unidentified ones."""
    given = model.sightings
    after, seen = after_marking(model.marking, given), given.captures
    blocks = [m for m in session.methods if m.name != MARKING]
    parts, tables = [], np.zeros((2, seen.n_occasions, len(seen.detectors)))
    begin = 0
    for m, block in zip(blocks, np.unique(after), strict=True):
        own = np.flatnonzero(after == block)
        all_of_them = _detections(model, session, m, vector, at, np.zeros(len(at), int), rng)
        s, k = own[all_of_them["occasion"].to_numpy(int) - 1], all_of_them["detector"].to_numpy(int)
        known = first[all_of_them["animal"].to_numpy(int)] <= block
        count = all_of_them["count"].to_numpy(int)
        occasion = all_of_them["occasion"].to_numpy(int) - 1
        row = np.searchsorted(np.unique(m.arranged.code[m.captures.detectors.used]), m.arranged.code[occasion, k])
        identified = np.where(known, rng.binomial(count, pID[begin + row]), 0)
        begin += len(m.arranged.rows)
        np.add.at(tables[0], (s[~known], k[~known]), count[~known])
        np.add.at(tables[1], (s[known], k[known]), (count - identified)[known])
        parts.append(all_of_them.assign(occasion=s + 1, count=identified)[identified > 0])
    captures = _history(seen, pd.concat(parts, ignore_index=True), name)
    if seen.detectors.kind == "proximity":
        tables = np.minimum(tables, 1.0)
    return replace(
        given,
        captures=captures,
        unmarked=None if given.unmarked is None else tables[0],
        unidentified=None if given.unidentified is None else tables[1],
    )
