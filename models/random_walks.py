"""Random walks in formulas: `rw(year)`, a level that wanders from year to year by independent normal steps.

Along the values t of the covariate, w(t') - w(t) ~ N(0, sd² (t' - t)) for t' > t: the first-order random walk, whose
steps have variances proportional to the gaps (Rue & Held 2005, Gaussian Markov Random Fields, section 3.3.1). The walk
is taken as the deviation from its mean over the values that the data have, as in an intrinsic walk with a sum-to-zero
constraint; the intercept is that mean. Its coefficients are the steps, each over the square root of its gap, which are
independent: w = A b, b ~ N(0, sd²).

A whole-numbered covariate has steps to the numbers between its values too, and to those until `until`, so that years
without data are predicted, with the uncertainty that the walk has there. Seasons, sessions and occasions that are named
after years are years: `rw(season)`, `rw(session)`, `rw(occasion)`; in a survey's form `D = "~ rw(session)"`.

Of ten years or so `fit()` is too sure: the standard deviation comes out small or 0, and intervals of 95 % held 89 to
92 % of years and 80 to 86 % of years without data; `sample()` held 94 and 89 % (`benchmarks/recovery_random_walks.md`).

>>> import numpy as np, pandas as pd
>>> from uncia import models, survey
>>> year = np.repeat([2015, 2016, 2018, 2019, 2020, 2021], 40)  # nobody looked in 2017
>>> rng, psi = np.random.default_rng(1), 1 / (1 + np.exp(-0.4 * (year - 2018)))
>>> found = (rng.random((240, 4)) < 0.5) & (rng.random((240, 1)) < psi[:, None])
>>> history = survey.DetectionHistory.from_wide(found * 1.0, sites=pd.DataFrame({"year": year}))
>>> fit = models.Occupancy(history, "~ rw(year, until=2023)").fit()
>>> fit.predict("psi", pd.DataFrame({"year": [2016, 2017, 2018, 2021, 2023]})).round(2)
   year  estimate    se  lower  upper
0  2016      0.25  0.06   0.15   0.39
1  2017      0.37  0.13   0.16   0.64
2  2018      0.50  0.08   0.35   0.64
3  2021      0.68  0.07   0.52   0.80
4  2023      0.68  0.24   0.19   0.95
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..survey.errors import refuse

START = 0.5  # root mean square of the walk over the data to begin with, in units of the linear predictor
FILLED = (3, 10)  # a range of whole numbers of at most 3 times as many as there are values, and 10, has all of them
AHEAD = 100  # most values after the last one


@dataclass(frozen=True, eq=False)
class Walk:
    """A random walk over the values of one covariate; its coefficients are its steps, w = A b."""

    text: str
    axis: str
    levels: tuple[str, ...]  # the values of the covariate, in order
    A: np.ndarray = field(repr=False)  # [levels, steps]
    Z: np.ndarray = field(repr=False)  # [rows, steps]
    spread: np.ndarray = field(repr=False)  # [1] root mean square of the walk over the data at sd 1
    known: int  # values that the data have
    columns: tuple[str, ...] = ("Intercept",)
    group: str = ""

    @property
    def by(self) -> tuple[str, ...]:
        return (self.axis,)

    @property
    def transposed(self) -> np.ndarray:
        """Z' [steps, rows]."""
        return self.Z.T

    @property
    def size(self) -> int:
        return len(self.levels) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """One per step."""
        return tuple(f"{self.text} [{a} to {b}]" for a, b in zip(self.levels[:-1], self.levels[1:], strict=True))

    @property
    def positions(self) -> np.ndarray:
        return np.arange(self.size)[:, None]

    @property
    def theta(self) -> tuple[tuple[str, str], ...]:
        return (("sd", self.text),)

    def start(self) -> np.ndarray:
        return np.log(START / self.spread)

    def log_scale(self, theta: np.ndarray) -> np.ndarray:
        """[1, 1] logarithm of the standard deviation of a step over a gap of 1."""
        return theta[None, :1]

    def shape(self, theta: np.ndarray) -> np.ndarray:
        return np.ones((1, 1, 1), theta.dtype)

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """Standard deviation of a step over a gap of 1."""
        return np.exp(theta)

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        """[rows of frame, steps]; zeros, the mean of the walk, without the covariate.

        Raises
        ------
        SurveyError : values that the walk does not have
        """
        if self.axis not in frame.columns:
            return np.zeros((len(frame), self.size))
        known, names = pd.Index(self.levels), [str(v) for v in frame[self.axis]]
        code = known.get_indexer(names)
        if (code < 0).any():  # 2016.0 is 2016, but 01 may be a name
            names = _names(frame[self.axis])
            code = known.get_indexer(names)
        if (code < 0).any():
            ahead = f"write rw({self.axis}, until=…) to go on after the last"
            raise refuse(
                f"{self.text} has the values {self.levels[0]} to {self.levels[-1]}, and this is not among them",
                f"Leave it out, or {ahead}",
                value=f"{self.axis} = {names[int(np.argmax(code < 0))]}",
            )
        return self.A[code]


