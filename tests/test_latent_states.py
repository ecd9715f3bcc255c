"""Drawn states: chains against an enumeration, likelihoods of chains against the models', frequencies against
probabilities."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import test_marked_live_dead as live_dead
import test_marked_multievent as events
import test_marked_robust as robust
import test_open_scr as open_scr
from marked_problems import histories
from occupancy_problems import ragged, some_vector

from uncia import models
from uncia.models import latent, latent_histories
from uncia.models.draws import Draws
from uncia.models.latent_chains import Chains
from uncia.models.marked.entry import first_encounter
from uncia.models.marked.open_derived import present
from uncia.models.posterior import Posterior
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError


def in_states(seed=4, n=14, losses=True) -> EncounterHistory:
    h = histories(seed, n=n, losses=losses)
    two = np.where(np.random.default_rng(seed).random(h.states.shape) < 0.4, 2 * h.states, h.states)
    two[1, 3] = -1 if two[1, 3] == 0 else two[1, 3]
    return EncounterHistory(two, h.frequency, h.removed, h.animals, h.occasions)


# ---- chains ------------------------------------------------------------------------------------------------------


def test_a_chain_is_drawn_from_all_its_paths():
    """Every path's frequency, and the likelihood, beside the sum over all paths of three states over four times."""
    rng, S, T, n = np.random.default_rng(2), 3, 4, 20_000
    begin, move, look = rng.random((2, S)), rng.random((2, T - 1, S, S)), rng.random((2, T, S))
    move[1, 1, 0], look[0, 2, 1] = [0.0, 1.0, 0.0], 0.0
    chains = Chains(begin, lambda t: move[:, t], look, np.array([0, 1]))
    drawn, total = chains.drawn(np.repeat([0, 1], n), rng), chains.ahead()[1]
    assert (drawn[n:, 0] == -1).all()
    for r, first in ((0, 0), (1, 1)):
        chance = {}
        for path in product(range(S), repeat=T - first):
            weight = begin[r, path[0]]
            for k, (a, b) in enumerate(pairwise(path)):
                weight *= move[r, first + k, a, b] * look[r, first + k + 1, b]
            chance[path] = weight
        whole = sum(chance.values())
        assert total[r] == pytest.approx(np.log(whole), rel=1e-12)
        own = drawn[r * n : (r + 1) * n, first:]
        for path, weight in chance.items():
            share = np.mean((own == path).all(axis=1))
            assert abs(share - weight / whole) <= 4.5 * np.sqrt(weight / whole / n) + 1e-12


MADE = {
    "CJS": lambda: models.CJS(histories(3, losses=True), "~ sex + t", "~ t"),
    "CJS, gaps": lambda: models.CJS(histories(3, losses=True, gaps=True), "~ t", "~ 1"),
    "multistate": lambda: models.Multistate(in_states(), "~ state", "~ state + t", "~ move"),
    "multievent": lambda: models.Multievent(events.events(3, losses=True, gaps=True), **events.THREE, wrong="~ 1"),
    "Burnham": lambda: live_dead.Burnham(live_dead.drawn(2, True, gaps=True, barker=False), "~ sex", F="~ t"),
    "Barker": lambda: live_dead.Barker(live_dead.drawn(3, True, gaps=True), "~ sex", F_prime="~ 1"),
    "robust": lambda: models.RobustDesign(
        robust.data(3, losses=True, unseen=(4,)), "~ 1", "~ 1", gamma_out="~ 1", gamma_away="~ 1"
    ),
    "Pradel": lambda: models.Pradel(histories(3, losses=True, gaps=True), "~ t", "~ sex", f="~ 1"),
    "Jolly-Seber": lambda: models.JollySeber(histories(3, losses=True), "~ sex", "~ 1", b="~ t"),
}


@pytest.mark.parametrize("name", MADE)
def test_chains_have_the_likelihood_of_the_model(name, monkeypatch):
    """What a draw conditions on is what the kernel's likelihood is of, animal by animal added up."""
    model, seen = MADE[name](), []
    drawn = Chains.drawn
    monkeypatch.setattr(Chains, "drawn", lambda self, row, rng: seen.append(self) or drawn(self, row, rng))
    vector = model.start() + 0.2 * np.random.default_rng(1).normal(size=model.parameters.size)
    found = latent.states(model, vector, np.random.default_rng(1))
    h = latent_histories._histories(model)
    useful = h.first < h.n_occasions - 1 if isinstance(model, (models.CJS, models.Multistate)) else h.frequency > 0
    total, values = float(h.frequency[useful] @ seen[0].ahead()[1][useful]), model.parameters.values(vector)
    expected = model.loglik(vector)
    if isinstance(model, models.Pradel):
        survival, p, _ = model.natural(values)
        met = first_encounter(model.entries(values).beta, survival, p).met
        expected += float(model.n @ np.log(met)) - model._number(values, met)[0]
    if isinstance(model, models.RobustDesign):
        expected -= model.closed.evaluate({n: values[n] for n in model.closed.parameters.names}, False)[0]
    assert total == pytest.approx(expected, rel=1e-10)
    state = found["state"][1]
    assert state.shape[0] == h.n_animals == len(set(latent.coordinates(model)["animal"]))
    assert (found["alive"][1] == (state > 0).sum(axis=0)).all()


