"""Priors and draws from the posterior: densities, gradients, agreement with exact posteriors and maximum likelihood."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from marked_problems import histories, suite
from scipy import stats
from scipy.special import expit, gammaln

from uncia.models.draws import Draws
from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.robust_design import RobustDesign
from uncia.models.marked.survival import CJS
from uncia.models.posterior import Posterior
from uncia.models.priors import Beta, Logistic, LogNormal, Normal, Scale
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError

KINDS = [
    (Normal(0.3, 2.0), stats.norm(0.3, 2.0), 1.1),
    (Logistic(0.5, 1.5), stats.logistic(0.5, 1.5), -0.7),
    (LogNormal(3.0, 2.0), stats.lognorm(np.log(2.0), scale=3.0), 1.7),
    (Beta(2.0, 5.0), stats.beta(2.0, 5.0), 0.3),
    (Beta(1.0, 1.0), stats.beta(1.0, 1.0), 0.3),
]


@pytest.fixture(scope="module")
def pymc():
    """PyMC, or the reason why these tests are skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its next version
        return pytest.importorskip("pymc", reason="PyMC is not installed: pip install -e '.[bayes]'")


# ---- priors, without PyMC ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("prior", "known", "x"), KINDS, ids=[str(kind[0]) for kind in KINDS])
def test_density_slope_and_draws(prior, known, x):
    value, slope = prior.log_density(x)
    assert value == pytest.approx(known.logpdf(x), rel=1e-12, abs=1e-12)
    ahead, behind = prior.log_density(x + 1e-6)[0], prior.log_density(x - 1e-6)[0]
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-6, abs=1e-8)
    rng = np.random.default_rng(1)
    assert stats.kstest([prior.draw(rng) for _ in range(500)], known.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("model", "priors"),
    [
        (CJS(histories(3), "~ sex + mass", "~ T"), {"phi": {"Intercept": Beta(3.0, 2.0), "mass": Normal(0.0, 0.2)}}),
        (CJS(histories(3), "~ 1", "~ 1", individual="phi"), {"sigma_phi": LogNormal(0.3, 2.0)}),
        (ClosedCapture(histories(4), "~ t"), {"N": LogNormal(40.0, 1.5)}),
        (ClosedCapture(histories(4), "~ sex"), {}),
        (ClosedCapture(histories(4), "~ sex", likelihood="conditional"), {"p": {"sex[T.male]": Logistic()}}),
    ],
    ids=["CJS", "individual effect", "N", "N of two groups", "conditional"],
)
def test_gradient_of_the_posterior(model, priors):
    posterior = Posterior(model, priors)
    at = model.start() + np.random.default_rng(2).normal(0.0, 0.3, model.parameters.size)
    _, gradient = posterior.loglik_and_gradient(at)
    for j, step in enumerate(1e-6 * np.eye(len(at))):
        ends = [posterior.loglik_and_gradient(at + sign * step)[0] for sign in (1.0, -1.0)]
        assert gradient[j] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-5)


