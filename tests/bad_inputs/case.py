"""One bad input, and short ways to make one from a good survey."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uncia import survey

from . import good

READERS = {
    "camtrap_dp": survey.read_camtrap_dp,
    "field_tables": survey.read_field_tables,
    "wildlife_insights": survey.read_wildlife_insights,
}
FILE_OPTIONS = ("identities", "failures", "mapping")
Build = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Parameters
    ----------
    name : what is wrong, in a word or two
    build : writes the input into a folder
    expect : pieces that the message must hold
    reader : name of the reader
    options : keywords of the reader that differ from those of a good survey; files relative to the folder
    path : what is read, relative to the folder
    """

    name: str
    build: Build
    expect: tuple[str, ...]
    reader: str = "camtrap_dp"
    options: dict[str, Any] = field(default_factory=dict)
    path: str = "."

    def arguments(self, folder: Path) -> tuple[Path, dict[str, Any]]:
        """Path and keywords of the reader."""
        options = good.SITE | self.options
        for name in FILE_OPTIONS:
            if isinstance(options.get(name), str) and options[name] != "camtrapR":
                options[name] = folder / options[name]
        return folder / self.path, options

    def read(self, folder: Path) -> survey.CaptureHistory:
        path, options = self.arguments(folder)
        return READERS[self.reader](path, **options)


def dp(**files) -> Build:
    """A Camtrap DP package with other or more files: deployments, observations, package, failures__csv=…"""
    return lambda folder: good.package(folder, **files)


def tables(**files) -> Build:
    """Field tables with other or more files."""
    return lambda folder: good.field(folder, **files)


def wi(**files) -> Build:
    """A Wildlife Insights export with other or more files."""
    return lambda folder: good.wildlife(folder, **files)


def deployment(row: str, **values: str) -> Build:
    """A package with other values in one deployment."""
    return dp(deployments=good.cell(good.DEPLOYMENTS, row, **values))


def observation(row: str, **values: str) -> Build:
    """A package with other values in one observation."""
    return dp(observations=good.cell(good.OBSERVATIONS, row, **values))


def station(row: str, **values: str) -> Build:
    """Field tables with other values in one deployment."""
    return tables(deployments=good.cell(good.STATIONS, row, **values))


def record(row: str, **values: str) -> Build:
    """Field tables with other values in one record."""
    return tables(records=good.cell(good.RECORDS, row, **values))


def zipped(**members: bytes) -> Build:
    """A zip with the good package and more members; `up__evil__csv` stands for ../evil.csv."""

    def build(folder: Path) -> None:
        with zipfile.ZipFile(folder / "survey.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("datapackage.json", json.dumps(good.descriptor()))
            file.writestr("deployments.csv", good.DEPLOYMENTS)
            file.writestr("observations.csv", good.OBSERVATIONS)
            for name, content in members.items():
                file.writestr(name.replace("up__", "../").replace("__", "."), content)

    return build


def resource(name: str, path: object) -> dict:
    """The descriptor with another path for one resource."""
    package = good.descriptor()
    package["resources"] = [r | {"path": path} if r["name"] == name else r for r in package["resources"]]
    return package


def workbook(**sheets: list[list]) -> bytes:
    """An Excel workbook."""
    from openpyxl import Workbook

    book, data = Workbook(), io.BytesIO()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(data)
    return data.getvalue()
