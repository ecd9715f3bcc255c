"""The example of two parks over a decade: made again, read, and its committed results beside the truth."""

import json
import runpy
from pathlib import Path

import pytest

from uncia.reports.analysis import analyse
from uncia.reports.files import digest
from uncia.reports.results import read_results
from uncia.reports.study import read_study

HERE = Path(__file__).parent.parent / "examples" / "08_transboundary_decade"
SPECIES = {"tigers": "Panthera tigris", "leopards": "Panthera pardus"}


@pytest.fixture(scope="module")
def truth():
    return json.loads((HERE / "truth.json").read_text("utf-8"))


def test_it_is_made_again(tmp_path):
    runpy.run_path(str(HERE / "make.py"))["main"](tmp_path)
    made = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert len(made) == 7
    for name in made:
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes(), name
    assert sum(p.stat().st_size for p in HERE.rglob("*") if p.is_file() and "report" not in p.parts) < 1e6


@pytest.mark.parametrize("kind", SPECIES)
def test_the_committed_results_cover_the_truth(kind, truth):
    """Of the first and last year and of nearly all others, of survival, ranges and moves; and of these very files.

    Recruitment is one number over ten years, which chance is not: a year may lie outside.
    """
    results, _ = read_results(HERE / "results" / f"{kind}.json")
    found = {(e["quantity"], e["scope"]): e for e in results["estimates"] if e["model"] == results["reported"]}
    true = truth[SPECIES[kind]]
    assert results["reported"] == "activity centres move"
    covered = []
    for year, animals in true["animals"].items():
        covered.append(
            found["expected abundance", year]["lower"] < animals < found["expected abundance", year]["upper"]
        )
    assert covered[0] and covered[-1] and sum(covered) >= 9
    named = {"survival": "survival per year", "sigma": "sigma, m"}
    named |= {"scale of movement": "scale of yearly moves, m per axis"}
    for quantity, name in named.items():
        assert found[quantity, "all"]["lower"] < true[name] < found[quantity, "all"]["upper"], quantity
    for entry in results["inputs"]:
        assert digest(HERE / entry["path"]) == entry["sha256"], entry["path"]


def test_both_parks_of_one_winter(truth):
    """Matched animals are counted once; without matching the bounds hold."""
    together, apart = (read_study(HERE / name) for name in ("parks_tigers.toml", "not_compared.toml"))
    overlap = together.joined.overlap().iloc[0]
    assert overlap["in several"] > 0
    assert overlap["all"] == overlap["west"] + overlap["east"] - overlap["in several"]
    assert apart.captures.n_animals == overlap["west"] + overlap["east"]
    assert together.captures.n_animals == overlap["all"]
    assert not {"cub", "ET003b"} & set(together.captures.animals.index)
    told = analyse(together).told("expected abundance")
    assert told["lower"] < truth[SPECIES["tigers"]]["animals"]["2025"] < told["upper"]
    rows = analyse(apart).estimates.set_index(["quantity", "scope"])
    both = rows.loc["animals detected by several parks", "all masks"]
    assert both["lower"] < overlap["in several"] + 2 and both["upper"] > overlap["in several"] - 2
