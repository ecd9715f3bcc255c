"""Searches of areas and lines in spatial capture-recapture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_search
import pandas as pd
import pytest
import reference
import shapely
from scipy.special import gammaln
from scr_problems import differences_of_gradient, differences_of_loglik, small

from uncia import models, survey
from uncia.models.model import Model
from uncia.models.spatial.checks import search_error
from uncia.models.spatial.fit_checks.mask_check import _wider
from uncia.models.spatial.nodes import Nodes, edge_rule, error_of, order
from uncia.models.spatial.rows import USABLE, log_measure
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
X, Y = 50_000.0, 80_000.0
# an L with a hole and a square apart from it; lines along the axes, one in two parts
BOXES = {
    "L": [(1, (0, 0, 700, 500)), (1, (0, 500, 300, 900)), (-1, (200, 200, 400, 350))],
    "far": [(1, (900, 600, 1200, 1000))],
}
LINES = {"ridge": [(1, (0, 300, 1100, 300))], "valley": [(1, (400, 0, 400, 800)), (1, (700, 500, 1200, 500))]}


def moved(shapes: dict) -> dict:
    return {k: [(sign, (a + X, b + Y, c + X, d + Y)) for sign, (a, b, c, d) in parts] for k, parts in shapes.items()}


def geometry(parts, area: bool):
    """One shapely geometry of signed boxes, or of lines."""
    if not area:
        lines = [[(a, b), (c, d)] for _, (a, b, c, d) in parts]
        return shapely.MultiLineString(lines) if len(lines) > 1 else shapely.LineString(lines[0])
    whole = shapely.union_all([shapely.box(*box) for sign, box in parts if sign > 0])
    return whole.difference(shapely.union_all([shapely.box(*box) for sign, box in parts if sign < 0]))


EFFORT = np.array([[1.0, 0.0], [0.5, 1.0], [1.0, 2.0]])  # the second is not searched at first


def searched(kind: str, **more) -> survey.Detectors:
    area = "area" in kind
    shapes = {name: geometry(parts, area) for name, parts in moved(BOXES if area else LINES).items()}
    slope = pd.DataFrame({"slope": [0.2, 1.0]})
    make = survey.searched_areas if area else survey.transects
    return make(shapes, EFFORT, once="exclusive" in kind, covariates=slope, **more)


def plan(d: survey.Detectors, mask, **options) -> models.SCR:
    """A model to simulate from."""
    at = d.shapes[0].representative_point() if "area" in d.kind else shapely.line_interpolate_point(d.shapes[0], 1.0)
    one = pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": [d.id[0]], "x": [at.x], "y": [at.y]})
    return models.SCR(survey.CaptureHistory(one, d), mask, **HAZARD, **options)


def survey_of(kind: str, *, seed: int = 3, removed: bool = False):
    d = searched(kind)
    mask = survey.HabitatMask.around(d, 500.0, 125.0)
    lambda0 = 0.8 if "area" in kind else 1.5
    captures = plan(d, mask).simulate({"D": 700.0, "lambda0": lambda0, "sigma": 180.0}, seed)
    frame = captures.detections.copy()
    if removed:
        gone = frame.loc[frame["occasion"] == 2, "animal"].iloc[0]
        frame.loc[(frame["animal"] == gone) & (frame["occasion"] == 2), "removed"] = True
        frame = frame[~((frame["animal"] == gone) & (frame["occasion"] > 2))]
    return survey.CaptureHistory(frame, d), mask


KINDS = ["area", "exclusive area", "transect", "exclusive transect"]


@pytest.mark.parametrize("likelihood", ["full", "conditional"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_log_likelihood_is_that_by_occasion(kind, likelihood):
    """With an animal that is removed, an area not searched at first, and what is learned at a shape."""
    captures, mask = survey_of(kind, removed=True)
    model = models.SCR(captures, mask, lambda0="~ slope + bk", likelihood=likelihood, **HAZARD)
    D = {} if likelihood == "conditional" else {"D": 500.0}
    at = model.at(**D, sigma=190.0, lambda0={"Intercept": -0.5, "slope": 0.6, "bk": -0.4})
    slope = {captures.detectors.id[0]: 0.2, captures.detectors.id[1]: 1.0}
    parameters = lambda row: (np.exp(-0.5 + 0.6 * slope[row["detector"]] - 0.4 * row["bk"]), 190.0)  # noqa: E731
    boxes = moved(BOXES if "area" in kind else LINES)
    there = oracle_search.loglik(captures, mask, 500.0, parameters, boxes, likelihood)
    assert at.loglik == pytest.approx(there, abs=1e-6)


@pytest.mark.parametrize("detection", ["half-normal", "annular normal"])
def test_gradient_and_curvature(detection):
    """Through lambda0 over the integral of the detection function, with all its parameters."""
    captures, mask = survey_of("area")
    third = {"annular normal": {"w": "~ 1"}}.get(detection, {})
    model = models.SCR(
        captures, mask, D="~ x", lambda0="~ slope", sigma="~ slope", detection=f"hazard {detection}", **third
    )
    vector = model.start() + 0.1
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=2e-5, atol=2e-5)
    hessian = Model.hessian(model, vector)
    np.testing.assert_allclose(hessian, differences_of_gradient(model, vector), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["area", "exclusive transect"])
def test_effort_of_two_is_two_occasions_in_one(kind):
    """Not so where an animal counts once per occasion: twice the effort is then twice the hazard."""
    captures, mask = survey_of(kind)
    d = captures.detectors
    double = survey.CaptureHistory(captures.detections, replace(d, effort=2.0 * d.effort))
    values = {"D": 500.0, "sigma": 190.0}
    one = models.SCR(captures, mask, **HAZARD).at(**values, lambda0=0.6).loglik
    two = models.SCR(double, mask, **HAZARD).at(**values, lambda0=0.3).loglik
    assert one == pytest.approx(two, abs=1e-9)


def test_repeated_effort_on_a_line_is_as_many_occasions():
    """All detections of a line walked twice, or each of two walks with its own: a density of the same places."""
    captures, mask = survey_of("transect")
    d, values = captures.detectors, {"D": 500.0, "sigma": 190.0, "lambda0": 1.0}
    once = survey.CaptureHistory(captures.detections.assign(occasion=1), replace(d, effort=np.array([[2.0, 4.0]])))
    rng = np.random.default_rng(1)
    twice = captures.detections.assign(occasion=rng.integers(1, 3, len(captures.detections)))
    split = survey.CaptureHistory(twice, replace(d, effort=np.array([[1.0, 2.0], [1.0, 2.0]])))
    one, two = (models.SCR(c, mask, **HAZARD).at(**values).loglik for c in (once, split))
    # which of two equal walks each detection belongs to is a choice of one in two
    assert two == pytest.approx(one - captures.n_detections * np.log(2.0), abs=1e-9)


def test_an_area_is_the_limit_of_many_small_count_detectors():
    captures, mask = survey_of("area")
    d, side, values = captures.detectors, 25.0, {"D": 500.0, "sigma": 190.0}
    searched_all = survey.CaptureHistory(captures.detections, replace(d, effort=np.ones_like(d.effort)))
    area = models.SCR(searched_all, mask, **HAZARD).at(**values, lambda0=0.7).loglik
    whole, (west, south, east, north) = shapely.union_all(list(d.shapes)), d.bounds
    x, y = (
        v.ravel() for v in np.meshgrid(np.arange(west, east, side) + side / 2, np.arange(south, north, side) + side / 2)
    )
    inside = shapely.contains_xy(whole, x, y)
    names = np.char.add("c", np.arange(len(x)).astype(str))
    px, py = captures.places
    column, row = ((px - west) // side).astype(int), ((py - south) // side).astype(int)
    cell = names[row * len(np.arange(west, east, side)) + column]
    cells = survey.Detectors(names[inside], x[inside], y[inside], np.ones((3, inside.sum())), "count")
    frame = captures.detections[["animal", "occasion"]].assign(detector=cell)
    points = survey.CaptureHistory(frame, cells)
    lambda0 = 0.7 * side**2 / (2 * np.pi * 190.0**2)
    small_ones = models.SCR(points, mask, **HAZARD).at(**values, lambda0=lambda0).loglik
    # counts of cells have probabilities where places have densities per m²
    factorials = gammaln(points.detections["count"] + 1.0).sum()
    there = small_ones + factorials - captures.n_detections * np.log(side**2)
    assert there == pytest.approx(area, abs=0.05)


def test_areas_of_two_names_are_one_area():
    """Cutting a searched area into two changes nothing."""
    captures, mask = survey_of("area")
    d = replace(captures.detectors, effort=np.ones_like(EFFORT))
    whole = shapely.union_all(list(d.shapes))
    one = survey.searched_areas({"all": whole}, occasions=3)
    both = survey.CaptureHistory(captures.detections, d)
    merged = survey.CaptureHistory(captures.detections.assign(detector="all"), one)
    values = {"D": 500.0, "sigma": 190.0, "lambda0": 0.7}
    assert models.SCR(merged, mask, **HAZARD).at(**values).loglik == pytest.approx(
        models.SCR(both, mask, **HAZARD).at(**values).loglik, abs=1e-8
    )


@pytest.mark.parametrize("name", USABLE)
def test_the_integral_of_a_detection_function(name):
    """c = 2π ∫ r k(r) dr and its derivatives by sigma and the third parameter."""
    function, sigma, third = models.DETECTION_FUNCTIONS[name], 200.0, 260.0 if "annular" in name else 2.7
    r = np.linspace(0.0, 200 * sigma, 400_001)
    whole, first, second = log_measure(name, np.array([sigma]), np.array([third]))
    integral = 2 * np.pi * np.trapezoid(r * function.relative(r, sigma, third), r)
    assert np.exp(whole[0]) == pytest.approx(integral, rel=0.05 if "hazard-rate" in name else 1e-6)

    def at(a, b):
        return [v[0] for v in log_measure(name, np.array([sigma + a]), np.array([third + b]))]

    for j, (a, b) in enumerate(((1e-2, 0.0), (0.0, 1e-4))):
        up, down = at(a, b), at(-a, -b)
        assert first[0, j] == pytest.approx((up[0] - down[0]) / (2 * (a + b)), rel=1e-5, abs=1e-8)
        np.testing.assert_allclose(second[0, j], (up[1] - down[1]) / (2 * (a + b)), rtol=1e-5, atol=1e-10)


# ---- nodes -------------------------------------------------------------------------------------------------------


def test_nodes_have_the_measure_of_what_they_stand_for():
    for kind in ("area", "transect"):
        d = searched(kind)
        nodes = Nodes.of(d, 180.0)
        total = np.add.reduceat(nodes.weight, nodes.start[:-1])
        measure = shapely.area(d.shapes) if kind == "area" else shapely.length(d.shapes) / 1000
        np.testing.assert_allclose(total, measure, rtol=1e-12)
        assert (nodes.weight > 0).all()


def test_nodes_lie_within_a_shape_that_is_not_convex_and_has_holes():
    angle = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    radius = 900.0 + 350.0 * np.sin(5 * angle)
    star = shapely.Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    star = star.difference(shapely.Point(100, 50).buffer(200.0, quad_segs=6))
    d = survey.searched_areas({"star": star})
    nodes = Nodes.of(d, 250.0)
    assert shapely.distance(star, shapely.points(nodes.x, nodes.y)).max() < 1e-6
    assert nodes.weight.sum() == pytest.approx(star.area, rel=1e-12)
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(-1500, 1500, 9), np.linspace(-1500, 1500, 9)))
    function = models.DETECTION_FUNCTIONS["hazard half-normal"]
    assert error_of(d, 250.0, function, (250.0, 1.0), None, x, y) < 1e-8


@pytest.mark.parametrize(("q", "error"), [(3, 2e-5), (5, 2e-8)])
def test_nodes_for_a_function_with_an_edge_at_a_corner(q, error):
    """∫ exp(-r) over a rectangle with the corner at the animal, in polar coordinates, as share of the whole plane."""
    at, weight = np.polynomial.legendre.leggauss(80)
    whole = lambda R: 1.0 - (1.0 + R) * np.exp(-R)  # noqa: E731  ∫ r exp(-r) dr
    for width, height in ((0.6, 0.6), (0.6, 1.0), (0.3, 0.2)):
        corner = np.arctan2(height, width)
        first, second = 0.5 * corner * (1 + at), corner + 0.5 * (np.pi / 2 - corner) * (1 + at)
        exact = 0.5 * corner * weight @ whole(width / np.cos(first))
        exact += 0.5 * (np.pi / 2 - corner) * weight @ whole(height / np.sin(second))
        t, share = edge_rule(q, height / width)
        x, y = np.meshgrid(width * t, height * t, indexing="ij")
        assert share.min() > 0 and share.sum() == pytest.approx(1.0)
        assert width * height * np.sum(share * np.exp(-np.hypot(x, y))) == pytest.approx(exact, abs=2 * np.pi * error)


def test_a_winding_way_needs_few_nodes():
    """A track with a fix every 15 m for animals that move over 2 km; against the sum over its own steps."""
    rng = np.random.default_rng(3)
    turn = np.cumsum(rng.normal(0.0, 0.35, 2000))
    place = 15.0 * np.cumsum(np.column_stack([np.cos(turn), np.sin(turn)]), axis=0)
    d = survey.transects({"track": shapely.LineString(place)})
    nodes = Nodes.of(d, 2000.0)
    assert len(nodes.x) < 700
    centre, km = 0.5 * (place[1:] + place[:-1]), np.hypot(*np.diff(place, axis=0).T) / 1000
    for x, y in place[::400] + 500.0:
        fine = km @ np.exp(-((centre[:, 0] - x) ** 2 + (centre[:, 1] - y) ** 2) / (2 * 2000.0**2))
        coarse = nodes.weight @ np.exp(-((nodes.x - x) ** 2 + (nodes.y - y) ** 2) / (2 * 2000.0**2))
        assert coarse == pytest.approx(fine, rel=2e-5)


def test_order_of_quadrature_grows_with_the_piece():
    assert [order(r) for r in (0.01, 0.5, 1.0, 4.0)] == sorted(order(r) for r in (0.01, 0.5, 1.0, 4.0))


# ---- the field's program -----------------------------------------------------------------------------------------

LIZARDS = {
    "area search, hazard halfnormal, full": ("half-normal", "full", 1e-6),
    "area search, hazard halfnormal, conditional": ("half-normal", "conditional", 1e-6),
    # exact integrals (around the outline, in polar coordinates) are 1.9e-4 and 1.2e-4 below secr's log-likelihoods.
    # Its fit (D, lambda0, sigma to 3e-5) is ours, its standard error of log sigma is not: 0.0742, ours 0.0855. Ours is
    # that of our log-likelihood: second differences of it, and differences of its gradient, give 0.085 at a step of 0.2
    # and 0.0855 at steps of 0.1, 0.05, 0.02 and 0.01, so that no ripple of the quadrature is in it. That of secr comes
    # from its optimiser's differences, which probably see the tolerance of its integrals
    "area search, hazard exponential": ("exponential", "full", 1.2e-3),
}


def lizards():
    folder = reference.reference("hornedlizard")
    table = pd.read_csv(folder / "captures.csv", dtype={"animal": str, "detector": str})
    corners = pd.read_csv(folder / "detectors.csv")[["x", "y"]].to_numpy()
    d = survey.searched_areas({"1.1": shapely.Polygon(corners)}, occasions=14, once=True)
    frame = table[["animal", "occasion", "detector", "x", "y"]]
    return survey.CaptureHistory(frame, d), reference.mask("hornedlizard")


@pytest.mark.parametrize("words", LIZARDS)
def test_horned_lizards_at_fixed_parameters(words):
    """secr's log-likelihood is that of animals in an order: without the log n! that ours has."""
    shape, likelihood, tolerance = LIZARDS[words]
    captures, mask = lizards()
    model = models.SCR(captures, mask, detection=f"hazard {shape}", likelihood=likelihood)
    for point in reference.entry("hornedlizard", words)["fixed_parameter_loglik"][: 1 if shape == "exponential" else 2]:
        values = {name: np.exp(v) * (1e4 if name == "D" else 1.0) for name, v in point["values"].items()}
        ours = model.at(**values).loglik - gammaln(captures.n_animals + 1)
        assert ours == pytest.approx(point["loglik"], abs=tolerance)


