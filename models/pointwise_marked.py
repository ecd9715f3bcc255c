"""The log-likelihood of marked animals divided among them: one number per animal, in the order of the histories.

Of a model that begins with the first encounter it is log Pr(what came later); of one with a population that is entered
or closed log Pr(history | met), and how many were met is a point of its own where the likelihood has their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import gammaln

from ..survey.errors import refuse
from .kernels.survival import cormack_jolly_seber
from .kernels.survival_emigration import temporary_emigration
from .kernels.survival_events import event_chains
from .kernels.survival_states import multistate
from .marked.base import names_of
from .marked.bilateral import BilateralCapture
from .marked.capwire import Capwire
from .marked.closed import ClosedCapture
from .marked.entry import first_encounter
from .marked.individual import mixed
from .marked.known_fate import EDGE, KnownFate
from .marked.live_dead import HERE, Burnham
from .marked.loglinear import LogLinear
from .marked.misidentified import MisidentifiedCapture
from .marked.multievent import Multievent
from .marked.multistate import Multistate
from .marked.open_population import TINY, Pradel
from .marked.robust_design import RobustDesign
from .marked.survival import CJS

WHY_NOT = {
    MisidentifiedCapture: "histories of one animal may be those of two when individuals are taken for others",
    BilateralCapture: "two records may be the left and the right side of one animal",
    Capwire: "the likelihood is that of numbers of samples, not of animals one by one",
}


@dataclass(frozen=True)
class Divided:
    """float [rows of the history] of one animal of each row, NaN where a row says nothing; and the number met."""

    each: np.ndarray
    count: np.ndarray = field(default_factory=lambda: np.empty(0))
    number: np.ndarray = field(default_factory=lambda: np.empty(0))
    mean: np.ndarray | None = None
    rest: float = 0.0


def divided_marked(model, values) -> tuple[list[str], Divided]:
    """Names of the animals and their log-likelihoods, each animal its own.

    Raises
    ------
    SurveyError : the likelihood of this kind of model is no product over animals
    """
    for kind, why in WHY_NOT.items():
        if isinstance(model, kind):
            what = f"the likelihood of this model is no product over animals: {why}"
            raise refuse(what, "Compare models of this kind by AIC", value=repr(model))
    found = next((of(model, values) for kind, of in MAKERS.items() if isinstance(model, kind)), None)
    if found is None:
        what = "the likelihood of this kind of model is no product over single animals or sites"
        raise refuse(what, "Compare models of this kind by AIC", value=repr(model))
    if isinstance(model, KnownFate):
        there = np.isfinite(found.each)
        names = [str(name) for name in model.history.animals.index[there]]
        return names, Divided(found.each[there])
    h = model.history.live if isinstance(model, Burnham) else model.history
    each = np.repeat(found.each, h.frequency)
    there = np.isfinite(each) | np.isneginf(each)
    names = [name for name, known in zip(names_of(h), there, strict=True) if known]
    return names, replace(found, each=each[there])


def names_of_numbers(n: int) -> list[str]:
    """Names of the points of numbers met, of n groups."""
    return ["animals met"] if n == 1 else [f"animals met, group {g + 1}" for g in range(n)]


def _by_history(model, log_rows: np.ndarray) -> np.ndarray:
    return np.append(log_rows, np.nan)[model.row_of_history]


# ---- given the first encounter ---------------------------------------------------------------------------------------


def _survival(model: CJS, values) -> Divided:
    log_nodes = np.array([model._residents(*model._at(values, z), model.frequency)[0] for z in model.points])
    if not model.individual and "tau" not in values:
        return Divided(_by_history(model, log_nodes[0]))
    return Divided(_by_history(model, model._with_transients(values, mixed(log_nodes, model.log_weight)[0])[0]))


def _states(model: Multistate, values) -> Divided:
    phi, p, psi = (np.ascontiguousarray(a) for a in model.cells(values))
    log_rows = np.empty(len(model.seen))
    at = (model.seen, model.first, model.end, model.row_profile, phi, p, psi, model.frequency)
    multistate(*at, log_rows, np.zeros_like(phi), np.zeros_like(p), np.zeros_like(psi))
    return Divided(_by_history(model, log_rows))


def _uncertain(model: Multievent, values) -> Divided:
    begin, move, see = model._chain(values)
    return Divided(_by_history(model, _events(model, model.seen, begin, move, see)))


def _live_dead(model: Burnham, values) -> Divided:
    move, see = model._chain(model.cells(values))
    begin = np.zeros((*move.shape[:1], move.shape[1] + 1, 6, 4))
    begin[:, :, 1, HERE] = 1.0
    return Divided(_by_history(model, _events(model, model.event, begin, move, see)))


def _events(model, events, begin, move, see) -> np.ndarray:
    log_rows = np.empty(len(events))
    at = (events, model.first, model.end, model.row_profile, begin, move, see, model.frequency)
    event_chains(*at, log_rows, np.zeros_like(begin), np.zeros_like(move), np.zeros_like(see))
    return log_rows


def _robust(model: RobustDesign, values) -> Divided:
    """Periods in which an animal was met, given the first, and what it did inside each of them."""
    phi, out, away = (np.ascontiguousarray(a) for a in model._cells(values))
    star = model.star(values)
    log_rows, nothing = np.empty(len(model.row_met)), [np.zeros_like(a) for a in (phi, out, away, star)]
    at = (model.row_met, model.first, model.end, model.row_profile, phi, out, away, star, model.frequency)
    temporary_emigration(*at, log_rows, *nothing)
    inside = _of_histories(model.closed, values)[model.closed.row_of_history]
    whose = model.history_of_inside
    total = np.bincount(whose[whose >= 0], inside[whose >= 0], len(model.history.states))
    return Divided(_by_history(model, log_rows) + total)


def _fates(model: KnownFate, values) -> Divided:
    """Every period in which an animal was at risk."""
    name, value = next(iter(values.items()))
    S = np.clip(value if name == "S" else 1.0 - value, EDGE, 1.0 - EDGE)[model.layouts[name].index]
    h = model.history
    total = np.sum(np.where(h.at_risk, np.where(h.died, np.log1p(-S), np.log(S)), 0.0), axis=1)
    return Divided(np.where(h.at_risk.any(axis=1), total, np.nan))


# ---- given that an animal was met at all -----------------------------------------------------------------------------


def _of_histories(model: ClosedCapture, values) -> np.ndarray:
    """log Pr(history | met) of the different histories."""
    R = len(model.frequency)
    log_rows = model.log_histories(values)[0]
    return log_rows[:R] - np.log(-np.expm1(log_rows[R:]))[model.row_profile[:R]]


def _closed(model: ClosedCapture, values) -> Divided:
    each = _of_histories(model, values)[model.row_of_history]
    unseen = model.log_histories(values)[0][len(model.frequency) :]
    return _with_number(model, values, each, unseen)


def _loglinear(model: LogLinear, values) -> Divided:
    p, eta, log_Z, *_ = model._mass(values)
    met = model.history.states[:, model.occasion] > 0
    unseen = model.log_unseen(values)
    each = met @ (np.log(p) - np.log1p(-p)) + np.log1p(-p).sum() - log_Z + eta[met.sum(axis=1)]
    return _with_number(model, values, each - np.log(-np.expm1(unseen[0])), unseen)


def _with_number(model, values, each, unseen: np.ndarray) -> Divided:
    """With the probability of the numbers met [G] of a closed population, where f0 is in the model."""
    if model.likelihood == "conditional":
        return Divided(each)
    n, f0 = np.asarray(model.n, float), values["f0"][model.layouts["f0"].index]
    return _with_f0(f0, n, unseen, np.log(-np.expm1(unseen)), each)


def _with_f0(f0, n, unseen, met, each) -> Divided:
    """log Pr(n met of n + f0), from logarithms of the probabilities to be never met and to be met."""
    count = gammaln(n + f0 + 1) - gammaln(f0 + 1) - gammaln(n + 1) + f0 * unseen + n * met
    return Divided(each, count, n, None, float(gammaln(n + 1).sum()))


def _open(model: Pradel, values) -> Divided:
    """log Pr(history | met): the first encounter, what came later, less log Pr(met)."""
    survival, p, _ = model.natural(values)
    entry = model.entries(values)
    if not entry.possible:
        return Divided(np.full(len(model.row_of_history), -np.inf))
    at = first_encounter(entry.beta, survival, p)
    log_rows, lost = np.empty(len(model.met)), np.zeros(len(model.met), bool)
    rows = (model.met, model.first, model.last, lost, model.row_profile, model._cells, model._cells)
    over, detection = np.maximum(survival.ravel(), TINY), np.ascontiguousarray(p[:, 1:].ravel())
    cormack_jolly_seber(*rows, over, detection, model.frequency, log_rows, np.zeros_like(over), np.zeros_like(over))
    begins = np.log(np.maximum(at.psi * at.p, TINY))[model.row_profile, model.first]
    each = (log_rows + begins - np.log(at.met)[model.row_profile])[model.row_of_history]
    n = np.asarray(model.n, float)
    if "N" in values:
        mean = values["N"][model.layouts["N"].index] * at.met
        return Divided(each, n * np.log(mean) - mean - gammaln(n + 1.0), n, mean)
    if "f0" in values:
        f0 = values["f0"][model.layouts["f0"].index]
        return _with_f0(f0, n, np.log(np.maximum(1.0 - at.met, TINY)), np.log(at.met), each)
    return Divided(each)


MAKERS: dict[type, Callable[[Any, Any], Divided]] = {
    Multievent: _uncertain,  # before Multistate, which it is
    Multistate: _states,
    CJS: _survival,
    Burnham: _live_dead,
    RobustDesign: _robust,
    KnownFate: _fates,
    ClosedCapture: _closed,
    LogLinear: _loglinear,
    Pradel: _open,
}
