"""The engine and its dense twin give secr's log-likelihoods at fixed parameters (full likelihood, Poisson N)."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import reference

from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.methods import arrange_methods

COUNTS = "counts (folder counts/), Poisson, hazard halfnormal, "

# data set, model in the reference suite, detection function, effort
CASES = [
    ("captdata", "D~1 g0~1 sigma~1, halfnormal, full likelihood, Poisson N", "half-normal", None),
    ("hare", "halfnormal g0", "half-normal", None),
    ("hare", "hazard halfnormal", "hazard half-normal", None),
    ("hare", "hazard hazard-rate", "hazard hazard-rate", None),
    ("hare", "hazard exponential", "hazard exponential", None),
    ("hare", "hazard variable power", "hazard variable power", None),
    ("stoatDNA", "halfnormal", "half-normal", None),
    ("stoatDNA", "exponential", "exponential", None),
    ("stoatDNA/counts", COUNTS + "effort ignored (1)", "hazard half-normal", 1),
    ("stoatDNA/counts", COUNTS + "effort 3 and 4", "hazard half-normal", None),
    ("blackbear", "halfnormal, sexes pooled", "half-normal", None),
]  # fmt: skip
LINKS = {"g0": lambda x: 1 / (1 + np.exp(-x)), "lambda0": np.exp, "sigma": np.exp, "z": np.exp}


@pytest.mark.parametrize("name, model, detection, effort", CASES, ids=[f"{name} {model}" for name, model, *_ in CASES])
def test_log_likelihood_at_fixed_parameters(name, model, detection, effort):
    captures, mask = reference.scr_data(name, effort)
    entry = next(e for e in reference.expected(name.split("/")[0]) if e["model"] == model)
    arranged, _ = arrange_methods(captures, mask, detection, set(), "poisson")
    likelihood = SpatialLikelihood(arranged.problem, threads=1)
    for point in entry["fixed_parameter_loglik"]:
        values = dict(point["values"])
        cell_area = mask.spacing**2 / 10_000  # hectares, as D
        log_mu = np.full(arranged.problem.raster.size, values.pop("D") + np.log(cell_area))
        rows = np.array([[LINKS[parameter](value) for parameter, value in values.items()] + [1.0]])[:, :3]
        at = likelihood.evaluate(log_mu, rows)
        log_a, detected = oracle.spatial(arranged.problem, log_mu, rows)
        np.testing.assert_allclose(at.log_a, log_a, rtol=0, atol=1e-12)
        assert at.log_a.sum() - at.detected + arranged.constant == pytest.approx(point["loglik"], abs=1e-6)
        assert log_a.sum() - detected + arranged.constant == pytest.approx(point["loglik"], abs=1e-6)
