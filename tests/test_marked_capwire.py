"""Samples without occasions: capwire's example, gradients, the choice of rates, simulation, words."""

from __future__ import annotations

from math import comb, exp, factorial, lgamma, log

import numpy as np
import pandas as pd
import pytest
from marked_problems import assert_gradient

from uncia.models.inference.compare import compare
from uncia.models.marked.capwire import Capwire, choose_rates
from uncia.survey.captures import CaptureHistory
from uncia.survey.detectors import Detectors
from uncia.survey.errors import SurveyError
from uncia.survey.samples import SampleCounts

WOMBAT = {1: 25, 2: 11, 3: 10, 4: 10, 5: 9, 6: 11, 7: 5}  # Banks et al. 2003, as in capwire


def test_wombats_at_equal_rates():
    """capwire: N = 84, log-likelihood log C(N, k) - s log N = -1153.84."""
    model = Capwire(SampleCounts(WOMBAT))
    c, s = np.asarray(model.history.counts), 263
    assert (model.history.n_animals, model.history.n_samples) == (81, s)
    constant = lgamma(82) - s + s * log(s) - sum(lgamma(k + 1) for k in c)
    theirs = model.at(rate=s / 84, f0=3.0).loglik - constant
    assert theirs == pytest.approx(log(comb(84, 81)) - s * log(84), abs=1e-9)
    assert theirs == pytest.approx(-1153.84, abs=0.005)
    fit = model.fit()
    assert fit.verdict.good and fit.total()[0] == pytest.approx(84.0, abs=0.6)
    assert fit.values["rate"][0] == pytest.approx(s / fit.total()[0], rel=1e-6)


def test_wombats_sorted_as_capwire_does():
    """capwire: N = 98, of which 35 easy, alpha = 4.003, log-likelihood -1104.967; it stops short of the best alpha."""
    model = Capwire(SampleCounts(WOMBAT), "two", threshold=4)
    assert (model.n_easy, model.of_easy) == (35, 186)
    assert model.at(f0=17.0, alpha=4.00296).loglik == pytest.approx(-1104.967, abs=5e-4)
    fit = model.fit()
    assert -1104.967 < fit.loglik < -1104.6 and fit.total()[0] == pytest.approx(101.6, abs=0.1)
    assert str(model) == "Capwire(two rates, easy from 4 samples)"


def test_wombats_unsorted():
    wombats = SampleCounts(WOMBAT)
    two, equal = Capwire(wombats, "two").fit(), Capwire(wombats).fit()
    assert two.verdict.good and two.loglik > equal.loglik
    assert two.total()[0] > 101.6 > equal.total()[0]  # sorting makes N smaller than the mixture does
    assert two.derive("profile")["lower"][0] < 101.6
    assert two.derive()["quantity"].tolist() == ["abundance", "samples per animal", "ratio of rates", "easy animals"]
    assert compare([two, equal])["model"][0] == "model 1"


def test_two_rates_that_are_one():
    """At alpha = 1 the mixture is the model with equal rates, whatever pi."""
    model = Capwire(SampleCounts(WOMBAT), "two")
    one = Capwire(SampleCounts(WOMBAT)).at(rate=3.0, f0=6.0).loglik
    assert model.at(rate=3.0, f0=6.0, alpha=1.0, pi=0.3).loglik == pytest.approx(one, rel=1e-12)


def test_oracle():
    """Against a plain product over animals, those never found among them."""
    c, f0, rate, alpha, pi = [1, 1, 2, 5], 3, 0.8, 3.0, 0.4

    def poisson(k, m):
        return m**k * exp(-m) / factorial(k)

    each = [log(pi * poisson(k, rate * alpha) + (1 - pi) * poisson(k, rate)) for k in [*c, *[0] * f0]]
    slow = sum(each) + log(factorial(7) / factorial(3))
    assert Capwire(c, "two").at(f0=f0, rate=rate, alpha=alpha, pi=pi).loglik == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"rates": "two"}, {"rates": "two", "threshold": 3}])
def test_gradient(options):
    model = Capwire([1, 1, 2, 5, 3, 1, 2], **options)
    assert_gradient(model, np.linspace(0.3, 0.9, model.parameters.size))


def test_the_choice_of_rates():
    wombats = choose_rates(SampleCounts(WOMBAT), simulations=19)
    assert wombats.p_value == pytest.approx(0.05) and wombats.statistic == pytest.approx(20.2, abs=0.1)
    even = Capwire(np.full(40, 3)).simulate({"rate": 2.0, "f0": 20.0}, 2)
    chosen = choose_rates(even, simulations=19, seed=3)
    assert chosen.p_value > 0.05 and chosen.chosen.model.rates == "equal"
    assert "from 19 simulations of equal rates: Capwire(equal rates)" in str(chosen)


def test_simulation_recovers_and_bootstrap_interval():
    model = Capwire([1, 9] * 30, "two")
    truth = {"f0": 30.0, "rate": 1.5, "alpha": 5.0, "pi": 0.4}
    drawn = model.simulate(truth, 1)
    assert np.array_equal(drawn.counts, model.simulate(truth, 1).counts) and drawn.n_samples == 300
    fit = model.on(drawn).fit()
    row = fit.abundance(bootstrap=20, seed=1, workers=1).iloc[-1]
    assert row["lower"] < 90 < row["upper"] and "bootstrap" in row["interval"]
    assert fit.derive("profile")["lower"][0] < 90 < fit.derive("profile")["upper"][0]


def test_ways_in():
    rows = {"animal": ["x", "x", "y"], "occasion": [1, 2, 1], "detector": ["a", "b", "a"], "count": [2, 1, 1]}
    place = Detectors(id=("a", "b"), x=[0.0, 9.0], y=[0.0, 0.0], effort=np.ones((2, 2)), kind="count")
    assert SampleCounts.from_captures(CaptureHistory(pd.DataFrame(rows), place)).counts.tolist() == [3, 1]
    counts = SampleCounts.from_table(pd.DataFrame({"animal": ["b", "a", "b"]}))
    assert counts.counts.tolist() == [1, 2] and counts.names == ("a", "b")
    assert counts.times.to_dict() == {1: 1, 2: 1} and repr(counts) == "SampleCounts(2 animals, 3 samples)"


def test_words():
    with pytest.raises(SurveyError) as error:
        SampleCounts([1, 0, 2.5])
    assert len(error.value.problems) == 2 and "'2' is no whole number from 1" in str(error.value)
    with pytest.raises(SurveyError, match="Give one number per animal"):
        SampleCounts(["a"])
    with pytest.raises(SurveyError, match="no telling two rates"):
        Capwire([2, 2, 2], "two")
    with pytest.raises(SurveyError, match="Add animal"):
        SampleCounts.from_table(pd.DataFrame({"id": [1]}))
    with pytest.raises(SurveyError, match="threshold from 2 to 7"):
        Capwire(SampleCounts(WOMBAT), "two", threshold=1)
    with pytest.raises(SurveyError, match="one sorts the animals"):
        wombats = SampleCounts(WOMBAT)
        compare([Capwire(wombats).fit(), Capwire(wombats, "two", threshold=4).fit()])
    assert "grows without bound" in str(Capwire([1, 1, 1]).fit().verdict)
    assert "never found, (estimated as 0)" in str(Capwire([9, 9, 9]).fit().verdict)
    assert str(Capwire([4]).fit())
