"""SCR at distances that are not straight lines: given numbers, least-cost ways, barriers."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import oracle_scr
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_array
from scr_problems import differences_of_loglik, small

from uncia import models, survey
from uncia.models.spatial.abundance import by_class, sampling_area
from uncia.models.spatial.engine.distances import Fixed, Reached
from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.given_likelihood import GivenDistanceLikelihood
from uncia.models.spatial.least_cost import Landscape, LeastCost, Ways
from uncia.models.verdict import Outcome
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
AT = {"D": 900.0, "lambda0": 0.25, "sigma": 280.0}


def rough(kind: str, **how):
    """Captures and a mask with two covariates, a hole in it."""
    captures, mask = small(kind, **how)
    habitat = mask.habitat.copy()
    habitat[4, 3:6] = False
    mask = replace(mask, habitat=habitat)
    row, column = np.indices(habitat.shape)
    mask = mask.with_covariate("ruggedness", np.sin(0.9 * row) + 0.3 * np.cos(1.7 * column))
    return captures, mask.with_covariate("forest", (column > 4).astype(float))


def straight(captures, mask) -> np.ndarray:
    x, y = mask.centres()
    d = captures.detectors
    return np.hypot(d.x[:, None] - x, d.y[:, None] - y)


def shortest(captures, mask, cost: np.ndarray, neighbours: int, wall=None) -> np.ndarray:
    """Least-cost distances [K, M], relaxing every step until nothing gets shorter: slow and obvious."""
    x, y = mask.centres()
    d, s = captures.detectors, mask.spacing
    steps = []
    for u in range(mask.size):
        for v in range(mask.size):
            apart = sorted((round(abs(x[u] - x[v]) / s), round(abs(y[u] - y[v]) / s)))
            near = apart in ([0, 1], [1, 1]) or (neighbours == 16 and apart == [1, 2])
            way = shapely.LineString([(x[u], y[u]), (x[v], y[v])])
            if near and not (wall is not None and way.intersects(wall)):
                steps.append((u, v, np.hypot(x[u] - x[v], y[u] - y[v]) * (cost[u] + cost[v]) / 2))
    found = np.full((len(d), mask.size), np.inf)
    for k in range(len(d)):
        to = np.hypot(x - d.x[k], y - d.y[k])
        home = int(mask.cell_of(d.x[k], d.y[k]))
        home = int(to.argmin()) if home < 0 else home
        for v in np.flatnonzero(to <= 1.6 * s):
            if wall is None or not shapely.LineString([(d.x[k], d.y[k]), (x[v], y[v])]).intersects(wall):
                found[k, v] = max(to[v], 1e-6) * (cost[home] + cost[v]) / 2
        changed = True
        while changed:
            changed = False
            for u, v, length in steps:
                if found[k, u] + length < found[k, v] - 1e-9:
                    found[k, v], changed = found[k, u] + length, True
    return found


@pytest.mark.parametrize(("kind", "neighbours"), [("count", 8), ("multi", 16), ("proximity", 16)])
def test_least_cost_against_the_obvious_way(kind, neighbours):
    captures, mask = rough(kind)
    wall = shapely.LineString([(50_130.0, 79_500.0), (50_130.0, 80_420.0)])
    how = LeastCost("~ ruggedness + forest", neighbours=neighbours, barriers=wall)
    model = models.SCR(captures, mask, distance=how, **HAZARD)
    at = AT | {"cost": {"ruggedness": 0.4, "forest": -0.3}}
    cost = np.exp(0.4 * mask.covariate("ruggedness") - 0.3 * mask.covariate("forest"))
    distances = shortest(captures, mask, cost, neighbours, wall)
    there = oracle_scr.loglik(captures, mask, 900.0, lambda row: (0.25, 280.0), distances=distances, **HAZARD)
    assert model.at(**at).loglik == pytest.approx(there, abs=1e-8)


OPTIONS = {
    "count": {},
    "multi": {"D": "~ forest", "distribution": "binomial"},
    "proximity": {"classes": "sex", "sigma": "~ sex"},
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_gradient(kind):
    captures, mask = rough(kind, removed=kind == "multi")
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness + forest"), **OPTIONS[kind], **HAZARD)
    vector = model.start() + 0.05 * np.arange(1, model.parameters.size + 1)
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=1e-5)
    assert np.abs(mine[-2:]).min() > 1e-3


def test_derived_quantities_move_with_the_cost_as_their_gradient_says():
    captures, mask = rough("count")
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **HAZARD)
    fit = model.at(**AT, cost={"ruggedness": 0.5})
    for what in (
        lambda f: sampling_area(f, f.model.session()),
        lambda f: by_class(f, f.model.session(), mask.clip(shapely.box(49_900, 79_900, 50_400, 80_900)))[0][1],
    ):
        moved = []
        for step in np.r_[np.eye(4), -np.eye(4)] * 1e-5:
            moved.append(what(replace(fit, vector=fit.vector + step)).value)
        by = (np.array(moved[:4]) - np.array(moved[4:])) / 2e-5
        np.testing.assert_allclose(what(fit).gradient, by, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["proximity", "multi"])
def test_straight_lines_as_a_matrix_are_the_ordinary_model(kind):
    captures, mask = rough(kind, removed=kind == "multi")
    how = {"g0": "~ bk", "D": "~ forest"}
    plain = models.SCR(captures, mask, **how).fit()
    given = models.SCR(captures, mask, distance=straight(captures, mask), **how).fit()
    assert given.loglik == pytest.approx(plain.loglik, abs=1e-9)
    np.testing.assert_allclose(given.vector, plain.vector, atol=1e-6)
    np.testing.assert_allclose(given.se, plain.se, rtol=1e-5)
    pd.testing.assert_frame_equal(given.derive(), plain.derive(), rtol=1e-5)
    region = shapely.box(49_900, 79_900, 50_400, 80_900)
    a, b = given.abundance(region), plain.abundance(region)  # cells cut finer have the distance of the whole cell
    np.testing.assert_allclose(a["estimate"], b["estimate"], rtol=0.02)
    name = str(captures.animals.index[0])
    np.testing.assert_allclose(given.activity_centre(name), plain.activity_centre(name), atol=1e-9)
    np.testing.assert_allclose(given.detection_probability(), plain.detection_probability(), rtol=1e-6)
    assert models.compare([given, plain])["delta"].max() == pytest.approx(0.0, abs=1e-6)


def test_dense_sparse_and_function_say_the_same():
    captures, mask = rough("count")
    dense = straight(captures, mask)
    within = np.where(dense < 600.0, dense, np.inf)
    k, m = np.nonzero(np.isfinite(within))
    sparse = coo_array((within[k, m], (k, m)), shape=within.shape)
    a, b = (models.SCR(captures, mask, distance=d, **HAZARD).at(**AT).loglik for d in (within, sparse))
    assert a == b

    def distance(x, y, cells_x, cells_y):
        away = np.hypot(cells_x - x, cells_y - y)
        return np.where(away < 600.0, away, np.inf)

    assert models.SCR(captures, mask, distance=distance, **HAZARD).at(**AT).loglik == pytest.approx(a, abs=1e-9)


def test_a_cost_that_is_the_same_everywhere_is_a_matter_of_sigma():
    captures, mask = rough("count")
    mask = mask.with_covariate("open", 1.0 - (np.indices(mask.habitat.shape)[1] > 4))
    model = models.SCR(captures, mask, distance=LeastCost("~ forest + open - 1"), **HAZARD)
    none = models.SCR(captures, mask, distance=LeastCost(), **HAZARD).at(**AT).loglik
    dear = model.at(**AT | {"sigma": 280.0 * np.exp(0.7)}, cost={"forest": 0.7, "open": 0.7}).loglik
    assert dear == pytest.approx(none, abs=1e-9)


@pytest.mark.parametrize(("neighbours", "known"), [(8, 1.0824), (16, 1.0275)])
def test_known_error_of_the_directions_that_steps_can_have(neighbours, known):
    mask = survey.HabitatMask(0.0, 0.0, 100.0, np.ones((61, 61), bool))
    land = Landscape.of(LeastCost(neighbours=neighbours), mask, [3000.0], [3000.0], ["C"])
    reached = Ways(land, np.ones(mask.size)).within(np.array([np.inf]))
    x, y = mask.centres()
    ratio = reached.metres / np.maximum(np.hypot(x - 3000.0, y - 3000.0), 1e-6)
    far = np.hypot(x - 3000.0, y - 3000.0) > 1500.0
    assert ratio.min() > 1.0 - 1e-9
    assert ratio[far].max() == pytest.approx(known, abs=2e-3)
    assert ratio[far].max() < known + 1e-3


def river(gap: bool):
    """A survey in two halves with a wall between them, and its distances."""
    captures, mask = small("count")
    north = 80_700.0 if gap else 82_000.0
    wall = shapely.LineString([(50_130.0, 79_000.0), (50_130.0, north)])
    return captures, mask, LeastCost(barriers=wall)


def test_a_wall_without_a_gap_cannot_be_passed():
    captures, mask, how = river(gap=False)
    with pytest.raises(SurveyError) as error:
        models.SCR(captures, mask, distance=how, **HAZARD)
    assert "detected at places that no way joins: 'A" in str(error.value)
    assert "Check the barriers, or leave a gap where animals cross" in str(error.value)
    west = captures.detections[captures.detections["detector"].isin(["C01", "C04", "C07"])]
    model = models.SCR(replace(captures, detections=west), mask, distance=how, **HAZARD)
    x, _ = mask.centres()
    fit = model.at(**AT)
    assert np.isfinite(fit.loglik)
    seen = model.simulate(AT, 3)
    sides = seen.detections.assign(west=seen.detections["detector"].isin(["C01", "C04", "C07"]))
    assert (sides.groupby("animal")["west"].nunique() == 1).all()
    alone = survey.Detectors(["C01"], [50_000.0], [80_000.0], np.ones((4, 1)), "count")
    one = survey.CaptureHistory(west[west["detector"] == "C01"], alone)
    p = models.SCR(one, mask, distance=how, **HAZARD).at(**AT).detection_probability()
    assert np.all(p.to_numpy()[mask.habitat][x > 50_130.0] == 0.0)
    assert np.all(p.to_numpy()[mask.habitat][x < 50_130.0] > 0.0)


def test_the_way_around_a_wall():
    captures, mask, how = river(gap=True)
    model = models.SCR(captures, mask, distance=how, **HAZARD)
    away = model.fit().distance("C04")  # 50,000 80,300
    x, y = 50_225.0, 80_375.0  # just behind the wall, which ends at 80,700
    around = float(away.sel(x=x, y=y, method="nearest"))
    least = np.hypot(130.0, 400.0) + np.hypot(95.0, 325.0)  # along the string around its end
    assert least < around < 1.4 * least  # cells of 150 m know the end of the wall no better
    assert float(away.sel(x=50_075.0, y=y, method="nearest")) < 250.0


def test_ways_lead_through_cells_that_are_no_habitat_where_the_survey_says_so():
    captures, mask = rough("count")
    everywhere = replace(mask, habitat=np.ones_like(mask.habitat), covariates=mask.covariates)
    within, through = (
        models.SCR(captures, mask, distance=LeastCost(through=t), **HAZARD).at(**AT) for t in (None, everywhere)
    )
    assert within.loglik != pytest.approx(through.loglik, abs=1e-3)
    d = [f.distance("C05").to_numpy()[mask.habitat] for f in (within, through)]
    assert (d[1] <= d[0] + 1e-9).all()
    assert (d[1] < d[0] - 1.0).any()


def test_animals_seen_far_apart_widen_the_reach():
    """Two detections 24 sigma apart: nothing in between may be cut off."""
    captures, mask = small("count")
    two = pd.DataFrame({"animal": ["a", "a"], "occasion": [2, 4], "detector": ["C01", "C09"]})
    c = replace(captures, detections=two, animals=pd.DataFrame())
    at = {"D": 900.0, "lambda0": 0.25, "sigma": 35.0}
    near = models.SCR(c, mask, distance=LeastCost(), **HAZARD)
    away = np.full((9, mask.size), np.inf)
    for k in range(9):
        away[k] = near.at(**at).distance(f"C{k + 1:02d}").to_numpy()[mask.habitat]
    there = oracle_scr.loglik(c, mask, 900.0, lambda row: (0.25, 35.0), distances=away, **HAZARD)
    assert near.at(**at).loglik == pytest.approx(there, abs=1e-8)


def test_fit_simulation_and_travel():
    captures, mask = rough("count")
    model = models.SCR(captures, mask, distance=LeastCost("~ forest"), **HAZARD)
    at = AT | {"cost": {"forest": 0.8}}
    again = model.on(model.simulate(at, 4))
    assert again.captures.equals(model.on(model.simulate(at, 4)).captures)
    fit = again.fit()
    assert list(fit.coefficients["parameter"]) == ["D", "lambda0", "sigma", "cost"]
    assert np.isfinite(fit.se).all()
    travelled = pickle.loads(pickle.dumps(again))
    assert travelled.loglik(fit.vector) == pytest.approx(fit.loglik, abs=1e-9)
    surface = fit.predict("cost")
    assert surface["estimate"].to_numpy()[mask.habitat][mask.covariate("forest") == 0] == pytest.approx(1.0)
    assert np.exp(fit.vector[-1]) == pytest.approx(float(surface["estimate"].max()), rel=1e-9)


def test_sessions_share_the_coefficient():
    captures, mask = rough("count")
    both = [replace(captures, session=name) for name in ("1", "2")]
    how = LeastCost("~ forest")
    two = models.SCR(both, [mask, mask], distance=how, **HAZARD)
    at = AT | {"cost": {"forest": 0.5}}
    assert two.at(**at).loglik == pytest.approx(2 * models.SCR(captures, mask, distance=how, **HAZARD).at(**at).loglik)
    vector = two.start() + 0.03
    mine = two.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(two, vector, 1e-6), rtol=2e-6, atol=1e-5)
    mixed = models.SCR(both, [mask, mask], distance={"1": straight(captures, mask), "2": None}, **HAZARD)
    assert mixed.at(**AT).loglik == pytest.approx(2 * models.SCR(captures, mask, **HAZARD).at(**AT).loglik, abs=1e-8)


def test_the_engine_alone_has_the_same_curvature():
    from spatial_problems import parameters, problem

    p = problem("mixed", "annular normal", lost=True, n_rows=2)
    (x, y), rows = p.raster.centres(), parameters("annular normal", 2)
    at, place = np.unique(np.stack([p.pass_x, p.pass_y]), axis=1, return_inverse=True)
    away = np.hypot(at[0][:, None] - x, at[1][:, None] - y)
    k, m = np.nonzero(away >= 0)
    plain = SpatialLikelihood(p, 1)
    given = GivenDistanceLikelihood(p, place.reshape(-1), 1).at(Fixed(Reached.of(k, m, away.ravel(), len(away))))
    log_mu, rng = np.full(x.size, np.log(1e-3)), np.random.default_rng(1)
    d_log_a, along = rng.normal(size=p.n_animals), rng.normal(size=(2, 3, 2)) * rows[:, :, None]
    found = [
        e.curvature(e.evaluate(log_mu, rows), d_log_a, -1.0, np.ones((x.size, 2)), along).second for e in (plain, given)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    for one in (plain, given):
        with pytest.raises(ValueError, match="log_mu must be finite"):
            one.evaluate(np.full(x.size, np.nan), rows)


def message(captures, mask, distance, **how) -> str:
    with pytest.raises(SurveyError) as error:
        models.SCR(captures, mask, distance=distance, **how, **HAZARD)
    return str(error.value)


def test_messages():
    captures, mask = rough("count")
    whole = straight(captures, mask)
    text = message(captures, mask, whole[:, 1:])
    assert text.startswith("the distances are of other detectors or cells")
    assert f"Give 9 detectors × {mask.size} habitat cells" in text
    bad = whole.copy()
    bad[3, 5] = -1.0
    assert "1 of the distances from detector 'C04' are negative or missing" in message(captures, mask, bad)
    assert "this is no distance that is known" in message(captures, mask, "least cost")
    assert "gives something else than distances" in message(captures, mask, lambda x, y, cx, cy: 3.0)
    assert "uses a covariate that is not there" in message(captures, mask, LeastCost("~ rugedness"))
    assert "Did you mean 'ruggedness'?" in message(captures, mask, LeastCost("~ rugedness"))
    assert "has nothing to estimate" in message(captures, mask, LeastCost("~ 1"))
    with pytest.raises(SurveyError, match="a cell has 8 or 16 neighbours"):
        LeastCost(neighbours=4)
    with pytest.raises(SurveyError, match="the cost of least-cost distance is a formula"):
        LeastCost(np.ones(3))
    far = mask.clip(shapely.box(50_400, 80_400, 51_200, 81_200))
    text = message(captures, far, LeastCost())
    assert "not near a cell that animals can move through" in text
    assert "'C01' is " in text
    coarse = survey.HabitatMask.around(captures.detectors, 450.0, 100.0)
    assert "is not that of the habitat mask" in message(captures, mask, LeastCost(through=coarse))
    both = [replace(captures, session=name) for name in ("1", "2")]
    assert "distances are given once for several sessions" in message(both, mask, whole)
    assert "there is not one distance per session" in message(both, mask, [whole])
    assert "distance lacks a session" in message(both, mask, {"1": whole})
    assert "differ in the formula of the cost" in message(both, mask, [LeastCost("~ forest"), LeastCost()])


def test_a_maximum_on_a_kink_is_found():
    """Noise from cell to cell changes the course of ways at every turn."""
    captures, mask = small("proximity")
    noise = np.random.default_rng(1).normal(size=mask.habitat.shape)
    model = models.SCR(captures, mask.with_covariate("noise", noise), distance=LeastCost("~ noise"))
    fit = model.fit()
    assert Outcome.NOT_CONVERGED not in fit.verdict
    for step in 0.2 * np.diag(fit.se):
        assert model.loglik(fit.vector + step) < fit.loglik + 1e-3
        assert model.loglik(fit.vector - step) < fit.loglik + 1e-3


def test_two_methods_at_points_share_the_ways():
    captures, mask = rough("count")
    both = survey.together({"a": captures, "b": captures})
    model = models.SCR(both, mask, distance=LeastCost("~ forest"), **HAZARD)
    vector = model.start() + 0.02
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=1e-5)


def test_remarks_and_figures_know_that_distances_are_no_straight_lines():
    captures, mask = rough("count")
    fit = models.SCR(captures, mask, distance=LeastCost("~ forest"), **HAZARD).fit()
    assert Outcome.MASK_SMALL not in fit.verdict  # beyond the mask no other distances are known
    ax = fit.plot_detection()
    assert ax.get_xlabel().endswith("(km, as the model measures it)")
    assert not len(ax.lines[-1].get_xdata())


def test_another_formula_of_the_cost():
    captures, mask = rough("count")
    both = [replace(captures, session=name) for name in ("1", "2")]
    how = {"1": LeastCost("~ forest"), "2": LeastCost("~ forest")}
    one = models.SCR(both, mask, distance=how, **HAZARD)
    more = one.with_formulas(cost="~ forest + ruggedness", D="~ session")
    at = AT | {"cost": {"forest": 0.5, "ruggedness": 0.2}}
    there = models.SCR(captures, mask, distance=LeastCost("~ forest + ruggedness"), **HAZARD).at(**at)
    assert more.at(**at | {"D": {"Intercept": np.log(900.0), "session[T.2]": 0.0}}).loglik == pytest.approx(
        2 * there.loglik
    )
    assert list(models.SCR(captures, mask, distance=LeastCost(), **HAZARD).with_formulas(cost="~ forest").formulas) == [
        *("D", "lambda0", "sigma", "cost")
    ]
    with pytest.raises(SurveyError, match="parameter is not known"):
        models.SCR(captures, mask, **HAZARD).with_formulas(cost="~ forest")


@pytest.mark.parametrize("sparse", [False, True])
def test_detectors_at_one_place_have_one_row_of_distances(sparse):
    captures, mask = rough("count")
    d = captures.detectors
    more = replace(d, id=[*d.id, "C03b"], x=[*d.x, d.x[2]], y=[*d.y, d.y[2]], effort=d.effort[:, [*range(9), 2]])
    captures = replace(captures, detectors=more)
    rows = straight(captures, mask)
    given = lambda m: coo_array(m) if sparse else m  # noqa: E731
    assert np.isfinite(models.SCR(captures, mask, distance=given(rows), **HAZARD).at(**AT).loglik)
    rows[9] += 1.0
    text = message(captures, mask, given(rows))
    assert text.startswith("'C03' and 'C03b' stand at one place and have different rows of distances")
    assert text.endswith("Give both the same distances, or each its own place")


@pytest.mark.parametrize("collared", [False, True])
def test_clumped_counts_along_ways(collared):
    captures, mask = rough("count")
    counts = {"counts": "negative binomial", **HAZARD}
    at = AT | {"size": 0.7}
    plain = models.SCR(captures, mask, **counts).at(**at).loglik
    assert models.SCR(captures, mask, distance=straight(captures, mask), **counts).at(**at).loglik == pytest.approx(
        plain
    )
    if collared:
        x, y = mask.centres()
        fixes = pd.DataFrame({"animal": captures.animals.index[[0, 0, 1]], "x": x[[20, 21, 40]], "y": y[[20, 21, 40]]})
        captures = captures.with_telemetry(survey.Telemetry(fixes))
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), size="~ 1", **counts)
    cost = np.exp(0.4 * mask.covariate("ruggedness"))
    if not collared:
        numbers = models.SCR(captures, mask, distance=shortest(captures, mask, cost, 16), **counts).at(**at).loglik
        assert model.at(**at, cost={"ruggedness": 0.4}).loglik == pytest.approx(numbers, abs=1e-8)
    vector = model.parameters.vector_from(at | {"cost": {"ruggedness": 0.4}})
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=1e-5)
    assert np.abs(mine).min() > 1e-3 and np.isfinite(model.fit().se).sum() >= 4
    again = model.simulate(at | {"cost": {"ruggedness": 0.4}}, 3)
    assert np.isfinite(model.on(again).loglik(vector))


@pytest.mark.parametrize("kind", ["count", "multi", "proximity"])
def test_two_detections_or_more_along_ways(kind):
    captures, mask = rough(kind)
    twice = {"at_least": 2, **HAZARD}
    plain, given = (models.SCR(captures, mask, distance=d, **twice) for d in (None, straight(captures, mask)))
    vector = plain.start() + 0.05
    a, b = plain.loglik_and_gradient(vector), given.loglik_and_gradient(vector)
    assert b[0] == pytest.approx(a[0], abs=1e-9)
    np.testing.assert_allclose(b[1], a[1], rtol=1e-8, atol=1e-8)
    p = [m.at(**AT).detection_probability().to_numpy()[mask.habitat] for m in (plain, given)]
    np.testing.assert_allclose(p[1], p[0], rtol=1e-6)
    model = models.SCR(captures, mask, distance=LeastCost("~ ruggedness"), **twice)
    cost = np.exp(0.4 * mask.covariate("ruggedness"))
    numbers = models.SCR(captures, mask, distance=shortest(captures, mask, cost, 16), **twice).at(**AT).loglik
    assert model.at(**AT, cost={"ruggedness": 0.4}).loglik == pytest.approx(numbers, abs=1e-8)
    vector = model.parameters.vector_from(AT | {"cost": {"ruggedness": 0.4}})
    mine = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(mine, differences_of_loglik(model, vector, 1e-6), rtol=2e-6, atol=1e-5)
    assert np.isfinite(given.fit().se).all() and pickle.loads(pickle.dumps(model)).loglik(vector) == model.loglik(
        vector
    )


def test_a_model_says_how_distances_are_measured():
    captures, mask = rough("count")
    for distance, words in (
        (LeastCost(), "N, distances along least-cost ways)"),
        (straight(captures, mask), "as given)"),
    ):
        assert repr(models.SCR(captures, mask, distance=distance, **HAZARD)).endswith(words)
