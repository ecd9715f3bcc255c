"""Field tables: other headings, other separators, other encodings, Excel."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from bad_inputs import good
from bad_inputs.case import workbook
from bad_inputs.good import RECORDS, SITE, STATIONS, change

from uncia import survey

HISTORY = [["L1", 3, "A"], ["L1", 4, "B"], ["L2", 8, "C"], ["L2", 9, "A"]]


def read(path, **how):
    return survey.read_field_tables(path, **(SITE | how))


def animals_at(captures):
    return captures.detections[["animal", "occasion", "detector"]].to_numpy(object).tolist()


class TestFiles:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_separators_and_encodings(self, tmp_path, delimiter, encoding):
        good.field(
            tmp_path,
            deployments=STATIONS.replace(",", delimiter).encode(encoding),
            records=RECORDS.replace(",", delimiter).encode(encoding),
        )
        assert animals_at(read(tmp_path)) == HISTORY

    def test_chinese_windows(self, tmp_path):
        """Names in GB 18030, as Excel writes them on a Chinese Windows."""
        stations, records = STATIONS.replace("A,", "和顺县松烟镇,"), RECORDS.replace(",A,", ",和顺县松烟镇,")
        good.field(tmp_path, deployments=stations.encode("gb18030"), records=records.encode("gb18030"))
        assert read(tmp_path).detectors.id[0] == "和顺县松烟镇"

    def test_cyrillic_with_its_encoding_given(self, tmp_path):
        stations, records = STATIONS.replace("A,", "Кордон,"), RECORDS.replace(",A,", ",Кордон,")
        good.field(tmp_path, deployments=stations.encode("cp1251"), records=records.encode("cp1251"))
        assert read(tmp_path, encoding="cp1251").detectors.id[0] == "Кордон"

    def test_decimal_commas_where_nothing_else_can_be_meant(self, tmp_path):
        stations = STATIONS.replace(",", ";").replace("113.0", "113,0").replace("37.0", "37,0")
        good.field(tmp_path, deployments=stations)
        captures = read(tmp_path)
        assert captures.tables.deployments["latitude"].tolist() == pytest.approx([37.0, 37.02, 37.0])

    def test_blank_lines_and_quoted_line_breaks_keep_the_rows_right(self, tmp_path):
        records = RECORDS.replace("r2,", ' \n"r\n2",').replace("r4,A", "r4,Z")
        good.field(tmp_path, records=records)
        with pytest.raises(survey.SurveyError, match=r"records.csv, row 7: there is no station of this name"):
            read(tmp_path)

    def test_headings_in_another_style(self, tmp_path):
        good.field(tmp_path, records=change(RECORDS, "species,individual", "SPECIES,Individual ID").replace(" ID", ""))
        assert animals_at(read(tmp_path)) == HISTORY

    def test_files_of_their_own(self, tmp_path):
        (tmp_path / "a").mkdir()
        good.field(tmp_path / "a", records="")
        good.write(tmp_path, mine__csv=RECORDS)
        assert animals_at(read(tmp_path / "a", records=tmp_path / "mine.csv")) == HISTORY


class TestExcel:
    @staticmethod
    def rows(text, *times):
        """Rows with real dates and numbers instead of text."""
        header, *lines = [line.split(",") for line in text.splitlines()]
        out = [header]
        for line in lines:
            cells = [float(c) if c.replace(".", "").isdigit() else c for c in line]
            for name in times:
                cells[header.index(name)] = dt.datetime.fromisoformat(line[header.index(name)])
            out.append(cells)
        return out

    def test_one_workbook(self, tmp_path):
        sheets = {"deployments": self.rows(STATIONS, "start", "end"), "Records": self.rows(RECORDS, "time")}
        (tmp_path / "survey.xlsx").write_bytes(workbook(**sheets, notes=[["anything"]]))
        captures = read(tmp_path / "survey.xlsx")
        assert animals_at(captures) == HISTORY
        assert "survey.xlsx [Records]: 5 records read" in str(captures.ledger)

    def test_one_file_per_table(self, tmp_path):
        (tmp_path / "deployments.xlsx").write_bytes(workbook(Sheet1=self.rows(STATIONS, "start", "end")))
        (tmp_path / "records.xlsx").write_bytes(workbook(Tabelle1=self.rows(RECORDS, "time")))
        assert animals_at(read(tmp_path)) == HISTORY

    def test_numbers_as_names_and_dates_without_time(self, tmp_path):
        stations = [["station", "longitude", "latitude", "start", "end"]]
        for i in (1.0, 2.0):
            stations.append([i, 113.0 + i / 100, 37.0, dt.date(2024, 4, 1), dt.date(2024, 4, 20)])
        records = [["station", "time", "individual"], [1, dt.datetime(2024, 4, 3, 2, 0, 59, 999_999), "L1"]]
        (tmp_path / "s.xlsx").write_bytes(workbook(deployments=stations, records=records))
        captures = read(tmp_path / "s.xlsx")
        assert captures.detectors.id == ("1", "2")
        assert captures.detectors.effort[:, 1].sum() == 19.0
        assert captures.tables.records["time"].iloc[0] == pd.Timestamp("2024-04-03 02:01", tz="Asia/Shanghai")


class TestDates:
    def test_dates_without_times_are_noon_or_what_records_show(self, tmp_path):
        stations = STATIONS.replace("2024-04-01 10:00", "2024-04-01").replace("2024-04-20 10:00", "2024-04-20")
        records = RECORDS + "r6,A,2024-04-01 08:00,Capreolus pygargus,\nr7,A,2024-04-20 15:30,Capreolus pygargus,\n"
        good.field(tmp_path, deployments=stations, records=records)
        d = read(tmp_path).tables.deployments
        assert f"{d['start'][0]:%d %H:%M} {d['end'][0]:%d %H:%M}" == "01 08:00 20 15:30"
        assert f"{d['start'][1]:%d %H:%M}" == "01 11:00"

    def test_failures_without_times_are_whole_days(self, tmp_path):
        good.field(tmp_path, failures__csv="station,start,end,reason\nA,2024-04-12,2024-04-13,snow\n")
        assert read(tmp_path).tables.lost()["camera_days"].tolist() == [2.0]

    def test_failure_without_end_lasts_to_the_end(self, tmp_path):
        good.field(tmp_path, failures__csv="station,start,end,reason\nA,2024-04-19 10:00,,stolen\n")
        captures = read(tmp_path)
        assert captures.tables.lost().to_dict("records") == [
            {"reason": "stolen", "failures": 1, "deployments": 1, "camera_days": 1.0}
        ]

    @pytest.mark.parametrize(
        "text", ["2024/4/3 2:00", "2024.04.03 02:00:00", "2024年4月3日 2:00", "2024:04:03 02:00:00", "3/4/2024 2:00 AM"]
    )
    def test_ways_to_write_a_time(self, tmp_path, text):
        good.field(tmp_path, records=change(RECORDS, "2024-04-03 02:00", text))
        assert animals_at(read(tmp_path, dates="dmy")) == HISTORY

    def test_a_day_above_twelve_shows_the_order(self, tmp_path):
        records = (
            RECORDS.replace("2024-04-0", "0")
            .replace("3 02:00", "3/04/2024 02:00")
            .replace("4 03:00", "4/04/2024 03:00")
        )
        records = records.replace("8 04:00", "8/04/2024 04:00").replace("9 05:00", "9/04/2024 05:00")
        good.field(tmp_path, records=records.replace("2024-04-10 12:00", "13/04/2024 12:00"))
        assert animals_at(read(tmp_path)) == HISTORY

    def test_clocks_without_summer_time(self, tmp_path):
        """A zone of one offset reads the hour that the wall clock skipped."""
        stations = STATIONS.replace("2024-04-01", "2024-03-20")
        good.field(tmp_path, deployments=stations, records=change(RECORDS, "2024-04-03 02:00", "2024-03-31 02:30"))
        assert read(tmp_path, timezone="+01:00").n_detections == 4


class TestMapping:
    STATIONS = """\
