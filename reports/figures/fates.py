"""Monitored animals: how long each was watched, and their survival."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .encounters import short
from .style import BLUE, GREY, LIGHT, MANY, RED, new_axes

MOST_BANDS = 3  # curves that are drawn with their bands


def timeline(animals, label: str, ax=None):
    """A line for every animal from its first period at risk to its last; a cross where it died, a ring where it was
    lost from sight."""
    ax = ax or new_axes(4.6)
    watched = animals.at_risk.any(axis=1)
    at_risk, died = animals.at_risk[watched], animals.died[watched]
    first = at_risk.argmax(axis=1)
    last = at_risk.shape[1] - at_risk[:, ::-1].argmax(axis=1)
    order = np.lexsort((last, first))
    first, last, dead = first[order], last[order], died.any(axis=1)[order]
    height = np.arange(len(order))
    ax.hlines(height, first, last, color="#9bb4c4", lw=float(np.clip(160 / len(order), 0.8, 3.0)))
    ax.plot(last[dead], height[dead], "x", color=RED, ms=5, mew=1.6, label="died")
    lost = ~dead & (last < at_risk.shape[1])
    ax.plot(last[lost], height[lost], "o", mfc="white", mec=GREY, ms=4, label="no longer followed")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    ax.set(xlabel=label, ylabel=f"{len(order)} animals", yticks=[])
    ax.set(xlim=(0, at_risk.shape[1] * 1.01), ylim=(-1, len(order)))
    return ax


def survival(curves: dict[str, pd.DataFrame], observed: pd.DataFrame | None, period: str, horizon=None, ax=None):
    """Survival from the beginning: a line with its band for every kind of animal, and Kaplan and Meier's as steps.

    Parameters
    ----------
    curves : words -> period, estimate, lower, upper
    observed : `models.kaplan_meier`, or None
    horizon : period to mark
    """
    ax = ax or new_axes(3.8)
    if observed is not None:
        x = np.concatenate([[0], observed["period"]])
        for name, style in (("estimate", dict(lw=1.6)), ("lower", dict(lw=0.7)), ("upper", dict(lw=0.7))):
            y = np.concatenate([[1.0], observed[name]])
            label = "Kaplan–Meier, 95 % interval" if name == "estimate" else None
            ax.step(x, y, where="post", color=GREY, label=label, **style)
    for i, (words, curve) in enumerate(curves.items()):
        colour = (BLUE, *MANY[1:])[i % len(MANY)]
        x = np.concatenate([[0], curve["period"]])
        band = [np.concatenate([[1.0], curve[name]]) for name in ("lower", "upper")]
        if len(curves) <= MOST_BANDS:
            ax.fill_between(x, *band, color=colour, alpha=0.15, lw=0)
        ax.plot(x, np.concatenate([[1.0], curve["estimate"]]), color=colour, lw=2, label=short(words, 40) or "model")
    if horizon is not None:
        ax.axvline(horizon, color=GREY, lw=0.9, ls=":")
    ax.grid(axis="y", color=LIGHT, lw=0.7)
    ax.set(xlabel=f"{period}s", ylabel="alive", ylim=(0, 1.02), xlim=(0, None))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9 if len(curves) < 3 else 8)
    return ax
