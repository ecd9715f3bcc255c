"""Goodness of fit of every kind of model: statistics beside slow twins and the field's programs, and the bootstrap."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from marked_problems import histories, suite
from occupancy_problems import ragged, reordered, some_vector, with_missing_site, with_missing_visit
from reference import entry
from reference_occupancy import history

from uncia import models
from uncia.models.inference.goodness import cell_statistics
from uncia.models.marked.fitted_histories import HISTORIES, history_table
from uncia.models.occupancy.goodness import discrepancies, log_silence, mackenzie_bailey, with_findings
from uncia.models.occupancy.history_model import HistoryModel
from uncia.survey.detections import DetectionHistory
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

OF_SITES = {
    "Occupancy": lambda: models.Occupancy(ragged(n=12, methods=True)),
    "RoyleNichols": lambda: models.RoyleNichols(ragged(n=12)),
    "RoyleNichols NB": lambda: models.RoyleNichols(ragged(n=12), mixture="negative binomial"),
    "MultiMethod": lambda: models.MultiMethodOccupancy(ragged(n=9, t=3)),
    "Dynamic": lambda: models.DynamicOccupancy(ragged(n=9, t=3)),
    "FalsePositive": lambda: models.FalsePositiveOccupancy(ragged(n=12)),
    "Multistate": lambda: models.MultistateOccupancy(ragged(n=12, most=2)),
    "SignSurvey": lambda: models.SignSurvey(ragged(n=12)),
    "NMixture": lambda: models.NMixture(ragged(n=8, most=4)),
    "NMixture ZIP": lambda: models.NMixture(ragged(n=8, most=4), mixture="zero-inflated poisson"),
    "OpenNMixture": lambda: models.OpenNMixture(ragged(n=8, t=3, most=4)),
    "Removal": lambda: models.Removal(ragged(n=8, most=4)),
}


@pytest.fixture(params=OF_SITES)
def model(request):
    return OF_SITES[request.param]()


# ---- sites ---------------------------------------------------------------------------------------------------------


def test_likelihood_by_site_adds_up(model):
    vector = some_vector(model)
    each = model.by_site(model.parameters.values(vector))
    assert each.shape == (model.history.n_sites,)
    assert each.sum() == pytest.approx(model.loglik(vector), rel=1e-12)


def test_expected_findings_are_the_mean_of_draws(model):
    values = model.parameters.values(some_vector(model, spread=0.2))
    rng = np.random.default_rng(5)
    drawn = np.array([model._draw(values, rng) for _ in range(3000)], float)
    error = drawn.std(axis=0) / np.sqrt(len(drawn)) + 1e-9
    z = (model.fitted(values) - drawn.mean(axis=0)) / error
    own = type(model).fitted is not HistoryModel.fitted
    assert np.abs(z).max() < (4.5 if own else 9.0)  # the general way is itself the mean of 1,000 draws


def test_order_and_what_was_not_done_change_nothing():
    h = ragged(n=15, methods=True)
    vector = some_vector(models.Occupancy(h))
    found = discrepancies(models.Occupancy(h), vector)
    for other in (reordered(h, 3), with_missing_visit(h), with_missing_site(h)):
        again = discrepancies(models.Occupancy(other), vector)
        assert again == pytest.approx(found)


def test_all_histories_together_are_all_sites():
    """The chi-square by listing every history that could be, nobody's included."""
    y = np.random.default_rng(3).random((40, 3)) < 0.4
    model = models.Occupancy(DetectionHistory.from_wide(y.astype(float)))
    vector = model.at(psi=0.7, p=0.35).vector
    slow = 0.0
    for h in product([0, 1], repeat=3):
        chance = 0.7 * np.prod(np.where(h, 0.35, 0.65)) + 0.3 * (not any(h))
        seen = np.sum((y == np.array(h)).all(axis=1))
        slow += (seen - 40 * chance) ** 2 / (40 * chance)
    assert mackenzie_bailey(model, vector)[1] == pytest.approx(slow)


def test_the_general_way_equals_the_formula(monkeypatch):
    model = models.Occupancy(ragged(n=25, methods=True))
    vector = some_vector(model)
    table, total = mackenzie_bailey(model, vector)
    monkeypatch.delattr(models.Occupancy, "occupied_and_found")
    again, other = mackenzie_bailey(model, vector)
    assert other == pytest.approx(total)
    np.testing.assert_allclose(again["expected"], table["expected"])