Station,utm_x,utm_y,Setup_date,Retrieval_date,Problem1_from,Problem1_to,Problem2_from,Problem2_to,trail
A,677000,4097000,1/4/2024,20/4/2024,5/4/2024,6/4/2024,,,yes
B,679000,4097000,2/4/2024,20/4/2024,,,,,no
C,681000,4097000,2/4/2024,20/4/2024,10/4/2024,11/4/2024,19/4/2024,20/4/2024,no
"""
    RECORDS = """\
Station,Species,Individual,DateTimeOriginal,FileName
A,leopard,L1,2024-04-03 02:00:00,a.jpg
B,leopard,L1,2024-04-04 03:00:00,b.jpg
C,leopard,L2,2024-04-12 03:00:00,c.jpg
C,fox,NA,2024-04-12 04:00:00,d.jpg
"""

    def test_camtrapr(self, tmp_path):
        """The station table with its pairs of problem dates, of which the last day is lost too."""
        good.write(tmp_path, stations__csv=self.STATIONS, records__csv=self.RECORDS)
        captures = read(tmp_path, mapping="camtrapR", dates="dmy", species="leopard")
        assert animals_at(captures) == [["L1", 2, "A"], ["L1", 3, "B"], ["L2", 11, "C"]]
        effort = captures.detectors.effort
        assert effort[:, 0].sum() == 17.0 and effort[:, 2].sum() == 18 - 2 - 1.5
        assert effort[:6, 0].tolist() == [1, 1, 1, 0.5, 0, 0.5]
        assert captures.detectors.covariates["trail"].tolist() == ["yes", "no", "no"]

    def test_a_mapping_of_ones_own(self, tmp_path):
        good.write(
            tmp_path,
            kameras__csv="Ort;Rechts;Hoch;von;bis\nA;677000,5;4097000,5;2024-04-01 10:00;2024-04-20 10:00\n",
            bilder__csv="Ort;Tag;Uhr;Tier\nA;2024-04-03;02:00;L1\nA;2024-04-05;02:00;L1\n",
            mapping__toml="""
