"""verify: every id is planted once and found; the field's classic data sets give no false alarm."""

import numpy as np
import pandas as pd
import pytest
from reference import scr_data
from shapely import box

from uncia import survey
from uncia.survey.checks import IDS
from uncia.survey.tables import FAILURES, empty

SIGMA = 1000.0


def cameras(n=7, spacing=2000.0, **changes):
    """n × n cameras over 10 occasions of one day."""
    x, y = (z.ravel() * spacing + 500_000 for z in np.meshgrid(np.arange(n), np.arange(n)))
    fields = {"id": range(1, n * n + 1), "x": x, "y": y, "effort": np.ones((10, n * n)), "crs": "EPSG:32649"}
    return survey.Detectors(**{**fields, **changes})


def seen(detectors=None, n=40, p=0.35, seed=1):
    """Detections of n animals that move by SIGMA around centres inside the array: a table for CaptureHistory."""
    detectors, rng, rows = detectors or cameras(), np.random.default_rng(seed), []
    low, high = detectors.positions.min(axis=0), detectors.positions.max(axis=0)
    for i, centre in enumerate(rng.uniform(low, high, (n, 2)), 1):
        hazard = p * np.exp(-np.sum((detectors.positions - centre) ** 2, axis=1) / (2 * SIGMA**2)) * detectors.effort
        for s, k in np.argwhere(rng.random(hazard.shape) < hazard):
            rows.append({"animal": f"cat {i}", "occasion": s + 1, "detector": detectors.id[k]})
    return pd.DataFrame(rows)


def good(detections=None, detectors=None, **more):
    detectors = detectors or cameras()
    return survey.CaptureHistory(seen(detectors) if detections is None else detections, detectors, **more)


def around(captures, buffer=5000.0, spacing=400.0):
    return survey.HabitatMask.around(captures.detectors, buffer, spacing)


def sexed(captures, sexes, **more):
    animals = pd.DataFrame({"sex": sexes}, index=captures.animals.index)
    return survey.CaptureHistory(captures.detections, captures.detectors, animals, **more)


def documented(captures, identities=None, life_stage="adult", deployments=None, more_records=None, fate="used"):
    """The captures with tables in which every record is identified as stated, and with more records."""
    identities = pd.DataFrame(identities or {})
    defaults = {"individual": "cat 1", "sex": "", "observer": "", "flank": ""}
    identities = identities.assign(**{k: v for k, v in defaults.items() if k not in identities})
    identities["record"] = [str(i) for i in range(len(identities))]
    day = pd.Timestamp("2026-03-01", tz="UTC")
    records = pd.DataFrame({"record": identities["record"], "fate": fate, "life_stage": life_stage, "species": "Lynx"})
    records = pd.concat([records.assign(deployment="d1", time=day), pd.DataFrame(more_records or {})])
    standing = {"location": "L", "start": day, "end": day, "timestamp_issues": False, "coordinate_uncertainty": np.nan}
    standing = {"deployment": ["d1", "d2"], **standing}
    deployments = pd.DataFrame({**standing, **(deployments or {})})
    known = {"species": "Lynx lynx"}
    tables = survey.SurveyTables(deployments, empty(FAILURES, "UTC"), records, identities, "UTC", provenance=known)
    return survey.CaptureHistory(captures.detections, captures.detectors, captures.animals, tables=tables)


def dead_in_may():
    """Two cameras of sixty days; both see something every other day, and d2 nothing after day 18."""
    start = pd.Timestamp("2026-04-01", tz="UTC")
    days = [("d1", day) for day in range(0, 60, 2)] + [("d2", day) for day in range(0, 18)]
    names, when = zip(*days, strict=True)
    times = [start + pd.Timedelta(days=day, hours=9) for day in when]
    end = start + pd.Timedelta(days=60)
    return {
        "identities": {"sex": [""]},
        "deployments": {"start": start, "end": end},
        "more_records": {"deployment": names, "time": times, "fate": "another species"},
    }


def with_layer(captures, values, buffer=5000.0):
    mask = around(captures, buffer)
    x, _ = np.meshgrid(mask.x, mask.y)
    layer = np.broadcast_to(np.asarray(values(x), float), mask.habitat.shape)
    return survey.HabitatMask(
        mask.x0, mask.y0, mask.spacing, mask.habitat, mask.crs,
        mask.with_covariate("rugged", np.zeros(layer.shape)).covariates.assign(rugged=(("y", "x"), layer.copy())),
        mask.buffer,
    )  # fmt: skip


