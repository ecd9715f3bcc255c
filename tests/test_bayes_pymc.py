"""What only PyMC can show: the model as a PyMC object, random effects drawn, leave-one-out, files across stacks."""

from __future__ import annotations

import gc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from marked_problems import histories
from occupancy_problems import ragged
from scr_problems import small
from test_random_walks import years

from uncia import models
from uncia.models.posterior import Posterior

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # ArviZ announces its next version
    pm = pytest.importorskip("pymc", reason="PyMC is not installed: pip install -e '.[bayes]'")

pytestmark = pytest.mark.filterwarnings("ignore")


def grouped() -> models.NMixture:
    """Counts at 24 sites in 8 valleys, of which some have many animals."""
    rng = np.random.default_rng(2)
    valley = np.repeat(np.arange(8), 3)
    N = rng.poisson(np.exp(0.5 + 0.8 * rng.normal(size=8))[valley])
    frame = pd.DataFrame({"valley": [f"v{v}" for v in valley]})
    from uncia.survey.detections import DetectionHistory

    counts = rng.binomial(N[:, None], 0.5, (24, 4)).astype(float)
    return models.NMixture(DetectionHistory.from_wide(counts, sites=frame), "~ 1 + (1 | valley)", "~ 1")


@pytest.mark.parametrize(
    ("make", "priors"),
    [
        (
            lambda: models.SCR(*small("proximity")),
            {"D": models.LogNormal(1000, 3), "g0": models.Beta(1, 1), "sigma": models.LogNormal(300, 3)},
        ),
        (lambda: models.Occupancy(ragged(), "~ x"), {"psi": models.Normal(0, 1.5), "p": models.Beta(2, 2)}),
    ],
    ids=["SCR", "occupancy"],
)
def test_the_pymc_model_is_the_posterior(make, priors):
    """Its log-density and gradient are ours, and it has one log-likelihood per animal or site, with names."""
    model = make()
    if "psi" in priors:
        priors = priors | {"psi": dict.fromkeys(model.parameters["psi"].terms, priors["psi"])}
    made, posterior = model.pymc(priors), Posterior(model, priors)
    point = made.initial_point()
    x = np.array([np.ravel(point[v.name])[0] for v in made.value_vars]) + 0.1
    at = {v.name: np.asarray(value) for v, value in zip(made.value_vars, x, strict=True)}
    value, gradient = posterior.loglik_and_gradient(x)
    assert made.compile_logp()(at) == pytest.approx(value, rel=1e-8)
    np.testing.assert_allclose(made.compile_dlogp()(at), gradient, rtol=1e-6, atol=1e-6)
    found = model.pointwise(x)
    name = f"of_{found.dim}"
    each = made.compile_logp(vars=[made[name]], sum=False)(at)[0]
    np.testing.assert_allclose(each, found.loglik, rtol=1e-12)
    assert list(made.coords[found.dim]) == found.labels


@pytest.mark.parametrize("kind", ["points", "weighted"])
def test_compiled_code_calls_the_nodes_without_object_mode(kind):
    """Their values in PyTensor's numba linker are those of `perform`, from a thread too, with no warning."""
    import pytensor
    import pytensor.tensor as pt

    from uncia.models.nodes import Points, Weighted

    model = models.Occupancy(ragged(n=12, seed=5), "~ x")
    posterior, x = Posterior(model), pt.dvector()
    n = len(model.pointwise(model.start()).loglik)
    if kind == "points":
        asked, given = Points(posterior, n, 0)(x), (model.start() + 0.1,)
        inputs = [x]
    else:
        weight = pt.dvector()
        asked, given = [Weighted(posterior, n)(x, weight)], (model.start() + 0.1, np.linspace(0.0, 1.0, n))
        inputs = [x, weight]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*object mode.*")
        compiled = pytensor.function(inputs, asked, mode="NUMBA")
    called = pytensor.function(inputs, asked, mode=pytensor.compile.mode.Mode(linker="py", optimizer=None))
    gc.collect()
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: compiled(*given), range(4)):
            for one, other in zip(found, called(*given), strict=True):
                np.testing.assert_array_equal(one, other)


def test_an_error_below_compiled_code_is_not_lost(caplog):
    import pytensor
    import pytensor.tensor as pt

    from uncia.models.nodes import LogPosterior

    def broken(z):
        raise ZeroDivisionError("of the model")

    x = pt.dvector()
    compiled = pytensor.function([x], LogPosterior(2, broken)(x), mode="NUMBA")
    with pytest.raises(RuntimeError, match="the model could not be evaluated"):
        compiled(np.zeros(2))
    assert "ZeroDivisionError: of the model" in caplog.text


