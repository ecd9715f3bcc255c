"""Encounter histories: which marked animal was met on which occasion, without coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .captures import CaptureHistory, natural_order
from .display import facts_html, some
from .errors import Problems, refuse
from .frozen import fixed, settle
from .sheets import decode

MISSING = -1
UNKNOWN = "a history has characters that are not known"
DIGITS = {".": MISSING} | {str(d): d for d in range(10)}  # characters of a written history


@dataclass(frozen=True, eq=False)
class EncounterHistory:
    """R rows of encounter histories over T occasions. A row is an animal, or several with the same history.

    Parameters
    ----------
    states : int [R, T]; 0 not met, 1 met (2, 3, … met in other states), -1 not looked for on this occasion
    frequency : int [R], animals with this history; 1 by default
    removed : bool [R], the animal did not return to the population after it was last met
    animals : DataFrame of R rows with covariates such as `sex`; its index names the animals
    occasions : DataFrame of T rows with covariates such as `effort`
    intervals : float [T - 1], time between occasions in units of `interval_unit`; 1 by default. In a robust design
        the occasions of one primary period are 0 apart.
    interval_unit : such as "year"

    Raises
    ------
    SurveyError : wrong shapes, a history without an encounter, negative intervals. All faults at once.
    """

    states: np.ndarray
    frequency: np.ndarray | Any = None  # may be left out or given as any sequence; kept as an array
    removed: np.ndarray | Any = None
    animals: pd.DataFrame | Any = None
    occasions: pd.DataFrame = field(default_factory=pd.DataFrame)
    intervals: np.ndarray | Any = None
    interval_unit: str = "interval"

    def __post_init__(self):
        states = np.atleast_2d(np.asarray(self.states))
        R, T = states.shape
        bad = Problems()
        if T < 1 or states.ndim != 2:
            raise refuse("encounter histories need at least one occasion", "Give an array of animals × occasions")
        if states.size and not np.isin(states, np.arange(MISSING, 100)).all():
            raise refuse("states must be whole numbers from -1", "Use 0 not met, 1 met, -1 not looked for")
        states = states.astype(np.int8)
        frequency = np.ones(R) if self.frequency is None else np.asarray(self.frequency, float)
        removed = np.zeros(R) if self.removed is None else np.asarray(self.removed)
        animals = pd.DataFrame(index=[str(i + 1) for i in range(R)]) if self.animals is None else self.animals
        intervals = np.ones(T - 1) if self.intervals is None else np.asarray(self.intervals, float)
        sizes = {"frequency": (len(frequency), R), "removed": (len(removed), R), "animals": (len(animals), R)}
        sizes["intervals"] = (len(intervals), T - 1)
        if len(self.occasions.columns):
            sizes["occasions"] = (len(self.occasions), T)
        for name, (found, needed) in sizes.items():
            if found != needed:
                bad.add(f"{name} needs {needed} rows", "Give one per row of states (or per occasion)", value=found)
        bad.raise_any()
        if (frequency < 0).any() or (frequency % 1 != 0).any():
            bad.add("frequencies must be whole numbers from 0", "Write losses with removed=", value=frequency.min())
        if not (intervals >= 0).all():
            bad.add("intervals must not be negative", "Give the occasions in order", value=intervals.min())
        for i in np.flatnonzero(~(states > 0).any(axis=1)).tolist():
            bad.add("an animal was never met", "Leave its row out", value=str(animals.index[i]))
        bad.raise_any()
        settle(
            self,
            states=fixed(states, np.int8),
            frequency=fixed(frequency, np.int64),
            removed=fixed(removed, bool),
            animals=animals.set_axis(animals.index.astype(str), axis=0),
            occasions=self.occasions.reset_index(drop=True),
            intervals=fixed(intervals, float),
        )

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def n_occasions(self) -> int:
        """T."""
        return self.states.shape[1]

    @property
    def n_animals(self) -> int:
        """n, animals met at least once."""
        return int(self.frequency.sum())

    @property
    def n_encounters(self) -> int:
        """Encounters over all animals and occasions."""
        return int(self.frequency @ (self.states > 0).sum(axis=1))

    @property
    def first(self) -> np.ndarray:
        """int [R], position of the first encounter."""
        return (self.states > 0).argmax(axis=1)

    @property
    def last(self) -> np.ndarray:
        """int [R], position of the last encounter."""
        return self.n_occasions - 1 - (self.states[:, ::-1] > 0).argmax(axis=1)

    @property
    def primary(self) -> np.ndarray:
        """int [T], primary period of each occasion from 0: a new one after each interval above zero."""
        return np.concatenate([[0], np.cumsum(self.intervals > 0)])

    def by_period(self) -> EncounterHistory:
        """One occasion for each primary period of a robust design, for models of open populations.

        An animal is met in a period when it is met on any of its occasions, in the state in which it was last met; -1
        where it was not looked for on any. Covariates of occasions are kept where they are one value in each period.
        """
        primary = self.primary
        states = np.full((len(self.states), primary[-1] + 1), MISSING)
        for t, k in enumerate(primary):
            now = self.states[:, t]
            states[:, k] = np.where(now > 0, now, np.where(states[:, k] == MISSING, now, states[:, k]))
        known = self.occasions
        same = [name for name in known if (known.groupby(primary)[name].nunique(dropna=False) == 1).all()]
        first = known.iloc[np.flatnonzero(np.diff(primary, prepend=-1))][same] if same else pd.DataFrame()
        gaps = self.intervals[self.intervals > 0]
        return EncounterHistory(states, self.frequency, self.removed, self.animals, first, gaps, self.interval_unit)

    # ---- where it comes from ----------------------------------------------------------------------------------

    @classmethod
    def from_captures(
        cls, *captures: CaptureHistory, intervals: Sequence[float] | None = None, interval_unit: str = "interval"
    ) -> EncounterHistory:
        """Histories of animals × occasions from captures, dropping the coordinates.

        Several surveys of one population become primary periods of a robust design: their occasions follow one
        another, 0 apart inside a survey and `intervals` apart between surveys: by default the years between sessions
        that are named by years, else 1. Animals are the same when their names are. An occasion without effort at any
        detector is one on which nobody looked.
        """
        if not captures:
            raise refuse("there are no captures", "Give at least one CaptureHistory")
        names = sorted({name for c in captures for name in c.animals.index}, key=natural_order)
        between = _years_between([c.session for c in captures]) if intervals is None else np.asarray(intervals, float)
        if len(between) != len(captures) - 1:
            raise refuse(f"{len(captures)} surveys have {len(captures) - 1} intervals", "Give so many", value=intervals)
        blocks, gaps = [], []
        removed = np.zeros(len(names), bool)
        for c, gap in zip(captures, [*between, 0.0], strict=True):
            block = np.zeros((len(names), c.n_occasions), int)
            row = pd.Index(names).get_indexer(c.detections["animal"])
            block[row, c.detections["occasion"].to_numpy(int) - 1] = 1
            block[:, ~(np.nan_to_num(c.detectors.effort) > 0).any(axis=1)] = MISSING
            removed[row[c.detections["removed"].to_numpy(bool)]] = True
            blocks.append(block)
            gaps += [*np.zeros(c.n_occasions - 1), gap]
        if len(captures) == 1:
            gaps = [1.0] * len(gaps)
        animals = pd.concat([c.animals for c in captures]).groupby(level=0).first().reindex(names)
        return cls(np.hstack(blocks), None, removed, animals, intervals=gaps[:-1], interval_unit=interval_unit)

    @classmethod
    def from_table(
        cls,
        encounters: pd.DataFrame,
        occasions: Sequence | pd.DataFrame | None = None,
        animals: pd.DataFrame | None = None,
        *,
        intervals: Sequence[float] | None = None,
        interval_unit: str = "interval",
    ) -> EncounterHistory:
        """Histories from a long table with one row per encounter: `animal`, `occasion`, optionally `state`, `removed`.

        Parameters
        ----------
        encounters : DataFrame
        occasions : all occasions in order (also those without encounters), or a DataFrame indexed by them with
            covariates; those met, sorted, by default
        animals : covariates, indexed by animal name
        """
        lacking = {"animal", "occasion"} - set(encounters.columns)
        if lacking:
            raise refuse("the table of encounters lacks columns", f"Add {', '.join(sorted(lacking))}")
        if occasions is None:
            known = pd.Index(sorted(encounters["occasion"].unique()))
        else:
            known = pd.Index(list(occasions.index if isinstance(occasions, pd.DataFrame) else occasions))
        names = sorted(encounters["animal"].astype(str).unique(), key=natural_order)
        row = pd.Index(names).get_indexer(encounters["animal"].astype(str))
        column = known.get_indexer(encounters["occasion"])
        bad = Problems()
        for value in encounters["occasion"][column < 0].unique():
            bad.add("an encounter names an occasion that is not listed", "Add it to occasions", value=value)
        bad.raise_any()
        states = np.zeros((len(names), len(known)), int)
        states[row, column] = encounters["state"] if "state" in encounters else 1
        removed = np.zeros(len(names), bool)
        if "removed" in encounters:
            removed[row[encounters["removed"].to_numpy(bool)]] = True
        covariates = pd.DataFrame(index=names) if animals is None else animals.set_axis(animals.index.astype(str))
        covariates = covariates.reindex(names)
        table = occasions if isinstance(occasions, pd.DataFrame) else pd.DataFrame()
        return cls(states, None, removed, covariates, table, intervals, interval_unit)

    @classmethod
    def from_strings(
        cls,
        histories: Sequence[str],
        frequency: Sequence[int] | None = None,
        codes: Mapping[str, int] | None = None,
        **more,
    ) -> EncounterHistory:
        """Histories written as text, "0110." with a dot for an occasion on which nobody looked.

        Parameters
        ----------
        codes : numbers of states that are written as letters, {"A": 1, "B": 2, "u": 3}

        >>> EncounterHistory.from_strings(["0110", "10.1"]).n_encounters
        4
        """
        if not len(histories):
            raise refuse("there are no histories", "Give one for each animal that was met")
        lengths = {len(h) for h in histories}
        if len(lengths) != 1:
            raise refuse("histories have different lengths", "Give one character per occasion", value=sorted(lengths))
        known = DIGITS | dict(codes or {})
        wrong = [h for h in histories if set(h) - set(known)]
        if wrong and codes is None:
            what = "a history has other characters than digits and dots"
            raise refuse(what, 'Correct it, or say codes={"A": 1, …}', value=wrong[0])
        if wrong:
            raise refuse("a history has characters that are not in codes", "Correct it, or add them", value=wrong[0])
        return cls(np.array([[known[c] for c in h] for h in histories]), frequency, **more)

    def __repr__(self) -> str:
        size = {"animal": self.n_animals, "occasion": self.n_occasions, "encounter": self.n_encounters}
        return f"EncounterHistory({', '.join(some(n, noun) for noun, n in size.items())})"

    def _repr_html_(self) -> str:
        facts = {"animals": self.n_animals, "occasions": self.n_occasions, "encounters": self.n_encounters}
        return facts_html("EncounterHistory", facts)


def _years_between(names: Sequence[str]) -> np.ndarray:
    """Years between surveys that are named by years; 1 between others."""
    dated = all(name.isdecimal() and 1000 <= int(name) < 3000 for name in names)
    years = np.diff([int(name) for name in names]) if dated else np.ones(len(names) - 1)
    if not (years > 0).all():
        fix = "Give the surveys in the order of time, or intervals="
        raise refuse("the surveys are not in the order of the years they are named by", fix, value=", ".join(names))
    return years.astype(float)


@dataclass(frozen=True, eq=False)
class InpRows:
    """What the lines of a MARK input file say: one row for each history and group that has animals."""

    history: list[str]
    frequency: np.ndarray  # int [R]
    removed: np.ndarray  # bool [R], negative frequencies
    animals: pd.DataFrame  # groups and covariates
    line: list[int]  # of the file


def read_rows(
    path: str | Path,
    groups: Sequence[str] | Mapping[str, Sequence],
    covariates: Sequence[str],
    characters: str,
    *,
    letters: bool = False,
    check: Callable[[str, list[int]], Iterable[tuple[str, str]]] = lambda history, counts: (),
) -> InpRows:
    """The lines of a MARK input file: history, one frequency per group, covariates, a semicolon; comments anywhere.

    `letters` says that codes= can give the letters of a history a meaning; `check` yields what is wrong with a history
    and its frequencies, and what to do.

    Raises
    ------
    SurveyError : lines that cannot be read, all of them with their line number
    """
    path = Path(path)
    if not path.is_file():
        raise refuse("there is no such file", "Check the path and the spelling", file=path, value=str(path))
    text = decode(path.read_bytes(), path.name)
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.DOTALL)
    by_group = dict(groups) if isinstance(groups, Mapping) else {"group": list(groups)} if len(groups) else {}
    n_groups = max([1, *(len(v) for v in by_group.values())])
    bad, rows = Problems(), []
    length = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        words = line.split(";")[0].split()
        if ";" in line and words and re.fullmatch(r"[\dA-Za-z.]+", words[0]):
            length = length or len(words[0])
        fault = _fault_of(line, words, length, (n_groups, len(covariates)), characters)
        if fault is not None:
            what, fix = fault
            fix += ", or give codes= for the letters of states" * (letters and what.startswith(UNKNOWN))
            bad.add(what, fix, file=path, row=number, value=words[0] if what.startswith(UNKNOWN) else line.strip())
            continue
        values = [float(w) for w in words[1:]]
        counts, values = [int(v) for v in values[:n_groups]], values[n_groups:]
        for what, fix in check(words[0], counts):
            bad.add(what, fix, file=path, row=number, value=line.strip())
        rows += [(words[0], g, count, values, number) for g, count in enumerate(counts) if count]
    if not rows and not bad.found:
        bad.add("the file has no histories", "Check that it is a MARK input file", file=path)
    bad.raise_any()
    animals = {name: [values[r[1]] for r in rows] for name, values in by_group.items()}
    animals |= {name: [r[3][j] for r in rows] for j, name in enumerate(covariates)}
    frame = pd.DataFrame(animals, index=[str(i + 1) for i in range(len(rows))])
    counts = np.array([r[2] for r in rows])
    return InpRows([r[0] for r in rows], np.abs(counts), counts < 0, frame, [r[4] for r in rows])


def _fault_of(
    line: str, words: list[str], length: int | None, sizes: tuple[int, int], characters: str
) -> tuple[str, str] | None:
    """What is wrong with a line of a MARK input file with so many frequencies and covariates, and what to do."""
    n_groups, n_covariates = sizes
    if ";" not in line or len(words) != 1 + n_groups + n_covariates or len(words[0]) != length:
        needs = f"{length or 'some'} occasions, {n_groups} frequencies and {n_covariates} covariates"
        return f"a line needs a history of {needs}", "Correct the line, and end it with a semicolon"
    strange = "".join(sorted(set(words[0]) - set(characters)))
    if strange:
        return f"{UNKNOWN}: {strange}", "Correct it"
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        return "a line has something that is no number", "Correct it"
    if not all(value.is_integer() for value in values[:n_groups]):
        return "a frequency is no whole number", "Correct it"
    return None


def read_inp(
    path: str | Path,
    groups: Sequence[str] | Mapping[str, Sequence] = (),
    covariates: Sequence[str] = (),
    codes: Mapping[str, int] | None = None,
    **more,
) -> EncounterHistory:
    """Read a MARK input file: history, one frequency per group, covariates, a semicolon; `/* comments */` anywhere.

    A negative frequency says that these animals were not released after their last encounter.

    Parameters
    ----------
    path : the .inp file
    groups : names of the groups, in the order of the frequency columns, which become the covariate `group`; or a
        mapping of covariates to their values by group, {"sex": ["male", "female"]}
    covariates : names of the individual covariates after the frequencies
    codes : numbers of states that are written as letters, {"A": 1, "B": 2, "u": 3}
    more : `occasions`, `intervals`, `interval_unit`, as for `EncounterHistory`

    Raises
    ------
    SurveyError : lines that cannot be read, all of them with their line number
    """
    rows = read_rows(path, groups, covariates, "".join([*DIGITS, *(codes or {})]), letters=True)
    more = {"removed": rows.removed, "animals": rows.animals} | more
    return EncounterHistory.from_strings(rows.history, rows.frequency, codes, **more)
