"""Posteriors under flat priors beside maximum likelihood and the field's Gibbs samplers, on the reference suite."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from reference import scr_data
from reference_occupancy import history

from uncia import models


@pytest.fixture(scope="module")
def pymc():
    """PyMC, or the reason why these tests are skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its next version
        return pytest.importorskip("pymc", reason="PyMC is not installed: pip install -e '.[bayes]'")


def off(draws) -> np.ndarray:
    """Posterior means less estimates, in posterior standard deviations."""
    summary = draws.summary()
    return (summary["mean"].to_numpy() - draws.model.fit().vector) / summary["sd"].to_numpy()


def test_salamanders_beside_gibbs(pymc):
    """wiqid 0.3.3 with uniform priors: psi 0.6152 (0.377, 0.862 HDI), p 0.2580 (0.150, 0.366)."""
    draws = models.Occupancy(history("salamanders")).sample(draws=1200, tune=200, chains=2, seed=2)
    posterior = draws.data["posterior"].to_dataset()
    assert float(posterior["psi"].mean()) == pytest.approx(0.6152, abs=0.012)
    assert float(posterior["p"].mean()) == pytest.approx(0.2580, abs=0.006)
    lower, upper = np.quantile(posterior["p"], [0.025, 0.975])
    assert lower == pytest.approx(0.150, abs=0.02) and upper == pytest.approx(0.366, abs=0.02)


def test_skinks_beside_maximum_likelihood(pymc):
    draws = models.DynamicOccupancy(history("grand_skinks")).sample(draws=300, tune=100, chains=2, seed=2)
    assert np.abs(off(draws)).max() < 0.25
    np.testing.assert_allclose(draws.summary()["sd"], draws.model.fit().se, rtol=0.15)


def test_both_samplers_agree(pymc):
    model = models.DynamicOccupancy(history("grand_skinks"))
    chains = model.sample(draws=300, tune=100, chains=2, seed=3).summary()
    surface = model.sample(draws=2000, chains=2, seed=3, sampler="surface").summary()
    error = surface["sd"] / np.sqrt(chains["ess_bulk"])
    assert (np.abs(surface["mean"] - chains["mean"]) < 4.0 * error).all()
    np.testing.assert_allclose(surface["sd"], chains["sd"], rtol=0.15)


def test_captures_through_a_surface():
    """captdata: 76 animals, so the posterior is nearly normal about the estimate."""
    draws = models.SCR(*scr_data("captdata")).sample(draws=1000, chains=2, seed=1, sampler="surface")
    assert np.abs(off(draws)).max() < 0.15
    np.testing.assert_allclose(draws.summary()["sd"], draws.model.fit().se, rtol=0.06)
    told = draws.derive(100).set_index("quantity")
    estimate = draws.model.fit().derive().set_index("quantity")
    for quantity in ("density", "realised abundance", "effective sampling area"):
        assert told.loc[quantity, "mean"] == pytest.approx(estimate.loc[quantity, "estimate"], rel=0.06)
    assert told.loc["realised abundance", "sd"] == pytest.approx(estimate.loc["realised abundance", "se"], rel=0.25)
    assert told.loc["realised abundance", "interval"] == "95% credible, equal tails"
