"""From the covariates of animals and occasions to the few different rows that a formula needs.

A parameter of 50,000 animals on 20 occasions has a million values and, with a formula on sex and year, 40 different
ones. The kernels get these values and an index array that says which of them belongs where.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ..design import Design, formula_variables
from ..links import LINKS
from ..parameters import Parameter

MOST_CODES = 2**62


@dataclass(frozen=True, eq=False)
class Layout:
    """`frame` of D different rows with the covariates of one formula, and `index` of any shape into them."""

    frame: pd.DataFrame
    index: np.ndarray


def lay_out(
    formula: str | float,
    shape: tuple[int, ...],
    covariates: Mapping[str, tuple[int, pd.Series]],
    used: np.ndarray | None = None,
) -> Layout:
    """The different rows of covariates that a formula sees over an array of `shape`.

    Parameters
    ----------
    covariates : for each name the axis along which it varies (None: all of them, in C order), and its values
    used : bool [shape], where the parameter plays a part; the index is 0 elsewhere
    """
    names = sorted(formula_variables(formula) & set(covariates)) if isinstance(formula, str) else []
    code = np.zeros(shape, np.int64)
    columns, levels, sizes = [], [], []
    for name in names:
        axis, values = covariates[name]
        codes, different = pd.factorize(values, sort=True, use_na_sentinel=False)
        along = shape if axis is None else [-1 if i == axis else 1 for i in range(len(shape))]
        columns.append(np.asarray(codes).reshape(along))
        levels.append(different)
        sizes.append(max(len(different), 1))
    if np.prod(sizes, dtype=float) > MOST_CODES:
        raise refuse("a formula has too many combinations of covariates", "Use fewer covariates", value=formula)
    for part, size in zip(columns, sizes, strict=True):
        code = code * size + part
    used = np.ones(shape, bool) if used is None else used
    index = np.zeros(shape, np.int32)
    kept, index[used] = np.unique(code[used], return_inverse=True)
    kept = kept if len(kept) else np.zeros(1, np.int64)  # plays no part anywhere: one row, which the data leave open
    frame = pd.DataFrame(index=range(len(kept)))
    for name, different, size in zip(reversed(names), reversed(levels), reversed(sizes), strict=True):
        values = pd.Series(different.take(kept % size))
        categorical = isinstance(values.dtype, pd.CategoricalDtype)
        frame.insert(0, name, values.cat.remove_unused_categories() if categorical else values)
        kept = kept // size
    return Layout(frame, index)


def profiles(animals: pd.DataFrame, names: set[str], *keys: np.ndarray) -> tuple[pd.DataFrame, np.ndarray, list]:
    """Animals with the same covariates: their covariates [G rows], the profile of each animal [R], and their keys.

    Parameters
    ----------
    names : covariates that matter; keys : further arrays of R rows in which animals of one profile agree
    """
    used = sorted(names & set(map(str, animals.columns)))
    parts = [pd.factorize(animals[name], use_na_sentinel=False)[0][:, None] for name in used]
    parts += [np.asarray(key).reshape(len(animals), -1) for key in keys]
    if not parts:
        return pd.DataFrame(index=range(min(len(animals), 1))), np.zeros(len(animals), np.int64), []
    _, first, profile = np.unique(np.hstack(parts), axis=0, return_index=True, return_inverse=True)
    frame = animals[used].iloc[first].reset_index(drop=True)
    return frame, profile.ravel().astype(np.int64), [np.asarray(key)[first] for key in keys]


def summed(parts: list, values: Mapping[str, np.ndarray], gradient: bool):
    """Log-likelihood of a model in `blocks` and, if `gradient`, its derivatives by each array of `values`."""
    loglik, total = 0.0, {name: np.zeros(len(v)) for name, v in values.items()}
    for part in parts:
        more, by = part._evaluate(values, gradient)
        loglik += more
        for name, derivative in (by or {}).items():
            total[name] = total[name] + derivative
    return loglik, total if gradient else None


def blocks(model, by_profile: tuple[str, ...], by_row: tuple[str, ...], size: int = 2000) -> list:
    """The model cut into parts of `size` profiles, so that its arrays [G, T, …] need not exist all at once.

    Parameters
    ----------
    model : whose rows are sorted by `row_profile`; by_profile, by_row : names of its arrays with these first axes
    """
    G = len(model.groups)
    if G <= size:
        return [model]
    parts = []
    for begin in range(0, G, size):
        part, which = copy(model), slice(begin, min(begin + size, G))
        rows = slice(*np.searchsorted(model.row_profile, [which.start, which.stop]))
        part.groups = model.groups.iloc[which]
        part.layouts = {name: Layout(one.frame, one.index[which]) for name, one in model.layouts.items()}
        for name in by_profile:
            array = getattr(model, name)
            setattr(part, name, array[which] if len(array) == G else array)
        for name in by_row:
            setattr(part, name, getattr(model, name)[rows])
        part.row_profile = model.row_profile[rows] - begin
        parts.append(part)
    return parts


def occasion_factors(numbers: np.ndarray) -> dict[str, pd.Series]:
    """`t`, the occasion as a factor, and `T`, from 0, for occasions numbered from 1."""
    names = [str(k) for k in numbers]
    return {"t": pd.Series(pd.Categorical(names, names)), "T": pd.Series(np.asarray(numbers) - 1.0)}


def build(name: str, formula: str | float, layout: Layout, link: str, unit: str = "", meaning: str = "") -> Parameter:
    """A parameter from its formula, or fixed at a number."""
    rows = len(layout.frame)
    if not isinstance(formula, str):
        return Parameter(name, LINKS[link], None, unit, meaning, float(formula), rows)
    return Parameter(name, LINKS[link], Design.of(formula, layout.frame, name), unit, meaning, None, rows)
