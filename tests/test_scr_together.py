"""Several kinds of detectors in one session of spatial capture-recapture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle_together
import pandas as pd
import pytest
from scr_problems import detectors, differences_of_gradient, differences_of_loglik, small

from uncia import models, survey
from uncia.models.model import Model
from uncia.survey.errors import SurveyError

RATES = {"camera": 0.35, "scat": 0.12}
KINDS = [("count", "proximity"), ("multi", "count"), ("proximity", "multi")]
HAZARD = {"detection": "hazard half-normal"}


def methods(kinds=("count", "proximity"), *, removed=False, seed=5, occasions=(4, 3)):
    """Cameras and scat searches of the same animals, of which some were found in one way only; some sexes unknown."""
    first, mask = small(kinds[0], seed=seed)
    occasions = (occasions[0],) * 2 if removed else occasions
    places = {"camera": first.detectors, "scat": moved(detectors(kinds[1], occasions[1], side=2, spacing=450.0))}
    nothing = {m: pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": [d.id[1]]}) for m, d in places.items()}
    empty = survey.together({m: survey.CaptureHistory(nothing[m], d) for m, d in places.items()})
    plan = models.SCR(empty, mask, lambda0="~ 0 + method", **HAZARD)
    lambda0 = {f"method[{m}]": np.log(v) for m, v in RATES.items()}
    both = plan.simulate({"D": 1100.0, "lambda0": lambda0, "sigma": 300.0}, seed)
    parts = dict(both.methods)
    if removed:
        frame = parts["camera"].detections.copy()
        gone = frame.loc[frame["occasion"] == 3, "animal"].iloc[0]
        frame.loc[(frame["occasion"] == 3) & (frame["animal"] == gone), "removed"] = True
        late = {m: (c.detections["animal"] == gone) & (c.detections["occasion"] > 3) for m, c in parts.items()}
        parts["camera"] = replace(parts["camera"], detections=frame[~late["camera"]])
        parts["scat"] = replace(parts["scat"], detections=parts["scat"].detections[~late["scat"]])
    names = survey.together(parts).animals.index
    sex = np.resize(np.array(["female", "male", None, "male", "female", None], object), len(names))
    return survey.together(parts).with_animals(pd.DataFrame({"sex": sex}, index=names)), mask


def moved(d: survey.Detectors) -> survey.Detectors:
    slope = pd.DataFrame({"slope": np.linspace(0.0, 1.0, len(d))})
    return replace(d, x=d.x + 70.0, y=d.y + 110.0, covariates=slope)


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_the_log_likelihood_is_the_product_over_methods(kinds, removed):
    both, mask = methods(kinds, removed=removed)
    assert 0 < both.shared().get("camera + scat", 0) < both.n_animals
    model = models.SCR(both, mask, lambda0="~ method + slope", **HAZARD)
    term = model.parameters["lambda0"].terms[1]
    at = model.at(D=900.0, sigma=300.0, lambda0={"Intercept": -1.2, term: -0.8, "slope": 0.5})
    slope = dict(zip(both.methods["scat"].detectors.id, [0.0, 1 / 3, 2 / 3, 1.0], strict=True))
    parameters = {
        "camera": lambda row: (np.exp(-1.2), 300.0),
        "scat": lambda row: (np.exp(-2.0 + 0.5 * slope[row["detector"]]), 300.0),
    }
    assert at.loglik == pytest.approx(oracle_together.loglik(both, mask, 900.0, parameters, **HAZARD), abs=1e-9)


@pytest.mark.parametrize("likelihood", ["full", "conditional"])
@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_with_sexes_and_learned_responses(kinds, likelihood):
    """Responses are learned within each method; `bk` makes personal exposure, with fields of their own for traps."""
    both, mask = methods(kinds, removed=True)
    model = models.SCR(both, mask, g0="~ method + bk + sex", sigma="~ sex", classes="sex", likelihood=likelihood)
    g0 = dict(zip(model.parameters["g0"].terms, [-1.0, -0.7, 0.6, 0.4], strict=True))
    sigma = {"Intercept": np.log(280.0), model.parameters["sigma"].terms[1]: 0.2}
    D = {} if likelihood == "conditional" else {"D": 900.0}
    at = model.at(g0=g0, sigma=sigma, pmix=0.4, **D)

    def parameters(name):
        def one(row):
            male = row["sex"] == "male"
            eta = -1.0 - 0.7 * (name == "scat") + 0.6 * row["bk"] + 0.4 * male
            return 1 / (1 + np.exp(-eta)), 280.0 * np.exp(0.2 * male)

        return one

    by = {m: parameters(m) for m in both.methods}
    known = {"classes": {"female": 0.6, "male": 0.4}, "likelihood": likelihood}
    there = oracle_together.loglik(both, mask, 900.0, by, **known)
    assert at.loglik == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_gradient_and_curvature(kinds):
    both, mask = methods(kinds, removed=True)
    model = models.SCR(both, mask, D="~ x", g0="~ method + bk", sigma="~ method")
    vector = model.start() + 0.1
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-6, atol=1e-6)
    hessian = Model.hessian(model, vector)
    np.testing.assert_allclose(hessian, differences_of_gradient(model, vector), rtol=1e-5, atol=1e-5)


def test_cameras_alone_are_the_cameras():
    cameras, mask = small("count")
    alone = models.SCR(survey.together({"camera": cameras}), mask, **HAZARD).fit()
    plain = models.SCR(cameras, mask, **HAZARD).fit()
    assert alone.loglik == pytest.approx(plain.loglik, abs=1e-9)
    np.testing.assert_allclose(alone.vector, plain.vector, rtol=1e-6)
    np.testing.assert_allclose(alone.covariance, plain.covariance, rtol=1e-5)


def test_a_method_that_found_nothing_has_only_its_effort():
    """Cameras that saw nobody, with a hazard of nearly nothing, change nothing; with a real hazard they do."""
    cameras, mask = small("count")
    nobody = survey.CaptureHistory(pd.DataFrame({"animal": [], "occasion": [], "detector": []}), detectors("multi", 3))
    both = models.SCR(survey.together({"camera": cameras, "trap": nobody}), mask, lambda0="~ 0 + method", **HAZARD)
    plain = models.SCR(cameras, mask, **HAZARD).at(D=900.0, lambda0=0.3, sigma=300.0)
    values = {"D": 900.0, "sigma": 300.0}
    faint = both.at(**values, lambda0={"method[camera]": np.log(0.3), "method[trap]": -40.0})
    assert faint.loglik == pytest.approx(plain.loglik, abs=1e-8)
    loud = both.at(**values, lambda0={"method[camera]": np.log(0.3), "method[trap]": np.log(0.3)})
    assert loud.loglik < plain.loglik - 1.0


@pytest.mark.parametrize("kinds", KINDS, ids="+".join)
def test_the_order_of_methods_is_immaterial(kinds):
    both, mask = methods(kinds)
    turned = survey.together(dict(reversed(both.methods.items()))).with_animals(both.animals)
    values = {"D": 900.0, "sigma": 300.0, "lambda0": {"method[camera]": -1.0, "method[scat]": -2.0}}
    one, two = (models.SCR(c, mask, lambda0="~ 0 + method", **HAZARD).at(**values).loglik for c in (both, turned))
    assert one == pytest.approx(two, abs=1e-9)


def test_two_halves_of_one_method_are_the_method():
    """Cameras divided into two methods with the same parameters, apart from nothing."""
    cameras, mask = small("count")
    d, frame = cameras.detectors, cameras.detections
    halves = {}
    for j in (0, 1):
        keep = np.arange(len(d)) % 2 == j
        part = survey.Detectors([i for i, k in zip(d.id, keep, strict=True) if k], d.x[keep], d.y[keep],
                                d.effort[:, keep], d.kind)  # fmt: skip
        halves[f"half {j}"] = survey.CaptureHistory(frame[frame["detector"].isin(part.id)], part)
    values = {"D": 900.0, "sigma": 300.0, "lambda0": 0.3}
    whole = models.SCR(cameras, mask, **HAZARD).at(**values)
    both = models.SCR(survey.together(halves), mask, **HAZARD).at(**values)
    assert both.loglik == pytest.approx(whole.loglik, abs=1e-9)


def test_fit_abundance_and_pictures():
    both, mask = methods()
    fit = models.SCR(both, mask, lambda0="~ method", **HAZARD).fit()
    assert np.isfinite(fit.covariance).all()
    table = fit.abundance()
    assert table["estimate"].notna().all()
    assert fit.predict("lambda0")["method"].tolist() == ["camera", "scat"]
    assert [text.get_text() for text in fit.plot_detection().get_legend().get_texts()] == ["camera", "scat"]
    assert fit.activity_centres().sizes["animal"] == both.n_animals


def test_sessions_of_different_methods():
    """Cameras in one year, cameras and scats in the next: the log-likelihoods add."""
    both, mask = methods()
    cameras = small("count", seed=8)[0]
    first, second = replace(cameras, session="2023"), survey.together(both.methods, session="2024")
    model = models.SCR([survey.together({"camera": first}), second], mask, lambda0="~ 0 + method", **HAZARD)
    values = {"D": 900.0, "sigma": 300.0}
    lambda0 = {"method[camera]": -1.0, "method[scat]": -2.0}
    one = models.SCR(first, mask, **HAZARD).at(**values, lambda0=np.exp(-1.0)).loglik
    two = models.SCR(second, mask, lambda0="~ 0 + method", **HAZARD).at(**values, lambda0=lambda0).loglik
    assert model.at(**values, lambda0=lambda0).loglik == pytest.approx(one + two, abs=1e-9)


def test_classes_that_nobody_knows_where_a_detector_was_not_used_at_first():
    """Mixtures fail elsewhere where the first detector has no effort on the first occasion; both methods have that."""
    both, mask = methods(occasions=(4, 4), kinds=("count", "multi"))
    assert not any(c.detectors.used[0, 0] for c in both.methods.values())
    model = models.SCR(both, mask, lambda0="~ method", sigma="~ h2", **HAZARD)
    alike = model.at(
        D=900.0,
        pmix=0.3,
        lambda0={"Intercept": -1.0, model.parameters["lambda0"].terms[1]: -0.5},
        sigma={"Intercept": np.log(300.0), model.parameters["sigma"].terms[1]: 0.0},
    )
    plain = models.SCR(both, mask, lambda0="~ method", **HAZARD)
    values = {"Intercept": -1.0, plain.parameters["lambda0"].terms[1]: -0.5}
    assert alike.loglik == pytest.approx(plain.at(D=900.0, sigma=300.0, lambda0=values).loglik, abs=1e-9)
    assert np.isfinite(model.loglik(model.start()))


# ---- data --------------------------------------------------------------------------------------------------------


def test_what_it_says_about_itself():
    both, _ = methods()
    assert "by 2 methods (camera: " in repr(both)
    assert both.shared().sum() == both.n_animals
    assert "camera + scat" in both._repr_html_()
    assert both.equals(survey.together(both.methods).with_animals(both.animals[["sex"]]))
    assert not both.equals(survey.together({"camera": both.methods["camera"]}))


def refused(message: str):
    return pytest.raises(SurveyError, match=message)


def test_messages():
    both, mask = methods()
    camera, scat = both.methods.values()
    with refused("methods are several CaptureHistory by name"):
        survey.together({"camera": camera, "both": both})
    with refused("the methods are of different sessions"):
        survey.together({"camera": replace(camera, session="a"), "scat": scat})
    name = camera.animals.index.intersection(scat.animals.index)[0]
    sexes = [pd.DataFrame({"sex": [s]}, index=[name]) for s in ("female", "male")]
    with refused(f"the sex of animal '{name}' is 'female' by one method and 'male' by 'scat'"):
        survey.together({"camera": camera.with_animals(sexes[0]), "scat": scat.with_animals(sexes[1])})
    gone = camera.detections.assign(removed=camera.detections["occasion"] == 4)
    with refused("an animal was removed by one method, and another has other occasions"):
        survey.together({"camera": replace(camera, detections=gone), "scat": scat})
    collars = survey.Telemetry(pd.DataFrame({"animal": ["a"], "x": [50_100.0], "y": [80_100.0]}))
    with refused("telemetry belongs to the animals and not to a method"):
        survey.together({"camera": camera.with_telemetry(collars), "scat": scat})
    crs = replace(scat, detectors=replace(scat.detectors, crs="EPSG:32649"))
    with refused("the methods' detectors have different CRS"):
        survey.together({"camera": camera, "scat": crs})
    with refused("the covariate 'slope' is known for one method and not for another"):
        models.SCR(both, mask, lambda0="~ slope", **HAZARD)
