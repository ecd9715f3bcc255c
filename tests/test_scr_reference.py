"""What follows from SCR fits, against secr: p.(x), buffers, activity centres, profiles, a0, detection functions.

The list of entries of the reference suite that no test uses must stay empty but for those named here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reference import SUITE, entry, expected, reference, scr_data
from reference_use import uses

from uncia import models, survey
from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.engine.problem import Raster
from uncia.survey.encounters import EncounterHistory

PER_100_KM2 = 1e4
NOT_OURS = {
    ("captdata_effort", "proximity halfnormal, effort_varying.csv, secr's default shortcut"),  # not the same likelihood
}
SHAPES = {
    "HN": "half-normal",
    "HR": "hazard rate",
    "EX": "exponential",
    "WEX": "w-exponential",
    "ANN": "annular normal",
    "CLN": "cumulative lognormal",
    "CG": "cumulative gamma",
    "HHN": "hazard half-normal",
    "HHR": "hazard hazard-rate",
    "HEX": "hazard exponential",
    "HAN": "hazard annular normal",
    "HVP": "hazard variable power",
}

LOST_DIGITS = {("1", 0), ("6", 1)}


@pytest.fixture(scope="module")
def possums():
    """The fit of the first entry of captdata."""
    captures, mask = scr_data("captdata")
    return models.SCR(captures, mask).fit()


def test_every_entry_is_used():
    if not SUITE.is_dir():
        pytest.skip("reference suite not present")
    unused = {(name, words) for (name, _, words), files in uses().items() if not files}
    others = {(n, w) for n, w in unused if n in ("hornedlizard", "mark_resight", "ovenbird_open")}
    assert {(n, w) for n, w in unused - others if not any(n == a and w.startswith(b) for a, b in NOT_OURS)} == set()


@pytest.mark.parametrize("code", SHAPES)
def test_detection_functions(code):
    there = entry("detection_functions", f"detection function {code}")["derived"]
    shape = models.DETECTION_FUNCTIONS[SHAPES[code]]
    mine = shape.probability_at(np.array(there["distance_m"], float), *map(float, there["parameters"]))
    np.testing.assert_allclose(mine, there["probability"], rtol=1e-9)


@pytest.mark.parametrize("kind", ["multi", "proximity"])
def test_overall_detection_probability_at_points(kind):
    there = entry("captdata", "overall detection probability p.(x) at four points")["derived"]
    captures, mask = scr_data("captdata", kind=kind)
    fit = models.SCR(captures, mask).at(D=1.0, g0=0.2732, sigma=29.3658)
    for x, y, p in zip(there["x"], there["y"], there[f"pdot_{kind}"], strict=True):
        point = survey.HabitatMask(x, y, 1.0, np.ones((1, 1), bool))
        assert fit.model.session().detection_probability(fit.values, point)[0] == pytest.approx(p, rel=1e-6)


def test_density_by_buffer(possums):
    there = entry("captdata", "density by mask buffer (n / esa(buffer))")["derived"]
    n, detectors = possums.model.captures.n_animals, possums.model.captures.detectors
    wide = survey.HabitatMask.around(detectors, 200.0, possums.model.mask.spacing)
    x, y = wide.centres()
    away = np.hypot(x[:, None] - detectors.x, y[:, None] - detectors.y).min(axis=1)
    p = possums.model.session().detection_probability(possums.values, wide)
    for buffer, esa, density in zip(there["buffer"], there["esa"], there["density"], strict=True):
        area = 100.0 * wide.cell_area * p[away <= buffer + 1e-9].sum()  # hectares
        assert area == pytest.approx(esa, rel=1e-5)
        assert n / area == pytest.approx(density, rel=1e-5)
    table = possums.by_buffer(200.0).set_index("buffer")
    assert 100.0 * table["effective sampling area"].iloc[-1] == pytest.approx(there["esa"][-1], rel=1e-5)


def test_the_buffer_that_secr_suggests(possums):
    metres = entry("captdata", "suggested buffer")["derived"]["buffer_m"]  # relative bias of density below 0.001
    table = possums.by_buffer(200.0).set_index("buffer")["relative bias"]
    assert table[metres] < 0.001 < table[metres - 10.0]


def test_profile_intervals(possums):
    there = entry("captdata", "profile-likelihood 95% intervals of the null model")["derived"]
    lower, upper = possums.profile("sigma").iloc[0][["lower", "upper"]]
    np.testing.assert_allclose([lower, upper], there["sigma"], rtol=1e-5)


def test_density_of_activity_centres_at_points(possums):
    points = entry("captdata", "overall detection probability p.(x) at four points")["derived"]
    there = entry("captdata", "posterior activity-centre density f(x | history)")["derived"]
    session, rows = possums.model.session(), possums.kernel_input(possums.model.session())[1]
    whole = session.engine.evaluate(np.zeros(session.mask.size), rows).log_a
    names = list(session.captures.animals.index)
    for j, (x, y) in enumerate(zip(points["x"], points["y"], strict=True)):
        at = replace(session.problem, raster=Raster(x, y, 1.0, np.ones((1, 1), bool)))
        density = np.exp(SpatialLikelihood(at).evaluate(np.zeros(1), rows).log_a - whole)
        for name in there["animals"]:
            mine, theirs = density[names.index(name)], there["values"][name][j]
            # far out secr forms 1 - exp(-hazard) by subtraction: some 1e-16 of a capture is lost, or all of it
            lost = (name, j) in LOST_DIGITS
            assert theirs == 0.0 < mine < 1e-30 or mine == pytest.approx(theirs, rel=0.04 if lost else 4e-4)


def test_an_animal_far_from_all_cells_has_a_likelihood():
    """Its window is the whole mask, however wide."""
    captures = scr_data("captdata")[0]
    far = survey.HabitatMask(465.0, 465.0, 1.0, np.ones((1, 1), bool))
    at = {"D": 1.0, "g0": 0.2732, "sigma": 29.3658}
    straight, given = (
        models.SCR(captures, far, distance=d).at(**at)
        for d in (None, lambda x, y, cells_x, cells_y: np.hypot(cells_x - x, cells_y - y))
    )
    assert np.isfinite(straight.loglik)
    assert straight.loglik == pytest.approx(given.loglik, rel=1e-12)


def test_hares_by_the_sampling_area_of_one_detector():
    """a0 = 2πλ0σ² in place of lambda0 is the same model (Efford & Mowat 2014)."""
    there = entry("hare", "hazard halfnormal, a0 = 2 pi lambda0 sigma^2")
    captures, mask = scr_data("hare")
    model = models.SCR(captures, mask, detection="hazard half-normal")
    for point in there["fixed_parameter_loglik"]:
        at = {name: np.exp(value) for name, value in point["values"].items()}
        lambda0 = 1e4 * at["a0"] / (2.0 * np.pi * at["sigma"] ** 2)
        fit = model.at(D=PER_100_KM2 * at["D"], lambda0=lambda0, sigma=at["sigma"])
        assert fit.loglik == pytest.approx(point["loglik"], abs=1e-6)
    fit = model.fit()
    assert fit.loglik == pytest.approx(there["loglik"], abs=1e-5)
    a0, along = fit.vector[1] + 2.0 * fit.vector[2] + np.log(2.0 * np.pi / 1e4), np.array([0.0, 1.0, 2.0])
    assert a0 == pytest.approx(there["coefficients"]["a0"][0], abs=1e-4)
    assert np.sqrt(along @ fit.covariance @ along) == pytest.approx(there["coefficients"]["a0"][1], rel=0.01)


def test_ovenbirds_with_everything_by_session_are_the_sum_of_the_sessions():
    there = entry("ovenbird", "session-specific D, g0, sigma (15 parameters)")
    years = ("2005", "2006", "2007", "2008", "2009")
    captures, masks = zip(*(scr_data("ovenbird", session=year) for year in years), strict=True)
    fit = models.SCR(captures, masks, D="~ session", g0="~ session", sigma="~ session").fit()
    assert fit.loglik == pytest.approx(there["loglik"], abs=1e-4)
    assert fit.n_parameters == there["n_parameters"]


# what our model is called, and how near secr's rounded numbers it must come; secr has no likelihood for the jackknife
CLOSED = {
    "null": {},
    "zippin": {"c": "~ 1"},
    "darroch": {"p": "~ t"},
    "h2": {"classes": 2},
}
NOT_HERE = {"betabinomial", "chao", "chaomod"}  # estimators of closed N that the toolkit does not have


def test_closed_population_without_space():
    there = [e for e in expected("captdata") if e["model"].startswith("non-spatial closed-population estimate")]
    history = EncounterHistory.from_captures(scr_data("captdata")[0])
    seen = set()
    for e in there:
        name = e["model"].split(": ")[1]
        values = dict(zip(e["columns"]["derived"], e["derived"][name], strict=True))
        seen.add(name)
        if name in NOT_HERE:
            continue
        if name == "jackknife":
            row = models.jackknife(history).iloc[0]
            found = row[["estimate", "se", "lower", "upper"]].tolist()
            assert found == pytest.approx([values[k] for k in ("Nhat", "seNhat", "lclNhat", "uclNhat")], abs=0.006)
            continue
        fit = models.ClosedCapture(history, **CLOSED[name]).fit()
        assert fit.derive().iloc[0]["estimate"] == pytest.approx(values["Nhat"], abs=0.006)
        if name in ("null", "h2"):  # the number of parameters and the constants of the others differ
            assert fit.n_parameters == values["npar"]
    assert seen == {*CLOSED, *NOT_HERE, "jackknife"}
    assert reference("captdata").is_dir()
