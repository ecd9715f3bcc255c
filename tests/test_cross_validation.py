"""Sites left out: folds, blocks, scores beside slow twins; residuals of both processes; subsets of sites."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from occupancy_problems import ragged, reordered
from scipy.stats import kstest, norm

from uncia import models
from uncia.models.occupancy.cross_validation import assign_folds, cross_validate
from uncia.models.occupancy.residuals import detections_distribution, residuals
from uncia.survey.detections import DetectionHistory
from uncia.survey.errors import SurveyError


def forest(n=60, j=5, seed=2, shift=1.5):
    """Sites of which those in the forest are occupied more often; coordinates in metres."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    sites = pd.DataFrame({"forest": x, "x": rng.uniform(0, 9000, n), "y": rng.uniform(0, 9000, n)})
    model = models.Occupancy(DetectionHistory.from_wide(np.ones((n, j)), sites=sites), "~ forest")
    return model.simulate({"psi": {"Intercept": 0.0, "forest": shift}, "p": 0.4}, seed)


# ---- folds ---------------------------------------------------------------------------------------------------------


def test_folds_are_even_and_seeded():
    h = forest()
    fold = assign_folds(h, 7, 3)
    assert sorted(np.bincount(fold)) == [8, 8, 8, 9, 9, 9, 9]
    assert np.array_equal(fold, assign_folds(h, 7, 3)) and not np.array_equal(fold, assign_folds(h, 7, 4))


def test_blocks_stay_together():
    h = forest()
    fold = assign_folds(h, 4, 1, blocks=2000.0)
    cell = [tuple(c) for c in np.floor((h.sites[["x", "y"]] - h.sites[["x", "y"]].min()).to_numpy() / 2000.0)]
    assert all(len({f for f, c in zip(fold, cell, strict=True) if c == cell[i]}) == 1 for i in range(60))
    assert np.bincount(fold).min() >= 12


def test_sites_without_visits_have_no_fold():
    y = np.ones((10, 3))
    y[4] = np.nan
    fold = assign_folds(DetectionHistory.from_wide(y), 3, 1)
    assert fold[4] == -1 and (fold >= 0).sum() == 9


# ---- scores --------------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    h = forest()
    fold = np.arange(60) % 3
    found = cross_validate(models.Occupancy(h, "~ forest"), fold, workers=1).sites.set_index("site")
    for k in range(3):
        fit = models.Occupancy(h.only_sites(fold != k), "~ forest").fit()
        rest = h.only_sites(fold == k)
        psi = fit.predict("psi", rest.sites)["estimate"].to_numpy()
        p = fit.values["p"][0]
        y = rest.value.reshape(-1, 5)
        present = psi * np.prod(np.where(y > 0, p, 1 - p), axis=1)
        chance = present + (1 - psi) * (y.sum(axis=1) == 0)
        rows = found.loc[rest.sites.index]
        np.testing.assert_allclose(rows["log_score"], -np.log(chance), rtol=1e-5)
        any_found = psi * (1 - (1 - p) ** 5)
        np.testing.assert_allclose(rows["brier"], (any_found - (y.sum(axis=1) > 0)) ** 2, rtol=1e-4)


def test_the_right_model_wins_and_order_does_not_matter():
    h = forest()
    fold = pd.Series(np.arange(60) % 5, h.sites.index)
    both = lambda h: {"forest": models.Occupancy(h, "~ scale(forest)"), "none": models.Occupancy(h)}  # noqa: E731
    found = cross_validate(both(h), fold, workers=1)
    assert found.table["model"].tolist() == ["forest", "none"]
    assert found.table["behind"].iloc[0] == 0.0 and found.table["behind"].iloc[1] > found.table["behind_se"].iloc[1]
    assert "forest" in str(found)
    other = reordered(h, 4)
    again = cross_validate(both(other), fold[other.sites.index], workers=1)
    np.testing.assert_allclose(again.table.drop(columns="model"), found.table.drop(columns="model"), rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.NMixture(ragged(n=16, most=4)),
        lambda: models.RoyleNichols(ragged(n=16)),
        lambda: models.DynamicOccupancy(ragged(n=20, t=3)),
        lambda: models.MultistateOccupancy(ragged(n=20, most=2)),
    ],
)
def test_other_models_have_scores(make):
    found = cross_validate(make(), 2, workers=1)
    assert np.isfinite(found.table[["log_score", "brier"]].to_numpy()).all()
    assert found.sites["probability"].between(0, 1).all()


def test_refusals():
    h = forest()
    model = models.Occupancy(h)
    with pytest.raises(SurveyError, match="there are 60 sites with visits"):
        cross_validate(model, 61)
    with pytest.raises(SurveyError, match="no such coordinates"):
        cross_validate(model, 3, blocks=1.0, coordinates=("lon", "lat"))
    with pytest.raises(SurveyError, match="side of a block"):
        cross_validate(model, 3, blocks=0.0)
    with pytest.raises(SurveyError, match="every site needs a fold"):
        cross_validate(model, np.arange(3))
    with pytest.raises(SurveyError, match="cannot be compared"):
        cross_validate({"a": model, "b": models.Occupancy(forest(seed=3))}, 3)
    from test_occupancy_seasons import scores

    with pytest.raises(SurveyError, match="take out scores"):
        cross_validate(models.ClassifiedOccupancy(scores(t=1)), 3)
    y = np.zeros((6, 3))
    y[0] = 1
    with pytest.raises(SurveyError, match="model cannot be judged without fold 0: nothing was found"):
        cross_validate(models.Occupancy(DetectionHistory.from_wide(y)), np.arange(6), workers=1)


# ---- residuals -----------------------------------------------------------------------------------------------------


