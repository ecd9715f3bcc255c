"""Detectors that record one animal per occasion, losses on capture by kind, clustered populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_scr
import pandas as pd
import pytest
from scr_problems import detectors, small

from uncia import models, survey


def capped(seed: int = 5):
    """The small survey at capped detectors."""
    captures, mask = small("proximity", seed=seed)
    first = captures.detections.drop_duplicates(["occasion", "detector"])
    return survey.CaptureHistory(first, replace(captures.detectors, kind="capped")), mask


def test_capped_detectors_have_the_likelihood_of_proximity_detectors_and_the_fit_says_so():
    captures, mask = capped()
    open_to_all = survey.CaptureHistory(captures.detections, replace(captures.detectors, kind="proximity"))
    fit = models.SCR(captures, mask, detection="hazard half-normal").fit()
    same = models.SCR(open_to_all, mask, detection="hazard half-normal")
    assert fit.loglik == pytest.approx(same.loglik(fit.vector), rel=1e-12)
    full = 100 * len(captures.detections) / captures.detectors.used.sum()
    assert "treated as proximity detectors, an approximation: an animal that comes to one" in str(fit)
    assert f"(here {full:.0f} %)" in str(fit)


def test_a_capped_detector_with_two_animals_on_an_occasion_is_refused():
    captures, _ = small("proximity")
    with pytest.raises(survey.SurveyError, match="where another animal was caught too: a capped detector records one"):
        survey.CaptureHistory(captures.detections, replace(captures.detectors, kind="capped"))


def test_simulated_capped_detectors_are_full_as_often_as_any_animal_comes():
    captures, mask = capped()
    model = models.SCR(captures, mask, detection="hazard half-normal")
    centres = pd.DataFrame({"x": [50_300.0, 50_350.0, 50_000.0], "y": [80_300.0, 80_250.0, 80_600.0]})
    d = captures.detectors
    hazard = 0.8 * np.exp(
        -0.5
        * ((centres["x"].to_numpy()[:, None] - d.x) ** 2 + (centres["y"].to_numpy()[:, None] - d.y) ** 2)
        / 250.0**2
    )
    n, seen = 30, 0
    for seed in range(n):
        made = model.simulate({"D": 1.0, "lambda0": 0.8, "sigma": 250.0}, seed, centres)
        assert not made.detections.duplicated(["occasion", "detector"]).any()
        seen += len(made.detections)
    expected = np.sum(-np.expm1(-np.where(d.used, d.effort, 0.0) * hazard.sum(axis=0)))
    assert seen / n == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("kind", ["count", "proximity", "multi", "capped"])
def test_after_a_loss_an_animal_says_nothing_whatever_the_detector(kind):
    if kind == "capped":
        captures, mask = capped()
        frame, occasion = captures.detections.copy(), 3
        frame["removed"] = frame["occasion"].eq(occasion) & ~frame.duplicated(["occasion"])
        gone = frame.loc[frame["removed"], "animal"].iloc[0]
        frame = frame[~((frame["animal"] == gone) & (frame["occasion"] > occasion))]
        captures = survey.CaptureHistory(frame, captures.detectors)
    else:
        captures, mask = small(kind, removed=True)
    assert captures.detections["removed"].any()
    fit = models.SCR(captures, mask, detection="hazard half-normal").at(D=900.0, lambda0=0.25, sigma=280.0)
    written = oracle_scr.loglik(captures, mask, 900.0, lambda s: (0.25, 280.0), detection="hazard half-normal")
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-10)


def test_single_catch_traps_with_a_loss_are_multi_catch_traps_in_the_likelihood():
    d = detectors("single", gaps=False)
    frame = pd.DataFrame(
        {"animal": ["a", "b", "a"], "occasion": [1, 1, 3], "detector": ["C01", "C02", "C04"], "removed": [0, 1, 0]}
    )
    captures, mask = survey.CaptureHistory(frame, d), survey.HabitatMask.around(d, 450.0, 150.0)
    several = survey.CaptureHistory(frame, replace(d, kind="multi"))
    values = {"D": 900.0, "lambda0": 0.25, "sigma": 280.0}
    one, many = (models.SCR(c, mask, detection="hazard half-normal").at(**values) for c in (captures, several))
    assert one.loglik == many.loglik
    assert "Single-catch traps are treated as multi-catch traps, an approximation" in str(one)


# ---- populations -----------------------------------------------------------------------------------------------------


def test_clusters_keep_the_density_and_lie_together():
    d = detectors("count", side=3, spacing=2000.0)
    mask = survey.HabitatMask.around(d, 6000.0, 1000.0)
    D = np.where(mask.centres()[0] > 52_000.0, 40.0, 10.0)
    numbers, nearest = [], []
    for seed in range(40):
        p = models.simulate_population(mask, D, seed, clusters=(6.0, 200.0))
        cell = mask.cell_of(p["x"], p["y"])
        assert (cell >= 0).all()
        numbers.append([np.sum(D[cell] == 40.0), np.sum(D[cell] == 10.0)])
        gap = np.hypot(p["x"].to_numpy()[:, None] - p["x"].to_numpy(), p["y"].to_numpy()[:, None] - p["y"].to_numpy())
        nearest += list(np.sort(gap, axis=1)[:, 1]) if len(p) > 1 else []
    expected = [np.sum(D[D == v]) * mask.cell_area / 100 for v in (40.0, 10.0)]
    mean, se = np.mean(numbers, axis=0), np.std(numbers, axis=0) / np.sqrt(40)
    assert np.all(np.abs(mean - expected) < 4 * se)
    assert np.var(numbers, axis=0)[0] > 2.0 * mean[0]  # a Poisson number would have a variance of its mean
    assert np.median(nearest) < 300.0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"clusters": (0.0, 100.0)}, "clusters need a mean size and an extent above 0"),
        ({"clusters": (5.0, 100.0), "distribution": "binomial"}, "the number of animals of clusters is random"),
    ],
)
def test_clusters_that_are_none_are_refused(how, words):
    mask = survey.HabitatMask.around(detectors("count"), 450.0, 150.0)
    with pytest.raises(survey.SurveyError, match=words):
        models.simulate_population(mask, 10.0, 1, **how)
