"""Known fate: black ducks, Kaplan and Meier, dates to periods, edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked_problems import assert_gradient
from reference import entry, reference

from uncia.models.marked.contrast import contrast
from uncia.models.marked.known_fate import KnownFate, kaplan_meier
from uncia.survey.errors import SurveyError
from uncia.survey.monitored import MonitoredAnimals


def ducks():
    frame = pd.read_csv(reference("blackduck") / "known_fate.csv", dtype={"BirdAge": str})
    animals = frame[["BirdAge", "Weight", "Wing_Len", "condix"]]
    alive, dead = frame.filter(like="alive_").to_numpy(), frame.filter(like="dead_").to_numpy()
    return MonitoredAnimals(alive, dead, animals, period="week")


def collars(seed, n=25, T=6):
    rng = np.random.default_rng(seed)
    enter, leave = rng.integers(0, 3, n), rng.integers(3, T + 1, n)
    t = np.arange(T)[None, :]
    at_risk = (t >= enter[:, None]) & (t < leave[:, None])
    died = at_risk & (rng.random((n, T)) < 0.15)
    gone = np.cumsum(died, axis=1) - died > 0
    animals = pd.DataFrame({"sex": np.where(np.arange(n) % 2, "m", "f"), "mass": rng.normal(size=n).round(2)})
    snow = pd.DataFrame({"snow": np.linspace(0, 1, T)})
    return MonitoredAnimals(at_risk & ~gone, died & ~gone, animals, snow, "week")


MODELS = {
    "S(.)": "~ 1",
    "S(week)": "~ t",
    "S(linear week)": "~ T",
    "S(Weight)": "~ Weight",
    "S(age + weight)": "~ BirdAge + Weight",
    "S(condition)": "~ condix",
}


@pytest.mark.parametrize("name", MODELS)
def test_black_ducks(name):
    there = entry("blackduck", name)
    fit = KnownFate(ducks(), MODELS[name]).fit()
    assert fit.loglik == pytest.approx(there["loglik"], abs=1e-6)
    assert fit.n_parameters == there["n_parameters"]
    theirs = np.array(list(there["coefficients"].values()))
    if name == "S(linear week)":
        theirs[0, 0] += theirs[1, 0]  # week 1 is T = 0
    firm = (theirs[:, 1] < 100) & ~((name == "S(linear week)") & (np.arange(len(theirs)) == 0))
    np.testing.assert_allclose(fit.vector[theirs[:, 1] < 100], theirs[theirs[:, 1] < 100, 0], atol=1e-4)
    np.testing.assert_allclose(fit.se[firm], theirs[firm, 1], rtol=1e-3)


def test_black_ducks_next_to_kaplan_and_meier():
    there = entry("blackduck", "Kaplan-Meier")["derived"]
    table = kaplan_meier(ducks())
    weeks = np.array(there["time"]) - 1
    for name, theirs in (("estimate", "survival"), ("se", "se"), ("lower", "lower"), ("upper", "upper")):
        np.testing.assert_allclose(table[name].to_numpy()[weeks], there[theirs], rtol=1e-10)
    fit = KnownFate(ducks(), "~ t").fit()
    curve = fit.survival()
    np.testing.assert_allclose(curve["estimate"], table["estimate"], rtol=1e-6)
    np.testing.assert_allclose(curve["se"], table["se"], rtol=1e-3)
    assert "S at t = 8 (estimated as 1) is at a boundary" in str(fit.verdict) and fit.verdict.good


def test_survival_of_eight_weeks():
    fit = KnownFate(ducks()).fit()
    last = fit.derive().iloc[-1]
    assert fit.values["S"][0] == pytest.approx(0.93662, abs=1e-5)
    assert last["scope"] == "over 8 weeks" and last["estimate"] == pytest.approx(fit.values["S"][0] ** 8)
    assert 0 < last["lower"] < last["estimate"] < last["upper"] < 1
    assert fit.survival(periods=52)["estimate"].iloc[-1] == pytest.approx(fit.values["S"][0] ** 52)
    with pytest.raises(SurveyError, match="nothing of later periods"):
        KnownFate(ducks(), "~ T").fit().survival(periods=9)
    with pytest.raises(SurveyError, match="Give Weight"):
        KnownFate(ducks(), "~ Weight").fit().survival()


def test_hazards_and_survival_agree_where_they_must():
    a, b = KnownFate(ducks(), "~ t").fit(), KnownFate(ducks(), mortality="~ t").fit()
    assert b.loglik == pytest.approx(a.loglik, abs=1e-6)
    np.testing.assert_allclose(b.survival()["estimate"], a.survival()["estimate"], rtol=1e-5)


@pytest.mark.parametrize("formula", ["~ 1", "~ sex * T", "~ mass + t", "~ age + snow"])
@pytest.mark.parametrize("name", ["S", "mortality"])
def test_gradient(name, formula):
    model = KnownFate(collars(3), **{name: formula})
    assert_gradient(model, np.random.default_rng(1).normal(0.0, 0.4, model.parameters.size))


@given(st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_loglik_is_a_loop_and_order_does_not_matter(seed):
    data = collars(seed)
    S, slow = 0.8, 0.0
    for i, t in np.argwhere(data.at_risk):
        slow += np.log(1 - S) if data.died[i, t] else np.log(S)
    assert KnownFate(data).at(S=S).loglik == pytest.approx(slow, rel=1e-12)
    order = np.random.default_rng(seed).permutation(len(data.died))
    other = MonitoredAnimals(data.at_risk[order], data.died[order], data.animals.iloc[order])
    v = np.array([1.0, -0.3])
    assert KnownFate(other, "~ sex").loglik(v) == pytest.approx(KnownFate(data, "~ sex").loglik(v), rel=1e-12)


def test_dates_to_weeks():
    day = pd.Timestamp("2024-01-01")
    days = lambda *d: [day + pd.Timedelta(days=k) for k in d]  # noqa: E731
    table = pd.DataFrame(
        {
            "animal": ["a", "b", "c", "d"],
            "entry": days(0, 3, 0, 7),
            "exit": days(21, 21, 10, 21),
            "died": [False, True, False, True],
            "sex": list("mfmf"),
        }
    )
    data = MonitoredAnimals.from_table(table, "7 days", period="week")
    assert data.at_risk.astype(int).tolist() == [[1, 1, 1], [0, 1, 1], [1, 0, 0], [0, 1, 1]]
    assert data.died.astype(int).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert repr(data) == "MonitoredAnimals(4 animals, 3 weeks, 2 deaths)"
    assert KnownFate(data, "~ sex").fit().n_parameters == 2
    with pytest.raises(SurveyError, match="exit is before its entry"):
        MonitoredAnimals.from_table(table.assign(exit=days(-1, 21, 10, 21)), "7 days")


def test_faults_at_once():
    with pytest.raises(SurveyError) as error:
        MonitoredAnimals([[1, 0, 1], [1, 1, 0]], [[1, 0, 0], [0, 0, 1]])
    assert len(error.value.problems) == 2


def test_edges():
    nobody_died = MonitoredAnimals(np.ones((5, 4)), np.zeros((5, 4)))
    fit = KnownFate(nobody_died).fit()
    assert "S (estimated as 1) is at a boundary" in str(fit.verdict) and np.isnan(fit.derive()["se"][0])
    one = KnownFate(MonitoredAnimals([[1, 1, 1]], [[0, 0, 1]])).fit()
    assert one.values["S"][0] == pytest.approx(2 / 3, rel=1e-4)


def test_simulate_recovers():
    data = MonitoredAnimals(np.ones((400, 10)), np.zeros((400, 10)), period="week")
    model = KnownFate(data)
    drawn = model.simulate({"S": 0.9}, 3)
    assert np.array_equal(drawn.died, model.simulate({"S": 0.9}, 3).died)
    assert KnownFate(drawn).fit().values["S"][0] == pytest.approx(0.9, abs=0.02)
    again = KnownFate(drawn, "~ t").simulate({"S": {"Intercept": 2.0} | {f"t[T.{k}]": 0.0 for k in range(2, 11)}}, 1)
    assert again.n_animals == 400


# ---- age and stage --------------------------------------------------------------------------------------------------

STAGES = {"cub": 0, "subadult": 4, "adult": 8}


def family(n=240, T=10, seed=1):
    """Animals collared at ages of 0 to 9 weeks; cubs die more."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 10, n)
    now = age[:, None] + np.arange(T)[None, :]
    S = np.select([now < 4, now < 8], [0.8, 0.9], 0.97)
    died = rng.random((n, T)) > S
    gone = np.cumsum(died, axis=1) - died > 0
    return MonitoredAnimals(~gone, died & ~gone, pd.DataFrame({"weeks_old": age}), period="week")


