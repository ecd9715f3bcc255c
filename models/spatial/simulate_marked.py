"""Simulated marking and sightings, see `mark_resight`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.sightings import Sightings
from .mark_resight import MarkResight
from .marked_session import MARKING, MarkedSession, after_marking
from .simulate import _classes, _covariates, _detections, _population


def simulate_marked(model: MarkResight, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None):
    """See `MarkResight.simulate`."""
    rng = np.random.default_rng(seed)
    vector = model.parameters.vector_from(values)
    natural = model.parameters.values(vector)
    made = []
    for session, given in zip(model.sessions, zip(model.marking, model.sightings, strict=True), strict=True):
        made.append(_session(model, session, given, vector, model.values_of(natural, session), rng, centres))
    return made[0] if len(made) == 1 else tuple(map(list, zip(*made, strict=True)))


def _session(model: MarkResight, session: MarkedSession, given, vector, values, rng, centres):
    """(marking, sightings) of one session."""
    at = _population(session.mask, values["D"], rng, "poisson") if centres is None else centres
    of_class = _classes(model, session, values, at, rng)
    methods, marking = {m.name: m for m in session.methods}, given[0]
    first, found = np.full(len(at), np.inf), None
    if marking is not None:
        found = _detections(model, session, methods[MARKING], vector, at, of_class, rng)
        by = found.groupby("animal")["occasion"].min()
        chosen = by.index.to_numpy(int)
        first[chosen] = by
    else:
        chosen = np.sort(rng.permutation(len(at))[: _marked(session, rng, len(at))])
        first[chosen] = 0
    width = max(3, len(str(len(chosen))))
    name = {int(a): f"A{i + 1:0{width}d}" for i, a in enumerate(chosen)}
    animals = _covariates(model, session, of_class[chosen], list(name.values()), rng)
    begun = None if marking is None else _history(marking, found, name, animals)
    drawn = _Drawn(model, session, vector, values["pID"], at, of_class, first, name, animals)
    return begun, _sightings(drawn, given, rng)


def _marked(session: MarkedSession, rng, N: int) -> int:
    """Number of marked animals of a sighting-only survey."""
    if session.marked == "unknown":
        return min(N, rng.poisson(1.5 * session.captures.n_animals))
    return min(N, int(session.marked or 0))


def _history(like: CaptureHistory, found, name: Mapping[int, str], animals: pd.DataFrame) -> CaptureHistory:
    frame = found.assign(
        animal=found["animal"].map(name),
        detector=np.asarray(like.detectors.id, object)[found["detector"].to_numpy(int)],
    )
    return CaptureHistory(frame, like.detectors, animals=animals, occasions=like.occasions, session=like.session)


class _Drawn:
    """The population of one session, and who is marked."""

    def __init__(self, model, session, vector, pID, at, of_class, first, name, animals):
        self.model, self.session, self.vector, self.at, self.of_class = model, session, vector, at, of_class
        self.first, self.name, self.animals = first, name, animals
        identified = np.ones(len(session.rows))
        identified[session.is_sighting] = pID
        self.pID = identified.reshape(len(session.parts), -1)  # [C, rows of a part]


def _sightings(drawn: _Drawn, given, rng) -> Sightings:
    """Sightings of all animals, divided into those of unmarked, identified and unidentified ones."""
    marking, sightings = given
    after, seen, binary = after_marking(marking, sightings), sightings.captures, False
    methods = drawn.session.methods
    begin = sum(len(m.arranged.rows) for m in methods if m.name == MARKING)
    parts, tables = [], np.zeros((2, seen.n_occasions, len(seen.detectors)))
    for m, block in zip([m for m in methods if m.name != MARKING], np.unique(after), strict=True):
        own, binary = np.flatnonzero(after == block), seen.detectors.kind == "proximity"
        found = _detections(drawn.model, drawn.session, _counting(m), drawn.vector, drawn.at, drawn.of_class, rng)
        animal, k, count = (found[name].to_numpy(int) for name in ("animal", "detector", "count"))
        occasion = found["occasion"].to_numpy(int) - 1
        known, s = drawn.first[animal] <= block, own[occasion]
        row = np.searchsorted(np.unique(m.arranged.code[m.captures.detectors.used]), m.arranged.code[occasion, k])
        of_class = drawn.of_class[animal] if len(drawn.pID) > 1 else 0
        identified = np.where(known, rng.binomial(count, drawn.pID[of_class, begin + row]), 0)
        begin += len(m.arranged.rows)
        np.add.at(tables[0], (s[~known], k[~known]), count[~known])
        np.add.at(tables[1], (s[known], k[known]), (count - identified)[known])
        whole = found.assign(occasion=s + 1, count=np.minimum(identified, 1) if binary else identified)
        parts.append(whole[identified > 0])
    captures = _history(seen, pd.concat(parts, ignore_index=True), drawn.name, drawn.animals)
    tables = np.minimum(tables, 1.0) if binary else tables
    return replace(
        sightings,
        captures=captures,
        unmarked=None if sightings.unmarked is None else tables[0],
        unidentified=None if sightings.unidentified is None else tables[1],
    )


def _counting(method):
    """The method with all sightings counted: each by itself is identified or not, and later told of or not."""
    captures = method.captures
    return replace(method, captures=replace(captures, detectors=replace(captures.detectors, kind="count")))
