"""Data drawn from an open spatial model: animals that arrive, live, move and are detected or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.together import together
from ..kernels.open_scr import ANYWHERE, MOVE
from ..spatial.methods import Method
from ..spatial.simulate import _one_trap

if TYPE_CHECKING:
    from .model import OpenSCR


def simulate(model: OpenSCR, values: Mapping[str, object], seed: int) -> list[CaptureHistory]:
    """See `OpenSCR.simulate`."""
    if model.likelihood != "full":
        how = "Simulate from model.with_full_likelihood()"
        raise refuse("this likelihood does not say how many animals there are", how, value=model.likelihood)
    if model.kind_of_row.any():
        raise refuse("areas and transects cannot be simulated by an open model", "Use detectors at points")
    rng = np.random.default_rng(seed)
    vector = model.parameters.vector_from(values) if isinstance(values, Mapping) else np.asarray(values, float)
    natural = model.parameters.values(vector)
    population, mu = model.population(natural), model.cells(natural)
    moving, cells = model.moving(natural, mu), len(mu)
    x, y = model.mask.centres()
    where, who, of_class = np.zeros(0, int), np.zeros(0, int), np.zeros(0, int)
    at, made, count = np.zeros((2, 0)), [], 0
    share = population.share / population.share.sum()
    for t, captures in enumerate(model.captures):
        if t:
            alive = rng.random(len(who)) < population.survival[of_class, t - 1]
            where, who, of_class, at = where[alive], who[alive], of_class[alive], at[:, alive]
            to = _moved(rng, model, moving, t - 1, where)
            shift = rng.uniform(-0.5, 0.5, at.shape) * model.mask.spacing
            at = np.where(to == where, at, shift + np.stack([x[to], y[to]]))
            where = to
        new = rng.poisson(mu.sum() * population.arrivals[t])
        place = rng.choice(cells, new, p=mu / mu.sum())
        shift = rng.uniform(-0.5, 0.5, (2, new)) * model.mask.spacing
        where, at = np.append(where, place), np.hstack([at, shift + np.stack([x[place], y[place]])])
        who, count = np.append(who, count + np.arange(new)), count + new
        of_class = np.append(of_class, rng.choice(len(share), new, p=share))
        made.append(_detect(rng, model, t, captures, vector, at, who, of_class))
    return made


def _moved(rng, model: OpenSCR, moving, t: int, where: np.ndarray) -> np.ndarray:
    """The cell of each animal after the interval t."""
    if moving.mode == ANYWHERE:
        return rng.choice(len(moving.settled), len(where), p=moving.settled)
    if moving.mode != MOVE:
        return where
    mover, kernel = model.mover, moving.kernel[moving.which[t]]
    number = np.full(mover.shape, -1)
    number[mover.row, mover.column] = np.arange(len(mover.row))
    dy, dx = np.nonzero(kernel > 0)
    weight, found = kernel[dy, dx], where.copy()
    for i, m in enumerate(where):
        row, column = mover.row[m] + dy - mover.cells, mover.column[m] + dx - mover.cells
        if mover.wrap:
            row, column = row % mover.shape[0], column % mover.shape[1]
        inside = (row >= 0) & (row < mover.shape[0]) & (column >= 0) & (column < mover.shape[1])
        to = np.where(inside, number[np.where(inside, row, 0), np.where(inside, column, 0)], -1)
        p = np.where(to >= 0, weight, 0.0)
        found[i] = to[rng.choice(len(p), p=p / p.sum())]
    return found


def _detect(rng, model: OpenSCR, t, captures, vector, at, who, of_class) -> CaptureHistory:
    """The captures of one session, by all its methods."""
    found = {m.name: _by_method(rng, model, t, m, vector, at, who, of_class) for m in model.methods[t]}
    return found[""] if "" in found else together(found, session=captures.session)


def _by_method(rng, model: OpenSCR, t, method: Method, vector, at, who, of_class) -> CaptureHistory:
    data, arranged = method.captures, method.arranged
    detectors = data.detectors
    distance = np.hypot(at[0][:, None] - detectors.x, at[1][:, None] - detectors.y)
    parameters = _parameters(model, t, arranged.covariates, vector)[of_class]  # [N, codes, 3]
    effort, frames = np.where(detectors.used, detectors.effort, 0.0), []
    for s in range(len(effort)):
        own = parameters[:, arranged.code[s]] if len(who) else np.ones((0, len(detectors), 3))
        unit = model.detection.hazard_at(distance, *np.moveaxis(own, -1, 0))
        hazard = unit * effort[s]
        if detectors.kind in ("multi", "single"):
            animal, k, n = _one_trap(rng, hazard)
        else:
            if detectors.kind == "proximity":
                drawn = (rng.random(hazard.shape) < -np.expm1(-hazard)).astype(int)
            elif model.counts == "poisson":
                drawn = rng.poisson(hazard)
            else:
                drawn = rng.binomial(effort[s].astype(int), -np.expm1(-unit))
            animal, k = np.nonzero(drawn)
            n = drawn[animal, k]
        frames.append(pd.DataFrame({"animal": who[animal], "occasion": s + 1, "detector": k, "count": n}))
    frame = pd.concat(frames, ignore_index=True)
    name = {i: f"A{i + 1:04d}" for i in np.unique(frame["animal"])}
    frame["animal"] = frame["animal"].map(name).astype(object)
    frame["detector"] = np.asarray(detectors.id, object)[frame["detector"].to_numpy(int)]
    animals = pd.DataFrame()
    if model.classes is not None:
        label = dict(zip(who, np.asarray(model.classes.labels, object)[of_class], strict=True))
        animals = pd.DataFrame({model.classes.name: [label[i] for i in name]}, index=list(name.values()))
    return CaptureHistory(frame, detectors, animals=animals, occasions=data.occasions, session=data.session)


def _parameters(model: OpenSCR, t: int, covariates: pd.DataFrame, vector) -> np.ndarray:
    """[classes, codes, 3]: detection parameters of every class and set of covariates in session t."""
    labels = (None,) if model.classes is None else model.classes.labels
    frame = covariates.assign(**model._of_session(model.names[t]))
    found = np.ones((len(labels), len(frame), 3))
    for c, label in enumerate(labels):
        here = frame if label is None else frame.assign(**{model.classes.name: label})  # type: ignore[union-attr]
        for j, name in enumerate(model.detection.parameters):
            p = model.parameters[name]
            where = model.parameters.slice_of(name)
            found[c, :, j] = p.fixed if p.design is None else p.link.inverse(p.design.at(here) @ vector[where])
    return found
