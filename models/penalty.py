"""Penalised maximum likelihood: coefficients pulled towards 0, for data too few for what is asked of them.

The penalty is λ/2 Σ β² over all coefficients on the link scale, the logarithm of independent normal priors with
variance 1/λ ("Bayes" penalty of Hutchinson et al. 2015, Methods Ecol. Evol. 6:398; for interacting species Clipp et al.
2021, Ecology 102:e03520). It keeps estimates from running to probabilities of 0 or 1. Covariates should have a standard
deviation near 1, or the pull on their coefficients depends on their units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..survey.errors import SurveyError, refuse
from .inference.maximum_likelihood import Likelihood, covariance_of, maximise
from .verdict import Outcome, Remark

PENALTIES = (0.0, *(2.0**k for k in range(-4, 5)))  # those tried by default, as in unmarked's optimizePenalty


@dataclass(frozen=True)
class Penalised:
    """A log-likelihood less its penalty."""

    model: Likelihood
    penalty: float

    def loglik_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.model.loglik_and_gradient(vector)
        return value - 0.5 * self.penalty * float(vector @ vector), gradient - self.penalty * vector

    def hessian(self, vector: np.ndarray) -> np.ndarray | None:
        exact = self.model.hessian(vector)
        return None if exact is None else exact - self.penalty * np.eye(len(vector))

    def scaling(self, vector: np.ndarray) -> np.ndarray:
        return self.model.scaling(vector)


def fit_penalised(model: Any, begin: np.ndarray, penalty: float, progress, interval: str, max_iterations: int) -> Any:
    """`Model.fit` with a penalty.

    Raises
    ------
    SurveyError : the penalty is no number from 0, the model has random effects, or profile intervals are asked for
    """
    from .model import _verdict

    if not np.isfinite(penalty) or penalty < 0:
        raise refuse("a penalty is a number from 0", "Use e.g. penalty=0.5", value=penalty)
    if model.parameters.random:
        raise refuse("a model with random effects has no further penalty", "Leave out penalty", value=penalty)
    if interval != "wald":
        raise refuse("a penalised fit has no profile intervals", "Use interval='wald'", value=interval)
    optimum = maximise(Penalised(model, float(penalty)), begin, max_iterations=max_iterations, report=progress)
    covariance = covariance_of(optimum)
    words = (
        f"Estimates are penalised (penalty {penalty:g}): pulled towards 0 on the link scale, and biased for it; "
        "standard errors are those of the penalised likelihood, and AIC is not defined"
    )
    return model.fit_class(
        model=model,
        vector=optimum.vector,
        covariance=covariance.matrix,
        loglik=model.loglik(optimum.vector),
        method=f"penalised maximum likelihood (penalty {penalty:g})",
        base_verdict=_verdict(model, optimum, covariance).also(Remark(Outcome.IMPRECISE, words)),
        evaluations=optimum.evaluations,
        determined=covariance,
        penalty=float(penalty),
    )


def choose_penalty(
    model: Any, penalties: tuple[float, ...] = PENALTIES, folds: int = 5, seed: int = 1
) -> tuple[float, pd.DataFrame]:
    """The penalty with the highest log-likelihood at sites that were left out (Clipp et al. 2021).

    Parameters
    ----------
    model : of sites that are independent given the parameters: every occupancy and count model of this package
    penalties : to try, from 0
    folds : parts that sites are dealt into at random
    seed : of NumPy's default generator

    Returns
    -------
    The best penalty, and a table: penalty, log-likelihood of sites left out (summed over folds), folds that had a fit

    Raises
    ------
    SurveyError : fewer than two folds or more than sites, no penalty, or a model that is not of sites
    """
    if not len(penalties):
        raise refuse("there are no penalties to choose from", "Give e.g. (0, 0.25, 1, 4)")
    if not hasattr(model, "history") or not hasattr(model.history, "n_sites"):
        raise refuse("a penalty is chosen by leaving out sites", "Use it with models of sites", value=repr(model))
    n = model.history.n_sites
    if not 2 <= folds <= n:
        raise refuse(f"there are {n} sites", "Use at least 2 folds, and no more than sites", value=folds)
    fold = np.random.default_rng(seed).permutation(np.arange(n) % folds)
    parts = [_without(model, fold == k) for k in range(folds)]
    rows = []
    for penalty in penalties:
        scores = [_left_out(model, part, penalty) for part in parts if part is not None]
        known = [s for s in scores if np.isfinite(s)]
        total = float(np.sum(known)) if len(known) == folds else -np.inf
        rows.append((float(penalty), total, len(known)))
    table = pd.DataFrame(rows, columns=["penalty", "loglik", "folds"])
    if not np.isfinite(table["loglik"]).any():
        raise refuse(
            "no penalty gives a fit in every fold", "Use fewer folds: too little is found in some", value=folds
        )
    return float(table["penalty"][int(table["loglik"].idxmax())]), table


def _without(model: Any, out: np.ndarray) -> Any:
    """The model of the data without some sites; None when nothing was found at the others."""
    histories = [model.history, *([model.second] if hasattr(model, "second") else [])]
    less = [h.with_values(np.where(out[h.site_of], np.nan, h.value)) for h in histories]
    try:
        return model.on(tuple(less) if len(less) > 1 else less[0])
    except SurveyError:
        return None


def _left_out(model: Any, part: Any, penalty: float) -> float:
    """Log-likelihood of the sites that `part` lacks, at its estimates."""
    vector = part.fit(penalty=penalty).vector if penalty else part.fit().vector
    return model.loglik(vector) - part.loglik(vector)
