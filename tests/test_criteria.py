"""Criteria with and without c-hat, inflated fits, and averages over models."""

from __future__ import annotations

import numpy as np
import pytest
from marked_problems import suite
from reference import entry
from reference_occupancy import history

from uncia.models.inference.compare import compare
from uncia.models.inference.criteria import information_criterion, weights
from uncia.models.marked.survival import CJS
from uncia.models.occupancy.single_season import Occupancy
from uncia.survey.errors import SurveyError


@pytest.fixture(scope="module")
def dippers():
    h = suite("dipper")
    return {"constant": CJS(h).fit(), "time": CJS(h, "~ t").fit()}


def test_inflation_follows_everywhere(dippers):
    fit = dippers["time"]
    wide = fit.inflated(1.44)
    np.testing.assert_allclose(wide.se, 1.2 * fit.se)
    np.testing.assert_allclose(wide.predict("phi")["se"], 1.2 * fit.predict("phi")["se"])
    np.testing.assert_allclose(wide.derive()["se"], 1.2 * fit.derive()["se"])
    assert "inflated by 1.200" in str(wide.verdict) and "QAICc" in str(wide)
    assert wide.n_parameters == fit.n_parameters and wide.aic == fit.aic


def test_inflation_is_not_done_twice(dippers):
    fit = dippers["time"]
    again = fit.inflated(3.0).inflated(1.44)
    np.testing.assert_allclose(again.se, 1.2 * fit.se)
    assert str(again.verdict).count("inflated") == 1
    for small in (0.8, 1.0):
        none = again.inflated(small)
        np.testing.assert_allclose(none.se, fit.se)
        assert "inflated" not in str(none.verdict) and none.qaicc == fit.aicc
    for wrong in (-1.0, 0.0, np.nan, np.inf):
        with pytest.raises(SurveyError, match="c-hat must be above 0"):
            fit.inflated(wrong)


def test_profile_of_an_inflated_fit_drops_further(dippers):
    fit = dippers["constant"].inflated(2.0)
    row = fit.profile("p").iloc[0]
    for end in (row["lower"], row["upper"]):
        held = CJS(fit.model.history, p=float(end)).fit()
        assert 2.0 * (fit.loglik - held.loglik) == pytest.approx(2.0 * 3.8415, abs=1e-3)


def test_quasi_table_by_hand(dippers):
    table = compare(dippers, c_hat=1.44).set_index("model")
    expect = 666.83766 / 1.44 + 2 * 3 + 2 * 3 * 4 / (426 - 4)
    assert table.loc["constant", "qaicc"] == pytest.approx(expect, abs=1e-4)
    assert table.loc["constant", "n_parameters"] == 3
    assert table["weight"].sum() == pytest.approx(1.0)
    assert table.loc["time", "sample_size"] == 426 and table.loc["time", "sample_unit"].startswith("Releases")
    inflated = {name: fit.inflated(1.44) for name, fit in dippers.items()}
    assert compare(inflated).equals(compare(inflated, "qaicc", 1.44))
    np.testing.assert_allclose(compare(inflated)["qaicc"], table["qaicc"])


def test_salamanders_as_aiccmodavg():
    h = history("salamanders")
    fits = {"null": Occupancy(h), "late": Occupancy(h, p="~ late"), "occasion": Occupancy(h, p="~ C(visit)")}
    fits = {name: model.fit() for name, model in fits.items()}
    for words, c_hat, column in (("model table, AICc", None, "AICc"), ("model table, QAICc", 1.5826, "QAICc")):
        theirs = entry("salamanders", words)["derived"]
        ours = compare(fits, c_hat=c_hat)
        assert ours["model"].tolist() == theirs["Modnames"]
        assert ours["n_parameters"].tolist() == theirs["K"]
        np.testing.assert_allclose(ours[column.lower()], theirs[column], atol=2e-4)
        np.testing.assert_allclose(ours["weight"], theirs[column + "Wt"], atol=1e-4)


def test_refusals(dippers):
    with pytest.raises(SurveyError, match="not known"):
        compare(dippers, "dic")
    with pytest.raises(SurveyError, match="needs c-hat"):
        compare(dippers, "qaic")
    with pytest.raises(SurveyError, match="no c-hat in it"):
        compare(dippers, "aic", 2.0)
    with pytest.raises(SurveyError, match="different c-hats"):
        compare({"a": dippers["time"].inflated(2.0), "b": dippers["constant"]})
    with pytest.raises(SurveyError, match="no models"):
        compare([])


def test_small_samples_and_weights():
    assert information_criterion("aicc", -10.0, 4, 5) == np.inf
    assert information_criterion("qaic", -10.0, 4, 50, 2.0) == 10.0 + 2 * 5
    assert information_criterion("qaic", -10.0, 4, 50, 1.0) == information_criterion("aic", -10.0, 4)
    np.testing.assert_allclose(weights(np.array([np.inf, np.inf])), [0.5, 0.5])
    np.testing.assert_allclose(weights(np.array([3.0, 3.0, np.inf])), [0.5, 0.5, 0.0])
