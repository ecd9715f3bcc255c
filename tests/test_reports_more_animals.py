"""Forms of reports between occasions, of samples and of two species: they run, and what is wrong is said in words."""

from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import small_sites

from uncia import models, survey
from uncia.reports import report, words
from uncia.reports.analysis import analyse
from uncia.reports.live_dead.form import MODELS as LIVE_DEAD
from uncia.reports.reproduce import reproduce
from uncia.reports.results import results_of, schema
from uncia.reports.samples.form import MODELS as SAMPLES
from uncia.reports.study import read_study
from uncia.reports.texts import texts

TEXTS = texts("en")
PATROLS = Path(__file__).parent.parent / "examples" / "ranger_patrols"
QUIET = "[report]\ngoodness = 0\n"


def made(folder, form):
    (folder / "survey.toml").write_text(small_sites.HEAD + form, encoding="utf-8")
    return analyse(read_study(folder))


def refused(folder, form):
    with pytest.raises(survey.SurveyError) as error:
        made(folder, form)
    return str(error.value)


def reported(analysis, folder, said):
    """The report is written, says so, and its numbers come out again."""
    assert words.headline(analysis, TEXTS).startswith(said)
    assert TEXTS.of_model(type(analysis.fit.model).__name__), "en.toml says in a sentence what the model means"
    jsonschema.validate(results_of(analysis), schema())
    page = report.write_report(analysis, folder / "report")
    assert reproduce(page.parent).same
    return page.read_text("utf-8")


# ---- live and dead --------------------------------------------------------------------------------------------------

TABLES = '[data]\nformat = "live-dead"\npath = "met.csv"\nreports = "reports.csv"\ninterval_unit = "year"\n'


def live_dead(folder, alive=True):
    """150 animals marked over five years that live on with 0.7; some are found dead, or seen alive in between."""
    rng, met, told = np.random.default_rng(5), [], []
    for i in range(150):
        for t in range(i % 4, 5):
            if t == i % 4 or rng.random() < 0.5:
                met.append((f"A{i}", 2020 + t))
            if rng.random() > 0.7:
                told += [(f"A{i}", 2020 + t, "dead")] if rng.random() < 0.5 else []
                break
            told += [(f"A{i}", 2020 + t, "alive")] if alive and rng.random() < 0.3 else []
    pd.DataFrame(met, columns=["animal", "occasion"]).to_csv(folder / "met.csv", index=False)
    pd.DataFrame(told, columns=["animal", "after", "found"]).to_csv(folder / "reports.csv", index=False)
    return pd.DataFrame(met, columns=["animal", "occasion"]), pd.DataFrame(told, columns=["animal", "after", "found"])


def test_every_model_of_live_and_dead_is_asked_for_here():
    assert {model.__name__ for model in LIVE_DEAD} == {"Burnham", "Barker"}


@pytest.mark.parametrize("model", [models.Burnham, models.Barker])
def test_a_form_of_live_and_dead_animals(model, tmp_path):
    tables = live_dead(tmp_path, alive=model is models.Barker)
    fixed = "F = 1.0\n" + ("R_prime = 0.0\n" if model is models.Barker else "")
    entry = small_sites.models(f'name = "one"\nmodel = "{model.__name__}"\n{fixed}')
    analysis = made(tmp_path, TABLES + entry + QUIET)
    history = survey.LiveDeadHistory.from_table(*tables)
    expected = model(history, F=1.0, **({"R_prime": 0.0} if model is models.Barker else {})).fit()
    assert analysis.fit.loglik == pytest.approx(expected.loglik, abs=1e-6)
    page = reported(analysis, tmp_path, "150 cats were met ")
    assert f"{history.n_found_dead} animals were found dead and reported" in page and "2020 to 2024" in page
    paths = {entry["path"] for entry in results_of(analysis)["inputs"]}
    assert {"met.csv", "reports.csv"} <= paths


