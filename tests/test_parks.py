"""Two parks: matched animals counted once, animals that nobody has compared between bounds."""

import re

import numpy as np
import pandas as pd
import pytest
import small_survey

from uncia import models, survey
from uncia.reports.analysis import analyse
from uncia.reports.parks.study import without_park
from uncia.reports.report import write_report
from uncia.reports.study import read_study
from uncia.reports.tables import tables_of
from uncia.reports.texts import texts
from uncia.survey.captures import CaptureHistory
from uncia.survey.errors import SurveyError
from uncia.survey.identities import IdentityRegistry

SIGMA, LAMBDA0, DENSITY = 1500.0, 0.3, 20.0


def park(west: float, year: str, animals: np.ndarray, prefix: str, seed: int, occasions: int) -> CaptureHistory:
    """Nine cameras 2 km apart, those animals that they detect named by park."""
    x, y = (v.ravel() for v in np.meshgrid(west + 2000.0 * np.arange(3), 2000.0 * np.arange(3)))
    detectors = survey.Detectors([f"{prefix}{k}" for k in range(9)], x, y, np.ones((occasions, 9)))
    rng = np.random.default_rng(seed)
    away = np.hypot(animals[:, :1] - x, animals[:, 1:] - y)
    p = -np.expm1(-LAMBDA0 * np.exp(-0.5 * (away / SIGMA) ** 2))
    i, s, k = np.nonzero(rng.random((len(animals), occasions, 9)) < p[:, None])
    frame = pd.DataFrame({"animal": [f"{a}" for a in i], "occasion": s + 1, "detector": [f"{prefix}{j}" for j in k]})
    return CaptureHistory(frame, detectors, session=year)


@pytest.fixture(scope="module")
def two():
    """Two years in the north, one in the south, 4 km apart; one name is one animal."""
    rng = np.random.default_rng(4)
    animals = rng.uniform([-5000, -5000], [17000, 9000], (60, 2))
    north = [park(0.0, year, animals, "n", seed, 5) for seed, year in enumerate(("2024", "2025"))]
    south = park(8000.0, "2025", animals, "s", 9, 7)
    return north, south


def test_matched_animals_are_counted_once(two):
    north, south = two
    joined = survey.join_parks({"north": north, "south": south}, identities="matched")
    a, b = set(north[1].animals.index), set(south.animals.index)
    table = joined.overlap().set_index("session")
    assert a & b  # or the test could not fail
    assert table.loc["2025", ["north", "south", "in several", "all"]].tolist() == [
        len(a),
        len(b),
        len(a & b),
        len(a | b),
    ]
    assert table.loc["2024", "south"] == 0
    assert joined.captures[1].n_animals == len(a | b)
    assert [c.session for c in joined.captures] == ["2024", "2025"]
    assert repr(joined).endswith("matched between the parks")


def test_a_joint_model_of_open_years(two):
    north, south = two
    joined = survey.join_parks({"north": north, "south": south}, identities="matched")
    mask = joined.mask(5000.0, 1000.0)
    assert mask.is_habitat([0.0, 12000.0], [0.0, 0.0]).all()
    how = {"detection": "hazard half-normal", "lambda0": "~ method"}
    fit = models.OpenSCR(joined.captures, mask, **how).fit()
    N = fit.abundance().set_index(["quantity", "scope"])["estimate"]["expected abundance", "session 2025"]
    truth = 60 / (22.0 * 14.0) * mask.area
    assert N == pytest.approx(truth, rel=0.5)


def test_separate_animals_have_the_name_of_their_park(two):
    north, south = two
    joined = survey.join_parks({"north": north[1], "south": south}, identities="separate")
    assert joined.captures[0].n_animals == north[1].n_animals + south.n_animals
    assert all(a.startswith(("north: ", "south: ")) for a in joined.captures[0].animals.index)
    with pytest.raises(SurveyError, match="the parks' animals were not matched"):
        joined.overlap()


