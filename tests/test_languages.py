"""The languages of reports: every text of every template exists in all of them, with the same gaps to fill."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import small_survey

from uncia.models import Outcome
from uncia.reports import report, words
from uncia.reports.analysis import analyse
from uncia.reports.figures.style import can_write
from uncia.reports.results import results_of
from uncia.reports.study import read_study
from uncia.reports.texts import ENGLISH, FILE, catalogue, languages, pattern_of, texts

OTHERS = [language for language in languages() if language != ENGLISH]
PARTS = ("sections", "headings", "notes", "words", "models", "quantities", "dates")
DATA = {"effort": "9", "effort_unit": "days"}
GAP = re.compile(r"{(\w+)}")
MAY_VANISH = {"animals", "per", "unit", "number", "fix", "month"}  # what a language may have no place for


def test_there_is_chinese():
    assert "zh" in languages()


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("part", PARTS)
def test_every_text_is_in_every_language(language, part):
    english, other = catalogue(ENGLISH)[part], catalogue(language)[part]
    assert sorted(set(english) - set(other)) == []
    assert sorted(set(other) - set(english)) == []


@pytest.mark.parametrize("language", OTHERS)
def test_texts_have_the_same_gaps(language):
    for part in PARTS:
        for name, said in catalogue(ENGLISH)[part].items():
            here, there = set(GAP.findall(said)), set(GAP.findall(catalogue(language)[part][name]))
            assert there - here <= {"animals"}, (part, name)
            assert here - there <= MAY_VANISH, (part, name)


@pytest.mark.parametrize("language", OTHERS)
def test_terms_fill_only_gaps_that_they_have(language):
    for name, told in catalogue(language)["terms"].items():
        gaps = GAP.findall(name)
        assert len(gaps) == len(set(gaps)), name
        assert set(GAP.findall(told)) <= set(gaps), name
        assert pattern_of(name).fullmatch(
            GAP.sub(lambda m: "7" if m[1].startswith("n") else "x", name.replace("(s)", "s"))
        )


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_is_not_english_by_another_name(language):
    """No sentence was left in English: those with letters of its own script are told from those without."""
    for part in ("sections", "headings", "notes", "words", "models", "quantities"):
        for name, said in catalogue(language)[part].items():
            assert not said.isascii() or not re.search("[a-z]{3}", GAP.sub("", said)), (part, name)


def test_one_of_something_is_not_several():
    said = texts(ENGLISH).say("ghosts_few", once="1", expected="1.2", p="0.5")
    assert said.startswith("1 animal was detected once, about as many")
    said = texts(ENGLISH).say("data_undated", animals_seen="1", detections="2", stations="1", **dict(DATA, spatial="1"))
    assert (
        said == "1 individual was identified in 2 detections at 1 station, in 9 days; 1 time an animal was met at a "
        "further station."
    )
    assert texts(ENGLISH).say("rows", n="12") == "12 rows" and texts("zh").say("rows", n="1")
    for one in ("1 step diverged", "3 steps diverged"):
        told = texts("zh")
        assert "发散" in told.term(f"{one}: a part of the posterior may be missing; use more informative priors.")
        assert not told.missing


def test_a_text_without_translation_is_whole_and_noted():
    told = texts("zh")
    assert told.term("A sentence that nobody has translated.") == "A sentence that nobody has translated."
    assert told.missing == {"A sentence that nobody has translated."}
    assert told.cell("Camera 7 north") == "Camera 7 north" and len(told.missing) == 1
    assert told.term("12.5 – 14.1") == "12.5 – 14.1" and len(told.missing) == 1


def test_a_paragraph_is_translated_whole_or_not_at_all():
    told = texts("zh")
    for said in (
        "The fit converged. Nobody has translated this.",
        "Something that nobody has ever translated, animals",
    ):
        assert told.term(said) == said
    both = (
        "The fit converged. The habitat mask is too coarse: its cells are 2,000 m wide and animals are detected over a "
    )
    both += "scale of 1,998 m; use a spacing of 999 m or less."
    assert not re.search("[a-z]{3}", told.term(both).replace("m", ""))
    edge = "The fit converged. epsilon (estimated as 0) is at a boundary of what is possible, "
    edge += "so its standard error has no meaning."
    assert told.term(edge) == "拟合已收敛。 epsilon（估计为 0） 处在可能取值的边界上，其标准误没有意义。"


def test_days_are_written_as_people_do():
    assert texts("en").day(pd.Timestamp("2025-03-01")) == "1 March 2025"
    assert texts("zh").day(pd.Timestamp("2025-03-01")) == "2025年3月1日"


def test_numbers_stay_with_their_units():
    assert (
        texts("zh").tidy("第一句。 第二句：12 % 与 5 km")
        == "第一句。第二句：12\N{NO-BREAK SPACE}% 与 5\N{NO-BREAK SPACE}km"
    )


# ---- what is made in English elsewhere ------------------------------------------------------------------------------

ROOT = Path(__file__).parent.parent
CHECKS = [*(ROOT / "survey" / "checks").glob("*.py"), *(ROOT / "reports").glob("*/checks.py")]


def wordings(path: Path) -> list[str]:
    """What the checks in a file say and advise, with 7 for numbers and x for other things."""
    found = []
    for function in [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.FunctionDef)]:
        for call in [n for n in ast.walk(function) if isinstance(n, ast.Call) and len(n.args) >= 3]:
            made = call.func.body if isinstance(call.func, ast.IfExp) else call.func  # (warning if … else note)(…)
            if not isinstance(made, ast.Name) or made.id not in ("error", "warning", "note"):
                continue
            found += [said for argument in call.args[1:3] for said in written(argument, function)]
    return found


def written(node: ast.expr, function: ast.FunctionDef) -> list[str]:
    """The texts that an expression can be; a name stands for all that it is assigned in the function."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(v.value if isinstance(v, ast.Constant) else filled(v) for v in node.values)]
    if isinstance(node, ast.Name):
        targets = [n for n in ast.walk(function) if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == node.id]
        return [said for n in targets for said in written(n.value, function)]
    return []


