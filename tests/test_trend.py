"""Trends: the oracle, exact cases, what the definitions mean, fits with their covariances, words."""

from itertools import pairwise

import numpy as np
import oracle_trend as oracle
import pandas as pd
import pytest
from marked_problems import suite
from occupancy_problems import ragged
from reference import entry, scr_data
from scipy.stats import norm

from uncia import models, survey
from uncia.models.trends.annual import AnnualEstimates, year_of
from uncia.models.trends.processes import Process, restricted_loglik, trajectory
from uncia.models.trends.trend import Mixture, signed
from uncia.survey.errors import SurveyError

YEARS = np.array([2012.0, 2013.0, 2014.0, 2017.0, 2018.0, 2021.0])  # with gaps


def errors(T=6, shared=0.1, own=0.15, seed=3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return shared**2 * np.ones((T, T)) + np.diag(own**2 * rng.uniform(0.5, 2.0, T))


def annual(seed=1, growth=-0.05) -> AnnualEstimates:
    V = errors()
    y = 3.0 + growth * (YEARS - 2012) + np.random.default_rng(seed).multivariate_normal(np.zeros(6), V)
    return AnnualEstimates(YEARS, y, V)


def table(**more) -> pd.DataFrame:
    return pd.DataFrame({"year": [2015, 2018, 2021], "estimate": [20.0, 22.0, 26.0], "se": [4.0, 4.0, 5.0]} | more)


# ---- the likelihood, twice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["state-space", "log-linear", "smooth"])
@pytest.mark.parametrize("sigma", [0.05, 0.4])
def test_the_filter_gives_the_density_of_error_contrasts(name, sigma):
    y, V = annual().log_estimates, errors()
    exact = oracle.restricted_loglik(name, sigma, YEARS, y, V)
    assert restricted_loglik(Process(name), sigma, YEARS, y, V)[0] == pytest.approx(exact, abs=2e-5)


@pytest.mark.parametrize("V", [errors(), np.diag([0.01] * 6), 0.04 * np.ones((6, 6)) + 1e-6 * np.eye(6)])
def test_the_filter_is_exact_for_any_covariance_of_errors(V):
    y = annual().log_estimates
    S = 0.2**2 * Process("state-space").covariance(YEARS) + V
    X = np.column_stack([np.ones(6), YEARS - YEARS[0]])
    inverse = np.linalg.inv(S)
    information = X.T @ inverse @ X
    b = np.linalg.solve(information, X.T @ inverse @ y)
    r = y - X @ b
    dets = np.linalg.slogdet(S)[1] + np.linalg.slogdet(information)[1]
    dense = -0.5 * (dets + r @ inverse @ r + 4 * np.log(2 * np.pi))
    assert restricted_loglik(Process("state-space"), 0.2, YEARS, y, V)[0] == pytest.approx(dense, abs=1e-8)


@pytest.mark.parametrize("name", ["state-space", "log-linear", "smooth"])
def test_covariances_of_processes(name):
    assert Process(name).covariance(YEARS) == pytest.approx(oracle.process_covariance(name, YEARS), rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["state-space", "log-linear", "smooth"])
def test_true_numbers_given_the_data(name):
    y, V = annual().log_estimates, errors()
    mean, C = trajectory(Process(name), 0.2, YEARS, y, V)
    exact_mean, exact_C = oracle.conditional(name, 0.2, YEARS, y, V)
    assert mean[:-1] == pytest.approx(exact_mean, abs=1e-3)
    assert C[:-1, :-1] == pytest.approx(exact_C, abs=2e-4)


# ---- exact cases ---------------------------------------------------------------------------------------------------


def test_generalised_least_squares_is_the_textbook():
    a = annual()
    X = np.column_stack([np.ones(6), YEARS])
    inverse = np.linalg.inv(a.covariance)
    C = np.linalg.inv(X.T @ inverse @ X)
    b = C @ X.T @ inverse @ a.log_estimates
    growth = models.trend(a, "gls").log_growth("slope")
    assert (growth.centre, growth.spread) == pytest.approx((b[1], np.sqrt(C[1, 1])), rel=1e-8)
    assert models.trend(a, "gls").log_growth("end-point").centre == pytest.approx(b[1], rel=1e-8)


def test_two_years_are_their_ratio():
    a = AnnualEstimates(np.array([2018.0, 2020.0]), np.log([5.16, 4.0]), np.diag([0.17, 0.18]) ** 2)
    t = models.trend(a)
    z = (np.log(4.0 / 5.16)) / np.hypot(0.17, 0.18)
    assert t.method == "gls"
    assert t.probability_of_decline() == pytest.approx(norm.cdf(-z), abs=1e-9)
    assert np.exp(t.log_change().centre) == pytest.approx(4.0 / 5.16)
    assert (
        t.sentence()
        == "a decrease of 22 % (−52 to +26 %) from 2018 to 2020: these surveys cannot tell it from no change"
    )


def test_a_model_that_has_one_density_for_all_years_says_nothing_of_a_change():
    a = AnnualEstimates(YEARS, np.full(6, np.log(5.2)), np.full((6, 6), 0.04))
    t = models.trend(a)
    assert t.sentence() == "taken as known by the model from 2012 to 2021: this says nothing of a change"
    assert t.reading()["assumed"] and not models.trend(annual()).reading()["assumed"]
    assert np.isnan(t.probability_of_decline()) and t.log_change().limits == pytest.approx((0.0, 0.0), abs=1e-12)
    assert "probability of a decline" in str(t) and "says nothing of a change" in str(t)


def test_shared_errors_cancel_in_change():
    years, y = np.array([1.0, 2.0]), np.log([10.0, 8.0])
    own, shared = np.diag([0.01, 0.01]), 0.09 * np.ones((2, 2))
    apart = models.trend(AnnualEstimates(years, y, own)).log_change().spread
    together = models.trend(AnnualEstimates(years, y, own + shared)).log_change().spread
    naive = models.trend(AnnualEstimates(years, y, np.diag(np.diag(own + shared)))).log_change().spread
    assert together == pytest.approx(apart, rel=1e-6) and naive > 3 * together


def test_estimates_alone_are_contrasts_of_them():
    a = annual()
    t = models.trend(a, "estimates")
    assert t.log_growth("end-point").centre == pytest.approx((a.log_estimates[-1] - a.log_estimates[0]) / 9)
    assert t.log_growth("slope").centre == pytest.approx(np.polyfit(YEARS, a.log_estimates, 1)[0])


def test_without_sampling_error_the_numbers_are_the_estimates():
    a = annual()
    t = models.trend(AnnualEstimates(YEARS, a.log_estimates, 1e-10 * np.eye(6)), "state-space")
    assert t.years()["fitted"].to_numpy() == pytest.approx(a.estimates, rel=1e-4)
    assert t.log_growth("end-point").centre == pytest.approx((a.log_estimates[-1] - a.log_estimates[0]) / 9, abs=1e-5)


def test_process_variance_is_told_from_sampling_variance():
    rng = np.random.default_rng(5)
    years = np.arange(2000.0, 2040.0)
    true = np.cumsum(rng.normal(0.0, 0.25, 40))
    seen = AnnualEstimates(years, true + rng.normal(0.0, 0.15, 40), 0.15**2 * np.eye(40))
    rows = models.trend(seen, "state-space").components().set_index("quantity")
    assert rows.loc["process standard deviation", "estimate"] == pytest.approx(0.25, abs=0.07)
    assert rows.loc["sampling standard deviation", "estimate"] == pytest.approx(0.15)


def test_mixtures_of_normals():
    m = Mixture(np.array([-1.0, 2.0]), np.array([0.5, 1.0]), np.array([0.3, 0.7]))
    draws = np.random.default_rng(1).normal([[-1.0], [2.0]], [[0.5], [1.0]], (2, 200_000))
    pool = np.concatenate([draws[0, :60_000], draws[1, :140_000]])
    assert (m.centre, m.spread) == pytest.approx((pool.mean(), pool.std()), abs=0.01)
    assert m.below(0.5) == pytest.approx((pool < 0.5).mean(), abs=0.004)
    assert m.limits == pytest.approx(np.quantile(pool, [0.025, 0.975]), abs=0.03)


# ---- what is told --------------------------------------------------------------------------------------------------


def test_rows_of_results():
    rows = models.trend(annual(), generation=5.0).derive()
    assert list(rows) == ["quantity", "unit", "scope", "estimate", "se", "rse", "lower", "upper", "interval"]
    known = rows.set_index(["quantity", "scope"])["estimate"]
    at = "2012 to 2021, slope"
    assert known["trend", at] == pytest.approx(100 * (known["growth rate", at] - 1))
    assert known["change", at] == pytest.approx(100 * (known["growth rate", at] ** 9 - 1))
    chances = [known[f"probability of a decline{more}", at] for more in
               ("", " of more than 30 %", " of more than 50 %", " of more than 80 %")]  # fmt: skip
    assert chances == sorted(chances, reverse=True)


def test_index_has_no_error_in_its_base_year():
    index = models.trend(annual()).index(base=2014)
    assert index["index"][2] == 1.0 and index["se"][2] == 0.0 and (index["se"].drop(2) > 0).all()


def test_three_generations_within_and_beyond_the_surveys():
    a = annual(growth=-0.1)
    inside, beyond = models.trend(a, "gls", generation=2.0), models.trend(a, "gls", generation=6.0)
    for t in (inside, beyond):
        assert t.iucn()["probability"].sum() == pytest.approx(1.0)
    growth = beyond.log_growth("slope")
    critical = norm.cdf((np.log(0.2) - 18 * growth.centre) / (18 * growth.spread))
    assert beyond.iucn().set_index("category")["probability"]["critically endangered"] == pytest.approx(critical)
    assert list(beyond.iucn("A1")["reduction"]) == [0.0, 0.5, 0.7, 0.9]


def test_beyond_the_surveys_the_process_goes_on():
    t = models.trend(annual(), "state-space", generation=6.0)  # 18 years, 9 of them surveyed
    rng = np.random.default_rng(1)
    mean, C = t._known
    k = rng.choice(len(t.weight), 60_000, p=t.weight)
    x = np.array([rng.multivariate_normal(mean[i], C[i], int(np.sum(k == i))) for i in np.unique(k)], object)
    ends = [
        (v[:, 5] - v[:, 0] + 9 * v[:, 6] + rng.normal(0, 3 * t.sigma[i], len(v)))
        for v, i in zip(x, np.unique(k), strict=True)
    ]
    fell = np.mean(np.concatenate(ends) < np.log(0.5))
    told = t.iucn().set_index("category")["probability"]
    assert told["endangered"] + told["critically endangered"] == pytest.approx(fell, abs=0.01)


def test_a_window_of_three_generations_begins_between_surveys():
    years = np.array([2000.0, 2004.0, 2012.0])
    a = AnnualEstimates(years, np.log([8.0, 8.0, 4.0]), 1e-8 * np.eye(3))
    t = models.trend(a, "estimates", generation=10 / 3)  # from 2002, where the estimate is 8
    assert t.iucn().set_index("category")["probability"]["endangered"] == pytest.approx(0.5, abs=0.01)


def test_detectable_change_is_found_with_its_power():
    t = models.trend(annual(), "gls")
    down, up = t.detectable()
    se = t.log_change("slope").spread
    assert norm.cdf(np.log1p(up) / se - norm.ppf(0.975)) == pytest.approx(0.8, abs=1e-6)
    assert np.log1p(down) == pytest.approx(-np.log1p(up))


def test_signs_in_words():
    assert [signed(v) for v in (0.844, -0.18, 0.004)] == ["+84", "−18", "0"]
    assert year_of("winter 2019-20") == 2019.0


def test_a_trend_is_drawn():
    ax = models.trend(annual()).plot()
    assert len(ax.lines) >= 4 and ax.get_ylabel() == "abundance, animals"


@pytest.mark.parametrize("years", [[2012, 2013, 2016, 2024, 2025], list(range(2000, 2026)), [1990, 2024, 2025]])
def test_labels_of_years_do_not_overlap(years):
    years = np.array(years, float)
    ax = models.trend(AnnualEstimates(years, np.full(len(years), 3.0), 0.01 * np.eye(len(years)))).plot()
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert [ax.get_xticklabels()[i].get_text() for i in (0, -1)] == [f"{years[0]:.0f}", f"{years[-1]:.0f}"]
    assert all(left.x1 + 3 < right.x0 for left, right in pairwise(boxes))


# ---- from fits -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ovenbirds():
    data = [scr_data("ovenbird", session=str(year), kind="multi") for year in range(2005, 2010)]
    return [c for c, _ in data], [m for _, m in data]


@pytest.fixture(scope="module")
def joint(ovenbirds):
    return models.SCR(*ovenbirds, D="~ session", g0="~ 1").fit()


def test_a_trend_in_the_model_is_secrs(ovenbirds):
    fit = models.SCR(*ovenbirds, D="~ Session", g0="~ 1").fit()
    expected = entry("ovenbird", "D~Session")["coefficients"]["D.Session"]
    t = models.trend(fit)
    growth = t.log_growth("slope")
    assert t.method == "estimates"
    assert (growth.centre, growth.spread) == pytest.approx(expected, rel=2e-3)
    with pytest.raises(SurveyError, match="tied the years together already: it contains the trend"):
        models.trend(fit, "gls")


def test_years_of_one_fit_share_their_detection(joint):
    fit = joint
    a = AnnualEstimates.of(fit)
    told = fit.derive().query("quantity == 'density'")
    assert a.estimates == pytest.approx(told["estimate"].to_numpy())
    assert a.estimates * np.sqrt(np.diag(a.covariance)) == pytest.approx(told["se"].to_numpy(), rel=1e-6)
    off = a.covariance[~np.eye(5, dtype=bool)]
    assert (off > 0).all()  # a larger sigma lowers the density of all years
    coefficients = fit.coefficients.set_index(["parameter", "term"])["se"]
    last = np.array([-1.0, 0, 0, 0, 1.0])
    contrast = np.sqrt(last @ a.covariance @ last)
    assert contrast == pytest.approx(coefficients["D"].iloc[4], rel=1e-6)
    assert len(models.trend(fit).differences) == 0


def test_conditional_fits_give_the_same_trend(ovenbirds, joint):
    full = models.trend(joint, "gls").log_growth()
    part = models.trend(models.SCR(*ovenbirds, g0="~ 1", likelihood="conditional").fit(), "gls").log_growth()
    assert (part.centre, part.spread) == pytest.approx((full.centre, full.spread), rel=2e-3)


def test_seasons_of_occupancy():
    fit = models.DynamicOccupancy(ragged(t=4, seed=1, n=40), gamma="~ season", epsilon="~ season").fit()
    rows = fit.trend()
    t = models.trend(fit, "estimates", years=[2018, 2019, 2020, 2021])
    assert np.exp(t.log_growth("end-point").centre) == pytest.approx(rows["estimate"].iloc[0], rel=1e-6)
    assert t.annual.quantity == "occupancy" and t.annual.labels == ("1", "2", "3", "4")


def test_numbers_of_an_open_population():
    fit = models.JollySeber(suite("dipper"), "~ 1", "~ 1", f="~ 1").fit()
    a = AnnualEstimates.of(fit)
    rows = fit.derive().query("quantity == 'expected abundance'")
    assert a.estimates == pytest.approx(rows["estimate"].to_numpy())
    assert np.sqrt(np.diag(a.covariance)) * a.estimates == pytest.approx(rows["se"].to_numpy(), rel=1e-6)


def test_separate_years_are_independent(ovenbirds):
    fits = {c.session: models.SCR(c, m, g0="~ 1").fit() for c, m in zip(*ovenbirds, strict=True)}
    a = AnnualEstimates.of(fits)
    assert np.count_nonzero(a.covariance) == 5
    assert np.sqrt(np.diag(a.covariance)) == pytest.approx(
        [f.coefficients["se"].iloc[0] for f in fits.values()], rel=1e-6
    )
    assert {d["detection"] for d in a.definitions} == {"half-normal, of its own"}


# ---- what is refused, and what is marked ----------------------------------------------------------------------------


def test_published_estimates():
    t = models.trend(table())
    assert t.method == "gls" and t.annual.quantity == "abundance"
    by_limits = table().drop(columns="se").assign(lower=t.annual.table()["lower"], upper=t.annual.table()["upper"])
    assert models.trend(by_limits).log_growth().spread == pytest.approx(t.log_growth().spread)


def test_all_bad_rows_at_once():
    bad = pd.DataFrame({"year": [2015, None, 2018], "estimate": [0.0, 5.0, 6.0], "se": [1.0, 1.0, None]})
    with pytest.raises(SurveyError) as error:
        models.trend(bad)
    said = str(error.value)
    assert "an estimate is not above 0" in said and "a year is missing" in said and "se is not a number" in said


def test_errors_and_limits_that_cannot_be():
    """A negative standard error was squared away once, and limits beside their estimate were taken."""
    for name in ("se", "rse"):
        bad = pd.DataFrame({"year": [2015, 2016, 2018], "estimate": [9.0, 5.0, 6.0], name: [1.0, -1.0, 0.0]})
        with pytest.raises(SurveyError) as error:
            models.trend(bad)
        assert [(p.row, p.value) for p in error.value.problems] == [(3, -1.0), (4, 0.0)]
        assert f"the table of estimates, row 3: {name} is not a number above 0" in str(error.value)
    ends = {"lower": [10.0, 4.0, 0.0], "upper": [20.0, 6.0, 8.0]}
    with pytest.raises(SurveyError) as error:
        models.trend(pd.DataFrame({"year": [2015, 2016, 2018], "estimate": [9.0, 5.0, 6.0], **ends}))
    assert [p.row for p in error.value.problems] == [2, 4]
    assert "the estimate is not between lower and upper, both above 0 (found '10.0 to 20.0')" in str(error.value)


def test_a_correlation_goes_with_its_years_in_any_order():
    R, at = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]]), [2, 0, 1]
    rows = [{"model": "m", "quantity": "abundance", "unit": "animals", "scope": "all", "interval": "95 %", **row}
            for row in table()[["estimate", "se"]].to_dict("records")]  # fmt: skip
    stored = {str(y): {"reported": "m", "estimates": [row]} for y, row in zip(table()["year"], rows, strict=True)}
    mixed = {list(stored)[i]: stored[list(stored)[i]] for i in at}
    wanted = AnnualEstimates.from_table(table(), correlation=R).covariance
    other = R[np.ix_(at, at)]
    assert AnnualEstimates.from_results(mixed, correlation=other).covariance == pytest.approx(wanted)
    assert AnnualEstimates.from_table(table().iloc[at], correlation=other).covariance == pytest.approx(wanted)


