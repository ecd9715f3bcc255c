"""Information criteria, with and without overdispersion: one place for their formulas."""

from __future__ import annotations

import numpy as np

from ...survey.errors import refuse

CRITERIA = ("aic", "aicc", "bic", "qaic", "qaicc")


def information_criterion(name: str, loglik: float, n_parameters: int, n: float = np.inf, c_hat: float = 1.0) -> float:
    """The value of a criterion (Burnham & Anderson 2002, pp. 61, 66, 70, 286).

    Parameters
    ----------
    name : one of CRITERIA
    loglik : maximised log-likelihood
    n_parameters : without c-hat, which counts as one more in the quasi-criteria when it is above 1
    n : sample size, for the small-sample correction and BIC; infinite value when it is too small for the correction
    c_hat : overdispersion, for "qaic" and "qaicc"
    """
    quasi = name.startswith("q")
    k = n_parameters + (1 if quasi and c_hat > 1.0 else 0)
    deviance = -2.0 * loglik / (c_hat if quasi else 1.0)
    if name == "bic":
        return float(deviance + k * np.log(n))
    if not name.endswith("cc"):
        return float(deviance + 2.0 * k)
    if n - k - 1 <= 0:
        return float("inf")
    return float(deviance + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1))


def weights(values: np.ndarray) -> np.ndarray:
    """Akaike weights [models] from the values of a criterion; nothing for infinite ones."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return np.full(len(values), 1.0 / len(values))
    weight = np.exp(-0.5 * (values - values.min()))
    return weight / weight.sum()


def check_c_hat(c_hat: float) -> float:
    """The factor of inflation: c-hat, but at least 1.

    Raises
    ------
    SurveyError : it is not a number above 0
    """
    if not (np.isfinite(c_hat) and c_hat > 0):
        raise refuse("c-hat must be above 0", "Take it from goodness, goodness_of_fit or median_c_hat", value=c_hat)
    return max(float(c_hat), 1.0)
