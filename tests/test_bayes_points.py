"""Log-likelihoods of single animals and sites, latent states, random effects in a posterior: all without PyMC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import test_marked_robust as robust
import test_open_scr as open_scr
import test_scr_telemetry as telemetry
from marked_problems import histories
from occupancy_problems import ragged
from oracle_resight import survey_of
from scr_problems import small, surveyed
from test_marked_known_fate import collars
from test_marked_multievent import events

from uncia import models, survey
from uncia.models import latent
from uncia.models.draws import Draws, atom
from uncia.models.pointwise import divided, weighted_gradient
from uncia.models.posterior import Posterior
from uncia.models.predictive import statistics
from uncia.survey.errors import SurveyError


def collared():
    captures, mask = small("proximity")
    return replace(captures, telemetry=telemetry.collars(captures)), mask


def two_species() -> models.TwoSpeciesOccupancy:
    """The third site was visited for the second species only."""
    first = np.array([[1, 0], [0, 1], [np.nan, np.nan], [0, 0]])
    return models.TwoSpeciesOccupancy(*(survey.DetectionHistory.from_wide(y) for y in (first, np.nan_to_num(first))))


def some(model, seed=1):
    return model.start() + 0.2 * np.random.default_rng(seed).normal(size=model.parameters.size)


MADE = {
    "SCR": lambda: models.SCR(*small("proximity"), detection="half-normal"),
    "SCR binomial": lambda: models.SCR(*small("multi"), distribution="binomial"),
    "SCR conditional": lambda: models.SCR(*small("count"), likelihood="conditional"),
    "SCR sex": lambda: models.SCR(*small("proximity"), g0="~ sex", classes="sex"),
    "SCR mass": lambda: models.SCR(*small("proximity"), g0="~ mass", likelihood="conditional"),
    "SCR collars": lambda: models.SCR(*collared(), detection="hazard half-normal"),
    "mark-resight": lambda: models.MarkResight(*survey_of("count"), g0="~ phase"),
    "marked animals": lambda: models.MarkResight(None, *survey_of("count")[1:], marked=40),
    "two species": two_species,
    "occupancy": lambda: models.Occupancy(ragged(), "~ x", "~ v"),
    "dynamic": lambda: models.DynamicOccupancy(ragged(t=4), "~ x", "~ 1", "~ 1", "~ v"),
    "N-mixture": lambda: models.NMixture(ragged(most=4), "~ x", "~ v"),
    "closed": lambda: models.ClosedCapture(histories(3), "~ sex + t"),
    "CJS": lambda: models.CJS(histories(3, losses=True), "~ sex", "~ t"),
    "CJS normal": lambda: models.CJS(histories(3), "~ 1", "~ 1", individual="p"),
    "robust": lambda: models.RobustDesign(robust.data(3, losses=True, unseen=(4,)), "~ t", "~ sex", gamma_out="~ 1"),
    "Pradel": lambda: models.Pradel(histories(3, gaps=True), "~ sex", "~ t", f="~ 1"),
    "Jolly-Seber": lambda: models.JollySeber(histories(3, losses=True), "~ 1", "~ sex", b="~ 1"),
    "Jolly-Seber binomial": lambda: models.JollySeber(histories(3, losses=True), "~ 1", "~ 1", distribution="binomial"),
    "known fate": lambda: models.KnownFate(collars(3), "~ sex + mass"),
    "loglinear": lambda: models.LogLinear(histories(3, gaps=True), "~ t", heterogeneity="darroch"),
    "loglinear full": lambda: models.LogLinear(histories(3), "~ t", likelihood="full"),
    "multievent": lambda: models.Multievent(events(3, losses=True), ("a", "b", "c")),
    "open SCR": lambda: open_scr.model(open_scr.data(), open_scr.area(), "normal"),
    "open SCR sexes": lambda: open_scr.model(
        open_scr.data(sex=open_scr.SEX), open_scr.area(), likelihood="conditional", classes="sex", phi="~ sex"
    ),
    "survival in space": lambda: open_scr.model(open_scr.data(), open_scr.area(), likelihood="survival"),
}


@pytest.mark.parametrize("name", MADE)
def test_points_are_the_whole(name):
    """Their sum is the log-likelihood, and the gradient of any weighted sum is that of its differences."""
    model = MADE[name]()
    vector, rng = some(model), np.random.default_rng(2)
    found, of_terms, of_count, of_rest = divided(model, vector)
    whole, gradient = model.loglik_and_gradient(vector)
    assert found.loglik.sum() + found.count.sum() + found.rest == pytest.approx(whole, rel=1e-12)
    assert len(found.labels) == len(found.loglik) and len(found.counted) == len(found.count)
    slope = np.ones(len(of_count)) if found.mean is None else found.number / found.mean - 1.0
    np.testing.assert_allclose(of_terms + slope @ of_count + of_rest, gradient, rtol=1e-6, atol=1e-7 * abs(whole))
    moves = 1e-5 * np.eye(len(vector))
    of_rest_numeric = [(model.pointwise(vector + h).rest - model.pointwise(vector - h).rest) / 2e-5 for h in moves]
    np.testing.assert_allclose(of_rest, of_rest_numeric, rtol=1e-5, atol=1e-6 * abs(whole))
    weight, of_mean = rng.random(len(found.loglik)), rng.random(len(found.count))

    def total(v):
        at = model.pointwise(v)
        return weight @ at.loglik + of_mean @ (at.count if at.mean is None else at.mean)

    numeric = [(total(vector + h) - total(vector - h)) / 2e-5 for h in moves]
    tolerance = 1e-6 * np.abs(numeric).max()
    np.testing.assert_allclose(weighted_gradient(model, vector, weight, of_mean), numeric, rtol=1e-5, atol=tolerance)


def test_an_animal_counts_once():
    """An animal less changes the points of nobody else."""
    captures, mask = small("proximity")
    model = models.SCR(captures, mask, detection="half-normal")
    kept = captures.animals.index[1:]
    fewer = captures.detections[captures.detections["animal"].isin(kept)]
    part = survey.CaptureHistory(fewer, captures.detectors, animals=captures.animals.loc[kept])
    vector = some(model)
    without = models.SCR(part, mask, detection="half-normal").pointwise(vector)
    np.testing.assert_allclose(model.pointwise(vector).loglik[1:], without.loglik, rtol=1e-10)


@pytest.mark.parametrize("name", ["CJS", "robust", "Pradel", "Jolly-Seber", "loglinear", "multievent"])
def test_a_marked_animal_counts_once(name):
    """The same of marked animals, by name, whatever order the rows of the kernels have."""
    model = MADE[name]()
    h, vector = model.history, some(model)
    less = np.maximum(h.frequency - (np.arange(len(h.states)) == 4), 0)
    fewer = survey.EncounterHistory(h.states, less, h.removed, h.animals, h.occasions, h.intervals)
    whole, part = (
        dict(zip(m.labels, m.loglik, strict=True)) for m in (model.pointwise(vector), model.on(fewer).pointwise(vector))
    )
    assert len(whole) - len(part) in (0, 1)  # 0 where the animal was met last and says nothing
    for animal in set(part) & set(whole):
        assert part[animal] == pytest.approx(whole[animal], rel=1e-12)


def test_models_with_other_covariates_have_the_animals_in_the_same_order():
    plain, by_sex = (models.CJS(histories(3), f, "~ 1") for f in ("~ 1", "~ sex"))
    labels = plain.pointwise(plain.start()).labels
    assert labels == by_sex.pointwise(by_sex.start()).labels
    assert labels[:2] == ["a0 #1", "a0 #2"] and len(set(labels)) == len(labels)


def test_no_points_are_refused():
    states = histories(3).states
    for model, why in (
        (models.MisidentifiedCapture(survey.EncounterHistory(states), "~ 1", 0.9), "histories of one animal may be"),
        (models.Capwire([1, 1, 2, 2, 3, 4, 1, 2, 5]), "of numbers of samples"),
    ):
        with pytest.raises(SurveyError, match=rf"is no product over animals: .*{why}.*Compare models of this kind"):
            model.pointwise(model.start())


# ---- latent states ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [1, 4])
def test_states_have_their_probabilities(t):
    """Frequencies of drawn states beside the smoothed probabilities, of single seasons and of pairs of seasons."""
    model = (
        models.DynamicOccupancy(ragged(n=5, t=t), "~ 1", "~ 1", "~ 1", "~ 1") if t > 1 else models.Occupancy(ragged())
    )
    vector, rng, n = some(model), np.random.default_rng(4), 3000
    drawn = np.array([latent.states(model, vector, rng)["occupied"][1] for _ in range(n)]).reshape(n, -1)
    expected = model.occupied(vector)
    np.testing.assert_allclose(drawn.mean(axis=0), expected, atol=4.0 * np.sqrt(0.25 / n))
    assert (drawn[:, expected == 1.0]).all()
    if t > 1:
        V = np.cov(drawn.reshape(n, -1, t).mean(axis=1).T, ddof=0)
        np.testing.assert_allclose(V, model.covariance_of_states(vector), atol=6.0 * np.abs(V).max() / np.sqrt(n))


@pytest.mark.parametrize("mixture", ["poisson", "negative binomial", "zero-inflated poisson"])
def test_abundances_have_their_moments(mixture):
    model = models.NMixture(ragged(most=4), mixture=mixture)
    vector, rng, n = some(model), np.random.default_rng(4), 800
    drawn = np.array([latent.states(model, vector, rng)["abundance"][1] for _ in range(n)])
    mean, variance = model.moments(vector)
    assert (np.abs(drawn.mean(axis=0) - mean) <= 4.5 * np.sqrt(variance / n) + 1e-9).all()
    assert (drawn >= model.least).all()


def test_abundances_from_detections():
    model = models.RoyleNichols(ragged())
    vector, rng, n = some(model), np.random.default_rng(4), 800
    drawn = np.array([latent.states(model, vector, rng)["abundance"][1] for _ in range(n)])
    np.testing.assert_allclose(drawn.mean(axis=0), model.abundance(vector), rtol=0.15)
    np.testing.assert_allclose((drawn > 0).mean(axis=0), model.occupied(vector), atol=0.08)


def test_centres_are_where_the_animals_were_seen():
    """Cells by their posterior probabilities; animals never met are Poisson; the surface sums to the number."""
    model = surveyed("proximity")
    fit = model.fit()
    vectors = np.tile(fit.vector, (1, 200, 1))
    draws = Draws(Posterior(model), vectors, {"diverging": np.zeros((1, 200), bool)}, seed=1)
    found = draws.latent(most=200)
    animal = str(found["animal"][0].item())
    share = fit.activity_centre(animal).to_numpy()[model.mask.habitat]
    seen = np.bincount(found["cell"][0, :, 0], minlength=model.mask.size) / 200
    assert np.abs(seen - share).max() < 4.5 * np.sqrt(0.25 / 200)
    x, _ = model.mask.centres()
    mean = float(share @ x)
    error = np.sqrt(share @ (x - mean) ** 2 / 200)
    assert float(found["x"].sel(animal=animal).mean()) == pytest.approx(mean, abs=4.5 * error)
    told = fit.derive().set_index("quantity")["estimate"]
    missed = told["realised abundance"] - model.captures.n_animals
    assert float(found["never_met"].mean()) == pytest.approx(missed, abs=4.5 * np.sqrt(missed / 200))
    animals = float(found["density"].sum()) * model.mask.cell_area / 100.0
    assert animals == pytest.approx(told["realised abundance"], rel=1e-6)
    assert found["density"].attrs["units"] == "animals per 100 km²"


@pytest.mark.parametrize("few", [False, True])
def test_centres_of_many_animals_are_those_of_each(few, monkeypatch):
    """Together they share the hazards of the detectors; classes and memory for few at once change nothing."""
    captures, mask = small("proximity")
    model = models.SCR(captures, mask, g0="~ sex", classes="sex")
    (session,), vector = model.sessions, some(model)
    values = model.values_of(model.parameters.values(vector), session)
    if few:
        monkeypatch.setattr("uncia.models.spatial.session.AT_ONCE", 2 * mask.size)
    log_mu, rows = session.kernel_input(values)
    told = np.zeros(captures.n_animals)
    for part, animals, surfaces in session.centres_by_part(values):
        assert not few or len(animals) <= 2
        for animal, surface in zip(animals, surfaces, strict=True):
            alone = dict(session._centres(int(animal), log_mu, rows, values))[part.of_class]
            np.testing.assert_allclose(surface, alone, rtol=0, atol=1e-13)
            told[animal] += 1
    known = captures.animals["sex"].notna().to_numpy()
    np.testing.assert_array_equal(told, np.where(known, 1, 2))


def test_density_given_the_animals_met():
    """A draw of the conditional likelihood: D a is Gamma(n), whose mean is n."""
    captures, mask = small("count")
    model = models.SCR(captures, mask, likelihood="conditional")
    rng, vector = np.random.default_rng(1), some(model)
    drawn = np.array([np.exp(atom(model, vector, rng).vector[0]) for _ in range(60)])
    n = captures.n_animals
    assert drawn.std() / drawn.mean() == pytest.approx(1.0 / np.sqrt(n), rel=0.35)


# ---- random effects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["~ 1 + (1 | site)", "~ 1 + (x | site)", "~ s(x, k=4)"])
def test_gradient_of_random_effects(formula):
    """Fixed coefficients, standard deviations, correlations, lengths and standard normal effects, by differences."""
    posterior = Posterior(models.NMixture(ragged(n=8, most=3), formula, "~ 1"))
    rng = np.random.default_rng(3)
    assert len(posterior.labels) == posterior.size
    for _ in range(2):
        x = np.concatenate([some(posterior.model)[posterior.random.at_beta], np.zeros(posterior.size)])[
            : posterior.size
        ]
        x = x + 0.3 * rng.normal(size=len(x))
        gradient = posterior.loglik_and_gradient(x)[1]
        value = lambda y: posterior.loglik_and_gradient(y)[0]  # noqa: E731
        numeric = [(value(x + h) - value(x - h)) / 2e-5 for h in 1e-5 * np.eye(len(x))]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5)


def test_random_effects_are_stated_and_have_a_metric():
    history = ragged(n=8, most=3)
    posterior = Posterior(models.NMixture(history, "~ 1 + (1 | site)"), {"lambda: 1 | site": models.LogNormal(0.3, 2)})
    stated = posterior.stated().set_index(["parameter", "term"])["prior"]
    assert stated["lambda", "sd 1 | site"] == "LogNormal(median=0.3, factor=2)"
    place, unit = posterior.units()
    assert np.isfinite(posterior.loglik_and_gradient(place)[0]) and np.linalg.matrix_rank(unit) == posterior.size
    again = Posterior(posterior.model, {"lambda: 1 | site": models.LogNormal(0.3, 2)})
    assert again.record() == posterior.record()


def test_what_the_data_say(tmp_path):
    """Draws from the prior itself: the data have said nothing; a file gives back the same."""
    model = models.Occupancy(ragged())
    posterior = Posterior(model)
    rng = np.random.default_rng(1)
    unknowns = np.array([[posterior.drawn(rng) for _ in range(500)] for _ in range(2)])
    draws = Draws(posterior, unknowns, {"diverging": np.zeros((2, 500), bool)}, 1, {"sampler": "the prior"})
    learned = draws.learned()
    assert (learned["overlap"] > 0.9).all()
    assert learned["says"].tolist() == ["the data say nothing about psi", "the data say nothing about p"]
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed: pip install -e '.[bayes]'")
    draws.save(tmp_path / "draws.nc", latent=draws.latent(most=20))
    again = Draws.load(tmp_path / "draws.nc", model)
    np.testing.assert_array_equal(again.coefficients, draws.coefficients)
    assert again.made["sampler"] == "the prior" and again.priors().equals(draws.priors())
    with pytest.raises(SurveyError, match=r"these are draws of another model \(found 'Occupancy"):
        Draws.load(tmp_path / "draws.nc", models.Occupancy(ragged(), "~ x"))


# ---- predicted data --------------------------------------------------------------------------------------------------


def test_prior_predictive():
    captures, mask = small("proximity")
    model = models.SCR(captures, mask)
    priors = {"D": models.LogNormal(1100.0, 1.5), "sigma": models.LogNormal(300.0, 1.3)}
    table = model.prior_predictive(seed=2, n=25, priors=priors).set_index("statistic")
    assert table.loc["animals", "observed"] == captures.n_animals
    assert table.loc["animals", "lower"] <= table.loc["animals", "median"] <= table.loc["animals", "upper"]
    pd.testing.assert_frame_equal(table, model.prior_predictive(seed=2, n=25, priors=priors).set_index("statistic"))
    with pytest.raises(SurveyError, match="every draw from the priors expects more than 50,000 animals"):
        model.prior_predictive(n=3, priors={"D": models.LogNormal(1e12, 1.1)})


def test_statistics_of_data():
    found = statistics(ragged())
    assert found["visits with findings"] >= found["sites with findings"] > 0
    assert statistics(histories(3))["animals"] == histories(3).n_animals


# ---- draws through a surface -----------------------------------------------------------------------------------------


def sites(seed: int = 5) -> survey.DetectionHistory:
    rng = np.random.default_rng(seed)
    return survey.DetectionHistory.from_wide((rng.random((90, 1)) < 0.6) * (rng.random((90, 5)) < 0.5) * 1.0)


def test_surface_is_the_posterior():
    """Means, standard deviations and tails beside sums over a grid of both coefficients."""
    model = models.Occupancy(sites())
    draws = model.sample(draws=2000, chains=2, seed=2, sampler="surface")
    assert draws.made["error of the log-posterior"] < 0.03 and draws.made["evaluations"] < 120
    again = model.sample(draws=2000, chains=2, seed=2, sampler="surface")
    np.testing.assert_array_equal(draws.unknowns, again.unknowns)
    summary, posterior = draws.summary(), draws.posterior
    axes = [np.linspace(m - 6 * s, m + 6 * s, 61) for m, s in summary[["mean", "sd"]].to_numpy()]
    log = np.array([[posterior.loglik_and_gradient(np.array([a, b]))[0] for b in axes[1]] for a in axes[0]])
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    for axis, share, row in zip(axes, (weight.sum(axis=1), weight.sum(axis=0)), summary.itertuples(), strict=True):
        mean = share @ axis
        sd = np.sqrt(share @ (axis - mean) ** 2)
        assert row.mean == pytest.approx(mean, abs=4.0 * sd / np.sqrt(4000))
        assert row.sd == pytest.approx(sd, rel=0.05)
        assert row.lower == pytest.approx(np.interp(0.025, share.cumsum(), axis), abs=0.2 * sd)
    assert draws.verdict.good and "The fit converged" in str(draws.verdict)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.Occupancy(ragged()), "a surface cannot stand for a posterior with long tails"),
        (lambda: models.NMixture(ragged(most=3), "~ 1 + (1 | site)"), "for a posterior with random effects"),
        (lambda: models.Occupancy(sites(), "~ 1").sample(sampler="gibbs"), "Use 'nuts' or 'surface'"),
    ],
)
def test_what_a_surface_cannot_do(make, words):
    with pytest.raises(SurveyError, match=words):
        make().sample(draws=10, sampler="surface")


def test_draws_as_a_fit():
    """The same tables as a fit, from draws; AIC is that of the maximum."""
    model = models.Occupancy(sites())
    draws, fit = model.sample(draws=60, chains=2, sampler="surface"), model.fit()
    told = draws.as_fit()
    assert list(told.derive()) == list(fit.derive()) and list(told.coefficients) == list(fit.coefficients)
    assert told.derive()["estimate"].iloc[0] == pytest.approx(fit.derive()["estimate"].iloc[0], rel=0.1)
    assert told.derive()["interval"].iloc[0] == "95% credible, equal tails"
    assert told.aic == pytest.approx(fit.aic) and told.draws.shape == (120, 2)
    predicted = told.predict("p")
    assert (predicted["lower"] < predicted["estimate"]).all() and (predicted["estimate"] < predicted["upper"]).all()