def test_a_good_survey_has_no_findings():
    captures = good()
    findings = survey.verify(captures, around(captures))
    assert str(findings) == "No findings."
    assert len(findings) == 0
    assert list(findings.table().columns) == ["id", "severity", "what", "rows", "fix"]


# ---- one planted fault for every id: id -> captures, mask or None, words of the finding ---------------------------


def some_animals(n):
    names = [f"cat {i}" for i in range(1, 200)]
    table = seen(n=60)
    kept = [name for name in names if name in set(table["animal"])][:n]
    return table[table["animal"].isin(kept)]


def singletons():
    table = seen()
    extra = [{"animal": f"ghost {i}", "occasion": 1 + i % 10, "detector": str(1 + i % 49)} for i in range(60)]
    return pd.concat([table, pd.DataFrame(extra)])


def clumped():
    table = seen()
    return table.assign(count=np.where(table.index % 5 == 0, 12, 1))


def effort(value, s=slice(None), k=0):
    """Cameras of which one has another effort; detections there are left out."""
    changed = np.ones((10, 49))
    changed[s, k] = value
    detectors = cameras(effort=changed)
    used = pd.DataFrame(detectors.used, index=range(1, 11), columns=detectors.id).stack()
    table = seen()
    return good(table[[used[row.occasion, row.detector] for row in table.itertuples()]], detectors)


def dated(days):
    start = pd.Timestamp("2026-05-01", tz="Asia/Shanghai") + pd.Timedelta(days=days) * np.arange(10)
    return pd.DataFrame({"start": start, "end": start + pd.Timedelta(days=days)})


def moved_detector(dx):
    first = cameras()
    return cameras(x=np.where(np.arange(49) == 0, first.x[0] + dx, first.x))


def without(table, detector):
    return table[table["detector"] != detector]


def mask_without(captures, dx=0.0, radius=1500.0):
    """The mask with a hole around the first camera."""
    import shapely

    place = shapely.Point(captures.detectors.x[0] + dx, captures.detectors.y[0])
    return around(captures).clip(place.buffer(radius), outside=True)


def collared(times, name):
    """Good captures with a collar on the animal called `name`."""
    g = good()
    times = [pd.NaT] if times is None else times
    fixes = pd.DataFrame({"animal": name, "x": g.detectors.x[0], "y": g.detectors.y[0], "time": times})
    return g.with_telemetry(survey.Telemetry(fixes, g.detectors.crs))


