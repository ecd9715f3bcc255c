"""The animals: how often they were seen, how fast new ones turned up, at what hours they are about."""

from __future__ import annotations

import numpy as np

from .style import BLUE, GREY, LIGHT, ORANGE, new_axes


def capture_frequencies(captures, ax=None):
    """Number of animals seen on 1, 2, 3, … occasions."""
    ax = ax or new_axes(3.0)
    found = captures.capture_frequencies()
    ax.bar(found.index, found, color=BLUE, width=0.85)
    ax.set(xlabel="occasions on which an animal was seen", ylabel="animals")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return ax


def accumulation(captures, ax=None):
    """Different animals seen up to each occasion (line), and detections per occasion (bars)."""
    ax = ax or new_axes(3.4)
    seen = captures.detections
    S = captures.n_occasions
    new = np.bincount(seen.groupby("animal")["occasion"].min(), minlength=S + 1)[1:]
    per_occasion = np.bincount(seen["occasion"], seen["count"], minlength=S + 1)[1:]
    days, xlabel = np.arange(1, S + 1), "occasion"
    if len(captures.occasions):
        days, xlabel = captures.occasions["start"].dt.tz_localize(None).to_numpy(), ""
    ax.step(days, np.cumsum(new), where="post", color=BLUE, lw=2)
    ax.set(xlabel=xlabel, ylim=(0, None))
    ax.set_ylabel("different animals (line)", color=BLUE)
    bars = ax.twinx()
    bars.bar(days, per_occasion, color=ORANGE, width=1.0 if not len(captures.occasions) else np.timedelta64(1, "D"))
    bars.set_ylim(0, 3.5 * max(1.0, per_occasion.max()))
    bars.set_ylabel("detections per occasion (bars)", color="#9a6a00")
    bars.spines["right"].set_visible(True)
    ax.set_zorder(bars.get_zorder() + 1)
    ax.patch.set_visible(False)
    if len(captures.occasions):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=6)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
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

    The concentration of the kernel is the plug-in of Taylor (2008, eq. 7) for von Mises data.
    """
    from scipy.special import i0e, ive

    angle, grid = hours * np.pi / 12.0, at * np.pi / 12.0
    r = np.hypot(np.cos(angle).mean(), np.sin(angle).mean())
    kappa = max(r * (2.0 - r**2) / max(1.0 - r**2, 1e-9), 1e-3)  # Fisher (1993): a good approximation on the circle
    bandwidth = 3.0 * len(hours) * kappa**2 * ive(2, 2 * kappa) / (4.0 * np.sqrt(np.pi) * i0e(kappa) ** 2)
    nu = max(bandwidth, 1e-3) ** 0.4
    kernel = np.exp(nu * (np.cos(grid[:, None] - angle) - 1.0)) / (2.0 * np.pi * i0e(nu))
    return kernel.mean(axis=1) * np.pi / 12.0
