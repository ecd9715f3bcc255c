"""Residuals of detectors, checks of the mask, overdispersion of the number of animals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scr_problems import small, surveyed

from uncia import models, survey
from uncia.models.spatial.fit_checks.by_detector import population
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}


@pytest.fixture(scope="module")
def fitted():
    return surveyed("count").fit()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("count", {}), ("multi", {"at_least": 2}), ("proximity", {"distribution": "binomial", "at_least": 2})],
)
def test_what_detectors_expect_of_the_population_against_simulation(kind, options):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, classes="sex", lambda0="~ sex", **options, **HAZARD)
    at = {"D": 30_000.0, "lambda0": {"Intercept": -1.2, "sex[T.male]": 0.8}, "sigma": 280.0, "pmix": 0.4}
    vector = model.parameters.vector_from(at)
    session = model.session()
    (found,) = population(model, session, vector, model.parameters.values(vector))
    away, animals = [], []
    for seed in range(6):
        frame = model.simulate(at, seed).detections
        by = frame.groupby("detector")
        animals.append(by["animal"].nunique().reindex(captures.detectors.id, fill_value=0).to_numpy())
        often = frame["animal"].map(frame.groupby("animal")["count"].sum()) >= model.at_least
        count = frame[often].groupby("detector")["count"].sum().reindex(captures.detectors.id, fill_value=0)
        away.append((count.to_numpy() - found.expected) / np.sqrt(found.variance))
    assert np.abs(np.mean(away, axis=0)).max() < 4.0 / np.sqrt(6)
    assert 0.6 < np.mean(np.square(away)) < 1.5
    assert np.mean(animals, axis=0) == pytest.approx(found.animals, rel=0.1)


def test_residuals_of_detectors(fitted):
    table = fitted.residuals()
    assert list(table["detector"]) == list(fitted.model.captures.detectors.id)
    assert table["observed"].sum() == fitted.model.captures.n_detections
    assert table["expected_given_animals"].sum() == pytest.approx(table["observed"].sum(), rel=0.01)
    assert 0.5 < np.mean(table["residual"] ** 2) < 2.0
    conditional = surveyed("count", likelihood="conditional").fit().residuals()
    assert conditional["residual"].to_numpy() == pytest.approx(table["residual"].to_numpy(), rel=1e-4)
    ax = fitted.plot_residuals()
    assert "given animals" in ax.get_title()
    assert "given animals" in str(models.residual_pattern(table))


def test_cameras_that_see_more_stand_out_and_neighbours_make_a_pattern(fitted):
    captures = fitted.model.captures
    frame = captures.detections.copy()
    x = captures.detectors.x[captures.detector_index]
    frame.loc[x > np.median(captures.detectors.x), "count"] *= 4  # better cameras in the east
    fit = fitted.model.on(survey.CaptureHistory(frame, captures.detectors)).fit()
    table = fit.residuals()
    east = table["x"] > table["x"].median()
    gap = "residual_given_animals"
    assert table.loc[east, gap].mean() > 1.0
    assert table.loc[~east, gap].mean() < 0.0
    assert models.residual_pattern(table).p_value < 0.02
    assert models.residual_pattern(fitted.residuals()).p_value > 0.05


def test_learned_responses_have_residuals_given_the_animals_only():
    captures, mask = small("proximity")
    fit = models.SCR(captures, mask, lambda0="~ bk", **HAZARD).fit()
    table = fit.residuals()
    assert "residual" not in table
    idle = captures.detectors.used.sum(axis=0) == 0
    assert np.array_equal(table["residual_given_animals"].isna().to_numpy(), idle)
    with pytest.raises(SurveyError, match="there are no such residuals"):
        models.residual_pattern(table, "population")


def test_a_detector_without_effort_has_no_residual():
    captures, mask = small("proximity")
    d = captures.detectors
    effort = np.where(np.arange(len(d.id)) == 8, 0.0, d.effort)
    kept = captures.detections[captures.detections["detector"] != "C09"]
    model = models.SCR(survey.CaptureHistory(kept, survey.Detectors(list(d.id), d.x, d.y, effort)), mask, **HAZARD)
    table = model.at(D=900.0, lambda0=0.3, sigma=280.0).residuals()
    assert np.isnan(table["residual"].iloc[8])
    assert table["residual"].iloc[:8].notna().all()
    assert table["expected"].iloc[8] == 0.0


# ---- the mask ------------------------------------------------------------------------------------------------------


def test_a_mask_that_is_too_small_is_found_and_refitting_agrees(fitted):
    good = surveyed("proximity")
    d = good.captures.detectors
    narrow = models.SCR(good.captures, survey.HabitatMask.around(d, 2000.0, 500.0), **HAZARD).fit()
    check, again = narrow.check_mask(wider=3.0), narrow.check_mask(wider=3.0, refit=True)
    wide = check.table.set_index("mask")["change"]
    assert wide["wider"] < -0.05
    assert abs(wide["finer"]) < 0.002
    assert not check.good
    refitted = again.table.set_index("mask")["change"]
    assert refitted["wider"] < -0.05
    assert refitted["finer"] == pytest.approx(wide["finer"], abs=2e-3)
    assert "buffer 6,000 m" in str(check)
    sound = models.SCR(good.captures, survey.HabitatMask.around(d, 9000.0, 900.0), **HAZARD).fit().check_mask()
    assert sound.good
    assert "wide and fine enough" in str(sound)


def test_a_coarse_mask_is_found_and_a_mask_of_an_outline_has_nothing_beyond():
    good = surveyed("proximity")
    d = good.captures.detectors
    whole = survey.HabitatMask.around(d, 9000.0, 3500.0)
    coarse = survey.HabitatMask(whole.x0, whole.y0, whole.spacing, whole.habitat)
    check = models.SCR(good.captures, coarse, D="~ x", sigma=1200.0, **HAZARD).fit().check_mask()
    assert list(check.table["mask"]) == ["as fitted", "finer"]
    assert abs(check.table["change"].iloc[1]) > 0.01
    assert "the mask has no buffer" in str(check)
    with pytest.raises(SurveyError, match="finer is the number of parts"):
        models.SCR(good.captures, coarse, **HAZARD).fit().check_mask(finer=1)


# ---- overdispersion ------------------------------------------------------------------------------------------------


def sessions(numbers, seed: int = 0) -> models.SCR:
    """One survey after the other, with so many animals each."""
    model, found = surveyed("proximity"), []
    for j, n in enumerate(numbers):
        rng = np.random.default_rng([seed, j])
        cell = rng.choice(model.mask.size, n)
        x, y = model.mask.centres()
        centres = pd.DataFrame({"x": x[cell], "y": y[cell]})
        c = model.simulate({"D": 1.0, "lambda0": 0.3, "sigma": 2000.0}, seed + j, centres)
        found.append(survey.CaptureHistory(c.detections, c.detectors, session=str(j)))
    return models.SCR(found, model.mask, **HAZARD)


def test_numbers_that_vary_between_sessions_are_overdispersed():
    even, uneven = sessions([60, 62, 58, 61, 59]).fit(), sessions([20, 100, 35, 110, 30]).fit()
    a, b = even.overdispersion(), uneven.overdispersion()
    assert a.df == b.df == 4
    assert a.c_hat < 1.5
    assert b.c_hat > 5.0
    n, E = b.table["observed"].to_numpy(), b.table["expected"].to_numpy()
    assert E.sum() == pytest.approx(n.sum(), rel=1e-4)
    pearson = np.sum((n - E) ** 2 / E) / 4
    assert b.c_hat == pytest.approx(pearson / (1 + np.mean((n - E) / E)))
    assert "fit.inflated(c_hat, of='number')" in str(b)
    with pytest.raises(SurveyError, match="no more sessions than the model has coefficients of density"):
        surveyed("proximity").fit().overdispersion()
    with pytest.raises(SurveyError, match="by sessions or by detectors"):
        even.overdispersion("cells")


def test_c_hat_by_detectors(fitted):
    found = fitted.overdispersion("detectors")
    assert found.df == 25 - 3
    assert 0.3 < found.c_hat < 2.5
    assert "a diagnosis" in str(found)
    twice = fitted.model.given_at_least(2).fit()
    with pytest.raises(SurveyError, match="animals left out"):
        twice.overdispersion("detectors")


def test_inflating_the_number_of_animals_is_c_times_its_part_of_the_variance(fitted):
    wide = fitted.inflated(3.0, of="number")
    split = fitted.variance_split()
    told, before = wide.derive().iloc[0], fitted.derive().iloc[0]
    assert told["estimate"] == before["estimate"]
    assert told["rse"] == pytest.approx(np.sqrt(3.0 * split["cv_n"] ** 2 + split["cv_a"] ** 2), rel=1e-5)
    assert wide.se[1:] == pytest.approx(fitted.se[1:], rel=1e-6)  # detection knows nothing of how many there are
    assert "times c-hat = 3.000" in str(wide.verdict)
    assert fitted.inflated(0.8, of="number") is fitted
    assert (wide.c_hat, wide.aicc) == (1.0, fitted.aicc)  # that of the number is no overdispersion of detections
    everything = fitted.inflated(3.0)
    assert everything.c_hat == 3.0
    assert everything.se == pytest.approx(np.sqrt(3.0) * fitted.se)
    with pytest.raises(SurveyError, match="this was done before"):
        wide.inflated(2.0, of="number")
    with pytest.raises(SurveyError, match="the number of animals is not modelled"):
        surveyed("count", likelihood="conditional").fit().inflated(2.0, of="number")


# ---- several models ------------------------------------------------------------------------------------------------


def test_density_is_averaged_over_models_and_other_data_are_refused(fitted):
    other = fitted.model.with_formulas(lambda0="~ T").fit()
    table = models.average({"constant": fitted, "trend": other}, "density")
    each = [f.derive().iloc[0]["estimate"] for f in (fitted, other)]
    assert min(each) <= table["estimate"].iloc[0] <= max(each)
    assert table["lower"].iloc[0] < table["estimate"].iloc[0] < table["upper"].iloc[0]
    with pytest.raises(SurveyError, match="given at least two detections"):
        models.average([fitted, fitted.model.given_at_least(2).fit()], "density")