def test_registries_bring_names_together(two):
    north, south = two
    own = CaptureHistory(
        south.detections.assign(animal="S" + south.detections["animal"]), south.detectors, session=south.session
    )
    rows = [("alias", f"S{a}", a) for a in south.animals.index]
    registry = IdentityRegistry(pd.DataFrame(rows, columns=["kind", "name", "becomes"]))
    joined = survey.join_parks({"north": north, "south": own}, "matched", {"south": registry})
    again = survey.join_parks({"north": north, "south": south}, "matched")
    assert joined.overlap().equals(again.overlap())


def several_by_hand(fits: list) -> float:
    """Cells of any mask, the mean of the densities where there are several: animals that more than one park saw."""
    cells, total = {}, 0.0
    for fit in fits:
        for x, y in zip(*fit.model.mask.centres(), strict=True):
            cells.setdefault((round(x), round(y)), []).append(fit.values["D"][0])
    for (x, y), densities in cells.items():
        ways = np.array([1.0])  # probability of having been seen by 0, 1, ... parks
        for fit in fits:
            d, v = fit.model.captures.detectors, fit.values
            h = v["lambda0"][0] * np.exp(-0.5 * (np.hypot(x - d.x, y - d.y) / v["sigma"][0]) ** 2) * d.n_occasions
            ways = np.convolve(ways, [np.exp(-h.sum()), -np.expm1(-h.sum())])
        total += np.mean(densities) / 100.0 * ways[2:].sum()
    return total


def test_without_matching_there_are_bounds_and_an_expectation(two):
    """The expected number detected on both sides is that of dense sums over cells; truth lies where it says."""
    north, south = two
    fits = {}
    for name, c in (("north", north[1]), ("south", south)):
        mask = survey.HabitatMask.around(c, 5000.0, 1000.0)
        fits[name] = models.SCR(c, mask, detection="hazard half-normal").fit()
    found = models.unmatched_parks(fits)
    both = set(north[1].animals.index) & set(south.animals.index)
    assert found.different == (max(found.detected.values()), north[1].n_animals + south.n_animals)
    assert abs(found.both - len(both)) < 3 * np.sqrt(found.both_se**2 + found.both)
    table = found.table.set_index("scope")["estimate"]
    assert table["sum of parks"] == pytest.approx(table["park north"] + table["park south"])
    assert table["all masks"].iloc[0] < table["sum of parks"]
    assert found.both == pytest.approx(several_by_hand(list(fits.values())), rel=1e-9)
    three = models.unmatched_parks({**fits, "again": fits["south"]})  # not pairs of parks but animals
    assert three.both == pytest.approx(several_by_hand([*fits.values(), fits["south"]]), rel=1e-9)
    assert "different animals were detected, as they were not compared" in str(found)


def test_what_must_be_said(two):
    north, south = two
    with pytest.raises(SurveyError, match="whether the parks' animals were compared is not said"):
        survey.join_parks({"north": north, "south": south}, identities="yes")
    with pytest.raises(SurveyError, match="joining parks takes two of them"):
        survey.join_parks({"north": north}, identities="matched")
    with pytest.raises(SurveyError, match="park 'north' has a session twice"):
        survey.join_parks({"north": [north[0], north[0]], "south": south}, identities="matched")
    fit = models.SCR(south, survey.HabitatMask.around(south, 4000.0, 1000.0), detection="hazard half-normal").at(
        D=20.0, lambda0=0.3, sigma=1500.0
    )
    with pytest.raises(SurveyError, match="this compares two parks or more"):
        models.unmatched_parks({"south": fit})


# ---- from survey.toml ----------------------------------------------------------------------------------------------

FORM = """\
identities = "{identities}"

[survey]
name = "Two valleys"
common_name = "snow leopards"
crs = "EPSG:32647"

[[parks]]
name = "west"
survey = "west/survey.toml"

[[parks]]
name = "east"
survey = "east/survey.toml"

[checks]
goodness = 0

[[models]]
name = "constant"
"""


