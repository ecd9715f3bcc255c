"""Goodness of fit of single-season occupancy: MacKenzie & Bailey 2004, J. Agric. Biol. Environ. Stat. 9:300.

Sites with the same visits done are a cohort. Observed numbers of each detection history are compared with the expected
ones within cohorts; the distribution of the statistic comes from data simulated from the fit, each fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.errors import SurveyError, refuse
from ..inference.parallel import run_tasks


@dataclass(frozen=True, eq=False)
class Goodness:
    """The chi-square of the data beside those of simulated data."""

    table: pd.DataFrame  # cohort (visits done), history, observed, expected
    chi_square: float
    simulated: np.ndarray  # [done]
    failed: int  # simulated data sets that could not be fitted

    @property
    def p_value(self) -> float:
        """Share of data sets, the observed one among them, with a statistic at least as large."""
        return float((1 + np.sum(self.simulated >= self.chi_square)) / (1 + len(self.simulated)))

    @property
    def c_hat(self) -> float:
        """Overdispersion: the statistic over its mean under the model; above 1, intervals are too narrow."""
        return float(self.chi_square / self.simulated.mean())

    def __str__(self) -> str:
        return (
            f"MacKenzie-Bailey chi-square {self.chi_square:.4g}, c-hat {self.c_hat:.3g}, p = {self.p_value:.3g} "
            f"from {len(self.simulated)} simulated data sets"
        )


def mackenzie_bailey(model, vector: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Observed and expected numbers of each history, and their chi-square."""
    values = model.parameters.values(vector)
    p, psi = model.visits.probability(values["p"]), values["psi"]
    found = model.visits.seen.astype(int)
    frames, total = [], 0.0
    for label, sites in _cohorts(model).items():
        rows = model.visits.start[sites][:, None] + np.arange(len(label))  # [sites, visits] of the cohort
        histories, observed = np.unique(found[rows], axis=0, return_counts=True)
        expected = np.array([_expected(h, psi[sites], p[rows]) for h in histories])
        unseen = len(sites) - expected.sum()  # expected number of all histories that nobody had
        total += float(np.sum((observed - expected) ** 2 / expected)) + max(float(unseen), 0.0)
        words = ["".join(map(str, h)) for h in histories]
        cohort = ", ".join(map(str, label))
        frames.append(pd.DataFrame({"cohort": cohort, "history": words, "observed": observed, "expected": expected}))
    return pd.concat(frames, ignore_index=True), total


def _cohorts(model) -> dict[tuple, np.ndarray]:
    """Which visits were done → positions of the sites; sites never visited are in none."""
    visit = model.history.visits["visit"].to_numpy(object)[model.history.done]
    found: dict[tuple, list[int]] = {}
    for i in np.flatnonzero(model.history.visited):
        found.setdefault(tuple(visit[model.visits.start[i] : model.visits.start[i + 1]]), []).append(i)
    return {label: np.array(sites) for label, sites in found.items()}


def _expected(history: np.ndarray, psi: np.ndarray, p: np.ndarray) -> float:
    """Expected number of sites with a history [visits], from psi [sites] and p [sites, visits]."""
    present = np.prod(np.where(history > 0, p, 1.0 - p), axis=1)
    return float(np.sum(psi * present + (1.0 - psi) * (not history.any())))


def goodness(fit, n: int, seed: int, **how) -> Goodness:
    """`n` data sets simulated from the fit and fitted again; `how` as in `inference.parallel.run_tasks`.

    Raises
    ------
    SurveyError : n below 1, sites known to be occupied, or no simulated data set could be fitted
    """
    if n < 1:
        raise refuse("goodness of fit needs at least one simulated data set", "Use e.g. n=200", value=n)
    if np.any(np.isneginf(fit.model.absent) & ~fit.model.visits.any):
        raise refuse("there is no test with sites known to be occupied", "Fit without known_occupied")
    table, chi_square = mackenzie_bailey(fit.model, fit.vector)
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    results = run_tasks(_replicate, [(fit.model, fit.vector, s) for s in seeds], **how)
    done = np.array([r for r in results if r is not None])
    if not len(done):
        raise refuse("no simulated data set could be fitted", "Look at fit.verdict: the estimates may be at a boundary")
    return Goodness(table, chi_square, done, n - len(done))


def _replicate(task) -> float | None:
    """The statistic of one simulated data set; None when nothing was found in it."""
    model, vector, seed = task
    try:
        fit = model.on(model.simulate(model.parameters.given(vector), seed)).fit(start=vector)
    except SurveyError:
        return None
    return mackenzie_bailey(fit.model, fit.vector)[1] if np.isfinite(fit.loglik) else None
