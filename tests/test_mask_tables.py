"""Habitat masks from tables of cells, as secr writes them, and from points with covariates."""

import re

import numpy as np
import pytest

from uncia import survey
from uncia.survey import HabitatMask, SurveyError, SurveyWarning

BLANKS = '"x" "y" "d.to-shore" "forest"\n30 10 5.5 1\n10 10 2 0\n10 30 3 1\n'


def write(path, text):
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("text", [BLANKS, BLANKS.replace('"', "").replace(" ", ","), "# " + BLANKS.replace('"', "")])
def test_cells_in_any_order_with_their_covariates(tmp_path, text):
    with pytest.warns(SurveyWarning, match="'d.to-shore' is called 'd.to_shore' in formulas"):
        mask = survey.read_mask(write(tmp_path / "mask.txt", text), crs="EPSG:32633")
    assert (mask.spacing, mask.size, mask.crs.to_epsg()) == (20.0, 3, 32633)
    x, y = mask.centres()
    assert list(zip(x, y, mask.covariate("d.to_shore"), mask.covariate("forest"), strict=True)) == [
        (10, 10, 2, 0), (30, 10, 5.5, 1), (10, 30, 3, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text, words",
    [
        ("1 2 3\n4 5 6\n", "a table of a habitat mask needs the columns x and y. Give a first line with x, y"),
        ("x y forest\n0 0 beech\n10 0 NA\n", "row 2: forest must be a number (found 'beech'). Give a number to every"),
        ("x y forest\n0 0 beech\n10 0 NA\n", "row 3: forest must be a number (found 'NA')"),
        ("x y d\n0 0 1\n10 0\n", "row 3: the row has 2 values and the heading 3"),
        ("x y\n0 0\n", "mask.txt: one cell does not say how large it is. Give spacing, in metres"),
        ("x y\n0 0\n10 0\n25 0\n", "mask.txt: the points do not lie on a square grid of 10 m"),
    ],
)
def test_tables_that_are_no_mask(tmp_path, text, words):
    with pytest.raises(SurveyError, match=re.escape(words)):
        survey.read_mask(write(tmp_path / "mask.txt", text))


def test_covariates_of_points():
    mask = HabitatMask.from_points([10, 0, 0], [0, 0, 10], 10.0, covariates={"wet": [True, False, True]})
    assert mask.covariate("wet").tolist() == [0, 1, 1]
    for values in (["a", "b", "c"], [1.0, 2.0]):
        with pytest.raises(
            SurveyError, match=r"the covariate 'wet' is not one number for each of 3 points\. Give each"
        ):
            HabitatMask.from_points([10, 0, 0], [0, 0, 10], 10.0, covariates={"wet": values})
    assert np.array_equal(HabitatMask.from_points([10, 0, 0], [0, 0, 10], 10.0).habitat, mask.habitat)
