"""Observations of patrols: exports of SMART (waypoint or observation queries) as CSV or Excel.

Headings, words and dates of these exports follow the language of the office that made them. A mapping file says what
they mean (see `readers/mapping.py`), for example:

    dates = "dmy"
    months = ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."]

    [observations]
    patrol = "Identifiant de la patrouille"
    time = ["Date du point", "Heure du point"]
    species = "Espèce"
    values = { species = { "Panthère des neiges" = "Panthera uncia" } }

    [tracks]
    transport = "Mode"
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import CRS, Transformer

from ..columns import Columns
from ..errors import refuse
from ..sheets import Sheet, read_sheet
from .mapping import FieldMapping
from .reading import Reading, degrees
from .tracks import transport_of

COLUMNS = {
    "observations": (
        *("record", "patrol", "time", "x", "y", "category", "species", "count", "transport", "direction", "distance"),
        *("observer",),
    ),
    "tracks": ("patrol", "transport", "date"),
}
OBSERVATIONS = {
    "record": "name of the record, unique",
    "patrol": "name of the patrol, empty when not given",
    "time": "local time, NaT when not given",
    "longitude": "degrees WGS84, where the patrol stood",
    "latitude": "degrees WGS84, where the patrol stood",
    "direction": "degrees from north in which the thing lay; NaN when it lay where the patrol stood",
    "distance": "metres to it; NaN when it lay where the patrol stood",
    "category": "what was seen, levels joined by ' > '",
    "species": "scientific name, or whatever the source calls it; empty when not given",
    "count": "how many, missing when the source does not say",
    "transport": "'foot', 'horse', … or the word of the source; empty when not given",
    "file": "name of the file",
    "row": "row in it",
}
HEADINGS = {
    "record": ("record", "Observation ID", "Waypoint UUID"),
    "patrol": ("patrol", "Patrol ID"),
    "time": ("time", "Waypoint Date Time", "Waypoint Date"),
    "x": ("x", "longitude", "lon", "long"),
    "y": ("y", "latitude", "lat"),
    "category": ("category", "Observation Category"),
    "species": ("species", "Species Name", "Scientific Name"),
    "count": ("count", "Number of Animals", "Number"),
    "transport": ("transport", "Patrol Transport Type", "Transport Type"),
    "direction": ("direction", "Bearing"),
    "distance": ("distance",),
    "observer": ("observer",),
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LEVELS = re.compile(r"Observation Category \d+", re.IGNORECASE)
FAR_SEEN = 5_000.0  # metres: a sighting further away is a mistyped distance


def read_observations(reading: Reading, paths: list[Path], mapping: FieldMapping, crs) -> pd.DataFrame:
    """The table of observations, described in `OBSERVATIONS`; faults go to the reading's problems.

    `crs` is that of the columns x and y.
    """
    names = [path.name for path in paths]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise refuse("two files of observations have one name", "Give each once, or rename one", value=name)
    tables = []
    for path in sorted(paths, key=lambda p: p.name):
        sheet = read_sheet(path, table="observations", encoding=reading.encoding)
        tables.append(_observations(reading, _prepared(sheet, mapping), mapping, crs))
    return pd.concat(tables, ignore_index=True)


def _prepared(sheet: Sheet, mapping: FieldMapping) -> Sheet:
    """The sheet with its time and its category in one column each, and months as numbers."""
    table = mapping.tables["observations"]
    sheet = table.applied(sheet)
    raw, wanted = dict(sheet.raw), {**table.names, **table.joined, **table.always}
    loose = {heading.casefold(): heading for heading in reversed(sheet.headings)}
    day, hour = loose.get("waypoint date"), loose.get("waypoint time")
    if "time" not in wanted and "time" not in loose and day and hour:
        raw["time"] = [f"{d} {h}".strip() for d, h in zip(raw[day], raw[hour], strict=True)]
    levels = [heading for heading in sheet.headings if LEVELS.fullmatch(heading)]
    if "category" in table.joined:
        levels = table.joined["category"]
    if levels and "category" not in table.names and "category" not in loose:
        rows = zip(*(raw[level] for level in sorted(levels)), strict=True)
        raw["category"] = [" > ".join(filter(None, map(str.strip, row))) for row in rows]
    when = table.names.get("time") or next((loose[h.casefold()] for h in HEADINGS["time"] if h.casefold() in loose), "")
    when = "time" if "time" in raw else when
    if when in raw:
        raw[when] = [with_numbers(text, mapping.months) for text in raw[when]]
    return Sheet(sheet.name, raw, sheet.row, sheet.repeated, sheet.decimal_comma)


def with_numbers(text: str, months: tuple[str, ...] = ()) -> str:
    """A date with the name of its month as one that begins with the year; other texts as they are.

    >>> with_numbers("Jun 3, 2024 1:05:10 PM"), with_numbers("3 juin 2024", ("janv.",) * 5 + ("juin",) + ("-",) * 6)
    ('2024-06-03 1:05:10 PM', '2024-06-03')
    """
    found = re.match(r"\s*(\d{1,2})[\s\-./]+([^\W\d]+\.?)[\s\-.,/]+(\d{4})[,\s]*", text)
    day, word, year = found.groups() if found else ("", "", "")
    if not found:
        found = re.match(r"\s*([^\W\d]+\.?)\s+(\d{1,2}),?\s+(\d{4})[,\s]*", text)
        word, day, year = found.groups() if found else ("", "", "")
    plain = word.rstrip(".").casefold()
    ours = [name.rstrip(".").casefold() for name in months]
    number = ours.index(plain) if plain in ours else MONTHS.index(plain[:3]) if plain[:3] in MONTHS else -1
    if not found or number < 0:
        return text
    return f"{year}-{number + 1:02d}-{int(day):02d} {text[found.end() :]}".strip()


def _observations(reading: Reading, sheet: Sheet, mapping: FieldMapping, crs) -> pd.DataFrame:
    names = dict(mapping.tables["observations"].names)
    c = reading.columns(sheet, names)
    for ours, headings in HEADINGS.items():
        if ours not in names and not c.has(ours):
            names |= {ours: next((h for h in headings if c.has(h)), headings[-1] if ours in "xy" else ours)}
    names = {ours: heading for ours, heading in names.items() if ours not in sheet.raw}
    c = reading.columns(sheet, names)
    asked = [ours for ours in mapping.tables["observations"].names if ours in names]
    c.require(*dict.fromkeys(("x", "y", *asked)))
    lon, lat = _positions(c, crs)
    away = c.number("distance", low=0.0, high=FAR_SEEN)
    given = c.text("record")
    numbered = [f"{sheet.name} row {row}" for row in c.row]
    return pd.DataFrame(
        {
            "record": np.where(given == "", np.array(numbered, object), given),
            "patrol": c.text("patrol"),
            "time": c.time("time", reading.zone, dates=pd.Timedelta(hours=12)),
            "longitude": lon,
            "latitude": lat,
            "direction": c.number("direction", low=0.0, high=360.0),
            "distance": np.where(away > 0, away, np.nan),
            "category": c.text("category"),
            "species": c.text("species"),
            "count": c.number("count", low=0.0),
            "transport": transport_of(c.text("transport")),
            "file": sheet.name,
            "row": c.row,
        }
    )


def _positions(c: Columns, crs) -> tuple[np.ndarray, np.ndarray]:
    """Degrees WGS84; NaN where the position is missing."""
    if not c.has("x", "y"):
        return np.full(len(c), np.nan), np.full(len(c), np.nan)
    system = CRS.from_user_input(crs)
    if system.is_geographic:
        lon, lat = degrees(c, "y", "x", required=False)  # SMART lets rangers write without a position: it is counted
    else:
        lon, lat = c.number("x"), c.number("y")
    missing = np.isnan(lon) | np.isnan(lat)
    to_wgs84 = Transformer.from_crs(system, "EPSG:4326", always_xy=True)
    lon, lat = (np.where(missing, np.nan, v) for v in to_wgs84.transform(np.nan_to_num(lon), np.nan_to_num(lat)))
    return lon, lat