@pytest.mark.parametrize("likelihood", ["full", "conditional"])
def test_horned_lizards_fitted(likelihood):
    captures, mask = lizards()
    there = reference.entry("hornedlizard", f"area search, hazard halfnormal, {likelihood}")
    fit = models.SCR(captures, mask, likelihood=likelihood, **HAZARD).fit()
    assert fit.loglik - gammaln(captures.n_animals + 1) == pytest.approx(there["loglik"], abs=1e-5)
    ours = dict(zip(fit.model.parameters.names, fit.vector, strict=False))
    if likelihood == "conditional":
        ours = dict(zip(("lambda0", "sigma"), fit.vector, strict=True))
    for j, (name, (value, se)) in enumerate(there["coefficients"].items()):
        assert ours[name] - (np.log(1e4) if name == "D" else 0.0) == pytest.approx(value, abs=1e-3 * se + 1e-5)
        assert np.sqrt(fit.covariance[j, j]) == pytest.approx(se, rel=0.01)
    table = fit.derive("wald").set_index("quantity")
    esa = table.loc["effective sampling area", "estimate"] * 100.0
    assert esa == pytest.approx(there["derived"]["derived"]["esa"][0], rel=1e-4)


# ---- simulation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_detections_are_as_many_as_expected_and_where_was_searched(kind):
    d, x, y = searched(kind), X + 350.0, Y + 400.0
    mask = survey.HabitatMask.around(d, 500.0, 125.0)
    centres = pd.DataFrame({"x": np.full(1500, x), "y": np.full(1500, y)})
    lambda0, sigma = 0.9, 200.0
    captures = plan(d, mask).simulate({"D": 100.0, "lambda0": lambda0, "sigma": sigma}, 4, centres)
    boxes = moved(BOXES if "area" in kind else LINES)
    where = np.array([x]), np.array([y])
    of = [
        sum(s * oracle_search.exposure(b, *where, lambda0, sigma, "area" in kind)[0] for s, b in p)
        for p in boxes.values()
    ]
    H = EFFORT * of
    expected = -np.expm1(-H.sum(axis=1)) if "exclusive" in kind else H.sum(axis=1)
    found = captures.detections["occasion"].value_counts().sort_index().to_numpy() / 1500
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max() / 1500))
    both = captures.detections["detector"].value_counts(normalize=True)
    if "exclusive" not in kind:
        assert both[d.id[0]] == pytest.approx(H.sum(axis=0)[0] / H.sum(), abs=0.06)
    assert captures.equals(plan(d, mask).simulate({"D": 100.0, "lambda0": lambda0, "sigma": sigma}, 4, centres))