def test_a_prior_of_the_value_is_that_of_the_coefficient():
    """Uniform on a probability is logistic on its logit; log-normal on N above n by hand."""
    at, model = np.array([0.7, -1.2]), CJS(histories(3))
    uniform = Posterior(model, {"phi": Beta(1.0, 1.0), "p": Beta(1.0, 1.0)})
    assert uniform.log_prior(at)[0] == pytest.approx(Posterior(model).log_prior(at)[0], rel=1e-12)
    closed = ClosedCapture(histories(4))
    found = Posterior(closed, {"N": LogNormal(50.0, 2.0)}).log_prior(at)[0]
    N = closed.n[0] + np.exp(at[1])
    by_hand = stats.lognorm(np.log(2.0), scale=50.0).logpdf(N) + at[1] + stats.logistic.logpdf(at[0])
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_defaults_state_themselves():
    model = CJS(histories(3), "~ sex + mass", "~ t", individual="p")
    stated = Posterior(model).stated().set_index(["parameter", "term"])["prior"]
    mass = model.parameters["phi"].design.matrix[:, 2]
    assert stated["phi", "Intercept"] == "Logistic(location=0.0, scale=1.0)"
    assert stated["phi", "sex[T.male]"] == "Normal(mean=0.0, sd=1.5)"
    assert stated["phi", "mass"] == f"Normal(mean=0.0, sd={1.5 / float(mass.std())})"
    assert stated["sigma_p", "Intercept"] == "LogNormal(median=0.5, factor=2.5)"
    levels = Posterior(ClosedCapture(histories(4), "~ 0 + t")).stated()
    assert set(levels.loc[levels["parameter"] == "p", "prior"]) == {"Logistic(location=0.0, scale=1.0)"}
    assert levels.iloc[-1].tolist() == ["N", "", "Scale()", "animals", "value"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Posterior(CJS(histories(3)), {"phii": Normal(0, 1)}),
            "the model has no such parameter (found 'phii'). Did you mean 'phi'?",
        ),
        (
            lambda: Posterior(CJS(histories(3), 0.8), {"phi": Normal(0, 1)}),
            "phi is fixed in this model (found 0.8). Leave its prior out",
        ),
        (
            lambda: Posterior(CJS(histories(3)), {"p": 0.5}),
            "p needs a prior (found 0.5). Use e.g. Normal(0, 1.5) from uncia.models.priors",
        ),
        (
            lambda: Posterior(CJS(histories(3)), {"p": LogNormal(0.5, 2.0)}),
            "p (Intercept) is a value with the logit link (found LogNormal(median=0.5, factor=2.0)). "
            "Use Normal or Logistic, which are on the coefficient",
        ),
        (
            lambda: Posterior(CJS(histories(3), "~ sex"), {"phi": {"sex[T.male]": Beta(1, 1)}}),
            "phi (sex[T.male]) is a slope (found Beta(a=1, b=1)). Use Normal or Logistic, which are on the coefficient",
        ),
        (
            lambda: Posterior(CJS(histories(3), "~ sex"), {"phi": Normal(0, 1)}),
            "phi has several coefficients (found Normal(mean=0, sd=1)). "
            "Give a mapping from its terms to priors: Intercept, sex[T.male]",
        ),
        (
            lambda: Posterior(CJS(histories(3)), {"p": {"mass": Normal(0, 1)}}),
            "p has no such term (found 'mass'). Its terms are Intercept",
        ),
        (
            lambda: Posterior(ClosedCapture(histories(4)), {"f0": LogNormal(9, 2)}),
            "f0 has no prior of its own. Give one of N, e.g. priors={'N': LogNormal(100, 2)}",
        ),
        (
            lambda: Posterior(ClosedCapture(histories(4)), {"N": Normal(9, 2)}),
            "N needs a prior of a positive value (found Normal(mean=9, sd=2)). Use e.g. LogNormal(100, 2)",
        ),
        (
            lambda: Posterior(ClosedCapture(histories(4), "~ sex", f0="~ 1")),
            "groups share a number never met, so their N have no prior each. "
            "Leave the formula of f0 out, so that every group has its own",
        ),
        (
            lambda: Posterior(CJS(histories(3), "~ 1 + (1 | sex)"), {"phi: 1 | sex": Normal(0, 1)}),
            "the standard deviation of phi: 1 | sex needs a LogNormal prior (found Normal(mean=0, sd=1)). Use it",
        ),
        (
            lambda: Posterior(CJS(histories(3), 0.8, 0.5)),
            "every parameter is fixed, so there is nothing to sample. Give a formula, e.g. '~ 1'",
        ),
        (lambda: Normal(0.0, -1.0), "sd of Normal must be above 0 (found -1.0). Correct it"),
        (
            lambda: LogNormal(9.0, 0.5),
            "factor of LogNormal must be above 1 (found 0.5). Write 2 for 'within a factor of 2'",
        ),
        (
            lambda: Scale().draw(np.random.default_rng(1)),
            "the prior 1/value is improper, so nothing can be drawn from it. Use e.g. LogNormal(100, 2)",
        ),
        (
            lambda: CJS(histories(3)).sample(draws=2),
            "there are too few draws (found 2). Use draws=1000, tune=150, chains=4",
        ),
        (
            lambda: CJS(histories(3)).sample(tune=0),
            "there are too few steps to tune (found 0). Use draws=1000, tune=150, chains=4",
        ),
        (
            lambda: CJS(histories(3)).sample(chains=-1),
            "there are too few chains (found -1). Use draws=1000, tune=150, chains=4",
        ),
        (
            lambda: CJS(histories(3)).sample(draws=100.5, sampler="surface"),
            "draws must be a whole number (found 100.5). Use draws=1000, tune=150, chains=4",
        ),
        (
            lambda: CJS(histories(3)).sample(tune=True),
            "tune must be a whole number (found True). Use draws=1000, tune=150, chains=4",
        ),
        (lambda: CJS(histories(3)).sample(seed=-1), "seed must be a whole number from 0 on (found -1). Use seed=1"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(SurveyError) as error:
        make()
    assert str(error.value) == words


def test_without_pymc_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(SurveyError, match=r"needs PyMC and ArviZ.*Run pip install 'uncia\[bayes\]', or use fit\(\)"):
        CJS(histories(3)).sample()


def test_nothing_of_pymc_is_imported_early():
    code = "import sys, uncia.models, uncia.models.bayes; print({'pymc', 'arviz', 'pytensor'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def drawn(model, n: int = 400) -> Draws:
    """Draws about the maximum that no sampler made."""
    fit = model.fit()
    z = np.random.default_rng(3).normal(size=(2, n, model.parameters.size))
    statistics = {"diverging": np.zeros((2, n), bool)}
    return Draws(Posterior(model), fit.vector + z @ np.linalg.cholesky(fit.covariance).T, statistics, seed=1)


def test_animals_never_met_are_drawn():
    """Given p they are negative binomial, so N varies more than its expectation does (conditional likelihood)."""
    model = ClosedCapture(histories(4, n=40, p=0.2), "~ 1", likelihood="conditional")
    draws = drawn(model)
    row = draws.derive(most=800).iloc[0]
    n = float(model.n.sum())
    expectation = n / -np.expm1([model.log_unseen(model.parameters.values(v))[0] for v in draws.coefficients[0]])
    variance = np.var(expectation) + np.mean(expectation * (expectation - n) / n)
    assert row["sd"] == pytest.approx(np.sqrt(variance), rel=0.15)
    assert row["sd"] > 1.2 * expectation.std()
    assert row["lower"] == int(row["lower"]) >= n
    assert row["interval"] == "95% credible, equal tails"


def test_expectations_are_called_so():
    states = histories(3, n=60, T=6, p=0.5).states
    told = drawn(RobustDesign(EncounterHistory(states, intervals=[0, 1, 0, 1, 0]), "~ 1", "~ 1"), 20).derive()
    words = told.groupby("quantity")["interval"].first()
    assert words["abundance"] == "95% credible, equal tails, of its expectation given the parameters"
    assert words["detection"] == "95% credible, equal tails"


def test_divergences_are_said(monkeypatch):
    draws = drawn(CJS(histories(3)))
    monkeypatch.setitem(
        draws.__dict__, "checks", pd.DataFrame({"r_hat": [1.0, 1.05], "ess_bulk": 900.0, "ess_tail": 700.0})
    )
    draws.statistics["diverging"][0, :3] = True
    first, second = map(str, draws.verdict.remarks)
    assert first.startswith("The fit did not converge: the chains differ, R-hat above 1.01 of p (Intercept) 1.050.")
    assert second.startswith("3 steps diverged: a part of the posterior may be missing")


# ---- draws, with PyMC --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dipper(pymc):
    model = CJS(suite("dipper"))
    return model, model.sample(draws=500, tune=200, chains=2, seed=4)


def test_dipper_is_near_maximum_likelihood(dipper):
    """Uniform priors and 255 releases: the posterior is the likelihood, nearly normal."""
    model, draws = dipper
    fit, found = model.fit(), draws.summary()
    assert list(found) == [
        *("parameter", "term", "link", "mean", "sd", "lower", "upper"),
        *("r_hat", "ess_bulk", "ess_tail"),
    ]
    assert (np.abs(found["mean"] - fit.vector) < 0.25 * fit.se).all()
    assert found["sd"].to_numpy() == pytest.approx(fit.se, rel=0.15)
    assert (found["r_hat"] < 1.02).all()
    told = draws.derive(most=300).set_index("quantity")
    assert told.loc["survival", "mean"] == pytest.approx(0.560, abs=0.01)
    assert told.loc["detection", "lower"] < 0.85 < told.loc["detection", "upper"]
    assert set(told["interval"]) == {"95% credible, equal tails"}


def test_same_seed_same_draws(dipper):
    model, draws = dipper
    again = model.sample(draws=500, tune=200, chains=2, seed=4)
    other = model.sample(draws=20, tune=20, chains=1, seed=5)
    np.testing.assert_array_equal(again.coefficients, draws.coefficients)
    assert not np.isclose(other.coefficients[0, 0], draws.coefficients[0, 0]).any()


def test_data_has_names(dipper):
    model, draws = dipper
    tree = draws.data
    assert set(tree.children) == {"posterior", "sample_stats", "sampled"}
    posterior = tree["posterior"].to_dataset()
    assert posterior["coefficients"].dims == ("chain", "draw", "coefficient")
    assert posterior["coefficient"].to_numpy().tolist() == ["phi: Intercept", "p: Intercept"]
    assert posterior["term"].to_numpy().tolist() == ["Intercept", "Intercept"]
    np.testing.assert_array_equal(posterior["phi"], expit(draws.coefficients[:, :, 0]))
    assert posterior["phi"].attrs["units"] == model.parameters["phi"].unit
    assert tree["sample_stats"]["diverging"].shape == (2, 500)


def grid(states: np.ndarray, prior) -> np.ndarray:
    """Mean and standard deviation of N of model M0 by sums over whole N, p integrated out; p uniform."""
    (n, T), met = states.shape, states.sum()
    N = np.arange(n, 4000.0)
    log = gammaln(N + 1) - gammaln(N - n + 1) + gammaln(met + 1) + gammaln(N * T - met + 1) - gammaln(N * T + 2)
    weight = np.exp(log - log.max()) * np.exp(prior(N))
    weight /= weight.sum()
    mean = float(weight @ N)
    return np.array([mean, np.sqrt(weight @ (N - mean) ** 2)])


@pytest.mark.parametrize("likelihood", ["full", "conditional"])
def test_closed_population_is_the_exact_posterior(pymc, likelihood):
    """Under 1/N both likelihoods have the same posterior of N (Link 2013), which sums over N give exactly."""
    rng = np.random.default_rng(8)
    states = (rng.random((60, 5)) < 0.25).astype(int)
    states = states[states.any(axis=1)]
    model = ClosedCapture(EncounterHistory(states), likelihood=likelihood)
    draws = model.sample(draws=700, tune=200, chains=2, seed=6)
    row = draws.derive(most=700).set_index("quantity").loc["abundance"]
    mean, sd = grid(states, lambda N: -np.log(N))
    assert row["mean"] == pytest.approx(mean, abs=0.15 * sd)
    assert row["sd"] == pytest.approx(sd, rel=0.12)
    assert row["lower"] >= len(states)


def test_an_informative_prior_of_n_is_obeyed(pymc):
    rng = np.random.default_rng(8)
    states = (rng.random((60, 5)) < 0.25).astype(int)
    states = states[states.any(axis=1)]
    prior = LogNormal(90.0, 1.1)
    draws = ClosedCapture(EncounterHistory(states)).sample(
        draws=700, tune=200, chains=2, seed=6, priors={"N": prior, "p": Beta(1.0, 1.0)}
    )
    row = draws.derive(most=700).set_index("quantity").loc["abundance"]
    mean, sd = grid(states, lambda N: prior.log_density(N)[0])
    assert row["mean"] == pytest.approx(mean, abs=0.15 * sd)
    assert mean > grid(states, lambda N: -np.log(N))[0] + 5.0


def test_too_few_draws_are_said(pymc):
    draws = CJS(histories(3)).sample(draws=20, tune=50, chains=1, seed=1)
    words = " ".join(map(str, draws.verdict.remarks))
    assert "Fewer than 400 effective draws of phi (Intercept)" in words
    assert "One chain cannot be compared with others: use chains=4." in words
    assert "1 chains" not in repr(draws) and "1 chain of 20 draws, seed 1" in repr(draws)
