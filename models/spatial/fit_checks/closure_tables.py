"""Came or went: tests of a closed population against open ones by contingency tables (Stanley & Burnham 1999).

On occasion i let n_i animals be detected, u_i of them for the first time, m_i not, and r_i again later; z_i were
detected before and after i and not on it, v_i for the first time after i, and g_i before and never from i on. Without
additions having been detected before i says nothing of when after that an animal is detected; without losses whether it
is detected on i says nothing of whether it is later:

    additions (NR against JS)    m_i  z_i        losses (NM against JS)    z_i  g_i
                                 u_i  v_i                                  r_i  n_i − r_i        i = 2 … t − 1

each a chi-square with one degree of freedom. Of animals that do not come, none goes (M_t against NR) if n_i of the
m_i + z_i + u_i + v_i that are detected on i or later, and r_i of n_i, are as p_i = n_i/N says,

    n_i ~ Bin(m_i + z_i + u_i + v_i, p_i / (1 − Π_{j≥i} q_j))        r_i ~ Bin(n_i, 1 − Π_{j>i} q_j)

with N by Darroch (1958), a chi-square with t − 2 degrees of freedom. The sum with the first is the test of M_t against
JS; less the second it is that of additions where there are no losses (M_t against NM; Environ. Ecol. Stat. 6:197-209).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2

LEAST = 2.0  # expected number in each place of a table that is used
RECAPTURES = 10  # from which on N is asked for
NAMES = (
    "closed (Mt) against open (JS)",
    "additions (NR against JS)",
    "losses (NM against JS)",
    "losses, if there are no additions (Mt against NR)",
    "additions, if there are no losses (Mt against NM)",
)


def by_tables(table: np.ndarray) -> pd.DataFrame:
    """The five tests from a table of detections, bool [n, t], without animals that were removed.

    Returns
    -------
    DataFrame with test, chi_square, df and p; NaN where there are too few animals for a test. Tables with an expected
    number below 2 are left out, and occasions on which nobody was detected; tests with N need ten recaptures.
    """
    table = table[:, table.any(axis=0)]
    n, t = table.shape
    if t < 3 or not n:
        return _frame([(np.nan, 0)] * 5)
    first, last = table.argmax(axis=1), t - 1 - table[:, ::-1].argmax(axis=1)
    additions, losses = [], []
    for i in range(1, t - 1):
        on, before, after = table[:, i], first < i, last > i
        m, u, z = (on & before).sum(), (on & ~before).sum(), (~on & before & after).sum()
        r, v, gone = (on & after).sum(), (first > i).sum(), (before & (last < i)).sum()
        additions.append(_chi_square(np.array([[m, z], [u, v]], float)))
        losses.append(_chi_square(np.array([[z, gone], [r, m + u - r]], float)))
    nr, nm = _summed(additions), _summed(losses)
    mt_nr = _mt_against_nr(table, first, last)
    overall = (nr[0] + mt_nr[0], nr[1] + mt_nr[1]) if nr[1] and mt_nr[1] else (np.nan, 0)
    mt_nm = (overall[0] - nm[0], overall[1] - nm[1]) if overall[1] and nm[1] else (np.nan, 0)
    return _frame([overall, nr, nm, mt_nr, mt_nm])


def _chi_square(table: np.ndarray) -> tuple[float, int]:
    """Pearson's chi-square of a 2 × 2 table and its degrees of freedom, none if an expected number is too small."""
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / max(table.sum(), 1.0)
    if (expected < LEAST).any():
        return 0.0, 0
    return float(((table - expected) ** 2 / expected).sum()), 1


def _summed(parts: list[tuple[float, int]]) -> tuple[float, int]:
    return sum(x for x, _ in parts), sum(df for _, df in parts)


def _mt_against_nr(table: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[float, int]:
    """See the head of the file; NaN where there are few recaptures."""
    n, t = table.sum(axis=0).astype(float), table.shape[1]
    if n.sum() - len(table) < RECAPTURES:
        return np.nan, 0
    N = _darroch(n, len(table))
    p = n / N
    rest = np.append(np.cumprod((1.0 - p)[::-1])[::-1], 1.0)  # Π_{j≥i} q_j
    total, terms = 0.0, 0
    for i in range(t - 1):
        later = (table[:, i] & (last > i)).sum()
        known = float((last >= i).sum())
        for seen, trials, chance in ((n[i], known, p[i] / (1.0 - rest[i])), (later, n[i], 1.0 - rest[i + 1])):
            spread = trials * chance * (1.0 - chance)
            if spread > 0.0:
                total += (seen - trials * chance) ** 2 / spread
                terms += 1
    return total, max(terms - t, 0)


def _darroch(n: np.ndarray, distinct: int) -> float:
    """N with 1 − distinct/N = Π (1 − n_i/N): the estimate of closed populations with occasions that differ."""
    gap = lambda log_N: np.log1p(-distinct * np.exp(-log_N)) - np.log1p(-n * np.exp(-log_N)).sum()  # noqa: E731
    low = np.log(distinct) + 1e-9
    if gap(low) >= 0.0:  # everybody was detected on an occasion
        return float(np.exp(low))
    return float(np.exp(brentq(gap, low, low + 35.0)))


def _frame(found: list[tuple[float, int]]) -> pd.DataFrame:
    rows = []
    for name, (x, df) in zip(NAMES, found, strict=True):
        known = df > 0 and np.isfinite(x) and x >= 0.0
        rows.append((name, float(x) if known else np.nan, int(df), float(chi2.sf(x, df)) if known else np.nan))
    return pd.DataFrame(rows, columns=["test", "chi_square", "df", "p"])
