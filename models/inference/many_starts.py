"""Climbs from several starting points, for likelihoods that may have more than one top."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ..verdict import Outcome, Remark

SPREAD = 0.75  # standard deviation of the starting points, in units in which the coefficients are alike
SAME = 1e-4  # difference of log-likelihoods up to which two tops are the same one


def starting_points(model, begin: np.ndarray, starts: int, seed: int) -> list[np.ndarray]:
    """`begin` [p] itself and points scattered around it: SPREAD on the log or logit scale, or of the value itself."""
    rng, T = np.random.default_rng(seed), model.scaling(begin)
    return [begin, *(begin + T @ rng.normal(0.0, SPREAD, len(begin)) for _ in range(starts - 1))]


def fit_from_many(model, begin: np.ndarray, starts: int, seed: int, climb: Callable):
    """The best of the fits `climb(start)`; its verdict names the tops that were found.

    Raises
    ------
    SurveyError : starts is below 1
    """
    if starts < 1 or starts != int(starts):
        raise refuse("starts is the number of starting points", "Use e.g. starts=5", value=starts)
    fits = [climb(point) for point in starting_points(model, begin, int(starts), seed)]
    usable = [fit for fit in fits if np.isfinite(fit.loglik)]
    if not usable:
        return fits[0]
    best = max(usable, key=lambda fit: fit.loglik)
    remark = Remark(Outcome.STARTS, _in_words(fits, best))
    return replace(best, base_verdict=best.base_verdict.also(remark))


def tops(fits) -> pd.DataFrame:
    """Different tops from the highest to the lowest: loglik, times, converged (of the fits that ended there)."""
    ended = sorted((fit for fit in fits if np.isfinite(fit.loglik)), key=lambda fit: -fit.loglik)
    rows: list[list] = []
    for fit in ended:
        if rows and rows[-1][0] - fit.loglik <= SAME:
            rows[-1][1] += 1
            rows[-1][2] += Outcome.NOT_CONVERGED not in fit.base_verdict
        else:
            rows.append([fit.loglik, 1, int(Outcome.NOT_CONVERGED not in fit.base_verdict)])
    return pd.DataFrame(rows, columns=["loglik", "times", "converged"])


def _in_words(fits, best) -> str:
    table, lost = tops(fits), len(fits) - sum(np.isfinite(fit.loglik) for fit in fits)
    true = table[(table["converged"] > 0) | (table["loglik"] >= best.loglik - SAME)]
    stuck = int(table["times"].sum() - true["times"].sum()) + lost
    which = "; ".join(f"log-likelihood {r.loglik:.3f} from {r.times}" for r in true.itertuples(index=False))
    words = f"{len(fits)} starting points led to "
    if len(true) == 1:
        words += f"one maximum ({which})"
    else:
        words += f"{len(true)} different maxima ({which}), of which the highest is reported"
    return words + (f"; from {stuck} the climb did not converge" if stuck else "")
