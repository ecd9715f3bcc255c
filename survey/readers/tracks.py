"""Tracks of patrols: GPX, and GeoJSON, shapefiles or GeoPackages of lines, as fixes with a place and a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import shapely

from ..errors import Problems, refuse
from ..sheets import Sheet
from ..times import WHOLE_DAY_STARTS, parse_times
from ..vector import read_layer
from .mapping import TableMapping
from .reading import Reading

TRACKS = {
    "track": "name of one walk, unique: file and number in it",
    "patrol": "name of the patrol, empty when not given",
    "transport": "'foot', 'horse', 'vehicle', … or the word of the source; empty when not given",
    "date": "local date when the fixes have no times; NaT when not given",
    "file": "name of the file",
    "row": "its number among the tracks of the file, from 1",
}
FIXES = {
    "track": "position of its track in the table of tracks",
    "part": "number of the stretch within the track, from 0; no step leads from one stretch to the next",
    "time": "local time, NaT when not given",
    "longitude": "degrees WGS84",
    "latitude": "degrees WGS84",
}
WORDS = {
    "foot": ("foot", "on foot", "walk", "walking", "hike", "hiking", "徒步", "步行", "à pied", "a pied", "a pie"),
    "horse": ("horse", "horseback", "on horse", "骑马", "à cheval", "a caballo", "camel", "yak"),
    "vehicle": ("vehicle", "car", "truck", "4x4", "driving", "汽车", "车辆", "voiture", "coche"),
    "motorbike": ("motorbike", "motorcycle", "摩托车", "摩托", "moto"),
    "bicycle": ("bicycle", "bike", "cycling", "自行车"),
    "boat": ("boat", "motor boat", "canoe", "船", "bateau", "bote"),
    "aircraft": ("aircraft", "airplane", "helicopter", "drone", "飞机", "无人机"),
}
TRANSPORT = {word: kind for kind, words in WORDS.items() for word in words} | {
    "jalan kaki": "foot",
    "berjalan kaki": "foot",
    "пешком": "foot",
    "пеший": "foot",
}
HEADINGS = {
    "patrol": ("patrol", "Patrol ID", "patrol_id", "patrolid", "Patrol_Ser", "ID"),
    "transport": ("transport", "Patrol Transport Type", "Transport Type", "Patrol_Tra", "Transport_", "transport_type"),
    "date": ("date", "Patrol Leg Start Date", "Patrol Start Date", "start_date", "Patrol_Sta", "Patrol_Leg"),
}
SUFFIXES = (".gpx", ".geojson", ".json", ".shp", ".gpkg", ".kml")
MILLISECONDS, SECONDS = 1e11, 1e8  # third coordinates above are times since 1970, not heights


def transport_of(words: Iterable[str]) -> np.ndarray:
    """object [n]: 'foot', 'horse', … where the word is known, else the word itself in lower case.

    >>> transport_of(["On foot", "徒步", "sledge", ""]).tolist()
    ['foot', 'foot', 'sledge', '']
    """
    plain = [str(word).strip().casefold() for word in words]
    return np.array([TRANSPORT.get(word, word) for word in plain], object)


def track_files(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files of tracks, a folder standing for all in it, in the order of their names."""
    given = [Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths)]
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                fix = f"Put in files of the kinds {', '.join(SUFFIXES)}"
                raise refuse("the folder holds no tracks", fix, file=path, value=str(path))
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise refuse("there is no such file of tracks", "Check the path", file=path, value=str(path))
    if not files:
        raise refuse("no file of tracks is given", "Effort is known from tracks only: give at least one")
    stems, names = [f.resolve() for f in files], [f.name for f in files]
    bad = Problems()
    for i, name in enumerate(names):
        if name in names[:i]:
            same = stems[i] in stems[:i]
            what = "the file of tracks is given twice" if same else "two files of tracks have one name"
            bad.add(what, "Leave one out" if same else "Rename one, so that messages can name it", file=files[i])
    bad.raise_any()
    return sorted(files, key=lambda f: f.name)


