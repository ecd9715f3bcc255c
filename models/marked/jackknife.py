"""The jackknife estimate of a closed population in which animals differ (Burnham & Overton 1978, 1979)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.encounters import EncounterHistory
from ...survey.errors import refuse
from ..derived import log_normal_above, table

THRESHOLD = 3.84  # chi-square with one degree of freedom at 0.05


def jackknife(history: EncounterHistory) -> pd.DataFrame:
    """N by the interpolated jackknife with its log-normal interval, one row as of `Fit.derive()`.

    Orders 0 (the animals met) to 5 are compared by sequential tests. The estimate lies between the last two orders,
    where the test statistic, interpolated, is at its threshold; its variance has the choice of the order in it
    (Burnham & Overton 1979, p. 933; Rexstad & Burnham 1992, program CAPTURE).

    Raises
    ------
    SurveyError : fewer than two occasions
    """
    T = history.n_occasions
    if T < 2:
        raise refuse("the jackknife needs at least two occasions", "Give more occasions", value=T)
    times = np.bincount((history.states > 0).sum(axis=1), history.frequency, T + 1)[1:]
    weights = _weights(T)
    statistic = _statistics(weights, times)
    estimate = float(_interpolated(weights, statistic, times) @ times)
    se = _standard_error(weights, statistic, times)
    return table([log_normal_above("abundance", "animals", "all", times.sum(), estimate, se)])


def _weights(T: int) -> np.ndarray:
    """float [orders, T]: N of each order is a weighted sum of the animals met 1, 2, … T times (1978, table 1)."""
    c = {
        1: [(T - 1) / T],
        2: [(2 * T - 3) / T, -((T - 2) ** 2) / (T * (T - 1))],
    }
    if T > 2:
        c[3] = [(3 * T - 6) / T, -(3 * T**2 - 15 * T + 19) / (T * (T - 1)), (T - 3) ** 3 / (T * (T - 1) * (T - 2))]
    below = T * (T - 1) * (T - 2)
    if T > 3:
        c[4] = [(4 * T - 10) / T, -(6 * T**2 - 36 * T + 55) / (T * (T - 1))]
        c[4] += [(4 * T**3 - 42 * T**2 + 148 * T - 175) / below, -((T - 4) ** 4) / (below * (T - 3))]
    if T > 4:
        c[5] = [(5 * T - 15) / T, -(10 * T**2 - 70 * T + 125) / (T * (T - 1))]
        c[5] += [(10 * T**3 - 120 * T**2 + 485 * T - 660) / below, -((T - 4) ** 5 - (T - 5) ** 5) / (below * (T - 3))]
        c[5] += [(T - 5) ** 5 / (below * (T - 3) * (T - 4))]
    rows = np.ones((len(c), T))
    for order, more in c.items():
        rows[order - 1, : len(more)] += more
    return rows


def _statistics(weights: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Chi-square [orders] of the step from each order to the next; 0 after the last (1979, p. 929)."""
    n, step = times.sum(), np.diff(weights, axis=0)
    change = step @ times
    variance = n / max(n - 1, 1) * (step**2 @ times - change**2 / n)
    found = np.divide(change**2, variance, out=np.zeros(len(step)), where=variance > 0)
    return np.append(found, 0.0)


def _interpolated(weights: np.ndarray, statistic: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Weights [T] of the estimate between the last order whose step mattered and the next."""
    k = int(np.argmax(statistic < THRESHOLD))
    if k:
        share = (statistic[k - 1] - THRESHOLD) / (statistic[k - 1] - statistic[k])
        between = share * weights[k] + (1.0 - share) * weights[k - 1]
        return between if between @ times > weights[0] @ times else weights[0]
    first = weights[0] @ times
    from_none = first * times[0] / (first - times[0]) if first > times[0] else np.inf
    if from_none <= THRESHOLD:
        return weights[0]
    share = (from_none - THRESHOLD) / (from_none - statistic[0]) if np.isfinite(from_none) else 1.0
    return share * weights[0] + (1.0 - share)


def _standard_error(weights: np.ndarray, statistic: np.ndarray, times: np.ndarray) -> float:
    """With the probability that each order would have been chosen, from the power of the tests (1992, p. 24)."""
    beyond = np.maximum(statistic[:-1] - 1.0, 0.0)
    from scipy.stats import ncx2  # here, for scipy.stats takes longer to import than all else

    power = np.where(beyond > 0, ncx2.sf(THRESHOLD, 1, np.maximum(beyond, 1e-9)), 0.5)
    chosen = np.append(1.0 - power, 1.0) * np.append(1.0, np.cumprod(power))
    estimates = weights @ times
    variance = weights**2 @ times - estimates
    mean = chosen @ estimates
    return float(np.sqrt(max(chosen @ (variance + (estimates - mean) ** 2), 0.0)))
