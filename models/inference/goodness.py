"""Goodness of fit by parametric bootstrap: any statistics of any model that can be simulated.

The distribution of each statistic comes from data simulated from the fit, each fitted again (MacKenzie & Bailey 2004;
White 2002). A statistic is a distance between data and model, larger for a worse fit; its value over the mean of the
simulated ones is c-hat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.errors import SurveyError, refuse
from .parallel import run_tasks


@dataclass(frozen=True, eq=False)
class Goodness:
    """Statistics of the data beside those of simulated data."""

    tests: pd.DataFrame  # statistic, observed, expected (mean of the simulated), c_hat, p
    simulated: pd.DataFrame  # [done] rows, one column per statistic
    failed: int  # simulated data sets that could not be fitted

    @property
    def c_hat(self) -> float:
        """Overdispersion by the first statistic; above 1, intervals are too narrow: `fit.inflated(c_hat)`."""
        return float(self.tests["c_hat"].iloc[0])

    @property
    def p_value(self) -> float:
        """Of the first statistic: share of data sets, the observed one among them, that fit no better."""
        return float(self.tests["p"].iloc[0])

    def __str__(self) -> str:
        lines = [
            f"{r.statistic}: {r.observed:.4g}, c-hat {r.c_hat:.3g}, p = {r.p:.3g}"
            for r in self.tests.itertuples(index=False)
        ]
        last = f"from {len(self.simulated)} simulated data sets"
        return "\n".join([*lines, last + (f"; {self.failed} could not be fitted" if self.failed else "")])

    __repr__ = __str__


def goodness(fit, n: int = 200, seed: int = 1, **how) -> Goodness:
    """`n` data sets simulated from the fit and fitted again.

    Parameters
    ----------
    fit : of a model with `discrepancies`
    n : replicates; p has the resolution 1 / (n + 1)
    seed : replicate i uses the i-th child of this seed; the same seed gives the same answer on any executor
    how : executor, workers, store (a folder that lets it be interrupted and resumed), progress, as in `run_tasks`

    Raises
    ------
    SurveyError : n below 1, a model without a test, or no simulated data set could be fitted
    """
    if n < 1:
        raise refuse("goodness of fit needs at least one simulated data set", "Use e.g. n=200", value=n)
    observed = fit.model.discrepancies(fit.vector)
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    full = fit.as_full()  # a conditional likelihood has nothing to simulate from
    tasks = [(fit.model, fit.vector, full.model, full.truth(s), s) for s in seeds]
    results = run_tasks(_replicate, tasks, **how)
    done = pd.DataFrame([r for r in results if r is not None], columns=list(observed))
    if not len(done):
        raise refuse("no simulated data set could be fitted", "Look at fit.verdict: the estimates may be at a boundary")
    rows = []
    for name, value in observed.items():
        drawn = done[name].to_numpy(float)
        worse = float((1 + np.sum(drawn >= value)) / (1 + len(drawn)))
        rows.append((name, value, float(drawn.mean()), value / drawn.mean() if drawn.any() else np.nan, worse))
    tests = pd.DataFrame(rows, columns=["statistic", "observed", "expected", "c_hat", "p"])
    return Goodness(tests, done, n - len(done))


def _replicate(task) -> dict[str, float] | None:
    """The statistics of one simulated data set; None when it cannot be fitted (nothing was found in it, say)."""
    model, vector, full, truth, seed = task
    try:
        fit = model.on(full.simulate(full.parameters.given(truth), seed)).fit(start=vector)
    except SurveyError:
        return None
    return fit.model.discrepancies(fit.vector) if np.isfinite(fit.loglik) else None


def cell_statistics(observed: np.ndarray, expected: np.ndarray, unseen: float) -> dict[str, float]:
    """Distances between numbers observed and expected in cells, with the expected number of all cells nobody is in.

    Pearson's chi-square, Freeman & Tukey's sum of squared differences of roots, and the deviance 2 Σ O log(O / E).
    """
    unseen = max(float(unseen), 0.0)
    some = observed > 0
    return {
        "chi-square": float(np.sum((observed - expected) ** 2 / expected)) + unseen,
        "Freeman-Tukey": float(np.sum((np.sqrt(observed) - np.sqrt(expected)) ** 2)) + unseen,
        "deviance": float(2.0 * np.sum(observed[some] * np.log(observed[some] / expected[some]))),
    }
