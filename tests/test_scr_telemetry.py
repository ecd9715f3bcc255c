"""Collared animals in `SCR`: fixes of animals that were detected, and of others."""

from __future__ import annotations

import pickle
from functools import cache

import numpy as np
import oracle_scr
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scr_problems import differences_of_gradient, differences_of_loglik, small

from uncia import models, survey
from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.model import Model
from uncia.models.spatial.telemetry import draw_fixes


def collars(captures, sigma: float = 300.0, seed: int = 1, independent: bool = True) -> survey.Telemetry:
    """Fixes of three animals that were detected, one of them with a single fix, and of two that were not."""
    who, centre = list(captures.animals.index[:3]), captures.centroids()[:3]
    x, y = np.append(centre[:, 0], [50_300.0, 50_100.0]), np.append(centre[:, 1], [80_200.0, 80_500.0])
    times = [4, 1, 6, 5, 3] if independent else [4, 1, 6, 0, 0]
    rng = np.random.default_rng(seed)
    f = draw_fixes(rng, DETECTION_FUNCTIONS["hazard half-normal"], x, y, times, sigma)
    f["animal"] = np.array([*who, "U1", "U2"], object)[f["who"]]
    return survey.Telemetry(f[["animal", "x", "y"]], animals=pd.DataFrame({"sex": ["female", None]}, ["U1", "U2"]))


@cache
def whole_plane(detection: str, sigma: float) -> float:
    """The shape integrated over the plane, m²."""
    r = np.linspace(0.0, 60.0 * sigma, 600_001)
    return float(np.trapezoid(2 * np.pi * r * DETECTION_FUNCTIONS[detection].relative(r, sigma, 1.0), r))


def log_fixes(mask, detection: str, rows: pd.DataFrame, sigma: float) -> np.ndarray:
    """log density of an animal's fixes [M] given each cell, by numerical integration of the shape over the plane."""
    shape, (x, y) = DETECTION_FUNCTIONS[detection], mask.centres()
    distances = [np.hypot(x - u, y - v) for u, v in rows[["x", "y"]].to_numpy()]
    fixes = [np.log(shape.relative(d, sigma, 1.0) / whole_plane(detection, sigma)) for d in distances]
    return np.sum(fixes, axis=0) if fixes else np.zeros(mask.size)


def slow(captures, mask, telemetry, D: float, parameters, detection: str, classes=None) -> float:
    """The log-likelihood animal by animal; `parameters(class)` gives (lambda0, sigma)."""
    shares, mu = classes or {"": 1.0}, D * mask.cell_area / 100
    total = detected = 0.0
    for i, seen in enumerate(oracle_scr.histories(captures)):
        own, terms = captures.animals.iloc[i], []
        mine = telemetry.fixes[telemetry.fixes["animal"] == own.name]
        for c, share in shares.items():
            if c and isinstance(own["sex"], str) and own["sex"] != c:
                continue
            log_f = oracle_scr.log_history(captures, mask, detection, lambda s, c=c: parameters(c), seen, 4, {})
            log_f = log_f + log_fixes(mask, detection, mine, parameters(c)[1])
            terms.append(np.log(share * mu) + logsumexp(log_f))
        total += logsumexp(terms)
    for c, share in shares.items():
        void = oracle_scr.log_history(captures, mask, detection, lambda s, c=c: parameters(c), {}, 4, {})
        detected += share * mu * np.sum(-np.expm1(void))
    for name in set(telemetry.fixes["animal"]) - set(captures.animals.index):
        mine, sex = telemetry.fixes[telemetry.fixes["animal"] == name], telemetry.animals["sex"].get(name)
        possible = {sex: 1.0} if classes and isinstance(sex, str) else shares
        even = {c: logsumexp(log_fixes(mask, detection, mine, parameters(c)[1])) - np.log(mask.size) for c in possible}
        total += logsumexp([np.log(share) + even[c] for c, share in possible.items()])
    alike = pd.Series([tuple(sorted(seen.items())) for seen in oracle_scr.histories(captures)]).value_counts()
    return float(total - detected - gammaln(alike.to_numpy() + 1.0).sum())


@pytest.mark.parametrize("detection", ["hazard half-normal", "hazard exponential"])
@pytest.mark.parametrize("kind", ["count", "proximity", "multi"])
def test_the_likelihood_is_that_written_out(kind, detection):
    captures, mask = small(kind)
    telemetry = collars(captures)
    fit = models.SCR(captures, mask, detection=detection, telemetry=telemetry).at(D=900.0, lambda0=0.25, sigma=280.0)
    written = slow(captures, mask, telemetry, 900.0, lambda c: (0.25, 280.0), detection)
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-9)