def test_few_animals_are_occupancy():
    h = ragged(n=25)
    occupancy, few = models.Occupancy(h), models.RoyleNichols(h)
    psi, p = 0.002, 0.3
    one = mackenzie_bailey(occupancy, occupancy.at(psi=psi, p=p).vector)[1]
    other = mackenzie_bailey(few, few.at(**{"lambda": psi, "r": p}).vector)[1]
    assert other == pytest.approx(one, rel=0.01)


def test_one_season_of_many_is_single_season():
    h = ragged(n=20)
    one, other = models.Occupancy(h), models.DynamicOccupancy(h)
    vector = one.at(psi=0.6, p=0.3).vector
    assert discrepancies(other, vector) == pytest.approx(discrepancies(one, vector))


def test_nothing_found():
    model = models.Occupancy(ragged(n=12))
    values = model.parameters.values(model.at(psi=0.6, p=0.3).vector)
    visits = np.bincount(model.visits.group, minlength=12)
    np.testing.assert_allclose(np.exp(log_silence(model, values)), 0.4 + 0.6 * 0.7**visits)


def test_other_findings_leave_the_visits():
    model = models.Occupancy(ragged(n=12))
    y = np.arange(int(model.history.done.sum())) % 2
    again = with_findings(model, y.astype(float))
    assert np.array_equal(again.history.done, model.history.done) and np.array_equal(again.visits.seen, y == 1)


@pytest.mark.parametrize(("name", "p"), [("null", "~ 1"), ("p(late)", "~ late"), ("p(occasion)", "~ C(visit)")])
def test_salamanders_as_unmarked(name, p):
    fit = models.Occupancy(history("salamanders"), p=p).fit()
    theirs = entry("salamanders", f"fit statistics at the estimates, {name}")["derived"]
    found = discrepancies(fit.model, fit.vector)
    assert found["Freeman-Tukey, visits"] == pytest.approx(theirs["freeman_tukey"], rel=1e-4)  # at a looser optimum
    assert found["chi-square, visits"] == pytest.approx(theirs["chi_square"], rel=1e-4)


def test_mallards_as_unmarked():
    h = history("mallard", value="count").without_missing("ivel", "date")
    fit = models.NMixture(h, "~ length + elev + forest", "~ ivel + date + I(date**2)").fit()
    theirs = entry("mallard", "fit statistics at the estimates")["derived"]
    found = discrepancies(fit.model, fit.vector)
    assert found["Freeman-Tukey, visits"] == pytest.approx(theirs["freeman_tukey"], rel=1e-3)
    assert found["chi-square, visits"] == pytest.approx(theirs["chi_square"], rel=1e-2)


def test_histories_are_not_compared_where_nearly_every_site_has_its_own_visits():
    together, alone = (models.Occupancy(ragged(n=40, j=5, seed=9, keep=keep)) for keep in (1.0, 0.5))
    assert "MacKenzie-Bailey" in together.discrepancies(some_vector(together))
    assert "MacKenzie-Bailey" not in alone.discrepancies(some_vector(alone))


def test_two_species_together_and_each_by_itself():
    first, second = (ragged(n=40, j=5, seed=seed, keep=1.0) for seed in (3, 9))
    model = models.TwoSpeciesOccupancy(first, second, names=("tiger", "leopard"))
    vector = some_vector(model)
    values = model.parameters.values(vector)
    chance = model.found_together(values)
    np.testing.assert_allclose(chance.sum(axis=1), 1.0)
    rng = np.random.default_rng(1)
    drawn = np.zeros((40, 4))
    for _ in range(2000):
        one, two = (
            np.bincount(v.group, y, minlength=40) > 0
            for v, y in zip(model.visits, model._draw(values, rng), strict=True)
        )
        drawn += np.stack([one & two, one & ~two, ~one & two, ~one & ~two], axis=1) / 2000
    assert np.abs(drawn - chance).max() < 0.05
    found = model.discrepancies(vector)
    alone = models.Occupancy(second)
    apart = models.TwoSpeciesOccupancy(first, second, f12=0.0, names=("tiger", "leopard"))
    at = apart.discrepancies(apart.at(f1=0.3, f2=-0.2, p1=0.4, p2=0.5).vector)
    own = alone.discrepancies(alone.at(psi=float(1 / (1 + np.exp(0.2))), p=0.5).vector)
    assert at["MacKenzie-Bailey, leopard"] == pytest.approx(own["MacKenzie-Bailey"])
    assert at["chi-square, sites, leopard"] == pytest.approx(own["chi-square, sites"])
    assert set(found) == set(at) and "chi-square, found together" in found
    fit = apart.fit()
    assert set(fit.residuals()["species"]) == {"tiger", "leopard"}
    assert len(fit.goodness(2, workers=1).simulated) == 2


