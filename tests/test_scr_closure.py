"""The closure test against enumeration, and on populations that are open."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scr_problems import detectors

from uncia import models, survey
from uncia.models.spatial.closure import span_moments
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
