"""Two parks whose animals nobody has compared: how many different ones there are, between bounds.

With D(x) the density and p_A(x), p_B(x) the probabilities that an animal centred at x is detected by each park, the
expected number of animals that both detected is ∫ D p_A p_B dx over the cells of either mask. D is that of the park's
own fit on its mask, and the mean of both where masks overlap. Of more than two parks it is the number that at least
two of them detected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ...survey.parks import union_of_masks
from ..derived import log_normal, table
from ..marked.base import jacobian
from .fit import SpatialFit

LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class UnmatchedParks:
    """What is known of the animals of several parks that were not compared."""

    table: pd.DataFrame  # see models.derived.COLUMNS
    detected: Mapping[str, int]  # animals by park
    both: float  # expected number of animals detected by more than one park
    both_se: float

    @property
    def different(self) -> tuple[int, int]:
        """Bounds of the number of different animals detected: all of the smaller park in the larger; none in both."""
        return max(self.detected.values()), sum(self.detected.values())

    def __str__(self) -> str:
        low, high = self.different
        parks = ", ".join(f"{n} in {park}" for park, n in self.detected.items())
        N = self.table.set_index(["quantity", "scope"])["estimate"]["expected abundance", "all masks"]
        total = self.table.set_index(["quantity", "scope"])["estimate"]["expected abundance", "sum of parks"]
        return (
            f"{parks}: between {low} and {high} different animals were detected, as they were not compared. "
            f"From the density and the ranges near the border, {self.both:.1f} (standard error {self.both_se:.1f}) "
            f"would have been detected on both sides. "
            f"The sum of the parks' abundances, {total:.1f}, counts animals between them twice; "
            f"on all ground once it is {N:.1f}."
        )

    __repr__ = __str__


def unmatched_parks(fits: Mapping[str, SpatialFit]) -> UnmatchedParks:
    """Bounds and expected overlap from fits of each park alone, on masks that may overlap.

    Parameters
    ----------
    fits : by park, of `SCR` models of one session (full likelihood, or conditional: then `as_full` is used)

    Returns
    -------
    UnmatchedParks: a table with the abundance of each park's mask, their sum (an upper bound where the masks overlap),
    the abundance of all ground counted once, and the number of animals detected by both; bounds of the animals detected

    Raises
    ------
    SurveyError : one park, several sessions, different CRS, masks of different spacing
    """
    if len(fits) < 2:
        raise refuse("this compares two parks or more", 'Write {"north": fit, "south": fit}', value=list(fits))
    fits = {park: fit.as_full() for park, fit in fits.items()}
    masks = {park: fit.model.session().mask for park, fit in fits.items()}
    everywhere = union_of_masks(masks)
    parks, sizes = list(fits), [len(fit.vector) for fit in fits.values()]
    starts = np.cumsum([0, *sizes])
    whole = np.concatenate([fit.vector for fit in fits.values()])
    covariance = np.zeros((len(whole), len(whole)))
    for a, b, fit in zip(starts, starts[1:], fits.values(), strict=False):
        covariance[a:b, a:b] = fit.covariance
    x, y = everywhere.centres()
    own = {park: masks[park].cell_of(x, y) for park in parks}
    inside = np.array([own[park] >= 0 for park in parks])

    def numbers(vector: np.ndarray) -> np.ndarray:
        D, seen = np.zeros(inside.shape), np.zeros(inside.shape)
        for j, park in enumerate(parks):
            fit = fits[park]
            session, values = fit.model.session(), fit.model.parameters.values(vector[starts[j] : starts[j + 1]])
            D[j, inside[j]] = values["D"][own[park][inside[j]]]
            seen[j] = session.detection_probability(values, everywhere)
        cells = everywhere.cell_area / 100.0
        once = D.sum(axis=0) / inside.sum(axis=0) * cells
        by_one = sum(seen[i] * np.delete(1.0 - seen, i, axis=0).prod(axis=0) for i in range(len(parks)))
        several = float(once @ (1.0 - (1.0 - seen).prod(axis=0) - by_one))
        each = (D.sum(axis=1) * cells).tolist()
        return np.array([*each, sum(each), once.sum(), several])

    found, J = numbers(whole), jacobian(numbers, whole)
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.diag(J @ covariance @ J.T))
    names = [("expected abundance", f"park {park}") for park in parks]
    names += [("expected abundance", "sum of parks"), ("expected abundance", "all masks")]
    names += [("animals detected by several parks", "all masks")]
    rows = [
        log_normal(quantity, "animals", scope, max(v, LEAST), s)
        for (quantity, scope), v, s in zip(names, found, se, strict=True)
    ]
    detected = {park: fit.model.session().captures.n_animals for park, fit in fits.items()}
    return UnmatchedParks(table(rows), detected, float(found[-1]), float(se[-1]))
