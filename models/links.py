"""Links between a parameter and its linear predictor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit


@dataclass(frozen=True)
class Link:
    """eta = forward(value); value = inverse(eta); slope(eta) = d value / d eta; curve(eta) = its derivative."""

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    curve: Callable[[np.ndarray], np.ndarray]
    domain: str  # where the value must lie, in words


def _logit_slope(eta):
    p = expit(eta)
    return p * (1.0 - p)


def _logit_curve(eta):
    p = expit(eta)
    return p * (1.0 - p) * (1.0 - 2.0 * p)


def _cloglog(p):
    return np.log(-np.log1p(-p))


def _cloglog_inverse(eta):
    return -np.expm1(-np.exp(eta))


def _cloglog_slope(eta):
    return np.exp(eta - np.exp(eta))


def _cloglog_curve(eta):
    return _cloglog_slope(eta) * (1.0 - np.exp(eta))


def _itself(value):
    return np.asarray(value, float)


LINKS = {
    "log": Link("log", np.log, np.exp, np.exp, np.exp, "above 0"),
    "logit": Link("logit", logit, expit, _logit_slope, _logit_curve, "between 0 and 1"),
    "cloglog": Link("cloglog", _cloglog, _cloglog_inverse, _cloglog_slope, _cloglog_curve, "between 0 and 1"),
    "identity": Link("identity", _itself, _itself, np.ones_like, np.zeros_like, "any number"),
}
