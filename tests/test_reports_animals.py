"""Reports of marked and of monitored animals from survey.toml: numbers, survival, recruitment, the same again."""

import json
import re

import jsonschema
import numpy as np
import pandas as pd
import pytest
import small_sites
import small_survey

from uncia import models, survey
from uncia.models.summary import number
from uncia.reports import report, words
from uncia.reports.analysis import analyse
from uncia.reports.encounters.form import MODELS
from uncia.reports.reproduce import reproduce
from uncia.reports.results import results_of, schema
from uncia.reports.study import merge_alike, read_study
from uncia.reports.tables import tables_of
from uncia.reports.texts import texts

TEXTS = texts("en")
QUICK = "[report]\ngoodness = 0\nmodel = '{}'\n"


def ids(folder):
    return set(re.findall(r'(?:figure|div class="table") id="(\w+)"', (folder / "report.html").read_text("utf-8")))


def analysis_of(form):
    return analyse(read_study(form))


# ---- marked animals -------------------------------------------------------------------------------------------------

STAGES = small_sites.histories(stages=2)
PAIRS = 'states = ["young", "old"]\nmoves = [[false, true], [false, true]]\nphi = "~ state"\np = "~ 1"'
SEXES = small_sites.histories()  # met as 1 female, 2 male, 3 not known which
SEXES[list(range(2020, 2026))] *= np.where(SEXES["sex"] == "male", 2, 1)[:, None]
SEXES[2022] = np.where(SEXES[2022] > 0, 3, 0)
ASKED = {
    "ClosedCapture": ("c = '~ 1'", None),
    "LogLinear": ("heterogeneity = 'chao'", None),
    "MisidentifiedCapture": ("alpha = 0.95", None),
    "CJS": ("phi = '~ sex'", None),
    "Pradel": ("", None),
    "JollySeber": ("f = '~ 1'", None),
    "Multistate": (PAIRS, STAGES),
    "Multievent": ('states = ["female", "male"]\nphi = "~ 1"\nmoves = [[true, false], [false, true]]', SEXES),
}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_how_much_groups_differ_is_a_table_beside_the_coefficients(tmp_path, language):
    table = small_sites.histories(n=120)
    table["den"] = [f"den {i % 8}" for i in range(len(table))]
    rng, often = np.random.default_rng(1), table["den"].isin([f"den {k}" for k in range(4)])
    years = list(range(2020, 2026))
    table[years] = np.where(often.to_numpy()[:, None] | (rng.random((len(table), 6)) < 0.4), table[years], 0)
    form = small_sites.models('name = "dens"\nmodel = "CJS"\np = "~ 1 + (1 | den)"') + QUICK.format("dens")
    small_sites.marked(tmp_path, form + f'language = "{language}"\n', table[table[years].any(axis=1)])
    found, told = analysis_of(tmp_path), texts(language)
    text = report.page(found, results_of(found), {}, told)
    assert told.missing <= {"den"}
    row = found.fit.variation().iloc[0]
    shown = tables_of(found, told)["T13"].frame
    kind = {"en": "standard deviation", "zh": "标准差"}[language]
    limits = f"{number(row['lower'])} – {number(row['upper'])}"
    assert shown.iloc[0].tolist() == ["p", "1 | den", kind, "8", number(row["estimate"]), number(row["se"]), limits]
    assert row["lower"] > 0 and text.index('id="T11"') < text.index('id="T13"') < text.index('id="T14"')


def test_every_model_that_is_asked_for_is_one_of_marked_animals():
    assert set(ASKED) <= {model.__name__ for model in MODELS}


@pytest.mark.parametrize("model", ASKED)
def test_every_model_is_reported(model, tmp_path):
    lines, table = ASKED[model]
    entry = small_sites.models(f'name = "one"\nmodel = "{model}"\n{lines}')
    made = analysis_of(small_sites.marked(tmp_path, entry + QUICK.format("one"), table))
    assert type(made.fit.model).__name__ == model
    history = made.study.history
    said = words.headline(made, TEXTS)
    assert said.startswith(f"{history.n_animals} cats were met {history.n_encounters} times. ")
    assert {"T1", "T8", "T9", "T11", "T30", "T31"} <= set(tables_of(made, TEXTS))
    jsonschema.validate(results_of(made), schema())
    assert TEXTS.of_model(model), "en.toml says in a sentence what the model means"


