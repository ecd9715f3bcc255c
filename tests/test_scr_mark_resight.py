"""Mark-resight: the field's program, the likelihood written out, gradients, sightings on occasions between marking."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import reference
from oracle_resight import VALUES, slow, survey_of
from scr_problems import differences_of_loglik

from uncia import models, survey
from uncia.models.detection import DETECTION_FUNCTIONS

# ---- the reference ---------------------------------------------------------------------------------------------------


def secr_data(counts: bool):
    """The data set of the suite: one occasion of marking in multi-catch traps, four of sighting, seen or not."""
    folder = reference.reference("mark_resight")
    whole, mask = reference.scr_data("mark_resight", kind="proximity")
    tables = {}
    for name, file in (("unmarked", "Tu.txt"), ("unidentified", "Tm.txt")) if counts else ():
        rows = [line.split()[1:] for line in (folder / file).read_text().splitlines() if line.strip()]
        tables[name] = np.array(rows, float).T
    return *survey.split_marking(whole, marking=[1], marking_kind="multi", **tables), mask


@pytest.mark.parametrize("entry", [0, 1])
def test_log_likelihoods_at_fixed_parameters_are_those_of_secr(entry):
    expected = reference.expected("mark_resight")[entry]
    marking, sightings, mask = secr_data(counts=entry == 1)
    pID = "~ 1" if entry == 1 else 1.0  # without counts the program has pID in its list and not in its likelihood
    model = models.MarkResight(marking, sightings, mask, pID=pID, entry="any occasion")
    for point in expected["fixed_parameter_loglik"]:
        v = point["values"]
        values = {"D": {"Intercept": v["D"] + np.log(1e4)}, "g0": {"Intercept": v["g0"]}, "sigma": np.exp(v["sigma"])}
        values |= {"pID": {"Intercept": v["pID"]}} if entry == 1 else {}
        np.testing.assert_allclose(model.at(**values).loglik, point["loglik"], rtol=1e-10)


@pytest.mark.parametrize("entry", [0, 1])
def test_fits_are_those_of_secr(entry):
    expected = reference.expected("mark_resight")[entry]
    marking, sightings, mask = secr_data(counts=entry == 1)
    model = models.MarkResight(marking, sightings, mask, pID="~ 1" if entry else 1.0, entry="any occasion")
    fit = model.fit()
    np.testing.assert_allclose(fit.loglik, expected["loglik"], atol=1e-4)
    names = ["D", "g0", "sigma", "pID"][: model.parameters.size]
    theirs = np.array([expected["coefficients"][name] for name in names])
    theirs[0, 0] += np.log(1e4)
    np.testing.assert_allclose(fit.vector, theirs[:, 0], atol=2e-3)
    np.testing.assert_allclose(fit.se, theirs[:, 1], rtol=0.01)


# ---- the likelihood written out --------------------------------------------------------------------------------------


CASES = [
    ("count", None, "multi"),
    ("proximity", None, "multi"),
    ("count", [1, 1, 2, 3], "multi"),
    ("proximity", [0, 1, 3, 3], "proximity"),
    ("count", [1, 1, 1, 1], "proximity"),
]


@pytest.mark.parametrize(("kind", "after", "marking_kind"), CASES)
def test_the_likelihood_is_that_written_out(kind, after, marking_kind):
    marking, sightings, mask = survey_of(kind, after=after, marking_kind=marking_kind)
    model = models.MarkResight(marking, sightings, mask, lambda0="~ phase", detection="hazard half-normal")
    values = {"lambda0": {"Intercept": np.log(0.2), "phase[T.sighting]": np.log(1.5)}}
    fit = model.at(D=1000.0, sigma=270.0, pID=0.55, **values)
    written = slow(marking, sightings, mask, 1000.0, (0.2, 0.3), 270.0, 0.55)
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-10)


@pytest.mark.parametrize("marked", [40, "unknown"])
@pytest.mark.parametrize("kind", ["count", "proximity"])
def test_sighting_only_is_that_written_out(kind, marked):
    _, sightings, mask = survey_of(kind)
    model = models.MarkResight(None, sightings, mask, marked=marked, detection="hazard half-normal")
    fit = model.at(D=2400.0, lambda0=0.3, sigma=270.0, pID=0.55)
    written = slow(None, sightings, mask, 2400.0, (None, 0.3), 270.0, 0.55, marked)
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-10)
    vector = fit.vector + 0.02
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-5, atol=1e-5)
    assert list(fit.derive()["quantity"]) == ["density", "expected abundance"]
    assert list(fit.abundance(mask)["quantity"]) == ["density", "expected abundance"]
    with pytest.raises(survey.SurveyError, match="there is no joint abundance of several regions of mark-resight"):
        fit.joint_abundance()


@pytest.mark.parametrize(("kind", "after", "marking_kind"), CASES)
def test_the_gradient_is_that_of_differences(kind, after, marking_kind):
    marking, sightings, mask = survey_of(kind, after=after, marking_kind=marking_kind)
    options = {"D": "~ x", "lambda0": "~ phase", "pID": "~ T", "detection": "hazard exponential"}
    model = models.MarkResight(marking, sightings, mask, **options, c_hat=(1.5, 1.2))
    vector = model.start() + 0.03 * np.arange(model.parameters.size)
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("marked", [30, "unknown"])
def test_sighting_only_fits_from_its_own_start(marked):
    _, sightings, mask = survey_of("count")
    plan = models.MarkResight(None, sightings, mask, marked=30, detection="hazard half-normal")
    seen = plan.simulate({"D": 3000.0, "lambda0": 0.3, "sigma": 250.0, "pID": 0.7}, 3)
    fit = plan._with(data=(None, seen[1]), marked=marked).fit()
    assert np.isfinite(fit.se).all() and np.isfinite(fit.loglik)
    assert 1400 < fit.derive()["estimate"].iloc[0] < 6000
    with pytest.raises(
        survey.SurveyError, match=r"no table of residuals of mark-resight models\. Look at the numbers of"
    ):
        fit.residuals()
    assert np.isfinite(fit.overdispersion()).all()
    if marked == "unknown":
        return
    with pytest.raises(
        survey.SurveyError, match=r"no joint abundance .* Use fit.abundance\(region\) of one region after"
    ):
        fit.joint_abundance()
    with pytest.raises(survey.SurveyError, match=r"no surface of total activity centres .* Use fit.activity_centre"):
        fit.total_activity_centres()
    assert len(fit.abundance()) and fit.activity_centre(fit.model.captures.animals.index[0]) is not None


# ---- properties ------------------------------------------------------------------------------------------------------


def test_without_sighting_occasions_worth_it_marking_is_ordinary_spatial_capture_recapture():
    marking, sightings, mask = survey_of("count")
    alone = models.SCR(marking, mask, detection="hazard half-normal").at(D=1000.0, lambda0=0.2, sigma=250.0)
    values = {
        "lambda0": {"Intercept": np.log(0.2), "phase[T.sighting]": -40.0},
        "sigma": 250.0,
        "D": 1000.0,
        "pID": 0.5,
    }
    nothing = survey.CaptureHistory(sightings.captures.detections.iloc[:0], sightings.captures.detectors)
    zero = np.zeros_like(sightings.unmarked)
    model = models.MarkResight(
        marking, survey.Sightings(nothing, zero, zero), mask, lambda0="~ phase", detection="hazard half-normal"
    )
    np.testing.assert_allclose(model.at(**values).loglik, alone.loglik, rtol=1e-9)


def test_overdispersion_is_that_of_simulated_totals_and_widens_the_interval():
    marking, sightings, mask = survey_of("count")
    model = models.MarkResight(marking, sightings, mask, lambda0="~ phase", detection="hazard half-normal")
    fit = model.fit()
    adjusted = model.adjusted(fit)
    assert adjusted.c_hat[0] > 1.0 and adjusted.c_hat[1] > 1.0
    again = adjusted.fit()
    assert again.se[0] > fit.se[0]
    by_hand = f"as does c_hat = [{adjusted.c_hat[0]:.2f}, {adjusted.c_hat[1]:.2f}]"
    assert "adjusted(fit)" in str(fit.verdict) and by_hand in str(fit.verdict)
    assert "adjusted(fit)" not in str(again.verdict)
    assert model.overdispersion(model.at(**VALUES)) == pytest.approx(drawn_ratios(marking, sightings, mask), rel=0.06)


def drawn_ratios(marking, sightings, mask, times: int = 20_000) -> tuple[float, float]:
    """Variance over mean of the totals of unmarked and of unidentified sightings, drawn cell by cell."""
    rng, shape, (x, y) = np.random.default_rng(1), DETECTION_FUNCTIONS["hazard half-normal"], mask.centres()
    intercept = VALUES["lambda0"]
    levels = np.exp(intercept["Intercept"]), np.exp(intercept["Intercept"] + intercept["phase[T.sighting]"])
    whole = []
    for d, level in zip((marking.detectors, sightings.captures.detectors), levels, strict=True):
        effort = np.where(d.used, d.effort, 0.0).sum(axis=0)
        away = np.hypot(x[:, None] - d.x, y[:, None] - d.y)
        whole.append(level * shape.relative(away, VALUES["sigma"], 1.0) @ effort)
    marked, mu = -np.expm1(-whole[0]), VALUES["D"] * mask.cell_area / 100
    ratios = []
    for share, mean in ((1 - marked, whole[1]), (marked, whole[1] * (1 - VALUES["pID"]))):
        animals = rng.poisson(mu * share, (times, mask.size))
        totals = rng.poisson(animals * mean).sum(axis=1)
        ratios.append(totals.var(ddof=1) / totals.mean())
    return ratios[0], ratios[1]


def test_a_fit_tells_density_and_travels():
    marking, sightings, mask = survey_of("proximity", seed=3)
    fit = models.MarkResight(marking, sightings, mask, lambda0="~ phase", detection="hazard half-normal").fit()
    table = fit.derive().set_index("quantity")
    assert 500 < table.loc["density", "estimate"] < 2400
    assert "Sightings on 4 occasions" in str(fit)
    assert len(fit.predict("pID")) == 1 and 0.2 < fit.predict("pID")["estimate"].iloc[0] < 0.95
    assert float(fit.activity_centre(marking.animals.index[0]).sum()) == pytest.approx(1.0)
    with pytest.raises(
        survey.SurveyError, match=r"there is no test of fit of mark-resight models\. Use fit.overdispersion"
    ):
        fit.goodness(5)
    for ask in (fit.residuals, fit.ghosts, fit.sensitivity_to_ghosts):
        with pytest.raises(survey.SurveyError, match=r"of mark-resight models\. Use models\.SCR of the marking alone"):
            ask()
    with pytest.raises(
        survey.SurveyError, match=r"no check of the mask of mark-resight models\. Fit with a wider mask"
    ):
        fit.check_mask()
    with pytest.raises(survey.SurveyError, match=r"no split of the variance of mark-resight models. Use fit.derive"):
        fit.variance_split()
    assert np.isfinite(fit.overdispersion()).all()
    assert models.SCR(marking, mask, detection="hazard half-normal").fit().residuals() is not None
    with pytest.raises(survey.SurveyError, match="there is no likelihood given two detections of mark-resight models"):
        fit.model.given_at_least(2)
    with pytest.raises(survey.SurveyError, match="losses on capture are not known to mark-resight models"):
        fit.model.simulate(VALUES, 1, removed=0.1)
    assert pickle.loads(pickle.dumps(fit)).loglik == fit.loglik
    again = fit.model.on(fit.model.simulate(VALUES, 5))
    assert np.isfinite(again.loglik(fit.vector))
    assert fit.model.not_comparable(again) == "they are of different sightings"
    named = models.SCR(fit.model.captures, mask, lambda0="~ phase", detection="hazard half-normal")
    assert fit.model.not_comparable(named) == named.not_comparable(fit.model) == "they are different kinds of model"


def test_simulated_sightings_are_identified_as_often_as_their_occasion_says():
    marking, sightings, mask = survey_of("count")
    how = {"lambda0": "~ phase", "pID": "~ T", "detection": "hazard half-normal"}
    model = models.MarkResight(marking, sightings, mask, **how)
    never_then_always = {"Intercept": -40.0, "T": 40.0 / 1.5}  # logit -40, -13, 13, 40
    _, seen = model.simulate(VALUES | {"D": 8000.0, "pID": never_then_always}, 2)
    identified = seen.captures.detections["occasion"].value_counts()
    assert set(identified.index) == {3, 4}
    assert not seen.unidentified[2:].any() and seen.unidentified[:2].any(axis=1).all()


def test_sightings_at_proximity_detectors_are_thinned_as_in_the_likelihood():
    marking, sightings, mask = survey_of("proximity", marking_kind="proximity")
    model = models.MarkResight(marking, sightings, mask, lambda0="~ phase", detection="hazard half-normal")
    camera = sightings.captures.detectors
    centres = pd.DataFrame({"x": np.full(3000, camera.x[4]), "y": np.full(3000, camera.y[4])})
    lambda0 = {"Intercept": np.log(50.0), "phase[T.sighting]": np.log(0.9 / 50.0)}  # all are marked at once
    begun, seen = model.simulate({"D": 1000.0, "lambda0": lambda0, "sigma": 250.0, "pID": 0.5}, 4, centres)
    assert begun.n_animals == 3000
    frame, used = seen.captures.detections, camera.used[:, 4]
    found = np.mean([((frame["detector"] == camera.id[4]) & (frame["occasion"] == s + 1)).sum() / 3000
                     for s in np.flatnonzero(used)])  # fmt: skip
    expected = np.mean(-np.expm1(-0.45 * camera.effort[used, 4]))  # and not half of 1 - exp(-0.9)
    assert found == pytest.approx(expected, abs=3 * np.sqrt(0.25 / 3000 / used.sum()))
    half = 0.5 * np.mean(-np.expm1(-0.9 * camera.effort[used, 4]))
    assert abs(found - half) > 5 * np.sqrt(0.25 / 3000 / used.sum())


# ---- messages --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_told():
    marking, sightings, mask = survey_of("count")
    seen = sightings.captures
    stranger = seen.detections.assign(animal="Z")
    with pytest.raises(
        survey.SurveyError, match="animal 'Z' was identified on sighting occasion 1 and not marked before"
    ):
        models.MarkResight(marking, survey.Sightings(survey.CaptureHistory(stranger, seen.detectors)), mask)
    with pytest.raises(survey.SurveyError, match="the number of marked animals must be said"):
        models.MarkResight(None, sightings, mask)
    collar = survey.Telemetry(pd.DataFrame({"animal": ["A001"], "x": [50_000.0], "y": [80_000.0]}))
    with pytest.raises(survey.SurveyError, match="telemetry is not known to mark-resight models"):
        models.MarkResight(marking.with_telemetry(collar), sightings, mask)
    with pytest.raises(survey.SurveyError, match="mark-resight models know no learned responses"):
        models.MarkResight(marking, sightings, mask, lambda0="~ b", detection="hazard half-normal")
    with pytest.raises(survey.SurveyError, match="animals are sighted at count or proximity detectors"):
        survey.Sightings(marking)
    with pytest.raises(survey.SurveyError) as error:
        survey.Sightings(seen, unmarked=np.eye(4, 9) * 0.5, unidentified=np.zeros((3, 9)))
    assert "sightings of unmarked animals are whole numbers; at 'C02' on occasion 2 (found 0.5)" in str(error.value)
    assert "the sightings of marked animals that were not identified have another shape" in str(error.value)


def test_one_history_is_divided_into_marking_and_sighting_occasions():
    marking, _, _ = survey_of("proximity", after=[1, 1, 2, 3], marking_kind="proximity")
    frame, d = marking.detections, marking.detectors
    whole = survey.CaptureHistory(frame, survey.Detectors(d.id, d.x, d.y, np.ones((3, 9)), "proximity"))
    one, rest = survey.split_marking(whole, marking=[1, 3], unmarked=np.eye(3, 9))
    assert (one.n_occasions, rest.n_occasions, list(rest.after)) == (2, 1, [1])
    assert set(one.detections["occasion"]) == {1, 2}
    np.testing.assert_array_equal(rest.unmarked, np.eye(3, 9)[1:2])
    assert len(one.detections) + len(rest.captures.detections) == len(frame)
    for bad in ([], [1, 2, 3], [4]):
        with pytest.raises(survey.SurveyError, match="the marking occasions are not understood"):
            survey.split_marking(whole, marking=bad)
    with pytest.raises(survey.SurveyError, match="methods number their occasions by themselves"):
        survey.together({"a": whole}).of_occasions([1])


def test_tables_of_sightings_may_be_long_or_wide():
    _, sightings, _ = survey_of("count")
    seen, counts = sightings.captures, sightings.unmarked
    wide = pd.DataFrame(counts, columns=seen.detectors.id)
    s, k = np.nonzero(counts)
    long = pd.DataFrame({"occasion": s + 1, "detector": np.array(seen.detectors.id)[k], "count": counts[s, k]})
    for table in (wide, wide[wide.columns[::-1]], long):
        np.testing.assert_array_equal(survey.Sightings(seen, unmarked=table).unmarked, counts)
    with pytest.raises(survey.SurveyError, match="row 1 of unmarked animals names no detector and occasion"):
        survey.Sightings(seen, unmarked=long.assign(detector="nowhere").iloc[:1])
