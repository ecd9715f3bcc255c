"""Overdispersion of survival models: c-hat by simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...survey.errors import refuse
from ..inference.parallel import run_tasks


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
