"""Open spatial capture-recapture, slow and obvious: every session of arrival and of death, every cell, one by one.

An animal arrives in session b in proportion to density, lives until session d, moves by a dense matrix between
sessions, and is detected or not. No forward pass, no sharing between animals.
"""

import numpy as np
from scipy.special import gammaln


def records(captures, mask, hazard) -> dict[str, np.ndarray]:
    """Pr(records of one session | cell) [M] by animal, and under "" that of no detection. hazard: distance -> h."""
    x, y = mask.centres()
    d, detectors = captures.detectors, captures.detectors
    h = hazard(np.hypot(x[:, None] - d.x, y[:, None] - d.y))
    found = {}
    for animal in (*captures.animals.index, ""):
        mine = captures.detections[captures.detections["animal"] == animal]
        p = np.ones(len(x))
        for s in range(captures.n_occasions):
            here, gone = mine[mine["occasion"] == s + 1], mine[mine["removed"] & (mine["occasion"] <= s)]
            if len(gone):
                break
            count = {name: n for name, n in zip(here["detector"], here["count"], strict=True)}
            effort = np.where(detectors.used[s], detectors.effort[s], 0.0)
            total = h @ effort
            if detectors.kind == "multi":
                for k in range(len(d)):
                    if d.id[k] in count:
                        p = p * h[:, k] * effort[k] / total * -np.expm1(-total)
                if not count:
                    p = p * np.exp(-total)
                continue
            for k in range(len(d)):
                n, rate = count.get(d.id[k], 0), h[:, k] * effort[k]
                if detectors.kind == "proximity":
                    p = p * (-np.expm1(-rate) if n else np.exp(-rate))
                elif rate.any():
                    p = p * np.exp(n * np.log(rate) - rate - gammaln(n + 1.0))
        found[animal] = p
    return found


def moves(mask, weight, reach: int, own: float, wrap: bool = False) -> np.ndarray:
    """Pr(to | from) [M, M] of a kernel of distance in metres, within `reach` cells."""
    row, column = np.nonzero(mask.habitat)
    ny, nx = mask.habitat.shape
    K = np.zeros((len(row), len(row)))
    for i in range(len(row)):
        for j in range(len(row)):
            for sy in (-1, 0, 1) if wrap else (0,):
                for sx in (-1, 0, 1) if wrap else (0,):
                    d = np.hypot(row[i] - row[j] + sy * ny, column[i] - column[j] + sx * nx)
                    if d <= reach + 0.5:
                        K[i, j] += weight(d * mask.spacing if d > 0 else own)
    return K / K.sum(axis=1, keepdims=True)


def survivors(phi: float, f: float, years) -> tuple[np.ndarray, np.ndarray]:
    """Survival of each interval, and arrivals in each session relative to the animals of the first."""
    alive, new = 1.0, [1.0]
    for d in years:
        new.append(alive * ((phi + f) ** d - phi**d))
        alive *= (phi + f) ** d
    return phi ** np.asarray(years, float), np.array(new)


def history_weight(of_session, gone_in, first, last, start, survival, arrivals, K) -> float:
    """Σ over arrival, death and places: expected number of animals with this history. of_session: [T] of [M]."""
    T, total = len(of_session), 0.0
    for b in range(first + 1):
        for d in range(last, T):
            if gone_in is not None and d != gone_in:
                continue
            v = arrivals[b] * start * of_session[b]
            for t in range(b, d):
                v = (v @ K) * survival[t] * of_session[t + 1]
            total += v.sum() * (1.0 - survival[d] if d < T - 1 and gone_in is None else 1.0)
    return total


def log_parts(captures, mask, start, survival, arrivals, K, hazards) -> tuple[list[float], float]:
    """log of the expected number of animals with each history, and the expected number detected at all.

    start: animals [M] of the first session; hazards: a function of distance per session.
    """
    by_session = [records(c, mask, h) for c, h in zip(captures, hazards, strict=True)]
    names = sorted({a for part in by_session for a in part} - {""})
    T, logs = len(captures), []
    for animal in names:
        seen = [t for t in range(T) if animal in by_session[t]]
        gone = None
        for t in seen:
            mine = captures[t].detections
            gone = t if mine.loc[mine["animal"] == animal, "removed"].any() else gone
        mine = [by_session[t].get(animal, by_session[t][""]) for t in range(T)]
        logs.append(np.log(history_weight(mine, gone, seen[0], seen[-1], start, survival, arrivals, K)))
    nothing, missed = [part[""] for part in by_session], 0.0
    for b in range(T):
        for d in range(b, T):
            v = arrivals[b] * start * nothing[b]
            for t in range(b, d):
                v = (v @ K) * survival[t] * nothing[t + 1]
            missed += v.sum() * (1.0 - survival[d] if d < T - 1 else 1.0)
    return logs, float(start.sum() * arrivals.sum() - missed)


def full(logs, detected: float) -> float:
    """Poisson number of animals, n! in it."""
    return sum(logs) - detected - float(gammaln(len(logs) + 1.0))


def conditional(logs, detected: float) -> float:
    """Given the animals detected."""
    return sum(logs) - len(logs) * np.log(detected)
