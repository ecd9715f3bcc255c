"""What a fit of an open spatial model can tell beyond its coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ..fit import Fit


class OpenSpatialFit(Fit):
    """A `Fit` of `OpenSCR`: adds numbers by session with their joint covariance, and arrivals and growth."""

    def as_full(self) -> OpenSpatialFit:
        """The fit that data can be simulated from: under the conditional likelihood D is n over the area that counts.

        Raises
        ------
        SurveyError : the likelihood is of survival alone
        """
        model = self.model
        if model.likelihood == "full":
            return self
        if model.of_survival:
            what = "survival alone does not say how many animals there are, so that nothing can be simulated from it"
            raise refuse(what, "Use likelihood='full'", value=model.likelihood)
        detected = sum(chain.detected for chain in model.chains(self.values)[2])
        given = model.parameters.given(self.vector)
        given["D"] = {"Intercept": float(np.log(len(model.records.names) / detected))} | given.get("D", {})
        return model.with_full_likelihood().at(**given)

    def abundance(self) -> pd.DataFrame:
        """Density and number of animals in the mask by session, arrivals and growth between sessions."""
        from .derived import abundance_table

        return abundance_table(self)

    def abundance_covariance(self) -> np.ndarray:
        """Covariance [T, T] of the expected number of animals by session: what a trend through them needs."""
        from .derived import abundance_covariance

        return abundance_covariance(self)

    def moved(self) -> pd.DataFrame:
        """How far activity centres move between sessions: mean and median of the kernel over cells, metres."""
        from .derived import moved

        return moved(self)

    def expected_animals(self, session: str) -> xr.DataArray:
        """Expected number of animals per cell in a session: those of D, survivors that moved, and arrivals."""
        from .derived import expected_animals

        return expected_animals(self, session)
