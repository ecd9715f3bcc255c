"""What people stumble on in their own tables: said once, with the row and what to do; nothing is lost in silence."""

import re
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import small_sites
import small_survey

from uncia import models, survey
from uncia.reports.analysis import analyse
from uncia.reports.encounters.checks import check
from uncia.reports.study import read_study
from uncia.reports.texts import texts
from uncia.reports.words import headline
from uncia.survey.errors import Problems, SurveyError, SurveyWarning
from uncia.survey.levels import misspelled

DAY = pd.Timestamp("2025-04-03 10:00")
CRS = "EPSG:32647"
PATROLS = Path(__file__).parent.parent / "examples" / "ranger_patrols"


def deployments(**more) -> pd.DataFrame:
    """Nine stations about 2 km apart."""
    lon, lat = (v.ravel() for v in np.meshgrid(99.0 + 0.03 * np.arange(3), 44.2 + 0.02 * np.arange(3)))
    names = [f"S{i + 1}" for i in range(9)]
    frame = pd.DataFrame({"station": names, "longitude": lon, "latitude": lat, "start": DAY})
    return frame.assign(end=DAY + pd.Timedelta(days=20), **more)


def records() -> pd.DataFrame:
    times = [DAY + pd.Timedelta(days=k, hours=3) for k in range(8)]
    names = ["a", "a", "b", "b", "a", "b", "a", "b"]
    return pd.DataFrame({"station": ["S1", "S2"] * 4, "time": times, "species": "Lynx lynx", "individual": names})


def read(folder, deployed: pd.DataFrame, recorded: pd.DataFrame, csv=None, **how):
    for name, table in (("deployments", deployed), ("records", recorded)):
        table.to_csv(folder / f"{name}.csv", index=False, **(csv or {}))
    how = {"species": "Lynx lynx", "timezone": "Asia/Ulaanbaatar", "crs": CRS, "occasion": "1 day"} | how
    return survey.read_field_tables(folder, **how)


def message(*arguments, **how) -> str:
    with pytest.raises(SurveyError) as error:
        read(*arguments, **how)
    return str(error.value)


def test_tables_from_excel_are_the_same_as_plain_ones(tmp_path):
    slope = 0.25 * np.arange(9) + 0.1
    excel = {"sep": ";", "decimal": ",", "encoding": "utf-8-sig", "lineterminator": "\r\n"}
    for name in ("plain", "excel"):
        (tmp_path / name).mkdir()
    plain = read(tmp_path / "plain", deployments(slope=slope), records())
    dates = excel | {"date_format": "%d/%m/%Y %H:%M:%S"}
    same = read(tmp_path / "excel", deployments(slope=slope), records(), csv=dates, dates="dmy")
    assert same.detections.equals(plain.detections) and np.array_equal(same.detectors.x, plain.detectors.x)
    assert same.detectors.covariates["slope"].tolist() == pytest.approx(slope)  # decimal commas are numbers


def test_the_same_fault_of_a_whole_column_is_told_once():
    bad = Problems()
    for row in range(2, 40):
        bad.add(
            "start: the day and the month cannot be told apart", "Give dates='dmy'", file="d.csv", row=row, value=row
        )
    bad.add("another thing", "Mend it", file="d.csv", row=3)
    with pytest.raises(SurveyError) as error:
        bad.raise_any()
    assert str(error.value).splitlines() == [
        "39 problems in the input:",
        "  1. d.csv, row 2: start: the day and the month cannot be told apart (found 2). Give dates='dmy' "
        "(the same in rows 3, 4, 5, 6, 7, and 32 more)",
        "  2. d.csv, row 3: another thing. Mend it",
    ]
    assert len(error.value.problems) == 39


def test_degrees_with_minutes_and_seconds(tmp_path):
    table = deployments().astype({"longitude": object})
    table.loc[4, "longitude"] = "99°01'52.7\"E"
    said = message(tmp_path, table, records())
    assert said.startswith("deployments.csv, row 6: longitude must be a number (found '99°01")
    assert said.endswith("Write decimal degrees: 99.0313 for 99°01'52.7\"E, and a minus for west and south")