@pytest.mark.parametrize("kind", ["area", "transect"])
def test_with_cameras(kind):
    """Detections at places and at points in one session: the sum of both, and the cameras' weight in sigma."""
    captures, mask = survey_of(kind)
    cameras, _ = small("count")
    here = replace(cameras.detectors, x=cameras.detectors.x + 100.0, y=cameras.detectors.y + 100.0)
    cameras = survey.CaptureHistory(cameras.detections, here)
    both = survey.together({"search": captures, "camera": cameras})
    model = models.SCR(both, mask, lambda0="~ 0 + method", **HAZARD)
    made = model.simulate({"D": 700.0, "sigma": 180.0, "lambda0": {"method[search]": 0.0, "method[camera]": -1.0}}, 2)
    assert made.methods["search"].detectors.located and "x" in made.methods["search"].detections
    fit = model.on(made).fit()
    truth = np.array([np.log(700.0), 0.0, -1.0, np.log(180.0)])
    assert np.all(np.abs(fit.vector - truth) < 4 * np.sqrt(np.diag(fit.covariance)))
    assert np.isfinite(both.pooled_sd())


# ---- messages ----------------------------------------------------------------------------------------------------


def test_sexes_and_sessions_of_searches():
    """A class and a session more: sums of what one of each gives."""
    captures, mask = survey_of("area", seed=9)
    names = captures.animals.index
    sexed = captures.with_animals(pd.DataFrame({"sex": np.resize(["female", "male"], len(names))}, index=names))
    model = models.SCR(sexed, mask, sigma="~ sex", classes="sex", **HAZARD)
    sigma = {"Intercept": np.log(180.0), model.parameters["sigma"].terms[1]: 0.0}
    classes = model.at(D=700.0, lambda0=0.8, sigma=sigma, pmix=0.4)
    plain = models.SCR(captures, mask, **HAZARD).at(D=700.0, lambda0=0.8, sigma=180.0)
    count = sexed.animals["sex"].value_counts()
    shares = count["male"] * np.log(0.4) + count["female"] * np.log(0.6)
    assert classes.loglik == pytest.approx(plain.loglik + shares, abs=1e-9)
    other = replace(survey_of("area", seed=4)[0], session="2")
    second = models.SCR(other, mask, **HAZARD).at(D=700.0, lambda0=0.8, sigma=180.0)
    both = models.SCR([captures, other], mask, **HAZARD).at(D=700.0, lambda0=0.8, sigma=180.0)
    assert both.loglik == pytest.approx(plain.loglik + second.loglik, abs=1e-9)


