"""Write capture histories as secr's text files, so that they can be read again and checked in R."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ..captures import CaptureHistory
from ..detectors import Detectors
from ..errors import refuse

NOTHING = "NONE"


def write_secr(
    captures: CaptureHistory | Mapping[str, CaptureHistory] | Iterable[CaptureHistory], prefix: str | Path
) -> tuple[Path, Path | dict[str, Path]]:
    """Write captures in trapID format and the detectors with their effort and covariates.

    Parameters
    ----------
    captures : one CaptureHistory, or those of several sessions
    prefix : a folder that exists (the files are called capt.txt and trap.txt in it), or the beginning of their names:
        "out/hare" gives out/harecapt.txt and out/haretrap.txt

    Returns
    -------
    Both paths, ready for `read_secr(*paths, detector=…)`. Sessions with different detectors have one file of
    detectors each, trap-1.txt and so on, and the second is then a dictionary session -> path. Kind of detector, CRS
    and dates of the occasions have no place in the format; a comment states the first two.

    Raises
    ------
    SurveyError : an animal called NONE, names with a quotation mark or line break, sessions with other covariates

    Examples
    --------
    >>> write_secr(captures, "hare")  # doctest: +SKIP
    (PosixPath('harecapt.txt'), PosixPath('haretrap.txt'))
    """
    histories = _sessions(captures)
    columns = list(histories[0].animals.columns)
    folder, stem = (Path(prefix), "") if Path(prefix).is_dir() else (Path(prefix).parent, Path(prefix).name)
    lines = ["# " + _line(["Session", "ID", "Occasion", "Detector", *columns])]
    lines += [line for history in histories for line in _captures(history, columns)]
    path = _write(folder / f"{stem}capt.txt", lines)
    first = histories[0].detectors
    if all(history.detectors.equals(first) for history in histories):
        return path, _write(folder / f"{stem}trap.txt", _traps(first))
    files = [_write(folder / f"{stem}trap-{i}.txt", _traps(h.detectors)) for i, h in enumerate(histories, 1)]
    return path, {history.session: file for history, file in zip(histories, files, strict=True)}


def _sessions(captures) -> list[CaptureHistory]:
    """The histories in a list; they must have different names and the same covariates."""
    whole = [captures] if isinstance(captures, CaptureHistory) else captures
    histories = list(whole.values() if isinstance(whole, Mapping) else whole)
    names = [history.session for history in histories]
    if len(set(names)) < len(names) or not names:
        raise refuse("sessions need different names", "Give every CaptureHistory its own session", value=names)
    columns = [list(history.animals.columns) for history in histories]
    for history in histories:
        if history.detectors.shapes:
            what = "detectors at points can be written, and searches or several methods cannot"
            raise refuse(what, "Write the histories of each method at points", value=history.detectors.kind)
    if any(other != columns[0] for other in columns):
        raise refuse("the sessions have different covariates", "Give every animal the same columns", value=columns)
    return histories


def _captures(history: CaptureHistory, columns: list) -> Iterable[str]:
    """One line per single capture; sessions of one line at least."""
    if NOTHING in history.animals.index:
        raise refuse(f"an animal is called {NOTHING}, which means that nothing was caught", "Give it another name")
    covariates = history.animals[columns].to_dict("index")
    for row in history.detections.to_dict("records"):
        occasion = -row["occasion"] if row["removed"] else row["occasion"]
        words = [history.session, row["animal"], occasion, row["detector"], *covariates[row["animal"]].values()]
        yield from [_line(words)] * row["count"]
    if not history.n_animals:
        yield _line([history.session, NOTHING, history.n_occasions, history.detectors.id[0]])


def _traps(detectors: Detectors) -> Iterable[str]:
    """Usage as a string where it is 0 or 1, else one number per occasion; covariates behind a slash."""
    columns = list(detectors.covariates.columns)
    plain = bool(np.isin(detectors.effort, (0.0, 1.0)).all())
    efforts = ["usage"] if plain else [f"effort{s + 1}" for s in range(detectors.n_occasions)]
    crs = "not known" if detectors.crs is None else detectors.crs.to_string()
    yield f"# kind {detectors.kind}, effort in {detectors.effort_unit}, CRS {crs}"
    yield "# " + _line(["Detector", "x", "y", *efforts, *(["/", *columns] if columns else [])])
    for k, name in enumerate(detectors.id):
        effort = detectors.effort[:, k]
        usage = ["".join(f"{e:.0f}" for e in effort)] if plain else list(effort)
        values = list(detectors.covariates.iloc[k]) if columns else []
        yield _line([name, detectors.x[k], detectors.y[k], *usage]) + (" / " + _line(values) if columns else "")


def _line(values: Iterable) -> str:
    return " ".join(_word(value) for value in values)


def _word(value) -> str:
    """A value as one word: numbers with all their digits, in quotation marks where it holds blanks or signs."""
    if pd.isna(value):
        return "NA"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))  # always with a point, so that an effort of 10.0 is no string of usage
    text = str(value)
    if re.search(r'["\r\n]', text):
        raise refuse(
            "a name cannot be written in secr's format", "Take out quotation marks and line breaks", value=text
        )
    return f'"{text}"' if not text or (re.search(r"[\s,#/]", text) and text != "/") else text


def _write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path
