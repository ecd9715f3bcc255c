"""Density that is log-linear is never written out, and nothing that is said of a fit depends on that."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scr_problems

from uncia import models, survey
from uncia.models import design
from uncia.models.model import Model


def sessions(kind: str):
    captures, mask = scr_problems.small(kind)
    other, _ = scr_problems.small(kind, seed=9)
    return [captures, replace(other, session="2")], mask


def model_of(case: str) -> models.SCR:
    captures, mask = scr_problems.small("proximity")
    hazard = {"detection": "hazard half-normal"}
    if case == "sessions":
        both, mask = sessions("count")
        return models.SCR(both, mask, D="~ x + session", **hazard)
    if case == "classes":
        return models.SCR(captures, mask, D="~ x", sigma="~ sex", classes="sex", **hazard)
    if case == "relative":
        return models.SCR(captures, mask, D="~ x + y", likelihood="conditional", **hazard)
    if case == "conditional":
        return models.SCR(captures, mask, likelihood="conditional", **hazard)
    if case == "fixed":
        return models.SCR(captures, mask, D=900.0, **hazard)
    if case == "probability":
        return models.SCR(captures, mask, D="~ x", detection="half-normal")
    return models.SCR(scr_problems.small("multi")[0], mask, D=case, **hazard)


def near(model: models.SCR, seed: int = 1) -> np.ndarray:
    return model.start() + np.random.default_rng(seed).normal(0.0, 0.1, model.parameters.size)


@pytest.mark.parametrize(
    "case", ["~ 1", "~ x + y", "sessions", "classes", "relative", "conditional", "fixed", "probability"]
)
def test_likelihood_gradient_and_hessian_are_those_with_density_written_out(case):
    model = model_of(case)
    vector = near(model)
    assert model.log_density(vector, model.sessions[0]) is not None
    value, gradient = model.loglik_and_gradient(vector)
    written, by_cells = Model.loglik_and_gradient(model, vector)
    assert value == pytest.approx(written, rel=1e-12)
    assert model.loglik(vector) == value
    np.testing.assert_allclose(gradient, by_cells, rtol=1e-9, atol=1e-9 * np.abs(by_cells).max())
    hessian, whole = super(models.SCR, model).hessian(vector), Model.hessian(model, vector)
    np.testing.assert_allclose(hessian, whole, rtol=1e-8, atol=1e-9 * np.abs(whole).max())


@pytest.mark.parametrize("case", ["~ x + y", "sessions", "classes", "conditional"])
def test_what_is_derived_does_not_depend_on_it(case, monkeypatch):
    fit = model_of(case).fit()
    short = fit.derive()
    monkeypatch.setattr(models.SCR, "log_density", lambda *_: None)
    whole = replace(fit).derive()
    for column in ("estimate", "se", "lower", "upper"):
        np.testing.assert_allclose(short[column], whole[column], rtol=1e-9)


def test_not_where_density_is_needed_cell_by_cell():
    captures, mask = scr_problems.small("proximity")
    for options in ({"links": {"D": "identity"}}, {"distribution": "binomial"}, {"detection": "exponential"}):
        model = models.SCR(captures, mask, **({"detection": "hazard half-normal"} | options))
        assert model.log_density(model.start(), model.sessions[0]) is None


def test_a_density_beyond_all_numbers_is_no_error_and_no_maximum():
    model = model_of("~ x + y")
    far = model.start() + np.array([800.0, 0.0, 0.0, 0.0, 0.0])
    value, gradient = model.loglik_and_gradient(far)
    assert value == -np.inf
    assert np.isnan(gradient).all()


def test_a_fixed_number_of_animals_beyond_all_numbers_is_no_error_either():
    captures, mask = scr_problems.small("proximity")
    nobody = survey.CaptureHistory(captures.detections.iloc[:0], captures.detectors, session="2")
    data = [replace(captures, session="1"), nobody]
    model = models.SCR(data, mask, D="~ session", distribution="binomial", detection="hazard half-normal")
    for intercept, other in ((400.0, 0.0), (700.0, 0.0), (0.0, -400.0), (0.0, -700.0)):
        far = model.start() + np.r_[intercept, other, np.zeros(model.parameters.size - 2)]
        assert model.loglik(far) == -np.inf
        assert model.loglik_and_gradient(far)[0] == -np.inf
    gone = model.start() + np.r_[0.0, -300.0, np.zeros(model.parameters.size - 2)]
    alone = models.SCR(data[0], mask, distribution="binomial", detection="hazard half-normal")
    assert model.loglik(gone) == pytest.approx(alone.loglik(np.delete(gone, 1)), abs=1e-9)


def test_a_large_design_is_made_some_rows_at_a_time_and_is_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.normal(size=1000), "b": rng.integers(0, 5, 1000), "kind": list("xyxyz") * 200})
    formulas = ["~ a + b + a:b", "~ a + kind", "~ bs(a, df=4)", "~ center(a)", "~ I(a - a.mean())", "~ 1"]
    whole = [design.Design.of(formula, frame, "D") for formula in formulas]
    triangles = [design.triangle(one.fixed) for one in whole]
    monkeypatch.setattr(design, "ROWS", 64)
    for formula, one, r in zip(formulas, whole, triangles, strict=True):
        parts = design.Design.of(formula, frame, "D")
        assert parts.names == one.names
        np.testing.assert_array_equal(parts.fixed, one.fixed)
        np.testing.assert_allclose(np.abs(design.triangle(parts.fixed)), np.abs(r), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(parts.at(frame[:7]), one.at(frame[:7]))
    relative = design.Design.of("~ a + b", frame, "D", intercept=False)
    assert relative.names == ("a", "b")
    np.testing.assert_array_equal(relative.fixed, frame[["a", "b"]])


def test_blocks_of_a_raster_are_made_once_and_do_not_travel():
    raster = model_of("~ 1").sessions[0].problem.raster
    assert raster.blocks is raster.blocks
    assert "blocks" not in pickle.loads(pickle.dumps(raster)).__dict__