def test_an_inp_file_of_live_and_dead_animals(tmp_path):
    (tmp_path / "cats.inp").write_text("101010 9;\n100000 8;\n101100 7;\n110000 6;\n001010 9;\n001100 4;\n000010 3;\n")
    data = '[data]\nformat = "live-dead-inp"\npath = "cats.inp"\nintervals = [1, 1, 0.5]\n'
    entry = small_sites.models('name = "one"\nmodel = "Burnham"\nF = 1.0')
    analysis = made(tmp_path, data + entry + QUIET)
    assert analysis.study.reported.n_found_dead == 17
    assert list(analysis.study.reported.intervals) == [1.0, 1.0, 0.5]


def test_what_is_wrong_with_reports_is_told_with_its_rows(tmp_path):
    live_dead(tmp_path)
    (tmp_path / "reports.csv").write_text(
        "animal,after,found\nA0,2020,dead\nB9,2020,dead\nA1,1999,alive\nA2,2022,lost\n"
    )
    said = refused(tmp_path, TABLES + small_sites.models('name = "one"\nmodel = "Barker"'))
    assert said.startswith("3 problems in the input:")
    assert "reports.csv, row 3: a report is of an animal that was never met (found 'B9')" in said
    assert "reports.csv, row 4: a report follows an occasion that is not listed (found 1999)" in said
    assert "reports.csv, row 5: an animal is found 'dead' or 'alive' (found 'lost'). Use one of the two" in said
    said = refused(tmp_path, TABLES.replace('reports = "reports.csv"\n', "") + small_sites.models("model = 'Burnham'"))
    assert "data in the format 'live-dead' need the key 'reports'. Add reports = …" in said
    said = refused(tmp_path, TABLES)
    assert "the form has no models. Add [[models]] with a name and a model (Barker, Burnham)" in said


# ---- samples --------------------------------------------------------------------------------------------------------

SCATS = '[data]\nformat = "samples"\npath = "scats.csv"\n'


def test_a_form_of_samples(tmp_path):
    assert [model.__name__ for model in SAMPLES] == ["Capwire"]
    counts = [1] * 12 + [2] * 8 + [3] * 4 + [6] * 2
    rows = [f"A{i}" for i, n in enumerate(counts) for _ in range(n)]
    pd.DataFrame({"sample": range(len(rows)), "animal": rows}).to_csv(tmp_path / "scats.csv", index=False)
    entries = small_sites.models('name = "equal"', 'name = "two"\nmodel = "Capwire"\nrates = "two"')
    analysis = made(tmp_path, SCATS + entries + QUIET)
    expected = models.Capwire(counts, "two").fit().derive().set_index("quantity").loc["abundance"]
    told = analysis.estimates.query("model == 'two' and quantity == 'abundance'").iloc[0]
    assert told["estimate"] == pytest.approx(expected["estimate"], rel=1e-6)
    page = reported(analysis, tmp_path, "52 samples came from 26 cats. We estimate ")
    assert "12 animals left one sample only" in page and 'id="F34"' in page


def test_samples_may_be_counted_before(tmp_path):
    (tmp_path / "scats.csv").write_text("animal,count\nA,3\nB,1\nC,2\nA,1\n")
    assert dict(survey.read_samples(tmp_path / "scats.csv").times) == {1: 1, 2: 1, 4: 1}


def test_what_is_wrong_with_samples_is_told_with_its_rows(tmp_path):
    (tmp_path / "scats.csv").write_text("animal,count\nA,3\n,1\nC,0\n")
    said = refused(tmp_path, SCATS)
    assert "scats.csv, row 3" in said and "scats.csv, row 4" in said
    (tmp_path / "scats.csv").write_text("animal\nA\nB\nC\n")
    (tmp_path / "survey.toml").write_text(small_sites.HEAD + SCATS)
    assert read_study(tmp_path).findings.ids == ("no-animal-found-again",)
    assert "[models] has no key 'rate'. Did you mean 'rates'?" in refused(
        tmp_path, SCATS + small_sites.models("name = 'a'\nrate = 'two'")
    )


# ---- two species ----------------------------------------------------------------------------------------------------

BOTH = '[data]\nformat = "visits"\npath = "visits.csv"\nsites = "sites.csv"\ncolumns = { value = "cat" }\n'
SECOND = '[second]\ncommon_name = "foxes"\nvalue = "fox"\n'
PAIR = small_sites.models('name = "one"\nmodel = "TwoSpeciesOccupancy"\nf1 = "~ slope"')