def test_survival_by_stage_is_that_of_the_animals_in_it():
    animals = family()
    fit = KnownFate(animals, "~ stage", stages=STAGES, age="weeks_old").fit()
    now = animals.animals["weeks_old"].to_numpy()[:, None] + np.arange(10)[None, :]
    for name, begin, end in (("cub", 0, 4), ("subadult", 4, 8), ("adult", 8, 99)):
        inside = animals.at_risk & (now >= begin) & (now < end)
        S = 1 - (animals.died & inside).sum() / inside.sum()
        assert fit.predict("S").set_index("stage").loc[name, "estimate"] == pytest.approx(S, abs=1e-6)
    table = fit.derive().set_index("scope")
    cubs = table.loc["through stage = cub, 4 weeks"]
    S = fit.predict("S").set_index("stage")["estimate"]
    assert cubs["estimate"] == pytest.approx(S["cub"] ** 4) and cubs["lower"] < 0.8**4 < cubs["upper"]
    curve = fit.survival(10, age=2)["estimate"].to_numpy()
    assert curve[-1] == pytest.approx(S["cub"] ** 2 * S["subadult"] ** 4 * S["adult"] ** 4)
    assert [s for s in table.index if "through" in s] == [cubs.name, "through stage = subadult, 4 weeks"]
    model = KnownFate(animals, mortality="~ stage + age", stages=STAGES, age="weeks_old")
    assert_gradient(model, np.array([-2.0, 0.3, -0.2, 0.01]))
    again = fit.model.on(fit.model.simulate(fit.model.parameters.given(fit.vector), 3))
    assert again.options == fit.model.options


