"""Numbers of encounter histories beside those a model expects, within cohorts: what `Fit.goodness` compares.

A cohort are the animals of one group that the model takes as given: first met on the same occasion (and in the same
state) for models of survival, met at all for models of numbers. Animals that were not released after an encounter are
left out: their histories ended by our hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ..inference.goodness import cell_statistics
from .bilateral import BilateralCapture
from .capwire import Capwire
from .closed import ClosedCapture
from .known_fate import KnownFate
from .live_dead import Barker, Burnham
from .log_rows import (
    of_closed,
    of_events,
    of_live_and_dead,
    of_loglinear,
    of_open,
    of_periods,
    of_states,
    of_survival,
)
from .loglinear import LogLinear
from .misidentified import MisidentifiedCapture
from .multievent import Multievent
from .multistate import Multistate
from .open_population import JollySeber, Pradel
from .robust_design import RobustDesign
from .survival import CJS, TINY

Values = Mapping[str, np.ndarray]


def discrepancies(model, vector: np.ndarray) -> dict[str, float]:
    """Deviance, chi-square and Freeman-Tukey of the numbers of histories at coefficients [p].

    Models whose identities are no animals (flanks, ghosts), or that know no occasions, have no probability of a
    history: Freeman-Tukey of how often identities were met beside the mean of simulated surveys.

    Raises
    ------
    SurveyError : animals have covariates that are numbers, so that each is a cohort of its own
    """
    if type(model) is KnownFate:
        return _fates(model, model.parameters.values(vector))
    if type(model) in BY_DRAWS:
        return _by_draws(model, vector)
    table = history_table(model, vector)
    observed, expected = table["observed"].to_numpy(float), table["expected"].to_numpy(float)
    found = cell_statistics(observed, expected, observed.sum() - expected.sum())
    return {name: found[name] for name in ("deviance", "chi-square", "Freeman-Tukey")}


def history_table(model, vector: np.ndarray) -> pd.DataFrame:
    """The different histories of a model's data at coefficients [p].

    Returns
    -------
    DataFrame with cohort, history, observed, expected, of those that somebody has
    """
    of = HISTORIES.get(type(model))
    if of is None:
        raise refuse("the numbers of histories of this model have no expectation here", "Use CJS", value=repr(model))
    groups = getattr(model, "groups", pd.DataFrame())
    numbers = sorted(str(name) for name in groups if pd.api.types.is_float_dtype(groups[name]))
    if numbers and len(groups) > 1:
        fix = "Make groups of them, or test the model without them"
        raise refuse("animals with covariates that are numbers have no cohorts", fix, value=numbers)
    frames, before = [], 0
    for part in of(model, model.parameters.values(vector)):
        frames.append(_counted(part, before))
        before += frames[-1]["cohort"].nunique()
    return pd.concat(frames, ignore_index=True)


def _counted(part: tuple, before: int) -> pd.DataFrame:
    """A part of the table from cohorts [R, …], histories [R, T], numbers [R] and log-probabilities [R]."""
    cohort, histories, frequency, log_probability = part
    keys = np.unique(cohort, axis=0, return_inverse=True)[1].ravel()
    size = np.bincount(keys, frequency)
    words = ["".join("." if s < 0 else str(s) for s in row) for row in histories]
    columns = {"cohort": before + keys, "history": words, "observed": frequency}
    return pd.DataFrame(columns | {"expected": size[keys] * np.exp(log_probability)})


# ---- log Pr(history | cohort), by kind of model ----------------------------------------------------------------------


def _survival_rows(model, values: Values):
    log_rows = of_survival(model, values)
    yield _kept(~model.lost, (model.row_profile, model.first), model.met, model.frequency, log_rows)


def _state_rows(model, values: Values):
    state = model.seen[np.arange(len(model.seen)), model.first]
    cohort = (model.row_profile, model.first, state)
    yield _kept(~model.lost, cohort, model.seen, model.frequency, of_states(model, values))


def _closed_rows(model, values: Values):
    R = len(model.frequency)
    whole = model.stop[:R] == model.met.shape[1]
    cohort = (model.row_profile[:R],)
    yield _kept(whole, cohort, model.met[:R], model.frequency, of_closed(model, values)[0])


def _log_linear_rows(model, values: Values):
    met = model.history.states[:, model.occasion] > 0
    different, row = np.unique(met, axis=0, return_inverse=True)
    count = np.bincount(row.ravel(), model.history.frequency)
    each = np.empty(len(different))
    each[row.ravel()] = of_loglinear(model, values)[0]
    yield (np.zeros((len(different), 1), int), different.astype(int), count, each)


def _open_rows(model, values: Values):
    g, log_rows = model.row_profile, of_open(model, values)[0]
    yield _kept(~model.lost, (g,), model.met, model.frequency, log_rows)


def _robust_rows(model, values: Values):
    """The periods an animal was met in, and the histories inside periods given that it was."""
    yield from _closed_rows(model.closed, {name: values[name] for name in model.closed.parameters.names})
    whole = model.end == model.row_met.shape[1] - 1
    cohort = (model.row_profile, model.first)
    yield _kept(whole, cohort, model.row_met, model.frequency, of_periods(model, values))


def _live_dead_rows(model, values: Values):
    log_rows = of_live_and_dead(model, values)
    yield _kept(model.lost == 0, (model.row_profile, model.first), model.event, model.frequency, log_rows)


def _event_rows(model, values: Values):
    log_rows = of_events(model, values)
    yield _kept(~model.lost, (model.row_profile, model.first), model.seen, model.frequency, log_rows)


def _kept(which, cohort: tuple, histories, frequency, log_rows):
    """Rows of animals that were all released; what was not looked for is part of the cohort."""
    key = np.column_stack([*cohort, histories < 0])
    which = which & (frequency > 0)
    return key[which], histories[which], frequency[which], log_rows[which]


HISTORIES: dict[type, Callable] = {
    Barker: _live_dead_rows,
    Burnham: _live_dead_rows,
    CJS: _survival_rows,
    ClosedCapture: _closed_rows,
    JollySeber: _open_rows,
    LogLinear: _log_linear_rows,
    Multievent: _event_rows,
    Multistate: _state_rows,
    Pradel: _open_rows,
    RobustDesign: _robust_rows,
}


BY_DRAWS = (BilateralCapture, Capwire, MisidentifiedCapture)
DRAWS = 200  # surveys whose mean stands for the expected numbers


def _by_draws(model, vector: np.ndarray) -> dict[str, float]:
    """Freeman-Tukey of the numbers of identities met k times, and met on each occasion."""
    observed = _met(model.history)
    drawn = [_met(model.simulate(vector, seed)) for seed in range(DRAWS)]
    found = {}
    for name, seen in observed.items():
        most = max(len(seen), *(len(d[name]) for d in drawn))
        expected = np.mean([np.pad(d[name], (0, most - len(d[name]))) for d in drawn], axis=0)
        found[f"Freeman-Tukey, {name}"] = float(
            np.sum((np.sqrt(np.pad(seen, (0, most - len(seen)))) - np.sqrt(expected)) ** 2)
        )
    return found


def _met(history) -> dict[str, np.ndarray]:
    """Numbers of identities met once, twice, …, and on each occasion where there are occasions."""
    if not hasattr(history, "states"):
        return {"times met": np.bincount(history.counts).astype(float)[1:]}
    met = history.states > 0
    times = np.bincount(met.sum(axis=1), history.frequency)[1:]
    return {"times met": times, "occasions": (history.frequency @ met).astype(float)}


def _fates(model: KnownFate, values: Values) -> dict[str, float]:
    """Deaths and survivors of each period beside those expected of the animals at risk."""
    name, value = next(iter(values.items()))
    S = (value if name == "S" else 1.0 - value)[model.layouts[name].index]
    risk, died = model.history.at_risk, model.history.died
    alive = np.where(risk, S, 0.0).sum(axis=0)
    at_risk = risk.sum(axis=0)
    used = at_risk > 0
    observed = np.concatenate([died.sum(axis=0)[used], (risk & ~died).sum(axis=0)[used]]).astype(float)
    expected = np.concatenate([(at_risk - alive)[used], alive[used]])
    found = cell_statistics(observed, np.maximum(expected, TINY), 0.0)
    return {name: found[name] for name in ("deviance", "chi-square", "Freeman-Tukey")}
