"""Scats on GPS tracks: what was walked, where each scat was found, and what became of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from patrol_files import CRS, X0, Y0, ZONE, cells, degrees, gpx, times

from uncia import models, survey
from uncia.survey.errors import SurveyError

# three tracks: along y = 1 km eastward, the same way back on another day, and one northward at x = 3 km
EAST = [(x, 1.0) for x in np.arange(0.2, 5.3, 0.5)]
NORTH = [(3.0, y) for y in np.arange(0.3, 5.8, 0.5)]
HEAD = "sample,animal,date,longitude,latitude,sex\n"


def tracks(folder: Path) -> survey.Patrols:
    walks = [
        ("ridge", [(EAST, times(len(EAST), "2024-05-01 08:00"))]),
        ("ridge again", [(EAST[::-1], times(len(EAST), "2024-05-20 08:00"))]),
        ("valley", [(NORTH, times(len(NORTH), "2024-06-02 08:00"))]),
    ]
    return survey.read_patrols(gpx(folder / "walks.gpx", *walks), timezone=ZONE, transport="foot")


def scats(folder: Path, rows: list[tuple], head: str = HEAD) -> pd.DataFrame:
    """Rows (sample, animal, date, x and y in km from the corner, sex)."""
    text = head
    for sample, animal, date, x, y, sex in rows:
        lon, lat = degrees([(x, y)])[0]
        text += f"{sample},{animal},{date},{lon:.8f},{lat:.8f},{sex}\n"
    path = folder / "scats.csv"
    path.write_text(text, "utf-8")
    return survey.read_scats(path, timezone=ZONE)


ROWS = [
    ("s1", "F1", "2024-05-01", 1.00, 1.02, "female"),
    ("s2", "F1", "2024-05-20", 2.50, 0.99, ""),
    ("s3", "F1", "2024-05-20", 2.60, 0.97, "female"),
    ("s4", "M1", "2024-06-02", 3.03, 4.30, "male"),
    ("s5", "", "2024-06-02", 3.01, 2.00, ""),  # DNA failed
    ("s6", "M1", "2024-06-02", 3.20, 4.00, "male"),  # 200 m off
    ("s7", "M2", "2024-05-02", 1.00, 1.00, ""),  # nobody walked there on that day
    ("s8", "M2", "", 1.00, 1.00, ""),  # no date
    ("s9", "M2", "2025-05-02", 1.00, 1.00, ""),
]


def test_every_scat_and_track_has_an_end(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS)
    found = survey.scat_search(patrols, table, crs=CRS, occasion="month", start="2024-05-01", end="2024-06-30")
    ends = found.ledger.ends()
    reasons = ends[ends["file"] == "scats.csv"].set_index("row")["reason"]
    assert reasons.to_dict() == {
        2: "used", 3: "used", 4: "used", 5: "used",
        6: "no identity",
        7: "no way that was walked within 50 m",
        8: "no way within 50 m was walked on its date",
        9: "no date",
        10: "outside the dates",
    }  # fmt: skip
    assert (ends.loc[ends["file"] == "walks.gpx", "reason"] == "used").all()
    assert found.detectors.kind == "transect" and found.n_occasions == 2
    assert found.detectors.id == ("walks 1, occasion 1", "walks 2, occasion 1", "walks 3, occasion 2")
    assert found.animals["sex"].to_dict() == {"F1": "female", "M1": "male"}
    x, y = found.places  # on the way, not where the scat lay
    np.testing.assert_allclose(y[:3], Y0 + 1000.0, atol=0.01)
    np.testing.assert_allclose(x[3], X0 + 3000.0, atol=0.01)


def test_effort_counts_by_the_share_of_scats_with_an_identity(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS)
    how = {"crs": CRS, "occasion": "month", "start": "2024-05-01", "end": "2024-06-30"}
    thinned, plain = (survey.scat_search(patrols, table, thin=thin, **how) for thin in (True, False))
    np.testing.assert_allclose(plain.detectors.effort, [[1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(thinned.detectors.effort, [[1, 1, 0], [0, 0, 0.5]])  # s5 of two in June
    np.testing.assert_allclose(np.nanmax(plain.detectors.varying["success"], axis=1), [1.0, 0.5])
    assert thinned.detectors.effort_unit == "times walked (by the share of scats named)"
    mask, hazard = survey.HabitatMask.around(plain, 3000.0, 500.0), {"detection": "hazard half-normal"}
    values = {"D": 5.0, "sigma": 1200.0}
    one = models.SCR(thinned, mask, **hazard).at(**values, lambda0=0.4).loglik
    model = models.SCR(plain, mask, lambda0="~ np.log(success)", **hazard)
    two = model.at(**values, lambda0={"Intercept": np.log(0.4), model.parameters["lambda0"].terms[1]: 1.0}).loglik
    assert one == pytest.approx(two, abs=1e-9)  # effort and hazard multiply


def test_walked_twice_is_twice_the_length(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS[:4])
    by_cell = survey.scat_search(patrols, table, cells=cells(), thin=False)
    km = dict(zip(by_cell.detectors.id, shapely.length(by_cell.detectors.shapes) / 1000, strict=True))
    assert km["E500N3500"] == pytest.approx(2 * 1.8, abs=1e-3)  # from x = 0.2 to 2 km, there and back
    assert km["E502N3500"] == pytest.approx(2 * 2.0 + 1.7, abs=1e-3)  # crossed by the valley
    counts = survey.scat_search(patrols, table, cells=cells(), kind="count", thin=False)
    effort = dict(zip(counts.detectors.id, counts.detectors.effort[0], strict=True))
    assert effort == pytest.approx(km, abs=1e-9)
    assert counts.detections.set_index(["animal", "detector"])["count"].to_dict() == {
        ("F1", "E500N3500"): 1, ("F1", "E502N3500"): 2, ("M1", "E502N3504"): 1
    }  # fmt: skip


def test_covariates_of_cells_and_of_the_way(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS[:4])
    slope = pd.DataFrame({"slope": np.arange(9.0)}, index=list(cells().name))
    found = survey.scat_search(patrols, table, cells=cells(), covariates=slope)
    assert found.detectors.covariates["slope"].tolist() == [slope["slope"][name] for name in found.detectors.id]
    mask = survey.HabitatMask.around(found.detectors, 3000.0, 500.0)
    x = mask.to_xarray(mask.centres()[0]).to_numpy()
    raster = survey.scat_search(patrols, table, cells=cells(), covariates=mask.with_covariate("east", x))
    middle = dict(zip(raster.detectors.id, raster.detectors.covariates["east"], strict=True))
    assert middle["E500N3500"] == pytest.approx(X0 + 1100.0, abs=300.0)
    with pytest.raises(SurveyError, match="covariates lack a cell or track that was walked"):
        survey.scat_search(patrols, table, cells=cells(), covariates=slope.iloc[:1])


def test_ways_and_cells_agree_where_cells_are_small(tmp_path):
    """Scats at their places along ways, or counted in cells of 100 m: nearly the same likelihood of sigma and D."""
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS[:4])
    small = cells(60, 60, 0.1)
    lines = survey.scat_search(patrols, table, cells=small, thin=False)
    counts = survey.scat_search(patrols, table, cells=small, kind="count", thin=False)
    mask = survey.HabitatMask.around(lines, 3000.0, 400.0)
    gain = []
    for captures in (lines, counts):
        model = models.SCR(captures, mask, detection="hazard half-normal")
        values = [{"D": D, "sigma": s, "lambda0": 0.3} for D, s in ((5.0, 1500.0), (9.0, 1000.0))]
        gain.append(np.subtract(*(model.at(**v).loglik for v in values)))
    assert gain[0] == pytest.approx(gain[1], abs=0.05)


def test_with_cameras_in_one_session(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS[:4])
    found = survey.scat_search(patrols, table, crs=CRS)
    at = survey.Detectors(["A", "B"], [X0 + 1500, X0 + 3500], [Y0 + 1500, Y0 + 2500], [[20.0, 20.0]], "count", CRS)
    cameras = survey.CaptureHistory(
        pd.DataFrame({"animal": ["F1", "M1", "M1"], "occasion": 1, "detector": ["A", "A", "B"]}), at
    )
    both = survey.together({"camera": cameras, "scat": found})
    mask = survey.HabitatMask.around(both, 3000.0, 400.0)
    fit = models.SCR(both, mask, lambda0="~ method", sigma=1200.0, detection="hazard half-normal").fit()
    assert np.isfinite(fit.covariance).all()
    assert both.ledger.count() == 4 + 3


def test_scats_of_other_species_are_no_failures_of_dna(tmp_path):
    """A table that somebody made: what is not in it is not known."""
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS[:5])
    plain = table[["animal", "longitude", "latitude", "time"]].assign(species=["cat", "cat", "cat", "cat", "fox"])
    found = survey.scat_search(patrols, plain, crs=CRS, species="cat")
    assert found.ledger.count("another species") == 1 and (found.detectors.effort == 1.0).all()
    with pytest.raises(SurveyError, match="the scats hold several species"):
        survey.scat_search(patrols, plain, crs=CRS)
    with pytest.raises(SurveyError, match="the scats lack columns"):
        survey.scat_search(patrols, plain.drop(columns="animal"), crs=CRS)


def test_messages(tmp_path):
    patrols, table = tracks(tmp_path), scats(tmp_path, ROWS)
    with pytest.raises(SurveyError, match="the projected CRS in which distances are measured is not known"):
        survey.scat_search(patrols, table)
    with pytest.raises(SurveyError, match=r"no identified scat lies on a way that was walked .*1 no identity"):
        survey.scat_search(patrols, table.iloc[4:6], crs=CRS)
    with pytest.raises(SurveyError, match="Use 'transect', or 'count' with cells="):
        survey.scat_search(patrols, table, crs=CRS, kind="count")
    wrong = [ROWS[0], (*ROWS[1][:5], "male")]
    with pytest.raises(SurveyError, match=r"scats.csv, row 3: animal 'F1' is female in row 2 and male here"):
        survey.scat_search(patrols, scats(tmp_path, wrong), crs=CRS)
    path = tmp_path / "metres.csv"
    with pytest.raises(SurveyError, match="x and y are in metres of a CRS that is not stated"):
        path.write_text("animal,x,y\nF1,500000,3500000\n", "utf-8")
        survey.read_scats(path, timezone=ZONE)
    with pytest.raises(SurveyError, match="there is no column 'animal'"):
        path.write_text("cat,x,y\nF1,500000,3500000\n", "utf-8")
        survey.read_scats(path, timezone=ZONE, crs=CRS)
