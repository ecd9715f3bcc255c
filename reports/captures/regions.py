"""Do the regions of a form lie on the ground that was surveyed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from ...models.spatial.abundance import COVERED, REGION_CELLS, covered_share
from ...survey.checks.finding import Finding, warning
from ...survey.errors import Problems, SurveyError, refuse
from ...survey.habitat import HabitatMask
from ...survey.vector import read_region


def check(study: Any) -> None:
    """That every region can be read and meets the habitat mask.

    Raises
    ------
    SurveyError : all regions with which something is wrong
    """
    bad = Problems()
    for name, file in study.regions.items():
        try:
            read_region(file, study.mask.crs)
        except SurveyError as error:
            bad.found += [replace(p, what=f"region {name!r}: {p.what}") for p in error.problems]
    bad.raise_any()
    for name, share in covered(study).items():
        if share == 0.0:
            what, fix = f"the region {name!r} lies outside the habitat mask", "Check its outline and its CRS"
            bad.add(what, fix, file=study.regions[name])
    bad.raise_any()


def check_model(study: Any, model: Any) -> None:
    """That the density of a model is known in all of every region.

    Raises
    ------
    SurveyError : density depends on covariates, and a region reaches beyond the mask, where they are not known
    """
    D = model.parameters["D"].design
    for name, share in covered(study).items():
        if D is not None and not D.constant and share <= COVERED:
            what = f"the region {name!r} reaches beyond the habitat mask, where the covariates of D are not known"
            fix = "Use a larger buffer, or cut the region to the mask"
            raise refuse(what, fix, value=f"{100 * share:.0f} % of it are covered")


def findings(study: Any) -> Iterator[Finding]:
    """Regions that reach beyond the mask: density is extrapolated there."""
    for name, share in covered(study).items():
        if share <= COVERED:
            yield warning(
                "region-beyond-mask",
                f"The region {name!r} lies to {1 - share:.0%} outside the habitat mask, where nobody looked: the "
                "density of the surveyed ground is taken for it",
                "Use a larger mask, or tell only the part that was surveyed",
            )


def covered(study: Any) -> dict[str, float]:
    """The share of each region that lies within the habitat mask, or in the lakes that it encloses."""
    mask = replace(study.mask, covariates=xr.Dataset())
    found = {}
    for name, outline in zip(study.regions, study.outlines, strict=True):
        fine = min(mask.spacing, float(np.sqrt(outline.area / REGION_CELLS)))
        found[name] = covered_share(mask, HabitatMask.from_polygon(outline, fine, mask.crs))
    return found
