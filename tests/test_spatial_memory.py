"""The memory of a large fit is said before it starts, and refused where it is not there."""

import logging

import pytest
import scr_problems

from uncia.models.spatial import memory
from uncia.survey.errors import SurveyError


def test_memory_is_linear_in_cells_and_grows_with_the_terms_of_density():
    cells = [memory.needed(m, 0, 0, 1) for m in (0, 10**6, 3 * 10**6)]
    assert cells[2] - cells[0] == pytest.approx(3 * (cells[1] - cells[0]))
    assert memory.needed(10**6, 0, 0, 4) > cells[1]
    # measured, 10,000 detectors and 8,000 animals: 0.96 and 1.19 GB, and 1.63 and 2.54 where density is written out
    found = [memory.needed(10**7, 10_000, 8_000, terms, linear) for linear in (True, False) for terms in (1, 4)]
    assert found == pytest.approx([1.14, 1.38, 1.86, 2.82], abs=0.02)


def test_a_model_knows_its_memory_and_a_small_one_says_nothing(caplog):
    with caplog.at_level(logging.INFO, logger="uncia"):
        model = scr_problems.surveyed("proximity")
    assert 0.0 < model.memory < 0.01
    assert not caplog.records


def test_a_large_need_is_said(monkeypatch, caplog):
    monkeypatch.setattr(memory, "LARGE", 0.0)
    with caplog.at_level(logging.INFO, logger="uncia"):
        scr_problems.surveyed("proximity")
    assert "cells: the fit needs about 0.0 GB of memory" in caplog.text


def test_a_fit_that_does_not_fit_is_refused_with_advice(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1e-6)
    with pytest.raises(SurveyError, match=r"needs about 0\.0 GB of memory and 0\.0 GB are free") as caught:
        scr_problems.surveyed("proximity")
    assert "wider spacing" in str(caught.value)
    assert "cells" in str(caught.value)


def test_what_the_system_does_not_say_is_not_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    assert scr_problems.surveyed("proximity").memory > 0.0


def test_free_memory_is_read():
    free = memory.available()
    assert free is None or free > 0.01