def test_date_and_time_in_two_columns(tmp_path):
    table = records()
    table = table.assign(Date=table["time"].dt.date, Hour=table["time"].dt.time).drop(columns="time")
    said = message(tmp_path, deployments(), table)
    assert said.endswith('name yours in the mapping; there two columns can be one: time = ["Date", "Hour"]')
    joined = read(tmp_path, deployments(), table, mapping={"records": {"time": ["Date", "Hour"]}})
    assert joined.n_detections == 8


def test_a_number_column_with_a_word_in_it_is_told(tmp_path):
    table = deployments(slope=np.arange(9.0)).astype({"slope": object})
    table.loc[3, "slope"] = "3 deg"
    with pytest.warns(
        SurveyWarning, match=r"'slope' is taken for words, because 1 of 9 values is no number: '3 deg' in"
    ):
        read(tmp_path, table, records())
    sites = pd.DataFrame({"site": [f"P{k}" for k in range(9)], "height": ["2500 m", *map(str, range(2501, 2509))]})
    sites.to_csv(tmp_path / "sites.csv", index=False)
    visits = pd.DataFrame({"site": np.repeat(sites["site"], 2), "visit": [1, 2] * 9, "value": [1, 0, 0] * 6})
    visits.to_csv(tmp_path / "visits.csv", index=False)
    with pytest.warns(SurveyWarning, match=r"sites.csv: 'height' is taken for words, .* '2500 m' in row 2"):
        survey.read_visits(tmp_path / "visits.csv", sites=tmp_path / "sites.csv")
    sites.assign(height=[None, *range(8)]).to_csv(tmp_path / "sites.csv", index=False)
    history = survey.read_visits(tmp_path / "visits.csv", sites=tmp_path / "sites.csv")
    with pytest.raises(
        SurveyError, match="the formula of psi cannot be evaluated: 'height' has no value in 1 of 9 rows"
    ):
        models.Occupancy(history, psi="~ height")
    with pytest.raises(SurveyError) as error:
        models.Occupancy(history, psi="height +")
    assert "cannot be read" in str(error.value) and "\x1b" not in str(error.value) and "⧛" not in str(error.value)


def test_sites_in_degrees_that_are_called_x_and_y(tmp_path):
    sites = deployments().rename(columns={"station": "site", "longitude": "x", "latitude": "y"})[["site", "x", "y"]]
    sites.to_csv(tmp_path / "sites.csv", index=False)
    pd.DataFrame({"site": ["S1", "S1"], "visit": [1, 2], "value": [0, 1]}).to_csv(tmp_path / "visits.csv", index=False)
    with pytest.raises(SurveyError) as error:
        survey.read_visits(tmp_path / "visits.csv", sites=tmp_path / "sites.csv", crs=CRS)
    assert str(error.value) == (
        "sites.csv: x and y look like degrees and must be metres (found (99.0, 44.2)). Call them longitude and latitude"
    )


def test_identified_records_that_do_not_count_are_told(tmp_path):
    table = records().astype({"time": object})
    table.loc[0, "species"], table.loc[1, "species"], table.loc[2, "time"] = "", "lynx  Lynx ", ""
    found = survey.verify(read(tmp_path, deployments(), table))
    assert [f.what for f in found if f.id == "identified-left-out"] == [
        "1 identified record without a species: not counted",
        "1 identified record without a time: not counted",
        "1 identified record of 'lynx  Lynx', another species by its spelling: not counted",
    ]
    assert found["identified-left-out"].rows == ("row 2",)
    other = records().assign(species=["Lynx lynx"] * 6 + ["Felis silvestris"] * 2)
    assert "identified-left-out" not in survey.verify(read(tmp_path, deployments(), other))