def test_detections_at_an_occupied_site_by_listing():
    p = np.array([0.2, 0.5, 0.9, 0.3])
    pmf = detections_distribution(p, np.array([0, 3]), np.array([3, 1]))
    slow = np.zeros(4)
    for k in range(8):
        y = [(k >> b) & 1 for b in range(3)]
        slow[sum(y)] += np.prod(np.where(y, p[:3], 1 - p[:3]))
    np.testing.assert_allclose(pmf[0], slow)
    np.testing.assert_allclose(pmf[1], [0.7, 0.3, 0.0, 0.0])


def test_residuals_are_normal_when_the_model_is_right():
    h = forest(n=600)
    fit = models.Occupancy(h, "~ forest").fit()
    found = fit.residuals(seed=4)
    for process in ("occupancy", "detection"):
        assert kstest(found.loc[found["process"] == process, "residual"], norm.cdf).pvalue > 0.01
    assert (found["process"] == "detection").sum() == h.detected.any(axis=1).sum()
    assert fit.residuals(seed=4).equals(found) and not fit.residuals(seed=5).equals(found)


def test_residuals_show_what_is_left_out():
    h = forest(n=400)
    found = models.Occupancy(h).fit().residuals()
    one = found[found["process"] == "occupancy"].set_index("site")["residual"]
    assert np.corrcoef(one, h.sites["forest"].loc[one.index])[0, 1] > 0.3
    other = found[found["process"] == "detection"].set_index("site")["residual"]
    assert abs(np.corrcoef(other, h.sites["forest"].loc[other.index])[0, 1]) < 0.2


def test_plot_of_residuals_shows_it():
    h = forest(n=300)
    left_out, right = models.Occupancy(h).fit().residuals(), models.Occupancy(h, "~ forest").fit().residuals()
    outside = []
    for table in (left_out, right):
        ax = models.plot_residuals(table, h.sites["forest"])
        mean = ax.get_lines()[1].get_ydata()
        outside.append(np.mean(np.abs(mean) > 1.96 / np.sqrt(90)))
        assert ax.get_xlabel() == "forest" and ax.get_ylabel() == "occupancy residual"
        plt.close(ax.figure)
    assert outside[0] > 0.4 > 0.2 > outside[1]
    with pytest.raises(SurveyError, match="unknown at some sites"):
        models.plot_residuals(right, h.sites["forest"].iloc[:10])
    with pytest.raises(SurveyError, match="no residuals of this process"):
        models.plot_residuals(right, h.sites["forest"], "visits")


def test_simulated_residuals_are_the_exact_ones(monkeypatch):
    fit = models.Occupancy(forest(n=150), "~ forest").fit()
    exact = fit.residuals(seed=1)
    monkeypatch.delattr(models.Occupancy, "occupied_and_found")
    drawn = residuals(fit, seed=1, simulations=1500)
    assert exact[["process", "site"]].equals(drawn[["process", "site"]])
    u, v = norm.cdf(exact["residual"]), norm.cdf(drawn["residual"])
    high = fit.model.history.detected[:, 0]  # where nothing was found, both lie below the chance of that
    silence = 1.0 - fit.model.parameters.values(fit.vector)["psi"] * (1.0 - 0.6**5)
    assert v[:150][~high].max() < silence[~high].max() + 0.1
    assert v[:150][high].min() > silence[high].min() - 0.1
    assert abs(u.mean() - v.mean()) < 0.05


@pytest.mark.parametrize("mixture", ["poisson", "negative binomial"])
def test_residuals_of_counts(mixture):
    template = models.NMixture(DetectionHistory.from_wide(np.ones((300, 3))), mixture=mixture)
    values = {"lambda": 3.0, "p": 0.4} | ({} if mixture == "poisson" else {"alpha": 1.0})
    h = template.simulate(values, 3)
    found = models.NMixture(h, mixture=mixture).fit().residuals(simulations=300)
    for process, n in (("site totals", 300), ("visits", 900)):
        one = found[found["process"] == process]["residual"]
        assert len(one) == n and abs(one.mean()) < 0.12 and abs(one.std() - 1) < 0.12
    if mixture == "negative binomial":
        wrong = models.NMixture(h).fit().residuals(simulations=300)
        assert wrong[wrong["process"] == "site totals"]["residual"].std() > 1.1


def test_residuals_by_season_and_refusals():
    fit = models.DynamicOccupancy(ragged(n=20, t=3)).fit()
    found = fit.residuals()
    assert set(found["season"]) == {1, 3}  # nobody looked in season 2
    assert np.isfinite(found["residual"]).all()
    with pytest.raises(SurveyError, match="more simulations"):
        fit.residuals(simulations=3)


# ---- subsets -------------------------------------------------------------------------------------------------------


def test_some_sites_only():
    h = forest(n=8)
    by_name, by_flag = h.only_sites(["2", "5"]), h.only_sites(np.isin(np.arange(8), [1, 4]))
    assert by_name.equals(by_flag) and list(by_name.sites.index) == ["2", "5"]
    assert by_name.sites["forest"].tolist() == h.sites["forest"].iloc[[1, 4]].tolist()
    with pytest.raises(SurveyError, match="no such sites"):
        h.only_sites(["2", "nine"])
    with pytest.raises(SurveyError, match="every site needs a yes or no"):
        h.only_sites([True])
    with pytest.raises(SurveyError, match="no site is left"):
        h.only_sites(np.zeros(8, bool))


def test_sites_are_independent():
    h = ragged(n=20, t=3)
    model = models.DynamicOccupancy(h)
    vector = model.at(psi=0.5, gamma=0.2, epsilon=0.3, p=0.4).vector
    which = np.arange(20) < 9
    total = sum(models.DynamicOccupancy(h.only_sites(w)).loglik(vector) for w in (which, ~which))
    assert total == pytest.approx(model.loglik(vector))
