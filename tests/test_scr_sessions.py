"""Several sessions: sums of their parts, sessions without animals, messages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from reference import entry
from scr_problems import small
from test_scr import MODELS, VALUES, grid, surveyed
from test_scr_agreement import ovenbirds, to_ours

from uncia import models, survey
from uncia.survey.errors import SurveyError

HOW = {"detection": "hazard half-normal"}


def two(**options):
    a = replace(MODELS["count"].captures, session="first")
    b = replace(surveyed("count", seed=5).captures, session="second")
    return models.SCR([a, b], MODELS["count"].mask, **HOW, **options)


def test_the_log_likelihood_is_the_sum():
    joint = two()
    parts = [models.SCR(s.captures, s.mask, **HOW).at(**VALUES).loglik for s in joint.sessions]
    assert joint.at(**VALUES).loglik == pytest.approx(sum(parts), abs=1e-9)


def test_session_specific_fits_are_separate_fits():
    joint = two(D="~ session", lambda0="~ session", sigma="~ session").fit()
    parts = [models.SCR(s.captures, s.mask, **HOW).fit() for s in joint.model.sessions]
    assert joint.loglik == pytest.approx(sum(p.loglik for p in parts), abs=1e-6)
    rows = joint.derive().query("quantity == 'density'")
    theirs = [p.derive().iloc[0] for p in parts]
    np.testing.assert_allclose(rows["estimate"], [t["estimate"] for t in theirs], rtol=1e-4)
    np.testing.assert_allclose(rows["se"], [t["se"] for t in theirs], rtol=1e-3)


def test_a_session_without_animals_is_data():
    nothing = pd.DataFrame({"animal": [], "occasion": [], "detector": []})
    empty = survey.CaptureHistory(nothing, grid("count"), session="empty")
    full = replace(MODELS["count"].captures, session="full")
    joint = models.SCR([full, empty], MODELS["count"].mask, **HOW)
    assert joint.at(**VALUES).loglik < MODELS["count"].at(**VALUES).loglik
    fit = joint.fit()
    alone = MODELS["count"].fit()
    ratio = np.exp(fit.vector[0] - alone.vector[0])
    assert ratio == pytest.approx(0.5, abs=0.02)  # the same animals over twice the surveyed area


def test_conditional_sessions_have_their_own_density():
    fit = two(likelihood="conditional").fit()
    rows = fit.derive().query("quantity == 'density'")
    full = two(D="~ session").fit().derive().query("quantity == 'density'")
    np.testing.assert_allclose(rows["estimate"], full["estimate"], rtol=1e-4)
    np.testing.assert_allclose(rows["se"], full["se"], rtol=1e-3)


def test_session_covariates_and_messages():
    joint = two()
    table = pd.DataFrame({"rain": [1.0, 3.0]}, index=["first", "second"])
    fit = two(D="~ rain", session_covariates=table).fit()
    assert fit.verdict.good
    with pytest.raises(SurveyError, match="session_covariates lack a session"):
        two(D="~ rain", session_covariates=table.iloc[:1])
    with pytest.raises(SurveyError, match="two sessions have the same name"):
        models.SCR([MODELS["count"].captures] * 2, MODELS["count"].mask, **HOW)
    with pytest.raises(SurveyError, match=r"say which session\. One of first, second"):
        joint.session()
    with pytest.raises(SurveyError, match="there is no such session"):
        fit.activity_centre("A001", session="third")
    assert len(joint.simulate(VALUES, 1)) == 2
    surface = fit.predict("D", session="second")["estimate"]
    assert float(surface.mean()) == pytest.approx(fit.derive().query("scope == 'session second'").iloc[0]["estimate"])


def test_occasions_are_a_factor_when_sessions_differ_in_length():
    def part(name, occasions, seed):
        captures = surveyed("count", seed=seed).captures
        seen = captures.detections.query("occasion <= @occasions")
        detectors = replace(captures.detectors, effort=captures.detectors.effort[:occasions])
        return survey.CaptureHistory(seen, detectors, session=name)

    model = models.SCR([part("long", 4, 1), part("short", 3, 5)], MODELS["count"].mask, lambda0="~ t", **HOW)
    assert model.parameters["lambda0"].terms == ("Intercept", "t[T.2]", "t[T.3]", "t[T.4]")


def test_every_parameter_of_its_own_session_agrees_with_secr():
    there = entry("ovenbird", "D~session g0~session sigma~session, fixed")
    model = ovenbirds(D="~ session", g0="~ session", sigma="~ session")
    for point in there["fixed_parameter_loglik"]:
        assert model.loglik(to_ours(model, point["values"])) == pytest.approx(point["loglik"], abs=1e-8, rel=0)


def test_a_coefficient_without_a_standard_error_takes_it_from_its_own_session_only():
    captures, mask = small("proximity")
    empty = replace(captures, detections=captures.detections.iloc[:0], animals=captures.animals.iloc[:0])
    both = [replace(captures, session="1"), replace(empty, session="2")]
    fit = models.SCR(both, [mask, mask], g0="~ session").fit()
    table = fit.predict("g0").set_index("session")["se"]
    assert np.isfinite(table["1"])
    assert np.isnan(table["2"])
