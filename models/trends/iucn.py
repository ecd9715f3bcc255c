"""The IUCN Red List's criterion A: reduction over three generations or ten years, whichever is longer.

IUCN Standards and Petitions Committee (2024), Guidelines for using the Red List categories and criteria, version 16,
section 4.5. Probabilities of categories as in JARA (Sherley et al. 2020, Conserv. Biol. 34:688).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...survey.errors import refuse

if TYPE_CHECKING:
    from .trend import Mixture, Trend

CRITERIA = {"A1": (0.5, 0.7, 0.9), "A2": (0.3, 0.5, 0.8)}  # vulnerable, endangered, critically endangered
NAMES = ("vulnerable", "endangered", "critically endangered")
LEAST = 10.0  # years


def window(trend: Trend) -> float:
    """Three generations in years, at least ten."""
    if trend.generation is None:
        raise refuse("the Red List counts in generations", "Give generation= in years", value=None)
    return max(3.0 * trend.generation, LEAST)


def extrapolated(trend: Trend) -> bool:
    """Whether the surveys are of fewer years than three generations."""
    return window(trend) > trend.span + 1e-9


def too_short(trend: Trend) -> bool:
    """Whether the surveys are of less than half of three generations: too few years to speak of them."""
    return trend.span < 0.5 * window(trend)


def log_reduction(trend: Trend, definition: str) -> Mixture:
    """What is known of the log change over three generations."""
    length, years = window(trend), trend.annual.years
    if extrapolated(trend) and trend.method == "state-space":
        beyond = length - trend.span
        c = np.append(np.zeros(len(years)), beyond)
        c[[0, len(years) - 1]] = -1.0, 1.0
        known = trend._of(c)
        return replace(known, sd=np.sqrt(known.sd**2 + beyond * trend.sigma**2))
    if extrapolated(trend):
        return trend.log_change(definition, length)
    start = years[-1] - length
    after = int(np.searchsorted(years, start))
    c = np.zeros(len(years))
    c[-1] = 1.0
    if years[after] == start:
        c[after] -= 1.0
    else:  # between two surveys, on the line between their logarithms
        share = (start - years[after - 1]) / (years[after] - years[after - 1])
        c[after - 1] -= 1.0 - share
        c[after] -= share
    return trend._of(c)


def categories(trend: Trend, criterion: str = "A2", definition: str = "slope") -> pd.DataFrame:
    """category, reduction, probability: as `Trend.iucn` says."""
    kind = "A2" if criterion in ("A3", "A4") else criterion
    if kind not in CRITERIA:
        raise refuse("criterion A has four parts", "Use 'A1', 'A2', 'A3' or 'A4'", value=criterion)
    reduction = log_reduction(trend, definition)
    limits = [0.0, *CRITERIA[kind], 1.0]
    with np.errstate(divide="ignore"):
        below = [1.0, *(reduction.below(float(np.log1p(-share))) for share in CRITERIA[kind]), 0.0]
    names = ("not threatened by criterion A", *NAMES)
    return pd.DataFrame(
        {"category": names, "reduction": limits[:-1], "probability": -np.diff(below)},
    )
