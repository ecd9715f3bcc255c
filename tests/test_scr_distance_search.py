"""Searched areas and lines where distances are not straight lines: cell by cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_distance
import pandas as pd
import pytest
import shapely
from scr_problems import differences_of_loglik, small

from uncia import models, survey
from uncia.models.spatial.least_cost import LeastCost
from uncia.models.spatial.rows import log_measure
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
AT = {"D": 900.0, "lambda0": 0.8, "sigma": 280.0}
RIDGE = [(49_900.0, 79_960.0), (50_210.0, 80_310.0), (50_590.0, 80_420.0)]
WALL = [(50_130.0, 79_500.0), (50_130.0, 80_110.0)]
VALLEY = [(49_800.0, 79_900.0), (50_700.0, 79_980.0), (50_400.0, 80_700.0), (50_010.0, 80_300.0)]


def ground() -> survey.HabitatMask:
    mask = small("count")[1]
    mask = replace(mask, habitat=mask.habitat & ~(np.indices(mask.habitat.shape)[1] < 1))
    row, column = np.indices(mask.habitat.shape)
    return mask.with_covariate("ruggedness", np.sin(0.9 * row) + 0.3 * np.cos(1.7 * column))


def found(kind: str) -> survey.CaptureHistory:
    """Four animals found along a ridge or in a valley on three occasions, the second with half the effort."""
    effort = np.array([[1.0], [0.5], [2.0]])
    searched = survey.transects({"S": shapely.LineString(RIDGE)}, effort)
    if kind == "area":
        searched = survey.searched_areas({"S": shapely.Polygon(VALLEY)}, effort)
    places = {"a": [(1, 0.1), (2, 0.2), (3, 0.25)], "b": [(1, 0.7)], "c": [(3, 0.6), (3, 0.9)], "d": [(2, 0.0)]}
    rows = []
    for animal, seen in places.items():
        for occasion, along in seen:
            at = shapely.LineString(RIDGE).interpolate(along, normalized=True)
            rows.append((animal, occasion, "S", at.x, at.y))
    return survey.CaptureHistory(pd.DataFrame(rows, columns=["animal", "occasion", "detector", "x", "y"]), searched)


@pytest.mark.parametrize("kind", ["transect", "area"])
def test_the_likelihood_is_that_written_out(kind):
    captures, mask = found(kind), ground()
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **HAZARD)
    between = oracle_distance.between_cells(mask, np.exp(0.4 * mask.covariate("ruggedness")))
    scale = 0.8
    if kind == "area":
        scale /= np.exp(log_measure(HAZARD["detection"], np.array([280.0]), np.ones(1))[0][0])
    there = oracle_distance.searched(captures, mask, mask, 900.0, scale, 280.0, HAZARD["detection"], between)
    assert model.at(**AT, cost={"ruggedness": 0.4}).loglik == pytest.approx(there, abs=1e-8)


@pytest.mark.parametrize("kind", ["transect", "area"])
def test_gradient_with_cameras_beside(kind):
    both = survey.together({"camera": small("count")[0], "search": found(kind)})
    model = models.SCR(both, ground(), lambda0="~ method", distance=LeastCost("~ ruggedness"), **HAZARD)
    vector = model.start() + 0.02 * np.arange(1, model.parameters.size + 1)
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=2e-5)
    assert np.abs(mine).min() > 1e-3


def test_cells_as_count_detectors_say_the_same():
    """One place per cell, effort its km: the same animals and, but for constants of the counts, the same likelihood."""
    captures, mask = found("transect"), ground()
    x, y = mask.centres()
    cells = np.unique(mask.cell_of(*captures.places))
    half = 0.5 * mask.spacing
    km = [shapely.LineString(RIDGE).intersection(shapely.box(a - half, b - half, a + half, b + half)).length / 1000
          for a, b in zip(x[cells], y[cells], strict=True)]  # fmt: skip
    every = np.flatnonzero([shapely.box(a - half, b - half, a + half, b + half).intersects(shapely.LineString(RIDGE))
                            for a, b in zip(x, y, strict=True)])  # fmt: skip
    assert len(every) > len(cells) and min(km) > 0
    way = [shapely.LineString(RIDGE).intersection(shapely.box(x[m] - half, y[m] - half, x[m] + half, y[m] + half))
           for m in every]  # fmt: skip
    effort = captures.detectors.effort * np.array([part.length / 1000 for part in way])
    frame = captures.detections.assign(detector=[f"m{m}" for m in mask.cell_of(*captures.places)])
    points = survey.Detectors([f"m{m}" for m in every], x[every], y[every], effort, "count")
    counted = survey.CaptureHistory(frame[["animal", "occasion", "detector"]], points)
    how = {"distance": LeastCost("~ ruggedness"), **HAZARD}
    a, b = models.SCR(captures, mask, **how), models.SCR(counted, mask, **how)
    moves = [AT | {"cost": {"ruggedness": c}, "sigma": s} for c, s in ((0.4, 280.0), (0.0, 280.0), (0.2, 350.0))]
    differ = [a.at(**at).loglik - b.at(**at).loglik for at in moves]
    assert np.ptp(differ) < 1e-8


def test_simulated_searches_are_fitted_again():
    captures, mask = found("area"), ground()
    for data in (captures, found("transect")):
        model = models.SCR(data, mask, distance=LeastCost(barriers=shapely.LineString(WALL)), **HAZARD)
        at = {"D": 4000.0, "lambda0": 3.0, "sigma": 300.0}
        again = model.simulate(at, 2)
        assert again.equals(model.simulate(at, 2))
        fit = model.on(again).fit()
        assert np.abs((fit.vector - model.parameters.vector_from(at)) / fit.se).max() < 3.0
    assert len(fit.residuals()) and 0.0 < fit.detection_probability().max() < 1.0


def test_messages():
    captures, mask = found("transect"), ground()
    less = replace(mask, habitat=mask.habitat & (np.indices(mask.habitat.shape)[0] > 4))
    with pytest.raises(SurveyError) as error:
        models.SCR(captures, less, distance=LeastCost(), **HAZARD)
    assert "along ways a search is known by its cells, and some of it lies outside" in str(error.value)
    assert "(found '52.6 % of S and 4 detections there')" in str(error.value)
    model = models.SCR(captures, mask, distance=LeastCost(), **HAZARD)
    with pytest.raises(SurveyError, match="what was searched is at many places"):
        model.at(**AT).distance("S")
    with pytest.raises(SurveyError, match="a matrix of distances needs detectors that are points"):
        models.SCR(captures, mask, distance=np.ones((1, mask.size)), **HAZARD)