def test_classes_known_and_unknown_share_their_sigma_with_the_collared():
    captures, mask = small("count")
    telemetry = collars(captures)
    model = models.SCR(
        captures, mask, sigma="~ sex", detection="hazard half-normal", classes="sex", telemetry=telemetry
    )
    sigma = {"Intercept": np.log(250.0), "sex[T.male]": 0.4}
    fit = model.at(D=900.0, lambda0=0.25, sigma=sigma, pmix=0.4)
    own = {"female": (0.25, 250.0), "male": (0.25, 250.0 * np.exp(0.4))}
    written = slow(
        captures, mask, telemetry, 900.0, own.get, "hazard half-normal", classes={"female": 0.6, "male": 0.4}
    )
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"classes": "sex", "sigma": "~ sex"}, {"likelihood": "conditional"}])
def test_gradient_and_curvature_are_those_of_differences(options):
    captures, mask = small("multi")
    model = models.SCR(captures, mask, detection="hazard half-normal", telemetry=collars(captures), **options)
    vector = model.start() + 0.05 * np.arange(model.parameters.size)
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), atol=1e-6)
    np.testing.assert_allclose(Model.hessian(model, vector), differences_of_gradient(model, vector), atol=1e-5)


@pytest.mark.parametrize("kind", ["count", "multi"])
def test_no_fixes_change_nothing(kind):
    captures, mask = small(kind)
    none = survey.Telemetry(pd.DataFrame({"animal": [], "x": [], "y": []}))
    plain = models.SCR(captures, mask, detection="hazard half-normal")
    empty = models.SCR(captures, mask, detection="hazard half-normal", telemetry=none)
    vector = plain.start()
    assert empty.loglik(vector) == plain.loglik(vector)
    assert plain.not_comparable(empty) == ""


def test_one_fix_of_an_animal_that_was_not_detected_says_nothing_well_inside_the_habitat():
    captures, _ = small("count")
    wide = survey.HabitatMask.around(captures, 3000.0, 100.0)
    telemetry = survey.Telemetry(pd.DataFrame({"animal": ["U"], "x": [50_250.0], "y": [80_250.0]}))
    values = {"D": 900.0, "lambda0": 0.25, "sigma": 280.0}
    plain = models.SCR(captures, wide, detection="hazard half-normal").at(**values)
    more = models.SCR(captures, wide, detection="hazard half-normal", telemetry=telemetry).at(**values)
    np.testing.assert_allclose(more.loglik - plain.loglik, -np.log(wide.area * 1e6), rtol=1e-6)


def test_fixes_alone_can_tell_sigma():
    captures, mask = small("proximity")
    first = captures.detections.drop_duplicates("animal")
    once = survey.CaptureHistory(first, captures.detectors)
    telemetry = collars(once, sigma=300.0, seed=3)
    fit = models.SCR(once, mask, detection="hazard half-normal", telemetry=telemetry).fit()
    assert fit.derive().query("quantity == 'density'")["estimate"].notna().all()
    assert 200 < fit.values["sigma"][0] < 420
    assert "two places" not in str(fit.verdict)
    assert "3 of them were detected, 2 inform sigma alone" in str(fit)


def test_telemetry_goes_together_with_several_methods_and_travels_with_the_model():
    captures, mask = small("count")
    cameras = survey.CaptureHistory(captures.detections, captures.detectors)
    scats = survey.CaptureHistory(captures.detections.iloc[::2], captures.detectors)
    telemetry = collars(captures)
    both = survey.together({"camera": cameras, "scat": scats}, telemetry=telemetry)
    model = models.SCR(both, mask, lambda0="~ method", detection="hazard half-normal")
    plain = models.SCR(survey.together({"camera": cameras, "scat": scats}), mask, detection="hazard half-normal")
    vector = model.start()
    np.testing.assert_allclose(model.loglik_and_gradient(vector)[1], differences_of_loglik(model, vector), atol=1e-6)
    assert model.loglik(vector) == pickle.loads(pickle.dumps(model)).loglik(vector)
    assert model.not_comparable(plain) == "they are of different captures"


def test_a_simulated_survey_has_as_many_collars_and_fixes():
    captures, mask = small("count")
    model = models.SCR(captures, mask, detection="hazard half-normal", telemetry=collars(captures))
    again = model.simulate({"D": 1100.0, "lambda0": 0.3, "sigma": 300.0}, 2)
    counts = sorted(again.telemetry.fixes.groupby("animal").size())
    assert counts == [1, 3, 4, 5, 6]
    assert sum(name in again.animals.index for name in again.telemetry.names) == 3
    assert model.on(again).fit().values["sigma"][0] == pytest.approx(300.0, rel=0.3)


def test_classes_of_simulated_collars_are_as_common_as_those_of_animals():
    captures, mask = small("proximity")
    rng, names = np.random.default_rng(4), np.repeat([f"U{j}" for j in range(60)], 20)
    places = pd.DataFrame(50_000 + 600 * rng.random((len(names), 2)), columns=["x", "y"]).assign(animal=names)
    telemetry = survey.Telemetry(places.assign(y=places["y"] + 30_000))
    model = models.SCR(captures, mask, sigma="~ h2", detection="hazard half-normal", telemetry=telemetry)
    sigma = {"Intercept": np.log(50.0), "h2[T.2]": np.log(10.0)}
    fixes = model.simulate({"D": 900.0, "lambda0": 0.3, "sigma": sigma, "pmix": 0.1}, 3).telemetry.fixes
    spread = fixes[fixes["animal"].str.startswith("collar")].groupby("animal")["x"].std()
    assert len(spread) == 60 and 1 <= (spread > 150.0).sum() <= 15


