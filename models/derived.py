"""Estimates with their uncertainty: one shape of row for every quantity that people are told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

LEVEL = 0.95
COLUMNS = ("quantity", "unit", "scope", "estimate", "se", "rse", "lower", "upper", "interval")


def z_of(level: float = LEVEL) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 0.95."""
    return float(ndtri(0.5 + level / 2.0))


@dataclass(frozen=True)
class Estimate:
    """One number with what is known about it."""

    quantity: str
    unit: str
    scope: str
    estimate: float
    se: float
    lower: float
    upper: float
    interval: str

    @property
    def rse(self) -> float:
        """Relative standard error."""
        return self.se / self.estimate if self.estimate else float("nan")

    def row(self) -> dict:
        return {name: getattr(self, name) for name in COLUMNS}


def table(estimates: list[Estimate]) -> pd.DataFrame:
    """Estimates as rows."""
    return pd.DataFrame([e.row() for e in estimates], columns=list(COLUMNS))


def log_normal_limits(estimate, se, level: float = LEVEL):
    """Limits of a log-normal interval from a natural-scale standard error (Burnham et al. 1987, p. 212)."""
    estimate, se = np.asarray(estimate, float), np.asarray(se, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(z_of(level) * np.sqrt(np.log1p((se / estimate) ** 2)))
        return estimate / factor, estimate * factor


def log_normal(quantity, unit, scope, estimate, se, level: float = LEVEL) -> Estimate:
    """An estimate above zero."""
    lower, upper = log_normal_limits(estimate, se, level)
    return Estimate(quantity, unit, scope, float(estimate), float(se), float(lower), float(upper), _name(level))


def log_normal_above(quantity, unit, scope, least, estimate, se, level: float = LEVEL) -> Estimate:
    """An estimate that cannot be below `least`: log-normal on what lies above it (Chao 1989; Efford & Fewster 2013)."""
    lower, upper = log_normal_limits(estimate - least, se, level)
    name = f"{_name(level)}, not below {least:.6g}"
    if not estimate > least:
        lower = upper = estimate - least
    return Estimate(quantity, unit, scope, float(estimate), float(se), float(least + lower), float(least + upper), name)


def _name(level: float) -> str:
    return f"{100 * level:g}% log-normal"
