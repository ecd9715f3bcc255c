"""Goodness of fit of CJS: U-CARE's numbers on the dippers, the m-array, losses, groups."""

from __future__ import annotations

import json

import numpy as np
import pytest
from marked_problems import histories, suite
from reference import entry, reference

from uncia.models.marked.fitted_histories import history_table
from uncia.models.marked.goodness import goodness_of_fit, m_array
from uncia.models.marked.overdispersion import median_c_hat, simulate_together
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.errors import SurveyError, SurveyWarning

TESTS = {"test3sr": "3.SR", "test3sm": "3.SM", "test2ct": "2.CT", "test2cl": "2.CL"}


def dippers(group):
    h = suite("dipper")
    if group == "sexes pooled":
        return h
    which = (h.animals["sex"] == {"females": "Female", "males": "Male"}[group]).to_numpy()
    return EncounterHistory(h.states[which], animals=h.animals[which])


@pytest.mark.parametrize("group", ["females", "males", "sexes pooled"])
def test_dipper_agrees_with_ucare(group):
    found = goodness_of_fit(dippers(group))
    for name, test in TESTS.items():
        there = entry("dipper", f"U-CARE {name} {group}")
        row = found.tests.set_index("test").loc[test]
        assert row["statistic"] == pytest.approx(there["derived"]["stat"], abs=1.5e-3)
        assert row["df"] == there["derived"]["df"]
        assert row["p"] == pytest.approx(there["derived"]["p_val"], abs=1e-3)
        if "sign_test" in there["derived"]:
            assert row["signed"] == pytest.approx(there["derived"]["sign_test"], abs=0.01)
        parts = found.components[found.components["test"] == test].set_index("occasion")
        for part in there["components"]:
            ours = parts.loc[int(part["component"])]
            assert ours["statistic"] == pytest.approx(float(part["stat"]), abs=1e-3)
            assert ours["method"].lower() == part["test_perf"].lower()
    total = entry("dipper", f"U-CARE overall_CJS {group}")["derived"]
    assert found.overall["statistic"] == pytest.approx(total["statistic"], abs=2e-3)
    assert found.overall["df"] == total["df"] and found.overall["p"] == pytest.approx(total["p"], abs=1e-3)


def test_by_group_adds_up():
    both = goodness_of_fit(suite("dipper"), by="sex")
    assert both.overall["statistic"] == pytest.approx(10.276 + 11.062, abs=4e-3)
    assert both.overall["df"] == 21 and both.c_hat == pytest.approx(21.338 / 21, abs=1e-3)
    assert "c-hat 1.02" in str(both)


def test_m_array():
    there = json.loads((reference("dipper") / "m_array.json").read_text())
    table = m_array(suite("dipper"))
    assert table["released"].tolist() == there["released"]
    assert table["never"].tolist() == there["never_seen_again"]
    assert table[list(range(2, 8))].to_numpy().tolist() == there["m_array"]


def test_losses_are_not_released():
    history = EncounterHistory.from_strings(["110", "100"], removed=[True, False])
    assert m_array(history)["released"].tolist() == [2, 0]
    assert m_array(history)["released"].sum() == CJS(history).sample_size


def test_frequencies_are_repeated_rows():
    h = histories(3, n=40, T=6)
    rows = EncounterHistory(np.repeat(h.states, h.frequency, axis=0))
    assert goodness_of_fit(h).overall == goodness_of_fit(rows).overall


def test_edges_and_words():
    assert goodness_of_fit(EncounterHistory.from_strings(["101"])).overall["df"] == 0
    with pytest.raises(SurveyError, match="at least three occasions"):
        goodness_of_fit(EncounterHistory.from_strings(["11"]))
    with pytest.raises(SurveyError, match="no such covariate"):
        goodness_of_fit(histories(1), by="age")


