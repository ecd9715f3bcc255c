"""Draws of a posterior in the shape of a fit, so that whatever tells people about a fit can tell them about draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from .derived import COLUMNS


@cache
def _kind(base: type) -> type:
    """A kind of fit whose tables are those of draws."""

    @dataclass(frozen=True, eq=False)
    class OfDraws(base):
        sampled: Any = None

        @property
        def draws(self) -> np.ndarray:
            return self.sampled.coefficients.reshape(-1, len(self.vector))

        def derive(self, interval: str | None = None) -> pd.DataFrame:
            table = self.sampled.derive()
            told = table.rename(columns={"mean": "estimate", "sd": "se"})
            with np.errstate(divide="ignore", invalid="ignore"):
                return told.assign(rse=told["se"] / told["estimate"])[list(COLUMNS)]

        @property
        def coefficients(self) -> pd.DataFrame:
            told = self.sampled.summary().rename(columns={"mean": "estimate", "sd": "se"})
            return told[["parameter", "term", "link", "estimate", "se", "lower", "upper"]]

        @property
        def verdict(self):
            return self.sampled.verdict

        @property
        def _criterion_loglik(self) -> float:
            return np.nan  # draws have no maximum, so no AIC: compare by leave-one-out

    OfDraws.__name__ = OfDraws.__qualname__ = f"{base.__name__}OfDraws"
    return OfDraws


def as_fit(draws):
    """The posterior mean and covariance as a fit of the model; `sampled` holds the draws.

    `predict` and what else uses the covariance takes the posterior as normal on the link scale; `derive` does not.
    """
    flat = draws.coefficients.reshape(-1, draws.coefficients.shape[2])
    vector = flat.mean(axis=0)
    return _kind(draws.model.fit_class)(
        model=draws.model,
        vector=vector,
        covariance=np.atleast_2d(np.cov(flat.T)),
        loglik=draws.model.loglik(vector),
        method=f"posterior draws ({str(draws.made.get('sampler', 'NUTS')).split(',')[0]})",
        base_verdict=draws.verdict,
        interval="credible",
        sampled=draws,
    )