def test_slips_in_the_coordinates_of_collars(tmp_path):
    rng = np.random.default_rng(1)
    fixes = pd.DataFrame({"animal": "a", "longitude": 99.0 + 0.01 * rng.random(20), "latitude": 44.2})
    fixes["latitude"] += 0.01 * rng.random(20)
    path = tmp_path / "collars.csv"
    fixes.to_csv(path, index=False)
    captures = read(tmp_path, deployments(), records())
    assert "fixes-far-away" not in survey.verify(captures.with_telemetry(survey.read_telemetry(path, CRS)))
    slip = fixes.copy()
    slip.loc[5, "longitude"] += 1.0
    slip.to_csv(path, index=False)
    found = survey.verify(captures.with_telemetry(survey.read_telemetry(path, CRS)))["fixes-far-away"]
    assert re.match(r"1 collar position far from the animal's others, up to (79|80)\.\d+ km", found.what)
    assert found.rows == ("a (row 7)",)
    slip.assign(longitude=slip["longitude"].where(slip.index != 5, 0.0), latitude=slip["latitude"].where(
        slip.index != 5, 0.0)).to_csv(path, index=False)  # fmt: skip
    with pytest.raises(SurveyError) as error:
        survey.read_telemetry(path, CRS)
    assert str(error.value) == (
        "collars.csv, row 7: a fix lies where EPSG:32647 has no coordinates (found 'longitude 0, latitude 0'). Leave "
        "it out, or correct it; many collars write 0, 0 where they had no satellites"
    )
    fixes.rename(columns={"animal": "ID"}).to_csv(path, index=False)
    with pytest.raises(SurveyError, match=re.escape('Add it, or say what yours is called: columns = { animal = "…" }')):
        survey.read_telemetry(path, CRS)
    fixes.rename(columns={"longitude": "latitude", "latitude": "longitude"}).to_csv(path, index=False)
    with pytest.raises(SurveyError, match="latitude and longitude look swapped"):
        survey.read_telemetry(path, CRS)


# ---- regions -------------------------------------------------------------------------------------------------------


def with_region(folder, shape, layers=("park",), crs=CRS):
    """The small survey, whose region is `shape`, in a file of so many layers; its form."""
    form = small_survey.write(folder)
    for layer in layers:
        gpd.GeoDataFrame(geometry=[shape], crs=crs).to_file(folder / "other.gpkg", layer=layer)
    text = form.read_text("utf-8")
    name = re.search(r'\[\[regions\]\]\nname = "Valley"\nfile = "([^"]+)"', text)[1]
    form.write_text(text.replace(f'file = "{name}"', 'file = "other.gpkg"'), "utf-8")
    return form


def test_a_region_is_read_before_anything_is_fitted(tmp_path):
    with pytest.raises(SurveyError, match=r"other.gpkg: region 'Valley': the file does not have one layer"):
        read_study(with_region(tmp_path, shapely.box(5e5, 4e6, 5.1e5, 4.01e6), layers=("park", "county")))


def test_a_region_where_nobody_looked_is_refused_or_told(tmp_path):
    mask = read_study(small_survey.write(tmp_path / "first")).mask
    x, y = mask.centres()
    far = shapely.box(x.max() + 5e4, y.min(), x.max() + 6e4, y.max())
    with pytest.raises(SurveyError) as error:
        read_study(with_region(tmp_path / "far", far, crs=mask.crs))
    said = "other.gpkg: the region 'Valley' lies outside the habitat mask. Check its outline and its CRS"
    assert str(error.value) == said
    middle = (x.min() + x.max()) / 2
    study = read_study(with_region(tmp_path / "half", shapely.box(middle, y.min(), 2 * x.max() - middle, y.max())))
    found = study.findings["region-beyond-mask"]
    assert re.match(r"The region 'Valley' lies to \d\d% outside the habitat mask, where nobody looked", found.what)
    assert texts("zh").term(found.what) != found.what and texts("zh").term(found.fix) != found.fix
    with pytest.raises(
        SurveyError, match=r"model 'rugged': the region 'Valley' reaches beyond the habitat mask, where"
    ):
        study.prepare()