def test_refusals_in_words():
    h = ragged(n=10)
    with pytest.raises(SurveyError, match="known to be occupied"):
        models.Occupancy(h, known_occupied=[h.sites.index[0]]).fit().goodness(2)
    with pytest.raises(SurveyError, match="at least one simulated"):
        models.Occupancy(h).fit().goodness(0)


# ---- the bootstrap -------------------------------------------------------------------------------------------------


def test_seeds_stores_and_interrupts(tmp_path):
    fit = models.Occupancy(ragged(n=30, j=5)).fit()
    whole = fit.goodness(6, seed=4, workers=1)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit.goodness(6, seed=4, workers=1, store=tmp_path, progress=stop)
    begun = []
    again = fit.goodness(6, seed=4, workers=1, store=tmp_path, progress=lambda done, total: begun.append(done))
    assert begun[0] == 3  # what was stored is not done again
    assert again.simulated.equals(whole.simulated) and again.tests.equals(whole.tests)
    assert not fit.goodness(6, seed=5, workers=1).simulated.equals(whole.simulated)
    assert whole.c_hat == pytest.approx(whole.tests["observed"].iloc[0] / whole.simulated["MacKenzie-Bailey"].mean())
    assert "c-hat" in str(whole) and 0 < whole.p_value <= 1


def test_sites_that_come_in_twos_are_overdispersed():
    model = models.Occupancy(DetectionHistory.from_wide(np.ones((60, 5))))
    y = model.simulate({"psi": 0.6, "p": 0.4}, 2).value.reshape(60, 5)
    twice = models.Occupancy(DetectionHistory.from_wide(np.vstack([y, y]))).fit()
    assert twice.goodness(20, workers=1).c_hat > 1.3
    assert 0.5 < models.Occupancy(DetectionHistory.from_wide(y)).fit().goodness(20, workers=1).c_hat < 1.6


@pytest.mark.parametrize("name", ["RoyleNichols", "NMixture", "FalsePositive"])
def test_every_kind_can_be_tested(name):
    found = OF_SITES[name]().fit().goodness(2, workers=1)
    assert len(found.simulated) + found.failed == 2 and np.isfinite(found.tests["observed"]).all()


# ---- marked animals ------------------------------------------------------------------------------------------------


def one_animal_at_a_time(model, vector):
    """log Pr of each different history given its cohort, as the likelihood of this history alone less the rest."""
    table = history_table(model, vector)
    return table["observed"].to_numpy() @ np.log(
        table["expected"] / table.groupby("cohort")["observed"].transform("sum")
    )


@pytest.mark.parametrize("phi", ["~ 1", "~ t", "~ age"])
def test_survival_histories_are_the_likelihood(phi):
    model = models.CJS(histories(4, n=40, T=5), phi)
    vector = some_vector(model)
    assert one_animal_at_a_time(model, vector) == pytest.approx(model.loglik(vector))


def test_histories_of_other_models_are_the_likelihood():
    h = EncounterHistory(histories(4, n=40, T=5).states)
    for model in (
        models.Pradel(h),
        models.ClosedCapture(h, likelihood="conditional"),
        models.ClosedCapture(h, classes=2, likelihood="conditional"),
        models.LogLinear(h, "~ t", likelihood="conditional"),
        models.Multistate(EncounterHistory(h.states * (1 + (np.arange(5) % 2))[None, :])),
        models.RobustDesign(EncounterHistory(h.states, intervals=[0, 1, 0, 1]), gamma_out="~ 1"),
    ):
        vector = some_vector(model)
        assert one_animal_at_a_time(model, vector) == pytest.approx(model.loglik(vector)), model
        assert type(model) in HISTORIES


