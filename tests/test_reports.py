"""The report: one self-contained page with stable ids, the files beside it, and what the public is not told."""

import re
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rioxarray
import small_survey

from uncia import survey
from uncia.models.summary import number, percent
from uncia.models.verdict import Outcome, Remark
from uncia.reports import report, words
from uncia.reports.analysis import Analysis, analyse
from uncia.reports.camera_days import lost_in_words, visit_rate
from uncia.reports.config import config_from
from uncia.reports.figures import animals, estimates, places, style, work
from uncia.reports.files import whole_folder, write_geopackage
from uncia.reports.precision import power_of_change, smallest_change
from uncia.reports.rasters import coarsen
from uncia.reports.study import read_study
from uncia.reports.tables import tables_of
from uncia.reports.texts import texts

IDS = ("T1", "T2", "T3", "T4", "T5", "T6", "T8", "T9", "T14", "T16", "F1", "F2", "F3", "F4", "F5", "F6", "F7", "F14")


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return analyse(read_study(small_survey.write(tmp_path_factory.mktemp("survey"))))


@pytest.fixture(scope="module")
def written(analysis, tmp_path_factory):
    return report.write_report(analysis, tmp_path_factory.mktemp("out") / "report").parent


@pytest.fixture(scope="module")
def public(analysis, tmp_path_factory):
    return report.write_report(report.public(analysis), tmp_path_factory.mktemp("out") / "report").parent


def page(folder):
    return (folder / "report.html").read_text("utf-8")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- the page -----------------------------------------------------------------------------------------------------


def test_every_table_and_figure_has_its_id(written):
    found = re.findall(r'(?:figure|div class="table") id="(\w+)"', page(written))
    assert sorted(found) == sorted(set(found))
    assert set(IDS) <= set(found)


def test_the_page_needs_no_network(written):
    text = page(written)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "<script" not in text and "url(" not in text and "@import" not in text


def test_the_page_begins_with_the_headline(written, analysis):
    assert words.headline(analysis, texts("en")).replace("95 %", "95\N{NO-BREAK SPACE}%")[:40] in page(written).replace(
        "100\N{NO-BREAK SPACE}km", "100 km"
    )


def test_names_from_the_data_cannot_break_the_page(analysis, tmp_path):
    config = analysis.study.config
    name = {"survey": config.survey.model_copy(update={"name": "<b>& cats</b>"})}
    study = replace(analysis.study, config=config.model_copy(update=name))
    path = report.write_report(replace(analysis, study=study), tmp_path / "report")
    assert "<h1>&lt;b&gt;&amp; cats&lt;/b&gt;</h1>" in path.read_text("utf-8")


def test_files_beside_the_page(written):
    pictures = {
        f"figures/{name}.{kind}"
        for name in ("F1", "F2", "F3", "F4", "F5", "F6", "F7a", "F7b", "F14")
        for kind in ("svg", "png")
    }
    assert files(written) == pictures | {
        "report.html",
        "results.json",
        "estimates.csv",
        "density.tif",
        "captures.gpkg",
        "mask.gpkg",
    }


def test_the_same_inputs_give_the_same_bytes(written, analysis, tmp_path):
    again = report.write_report(analyse(read_study(analysis.study.folder)), tmp_path / "report").parent
    assert files(again) == files(written)
    for name in files(written):
        assert (again / name).read_bytes() == (written / name).read_bytes(), name


def test_no_time_of_writing_anywhere(written):
    year = re.compile(r"20(?!24|00)\d\d-\d\d-\d\d")
    for name in files(written):
        if name.endswith((".html", ".json", ".svg", ".csv")):
            assert not year.search(re.sub(r"base64,[\w+/=]+", "", (written / name).read_text("utf-8"))), name


# ---- the public ---------------------------------------------------------------------------------------------------


def test_the_public_gets_no_places(public):
    assert "captures.gpkg" not in files(public) and "mask.gpkg" not in files(public)
    assert not any("F1." in name or "F4." in name for name in files(public))
    text = re.sub(r"base64,[\w+/=]+", "", page(public))
    assert 'id="F1"' not in text and 'id="F4"' not in text
    assert "This is the public report: places are rounded to 10" in text
    for station in ("S01", "S13", "S25"):
        assert station not in text
    assert "505000" not in text and "4005000" not in text


def test_the_public_gets_the_same_numbers(public, written):
    assert (public / "estimates.csv").read_bytes() == (written / "estimates.csv").read_bytes()


def test_the_public_map_is_coarse(public):
    raster = rioxarray.open_rasterio(public / "density.tif")
    assert raster.rio.resolution() == (10_000.0, -10_000.0)
    assert np.allclose(np.mod(raster["x"] - 5_000.0, 10_000.0), 0)


def test_coarse_means_keep_the_mean(analysis):
    surface = analysis.fit.predict("D")
    whole = coarsen(surface, 1_000_000.0)
    assert float(whole["estimate"].mean()) == pytest.approx(float(surface["estimate"].mean()))


