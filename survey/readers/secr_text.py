"""The text files of the R package secr (and of DENSITY): captures and traps.

    captures    Session ID Occasion Detector [covariates]       fmt = "trapID"
                Session ID Occasion x y [covariates]            fmt = "XY"
    traps       Detector x y [usage or effort] [/ covariates]
                of a searched area or line: one line for each corner; usage and covariates from the first

A capture counted n times is n lines. A minus sign before the occasion says that the animal did not come back (died or
was removed). Usage is one string such as 0011111, effort one number per occasion. A line with the ID NONE holds no
capture: it shows that a session, or its last occasion, took place. `#` begins a comment, and the comment above the
data names the columns when it has as many words. Rules: secr's vignette "Data input for secr", help page of read.traps.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ..captures import CaptureHistory, natural_order
from ..detectors import KINDS, Detectors
from ..errors import Problems, SurveyError, SurveyWarning, refuse
from ..ledger import Ledger
from ..sexes import NO_SEX, is_sex, no_sexes
from ..sheets import decode
from .secr_shapes import OF_SECR, SHAPED, searched, shapes_of

FORMATS = ("trapID", "XY")
USAGE = ("binary", "effort")
MOST_OCCASIONS = 100_000
MISSING = {"", "NA", "NaN", "-"}


def read_secr(
    captures: str | Path,
    traps: str | Path | Sequence[str | Path] | Mapping[str, str | Path],
    *,
    detector: str,
    fmt: str | None = None,
    covariates: Sequence[str] | None = None,
    detector_covariates: Sequence[str] | None = None,
    noccasions: int | None = None,
    usage: str | None = None,
    crs=None,
    effort_unit: str = "occasions",
    sep: str | None = None,
    tolerance: float = 1.0,
    noncapture: str = "NONE",
    encoding: str | None = None,
) -> CaptureHistory | dict[str, CaptureHistory]:
    """Capture histories from secr's text files.

    Parameters
    ----------
    captures : file of captures
    traps : file of detectors; for several sessions one for all, a list of one per session in the order of the
        sessions, or a mapping session -> file (then a session without captures may be missing from the captures)
    detector : "multi", "proximity", "count", "single" or "capped"; of searches, whose captures give x and y: "area",
        "exclusive area", "transect" or "exclusive transect", in secr "polygon", "polygonX", "transect", "transectX"
    fmt : "trapID" or "XY"; by default whichever fits the detectors
    covariates : names of the columns after the detector of a capture; by default from the comment above the data;
        columns without a name are not read
    detector_covariates : names of the columns after the slash; by default from the comment, else covariate1, …
    noccasions : number of occasions; by default from the usage, else the last occasion with a line
    usage : "binary" (a string of 0 and 1) or "effort" (numbers); by default as it looks
    crs : projected CRS of the coordinates, None for local metres
    effort_unit : what one unit of usage is
    sep : separator; by default a comma if the first line of data has one, else blanks and tabs
    tolerance : metres within which an x, y of a capture belongs to a detector
    noncapture : the ID that means "no capture"
    encoding : of the letters; by default UTF-8, or GB18030 where the text is Chinese

    Returns
    -------
    CaptureHistory, or a dictionary session -> CaptureHistory when there are several

    Raises
    ------
    SurveyError : all bad rows of a file at once, with file, row, value and what to do
    """
    detector = OF_SECR.get(detector, detector)
    if detector not in KINDS:
        raise refuse("this kind of detector is not known", f"Use one of {', '.join(KINDS)}", value=detector)
    for name, value, choices in (("fmt", fmt, FORMATS), ("usage", usage, USAGE)):
        if value not in (None, *choices):
            raise refuse(f"{name} is not known", f"Use {' or '.join(choices)}, or leave it out", value=value)
    bad = Problems()
    captured = _Text.of(captures, sep, encoding, number_at=2)
    sessions = {line.words[0] for line in captured.lines}
    files = _files(traps, sessions or {"1"}, captured.name)
    layouts = {
        path: _layout(_Text.of(path, sep, encoding, number_at=1), usage, detector_covariates, bad, detector)
        for path in files.values()
    }
    fmt = fmt or ("XY" if detector in SHAPED else _looks_like(captured, layouts.values()))
    rows, columns = _rows(captured, fmt, covariates, noncapture, bad)
    bad.raise_any()
    made = {}
    for session in sorted(files, key=natural_order):
        own = rows[rows["session"] == session]
        layout = layouts[files[session]]
        effort = layout.effort(_occasions(own, layout, noccasions, captured.name))
        try:
            frame = _animals_at(own, layout, detector, tolerance)
            detectors = _detectors(layout, effort, detector, crs, effort_unit)
            ledger, animals = _ledger(own, captured.name), _animals(own, columns)
            made[session] = CaptureHistory(frame, detectors, animals=animals, session=session, ledger=ledger)
        except SurveyError as error:
            bad.found += error.problems
    bad.raise_any()
    return made if len(made) > 1 else next(iter(made.values()))


# ---- text ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    row: int
    words: list[str]


@dataclass(frozen=True)
class _Text:
    """The lines of a file as words, without comments; and the words of the comment that names the columns."""

    name: str
    lines: list[_Line]
    header: list[str]

    @classmethod
    def of(cls, path: str | Path, sep: str | None, encoding: str | None, number_at: int) -> _Text:
        """Read a file in which word `number_at` of every line is a number (where it is none, line 1 is a header)."""
        path, bad = Path(path), Problems()
        if not path.is_file():
            raise refuse("there is no such file", "Check the path and the spelling", file=path, value=str(path))
        texts, comments = {}, {}
        for row, text in enumerate(re.split(r"\r\n|\r|\n", decode(path.read_bytes(), path.name, encoding)), 1):
            parts = re.match(r'((?:[^"#]|"[^"]*")*)("?)(.*)', text)
            assert parts is not None  # every line fits: each part may be empty
            data, quote, comment = parts.groups()
            if quote:
                bad.add("a quotation mark is not closed", "Close it or remove it", file=path, row=row)
            if data.strip():
                texts[row] = data
            elif comment:
                comments[row] = comment.lstrip("# ")
        bad.raise_any()
        if sep is None:
            sep = "," if texts and "," in re.sub(r'"[^"]*"', "", next(iter(texts.values()))) else " "
        lines = [_Line(row, words) for row, data in texts.items() if (words := _words(data, sep))]
        headers = [_words(text, sep) for row, text in comments.items() if not texts or row < min(texts)]
        if len(lines) > 1 and not _is_number(lines[0], number_at) and _is_number(lines[1], number_at):
            headers.append(lines.pop(0).words)
        widths = {len(line.words) for line in lines}
        return cls(path.name, lines, next((words for words in reversed(headers) if len(words) in widths), []))


def _words(text: str, sep: str) -> list[str]:
    """The words of one line; quotation marks hold a word with blanks together."""
    if sep == " ":
        return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', text)]
    words = [word.strip() for word in next(csv.reader([text.strip()], delimiter=sep, skipinitialspace=True))]
    while words and not words[-1]:  # spreadsheets pad short lines with separators
        words.pop()
    return words


def _number(word: str) -> float:
    return float(word) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", word) else float("nan")


def _is_number(line: _Line, i: int) -> bool:
    return len(line.words) > i and np.isfinite(_number(line.words[i]))


def _names(given: Sequence[str] | None, header: Iterable[str], n: int, name: str) -> list[str]:
    """Names of n covariates: as given, else from the header, else by number."""
    if given is not None and len(given) != n:
        raise refuse(f"{len(given)} names for {n} columns of covariates", "Give one each", file=name, value=list(given))
    header = list(header)
    return list(given) if given is not None else header if len(header) == n else [f"covariate{i + 1}" for i in range(n)]


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing where the code says so; columns of nothing but numbers as numbers."""
    frame = frame.mask(frame.isin(MISSING))
    numbers = {str(name): pd.to_numeric(frame[name], errors="coerce") for name in frame}
    return frame.assign(**{n: v for n, v in numbers.items() if v.notna().sum() == frame[n].notna().sum() > 0})


