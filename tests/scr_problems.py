"""Small surveys for tests of `models.SCR`, and numerical derivatives of a model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from uncia import models, survey


def detectors(kind: str, occasions: int = 4, side: int = 3, spacing: float = 300.0, gaps: bool = True):
    """A square of detectors; with gaps the first is not set on the first occasion and effort differs."""
    x, y = np.meshgrid(np.arange(side) * spacing + 50_000, np.arange(side) * spacing + 80_000)
    effort = np.ones((occasions, side * side))
    if gaps:
        effort[0, 0], effort[2, 3], effort[1] = 0.0, 0.0, 0.5
    names = [f"C{i + 1:02d}" for i in range(side * side)]
    return survey.Detectors(names, x.ravel(), y.ravel(), effort, kind)


def small(kind: str, *, removed: bool = False, seed: int = 5):
    """Captures of a few animals, some of them once, and a mask of some hundred cells; `sex` is known of two thirds."""
    d = detectors(kind)
    mask = survey.HabitatMask.around(d, 450.0, 150.0)
    nothing = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C02"]}), d)
    plan = models.SCR(nothing, mask, detection="hazard half-normal")
    captures = plan.simulate({"D": 1100.0, "lambda0": 0.3, "sigma": 300.0}, seed)
    frame = captures.detections.copy()
    if removed:
        frame.loc[frame["occasion"] == 3, "removed"] = [True] + [False] * (frame["occasion"].eq(3).sum() - 1)
        gone = frame.loc[frame["removed"], "animal"].iloc[0]
        frame = frame[~((frame["animal"] == gone) & (frame["occasion"] > 3))]
    n = captures.n_animals
    sex = np.resize(np.array(["female", "male", None, "male", "female", None], object), n)
    mass = np.round(np.random.default_rng(1).normal(30.0, 4.0, n), 1)
    animals = pd.DataFrame({"sex": sex, "mass": mass}, index=captures.animals.index)
    return survey.CaptureHistory(frame, d, animals=animals), mask


def surveyed(kind: str, **options) -> models.SCR:
    """A model to simulate from, on data simulated from a plain one."""
    d = detectors(kind, occasions=5, side=5, spacing=2000.0, gaps=False)
    mask = survey.HabitatMask.around(d, 6000.0, 1500.0)
    nothing = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C01"]}), d)
    plan = models.SCR(nothing, mask, detection="hazard half-normal")
    captures = plan.simulate({"D": 20.0, "lambda0": 0.3, "sigma": 2000.0}, 3)
    return models.SCR(captures, mask, detection="hazard half-normal", **options)


def differences_of_loglik(model, vector: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Gradient by central differences."""
    moves = step * np.eye(len(vector))
    return np.array([(model.loglik(vector + h) - model.loglik(vector - h)) / (2 * step) for h in moves])


def differences_of_gradient(model, vector: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Hessian by central differences of the gradient."""
    gradient = lambda v: model.loglik_and_gradient(v)[1]  # noqa: E731
    return np.array([(gradient(vector + h) - gradient(vector - h)) / (2 * step) for h in step * np.eye(len(vector))])
