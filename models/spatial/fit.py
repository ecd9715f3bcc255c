"""What a fit of spatial capture-recapture can tell beyond its coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ..fit import Fit

DENSE_LIMIT = 5e7  # animals × raster cells above which the stack of surfaces is refused


class SpatialFit(Fit):
    """A `Fit` of SCR: adds abundance in regions, activity centres and plots."""

    def abundance(self, region=None, name: str | None = None) -> pd.DataFrame:
        """Density, expected and realised abundance in a region (polygon file, geometry, HabitatMask)."""
        from .abundance import abundance

        return abundance(self, region, name)

    def variance_split(self) -> dict[str, float]:
        """Coefficients of variation of density: of the number detected, of the sampling area, of both."""
        from .abundance import variance_split

        return variance_split(self)

    @property
    def animals(self) -> list[str]:
        """Names of the detected animals."""
        return list(self.model.captures.animals.index)

    def activity_centre(self, animal: str) -> xr.DataArray:
        """Where one detected animal lives: probability per cell, summing to one (NaN outside habitat)."""
        if str(animal) not in self.animals:
            raise refuse("there is no such animal", "Use a name of captures.animals", value=animal)
        full = self.as_full()
        log_mu, rows = full.model.kernel_input(full.values)
        pdf = full.model.engine.activity_centre(self.animals.index(str(animal)), log_mu, rows)
        return self.model.mask.to_xarray(pdf, name="probability").assign_attrs(animal=str(animal))

    def activity_centres(self) -> xr.DataArray:
        """The activity-centre surfaces of all detected animals, dims (animal, y, x).

        Raises
        ------
        SurveyError : the stack would not fit in memory; use `activity_centre(animal)` one by one
        """
        if len(self.animals) * self.model.mask.habitat.size > DENSE_LIMIT:
            raise refuse(
                "the surfaces of all animals together would be too large",
                "Use fit.activity_centre(animal) for one animal at a time",
                value=f"{len(self.animals)} animals × {self.model.mask.habitat.size:,} cells",
            )
        layers = [self.activity_centre(animal) for animal in self.animals]
        return xr.concat(layers, dim=pd.Index(self.animals, name="animal"), combine_attrs="drop")

    def total_activity_centres(self) -> xr.DataArray:
        """Expected number of activity centres per cell, detected animals where they were seen to live.

        This is not a density surface: it has the detectors' pattern in it (Durbach et al. 2024).
        """
        full = self.as_full()
        log_mu, rows = full.model.kernel_input(full.values)
        unseen = np.exp(log_mu) * (1.0 - full.model.engine.detection_probability(rows))
        seen = sum(full.model.engine.activity_centre(i, log_mu, rows) for i in range(len(self.animals)))
        return self.model.mask.to_xarray(unseen + seen, name="activity centres per cell")

    def detection_probability(self) -> xr.DataArray:
        """p.(x): probability that an animal living in a cell is detected at least once."""
        rows = self.model.kernel_input(self.values)[1]
        return self.model.mask.to_xarray(self.model.engine.detection_probability(rows), name="p.")

    def as_full(self) -> SpatialFit:
        """The full-likelihood fit that says the same: itself, or for a conditional fit the one with D = n / a.

        The two have the same detection estimates when the number of animals is Poisson. With k = log n - log a_r,
        a_r = ∫ r(x) p.(x) dx for the relative density r: var(k) = 1/n + g'Vg and cov(k, theta) = -Vg with
        g = d log a_r / d theta (Borchers & Efford 2008, section 5).
        """
        if self.model.likelihood == "full":
            return self
        model = self.model.with_full_likelihood()
        relative = np.concatenate([[0.0], self.vector])
        unit = replace(self, model=model, vector=relative, covariance=np.zeros((len(relative),) * 2))
        from .abundance import expected_and_missed

        everything, missed = expected_and_missed(unit, model.mask)
        seen = everything.value - missed.value
        g = ((everything.gradient - missed.gradient) / seen)[1:]
        n = model.captures.n_animals
        covariance = np.empty((len(relative),) * 2)
        covariance[1:, 1:] = self.covariance
        covariance[0, 1:] = covariance[1:, 0] = -self.covariance @ g
        covariance[0, 0] = 1.0 / n + g @ self.covariance @ g
        return replace(
            self, model=model, vector=np.concatenate([[np.log(n / seen)], self.vector]), covariance=covariance
        )

    def plot_detection(self, ax=None):
        """The detection function with its 95 % band and the data's distances; returns the matplotlib Axes."""
        from .plots import plot_detection

        return plot_detection(self, ax)

    def plot_density(self, ax=None):
        """The density surface with detectors; returns the matplotlib Axes."""
        from .plots import plot_density

        return plot_density(self, ax)
