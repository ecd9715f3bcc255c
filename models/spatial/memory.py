"""How much memory a fit will need, said before a large one starts and refused when it would not fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ...survey.errors import refuse

# Arrays of one float64 per cell at the worst moment, beside the covariates of the mask, which are there already: the
# cells by block and where they are (3), the field of the engine twice, for the fit and for what is derived from it, and
# what is worked on meanwhile; and for each coefficient of density a column of its design. Measured, 10⁷ cells: 96 bytes
# per cell with constant density, 119 with three covariates. Where density must be written out cell by cell (see
# `linear_density`) its logarithm, derivatives and directions come to that: 163 and 254 bytes.
LINEAR, WRITTEN_OUT = (12, 1), (21, 4)
PER_DETECTOR, PER_ANIMAL = 12_000, 8_000  # bytes: tables of exponentials and lists of tiles
LARGE = 1.0  # GB from which it is said


def needed(cells: int, detectors: int, animals: int, terms: int, linear: bool = False) -> float:
    """Gigabytes, for `terms` coefficients of density; `linear`: it is never written out."""
    arrays, per_term = LINEAR if linear else WRITTEN_OUT
    per_cell = arrays + per_term * max(terms - 1, 0)
    return (8.0 * cells * per_cell + PER_DETECTOR * detectors + PER_ANIMAL * animals) / 1e9


def available() -> float | None:
    """Gigabytes that are free or can be freed; None where the system does not say (it is Linux that does)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def check(captures: Sequence, masks: Sequence, terms: int, linear: bool = False) -> float:
    """Gigabytes that a model of these sessions needs, see `needed`; a large need is logged.

    Raises
    ------
    SurveyError : it is more than there is
    """
    cells = sum(mask.size for mask in masks)
    detectors, animals = sum(len(c.detectors) for c in captures), sum(c.n_animals for c in captures)
    need, there = needed(cells, detectors, animals, terms, linear), available()
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
