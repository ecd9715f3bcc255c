"""Random effects, smooths and random walks in formulas: `(1 | year)`, `(1 + x | site)`, `s(x, y, k=8)`, `rw(year)`.

A term adds Z b to the linear predictor of its parameter, b normal with mean 0. A formula has any number of them beside
its fixed part, on any parameter of any model:

    (1 | year)              an intercept for every year
    (x | site)              an intercept and a slope of x for every site, correlated; the same as (1 + x | site)
    (0 + x | site)          a slope only
    (x || site)             intercept and slope, independent
    (1 | region/site)       sites within regions: (1 | region) + (1 | region:site)
    (1 | site) + (1 | year) crossed
    s(height)               a smooth curve; s(x, y) a smooth surface; k=10 basis functions along each axis
    rw(year)                a random walk over years (see random_walks); rw(year, until=2030) goes on to 2030

What can group: every column that the rows of the parameter carry. Histories of sites carry `site`, with several seasons
`season`, with visits `visit`, and all covariates of the data; models of marked animals `t`, `cohort` and the covariates
of animals (a column of their names among them, if it is given) and of occasions; spatial models `session`, `t` and the
covariates of detectors.

Predictions at a group that the fit has not seen, or at rows without the column that groups, are those of a group with
b = 0: the middle of the population of groups, with the uncertainty of the fixed part only.

Smooths are Hilbert-space approximate Gaussian processes (Solin & Särkkä 2020; Riutort-Mayol et al. 2023, Stat. Comput.
33:17, eqs 2, 7 and 10): sines on a box 1.5 times as wide as the data, of prior standard deviation the square root of
the spectral density of the covariance function, whose length and standard deviation are estimated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import gamma, pi, prod
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ..survey.errors import refuse
from .random_walks import Walk, build_walk

CALLED = re.compile(r"(?<![\w.`])(s|rw)\s*\(")  # where a smooth or walk begins
DOTTED = re.compile(r"""`[^`]*`|"[^"]*"|'[^']*'|(?<![\w.])([A-Za-z_]\w*(?:\.\w+)+)(?![\w.]*\s*\()""")
BOX = 1.5  # half-width of the box of a smooth over half the range of the data
BASIS = {1: 10, 2: 8}  # basis functions along each axis, by the number of axes
COVARIANCES = ("gaussian", "matern32")
START = 0.5  # standard deviation to begin with, in units of the linear predictor


# ---- reading them off a formula ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A term as it stands in a formula: a group term (left, groups), or a smooth or walk (axes, options)."""

    text: str
    left: str = ""
    groups: tuple[str, ...] = ()  # the columns whose values together name a group
    independent: bool = False
    axes: tuple[str, ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    walk: bool = field(default=False, repr=False)


def split_formula(formula: str) -> tuple[str, tuple[Written, ...]]:
    """The fixed part of a formula (right side, without ~) and the random terms, smooths and walks in it.

    >>> split_formula("~ x + (1 | region/site)")
    ('x', (Written(text='1 | region', left='1', groups=('region',), independent=False, axes=(), options=()), \
Written(text='1 | region:site', left='1', groups=('region', 'site'), independent=False, axes=(), options=())))

    Raises
    ------
    SurveyError : a random term cannot be read, or is not added to the formula by a +
    """
    text = _with_quotes(formula.split("~", 1)[-1].strip())
    if "|" not in text and not CALLED.search(text):
        return text, ()
    fixed, terms, position = [], [], 0
    for begin, end, called in _spans(text):
        before = text[position:begin].rstrip()
        rest = text[end:].lstrip()
        if (before and not before.endswith("+")) or (rest and not rest.startswith(("+", "-"))):
            raise refuse("a random term, smooth or walk stands alone in a formula", "Add it with +", value=formula)
        fixed.append(before.removesuffix("+"))
        terms += _called(text[begin:end]) if called else _grouped(text[begin + 1 : end - 1])
        position = end
    fixed.append(text[position:])
    whole = " ".join(part.strip() for part in fixed if part.strip()).strip().removeprefix("+").strip()
    return whole or "1", tuple(terms)


def _with_quotes(text: str) -> str:
    """Names with dots in them, usual in R, in backticks, so that they are no attributes; functions stay as they are.

    >>> _with_quotes("elev.sc + np.log(d.to.shore) + C(x, contr.sum) + `a.b` + 1.5")
    '`elev.sc` + np.log(`d.to.shore`) + C(x, contr.sum) + `a.b` + 1.5'
    """
    return DOTTED.sub(lambda m: m[0] if m[1] is None or m[1].startswith(("np.", "contr.")) else f"`{m[1]}`", text)


def _spans(text: str) -> Iterator[tuple[int, int, bool]]:
    """Begin, end and whether it is called, s() or rw(), of each random term that is in no other bracket."""
    depth, begin, quoted = 0, 0, False
    for i, c in enumerate(text):
        quoted ^= c == "`"
        if quoted:
            continue
        if c == "(":
            if depth == 0:
                begin = i
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                called = re.search(r"[\w.]+\s*$", text[:begin])
                if called is None and _bars(text[begin + 1 : i]):
                    yield begin, i + 1, False
                elif called is not None and called.group().strip() in ("s", "rw"):
                    yield called.start(), i + 1, True