# ---- files --------------------------------------------------------------------------------------------------------


def test_the_density_raster_is_the_surface(written, analysis):
    raster = rioxarray.open_rasterio(written / "density.tif")
    surface = analysis.fit.predict("D")
    assert raster.rio.crs == "EPSG:32647"
    assert raster.attrs["long_name"] == ("estimate", "se", "lower", "upper")
    at = {"x": surface["x"], "y": surface["y"]}
    for band, name in enumerate(("estimate", "se", "lower", "upper")):
        values = raster.isel(band=band).sel(at).to_numpy()
        np.testing.assert_allclose(values, surface[name].to_numpy(), rtol=1e-6)


def test_the_geopackages(written, analysis):
    captures = analysis.study.captures
    assert [name for name, _ in pyogrio.list_layers(written / "captures.gpkg")] == ["stations", "captures"]
    stations = gpd.read_file(written / "captures.gpkg", layer="stations")
    assert stations["detections"].sum() == captures.n_detections
    assert len(gpd.read_file(written / "captures.gpkg", layer="captures")) == len(captures.detections)
    cells = gpd.read_file(written / "mask.gpkg")
    assert cells.area.sum() / 1e6 == pytest.approx(analysis.study.mask.area)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old.txt").write_text("old")
    (target / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError), whole_folder(target, ("old.txt",)) as made:
        (made / "new.txt").write_text("new")
        raise RuntimeError
    assert files(target) == {"old.txt", "mine.txt"}
    with whole_folder(target, ("old.txt",)) as made:
        (made / "new.txt").write_text("new")
    assert files(target) == {"new.txt", "mine.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_geopackage_has_the_same_bytes(tmp_path):
    frame = gpd.GeoDataFrame({"a": range(300)}, geometry=gpd.points_from_xy(range(300), range(300)), crs="EPSG:32647")
    for name in ("a.gpkg", "b.gpkg"):
        write_geopackage(frame, tmp_path / name, "points")
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


# ---- what is said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rse", "down", "up"), [(0.10, -36, 44), (0.15, -52, 70), (0.20, -67, 98), (0.30, -94, 164)])
def test_smallest_change_is_that_of_the_literature(rse, down, up):
    found = smallest_change(rse)
    assert 100 * found[0] == pytest.approx(down, abs=1) and 100 * found[1] == pytest.approx(up, abs=1)


@pytest.mark.parametrize(("rse", "change", "power"), [(0.1, -0.3, 0.63), (0.2, -0.5, 0.53), (0.25, 0.5, 0.25)])
def test_power_is_that_of_the_literature(rse, change, power):
    assert power_of_change(rse, change) == pytest.approx(power, abs=0.006)


def test_change_without_a_standard_error():
    assert np.isnan(smallest_change(float("nan"))).all()
    assert words.change(float("nan"), texts("en").say) == "Without a standard error nothing can be said about change."
    assert "an increase of 894 %" in words.change(0.9, texts("en").say)


def test_paragraphs(analysis):
    data, precision, model = words.in_short(analysis, texts("en"))
    assert data == (
        "14 individuals were identified in 98 detections at 25 stations, in 491.0 camera days from 1 May 2024 to "
        "21 May 2024; 43 times an animal was met at a further station."
    )
    assert re.fullmatch(
        r"The relative standard error of density is \d+ %: this says roughly how many there are, and little about "
        r"change\. "
        r"The smallest change that two such surveys could tell from no change is a decrease of \d+ % or an increase of "
        r"\d+ % \(80 % power, 5 % level\)\.",
        precision,
    )
    assert model == "The numbers are those of the model ‘constant’, the best of 2 by AICc among those that can be used."


def test_remarks_on_the_fit_are_told(analysis):
    few = Remark(Outcome.FEW_ANIMALS, "14 animals were detected")
    fit = replace(analysis.fit, base_verdict=analysis.fit.base_verdict.also(few))
    told = words.in_short(Analysis(analysis.study, {"constant": fit, "rugged": analysis.fits["rugged"]}), texts("en"))
    assert "Only 14 animals were detected: treat the interval as a rough guide" in told[-1]


def test_numbers_that_must_not_be_used_are_marked(analysis, tmp_path):
    wrong = Remark(Outcome.NOT_CONVERGED, "the climb stopped")
    fits = {name: replace(fit, base_verdict=fit.base_verdict.also(wrong)) for name, fit in analysis.fits.items()}
    path = report.write_report(Analysis(analysis.study, fits), tmp_path / "report")
    assert 'class="headline doubtful"' in path.read_text("utf-8")
    assert "These numbers must not be used as they are. The fit did not converge" in path.read_text("utf-8")


def test_lost_days(analysis):
    said = lost_in_words(analysis.study.captures.tables, texts("en"))
    assert said == "Of 496 camera days 5 (1.0 %) were lost, most of them to: moved by an animal."


def test_visit_rate():
    rate, lower, upper = visit_rate(np.array([2.0, 2.0, 2.0]), np.array([50.0, 50.0, 50.0]))
    assert (rate, lower, upper) == (4.0, 4.0, 4.0)
    rate, lower, upper = visit_rate(np.array([0.0, 3.0, 9.0]), np.array([50.0, 50.0, 50.0]))
    assert rate == pytest.approx(8.0)
    assert lower < rate < upper


def test_a_model_named_in_the_form_is_reported(analysis):
    named = analysis.study.config.report.model_copy(update={"model": "rugged"})
    config = analysis.study.config.model_copy(update={"report": named})
    other = replace(analysis, study=replace(analysis.study, config=config))
    assert other.reported == "rugged"
    assert words.which_model(other, texts("en").say).endswith("‘rugged’, as the survey's form asks.")


def test_densities_of_region_and_mask_are_each_named(analysis):
    told = tables_of(analysis, texts("en"))["T8"]
    first, *_ = told.frame.to_dict("records")
    region, mask = analysis.told("density", "Valley"), analysis.told("density", "habitat mask")
    assert first["density, Valley"] == number(region["estimate"], 3)
    assert first["RSE"] == percent(region["rse"])
    assert first["density, habitat mask"] == number(mask["estimate"], 3)
    assert "The headline tells that of Valley" in told.note
    said = f"We estimate {first['density, Valley']} snow leopards per 100 km² in Valley (95"
    assert words.headline(analysis, texts("en")).startswith(said)
    assert "密度：Valley" in tables_of(analysis, texts("zh"))["T8"].frame


def test_models_that_cannot_be_compared_are_shown_without_weights(analysis):
    mixed = dict(analysis.fits)
    mixed["relative"] = type(analysis.fit.model)(
        analysis.study.captures, analysis.study.mask, likelihood="conditional"
    ).fit()
    other = Analysis(analysis.study, mixed)
    with pytest.raises(survey.SurveyError, match="Name one as report"):
        _ = other.reported


# ---- other kinds of data ------------------------------------------------------------------------------------------


def test_data_without_deployments_and_dates_are_reported_too(tmp_path):
    survey.write_secr(small_survey.histories(), tmp_path)
    content = {
        "survey": {"name": "Old survey", "crs": "EPSG:32647"},
        "data": {"format": "secr", "captures": "capt.txt", "traps": "trap.txt"},
        "mask": {"buffer": 9000, "spacing": 1500},
    }
    from uncia.reports.study import study_of

    done = analyse(study_of(config_from(content, "survey.toml"), tmp_path))
    folder = report.write_report(done, tmp_path / "report").parent
    found = set(re.findall(r'(?:figure|div class="table") id="(\w+)"', page(folder)))
    assert {"T1", "T5", "T8", "T9", "F1", "F3", "F4", "F6"} <= found
    assert not found & {"T3", "T4", "F2", "F5"}
    assert "14 individuals were identified in 98 detections" in page(folder)


def test_tables_hold_text_only(analysis):
    for table in tables_of(analysis, texts("en")).values():
        assert table.frame.map(lambda cell: isinstance(cell, str)).all(axis=None)
        assert not (table.frame == "nan").any(axis=None), table.id


# ---- figures ------------------------------------------------------------------------------------------------------


def test_figures_draw_on_the_axes_they_are_given(analysis):
    captures, mask = analysis.study.captures, analysis.study.mask
    draw = {
        places.study_area: (captures, mask),
        places.spider: (captures,),
        work.calendar: (captures.tables.calendar(),),
        animals.capture_frequencies: (captures,),
        animals.accumulation: (captures,),
        estimates.detection: (analysis.fit,),
        estimates.density: (analysis.fit.predict("D"),),
    }
    for function, arguments in draw.items():
        ax = style.new_axes()
        assert function(*arguments, ax=ax) is ax
        assert ax.has_data()


def test_activity_is_a_density_on_the_clock():
    hours = np.concatenate([np.full(50, 5.0), np.full(50, 19.0)]) + np.linspace(-1, 1, 100)
    at = np.linspace(0, 24, 481)
    density = animals.clock_density(hours, at)
    assert np.trapezoid(density, at) == pytest.approx(1.0, abs=1e-3)
    assert density[at == 12.0] < 0.3 * density[at == 5.0]  # two peaks are not smoothed into one
    assert density[0] == pytest.approx(density[-1])


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2025-03-01", "2025-05-29", ["1 Mar", "15 Mar", "1 Apr", "15 Apr", "1 May", "15 May"]),
        ("2024-11-20", "2025-05-29", ["1 Dec", "1 Jan 2025", "1 Feb", "1 Mar", "1 Apr", "1 May"]),
        ("2025-03-02", "2025-03-09", ["2 Mar", "4 Mar", "6 Mar", "9 Mar"]),
    ],
)
def test_days_on_an_axis(first, last, expected):
    days = pd.date_range(first, last)
    assert [work.short_day(days[i]) for i in work.round_days(days)] == expected
