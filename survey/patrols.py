"""Patrols: where rangers walked and what they saw, from SMART exports and tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pyproj import CRS

from .cells import Cells
from .detections import DetectionHistory
from .display import facts_html
from .errors import Problems, refuse
from .readers.mapping import read_mapping
from .readers.reading import Reading
from .readers.smart import COLUMNS, OBSERVATIONS, read_observations
from .readers.tracks import read_tracks, track_files, transport_of
from .tables import empty

Files = str | Path | Sequence[str | Path]


@dataclass(frozen=True, eq=False)
class Patrols:
    """Tracks and observations of patrols.

    Parameters
    ----------
    tracks, fixes : described in `readers.tracks` (TRACKS, FIXES)
    observations : described in `readers.smart` (OBSERVATIONS)
    timezone : the local time zone
    provenance : files and every choice made on the way
    """

    tracks: pd.DataFrame
    fixes: pd.DataFrame
    observations: pd.DataFrame
    timezone: str
    provenance: dict[str, Any] = field(default_factory=dict)

    def by_cell(self, cells: Cells, **how) -> DetectionHistory:
        """Visits to cells: what was found in each cell and period, with the km walked there; see `patrol_visits`."""
        from .patrol_visits import by_cell

        return by_cell(self, cells, **how)

    def by_segment(self, cells: Cells, length_km: float = 1.0, **how) -> DetectionHistory:
        """Ordered segments of the ways walked through cells, for correlated replicates; see `patrol_visits`."""
        from .patrol_visits import by_segment

        return by_segment(self, cells, length_km, **how)

    def effort(self, cells: Cells, **how) -> pd.DataFrame:
        """Km walked, `season`, `visit`, `site`, `km`, `tracks`, where there was any; see `patrol_visits.by_cell`."""
        from .patrol_visits import effort_table

        return effort_table(self, cells, **how)

    def __repr__(self) -> str:
        kinds = self.tracks["transport"].value_counts()
        by = ", ".join(f"{n:,} {kind}" for kind, n in kinds.items())
        return f"Patrols: {len(self.tracks):,} tracks ({by}), {len(self.observations):,} observations"

    def _repr_html_(self) -> str:
        facts = {"tracks": f"{len(self.tracks):,}", "fixes": f"{len(self.fixes):,}"}
        facts |= {f"tracks by {kind}": f"{n:,}" for kind, n in self.tracks["transport"].value_counts().items()}
        facts |= {"observations": f"{len(self.observations):,}", "local time": self.timezone}
        return facts_html("Patrols", facts | self.provenance)


def read_patrols(
    tracks: Files,
    observations: Files | None = None,
    *,
    timezone: str | None = None,
    mapping=None,
    transport: str | None = None,
    crs="EPSG:4326",
    encoding: str | None = None,
) -> Patrols:
    """Tracks (GPX, GeoJSON, shapefile, GeoPackage) and observations (SMART exports as CSV or Excel) of patrols.

    Parameters
    ----------
    tracks : files, or a folder of them. Times come from the points of GPX, from third coordinates in milliseconds since
        1970 (SMART Connect) or from `coordTimes`; a line without times may have a `date`
    observations : files; without any, only effort is known
    timezone : local time zone of the survey; required. Times without offset are local
    mapping : TOML file or dictionary, how headings, words and dates of the exports are to be read (see
        `readers.smart`)
    transport : how patrols moved on tracks that do not say it, e.g. "foot". GPX never says it
    crs : of the columns x and y of the observations
    encoding : of CSV files that are neither UTF-8 nor GB18030

    Raises
    ------
    SurveyError : everything that is wrong, with file and row; tracks whose transport is not known
    """
    names = read_mapping(mapping, COLUMNS)
    reading = Reading(timezone, encoding or names.encoding, names.dates)
    try:
        system = CRS.from_user_input(crs)
    except Exception as error:
        raise refuse("the CRS of x and y is not understood", "Give e.g. 'EPSG:32647'", value=crs) from error
    files = track_files(tracks)
    seen = empty(OBSERVATIONS, reading.zone)
    if observations is not None:
        given = [observations] if isinstance(observations, (str, Path)) else observations
        seen = read_observations(reading, [Path(p) for p in given], names, system)
    given = None if transport is None else str(transport_of([transport])[0])
    walked, fixes = read_tracks(reading, files, names.tables["tracks"])
    reading.problems.raise_any()
    walked["transport"] = _transport(walked, seen, given)
    kept = {"files of tracks": len(files), "transport where not stated": given or "not needed"}
    return Patrols(walked, fixes, seen, str(timezone), kept)


def _transport(tracks: pd.DataFrame, seen: pd.DataFrame, otherwise: str | None) -> pd.Series:
    """How each track was walked: what it says, what all observations of its patrol say, or what the user says."""
    said = seen[(seen["transport"] != "") & (seen["patrol"] != "")].groupby("patrol")["transport"]
    known = said.first()[said.nunique() == 1].to_dict()
    of_patrol = [known.get(patrol, otherwise or "") for patrol in tracks["patrol"]]
    transport = tracks["transport"].where(tracks["transport"] != "", pd.Series(of_patrol, tracks.index, dtype=object))
    bad = Problems()
    for row in tracks[transport == ""].itertuples():
        bad.add(
            "it is not stated how the patrol moved on this track",
            "Give transport='foot' when all tracks that do not say it were walked, or name the column in the mapping",
            file=row.file,
            row=int(row.row),
        )
    bad.raise_any()
    return transport