def _bars(inside: str) -> re.Match | None:
    return re.search(r"\|\|?", re.sub(r"`[^`]*`", lambda m: "_" * len(m.group()), inside))


def _grouped(inside: str) -> list[Written]:
    bars = _bars(inside)
    assert bars is not None
    left, right = inside[: bars.start()].strip(), inside[bars.end() :].strip()
    fix = "Write e.g. (1 | year), (x | site) or (1 | region/site)"
    if not left or not right or _bars(right):
        raise refuse("a random term has one bar, effects on its left and a group on its right", fix, value=inside)
    if CALLED.search(left):
        what = "smooths and walks are of all groups together, and stand in no other term"
        raise refuse(what, "Add it by itself with +", value=inside)
    names = [part.strip().strip("`") for part in re.split(r"[/:]", right)]
    if not all(re.fullmatch(r"[\w .]+", name) for name in names):
        raise refuse("the group of a random term is the name of a column, or several with / or :", fix, value=right)
    nested = "/" in right
    if nested and ":" in right:
        raise refuse("the group of a random term has / or :, not both", fix, value=right)
    combined = [tuple(names[: k + 1]) for k in range(len(names))] if nested else [tuple(names)]
    independent = bars.group() == "||"
    return [Written(f"{left} {bars.group()} {':'.join(g)}", left, g, independent) for g in combined]


def _called(text: str) -> list[Written]:
    walk = text.startswith("rw")
    what = "random walk" if walk else "smooth"
    fix = "Write e.g. rw(year) or rw(year, until=2030)" if walk else "Write e.g. s(height), s(x, y) or s(x, y, k=10)"
    try:
        quoted = re.findall(r"`([^`]+)`", text)
        call: Any = ast.parse(re.sub(r"`[^`]+`", "_quoted_", text).strip(), mode="eval").body
        axes = [a.id for a in call.args]
        axes = [quoted.pop(0) if a == "_quoted_" else a for a in axes]
        options = tuple((str(k.arg), ast.literal_eval(k.value)) for k in call.keywords)
    except (SyntaxError, AttributeError, ValueError, IndexError):
        raise refuse(f"a {what} cannot be read", fix, value=text) from None
    known, many = ({"until"}, (1,)) if walk else ({"k", "covariance"}, tuple(BASIS))
    if len(axes) not in many or not {name for name, _ in options} <= known or len(set(axes)) < len(axes):
        has = (
            "one covariate, and until as an option"
            if walk
            else "one or two covariates, and k and covariance as options"
        )
        raise refuse(f"a {what} has {has}", fix, value=text)
    name = "rw" if walk else "s"
    return [Written(f"{name}({', '.join(axes)})", axes=tuple(axes), options=options, walk=walk)]


