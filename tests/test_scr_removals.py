"""Simulated losses on capture: how often, what follows, and where they are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scr_problems import detectors, small

from uncia import models, survey

AT = {"D": 4000.0, "lambda0": 0.3, "sigma": 300.0}
HAZARD = {"detection": "hazard half-normal"}


def plan(kind: str, **options) -> models.SCR:
    """A model of detectors of a kind, its data without any meaning."""
    d = detectors(kind, occasions=6, gaps=False)
    frame = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C02"]})
    return models.SCR(survey.CaptureHistory(frame, d), survey.HabitatMask.around(d, 450.0, 150.0), **HAZARD, **options)


def occasions_of(captures) -> pd.DataFrame:
    """Occasions on which each animal was detected, and the one on which it was removed (NaN: none)."""
    frame = captures.detections
    by = frame.groupby("animal")["occasion"].agg(["nunique", "max"])
    return by.assign(gone=frame[frame["removed"]].groupby("animal")["occasion"].min())


@pytest.mark.parametrize("kind", ["proximity", "count", "multi", "single", "capped"])
def test_animals_are_removed_as_often_as_said_and_never_detected_later(kind):
    drawn = plan(kind).simulate(AT, 1, removed=0.4)
    seen = occasions_of(drawn)
    gone = seen["gone"].notna()
    assert (seen.loc[gone, "gone"] == seen.loc[gone, "max"]).all()
    chances = seen["nunique"].sum()
    assert abs(gone.sum() / chances - 0.4) < 3 * np.sqrt(0.24 / chances)
    assert not drawn.detections.loc[drawn.detections["removed"], "animal"].duplicated().any()


def test_all_that_are_detected_may_be_removed_and_none_may_be():
    model = plan("multi")
    assert (model.simulate(AT, 2, removed=1.0).detections["removed"]).all()
    never = model.simulate(AT, 2, removed=0.0)
    assert never.equals(model.simulate(AT, 2)) and not never.detections["removed"].any()
    assert model.simulate(AT, 3, removed=0.3).equals(model.simulate(AT, 3, removed=0.3))


def test_detections_before_a_removal_are_those_without_it():
    whole, some = (plan("count").simulate(AT, 4, plan_centres(), removed=p) for p in (0.0, 1.0))
    first = whole.detections[whole.detections["occasion"].eq(1)]
    same = some.detections[some.detections["occasion"].eq(1)]
    assert len(first) == len(same) and (first["count"].to_numpy() == same["count"].to_numpy()).all()


def plan_centres() -> pd.DataFrame:
    """Thirty animals among the detectors."""
    rng = np.random.default_rng(7)
    return pd.DataFrame({"x": rng.uniform(50_000, 50_600, 30), "y": rng.uniform(80_000, 80_600, 30)})


def test_traps_of_removed_animals_are_free_for_others():
    centres = plan_centres()
    model = plan("single")
    first = lambda c: c.detections["animal"].nunique()  # noqa: E731
    removed = [first(model.simulate({**AT, "lambda0": 1.0}, s, centres, removed=1.0)) for s in range(8)]
    staying = [first(model.simulate({**AT, "lambda0": 1.0}, s, centres, removed=0.0)) for s in range(8)]
    assert np.mean(removed) > np.mean(staying)


def test_by_default_as_many_are_removed_as_in_the_data_also_by_a_bootstrap():
    captures, mask = small("proximity", removed=True)
    model = models.SCR(captures, mask, **HAZARD)
    share = captures.detections.groupby(["animal", "occasion"])["removed"].any().mean()
    drawn = [occasions_of(model.simulate(AT, seed)) for seed in range(40)]
    found = sum(d["gone"].notna().sum() for d in drawn) / sum(d["nunique"].sum() for d in drawn)
    assert share > 0 and found == pytest.approx(share, rel=0.25)
    fit = model.fit()
    again = fit.bootstrap(4, seed=1, workers=1)
    assert np.isfinite(again.estimates["estimate"]).all()


def test_what_is_not_simulated_is_said():
    with pytest.raises(survey.SurveyError, match="removed is the probability that a detected animal is removed"):
        plan("multi").simulate(AT, 1, removed=1.5)
    d = detectors("single", occasions=4, gaps=False)
    frame = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C02"]})
    camera = detectors("proximity", occasions=4, gaps=False)
    both = survey.together({"trap": survey.CaptureHistory(frame, d), "camera": survey.CaptureHistory(frame, camera)})
    model = models.SCR(both, survey.HabitatMask.around(d, 450.0, 150.0), **HAZARD)
    with pytest.raises(survey.SurveyError, match="removals are not simulated by several methods where what detectors"):
        model.simulate(AT, 1, removed=0.2)
    together = {
        "trap": survey.CaptureHistory(frame, detectors("multi", occasions=4, gaps=False)),
        "camera": both.methods["camera"],
    }
    model = models.SCR(survey.together(together), survey.HabitatMask.around(d, 450.0, 150.0), **HAZARD)
    seen = occasions_of(model.simulate(AT, 1, removed=0.3))
    gone = seen["gone"].notna()
    assert gone.any() and (seen.loc[gone, "gone"] == seen.loc[gone, "max"]).all()
    whole = model.simulate({**AT, "lambda0": 1.0}, 1, removed=1.0)
    met = whole.detections.groupby("animal")["detector"].agg(lambda names: {name.split(":")[0] for name in names})
    assert (met.str.len() == 2).any()  # by both methods on the occasion of the removal, which is marked once
    assert whole.detections.groupby("animal")["removed"].sum().eq(1).all()
