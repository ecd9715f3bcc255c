"""Goodness of fit of the Cormack-Jolly-Seber model with everything by occasion: TEST 3 and TEST 2 and their parts.

Animals met on the same occasion must have the same future, whatever their past (TEST 3); animals alive on an occasion
must have the same future, whether they are met on it or not (TEST 2) (Pradel 1993; Burnham et al. 1987).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc, chdtri

from ...survey.encounters import EncounterHistory
from ...survey.errors import SurveyWarning, refuse

SMALL = 2.0  # expected counts below which the exact test takes over (as in U-CARE)
MEANING = {
    "3.SR": "new animals are met again as often as old ones (otherwise: transients)",
    "3.SM": "new animals that are met again are so as soon as old ones",
    "2.CT": "animals met now are met next time as often as those not met now (otherwise: trap response)",
    "2.CL": "animals met now are met later as soon as those not met now",
}


def m_array(history: EncounterHistory) -> pd.DataFrame:
    """Releases by occasion, when they were next met, and how many never were (Burnham et al. 1987, table 1.1).

    Returns
    -------
    DataFrame indexed by occasion 1..T - 1 with `released`, the occasions 2..T, and `never`
    """
    met, T = history.states > 0, history.n_occasions
    table = np.zeros((T, T), np.int64)
    released = np.zeros(T, np.int64)
    next_met = np.full(len(met), -1)
    for t in range(T - 1, -1, -1):
        here = met[:, t] & ~(history.removed & (history.last == t))
        np.add.at(released, t, history.frequency[here].sum())
        again = here & (next_met >= 0)
        np.add.at(table[t], next_met[again], history.frequency[again])
        next_met[met[:, t]] = t
    occasions = range(1, T)
    frame = pd.DataFrame(table[: T - 1, 1:], index=pd.Index(occasions, name="occasion"), columns=range(2, T + 1))
    frame.insert(0, "released", released[: T - 1])
    return frame.assign(never=released[: T - 1] - table[: T - 1].sum(axis=1))


@dataclass(frozen=True)
class GoodnessOfFit:
    """`components` by group, test and occasion; `tests` by test; everything together in `overall`."""

    components: pd.DataFrame
    tests: pd.DataFrame
    overall: dict[str, float]

    @property
    def c_hat(self) -> float:
        """Variance inflation: chi-square / degrees of freedom of all tests together; 1 is no overdispersion."""
        return self.overall["statistic"] / self.overall["df"] if self.overall["df"] else float("nan")

    def __str__(self) -> str:
        shown = self.tests.assign(statistic=self.tests["statistic"].round(3), p=self.tests["p"].round(3))
        signed = self.tests["signed"].map(lambda v: "" if np.isnan(v) else f"{v:.3f}")
        last = "overall chi-square {statistic:.3f} on {df:.0f} degrees of freedom, p = {p:.3f}".format(**self.overall)
        return f"{shown.assign(signed=signed).to_string(index=False)}\n{last}, c-hat {self.c_hat:.2f}"

    __repr__ = __str__


def goodness_of_fit(history: EncounterHistory, by: str | None = None) -> GoodnessOfFit:
    """TEST 3.SR, 3.SM, 2.CT and 2.CL of the Cormack-Jolly-Seber model, with exact tests where counts are small.

    Parameters
    ----------
    history : EncounterHistory; occasions on which an animal was not looked for count as not met, and all states as met
        (a warning says so): the tests are of the model without states
    by : animal covariate; the tests are made in every group and added up. None: all animals are one group.

    Returns
    -------
    GoodnessOfFit. `signed` is the square root of a 2 × 2 statistic with a sign: for 3.SR positive when new animals are
    met again less often than old ones (transients), for 2.CT negative when animals just met are met more (trap-happy).

    Raises
    ------
    SurveyError : fewer than three occasions, no such covariate
    """
    if history.n_occasions < 3:
        raise refuse("these tests need at least three occasions", "Give more occasions", value=history.n_occasions)
    if by is not None and by not in history.animals:
        raise refuse(
            "there is no such covariate of animals", f"There are: {', '.join(map(str, history.animals))}", value=by
        )
    if (history.states > 1).any():
        words = "all states count as met: these tests are of survival without states, not of a multistate model"
        warnings.warn(words, SurveyWarning, stacklevel=2)
    groups = {"all": slice(None)} if by is None else {str(k): history.animals[by] == k for k in _levels(history, by)}
    rows = []
    for name, which in groups.items():
        part = EncounterHistory(history.states[which], history.frequency[which], history.removed[which])
        for test, tables in _tables(part).items():
            for occasion, table in tables.items():
                rows.append((name, test, occasion, *_independence(table)))
    components = pd.DataFrame(rows, columns=["group", "test", "occasion", "statistic", "df", "p", "signed", "method"])
    components.loc[components["test"].isin(["3.SM", "2.CL"]), "signed"] = np.nan  # their direction has no name
    summed = components.groupby("test", sort=False)
    tests = summed.agg(statistic=("statistic", "sum"), df=("df", "sum"), signed=("signed", _combined)).reset_index()
    tests.insert(3, "p", chdtrc(tests["df"].clip(lower=1), tests["statistic"]))
    tests.loc[tests["df"] == 0, "p"] = 1.0
    tests["null hypothesis"] = tests["test"].map(MEANING)
    statistic, df = float(tests["statistic"].sum()), int(tests["df"].sum())
    overall = {"statistic": statistic, "df": df, "p": float(chdtrc(df, statistic)) if df else 1.0}
    return GoodnessOfFit(components, tests, overall)


def _levels(history: EncounterHistory, by: str) -> list:
    return sorted(history.animals[by].dropna().unique(), key=str)


def _combined(signed: pd.Series) -> float:
    """Sum of signed roots over the root of their number, a standard normal; NaN for tests without a sign."""
    known = signed[signed.notna()]
    return float(known.sum() / np.sqrt(len(known))) if len(known) else float("nan")


def _tables(history: EncounterHistory) -> dict[str, dict[int, np.ndarray]]:
    """The contingency table of each test at each occasion (numbered from 1)."""
    met, T, weight = history.states > 0, history.n_occasions, history.frequency
    first, last = history.first, history.last
    let_go = ~history.removed
    m = m_array(history)[list(range(2, T + 1))].to_numpy()  # row i - 1, column j - 2
    found = {name: {} for name in MEANING}
    for i in range(1, T - 1):
        here = met[:, i] & ((last > i) | let_go)
        again = last > i
        soon = met[:, i + 1]
        new = first == i
        found["3.SR"][i + 1] = _by_sides(weight, here, new, again)
        found["3.SM"][i + 1] = _by_sides(weight, here & again, new, soon)
        now, before = m[i, i:], m[:i, i:].sum(axis=0)
        if i < T - 2:
            found["2.CT"][i + 1] = np.array([[now[0], now[1:].sum()], [before[0], before[1:].sum()]])
        if i < T - 3:
            found["2.CL"][i + 1] = np.array([[now[1], now[2:].sum()], [before[1], before[2:].sum()]])
    return found


def _by_sides(weight, which, row, column) -> np.ndarray:
    """Animals counted in a 2 × 2 table; true comes first."""
    return np.array([[weight[which & (row == r) & (column == c)].sum() for c in (True, False)] for r in (True, False)])


def _independence(table: np.ndarray) -> tuple[float, int, float, float, str]:
    """Statistic, degrees of freedom, p, signed root and method of a test of independence in a 2 × 2 table.

    Where an expected count is small the p-value is Fisher's, and the statistic is the chi-square that has it.
    """
    if not (table.sum(axis=0) > 0).all() or not (table.sum(axis=1) > 0).all():
        return 0.0, 0, 1.0, 0.0, "none"
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if (expected >= SMALL).all():
        statistic = float(((table - expected) ** 2 / expected).sum())
        p, method = float(chdtrc(1, statistic)), "chi-square"
    else:
        from scipy.stats import fisher_exact  # here, for scipy.stats takes longer to import than all else

        p, method = min(float(fisher_exact(table).pvalue), 1.0), "Fisher"
        statistic = float(chdtri(1, p)) if p < 1.0 - 1e-9 else 0.0
    sign = np.sign(table[0, 1] * table[1, 0] - table[0, 0] * table[1, 1])
    return statistic, 1, p, float(sign * np.sqrt(statistic)), method
