"""Whether years may be compared: the same ground, the same way of looking, the same words for the same things.

A change of footprint, of method or of a definition looks like a change of the population. Such differences are refused,
or marked in everything that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ...survey.errors import Problems, refuse

if TYPE_CHECKING:
    from .annual import AnnualEstimates
    from .from_fits import Known

# What is refused unless it is accepted by name; what else differs is marked.
REFUSED = ("footprint", "observation", "species", "scope")
FIX = {
    "footprint": "Compare on the ground that all years share: models.common_footprint(fits), or region=",
    "observation": "Estimate all years in one model, with detection by year",
    "species": "Give one species",
    "scope": "Give scope= so that all years are of the same area",
}
# What years are known to differ in, beside what somebody defines.
DEFINED = (*REFUSED, "detection", "estimator", "distance", "occasions", "day boundary", "independence", "identities")
DEFINED = (*DEFINED, "interval")
ALIKE = 0.95  # share of the ground of two years that is common, from which it counts as the same


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in all years."""

    what: str
    values: tuple[tuple[str, str], ...]  # year, value
    accepted: bool = True

    def __str__(self) -> str:
        groups: dict[str, list[str]] = {}
        for year, value in self.values:
            groups.setdefault(value or "not known", []).append(year)
        told = "; ".join(f"{', '.join(years)}: {value}" for value, years in groups.items())
        return f"NOT THE SAME IN ALL YEARS: {self.what} ({told})"


def differences(annual: AnnualEstimates | Known) -> tuple[Difference, ...]:
    """Everything that is known to differ between the years."""
    names = dict.fromkeys(name for known in annual.definitions for name in known)
    found = []
    for name in names:
        values = [known.get(name, "") for known in annual.definitions]
        same = len({v for v in values if v}) <= 1
        if name == "footprint" and not same and annual.footprints and all(f is not None for f in annual.footprints):
            same = least_overlap(annual.footprints) >= ALIKE
        if not same:
            found.append(Difference(name, tuple(zip(annual.labels, values, strict=True))))
    return tuple(found)


def check_comparable(annual: AnnualEstimates | Known, despite: Sequence[str] = ()) -> tuple[Difference, ...]:
    """The differences to be marked.

    Raises
    ------
    SurveyError : differences that make a comparison wrong and that nobody has accepted, all of them
    """
    found, despite = differences(annual), (despite,) if isinstance(despite, str) else tuple(despite)
    for name in despite:
        if name not in {d.what for d in found}:
            known = ", ".join(d.what for d in found) or "nothing"
            raise refuse("this does not differ between the years", f"What differs: {known}", value=name)
    bad = Problems()
    for d in found:
        if d.what in REFUSED and d.what not in despite:
            fix = f"{FIX[d.what]}; or accept it with despite=({d.what!r},), and it will be marked"
            bad.add(f"the years cannot be compared: {str(d).removeprefix('NOT THE SAME IN ALL YEARS: ')}", fix)
    bad.raise_any()
    return found


def least_overlap(masks: Sequence[Any]) -> float:
    """The smallest share of the ground of two masks (of all that either has) that both have."""
    return min(overlap(a, b) for a, b in combinations(masks, 2))


def overlap(a: Any, b: Any) -> float:
    """Share of the ground of two masks that is common; 0 in different coordinate systems."""
    if (a.crs is None) != (b.crs is None) or (a.crs is not None and a.crs != b.crs):
        return 0.0
    fine, coarse = (a, b) if a.spacing <= b.spacing else (b, a)
    both = float(np.mean(coarse.is_habitat(*fine.centres()))) * fine.area
    return both / (fine.area + coarse.area - both)
