"""Small surveys of marking and sighting, and their likelihood written out: slow and obvious."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp
from scipy.stats import bernoulli, poisson
from scr_problems import detectors

from uncia import models, survey
from uncia.models.detection import DETECTION_FUNCTIONS

VALUES = {"D": 1100.0, "lambda0": {"Intercept": -1.5, "phase[T.sighting]": 0.4}, "sigma": 250.0, "pID": 0.6}


def survey_of(kind: str, seed: int = 1, after=None, marking_kind: str = "multi"):
    """A small survey: three marking and four sighting occasions at other places, with gaps in effort."""
    d = detectors(marking_kind, occasions=3)
    seen = detectors(kind, occasions=4)
    seen = survey.Detectors(seen.id, seen.x + 150.0, seen.y + 90.0, seen.effort, kind)
    mask = survey.HabitatMask.around(d, 450.0, 150.0)
    start = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C02"]}), d)
    nothing = survey.CaptureHistory(pd.DataFrame({"animal": [], "occasion": [], "detector": []}), seen)
    zero = np.zeros((4, 9))
    plan = models.MarkResight(
        start, survey.Sightings(nothing, zero, zero, after), mask, lambda0="~ phase", detection="hazard half-normal"
    )
    marking, sightings = plan.simulate(VALUES, seed)
    return marking, sightings, mask


def slow(marking, sightings, mask, D, lambda0, sigma, pID, marked=None, others=(), member=None) -> float:
    """Animal by animal, occasion by occasion; lambda0 of marking and of sighting.

    others : (proportion, lambda0, sigma, pID) of further classes of animals; member : class of an animal by name, where
        it is known
    """
    first = (1.0 - sum(o[0] for o in others), lambda0, sigma, pID)
    classes = [_Class(marking, sightings, mask, *one) for one in (first, *others)]
    mu, seen = np.full(mask.size, D * mask.cell_area / 100), sightings.captures
    names = list((seen if marking is None else marking).animals.index)
    after = sightings.after
    if after is None:
        after = np.full(seen.n_occasions, 0 if marking is None else marking.n_occasions)
    total, histories = 0.0, []
    for name in names:
        may_be = range(len(classes)) if (member or {}).get(name) is None else [member[name]]
        logs = [np.log(classes[c].share) + classes[c].history(name, after) for c in may_be]
        total += logsumexp(np.array(logs), b=np.tile(mu, (len(logs), 1)))
        histories.append(_words(name, marking, seen))
    total -= gammaln(pd.Series(histories).value_counts().to_numpy() + 1).sum()
    N, n = mu.sum(), len(names)
    a = sum(c.share * (mu @ c.entered) for c in classes)
    if marking is not None:
        total -= a
    elif marked == "unknown":
        total += gammaln(n + 1) - n * np.log(a)
    else:
        total += gammaln(marked + 1) - gammaln(marked - n + 1) + (marked - n) * np.log(1 - a / N) - n * np.log(N)
    for s in range(seen.n_occasions):
        for k in np.flatnonzero(seen.detectors.used[s]):
            means = np.zeros(2)
            for c in classes:
                q = c.unmarked(after[s]) if marking is not None else 1 - (n / a if marked == "unknown" else marked / N)
                h = c.share * mu * c.sighting[s, k]
                means += np.sum(h * q), (1 - c.pID) * np.sum(h * (1 - q))
            for table, mean in zip((sightings.unmarked, sightings.unidentified), means, strict=True):
                if seen.detectors.kind == "count":
                    total += poisson.logpmf(table[s, k], mean)
                else:
                    total += bernoulli.logpmf(min(table[s, k], 1), -np.expm1(-mean))
    return float(total)


def _words(name: str, marking, seen) -> tuple:
    """The history of an animal, to tell which are identical."""
    found = []
    for phase, c in (("m", marking), ("s", seen)):
        if c is not None:
            rows = c.detections[c.detections["animal"] == name]
            found += [(phase, *row) for row in rows[["occasion", "detector", "count"]].itertuples(index=False)]
    return tuple(sorted(found))


class _Class:
    """One class of animals: its hazards [S, K, M], and the probabilities of its histories."""

    def __init__(self, marking, sightings, mask, share, lambda0, sigma, pID):
        self.marking_data, self.seen, self.share, self.pID = marking, sightings.captures, share, pID
        shape, (x, y) = DETECTION_FUNCTIONS["hazard half-normal"], mask.centres()

        def hazards(d, intercept):
            away = [np.hypot(x - a, y - b) for a, b in zip(d.x, d.y, strict=True)]
            one = np.array([intercept * shape.relative(r, sigma, 1.0) for r in away])
            return np.where(d.used, d.effort, 0.0)[:, :, None] * one

        self.sighting = hazards(self.seen.detectors, lambda0[1])
        self.marking = None if marking is None else hazards(marking.detectors, lambda0[0])

    @property
    def entered(self) -> np.ndarray:
        """[M]: probability of being in the data."""
        h = self.pID * self.sighting if self.marking is None else self.marking
        return -np.expm1(-h.sum(axis=(0, 1)))

    def unmarked(self, after: int) -> np.ndarray:
        """[M]: probability of not having been marked on the first `after` marking occasions."""
        return np.exp(-self.marking[:after].sum(axis=(0, 1)))

    def history(self, name: str, after) -> np.ndarray:
        """[M]: log probability of an animal's captures and identified sightings."""
        log_f, first = 0.0 * self.sighting[0, 0], 0
        if self.marking is not None:
            data = self.marking_data
            rows, h = data.detections[data.detections["animal"] == name], self.marking
            first = rows["occasion"].min()
            for s in range(len(h)):
                k = [data.detectors.id.index(d) for d in rows.loc[rows["occasion"] == s + 1, "detector"]]
                if data.detectors.kind == "multi":
                    H = h[s].sum(axis=0)
                    log_f = log_f + (np.log(h[s, k[0]] / H * -np.expm1(-H)) if k else -H)
                else:
                    terms = [np.log(-np.expm1(-h[s, j])) if j in k else -h[s, j] for j in range(len(h[s]))]
                    log_f = log_f + sum(terms)
        d, rows = self.seen.detectors, self.seen.detections[self.seen.detections["animal"] == name]
        each = zip(rows["occasion"], rows["detector"], rows["count"], strict=True)
        count = {(s - 1, d.id.index(name)): n for s, name, n in each}
        for s in range(len(self.sighting)):
            for k in np.flatnonzero(d.used[s]) if first <= after[s] else []:
                h, n = self.pID * self.sighting[s, k], count.get((s, k), 0)
                if d.kind == "count":
                    log_f = log_f + n * np.log(h) - h - gammaln(n + 1)
                else:
                    log_f = log_f + (np.log(-np.expm1(-h)) if n else -h)
        return log_f