def build_walk(axis: str, options: dict[str, object], frame: pd.DataFrame, parameter: str) -> Walk:
    """The walk over the rows of `frame`.

    Raises
    ------
    SurveyError : values that have no order, missing values, a single one, or `until` that is not ahead
    """
    text, values = f"rw({axis})", frame[axis]
    if values.isna().any():
        raise refuse(f"{text} of {parameter} has missing values", "Fill them in", value=axis)
    where, labels = _levels(values, text, parameter, options.get("until"))
    code = pd.Index(labels).get_indexer(_names(values))
    there = np.unique(code)
    if len(there) < 2:
        raise refuse(
            f"{text} of {parameter} has one value only, so there is nothing to walk to",
            f"Leave it out, or give data of more than one {axis}",
            value=labels[int(there[0])],
        )
    A = np.tril(np.ones((len(labels), len(labels) - 1)), -1) * np.sqrt(np.diff(where))
    A = A - A[there].mean(axis=0)
    Z = np.ascontiguousarray(A[code])
    spread = np.sqrt(np.mean(np.sum(A[there] ** 2, axis=1)))
    return Walk(text, axis, tuple(labels), A, Z, np.array([spread]), len(there))


def _levels(values: pd.Series, text: str, parameter: str, until: object) -> tuple[np.ndarray, list[str]]:
    """Places along the walk and names of all its values, those without data too."""
    numbers = _numbers(values)
    if numbers is None:
        if not (isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered):
            raise refuse(
                f"{text} of {parameter} needs values in an order",
                "Give a number, such as the year (T and Session count from 0), or an ordered pandas Categorical",
                value=str(values.iloc[0]),
            )
        if until is not None:
            raise refuse(f"until of {text} goes with numbers", "Add categories to the factor instead", value=until)
        return np.arange(float(len(values.cat.categories))), [str(c) for c in values.cat.categories]
    found = np.unique(numbers)
    whole = bool((found % 1 == 0).all())
    if until is not None:
        ahead = isinstance(until, (int, float)) and whole and until % 1 == 0
        if not (ahead and found[-1] < until <= found[-1] + AHEAD):
            fix = f"Use a whole number after {_name(found[-1])}, at most {AHEAD} more; whole-numbered values only"
            raise refuse(f"until of {text} is where the walk goes on to", fix, value=until)
    if whole and np.ptp(found) + 1 <= FILLED[0] * len(found) + FILLED[1]:
        found = np.arange(found[0], found[-1] + 1)
    if until is not None:
        found = np.append(found, np.arange(found[-1] + 1, float(until) + 1))  # pyright: ignore[reportArgumentType]
    return found, [_name(v) for v in found]


def _numbers(values: pd.Series) -> np.ndarray | None:
    """The values as numbers; None where they are none, or an ordered factor says their order."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        return None
    found = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(float)
    return found if np.isfinite(found).all() else None


def _names(values: pd.Series) -> list[str]:
    numbers = _numbers(values)
    return [str(v) for v in values] if numbers is None else [_name(v) for v in numbers]


def _name(value: float) -> str:
    return f"{value:.0f}" if value % 1 == 0 else repr(float(value))