# ---- terms over the rows of a parameter ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Grouped:
    """G groups with c coefficients each, b[g] ~ N(0, L L'), L = diag(sd) · (Cholesky factor of the correlation).

    Coefficients are in the order of groups, those of a group together.
    """

    text: str
    group: str  # the columns, with ":" between
    by: tuple[str, ...]
    levels: tuple[str, ...]
    columns: tuple[str, ...]  # of the left side
    left: Any  # its Design
    Z: sparse.csr_array = field(repr=False)  # [rows, G c]
    spread: np.ndarray = field(repr=False)  # [c] root mean square of each column of the left side

    @cached_property
    def transposed(self) -> sparse.csr_array:
        """Z' [G c, rows]."""
        return sparse.csr_array(self.Z.T)

    @property
    def size(self) -> int:
        return len(self.levels) * len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """One per coefficient."""
        return tuple(f"{_effect(c)} | {self.group} [{level}]" for level in self.levels for c in self.columns)

    @property
    def positions(self) -> np.ndarray:
        """int [G, c] of the coefficients."""
        return np.arange(self.size).reshape(len(self.levels), -1)

    @property
    def theta(self) -> tuple[tuple[str, str], ...]:
        """(kind, label) of the variance parameters: log standard deviations, then the correlations."""
        own = [f"{_effect(c)} | {self.group}" for c in self.columns]
        pairs = [(i, j) for i in range(len(own)) for j in range(i)]
        both = [f"{_effect(self.columns[j])}, {_effect(self.columns[i])} | {self.group}" for i, j in pairs]
        return (*(("sd", label) for label in own), *(("correlation", label) for label in both))

    def start(self) -> np.ndarray:
        return np.concatenate([np.log(START / self.spread), np.zeros(len(self.theta) - len(self.columns))])

    def log_scale(self, theta: np.ndarray) -> np.ndarray:
        """[1, c] logarithms of the standard deviations."""
        return theta[None, : len(self.columns)]

    def shape(self, theta: np.ndarray) -> np.ndarray:
        """[1, c, c] Cholesky factor of the correlation: rows (free parameters, 1) of length 1."""
        c = len(self.columns)
        lower = np.eye(c, dtype=theta.dtype)
        lower[np.tril_indices(c, -1)] = theta[c:]
        return (lower / np.sqrt(np.sum(lower**2, axis=1))[:, None])[None]

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """Standard deviations and correlations from theta."""
        L = self.shape(theta)[0]
        i, j = np.tril_indices(len(self.columns), -1)
        return np.concatenate([np.exp(theta[: len(self.columns)]), (L @ L.T)[i, j]])

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        """[rows of frame, size]; zeros for groups that the fit has not seen, or without the column that groups."""
        if any(name not in frame.columns for name in self.by):
            return np.zeros((len(frame), self.size))
        code = pd.Index(self.levels).get_indexer(_group_names(frame, self.by))
        return _spread_out(self.left.at(frame), code, len(self.levels)).toarray()


@dataclass(frozen=True, eq=False)
class Smooth:
    """A Gaussian process of one or two covariates in a basis of sines: b_j ~ N(0, spectral density at frequency j).

    The basis functions have their means over the data taken off, so that the smooth is a deviation from the mean.
    """

    text: str
    axes: tuple[str, ...]
    covariance: str
    middle: np.ndarray  # [D]
    half: float  # half the largest range: the unit of length inside
    box: np.ndarray  # [D] half-widths of the box
    k: int
    offset: np.ndarray = field(repr=False)  # [size] means of the basis functions over the data
    Z: np.ndarray = field(repr=False)  # [rows, size]
    by: tuple[str, ...] = ()
    group: str = ""
    levels: tuple[str, ...] = ()

    @property
    def transposed(self) -> np.ndarray:
        """Z' [size, rows]."""
        return self.Z.T

    @property
    def size(self) -> int:
        return self.k ** len(self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.text} [{j + 1}]" for j in range(self.size))

    @property
    def positions(self) -> np.ndarray:
        return np.arange(self.size)[:, None]

    @property
    def theta(self) -> tuple[tuple[str, str], ...]:
        return (("sd", self.text), ("length", self.text))

    def start(self) -> np.ndarray:
        return np.array([np.log(START), 0.0])

    @property
    def lengths(self) -> tuple[float, float]:
        """Least and greatest length, in units of `half`: what k sines can follow, and all of the data's range."""
        slope = {"gaussian": 1.75, "matern32": 3.42}[self.covariance]  # Riutort-Mayol et al. 2023, eqs 14 and 16
        return min(slope * float(self.box.max()) / self.k, 1.0), 2.0

    def length(self, theta: np.ndarray):
        """Length in units of `half`, between its limits on the log scale."""
        low, high = np.log(self.lengths)
        return np.exp(low + (high - low) / (1.0 + np.exp(-theta[1])))

    @property
    def frequencies(self) -> np.ndarray:
        """[size, D] of the sines."""
        along = [np.arange(1, self.k + 1) * pi / (2.0 * L) for L in self.box]
        return np.stack([w.ravel() for w in np.meshgrid(*along, indexing="ij")], axis=1)

    def log_scale(self, theta: np.ndarray) -> np.ndarray:
        """[size, 1]: logarithms of the standard deviations of the coefficients."""
        D, length = len(self.axes), self.length(theta)
        square = np.sum(self.frequencies**2, axis=1)
        if self.covariance == "gaussian":
            log_density = 0.5 * D * np.log(2.0 * pi) + D * np.log(length) - 0.5 * length**2 * square
        else:
            constant = 2.0**D * pi ** (0.5 * D) * gamma(0.5 * (D + 3)) * 3.0**1.5 / (0.5 * pi**0.5)
            log_density = np.log(constant / length**3) - 0.5 * (D + 3) * np.log(3.0 / length**2 + square)
        return (theta[0] + 0.5 * log_density)[:, None]

    def shape(self, theta: np.ndarray) -> np.ndarray:
        return np.ones((1, 1, 1), theta.dtype)

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """Standard deviation, and length in units of the covariates."""
        return np.array([np.exp(theta[0]), self.length(theta) * self.half])

    def basis(self, frame: pd.DataFrame) -> np.ndarray:
        """[rows of frame, size] before means are taken off."""
        return _sines(_scaled(frame, self.axes, self.middle, self.half), self.box, self.k)

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        """[rows of frame, size].

        Raises
        ------
        SurveyError : values outside the box of the smooth
        """
        z = _scaled(frame, self.axes, self.middle, self.half)
        outside = np.abs(z) > self.box / BOX * 1.25
        if outside.any():
            row, axis = np.argwhere(outside)[0]
            raise refuse(
                f"{self.text} is asked for far outside the data that it was fitted to",
                "Leave these places out: a smooth says nothing about them",
                value=f"{self.axes[axis]} = {frame[self.axes[axis]].iloc[row]:g}",
            )
        return _sines(z, self.box, self.k) - self.offset


