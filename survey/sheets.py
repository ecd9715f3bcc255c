"""Sheets: CSV and Excel files as columns of text, each value with the row a person would look for.

Nothing is interpreted here; `columns.py` turns text into numbers, times and choices.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from .errors import Problems, refuse

_OLD = ("this is an old Excel file (.xls)", "Save it as .xlsx or as CSV UTF-8")
EXCEL, OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, eq=False)
class Sheet:
    """One table as text.

    Parameters
    ----------
    name : the file's name, for messages
    raw : heading -> the n values as they stand in the file
    row : int [n], the row in the file (the header is row 1)
    repeated : headings that occur more than once; only the first column of each is kept
    decimal_comma : numbers may be written with a comma, because a comma does not separate the columns
    """

    name: str
    raw: Mapping[str, Sequence[str]]
    row: np.ndarray
    repeated: frozenset[str] = field(default_factory=frozenset)
    decimal_comma: bool = False

    def __len__(self) -> int:
        return len(self.row)

    @property
    def headings(self) -> list[str]:
        return list(self.raw)


def read_sheet(path: str | Path, *, table: str = "", encoding: str | None = None) -> Sheet:
    """The sheet in a file on disk; `table` names the sheet wanted from an Excel workbook with several.

    Raises
    ------
    SurveyError : no such file, an empty or binary file, an unclear encoding, rows that do not fit the header
    """
    path = Path(path)
    if not path.is_file():
        raise refuse("there is no such file", "Check the path and the spelling", file=path, value=str(path))
    return sheet_of(path.read_bytes(), path.name, table=table, encoding=encoding)


def sheet_of(data: bytes, name: str, *, table: str = "", encoding: str | None = None) -> Sheet:
    """The sheet in the bytes of a CSV, gzipped CSV or Excel file called `name`."""
    if data.startswith(b"\x1f\x8b"):
        from .packages import gunzip

        data = gunzip(data, name)
    if data.startswith((EXCEL, OLD_EXCEL)):
        return _from_excel(data, name, table)
    return _from_text(decode(data, name, encoding), name)


def sheet_from_records(records: list[dict], name: str) -> Sheet:
    """A sheet from rows given as dictionaries, as in the inline `data` of a data package."""
    headings = list(dict.fromkeys(key for record in records for key in record))
    text = {h: [_plain(record.get(h)) for record in records] for h in headings}
    return Sheet(name, text, np.arange(len(records)) + 2)


# ---- text ---------------------------------------------------------------------------------------------------------


def decode(data: bytes, name: str, encoding: str | None = None) -> str:
    """Text of a file in UTF-8 (with or without a byte order mark), UTF-16 with one, or GB18030.

    GB18030 is accepted only when most of its characters are everyday Chinese: nearly any Western or Cyrillic file
    can be decoded as GB18030 too, as nonsense.

    >>> decode("站点".encode("gb18030"), "a.csv")
    '站点'
    """
    if not data.strip():
        raise refuse("the file is empty", "Export it again, or leave it out", file=name)
    if encoding is None and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    if encoding is None and b"\0" in data[:100_000]:
        raise refuse("this is not a text file", "Save the table as CSV UTF-8 or as .xlsx", file=name)
    row = 1
    for candidate in [encoding] if encoding else ["utf-8-sig", "gb18030"]:
        try:
            text = data.decode(candidate)
        except UnicodeDecodeError as error:
            row = data[: error.start].count(b"\n") + 1
            continue
        except LookupError:
            raise refuse(
                "the encoding is not known", "Use a name such as 'utf-8', 'gb18030' or 'cp1251'", value=candidate
            ) from None
        if candidate != "gb18030" or encoding or _everyday_chinese(text):
            return text
        row = next(i for i, line in enumerate(text.splitlines(), 1) if not line.isascii())
    raise refuse(
        f"the letters are not in {encoding}" if encoding else "the encoding of the letters is not clear (not UTF-8)",
        "In Excel, save as 'CSV UTF-8'; or give encoding='gb18030' (Chinese), 'cp1251' (Cyrillic) or 'cp1252'",
        file=name,
        row=row,
    )


def _everyday_chinese(text: str) -> bool:
    """Whether most letters outside ASCII are in the 3,755 everyday characters of GB 2312 (first byte B0 to D7)."""
    letters = [c.encode("gb18030") for c in text if ord(c) > 127 and c.isalpha()]
    return sum(len(b) == 2 and 0xB0 <= b[0] <= 0xD7 and b[1] >= 0xA1 for b in letters) >= 0.5 * len(letters)


def _from_text(text: str, name: str) -> Sheet:
    header = text.lstrip("\n\r").split("\n", 1)[0]
    plain = re.sub(r'"[^"]*"', "", header)
    delimiter = max(",;\t", key=plain.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, numbers, before = [], [], 0
    try:
        for values in reader:
            if any(values) and (values[0].strip() or any(map(str.strip, values))):
                rows.append(values)
                numbers.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise refuse(
            "a quotation mark is not closed or stands in the middle of a value",
            "Open the file in a text editor, look at the quotation marks from this row on, and export it again",
            file=name,
            row=before + 1,
        ) from error
    return _sheet(rows, numbers, name, decimal_comma=delimiter != ",")


# ---- Excel --------------------------------------------------------------------------------------------------------


def _from_excel(data: bytes, name: str, table: str) -> Sheet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns about styles and validations, which do not matter here
        book = _open(data, name)
        sheet = _choose(book, name, table)
        name = name if len(book.sheetnames) == 1 else f"{name} [{sheet.title}]"
        rows, numbers = [], []
        for number, cells in enumerate(sheet.iter_rows(), 1):
            values = [_cell(cell) for cell in cells]
            if any(values):
                rows.append(values)
                numbers.append(number)
        book.close()
    if not rows:
        raise refuse("the sheet is empty", "Fill it in, or leave it out", file=name)
    width = max(i + 1 for i, heading in enumerate(rows[0]) if heading)
    return _sheet([r[:width] if not any(r[width:]) else r for r in rows], numbers, name, decimal_comma=True)


def sheet_names(data: bytes, name: str) -> list[str]:
    """Titles of the worksheets in an Excel file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _open(data, name).sheetnames


