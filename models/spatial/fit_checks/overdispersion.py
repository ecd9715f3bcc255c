"""Overdispersion of where animals are: numbers of animals beside what the fit expects of them.

    c-hat = X² / df / (1 + mean (n − E)/E),    X² = Σ (n − E)² / E      (Fletcher 2012, Biometrika 99:230)

By sessions n_s is the number of animals in the data of session s, E_s = ∫ D p. dx. Under the model these are
independent Poisson numbers, so that c-hat is about 1; animals that live in groups, or densities that differ beyond the
formula of D, make it larger. Sessions must be replicates: each a survey of its own, alike in what D does not have.

By detectors n_k is the number of animals detected at detector k, Poisson too, but not independent: an animal that
visits three detectors counts at each. c-hat is then right on average and varies more than it looks, and it measures
clumping at the scale of one detector, which is not the scale at which the number of all animals varies (for which
reason the program secr withdrew it as a default). It is a diagnosis, not a factor for the interval of D.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ....survey.errors import refuse
from ...inference.criteria import check_c_hat
from ...verdict import Outcome, Remark, Verdict
from ..abundance import expected_and_missed
from .by_detector import knows_population, population
from .moments import observed

BY = ("sessions", "detectors")
WORDS = "The variance of the number of animals is taken times c-hat ="


@dataclass(frozen=True, eq=False)
class Overdispersion:
    """c-hat of numbers of animals."""

    c_hat: float  # Fletcher's; may be below 1
    pearson: float  # X² / df
    df: int
    by: str
    table: pd.DataFrame  # session or detector, observed, expected

    def __str__(self) -> str:
        use = "fit.inflated(c_hat, of='number')" if self.by == "sessions" else "a diagnosis, not for intervals of D"
        return f"c-hat of the number of animals by {self.by}: {self.c_hat:.2f} ({self.df} degrees of freedom; {use})"

    __repr__ = __str__


def overdispersion(fit, by: str = "sessions") -> Overdispersion:
    """See `SpatialFit.overdispersion`."""
    if by not in BY:
        raise refuse("numbers of animals are compared by sessions or by detectors", f"Use one of {BY}", value=by)
    full = fit.as_full()
    table = _by_sessions(full) if by == "sessions" else _by_detectors(full)
    n, E = table["observed"].to_numpy(float), table["expected"].to_numpy(float)
    used = E > 1e-9
    n, E = n[used], E[used]
    learned = len(full.model.parameters["D"].terms) if by == "sessions" else len(full.vector)
    df = len(n) - learned
    if df < 1:
        what = (
            f"there are no more {by} than the model has coefficients {'of density' if by == 'sessions' else ''}".strip()
        )
        raise refuse(what, "Use a simpler formula of D, or by='detectors'", value=len(n))
    pearson = float(np.sum((n - E) ** 2 / E) / df)
    return Overdispersion(pearson / (1.0 + float(np.mean((n - E) / E))), pearson, df, by, table)


def _by_sessions(full) -> pd.DataFrame:
    sessions = full.model.sessions
    seen = []
    for s in sessions:
        everybody, missed = expected_and_missed(full, s, s.mask)
        seen.append(everybody.value - missed.value)
    observed_animals = [s.captures.n_animals for s in sessions]
    return pd.DataFrame({"session": [s.name for s in sessions], "observed": observed_animals, "expected": seen})


def _by_detectors(full) -> pd.DataFrame:
    model, frames = full.model, []
    if model.at_least > 1 or not all(map(knows_population, model.sessions)):
        what = "animals by detector are not known with learned responses, removals or animals left out"
        raise refuse(what, "Use by='sessions'")
    for s in model.sessions:
        for method, expected in zip(s.methods, population(model, s, full.vector, full.values_of(s)), strict=True):
            seen = (observed(s, method) > 0).sum(axis=0)
            frame = {"session": s.name, "detector": list(method.captures.detectors.id)}
            frames.append(pd.DataFrame(frame | {"observed": seen, "expected": expected.animals}))
    return pd.concat(frames, ignore_index=True)


def number_inflated(fit, c_hat: float):
    """See `SpatialFit.inflated`: V + (c − 1) Σ_s E_s (V g_s)(V g_s)', with g_s the gradient of log E_s.

    E_s (g_s g_s') is the information that the number of animals of session s has; its score has c times the variance
    (sandwich). With one session and constant density, CV(D)² = c CV(n)² + CV(a)² (Efford & Fletcher's adjustment).
    """
    factor = check_c_hat(c_hat)
    if fit.model.likelihood != "full":
        fix = "Use fit.as_full().inflated(c_hat, of='number')"
        raise refuse("under the conditional likelihood the number of animals is not modelled", fix)
    if any(r.detail.startswith(WORDS) for r in fit.base_verdict.remarks):
        raise refuse("this was done before", "Inflate the fit as it came", value=c_hat)
    if factor <= 1.0:
        return fit
    V = fit.covariance
    more = np.zeros_like(V)
    for session in fit.model.sessions:
        everybody, missed = expected_and_missed(fit, session, session.mask)
        seen = everybody - missed
        along = V @ (seen.gradient / seen.value)
        more += seen.value * np.outer(along, along)
    wide = V + (factor - 1.0) * more
    determined = fit.determined
    if determined is not None:
        determined = replace(determined, matrix=wide, firm=determined.firm + (wide - V))
    remark = Remark(Outcome.IMPRECISE, f"{WORDS} {factor:.3f}; profile intervals do not know of it")
    verdict = Verdict((*fit.base_verdict.remarks, remark))
    return replace(fit, covariance=wide, determined=determined, base_verdict=verdict, interval="wald")
