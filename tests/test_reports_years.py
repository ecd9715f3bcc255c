"""Reports of several years: jointly and one by one, in two languages, the same bytes again, and what is refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import small_years
from small_years import HEAD, JOINT, YEARS
from typer.testing import CliRunner

from uncia.models import trim
from uncia.models.trends.annual import AnnualEstimates
from uncia.reports import report
from uncia.reports.analysis import analyse
from uncia.reports.cli import app
from uncia.reports.config import read_config
from uncia.reports.reproduce import reproduce
from uncia.reports.study import read_study
from uncia.reports.texts import texts
from uncia.survey.errors import SurveyError

IDS = ("T1", "T8", "T9", "T14", "T50", "T51", "T52", "T53", "T54", "T56", "F50")
TREND = "\n[trend]\ngeneration = 3.2\n"


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("years")
    return analyse(read_study(small_years.write(folder, HEAD + YEARS + JOINT + TREND)))


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    folder = tmp_path_factory.mktemp("years")
    return analyse(read_study(small_years.write(folder, HEAD + YEARS)))


@pytest.fixture(scope="module")
def written(joint):
    return report.write_report(joint, joint.study.folder / "report").parent


def page(folder) -> str:
    return (folder / "report.html").read_text("utf-8")


def test_tables_and_figures_have_their_ids(written):
    found = re.findall(r'(?:figure|div class="table") id="(\w+)"', page(written))
    assert set(IDS) <= set(found)


def test_the_same_inputs_give_the_same_bytes(joint, written):
    again = report.write_report(analyse(read_study(joint.study.folder)), joint.study.folder / "again").parent
    for name in ("report.html", "results.json", "estimates.csv", "figures/F50.svg", "figures/F50.png"):
        assert (again / name).read_bytes() == (written / name).read_bytes(), name


def test_the_headline_is_the_change_with_its_interval(written, joint):
    low, high = np.expm1(joint.trend.log_change().limits)
    assert "these surveys cannot tell it from no change" in page(written)
    assert f"95 % interval −{abs(100 * low):.0f} to +{100 * high:.0f} %".replace(" %", "\N{NO-BREAK SPACE}%") in page(
        written
    )


def test_years_that_the_model_ties_together_are_told(joint, monkeypatch):
    """A model of steady growth has no process variance, which its intervals do not say."""
    for language in ("en", "zh"):
        words = texts(language)
        said = words.say("years_tied")
        assert said not in joint.study.story(joint).in_short(words)
        with monkeypatch.context() as patched:
            patched.setattr(AnnualEstimates, "tied", True)
            assert said in joint.study.story(joint).in_short(words)


def test_results_hold_every_year_with_the_covariance(written, joint):
    results = json.loads((written / "results.json").read_text("utf-8"))
    assert [y["year"] for y in results["years"]] == ["2019", "2021", "2024"]
    V = np.array(results["log_covariance"])
    assert V == pytest.approx(joint.annual.covariance) and (V > 0).all()  # detection is shared
    assert results["trend"]["method"] == "gls" and results["trend"]["generation"] == 3.2
    kinds = {row["quantity"] for row in results["estimates"]}
    assert {"density", "growth rate", "change", "probability of a decline of more than 50 %"} <= kinds


def test_the_inputs_are_those_of_all_years(written):
    results = json.loads((written / "results.json").read_text("utf-8"))
    paths = [entry["path"] for entry in results["inputs"]]
    assert paths[0] == "survey.toml"
    assert {f"{y}/{name}" for y in (2019, 2021, 2024) for name in ("survey.toml", "captures.txt", "traps.txt")} <= set(
        paths
    )


def test_it_is_reproduced_from_its_results(written):
    again = reproduce(written / "results.json")
    assert again.same and not again.inputs and not again.versions


def test_years_one_by_one_are_independent(apart):
    V = apart.annual.covariance
    assert np.count_nonzero(V) == 3 and apart.reported == "each year by itself"
    own = apart.by_year["2021"].told("density")
    assert apart.annual.estimates[1] == pytest.approx(own["estimate"])
    made = report.write_report(apart, apart.study.folder / "report").parent
    assert reproduce(made / "results.json").same
    assert "Each year was estimated by itself" in page(made)


def test_the_commands_know_several_years(apart):
    folder = apart.study.folder
    found = CliRunner().invoke(app, ["fit", str(folder), "--out", str(folder / "fit.json")])
    assert found.exit_code == 0 and "2021: constant" in found.output and "cannot tell it from no change" in found.output
    compared = CliRunner().invoke(app, ["compare", str(folder / "fit.json"), str(folder / "fit.json")])
    assert compared.exit_code == 0 and "0 numbers moved" in compared.output
    assert CliRunner().invoke(app, ["check", str(folder)]).exit_code == 0
    refused = CliRunner().invoke(app, ["simulate", str(folder), "--out", str(folder / "made")])
    assert refused.exit_code == 1 and "Traceback" not in refused.output


def test_stored_reports_and_published_numbers_are_years_too(apart):
    folder = apart.study.folder
    report.write_report(apart.by_year["2021"], folder / "2021" / "report")
    form = HEAD + '[[years]]\nyear = 2015\nestimate = 5.0\nse = 1.5\nsource = "Wang 2016"\n'
    form += '[[years]]\nyear = 2021\nresults = "2021/report/results.json"\n'
    form += '[[years]]\nyear = 2024\nsurvey = "2024/survey.toml"\n'
    (folder / "mixed.toml").write_text(form, "utf-8")
    mixed = analyse(read_study(folder / "mixed.toml"))
    assert mixed.annual.estimates[1:] == pytest.approx(apart.annual.estimates[1:])
    assert mixed.annual.estimates[0] == pytest.approx(5.0)
    text = page(report.write_report(mixed, folder / "mixed").parent)
    assert "Wang 2016" in text


COUNTS = "\n".join(
    [
        "site,year,count",
        *(f"s{i},{2015 + j},{3 + i + (i * j) % 4 + j // 2}" for i in range(8) for j in range(6) if (i + j) % 5),
    ]
)


def test_counts_at_sites_are_years_too(tmp_path):
    (tmp_path / "counts.csv").write_text(COUNTS + "\n", "utf-8")
    (tmp_path / "survey.toml").write_text(HEAD + '[series]\ncounts = "counts.csv"\nmodel = 3\n', "utf-8")
    analysis = analyse(read_study(tmp_path))
    fit = trim(pd.read_csv(tmp_path / "counts.csv"), 3)
    assert analysis.annual.estimates == pytest.approx(fit.totals()["total"].to_numpy())
    assert analysis.trend.method == "state-space" and analysis.reported == "TRIM model 3"
    made = report.write_report(analysis, tmp_path / "report").parent
    assert 'id="T49"' in page(made) and fit.overall()["meaning"] in page(made) and "counts.csv" in page(made)
    assert reproduce(made / "results.json", tmp_path).same


def test_one_form_can_hold_all_years(tmp_path):
    rng = np.random.default_rng(4)
    rows = [
        (f"s{i}", 2018 + t, v, int(rng.random() < 0.5 * (i % 3 > 0)))
        for i in range(40)
        for t in range(4)
        for v in range(3)
    ]
    visits = pd.DataFrame(rows, columns=["site", "season", "visit", "value"])
    visits.to_csv(tmp_path / "visits.csv", index=False)
    sites = HEAD + '[data]\nformat = "visits"\npath = "visits.csv"\n\n[[models]]\nname = "dynamic"\n'
    sites += 'model = "DynamicOccupancy"\ngamma = "~ season"\nepsilon = "~ season"\n\n[report]\ngoodness = 0\n'
    (tmp_path / "sites.toml").write_text(sites, "utf-8")
    (tmp_path / "survey.toml").write_text(HEAD + '[series]\nsurvey = "sites.toml"\nkind = "smoothed"\n', "utf-8")
    analysis = analyse(read_study(tmp_path))
    whole = analysis.by_year["all years"].fit
    assert analysis.annual.estimates == pytest.approx(whole.seasonal_means("smoothed"))
    text = page(report.write_report(analysis, tmp_path / "report").parent)
    assert "the occupancy of snow leopards" in text and "All years were estimated in one model" in text
    assert [name for name, _ in read_study(tmp_path).inputs] == ["survey.toml", "sites.toml", "visits.csv"]


def test_a_larger_array_is_refused_or_cut_or_marked(tmp_path):
    form = HEAD + YEARS + JOINT
    path = small_years.write(tmp_path, form, columns=9)
    with pytest.raises(SurveyError, match=r"the years cannot be compared: footprint .* models.common_footprint"):
        analyse(read_study(path))
    path.write_text(form + '\n[trend]\nfootprint = "common"\n', "utf-8")
    cut = analyse(read_study(path))
    assert cut.trend.differences == () and len(cut.study.common.captures[2].detectors) == 25
    path.write_text(form + '\n[trend]\ndespite = ["footprint"]\n', "utf-8")
    text = page(report.write_report(analyse(read_study(path)), tmp_path / "report").parent)
    assert "NOT THE SAME IN ALL YEARS: footprint" in text and 'id="T57"' in text


@pytest.mark.parametrize("joint", [JOINT, ""])
def test_what_does_not_differ_between_the_years_is_told_before_anything_is_fitted(tmp_path, monkeypatch, joint):
    def never(*_, **__):
        raise AssertionError("a model was fitted")

    monkeypatch.setattr("uncia.models.model.Model.fit", never)
    path = small_years.write(tmp_path, HEAD + YEARS + joint + '\n[trend]\ndespite = ["species"]\n')
    for run in (analyse, lambda study: study.prepare()):
        with pytest.raises(SurveyError) as error:
            run(read_study(path))
        assert str(error.value).startswith("this does not differ between the years (found 'species'). What differs: ")
    small_years.write(tmp_path, HEAD + YEARS + joint, columns=9)
    with pytest.raises(SurveyError, match="the years cannot be compared: footprint"):
        read_study(path).prepare()


def test_the_report_is_chinese_throughout(joint):
    path = joint.study.folder / "survey.toml"
    form = path.read_text("utf-8")
    told = joint.study.config.report.model_copy(update={"language": "zh"})
    study = read_study(path)
    study = type(study)(
        study.config.model_copy(update={"report": told}), study.folder, study.parts, inputs=study.inputs
    )
    chinese = type(joint)(study, joint.fits, joint.by_year)
    found = texts("zh")
    text = report.page(chinese, report.results_of(chinese), report.figures_of(chinese, found), found)
    assert found.missing == set()
    assert '<html lang="zh">' in text and "这些调查不能把它与“没有变化”区分开" in text
    assert path.read_text("utf-8") == form


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (HEAD + YEARS.replace("2021", "2019", 1), "the year 2019 is there twice"),
        (HEAD + YEARS + YEARS, "the years 2019, 2021, 2024 are there twice"),
        (HEAD + YEARS + '\n[trend]\nfootprint = "common"\n', "for years in one model, and there are no"),
        (
            HEAD + "[[years]]\nyear = 2019\n[[years]]\nyear = 2020\nestimate = 3\nse = 1\n",
            "needs one of survey, results",
        ),
        (
            HEAD + "[[years]]\nyear = 2019\nestimate = 3\n[[years]]\nyear = 2020\nestimate = 3\nse = 1\n",
            "standard error",
        ),
        (HEAD + YEARS + "\n[[regions]]\nname = 'a'\nfile = 'a.gpkg'\n", "are for"),
        (HEAD + "[series]\nmodel = 2\n", "[series] needs one of survey and counts"),
        (HEAD + YEARS + "[series]\ncounts = 'a.csv'\n", "the years come from [[years]] or from [series]"),
        (HEAD + YEARS + "\n[trend]\ncorrelation = [[1.0]]\n", "the correlation must have 3 rows of 3 numbers"),
        (HEAD + YEARS + "\n[trend]\nmetod = 'gls'\n", "has no key 'metod'. Did you mean 'method'"),
        (HEAD + YEARS + "\n[trend]\nmethod = 'lm'\n", "method is not one of the possible values"),
    ],
)
def test_forms_that_are_refused(tmp_path, form, said):
    (tmp_path / "survey.toml").write_text(form, "utf-8")
    with pytest.raises(SurveyError, match=re.escape(said)):
        read_config(tmp_path / "survey.toml")


def test_all_that_trend_asks_for_and_cannot_have_is_told_at_once_with_its_line(tmp_path):
    trend = '\n[trend]\nbase = 2020\nscope = "Valley"\ndespite = ["foot print", "footprint"]\n'
    small_years.write(tmp_path, HEAD + YEARS + JOINT + trend)
    with pytest.raises(SurveyError) as error:
        read_study(tmp_path)
    at = {line.split(" =")[0]: i for i, line in enumerate((tmp_path / "survey.toml").read_text("utf-8").split("\n"), 1)}
    assert [str(p) for p in error.value.problems] == [
        f"survey.toml, row {at['base']}: there is no estimate of the base year 2020. Use one of 2019, 2021, 2024",
        f"survey.toml, row {at['scope']}: [trend] has a scope, which is for years with a form or a report of their "
        "own. Leave it out, and give the area as [[regions]]",
        f"survey.toml, row {at['despite']}: [trend] despite: 'foot print' is nothing that years differ in. "
        "Did you mean 'footprint'?",
    ]


def test_a_scope_that_years_do_not_have_is_told_before_anything_is_fitted(tmp_path):
    small_years.write(tmp_path, HEAD + YEARS + '\n[trend]\nscope = "habitat masc"\n')
    with pytest.raises(SurveyError) as error:
        read_study(tmp_path)
    assert [str(p) for p in error.value.problems] == [
        f"[trend] scope: the survey of {year} has no such area (found 'habitat masc'). Did you mean 'habitat mask'?"
        for year in (2019, 2021, 2024)
    ]


def test_the_base_year_of_counts_is_one_that_was_counted(tmp_path):
    rows = [f"{site},{year},{3 + k}" for site in "abc" for k, year in enumerate((2019, 2020, 2022))]
    (tmp_path / "counts.csv").write_text("site,year,count\n" + "\n".join(rows) + "\n", "utf-8")
    form = HEAD + "\n[series]\ncounts = 'counts.csv'\n\n[trend]\nbase = 2021\n"
    (tmp_path / "survey.toml").write_text(form, "utf-8")
    with pytest.raises(SurveyError, match=r"no estimate of the base year 2021.*Use one of 2019, 2020, 2022"):
        read_study(tmp_path)