def read_tracks(reading: Reading, files: list[Path], mapping: TableMapping) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of tracks and fixes, described in `TRACKS` and `FIXES`; faults go to the reading's problems."""
    tracks, fixes, n = [], [], 0
    for path in files:
        raw, points = _gpx(path, reading) if path.suffix.lower() == ".gpx" else _vector(path, reading)
        named = _named(reading, raw, mapping, path)
        tracks.append(named)
        fixes.append(points.assign(track=points["track"] + n))
        n += len(named)
    return pd.concat(tracks, ignore_index=True), pd.concat(fixes, ignore_index=True)


def _named(reading: Reading, raw: dict[str, list[str]], mapping: TableMapping, path: Path) -> pd.DataFrame:
    """The table of tracks from the attributes of lines."""
    n = len(next(iter(raw.values())))
    sheet = mapping.applied(Sheet(path.name, raw, np.arange(1, n + 1)))
    names = dict(mapping.names)
    c = reading.columns(sheet, names)
    for ours, headings in HEADINGS.items():
        if ours not in names and not c.has(ours):
            names |= {ours: next((h for h in headings if c.has(h)), ours)}
    for ours in [ours for ours in mapping.names if not c.has(ours)]:
        fix = "Correct the mapping"
        reading.problems.add(f"there is no column {names[ours]!r} for {ours!r}", fix, file=path, value=list(raw)[:12])
    c = reading.columns(sheet, names)
    return pd.DataFrame(
        {
            "track": [f"{path.stem} {i + 1}" for i in range(n)],
            "patrol": c.text("patrol"),
            "transport": transport_of(c.text("transport")),
            "date": c.time("date", reading.zone, dates=WHOLE_DAY_STARTS),
            "file": path.name,
            "row": sheet.row,
        }
    )


def _fixes(reading: Reading, track: list, part: list, time: pd.DatetimeIndex, place: np.ndarray) -> pd.DataFrame:
    place = place.reshape(-1, 2)
    columns = {"track": np.array(track, int), "part": np.array(part, int), "time": time.tz_convert(reading.zone)}
    return pd.DataFrame(columns | {"longitude": place[:, 0], "latitude": place[:, 1]})


# ---- GPX ------------------------------------------------------------------------------------------------------------


def _gpx(path: Path, reading: Reading) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Attributes and fixes of the tracks of a GPX file; its routes are plans and its waypoints no effort."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError, LookupError) as error:
        raise refuse(f"the file is not GPX: {error}", "Export it again from the device", file=path) from error
    raw: dict[str, list[str]] = {"name": [], "type": []}
    track, part, place, when = [], [], [], []
    for n, trk in enumerate(_children(root, "trk")):
        for key in raw:
            raw[key].append((_text(trk, key) or "").strip())
        for s, segment in enumerate(_children(trk, "trkseg")):
            for point in _children(segment, "trkpt"):
                place += [_degree(point, "lon", 180.0), _degree(point, "lat", 90.0)]
                when.append((_text(point, "time") or "").strip())
                track.append(n)
                part.append(s)
    if not raw["name"]:
        raise refuse("the file holds no track", "Export the track log and not only waypoints or routes", file=path)
    places = np.array(place, float).reshape(-1, 2)
    lost = np.isnan(places).any(axis=1)
    times, faults = parse_times(np.array(when, object), reading.zone)
    for i in np.flatnonzero(lost)[:20]:
        what = f"point {_point(track, i)} of the track has no latitude and longitude in degrees"
        reading.problems.add(what, "Delete the point, or export again", file=path, row=track[i] + 1)
    for i, (what, fix) in sorted(faults.items())[:20]:
        what = f"time of point {_point(track, i)} of the track: {what}"
        reading.problems.add(what, fix, file=path, row=track[i] + 1, value=when[i])
    known = [kind if kind.casefold() in TRANSPORT else "" for kind in raw["type"]]  # devices write numbers here
    return {"name": raw["name"], "transport": known}, _fixes(reading, track, part, times, places)


def _point(track: list[int], i: int) -> int:
    """The number of a point within its track, from 1."""
    return i - track.index(track[i]) + 1