@pytest.mark.parametrize("detection", ["hazard half-normal", "hazard exponential"])
def test_fixes_are_drawn_from_the_shape(detection):
    f = draw_fixes(np.random.default_rng(1), DETECTION_FUNCTIONS[detection], [0.0], [0.0], [40_000], 100.0)
    mean_square = {"hazard half-normal": 2.0, "hazard exponential": 6.0}[detection] * 100.0**2
    assert np.mean(f["x"] ** 2 + f["y"] ** 2) == pytest.approx(mean_square, rel=0.03)


def test_thinning_keeps_fixes_far_enough_apart_and_counts_the_others():
    times = pd.to_datetime(["2024-05-01 00:00", "2024-05-01 05:00", "2024-05-02 01:00", "2024-05-01 00:00"])
    fixes = pd.DataFrame({"animal": ["a", "a", "a", "b"], "x": 1000.0, "y": [1.0, 2.0, 3.0, 4.0], "time": times})
    thin = survey.Telemetry(fixes).thinned(hours=24)
    assert list(thin.fixes["y"]) == [1.0, 3.0, 4.0]
    assert repr(thin) == "Telemetry: 3 fixes of 2 collared animals; 1 too close in time dropped"
    thin.ledger.check()
    assert thin.thinned(hours=48).ledger.count("used") == 2
    with pytest.raises(survey.SurveyError, match="fixes without a time cannot be thinned"):
        survey.Telemetry(fixes.drop(columns="time")).thinned(24)


def test_a_file_of_fixes_is_read_and_every_fault_is_told(tmp_path):
    good = tmp_path / "collars.csv"
    good.write_text(
        "animal,longitude,latitude,time\nF1,100.1,35.2,2024-03-01 04:00\nF1,100.2,35.2,2024-03-01 09:00\n"
        "M2,100.2,35.3,2024-03-02\n"
    )
    found = survey.read_telemetry(good, "EPSG:32647", timezone="Asia/Shanghai", thin_hours=12)
    assert (len(found), found.names, found.ledger.read) == (2, ["F1", "M2"], {"collars.csv": 3})
    good.write_text(good.read_text() + "M2,100.2,35.3,2024-03-02\nM2,100.3,35.3,2024-03-02\n")  # exported twice
    found = survey.read_telemetry(good, "EPSG:32647", timezone="Asia/Shanghai")
    assert len(found) == 4 and found.ledger.count("the same animal, time and place again") == 1
    found.ledger.check()
    bad = tmp_path / "bad.csv"
    bad.write_text("animal,longitude,latitude\n,100.1,35.2\nF1,100.2,north\n")
    with pytest.raises(survey.SurveyError) as error:
        survey.read_telemetry(bad, "EPSG:32647")
    assert "bad.csv, row 2: animal is missing" in str(error.value)
    assert "bad.csv, row 3: latitude must be a number (found 'north')" in str(error.value)


def test_what_is_wrong_with_fixes_is_told_at_once():
    frame = pd.DataFrame({"animal": ["a", ""], "x": [100.1, None], "y": [35.0, 36.0]})
    with pytest.raises(survey.SurveyError) as error:
        survey.Telemetry(frame)
    assert "fix 2 has no animal" in str(error.value) and "fix 2 has no position" in str(error.value)
    with pytest.raises(survey.SurveyError, match="coordinates look like degrees"):
        survey.Telemetry(pd.DataFrame({"animal": ["a", "b"], "x": [100.1, 100.2], "y": [35.0, 36.0]}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detection": "half-normal"}, "need a detection function that is a hazard"),
        ({"sigma": "~ t"}, "sigma depends on 't', and a fix belongs to no detector"),
    ],
)
def test_what_does_not_go_with_fixes_is_refused(options, words):
    captures, mask = small("count")
    options = {"detection": "hazard half-normal"} | options
    with pytest.raises(survey.SurveyError, match=words):
        models.SCR(captures, mask, telemetry=collars(captures), **options)


def test_fixes_of_another_session_or_crs_are_refused():
    captures, mask = small("count")
    fixes = collars(captures).fixes
    with pytest.raises(survey.SurveyError, match="fixes name a session that there is not"):
        models.SCR(
            captures, mask, detection="hazard half-normal", telemetry=survey.Telemetry(fixes.assign(session="2"))
        )
    with pytest.raises(survey.SurveyError, match="fixes and detectors have different CRS"):
        models.SCR(captures, mask, detection="hazard half-normal", telemetry=survey.Telemetry(fixes, "EPSG:32647"))
