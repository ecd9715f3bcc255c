"""What a design is expected to give: animals, recaptures, movements, and the precision that follows roughly.

For an animal centred in a cell, with hazard h_sk at detector k on occasion s and H_s = Σ_k h_sk (Efford & Boulanger
2019; Dupont et al. 2021):

    E(n) = Σ D (1 − exp(−Σ_s H_s))                       animals detected
    E(C) = Σ D c,   c = Σ h_sk                           detections, count detectors
                    c = Σ (1 − exp(−h_sk))               proximity detectors
                    c = Σ_s (1 − exp(−H_s))              multi-catch traps
    E(r) = E(C) − E(n)                                   recaptures
    E(m) = Σ D (c − (1 − exp(−Σ_s H_s))) (1 − q²)        recaptures elsewhere; q² = Σ_k h_k² / (Σ_k h_k)²
    E(n2)                                                animals detected at two detectors or more
    RSE of D ≈ 1 / √min(E(n), E(r))

Sums run over the cells of the mask, with D per cell.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.detectors import Detectors
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell
from ..detection import DETECTION_FUNCTIONS
from .arguments import one_of

AT_ONCE = 2_000_000  # hazards at a time


def expected_counts(
    detectors: Detectors,
    mask: HabitatMask,
    *,
    D: float | np.ndarray,
    sigma: float,
    lambda0: float | None = None,
    g0: float | None = None,
    z: float | None = None,
    w: float | None = None,
    detection: str = "hazard half-normal",
    occasions: int | None = None,
) -> pd.Series:
    """Expected numbers of a planned survey, before there are data.

    Parameters
    ----------
    detectors : where they would stand, of kind "count", "proximity" or "multi" ("single" as multi), with their effort
    mask : where animals may live; wide enough for those at its edge not to be detected
    D : animals per 100 km², one number or one per habitat cell [M]
    sigma, lambda0 or g0, z, w : detection parameters, metres and per unit of effort
    detection : name of a detection function
    occasions : how many occasions like the one that the detectors have; by default those that they have

    Returns
    -------
    Series : animals, detections, recaptures, movements, animals at two detectors or more, the two shares of all animals
        in the mask, and the approximate relative standard error of density

    Raises
    ------
    SurveyError : a detection function or kind of detector that this does not know, a parameter that is missing
    """
    one_of("detection", detection, DETECTION_FUNCTIONS)
    one_of("the kind of detectors", detectors.kind, ("count", "proximity", "multi", "single"))
    shape = DETECTION_FUNCTIONS[detection]
    given = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w}
    for name, value in given.items():
        if (name in shape.parameters) != (value is not None):
            what = "is needed" if value is None else "is not a parameter"
            has = f"{detection!r} has {', '.join(shape.parameters)}"
            raise refuse(f"{name} {what}", has, value=value)
    parameters = [given[name] for name in shape.parameters]
    effort, times = _occasions(detectors, occasions)
    mu = density_to_animals_per_cell(np.broadcast_to(np.asarray(D, float), (mask.size,)), mask.cell_area)
    x, y = mask.centres()
    step, total = max(1, AT_ONCE // len(detectors)), np.zeros(4)
    for begin in range(0, mask.size, step):
        part = slice(begin, begin + step)
        distance = np.hypot(x[part, None] - detectors.x, y[part, None] - detectors.y)
        total += mu[part] @ _per_animal(shape.hazard_at(distance, *parameters), effort, times, detectors.kind)
    animals, detections, movements, twice = map(float, total)
    recaptures, everybody = detections - animals, float(mu.sum())
    return pd.Series(
        {
            "animals": animals,
            "detections": detections,
            "recaptures": recaptures,
            "movements": movements,
            "animals at two detectors or more": twice,
            "share of animals detected": animals / everybody,
            "share at two detectors or more": twice / everybody,
            "relative standard error": 1.0 / np.sqrt(min(animals, recaptures)) if recaptures > 0 else float("inf"),
        },
        name="expected",
    )


def _occasions(detectors: Detectors, occasions: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Distinct efforts [O, K] of an occasion, and how often each."""
    effort = np.where(detectors.used, detectors.effort, 0.0)
    distinct, times = np.unique(effort, axis=0, return_counts=True)
    if occasions is None:
        return distinct, times.astype(float)
    if len(distinct) > 1:
        raise refuse("the occasions differ in effort", "Leave occasions out", value=occasions)
    return distinct, np.array([float(occasions)])


def _per_animal(hazard: np.ndarray, effort: np.ndarray, times: np.ndarray, kind: str) -> np.ndarray:
    """[cells, 4]: detected, detections, movements, detected at two detectors or more, of one animal per cell."""
    by_detector = hazard * (times @ effort)
    exposed = by_detector.sum(axis=1)
    detected = -np.expm1(-exposed)
    if kind in ("multi", "single"):
        each = [(effort[o] * hazard).sum(axis=1) for o in range(len(times))]
        detections = sum(t * -np.expm1(-H) for t, H in zip(times, each, strict=True))
        alone = np.zeros_like(hazard)  # log Pr(caught nowhere but at k)
        for t, e, H in zip(times, effort, each, strict=True):
            share = np.divide(e * hazard, H[:, None], out=np.zeros_like(hazard), where=H[:, None] > 0)
            alone += t * np.log(np.exp(-H)[:, None] + share * -np.expm1(-H)[:, None])
        once = (np.exp(alone) - np.exp(-exposed)[:, None]).sum(axis=1)
    else:
        detections = exposed
        if kind == "proximity":
            detections = sum(t * -np.expm1(-e * hazard).sum(axis=1) for t, e in zip(times, effort, strict=True))
        with np.errstate(over="ignore"):
            once = (np.exp(by_detector - exposed[:, None]) - np.exp(-exposed)[:, None]).sum(axis=1)
    q2 = np.divide((by_detector**2).sum(axis=1), exposed**2, out=np.ones_like(exposed), where=exposed > 0)
    movements = (detections - detected) * (1.0 - q2)
    return np.stack([detected, detections, movements, detected - once], axis=1)
