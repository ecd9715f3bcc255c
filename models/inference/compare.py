"""Tables of models of the same data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.errors import refuse


def compare(fits, criterion: str = "aicc") -> pd.DataFrame:
    """Models by AICc (or "aic", "bic"): log-likelihood, parameters, difference, weight, verdict.

    Parameters
    ----------
    fits : mapping of name to Fit, or a list of Fits

    Raises
    ------
    SurveyError : the fits are of different data, masks or likelihoods, so that their values cannot be compared
    """
    named = dict(fits) if isinstance(fits, dict) else {f"model {i + 1}": fit for i, fit in enumerate(fits)}
    if not named:
        raise refuse("there are no models to compare", "Give at least one fit")
    if criterion not in ("aic", "aicc", "bic"):
        raise refuse("this criterion is not known", "Use 'aicc', 'aic' or 'bic'", value=criterion)
    first_name, first = next(iter(named.items()))
    for name, fit in named.items():
        reason = first.model.not_comparable(fit.model)
        if reason:
            raise refuse(
                f"{first_name!r} and {name!r} cannot be compared: {reason}", "Fit both to the same data in the same way"
            )
    values = np.array([getattr(fit, criterion) for fit in named.values()])
    delta = values - values.min() if np.isfinite(values).any() else np.zeros(len(values))
    weight = np.exp(-0.5 * delta)
    frame = pd.DataFrame(
        {
            "model": list(named),
            "formulas": [repr(fit.model) for fit in named.values()],
            "loglik": [fit.loglik for fit in named.values()],
            "n_parameters": [fit.n_parameters for fit in named.values()],
            "aic": [fit.aic for fit in named.values()],
            "aicc": [fit.aicc for fit in named.values()],
            "delta": delta,
            "weight": weight / weight.sum(),
            "verdict": [str(fit.verdict) for fit in named.values()],
        }
    )
    return frame.sort_values("delta", kind="stable").reset_index(drop=True)