def _children(element: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    """Children of a tag, whatever the version of GPX says of its namespace."""
    return [child for child in element if str(child.tag).rsplit("}", 1)[-1] == tag]


def _text(element: ElementTree.Element, tag: str) -> str | None:
    return next((child.text for child in _children(element, tag)), None)


def _degree(point: ElementTree.Element, name: str, most: float) -> float:
    try:
        value = float(point.get(name, ""))
    except ValueError:
        return np.nan
    return value if abs(value) <= most else np.nan


# ---- lines of vector files ------------------------------------------------------------------------------------------


def _vector(path: Path, reading: Reading) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Attributes and fixes of the lines of a vector file; times from the third coordinate or from `coordTimes`."""
    layer = read_layer(path)
    if layer.crs is None:
        fix = "Save it with its CRS (a shapefile needs its .prj beside it)"
        raise refuse("the layer states no CRS", fix, file=path)
    layer = layer.to_crs("EPSG:4326")
    geometry = layer.geometry.to_numpy()
    if len(layer) == 0:
        raise refuse("the file holds no track", "Export it again", file=path)
    wrong = np.flatnonzero(~np.isin(shapely.get_type_id(geometry), (1, 5)))
    for i in wrong[:20]:
        kind = "nothing" if geometry[i] is None else geometry[i].geom_type
        reading.problems.add("a track must be a line", "Delete the feature", file=path, row=int(i) + 1, value=kind)
    good = np.setdiff1d(np.arange(len(layer)), wrong)
    lines, of = shapely.get_parts(geometry[good], return_index=True)
    at, line = shapely.get_coordinates(lines, include_z=True, return_index=True)
    first_line = np.searchsorted(of, of)  # of each line, the first of its track
    columns = layer.drop(columns=layer.geometry.name)
    times = _z_times(at[:, 2])
    for key in [k for k in columns if str(k).casefold() in ("coordtimes", "times")]:
        times = _listed_times(reading, columns[key].to_numpy()[good], good[of[line]], times, path)
    raw = {str(name): [_plain(v) for v in columns[name]] for name in columns}
    frame = _fixes(reading, good[of[line]], line - first_line[line], times, at[:, :2])
    return raw or {"name": [""] * len(layer)}, frame


def _z_times(z: np.ndarray) -> pd.DatetimeIndex:
    """Times from third coordinates in milliseconds (SMART) or seconds since 1970; NaT where they are heights."""
    unit = np.where(np.abs(z) >= MILLISECONDS, 1e3, np.where(np.abs(z) >= SECONDS, 1e6, np.nan))
    micro = pd.Series(z * unit)
    known = micro.notna()
    out = pd.Series(pd.NaT, index=micro.index, dtype=pd.DatetimeTZDtype("us", "UTC"))
    out[known] = pd.to_datetime(micro[known].round().astype("int64"), unit="us", utc=True)
    return pd.DatetimeIndex(out)


def _listed_times(reading: Reading, lists, track: np.ndarray, times: pd.DatetimeIndex, path: Path) -> pd.DatetimeIndex:
    """Times that stand in a list beside the line, one for each point."""
    out = pd.Series(times)
    for number, listed in zip(pd.unique(track), lists, strict=True):
        words = json.loads(listed) if isinstance(listed, str) else listed
        words = _flat(words if isinstance(words, (list, np.ndarray)) else [])
        here = np.flatnonzero(track == number)
        if len(words) != len(here):
            what = f"the track has {len(here)} points and {len(words)} times"
            reading.problems.add(what, "Export it again", file=path, row=int(number) + 1)
            continue
        parsed, faults = parse_times(np.array(words, object), reading.zone)
        for what, fix in list(faults.values())[:1]:
            reading.problems.add(f"times of the track: {what}", fix, file=path, row=int(number) + 1)
        out[here] = parsed.tz_convert("UTC")
    return pd.DatetimeIndex(out)


def _flat(words: Iterable) -> list[str]:
    """A list of texts from a list, or a list of lists, of them."""
    return [str(w) for word in words for w in (_flat(word) if isinstance(word, (list, np.ndarray)) else [word])]


def _plain(value: Any) -> str:
    """An attribute as the text that a CSV file would hold."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat(" ") if value != value.normalize() else f"{value:%Y-%m-%d}"
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
