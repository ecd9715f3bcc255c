"""Model averaging: what several models of the same data say together, with intervals that know of the choice.

The model-averaged tail area (MATA) interval of Turek & Fletcher 2012 (Comput. Stat. Data Anal. 56:2809, eq. 6) has
limits at which the weighted tail areas of the single models are alpha / 2; Buckland et al. 1997 (Biometrics 53:603,
eq. 9) add the spread of the estimates between models to each model's variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from ...survey.errors import refuse
from ..derived import COLUMNS, LEVEL, z_of
from .compare import common_c_hat, criterion_values, named_fits
from .criteria import weights
from .scales import Scale, scale_named, scale_of

NUMBERS = ("estimate", "se", "lower", "upper")
INTERVALS = {"mata": "MATA", "buckland": "Buckland"}
MATTERS = 1e-6  # weight from which a model without a standard error leaves the average without an interval


@dataclass(frozen=True)
class _Row:
    """One number by all models [M]."""

    estimate: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    scale: Scale | None


def average(
    fits,
    quantity: str | Callable[[Any], pd.DataFrame],
    newdata: pd.DataFrame | None = None,
    *,
    criterion: str | None = None,
    c_hat: float | None = None,
    interval: str = "mata",
    scale: str | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Estimates averaged over models by their weights.

    Parameters
    ----------
    fits : mapping of name to Fit, or a list of Fits, of the same data
    quantity : a parameter, whose predictions are averaged ("psi"); or a derived quantity ("abundance"); or a function
        of a fit that gives a table with estimate, se, lower and upper (95 %), for instance `lambda fit: fit.survival()`
    newdata : covariates for the predictions of a parameter; by default those of the data, as far as one model has the
        covariates of all
    criterion, c_hat : of the weights, as in `compare`; with a c-hat all standard errors are inflated by it
    interval : "mata" (Turek & Fletcher 2012), or "buckland" (Buckland et al. 1997)
    scale : on which intervals are symmetric; needed only for tables that do not say it: "log", "logit", "identity", …
    level : of the interval

    Returns
    -------
    DataFrame with the covariates or names of each number, estimate, se (Buckland's), lower, upper, and interval, which
    says why where there is none. `attrs["weights"]` has the weights by model.

    Raises
    ------
    SurveyError : fits of different data, a quantity that not all of them have, rows that differ between models
    """
    named = named_fits(fits)
    if interval not in INTERVALS:
        raise refuse("this kind of interval is not known", "Use 'mata' or 'buckland'", value=interval)
    factor = common_c_hat(named, c_hat)
    weight = weights(criterion_values(named, criterion, c_hat))
    if factor is not None:
        named = {name: fit.inflated(factor) for name, fit in named.items()}
    keys, tables = _tables(named, quantity, newdata)
    rows = []
    for r in range(len(keys)):
        numbers = {name: np.array([t[name].iloc[r] for t in tables], float) for name in NUMBERS}
        words = [str(t["interval"].iloc[r]) if "interval" in t else "" for t in tables]
        row = _Row(**numbers, scale=_scale(words, weight, scale))
        rows.append(_averaged(row, weight, list(named), interval, level))
    found = pd.concat([keys.reset_index(drop=True), pd.DataFrame(rows)], axis=1)
    if set(COLUMNS) <= set(found.columns) | {"rse"}:
        found = found.assign(rse=found["se"] / found["estimate"])[list(COLUMNS)]
    found.attrs["weights"] = dict(zip(named, map(float, weight), strict=True))
    return found


def _averaged(row: _Row, weight: np.ndarray, names: list[str], interval: str, level: float) -> dict:
    """Estimate, standard error and limits of one number."""
    counted = weight > 0
    mean = float(weight[counted] @ row.estimate[counted])
    between = row.estimate - mean
    se = float(np.sum((weight * np.sqrt(row.se**2 + between**2))[counted]))
    result = {"estimate": mean, "se": se, "lower": np.nan, "upper": np.nan}
    lacking = [n for n, s, w in zip(names, row.se, weight, strict=True) if w > MATTERS and not np.isfinite(s)]
    if lacking:
        return result | {"se": np.nan, "interval": f"none: {', '.join(lacking)} has no standard error"}
    if row.scale is None:
        return result | {"interval": "none: the intervals of the models are of no common scale"}
    if interval == "buckland":
        middle, spread = row.scale.forward(mean), z_of(level) * row.scale.spread(mean, se)
        ends = sorted(float(row.scale.inverse(middle + side * spread)) for side in (-1.0, 1.0))
    else:
        ends = _tail_area(row, np.where(weight > MATTERS, weight, 0.0), level)
    if not np.isfinite(ends).all():
        return result | {"interval": "none: the estimate of a model is at a bound of what is possible"}
    name = f"{100 * level:g}% {INTERVALS[interval]}"
    return result | {"lower": ends[0], "upper": ends[1], "interval": name}


