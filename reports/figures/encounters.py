"""Marked animals: when each was met, how many there were, and estimates side by side."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd

from .sites import whiskers
from .style import BLUE, GREEN, LIGHT, MANY, ORANGE, new_axes

MOST_ROWS = 400  # animals that a picture shows


def timeline(history, labels, states=(), ax=None):
    """Animals (rows, by the occasion they were first met) over occasions: a mark where each was met.

    Parameters
    ----------
    labels : names of the occasions
    states : names of the states, when animals were met in more than one
    """
    rows = np.repeat(np.arange(len(history.states)), history.frequency)
    rows = rows[np.lexsort((-history.last[rows], history.first[rows]))][:MOST_ROWS]
    seen = history.states[rows]
    tall = float(np.clip(1.2 + 0.055 * len(rows), 3.0, 6.5))
    ax = ax or new_axes(tall)
    between = 0.85 * 72.0 * tall / max(len(rows), 1)  # points from one row to the next
    size = float(np.clip(0.8 * between, 1.5, 6.0))
    height = np.arange(len(rows))
    ax.hlines(height, history.first[rows], history.last[rows], color=LIGHT, lw=min(0.5 * between, 3.0), zorder=1)
    for state in range(1, max(int(seen.max()), 1) + 1):
        row, occasion = np.nonzero(seen == state)
        name = states[state - 1] if len(states) >= state else f"state {state}"
        colour = (BLUE, ORANGE, GREEN, *MANY[3:])[(state - 1) % 6]
        ax.plot(occasion, row, "o", color=colour, ms=size, label=name, zorder=2, mew=0)
    gone = np.flatnonzero(history.removed[rows])
    if len(gone):
        ax.plot(history.last[rows][gone], gone, "x", color="#000000", ms=size + 1, label="not released", zorder=3)
    if seen.max() > 1 or len(gone):
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=9, markerscale=max(1.0, 5 / size))
    occasion_ticks(ax, labels)
    more = "" if len(rows) == history.n_animals else f" of {history.n_animals}"
    ax.set(yticks=[], ylabel=f"{len(rows)}{more} animals", ylim=(len(rows), -1), xlim=(-0.6, len(labels) - 0.4))
    return ax


def occasion_ticks(ax, labels) -> None:
    """Names of occasions on the axis, as many as there is room for."""
    room = 11 if max(map(len, labels), default=1) <= 4 else 6
    every = max(1, int(np.ceil(len(labels) / room)))
    at = list(range(0, len(labels), every))
    ax.set_xticks(at, [labels[t] for t in at])


def numbers(rows: pd.DataFrame, labels, met, ax=None):
    """The number of animals on every occasion with its interval; crosses: how many were met.

    Parameters
    ----------
    rows : estimates in the order of the occasions; met : animals met on each
    """
    ax = ax or new_axes(3.4)
    whiskers(ax, rows["estimate"], rows["lower"], rows["upper"], label="estimate, 95 % interval")
    ax.plot(range(len(met)), met, "x", color=ORANGE, ms=6, label="met")
    occasion_ticks(ax, labels)
    ax.set(ylabel="animals", ylim=(0, None), xlim=(-0.5, len(labels) - 0.5))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    return ax


def side_by_side(rows: pd.DataFrame, label: str, ax=None):
    """Estimates of one quantity for several scopes, one below the other, with their intervals."""
    ax = ax or new_axes(float(np.clip(1.0 + 0.3 * len(rows), 1.8, 7.0)))
    at = np.arange(len(rows))[::-1]
    known = (np.isfinite(rows["lower"]) & np.isfinite(rows["upper"])).to_numpy()
    low, high = rows["lower"].to_numpy(float), rows["upper"].to_numpy(float)
    ax.hlines(at[known], low[known], high[known], color=BLUE, lw=1.8)
    ax.plot(rows["estimate"], at, "o", color=BLUE, ms=6)
    ax.set_yticks(at, [short(scope) for scope in rows["scope"]])
    ax.grid(axis="x", color=LIGHT, lw=0.7)
    ax.set_axisbelow(True)
    chance = rows["unit"].iloc[0].startswith(("probability", "proportion"))
    ax.set(xlabel=label, ylim=(-0.6, len(rows) - 0.4), xlim=(0, 1) if chance else (0, None))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def short(scope: str, wide: int = 22) -> str:
    """A setting of covariates in the little room beside an axis: values only, where they are words."""
    parts = [part.split(" = ", 1) for part in scope.split(", ")]
    told = [part[-1] if not part[-1][:1].isdigit() else " = ".join(part) for part in parts]
    return "\n".join(textwrap.wrap(", ".join(told), wide))


def met_times(history, ax=None):
    """How many animals were met once, twice, …"""
    met = np.repeat((history.states > 0).sum(axis=1), history.frequency)
    return times(met, "occasions on which an animal was met", ax)


def times(counts, label: str, ax=None):
    """How many animals have each of `counts`, from 1."""
    ax = ax or new_axes(3.0)
    animals = np.bincount(counts)
    ax.bar(np.arange(1, len(animals)), animals[1:], color=BLUE, width=0.85)
    ax.set(xlabel=label, ylabel="animals", xlim=(0.3, len(animals) - 0.3))
    ax.locator_params(integer=True)
    return ax
