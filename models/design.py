"""Formulas to design matrices, by formulaic; kept so that predictions use the same coding and scaling.

Random effects and smooths are read off a formula before formulaic sees it: `random_terms`.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpec, SimpleFormula
from formulaic.errors import DataMismatchWarning, FormulaicError
from formulaic.parser.types import Factor

from ..survey.errors import refuse
from .random_terms import Term, build_terms, split_formula, variables_of

ROWS = 2**18  # of a matrix that are worked on at once


@dataclass(frozen=True, eq=False)
class Design:
    """The design of one parameter: `matrix` [rows, terms] with the names of its `terms`.

    The columns of `random` terms stand after those of the `fixed` part.
    """

    formula: str
    fixed: np.ndarray  # [rows, fixed terms]
    names: tuple[str, ...]  # of the fixed terms
    spec: ModelSpec
    intercept: bool = True
    random: tuple[Term, ...] = ()

    @classmethod
    def of(cls, formula: str, frame: pd.DataFrame, parameter: str, *, intercept: bool = True) -> Design:
        """Evaluate `formula` (right-hand side, with or without ~) on the rows of `frame`.

        Beside what formulaic knows a formula may have random effects and smooths, see `random_terms`.

        With `intercept=False` the column "Intercept" is left out: relative values are modelled, such as relative
        density under the conditional likelihood.

        Raises
        ------
        SurveyError : a name in the formula is not a covariate (with the nearest one), the formula cannot be read,
            a covariate has missing values, or the columns are linearly dependent.
        """
        text, written = split_formula(formula)
        _check_names(formula, frame, parameter)
        try:
            values, names, spec = _evaluate(_parsed(text), frame)
        except (FormulaicError, ValueError, SyntaxError) as error:
            raise refuse(
                f"the formula of {parameter} cannot be evaluated: {_in_words(error, formula, frame)}",
                "Check its spelling and that its covariates have no missing values (of sites and visits "
                "history.without_missing(name), in survey.toml known = [name], leaves out those without)",
                value=formula,
            ) from error
        _check_rank(values, names, parameter)
        if not intercept and names[:1] == ("Intercept",):
            values, names = values[:, 1:], names[1:]
        random = build_terms(written, frame, parameter, cls.of) if written else ()
        whole = f"~ {formula.split('~', 1)[-1].strip()}"
        return cls(whole, values, names, spec, intercept, random)

    @property
    def terms(self) -> tuple[str, ...]:
        """One name per coefficient."""
        return self.names + tuple(name for term in self.random for name in term.names)

    @cached_property
    def matrix(self) -> np.ndarray:
        """[rows, terms], dense; `times` and `pull` do without it."""
        if not self.random:
            return self.fixed
        dense = [t.Z if isinstance(t.Z, np.ndarray) else t.Z.toarray() for t in self.random]
        return np.hstack([self.fixed, *dense])

    def times(self, coefficients: np.ndarray) -> np.ndarray:
        """matrix @ coefficients [rows]."""
        if not self.random:
            return self.fixed @ coefficients
        begin = len(self.names)
        eta = self.fixed @ coefficients[:begin]
        for term in self.random:
            eta += term.Z @ coefficients[begin : begin + term.size]
            begin += term.size
        return eta

    def pull(self, adjoint: np.ndarray) -> np.ndarray:
        """matrix' @ adjoint [terms]."""
        if not self.random:
            return self.fixed.T @ adjoint
        return np.concatenate([self.fixed.T @ adjoint, *(term.transposed @ adjoint for term in self.random)])

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        """The matrix [rows of frame, terms] for new values of the covariates, coded and scaled as in the fit.

        Raises
        ------
        SurveyError : a covariate is not there, has missing values, levels that the fit has not seen, or values beyond
            those that a spline was fitted to
        """
        if not isinstance(frame, pd.DataFrame):
            raise refuse("new data are a DataFrame of covariates", "Give a DataFrame", value=type(frame).__name__)
        missing = [v for v in self.variables if v not in frame.columns]
        if missing:
            raise refuse("the new data lack covariates", f"Add {', '.join(missing)}", value=list(frame.columns))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", DataMismatchWarning)  # a new level is not the reference level
                matrix = self.spec.get_model_matrix(frame, na_action="raise")
        except (FormulaicError, ValueError, DataMismatchWarning) as error:
            raise refuse(
                f"the formula cannot be evaluated on the new data: {error}",
                "Give values of the covariates within the levels and the range that the model was fitted to",
                value=self.formula,
            ) from error
        fixed = np.asarray(matrix[list(self.names)], float)
        return np.hstack([fixed, *(term.at(frame) for term in self.random)]) if self.random else fixed

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the covariates in use, without columns that only group."""
        return tuple(sorted(formula_variables(self.formula) - set(self.groupings)))

    @property
    def groupings(self) -> tuple[str, ...]:
        """Names of columns that only group random effects: predictions can do without them."""
        return tuple(sorted(variables_of(split_formula(self.formula)[1], formula_variables)[1]))

    @property
    def constant(self) -> bool:
        """True when the parameter is one number."""
        return not self.random and self.names == ("Intercept",)


def _products(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Products of the columns / scale with each other; of many rows without a copy of them."""
    if len(values) > ROWS:
        return values.T @ values / np.outer(scale, scale)
    return (values / scale).T @ (values / scale)