def test_areas_too_large_for_their_animals():
    d = survey.searched_areas({"all": shapely.box(X, Y, X + 60_000, Y + 60_000)})
    seen = {"animal": ["a", "a"], "occasion": 1, "detector": "all", "x": [X + 9000.0, X + 9030], "y": [Y + 9000.0] * 2}
    captures = survey.CaptureHistory(pd.DataFrame(seen), d)
    with pytest.raises(SurveyError, match="the searched areas are very large for animals that move about 15 m"):
        models.SCR(captures, survey.HabitatMask.around(captures, 5000.0, 2000.0), **HAZARD)


def test_curves_of_searches():
    for kind, words in (("area", "density of detections, relative"), ("transect", "probability of detection per")):
        ax = models.SCR(*survey_of(kind), **HAZARD).at(D=700.0, lambda0=0.8, sigma=180.0).plot_detection()
        assert ax.get_ylabel().startswith(words) and ax.lines[0].get_ydata()[0] == pytest.approx(1.0, abs=0.5)


def test_what_only_points_can_be():
    captures, _ = survey_of("area")
    with pytest.raises(SurveyError, match="searches or several methods cannot"):
        survey.write_secr(captures, "nowhere")
    d = searched("area", crs="EPSG:32647")
    nobody = survey.CaptureHistory(pd.DataFrame({"animal": [], "occasion": [], "detector": []}), d)
    with pytest.raises(SurveyError, match="only cameras have deployments and records"):
        survey.fieldwork(nobody, species="Felis bieti", seed=1, timezone="UTC", start="2024-01-01")