def test_reports_without_an_error_are_named_by_year():
    row = {
        "model": "m",
        "quantity": "abundance",
        "unit": "animals",
        "scope": "all",
        "interval": "none",
        "estimate": 5.0,
    }
    stored = {year: {"reported": "m", "estimates": [{**row, "se": se}]} for year, se in ((2015, None), (2016, 1.0))}
    with pytest.raises(SurveyError) as error:
        models.trend({**stored, 2018: stored[2015]})
    assert len(error.value.problems) == 2
    assert (
        "the report of 2018 has no estimate above 0 with its standard error (found 'abundance: 5.0, se None')"
        in str(error.value)
    )


def test_other_intervals_are_marked_and_one_name_may_be_accepted():
    t = models.trend(table(interval=["95 %", "90 %", "95 %"]))
    assert "NOT THE SAME IN ALL YEARS: interval (2015, 2021: 95 %; 2018: 90 %)" in str(t)
    assert models.trend(table(footprint=["a", "b", "b"]), despite="footprint").differences
    assert t.index("2018").equals(t.index(2018)) and not t.index("2018").equals(t.index())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: models.trend(table().iloc[:1]), "a change needs two years"),
        (lambda: models.trend(table(), "state-space"), "variance cannot be told apart with 3 years"),
        (lambda: models.trend(table(), "lm"), "there is no such method"),
        (lambda: models.trend(table(), generation=0), "a generation lasts longer than 0 years"),
        (lambda: models.trend(table().drop(columns="se")), "the table of estimates lacks columns"),
        (lambda: models.trend(table()).iucn(), "the Red List counts in generations"),
        (lambda: models.trend(table()).log_growth("mean"), "there is no such definition of a trend"),
        (lambda: models.trend(table(), despite=["footprint"]), "this does not differ between the years"),
        (lambda: models.trend(5), "a trend cannot be found in this"),
        (lambda: models.trend(table(year=[2015, 2015, 2021])), "row 3: a year is given twice .found 2015.0."),
        (lambda: models.trend(table(), scale=-1), "the scale of the prior is above 0"),
        (lambda: models.trend(table()).detectable(power=80), "power and level lie between 0 and 1"),
        (lambda: models.trend(table()).log_change(over=0), "a change takes more than 0 years"),
        (lambda: models.trend(table()).index("2016"), "there is no estimate of the base year"),
        (lambda: models.trend({2015: "none.json", 2016: {}}), "none.json: there is no such file"),
        (lambda: models.trend({2015: {"a": 1}, 2016: {}}), "this is no results.json .found 2015."),
        (lambda: models.trend(table(), correlation=np.eye(2)), "the correlation does not fit the estimates"),
        (lambda: models.trend(table(), correlation=2 * np.eye(3)), "this is no correlation"),
        (lambda: models.trend(AnnualEstimates.of(table()), quantity="x"), "annual estimates are taken as they are"),
        (lambda: AnnualEstimates.from_fits({2015: None}, shared=["sigma"]), "errors that go together"),
    ],
)  # fmt: skip
def test_what_is_refused(make, said):
    with pytest.raises(SurveyError, match=said):
        make()


