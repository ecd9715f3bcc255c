"""Mark-resight of several sessions, and with classes of animals: special cases, the likelihood written out."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from oracle_resight import slow, survey_of
from scr_problems import differences_of_loglik

from uncia import models, survey

HAZARD = {"detection": "hazard half-normal"}
PHASE = {"lambda0": "~ phase", **HAZARD}
AT = {"D": 1000.0, "lambda0": {"Intercept": np.log(0.2), "phase[T.sighting]": np.log(1.5)}, "sigma": 270.0, "pID": 0.55}


def named(marking, sightings, session: str):
    """The same data as a session of another name."""
    seen = replace(sightings, captures=replace(sightings.captures, session=session))
    return (None if marking is None else replace(marking, session=session)), seen


def with_sex(marking, sightings):
    """The data with the sex of two thirds of the marked animals, which males are in half of them."""
    animals = (sightings.captures if marking is None else marking).animals.index
    sex = pd.Series(np.resize(np.array(["female", "male", None], object), len(animals)), index=animals, name="sex")
    frame = sex.to_frame()
    if marking is None:
        return None, replace(sightings, captures=replace(sightings.captures, animals=frame)), sex
    return replace(marking, animals=frame), sightings, sex


def sessions_of(kind: str, **how):
    """Two sessions of different data, as arguments of `MarkResight`."""
    parts = [survey_of(kind, seed, **how) for seed in (1, 2)]
    pairs = [named(m, s, str(year)) for (m, s, _), year in zip(parts, (2023, 2024), strict=True)]
    return [m for m, _ in pairs], [s for _, s in pairs], [mask for *_, mask in parts]


@pytest.mark.parametrize(("kind", "after"), [("count", None), ("proximity", [0, 1, 3, 3])])
def test_one_session_in_a_list_is_the_model_of_one_session(kind, after):
    marking, sightings, mask = survey_of(kind, after=after)
    alone = models.MarkResight(marking, sightings, mask, **PHASE).at(**AT)
    listed = models.MarkResight([marking], [sightings], [mask], **PHASE).at(**AT)
    assert listed.loglik == alone.loglik


@pytest.mark.parametrize("marked", [None, 40, "unknown"])
def test_two_sessions_alike_have_twice_the_log_likelihood(marked):
    marking, sightings, mask = survey_of("count")
    marking, at = (None, AT | {"lambda0": 0.3, "D": 2400.0}) if marked else (marking, AT)
    how = HAZARD if marked else PHASE
    alone = models.MarkResight(marking, sightings, mask, **how, marked=marked)
    pairs = [named(marking, sightings, name) for name in ("a", "b")]
    begun = None if marked else [m for m, _ in pairs]
    number = [40, 40] if marked == 40 else marked
    both = models.MarkResight(begun, [s for _, s in pairs], mask, **how, marked=number)
    np.testing.assert_allclose(both.at(**at).loglik, 2.0 * alone.at(**at).loglik, rtol=1e-12)
    np.testing.assert_allclose(both.overdispersion(both.at(**at)), alone.overdispersion(alone.at(**at)), rtol=1e-12)
    np.testing.assert_allclose(both.start(), alone.start(), atol=0.1)  # pID begins a little inside


def test_parameters_by_session_are_those_of_separate_models():
    marking, sightings, masks = sessions_of("count", after=[1, 1, 2, 3])
    by = {"D": "~ session", "lambda0": "~ phase + session", "sigma": "~ session", "pID": "~ session"}
    model = models.MarkResight(marking, sightings, masks, **(PHASE | by))
    vector = model.start() + 0.05 * np.arange(model.parameters.size)
    values, total = model.parameters.values(vector), 0.0
    for session, *data in zip(model.sessions, marking, sightings, masks, strict=True):
        mine = model.values_of(values, session)
        level = np.log(mine["lambda0"][[0, -1]])
        shape = {"lambda0": {"Intercept": level[0], "phase[T.sighting]": level[1] - level[0]}}
        at = {"D": mine["D"][0], "sigma": mine["sigma"][0], "pID": mine["pID"][0]} | shape
        total += models.MarkResight(*data, **PHASE).at(**at).loglik
    np.testing.assert_allclose(model.loglik(vector), total, rtol=1e-12)
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "after", "marking_kind"), [("count", [1, 1, 2, 3], "multi"), ("proximity", None, "multi")]
)
def test_with_sexes_the_likelihood_is_that_written_out(kind, after, marking_kind):
    marking, sightings, mask = survey_of(kind, after=after, marking_kind=marking_kind)
    marking, sightings, sex = with_sex(marking, sightings)
    by_sex = {"lambda0": "~ phase + sex", "sigma": "~ sex", "pID": "~ sex"}
    model = models.MarkResight(marking, sightings, mask, **(PHASE | by_sex), classes="sex")
    male = {"Intercept": np.log(270.0), "sex[T.male]": 0.3}
    lambda0 = AT["lambda0"] | {"sex[T.male]": -0.4}
    at = {"D": 1000.0, "lambda0": lambda0, "sigma": male, "pID": {"Intercept": 0.2, "sex[T.male]": 0.7}, "pmix": 0.4}
    seen = 1 / (1 + np.exp(-0.2)), 1 / (1 + np.exp(-0.9))
    of_males = (0.4, tuple(np.exp(-0.4) * np.array([0.2, 0.3])), 270.0 * np.exp(0.3), seen[1])
    member = {a: None if pd.isna(s) else int(s == "male") for a, s in sex.items()}
    first = (1000.0, (0.2, 0.3), 270.0, seen[0])
    written = slow(marking, sightings, mask, *first, others=[of_males], member=member)
    fit = model.at(**at)
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-10)
    gradient = model.loglik_and_gradient(fit.vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, fit.vector), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("marked", [40, "unknown"])
def test_sighting_only_with_sexes_is_that_written_out(marked):
    _, sightings, mask = survey_of("count")
    _, sightings, sex = with_sex(None, sightings)
    by_sex = {"lambda0": "~ sex", "pID": 0.55}
    model = models.MarkResight(None, sightings, mask, marked=marked, classes="sex", **(HAZARD | by_sex))
    lambda0 = {"Intercept": np.log(0.3), "sex[T.male]": 0.5}
    fit = model.at(D=2400.0, lambda0=lambda0, sigma=270.0, pmix=0.3)
    member = {a: None if pd.isna(s) else int(s == "male") for a, s in sex.items()}
    others = [(0.3, (None, 0.3 * np.exp(0.5)), 270.0, 0.55)]
    written = slow(None, sightings, mask, 2400.0, (None, 0.3), 270.0, 0.55, marked, others, member)
    np.testing.assert_allclose(fit.loglik, written, rtol=1e-10)
    gradient = model.loglik_and_gradient(fit.vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, fit.vector), rtol=1e-5, atol=1e-5)


def test_classes_that_are_alike_and_not_known_change_nothing():
    marking, sightings, mask = survey_of("count", after=[1, 1, 2, 3])
    alone = models.MarkResight(marking, sightings, mask, **PHASE)
    mixed = models.MarkResight(marking, sightings, mask, **(PHASE | {"lambda0": "~ phase + h2"}))
    at = AT | {"lambda0": AT["lambda0"] | {"h2[T.2]": 0.0}, "pmix": 0.3}
    np.testing.assert_allclose(mixed.at(**at).loglik, alone.at(**AT).loglik, rtol=1e-12)
    own = [mixed.overdispersion(mixed.at(**at)), alone.overdispersion(alone.at(**AT))]
    np.testing.assert_allclose(own[0], own[1], rtol=1e-12)


def test_sessions_and_sexes_are_simulated_fitted_and_told():
    marking, sightings, masks = sessions_of("proximity")
    pairs = [with_sex(m, s)[:2] for m, s in zip(marking, sightings, strict=True)]
    how = PHASE | {"lambda0": "~ phase + sex", "D": "~ session", "classes": "sex"}
    plan = models.MarkResight([m for m, _ in pairs], [s for _, s in pairs], masks, **how)
    at = AT | {"D": {"Intercept": np.log(2000.0), "session[T.2024]": -0.7}, "pmix": 0.4}
    at["lambda0"] = {"Intercept": np.log(0.25), "phase[T.sighting]": 0.3, "sex[T.male]": 0.6}
    drawn = plan.simulate(at, 4)
    assert [len(part) for part in drawn] == [2, 2]
    assert set(drawn[0][0].animals["sex"].dropna()) == {"female", "male"} and drawn[0][0].animals["sex"].isna().any()
    model = plan.on(drawn)
    assert model.on(drawn).loglik(model.start()) == model.loglik(model.start())
    fit = model.fit()
    assert np.isfinite(fit.se).all()
    table = fit.derive().set_index(["quantity", "scope"])["estimate"]
    density = {f"session {year}": table["density", f"session {year}"] for year in (2023, 2024)}
    assert 1200 < density["session 2023"] < 3300 and density["session 2024"] < density["session 2023"]
    assert ("density", "session 2024, sex male") in table.index
    assert "Marking 2024: CaptureHistory '2024'" in str(fit)
    assert float(fit.activity_centre(drawn[0][1].animals.index[0], session="2024").sum()) == pytest.approx(1.0)
    again = pickle.loads(pickle.dumps(fit.model))
    assert again.loglik(fit.vector) == fit.loglik and again.not_comparable(fit.model) == ""
    assert fit.model.not_comparable(plan) == "they are of different sightings"


def test_a_session_without_marked_animals_is_data():
    marking, sightings, masks = sessions_of("count")
    nobody = replace(marking[1], detections=marking[1].detections.iloc[:0])
    alone = survey.Sightings(
        replace(sightings[1].captures, detections=sightings[1].captures.detections.iloc[:0]), sightings[1].unmarked
    )
    model = models.MarkResight([marking[0], nobody], [sightings[0], alone], masks, **PHASE)
    vector = model.start()
    gradient = model.loglik_and_gradient(vector)[1]
    np.testing.assert_allclose(gradient, differences_of_loglik(model, vector), rtol=1e-5, atol=1e-5)


def test_what_does_not_go_together_is_told():
    marking, sightings, masks = sessions_of("count")
    refused = pytest.raises
    with refused(survey.SurveyError, match="there are not as many sessions of marking as of sighting"):
        models.MarkResight(marking[:1], sightings, masks)
    with refused(survey.SurveyError, match="marking and sightings of different sessions"):
        models.MarkResight(marking, sightings[::-1], masks)
    with refused(survey.SurveyError, match="marking was recorded in some sessions and not in others"):
        models.MarkResight([marking[0], None], sightings, masks)
    with refused(survey.SurveyError, match="the number of marked animals is given once for several sessions"):
        models.MarkResight(None, sightings, masks, marked=40)
    with refused(survey.SurveyError, match="marked= lacks a session"):
        models.MarkResight(None, sightings, masks, marked={"2023": 40})
    with refused(survey.SurveyError, match="there is not one number of marked animals per session"):
        models.MarkResight(None, sightings, masks, marked=[40])
    with refused(survey.SurveyError, match=r"marked= names a session that there is not \(found '2025'\)"):
        models.MarkResight(None, sightings, masks, marked={"2023": 40, "2024": 41, "2025": 3})
    by_name = models.MarkResight(None, sightings, masks, marked={"2024": 41, "2023": 40})
    assert by_name.marked == models.MarkResight(None, sightings, masks, marked=np.array([40, 41])).marked == (40, 41)
    frame = sightings[0].captures.detections.copy()
    frame.loc[frame.groupby("animal")["occasion"].idxmax().iloc[:1], "removed"] = True
    lost = replace(sightings[0], captures=replace(sightings[0].captures, detections=frame))
    with refused(survey.SurveyError, match="losses on capture are not known to mark-resight models"):
        models.MarkResight(None, lost, masks[0], marked=40)
