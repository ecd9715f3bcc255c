"""Random terms and smooths in formulas: how they are read, what they stand for, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uncia.models.design import Design, formula_variables
from uncia.models.random_terms import split_formula
from uncia.survey.errors import SurveyError

FRAME = pd.DataFrame(
    {
        "x": np.linspace(-1.0, 1.0, 12),
        "site": [f"s{i}" for i in range(6)] * 2,
        "region": ["north", "south", "east"] * 4,
        "year": [2020, 2019, 2021, 2020] * 3,
        "big cat": np.arange(12.0),
        "kind": ["a", "b"] * 6,
        "half": np.arange(12) / 2,
        "gap": [None, *["a"] * 11],
    }
)


@pytest.mark.parametrize(
    ("formula", "fixed", "terms"),
    [
        ("~ x", "x", []),
        ("(1 | year)", "1", ["1 | year"]),
        ("~ 0 + x + (1|year)", "0 + x", ["1 | year"]),
        ("~ (1 + x | site) + x + np.log(x)", "x + np.log(x)", ["1 + x | site"]),
        ("~ x + (1 | region/site) + kind", "x + kind", ["1 | region", "1 | region:site"]),
        ("~ (x || site) - 1", "- 1", ["x || site"]),
        ("~ s(x) + (1 | `big cat`)", "1", ["s(x)", "1 | big cat"]),
        ("~ bs(x, df=4) + s(x, half, k=5)", "bs(x, df=4)", ["s(x, half)"]),
        ("~ (x + kind)**2 + C(kind)", "(x + kind)**2 + C(kind)", []),
    ],
)
def test_random_terms_are_read_off(formula, fixed, terms):
    left, found = split_formula(formula)
    assert left == fixed
    assert [t.text for t in found] == terms


def test_all_columns_of_a_formula_are_known():
    assert formula_variables("~ x + (kind | region/site) + s(half) + (1 | `big cat`)") == {
        "x", "kind", "region", "site", "half", "big cat",
    }  # fmt: skip


def test_the_columns_are_indicators_times_effects():
    design = Design.of("~ x + (1 + x | region)", FRAME, "psi")
    assert design.terms[:4] == ("Intercept", "x", "1 | region [east]", "x | region [east]")
    east = (FRAME["region"] == "east").to_numpy(float)
    np.testing.assert_array_equal(design.matrix[:, 2], east)
    np.testing.assert_array_equal(design.matrix[:, 3], east * FRAME["x"])
    b = np.arange(8.0)
    np.testing.assert_allclose(design.times(b), design.matrix @ b)
    np.testing.assert_allclose(design.pull(np.arange(12.0)), design.matrix.T @ np.arange(12.0))


def test_numbers_that_name_groups_are_in_their_order():
    assert Design.of("~ (1 | year)", FRAME, "p").random[0].levels == ("2019", "2020", "2021")


def test_nested_is_the_group_and_the_interaction():
    nested = Design.of("~ (1 | region/site)", FRAME, "p")
    crossed = Design.of("~ (1 | region) + (1 | region:site)", FRAME, "p")
    assert nested.terms == crossed.terms
    np.testing.assert_array_equal(nested.matrix, crossed.matrix)


def test_groups_not_seen_or_not_given_are_in_the_middle():
    design = Design.of("~ x + (1 | region)", FRAME, "psi")
    new = pd.DataFrame({"x": [0.5, 0.5], "region": ["south", "west"]})
    np.testing.assert_array_equal(design.at(new)[:, 2:], [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(design.at(new[["x"]])[:, 2:], np.zeros((2, 3)))
    assert design.variables == ("x",)
    assert design.groupings == ("region",)


def test_a_smooth_has_the_covariance_of_its_process():
    """With many sines the basis gives back the covariance function (Riutort-Mayol et al. 2023, eq. 8)."""
    near = pd.DataFrame({"x": np.linspace(-1.0, 1.0, 9)})
    for name, law in (
        ("gaussian", lambda d, r: np.exp(-0.5 * (d / r) ** 2)),
        ("matern32", lambda d, r: (1 + np.sqrt(3) * d / r) * np.exp(-np.sqrt(3) * d / r)),
    ):
        term = Design.of(f"~ s(x, k=50, covariance='{name}')", near, "psi").random[0]
        theta = np.array([np.log(1.3), -0.5])
        basis = term.basis(near)
        found = (basis * np.exp(2.0 * term.log_scale(theta))[:, 0]) @ basis.T
        distance = np.abs(near["x"].to_numpy()[:, None] - near["x"].to_numpy())
        sd, length = term.natural(theta)
        np.testing.assert_allclose(found, sd**2 * law(distance, length), atol=0.05)
        np.testing.assert_allclose(term.Z.mean(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("~ x * (1 | site)", "stands alone in a formula.*Add it with \\+"),
        ("~ (1 | site | year)", "has one bar"),
        ("~ (1 | x + site)", "is the name of a column"),
        ("~ (1 | sight)", "Did you mean 'site'"),
        ("~ (1 | half)", "has fractions, so it names no groups"),
        ("~ (1 | gap)", "'gap' of psi are missing in some rows"),
        ("~ (1 | one)", "has one group only"),
        ("~ (1 | site) + (1 | site)", "is there twice"),
        ("~ s(x, half, year)", "one or two covariates"),
        ("~ s(x, k=2)", "from 3 to 50"),
        ("~ s(x, covariance='cubic')", "Use 'gaussian' or 'matern32'"),
        ("~ s(kind)", "needs finite numbers"),
        ("~ x | site", "a formula has one part here"),
    ],
)
def test_what_cannot_be_is_said(formula, words):
    with pytest.raises(SurveyError, match=words):
        Design.of(formula, FRAME.assign(one="a"), "psi")


def test_a_smooth_is_not_stretched():
    design = Design.of("~ s(x)", FRAME, "psi")
    with pytest.raises(SurveyError, match="far outside the data"):
        design.at(pd.DataFrame({"x": [3.0]}))
