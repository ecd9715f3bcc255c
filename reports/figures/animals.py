"""The animals: how often they were seen, how fast new ones turned up, at what hours they are about."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .style import BLUE, GREY, LIGHT, ORANGE, new_axes
from .work import round_days, short_day


def capture_frequencies(captures, ax=None):
    """Number of animals seen on 1, 2, 3, … occasions."""
    ax = ax or new_axes(3.0)
    found = captures.capture_frequencies()
    ax.bar(found.index, found, color=BLUE, width=0.85)
    ax.set(xlabel="occasions on which an animal was seen", ylabel="animals", xlim=(0.3, found.index.max() + 0.7))
    ax.locator_params(integer=True)
    return ax


def accumulation(captures, ax=None):
    """Different animals seen up to each occasion (line), and detections per occasion (bars)."""
    ax = ax or new_axes(3.4)
    seen = captures.detections
    S = captures.n_occasions
    new = np.bincount(seen.groupby("animal")["occasion"].min(), minlength=S + 1)[1:]
    per_occasion = np.bincount(seen["occasion"], seen["count"], minlength=S + 1)[1:]
    at = np.arange(S)
    ax.step(at, np.cumsum(new), where="mid", color=BLUE, lw=2)
    ax.set(ylim=(0, None), xlim=(-1, S))
    ax.set_ylabel("different animals (line)", color=BLUE)
    bars = ax.twinx()
    bars.bar(at, per_occasion, color=ORANGE, width=1.0)
    bars.set_ylim(0, 3.5 * max(1.0, per_occasion.max()))
    bars.set_ylabel("detections per occasion (bars)", color="#9a6a00")
    bars.spines["right"].set_visible(True)
    ax.set_zorder(bars.get_zorder() + 1)
    ax.patch.set_visible(False)
    if len(captures.occasions):
        days = pd.DatetimeIndex(captures.occasions["end"].dt.tz_localize(None))  # the date on which a night ends
        ticks = round_days(days.normalize())
        ax.set_xticks(ticks, [short_day(days[i]) for i in ticks])
    else:
        ax.set_xlabel("occasion")
    return ax


def activity(times, ax=None):
    """Share of visits per hour of the local clock: bars, and a circular kernel density.

    Parameters
    ----------
    times : local times of the visits
    """
    ax = ax or new_axes(3.0)
    hours = (times.dt.hour + times.dt.minute / 60.0).to_numpy(float)
    ax.bar(np.arange(24) + 0.5, np.bincount(hours.astype(int), minlength=24) / len(hours), color=LIGHT, width=0.95)
    at = np.linspace(0.0, 24.0, 241)
    ax.plot(at, clock_density(hours, at), color=BLUE, lw=2)
    ax.axvspan(0, 6, color=GREY, alpha=0.08, lw=0)
    ax.axvspan(18, 24, color=GREY, alpha=0.08, lw=0)
    ax.set(xlim=(0, 24), xticks=range(0, 25, 4), xlabel="local clock time (h)", ylabel="share of visits per hour")
    return ax


def clock_density(hours: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Von Mises kernel density of hours on the 24-hour circle, per hour.

    Bandwidth by the plug-in of Taylor (2008), with the largest concentration that the first three trigonometric moments
    give (Ridout & Linkie 2009), so that two peaks are not smoothed into one.
    """
    from scipy.special import i0e, ive

    angle, grid = hours * np.pi / 12.0, at * np.pi / 12.0
    kappa = max(_concentration(angle, k) for k in (1, 2, 3))
    nu = (3.0 * len(hours) * kappa**2 * ive(2, 2.0 * kappa) / (4.0 * np.sqrt(np.pi) * i0e(kappa) ** 2)) ** 0.4
    kernel = np.exp(nu * (np.cos(grid[:, None] - angle) - 1.0)) / (2.0 * np.pi * i0e(nu))
    return kernel.mean(axis=1) * np.pi / 12.0


def _concentration(angle: np.ndarray, k: int) -> float:
    """kappa of the von Mises distribution whose k-th trigonometric moment is that of the angles."""
    from scipy.optimize import brentq
    from scipy.special import ive

    r = float(np.hypot(np.cos(k * angle).mean(), np.sin(k * angle).mean()))
    moment = lambda kappa: ive(k, kappa) / ive(0, kappa)  # noqa: E731
    return brentq(lambda kappa: moment(kappa) - r, 1e-6, 500.0) if moment(1e-6) < r < moment(500.0) else 1.0
