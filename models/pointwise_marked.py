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
from .marked.base import names_of
from .marked.bilateral import BilateralCapture
from .marked.capwire import Capwire
from .marked.closed import ClosedCapture
from .marked.known_fate import EDGE, KnownFate
from .marked.live_dead import Burnham
from .marked.log_rows import (
    of_closed,
    of_events,
    of_live_and_dead,
    of_loglinear,
    of_open,
    of_periods,
    of_states,
    of_survival,
)
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


def _given_first(of: Callable[[Any, Any], np.ndarray]) -> Callable[[Any, Any], Divided]:
    """From log Pr of the different histories to that of the rows of the data."""
    return lambda model, values: Divided(np.append(of(model, values), np.nan)[model.row_of_history])


def _robust(model: RobustDesign, values) -> Divided:
    """Periods in which an animal was met, given the first, and what it did inside each of them."""
    inside = of_closed(model.closed, values)[0][model.closed.row_of_history]
    whose = model.history_of_inside
    total = np.bincount(whose[whose >= 0], inside[whose >= 0], len(model.history.states))
    return Divided(of_periods(model, values)[model.row_of_history] + total)


def _fates(model: KnownFate, values) -> Divided:
    """Every period in which an animal was at risk."""
    name, value = next(iter(values.items()))
    S = np.clip(value if name == "S" else 1.0 - value, EDGE, 1.0 - EDGE)[model.layouts[name].index]
    h = model.history
    total = np.sum(np.where(h.at_risk, np.where(h.died, np.log1p(-S), np.log(S)), 0.0), axis=1)
    return Divided(np.where(h.at_risk.any(axis=1), total, np.nan))


# ---- given that an animal was met at all -----------------------------------------------------------------------------


def _closed(model: ClosedCapture, values) -> Divided:
    each, unseen = of_closed(model, values)
    return _with_number(model, values, each[model.row_of_history], unseen, np.log(-np.expm1(unseen)))


def _loglinear(model: LogLinear, values) -> Divided:
    each, unseen = of_loglinear(model, values)
    return _with_number(model, values, each, unseen, np.log(-np.expm1(unseen)))


def _open(model: Pradel, values) -> Divided:
    rows, met = of_open(model, values)
    each, n = rows[model.row_of_history], np.asarray(model.n, float)
    if "N" in values:
        mean = values["N"][model.layouts["N"].index] * met
        return Divided(each, n * np.log(mean) - mean - gammaln(n + 1.0), n, mean)
    return _with_number(model, values, each, np.log(np.maximum(1.0 - met, TINY)), np.log(met))


def _with_number(model, values, each, unseen, met) -> Divided:
    """With log Pr(n met of n + f0) where f0 is in the model, from log Pr(never met) and log Pr(met) [G]."""
    if "f0" not in values:
        return Divided(each)
    n, f0 = np.asarray(model.n, float), values["f0"][model.layouts["f0"].index]
    count = gammaln(n + f0 + 1) - gammaln(f0 + 1) - gammaln(n + 1) + f0 * unseen + n * met
    return Divided(each, count, n, None, float(gammaln(n + 1).sum()))


MAKERS: dict[type, Callable[[Any, Any], Divided]] = {
    Multievent: _given_first(of_events),  # before Multistate, which it is
    Multistate: _given_first(of_states),
    CJS: _given_first(of_survival),
    Burnham: _given_first(of_live_and_dead),
    RobustDesign: _robust,
    KnownFate: _fates,
    ClosedCapture: _closed,
    LogLinear: _loglinear,
    Pradel: _open,
}
