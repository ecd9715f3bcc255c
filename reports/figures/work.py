"""When the cameras worked: the operation calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .style import BLUE, RED, SKY, new_axes

STATES = (("out of order", RED), ("part of the day", SKY), ("working", BLUE))


def calendar(table: pd.DataFrame, ax=None):
    """Deployments (rows) over days (columns): working, part of the day, out of order, or not there.

    Parameters
    ----------
    table : `SurveyTables.calendar()`, camera days worked [deployment, date], NaN where no camera stood
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    ax = ax or new_axes(4.8)
    worked = table.to_numpy(float)
    worked = worked[np.argsort(np.argmax(~np.isnan(worked), axis=1), kind="stable")]
    state = np.where(np.isnan(worked), np.nan, np.where(worked <= 0, 0, np.where(worked < 0.999, 1, 2)))
    colours = ListedColormap([colour for _, colour in STATES])
    ax.imshow(state, aspect="auto", cmap=colours, vmin=-0.5, vmax=2.5, interpolation="nearest")
    days = pd.DatetimeIndex(table.columns)
    ticks = round_days(days)
    ax.set_xticks(ticks, [short_day(days[i]) for i in ticks])
    ax.set(ylabel=f"{len(worked)} deployments, in the order of setting up", yticks=[])
    patches = [Patch(color=colour, label=name) for name, colour in STATES]
    ax.legend(handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
    return ax


def round_days(days: pd.DatetimeIndex, most: int = 8) -> np.ndarray:
    """Positions of days to write on an axis: the 1st and 15th, the 1st of months, of quarters or of years."""
    choices = (
        days.day.isin((1, 15)),
        days.day == 1,
        (days.day == 1) & days.month.isin((1, 4, 7, 10)),
        (days.day == 1) & (days.month == 1),
    )
    found = [np.flatnonzero(choice) for choice in choices]
    few = [ticks for ticks in found if 2 <= len(ticks) <= most]
    return few[0] if few else np.unique(np.linspace(0, len(days) - 1, min(len(days), 4)).astype(int))


def short_day(day: pd.Timestamp) -> str:
    """A day as an axis shows it, the same on every machine."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"{day.day} {months[day.month - 1]}" + (f" {day.year}" if (day.month, day.day) == (1, 1) else "")