# ---- sites and fates -----------------------------------------------------------------------------------------------

FORM = """\
[survey]
name = "Stumbles"
[data]
format = "{format}"
path = "table.csv"
{data}
[[models]]
name = "a"
model = "{model}"
"""


def study(folder, table: str, format: str, model: str, data: str = ""):
    (folder / "table.csv").write_text(table, "utf-8")
    (folder / "survey.toml").write_text(FORM.format(format=format, model=model, data=data), "utf-8")
    return read_study(folder)


def test_the_order_of_day_and_month_can_be_said_in_every_form(tmp_path):
    visits = "site,date,value\nA,03/04/2025,1\nA,05/04/2025,0\nB,03/04/2025,0\nB,04/04/2025,1\n"
    with pytest.raises(SurveyError, match="the day and the month cannot be told apart"):
        study(tmp_path, visits, "visits", "Occupancy")
    found = study(tmp_path, visits, "visits", "Occupancy", 'dates = "dmy"')
    assert sorted(found.history.visits["day"]) == [93, 93, 94, 95]
    fates = "animal,entry,exit,died\na,03/04/2025,05/05/2025,no\nb,03/04/2025,05/06/2025,yes\n"
    with pytest.raises(SurveyError, match="the day and the month cannot be told apart"):
        study(tmp_path, fates, "fates", "KnownFate", 'length = "7 days"')
    animals = study(tmp_path, fates, "fates", "KnownFate", 'length = "7 days"\ndates = "dmy"').animals
    assert animals.n_animals == 2 and animals.n_deaths == 1
    with pytest.raises(SurveyError, match=r"table.csv: begin is no date|begin is no date \(found '03/04/2025'\)"):
        study(tmp_path, fates, "fates", "KnownFate", 'length = "7 days"\ndates = "dmy"\nbegin = "03/04/2025"')


def test_counts_that_are_none_are_told(tmp_path):
    visits = "site,visit,value\n" + "".join(
        f"{s},{k},{(i + k) % 2}\n" for i, s in enumerate("ABCDEFGHIJKL") for k in (1, 2)
    )
    found = study(tmp_path, visits, "visits", "NMixture").findings["counts-of-one"]
    assert found.what.startswith("All counts are 0 or 1") and "RoyleNichols" in found.fix
    assert "counts-of-one" not in study(tmp_path, visits.replace("L,2,1", "L,2,3"), "visits", "NMixture").findings
    assert "counts-of-one" not in study(tmp_path, visits, "visits", "Occupancy").findings


def test_observations_without_a_track_are_told(tmp_path):
    shutil.copytree(PATROLS, tmp_path / "patrols", ignore=shutil.ignore_patterns("report"))
    lost = tmp_path / "patrols" / "tracks" / "T3-011.gpx"
    assert "observations-off-track" not in read_study(tmp_path / "patrols").findings
    lost.unlink()
    found = read_study(tmp_path / "patrols").findings["observations-off-track"]
    assert found.what == "11 observations of the animals away from all tracks of their patrols: not counted"


def test_years_with_a_gap_need_their_intervals(tmp_path):
    histories = "animal,2018,2019,2021,2022\na,1,0,1,1\nb,1,1,0,0\nc,0,1,1,0\n"
    with pytest.raises(SurveyError) as error:
        study(tmp_path, histories, "histories", "CJS")
    assert str(error.value) == (
        "table.csv: the occasions are not equally far apart by their names (found '2018, 2019, 2021, 2022'). "
        "Give the time between them: intervals = [1, 2, 1]"
    )
    assert study(tmp_path, histories, "histories", "CJS", "intervals = [1, 2, 1]").history.intervals.tolist() == [
        1,
        2,
        1,
    ]
    with pytest.raises(SurveyError, match="the occasions do not rise by their names"):
        study(tmp_path, histories.replace("2018,2019,2021,2022", "2022,2021,2020,2019"), "histories", "CJS")
    encounters = "animal,occasion\n" + "".join(f"{a},{t}\n" for a in "abcde" for t in (2018, 2019, 2021))
    with pytest.raises(SurveyError, match=r"not equally far apart .* intervals = \[1, 2\]"):
        study(tmp_path, encounters, "encounters", "CJS")
    slip = encounters.replace("2021", "2020").replace("c,2019", "c,2019a")
    with pytest.raises(SurveyError) as error:
        study(tmp_path, slip, "encounters", "CJS")
    said = "table.csv, row 9: occasion is a whole number in most rows, and not here (found '2019a'). Correct the value"
    assert str(error.value) == said