def planted():
    g = good()
    no_animal = good(pd.DataFrame())
    base = seen()
    first = base["animal"].iloc[0]
    at_first = pd.DataFrame({"animal": [first], "occasion": [10], "detector": ["1"]})
    stay = base.drop_duplicates("animal")
    spots = np.arange(len(g.animals))
    yield "no-animals", no_animal, around(no_animal), "No animal was detected"
    yield "few-animals", good(some_animals(7)), None, "Only 7 animals detected; precise surveys have more than 20"
    yield "few-animals", good(some_animals(15)), None, "15 animals were detected; precise surveys have more than 20"
    yield "no-recaptures", good(stay), None, f"No animal was detected twice ({len(stay)} animals), so detection"
    yield "few-recaptures", good(pd.concat([stay, base[base["animal"] == first]]).drop_duplicates()), None, "Only "
    two = base.drop_duplicates(["animal", "detector"]).groupby("animal").head(1)
    still = pd.concat([two, two.assign(occasion=two["occasion"] % 10 + 1)])
    yield "no-spatial-recaptures", good(still), None, "No animal was detected at two detectors: sigma cannot be"
    moved = pd.concat([still, base[base["animal"] == first]]).drop_duplicates()
    yield "few-spatial-recaptures", good(moved), None, "of an animal at a further detector: sigma and density rest"
    yield "many-singletons", good(singletons()), None, "animals were detected only once, and about "
    other = pd.DataFrame({"animal": [first] * 2, "occasion": [1, 2], "detector": ["1", "49"]})
    yield "moved-far", good(pd.concat([base, other]).drop_duplicates()), None, f"Animal {first!r} was detected 16,971 m"
    yield "counts-clumped", good(clumped(), cameras(kind="count")), None, "times as much between occasions as"
    last = base.groupby("animal")["occasion"].transform("max") == base["occasion"]
    taken = good(base.assign(removed=last & (base["animal"] == first)))
    told = survey.together({"a": taken, "b": good(taken.detections)})  # marked in the tables of both methods
    yield "removed-animals", told, None, "1 of "
    yield "removed-animals", good(base.assign(removed=last & (base["animal"] == first))), None, "1 of "
    twin = base[base["animal"] == base["animal"].value_counts().index[0]].assign(animal="twin")
    yield "same-history", good(pd.concat([base, twin])), None, "2 animals have the same "
    slip = ["femle", *["female"] * 8, *["male"] * (len(spots) - 9)]
    yield "levels-alike", sexed(g, slip), None, "'sex' is 'femle' 1 time and 'female' 8 times"
    north = good(detectors=cameras(covariates=pd.DataFrame({"habitat": ["forest"] * 47 + ["Forest", "forrest"]})))
    yield "levels-alike", north, None, "'habitat' is 'Forest' 1 time and 'forest' 47 times"
    yield "sex-missing", sexed(g, [["F", "M", None][i % 3] for i in spots]), None, f"of {len(spots)} animals is not"
    yield "few-of-a-sex", sexed(g, np.where(spots < 2, "Male", "female")), None, "Only 2 animals of sex 'male'"
    # every second animal stays at the first camera it met, but for its last detection
    home = base.groupby("animal")["detector"].transform("first")
    stays = base["animal"].str[-1].isin(list("02468")) & base.duplicated("animal", keep="last")
    apart = good(base.assign(detector=base["detector"].where(~stays, home)).drop_duplicates())
    female = apart.animals.index.str[-1].isin(list("02468"))
    yield "sexes-move-differently", sexed(apart, np.where(female, "F", "M")), None, "Movement differs by sex: f "
    yield "sex-conflict", documented(g, {"sex": ["female", "male"]}), None, "1 animal with both sexes"
    yield "one-observer", documented(g, {"observer": ["Li", "Li", ""]}), None, "identified by one observer (Li)"
    yield "cubs-included", documented(g, {"sex": [""]}, "juvenile"), None, "1 animal identified as juvenile"
    flanks = {"individual": ["a", "b"], "flank": ["left", "right"]}
    yield "one-flank-animals", documented(g, flanks), None, "1 animal known from the left only, 1 from the right"
    yield "effort-unknown", effort(np.nan, 2), None, "Effort is not known for 1 of 490 detectors and occasions"
    yield "occasion-without-effort", effort(0.0, 2, slice(None)), None, "No detector worked on 1 of 10 occasions"
    yield "detector-never-used", effort(0.0), None, "1 of 49 detectors have no effort on any occasion"
    yield "effort-outlier", effort(365.0, 3), None, "Effort reaches 365 camera days where 1 is usual"
    yield "effort-beyond-time", good(detectors=cameras(effort=np.full((10, 49), 2.0)), occasions=dated(1)), None, "49 "
    yield "long-season", good(occasions=dated(12)), None, "The survey lasted 120 days; beyond about 90"
    clocks = documented(g, {"sex": [""]}, deployments={"timestamp_issues": [True, False]})
    yield "clock-problems", clocks, None, "1 deployment with a clock that cannot be put right"
    slope = pd.DataFrame({"slope": [np.nan, *range(48)]})
    ten = {"deployment": [f"d{i}" for i in range(10)]}
    yield "no-failures-recorded", documented(g, {"sex": [""]}, deployments=ten), None, "No failure is recorded for 10"
    yield "silent-camera", documented(g, **dead_in_may()), None, "1 deployment with up to 42 working days in a row"
    yield "detector-covariate-missing", good(detectors=cameras(covariates=slope)), None, "for 1 of 49 detectors"
    flat = pd.DataFrame({"slope": [3.0] * 49})
    yield "detector-covariate-constant", good(detectors=cameras(covariates=flat)), None, "'slope' is 3.0 for every"
    often = collared(pd.date_range("2026-05-01", periods=30, freq="4h"), first)
    yield "fixes-close-in-time", often, None, "Half of the fixes follow the one before within 4 hours"
    stranger = collared(pd.date_range("2026-05-01", periods=30, freq="D"), "nobody")
    yield "collars-not-detected", stranger, None, "None of 1 collared animal is among those detected"
    slip = collared(None, first).telemetry.fixes
    slip = pd.concat([slip.assign(x=slip["x"] + 100.0 * k + 400_000.0 * (k == 7), row=k + 2) for k in range(9)])
    yield "fixes-far-away", g.with_telemetry(survey.Telemetry(slip, g.detectors.crs)), None, "up to 400.3 km: sigma"
    spelled = collared(None, str(first).upper() + "-")
    yield "names-alike", spelled, None, "1 animal under two names that differ in case or marks only: counted as two"
    lost = documented(g, {"sex": ["", ""]}, fate="no species")
    yield "identified-left-out", lost, None, "2 identified records without a species: not counted"
    yield "crs-unknown", good(detectors=cameras(crs=None)), None, "no coordinate reference system"
    swapped = cameras(x=cameras().y + 4_000_000.0, y=cameras().x)
    yield "crs-does-not-fit", good(detectors=swapped), None, "49 of 49 detectors lie outside the area of EPSG:32649"
    yield "detectors-at-one-place", good(detectors=moved_detector(1990.0)), None, "2 of 49 detectors stand within "
    yield "detector-far-away", good(without(base, "1"), moved_detector(3e6)), None, "1 detector up to 2,99"
    wide = cameras(3, 5000.0)
    yield "detectors-far-apart", good(seen(wide, 200, 0.9), wide), None, "Detectors stand 5,000 m from their nearest"
    small = cameras(2, 1000.0)
    yield "array-smaller-than-home-range", good(seen(small, 60), small), None, "The detectors span 1,414 m"
    blurred = documented(g, {"sex": [""]}, deployments={"coordinate_uncertainty": [10.0, 5000.0]})
    yield "positions-imprecise", blurred, None, "1 deployment with positions known only to 5,000 m"
    there = survey.HabitatMask.around(cameras(crs="EPSG:32650"), 5000.0, 400.0)
    yield "crs-differs", g, there, "The habitat mask is in EPSG:32650 and the detectors are in EPSG:32649"
    met = good(pd.concat([without(base, "1"), at_first]))
    yield "detection-outside-mask", met, mask_without(g), "Animals were detected at 1 detector without habitat"
    yield "detector-outside-mask", good(without(base, "1")), mask_without(g), "1 of 49 detectors are without habitat"
    chess = around(g)
    holes = survey.HabitatMask(
        chess.x0, chess.y0, 400.0, chess.habitat & (np.indices(chess.habitat.shape).sum(0) % 2 == 0), chess.crs
    )
    yield "hole-under-detector", g, holes, "of 49 detectors stand on cells that are not habitat, at its edge"
    yield "buffer-too-small", g, around(g, 1500.0), "The mask ends 1,500 m from the detectors"
    yield "buffer-very-wide", g, around(g, 40_000.0, 500.0), "times the animals' movement: most of it was never"
    yield "mask-too-coarse", g, around(g, 5000.0, 1500.0), "Cells of 1,500 m are large for animals that move"
    yield "mask-needlessly-fine", g, around(g, 5000.0, 60.0), "cells of 60 m, and animals move "
    yield "mask-covariate-missing", g, with_layer(g, lambda x: np.where(x > 5e5, x, np.nan)), "'rugged' has no value in"
    yield "mask-covariate-constant", g, with_layer(g, lambda x: 0 * x + 2), "Covariate 'rugged' is 2 in every habitat"
    beyond = with_layer(g, lambda x: x, 9000.0)
    yield "mask-extrapolation", g, beyond, "of the mask 'rugged' is outside "