# ---- detectors -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Layout:
    """The detectors of one file; `used[K]` holds words of usage, all lists of one length, or all empty."""

    name: str
    id: list[str] = field(default_factory=list)
    place: list[tuple[float, float]] = field(default_factory=list)
    used: list[list[str]] = field(default_factory=list)
    covariates: pd.DataFrame = field(default_factory=pd.DataFrame)
    shapes: tuple = ()  # of searches

    @property
    def n_occasions(self) -> int | None:
        """As many as the usage says, None without usage."""
        return len(self.used[0]) or None

    def effort(self, n_occasions: int) -> np.ndarray:
        """float [S, K]."""
        if self.n_occasions is None:
            return np.ones((n_occasions, len(self.id)))
        return np.array([[_number(word) for word in words] for words in self.used]).T


def _layout(text: _Text, usage: str | None, names: Sequence[str] | None, bad: Problems, kind: str) -> _Layout:
    layout, extra, seen, corners, broken = _Layout(text.name), [], {}, {}, set()
    for line in text.lines:
        where = {"file": text.name, "row": line.row}
        words, after = _at_slash(line.words)
        place = tuple(_number(word) for word in words[1:3])
        if len(place) < 2 or not np.isfinite(place).all():
            bad.add("a detector needs a name, x and y in metres", "Correct the line", value=line.words[:3], **where)
            broken.update(words[:1])
            continue
        corners.setdefault(words[0], []).append(place)
        if words[0] in seen and kind in SHAPED:
            continue
        if words[0] in seen:
            what = f"the detector is already on row {seen[words[0]]}"
            of_searches = "of searched areas and lines say detector='polygon' or 'transect' (in survey.toml, kind)"
            fix = f"Give every detector one line; {of_searches}"
            bad.add(what, fix, value=words[0], **where)
        seen.setdefault(words[0], line.row)
        layout.id.append(words[0])
        layout.place.append(place)
        layout.used.append(words[3:])
        extra.append((line.row, after))
    if not text.lines:
        bad.add("there are no detectors", "Give a line with name, x and y for each", file=text.name)
    _spell_usage(layout, usage, [row for row, _ in extra], bad)
    width = max((len(after) for _, after in extra), default=0)
    for row, after in extra:
        if len(after) != width:
            what = f"the detector has {len(after)} covariates and others have {width}"
            bad.add(what, "Fill in NA where a value is missing", file=text.name, row=row)
    columns = _names(names, _at_slash(text.header)[1], width, text.name)
    values = [after + [""] * (width - len(after)) for _, after in extra]
    whole = {name: places for name, places in corners.items() if name not in broken}
    shapes = shapes_of(whole, kind, seen, text.name, bad) if kind in SHAPED else ()
    return replace(layout, covariates=_typed(pd.DataFrame(values, columns=columns, dtype=object)), shapes=shapes)


