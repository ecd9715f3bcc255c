"""Counts at sites in years: the values of rtrim on the skylarks, the slow twin, totals by simulation, words."""

import numpy as np
import oracle_trend as oracle
import pandas as pd
import pytest
from reference import entry, reference

from uncia import models
from uncia.models.trends.trim import _time_design, meaning
from uncia.survey.errors import SurveyError

PLAIN = {"overdispersion": False, "serial_correlation": False}
CASES = [
    ("model 2 (linear trend), overdispersion", {"model": 2}),
    ("model 2, no overdispersion", {"model": 2} | PLAIN),
    ("model 3 (time effects), overdispersion", {"model": 3}),
    ("model 3, plain Poisson", {"model": 3} | PLAIN),
    ("model 2 with change points", {"model": 2, "changepoints": (1, 3, 5)}),
]


def skylarks() -> pd.DataFrame:
    return pd.read_csv(reference("skylark") / "counts.csv").rename(columns={"time": "year"})


def counts(seed=1, sites=6, years=5, sigma=0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    mu = np.exp(rng.normal(2.0, 0.7, sites)[:, None] + 0.05 * np.arange(years) + rng.normal(0, sigma, (sites, years)))
    frame = pd.DataFrame([(f"s{i}", 2010 + j, rng.poisson(mu[i, j])) for i in range(sites) for j in range(years)])
    frame.columns = ["site", "year", "count"]
    return frame[rng.random(len(frame)) > 0.25].reset_index(drop=True)


@pytest.mark.parametrize(("words", "how"), CASES)
def test_the_skylarks_are_rtrims(words, how):
    known = entry("skylark", words)["derived"]
    fit = models.trim(skylarks(), **how)
    for name in ("add", "se_add", "mul", "se_mul"):
        assert fit.coefficients()[name].to_numpy() == pytest.approx(
            np.atleast_1d(known["coefficients"][name]), abs=3e-6
        )
    overall = fit.overall()
    for name in ("add", "se_add", "mul", "se_mul", "p"):
        assert overall[name] == pytest.approx(known["overall_slope"][name], rel=3e-5)
    assert known["overall_meaning"].lower().startswith(overall["meaning"])
    index = fit.index()
    assert index["index"].to_numpy() == pytest.approx(known["index"]["imputed"], abs=3e-6)
    assert index["se"].to_numpy() == pytest.approx(known["index"]["se_imp"], abs=3e-6)
    totals = fit.totals()
    assert np.round(totals["total"]).tolist() == pytest.approx(known["totals"]["imputed"], abs=1)  # they round half up
    assert np.abs(totals["se"] - known["totals"]["se_imp"]).max() <= 0.51
    assert fit.goodness()["statistic"].iloc[0] == pytest.approx(known["gof"]["chi2"]["chi2"], rel=1e-6)
    if how.get("overdispersion", True):
        assert fit.overdispersion == pytest.approx(known["overdispersion"], rel=5e-6)
        assert fit.serial_correlation == pytest.approx(known["serial_correlation"], abs=5e-6)


@pytest.mark.parametrize(("words", "how"), CASES[1:4:2])
def test_likelihood_ratio_of_plain_models_is_rtrims(words, how):
    """With serial correlation rtrim leaves out the difference of fitted and observed totals; that is not compared."""
    known = entry("skylark", words)["derived"]["gof"]
    told = models.trim(skylarks(), **how).goodness()
    assert told["statistic"].iloc[1] == pytest.approx(known["LR"]["LR"], rel=1e-8)
    assert told["aic"].iloc[1] == pytest.approx(known["AIC"], rel=1e-8)


@pytest.mark.parametrize("how", [{"model": 2}, {"model": 3}, {"model": 3} | PLAIN, {"model": 1}])
def test_it_solves_the_equations_of_its_slow_twin(how):
    frame = counts(3)
    fit = models.trim(frame, **how)
    wide = frame.pivot(index="site", columns="year", values="count").to_numpy(float)
    B = _time_design(fit.years, how["model"], None)
    a, b, inverse = oracle.gee(wide, B, fit.serial_correlation)
    assert fit.a == pytest.approx(a, abs=1e-8) and fit.b == pytest.approx(b, abs=1e-8)
    part = inverse[len(a) :, len(a) :] * fit.overdispersion
    assert fit.covariance == pytest.approx(part, rel=1e-6, abs=1e-12)


def test_a_poisson_model_of_time_effects_fits_the_margins():
    frame = counts(5).assign(count=lambda f: f["count"] + 1)
    fit = models.trim(frame, 3, **PLAIN)
    seen = np.isfinite(fit.data.f)
    for axis in (0, 1):
        assert np.where(seen, fit.fitted, 0).sum(axis) == pytest.approx(np.nansum(fit.data.f, axis), rel=1e-8)


def test_standard_errors_of_totals_by_simulation():
    """Counts drawn from a fit: the totals vary as their standard errors say."""
    fit = models.trim(counts(7, sites=8), 3, **PLAIN)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(120):
        value = np.where(fit.data.seen, rng.poisson(fit.fitted), np.nan)
        frame = pd.DataFrame(value, index=fit.data.sites, columns=fit.years).rename_axis("site").reset_index()
        frame = frame.melt("site", var_name="year", value_name="count")
        drawn.append(models.trim(frame, 3, **PLAIN).totals()["total"])
    assert np.std(drawn, axis=0) == pytest.approx(fit.totals()["se"].to_numpy(), rel=0.2)


def test_weights_and_empty_sites():
    frame = pd.concat([counts(2), pd.DataFrame({"site": "never", "year": [2010, 2011], "count": 0})])
    fit = models.trim(frame.assign(w=2.0), 3, weights="w")
    assert fit.data.empty == ("never",) and "nothing was ever counted there: never" in str(fit)
    assert fit.totals()["total"].to_numpy() == pytest.approx(2 * models.trim(frame, 3).totals()["total"].to_numpy())


def test_a_trend_of_the_totals_carries_their_covariance():
    fit = models.trim(skylarks(), 3)
    t = models.trend(fit, "estimates")
    overall = fit.overall()
    assert (t.log_growth("slope").centre, t.log_growth("slope").spread) == pytest.approx(
        (overall["add"], overall["se_add"]), rel=1e-8
    )
    assert t.annual.quantity == "total count"


def test_classes():
    assert [meaning(*v) for v in ((1.06, 1.1), (1.01, 1.2), (0.96, 1.04), (0.9, 1.01), (0.96, 0.99), (0.8, 0.9))] == [
        "strong increase", "moderate increase", "stable", "uncertain", "moderate decrease", "strong decrease",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "how", "said"),
    [
        ({}, {"model": 4}, "TRIM has models 1, 2 and 3"),
        ({}, {"model": 3, "changepoints": (2010, 2012)}, "change points are for model 2"),
        ({}, {"model": 2, "changepoints": (2010, 2014)}, "change points must be years of the counts"),
        ({}, {"overdispersion": False}, "serial correlation needs overdispersion"),
        ({"count": -1}, {}, "a count is below 0"),
        ({"count": "x"}, {}, "the table of counts, row 2: a count is no number .found 'x'."),
        ({"w": 0.0}, {"weights": "w"}, "a weight is not above 0"),
        ({"year": 2010, "site": "s1"}, {}, "a site has two counts in one year"),
        ({}, {"weights": "w"}, "the table of counts lacks columns"),
    ],
)
def test_what_is_refused(change, how, said):
    with pytest.raises(SurveyError, match=said):
        models.trim(counts().assign(**change), **how)


def test_every_bad_count_is_named_and_a_blank_is_missing():
    frame = counts().astype({"count": object})
    frame.loc[[1, 4], "count"] = ["some", float("inf")]
    frame.loc[[2, 3], "count"] = ["NA", " "]
    with pytest.raises(SurveyError) as error:
        models.trim(frame)
    assert [p.row for p in error.value.problems] == [3, 6]
    frame = frame.drop([1, 4])
    assert models.trim(frame).data.n == counts()["count"].notna().drop([1, 2, 3, 4]).sum()
    with pytest.raises(SurveyError, match="there are no counts"):
        models.trim(frame.iloc[:0])
    with pytest.raises(SurveyError, match="row 3: a site has two weights"):
        models.trim(counts().assign(w=np.r_[1.0, 2.0, np.ones(len(counts()) - 2)]), weights="w")
