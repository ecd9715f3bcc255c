"""The visits of a history as a kernel wants them: in groups, with what was found, and with their effort."""

from __future__ import annotations

import numpy as np

from ..kernels.occupancy import detections_adjoint, detections_loglik, visits_adjoint, visits_loglik


class Groups:
    """Visits [V], in order, of G groups; log-likelihood of each group under K states."""

    def __init__(self, group: np.ndarray, n_groups: int):
        self.group = group
        self.start = np.searchsorted(group, np.arange(n_groups + 1)).astype(np.int64)

    def loglik(self, prob: np.ndarray) -> np.ndarray:
        """float [G, K] from the probability of what each visit found under each state, `prob` [V, K]."""
        out = np.empty((len(self.start) - 1, prob.shape[1]))
        visits_loglik(prob, self.start, out)
        return out

    def pull(self, prob: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Derivatives [V, K] with respect to `prob`, from those with respect to the log-likelihoods [G, K]."""
        out = np.empty_like(prob)
        visits_adjoint(prob, self.start, np.ascontiguousarray(weight), out)
        return out


class Detections(Groups):
    """Visits that found the species or not, with probability p if it is there."""

    def __init__(self, group: np.ndarray, n_groups: int, seen: np.ndarray, exposure: np.ndarray | None = None):
        super().__init__(group, n_groups)
        self.seen = seen > 0
        self.exposure = exposure
        self.any = np.bincount(group[self.seen], minlength=n_groups) > 0

    def probability(self, p: np.ndarray) -> np.ndarray:
        """Of detection on each visit: 1 - (1 - p)^effort, hazards being proportional to effort."""
        if self.exposure is None:
            return p
        return -np.expm1(self.exposure * np.log1p(-p))

    def present(self, p: np.ndarray) -> np.ndarray:
        """float [G]: log-likelihood of the visits where the species is."""
        out = np.empty(len(self.start) - 1)
        detections_loglik(np.ascontiguousarray(self.probability(p)), self.seen, self.start, out)
        return out

    def absent(self) -> np.ndarray:
        """float [G]: log-likelihood of the visits where the species is not: 0, or -inf after a detection."""
        return np.where(self.any, -np.inf, 0.0)

    def pull_p(self, p: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Derivatives [V] with respect to p, from those with respect to `present` [G]."""
        out = np.empty(len(p))
        weight = np.ascontiguousarray(weight)
        detections_adjoint(np.ascontiguousarray(self.probability(p)), self.seen, self.start, weight, out)
        return out if self.exposure is None else out * self.slope(p)

    def slope(self, p: np.ndarray) -> np.ndarray | float:
        """Derivative of `probability` with respect to p."""
        if self.exposure is None:
            return 1.0
        return self.exposure * np.exp((self.exposure - 1.0) * np.log1p(-p))


def detections_by_site(history, exposure: bool = False) -> Detections:
    """The visits of a history that were done, grouped by site."""
    done = history.done
    effort = history.effort[done] if exposure else None
    return Detections(history.site_of[done], history.n_sites, history.value[done], effort)


def detections_by_season(history, exposure: bool = False) -> Detections:
    """The visits of a history that were done, grouped by site and season (season fastest)."""
    done = history.done
    group = history.site_of[done] * history.n_seasons + history.season_of[done]
    effort = history.effort[done] if exposure else None
    return Detections(group, history.n_sites * history.n_seasons, history.value[done], effort)