def _at_slash(words: list[str]) -> tuple[list[str], list[str]]:
    """Words before and after the first slash behind the position, which may stick to a word."""
    for i, word in enumerate(words[3:], 3):
        if "/" in word:
            before, after = (part.strip() for part in word.split("/", 1))
            return words[:i] + [before] * bool(before), [after] * bool(after) + words[i + 1 :]
    return words, []


def _spell_usage(layout: _Layout, usage: str | None, rows: list[int], bad: Problems) -> None:
    """One word per occasion in `layout.used`: strings such as 0011 become their letters, NA as many."""
    used = layout.used
    known = [words for words in used if words not in (["NA"], ["-"])]
    strings = bool(known) and all(len(words) == 1 and re.fullmatch("[01]+", words[0]) for words in known)
    fix = "Give every detector every occasion, 0 where it was not set"
    if usage == "binary" or (usage is None and strings):
        occasions = max((len("".join(words)) for words in known), default=0)
        used[:] = [list("".join(words)) if words in known else ["NA"] * occasions for words in used]
        fix += "; or say usage='effort' if these are amounts of effort on one occasion"
    width = max((len(words) for words in used), default=0)
    for words, row, name in zip(used, rows, layout.id, strict=True):
        where = {"file": layout.name, "row": row}
        if len(words) != width:
            what = f"detector {name!r} has usage for {len(words)} occasions and others for {width}"
            bad.add(what, fix, **where)
        for word in words:
            if usage == "binary" and word not in ("0", "1", "NA"):
                bad.add(f"the usage of detector {name!r} is no string of 0 and 1", "Correct it", value=word, **where)
            elif word not in MISSING and not np.isfinite(_number(word)):
                what = f"the usage of detector {name!r} is no number"
                bad.add(what, "Correct it (NA where unknown)", value=word, **where)


