"""Averages over models: tail areas beside a slow twin, Buckland's numbers by hand, N of closed populations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from marked_problems import suite
from reference_occupancy import history
from scipy.stats import norm
from scr_problems import surveyed

from uncia.models import average, compare
from uncia.models.inference.scales import Scale, scale_named, scale_of
from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.known_fate import KnownFate
from uncia.models.marked.survival import CJS
from uncia.models.occupancy.single_season import Occupancy
from uncia.survey.errors import SurveyError
from uncia.survey.monitored import MonitoredAnimals


@pytest.fixture(scope="module")
def tigers():
    h = suite("kanha_tigers")
    models = {"M0": ClosedCapture(h), "Mb": ClosedCapture(h, c="~ 1"), "Mh": ClosedCapture(h, classes=2)}
    return {name: model.fit() for name, model in models.items()}


@pytest.fixture(scope="module")
def dippers():
    h = suite("dipper")
    return {"constant": CJS(h).fit(), "time": CJS(h, "~ t").fit()}


def slow_limit(weights, centres, spreads, tail):
    """The point with `tail` of the weighted normal areas below it, by halving."""
    low, high = -50.0, 50.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        area = sum(w * norm.cdf(middle, c, s) for w, c, s in zip(weights, centres, spreads, strict=True))
        low, high = (middle, high) if area < tail else (low, middle)
    return low


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_tail_areas_of_survival(dippers, level):
    found = average(dippers, "phi", level=level)
    weight = compare(dippers).set_index("model")["weight"].loc[list(dippers)].to_numpy()
    assert found.attrs["weights"]["time"] == pytest.approx(weight[1])
    assert found["t"].astype(str).tolist() == [str(t) for t in range(1, 7)]
    constant, time = dippers["constant"], dippers["time"]
    for t in range(6):
        J = time.model.parameters["phi"].design.at(found[["t"]])[t]
        where = time.model.parameters.slice_of("phi")
        eta = [constant.vector[0], J @ time.vector[where]]
        se = [constant.se[0], np.sqrt(J @ time.covariance[where, where] @ J)]
        ends = [slow_limit(weight, eta, se, tail) for tail in (0.5 - level / 2, 0.5 + level / 2)]
        assert found.loc[t, ["lower", "upper"]].tolist() == pytest.approx(1 / (1 + np.exp(-np.array(ends))), abs=1e-9)
        values = 1 / (1 + np.exp(-np.array(eta)))
        assert found.loc[t, "estimate"] == pytest.approx(weight @ values)
        natural = values * (1 - values) * se
        spread = weight @ np.sqrt(natural**2 + (values - weight @ values) ** 2)
        assert found.loc[t, "se"] == pytest.approx(spread)


def test_abundance_of_tigers(tigers):
    found = average(tigers, "abundance").iloc[0]
    rows = [fit.derive().iloc[0] for fit in tigers.values()]
    weight = np.array(list(average(tigers, "abundance").attrs["weights"].values()))
    n = 26.0
    centres = [np.log(r["estimate"] - n) for r in rows]
    spreads = [np.sqrt(np.log1p((r["se"] / (r["estimate"] - n)) ** 2)) for r in rows]
    ends = [n + np.exp(slow_limit(weight, centres, spreads, tail)) for tail in (0.025, 0.975)]
    assert [found["lower"], found["upper"]] == pytest.approx(ends, abs=1e-8)
    assert found["estimate"] == pytest.approx(weight @ [r["estimate"] for r in rows])
    assert found["rse"] == pytest.approx(found["se"] / found["estimate"])
    assert found["interval"] == "95% MATA" and found["unit"] == "animals"
    other = average(tigers, "abundance", interval="buckland").iloc[0]
    spread = np.sqrt(np.log1p((found["se"] / (found["estimate"] - n)) ** 2))
    expect = n + (found["estimate"] - n) * np.exp(np.array([-1.96, 1.96]) * spread)
    assert [other["lower"], other["upper"]] == pytest.approx(expect, rel=1e-4)


@pytest.mark.parametrize("interval", ["mata", "buckland"])
def test_one_model_or_the_same_twice_is_that_model(tigers, interval):
    own = tigers["M0"].derive().iloc[0]
    for fits in ([tigers["M0"]], {"a": tigers["M0"], "b": tigers["M0"]}):
        found = average(fits, "abundance", interval=interval).iloc[0]
        for name in ("estimate", "se", "lower", "upper"):
            assert found[name] == pytest.approx(own[name], rel=1e-6)


def test_overdispersion_widens_and_reweights(dippers):
    plain, wide = average(dippers, "phi"), average(dippers, "phi", c_hat=2.0)
    alone = [average([dippers["time"]], "phi", c_hat=c)["se"] for c in (None, 2.0)]
    np.testing.assert_allclose(alone[1], np.sqrt(2.0) * alone[0])
    assert wide.attrs["weights"]["constant"] > plain.attrs["weights"]["constant"]
    inflated = average({name: fit.inflated(2.0) for name, fit in dippers.items()}, "phi")
    pd.testing.assert_frame_equal(wide, inflated)


def test_occupancy_at_new_data_and_derived():
    h = history("salamanders")
    fits = {"null": Occupancy(h).fit(), "late": Occupancy(h, p="~ late").fit()}
    found = average(fits, "p", fits["late"].predict("p")[["late"]])
    weight = found.attrs["weights"]
    both = [fits["null"].predict("p")["estimate"].iloc[0], *fits["late"].predict("p", found[["late"]])["estimate"]]
    expect = [weight["null"] * both[0] + weight["late"] * both[k] for k in (1, 2)]
    np.testing.assert_allclose(found["estimate"], expect)
    assert average(fits, "p")["late"].nunique() == 2
    share = average(fits, "proportion occupied").iloc[0]
    assert 18 / 39 < share["lower"] < share["estimate"] < share["upper"] < 1


def test_a_table_of_ones_own():
    at_risk = np.ones((30, 5), bool)
    died = np.zeros((30, 5), bool)
    died[:6, [0, 1, 2, 3, 4, 4]] |= np.eye(6, dtype=bool)[:, :6].astype(bool)
    at_risk &= np.cumsum(died, axis=1) - died == 0
    animals = MonitoredAnimals(at_risk, died)
    fits = {"constant": KnownFate(animals).fit(), "trend": KnownFate(animals, "~ T").fit()}
    found = average(fits, lambda fit: fit.survival(), scale="loglog")
    assert found["period"].tolist() == [1, 2, 3, 4, 5]
    assert ((found["lower"] < found["estimate"]) & (found["estimate"] < found["upper"])).all()
    assert found["interval"].eq("95% MATA").all()
    unnamed = average(fits, lambda fit: fit.survival())
    assert unnamed["interval"].str.contains("no common scale").all() and unnamed["lower"].isna().all()


def test_a_model_without_standard_error_is_named(tigers):
    broken = tigers | {"bad": ClosedCapture(tigers["M0"].model.history).at(p=0.2, f0=2.0)}
    row = average(broken, "abundance").iloc[0]
    assert row["interval"] == "none: bad has no standard error"
    assert np.isnan(row[["se", "lower", "upper"]].astype(float)).all() and np.isfinite(row["estimate"])


def test_an_estimate_at_its_bound_has_no_interval_but_a_reason(tigers):
    table = lambda fit: pd.DataFrame(  # noqa: E731
        {"estimate": [1.0 if fit is tigers["M0"] else 0.9], "se": [0.01], "lower": [0.8], "upper": [1.0]}
    )
    for interval in ("mata", "buckland"):
        row = average(tigers, table, scale="logit", interval=interval).iloc[0]
        assert np.isnan(row["lower"]) == (interval == "mata")
    row = average(tigers, table, scale="logit").iloc[0]
    assert row["interval"].startswith("none: the estimate of a model is at a bound") and np.isfinite(row["estimate"])


def test_refusals(tigers, dippers):
    with pytest.raises(SurveyError, match="no such parameter or derived quantity"):
        average(tigers, "abundence")
    with pytest.raises(SurveyError, match="not all models have the parameter 'c'"):
        average(tigers, "c")
    with pytest.raises(SurveyError, match="kind of interval"):
        average(tigers, "abundance", interval="wald")
    with pytest.raises(SurveyError, match="for parameters"):
        average(tigers, "abundance", pd.DataFrame({"a": [1]}))
    with pytest.raises(SurveyError, match="rows of 'time' are not those of 'constant'"):
        average(dippers, "survival")
    sexes = dippers | {"sex": CJS(dippers["time"].model.history, "~ sex").fit()}
    with pytest.raises(SurveyError, match="no model has all covariates of phi"):
        average(sexes, "phi")
    with pytest.raises(SurveyError, match="cannot be compared"):
        average([tigers["M0"], dippers["time"]], "p")


def test_conditional_fits_are_compared_whatever_they_say_of_the_number_of_animals():
    fits = [surveyed("proximity", likelihood="conditional", distribution=d).fit() for d in ("poisson", "binomial")]
    table = compare(fits)
    assert table["loglik"][0] == pytest.approx(table["loglik"][1], abs=1e-9)
    assert list(table["weight"]) == pytest.approx([0.5, 0.5])
    full = [surveyed("proximity", distribution=d) for d in ("poisson", "binomial")]
    assert full[0].not_comparable(full[1]) == "they treat counts or the number of animals differently"


@pytest.mark.parametrize("scale", [Scale("log", 3.0), Scale("logit", 2.0, 9.0), Scale("cloglog"), Scale("loglog")])
def test_scales_go_there_and_back(scale):
    x = scale.least + np.array([0.2, 0.5, 0.9]) * (7.0 if scale.kind == "log" else scale.most - scale.least)
    np.testing.assert_allclose(scale.inverse(scale.forward(x)), x)
    assert scale.spread(float(x[1]), 1e-3) > 0


def test_scales_by_their_words():
    assert scale_of("95% logit, 0.512821 to 1") == Scale("logit", 0.512821, 1.0)
    assert scale_of("95% log-normal") == Scale("log")
    assert scale_of("95% Wald on log(-log S)") == Scale("loglog")
    assert scale_of("95% Wald on the cloglog") == Scale("cloglog")
    assert scale_of("95% parametric bootstrap, 200 surveys") is None
    with pytest.raises(SurveyError, match="scale is not known"):
        scale_named("probit")