def test_transients_are_found():
    rng = np.random.default_rng(1)
    states = np.zeros((600, 6), int)
    for i in range(600):
        begin = rng.integers(0, 5)
        states[i, begin] = 1
        if rng.random() < 0.5:
            continue
        for t in range(begin + 1, 6):
            if rng.random() > 0.8:
                break
            states[i, t] = rng.random() < 0.6
    found = goodness_of_fit(EncounterHistory(states))
    row = found.tests.set_index("test").loc["3.SR"]
    assert row["p"] < 0.01 and row["signed"] > 2


# ---- overdispersion -------------------------------------------------------------------------------------------------


def test_deviance_is_marks():
    fit = CJS(suite("dipper")).fit()
    assert fit.model.deviance(fit) == pytest.approx(58.15788, abs=1e-4)
    assert fit.model.deviance(fit, by=["sex"]) == pytest.approx(84.36055, abs=1e-4)


def pairs(each=60):
    """Animals that live, die and are met in pairs: every history counts double."""
    single = CJS(EncounterHistory(np.eye(6, dtype=int)[:5], frequency=[each] * 5))
    drawn = single.simulate({"phi": 0.7, "p": 0.5}, 4)
    return CJS(EncounterHistory(drawn.states, 2 * drawn.frequency)).fit()


def test_c_hat_of_pairs_is_near_two():
    found = pairs().goodness(20, workers=1)
    assert found.tests["statistic"].iloc[0] == "deviance"
    assert 1.3 < found.c_hat < 2.8 and found.p_value < 0.1


def test_median_c_hat_of_pairs():
    found = median_c_hat(pairs(), 60, points=5, workers=1)
    assert 1.4 < found.c_hat < 2.8 and 0 < found.se < 0.5
    assert found.table["above"].iloc[0] < 0.3 < 0.7 < found.table["above"].iloc[-1]
    assert "median c-hat" in str(found)
    assert median_c_hat(pairs(), 60, points=5, workers=1).c_hat == found.c_hat


def test_data_that_vary_less_than_chance_have_a_c_hat_of_one():
    """Every cohort divided exactly as the model expects."""
    even = ["1111", "1110", "1101", "1100", "1011", "1010", "1001", "1000"]
    model = CJS(EncounterHistory.from_strings(even, frequency=[20] * 8))
    expected = history_table(model, model.at(phi=0.8, p=0.6).vector)["expected"]
    h = EncounterHistory.from_strings(even, frequency=np.maximum(expected.round().astype(int)[::-1], 1))
    found = median_c_hat(CJS(h).fit(), 40, points=4, workers=1)
    assert found.c_hat == 1.0 and "median c-hat 1.000" in str(found)


@pytest.mark.parametrize("c", [1.0, 1.6, 3.0])
def test_animals_together_have_the_variance_asked_for(c):
    model = CJS(EncounterHistory(np.eye(4, dtype=int)[:2], frequency=[400, 300]))
    vector = model.at(phi=0.7, p=0.5).vector
    again = [(simulate_together(model, vector, c, s).states.sum(axis=1) > 1).sum() for s in range(200)]
    alone = [(model.simulate(vector, s).states.sum(axis=1) > 1).sum() for s in range(200)]
    assert np.var(again) / np.var(alone) == pytest.approx(c, rel=0.4)
    assert np.mean(again) == pytest.approx(np.mean(alone), rel=0.02)


def test_states_are_taken_together_and_that_is_said():
    h = histories(3, n=40)
    two = EncounterHistory(np.where(h.states > 0, 1 + (np.arange(40) % 2)[:, None], 0), h.frequency)
    with pytest.warns(SurveyWarning, match="all states count as met.*not of a multistate model"):
        found = goodness_of_fit(two)
    assert found.overall == goodness_of_fit(EncounterHistory(h.states, h.frequency)).overall


def test_median_c_hat_refusals():
    fit = pairs(10)
    with pytest.raises(SurveyError, match="four surveys"):
        median_c_hat(fit, 10)
    with pytest.raises(SurveyError, match="upper must be above 1"):
        median_c_hat(fit, 100, upper=1.0)
    from uncia.models.marked.closed import ClosedCapture

    with pytest.raises(SurveyError, match="given first encounters"):
        median_c_hat(ClosedCapture(fit.model.history).fit(), 100)
