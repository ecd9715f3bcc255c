"""What all readers of survey files share: one collection of problems, and the tables of failures and identities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from ..columns import Columns
from ..errors import MOST_SHOWN, Problems, SurveyWarning
from ..sexes import SEX
from ..sheets import Sheet, read_sheet
from ..tables import FAILURES, IDENTITIES, RECORDS, SurveyTables, empty
from ..times import NOON, WHOLE_DAY_ENDS, WHOLE_DAY_STARTS, zone_of

FLANK = {
    "left": "left",
    "l": "left",
    "right": "right",
    "r": "right",
    "both": "both",
    "b": "both",
    "unknown": "",
    "none": "",
}
NEVER = pd.Timestamp("2200-01-01", tz="UTC")


@dataclass
class Reading:
    """One reading of a survey: its local time zone, and what was found on the way."""

    timezone: str | None
    encoding: str | None = None
    order: str | None = None
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.zone: tzinfo = zone_of(self.timezone)

    def columns(self, sheet: Sheet, names=None) -> Columns:
        return Columns(sheet, self.problems, names, self.order)

    def sheet(self, path: str | Path, table: str) -> Sheet:
        return read_sheet(path, table=table, encoding=self.encoding)

    def finish(self, deployments, failures, records, identities, *, provenance: dict) -> SurveyTables:
        """The tables, when nothing was wrong; what should be known is said as a warning."""
        self.problems.raise_any()
        self.notes += alike(identities["individual"], "animals")
        for note in self.notes:
            warnings.warn(note, SurveyWarning, stacklevel=4)
        return SurveyTables(
            deployments.reset_index(drop=True),
            failures.reset_index(drop=True),
            records.reset_index(drop=True),
            identities.reset_index(drop=True),
            timezone=str(self.timezone),
            provenance=provenance,
            notes=tuple(self.notes),
        )


def first_of(c: Columns, *names: str) -> str:
    """The first of several names that the sheet has; the first name when it has none."""
    return next((name for name in names if c.has(name)), names[0])


def stamp(frame: pd.DataFrame, c: Columns) -> pd.DataFrame:
    """The frame with the `file` and `row` that each of its rows came from."""
    return frame.assign(file=np.full(len(c), c.sheet.name, object), row=c.row)


def did_you_mean(value: str, known: Iterable[str], otherwise: str) -> str:
    """The name that was probably meant, among those of about the same length."""
    likely = [k for k in map(str, known) if abs(len(k) - len(value)) <= 2][:2000]
    close = [k for k in likely if k.casefold() == value.casefold()] or get_close_matches(value, likely, n=1)
    return f"Did you mean {close[0]!r}?" if close else otherwise


def without_marks(names: pd.Series) -> pd.Series:
    """Names without case, marks and leading zeros; marks between digits stay (1-11)."""
    return names.str.casefold().str.replace(r"(?<!\d)[\W_]+|[\W_]+(?!\d)|(?<!\d)0+(?=\d)", "", regex=True)


def alike(names: pd.Series, what: str) -> list[str]:
    """Names that differ only in case, marks or leading zeros are perhaps one; marks between digits count (1-11)."""
    different = pd.Series(names.unique(), dtype=object)
    groups = different.groupby(without_marks(different)).agg(list)
    return [
        f"two {what} have names that are alike, {group[0]!r} and {group[1]!r}: are they one?"
        for group in groups
        if len(group) > 1
    ]


def unknown_names(c: Columns, what: str, values: np.ndarray, known, fix: str) -> None:
    """Names that are not among `known`, one problem per name: its first row and how many rows use it."""
    names = pd.Series(values, dtype=object)
    wrong = names[(names != "") & ~names.isin(known)]
    for n, (name, rows) in enumerate(wrong.groupby(wrong, sort=False)):
        more = f" (nor in {len(rows) - 1:,} more row{'s' * (len(rows) > 2)})" if len(rows) > 1 else ""
        hint = did_you_mean(name, known, fix) if n < MOST_SHOWN else fix
        c.fault(rows.index[0], f"there is no {what} of this name{more}", hint, name)


# ---- deployments --------------------------------------------------------------------------------------------------


def degrees(c: Columns, latitude: str, longitude: str, *, required: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude in degrees; coordinates that look swapped or like metres are told as such."""
    lat, lon = c.number(latitude, required=required), c.number(longitude, required=required)
    for i in np.flatnonzero((np.abs(lat) > 90) | (np.abs(lon) > 180)):
        if abs(lat[i]) <= 180 and abs(lon[i]) <= 90:
            c.fault(
                i, "latitude and longitude look swapped", "Exchange the two columns", (float(lat[i]), float(lon[i]))
            )
        else:
            c.fault(
                i,
                "latitude must be between -90 and 90 and longitude between -180 and 180 degrees",
                "Give decimal degrees (WGS84); metres belong in columns x and y",
                (float(lat[i]), float(lon[i])),
            )
    return lon, lat