def test_other_ground_is_refused_and_if_accepted_marked():
    other = table(footprint=["92,164 km²", "92,164 km²", "121,337 km²"])
    with pytest.raises(SurveyError) as error:
        models.trend(other)
    said = str(error.value)
    assert "the years cannot be compared: footprint (2015, 2018: 92,164 km²; 2021: 121,337 km²)" in said
    assert "models.common_footprint" in said and "despite=('footprint',)" in said
    t = models.trend(other, despite=["footprint"])
    assert "NOT THE SAME IN ALL YEARS: footprint" in str(t)


def test_other_protocols_are_marked():
    t = models.trend(table(identities=["one observer", "two observers", "two observers"], interval=["95 %"] * 3))
    assert [d.what for d in t.differences] == ["identities"]
    assert "NOT THE SAME IN ALL YEARS: identities (2015: one observer; 2018, 2021: two observers)" in str(t)


# ---- common ground --------------------------------------------------------------------------------------------------


def grid(x0: float, n: int, session: str, seen: list[tuple[str, int]]) -> survey.CaptureHistory:
    x, y = (v.ravel() for v in np.meshgrid(x0 + 1000.0 * np.arange(n), 1000.0 * np.arange(3)))
    names = tuple(f"{session}-{i}" for i in range(len(x)))
    d = survey.Detectors(names, x, y, np.ones((2, len(x))))
    rows = pd.DataFrame(
        [(a, 1 + i % 2, names[k]) for i, (a, k) in enumerate(seen)], columns=["animal", "occasion", "detector"]
    )
    return survey.CaptureHistory(rows, d, session=session)


