"""What animals' likelihoods have beyond a Gaussian: binary trials, competing fields, exposure of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels.spatial_tiles import Local
from .blockwise import BlockModel
from .encounters import SparseRows


@dataclass(frozen=True)
class LocalTerms:
    """None of this depends on parameters, because all hazards are in units of what the void is exposed to.

    CSR over animals, as in the kernel's `Local`.
    """

    trials: SparseRows  # column: distinct trial
    trial_pass: np.ndarray  # int [entries of trials]
    trial_share: np.ndarray  # float [entries of trials], exposure of a trial relative to all of its pass's
    field_start: np.ndarray
    field: np.ndarray
    caught: np.ndarray
    extra: np.ndarray
    ratio: np.ndarray  # float [F or 0, G]

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
            self.trial_share,
            self.trials.entry,
            self.field_start,
            self.field,
            self.caught,
            self.extra,
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
    trial = encounters.trials.column
    trial_pass = encounters.trial_pass[trial]
    return LocalTerms(
        trials=encounters.trials,
        trial_pass=trial_pass,
        trial_share=encounters.trial_exposure[trial] / exposure[trial_pass],
        field_start=np.searchsorted(animal, np.arange(encounters.n + 1)),
        field=field,
        caught=caught[animal, field],
        extra=extra[animal, field],
        ratio=np.divide(needed, exposure, out=np.zeros(needed.shape), where=exposure > 0),
    )