def check_dates(c: Columns, start: pd.DatetimeIndex, end: pd.DatetimeIndex) -> None:
    """Deployments last, and lie between the first camera traps and tomorrow."""
    tomorrow = pd.Timestamp.now("UTC") + pd.Timedelta(days=1)
    for i in np.flatnonzero(end <= start).tolist():
        what = "the deployment ends before it starts" if end[i] < start[i] else "the deployment ends when it starts"
        c.fault(i, what, "Correct the start or the end", f"{start[i]} to {end[i]}")
    for i in np.flatnonzero((start.year < 1990) | (start > tomorrow) | (end > tomorrow)).tolist():
        c.fault(i, "the deployment is not in the years of camera traps", "Correct its dates", f"{start[i]} to {end[i]}")


def make_records(c: Columns, **columns) -> pd.DataFrame:
    """The table of records with the given columns; what is not given is empty, the level "media", the type "animal"."""
    n = len(c)
    given = {
        "level": np.full(n, "media", object),
        "type": np.full(n, "animal", object),
        "setup": np.zeros(n, bool),
        "count": np.full(n, np.nan),
        "occasion": pd.array([pd.NA] * n, dtype="Int64"),
    }
    given |= columns
    frame = pd.DataFrame(
        {name: given.get(name, np.full(n, "", object)) for name in RECORDS if name not in ("file", "row")}
    )
    whole = frame["count"].where(frame["count"] == np.floor(frame["count"]))  # the others are told as problems
    return stamp(frame.assign(count=whole.astype("Int64")), c)[list(RECORDS)]