def test_what_was_seen_is_never_drawn_otherwise():
    """Alive where it was met, in the state it was met in; nothing before; taken out after the last encounter."""
    model = models.Multistate(in_states(), "~ state", "~ state", "~ move")
    state = latent.states(model, model.start(), np.random.default_rng(1))["state"][1]
    h = model.history
    row = np.repeat(np.arange(len(h.states)), h.frequency)
    assert (state[h.states[row] > 0] == h.states[row][h.states[row] > 0]).all()
    t = np.arange(h.n_occasions)
    assert (state[t < h.first[row][:, None]] == -1).all()
    taken = h.removed[row][:, None] & (t > h.last[row][:, None])
    assert taken.any() and (state[taken] == -2).all() and (state[~taken] > -2).all()
    assert (state[(t > h.first[row][:, None]) & (t < h.last[row][:, None])] > 0).all()


# ---- frequencies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["poisson", "binomial"])
def test_animals_on_an_occasion_have_their_moments(distribution):
    """Mean and variance of N by occasion beside those that derive() adds up without draws."""
    model = models.JollySeber(histories(3, n=20, losses=True), "~ 1", "~ sex", b="~ t", distribution=distribution)
    vector, rng, n = some_vector(model, spread=0.1), np.random.default_rng(4), 800
    if distribution == "binomial":
        where = model.parameters.slice_of("f0")
        vector[where] = np.log(np.round(np.exp(model.parameters["f0"].eta(vector[where]))))[[0, 0]] * [1, 0]
    drawn = np.array([latent.states(model, vector, rng)["N"][1] for _ in range(n)])
    told = present(model, vector)
    assert (np.abs(drawn.mean(axis=0) - told.expected) < 4.5 * np.sqrt(told.variance / n)).all()
    np.testing.assert_allclose(drawn.var(axis=0), told.variance, rtol=5 * np.sqrt(2 / n))
    assert (drawn >= told.certain).all()


def test_transients_and_animals_that_differ():
    """A share tau of those met once is gone at once; with one node the effects of animals change nothing."""
    h = EncounterHistory(np.array([[1, 0, 0], [1, 1, 0]]), [4000, 10])
    model = models.CJS(h, 0.8, 0.5, tau="~ 1")
    state = latent.states(model, model.start(), np.random.default_rng(1))["state"][1][:4000]
    tau = 0.1
    later = 0.2 + 0.8 * 0.5 * (0.2 + 0.8 * 0.5)
    alive = (1 - tau) * 0.8 * 0.5 * (0.2 + 0.8 * 0.5) / (tau + (1 - tau) * later)
    assert np.mean(state[:, 1] == 1) == pytest.approx(alive, abs=4.5 * np.sqrt(0.25 / 4000))
    differ = models.CJS(histories(3, n=60), "~ 1", "~ 1", individual="phi", nodes=6)
    vector = np.array([1.0, 0.0, np.log(3.0)])
    later = [latent.states(differ, vector, np.random.default_rng(k))["alive"][1][-1] for k in range(80)]
    wide = [latent.states(differ, vector * [1, 1, -5], np.random.default_rng(k))["alive"][1][-1] for k in range(80)]
    assert abs(np.mean(later) - np.mean(wide)) > 1.0  # survivors of unequal animals are not those of equal ones


def test_states_of_sites_have_their_probabilities():
    n = 1500
    two = models.MultistateOccupancy(ragged(n=6, t=3, most=2), form="nested")
    vector, rng = some_vector(two), np.random.default_rng(4)
    drawn = np.array([latent.states(two, vector, rng)["state"][1] for _ in range(n)]).reshape(n, -1)
    expected = two.states(vector)
    for k in range(3):
        np.testing.assert_allclose((drawn == k).mean(axis=0), expected[:, k], atol=4.5 * np.sqrt(0.25 / n))
    pair = models.TwoSpeciesOccupancy(ragged(n=6), ragged(n=6, seed=8))
    vector = some_vector(pair)
    drawn = np.array([latent.states(pair, vector, rng)["occupied"][1] for _ in range(n)])
    for k in (0, 1):
        np.testing.assert_allclose(drawn[:, :, k].mean(axis=0), pair.present(vector, k), atol=4.5 * np.sqrt(0.25 / n))
        assert drawn[:, pair.visits[k].any, k].all()


