"""Encounter histories drawn from a model of a closed population."""

from __future__ import annotations

import numpy as np

from ...survey.encounters import MISSING, EncounterHistory
from .individual import shifted
from .losses import with_losses


def population(model, values) -> np.ndarray:
    """Animals of each profile [G], met or not."""
    if "f0" in values:
        return model.n + values["f0"][model.layouts["f0"].index]
    return model.n / -np.expm1(model.log_unseen(values))


def simulate_closed(model, vector: np.ndarray, seed: int) -> EncounterHistory:
    """A data set with the model's groups and occasions; only animals that are met are in it."""
    rng = np.random.default_rng(seed)
    values = model.parameters.values(vector)
    p, proportion = model.detection(values), model.proportions(values)
    size = population(model, values)
    count = np.floor(size).astype(int)
    count += rng.random(len(size)) < size - count
    profile = np.repeat(np.arange(len(size)), count)
    cut = np.cumsum(proportion, axis=1)[profile]
    kind = (rng.random((len(profile), 1)) > cut[:, :-1]).sum(axis=1)
    effect = float(values["sigma_p"][0]) * rng.normal(size=len(profile)) if model.heterogeneity else None
    states = np.zeros((len(profile), model.history.n_occasions), np.int8)
    marked = np.zeros(len(profile), int)
    for t in range(states.shape[1]):
        chance = p[model.index[profile, kind, marked, t]]
        met = rng.random(len(profile)) < (chance if effect is None else shifted(chance, effect))
        states[:, t] = np.where(model._not_looked[profile, t], MISSING, met)
        marked |= states[:, t] == 1
    seen = marked == 1
    animals = model.groups.iloc[profile[seen]].set_axis([str(i + 1) for i in range(seen.sum())], axis=0)
    h = model.history
    states, removed = with_losses(states[seen], h, rng)
    return EncounterHistory(states, None, removed, animals, h.occasions, h.intervals, h.interval_unit)
