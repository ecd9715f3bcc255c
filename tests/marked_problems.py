"""Small sets of encounter histories for the tests of marked animals, and a check of gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from reference import reference

from uncia.survey.encounters import EncounterHistory


def histories(seed: int, n: int = 12, T: int = 5, p: float = 0.4, losses: bool = False, gaps: bool = False):
    """n animals with a sex, met at random; with `gaps` nobody looked on the third occasion, with `losses` some die."""
    rng = np.random.default_rng(seed)
    states = (rng.random((n, T)) < p).astype(int)
    states[np.arange(n), rng.integers(0, T, n)] = 1
    if gaps and T > 3:
        states[:, 2] = -1
        states[~(states > 0).any(axis=1), 0] = 1
    animals = pd.DataFrame(
        {"sex": np.where(np.arange(n) % 2, "male", "female"), "mass": np.round(rng.normal(size=n), 2)},
        index=[f"a{i}" for i in range(n)],
    )
    effort = pd.DataFrame({"effort": np.linspace(-1.0, 1.0, T)})
    removed = rng.random(n) < 0.3 if losses else None
    return EncounterHistory(states, rng.integers(1, 4, n), removed, animals, effort)


def suite(name: str, **more) -> EncounterHistory:
    """The histories of a data set of the reference suite, without the animals that were never met."""
    frame = pd.read_csv(reference(name) / "histories.csv")
    frame = frame[frame.filter(like="occasion_").any(axis=1)]
    animals = frame[[c for c in frame if not c.startswith("occasion_") and c != "animal"]]
    return EncounterHistory(frame.filter(like="occasion_").to_numpy(), animals=animals, **more)


def assert_gradient(model, vector, rtol=1e-5, step=1e-6):
    """The gradient against central differences of the log-likelihood."""
    _, gradient = model.loglik_and_gradient(vector)
    for j in range(len(vector)):
        e = np.zeros(len(vector))
        e[j] = step
        difference = (model.loglik(vector + e) - model.loglik(vector - e)) / (2 * step)
        np.testing.assert_allclose(gradient[j], difference, rtol=rtol, atol=1e-5)
