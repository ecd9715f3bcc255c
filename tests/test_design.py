"""Designs: which covariates a formula uses, and what new data may not be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uncia.models.design import Design, formula_variables
from uncia.survey.errors import SurveyError

FRAME = pd.DataFrame({"height": np.linspace(0.0, 1.0, 24), "kind": ["road", "trail", "ridge"] * 8})


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("~ kind + scale(height)", {"kind", "height"}),
        ("~ bs(height, df=4)", {"height"}),
        ("~ poly(height, 2):C(kind)", {"height", "kind"}),
        ("~ np.log(height)", {"height"}),
        ("~ height**2 - 1", {"height"}),
        ("~ scale(`tree cover`)", {"tree cover"}),
        ("~ 1", set()),
        ("~ elev.sc * kind + I(d.x**2) + np.log(np.pi * b.c)", {"elev.sc", "kind", "d.x", "b.c"}),
        ("~ (1 | site.name) + s(elev.sc) + C(kind, contr.treatment('a.b'))", {"site.name", "elev.sc", "kind"}),
        ("~ `elev.sc` + 1.5:kind", {"elev.sc", "kind"}),
    ],
)
def test_covariates_inside_functions_are_found(formula, names):
    assert formula_variables(formula) == names


def test_a_misspelt_covariate_inside_a_function_is_named():
    with pytest.raises(SurveyError, match="Did you mean 'height'"):
        Design.of("~ scale(heigth)", FRAME, "g0")


@pytest.mark.parametrize(
    ("formula", "new", "words"),
    [
        ("~ kind", pd.DataFrame({"kind": ["road", "river"]}), "river"),
        ("~ kind", pd.DataFrame({"kind": ["road", None]}), "null values"),
        ("~ bs(height, df=4)", pd.DataFrame({"height": [2.0]}), "extend beyond"),
        ("~ scale(height)", pd.DataFrame({"kind": ["road"]}), "lack covariates .*Add height"),
        ("~ height", {"height": [1.0]}, "new data are a DataFrame"),
    ],
)
def test_new_data_that_the_fit_cannot_speak_about(formula, new, words):
    design = Design.of(formula, FRAME, "g0")
    with pytest.raises(SurveyError, match=words):
        design.at(new)


def test_one_of_the_levels_is_coded_as_in_the_fit():
    design = Design.of("~ kind", FRAME, "g0")
    assert design.at(FRAME.iloc[[1]]).tolist() == [design.matrix[1].tolist()]


def test_names_with_dots_are_names():
    """As they are usual in R; np.log and contr.sum stay functions."""
    dotted, plain = FRAME.rename(columns={"height": "height.sc"}), FRAME
    for formula in ("~ {} + kind", "~ scale({}) + I({}**2)", "~ bs({}, df=4)", "~ np.exp({}):C(kind, contr.sum)"):
        here = Design.of(formula.format("height.sc", "height.sc"), dotted, "p")
        there = Design.of(formula.format("height", "height"), plain, "p")
        assert np.array_equal(here.matrix, there.matrix)
        assert np.array_equal(here.at(dotted.iloc[3:9]), there.at(plain.iloc[3:9]))
    with pytest.raises(
        SurveyError, match=r"a covariate that is not there \(found 'height.s'\). Did you mean 'height.sc'"
    ):
        Design.of("~ height.s", dotted, "p")