def _evaluate(formula: SimpleFormula, frame: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...], ModelSpec]:
    """The matrix [rows, columns] of a formula, the names of its columns, and what evaluates it again.

    Ten million rows are evaluated some at a time, where every factor is a column of numbers and so no row needs
    another: at once they would be held four times. They lie column after column, as those who sum along them like it.
    """
    factors = {factor for term in formula for factor in term.factors}
    plain = all(
        f.eval_method is Factor.EvalMethod.LITERAL
        or (f.eval_method is Factor.EvalMethod.LOOKUP and frame[f.expr].dtype.kind in "fiu")
        for f in factors
    )
    rows = ROWS if plain else max(len(frame), 1)
    first = formula.get_model_matrix(frame.iloc[:rows], na_action="raise")
    spec, names = first.model_spec, tuple(str(c) for c in first.columns)
    if len(frame) <= rows:
        return np.ascontiguousarray(np.asarray(first, float)), names, spec
    values = np.empty((len(frame), len(names)), order="F")
    values[:rows] = first
    for begin in range(rows, len(frame), rows):
        values[begin : begin + rows] = spec.get_model_matrix(frame.iloc[begin : begin + rows], na_action="raise")
    return values, names, spec


def triangle(matrix: np.ndarray) -> np.ndarray:
    """R of matrix = Q R, some rows at a time."""
    parts = [np.asarray(np.linalg.qr(matrix[a : a + ROWS], "r")) for a in range(0, max(len(matrix), 1), ROWS)]
    return parts[0] if len(parts) == 1 else np.asarray(np.linalg.qr(np.vstack(parts), "r"))


@lru_cache(maxsize=256)  # bootstraps read the same few formulas again and again
def _parsed(text: str) -> SimpleFormula:
    """The right side of a formula; it has one part, not several between bars."""
    parsed = Formula.from_spec(text)
    if not isinstance(parsed, SimpleFormula):
        raise refuse("a formula has one part here", "Write + instead of |, or '~ x + (1 | year)'", value=text)
    return parsed


def formulas_in_words(formulas: Mapping[str, str | float]) -> str:
    """The formulas of a model, and its fixed values, as they were written.

    >>> formulas_in_words({"D": "~1", "sigma": "1 + sex", "g0": 0.2})
    'D ~ 1, sigma ~ 1 + sex, g0 = 0.2'
    """
    right = lambda f: f.split("~", 1)[-1].strip()  # noqa: E731
    return ", ".join(f"{n} ~ {right(f)}" if isinstance(f, str) else f"{n} = {f:g}" for n, f in formulas.items())


def formula_variables(formula: str) -> set[str]:
    """Names of the covariates that a formula uses, those inside functions such as bs(x, df=4) and scale(x) too.

    Columns that group random effects are among them.
    """
    text, written = split_formula(formula)
    try:
        factors = {factor for term in _parsed(text) for factor in term.factors}
        looked_up = {f.expr for f in factors if f.eval_method is Factor.EvalMethod.LOOKUP and f.expr[:3] != "np."}
        evaluated = [_arguments(f.expr) for f in factors if f.eval_method is Factor.EvalMethod.PYTHON]
        return looked_up.union(*evaluated, *variables_of(written, formula_variables))
    except (FormulaicError, SyntaxError) as error:
        raise refuse(
            f"the formula cannot be read: {_plain(error)}", "Write e.g. '~ ruggedness'", value=formula
        ) from error


def _in_words(error: Exception, formula: str, frame: pd.DataFrame) -> str:
    """Why a formula cannot be evaluated: a covariate with gaps, or what formulaic says."""
    for name in sorted(formula_variables(formula) & set(map(str, frame.columns))):
        gaps = int(frame[name].isna().sum())
        if gaps:
            return f"{name!r} has no value in {gaps:,} of {len(frame):,} rows"
    return _plain(error)


def _plain(error: Exception) -> str:
    """What formulaic says, without the colours of a terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error)).split()).rstrip(".")


def _arguments(call: str) -> set[str]:
    """Names in a Python expression but for functions and modules.

    >>> sorted(_arguments("bs(np.log(height), df=4)")), sorted(_arguments("scale(`tree cover`)"))
    (['height'], ['tree cover'])
    """
    quoted = re.findall(r"`([^`]+)`", call)
    nodes = list(ast.walk(ast.parse(re.sub(r"`[^`]+`", "1", call), mode="eval")))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    modules = [node.value for node in nodes if isinstance(node, ast.Attribute)]
    return set(quoted) | names - {node.id for node in (*functions, *modules) if isinstance(node, ast.Name)}


def _check_names(formula: str, frame: pd.DataFrame, parameter: str) -> None:
    for name in sorted(formula_variables(formula) - set(map(str, frame.columns))):
        near = difflib.get_close_matches(name, map(str, frame.columns), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(map(str, frame.columns)) or 'none'}"
        raise refuse(f"the formula of {parameter} uses a covariate that is not there", hint, value=name)


def _check_rank(values: np.ndarray, names: tuple[str, ...], parameter: str) -> None:
    if not np.isfinite(values).all():
        raise refuse(
            f"the formula of {parameter} gives values that are not finite", "Check its covariates", value=names
        )
    if values.shape[1] < 2:
        return
    scale = np.array([np.linalg.norm(column) for column in values.T])
    if np.any(scale == 0) or np.linalg.matrix_rank(_products(values, scale), tol=1e-12) < len(names):
        raise refuse(
            f"the terms of {parameter} cannot be told apart in these data",
            "Remove a term: a covariate is constant, or one is a combination of others",
            value=", ".join(names),
        )
