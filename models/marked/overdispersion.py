"""Overdispersion: c-hat by simulation, and what follows from it for tables of models and standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ..inference.parallel import run_tasks
from ..verdict import Outcome, Remark


def bootstrap_c_hat(fit, n: int = 200, seed: int = 1, by: Sequence[str] = (), **how) -> dict[str, float]:
    """c-hat of a CJS fit: its deviance over the mean deviance of surveys simulated from it and fitted again.

    The histories of marked animals are many and their counts small, so that the deviance has no chi-square
    distribution; its own is simulated (White 2002).

    Parameters
    ----------
    n : simulated surveys; by : groups of the deviance, see `CJS.deviance`; how : as in `models.bootstrap`

    Returns
    -------
    c_hat, deviance, expected (mean of the simulated ones), p (share of simulated deviances at least as large)
    """
    if n < 2:
        raise refuse("c-hat by simulation needs at least two surveys", "Use e.g. n=200", value=n)
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    drawn = np.array(run_tasks(_deviance, [(fit.model, fit.vector, s, tuple(by)) for s in seeds], **how))
    deviance = fit.model.deviance(fit, by)
    p = (1.0 + (drawn >= deviance).sum()) / (n + 1.0)
    return {"c_hat": deviance / drawn.mean(), "deviance": deviance, "expected": float(drawn.mean()), "p": float(p)}


def _deviance(task) -> float:
    model, vector, seed, by = task
    fit = model.on(model.simulate(vector, seed)).fit()
    return fit.model.deviance(fit, by)


def inflate(fit, c_hat: float):
    """The same fit with variances times c-hat: standard errors and Wald intervals follow, estimates stay.

    A c-hat below 1 inflates nothing.
    """
    factor = _checked(c_hat)
    words = f"Standard errors are inflated by {np.sqrt(factor):.3f}, the square root of c-hat = {c_hat:.3f}"
    determined = fit.determined
    if determined is not None:
        determined = replace(determined, matrix=determined.matrix * factor, firm=determined.firm * factor)
    verdict = fit.base_verdict.also(Remark(Outcome.IMPRECISE, words))
    return replace(fit, covariance=fit.covariance * factor, determined=determined, base_verdict=verdict)


def quasi_compare(fits, c_hat: float) -> pd.DataFrame:
    """Models by QAICc, with one parameter more for c-hat (Lebreton et al. 1992; Burnham & Anderson 2002, p. 70).

    Parameters
    ----------
    fits : mapping of name to Fit, of one data set; c_hat : of the most general of them

    Returns
    -------
    DataFrame with model, loglik, n_parameters (c-hat among them), qaicc, delta, weight
    """
    factor, rows = _checked(c_hat), []
    fits = dict(fits)
    first = next(iter(fits.values()))
    for name, fit in fits.items():
        reason = first.model.not_comparable(fit.model)
        if reason:
            raise refuse(f"{name!r} cannot be compared: {reason}", "Fit all models to the same data in the same way")
        k, n = fit.n_parameters + 1, fit.model.sample_size
        correction = 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.inf
        rows.append((name, fit.loglik, k, -2.0 * fit.loglik / factor + 2.0 * k + correction))
    frame = pd.DataFrame(rows, columns=["model", "loglik", "n_parameters", "qaicc"])
    delta = frame["qaicc"] - frame["qaicc"].min()
    weight = np.exp(-0.5 * delta)
    return frame.assign(delta=delta, weight=weight / weight.sum()).sort_values("delta").reset_index(drop=True)


def _checked(c_hat: float) -> float:
    if not c_hat > 0:
        raise refuse("c-hat must be above 0", "Take it from goodness_of_fit or bootstrap_c_hat", value=c_hat)
    return max(float(c_hat), 1.0)