def test_common_ground_keeps_detectors_that_look_at_nothing_else():
    first = grid(0.0, 6, "2020", [("a", 0), ("a", 1), ("b", 8)])
    second = grid(0.0, 12, "2023", [("a", 0), ("b", 9), ("c", 11), ("c", 22)])
    masks = [survey.HabitatMask.around(c, 3000.0, 500.0) for c in (first, second)]
    common = models.common_footprint([first, second], masks)
    assert len(common.captures[0].detectors) == 18
    kept = common.captures[1].detectors
    assert kept.x.max() == 5000.0 and len(kept) == 18  # those of the first year's array
    assert list(common.captures[1].animals.index) == ["a"] or set(common.captures[1].animals.index) <= {"a", "b"}
    assert common.left_out["detectors"].tolist() == [18, 36] and common.masks[0].equals(common.masks[1])
    assert common.area == pytest.approx(masks[0].area, rel=1e-6)


def test_no_common_ground_is_said():
    first, second = grid(0.0, 4, "2020", [("a", 0)]), grid(100_000.0, 4, "2023", [("a", 0)])
    masks = [survey.HabitatMask.around(c, 2000.0, 500.0) for c in (first, second)]
    with pytest.raises(SurveyError, match="the years have no ground in common"):
        models.common_footprint([first, second], masks)


def test_refit_on_common_ground(ovenbirds, joint):
    common = models.common_footprint(joint, buffer=300.0)
    assert common.left_out["kept"].tolist() == common.left_out["detectors"].tolist()
    assert common.refit(joint.model).loglik == pytest.approx(joint.loglik, abs=1e-5)