def test_simulation_stays_in_stages_that_were_seen():
    """Cubs that died early would have become subadults, of which the data know nothing."""
    died = np.zeros((6, 6))
    died[:, 2] = 1
    at_risk = np.cumsum(died, axis=1) - died == 0
    elder = np.vstack([at_risk, np.ones((1, 6))]), np.vstack([died, np.zeros((1, 6))])
    animals = MonitoredAnimals(*elder, pd.DataFrame({"age": [0] * 6 + [8]}))
    model = KnownFate(animals, "~ stage", stages=STAGES, age="age")
    drawn = model.simulate({"S": {"Intercept": 3.0, "stage[T.adult]": 0.0}}, 1)
    assert not drawn.at_risk[:6, 4:].any() and drawn.at_risk[:6, 3].any()


def test_two_stages_beside_each_other():
    fit = KnownFate(family(), "~ stage", stages=STAGES, age="weeks_old").fit()
    table = contrast(fit, "S", {"stage": "cub"}, {"stage": "adult"})
    S, se = (fit.predict("S").set_index("stage")[name] for name in ("estimate", "se"))
    assert table["quantity"].tolist() == ["S", "S", "difference in S", "ratio of S"]
    assert table["estimate"][2] == pytest.approx(S["adult"] - S["cub"])
    assert table["se"][2] == pytest.approx(np.hypot(se["adult"], se["cub"]), rel=1e-6)  # stages share nothing here
    assert table["lower"][2] > 0 and "P(above 0) = 1.000" in table["scope"][2]
    relative = np.hypot(se["adult"] / S["adult"], se["cub"] / S["cub"])
    assert table["se"][3] / table["estimate"][3] == pytest.approx(relative, rel=1e-6)
    with pytest.raises(SurveyError, match="name 3 rows of S, and must name one"):
        contrast(fit, "S", {}, {"stage": "cub"})
    with pytest.raises(SurveyError, match="does not depend on a covariate"):
        contrast(fit, "S", {"sex": "m"}, {"stage": "cub"})


def test_words_of_stages():
    animals = family(20)
    with pytest.raises(SurveyError, match="stages go by age"):
        KnownFate(animals, "~ stage", stages=STAGES)
    with pytest.raises(SurveyError, match="begin at age 0"):
        KnownFate(animals, "~ stage", stages={"cub": 2}, age="weeks_old")
    with pytest.raises(SurveyError, match="There are the covariates: weeks_old"):
        KnownFate(animals, "~ stage", stages=STAGES, age="years")
    lacking = MonitoredAnimals(animals.at_risk, animals.died, pd.DataFrame({"weeks_old": [None] * 2 + [1] * 18}))
    with pytest.raises(SurveyError) as error:
        KnownFate(lacking, "~ age", age="weeks_old")
    assert len(error.value.problems) == 2
    young = MonitoredAnimals(np.ones((9, 3)), np.zeros((9, 3)), pd.DataFrame({"age": [0] * 9}))
    fit = KnownFate(young, "~ stage", stages=STAGES, age="age").fit()
    with pytest.raises(SurveyError, match="no animal was at risk in a stage"):
        fit.survival(9)
