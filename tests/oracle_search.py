"""The slow, obvious twin of searches of areas and lines, by closed forms: areas of boxes, lines along the axes.

The hazard half-normal only. Box: λ0 ΔΦ(x) ΔΦ(y); line along x from a to b: λ0 σ √(2π)/1000 ΔΦ(x) exp(-(y - y0)²/2σ²).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import oracle_scr
from scipy.special import gammaln, logsumexp, ndtr

Box = tuple[float, float, float, float]  # west, south, east, north; a line has no width or no height


def between(a: float, b: float, at: np.ndarray, sigma: float) -> np.ndarray:
    return ndtr((b - at) / sigma) - ndtr((a - at) / sigma)


def exposure(box: Box, x: np.ndarray, y: np.ndarray, lambda0: float, sigma: float, area: bool) -> np.ndarray:
    west, south, east, north = box
    if area:
        return lambda0 * between(west, east, x, sigma) * between(south, north, y, sigma)
    (a, b, along, across) = (west, east, x, y - south) if south == north else (south, north, y, x - west)
    whole = lambda0 * sigma * np.sqrt(2 * np.pi) / 1000 * between(a, b, along, sigma)
    return whole * np.exp(-0.5 * (across / sigma) ** 2)


def log_history(captures, mask, parameters: Callable, boxes: Mapping[str, Sequence[tuple[float, Box]]], animal):
    """log f(history | cell) [M]; boxes: of each shape, with signs; animal: its name, or None for one never seen."""
    d, (x, y) = captures.detectors, mask.centres()
    area, once = "area" in d.kind, "exclusive" in d.kind
    mine = captures.detections[captures.detections["animal"] == animal]
    everybody = oracle_scr.histories(captures)
    names = list(captures.animals.index)
    seen = everybody[names.index(animal)] if animal in names else {}
    gone = mine.loc[mine["removed"], "occasion"]
    total = np.zeros(mask.size)
    for s in range(int(gone.iloc[0]) if len(gone) else captures.n_occasions):
        H, found = np.zeros(mask.size), []
        for k in range(len(d)):
            if not d.used[s, k]:
                continue
            lambda0, sigma = parameters(oracle_scr.situation(captures, seen, everybody, s, k))
            parts = boxes[d.id[k]]
            H += d.effort[s, k] * sum(sign * exposure(box, x, y, lambda0, sigma, area) for sign, box in parts)
            here = mine[(mine["occasion"] == s + 1) & (mine["detector"] == d.id[k])]
            for row in here.itertuples():
                peak = d.effort[s, k] * lambda0 / (2 * np.pi * sigma**2 if area else 1.0)
                squares = (x - row.x) ** 2 + (y - row.y) ** 2
                found += [np.log(peak) - squares / (2 * sigma**2)] * row.count
        if once and found:
            total += found[0] - np.log(H) + np.log(-np.expm1(-H))
        else:
            total += sum(found, np.zeros(mask.size)) - H
    return total


def loglik(captures, mask, D: float, parameters: Callable, boxes, likelihood: str = "full") -> float:
    """The log-likelihood as a density by m² or km: no multinomial constant."""
    mu, n = D * mask.cell_area / 100, captures.n_animals
    void = log_history(captures, mask, parameters, boxes, None)
    detected = mu * np.sum(-np.expm1(void))
    names = captures.animals.index
    each = [logsumexp(log_history(captures, mask, parameters, boxes, a)) + np.log(mu) for a in names]
    return float(sum(each) + (gammaln(n + 1) - n * np.log(detected) if likelihood == "conditional" else -detected))