[deployments]
file = "kameras.csv"
station = "Ort"
x = "Rechts"
y = "Hoch"
start = "von"
end = "bis"

[records]
file = "bilder.csv"
station = "Ort"
time = ["Tag", "Uhr"]
individual = "Tier"
always = { species = "Panthera pardus" }
""",
        )
        captures = read(tmp_path, mapping=tmp_path / "mapping.toml")
        assert animals_at(captures) == [["L1", 3, "A"], ["L1", 5, "A"]]
        assert captures.detectors.x.tolist() == [677000.5]

    def test_a_mapping_as_a_dictionary(self, tmp_path):
        good.field(tmp_path, records=change(RECORDS, "station,time", "Ort,Zeit"))
        assert animals_at(read(tmp_path, mapping={"records": {"station": "Ort", "time": "Zeit"}})) == HISTORY


class TestMatching:
    def test_records_find_the_deployment_that_stood_there(self, tmp_path):
        """One station, two deployments with a gap; nothing but the station is written down."""
        gap = STATIONS.replace(
            "A,113.00,37.00,2024-04-01 10:00,2024-04-20 10:00", "A,113.00,37.00,2024-04-01 10:00,2024-04-05 10:00"
        )
        good.field(tmp_path, deployments=gap + "A,113.00,37.00,2024-04-08 10:00,2024-04-20 10:00\n")
        captures = read(tmp_path)
        assert animals_at(captures) == HISTORY
        used = captures.tables.records.set_index("record")["deployment"]
        assert (used["r1"], used["r4"]) == ("A/2024-04-01", "A/2024-04-08")
        assert captures.detectors.effort[:, 0].sum() == pytest.approx(16.0)

    def test_two_cameras_by_name(self, tmp_path):
        stations = "\n".join(
            line + ("," + ("camera" if i == 0 else "c1")) for i, line in enumerate(STATIONS.splitlines())
        )
        stations += "\nA,113.00,37.00,2024-04-01 10:00,2024-04-09 10:00,c2\n"
        records = "\n".join(
            line + ("," + ("camera" if i == 0 else "c1")) for i, line in enumerate(RECORDS.splitlines())
        )
        good.field(tmp_path, deployments=stations, records=records + "\nr9,A,2024-04-03 02:00,Panthera pardus,L1,c2\n")
        captures = read(tmp_path)
        assert animals_at(captures) == HISTORY
        assert captures.tables.records.set_index("record")["deployment"]["r9"] == "A/c2"

    def test_identities_beside_the_records(self, tmp_path):
        ids = "record,individual,sex,confidence\nr1,L1,F,certain\nr2,L1,F,probable\nr3,,,\n"
        good.field(tmp_path, identities__csv=ids)
        captures = read(tmp_path)
        assert animals_at(captures) == HISTORY[:2]
        assert captures.animals["sex"].tolist() == ["female"]
        assert captures.ledger.count("no identity") == 2

    def test_all_faults_at_once(self, tmp_path):
        bad = STATIONS.replace("37.02", "x").replace("113.03", "").replace("2024-04-20 10:00", "2024-03-20 10:00")
        good.field(tmp_path, deployments=bad)
        with pytest.raises(survey.SurveyError) as raised:
            read(tmp_path)
        assert sorted(problem.row for problem in raised.value.problems) == [2, 3, 4]
        assert str(raised.value).startswith("3 problems in the input:")


def test_no_more_records_than_were_read(tmp_path):
    """The ledger adds up whatever is thrown at it."""
    rng = np.random.default_rng(4)
    when = pd.Timestamp("2024-03-28") + pd.to_timedelta(rng.uniform(0, 30, 300), unit="D").round("s")
    records = pd.DataFrame(
        {
            "station": rng.choice(["A", "B", "C"], 300),
            "time": when.strftime("%Y-%m-%d %H:%M:%S"),
            "species": rng.choice(["Panthera pardus", "blank", "human", "Capreolus pygargus", ""], 300),
            "individual": rng.choice(["L1", "L2", "L3", ""], 300),
        }
    )
    good.field(tmp_path, records=records.to_csv(index=False))
    captures = read(tmp_path, outside="drop", kind="count")
    captures.ledger.check()
    assert sum(captures.ledger.read.values()) == captures.ledger.table()["records"].sum() == 300
    assert captures.ledger.count() == captures.n_detections
    fates = captures.tables.records["fate"].value_counts()
    assert fates.sum() == 300 and fates["used"] == captures.n_detections
