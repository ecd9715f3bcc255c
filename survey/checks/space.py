"""Does the habitat mask fit the detectors and the animals?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .finding import Finding, LookAtMask, about, error, note, some, warning


def other_crs(look: LookAtMask) -> Iterator[Finding]:
    """Mask and detectors on different maps."""
    mask, detectors = look.mask.crs, look.detectors.crs
    if mask is not None and detectors is not None and not mask.equals(detectors, ignore_axis_order=True):
        yield error(
            "crs-differs",
            f"The habitat mask is in {mask.to_string()} and the detectors are in {detectors.to_string()}",
            "Give from_polygon the CRS of the detectors",
        )


def outside_mask(look: LookAtMask) -> Iterator[Finding]:
    """A detector without habitat in the eight cells around it; one in a small hole of the mask is no matter."""
    outside = ~look.near_habitat
    seen = np.isin(np.arange(len(outside)), look.captures.detector_index)
    if np.any(outside & seen):
        yield error(
            "detection-outside-mask",
            f"Animals were detected at {some(np.sum(outside & seen), 'detector')} without habitat in the cells around",
            "Check the outline, its CRS and the coordinates; animals can only live where the mask has habitat",
            look.names(outside & seen),
        )
    if np.any(outside & ~seen):
        yield warning(
            "detector-outside-mask",
            f"{np.sum(outside & ~seen)} of {len(outside)} detectors are without habitat in the cells around",
            "Check the outline, its CRS and the coordinates",
            look.names(outside & ~seen),
        )


def hole_under_detector(look: LookAtMask) -> Iterator[Finding]:
    """A detector on a cell that is not habitat although its neighbours are."""
    hole = look.near_habitat & ~look.mask.is_habitat(look.detectors.x, look.detectors.y)
    if hole.mean() > 0.1:
        yield note(
            "hole-under-detector",
            f"{hole.sum()} of {len(hole)} detectors stand on cells that are not habitat, at its edge",
            "Check that the outline of habitat is not shifted",
            look.names(hole),
        )


def small_buffer(look: LookAtMask) -> Iterator[Finding]:
    """A mask that ends within three times the movement of the detectors."""
    reach = look.mask.buffer or look.reach
    if reach < 3.0 * look.movement:
        yield warning(
            "buffer-too-small",
            f"The mask ends {reach:,.0f} m from the detectors, and animals move {look.movement:,.0f} m; animals from "
            "outside could be detected, and density comes out too high",
            f"Use a buffer of at least {about(4.0 * look.movement)}, unless animals cannot live there",
        )


def wide_buffer(look: LookAtMask) -> Iterator[Finding]:
    """A mask that reaches further than twenty-five times the movement."""
    if look.reach > 25.0 * look.movement:
        yield note(
            "buffer-very-wide",
            f"The mask reaches {look.reach:,.0f} m from the detectors, {look.reach / look.movement:.0f} times the "
            "animals' movement: most of it was never surveyed, and fitting takes longer",
            "Estimate on a smaller mask and predict to the larger area",
        )


def coarse_mask(look: LookAtMask) -> Iterator[Finding]:
    """Cells wider than 0.6 of the movement."""
    if look.mask.spacing > 0.6 * look.movement:
        yield warning(
            "mask-too-coarse",
            f"Cells of {look.mask.spacing:,.4g} m are large for animals that move {look.movement:,.4g} m",
            f"Use a spacing of at most {about(0.5 * look.movement)}",
        )


def fine_mask(look: LookAtMask) -> Iterator[Finding]:
    """Very many cells that are ten times finer than the movement."""
    if look.mask.size > 50_000 and look.mask.spacing < look.movement / 10.0:
        yield note(
            "mask-needlessly-fine",
            f"{look.mask.size:,} cells of {look.mask.spacing:,.4g} m, and animals move {look.movement:,.4g} m",
            f"A spacing of {about(look.movement / 4.0)} gives the same density in less time",
        )


def mask_covariates(look: LookAtMask) -> Iterator[Finding]:
    """Covariates of the mask with gaps, or without variation."""
    for name in look.mask.covariates.data_vars:
        values = look.mask.covariate(name)
        missing = int(np.sum(~np.isfinite(values)))
        if missing:
            yield error(
                "mask-covariate-missing",
                f"Covariate {name!r} has no value in {missing:,} of {look.mask.size:,} habitat cells",
                "Extend the raster, or clip the mask to where it has values",
            )
        elif np.ptp(values) == 0:
            what = f"Covariate {name!r} is {values[0]:.6g} in every habitat cell; no effect can be estimated"
            yield note("mask-covariate-constant", what, "Leave it out of formulas")


def extrapolation(look: LookAtMask) -> Iterator[Finding]:
    """Covariates beyond their range within twice the movement of a detector, in more than a quarter of the mask."""
    mask = look.mask
    if not mask.covariates.data_vars or not np.isfinite(look.movement):
        return
    surveyed = look.distance < max(2.0 * look.movement, mask.spacing)
    if not surveyed.any():
        return
    for name in mask.covariates.data_vars:
        values = mask.covariate(name)[:: look.step]
        low, high = values[surveyed].min(), values[surveyed].max()
        beyond = np.mean((values < low) | (values > high))
        if beyond > 0.25:
            yield note(
                "mask-extrapolation",
                f"In {beyond:.0%} of the mask {name!r} is outside {low:.4g} to {high:.4g}, its range near detectors",
                "Clip the mask, or show where a density that depends on it is extrapolated",
            )


CHECKS = [
    other_crs,
    outside_mask,
    hole_under_detector,
    small_buffer,
    wide_buffer,
    coarse_mask,
    fine_mask,
    mask_covariates,
    extrapolation,
]
