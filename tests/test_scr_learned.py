"""Learned responses, and covariates that change between occasions, in spatial capture-recapture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_scr
import pandas as pd
import pytest
from reference import entry, scr_data
from scr_problems import differences_of_gradient, differences_of_loglik, small, surveyed
from test_scr_agreement import to_ours

from uncia import models, survey
from uncia.models.model import Model
from uncia.models.spatial.learned import LEARNED
from uncia.survey.errors import SurveyError

VALUES = {"D": 900.0, "sigma": 300.0}


def link(row: dict, names, intercept=-1.4) -> float:
    return intercept + sum(0.7 * row[name] for name in names)


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
@pytest.mark.parametrize("names", [("b",), ("bk",), ("B", "Bk"), ("k",), ("K", "b"), ("b", "bk", "T")], ids="+".join)
def test_the_log_likelihood_is_that_by_occasion(kind, names):
    """Also with a detector not set on some occasions, an animal caught once and one that is removed."""
    captures, mask = small(kind, removed=True)
    model = models.SCR(captures, mask, lambda0="~ " + "+".join(names), detection="hazard half-normal")
    terms = model.parameters["lambda0"].terms
    at = model.at(**VALUES, lambda0=dict.fromkeys(terms, 0.7) | {"Intercept": -1.4})
    parameters = lambda row: (np.exp(link(row, names)), 300.0)  # noqa: E731
    there = oracle_scr.loglik(captures, mask, 900.0, parameters, detection="hazard half-normal")
    assert at.loglik == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
@pytest.mark.parametrize("g0", ["~ b", "~ bk + B"])
def test_gradient_and_curvature(kind, g0):
    captures, mask = small(kind, removed=kind == "multi")
    model = models.SCR(captures, mask, D="~ x", g0=g0, sigma="~ " + g0[-1])
    vector = model.start() + 0.1
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-6, atol=1e-6)
    hessian = Model.hessian(model, vector)  # exact, whether or not a fit would use it
    np.testing.assert_allclose(hessian, differences_of_gradient(model, vector), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
@pytest.mark.parametrize("name", LEARNED)
def test_a_response_of_zero_is_no_response(kind, name):
    captures, mask = small(kind)
    plain = models.SCR(captures, mask).at(**VALUES, g0=0.2)
    learned = models.SCR(captures, mask, g0=f"~ {name}")
    at = learned.at(**VALUES, g0={"Intercept": plain.vector[1], name: 0.0})
    assert at.loglik == pytest.approx(plain.loglik, abs=1e-9)


def test_an_animal_is_naive_until_the_occasion_after_its_first():
    """The void has no learned rows; an animal caught on the last occasion alone never meets them either."""
    captures, mask = small("proximity")
    last = captures.detections.groupby("animal")["occasion"].transform("min") == captures.n_occasions
    alone = survey.CaptureHistory(captures.detections[last], captures.detectors)
    assert alone.n_animals
    with pytest.raises(SurveyError, match="the terms of g0 cannot be told apart in these data"):
        models.SCR(alone, mask, g0="~ b")


def test_the_order_of_animals_is_immaterial():
    captures, mask = small("multi")
    names = dict(zip(captures.animals.index, reversed(list(captures.animals.index)), strict=True))
    turned = survey.CaptureHistory(
        captures.detections.assign(animal=captures.detections["animal"].map(names)), captures.detectors
    )
    g0 = {"Intercept": -1.0, "b": 0.4, "bk": -0.3}
    a, b = (models.SCR(c, mask, g0="~ b + bk").at(**VALUES, g0=g0).loglik for c in (captures, turned))
    assert a == pytest.approx(b, abs=1e-9)


def test_two_occasions_of_effort_one_are_one_of_effort_two_for_counts():
    """Where nothing is learned in between: Poisson counts on the halves of each occasion."""
    captures, mask = small("count")
    d = captures.detectors
    halves = replace(d, effort=np.repeat(d.effort, 2, axis=0))
    early = captures.detections.assign(occasion=2 * captures.detections["occasion"] - 1)
    split = survey.CaptureHistory(early, halves)
    whole = replace(captures, detectors=replace(d, effort=2.0 * d.effort), occasions=pd.DataFrame())
    both = [models.SCR(c, mask, lambda0="~ 1", detection="hazard half-normal") for c in (whole, split)]
    logliks = [m.at(**VALUES, lambda0=0.2).loglik for m in both]
    doubled = captures.detections["count"].sum() * np.log(2.0)
    assert logliks[0] == pytest.approx(logliks[1] + doubled, abs=1e-9)


@pytest.mark.parametrize("names", ["b + Bk", "bk + k", "B + K"])
def test_what_is_simulated_is_what_is_fitted(names):
    """The score at the truth is zero on average: its mean over data sets, in standard errors."""
    model = surveyed("proximity", lambda0="~ " + names)
    values = {"D": 20.0, "lambda0": dict.fromkeys(model.parameters["lambda0"].terms, 0.8) | {"Intercept": -1.8}}
    values["sigma"] = 2000.0
    truth = model.parameters.vector_from(values)
    scores = np.array([model.on(model.simulate(values, seed)).loglik_and_gradient(truth)[1] for seed in range(15)])
    z = scores.mean(axis=0) / scores.std(axis=0, ddof=1) * np.sqrt(len(scores))
    assert np.abs(z).max() < 4


# ---- covariates ------------------------------------------------------------------------------------------------


def test_covariates_of_occasions_and_of_both():
    captures, mask = small("proximity")
    S, K = captures.detectors.effort.shape
    rain = np.linspace(0.0, 2.0, S)
    wind = np.random.default_rng(2).normal(size=(S, K))
    wind[captures.detectors.effort == 0] = np.nan  # not known where no detector stood
    d = replace(captures.detectors, varying={"wind": wind}, covariates=pd.DataFrame({"road": np.arange(K) % 3.0}))
    more = survey.CaptureHistory(captures.detections, d, occasions=pd.DataFrame({"rain": rain}))
    model = models.SCR(more, mask, lambda0="~ rain + wind * road", detection="hazard half-normal")
    coefficients = dict(zip(model.parameters["lambda0"].terms, [-1.4, 0.3, -0.2, 0.1, 0.4], strict=True))

    def parameters(row):
        k, s = d.index(row["detector"]), row["T"]
        eta = [1.0, rain[s], wind[s, k], k % 3.0, wind[s, k] * (k % 3.0)]
        names = ["Intercept", "rain", "wind", "road", "wind:road"]
        return np.exp(sum(coefficients[name] * v for name, v in zip(names, eta, strict=True))), 300.0

    there = oracle_scr.loglik(more, mask, 900.0, parameters, detection="hazard half-normal")
    assert model.at(**VALUES, lambda0=coefficients).loglik == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize(
    "formula", ["~ bs(wind, df=4)", "~ cr(wind, df=3, constraints='center')", "~ poly(wind, 2) * road"]
)
def test_splines_of_a_continuous_covariate_need_no_bins(formula):
    captures, mask = small("proximity")
    S, K = captures.detectors.effort.shape
    wind = np.random.default_rng(2).normal(size=(S, K))
    d = replace(captures.detectors, varying={"wind": wind}, covariates=pd.DataFrame({"road": np.arange(K) % 3.0}))
    model = models.SCR(survey.CaptureHistory(captures.detections, d), mask, g0=formula)
    assert len(model.rows) == int(d.used.sum())
    vector = model.start()
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-5, atol=1e-5)


def test_messages():
    captures, mask = small("proximity")
    S, K = captures.detectors.effort.shape
    gap = np.ones((S, K))
    gap[1, 0] = np.nan
    varying = replace(captures, detectors=replace(captures.detectors, varying={"wind": gap}), animals=pd.DataFrame())
    with pytest.raises(SurveyError, match="'wind' is missing at detector 'C01', occasion 2"):
        models.SCR(varying, mask, g0="~ wind")
    named = replace(captures, detectors=replace(captures.detectors, varying={"T": np.ones((S, K))}))
    with pytest.raises(SurveyError, match="'T' in a detection formula has two meanings"):
        models.SCR(named, mask, g0="~ T")
    models.SCR(named, mask)  # a name that no formula uses does no harm


# ---- the field's program ---------------------------------------------------------------------------------------

EFFORT = {"effort": "effort_varying.csv"}
EXPONENTIAL = {"detection": "exponential"}
CASES = [
    ("captdata", {}, "g0~bk (site-specific", {"g0": "~ bk"}),
    ("captdata", {}, "g0~b (learned response", {"g0": "~ b"}),
    ("captdata", {}, "g0~b sigma~b", {"g0": "~ b", "sigma": "~ b"}),
    ("stoatDNA", {}, "halfnormal, g0~b", {"g0": "~ b"}),
    ("captdata_effort", EFFORT, "multi-catch halfnormal, g0~bk effort_varying", {"g0": "~ bk"}),
    ("captdata_effort", EFFORT, "multi-catch halfnormal, g0~b effort_varying", {"g0": "~ b"}),
    ("blackbear", {}, "exponential, g0 ~ bk", EXPONENTIAL | {"g0": "~ bk"}),
    ("blackbear", {}, "exponential, g0 ~ b fixed", EXPONENTIAL | {"g0": "~ b"}),
    ("blackbear", {}, "exponential, g0 ~ t", EXPONENTIAL | {"g0": "~ t"}),
]


FITTED = {"g0~bk (site-specific", "halfnormal, g0~b"}  # the others have no fit there, or take long here


@pytest.mark.parametrize(("name", "read", "words", "options"), CASES, ids=[c[0] + " " + c[2] for c in CASES])
def test_agreement(name, read, words, options):
    there = entry(name, words)
    captures, mask = scr_data(name, **read)
    model = models.SCR(captures, mask, **options)
    for point in there["fixed_parameter_loglik"]:
        assert model.loglik(to_ours(model, point["values"])) == pytest.approx(point["loglik"], abs=1e-8, rel=0)
    if words not in FITTED:
        return
    fit = model.fit()
    theirs = np.array(list(there["coefficients"].values()), float)
    assert fit.loglik == pytest.approx(there["loglik"], abs=1e-6)
    np.testing.assert_allclose((fit.vector - to_ours(model, theirs[:, 0])) / theirs[:, 1], 0.0, atol=1e-3)
    np.testing.assert_allclose(fit.se, theirs[:, 1], rtol=2e-3)
    D = there["derived"]["derived"]["D"]
    density = fit.derive().set_index("quantity").loc["density"]
    assert [density["estimate"], density["se"]] == pytest.approx(np.multiply(D[:2], 1e4), rel=1e-3)


def test_likelihood_ratio_and_aic_against_the_null_model():
    captures, mask = scr_data("captdata")
    null, learned = (models.SCR(captures, mask, g0=g0).fit() for g0 in ("~ 1", "~ b"))
    ratio = entry("captdata", "likelihood-ratio test null")["derived"]["statistic"]
    assert 2.0 * (learned.loglik - null.loglik) == pytest.approx(ratio, abs=1e-5)
    there = entry("captdata", "AIC table")["derived"]
    assert [null.aic, learned.aic] == pytest.approx(there["AIC"], abs=1e-3)
    assert [null.aicc, learned.aicc] == pytest.approx(there["AICc"], abs=1e-3)


@pytest.mark.parametrize("kind", ["multi", "proximity"])
def test_detection_probability_at_points(kind):
    there = entry("captdata", "overall detection probability")["derived"]
    captures, mask = scr_data("captdata", kind=kind)
    fit = models.SCR(captures, mask).at(D=1.0, g0=0.2732, sigma=29.3658)
    part = fit.model.session()
    points = [survey.HabitatMask.from_points([x], [y], 7.0) for x, y in zip(there["x"], there["y"], strict=True)]
    found = [float(part.detection_probability(fit.values_of(part), point)[0]) for point in points]
    assert found == pytest.approx(there[f"pdot_{kind}"], abs=1e-12)
