"""`SCR` with negative-binomial counts: the distribution by detector and occasion, its limit, fits and simulation."""

from __future__ import annotations

import pickle

import numpy as np
import oracle_scr
import pandas as pd
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import nbinom
from scr_problems import differences_of_loglik, small, surveyed
from test_scr_telemetry import collars

from uncia import models, survey
from uncia.models.detection import DETECTION_FUNCTIONS

VALUES = {"D": 900.0, "lambda0": 0.3, "sigma": 280.0}


def slow(captures, mask, D, lambda0, sigma, size, detection="hazard half-normal") -> float:
    """The log-likelihood detector by detector and occasion by occasion, with scipy's distribution."""
    d, (x, y) = captures.detectors, mask.centres()
    mu, total, none = D * mask.cell_area / 100, 0.0, np.zeros(mask.size)
    cells = []
    for s in range(captures.n_occasions):
        for k in np.flatnonzero(d.used[s]):
            shape = DETECTION_FUNCTIONS[detection].relative(np.hypot(x - d.x[k], y - d.y[k]), sigma, 1.0)
            cells.append((s, k, size / (size + d.effort[s, k] * lambda0 * shape)))
    for seen in oracle_scr.histories(captures):
        log_f = sum((nbinom.logpmf(seen.get((s, k), 0), size, p) for s, k, p in cells), np.zeros(mask.size))
        total += logsumexp(log_f) + np.log(mu)
    none = sum((nbinom.logpmf(0, size, p) for _, _, p in cells), none)
    alike = pd.Series([tuple(sorted(seen.items())) for seen in oracle_scr.histories(captures)]).value_counts()
    return float(total - mu * np.sum(-np.expm1(none)) - gammaln(alike.to_numpy() + 1.0).sum())


def clumped(captures, mask, **options) -> models.SCR:
    return models.SCR(captures, mask, detection="hazard half-normal", counts="negative binomial", **options)


@pytest.mark.parametrize("size", [0.3, 4.0])
def test_the_likelihood_is_that_written_out(size):
    captures, mask = small("count")
    fit = clumped(captures, mask).at(**VALUES, size=size)
    np.testing.assert_allclose(fit.loglik, slow(captures, mask, 900.0, 0.3, 280.0, size), rtol=1e-10)


def test_counts_of_a_very_large_size_are_poisson():
    captures, mask = small("count")
    poisson = models.SCR(captures, mask, detection="hazard half-normal").at(**VALUES)
    limit = clumped(captures, mask, size=1e8).at(**VALUES)
    np.testing.assert_allclose(limit.loglik, poisson.loglik, rtol=1e-7)
    # two sizes apart, the difference falls as 1/size
    near = [clumped(captures, mask, size=size).at(**VALUES).loglik - poisson.loglik for size in (1e4, 1e5)]
    assert near[0] / near[1] == pytest.approx(10.0, rel=1e-2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": "~ T", "lambda0": "~ bk"},
        {"lambda0": "~ b"},
        {"classes": "sex", "sigma": "~ sex", "size": "~ sex"},
        {"likelihood": "conditional"},
        {"distribution": "binomial"},
    ],
)
def test_the_gradient_is_that_of_differences(options):
    captures, mask = small("count", removed="lambda0" in options)
    model = clumped(captures, mask, **options)
    vector = model.start() + 0.05 * np.arange(model.parameters.size)
    np.testing.assert_allclose(
        model.loglik_and_gradient(vector)[1], differences_of_loglik(model, vector), rtol=1e-6, atol=1e-5
    )


def test_cameras_with_clumped_counts_go_with_traps_and_collars():
    captures, mask = small("count")
    traps = small("multi", seed=8)[0]
    renamed = traps.detections.assign(animal=traps.detections["animal"].str.replace("A", "T"))
    cameras = survey.CaptureHistory(captures.detections, captures.detectors)
    both = survey.together(
        {"camera": cameras, "trap": survey.CaptureHistory(renamed, traps.detectors)}, telemetry=collars(captures)
    )
    model = clumped(both, mask, lambda0="~ method")
    vector = model.start()
    np.testing.assert_allclose(
        model.loglik_and_gradient(vector)[1], differences_of_loglik(model, vector), rtol=1e-6, atol=1e-5
    )
    plain = models.SCR(both, mask, lambda0="~ method", detection="hazard half-normal")
    limit = model.parameters.vector_from(
        {
            name: dict(zip(plain.parameters[name].terms, c, strict=True))
            for name, c in plain.parameters.split(plain.start()).items()
        }
        | {"size": 1e9}
    )
    np.testing.assert_allclose(model.loglik(limit), plain.loglik(plain.start()), rtol=1e-7)


def test_a_fit_recovers_the_size_and_compares_with_poisson():
    captures, mask = small("count")
    truth = {"D": 1100.0, "lambda0": 0.6, "sigma": 300.0, "size": 0.4}
    again = clumped(captures, mask).simulate(truth, 4)
    fit = clumped(again, mask).fit()
    assert "converged" in str(fit.verdict).lower()
    assert 0.15 < fit.values["size"][0] < 1.0
    assert np.isfinite(fit.se).all()
    poisson = models.SCR(again, mask, detection="hazard half-normal").fit()
    table = models.compare({"clumped": fit, "poisson": poisson})
    assert "clumped" in str(table).splitlines()[1]
    assert pickle.loads(pickle.dumps(fit)).loglik == fit.loglik


def test_simulated_counts_have_the_mean_and_variance_of_the_model():
    captures, mask = small("count")
    centres = pd.DataFrame({"x": np.full(4000, 50_300.0), "y": np.full(4000, 80_300.0)})
    made = clumped(captures, mask).simulate({"D": 1.0, "lambda0": 1.5, "sigma": 300.0, "size": 0.7}, 1, centres)
    seen = made.detections.query("detector == 'C05' and occasion == 1")["count"].to_numpy()
    counts = np.zeros(4000)
    counts[: len(seen)] = seen
    assert counts.mean() == pytest.approx(1.5, rel=0.08)
    assert counts.var() == pytest.approx(1.5 + 1.5**2 / 0.7, rel=0.15)


def test_counts_that_are_not_clumped_are_told():
    captures, mask = small("count")
    plain = models.SCR(captures, mask, detection="hazard half-normal")
    fit = clumped(plain.simulate({"D": 1100.0, "lambda0": 0.8, "sigma": 300.0}, 3), mask).fit()
    assert "The data show no variation of counts beyond that of Poisson counts: size may be anything above" in str(fit)
    assert "negative binomial counts" in repr(fit.model)
    again, wide = surveyed("count").captures, surveyed("count").mask
    endless = clumped(again, wide).fit()
    assert "size (estimated as infinite) is at a boundary" in str(endless) and endless.verdict.good
    np.testing.assert_allclose(
        endless.se[:3], models.SCR(again, wide, detection="hazard half-normal").fit().se, rtol=0.01
    )


def test_what_does_not_go_with_clumped_counts_is_refused():
    captures, mask = small("count")
    with pytest.raises(survey.SurveyError, match="size is a parameter of negative-binomial counts"):
        models.SCR(captures, mask, detection="hazard half-normal", size=2.0)
    traps, mask = small("multi")
    with pytest.raises(survey.SurveyError, match="negative-binomial counts need count detectors"):
        clumped(traps, mask)
    assert (
        clumped(captures, mask).not_comparable(
            models.SCR(captures, mask, detection="hazard half-normal", counts="poisson")
        )
        == ""
    )
