"""A parameter against one covariate, the others held: the curve, its interval, and the plot of both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..survey.errors import refuse

POINTS = 100


def covariate_effect(
    fit, parameter: str, covariate: str, *, at: Mapping[str, object] | None = None, points: int = POINTS
) -> pd.DataFrame:
    """`parameter` over the range of `covariate` in the data, with se and 95 % limits.

    The other covariates of the parameter are at `at`, by default a number's median and the commonest level. A factor
    gives one row per level; groups of random effects are left out, so the curve is that of the population.

    Returns
    -------
    DataFrame with the covariates, estimate, se, lower, upper

    Raises
    ------
    SurveyError : an unknown parameter, a covariate that is not in its formula, a name in `at` that is not
    """
    design = fit.model.parameters[parameter].design
    used = () if design is None else design.variables
    for name in (covariate, *(at or {})):
        if name not in used:
            what = f"this covariate is not in the formula of {parameter}"
            raise refuse(what, f"Use {', '.join(used)}" if used else "It has no covariates", value=name)
    data = fit.predict(parameter)[list(used)]
    held = {name: _middle(data[name]) for name in used if name != covariate} | dict(at or {})
    values = data[covariate]
    if _is_number(values):
        along = np.linspace(float(values.min()), float(values.max()), points)
    else:
        along = pd.unique(values.sort_values())
    frame = pd.DataFrame({covariate: along})
    for name, value in held.items():
        whole = [value] * len(frame)
        frame[name] = pd.Categorical(whole, data[name].cat.categories) if _is_factor(data[name]) else whole
    if _is_factor(values):
        frame[covariate] = pd.Categorical(frame[covariate], values.cat.categories)
    return fit.predict(parameter, frame)


def plot_covariate(fit, parameter: str, covariate: str, *, at: Mapping[str, object] | None = None, ax=None):
    """`covariate_effect` as a line with its 95 % band, or as points with bars for a factor; returns the Axes."""
    import matplotlib.pyplot as plt

    table = covariate_effect(fit, parameter, covariate, at=at)
    ax = ax or plt.subplots(figsize=(6, 4), layout="constrained")[1]
    y, low, high = (table[name].to_numpy(float) for name in ("estimate", "lower", "upper"))
    if _is_number(table[covariate]):
        x = table[covariate].to_numpy(float)
        ax.fill_between(x, low, high, color="#1b4965", alpha=0.2, lw=0)
        ax.plot(x, y, color="#1b4965")
    else:
        x = np.arange(len(table))
        ax.errorbar(x, y, [np.maximum(y - low, 0.0), np.maximum(high - y, 0.0)], fmt="o", color="#1b4965", capsize=4)
        ax.set_xticks(x, [str(v) for v in table[covariate]])
        ax.set_xlim(-0.5, len(table) - 0.5)
    unit = fit.model.parameters[parameter].unit
    ax.set(xlabel=covariate, ylabel=f"{parameter} ({unit})" if unit else parameter)
    others = [f"{name} = {_words(table[name].iloc[0])}" for name in table.columns[: len(table.columns) - 4]]
    others = [text for name, text in zip(table.columns, others, strict=False) if name != covariate]
    if others:
        ax.set_title(", ".join(others), fontsize=9)
    return ax


def _is_factor(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _middle(column: pd.Series):
    """The median of numbers, the commonest level of anything else."""
    return float(column.median()) if _is_number(column) else column.mode().iloc[0]


def _words(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