def filled(value: ast.FormattedValue) -> str:
    source = ast.unparse(value.value)
    noun = re.fullmatch(r"some\(.*, '([\w ]+)'\)", source)
    if noun:
        return f"7 {noun[1]}s"
    if source.startswith("about("):
        return "7 m"
    named = value.conversion != -1 or re.search(r"name|unit|period|words|span|string|observers|area\.name|iloc", source)
    return "x" if named else "7"


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("path", CHECKS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_findings_of_checks_are_translated(language, path):
    told = texts(language)
    for said in wordings(path):
        told.term(said)
    assert sorted(told.missing) == []


@pytest.mark.parametrize("language", OTHERS)
def test_outcomes_of_fits_are_translated(language):
    told = texts(language)
    plain = [o for o in Outcome if o.value != "{detail}."]
    for outcome in plain:
        said = told.term(outcome.value.format(detail="x"))
        assert said != outcome.value.format(detail="x") or "only" in outcome.value.lower() or "mask" in outcome.value


REMARKS = """\
Only 1 animal was detected in more than one session: survival and movement rest on very little.
1.2 % of the movement kernel lies beyond its reach of 20,000 m, and is left out: give a Movement with a larger reach.
The habitat mask is too coarse: the scale of movement (700 m) is below half a cell.
The habitat mask is too small: with its buffer of 9,000 m density comes out about 3.4 % too high; use a wider one.
Random effects are integrated out by quadrature (Laplace's approximation would be -0.03 away).
The data show no variation of p among the 5 groups of 'x' beyond the rest of the model: the standard deviation of \
(1 | x) is estimated as 0.
There are only 3 groups of 'x': their standard deviation in D rests on very little, and its interval is too narrow.
s(x) of psi is as smooth as can be (length at its upper limit, 3.4e+03): a straight line or a parabola may do as well.
5 starting points led to 2 different maxima (log-likelihood -12.340 from 3; log-likelihood -13.340 from 1), of which \
the highest is reported; from 1 the climb did not converge.
The data say little about the standard deviation of (1 | x) in D: it is what the prior says.
Of the last phi and the last p only the product is determined: 0.4512 (standard error 0.0412).
The fit did not converge: the chains differ, R-hat above 1.01 of psi (Intercept) 1.234, p (Intercept) 1.11. Do not \
report these numbers.
Fewer than 400 effective draws of psi (Intercept) 123, p (Intercept) 99: use more draws.
sigma in 3 of its 12 rows (estimated as 0) is at a boundary of what is possible, so its standard error has no meaning.
TEST 2.CT: animals met now are met next time as often as those not met now (otherwise: trap response)
per unit of effort, mean over 690 visits
of a given animal, mean over 1,690 visits"""
REMARKS = REMARKS.splitlines()


@pytest.mark.parametrize("said", REMARKS)
@pytest.mark.parametrize("language", OTHERS)
def test_rare_remarks_and_scopes_are_translated(language, said):
    told = texts(language)
    assert told.term(said) != said and not told.missing
    assert not re.findall(r"(?:[a-z]{3,} ){2}[a-z]{3,}", told.term(said))  # nor three English words in a row


def test_formulas_stay_and_what_is_said_of_them_is_translated():
    told = texts("zh").formulas
    scr = "D ~ 1, lambda0 ~ 1; hazard half-normal, conditional likelihood, binomial N, at least 2 detections"
    assert told(scr) == "D ~ 1, lambda0 ~ 1; 风险半正态、条件似然、N 为固定总数（二项）、至少探测到两次"
    assert told("CJS(phi ~ 1, p ~ (1 | animal); animals differ in p)") == "CJS(phi ~ 1, p ~ (1 | animal); p 因个体而异)"
    assert texts("en").formulas(scr) == scr


@pytest.fixture(scope="module")
def survey_in(tmp_path_factory):
    """The small survey, analysed once, and told in a language."""
    english = analyse(read_study(small_survey.write(tmp_path_factory.mktemp("survey"))))

    def told(language: str):
        config = english.study.config
        told = config.model_copy(update={"report": config.report.model_copy(update={"language": language})})
        return replace(english, study=replace(english.study, config=told))

    return told


@pytest.mark.parametrize("language", OTHERS)
def test_a_report_is_in_its_language_throughout(survey_in, language):
    analysis, found = survey_in(language), texts(language)
    figures = report.figures_of(analysis, found)
    page = report.page(analysis, results_of(analysis), figures, found)
    assert sorted(found.missing) == []
    assert f'<html lang="{language}">' in page
    letters = re.sub(r"<[^>]+>|base64,[\w+/=]+", " ", page[page.index("<main>") :])
    assert not re.findall(r"(?:[a-z]+ ){4}[a-z]+", letters)  # no five English words in a row


def test_pictures_hold_the_letters_for_the_readers_fonts(survey_in):
    figure = report.figures_of(survey_in("zh"), texts("zh"))["F14"].images[0]
    svg = figure.svg.decode()
    assert ">个体数</text>" in svg and "Noto Sans CJK SC" in svg and "sans-serif" in svg
    english = report.figures_of(survey_in("en"), texts("en"))["F14"].images[0]
    assert "<text" not in english.svg.decode()
    if not can_write(texts("zh").fonts):
        assert figure.png == english.png  # a picture without the letters would be empty boxes


def test_animals_are_counted_with_the_word_for_it():
    assert words.counted("animals", texts("zh")) == "只"
    assert words.counted("animals", texts(ENGLISH)) == "animals"
    assert texts("zh").cell("2,318 camera days") == "2,318 相机日"


def test_names_from_the_data_in_a_picture_stay_as_they_are():
    from matplotlib.figure import Figure

    drawing, told = Figure(), texts("zh")
    ax = drawing.subplots()
    ax.set_xticks([0, 1], ["east 2023", "west 2023"])
    ax.set_ylabel("animals per 100 km²")
    told.figure(drawing)
    assert told.missing == set() and ax.get_ylabel() == "只/100 km²"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["east 2023", "west 2023"]


def test_another_language_is_a_file():
    assert [FILE.fullmatch(name)[1] for name in ("en.toml", "zh.toml", "mn.toml")] == ["en", "zh", "mn"]
    assert not FILE.fullmatch("survey.toml")


@pytest.mark.parametrize(
    "said",
    [
        "my sites.csv: 'forest type' is 'dens' in rows 14, 15 and 'dense' in 26: write one word if both mean the same",
        "'forest type' is 'dens' 1 time and 'dense' 9 times",
        "h.csv: 'sex' has several words for female, which are different values: 'f', 'female'",
        "w.csv: date.1, date.2 are taken for covariates of sites: as covariates of visits they would be 3, numbered "
        "like the visits",
        "m.csv: 'slope' is taken for words, because 1 of 9 values is no number: '3 deg' in row 4",
        "f.csv: the exit lies in the future in rows 3, 4 …: is the year right?",
        "'a-b' is called 'a_b' in formulas",
        "1 site and 4 visits are left out because one of these covariates is not known: elev, date",
    ],
)
def test_what_readers_tell_of_tables_is_told_in_chinese(said):
    told = texts("zh")
    assert told.term(said) != said and not told.missing