def test_dates_in_a_form_have_the_year_first(tmp_path):
    with pytest.raises(SurveyError) as error:
        read(tmp_path, deployments(), records(), start="04/05/2025")
    assert str(error.value) == "the start of the survey is not a date (found '04/05/2025'). Write it as 2024-06-30"
    assert read(tmp_path, deployments(), records(), start="2025-04-05").n_detections < 8


def test_an_empty_column_of_individuals_is_told_from_none(tmp_path):
    said = message(tmp_path, deployments(), records().assign(individual=""))
    assert "the column 'individual' of records.csv is empty, and there is no table of identities" in said
    said = message(tmp_path, deployments(), records().drop(columns="individual"))
    assert "the records have no column of individuals, and there is no table of identities" in said


def test_a_density_that_cannot_be_told_is_not_the_headline(tmp_path):
    read(tmp_path, deployments(), records().iloc[:2].assign(individual=["a", "b"]))
    head = FORM.format(format="field-tables", model="SCR", data="").replace('"table.csv"', '"."')
    about = '[survey]\nspecies = "Lynx lynx"\ncommon_name = "lynxes"\ntimezone = "Asia/Ulaanbaatar"\ncrs = "EPSG:32647"'
    text = head.replace("[survey]", about) + "[mask]\nbuffer = 4000\nspacing = 1000\n"
    (tmp_path / "survey.toml").write_text(text, "utf-8")
    found = analyse(read_study(tmp_path))
    assert not found.fit.verdict.good
    assert headline(found, texts("en")) == "How many lynxes there are cannot be told from these data."


def test_one_of_two_cameras_at_a_station_fails(tmp_path):
    pairs = pd.concat([deployments(camera="one"), deployments(camera="two")], ignore_index=True)
    both = records().assign(camera="one")
    failures = tmp_path / "failures.csv"
    failures.write_text("station,camera,start,end,reason\nS1,two,2025-04-05,2025-04-06,battery\n", "utf-8")
    found = read(tmp_path, pairs, both)
    assert found.detectors.effort.sum(axis=0) == pytest.approx(20.0)  # the other one went on
    assert found.tables.lost()["camera_days"].tolist() == [2.0]
    failures.write_text("station,camera,start,end\nS9,one,2025-04-05,2025-04-06\nS9,,2025-04-10,2025-04-10\n", "utf-8")
    found = read(tmp_path, pairs, both)
    assert found.detectors.effort.sum(axis=0)[8] == pytest.approx(19.0)  # a failure without a camera is one of both
    failures.write_text("station,camera,start,end\nS9,three,2025-04-05,2025-04-06\n", "utf-8")
    assert message(tmp_path, pairs, both) == (
        "failures.csv, row 2: there is no such camera at location 'S9' (found 'three'). Use one, two, or leave the "
        "camera out where all failed"
    )


def test_overlooked_sites_are_those_visited_in_the_last_season(tmp_path):
    rng = np.random.default_rng(3)
    rows, used = [], rng.random(40) < 0.7
    for season in (2021, 2022):
        for i in range(40 if season == 2021 else 20):  # half of the sites were not visited again
            rows += [f"P{i},{season},{k},{int(used[i] and rng.random() < 0.6)}" for k in (1, 2, 3)]
    found = analyse(study(tmp_path, "site,season,visit,value\n" + "\n".join(rows) + "\n", "visits", "DynamicOccupancy"))
    said = found.story.in_short(texts("en"))[-1]
    assert said.startswith("Of the sites visited in season 2022 and in use then, about ")
    assert float(re.search(r"about ([\d.]+) %", said)[1]) < 20  # with those that nobody visited about half