def set_up(reading: Reading, c: Columns, name: str, *, required: bool = False) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Times of setting up or collecting cameras; and where they are dates without a time of day, which then is noon.

    Midnight sharp counts as such a date: that is how databases export them.
    """
    times = c.time(name, reading.zone, required=required, dates=WHOLE_DAY_STARTS)
    is_date = np.array(
        [v != "" and (":" not in v or v.endswith((" 00:00:00", "T00:00:00"))) for v in c.text(name)], bool
    )
    return times.where(~is_date, times + NOON), is_date


def stretch(deployments: pd.DataFrame, records: pd.DataFrame, start_is_date, end_is_date) -> pd.DataFrame:
    """Deployments dated without a time of day begin and end at noon, or with a record that shows more on that day."""
    seen = records[records["deployment"] != ""].groupby("deployment")["time"].agg(["min", "max"])
    seen = seen.reindex(deployments["deployment"]).set_axis(deployments.index)
    start, end = deployments["start"], deployments["end"]
    earlier = start_is_date & (seen["min"] < start) & (seen["min"] >= start - NOON)
    later = end_is_date & (seen["max"] > end) & (seen["max"] < end + NOON)
    return deployments.assign(start=start.where(~earlier, seen["min"]), end=end.where(~later, seen["max"]))


# ---- failures -----------------------------------------------------------------------------------------------------


def read_failures(reading: Reading, c: Columns, deployments: pd.DataFrame) -> pd.DataFrame:
    """The failures of a side file: `deployment` (or `station`), `start`, `end` (empty: until the end), `reason`.

    A date without a time means the whole day, the first and the last included. A failure of a station is one of
    every deployment there that it overlaps, or of those with the `camera` that the file names.
    """
    by = first_of(c, "deployment", "deploymentID", "station", "location", "locationID")
    start_name, end_name = first_of(c, "start", "failureStart", "from"), first_of(c, "end", "failureEnd", "to")
    if not c.require(by, start_name, end_name):
        return empty(FAILURES, reading.zone)
    frame = pd.DataFrame(
        {
            "name": c.text(by, required=True),
            "start": c.time(start_name, reading.zone, required=True, dates=WHOLE_DAY_STARTS),
            "end": c.time(end_name, reading.zone, dates=WHOLE_DAY_ENDS),
            "reason": np.where((why := c.text("reason")) == "", "not stated", why),
            "camera": c.text("camera"),
        }
    )
    key = "deployment" if by.startswith("deployment") else "location"
    unknown_names(
        c, key, frame["name"].to_numpy(object), set(deployments[key]), f"Use a {key} of the deployments' table"
    )
    return attach_failures(reading, c, stamp(frame, c), deployments, key)


def attach_failures(
    reading: Reading, c: Columns, frame: pd.DataFrame, deployments: pd.DataFrame, key: str
) -> pd.DataFrame:
    """Failures `name`, `start`, `end`, `reason`, `file`, `row` with the deployments they belong to; faults are told."""
    for i in np.flatnonzero(frame["end"] <= frame["start"]):
        span = f"{frame['start'].iloc[i]} to {frame['end'].iloc[i]}"
        reading.problems.add(
            "the failure ends before it starts",
            "Correct the dates",
            file=c.sheet.name,
            row=int(frame["row"].iloc[i]),
            value=span,
        )
    frame = frame if "camera" in frame else frame.assign(camera="")
    sites = deployments[["deployment", "location", "start", "end"]].assign(name=deployments[key])
    sites = sites.assign(its_camera=deployments["camera"])
    pairs = frame.assign(failure=range(len(frame))).merge(sites, on="name", suffixes=("", "_set"))
    pairs = pairs[(pairs["camera"] == "") | (pairs["its_camera"] == "") | (pairs["camera"] == pairs["its_camera"])]
    for i in np.flatnonzero(frame["name"].isin(sites["name"]) & ~frame.index.isin(pairs["failure"])):
        cameras = ", ".join(sorted(set(sites.loc[sites["name"] == frame["name"].iloc[i], "its_camera"])))
        reading.problems.add(
            f"there is no such camera at {key} {frame['name'].iloc[i]!r}",
            f"Use {cameras}, or leave the camera out where all failed",
            file=c.sheet.name,
            row=int(frame["row"].iloc[i]),
            value=frame["camera"].iloc[i],
        )
    meets = (pairs["start"] < pairs["end_set"].fillna(NEVER)) & ~(pairs["end"] <= pairs["start_set"])
    known = frame["start"].notna() & frame.index.isin(pairs["failure"])
    for i in np.flatnonzero(known & ~frame.index.isin(pairs.loc[meets, "failure"])):
        reading.problems.add(
            f"the failure lies outside the dates of {key} {frame['name'].iloc[i]!r}",
            "Correct the dates of the failure or of the deployment",
            file=c.sheet.name,
            row=int(frame["row"].iloc[i]),
            value=f"{frame['start'].iloc[i]} to {frame['end'].iloc[i]}",
        )
    pairs = pairs[meets]
    return pairs.assign(end=pairs["end"].fillna(pairs["end_set"]))[list(FAILURES)]


# ---- identities ---------------------------------------------------------------------------------------------------


def read_identities(
    reading: Reading, c: Columns, records: pd.DataFrame, keys: Mapping[str, Callable[[], pd.DataFrame]]
) -> pd.DataFrame:
    """The identities of a side file, each with the record it belongs to.

    Parameters
    ----------
    keys : heading -> how records can be named, made when it is needed: DataFrame of the name `key` and the position
        `i` of its record. The first of these headings that the file has is used; under `record` any name will do.

    Rows without an individual are animals that nobody could name: their records stay without identity.
    """
    by = next((name for name in [*keys, "record"] if c.has(name)), "record")
    who = first_of(c, "individual", "individualID")
    if not c.require(by, who):
        return empty(IDENTITIES)
    names, animals = c.text(by, required=True), c.text(who)
    links = keys[by]() if by in keys else pd.concat([make() for make in keys.values()]).drop_duplicates("key")
    unknown_names(c, "record", names, set(links["key"]), f"Use the {by} of a record")
    frame = pd.DataFrame(
        {
            "key": names,
            "individual": animals,
            "sex": c.choice("sex", SEX),
            "confidence": c.text("confidence"),
            "flank": c.choice("flank", FLANK),
            "observer": c.text(first_of(c, "observer", "identifiedBy")),
            "comment": c.text(first_of(c, "comment", "comments")),
        }
    )
    frame = stamp(frame, c)[animals != ""].merge(links, on="key")
    frame["record"] = records["record"].to_numpy(object)[frame["i"]]
    _check_identities(reading, frame, records)
    sides = frame.groupby(["record", "individual"])["flank"]
    named = frame["flank"].replace("", None)
    several = named.groupby([frame["record"], frame["individual"]]).transform("nunique") > 1  # nunique passes over None
    frame["flank"] = sides.transform("max").where(~several, "both")  # photographs of both sides in one record
    return frame.drop_duplicates(["record", "individual"])[list(IDENTITIES)]


def _check_identities(reading: Reading, frame: pd.DataFrame, records: pd.DataFrame) -> None:
    """No more animals in an event than were counted there, which is also how two observers disagree."""
    seen = records.iloc[frame["i"]]
    event = np.where(seen["event"] != "", seen["event"], seen["record"])
    frame = frame.assign(visit=event, counted=seen["count"].to_numpy(float, na_value=np.nan))
    animals = frame.groupby("visit")["individual"].nunique()
    counted = frame.fillna({"counted": np.inf}).drop_duplicates("i").groupby("visit")["counted"].sum()
    for visit in animals.index[animals > counted]:
        rows = frame[frame["visit"] == visit].drop_duplicates("individual")
        who = "; ".join(f"{r.individual!r} in row {r.row}" for r in rows.itertuples())
        reading.problems.add(
            f"{visit!r} shows {counted[visit]:g} animal and is given {len(rows)} identities: {who}",
            "Let the observers agree, or correct the count of the record",
            file=rows["file"].iloc[-1],
            row=int(rows["row"].iloc[-1]),
        )


def identities_of(records: pd.DataFrame) -> pd.DataFrame:
    """The identities that the records themselves carry."""
    named = records[records["individual"] != ""]
    frame = named[["record", "individual", "sex", "file", "row"]]
    return frame.assign(confidence="", flank="", observer="", comment="")[list(IDENTITIES)]


def recurring(records: pd.DataFrame) -> bool:
    """Whether any identity in the records occurs in more than one event (where events have no name: on two days)."""
    named = records[records["individual"] != ""]
    day = named["deployment"] + " " + named["time"].dt.strftime("%Y-%m-%d")
    visit = named["event"].where(named["event"] != "", day)
    return bool((visit.groupby(named["individual"]).nunique() > 1).any())