def test_the_estimates_are_those_of_the_model(tmp_path):
    entry = small_sites.models('name = "sexes"\nmodel = "CJS"\nphi = "~ sex"')
    made = analysis_of(small_sites.marked(tmp_path, entry + QUICK.format("sexes")))
    fit = models.CJS(survey.read_histories(tmp_path / "histories.csv"), phi="~ sex").fit()
    expected = fit.derive().set_index(["quantity", "scope"])["estimate"]
    told = made.estimates.set_index(["quantity", "scope"])["estimate"]
    assert told["survival", "sex = female"] == pytest.approx(expected["survival", "sex = female"], rel=1e-6)


def test_a_page_of_open_populations(tmp_path):
    entry = small_sites.models('name = "own"\nmodel = "JollySeber"', 'name = "same"\nmodel = "JollySeber"\nf = "~ 1"')
    made = analysis_of(small_sites.marked(tmp_path, entry + QUICK.format("own")))
    folder = report.write_report(made, tmp_path / "report").parent
    assert {"T12", "T32", "F30", "F31", "F32a", "F33"} <= ids(folder)
    text = (folder / "report.html").read_text("utf-8")
    assert "There were 6 occasions, from 2020 to 2025;" in text and "TEST 2 and TEST 3 together" in text
    assert "in 2020; 95" in text and "occasion 1" not in text  # occasions have their names
    rows = made.estimates.query("model == 'own' and quantity == 'recruits'")
    assert list(rows["scope"]) == [f"{y} to {y + 1}" for y in range(2020, 2025)]
    again = reproduce(folder)
    assert again.same and any("TEST 2 and TEST 3" in number.what for number in again.numbers)


def test_models_of_different_kinds_are_reported_by_name_only(tmp_path):
    entry = small_sites.models('name = "a"\nmodel = "CJS"', 'name = "b"\nmodel = "JollySeber"')
    made = analysis_of(small_sites.marked(tmp_path, entry))
    with pytest.raises(survey.SurveyError, match=r"cannot be compared.*Name one as report\.model"):
        _ = made.reported


def test_an_inp_file_and_its_groups(tmp_path):
    (tmp_path / "cats.inp").write_text("1101 4 2;\n0111 3 3;\n1000 5 4;\n0100 2 6;\n0011 3 1;\n")
    (tmp_path / "survey.toml").write_text(
        small_sites.HEAD
        + '[data]\nformat = "inp"\npath = "cats.inp"\ngroups = { sex = ["male", "female"] }\n'
        + small_sites.models('name = "sexes"\nmodel = "CJS"\nphi = "~ sex"')
    )
    made = analysis_of(tmp_path / "survey.toml")
    assert made.study.history.n_animals == 33
    assert set(made.estimates.query("quantity == 'survival'")["scope"]) == {"sex = male", "sex = female"}
    assert "T31" not in tables_of(made, TEXTS)  # a row of the file stands for several animals


def test_the_identities_of_cameras_become_encounters(tmp_path):
    form = small_survey.write(tmp_path)
    text = form.read_text("utf-8")
    entry = small_sites.models('name = "M0"\nmodel = "ClosedCapture"') + QUICK.format("M0")
    form.write_text(text[: text.index("[mask]")] + entry, encoding="utf-8")
    made = analysis_of(form)
    assert made.study.history.n_animals == 14 and made.study.history.n_occasions == 20
    assert "T16" in tables_of(made, TEXTS)
    assert made.told("abundance")["estimate"] >= 14


def test_estimates_that_are_one_number_are_one_row():
    rows = pd.DataFrame({"scope": ["age = 0.0", "age = 1.0", "age = 2.0"], "estimate": [0.5, 0.5, 0.9], "se": np.nan})
    merged = merge_alike(rows)
    assert list(merged["scope"]) == ["age = 0 to 1", "age = 2.0"] and list(merged.columns) == list(rows.columns)


