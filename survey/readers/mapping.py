"""Mapping files: how another project's tables call their columns.

A mapping is a TOML file, kept with the survey and used again next year:

    dates = "dmy"                                   # how dates that end with the year are written
    encoding = "gb18030"                            # only when it is not UTF-8 and not recognised

    [deployments]
    file = "stations.csv"                           # when it is not deployments.csv
    station = "Station"                             # our name = their heading
    start = "Setup_date"
    end = "Retrieval_date"
    problems = ["Problem{n}_from", "Problem{n}_to"] # pairs of failure dates, n = 1, 2, …

    [records]
    time = ["Date", "Time"]                         # headings whose values belong together
    always = { species = "Panthera pardus" }        # what holds for every row
    values = { type = { "动物" = "animal" } }       # their words in a column = ours
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from ..errors import Problems, refuse
from ..sheets import Sheet

SHIPPED = {"camtrapR": "camtrapr.toml"}

COLUMNS = {
    "deployments": (
        *("station", "deployment", "camera", "longitude", "latitude", "x", "y", "start", "end", "groups"),
        *("timestamp_issues", "coordinate_uncertainty", "problems"),
    ),
    "records": (
        *("station", "deployment", "camera", "time", "species", "individual", "count", "sex", "life_stage", "type"),
        *("record", "event", "media"),
    ),
    "identities": ("record", "event", "media", "individual", "sex", "confidence", "flank", "observer", "comment"),
    "failures": ("station", "deployment", "camera", "start", "end", "reason"),
}


@dataclass
class TableMapping:
    """How one table is called and what its columns are called."""

    file: str | None = None
    names: dict[str, str] = field(default_factory=dict)  # our name -> their heading
    joined: dict[str, list[str]] = field(default_factory=dict)  # our name -> their headings, joined by a blank
    always: dict[str, str] = field(default_factory=dict)  # our name -> value of every row
    problems: tuple[str, str] | None = None  # headings of failure pairs, with {n}
    values: dict[str, dict[str, str]] = field(default_factory=dict)  # our name -> their word -> ours

    def applied(self, sheet: Sheet) -> Sheet:
        """The sheet with the joined and constant columns added."""
        raw = dict(sheet.raw)
        for name, headings in self.joined.items():
            if all(heading in raw for heading in headings):
                parts = zip(*(raw[heading] for heading in headings), strict=True)
                raw[name] = [" ".join(part).strip() for part in parts]
        for name, value in self.always.items():
            raw[name] = [value] * len(sheet)
        for name, words in self.values.items():
            wanted = self.names.get(name, name).casefold()
            for heading in [h for h in raw if h.casefold() == wanted]:
                raw[heading] = [words.get(v.strip(), v) for v in raw[heading]]
        return Sheet(sheet.name, raw, sheet.row, sheet.repeated, sheet.decimal_comma)


@dataclass
class FieldMapping:
    """A mapping file, read and checked."""

    tables: dict[str, TableMapping]
    dates: str | None = None
    encoding: str | None = None
    months: tuple[str, ...] = ()  # names of the twelve months as dates are written, when they are words


def read_mapping(
    mapping: str | Path | Mapping[str, Any] | None, tables: Mapping[str, tuple[str, ...]] = COLUMNS
) -> FieldMapping:
    """A mapping from a TOML file, the name of one that comes with the package ("camtrapR"), or a dictionary.

    `tables` are the tables of the format with their columns.

    Raises
    ------
    SurveyError : no such file, not TOML, a table or column that is not known (with the name that is close)
    """
    source: str | Path = "mapping"
    if mapping is None:
        return FieldMapping({name: TableMapping() for name in tables})
    if isinstance(mapping, Mapping):
        content = dict(mapping)
    else:
        source, content = _load(mapping)
    return _checked(content, Path(source).name, tables)


def _load(mapping: str | Path) -> tuple[str | Path, dict]:
    if str(mapping) in SHIPPED:
        text = (package_files("uncia.survey.readers") / SHIPPED[str(mapping)]).read_text("utf-8")
        return SHIPPED[str(mapping)], tomllib.loads(text)
    path = Path(mapping)
    if not path.is_file():
        known = ", ".join(map(repr, SHIPPED))
        raise refuse("there is no such mapping file", f"Give the path of a TOML file, or {known}", value=str(mapping))
    try:
        return path, tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise refuse(f"the mapping file is not TOML: {error}", "Correct it", file=path) from error


def _checked(content: dict, source: str, known: Mapping[str, tuple[str, ...]]) -> FieldMapping:
    bad, tables, months = Problems(), {}, content.get("months", [])
    keys = [*known, "dates", "encoding"] + ["months"] * (known is not COLUMNS)
    for key in content:
        if key not in keys:
            _unknown(bad, key, keys, source)
    if content.get("dates") not in (None, "dmy", "mdy", "ymd"):
        bad.add("dates must be 'dmy', 'mdy' or 'ymd'", "Correct it", file=source, value=content["dates"])
    if len(months) not in (0, 12):
        bad.add("months must be the names of the twelve months", "Correct it", file=source, value=months)
    for name, columns in known.items():
        tables[name] = _table(bad, dict(content.get(name, {})), name, columns, source)
    bad.raise_any()
    dates = content.get("dates")
    order = None if dates == "ymd" else dates
    return FieldMapping(tables, order, content.get("encoding"), tuple(map(str, months)))


def _table(bad: Problems, entries: dict, table: str, columns: tuple[str, ...], source: str) -> TableMapping:
    out = TableMapping(file=entries.pop("file", None), always={k: str(v) for k, v in entries.pop("always", {}).items()})
    pair = entries.pop("problems", None)
    values = entries.pop("values", {})
    if not (isinstance(values, Mapping) and all(isinstance(words, Mapping) for words in values.values())):
        what, fix = "values must be tables of words", 'Write values = { transport = { "徒步" = "foot" } }'
        bad.add(what, fix, file=source, value=values)
        values = {}
    for name, words in values.items():
        out.values[name] = {str(theirs): str(ours) for theirs, ours in words.items()}
    if pair is not None:
        if len(pair) == 2 and all("{n}" in str(heading) for heading in pair):
            out.problems = (str(pair[0]), str(pair[1]))
        else:
            what = "problems must be two headings with {n} for the number"
            bad.add(what, 'Write problems = ["Problem{n}_from", "Problem{n}_to"]', file=source, value=pair)
    for name, heading in entries.items():
        if name not in columns:
            _unknown(bad, f"{table}.{name}", [f"{table}.{c}" for c in columns], source)
        elif isinstance(heading, list):
            out.joined[name] = [str(h) for h in heading]
        else:
            out.names[name] = str(heading)
    for name in out.always:
        if name not in columns:
            _unknown(bad, f"{table}.always.{name}", [f"{table}.always.{c}" for c in columns], source)
    for name in out.values:
        if name not in columns:
            _unknown(bad, f"{table}.values.{name}", [f"{table}.values.{c}" for c in columns], source)
    return out


def _unknown(bad: Problems, key: str, known: list[str], source: str) -> None:
    close = get_close_matches(key, known, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(known)}"
    bad.add("the mapping has a name that is not known", fix, file=source, value=key)