def test_values_that_differ_in_case_only_are_told(tmp_path):
    histories = "animal,sex,1,2,3\na,Female,1,0,1\nb,female,1,1,0\nc,male,0,1,1\n"
    (tmp_path / "h.csv").write_text(histories, "utf-8")
    with pytest.warns(
        SurveyWarning, match="h.csv: 'sex' has values that differ in case or blanks only: 'Female', 'female'"
    ):
        survey.read_histories(tmp_path / "h.csv")


def test_a_rare_word_that_looks_like_a_frequent_one_is_told_with_its_row(tmp_path):
    rows = [f"c{i},{'hunted' if i % 2 else 'core'},1,1,0" for i in range(12)]
    (tmp_path / "h.csv").write_text("animal,class,1,2,3\n" + "\n".join([*rows, "x,huntde,1,1,0"]) + "\n", "utf-8")
    said = "h.csv: 'class' is 'huntde' in row 14 and 'hunted' in 6: write one word if both mean the same"
    with pytest.warns(SurveyWarning, match=said):
        history = survey.read_histories(tmp_path / "h.csv")
    found = list(check(history, ("1", "2", "3")))
    assert [(f.rows, f.what) for f in found if f.id == "levels-alike"] == [
        (("x",), "'class' is 'huntde' 1 time and 'hunted' 6 times")
    ]


def test_words_for_a_sex_that_are_none_are_refused_all_at_once(tmp_path):
    rows = "a,femle,1,0,1\nb,female,1,1,0\nc,,0,1,1\nd,unknown,0,1,1\ne,mael,0,1,1\n"
    (tmp_path / "h.csv").write_text("animal,Sex,1,2,3\n" + rows, "utf-8")
    with pytest.raises(SurveyError) as error:
        survey.read_histories(tmp_path / "h.csv")
    assert [(p.row, p.value) for p in error.value.problems] == [(2, "femle"), (6, "mael")]
    assert "h.csv, row 2: Sex must be one of female, male (found 'femle'). Correct the value" in str(error.value)
    (tmp_path / "h.csv").write_text("animal,Sex,1,2,3\na,F,1,0,1\nb,female,1,1,0\nc,m,0,1,1\n", "utf-8")
    with pytest.warns(SurveyWarning, match="several words for female, which are different values: 'f', 'female'"):
        survey.read_histories(tmp_path / "h.csv")
    (tmp_path / "captures.txt").write_text("# Session ID Occasion Detector sex\n1 a 1 A F\n1 b 1 A femle\n", "utf-8")
    (tmp_path / "traps.txt").write_text("A 0 0\nB 1000 0\n", "utf-8")
    with pytest.raises(SurveyError, match=r"captures.txt, row 3: sex must be one of female, male \(found 'femle'\)"):
        survey.read_secr(tmp_path / "captures.txt", tmp_path / "traps.txt", detector="proximity")


@pytest.mark.parametrize(
    "meant",
    [
        ("adult female", "adult male"),
        ("north-east", "north-west"),
        ("hunted", "unhunted"),
        ("grid A", "grid B"),
        ("camp I", "camp II"),
        ("plot a", "plot b"),
        ("plot 10", "plot 11"),
        ("牧场东区", "牧场西区"),
        ("east", "west"),
    ],
)
def test_words_that_differ_on_purpose_are_left_alone(meant):
    assert misspelled([meant[0]] * 20 + [meant[1]]) == {} == misspelled([meant[1]] * 20 + [meant[0]])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "animal,2015,201 6,2017\na,1,0,1\n",
            r"h.csv, row 1: the heading is almost a whole number \(found '201 6'\)\. Write the number of the occasion",
        ),
        ("animal,2015,2016\na,-1,0\nb,1,.\n", r"row 2: occasion 2015 must be 0, 1, a state or empty \(found '-1'\)"),
        ("animal,2015,2015\na,1,0\n", r"^h.csv, row 1: the heading '2015' is used twice\. Delete or rename one$"),
    ],
)
def test_slips_in_headings_of_histories_are_told_once(tmp_path, table, said):
    (tmp_path / "h.csv").write_text(table, "utf-8")
    with pytest.raises(SurveyError, match=said):
        survey.read_histories(tmp_path / "h.csv")


