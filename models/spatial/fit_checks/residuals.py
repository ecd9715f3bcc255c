"""Residuals of detectors: where more, or fewer, detections were made than a fitted model expects.

Two of them, both like Pearson's: against the population (density, detection and effort must be right) and given the
animals that were detected, where their data say that they live (detection and effort must be right). A pattern in the
first only says that density is not as modelled; one in the second that detection is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ....survey.errors import refuse
from .by_detector import given_animals, knows_population, population
from .moments import observed

WHICH = {"given animals": "residual_given_animals", "population": "residual"}


def residuals(fit, session: str | None = None) -> pd.DataFrame:
    """See `SpatialFit.residuals`."""
    model = fit.model
    part = model.session(session)
    values, vector = fit.values_of(part), fit.vector
    whole = population(model, part, vector, values) if knows_population(part) else None
    frames = []
    for j, (method, seen) in enumerate(given_animals(model, part, vector, values)):
        detectors, y = method.captures.detectors, observed(part, method).sum(axis=0)
        given, spread = seen.mean.sum(axis=0) + seen.missed, seen.variance.sum(axis=0) + np.maximum(seen.missed, 0.0)
        frame = pd.DataFrame({"detector": list(detectors.id), "x": detectors.x, "y": detectors.y})
        frame["effort"], frame["observed"] = np.nansum(detectors.effort, axis=0), y
        if whole is not None:
            frame["expected"], variance = whole[j].expected, whole[j].variance
            frame["residual"] = _standard(y - whole[j].expected, variance)
        frame["expected_given_animals"], frame["residual_given_animals"] = given, _standard(y - given, spread)
        if len(part.methods) > 1:
            frame.insert(0, "method", method.name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _standard(difference: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Over the standard deviation; NaN where nothing can be expected (no effort)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 1e-12, difference / np.sqrt(variance), np.nan)


@dataclass(frozen=True)
class Pattern:
    """Moran's I of residuals over detectors."""

    which: str  # "given animals" or "population"
    moran: float
    expected: float  # without any pattern, −1 / (K − 1)
    p_value: float  # one-sided: neighbours are alike
    permutations: int

    def __str__(self) -> str:
        return (
            f"Moran's I of the residuals ({self.which}) is {self.moran:.3f}, {self.expected:.3f} expected without a "
            f"pattern; p = {self.p_value:.3g} by {self.permutations} permutations"
        )

    __repr__ = __str__


def pattern(table: pd.DataFrame, which: str = "given animals", permutations: int = 999, seed: int = 1) -> Pattern:
    """Are the residuals of neighbouring detectors alike? (Moran 1950, weights 1 / distance).

    Parameters
    ----------
    table : from `fit.residuals()`
    which : "given animals", or "population", whose residuals of neighbours are alike even under the model, since one
        animal visits several detectors: its p-value is then too small

    Raises
    ------
    SurveyError : fewer than five detectors with a residual, no such residuals
    """
    if which not in WHICH or WHICH[which] not in table:
        known = [name for name, column in WHICH.items() if column in table]
        raise refuse("there are no such residuals", f"Use {' or '.join(map(repr, known))}", value=which)
    shown = table.dropna(subset=[WHICH[which]])
    if len(shown) < 5:
        raise refuse("a pattern needs at least five detectors with effort", "Look at the table", value=len(shown))
    z = shown[WHICH[which]].to_numpy(float)
    z = z - z.mean()
    x, y = shown["x"].to_numpy(), shown["y"].to_numpy()
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    nearest = distance[distance > 0].min() if (distance > 0).any() else 1.0
    weight = nearest / np.maximum(distance, nearest)
    np.fill_diagonal(weight, 0.0)
    rng, total = np.random.default_rng(seed), weight.sum() * (z @ z)
    moran = lambda v: len(z) * float(v @ weight @ v) / total  # noqa: E731
    drawn = np.array([moran(rng.permutation(z)) for _ in range(permutations)])
    p = float((1 + np.sum(drawn >= moran(z) - 1e-12)) / (1 + permutations))
    return Pattern(which, moran(z), -1.0 / (len(z) - 1), p, permutations)


def plot_residuals(table: pd.DataFrame, which: str = "given animals", ax=None):
    """A map of residuals: size for how large, colour for which side; returns the matplotlib Axes."""
    import matplotlib.pyplot as plt

    if which not in WHICH or WHICH[which] not in table:
        raise refuse("there are no such residuals", "Use 'given animals' or 'population'", value=which)
    ax = ax or plt.subplots(figsize=(6, 5), layout="constrained")[1]
    shown = table.dropna(subset=[WHICH[which]])
    z = shown[WHICH[which]].to_numpy(float)
    most = max(2.0, float(np.abs(z).max(initial=0.0)))
    where = (shown["x"] / 1000, shown["y"] / 1000)
    size = 12.0 + 60.0 * np.abs(z)
    dots = ax.scatter(*where, c=z, s=size, cmap="PuOr_r", vmin=-most, vmax=most, edgecolor="0.3", lw=0.5)
    lost = table[table[WHICH[which]].isna()]
    ax.plot(lost["x"] / 1000, lost["y"] / 1000, "x", color="0.6", ms=4)
    label = "residual: orange above what is expected, purple below"
    ax.figure.colorbar(dots, ax=ax, label=label, shrink=0.8)
    ax.set(xlabel="x (km)", ylabel="y (km)", aspect="equal", title=f"residuals ({which})")
    ax.margins(0.12)
    return ax