PLANTED = list(planted())


@pytest.mark.parametrize(("id", "captures", "mask", "words"), PLANTED, ids=[case[0] for case in PLANTED])
def test_a_planted_fault_is_found(id, captures, mask, words):
    findings = survey.verify(captures, mask)
    assert id in findings
    assert words in findings[id].what
    assert findings[id].severity in ("error", "warning", "note")
    assert findings[id].fix
    assert not any(finding.what.endswith(".") or finding.fix.endswith(".") for finding in findings)


def test_every_id_is_described_and_planted():
    assert {case[0] for case in PLANTED} == set(IDS)


# ---- the classic data sets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "ids"),
    [
        ("captdata", {}, ()),
        ("captdata_effort", {"effort": "effort_varying.csv"}, ()),
        ("hare", {}, ()),
        ("possum", {}, ()),
        ("housemouse", {}, ()),
        ("blackbear", {}, ("moved-far",)),  # one bear at two detectors 16.7 km apart
        ("blackbear_hazard", {}, ("moved-far", "sex-missing")),  # the sex of every third bear is hidden
        ("stoatDNA", {}, ("few-recaptures",)),
        ("stoatDNA/counts", {}, ("few-recaptures",)),
        ("ovenbird", {"session": "2009"}, ("few-recaptures", "few-animals", "removed-animals")),
    ],
)
def test_no_false_alarm_on_classic_data(name, options, ids):
    assert survey.verify(*scr_data(name, **options)).ids == (*ids, "crs-unknown")


