"""Overdispersion of survival models: median c-hat.

Surveys are simulated with known overdispersion c; the estimate is the c at which half of them have a deviance per
degree of freedom above that of the data (Cooch & White, Program MARK: a gentle introduction, chapter 5). The mean of
simulated deviances, `Fit.goodness`, is known to give c-hats that are too small (White 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING
from ...survey.errors import SurveyError, refuse
from ..derived import z_of
from ..inference.crossing import crossing
from ..inference.parallel import run_tasks
from .fitted_histories import history_table
from .multistate import Multistate
from .survival import CJS


@dataclass(frozen=True, eq=False)
class MedianCHat:
    """Median c-hat with the Monte-Carlo standard error of its logistic regression."""

    c_hat: float  # at least 1
    se: float  # 0 where surveys without overdispersion already deviate as much as the data
    observed: float  # deviance per degree of freedom of the data
    table: pd.DataFrame  # c, surveys, above (share with a larger deviance per degree of freedom)

    def __str__(self) -> str:
        ends = [max(self.c_hat + side * z_of() * self.se, 1.0) for side in (-1.0, 1.0)]
        return f"median c-hat {self.c_hat:.3f} (Monte-Carlo 95 % {ends[0]:.3f} to {ends[1]:.3f})"

    __repr__ = __str__


def median_c_hat(fit, n: int = 200, seed: int = 1, upper: float | None = None, points: int = 10, **how) -> MedianCHat:
    """Median c-hat of a model of survival given first encounters (`CJS`, `Multistate`).

    Overdispersion c is made by animals of a cohort that share their fate in groups, whose size is c on average as an
    animal sees it.

    Parameters
    ----------
    fit : of the most general model
    n : simulated surveys in all, spread over `points` values of c from 1 to `upper`
    upper : by default half above the deviance per degree of freedom of the data, at least 2
    how : executor, workers, store, progress, as in `run_tasks`

    Raises
    ------
    SurveyError : another kind of model, animals whose covariates are numbers, too few surveys, data without a degree of
        freedom, an `upper` that is too small
    """
    if not isinstance(fit.model, (CJS, Multistate)):
        fix = "Use fit.goodness() for other models"
        raise refuse("median c-hat is for models of survival given first encounters", fix, value=repr(fit.model))
    if n < 4 * points:
        raise refuse("median c-hat needs at least four surveys at each point", f"Use n={20 * points}", value=n)
    observed = _per_freedom(fit.model, fit.vector)
    if not np.isfinite(observed):
        raise refuse("the data leave no degree of freedom", "Use a model with fewer parameters", value=repr(fit.model))
    top = max(2.0, 1.5 * observed) if upper is None else float(upper)
    if not top > 1.0:
        raise refuse("upper must be above 1", "Leave it out", value=upper)
    c = np.repeat(np.linspace(1.0, top, points), -(-n // points))[:n]
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    drawn = run_tasks(_one, [(fit.model, fit.vector, v, s) for v, s in zip(c, seeds, strict=True)], **how)
    done = np.array([value is not None and np.isfinite(value) for value in drawn])
    if not done.any():
        raise refuse("no simulated survey could be fitted", "Look at fit.verdict")
    above = np.array([value > observed for value, ok in zip(drawn, done, strict=True) if ok], float)
    frame = pd.DataFrame({"c": c[done], "above": above})
    table = frame.groupby("c")["above"].agg(surveys="size", above="mean").reset_index()
    if table["above"].max() < 0.5:
        raise refuse("even the largest c gives too small deviances", "Give a larger upper=", value=round(top, 3))
    if table["above"].min() >= 0.5:  # already without overdispersion most surveys have larger deviances
        return MedianCHat(1.0, 0.0, observed, table)
    estimate, se = crossing(frame["c"].to_numpy(), above)
    return MedianCHat(max(estimate, 1.0), se, observed, table)


def _per_freedom(model, vector: np.ndarray) -> float:
    """Deviance over its degrees of freedom: histories that somebody has, less cohorts and parameters."""
    table = history_table(model, vector)
    observed, expected = table["observed"].to_numpy(float), table["expected"].to_numpy(float)
    freedom = len(table) - table["cohort"].nunique() - len(vector)
    return float(2.0 * observed @ np.log(observed / expected) / freedom) if freedom > 0 else np.nan


def _one(task) -> float | None:
    """Deviance per degree of freedom of one survey simulated with overdispersion c."""
    model, vector, c, seed = task
    try:
        fit = model.on(simulate_together(model, vector, c, seed)).fit(start=vector)
        return _per_freedom(fit.model, fit.vector)
    except SurveyError:
        return None


def simulate_together(model, vector: np.ndarray, c: float, seed: int):
    """Histories of animals that share their fate in groups of c on average, as an animal sees it.

    A group's size is the whole number below or above c; the variance of the number of animals with a history is then c
    times the multinomial one. What is left of a cohort is a smaller group.
    """
    drawn = model.simulate(vector, seed)
    rng = np.random.default_rng([seed, 1])
    first = (drawn.states > 0).argmax(axis=1)
    state = drawn.states[np.arange(len(first)), first]
    profile = np.repeat(model.profile, model.history.frequency)
    key = np.column_stack([profile, first, state, drawn.states == MISSING])
    cohort = np.unique(key, axis=0, return_inverse=True)[1].ravel()
    states, small = drawn.states.copy(), int(c)
    large = (c - small) / (small + 1)  # groups of either size per animal, so that its mean size, as seen, is c
    share = large / (large + (small + 1 - c) / small)
    for k in range(cohort.max() + 1):
        members = rng.permutation(np.flatnonzero(cohort == k))
        size = np.where(rng.random(len(members)) < share, small + 1, small)
        head = np.repeat(np.cumsum(size) - size, size)[: len(members)]
        states[members] = drawn.states[members[head]]
    return replace(drawn, states=states)
