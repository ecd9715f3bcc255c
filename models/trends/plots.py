"""A trend drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .trend import Trend

BLUE, GREY, ORANGE = "#0072B2", "#666666", "#E69F00"


def plot_trend(trend: Trend, ax=None, curves: int = 60):
    """Estimates with their 95 % intervals; the true numbers with a band; lines: the range of change (slope) that the
    data allow.

    Parameters
    ----------
    curves : points of the lines
    """
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(4.8, 3.6), layout="constrained").add_subplot()
    told, years = trend.years(), trend.annual.years
    if trend.method != "estimates":
        ax.fill_between(years, told["fitted_lower"], told["fitted_upper"], color=BLUE, alpha=0.16, lw=0,
                        label="numbers after all years, 95 %")  # fmt: skip
        ax.plot(years, told["fitted"], color=BLUE, lw=1.8)
    growth = trend.log_growth("slope")
    middle = float(np.mean(np.log(told["fitted"])))
    at = np.linspace(years[0], years[-1], curves)
    for k, rate in enumerate(growth.limits):
        label = "range of change that the data allow" if k == 0 else None
        ax.plot(at, np.exp(middle + rate * (at - years.mean())), color=ORANGE, lw=1.2, ls="--", label=label)
    ax.vlines(years, told["lower"], told["upper"], color=GREY, lw=1.4)
    ax.plot(years, told["estimate"], "o", color="black", ms=5, label="estimate, 95 % interval")
    ax.set_xticks(np.unique(np.round(years)), minor=True)
    named = labelled(years)
    ax.set_xticks(named, [str(t) for t in named])
    ax.set(ylim=(0, None), ylabel=f"{trend.annual.quantity}, {trend.annual.unit}")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, fontsize=8, frameon=False)
    return ax


def labelled(years, most: int = 9) -> list[int]:
    """The whole years that have room for a label: the first, the last, and those far enough from the one before.

    >>> labelled([2012, 2013, 2016, 2024, 2025])
    [2012, 2016, 2025]
    """
    whole = np.unique(np.round(years)).astype(int).tolist()
    apart = max(1.0, (whole[-1] - whole[0]) / (most - 1))
    kept = whole[:1]
    for year in whole[1:-1]:
        if year - kept[-1] >= apart and whole[-1] - year >= apart:
            kept.append(year)
    return kept if len(whole) == 1 else [*kept, whole[-1]]