def both(folder):
    table = small_sites.visits(n=60, seed=4)
    table["fox"] = small_sites.visits(n=60, seed=9)["value"].replace("", 0)
    table.loc[table["value"] == "", "fox"] = ""
    small_sites.sites(folder, "", table)
    table.rename(columns={"value": "cat"}).to_csv(folder / "visits.csv", index=False)


def test_a_form_of_two_species(tmp_path):
    both(tmp_path)
    analysis = made(tmp_path, BOTH + SECOND + PAIR + QUIET)
    columns = {"value": "cat"}, {"value": "fox"}
    pair = [survey.read_visits(tmp_path / "visits.csv", sites=tmp_path / "sites.csv", columns=c) for c in columns]
    expected = models.TwoSpeciesOccupancy(*pair, f1="~ slope").fit()
    assert analysis.fit.loglik == pytest.approx(expected.loglik, abs=1e-6)
    found = [int(history.detected.sum()) for history in pair]
    page = reported(analysis, tmp_path, f"Cats were found at {found[0]} of 60 sites visited, foxes at {found[1]}. ")
    assert "A site is used by foxes where there are no cats with probability " in page
    assert 'id="F20"' in page and 'id="F21"' in page and "Visits that found foxes" in page
    assert analysis.study.findings["effort-ignored"].fix == "Give effort in the formulas of p1 and p2"
    assert all(finding.what.startswith(("cats: ", "foxes: ")) for finding in analysis.study.findings.items)


def test_the_second_species_of_a_matrix_is_one_of_its_own(tmp_path):
    rng = np.random.default_rng(2)
    for name in ("cats", "foxes"):
        found = pd.DataFrame(rng.random((40, 4)) < 0.5 * (rng.random((40, 1)) < 0.6), columns=list("abcd"))
        found.astype(int).rename_axis("site").to_csv(tmp_path / f"{name}.csv")
    data = '[data]\nformat = "matrix"\npath = "cats.csv"\n[second]\ncommon_name = "foxes"\npath = "foxes.csv"\n'
    analysis = made(tmp_path, data + small_sites.models('name = "one"\nmodel = "TwoSpeciesOccupancy"') + QUIET)
    second = survey.read_matrix(tmp_path / "foxes.csv")
    assert analysis.study.second.equals(second) and not analysis.study.history.equals(second)
    assert {"cats.csv", "foxes.csv"} <= {entry["path"] for entry in results_of(analysis)["inputs"]}


def test_the_second_species_of_patrols_is_told_by_its_name(tmp_path):
    text = (PATROLS / "survey.toml").read_text("utf-8")
    for name in ("tracks", "smart.csv", "mapping.toml", "plateau.gpkg", "rugged.tif"):
        text = text.replace(f'"{name}"', f'"{(PATROLS / name).as_posix()}"')
    text = text[: text.index("[[models]]")].replace("segment_km = 1", 'period = "month"')
    second = '[second]\nspecies = "Vulpes vulpes"\ncommon_name = "foxes"\n'
    (tmp_path / "survey.toml").write_text(text + second + PAIR.replace("slope", "rugged") + QUIET, encoding="utf-8")
    study = read_study(tmp_path)
    assert study.history.detected.sum() == 30 and study.second.detected.sum() > 40
    np.testing.assert_array_equal(study.history.effort, study.second.effort)
    assert "rugged" in study.second.sites


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (BOTH + PAIR, "lacks the key 'second'. Add second = …"),
        (
            BOTH + SECOND.replace('value = "fox"\n', "") + PAIR,
            "'visits' do not say which findings are of the second species. Add value = … in [second]",
        ),
        (BOTH + SECOND.replace('"fox"', '"wolf"') + PAIR, "'wolf'"),
        (
            '[data]\nformat = "camtrap-dp"\npath = "d"\n[second]\ncommon_name = "foxes"\nspecies = "V"\n' + PAIR,
            "[survey] does not say which findings are of the first species. Add species = …",
        ),
        (BOTH + SECOND + PAIR.replace("f1", "f3"), "[models] has no key 'f3'"),
    ],
)
def test_what_is_wrong_with_two_species_is_told(form, expected, tmp_path):
    both(tmp_path)
    assert expected in refused(tmp_path, form)