def test_several_sessions_are_looked_at_one_by_one():
    good_year, bad_year = good(session="2025"), good(some_animals(7), session="2026")
    mask = around(good_year)
    findings = survey.verify({"2025": good_year, "2026": bad_year}, mask)
    assert findings.ids == survey.verify(bad_year, mask).ids
    assert findings["few-animals"].what == "Session 2026: Only 7 animals detected; precise surveys have more than 20"
    assert str(survey.verify([good_year, bad_year], [mask, mask])) == str(findings)


# ---- how findings are shown --------------------------------------------------------------------------------------


@pytest.fixture
def findings():
    detectors = survey.Detectors([f"<{k}>" for k in range(20)], np.arange(20.0), [0.0] * 20, [[1.0] * 20])
    return survey.verify(survey.CaptureHistory(pd.DataFrame(), detectors))


def test_findings_as_text():
    detectors = cameras(4, effort=np.where(np.arange(16) < 14, 0.0, 1.0)[None, :])
    table = pd.DataFrame({"animal": ["a", "b"], "occasion": [1, 1], "detector": ["15", "16"]})
    assert str(survey.verify(survey.CaptureHistory(table, detectors))) == (
        "1 error, 1 warning, 1 note.\n\n"
        "ERROR no-recaptures\n"
        "  No animal was detected twice (2 animals), so detection cannot be told from density.\n"
        "  To do: Survey longer or with more detectors; pool detection with another survey of the same kind.\n\n"
        "WARNING few-animals\n"
        "  Only 2 animals detected; precise surveys have more than 20.\n"
        "  To do: Report the interval, not only the estimate; plan for more detectors over a larger area.\n\n"
        "NOTE detector-never-used\n"
        "  14 of 16 detectors have no effort on any occasion.\n"
        "  Where: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 2 more\n"
        "  To do: Check their dates; leave them out if they were never set."
    )


def test_findings_as_sequence_and_table(findings):
    assert findings.ids == ("no-animals", "crs-unknown")
    assert [finding.id for finding in findings] == [finding.id for finding in (*findings.errors, *findings.notes)]
    assert findings[0] is findings["no-animals"]
    assert findings[0] in findings
    assert "no-animals" in findings
    assert "few-animals" not in findings
    assert findings.warnings == ()
    assert findings.table()["severity"].tolist() == ["error", "note"]
    with pytest.raises(KeyError, match="no finding 'few-animals'"):
        findings["few-animals"]


def test_findings_as_html():
    detectors = cameras(2, id=["<b>1", "2", "3", "4"], effort=np.array([[0.0, 1.0, 1.0, 1.0]]))
    html = survey.verify(survey.CaptureHistory(pd.DataFrame(), detectors))._repr_html_()
    assert "&lt;b&gt;1" in html
    assert "<b>1" not in html
    assert html.count("<tr class=") == 2


def test_animals_found_in_one_area_are_not_one_animal():
    """Only those that were found at the same places of it."""
    area = survey.searched_areas([box(0, 0, 1000, 1000)], occasions=4)
    places = {"a": [10, 300, 600, 900], "b": [10, 300, 600, 900], "c": [500, 20, 70, 330], "d": [800, 400, 40, 10]}
    rows = [(name, t, "1", x, 500.0) for name, xs in places.items() for t, x in enumerate(xs, 1)]
    found = pd.DataFrame(rows, columns=["animal", "occasion", "detector", "x", "y"])
    same = [f for f in survey.verify(survey.CaptureHistory(found, area)) if f.id == "same-history"]
    assert [f.rows for f in same] == [("a", "b")] and "2 animals have the same 4 detections" in same[0].what