def _tail_area(row: _Row, weight: np.ndarray, level: float) -> list[float]:
    """The limits at which the weighted tail areas of the models are alpha / 2."""
    scale, tail = row.scale, (1.0 - level) / 2.0
    assert scale is not None
    used = weight > 0
    w = weight[used] / weight[used].sum()
    ends = np.sort([scale.forward(row.lower[used]), scale.forward(row.upper[used])], axis=0)
    middle, z = scale.forward(row.estimate[used]), z_of()
    with np.errstate(invalid="ignore"):  # at a bound of what is possible
        below, above = (middle - ends[0]) / z, (ends[1] - middle) / z  # standard errors on the scale, by side
    if not (np.isfinite(middle).all() and np.isfinite(below).all() and np.isfinite(above).all()):
        same = np.ptp(row.estimate[used]) == 0.0 and (row.se[used] == 0.0).all()
        return [float(row.estimate[used][0])] * 2 if same else [np.nan, np.nan]

    def area(limit: float, spread: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(spread > 0, (limit - middle) / spread, np.sign(limit - middle) * np.inf)
        return float(w @ ndtr(np.nan_to_num(distance, nan=0.0, posinf=np.inf, neginf=-np.inf)))

    found = []
    for spread, target in ((below, tail), (above, 1.0 - tail)):
        reach = 1.1 * abs(z_of(level)) * spread + 1e-12
        low, high = float((middle - reach).min()), float((middle + reach).max())
        found.append(float(brentq(lambda v, s=spread, t=target: area(v, s) - t, low, high, xtol=1e-12)))
    return sorted(float(scale.inverse(v)) for v in found)


def _scale(words: list[str], weight: np.ndarray, given: str | None) -> Scale | None:
    """The scale that the intervals of all models that matter have in common."""
    if given is not None:
        return scale_named(given)
    found = {scale_of(w) for w, share in zip(words, weight, strict=True) if share > MATTERS}
    return found.pop() if len(found) == 1 else None


# ---- what is averaged ----------------------------------------------------------------------------------------------


def _tables(named: Mapping[str, Any], quantity, newdata) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The names of the numbers, and the table of each model with the same rows."""
    if callable(quantity):
        return _aligned(named, [quantity(fit) for fit in named.values()])
    has = [quantity in fit.model.parameters for fit in named.values()]
    if any(has) and not all(has):
        lacking = [name for name, h in zip(named, has, strict=True) if not h]
        raise refuse(f"not all models have the parameter {quantity!r}", "Leave these models out", value=lacking)
    if all(has):
        return _predictions(named, quantity, newdata)
    if newdata is not None:
        raise refuse("new data are for parameters, and this is none", "Leave newdata out", value=quantity)
    tables = []
    for name, fit in named.items():
        derived = fit.derive("wald")
        found = derived[derived["quantity"] == quantity].reset_index(drop=True)
        if not len(found):
            known = ", ".join(dict.fromkeys([*fit.model.parameters.names, *derived["quantity"]]))
            raise refuse(f"{name!r} has no such parameter or derived quantity", f"It has {known}", value=quantity)
        tables.append(found)
    return _aligned(named, tables)


def _aligned(named: Mapping[str, Any], tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Tables whose rows have the same names."""
    first = tables[0]
    names = [c for c in first if c not in (*NUMBERS, "rse", "interval")]
    for name, found in zip(named, tables, strict=True):
        lacking = [c for c in (*NUMBERS, *names) if c not in found]
        if lacking:
            raise refuse(f"the table of {name!r} lacks columns", "Give the same table for every model", value=lacking)
        if not found[names].astype(str).equals(first[names].astype(str)):
            both = [" ".join(row) for row in found[names].astype(str).to_numpy()]
            raise refuse(
                f"the rows of {name!r} are not those of {next(iter(named))!r}",
                "Average predictions of a parameter at newdata instead",
                value=both[:3],
            )
    return first[names], tables


def _predictions(named: Mapping[str, Any], parameter: str, newdata) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    frames = {name: fit.predict(parameter) for name, fit in named.items()} if newdata is None else {}
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise refuse(f"{parameter} of {name!r} is a surface", "Average a derived quantity, or give newdata")
    if newdata is None:
        own = {name: frame.drop(columns=[*NUMBERS], errors="ignore") for name, frame in frames.items()}
        every = set().union(*(map(str, frame.columns) for frame in own.values()))
        whole = [frame for frame in own.values() if set(map(str, frame.columns)) == every]
        if not whole:
            fix = "Give newdata with these columns"
            raise refuse(f"no model has all covariates of {parameter}", fix, value=sorted(every))
        newdata = whole[0]
    tables = []
    for fit in named.values():
        found = fit.predict(parameter, newdata if len(newdata.columns) else None)
        if len(found) == 1:
            found = found.loc[found.index.repeat(len(newdata))]
        link = fit.model.parameters[parameter].link.name
        tables.append(found.reset_index(drop=True).assign(interval=f"95% Wald on the {link}"))
    return newdata.reset_index(drop=True), tables
