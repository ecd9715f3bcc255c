"""How much memory a fit will need, said before a large one starts and refused when it would not fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ...survey.errors import refuse

# Arrays of one float64 per cell at the worst moment, beside the design of density: the cells by block and where they
# are (3), their covariates, density, its logarithm and derivatives (6), the field of the engine and what it works in.
# Measured: 110 bytes per cell for 10⁷ cells with constant density.
ARRAYS = 14
PER_DETECTOR, PER_ANIMAL = 12_000, 8_000  # bytes: tables of exponentials and lists of tiles
LARGE = 1.0  # GB from which it is said


def needed(cells: int, detectors: int, animals: int, terms: int) -> float:
    """Gigabytes, for `terms` coefficients of density."""
    return (8.0 * cells * (ARRAYS + 2 * max(terms - 1, 0)) + PER_DETECTOR * detectors + PER_ANIMAL * animals) / 1e9


def available() -> float | None:
    """Gigabytes that are free or can be freed; None where the system does not say (it is Linux that does)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def check(captures: Sequence, masks: Sequence, terms: int) -> float:
    """Gigabytes that a model of these sessions needs; a large need is logged.

    Raises
    ------
    SurveyError : it is more than there is
    """
    cells = sum(mask.size for mask in masks)
    detectors, animals = sum(len(c.detectors) for c in captures), sum(c.n_animals for c in captures)
    need, there = needed(cells, detectors, animals, terms), available()
    if there is not None and need > there:
        raise refuse(
            f"the fit needs about {need:.1f} GB of memory and {there:.1f} GB are free",
            "Make the habitat mask with a wider spacing (half of sigma is fine enough) or a smaller buffer, or use "
            "a larger machine",
            value=f"{cells:,} cells",
        )
    if need > LARGE:
        logging.getLogger("uncia").warning("%s cells: the fit needs about %.1f GB of memory", f"{cells:,}", need)
    return need