Term = Grouped | Smooth | Walk


def build_terms(written: tuple[Written, ...], frame: pd.DataFrame, parameter: str, design_of) -> tuple[Term, ...]:
    """The terms over the rows of `frame`; `design_of` is `Design.of` (the left sides of random terms are designs)."""
    terms: list[Term] = []
    for w in written:
        if w.axes:
            walk = build_walk(w.axes[0], dict(w.options), frame, parameter) if w.walk else None
            terms.append(walk or _build_smooth(w, frame, parameter))
            continue
        whole = _build_group(w, frame, parameter, design_of)
        terms += [_one_column(whole, j) for j in range(len(whole.columns))] if w.independent else [whole]
    labels = [key for term in terms for key in term.theta]
    for twice in sorted({key for key in labels if labels.count(key) > 1}):
        raise refuse(f"a random term of {parameter} is there twice", "Leave one out", value=twice[1])
    return tuple(terms)


def variables_of(written: tuple[Written, ...], variables_in) -> tuple[set[str], set[str]]:
    """Covariates that random terms and smooths need, and columns that only group or that only a walk is along."""
    needed: set[str] = set()
    groups: set[str] = set()
    for w in written:
        needed |= (set() if w.walk else set(w.axes)) | (variables_in(w.left) if w.left else set())
        groups |= set(w.groups) | (set(w.axes) if w.walk else set())
    return needed, groups - needed


def _build_group(w: Written, frame: pd.DataFrame, parameter: str, design_of) -> Grouped:
    names = _group_names(frame, w.groups, parameter)
    left = design_of(w.left, frame, f"{parameter} in ({w.text})")
    code, levels = pd.factorize(names)
    levels, code = _in_order(frame, w.groups, levels, code)
    group = ":".join(w.groups)
    if len(levels) < 2:
        raise refuse(
            f"({w.text}) of {parameter} has one group only, so nothing varies among groups",
            f"Leave it out, or group by something else than {group!r}",
            value=", ".join(levels),
        )
    Z = _spread_out(left.fixed, code, len(levels))
    spread = np.sqrt(np.mean(left.fixed**2, axis=0))
    return Grouped(w.text, group, w.groups, tuple(levels), left.terms, left, Z, spread)


