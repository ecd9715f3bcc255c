"""Parametric bootstrap: simulate from a fit, fit again, many times, anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.errors import SurveyError, refuse
from .parallel import run_tasks


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The refits of a parametric bootstrap."""

    vectors: np.ndarray  # [done, p] coefficients
    estimates: pd.DataFrame  # long: replicate, quantity, scope, estimate
    logliks: np.ndarray  # [done]
    failed: int  # simulated data sets that could not be fitted, such as one without animals

    def intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals, mean and standard deviation of each quantity."""
        tail = (1.0 - level) / 2.0
        groups = self.estimates.groupby(["quantity", "scope"], sort=False)["estimate"]
        return pd.DataFrame(
            {
                "mean": groups.mean(),
                "sd": groups.std(),
                "lower": groups.quantile(tail),
                "upper": groups.quantile(1.0 - tail),
            }
        ).reset_index()


def bootstrap(fit, n: int, seed: int, **how) -> Bootstrap:
    """`n` data sets simulated from the fit at its estimates, each fitted like the data.

    Parameters
    ----------
    n : number of replicates; the data come from `fit.as_full()`, since a conditional likelihood has no density
    seed : replicate i uses the i-th child of this seed; the same seed gives the same answer on any executor
    how : executor, workers, store, progress as in `run_tasks`

    Raises
    ------
    SurveyError : n below 1, or every replicate failed
    """
    if n < 1:
        raise refuse("a bootstrap needs at least one replicate", "Use e.g. n=200", value=n)
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    full = fit.as_full()
    results = run_tasks(_replicate, [(fit.model, fit.vector, full.model, full.truth(s), s) for s in seeds], **how)
    good = [(i, r) for i, r in enumerate(results) if r is not None]
    if not good:
        raise refuse("no simulated data set could be fitted", "Look at fit.verdict: the estimates may be at a boundary")
    rows = [(i, quantity, scope, value) for i, r in good for quantity, scope, value in r[2]]
    return Bootstrap(
        vectors=np.array([r[0] for _, r in good]),
        estimates=pd.DataFrame(rows, columns=["replicate", "quantity", "scope", "estimate"]),
        logliks=np.array([r[1] for _, r in good]),
        failed=n - len(good),
    )


def _replicate(task):
    """One simulated data set, fitted; None when it cannot be (no animal detected, no finite log-likelihood)."""
    model, vector, full, truth, seed = task
    try:
        fit = model.on(full.simulate(full.parameters.given(truth), seed)).fit(start=vector)
    except SurveyError:
        return None
    if not np.isfinite(fit.loglik):
        return None
    table = fit.derive("wald")
    rows = list(table[["quantity", "scope", "estimate"]].itertuples(index=False, name=None))
    return fit.vector, fit.loglik, rows