def _files(traps, sessions: set[str], name: str) -> dict[str, Path]:
    """The file of detectors of each session."""
    order = sorted(sessions, key=natural_order)
    if isinstance(traps, (str, Path)):
        return dict.fromkeys(order, Path(traps))
    if isinstance(traps, Mapping):
        for session in order:
            if session not in {str(key) for key in traps}:
                raise refuse("no file of detectors for a session", "Add it to traps", file=name, value=session)
        return {str(session): Path(path) for session, path in traps.items()}
    if len(traps) != len(order):
        raise refuse(
            f"{len(traps)} files of detectors for {len(order)} sessions",
            "Give one for all, one per session, or a mapping session -> file",
            file=name,
            value=order,
        )
    return {session: Path(path) for session, path in zip(order, traps, strict=True)}


# ---- captures ------------------------------------------------------------------------------------------------------


def _looks_like(text: _Text, layouts: Iterable[_Layout]) -> str:
    """The format in which more lines fit the detectors."""
    layouts = list(layouts)
    ids, places = {i for layout in layouts for i in layout.id}, {p for layout in layouts for p in layout.place}
    lines = [line.words for line in text.lines]
    named = sum(len(words) > 3 and words[3] in ids for words in lines)
    placed = sum(len(words) > 4 and (_number(words[3]), _number(words[4])) in places for words in lines)
    numbers = all(len(words) > 4 and np.isfinite([_number(w) for w in words[3:5]]).all() for words in lines)
    return "XY" if placed > named or (numbers and not named) else "trapID"


def _rows(
    text: _Text, fmt: str, names: Sequence[str] | None, noncapture: str, bad: Problems
) -> tuple[pd.DataFrame, list[str]]:
    """One row per line (animal "" for none; place: a name, or x and y), and the names of the covariates."""
    fixed = 4 if fmt == "trapID" else 5
    width = max((len(line.words) for line in text.lines if line.words[1:2] != [noncapture]), default=fixed) - fixed
    named = names is not None or len(text.header) > fixed
    columns = _names(names, text.header[fixed:], max(width, 0), text.name) if named else []
    rows = []
    for line in text.lines:
        where = {"file": text.name, "row": line.row}
        caught = line.words[1:2] != [noncapture]
        if len(line.words) < (fixed if caught else 3):
            needed = "session, ID, occasion, " + ("detector" if fmt == "trapID" else "x, y")
            bad.add(f"a capture needs {needed}", "Complete the line", value=" ".join(line.words), **where)
            continue
        session, animal, occasion = line.words[:3]
        if not re.fullmatch(r"[+-]?0*[1-9]\d*(\.0*)?", occasion):
            fix = "Give the number of the occasion from 1 on (a minus sign before it = did not come back)"
            bad.add("the occasion is no whole number above zero", fix, value=occasion, **where)
            continue
        place = line.words[3:fixed] if caught else [""] * (fixed - 3)
        if caught and fmt == "XY" and not np.isfinite([_number(word) for word in place]).all():
            bad.add("x and y must be numbers", "Correct them", value=" ".join(place), **where)
        extra = dict(zip(columns, line.words[fixed:] if caught else [], strict=False))
        rows.append(
            {
                "session": session,
                "animal": animal if caught else "",
                "occasion": int(occasion.lstrip("+-").split(".")[0]),
                "removed": occasion.startswith("-"),
                "place": place,
                **where,
                "covariates": [extra.get(column, "") for column in columns],
            }
        )
    bad.raise_any()
    order = ["session", "animal", "occasion", "removed", "place", "file", "row", "covariates"]
    return pd.DataFrame(rows, columns=order), columns


def _occasions(rows: pd.DataFrame, layout: _Layout, given: int | None, name: str) -> int:
    """S of one session."""
    by_usage = layout.n_occasions
    if given is not None and by_usage not in (None, given):
        what = f"the usage has {by_usage} occasions, and noccasions says {given}"
        raise refuse(what, "Correct one of them, or say usage='binary' or usage='effort'", file=layout.name)
    n = by_usage or given or (int(rows["occasion"].max()) if len(rows) else None)
    if n is None or n > MOST_OCCASIONS:
        what = "nothing says how many occasions there were" if n is None else "an occasion looks like a date"
        raise refuse(what, "Number the occasions from 1 on, or give noccasions", file=name, value=n)
    return n


