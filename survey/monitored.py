"""Monitored animals: collared or released, and from period to period known to be alive, dead or lost from sight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .display import facts_html
from .errors import Problems, refuse
from .frozen import fixed, settle


@dataclass(frozen=True, eq=False)
class MonitoredAnimals:
    """Fates of R animals over T periods of equal length.

    Parameters
    ----------
    at_risk : bool [R, T], alive at the beginning of the period, and its fate at the end is known
    died : bool [R, T], died in this period
    animals : DataFrame of R rows with covariates; its index names the animals
    periods : DataFrame of T rows with covariates
    period : what a period is, such as "week"

    Raises
    ------
    SurveyError : a death of an animal that was not at risk, life after death. All faults at once.
    """

    at_risk: np.ndarray
    died: np.ndarray
    animals: pd.DataFrame | Any = None  # may be left out; a table is kept
    periods: pd.DataFrame = field(default_factory=pd.DataFrame)
    period: str = "period"

    def __post_init__(self):
        at_risk, died = np.atleast_2d(self.at_risk).astype(bool), np.atleast_2d(self.died).astype(bool)
        if at_risk.shape != died.shape:
            raise refuse("at_risk and died differ in shape", "Give both as animals × periods", value=died.shape)
        R, T = at_risk.shape
        animals = pd.DataFrame(index=[str(i + 1) for i in range(R)]) if self.animals is None else self.animals
        bad = Problems()
        if len(animals) != R:
            bad.add(f"animals needs {R} rows", "Give one per row of at_risk", value=len(animals))
        if len(self.periods.columns) and len(self.periods) != T:
            bad.add(f"periods needs {T} rows", "Give one per column of at_risk", value=len(self.periods))
        bad.raise_any()
        names = animals.index.astype(str)
        for i, t in np.argwhere(died & ~at_risk).tolist():
            bad.add(f"{names[i]!r} died in period {t + 1} without having been at risk", "Correct one of the two")
        for i in np.flatnonzero((at_risk & (np.cumsum(died, axis=1) - died > 0)).any(axis=1)).tolist():
            bad.add(f"{names[i]!r} lives after its death", "Correct the dates")
        bad.raise_any()
        settle(
            self,
            at_risk=fixed(at_risk, bool),
            died=fixed(died, bool),
            animals=animals.set_axis(names, axis=0),
            periods=self.periods.reset_index(drop=True),
        )

    @classmethod
    def from_table(
        cls, fates: pd.DataFrame, length: float | str, *, begin=None, period: str = "period", animals=None
    ) -> MonitoredAnimals:
        """From one row per animal: `animal`, `entry`, `exit` (dates, or numbers) and `died` (True: at `exit`).

        An animal is at risk in a period when it is monitored from its beginning, and dies in it or is still monitored
        at its end; one that enters in the middle of a period counts from the next, one that is lost sight of in the
        middle counts to the one before (staggered entry and censoring: Pollock et al. 1989).

        Parameters
        ----------
        length : of a period: a number, or for dates such as "7 days"
        begin : beginning of the first period; the first entry by default
        """
        lacking = {"animal", "entry", "exit", "died"} - set(fates.columns)
        if lacking:
            raise refuse("the table of fates lacks columns", f"Add {', '.join(sorted(lacking))}")
        begin = fates["entry"].min() if begin is None else begin
        step = pd.Timedelta(length) if isinstance(length, str) else length
        start = ((fates["entry"] - begin) / step).to_numpy(float)
        end = ((fates["exit"] - begin) / step).to_numpy(float)
        died = fates["died"].to_numpy(bool)
        bad = Problems()
        names = fates["animal"].astype(str)
        for i in np.flatnonzero(~(end >= start)):
            bad.add("an animal's exit is before its entry", "Correct the dates", value=names.iloc[i])
        for name in sorted(set(names[names.duplicated()])):
            bad.add("an animal has two rows", "Give one row per animal", value=name)
        bad.raise_any()
        # A death exactly at the end of a period belongs to this period.
        last = np.where(died, np.ceil(end) - 1, np.floor(end) - 1).astype(int)
        last = np.where(died & (end <= start), np.floor(end).astype(int), last)
        first = np.ceil(start).astype(int)
        T = max(int(last.max()) + 1, 1)
        t = np.arange(T)[None, :]
        at_risk = (t >= first[:, None]) & (t <= last[:, None])
        dead = at_risk & died[:, None] & (t == last[:, None])
        covariates = fates.drop(columns=["animal", "entry", "exit", "died"]).set_axis(names, axis=0)
        if animals is not None:
            covariates = covariates.join(animals.set_axis(animals.index.astype(str), axis=0))
        return cls(at_risk, dead, covariates, period=period)

    @property
    def n_periods(self) -> int:
        """T."""
        return self.at_risk.shape[1]

    @property
    def n_animals(self) -> int:
        """Animals that were at risk at all."""
        return int(self.at_risk.any(axis=1).sum())

    @property
    def n_deaths(self) -> int:
        return int(self.died.sum())

    def __repr__(self) -> str:
        return f"MonitoredAnimals({self.n_animals} animals, {self.n_periods} {self.period}s, {self.n_deaths} deaths)"

    def _repr_html_(self) -> str:
        facts = {"animals": self.n_animals, f"{self.period}s": self.n_periods, "deaths": self.n_deaths}
        return facts_html("MonitoredAnimals", facts)