def test_tables_and_columns_that_are_almost_called_so_are_told(tmp_path):
    lost = pd.DataFrame({"station": ["S3"], "start": ["2025-04-05"], "end": ["2025-04-06"], "reason": ["snow"]})
    lost.to_csv(tmp_path / "failure.csv", index=False)
    named = records().assign(cameras="x")
    with pytest.warns(SurveyWarning) as told:
        read(tmp_path, deployments(), named)
    assert {str(w.message) for w in told} == {
        "'failure.csv' is not read: if it is the table of failures, rename it 'failures'",
        "records.csv: the column 'cameras' is not read as 'camera': rename it, if it is this",
    }
    (tmp_path / "failure.csv").rename(tmp_path / "failures.csv")
    said = message(tmp_path, deployments(), records().rename(columns={"species": "speces", "individual": "indvidual"}))
    assert "records.csv, row 1: the column 'speces' is not read as 'species'. Rename it" in said
    assert "records.csv, row 1: the column 'indvidual' is not read as 'individual'. Rename it" in said
    with pd.ExcelWriter(tmp_path / "survey.xlsx") as book:
        deployments().to_excel(book, sheet_name="deployments", index=False)
        records().to_excel(book, sheet_name="recods", index=False)
    with pytest.raises(SurveyError) as error:
        survey.read_field_tables(tmp_path / "survey.xlsx", timezone="Asia/Ulaanbaatar", crs=CRS)
    assert str(error.value) == (
        "survey.xlsx: there is no sheet with the table of records (found ['deployments', 'recods']). "
        "Did you mean 'recods'? Rename it 'records'"
    )


def test_an_exit_in_the_future_is_told(tmp_path):
    (tmp_path / "f.csv").write_text("animal,entry,exit,died\na,2019-06-14,2121-03-12,no\nb,2019-06-14,2020-03-12,yes\n")
    with pytest.warns(SurveyWarning, match="f.csv: the exit lies in the future in row 2: is the year right?"):
        survey.read_fates(tmp_path / "f.csv", "7 days")


def test_sites_far_from_a_raster_are_told_where_they_are(tmp_path):
    form = small_sites.sites(
        tmp_path, '[mask]\npolygon = "land.gpkg"\nspacing = 1000\ncovariates = { rugged = "rugged.tif" }\n'
    )
    sites = pd.read_csv(tmp_path / "sites.csv")
    sites.rename(columns={"x": "y", "y": "x"}).to_csv(tmp_path / "sites.csv", index=False)
    form.write_text(form.read_text("utf-8") + small_sites.models('name = "a"'), "utf-8")
    said = (
        r"no value at 30 of 30 sites .*Check the CRS of the sites, and that x and y are not swapped \(the first is at"
    )
    with pytest.raises(SurveyError, match=said):
        read_study(form)


def test_a_table_that_is_no_correlation_is_told_before_anything_is_fitted(tmp_path):
    years = "".join(f"[[years]]\nyear = {y}\nestimate = 10\nse = 1\n" for y in (2020, 2022))
    head = '[survey]\nname = "Cats"\n'
    for R, said in (
        ("[[1, 0.4], [0.3, 1]]", "it is not symmetric"),
        ("[[1, 1.4], [1.4, 1]]", "this is no correlation"),
    ):
        (tmp_path / "survey.toml").write_text(f"{head}{years}[trend]\ncorrelation = {R}\n", "utf-8")
        with pytest.raises(SurveyError, match=said):
            read_study(tmp_path).prepare()
