"""Collared animals where distances are not straight lines: fixes along least-cost ways."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import oracle_distance
import pandas as pd
import pytest
import shapely
from scr_problems import differences_of_loglik, small
from test_scr_telemetry import collars

from uncia import models, survey
from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.spatial.engine.ranges import Ground
from uncia.models.spatial.least_cost import LeastCost
from uncia.models.spatial.simulate_ways import draw_along, from_cell
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
AT = {"D": 900.0, "lambda0": 0.25, "sigma": 280.0}
WALL = shapely.LineString([(50_130.0, 79_500.0), (50_130.0, 80_420.0)])


def rough(kind: str, independent: bool = True):
    """Captures with collars and a mask with a covariate and a hole."""
    captures, mask = small(kind)
    mask = replace(mask, habitat=mask.habitat & ~(np.indices(mask.habitat.shape)[0] < 1))
    row, column = np.indices(mask.habitat.shape)
    mask = mask.with_covariate("ruggedness", np.sin(0.9 * row) + 0.3 * np.cos(1.7 * column))
    fixes = collars(captures, sigma=150.0, independent=independent)
    inside = mask.is_habitat(fixes.fixes["x"], fixes.fixes["y"])
    return captures.with_telemetry(replace(fixes, fixes=fixes.fixes[inside])), mask


def metres(captures, raster, cost, wall=None):
    """Distances to the cells of a raster: from detectors [K, N], from fixes [F, N], between cells [N, N]."""
    between = oracle_distance.between_cells(raster, cost, 16, wall)
    d, f = captures.detectors, captures.telemetry.fixes
    return *(oracle_distance.from_places(raster, cost, p.x, p.y, between, wall) for p in (d, f)), between


@pytest.mark.parametrize(
    ("kind", "detection", "wall"),
    [("count", "hazard half-normal", None), ("multi", "hazard exponential", WALL)],
)
def test_the_likelihood_is_that_written_out(kind, detection, wall):
    captures, mask = rough(kind)
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness", barriers=wall), detection=detection)
    found = model.at(**AT, cost={"ruggedness": 0.4}).loglik
    all_ways = metres(captures, mask, np.exp(0.4 * mask.covariate("ruggedness")), wall)
    written = oracle_distance.with_collars(captures, mask, detection, 900.0, lambda c: (0.25, 280.0), *all_ways)
    assert found == pytest.approx(written, abs=1e-8)


def test_classes_known_and_unknown_have_ranges_of_their_own():
    captures, mask = rough("count")
    model = models.SCR(captures, mask, sigma="~ sex", classes="sex", distance=LeastCost("~ ruggedness"), **HAZARD)
    sigma = {"Intercept": np.log(250.0), "sex[T.male]": 0.4}
    found = model.at(D=900.0, lambda0=0.25, sigma=sigma, pmix=0.4, cost={"ruggedness": 0.4}).loglik
    all_ways = metres(captures, mask, np.exp(0.4 * mask.covariate("ruggedness")))
    own = {"female": (0.25, 250.0), "male": (0.25, 250.0 * np.exp(0.4))}
    shares = {"female": 0.6, "male": 0.4}
    written = oracle_distance.with_collars(captures, mask, HAZARD["detection"], 900.0, own.get, *all_ways, shares)
    assert found == pytest.approx(written, abs=1e-8)
    vector = model.start() + 0.05 * np.arange(1, model.parameters.size + 1)
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=2e-5)


def test_animals_walk_and_are_collared_where_they_do_not_live():
    captures, mask = rough("count")
    everywhere = replace(mask, habitat=np.ones_like(mask.habitat), covariates=mask.covariates)
    below = pd.DataFrame({"animal": ["U1"], "x": [50_200.0], "y": [79_560.0]})
    assert mask.cell_of(below["x"], below["y"]) < 0 <= everywhere.cell_of(below["x"], below["y"])
    fixes = pd.concat([captures.telemetry.fixes, below])
    captures = captures.with_telemetry(replace(captures.telemetry, fixes=fixes))
    with pytest.raises(SurveyError) as error:
        models.SCR(captures, mask, distance=LeastCost(), **HAZARD)
    assert "1 of 19 fixes of collared animals lie where the model lets no animal go" in str(error.value)
    assert "(found 'U1 (1)'). Extend the mask to them, or leave them out, or give through= a" in str(error.value)
    model = models.SCR(captures, mask, distance=LeastCost(through="everywhere"), **HAZARD)
    assert (
        model.at(**AT).loglik
        == models.SCR(captures, mask, distance=LeastCost(through=everywhere), **HAZARD).at(**AT).loglik
    )
    detectors, fixes, between = metres(captures, everywhere, np.ones(everywhere.size))
    home = everywhere.cell_of(*mask.centres())
    written = oracle_distance.with_collars(
        captures, mask, HAZARD["detection"], 900.0, lambda c: (0.25, 280.0),
        detectors[:, home], fixes[:, home], between[home],
    )  # fmt: skip
    assert model.at(**AT).loglik == pytest.approx(written, abs=1e-8)


@pytest.mark.parametrize("detection", ["hazard exponential", "hazard annular normal", "hazard variable power"])
def test_gradient(detection):
    captures, mask = rough("proximity")
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), detection=detection)
    vector = model.start() + 0.05 * np.arange(1, model.parameters.size + 1)
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=2e-5)
    assert np.abs(mine).min() > 1e-3


def test_a_function_of_places_says_the_same_as_the_ways():
    captures, mask = rough("count")

    def crow(x, y, cells_x, cells_y):
        return np.hypot(cells_x - x, cells_y - y)

    x, y = mask.centres()
    places = [(captures.detectors.x, captures.detectors.y), captures.telemetry.fixes[["x", "y"]].to_numpy().T, (x, y)]
    all_ways = [crow(np.asarray(a)[:, None], np.asarray(b)[:, None], x, y) for a, b in places]
    written = oracle_distance.with_collars(
        captures, mask, HAZARD["detection"], 900.0, lambda c: (0.25, 280.0), *all_ways
    )
    model = models.SCR(captures, mask, distance=crow, **HAZARD)
    assert model.at(**AT).loglik == pytest.approx(written, abs=1e-8)
    assert np.isfinite(model.fit().se).all()


def test_no_fixes_change_nothing():
    captures, mask = rough("count")
    none = survey.Telemetry(pd.DataFrame({"animal": [], "x": [], "y": []}))
    how = {"distance": LeastCost("~ ruggedness"), **HAZARD}
    plain, empty = (models.SCR(captures.with_telemetry(t), mask, **how) for t in (None, none))
    vector = plain.start() + 0.1
    assert empty.loglik(vector) == plain.loglik(vector)


def test_centres_that_are_left_out_do_not_matter(monkeypatch):
    """A coarser bound leaves out fewer centres, and nothing else changes."""
    captures, _ = rough("count")
    mask = survey.HabitatMask.around(captures, 2400.0, 75.0)
    row, column = np.indices(mask.habitat.shape)
    mask = mask.with_covariate("ruggedness", np.sin(0.3 * row) + 0.3 * np.cos(0.5 * column))
    model, asked = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **HAZARD), []
    of_cells, least = Ground.log_z, Ground.least
    monkeypatch.setattr(Ground, "log_z", lambda self, cells: asked.append(len(cells)) or of_cells(self, cells))
    vector = model.parameters.vector_from(AT | {"sigma": 150.0, "cost": {"ruggedness": 0.4}})
    found, gradient = model.loglik_and_gradient(vector)
    few, asked[:] = sum(asked), []
    monkeypatch.setattr(Ground, "least", lambda self, cells: least(self, cells) - 6.0)
    again, as_well = model.loglik_and_gradient(vector)
    assert few < 0.8 * sum(asked) and few < 0.4 * mask.size
    assert found == pytest.approx(again, abs=1e-9)
    np.testing.assert_allclose(gradient, as_well, rtol=1e-8, atol=1e-8)


def test_on_open_ground_and_a_fine_raster_it_is_that_of_straight_lines():
    captures, _ = rough("count")
    mask = survey.HabitatMask.around(captures, 1500.0, 50.0)
    at = AT | {"sigma": 150.0}
    straight = models.SCR(captures, mask, **HAZARD).at(**at)
    plain, through = (
        models.SCR(captures.with_telemetry(t), mask, distance=LeastCost(), **HAZARD) for t in (None, captures.telemetry)
    )
    alone = models.SCR(captures.with_telemetry(None), mask, **HAZARD).at(**at)
    of_fixes = [straight.loglik - alone.loglik, through.at(**at).loglik - plain.at(**at).loglik]
    assert of_fixes[0] < -200.0
    assert of_fixes[1] == pytest.approx(of_fixes[0], abs=1.0)  # ways are up to 2.7 % longer


def test_where_an_animal_lives_is_where_its_fixes_are():
    captures, mask = rough("count")
    fit = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **HAZARD).at(**AT, cost={"ruggedness": 0.4})
    name = str(captures.animals.index[0])
    where = fit.activity_centre(name).to_numpy()[mask.habitat]
    assert where.sum() == pytest.approx(1.0)
    x, y = mask.centres()
    mine = captures.telemetry.fixes.query("animal == @name")
    assert np.hypot((where @ x) - mine["x"].mean(), (where @ y) - mine["y"].mean()) < 150.0


def test_a_simulated_survey_has_fixes_along_the_ways():
    captures, mask = rough("count")
    model = models.SCR(captures, mask, distance=LeastCost(barriers=WALL.buffer(1.0)), **HAZARD)
    again = model.simulate(AT, 2)
    count = lambda c: sorted(c.telemetry.fixes.groupby("animal").size())  # noqa: E731
    assert count(again) == count(captures)
    assert again.equals(model.simulate(AT, 2))
    assert np.isfinite(model.on(again).loglik(model.start()))


def test_fixes_are_drawn_with_the_density_that_they_have():
    """Mean log k of many fixes of an animal in a corner between walls, against its expectation over cells."""
    mask = survey.HabitatMask(0.0, 0.0, 100.0, np.ones((25, 25), bool))
    mask = mask.with_covariate("forest", (mask.centres()[0] > 1500.0).reshape(25, 25).astype(float))
    wall = shapely.LineString([(1050.0, -100.0), (1050.0, 1500.0)])
    d = survey.Detectors(["A"], [800.0], [300.0], np.ones((1, 1)), "count")
    captures = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["A"]}), d)
    session = models.SCR(captures, mask, distance=LeastCost("~ forest", barriers=wall), **HAZARD).session()
    cost = np.exp(0.7 * mask.covariate("forest"))
    shape, values = DETECTION_FUNCTIONS[HAZARD["detection"]], {"cost": cost}
    place = np.array([810.0]), np.array([290.0])
    drawn = draw_along(np.random.default_rng(1), shape, session.metric, values, *place, 1000, 500.0)
    far = from_cell(session.metric, values, int(mask.cell_of(*place)[0]), shape.name, 500.0, 1.0)
    density = shape.relative(far, 500.0, 1.0) / shape.relative(far, 500.0, 1.0).sum()
    cell, beyond = mask.cell_of(drawn["x"], drawn["y"]), (mask.centres()[0] > 1050.0) & (mask.centres()[1] < 1000.0)
    assert density[beyond].sum() < 0.02 > beyond[cell].mean()
    assert far[cell].mean() == pytest.approx(density @ np.minimum(far, 1e9), rel=0.06)
    assert np.mean(mask.centres()[0][cell]) == pytest.approx(density @ mask.centres()[0], abs=40.0)


def test_a_model_with_collars_is_fitted_and_travels():
    captures, mask = rough("count")
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **HAZARD)
    fit = model.fit()
    assert np.isfinite(fit.se).all()
    assert pickle.loads(pickle.dumps(model)).loglik(fit.vector) == fit.loglik
    assert "inform sigma alone" in str(fit)


def test_messages():
    captures, mask = rough("count")
    matrix = np.ones((9, mask.size))
    with pytest.raises(SurveyError, match="a matrix of distances says how far it is from the detectors, and the fixes"):
        models.SCR(captures, mask, distance=matrix, **HAZARD)
    whole = shapely.LineString([(50_130.0, 79_000.0), (50_130.0, 82_000.0)])
    west = captures.detections[captures.detections["detector"].isin(["C01", "C04", "C07"])]
    seen = replace(captures, detections=west, animals=pd.DataFrame())
    name = seen.animals.index[0]
    fixes = pd.DataFrame({"animal": [name], "x": [50_300.0], "y": [80_200.0]})
    with pytest.raises(SurveyError, match=f"{name!r} at 'C0[147]' and at \\(50,300, 80,200\\)"):
        models.SCR(seen.with_telemetry(survey.Telemetry(fixes)), mask, distance=LeastCost(barriers=whole), **HAZARD)
    fine = survey.HabitatMask.around(captures, 1500.0, 30.0)
    with pytest.raises(SurveyError, match="asked for those between all 12,260"):
        models.SCR(captures, fine, distance=lambda x, y, u, v: np.hypot(u - x, v - y), **HAZARD)


def test_animals_known_from_collars_alone():
    captures, mask = rough("multi")
    fixes = captures.telemetry.fixes
    alone = replace(captures.telemetry, fixes=fixes[fixes["animal"].str.startswith("U")])
    model = models.SCR(captures.with_telemetry(alone), mask, distance=LeastCost(), **HAZARD)
    fit = model.fit()
    mine = model.loglik_and_gradient(fit.vector + 0.1)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, fit.vector + 0.1), rtol=2e-6, atol=2e-5)
    assert np.isfinite(fit.se).all()