def test_what_was_evaluated_is_not_evaluated_again():
    from uncia.models.bayes import _InUnits

    class Counted:
        calls = 0

        def loglik_and_gradient(self, x):
            self.calls += 1
            return float(-0.5 * x @ x), -x

    posterior = Counted()
    target = _InUnits(posterior, np.ones(2), 2.0 * np.eye(2))
    value, gradient = target(np.array([0.5, 1.0]))
    gradient[:] = 0.0  # as PyTensor may do
    again = target(np.array([0.5, 1.0]))
    assert posterior.calls == 1 and again[0] == value == -6.5
    np.testing.assert_array_equal(again[1], [-4.0, -6.0])


def test_random_effects_are_drawn():
    """Near the fit by quadrature, without divergences."""
    model = grouped()
    draws, fit = model.sample(draws=250, tune=250, chains=2, seed=1), model.fit()
    assert int(draws.statistics["diverging"].sum()) <= 2
    table = draws.summary().set_index(["parameter", "term"])
    varied = fit.variation().iloc[0]
    assert varied["estimate"] * 0.6 < table.loc[("lambda", "sd 1 | valley"), "mean"] < varied["estimate"] * 1.7
    error = table.loc[("lambda", "Intercept"), "mean"] - fit.coefficients["estimate"].iloc[0]
    assert abs(error) < 0.6 * fit.coefficients["se"].iloc[0]
    effects = draws.coefficients[:, :, model.parameters.random[0][2]].mean(axis=(0, 1))
    assert np.corrcoef(effects, fit.random_effects()["estimate"])[0, 1] > 0.97


def test_a_walk_over_years_is_drawn():
    """The years of the data are near the fit; a year between has a wider interval."""
    model = models.Occupancy(years(seed=3, n=30), "~ rw(year)", "~ 1")
    draws, fit = model.sample(draws=250, tune=300, chains=2, seed=1), model.fit()
    assert int(draws.statistics["diverging"].sum()) <= 3
    new = pd.DataFrame({"year": [2010, 2011, 2013, 2014, 2017]})
    told, expected = draws.as_fit().predict("psi", new), fit.predict("psi", new)
    assert (abs(told["estimate"] - expected["estimate"]) < 0.5 * expected["se"]).all()
    width = (told["upper"] - told["lower"]).to_numpy()
    assert width[2] > 1.1 * width[[1, 3]].max()
    assert ("psi", "sd rw(year)") in set(map(tuple, draws.priors()[["parameter", "term"]].to_numpy()))


def test_a_jolly_seber_model_has_points_states_and_a_pymc_model():
    history = histories(3, n=30)
    model = models.JollySeber(history, "~ 1", "~ 1", b="~ 1")
    draws = model.sample(draws=150, tune=150, chains=2, seed=1)
    loo = draws.loo(200)
    assert loo.index.tolist()[0].startswith("a0") and len(loo) == history.n_animals
    latent = draws.latent(most=40)
    assert (latent["N"] >= latent["alive"]).all()
    made = model.pymc()
    assert "of_animal" in made.named_vars and "animals met" in made.named_vars


def test_leave_one_out():
    """Of a model that is fitted through every point elpd is below the log-likelihood; the better model is first."""
    history = ragged(n=40, seed=5)
    draws = {
        formula: models.Occupancy(history, "~ 1", formula).sample(draws=200, tune=100, chains=2, seed=1)
        for formula in ("~ 1", "~ v")
    }
    table = models.compare_loo(draws, most=200)
    assert table["delta"].iloc[0] == 0.0 and (table["p"] > 0.5).all() and (table["points"] == 39).all()
    one = draws["~ 1"].loo(200)
    data = draws["~ 1"].log_likelihood(200)["of_site"]
    assert one["elpd"].sum() < float(data.mean(["chain", "draw"]).sum())
    assert one.index.tolist() == data["site"].to_numpy().tolist()


def test_predictive_checks():
    draws = models.Occupancy(ragged(n=30, seed=5)).sample(draws=60, tune=60, chains=2, seed=1)
    table = draws.predictive(40, seed=1).set_index("statistic")
    assert {"sites with findings", "visits with findings"} < set(table.index)
    assert table["p"].between(0.0, 1.0).all() and len(table) > 4  # with discrepancies