def test_places_and_shapes_that_cannot_be():
    d = searched("area")
    row = {"animal": ["a"], "occasion": [2], "detector": ["far"]}
    with pytest.raises(SurveyError, match="animal 'a' was detected at 'far' on occasion 2, but lies 100 m outside it"):
        survey.CaptureHistory(pd.DataFrame(row | {"x": [X + 800.0], "y": [Y + 700.0]}), d)
    with pytest.raises(SurveyError, match="the detections lack columns"):
        survey.CaptureHistory(pd.DataFrame(row), d)
    with pytest.raises(SurveyError, match="but has no place"):
        survey.CaptureHistory(pd.DataFrame(row | {"x": [None], "y": [Y + 700.0]}), d)
    box = shapely.box(0, 0, 2000, 1000)
    with pytest.raises(SurveyError, match="the areas '1' and '2' overlap by 1,000,000 m²"):
        survey.searched_areas([box, shapely.box(1000, 0, 3000, 1000)])
    with pytest.raises(SurveyError, match="area '1' has no usable shape"):
        survey.searched_areas([shapely.LineString([(0, 0), (1000, 1)])])
    with pytest.raises(SurveyError, match="transect '1' has no usable shape"):
        survey.transects([box])
    with pytest.raises(SurveyError, match="detectors of kind 'area' need one shape each"):
        survey.Detectors(["a"], [5e4], [5e4], [[1.0]], "area")
    with pytest.raises(
        SurveyError, match="searches of areas and positions of animals need a detection function that is a"
    ):
        models.SCR(*survey_of("area")).fit()


