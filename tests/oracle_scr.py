"""The slow, obvious twin of `models.SCR`: animal by animal, occasion by occasion, detector by detector.

It reads the captures themselves and not the arrays that the model makes of them. `parameters` is a function of what is
known about one animal at one detector on one occasion (a dict, see `situation`) and gives (lambda0 or g0, sigma).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, logsumexp

from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.survey import CaptureHistory, HabitatMask


def histories(captures: CaptureHistory) -> list[dict[tuple[int, int], int]]:
    """Of each animal {(occasion from 0, detector): count}."""
    found = [{} for _ in range(captures.n_animals)]
    rows = zip(captures.animal_index, captures.detections["occasion"], captures.detector_index, strict=True)
    for (i, s, k), count in zip(rows, captures.detections["count"], strict=True):
        found[i][s - 1, k] = int(count)
    return found


def situation(captures: CaptureHistory, seen: dict, everybody: list[dict], s: int, k: int) -> dict:
    """What an animal with the detections `seen` has learned before occasion s, and what detector k has become."""
    return {
        "T": s,
        "detector": captures.detectors.id[k],
        "b": any(t < s for t, _ in seen),
        "B": any(t == s - 1 for t, _ in seen),
        "bk": any(t < s and j == k for t, j in seen),
        "Bk": (s - 1, k) in seen,
        "k": any(t < s and j == k for other in everybody for t, j in other),
        "K": any((s - 1, k) in other for other in everybody),
    }


def log_history(
    captures, mask, detection, parameters: Callable, seen: dict, last: int, more: dict, distances=None
) -> np.ndarray:
    """log f(history | cell) [M], up to and with occasion `last` (from 1); distances [K, M] if no straight lines."""
    d, kind = captures.detectors, captures.detectors.kind
    shape, (x, y) = DETECTION_FUNCTIONS[detection], mask.centres()
    everybody, log_f = histories(captures), np.zeros(mask.size)
    for s in range(last):
        hazards = {}
        for k in range(len(d)):
            if d.used[s, k]:
                distance = np.hypot(x - d.x[k], y - d.y[k]) if distances is None else distances[k]
                values = parameters(situation(captures, seen, everybody, s, k) | more)
                hazards[k] = d.effort[s, k] * shape.hazard_at(distance, *values)
        if kind == "multi":
            H = sum(hazards.values())
            caught = [k for k in hazards if (s, k) in seen]
            log_f += np.log(hazards[caught[0]] / H * -np.expm1(-H)) if caught else -H
            continue
        for k, h in hazards.items():
            count = seen.get((s, k), 0)
            if kind == "count":
                log_f += (count * np.log(h) if count else 0.0) - h - gammaln(count + 1)
            else:
                log_f += np.log(-np.expm1(-h)) if count else -h
    return log_f


def loglik(
    captures: CaptureHistory,
    mask: HabitatMask,
    D: float,
    parameters: Callable,
    *,
    detection: str = "half-normal",
    likelihood: str = "full",
    classes: dict[str, float] | None = None,
    name: str = "sex",
    by_animal: tuple[str, ...] = (),
    distances: np.ndarray | None = None,
) -> float:
    """The log-likelihood with the constants of the field's programs.

    classes : proportion of each class; captures.animals[name] holds that of an animal, missing where it is not known
    distances : metres [K, M] where they are no straight lines
    by_animal : covariates of the animals that `parameters` uses (conditional likelihood)
    """
    classes, n = classes or {"": 1.0}, captures.n_animals
    mu, total, detected = D * mask.cell_area / 100, 0.0, 0.0
    for i, seen in enumerate(histories(captures)):
        own = captures.animals.iloc[i]
        more = {c: own[c] for c in by_animal}
        known = own[name] if classes.keys() != {""} and name in own.index else None
        possible = [known] if isinstance(known, str) else list(classes)
        gone = captures.detections.loc[(captures.animal_index == i) & captures.detections["removed"], "occasion"]
        last = int(gone.iloc[0]) if len(gone) else captures.n_occasions
        terms = []
        for c in possible:
            kind = more | {name: c} if c else more
            log_f = log_history(captures, mask, detection, parameters, seen, last, kind, distances)
            terms.append(np.log(classes[c]) + logsumexp(log_f) + np.log(mu))
        if by_animal or i == 0:
            detected = 0.0
            for c, share in classes.items():
                kind = more | {name: c} if c else more
                void = log_history(captures, mask, detection, parameters, {}, captures.n_occasions, kind, distances)
                detected += share * mu * np.sum(-np.expm1(void))
        total += logsumexp(terms) - (np.log(detected) if likelihood == "conditional" else 0.0)
    total += gammaln(n + 1) if likelihood == "conditional" else -detected
    alike = Counter(tuple(sorted(seen.items())) for seen in histories(captures))
    return float(total - sum(gammaln(times + 1) for times in alike.values()))
