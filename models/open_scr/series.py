"""The numbers of an open population as a series of years, for trends: logarithms with their covariance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...survey.habitat import HabitatMask
from ..marked.base import jacobian
from .derived import numbers

if TYPE_CHECKING:
    from .fit import OpenSpatialFit


def log_series(fit: OpenSpatialFit, region=None) -> tuple[np.ndarray, np.ndarray, HabitatMask]:
    """log of the expected animals by session [T], covariance [T, T], and the mask in which they are counted.

    Parameters
    ----------
    region : polygon file or geometry; all of the mask by default. Cells count whose centre lies in it
    """
    from .derived import needs_numbers

    model = fit.model
    needs_numbers(model)
    mask, inside = model.mask, None
    if region is not None:
        mask = model.mask.clip(region)
        inside = mask.habitat[model.mask.habitat]

    def log_numbers(vector: np.ndarray) -> np.ndarray:
        if inside is None:
            return np.log(numbers(model, vector).sum(axis=0))
        return np.log(animals_by_cell(model, vector)[:, inside].sum(axis=1))

    covariance = fit.covariance_of(jacobian(log_numbers, fit.vector))
    if model.likelihood == "conditional":  # the number detected is by chance, the same for all years
        covariance = covariance + 1.0 / len(model.records.names)
    return log_numbers(fit.vector), covariance, mask


def animals_by_cell(model, vector: np.ndarray) -> np.ndarray:
    """Expected animals [T, M] by session and cell."""
    return by_class_and_cell(model, vector).sum(axis=0)


def by_class_and_cell(model, vector: np.ndarray) -> np.ndarray:
    """Expected animals [C, T, M] by class, session and cell: survivors that moved, and arrivals."""
    values = model.parameters.values(vector)
    population, mu = model.population(values), model.cells(values)
    moving = model.moving(values, mu)
    found = np.zeros((len(population.share), len(model.names), len(mu)))
    for c, share in enumerate(population.share):
        for t, arrivals in enumerate(population.arrivals):
            found[c, t] = share * arrivals * mu
            if t:
                found[c, t] += population.survival[c, t - 1] * moving.forward(t - 1, found[c, t - 1])
    return found * (numbers(model, vector).sum() / found.sum())
