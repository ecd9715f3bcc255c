"""Posterior predictive checks of every family: the statistics of the goodness of fit beside plain numbers."""

from __future__ import annotations

import numpy as np
import pytest
import test_marked_bilateral as flanks
import test_marked_live_dead as live_dead
import test_marked_robust as robust
import test_open_scr as open_scr
import test_scr_mark_resight as resight
from marked_problems import histories
from occupancy_problems import ragged
from scr_problems import small
from test_marked_known_fate import collars
from test_marked_multievent import events

from uncia import models, survey
from uncia.models.draws import Draws
from uncia.models.posterior import Posterior
from uncia.models.predictive import _statistics_taken


def drawn(model, spread=0.05, k=6) -> Draws:
    rng = np.random.default_rng(3)
    vectors = model.start() + spread * rng.normal(size=(1, k, model.parameters.size))
    return Draws(Posterior(model), vectors, {"diverging": np.zeros((1, k), bool)}, seed=1)


MADE = {
    "SCR": (lambda: models.SCR(*small("proximity")), "animals"),
    "SCR conditional": (lambda: models.SCR(*small("count"), likelihood="conditional"), "spatial recaptures"),
    "mark-resight": (lambda: models.MarkResight(*resight.survey_of("count")), "sightings, unmarked"),
    "open SCR": (lambda: open_scr.model(open_scr.data(), open_scr.area(), "normal"), "detections"),
    "open SCR conditional": (
        lambda: open_scr.model(open_scr.data(), open_scr.area(), likelihood="conditional"),
        "detections",
    ),
    "occupancy": (lambda: models.Occupancy(ragged(n=20), "~ x"), "sites with findings"),
    "dynamic": (lambda: models.DynamicOccupancy(ragged(n=20, t=3)), "visits with findings"),
    "multistate occupancy": (lambda: models.MultistateOccupancy(ragged(n=20, most=2)), "sum of findings"),
    "two species": (lambda: models.TwoSpeciesOccupancy(ragged(n=20), ragged(n=20, seed=8)), "sites with findings"),
    "Royle-Nichols": (lambda: models.RoyleNichols(ragged(n=20)), "sites with findings"),
    "N-mixture": (lambda: models.NMixture(ragged(n=20, most=4)), "sum of findings"),
    "open N-mixture": (lambda: models.OpenNMixture(ragged(n=12, t=3, most=3), most=30), "sum of findings"),
    "removal": (lambda: models.Removal(ragged(n=20, most=4)), "sum of findings"),
    "closed": (lambda: models.ClosedCapture(histories(3), "~ t", likelihood="full"), "met once"),
    "closed conditional": (lambda: models.ClosedCapture(histories(3), likelihood="conditional"), "met once"),
    "loglinear": (lambda: models.LogLinear(histories(3), "~ t"), "animals"),
    "flanks": (lambda: flanks.BilateralCapture(flanks.history(flanks.NEVER)), "encounters"),
    "ghosts": (lambda: models.MisidentifiedCapture(histories(3), "~ 1", 0.95), "met once"),
    "samples": (lambda: models.Capwire([1, 1, 2, 2, 3, 4, 1, 2, 5]), "found once"),
    "CJS": (lambda: models.CJS(histories(3, losses=True), "~ sex", "~ t"), "encounters"),
    "multievent": (lambda: models.Multievent(events(3), ("a", "b", "c")), "encounters"),
    "live and dead": (lambda: live_dead.Barker(live_dead.drawn(2)), "found dead"),
    "robust design": (lambda: models.RobustDesign(robust.data(3), gamma_out="~ 1"), "encounters"),
    "Pradel": (lambda: models.Pradel(histories(3), "~ 1", "~ 1"), "animals"),
    "Jolly-Seber": (lambda: models.JollySeber(histories(3), "~ sex", "~ 1", b="~ 1"), "animals"),
    "known fate": (lambda: models.KnownFate(collars(3), "~ sex"), "deaths"),
}


@pytest.mark.parametrize("name", MADE)
def test_every_family_is_checked(name):
    """Plain statistics, and every discrepancy that the bootstrap has, at the data's own number of animals or sites."""
    make, plain = MADE[name]
    model = make()
    draws = drawn(model)
    table = draws.predictive(2, seed=1)
    names = table["statistic"].tolist()
    assert plain in names
    assert set(model.discrepancies(model.start())) <= set(names)
    assert table["p"].between(0.0, 1.0).all() and np.isfinite(table["observed"]).all()
    assert table.attrs["lost"] < 2


def test_the_same_seed_gives_the_same_check():
    draws = drawn(models.Occupancy(ragged(n=20)))
    assert draws.predictive(5, seed=1).equals(draws.predictive(5, seed=1))
    assert not draws.predictive(5, seed=1).equals(draws.predictive(5, seed=2))


def test_animals_detected_once_count_nowhere_where_a_model_leaves_them_out():
    """All animals that are left have two detections, in the data and in what is simulated."""
    captures, mask = small("proximity")
    model = models.SCR(captures, mask, detection="half-normal", at_least=2)
    data = model.simulate({"D": 1100.0, "g0": 0.2, "sigma": 300.0}, 1)
    told = _statistics_taken(model, data)
    assert 0 < told["animals"] < data.n_animals and told["detections"] >= 2.0 * told["animals"]
    nobody = survey.CaptureHistory(captures.detections.iloc[:1], captures.detectors)
    assert set(_statistics_taken(model, nobody).values()) == {0.0}


def trapped(n=160, T=6) -> survey.EncounterHistory:
    """Survival 0.9, detection 0.7; half of the animals met again are taken out."""
    rng, states, removed = np.random.default_rng(1), np.eye(1, T, dtype=int).repeat(n, axis=0), np.zeros(n, bool)
    for i in range(n):
        for t in range(1, T):
            if rng.random() > 0.9 or removed[i]:
                break
            states[i, t] = rng.random() < 0.7
            removed[i] = states[i, t] and rng.random() < 0.5
    return survey.EncounterHistory(states, None, removed)


def test_losses_are_simulated():
    """A true model is not told to be wrong because animals were taken out."""
    fit = models.CJS(trapped()).fit()
    draws = Draws(Posterior(fit.model), np.tile(fit.vector, (1, 25, 1)), {"diverging": np.zeros((1, 25), bool)}, seed=1)
    p = draws.predictive(25, seed=1).set_index("statistic")["p"]
    assert p[["encounters", "met once", "deviance", "chi-square"]].between(0.03, 0.97).all()
    assert abs(fit.model.simulate({"phi": 0.9, "p": 0.7}, 1).removed.mean() - trapped().removed.mean()) < 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.JollySeber(histories(3, losses=True), b="~ t"),
        lambda: models.Multistate(histories(3, losses=True)),
        lambda: models.Multievent(events(3, losses=True), ("a", "b", "c")),
        lambda: live_dead.Barker(live_dead.drawn(2, losses=True)),
        lambda: models.RobustDesign(robust.data(3, losses=True), gamma_out="~ 1"),
    ],
)
def test_simulated_losses_are_data(make):
    model = make()
    vector, lost = model.start(), 0
    for seed in range(6):
        data = model.simulate(model.parameters.given(vector), seed)
        lost += getattr(data, "live", data).removed.sum()
        assert np.isfinite(model.on(data).loglik(vector))
    assert lost > 0
