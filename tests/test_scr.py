"""SCR as users meet it: invariances, special cases, small samples, messages, simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scr_problems
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from uncia import models, survey
from uncia.models import Outcome
from uncia.survey.errors import SurveyError

VALUES = {"D": 6.0, "lambda0": 0.4, "sigma": 1500.0}


def grid(kind="proximity", occasions=5, side=6, spacing=2000.0, effort=1.0) -> survey.Detectors:
    x, y = np.meshgrid(np.arange(side) * spacing + 50_000, np.arange(side) * spacing + 80_000)
    names = [f"C{i + 1:02d}" for i in range(side * side)]
    return survey.Detectors(names, x.ravel(), y.ravel(), np.full((occasions, side * side), effort), kind)


def surveyed(kind="proximity", seed=1, values=VALUES, detection="hazard half-normal", **options) -> models.SCR:
    """A model on data simulated from itself."""
    detectors = grid(kind)
    mask = survey.HabitatMask.around(detectors, 6000.0, 1000.0)
    seedling = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": ["C01"]}), detectors)
    plan = models.SCR(seedling, mask, detection=detection)
    return models.SCR(plan.simulate(values, seed), mask, detection=detection, **options)


MODELS = {kind: surveyed(kind) for kind in ("proximity", "count", "multi")}


def again(model, captures=None, mask=None, **options):
    return models.SCR(captures or model.captures, mask or model.mask, detection=model.detection.name, **options)


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_animals_and_detectors_is_immaterial(kind, seed):
    model, rng = MODELS[kind], np.random.default_rng(seed)
    c, d = model.captures, model.captures.detectors
    order = rng.permutation(len(d))
    detectors = survey.Detectors([d.id[k] for k in order], d.x[order], d.y[order], d.effort[:, order], d.kind)
    names = dict(zip(c.animals.index, rng.permutation(c.animals.index), strict=True))
    frame = c.detections.sample(frac=1.0, random_state=seed).assign(animal=lambda f: f["animal"].map(names))
    shuffled = again(model, survey.CaptureHistory(frame, detectors))
    assert shuffled.at(**VALUES).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_kilometres_or_metres(kind):
    """Scaling space by s and density by 1/s² leaves the likelihood alone."""
    model, s = MODELS[kind], 3.0
    d = model.captures.detectors
    detectors = survey.Detectors(d.id, d.x * s, d.y * s, d.effort, d.kind)
    captures = survey.CaptureHistory(model.captures.detections, detectors)
    mask = survey.HabitatMask.around(detectors, 6000.0 * s, 1000.0 * s)
    scaled = VALUES | {"D": VALUES["D"] / s**2, "sigma": VALUES["sigma"] * s}
    assert again(model, captures, mask).at(**scaled).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-8)


@pytest.mark.parametrize("kind", ["proximity", "multi"])
def test_effort_acts_on_the_hazard(kind):
    """Twice the effort is half the hazard per unit of effort."""
    model = MODELS[kind]
    double = replace(model.captures.detectors, effort=2.0 * model.captures.detectors.effort)
    captures = survey.CaptureHistory(model.captures.detections, double)
    halved = VALUES | {"lambda0": VALUES["lambda0"] / 2}
    assert again(model, captures).at(**halved).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_detectors_without_effort_do_not_exist(kind):
    """A detector never set, and one whose effort is not known, change nothing."""
    model, d = MODELS[kind], MODELS[kind].captures.detectors
    extra = np.column_stack([d.effort, np.zeros(5), np.full(5, np.nan)])
    ghosts = survey.Detectors([*d.id, "zero", "unknown"], [*d.x, 51e3, 52e3], [*d.y, 81e3, 82e3], extra, d.kind)
    captures = survey.CaptureHistory(model.captures.detections, ghosts)
    assert again(model, captures).at(**VALUES).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-10)


@pytest.mark.parametrize("kind", MODELS)
def test_the_first_detector_unused_on_the_first_occasion(kind):
    """This breaks mixture models elsewhere; here it is one entry less."""
    d = MODELS[kind].captures.detectors
    effort = d.effort.copy()
    effort[0, 0] = 0.0
    frame = MODELS[kind].captures.detections
    frame = frame[~((frame["occasion"] == 1) & (frame["detector"] == d.id[0]))]
    captures = survey.CaptureHistory(frame, replace(d, effort=effort))
    fit = again(MODELS[kind], captures, lambda0="~ t").fit()
    assert fit.verdict.good


def test_a_constant_field_effect_is_the_null_model():
    """~ t with equal coefficients is ~ 1: collapsing occasions never changes the log-likelihood."""
    for kind, model in MODELS.items():
        by_occasion = again(model, lambda0="~ t")
        terms = by_occasion.parameters["lambda0"].terms
        values = VALUES | {"lambda0": dict.fromkeys(terms, 0.0) | {"Intercept": np.log(VALUES["lambda0"])}}
        assert by_occasion.at(**values).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-9), kind


def test_removal_of_every_animal_at_its_last_occasion_changes_nothing():
    """An animal removed on the last occasion of the survey has missed nothing."""
    model = MODELS["multi"]
    frame = model.captures.detections
    frame = frame.assign(removed=frame["occasion"] == 5)
    captures = survey.CaptureHistory(frame, model.captures.detectors)
    assert again(model, captures).at(**VALUES).loglik == pytest.approx(model.at(**VALUES).loglik, abs=1e-10)


@pytest.mark.parametrize("options", [{}, {"classes": "h2", "lambda0": "~ h2"}])
def test_a_binomial_number_of_animals_under_the_conditional_likelihood(options):
    """CV(n)² = (1 - a/A)/n (Borchers & Efford 2008); all that is estimated otherwise is as with a Poisson number."""
    how = {"likelihood": "conditional", **options}
    poisson, binomial = (again(MODELS["count"], **how, distribution=d).fit() for d in ("poisson", "binomial"))
    assert binomial.loglik == pytest.approx(poisson.loglik, abs=1e-9)
    there, here = (fit.derive().drop_duplicates("quantity").set_index("quantity") for fit in (poisson, binomial))
    np.testing.assert_allclose(here["estimate"], there["estimate"], rtol=1e-6)
    n, area = MODELS["count"].captures.n_animals, here.loc["effective sampling area", "estimate"]
    split, before = binomial.variance_split(), poisson.variance_split()
    assert split["cv_n"] == pytest.approx(np.sqrt((1.0 - area / MODELS["count"].mask.area) / n), rel=1e-6)
    assert split["cv_a"] == pytest.approx(before["cv_a"], rel=1e-5)
    assert here.loc["density", "rse"] == pytest.approx(split["cv_D"], rel=1e-5) and split["cv_D"] < before["cv_D"]
    # N is fixed: whatever is thought of its expectation is thought of the number itself
    assert here.loc["realised abundance", "se"] == pytest.approx(here.loc["expected abundance", "se"], rel=1e-6)
    assert there.loc["realised abundance", "se"] < there.loc["expected abundance", "se"]


def test_conditional_and_full_fits_tell_the_same():
    full = MODELS["proximity"].fit()
    part = again(MODELS["proximity"], likelihood="conditional").fit()
    np.testing.assert_allclose(part.vector, full.vector[1:], atol=1e-5)
    mine, theirs = part.derive(), full.derive()
    np.testing.assert_allclose(mine[["estimate", "se"]], theirs[["estimate", "se"]], rtol=1e-4)


def test_realised_abundance_of_parts_adds_up():
    fit = MODELS["proximity"].fit()
    x0 = fit.model.mask.x0
    west, east = shapely.box(0, 0, x0 + 10_499, 1e6), shapely.box(x0 + 10_501, 0, 1e6, 1e6)
    parts = [fit.abundance(fit.model.mask.clip(side)).set_index("quantity") for side in (west, east)]
    whole = fit.abundance().set_index("quantity")
    for quantity in ("expected abundance", "realised abundance"):
        total = sum(p.loc[quantity, "estimate"] for p in parts)
        assert total == pytest.approx(whole.loc[quantity, "estimate"], rel=1e-9)
    assert whole.loc["realised abundance", "lower"] >= fit.model.captures.n_animals


@pytest.mark.parametrize("distribution", ["poisson", "binomial"])
def test_the_number_of_animals_is_certain_where_all_are_detected(distribution):
    """And not unknown, because one minus a probability of one, or as many missed, rounds to less than none."""
    captures, mask = scr_problems.small("proximity")
    model = models.SCR(captures, mask, D="~ x", detection="hazard half-normal", distribution=distribution)
    fit = model.at(D={"Intercept": 7.0, "x": 0.1}, lambda0=60.0, sigma=900.0)
    fit = replace(fit, covariance=np.zeros_like(fit.covariance))
    half = replace(mask, habitat=mask.habitat & (np.arange(mask.habitat.shape[1]) < 5))
    tables = fit.abundance(), fit.abundance(mask), fit.abundance(half), fit.joint_abundance().table
    for table in tables:
        realised = table.set_index("quantity").loc["realised abundance"]
        assert np.isfinite(realised["se"])
    whole = tables[1].set_index("quantity").loc["realised abundance"]
    assert whole["se"] < 1e-6
    assert whole["estimate"] == pytest.approx(captures.n_animals)


def test_activity_centres_sum_to_one_and_lie_near_the_detections():
    fit = MODELS["count"].fit()
    surfaces = fit.activity_centres()
    np.testing.assert_allclose(surfaces.sum(("y", "x")), 1.0, rtol=1e-9)
    total = float(fit.total_activity_centres().sum())
    realised = fit.derive().set_index("quantity").loc["realised abundance", "estimate"]
    assert total == pytest.approx(realised, rel=1e-6)


def test_predicted_surface_has_the_mean_density():
    fit = again(MODELS["proximity"], D="~ x").fit()
    surface = fit.predict("D")
    density = fit.derive().iloc[0]["estimate"]
    assert float(surface["estimate"].mean()) == pytest.approx(density, rel=1e-9)
    assert bool((surface["lower"] <= surface["estimate"]).where(surface["estimate"].notnull(), True).all())


@pytest.mark.parametrize("kind", MODELS)
def test_two_animals_can_be_fitted(kind):
    frame = MODELS[kind].captures.detections
    rich = frame.groupby("animal")["detector"].nunique().nlargest(2).index
    captures = survey.CaptureHistory(frame[frame["animal"].isin(rich)], MODELS[kind].captures.detectors)
    fit = again(MODELS[kind], captures).fit()
    assert np.isfinite(fit.se).all()
    assert "Only 2 animals were detected: treat the interval as a rough guide" in str(fit.verdict)


def test_one_animal_at_one_place_is_said_in_words():
    one = pd.DataFrame({"animal": ["a"], "occasion": [1], "detector": ["C08"]})
    fit = again(MODELS["proximity"], survey.CaptureHistory(one, grid())).fit()
    assert "No animal was detected at two places: sigma cannot be estimated from these data." in str(fit.verdict)
    assert not fit.verdict.good


@pytest.mark.parametrize("kind", MODELS)
def test_a_buffer_from_the_data_is_wide_enough(kind):
    mask = survey.HabitatMask.around(MODELS[kind].captures, "auto")
    fit = again(MODELS[kind], mask=mask).fit()
    assert Outcome.MASK_SMALL not in fit.verdict


def test_a_small_buffer_is_found_out():
    model = MODELS["proximity"]
    mask = survey.HabitatMask.around(model.captures.detectors, 2000.0, 500.0)
    fit = again(model, mask=mask).fit()
    assert Outcome.MASK_SMALL in fit.verdict
    assert "use a buffer of" in str(fit.verdict)


def test_simulation_is_seeded_and_has_the_right_mean():
    model = MODELS["count"]
    same = [model.simulate(VALUES, 7).detections for _ in range(2)]
    pd.testing.assert_frame_equal(*same)
    n = [model.simulate(VALUES, seed).n_animals for seed in range(60)]
    fit = model.at(**VALUES)
    log_mu, rows = fit.kernel_input(model.session())
    expected = model.session().engine.evaluate(log_mu, rows, False).detected
    assert abs(np.mean(n) - expected) < 4 * np.sqrt(expected / 60)


def test_counts_binomial_need_whole_trials():
    model = MODELS["count"]
    captures = survey.CaptureHistory(
        model.captures.detections, replace(model.captures.detectors, effort=1.5 + model.captures.detectors.effort)
    )
    with pytest.raises(SurveyError, match="binomial counts need effort in whole trials"):
        again(model, captures, counts="binomial")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detection": "halfnormal"}, "detection is not known .*Did you mean 'half-normal'"),
        ({"g0": "~ 1"}, "'hazard half-normal' has no parameter 'g0' .*Its parameters are lambda0, sigma"),
        ({"D": "~ rugedness"}, "covariate that is not there"),
        ({"links": {"D": "logg"}}, "Did you mean 'log'"),
        ({"distribution": "negative"}, "Use one of 'poisson', 'binomial'"),
    ],
)
def test_wrong_options_are_named(options, message):
    model = MODELS["proximity"]
    options = {"detection": "hazard half-normal"} | options
    with pytest.raises(SurveyError, match=message):
        models.SCR(model.captures, model.mask, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "conditional", "D": 3.0}, "D cannot be fixed under the conditional likelihood"),
        ({"likelihood": "conditional", "D": "~ x - 1"}, "the formula of D needs its intercept"),
        ({"likelihood": "conditional", "links": {"D": "identity"}}, "D has the log link under the conditional"),
        ({"D": -1.0}, r"D must be above 0 \(found -1.0\)"),
        ({"sigma": float("nan")}, r"sigma must be above 0 \(found nan\)"),
        ({"D": None}, "D needs a formula or a number"),
    ],
)
def test_fixed_values_and_relative_density_are_checked(options, message):
    with pytest.raises(SurveyError, match=message):
        again(MODELS["proximity"], **options)


def test_fixed_parameters_stay_fixed():
    model = again(MODELS["proximity"], D=6.0, sigma=1500.0)
    with pytest.raises(SurveyError, match=r"sigma is fixed in this model \(found 4000\)"):
        model.at(lambda0=0.4, sigma=4000)
    fit = model.fit()
    assert fit.n_parameters == 1
    assert float(fit.predict("D")["estimate"].mean()) == 6.0


def test_captures_and_mask_in_the_wrong_place():
    model = MODELS["proximity"]
    with pytest.raises(SurveyError, match=r"a HabitatMask is needed \(found 'Detectors'\)"):
        models.SCR(model.captures, model.captures.detectors)


@pytest.mark.parametrize("side", [300.0, 4000.0, 14_000.0])
def test_small_regions_have_their_own_area(side):
    fit = MODELS["proximity"].fit()
    x, y = fit.model.mask.x.mean(), fit.model.mask.y.mean()
    box = shapely.box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    per_km2 = fit.derive().iloc[0]["estimate"] / 100
    assert fit.abundance(box).iloc[1]["estimate"] == pytest.approx(per_km2 * side**2 / 1e6, rel=0.02)


def test_the_printed_fit():
    text = str(MODELS["proximity"].fit())
    for piece in ("The fit converged.", "Coefficients (link scale)", "density", "animals per 100 km²", "95 % interval"):
        assert piece in text
    assert "<table" in MODELS["proximity"].fit()._repr_html_()


def test_plots_give_their_axes_back():
    import matplotlib.pyplot as plt

    fit = MODELS["proximity"].fit()
    for plot in (fit.plot_detection, fit.plot_density):
        axes = plot()
        assert axes.get_xlabel()
        plt.close(axes.figure)


@pytest.mark.parametrize("reach", [0.0, 20_000.0])
def test_a_lake_inside_the_mask_is_no_habitat_of_a_region(reach):
    model = MODELS["count"]
    lake = shapely.box(51_000.0, 81_000.0, 57_000.0, 89_000.0)
    values = {"D": 6.0, "lambda0": 0.4, "sigma": 1500.0}
    given = again(model, mask=model.mask.clip(lake, outside=True)).at(**values)
    region = shapely.box(48_000.0, 78_000.0, 62_000.0 + reach, 92_000.0)
    expected = given.abundance(region).set_index("quantity").loc["expected abundance", "estimate"]
    assert expected == pytest.approx(6.0 * (region.area - lake.area) / 1e8, rel=0.01)


def test_a_population_without_an_upper_limit_is_not_simulated():
    detectors = survey.Detectors(["a", "b"], [0.0, 1000.0], [0.0, 0.0], np.ones((1, 2)), "count")
    mask = survey.HabitatMask.around(detectors, 1000.0, 500.0)
    with pytest.raises(survey.SurveyError, match=r"so many animals are not simulated.*no upper limit"):
        models.simulate_population(mask, 1e12, seed=1)


@pytest.mark.parametrize("written", ["~1", "1", "~  1"])
def test_formulas_are_shown_as_formulas(written):
    fit = surveyed("count", D=written, likelihood="conditional").fit()
    assert repr(fit.model).startswith("SCR(D ~ 1, lambda0 ~ 1, sigma ~ 1; ")
    assert repr(fit.as_full().model).startswith("SCR(D ~ 1, lambda0 ~ 1, sigma ~ 1; ")


def test_a_fit_says_how_far_it_is():
    model, told = scr_problems.surveyed("proximity"), []
    model.fit(progress=lambda n, loglik: told.append((n, loglik)))
    assert [n for n, _ in told] == list(range(1, len(told) + 1))
    assert model.fit(progress=True).loglik == model.fit(progress=False).loglik
    with pytest.raises(SurveyError, match=r"progress is neither yes, no nor a function.*Give True for a line"):
        model.fit(progress="yes")
