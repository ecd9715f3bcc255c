"""Draws of a posterior in the shape of a fit, so that whatever tells people about a fit can tell them about draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from .derived import COLUMNS

MOST = 300  # draws that predictions and regions use
LIMITS = (0.025, 0.975)
INTERVAL = "95% credible, equal tails"


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

        def predict(self, name: str, newdata=None, **more):
            return over_draws(self.sampled, lambda fit: fit.predict(name, newdata, **more))

        @property
        def coefficients(self) -> pd.DataFrame:
            told = self.sampled.summary().rename(columns={"mean": "estimate", "sd": "se"})
            return told[["parameter", "term", "link", "estimate", "se", "lower", "upper"]]

        @property
        def verdict(self):
            return self.sampled.verdict

        @cached_property
        def _criterion_loglik(self) -> float:
            return self.model.fit().loglik  # draws have no maximum: AIC is that of maximum likelihood

    if hasattr(base, "abundance"):

        def abundance(self, region=None, name: str | None = None, session: str | None = None) -> pd.DataFrame:
            from .spatial.centres import abundance_of_draws

            return abundance_of_draws(self.sampled, region, name, session, MOST)

        OfDraws.abundance = abundance
    OfDraws.__name__ = OfDraws.__qualname__ = f"{base.__name__}OfDraws"
    return OfDraws


def as_fit(draws):
    """The posterior mean and covariance as a fit of the model; `sampled` holds the draws.

    Tables, predictions and abundance in regions are of the draws. What else uses the covariance takes the posterior as
    normal on the link scale.
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


def over_draws(draws, of: Callable[[Any], Any], most: int = MOST) -> Any:
    """Mean, standard deviation and 95 % limits of the column or layer `estimate` of a table or raster, over draws.

    Parameters
    ----------
    of : from a draw, as a fit without uncertainty, to a DataFrame or Dataset with `estimate`, `se`, `lower`, `upper`
    """
    from .draws import atom

    rng = np.random.default_rng([draws.seed, 5])
    found = [of(atom(draws.model, vector, rng)) for vector in draws.some(most)]
    first = found[0]
    values = np.array([np.asarray(one["estimate"], float) for one in found])
    lower, upper = np.quantile(values, LIMITS, axis=0)
    columns = {"estimate": values.mean(axis=0), "se": values.std(axis=0, ddof=1), "lower": lower, "upper": upper}
    if isinstance(first, xr.Dataset):
        dims, attributes = first["estimate"].dims, first.attrs | {"interval": INTERVAL}
        return first.assign({name: (dims, layer) for name, layer in columns.items()}).assign_attrs(attributes)
    return first.assign(**columns)
