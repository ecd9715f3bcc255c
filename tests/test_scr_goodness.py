"""Goodness of fit of spatial capture-recapture: moments against simulation, the statistics against an obvious twin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scr_problems import small, surveyed
from test_scr_search import survey_of

from uncia import models, survey
from uncia.models.spatial.fit_checks.goodness import NAMES, given_animals
from uncia.models.spatial.fit_checks.moments import _by_detector, centres, drawn, moments, observed
from uncia.survey.errors import SurveyError

HAZARD = {"detection": "hazard half-normal"}
AT = {"D": 900.0, "lambda0": 0.4, "sigma": 280.0}


@pytest.mark.parametrize("kind", ["multi", "proximity", "count"])
def test_moments_against_simulation(kind):
    captures, mask = small(kind)
    model = models.SCR(captures, mask, lambda0="~ T", **HAZARD)
    vector = model.parameters.vector_from(AT | {"lambda0": {"Intercept": -1.0, "T": 0.2}})
    session = model.session()
    (method,) = session.methods
    n = 4000
    x, y = np.full(n, 50_100.0), np.full(n, 80_200.0)
    same = np.zeros(n, int)
    found = moments(model, session, method, vector, x[:1], y[:1], same[:1])
    times = drawn(model, session, method, vector, x, y, same, np.random.default_rng(1))
    se = times.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(times.mean(axis=0) - found.mean[0]) < 4 * se + 1e-9)
    assert times.var(axis=0) == pytest.approx(found.variance[0], rel=0.15)
    total = times.sum(axis=1)
    assert np.mean(total == 0) == pytest.approx(np.exp(-found.hazard[0]), abs=0.03)
    alone = np.array([np.mean((total == 1) & (times[:, k] == 1)) for k in range(9)])
    assert alone == pytest.approx(np.exp(-found.hazard[0]) * found.once[0], abs=0.02)


@pytest.mark.parametrize("smooth", [True, False])
def test_occasions_are_gathered_by_detector(smooth):
    rng, h = np.random.default_rng(2), np.array([0.1, 0.9, 2.0, 0.01, 1.3])
    effort, code = rng.uniform(0.2, 1.0, (40, 5)), rng.integers(0, 2, (40, 5))
    effort[rng.random((40, 5)) < 0.2] = 0.0
    turns = list(_by_detector(effort, code, np.zeros((40, 5), int), smooth))
    assert len(turns) <= (16 if smooth else 40)
    found = sum((1 + t.code) * t.times * -np.expm1(-t.effort * h) for t in turns)
    assert found == pytest.approx(np.sum((1 + code) * -np.expm1(-effort * h), axis=0), rel=1e-11)


SEARCHES = ["area", "exclusive area", "transect", "exclusive transect"]


@pytest.mark.parametrize("kind", [*SEARCHES, "clumped", "binomial", "capped"])
def test_moments_of_every_kind_say_what_the_likelihood_says(kind):
    """p.(x) of one and of two detections follows from the moments; totals agree with simulation."""
    options = {"clumped": {"counts": "negative binomial", "size": 0.6}, "binomial": {"counts": "binomial"}}.get(
        kind, {}
    )
    captures, mask = survey_of(kind, seed=9) if kind in SEARCHES else small("capped" if kind == "capped" else "count")
    if kind == "binomial":
        d = captures.detectors
        effort = np.where(d.effort > 0, 6.0, 0.0)
        captures = survey.CaptureHistory(captures.detections, survey.Detectors(list(d.id), d.x, d.y, effort, "count"))
    lambda0, sigma = (0.8, 180.0) if kind in SEARCHES else (0.1, 280.0)
    one, two = (models.SCR(captures, mask, at_least=k, **options, **HAZARD) for k in (1, 2))
    vector = one.parameters.vector_from({"D": 900.0, "lambda0": lambda0, "sigma": sigma})
    values, session = one.parameters.values(vector), one.session()
    (method,) = session.methods
    x, y = mask.centres()
    found = moments(one, session, method, vector, x, y, np.zeros(mask.size, int))
    p = 1.0 - np.exp(-found.hazard)
    assert session.detection_probability(values) == pytest.approx(p, abs=1e-6)
    twice = p - np.exp(-found.hazard) * found.once.sum(axis=1)
    assert two.session().detection_probability(values) == pytest.approx(twice, abs=1e-6)
    cell = int(np.argmax(found.mean.sum(axis=1)))
    n = 1 if kind == "capped" else 1500  # alone an animal competes with nobody
    times = [drawn(one, session, method, vector, *np.full((2, n), [[x[cell]], [y[cell]]]), np.zeros(n, int), rng)
             for rng in map(np.random.default_rng, range(60 if n == 1 else 1))]  # fmt: skip
    total = np.concatenate(times).sum(axis=1)
    assert total.mean() == pytest.approx(found.mean[cell].sum(), abs=4 * total.std() / np.sqrt(len(total)))
    if kind not in ("exclusive area", "exclusive transect", "capped"):  # detectors are independent
        assert total.var() == pytest.approx(found.variance[cell].sum(), rel=0.3)


@pytest.mark.parametrize("kind", ["exclusive area", "transect"])
def test_searches_are_tested_and_have_residuals(kind):
    captures, mask = survey_of(kind, seed=9)
    fit = models.SCR(captures, mask, **HAZARD).fit()
    table = fit.residuals()
    assert list(table["observed"]) == list(captures.detections.groupby("detector")["count"].sum()[table["detector"]])
    if kind == "transect":
        assert table["expected_given_animals"].sum() == pytest.approx(captures.n_detections, rel=0.05)
    assert np.all(fit.goodness(9, refit=False, workers=1).tests["p"] > 0.1)


def test_experience_and_removal_count():
    captures, mask = small("multi", removed=True)
    model = models.SCR(captures, mask, lambda0="~ b", **HAZARD)
    vector = model.parameters.vector_from(AT | {"lambda0": {"Intercept": -1.0, "b": -1.0}})
    session = model.session()
    (method,) = session.methods
    n = captures.n_animals
    x, y = np.full(n, 50_300.0), np.full(n, 80_300.0)
    found = moments(model, session, method, vector, x, y, np.zeros(n, int), np.arange(n))
    d, slow = captures.detectors, np.zeros((n, len(captures.detectors)))
    shape = np.exp(-0.5 * ((d.x - 50_300.0) ** 2 + (d.y - 80_300.0) ** 2) / 280.0**2)
    for i, name in enumerate(captures.animals.index):
        mine = captures.detections[captures.detections["animal"] == name]
        for s in range(1, captures.n_occasions + 1):
            if (mine["removed"] & (mine["occasion"] < s)).any():
                continue
            h = np.exp(-1.0 - (mine["occasion"] < s).any()) * shape * np.where(d.used[s - 1], d.effort[s - 1], 0.0)
            slow[i] += h / h.sum() * -np.expm1(-h.sum())
    assert found.mean == pytest.approx(slow, abs=1e-12)


def test_centres_are_drawn_from_their_posterior():
    captures, mask = small("proximity")
    model = models.SCR(captures, mask, classes="sex", lambda0="~ sex", **HAZARD)
    fit = model.at(D=900.0, lambda0={"Intercept": -1.4, "sex[T.male]": 0.8}, sigma=280.0, pmix=0.4)
    session, values = model.session(), fit.values
    u = np.tile((np.arange(3000) + 0.5) / 3000, (captures.n_animals, 1))
    cell, of_class = centres(session, values, u)
    share, surfaces = session.class_shares(values), fit.activity_centres()
    for i, name in enumerate(captures.animals.index):
        pdf = surfaces.sel(animal=name).to_numpy()[mask.habitat]
        assert np.bincount(cell[i], minlength=mask.size) / 3000 == pytest.approx(pdf, abs=2e-3)
        assert np.mean(of_class[i] == 1) == pytest.approx(share[i, 1], abs=2e-3)


def test_detections_of_animals_seen_and_missed_add_up():
    """At the maximum the hazards of the animals given the data, of those missed too, sum to the detections."""
    fit = surveyed("count").fit()
    session = fit.model.session()
    ((method, found),) = given_animals(fit.model, session, fit.vector, fit.values)
    total = observed(session, method).sum()
    assert found.mean.sum() + found.missed.sum() == pytest.approx(total, rel=0.01)
    statistics = fit.model.discrepancies(fit.vector)
    y = observed(session, method)
    assert statistics[NAMES[0]] == pytest.approx(np.sum((np.sqrt(y) - np.sqrt(found.mean)) ** 2) / len(y))
    expected = found.mean.sum(axis=0) + found.missed
    assert statistics[NAMES[2]] == pytest.approx(np.sum((np.sqrt(y.sum(axis=0)) - np.sqrt(expected)) ** 2))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("multi", {}), ("proximity", {"likelihood": "conditional"}), ("count", {"at_least": 2}), ("single", {})],
)
def test_refitted_and_resampled(kind, options):
    model = surveyed(kind, **options)
    fit = model.fit()
    found = fit.goodness(2, workers=1)
    assert list(found.tests["statistic"]) == list(NAMES)
    assert found.failed == 0
    assert np.all((found.tests["p"] > 0) & (found.tests["p"] <= 1))
    again = fit.goodness(2, workers=1)
    assert found.tests.equals(again.tests)
    if kind == "single" or options.get("at_least") == 2:
        with pytest.raises(SurveyError, match="resampling"):
            fit.goodness(3, refit=False)
        return
    quick = fit.goodness(9, refit=False, uncertain=True, workers=1)
    assert np.all(quick.tests["p"] > 0.1)


def test_clumped_counts_are_noticed():
    fit = surveyed("count").fit()
    frame = fit.model.captures.detections.copy()
    rng = np.random.default_rng(1)
    frame["count"] *= 1 + rng.poisson(2.0, len(frame))  # photographs come in bursts
    bursts = fit.model.on(survey.CaptureHistory(frame, fit.model.captures.detectors)).fit()
    assert bursts.goodness(9, workers=1).tests["p"][0] == pytest.approx(0.1)
    assert bursts.goodness(19, refit=False, workers=1).tests["p"][0] < 0.06


def test_sessions_and_methods_are_one_test():
    captures, mask = small("proximity")
    other, _ = small("count", seed=8)
    both = [
        survey.CaptureHistory(captures.detections, captures.detectors, session="a"),
        survey.CaptureHistory(other.detections, other.detectors, session="b"),
    ]
    model = models.SCR(both, mask, **HAZARD)
    vector = model.parameters.vector_from(AT)
    alone = [models.SCR(c, mask, **HAZARD).discrepancies(vector) for c in both]
    whole = model.discrepancies(vector)
    n = np.array([c.n_animals for c in both]) / sum(c.n_animals for c in both)
    for name in NAMES[:2]:  # per animal
        assert whole[name] == pytest.approx(n[0] * alone[0][name] + n[1] * alone[1][name])
    assert whole[NAMES[2]] == pytest.approx(alone[0][NAMES[2]] + alone[1][NAMES[2]])
    empty = survey.CaptureHistory(pd.DataFrame(), captures.detectors, session="c")
    more = models.SCR([*both, empty], mask, **HAZARD).discrepancies(vector)
    assert more[NAMES[0]] == pytest.approx(whole[NAMES[0]])
    assert more[NAMES[2]] > whole[NAMES[2]]  # nothing was detected where something was expected
