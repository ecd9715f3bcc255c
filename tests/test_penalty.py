"""Penalised maximum likelihood: where it must lie, what it says, and how a penalty is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from occupancy_problems import ragged
from test_random_effects import clustered

from uncia.models import Occupancy, TwoSpeciesOccupancy, choose_penalty, compare
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def two_species(n=60) -> TwoSpeciesOccupancy:
    """Two species that are never at the same site: f12 runs to minus infinity without a penalty."""
    rng = np.random.default_rng(4)
    state = rng.integers(0, 3, n)
    found = [((rng.uniform(size=(n, 4)) < 0.6) & (state == k)[:, None]).astype(float) for k in (1, 2)]
    return TwoSpeciesOccupancy(*(DetectionHistory.from_wide(y) for y in found))


def test_the_gradient_balances_the_penalty():
    model = Occupancy(clustered(), "~ x", "~ v")
    fit = model.fit(penalty=2.0)
    np.testing.assert_allclose(model.loglik_and_gradient(fit.vector)[1], 2.0 * fit.vector, atol=1e-4)
    assert fit.loglik == pytest.approx(model.loglik(fit.vector))
    assert fit.loglik < model.fit().loglik
    step, p = 1e-4, len(fit.vector)
    rows = [
        (model.loglik_and_gradient(fit.vector + e)[1] - model.loglik_and_gradient(fit.vector - e)[1]) / (2 * step)
        for e in step * np.eye(p)
    ]
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(2.0 * np.eye(p) - np.array(rows)), rtol=1e-3, atol=1e-6)


def test_no_penalty_is_maximum_likelihood_and_much_of_it_is_nothing():
    model = Occupancy(clustered(), "~ x", "~ v")
    np.testing.assert_array_equal(model.fit(penalty=0.0).vector, model.fit().vector)
    assert np.abs(model.fit(penalty=1e6).vector).max() < 1e-3


def test_species_that_never_meet_get_an_estimate():
    model = two_species()
    plain, held = model.fit(), model.fit(penalty=0.5)
    f12 = model.parameters.slice_of("f12").start
    assert not np.isfinite(plain.se[f12]) or plain.vector[f12] < -8
    assert -8 < held.vector[f12] < -1
    assert np.isfinite(held.se).all()
    assert "penalised (penalty 0.5)" in str(held.verdict)
    assert "AIC is not defined" in str(held.verdict)
    assert np.isnan(held.aic)
    assert np.isnan(held.aicc)
    assert "penalised maximum likelihood" in held.summary()
    with pytest.raises(SurveyError, match="is penalised, so that AIC is not defined"):
        compare({"plain": plain, "held": held})


def test_a_penalty_is_chosen_by_sites_left_out():
    model = two_species()
    best, table = choose_penalty(model, (0.0, 0.25, 64.0), folds=3)
    assert best == table.set_index("penalty")["loglik"].idxmax()
    scores = table.set_index("penalty")["loglik"]
    assert scores[64.0] < scores[0.25] < model.fit().loglik
    again = choose_penalty(model, (0.0, 0.25, 64.0), folds=3)[1]
    np.testing.assert_array_equal(table, again)


@pytest.mark.parametrize(
    ("how", "words"), [({"penalty": -1.0}, "from 0"), ({"penalty": 1.0, "interval": "profile"}, "wald")]
)
def test_what_cannot_be_penalised(how, words):
    with pytest.raises(SurveyError, match=words):
        Occupancy(ragged(), "~ 1", "~ 1").fit(**how)
    with pytest.raises(SurveyError, match="no further penalty"):
        Occupancy(clustered(), "~ (1 | region)", "~ 1").fit(penalty=1.0)
    with pytest.raises(SurveyError, match="there are 7 sites"):
        choose_penalty(Occupancy(ragged(), "~ 1", "~ 1"), folds=20)