# ---- monitored animals ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    entries = small_sites.models('name = "same"', 'name = "species"\nmortality = "~ species"')
    return analysis_of(small_sites.monitored(folder, entries + "[report]\nmodel = 'species'\nhorizon = 26\n"))


def test_survival_to_the_horizon_of_every_kind_of_animal(released):
    rows = released.estimates.query("model == 'species' and quantity == 'survival'")
    assert list(rows["scope"]) == ["over 26 weeks, species = desert cat", "over 26 weeks, species = lynx"]
    for species, row in zip(("desert cat", "lynx"), rows.itertuples(), strict=True):
        last = released.fit.survival(26, species=species).iloc[-1]
        assert (row.estimate, row.lower, row.upper) == (last["estimate"], last["lower"], last["upper"])
    said = words.headline(released, TEXTS)
    assert re.match(r"30 cats were followed, of which \d+ died\. Survival is \d+ % \(over 26 weeks, species = ", said)


def test_survival_without_a_model_stands_beside(released):
    observed = models.kaplan_meier(released.study.animals).set_index("period").loc[26]
    told = released.story.outline(TEXTS)[1][1][1]
    assert told.startswith(f"Without a model, {words.percent(observed['estimate'])} of all animals survive 26 weeks")


def test_a_page_of_released_animals(released):
    folder = report.write_report(released, released.study.folder / "report").parent
    assert {"T1", "T8", "T9", "T40", "T41", "T42", "F40", "F41", "F42"} <= ids(folder)
    assert reproduce(folder).same
    results = json.loads((folder / "results.json").read_text("utf-8"))
    jsonschema.validate(results, schema())
    assert "goodness" not in results and results["config"]["report"]["horizon"] == 26


def test_time_since_release_is_another_clock_than_the_calendar(tmp_path):
    own = read_study(small_sites.monitored(tmp_path, small_sites.models('name = "same"'))).animals
    text = (tmp_path / "survey.toml").read_text("utf-8").replace('clock = "entry"', 'clock = "calendar"')
    (tmp_path / "survey.toml").write_text(text, encoding="utf-8")
    calendar = read_study(tmp_path).animals
    assert own.at_risk[:, 0].all() and not calendar.at_risk[:, 0].all()
    assert own.n_deaths == calendar.n_deaths and own.n_periods < calendar.n_periods


# ---- checks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("a,1,0,0\nb,0,0,1\n", {"no-animal-met-again", "few-animals", "occasions-without-animals"}),
        ("a,1,1,0\nb,0,0,1\nc,1,0,0\n", {"many-animals-met-once", "few-animals"}),
        ("a,1,.,1\nb,1,.,1\n", {"few-animals"}),
    ],
)
def test_checks_of_encounters(rows, expected, tmp_path):
    (tmp_path / "h.csv").write_text("animal,2020,2021,2022\n" + rows)
    data = f"{small_sites.HEAD}[data]\nformat = 'histories'\npath = 'h.csv'\n"
    (tmp_path / "survey.toml").write_text(data + small_sites.models("name = 'a'\nmodel = 'CJS'"))
    assert set(read_study(tmp_path).findings.ids) == expected


def test_checks_of_fates(tmp_path):
    rows = "a,2024-01-01,2024-03-01,yes\nb,2024-01-01,2024-01-04,no\n"
    (tmp_path / "f.csv").write_text("animal,entry,exit,died\n" + rows)
    data = f"{small_sites.HEAD}[data]\nformat = 'fates'\npath = 'f.csv'\nlength = '7 days'\nperiod = 'week'\n"
    (tmp_path / "survey.toml").write_text(data)
    findings = read_study(tmp_path).findings
    assert set(findings.ids) == {"few-deaths", "animals-never-at-risk"}
    assert findings["animals-never-at-risk"].what == "Followed through no whole week and counted nowhere: 1 animal"
