"""Marking and sighting, and the choice of a flank, from survey.toml to the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_survey
from scipy.special import ndtr
from scr_problems import detectors

from uncia import models, survey
from uncia.models.inference.criteria import information_criterion
from uncia.reports import report
from uncia.reports.analysis import analyse
from uncia.reports.report import write_report
from uncia.reports.results import results_of
from uncia.reports.simulate import write_simulated
from uncia.reports.study import read_study
from uncia.reports.texts import texts
from uncia.survey.errors import SurveyError

FORM = """
[survey]
name = "Foxes of a valley"
common_name = "foxes"

[data]
format = "secr"
captures = "capt.txt"
traps = "trap.txt"

[occasions]
kind = "count"

[marking]
occasions = [1, 2, 3]
kind = "multi"
unmarked = "unmarked.csv"
unidentified = "unidentified.csv"

[mask]
buffer = 450
spacing = 150

[[models]]
name = "phases"
model = "MarkResight"
lambda0 = "~ phase"
detection = "hazard half-normal"
"""
VALUES = {"D": 1100.0, "lambda0": {"Intercept": -1.5, "phase[T.sighting]": 0.4}, "sigma": 250.0, "pID": 0.6}


def plan(d, mask) -> models.MarkResight:
    """Three occasions of marking and four of sighting at the same places."""
    start = survey.CaptureHistory(pd.DataFrame({"animal": ["x"], "occasion": [1], "detector": [d.id[0]]}), d)
    nothing = pd.DataFrame({"animal": [], "occasion": [], "detector": []})
    seen = survey.CaptureHistory(nothing, survey.Detectors(d.id, d.x, d.y, np.ones((4, len(d))), "count"))
    zero = np.zeros((4, len(d)))
    how = {"lambda0": "~ phase", "detection": "hazard half-normal"}
    return models.MarkResight(start, survey.Sightings(seen, zero, zero), mask, **how)


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """(form, marking, sightings): a simulated survey in files, its occasions numbered through."""
    folder, d = tmp_path_factory.mktemp("marked"), detectors("multi", occasions=3)
    d = survey.Detectors(d.id, d.x, d.y, np.ones((3, len(d))), "multi")
    marking, sightings = plan(d, survey.HabitatMask.around(d, 450.0, 150.0)).simulate(VALUES, 3)
    later = sightings.captures.detections
    both = pd.concat([marking.detections, later.assign(occasion=later["occasion"] + 3)], ignore_index=True)
    columns = ["animal", "occasion", "detector", "count"]
    whole = survey.Detectors(d.id, d.x, d.y, np.ones((7, len(d))), "count")
    survey.write_secr(survey.CaptureHistory(both[columns].astype({"animal": str, "detector": str}), whole), folder)
    for name in ("unmarked", "unidentified"):
        counts = getattr(sightings, name)
        at = np.argwhere(counts > 0)
        rows = [f"{s + 4},{d.id[k]},{counts[s, k]:.0f}" for s, k in at]
        (folder / f"{name}.csv").write_text("\n".join(["occasion,detector,count", *rows]) + "\n", "utf-8")
    (folder / "survey.toml").write_text(FORM, "utf-8")
    return folder / "survey.toml", marking, sightings


def changed(form, folder, old: str, new: str):
    """The form with another text, its files beside it."""
    for file in form.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    text = form.read_text("utf-8")
    assert old in text
    (folder / "survey.toml").write_text(text.replace(old, new), "utf-8")
    return folder / "survey.toml"


def test_marking_and_sighting_are_told_apart_by_the_form(marked):
    form, marking, sightings = marked
    study = read_study(form)
    begun, seen, _ = study.resight
    assert begun.n_detections == marking.n_detections and begun.detectors.kind == "multi"
    assert seen.totals == sightings.totals
    np.testing.assert_array_equal(seen.unmarked, sightings.unmarked)
    assert {"unmarked.csv", "unidentified.csv"} <= {name for name, _ in study.inputs}
    study.ledger.check()
    assert study.ledger.read["unmarked.csv"] == np.count_nonzero(sightings.unmarked)
    assert study.data == (study.captures, begun, seen, study.mask)
    built = study.build(study.config.models[0])
    own = plan(marking.detectors, study.mask).on((marking, sightings))
    np.testing.assert_allclose(built.at(**VALUES).loglik, own.at(**VALUES).loglik, rtol=1e-12)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_tells_of_marking_and_sighting(marked, tmp_path, language):
    form = changed(
        marked[0], tmp_path, "[mask]", f'[report]\nlanguage = "{language}"\n\n[checks]\nmask = true\n\n[mask]'
    )
    found = analyse(read_study(form))
    assert {"density", "realised abundance", "lambda0", "sigma", "pID"} <= set(found.estimates["quantity"])
    words_of = texts(language)
    page = report.page(found, results_of(found), report.figures_of(found, words_of), words_of)
    assert sorted(words_of.missing) == []
    assert ("as does c_hat = [" if language == "en" else "或给出 c_hat = [") in page
    totals = marked[2].totals
    told = {
        "en": ("Animals were marked on some occasions", "Sightings, unmarked", "no check of the mask of mark-resight"),
        "zh": ("部分时段标记个体", "目击：未标记个体", "标记重见模型尚无栖息地范围检查", "辨认率 pID"),
    }
    for words in (*told[language], f"{totals['unmarked']:,}", f"{totals['unidentified']:,}"):
        assert words in page


def test_without_marking_occasions_the_number_of_marked_animals_is_said(marked, tmp_path):
    n = marked[2].captures.n_animals
    text = 'occasions = [1, 2, 3]\nkind = "multi"\n'
    form = changed(marked[0], tmp_path, text, "")
    with pytest.raises(SurveyError, match="without marking occasions model 'phases' needs the number of marked"):
        read_study(form)
    whole = form.read_text("utf-8").replace('lambda0 = "~ phase"', f"marked = {n + 20}")
    form.write_text(whole, "utf-8")
    found = analyse(read_study(form))
    assert "expected abundance" in set(found.estimates["quantity"])
    assert "realised abundance" not in set(found.estimates["quantity"])
    page = write_report(found, tmp_path / "report").read_text("utf-8")
    assert "It is not recorded how animals were marked" in page


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("occasions = [1, 2, 3]", "occasions = [1, 2, 9]", r"\[marking\] names occasion 9; the survey has 7"),
        ('model = "MarkResight"', "", "model 'phases' does not know marking from sighting"),
        ('kind = "multi"', 'kind = "snare"', "kind is not one of the possible values"),
        ('lambda0 = "~ phase"', "marked = 30", "is told how many are marked, and there are marking occasions"),
        ("[marking]", "[nothing]", "has no key 'nothing'"),
    ],
)
def test_what_is_wrong_with_the_form_is_said(marked, tmp_path, old, new, said):
    with pytest.raises(SurveyError, match=said):
        read_study(changed(marked[0], tmp_path, old, new))


def test_a_value_that_the_model_refuses_is_said_as_the_model_says_it(marked, tmp_path):
    study = read_study(changed(marked[0], tmp_path, 'lambda0 = "~ phase"', "pID = 1.5"))
    with pytest.raises(SurveyError, match="pID must be above 0 and at most 1"):
        study.build(study.config.models[0])


def test_overdispersion_and_sexes_are_said_in_the_form(marked, tmp_path):
    more = 'lambda0 = "~ phase"\nc_hat = [1.8, 1.4]\nclasses = "sex"'
    study = read_study(changed(marked[0], tmp_path, 'lambda0 = "~ phase"', more))
    with pytest.raises(SurveyError, match="the animals have no such covariate to make classes of"):
        study.build(study.config.models[0])
    (tmp_path / "survey.toml").write_text(study_text(tmp_path).replace('classes = "sex"', ""), "utf-8")
    study = read_study(tmp_path / "survey.toml")
    assert study.build(study.config.models[0]).c_hat == (1.8, 1.4)


def study_text(folder) -> str:
    return (folder / "survey.toml").read_text("utf-8")


def test_a_model_of_marking_needs_marking(marked, tmp_path):
    text = FORM[FORM.index("[marking]") : FORM.index("[mask]")]
    with pytest.raises(SurveyError, match="model 'phases' is of marking and sighting, and there is no"):
        read_study(changed(marked[0], tmp_path, text, ""))


def test_wrong_rows_of_sightings_are_named_all_at_once(marked, tmp_path):
    form = changed(marked[0], tmp_path, "spacing = 150", "spacing = 200")
    name = marked[1].detectors.id[0]
    rows = f"occasion,detector,count\n2,{name},1\n5,nowhere,1\n5,{name},-1\n8,{name},1\n5,{name},x\n"
    (tmp_path / "unmarked.csv").write_text(rows, "utf-8")
    with pytest.raises(SurveyError) as found:
        read_study(form)
    for said in (
        "row 2: occasion 2 is one of marking",
        "row 3: there is no such detector",
        "row 4: count must be 0 or more",
        "row 5: occasion must be",
        "row 6: count must be a number",
    ):
        assert f"unmarked.csv, {said}" in str(found.value)


def test_a_survey_of_marking_is_no_site_of_a_region(marked, tmp_path):
    changed(marked[0], tmp_path, "spacing = 150", "spacing = 200")
    sites = "".join(f'[[sites]]\nname = "{name}"\nsurvey = "survey.toml"\n\n' for name in ("One", "Two"))
    form = f'[survey]\nname = "Valleys"\n\n{sites}[[models]]\nname = "a"\n'
    (tmp_path / "region.toml").write_text(form, "utf-8")
    with pytest.raises(SurveyError, match=r"animals that were told apart, without \[marking\]"):
        read_study(tmp_path / "region.toml")


def test_surveys_of_marking_are_not_simulated_from_a_form(marked, tmp_path):
    with pytest.raises(SurveyError, match="surveys of marking and sighting are not simulated"):
        write_simulated(read_study(marked[0]), tmp_path / "new", 1, {"D": 1000.0})


# ---- flanks -------------------------------------------------------------------------------------------------------


def with_flank(folder, choice: str, blank: int = 0):
    """The small survey of the photographs of one flank; the first identities say nothing of theirs."""
    form = small_survey.write(folder)
    text = form.read_text("utf-8").replace('path = "data"', f'path = "data"\nflank = "{choice}"')
    form.write_text(text.split("[[models]]")[0], "utf-8")
    table = next(p for p in (folder / "data").rglob("*.csv") if "identit" in p.name)
    found = pd.read_csv(table, keep_default_na=False)
    found.loc[found.index[:blank], "flank"] = ""
    found.to_csv(table, index=False)
    return form, found


def test_the_photographs_of_one_flank_are_used_and_the_others_are_in_the_ledger(tmp_path):
    form, table = with_flank(tmp_path, "right", blank=2)
    study = read_study(form)
    ends = study.ledger
    ends.check()
    gone = table["flank"].eq("left").sum()
    assert ends.count("a left flank: the right flanks were chosen") >= gone > 5
    assert ends.count("the flank is not known: the right flanks were chosen") >= 2
    shown = set(
        table.loc[table["flank"].isin(["right", "both"]), "individual" if "individual" in table else "individualID"]
    )
    assert set(study.captures.animals.index) == shown
    page = write_report(analyse(study), tmp_path / "report").read_text("utf-8")
    for words in ("Flank whose photographs are used", "a left flank: the right flanks were chosen"):
        assert words in page


def test_the_flank_of_more_animals_is_a_rule_that_is_told(tmp_path):
    form, _ = with_flank(tmp_path, "more animals")
    found = read_study(form)
    known = {}
    for side in ("left", "right"):
        text = form.read_text("utf-8").replace('"more animals"', f'"{side}"')
        (tmp_path / f"{side}.toml").write_text(text, "utf-8")
        known[side] = read_study(tmp_path / f"{side}.toml").captures
    side = "left" if known["left"].n_animals >= known["right"].n_animals else "right"
    assert found.captures.equals(known[side])
    counts = f"({known['left'].n_animals} by the left, {known['right'].n_animals} by the right)"
    assert found.tables.provenance["flank"] == f"{side}, by which more animals are known {counts}"


def test_photographs_of_both_flanks_in_one_record_are_of_both(tmp_path):
    form, table = with_flank(tmp_path, "right")
    name = next(p for p in (tmp_path / "data").rglob("*.csv") if "identit" in p.name)
    again = table[table["flank"] == "left"].assign(flank="right")
    pd.concat([table, again]).to_csv(name, index=False)
    assert read_study(form).ledger.count("a left flank: the right flanks were chosen") == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_flanks_are_two_sessions_with_one_density(tmp_path, language):
    form, table = with_flank(tmp_path, "both", blank=2)
    checks = f'\n[checks]\nghosts = true\n\n[report]\nlanguage = "{language}"\n'
    form.write_text(form.read_text("utf-8") + checks, "utf-8")
    study = read_study(form)
    left, right = study.flanks
    study.ledger.check()
    assert (left.session.split(", ")[-1], right.session.split(", ")[-1]) == ("left flank", "right flank")
    assert study.captures.n_animals == max(left.n_animals, right.n_animals)
    assert study.ledger.count("the flank is not known") >= 2
    used = len(table) - 2
    assert study.ledger.count("used") >= used > study.captures.ledger.count("used: left flank, a session of its own")
    found = analyse(study)
    model = found.fit.model
    assert [s.name for s in model.sessions] == [left.session, right.session]
    told = found.estimates.set_index(["quantity", "scope"])
    plain = found.fit.derive().set_index(["quantity", "scope"])
    row = told.loc[("density", "habitat mask")]
    assert row["estimate"] == pytest.approx(plain.loc[("density", f"session {left.session}"), "estimate"])
    assert row["se"] == pytest.approx(2**0.5 * plain.loc[("density", f"session {left.session}"), "se"], rel=0.02)
    assert "realised abundance" not in set(found.estimates["quantity"])
    assert results_of(found)["definitions"]["flank"] == "both, each a session of one model"
    words_of = texts(language)
    page = report.page(found, results_of(found), report.figures_of(found, words_of), words_of)
    assert sorted(words_of.missing) == []
    checks, plain = found.story.checks, found.fit.ghosts()
    assert checks.ghosts.se == pytest.approx(2**0.5 * plain.se) and checks.ghosts.p_value == ndtr(-checks.ghosts.z)
    checks.__dict__["ghosts"] = replace(checks.ghosts, observed=3, p_value=0.3)
    said = {"en": "p allows for their being of the same animals", "zh": "p 已按两侧是同一批个体处理"}[language]
    assert said in checks._ghosts(words_of) and (said in page) == (plain.observed > 0)
    said = {"en": "Left and right flanks are two sessions of one model", "zh": "左侧与右侧作为同一模型的两期"}
    assert said[language] in page
    assert found.comparison["c_hat"].tolist() == [2.0] and "ΔQAICc" in page  # not as if the animals were twice as many
    assert {"en": "Smaller QAICc is better", "zh": "QAICc 越小越好"}[language] in page
    half = information_criterion("qaicc", found.fit.loglik, found.fit.n_parameters, model.sample_size, 2.0)
    assert f"{half:.2f}" in page


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[telemetry]\nfile = "collars.csv"\n', r'\[telemetry\] and flank = "both" do not go together'),
        ('[[models]]\nname = "a"\nD = "~ session"\n', "density of model 'a' is to be that of both flanks"),
    ],
)
def test_what_does_not_go_with_both_flanks_is_said(tmp_path, more, said):
    form, _ = with_flank(tmp_path, "both")
    form.write_text(form.read_text("utf-8") + "\n" + more, "utf-8")
    with pytest.raises(SurveyError, match=said):
        read_study(form)


def test_both_flanks_are_no_site_of_a_region(tmp_path):
    with_flank(tmp_path, "both")
    sites = "".join(f'[[sites]]\nname = "{name}"\nsurvey = "survey.toml"\n\n' for name in ("One", "Two"))
    (tmp_path / "region.toml").write_text(f'[survey]\nname = "A"\n\n{sites}[[models]]\nname = "a"\n', "utf-8")
    with pytest.raises(SurveyError, match=r"without \[marking\] and flank = 'both'"):
        read_study(tmp_path / "region.toml")


def test_identities_without_flanks_and_other_choices_are_refused(tmp_path):
    form, _ = with_flank(tmp_path, "left", blank=10_000)
    with pytest.raises(SurveyError, match="the identities do not say which flank a photograph shows"):
        read_study(form)
    form.write_text(form.read_text("utf-8").replace('flank = "left"', 'flank = "top"'), "utf-8")
    with pytest.raises(SurveyError, match=r"\[data\]: flank is not one of the possible values"):
        read_study(form)