def test_numbers_through_seasons_have_their_moments():
    model = models.OpenNMixture(ragged(n=6, t=4, most=3), "~ x", "~ 1", "~ 1", most=25)
    vector, rng, n = some_vector(model, spread=0.2), np.random.default_rng(4), 1500
    drawn = np.array([latent.states(model, vector, rng)["abundance"][1] for _ in range(n)])
    told = model.posterior(vector)
    mean, sd = (told[name].to_numpy().reshape(6, 4) for name in ("abundance", "sd"))
    assert (np.abs(drawn.mean(axis=0) - mean) <= 4.5 * sd / np.sqrt(n) + 1e-9).all()
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.15, atol=1e-9)
    steps = np.corrcoef(drawn[:, 0, 0], drawn[:, 0, 1])[0, 1]
    assert steps > 0.1  # seasons of a site go together
    removal = models.Removal(ragged(most=4))
    vector = some_vector(removal)
    drawn = np.array([latent.states(removal, vector, rng)["abundance"][1] for _ in range(n)])
    told = removal.posterior(vector)
    assert (np.abs(drawn.mean(axis=0) - told["abundance"]) <= 4.5 * told["sd"] / np.sqrt(n) + 1e-9).all()
    assert (drawn >= told["counted"].to_numpy()).all()


# ---- the answer ----------------------------------------------------------------------------------------------------


def drawn_of(model, k=30) -> Draws:
    """Draws about the start, as a sampler would give them."""
    rng = np.random.default_rng(3)
    vectors = model.start() + 0.1 * rng.normal(size=(2, k, model.parameters.size))
    return Draws(Posterior(model), vectors, {"diverging": np.zeros((2, k), bool)}, seed=1)


def test_states_are_named_and_stored(tmp_path):
    model = models.Multistate(in_states(), "~ state", "~ 1", "~ 1", states=("cub", "adult"))
    draws = drawn_of(model)
    found = draws.latent(most=40)
    assert dict(found["state"].sizes) == {"chain": 2, "draw": 20, "animal": model.history.n_animals, "occasion": 5}
    assert found["state"].attrs["meaning"].startswith("-1 before it was met; 0 dead or left for good; 1 cub; 2 adult")
    assert found["animal"].to_numpy()[:3].tolist() == ["a0", "a1 #1", "a1 #2"]
    assert found["occasion"].to_numpy().tolist() == ["1", "2", "3", "4", "5"]
    assert found.equals(draws.latent(most=40))
    periods = drawn_of(MADE["robust"]()).latent(most=4)
    assert "1 here; 2 away" in periods["state"].attrs["meaning"] and periods["alive"].dims[-1] == "period"
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed: pip install -e '.[bayes]'")
    draws.save(tmp_path / "draws.nc", latent=found)


def test_realised_numbers_are_in_the_table():
    """What derive() calls realised is drawn: whole numbers, with intervals that have the chance in them."""
    for model, quantity, scope in (
        (models.JollySeber(histories(3, n=20), "~ 1", "~ 1", b="~ t"), "abundance", "occasion 2"),
        (models.OpenNMixture(ragged(n=6, t=3, most=3), most=25), "abundance", "season 2, these 6 sites"),
        (models.MultistateOccupancy(ragged(n=6, t=2, most=2)), "proportion in state 2", "season 1, these 6 sites"),
        (models.TwoSpeciesOccupancy(ragged(), ragged(seed=8)), "proportion with first species", "these 7 sites"),
    ):
        table = drawn_of(model).derive(5).set_index(["quantity", "scope"])
        assert table.loc[(quantity, scope), "interval"] == "95% credible, equal tails"
        n = model.history.n_sites if "proportion" in quantity else 1
        number = table.loc[(quantity, scope), "median"] * n  # of an odd number of draws
        assert number == pytest.approx(round(number), abs=1e-9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.ClosedCapture(histories(3)), "a closed population has no states.*How many were never met"),
        (lambda: models.LogLinear(histories(3)), "a closed population has no states"),
    ],
)
def test_what_has_no_states_says_so(make, words):
    model = make()
    with pytest.raises(SurveyError, match=words):
        latent.states(model, model.start(), np.random.default_rng(1))


def test_an_open_population_in_space_says_so():
    model = open_scr.model(open_scr.data(), open_scr.area())
    with pytest.raises(SurveyError, match=r"open population in space live is not drawn.*JollySeber without places"):
        drawn_of(model, 2).latent(most=2)