def _open(data: bytes, name: str):
    """An opened workbook of harmless size."""
    from openpyxl import load_workbook

    from .packages import check_zip

    if data.startswith(OLD_EXCEL):
        raise refuse(*_OLD, file=name)
    check_zip(data, name)
    try:
        return load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except Exception as error:
        raise refuse("this workbook cannot be opened", "Save it again as .xlsx or as CSV UTF-8", file=name) from error


def _choose(book, name: str, table: str):
    """The worksheet called `table`, or the only one."""
    for title in book.sheetnames:
        if table and title.strip().casefold() == table.casefold():
            return book[title]
    if len(book.sheetnames) > 1:
        raise refuse(
            f"the workbook has several sheets and none is called {table!r}",
            f"Name the sheet {table!r}, or save it as a file of its own",
            file=name,
            value=book.sheetnames,
        )
    return book[book.sheetnames[0]]


def _cell(cell) -> str:
    """A cell's value as text; a date formatted without hours stays a date."""
    value = cell.value
    if isinstance(value, datetime) and value.time() == time(0) and "h" not in str(cell.number_format).lower():
        value = value.date()
    return _plain(value)


def _plain(value) -> str:
    """A value as the text that a CSV file would hold."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        # Excel keeps times as fractions of a day: seconds are what survives.
        return (value + timedelta(microseconds=500_000)).replace(microsecond=0).isoformat(" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


# ---- both ---------------------------------------------------------------------------------------------------------


def _sheet(rows: list[list[str]], numbers: list[int], name: str, *, decimal_comma: bool) -> Sheet:
    """Columns from rows of which the first is the header; every row must fit it."""
    if not rows:
        raise refuse("the file is empty", "Export it again, or leave it out", file=name)
    headings, body = [h.strip() for h in rows[0]], rows[1:]
    bad, width = Problems(), len(headings)
    for i in [i for i, values in enumerate(body) if len(values) != width]:
        while len(body[i]) > width and not body[i][-1].strip():
            body[i].pop()
        if len(body[i]) != width:
            bad.add(
                f"the row has {len(body[i])} values and the header has {width} columns",
                "Look for a missing separator, an unquoted comma in a text or a decimal comma",
                file=name,
                row=numbers[i + 1],
            )
    bad.raise_any()
    columns = zip(*body, strict=True) if body else [()] * width
    raw: dict[str, Sequence[str]] = {}
    for heading, column in zip(headings, columns, strict=True):
        if heading:
            raw.setdefault(heading, column)
    repeated = frozenset(h for h in headings if h and headings.count(h) > 1)
    return Sheet(name, raw, np.array(numbers[1:], int), repeated, decimal_comma)
