"""What animals' likelihoods have beyond a Gaussian: binary trials, competing fields, exposure of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.spatial_local import Local
from ...kernels.spatial_math import C1, C2, C3, C4, C5, C6
from .blockwise import BlockModel
from .encounters import SparseRows

TERMS = 12  # of the power series of a trial's term
FAITHFUL = 5e-17  # of the last terms of a series, so that what follows does not matter


@dataclass(frozen=True)
class LocalTerms:
    """None of this depends on parameters, because all hazards are in units of what the void is exposed to.

    CSR over animals, as in the kernel's `Local`.
    """

    trials: SparseRows  # column: distinct trial
    trial_pass: np.ndarray  # int [entries of trials]
    trial_scale: np.ndarray  # float [entries of trials]: the x of the kernel's term
    trial_series: np.ndarray  # float [entries of trials, TERMS]
    trial_limit: np.ndarray  # float [entries of trials], the Gaussian up to which the series is faithful
    field_start: np.ndarray
    field: np.ndarray
    caught: np.ndarray
    extra: np.ndarray
    ratio: np.ndarray  # float [F or 0, G]
    most: int  # trials of one animal

    @property
    def none(self) -> bool:
        """Whether all animals are plain Gaussians."""
        return not self.field.size and not self.trial_pass.size

    def at(self, radius: np.ndarray) -> Local:
        """The kernel's argument, for windows of this radius [n]."""
        return Local(
            radius,
            self.trials.start,
            self.trial_pass,
            self.trial_scale,
            self.trials.entry,
            self.trial_series,
            self.trial_limit,
            self.field_start,
            self.field,
            self.caught,
            self.extra,
            self.most,
            self.ratio,
        )

    def trials_of(self, animals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For a list of animals: where the trials of each begin when written one after another, and their passes."""
        length = np.diff(self.trials.start)[animals]
        return np.cumsum(length) - length, self.trial_pass[self.trials.entries_of(animals)]


def local_terms(model: BlockModel) -> LocalTerms:
    """The local terms of a problem."""
    encounters = model.encounters
    caught = np.zeros((encounters.n, len(model.void_weight))) if encounters.caught is None else encounters.caught
    extra = np.zeros_like(caught) if model.weight is None else model.weight - model.void_weight
    animal, field = np.nonzero((caught != 0) | (extra != 0))
    exposure = model.exposure @ model.void_weight
    needed = model.exposure.T if animal.size else np.empty((0, exposure.size))
    trials, trial_pass, scale = _trials(model, exposure)
    distinct, which = np.unique(scale, return_inverse=True)
    series = np.array([term_series(x, model.probability) for x in distinct]).reshape(-1, TERMS)[which]
    return LocalTerms(
        trials=trials,
        trial_pass=trial_pass,
        trial_scale=scale,
        trial_series=series,
        trial_limit=_faithful(series, trials.entry),
        field_start=np.searchsorted(animal, np.arange(encounters.n + 1)),
        field=np.ascontiguousarray(field),  # one signature for the kernels
        caught=caught[animal, field],
        extra=extra[animal, field],
        ratio=np.divide(needed, exposure, out=np.zeros(needed.shape), where=exposure > 0),
        most=int(np.diff(trials.start).max(initial=0)),
    )


def _trials(model: BlockModel, exposure: np.ndarray) -> tuple[SparseRows, np.ndarray, np.ndarray]:
    """(trials by animal, pass of each, scale of each).

    Hazards: scale = exposure of the trial relative to all of its pass's, as the tables hold. Probabilities: scale =
    the exposure itself, and detections that are no trial have a term as well, that of scale 0.
    """
    encounters = model.encounters
    trial = encounters.trials.column
    trial_pass = encounters.trial_pass[trial]
    if not model.probability:
        return encounters.trials, trial_pass, encounters.trial_exposure[trial] / exposure[trial_pass]
    n, width = encounters.n, len(exposure)
    animal = np.repeat(np.arange(n), np.diff(encounters.trials.start))
    keys = np.concatenate([encounters.animal * width + encounters.linear.column, animal * width + trial_pass])
    pair, place = np.unique(keys, return_inverse=True)
    left = np.bincount(place, np.concatenate([encounters.linear.entry, -encounters.trials.entry]), minlength=pair.size)
    pair, left = pair[left > 1e-9], left[left > 1e-9]
    owner = np.concatenate([animal, pair // width])
    order = np.argsort(owner, kind="stable")
    count = np.concatenate([encounters.trials.entry, left])[order]
    scale = np.concatenate([encounters.trial_exposure[trial], np.zeros(pair.size)])[order]
    rows = SparseRows.of(owner[order], np.arange(owner.size), count, n)
    return rows, np.concatenate([trial_pass, pair % width])[order], scale


def _faithful(series: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The argument [entries] up to which the last two terms, and so all that follow, do not matter."""
    last = np.maximum(np.abs(series[:, -2:]) * count[:, None], 1e-300)
    return np.min((FAITHFUL / last) ** (1.0 / np.arange(TERMS - 1, TERMS + 1)), axis=1, initial=np.inf)


def term_series(x: float, probability: bool) -> np.ndarray:
    """Coefficients [TERMS] of a trial's term in powers 1, 2, … of its Gaussian; equations in `kernels.spatial_math`."""
    bernoulli = np.zeros(TERMS + 1)  # of log φ(u)
    bernoulli[1] = 0.5
    for m, c in zip(range(2, TERMS + 1, 2), (C1, C2, C3, C4, C5, C6), strict=True):
        bernoulli[m] = c / m
    scaled = bernoulli * float(x) ** np.arange(TERMS + 1)
    if not probability:
        return scaled[1:]
    hazard = np.concatenate([[0.0], 1.0 / np.arange(1, TERMS + 1)])
    outer = scaled - bernoulli
    outer[1] += 1.0
    total, power = np.zeros(TERMS + 1), np.eye(1, TERMS + 1)[0]
    for m in range(1, TERMS + 1):
        power = np.convolve(power, hazard)[: TERMS + 1]
        total += outer[m] * power
    return total[1:]
