"""log Pr of the different histories of a model's data at natural-scale values, without derivatives.

Of models of survival given the first encounter (and its state), of models of numbers given that the animal was met.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..kernels.survival import cormack_jolly_seber
from ..kernels.survival_emigration import temporary_emigration
from ..kernels.survival_events import event_chains
from ..kernels.survival_states import multistate
from .entry import first_encounter
from .individual import mixed
from .live_dead import HERE
from .survival import TINY

Values = Mapping[str, np.ndarray]


def of_survival(model, values: Values) -> np.ndarray:
    """Of `CJS`."""
    log_nodes = np.array([model._residents(*model._at(values, z), model.frequency)[0] for z in model.points])
    return model._with_transients(values, mixed(log_nodes, model.log_weight)[0])[0]


def of_states(model, values: Values) -> np.ndarray:
    """Of `Multistate`."""
    phi, p, psi = (np.ascontiguousarray(a) for a in model.cells(values))
    log_rows = np.empty(len(model.seen))
    at = (model.seen, model.first, model.end, model.row_profile, phi, p, psi, model.frequency)
    multistate(*at, log_rows, np.zeros_like(phi), np.zeros_like(p), np.zeros_like(psi))
    return log_rows


def of_events(model, values: Values) -> np.ndarray:
    """Of `Multievent`."""
    return _chains(model, model.seen, *model._chain(values))


def of_live_and_dead(model, values: Values) -> np.ndarray:
    """Of `Burnham` and `Barker`."""
    move, see = model._chain(model.cells(values))
    begin = np.zeros((*move.shape[:1], move.shape[1] + 1, 6, 4))
    begin[:, :, 1, HERE] = 1.0
    return _chains(model, model.event, begin, move, see)


def _chains(model, events, begin, move, see) -> np.ndarray:
    log_rows = np.empty(len(events))
    at = (events, model.first, model.end, model.row_profile, begin, move, see, model.frequency)
    event_chains(*at, log_rows, *(np.zeros_like(a) for a in (begin, move, see)))
    return log_rows


def of_periods(model, values: Values) -> np.ndarray:
    """Of the periods of `RobustDesign` that an animal was met in, given the first; inside periods see `of_closed`."""
    phi, out, away = (np.ascontiguousarray(a) for a in model._cells(values))
    star, log_rows = model.star(values), np.empty(len(model.row_met))
    at = (model.row_met, model.first, model.end, model.row_profile, phi, out, away, star, model.frequency)
    temporary_emigration(*at, log_rows, *(np.zeros_like(a) for a in (phi, out, away, star)))
    return log_rows


def of_closed(model, values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Of `ClosedCapture`, given met, and log Pr(never met) [G]."""
    whole, R = model.log_histories(values)[0], len(model.frequency)
    return whole[:R] - np.log(-np.expm1(whole[R:]))[model.row_profile[:R]], whole[R:]


def of_loglinear(model, values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Of every row of the history of `LogLinear`, given met, and log Pr(never met) [1]."""
    p, eta, log_Z, *_ = model._mass(values)
    met = model.history.states[:, model.occasion] > 0
    log_unseen = np.log1p(-p).sum() - log_Z
    each = met @ (np.log(p) - np.log1p(-p)) + log_unseen + eta[met.sum(axis=1)]
    return each - np.log(-np.expm1(log_unseen)), np.array([log_unseen])


def of_open(model, values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Of `Pradel` and `JollySeber`, given met, and Pr(met) [G]; -inf where entries are not possible."""
    survival, p, _ = model.natural(values)
    entry = model.entries(values)
    if not entry.possible:
        return np.full(len(model.met), -np.inf), np.full(len(model.groups), np.nan)
    at = first_encounter(entry.beta, survival, p)
    log_rows, g = np.empty(len(model.met)), model.row_profile
    over, detection = np.maximum(survival.ravel(), TINY), np.ascontiguousarray(p[:, 1:].ravel())
    rows = (model.met, model.first, model.last, model.lost, g, model._cells, model._cells)
    cormack_jolly_seber(*rows, over, detection, model.frequency, log_rows, np.zeros_like(over), np.zeros_like(over))
    begin = np.log(np.maximum((at.psi * at.p)[g, model.first], TINY)) - np.log(at.met[g])
    return begin + log_rows, at.met
