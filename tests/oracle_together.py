"""The slow, obvious twin of `models.SCR` for several methods in one session: a history is all of an animal's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import oracle_scr
from scipy.special import gammaln, logsumexp

from uncia.survey import HabitatMask, Together


def loglik(
    both: Together,
    mask: HabitatMask,
    D: float,
    parameters: Mapping[str, Callable],
    *,
    detection: str = "half-normal",
    likelihood: str = "full",
    classes: Mapping[str, float] | None = None,
    name: str = "sex",
) -> float:
    """As `oracle_scr.loglik`; `parameters` by method."""
    mu, shares = D * mask.cell_area / 100, classes or {"": 1.0}
    gone = both.detections[both.detections["removed"]].set_index("animal")["occasion"]

    def log_f(animal: str | None, kind: dict) -> np.ndarray:
        total = np.zeros(mask.size)
        for method, one in both.methods.items():
            known = list(one.animals.index)
            seen = oracle_scr.histories(one)[known.index(animal)] if animal in known else {}
            last = int(gone.get(animal, one.n_occasions))
            total += oracle_scr.log_history(one, mask, detection, parameters[method], seen, last, kind)
        return total

    kinds = {c: {name: c} if c else {} for c in shares}
    detected = sum(share * mu * np.sum(-np.expm1(log_f(None, kinds[c]))) for c, share in shares.items())
    total, histories = 0.0, []
    for animal, own in both.animals.iterrows():
        known = own[name] if classes and isinstance(own[name], str) else None
        possible = [known] if known else list(shares)
        total += logsumexp([np.log(shares[c]) + logsumexp(log_f(animal, kinds[c])) + np.log(mu) for c in possible])
        mine = both.detections[both.detections["animal"] == animal]
        histories.append(tuple(mine[["detector", "occasion", "count"]].itertuples(index=False, name=None)))
    n = len(histories)
    total += gammaln(n + 1) - n * np.log(detected) if likelihood == "conditional" else -detected
    return float(total - sum(gammaln(times + 1) for times in Counter(histories).values()))
