"""The closure test against enumeration, and on populations that are open."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from scr_problems import detectors

from uncia import models, survey
from uncia.models.spatial.fit_checks.closure import span_moments
from uncia.models.spatial.fit_checks.closure_tables import by_tables
from uncia.survey.errors import SurveyError


def history(table: np.ndarray, effort=None) -> survey.CaptureHistory:
    """Animals [n] on occasions [t] at one of nine cameras."""
    d = detectors("proximity", occasions=table.shape[1], gaps=False)
    if effort is not None:
        d = survey.Detectors(list(d.id), d.x, d.y, effort, "proximity")
    i, s = np.nonzero(table)
    frame = pd.DataFrame({"animal": [f"a{k:02d}" for k in i], "occasion": s + 1, "detector": "C05"})
    return survey.CaptureHistory(frame, d)


@pytest.mark.parametrize(("k", "t"), [(2, 5), (3, 7), (6, 6)])
def test_moments_of_the_span_by_enumeration(k, t):
    spans = np.array([c[-1] - c[0] for c in combinations(range(t), k)], float)
    mean, variance = span_moments(np.array([float(k)]), t)
    assert mean[0] == pytest.approx(spans.mean())
    assert variance[0] == pytest.approx(spans.var())


def test_draws_with_the_margins_are_uniform_over_the_tables():
    table = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]], bool)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    spans = []
    for cells in product([0, 1], repeat=12):
        other = np.reshape(cells, (3, 4))
        if (other.sum(axis=1) == rows).all() and (other.sum(axis=0) == columns).all():
            last = 3 - other[:, ::-1].argmax(axis=1)
            spans.append((last - other.argmax(axis=1)).mean())
    found = models.closure_test(history(table), draws=3000)
    assert found.expected_given_margins == pytest.approx(np.mean(spans), abs=0.02)
    assert found.p_margins == pytest.approx(np.mean(np.array(spans) <= found.span + 1e-9), abs=0.04)


def test_an_open_population_and_a_closed_one():
    rng = np.random.default_rng(8)
    closed = rng.random((60, 10)) < 0.3
    fine = models.closure_test(history(closed), draws=200)
    assert fine.p_otis > 0.05
    assert fine.p_margins > 0.05
    there = (np.arange(10) >= 5) == (np.arange(60) % 2 == 0)[:, None]  # half of them leave when the other half comes
    bad = models.closure_test(history(closed & there), draws=200)
    assert bad.p_otis < 0.001
    assert bad.p_margins < 0.01
    assert "no places used" in str(bad)


def test_occasions_that_differ_trouble_only_the_first_test():
    rng = np.random.default_rng(2)
    p = np.where(np.arange(12) < 4, 0.6, 0.04)  # the first third found nearly everything
    found = models.closure_test(history(rng.random((60, 12)) < p), draws=200)
    assert found.p_otis < 0.001
    assert found.p_margins > 0.05


def test_what_cannot_be_tested():
    with pytest.raises(SurveyError, match="no animal was detected on two occasions"):
        models.closure_test(history(np.eye(4, dtype=bool)))
    rng = np.random.default_rng(1)
    both = {"scat": history(rng.random((9, 4)) < 0.5), "camera": history(rng.random((9, 6)) < 0.5)}
    with pytest.raises(SurveyError, match="the methods have different occasions"):
        models.closure_test(survey.together(both))
    effort = np.ones((4, 9))
    effort[2:] = 0.0
    table = np.zeros((3, 4), bool)
    table[:, :2] = True
    with pytest.raises(SurveyError, match="at least three occasions with effort"):
        models.closure_test(history(table, effort))


# ---- tables (Stanley & Burnham 1999) ---------------------------------------------------------------------------------


def drawn(rng, animals: int = 100, t: int = 8, come: bool = False, go: bool = False) -> np.ndarray:
    """Detections of animals of which half come late, or go early, if they do at all; those detected."""
    s, half = np.arange(t), np.arange(animals)[:, None] % 2 == 0
    there = ~half | (s >= rng.integers(2, t, (animals, 1))) if come else np.ones((animals, t), bool)
    there = there & (~half | (s <= rng.integers(0, t - 2, (animals, 1)))) if go else there
    table = (rng.random((animals, t)) < np.where(s % 2, 0.3, 0.2)) & there
    return table[table.any(axis=1)]


def test_the_tables_are_those_counted_animal_by_animal():
    table = drawn(np.random.default_rng(4))
    t, of = table.shape[1], {"additions": [0.0, 0], "losses": [0.0, 0]}
    for i in range(1, t - 1):
        count = dict.fromkeys("mzuvgr", 0)
        for row in table:
            before, on, after = row[:i].any(), row[i], row[i + 1 :].any()
            count["m"] += before and on
            count["z"] += before and not on and after
            count["u"] += on and not before
            count["v"] += not before and not on
            count["g"] += before and not on and not after
            count["r"] += on and after
        m, z, u, v, g, r = (int(count[name]) for name in "mzuvgr")
        for name, cells in (("additions", [[m, z], [u, v]]), ("losses", [[z, g], [r, m + u - r]])):
            found = chi2_contingency(cells, correction=False)
            if found.expected_freq.min() >= 2.0:
                of[name][0] += found.statistic
                of[name][1] += 1
    found = by_tables(table).set_index("test")
    for name, words in (("additions", "additions (NR against JS)"), ("losses", "losses (NM against JS)")):
        assert found.loc[words, ["chi_square", "df"]].tolist() == pytest.approx(of[name])
    whole = found["chi_square"]
    parts = whole["additions (NR against JS)"] + whole["losses, if there are no additions (Mt against NR)"]
    assert whole["closed (Mt) against open (JS)"] == pytest.approx(parts)


def test_the_numbers_of_a_closed_population_have_no_misfit():
    histories = np.array([h for h in product([False, True], repeat=3) if any(h)])
    p = np.array([0.5, 0.25, 0.5])  # of 64 animals, exactly as expected
    number = np.rint(64 * np.prod(np.where(histories, p, 1 - p), axis=1)).astype(int)
    found = by_tables(np.repeat(histories, number, axis=0))
    np.testing.assert_allclose(found["chi_square"], 0.0, atol=1e-9)
    assert found["df"].tolist() == [2, 1, 1, 1, 1]


def test_each_of_the_tables_notices_what_it_is_for():
    rng = np.random.default_rng(1)
    worlds = {"closed": {}, "come": {"come": True}, "go": {"go": True}}
    p = {name: np.array([by_tables(drawn(rng, **w))["p"] for _ in range(60)]) for name, w in worlds.items()}
    low = {name: np.nanmean(x < 0.05, axis=0) for name, x in p.items()}
    assert (low["closed"] < 0.17).all()  # 5 %, and chance
    assert low["come"][1] > 0.25 and low["come"][4] > 0.25 and max(low["come"][2:4]) < 0.17
    assert low["go"][2] > 0.25 and low["go"][3] > 0.25 and max(low["go"][[1, 4]]) < 0.17


def test_too_few_animals_for_tables_is_said():
    few = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    found = models.closure_test(history(few), draws=20)
    assert found.tables["p"].isna().all() and "too few animals for the tables" in str(found)
    many = models.closure_test(history(drawn(np.random.default_rng(2))), draws=20)
    assert "additions (NR against JS): chi-square" in str(many)
