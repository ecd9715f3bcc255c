"""Area occupied, density, numbers and growth by season: derived rows beside what they are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from occupancy_problems import ragged

from uncia import models
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def with_area(history, area=4.0):
    return replace(history, area=area, seasons=history._season_table())


def rows(fit, quantity):
    table = fit.derive()
    return table[table["quantity"] == quantity]


def test_area_is_the_proportion_times_the_area():
    template = models.Occupancy(DetectionHistory.from_wide(np.ones((20, 5)), area=4.0))
    h = template.simulate({"psi": 0.6, "p": 0.4}, 1)
    for model, share, area in (
        (models.Occupancy(h), "proportion occupied", "area occupied"),
        (models.MultistateOccupancy(with_area(ragged(n=20, most=2))), "proportion in state 2", "area in state 2"),
        (models.TwoSpeciesOccupancy(h, h), "proportion with first species", "area with first species"),
    ):
        fit = model.fit()
        one, other = rows(fit, share).iloc[0], rows(fit, area).iloc[0]
        for name in ("estimate", "se", "lower", "upper"):
            assert other[name] == pytest.approx(80.0 * one[name], rel=1e-6, nan_ok=area != "area occupied")


@pytest.mark.parametrize("make", [models.NMixture, models.Removal])
def test_density_is_numbers_over_area(make):
    fit = make(with_area(ragged(n=12, most=4), np.linspace(2, 6, 12))).fit()
    number, density = rows(fit, "abundance").iloc[1], rows(fit, "density").iloc[0]
    for name in ("estimate", "se", "lower", "upper"):
        assert density[name] == pytest.approx(number[name] * 100.0 / 48.0)
    assert rows(make(ragged(n=12, most=4)).fit(), "density").empty


@pytest.fixture(scope="module")
def counts():
    template = models.OpenNMixture(DetectionHistory.from_wide(np.full((30, 4, 3), 2.0)))
    truth = {"lambda": 4.0, "gamma": 1.5, "omega": 0.6, "p": 0.5}
    return models.OpenNMixture(template.simulate(truth, 1)).fit()


def test_numbers_of_open_populations_are_those_of_the_posterior(counts):
    found = rows(counts, "abundance")
    here = found[found["unit"] == "animals"]
    posterior = counts.posterior().groupby("season")
    np.testing.assert_allclose(here["estimate"], posterior["abundance"].sum())
    assert (here["se"] > np.sqrt(posterior["sd"].apply(lambda s: (s**2).sum()).to_numpy())).all()
    most = counts.model.history.visits.groupby(["season", "site"])["value"].max().groupby("season").sum()
    assert (here["lower"].to_numpy() > most.to_numpy()).all()


def test_growth_by_season_carries_the_covariance(counts):
    V, mean = counts.seasonal_covariance(), counts.model.mean_projected(counts.vector)
    growth = counts.growth()
    np.testing.assert_allclose(growth["estimate"], mean[1:] / mean[:-1])
    difference = np.diff(np.eye(4), axis=0) / mean
    np.testing.assert_allclose(counts.growth_covariance(), difference @ V @ difference.T, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(growth["rse"], np.sqrt(np.diag(counts.growth_covariance())), rtol=1e-6)
    alone = np.sqrt(V[0, 0] / mean[0] ** 2 + V[1, 1] / mean[1] ** 2)
    assert growth["rse"].iloc[0] < alone  # as independent estimates would have it
    assert growth["quantity"].eq("growth of abundance").all()
    trend = rows(counts, "trend of abundance").iloc[0]
    away = np.arange(4) - 1.5
    assert trend["estimate"] == pytest.approx(np.exp(away @ np.log(mean) / (away @ away)))
    assert counts.seasonal_means("smoothed") == pytest.approx(counts.model.smoothed(counts.vector).mean(axis=0))
    with pytest.raises(SurveyError, match="no covariance here"):
        counts.growth("smoothed")
    by_season = rows(counts, "abundance")
    by_season = by_season[by_season["unit"] == "animals per site"]
    np.testing.assert_allclose(by_season["se"], np.sqrt(np.diag(V)), rtol=1e-6)