def _one_column(term: Grouped, j: int) -> Grouped:
    """One effect of a term by itself, for `||`."""
    Z = sparse.csr_array(term.Z[:, j :: len(term.columns)])
    left = _Column(term.left, j)
    return Grouped(
        term.text, term.group, term.by, term.levels, term.columns[j : j + 1], left, Z,
        term.spread[j : j + 1],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Column:
    """One column of a design."""

    design: Any
    j: int

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        return self.design.at(frame)[:, self.j : self.j + 1]


def _build_smooth(w: Written, frame: pd.DataFrame, parameter: str) -> Smooth:
    options = dict(w.options)
    k, covariance = options.get("k", BASIS[len(w.axes)]), options.get("covariance", COVARIANCES[0])
    if not isinstance(k, int) or not 3 <= k <= 50:
        raise refuse(f"k of {w.text} is the number of basis functions along an axis, from 3 to 50", "Use k=10", value=k)
    if covariance not in COVARIANCES:
        fix = f"Use {' or '.join(map(repr, COVARIANCES))}"
        raise refuse(f"the covariance of {w.text} is not known", fix, value=covariance)
    for name in w.axes:
        if not pd.api.types.is_numeric_dtype(frame[name]) or not np.isfinite(frame[name].to_numpy(float)).all():
            raise refuse(f"{w.text} of {parameter} needs finite numbers", "Correct this covariate", value=name)
    values = frame[list(w.axes)].to_numpy(float)
    low, high = values.min(axis=0), values.max(axis=0)
    if (high <= low).any():
        raise refuse(f"a covariate of {w.text} is constant", "Leave it out", value=w.axes[int((high <= low).argmax())])
    middle, half = 0.5 * (low + high), float((high - low).max() / 2.0)
    box = BOX * (high - low) / (2.0 * half)
    basis = _sines((values - middle) / half, box, k)
    offset = basis.mean(axis=0)
    return Smooth(w.text, w.axes, str(covariance), middle, half, box, k, offset, basis - offset)


def _scaled(frame: pd.DataFrame, axes: tuple[str, ...], middle: np.ndarray, half: float) -> np.ndarray:
    return (frame[list(axes)].to_numpy(float) - middle) / half


def _sines(z: np.ndarray, box: np.ndarray, k: int) -> np.ndarray:
    """Products over the axes of sin(frequency · (z + L)) / √L, [rows, k^D]."""
    number = np.arange(1, k + 1)
    along = [
        np.sin(number * pi / (2.0 * L) * (z[:, d, None] + L)) / np.sqrt(L) for d, L in enumerate(box)
    ]  # each [rows, k]
    shape = (len(z), prod([k] * len(box)))
    return along[0] if len(along) == 1 else (along[0][:, :, None] * along[1][:, None, :]).reshape(shape)


def _group_names(frame: pd.DataFrame, by: tuple[str, ...], parameter: str = "") -> np.ndarray:
    """One name of a group per row."""
    columns = []
    for name in by:
        values = frame[name]
        where = f" of {parameter}" if parameter else ""
        if values.isna().any():
            raise refuse(f"the groups {name!r}{where} are missing in some rows", "Fill them in", value=name)
        if pd.api.types.is_float_dtype(values):
            if not (values % 1 == 0).all():
                raise refuse(
                    f"{name!r}{where} has fractions, so it names no groups",
                    "Group by names or whole numbers",
                    value=name,
                )
            values = values.astype(np.int64)
        columns.append(values.astype(str).to_numpy(object))
    return columns[0] if len(columns) == 1 else np.array([":".join(row) for row in zip(*columns, strict=True)], object)


def _in_order(frame, by, levels, code) -> tuple[list[str], np.ndarray]:
    """Levels sorted as numbers or in the order of a categorical when they are such, else as words."""
    first = pd.Series(np.arange(len(code))).groupby(code).first().to_numpy()
    keys = []
    for name in by:
        values = frame[name].iloc[first].reset_index(drop=True)
        keys.append(values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values)
    order = pd.DataFrame(dict(enumerate(keys))).sort_values(list(range(len(keys))), kind="stable").index.to_numpy()
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return [str(levels[i]) for i in order], back[code]


def _spread_out(left: np.ndarray, code: np.ndarray, groups: int) -> sparse.csr_array:
    """[rows, groups · c] with the left side of each row in the columns of its group; code -1 is in none."""
    rows, c = left.shape
    known = code >= 0
    columns = (np.where(known, code, 0)[:, None] * c + np.arange(c)).ravel()
    data = np.where(known[:, None], left, 0.0).ravel()
    return sparse.csr_array((data, columns, np.arange(rows + 1) * c), shape=(rows, groups * c))


def _effect(column: str) -> str:
    return "1" if column == "Intercept" else column