def _detectors(layout: _Layout, effort: np.ndarray, kind: str, crs, unit: str) -> Detectors:
    """The detectors of one session; what is wrong with them names their file."""
    x, y = np.array(layout.place).T
    try:
        return Detectors(tuple(layout.id), x, y, effort, kind, crs, unit, layout.covariates, shapes=layout.shapes)
    except SurveyError as error:
        raise SurveyError([replace(problem, file=problem.file or layout.name) for problem in error.problems]) from None


def _ledger(rows: pd.DataFrame, name: str) -> Ledger:
    """Every line is a capture or says that nothing was caught."""
    ledger, caught = Ledger(), rows["animal"] != ""
    ledger.note_read(name, len(rows))
    ledger.put(name, rows.loc[caught, "row"], Ledger.USED)
    ledger.put(name, rows.loc[~caught, "row"], "a line that says that nothing was caught")
    return ledger


def _animals_at(rows: pd.DataFrame, layout: _Layout, kind: str, tolerance: float) -> pd.DataFrame:
    """Which animal was caught at which detector, with file and row."""
    caught = rows[rows["animal"] != ""]
    frame = caught[["animal", "occasion", "removed", "file", "row"]]
    if kind in SHAPED:
        return pd.concat([frame, searched(caught, layout.id, layout.shapes)], axis=1)
    frame = frame.assign(detector=_at(caught, layout, tolerance))
    if kind == "single":
        _hold_one(frame)
    return frame


def _at(caught: pd.DataFrame, layout: _Layout, tolerance: float) -> list[str]:
    """The name of the detector of each capture; a position belongs to the nearest one within the tolerance."""
    if caught.empty or len(caught["place"].iloc[0]) == 1:
        return [place[0] for place in caught["place"]]
    points = np.array([[float(word) for word in place] for place in caught["place"]])
    distance, nearest = map(np.asarray, cKDTree(np.array(layout.place)).query(points))
    bad = Problems()
    for i in np.flatnonzero(distance > tolerance):
        what = f"there is no detector at this x, y; the nearest is {layout.id[nearest[i]]!r}, {distance[i]:,.6g} m away"
        line = caught.iloc[i]
        bad.add(
            what,
            "Correct it, or give a larger tolerance",
            file=line["file"],
            row=line["row"],
            value=" ".join(line["place"]),
        )
    bad.raise_any()
    return [layout.id[k] for k in nearest]


def _hold_one(frame: pd.DataFrame) -> None:
    """A single-catch trap holds one animal for the occasion."""
    bad = Problems()
    for _, line in frame[frame.duplicated(["detector", "occasion"])].iterrows():
        what = f"single-catch trap {line['detector']!r} holds two animals on occasion {line['occasion']}"
        bad.add(what, 'Correct the trap or the occasion, or use detector="multi"', file=line["file"], row=line["row"])
    bad.raise_any()


def _animals(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row of covariates per animal: the first that is known; a warning where the lines disagree."""
    caught = rows[rows["animal"] != ""]
    values = pd.DataFrame(caught["covariates"].tolist(), columns=columns, index=caught.index, dtype=object)
    by = values.mask(values.isin(MISSING)).groupby(caught["animal"])
    for column in columns:
        unlike = by[column].nunique()
        names = ", ".join(sorted(unlike.index[unlike > 1], key=natural_order))
        if names:
            words = f"{column} differs between captures of one animal; the first is kept: {names}"
            warnings.warn(words, SurveyWarning, stacklevel=3)
    typed = _typed(by.first())
    _check_sexes(caught, values, [c for c in columns if is_sex(c) and not pd.api.types.is_numeric_dtype(typed[c])])
    return typed


def _check_sexes(caught: pd.DataFrame, values: pd.DataFrame, columns: list[str]) -> None:
    """Words for a sex that are none, in columns of words."""
    bad = Problems()
    for column in columns:
        given = values[column][~values[column].isin(MISSING)]
        for at in given.index[given.isin(no_sexes(given))]:
            where = {"file": caught.at[at, "file"], "row": int(caught.at[at, "row"])}
            bad.add(f"{column} must be one of female, male", NO_SEX, value=values.at[at, column], **where)
    bad.raise_any()
