"""Where the chance of success of trials passes a value, as something rises: a logistic regression, inverted."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from ...survey.errors import refuse


def crossing(x: np.ndarray, success: np.ndarray, chance: float = 0.5) -> tuple[float, float]:
    """The x at which successes have `chance`, with its standard error by the delta method.

    Parameters
    ----------
    x : [trials]; success : bool or 0, 1 [trials]

    Raises
    ------
    SurveyError : successes do not become more frequent as x rises
    """
    x, success = np.asarray(x, float), np.asarray(success, float)
    middle, unit = x.mean(), x.std() or 1.0
    X = np.column_stack([np.ones(len(x)), (x - middle) / unit])
    prior = np.diag([1e-4, 1e-4])  # trials that x tells apart without an error have no finite slope
    beta, information = np.zeros(2), prior
    for _ in range(200):
        mean = expit(X @ beta)
        information = (X * (mean * (1.0 - mean))[:, None]).T @ X + prior
        step = np.linalg.solve(information, X.T @ (success - mean) - prior @ beta)
        beta = beta + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    if not beta[1] > 0:
        raise refuse("success does not become more frequent", "Use more simulations, or a wider range", value=beta[1])
    at = (logit(chance) - beta[0]) / beta[1]
    by = np.array([-1.0, -at]) / beta[1]
    return float(middle + unit * at), float(unit * np.sqrt(by @ np.linalg.solve(information, by)))
