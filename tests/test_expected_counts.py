"""Expected counts of a design: against secrdesign, against simulation's average, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from reference import expected, mask, reference

from uncia import models, survey
from uncia.survey.errors import SurveyError

PER_100_KM2 = 1e4


def grid(kind: str, occasions: int = 1, effort=None) -> survey.Detectors:
    x, y = np.meshgrid(np.arange(8) * 20.0, np.arange(8) * 20.0)
    names = [f"D{i}" for i in range(64)]
    return survey.Detectors(names, x.ravel(), y.ravel(), np.ones((occasions, 64)) if effort is None else effort, kind)


@pytest.mark.parametrize("which", range(6))
def test_numbers_of_secrdesign(which):
    there = expected("design_expected_counts")[which]
    table = pd.read_csv(reference("design_expected_counts") / "detectors.csv")
    at, found, S = there["parameters"], there["derived"], there["parameters"]["S"]
    kind = there["model"].split("movements, ")[1].split()[0]
    detectors = survey.Detectors(table["detector"], table["x"], table["y"], np.ones((S, 64)), kind)
    habitat = mask("design_expected_counts")
    how = {"D": at["D"] * PER_100_KM2, "lambda0": at["lambda0"], "sigma": at["sigma"]}
    mine = models.expected_counts(detectors, habitat, **how)
    names = ["animals", "recaptures", "movements", "relative standard error"]
    assert list(mine[names]) == pytest.approx([found[k] for k in ("E_n", "E_r", "E_m", "min_nr_RSE")], rel=1e-6)
    # its number for traps comes 0.4 and 2.2 % short of Pr(caught) - Σ_k Pr(caught at k alone), which is exact
    tolerance = 0.025 if kind == "multi" else 1e-6
    assert mine["animals at two detectors or more"] == pytest.approx(found["En2"][1], rel=tolerance)
    if found["Qpm"]:
        shares = mine[["share of animals detected", "share at two detectors or more"]]
        assert list(shares) == pytest.approx(found["Qpm"], rel=1e-6)
    one = survey.Detectors(table["detector"], table["x"], table["y"], np.ones((1, 64)), kind)
    pd.testing.assert_series_equal(models.expected_counts(one, habitat, occasions=S, **how), mine)


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
def test_averages_of_simulations_with_uneven_effort(kind):
    effort = np.ones((4, 64))
    effort[0, ::3], effort[2] = 0.0, 0.5
    detectors = grid(kind, effort=effort)
    habitat = survey.HabitatMask.around(detectors, 80.0, 10.0)
    seen = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [2], "detector": ["D9"]}), detectors)
    at = {"D": 9e4, "lambda0": 0.1, "sigma": 20.0}
    model = models.SCR(seen, habitat, detection="hazard half-normal")
    numbers = []
    for seed in range(30):
        c = model.simulate(at, seed)
        places = c.detections.groupby("animal")["detector"].nunique()
        numbers.append([c.n_animals, c.n_detections, (places > 1).sum()])
    mine = models.expected_counts(detectors, habitat, **at)
    wanted = mine[["animals", "detections", "animals at two detectors or more"]]
    error = np.std(numbers, axis=0) / np.sqrt(30)
    assert np.all(np.abs(np.mean(numbers, axis=0) - wanted) < 3.5 * error)


def test_messages():
    detectors = grid("count")
    habitat = survey.HabitatMask.around(detectors, 80.0, 10.0)
    with pytest.raises(SurveyError, match=r"lambda0 is needed\. 'hazard half-normal' has lambda0"):
        models.expected_counts(detectors, habitat, D=1.0, sigma=20.0)
    with pytest.raises(SurveyError, match="g0 is not a parameter"):
        models.expected_counts(detectors, habitat, D=1.0, sigma=20.0, lambda0=0.1, g0=0.2)
    uneven = grid("count", effort=np.array([np.ones(64), np.full(64, 2.0)]))
    with pytest.raises(SurveyError, match="the occasions differ in effort"):
        models.expected_counts(uneven, habitat, D=1.0, sigma=20.0, lambda0=0.1, occasions=5)
