"""Process and sampling variance: exact where it can be had by hand, a slow twin elsewhere, series of every family."""

from __future__ import annotations

import numpy as np
import pytest
from marked_problems import suite
from scipy.stats import chi2

from uncia import models
from uncia.models import variance_components
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError


def test_equal_and_independent_errors_by_hand():
    y, v = np.array([0.5, 0.7, 0.4, 0.8, 0.65, 0.55]), 0.004
    found = variance_components(y, v * np.eye(6))
    assert found.variance == pytest.approx(y.var(ddof=1) - v)
    for end, quantile in ((found.lower, 0.975), (found.upper, 0.025)):
        assert end == pytest.approx(max(5 * y.var(ddof=1) / chi2.ppf(quantile, 5) - v, 0.0))
    total = found.variance + v
    assert found.coefficients["estimate"].iloc[0] == pytest.approx(y.mean())
    assert found.coefficients["se"].iloc[0] == pytest.approx(np.sqrt(total / 6))
    drawn = y.mean() + np.sqrt(found.variance / total) * (y - y.mean())
    np.testing.assert_allclose(found.shrunk["shrunk"], drawn)
    assert drawn.var(ddof=1) == pytest.approx(found.variance)  # what shrinkage to this degree is for
    assert found.cv == pytest.approx(found.sd / y.mean())


def test_correlated_errors_as_the_slow_twin():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(8, 8))
    V, X = 0.01 * (A @ A.T + np.eye(8)), np.column_stack([np.ones(8), np.arange(8.0)])
    y = rng.normal(1.0, 1.0, 8)
    found = variance_components(y, V, X)
    grid = np.linspace(0.0, 5.0, 20001)
    squares = []
    for s in grid[::50]:
        L = np.linalg.cholesky(V + s * np.eye(8))
        a, b = np.linalg.solve(L, X), np.linalg.solve(L, y)
        squares.append(np.sum((b - a @ np.linalg.lstsq(a, b, rcond=None)[0]) ** 2))
    assert found.variance == pytest.approx(np.interp(-6.0, -np.array(squares), grid[::50]), abs=2e-3)
    assert found.coefficients["term"].tolist() == ["term 1", "term 2"] and np.isnan(found.cv)


def test_the_interval_covers():
    rng = np.random.default_rng(3)
    V, sigma2, hits, values = np.diag(np.linspace(0.002, 0.02, 15)), 0.01, 0, []
    for _ in range(400):
        y = 0.6 + rng.normal(0, np.sqrt(sigma2), 15) + rng.multivariate_normal(np.zeros(15), V)
        found = variance_components(y, V)
        hits += found.lower <= sigma2 <= found.upper
        values.append(found.variance)
    assert 0.92 <= hits / 400 <= 0.98
    assert np.mean(values) == pytest.approx(sigma2, rel=0.1)


def test_no_more_than_sampling_is_said():
    found = variance_components([0.50, 0.51, 0.49, 0.50], 0.01 * np.eye(4))
    assert found.variance == found.lower == 0.0 and found.upper >= 0.0
    assert "no more than sampling" in str(found)
    np.testing.assert_allclose(found.shrunk["shrunk"], 0.5)


def test_survival_of_dippers_and_what_is_left_out():
    fit = models.CJS(suite("dipper"), "~ t").fit()
    found = variance_components(fit, quantity="phi")
    table = fit.predict("phi")
    np.testing.assert_allclose(found.shrunk["estimate"], table["estimate"])
    np.testing.assert_allclose(found.shrunk["se"], table["se"])
    assert found.shrunk["name"].tolist() == list(map(str, range(1, 7)))
    confounded = models.CJS(fit.model.history, "~ t", "~ t").fit()
    last = variance_components(confounded, quantity="phi")
    assert last.left_out == ("6",) and "left out" in str(last)


def test_years_that_differ_are_found():
    rng = np.random.default_rng(5)
    phi = np.clip(rng.normal(0.6, 0.15, 14), 0.1, 0.95)
    first = EncounterHistory(np.eye(15, dtype=int)[:14], frequency=[80] * 14)
    model = models.CJS(first, "~ t")
    eta = np.log(phi / (1 - phi))
    terms = dict(zip(model.parameters["phi"].terms, [eta[0], *(eta[1:] - eta[0])], strict=True))
    fit = model.on(model.simulate({"phi": terms, "p": 0.7}, 2)).fit()
    found = variance_components(fit, quantity="phi")
    assert found.lower > 0 and np.sqrt(found.lower) < phi.std(ddof=1) < np.sqrt(found.upper)


def test_shrunk_estimates_are_nearer_the_truth():
    rng = np.random.default_rng(7)
    V, raw, drawn = np.diag(np.linspace(0.005, 0.03, 12)), 0.0, 0.0
    for _ in range(100):
        truth = rng.normal(0.6, 0.1, 12)
        found = variance_components(truth + rng.multivariate_normal(np.zeros(12), V), V)
        raw += ((found.shrunk["estimate"] - truth) ** 2).sum()
        drawn += ((found.shrunk["shrunk"] - truth) ** 2).sum()
    assert drawn < 0.75 * raw


def test_numbers_and_occupancy_by_season():
    dippers = models.JollySeber(suite("dipper"), f="~ 1").fit()
    numbers = variance_components(dippers, quantity="abundance")
    assert len(numbers.shrunk) == 7
    table = dippers.derive()
    expected = table[table["quantity"] == "expected abundance"]
    np.testing.assert_allclose(np.exp(numbers.shrunk["estimate"]), expected["estimate"])
    np.testing.assert_allclose(numbers.shrunk["se"], expected["rse"], rtol=1e-3)
    template = models.DynamicOccupancy(DetectionHistory.from_wide(np.ones((80, 4, 4))))
    h = template.simulate({"psi": 0.6, "gamma": 0.2, "epsilon": 0.2, "p": 0.5}, 1)
    fit = models.DynamicOccupancy(h, gamma="~ C(season)", epsilon="~ C(season)").fit()
    occupancy = variance_components(fit, quantity="occupancy")
    np.testing.assert_allclose(occupancy.shrunk["se"] ** 2, np.diag(fit.seasonal_covariance()), rtol=1e-4)


def test_refusals():
    with pytest.raises(SurveyError, match="too few estimates"):
        variance_components([0.5, 0.6], np.eye(2))
    with pytest.raises(SurveyError, match="does not fit"):
        variance_components([0.5, 0.6, 0.7], np.eye(2))
    with pytest.raises(SurveyError, match="no covariance"):
        variance_components([0.5, 0.6, 0.7], np.array([[1, 2, 0], [2, 1, 0], [0, 0, 1.0]]))
    fit = models.CJS(suite("dipper")).fit()
    with pytest.raises(SurveyError, match="one number in this model"):
        variance_components(fit, quantity="phi")
    with pytest.raises(SurveyError, match="no such series"):
        variance_components(fit, quantity="abundance")
    with pytest.raises(SurveyError, match="many series"):
        variance_components(fit)