@pytest.fixture(scope="module")
def valleys(tmp_path_factory):
    """The same valley surveyed by two teams, the second of which spells its animals in its own way."""
    folder = tmp_path_factory.mktemp("valleys")
    for name in ("west", "east"):
        (folder / name).mkdir()
        form = small_survey.write(folder / name)
        text = form.read_text("utf-8")
        form.write_text(text.split("[mask.covariates]")[0] + '[[models]]\nname = "constant"\n', encoding="utf-8")
    identities = folder / "east" / "data" / "identities.csv"
    identities.write_text(identities.read_text("utf-8").replace("cat ", "E"), encoding="utf-8")
    rows = ["kind,name,becomes", *(f"alias,E{k},cat {k}" for k in range(1, 15))]
    (folder / "east" / "registry.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    form = folder / "east" / "survey.toml"
    text = form.read_text("utf-8").replace('path = "data"', 'path = "data"\nregistry = "registry.csv"')
    form.write_text(text, encoding="utf-8")
    return folder


def test_parks_of_a_form_matched_by_a_registry(valleys, tmp_path):
    (valleys / "survey.toml").write_text(FORM.format(identities="matched"), encoding="utf-8")
    study = read_study(valleys / "survey.toml")
    alone = read_study(valleys / "west")
    assert study.captures.n_animals == alone.captures.n_animals
    assert study.captures.n_detections == 2 * alone.captures.n_detections
    assert study.mask.size == alone.mask.size
    assert {"west/survey.toml", "east/survey.toml", "east/registry.csv"} <= {path for path, _ in study.inputs}
    write_report(analyse(study), tmp_path / "report")
    assert "Two valleys" in (tmp_path / "report" / "report.html").read_text("utf-8")


def test_parks_of_a_form_that_nobody_has_compared(valleys):
    (valleys / "separate.toml").write_text(FORM.format(identities="separate"), encoding="utf-8")
    found = analyse(read_study(valleys / "separate.toml"))
    rows = found.estimates.set_index(["quantity", "scope"])["estimate"]
    N = found.told("expected abundance")["estimate"]
    alone = rows["expected abundance", "park west"]
    assert N == pytest.approx(2 * alone, rel=0.2)  # each animal twice
    # on the same ground, p_A p_B of an animal that is in both
    assert (
        rows["animals detected by several parks", "all masks"] > 0.5 * read_study(valleys / "west").captures.n_animals
    )
    assert found.more_results["definitions"]["identities"] == "separate"
    once, n = rows["expected abundance", "all masks"], read_study(valleys / "west").captures.n_animals
    story, told = found.story, texts("en")
    assert story.headline(told).startswith(f"On the ground of all parks we estimate {once:.0f} snow leopards (95 %")
    assert story.headline(told).endswith("nobody has compared the parks' animals.")
    said = f"The parks identified {n} (west), {n} (east) animals. As these were not compared, they are between {n} and"
    assert story.in_short(told)[0].startswith(f"{said} {2 * n} different ones")
    assert "not that of the headline" in tables_of(found, told)["T8"].note
    assert "counts several times" in tables_of(found, told)["T9"].note
    assert re.search("[a-z]{4}", story.headline(texts("zh")).replace("snow leopards", "")) is None


def test_what_a_form_of_parks_must_say(valleys):
    text = FORM.format(identities="matched").replace('"west/survey.toml"', '"separate.toml"')
    (valleys / "bad.toml").write_text(text, encoding="utf-8")
    (valleys / "separate.toml").write_text(FORM.format(identities="separate"), encoding="utf-8")
    with pytest.raises(SurveyError, match="a park is a survey of animals that were told apart at cameras"):
        read_study(valleys / "bad.toml")
    (valleys / "bad.toml").write_text(FORM.replace('identities = "{identities}"\n', ""), encoding="utf-8")
    with pytest.raises(SurveyError, match="lacks the key 'identities'"):
        read_study(valleys / "bad.toml")


@pytest.mark.parametrize(
    ("joint", "alone"),
    [
        ("~ method", "~ 1"),
        ("~ method + T", "~ T"),
        ("~ 0 + method + rugged", "~ rugged"),
        ("~ rugged + T:method", "~ rugged"),
        ("~ method * T", "~ T"),
        ("~ methodical - 1", "~ methodical - 1"),
    ],
)
def test_a_park_alone_keeps_what_is_not_of_the_park(joint, alone):
    assert without_park(joint) == alone
