"""How large a change two surveys of the same precision could tell from no change."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

POWER, LEVEL = 0.80, 0.05


def power_of_change(rse: float, change: float) -> float:
    """Probability that two surveys show a relative change of density (-0.5: it halves) at the 5 % level.

    The first survey has the relative standard error `rse`; that of the second follows from its expected number of
    animals, rse / sqrt(1 + change), and the test is on the log scale (Efford, SECRbook, chapter on study design).

    >>> round(power_of_change(0.1, -0.5), 2), round(power_of_change(0.2, 0.5), 2)
    (0.98, 0.35)
    """
    second = rse / np.sqrt(1.0 + change)
    se = np.sqrt(np.log1p(rse**2) + np.log1p(second**2))
    return float(ndtr(abs(np.log1p(change)) / se - ndtri(1.0 - LEVEL / 2.0)))


def smallest_change(rse: float, power: float = POWER) -> tuple[float, float]:
    """The smallest decrease and increase found with probability `power`; NaN without a standard error.

    >>> tuple(round(100 * c) for c in smallest_change(0.1))
    (-36, 44)
    """
    if not (np.isfinite(rse) and rse > 0):
        return float("nan"), float("nan")
    short = lambda change: power_of_change(rse, change) - power  # noqa: E731
    return float(brentq(short, -1.0 + 1e-12, -1e-9)), float(brentq(short, 1e-9, 1e12))