def test_histories_with_recoveries_and_with_unseen_states_are_the_likelihood():
    from test_marked_live_dead import drawn
    from test_marked_multievent import THREE, events

    alive = models.RobustDesign(EncounterHistory(histories(4, n=40, T=5).states, intervals=[0, 1, 0, 1]))
    differ = models.CJS(EncounterHistory(histories(4, n=40, T=5).states), tau="~ 1", individual="p")
    for model in (
        models.Burnham(drawn(2, barker=False), "~ sex"),
        models.Barker(drawn(3, gaps=True), F_prime="~ 1"),
        models.Multievent(events(5), **THREE),
        alive,
        differ,
    ):
        vector = some_vector(model)
        assert one_animal_at_a_time(model, vector) == pytest.approx(model.loglik(vector)), model


def test_deviance_is_marks():
    fit = models.CJS(suite("dipper")).fit()
    assert fit.model.discrepancies(fit.vector)["deviance"] == pytest.approx(58.15788, abs=1e-4)


def test_animals_not_released_are_left_out():
    h = EncounterHistory.from_strings(["1100", "1100", "1010", "1000"], removed=[True, False, False, False])
    model = models.CJS(h)
    table = history_table(model, model.at(phi=0.7, p=0.5).vector)
    assert table["observed"].sum() == 3


def test_known_fates():
    from uncia.survey.monitored import MonitoredAnimals

    rng = np.random.default_rng(1)
    died = (rng.random((80, 6)) < 0.1).cumsum(axis=1) == 1
    died &= died.cumsum(axis=1) == 1
    animals = MonitoredAnimals(died.cumsum(axis=1) - died == 0, died)
    by_week = models.KnownFate(animals, "~ t").fit()
    found = by_week.model.discrepancies(by_week.vector)
    assert max(found.values()) < 1e-6  # a parameter for every period leaves nothing
    constant = models.KnownFate(animals).fit()
    twice = 2 * (by_week.loglik - constant.loglik)
    assert constant.model.discrepancies(constant.vector)["deviance"] == pytest.approx(twice)
    assert 0.2 < constant.goodness(40, workers=1).p_value <= 1


def test_cells_by_hand():
    found = cell_statistics(np.array([4.0, 1.0]), np.array([2.0, 1.0]), 0.5)
    assert found["chi-square"] == pytest.approx(2.0 + 0.5)
    assert found["Freeman-Tukey"] == pytest.approx((2 - np.sqrt(2)) ** 2 + 0.5)
    assert found["deviance"] == pytest.approx(8 * np.log(2))


def test_marked_refusals():
    import pandas as pd

    h = histories(2, n=20, T=4)
    heavy = EncounterHistory(h.states, animals=pd.DataFrame({"mass": np.linspace(1, 2, len(h.states))}))
    with pytest.raises(SurveyError, match="have no cohorts"):
        models.CJS(heavy, "~ mass").fit().goodness(2)

    class Mine(models.CJS):
        """A model that nobody has told how likely a history is."""

    with pytest.raises(SurveyError, match="no expectation here"):
        Mine(h).fit().goodness(2)


def test_identities_that_are_no_animals():
    """Ghosts are animals met once too many: a model without them does not fit, the right one does."""
    some = EncounterHistory(np.eye(8, dtype=int)[np.arange(60) % 8])
    right = models.MisidentifiedCapture(some, "~ 1", 0.8)
    fit = right.on(right.simulate({"p": 0.35, "N": 150.0}, 1)).fit()
    found = fit.goodness(8, workers=1)
    assert list(found.tests["statistic"]) == ["Freeman-Tukey, times met", "Freeman-Tukey, occasions"]
    blind = models.MisidentifiedCapture(fit.model.history, "~ 1", 1.0)
    without = blind.discrepancies(blind.fit().vector)["Freeman-Tukey, times met"]
    assert without > 3 * found.tests["observed"].iloc[0]
    counts = models.Capwire([1, 1, 1, 2, 2, 3, 4, 1, 2, 5, 3, 1]).fit()
    assert counts.goodness(3, workers=1).tests["statistic"].tolist() == ["Freeman-Tukey, times met"]
