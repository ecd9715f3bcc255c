"""The plateau: made again, totals that cover the truth, a report that comes out the same."""

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from uncia.reports import report
from uncia.reports.analysis import analyse
from uncia.reports.reproduce import reproduce
from uncia.reports.study import read_study

PLATEAU = Path(__file__).parent.parent / "examples" / "09_plateau"


def test_the_data_are_made_again(tmp_path):
    runpy.run_path(str(PLATEAU / "make.py"))["main"](tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (PLATEAU / path.name).read_bytes(), path.name


def test_the_example_is_small():
    assert sum(p.stat().st_size for p in PLATEAU.rglob("*") if p.is_file()) < 1e6


@pytest.fixture(scope="module")
def totals(tmp_path_factory):
    out = tmp_path_factory.mktemp("plateau")
    return runpy.run_path(str(PLATEAU / "totals.py"))["main"](PLATEAU, out), out


def test_totals_have_both_parts_of_their_error_and_cover_the_truth(totals):
    table, out = totals
    truth = json.loads((PLATEAU / "truth.json").read_text("utf-8"))["animals"]
    whole = table[table["stratum"] == "all"].set_index("year")
    for year, N in truth.items():
        assert whole.loc[int(year), "lower"] <= N <= whole.loc[int(year), "upper"]
    parts = table[table["stratum"] != "all"]
    assert np.hypot(parts["se_design"], parts["se_model"]).to_numpy() == pytest.approx(parts["se"].to_numpy())
    by_year = parts.groupby("year")
    assert whole["se_design"].to_numpy() ** 2 == pytest.approx(
        by_year["se_design"].agg(lambda s: (s**2).sum()).to_numpy()
    )
    assert whole["se_model"].to_numpy() == pytest.approx(by_year["se_model"].sum().to_numpy(), rel=1e-4)  # shared
    known = pd.read_csv(PLATEAU / "totals.csv")
    assert table["animals"].to_numpy() == pytest.approx(known["animals"].to_numpy(), abs=0.01)
    assert (out / "survey.toml").read_text("utf-8") == (PLATEAU / "survey.toml").read_text("utf-8")


def test_the_report_of_both_years_is_reproduced(tmp_path):
    analysis = analyse(read_study(PLATEAU))
    low, high = np.expm1(analysis.trend.log_change().limits)
    assert low <= -0.2 <= high and high < 0
    page = report.write_report(analysis, tmp_path / "report")
    assert reproduce(tmp_path / "report", PLATEAU).same
    assert 'id="T55"' in page.read_text("utf-8")


def test_where_the_animals_are(tmp_path):
    study = read_study(PLATEAU / "where.toml")
    assert study.history.n_sites == 1200 and study.history.visited.sum() == 150