def test_what_a_fit_says_and_shows():
    captures, mask = survey_of("transect")
    both = survey.together({"search": captures})
    assert survey.HabitatMask.around(both, 500.0, 125.0).size == mask.size
    assert captures.n_spatial_recaptures == captures.n_recaptures > 0
    fit = models.SCR(captures, mask, **HAZARD).fit()
    assert search_error(fit, fit.model.session()) < 1e-8
    assert "Searches are cut" not in str(fit)
    assert fit.plot_density().lines
    coarse = replace(fit, vector=fit.vector - np.array([0.0, 0.0, 2.0]))
    assert any("Searches are cut into pieces that are too long" in str(r) for r in coarse.verdict.remarks)


def test_buffers_of_lines_are_measured_from_the_lines():
    captures, mask = survey_of("transect")
    d, (x, y) = captures.detectors, mask.centres()
    lake = int(np.argmax(np.hypot(x[:, None] - d.x, y[:, None] - d.y).min(axis=1) - d.away(x, y)))
    habitat = mask.habitat.copy()
    habitat[tuple(np.argwhere(habitat)[lake])] = False
    fit = models.SCR(captures, replace(mask, habitat=habitat), **HAZARD).at(D=700.0, lambda0=1.5, sigma=100.0)
    bias = fit.by_buffer(1000.0).set_index("buffer")["relative bias"]
    assert abs(bias[500.0]) < 1e-6 < 1e-3 < bias[200.0]
    wide = _wider(fit, fit.model.session(), 2.0)[0]
    assert wide is not None and wide.cell_of(x[[lake]], y[[lake]])[0] < 0
    around = survey.HabitatMask.around(d, 1000.0, 125.0)
    assert wide.size == pytest.approx(around.size - 1, abs=0.02 * around.size)
