"""Telemetry: positions of collared animals, which say how far animals move about their activity centres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS

from .captures import natural_order
from .columns import Columns
from .crs import looks_like_degrees, projected, suggest_utm, to_metres
from .display import facts_html
from .errors import Problems, refuse
from .frozen import settle
from .independence import LAST_INDEPENDENT, Independence
from .ledger import Ledger
from .readers.reading import degrees
from .sheets import read_sheet
from .times import NOON, zone_of

NAMED = ', or say what yours is called: columns = { animal = "…" } in [telemetry]'
AGAIN = "the same animal, time and place again"
TOO_CLOSE = "closer in time to the one before than the interval asked for"


@dataclass(frozen=True, eq=False)
class Telemetry:
    """Fixes (positions) of collared animals.

    Parameters
    ----------
    fixes : DataFrame with one row per fix: `animal` (name; an animal that was also detected has the same name in the
        capture histories), `x`, `y` in metres of `crs`, and optionally `time` (datetimes) and `session` (name of the
        survey that a fix belongs to; needed only where there are several). `file` and `row` say where a fix was read.
    crs : projected coordinate reference system, that of the detectors; None for local metres
    animals : DataFrame indexed by animal name with covariates such as `sex`, for animals that were never detected
    ledger : where each fix went

    Notes
    -----
    A model takes the fixes of an animal as independent draws from how it uses space: a distribution about its activity
    centre with the shape of its detection function and the same sigma. That is right for positions far enough apart in
    time for the animal to have been anywhere in its range, commonly a day or more. Fixes that are closer are alike,
    count as more evidence than they are, and make the standard error of sigma and D too small: see `thinned`. It also
    takes collared animals to move as others do, and the collars' fixes to be no less likely in some places.

    Raises
    ------
    SurveyError : columns missing, an animal without a name, a fix without a position, degrees. All faults at once.
    """

    fixes: pd.DataFrame
    crs: CRS | Any = None
    animals: pd.DataFrame = field(default_factory=pd.DataFrame)
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self):
        crs = None if self.crs is None else projected(self.crs, "the CRS of the telemetry")
        frame, bad = self.fixes, Problems()
        missing = [name for name in ("animal", "x", "y") if name not in frame]
        if missing:
            raise refuse("the fixes lack columns", f"Add {', '.join(missing)}", value=list(frame.columns))
        source = frame[[name for name in ("file", "row") if name in frame]].reset_index(drop=True)
        places: list[dict] = source.to_dict("records")
        tidy = _tidy(frame, bad, places)
        if len(tidy) > 1 and looks_like_degrees(tidy["x"], tidy["y"]):
            bad.add(
                "the fixes' coordinates look like degrees",
                "Project them with survey.to_metres(longitude, latitude, crs), or read them with "
                f"survey.read_telemetry, which does it; their UTM zone is {suggest_utm(tidy['x'], tidy['y'])}",
                value=(round(float(tidy["x"].iloc[0]), 4), round(float(tidy["y"].iloc[0]), 4)),
            )
        bad.raise_any()
        order = sorted(range(len(tidy)), key=lambda i: natural_order(tidy["animal"].iat[i]))
        whole = pd.concat([tidy, source], axis=1).iloc[order].reset_index(drop=True)
        animals = self.animals.set_axis(self.animals.index.astype(str), axis=0)
        for name in sorted(set(animals.index[animals.index.duplicated()])):
            bad.add("an animal has two rows of covariates", "Keep one", value=name)
        bad.raise_any()
        settle(self, fixes=whole, crs=crs, animals=animals)

    @property
    def names(self) -> list[str]:
        """The collared animals."""
        return list(dict.fromkeys(self.fixes["animal"]))

    def __len__(self) -> int:
        """Number of fixes."""
        return len(self.fixes)

    def of_session(self, session: str, only: bool) -> Telemetry:
        """The fixes that belong to a session; those without one belong to the `only` session there is.

        Raises
        ------
        SurveyError : there are several sessions, and a fix does not say to which it belongs
        """
        known = self.fixes["session"] != ""
        if not only and not known.all():
            raise refuse(
                "there are several sessions, and the fixes do not say to which they belong",
                "Add a column `session` to the fixes",
                value=self.fixes["animal"][np.flatnonzero(~known)[0]],
            )
        return replace(self, fixes=self.fixes[(self.fixes["session"] == session) | ~known])

    def thinned(self, hours: float) -> Telemetry:
        """The fixes of each animal at least `hours` after the one kept before; the ledger counts those dropped.

        Raises
        ------
        SurveyError : a fix has no time
        """
        if not (np.isfinite(hours) and hours > 0):
            raise refuse("the interval between fixes is not understood", "Give hours above 0", value=hours)
        lacking = np.flatnonzero(self.fixes["time"].isna()) if "time" in self.fixes else np.arange(len(self))
        if len(lacking):
            raise refuse(
                "fixes without a time cannot be thinned",
                "Add a column `time`",
                value=self.fixes["animal"].iloc[lacking[0]],
            )
        rule = Independence(LAST_INDEPENDENT, 60.0 * hours)
        group = pd.factorize(self.fixes["animal"] + "\n" + self.fixes["session"])[0]
        kept = rule.keep(group, _microseconds(self.fixes["time"]))
        return replace(self, fixes=self.fixes[kept], ledger=self._ledger_of(kept))

    def _ledger_of(self, kept: np.ndarray) -> Ledger:
        """The ledger after some fixes were dropped."""
        f = self.fixes
        file = f["file"] if "file" in f else np.full(len(f), "fixes")
        row = f["row"] if "row" in f else np.arange(1, len(f) + 1)
        new, old = Ledger.of(file, row, np.where(kept, Ledger.USED, TOO_CLOSE)), self.ledger
        before = [entry for entry in old.entries if entry[2] != Ledger.USED]
        return Ledger(dict(old.read) or new.read, before + new.entries)

    def equals(self, other: object) -> bool:
        """The same fixes of the same animals, wherever they were read."""
        columns = ["animal", "session", "x", "y"]
        return (
            isinstance(other, Telemetry)
            and self.crs == other.crs
            and self.fixes[columns].equals(other.fixes[columns])
            and self.animals.equals(other.animals)
        )

    def __repr__(self) -> str:
        dropped = self.ledger.count(TOO_CLOSE)
        more = f"; {dropped:,} too close in time dropped" if dropped else ""
        n = len(self.names)
        return f"Telemetry: {len(self):,} fixes of {n} collared animal{'' if n == 1 else 's'}{more}"

    def _repr_html_(self) -> str:
        each = self.fixes.groupby("animal", sort=False).size()
        return facts_html("Telemetry", {"fixes": len(self), **{f"of {name}": int(n) for name, n in each.items()}})


def _microseconds(times: pd.Series) -> np.ndarray:
    """int64: instants of times with a zone, or the clock's time without."""
    index = pd.DatetimeIndex(times)
    return (index if index.tz is None else index.tz_convert("UTC")).as_unit("us").asi8


def _tidy(frame: pd.DataFrame, bad: Problems, places: list[dict]) -> pd.DataFrame:
    """Typed columns animal, x, y, session and, if given, time."""
    text = frame["animal"].astype(object).reset_index(drop=True)
    names = text.where(text.notna(), "").astype(str).str.strip()
    for i in np.flatnonzero(names == ""):
        bad.add(f"fix {i + 1} has no animal", "Fill in the name", **places[i])
    out = pd.DataFrame({"animal": names.to_numpy(object)})
    for name in ("x", "y"):
        out[name] = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    for i in np.flatnonzero(~np.isfinite(out[["x", "y"]].to_numpy()).all(axis=1)):
        value = (frame["x"].iloc[i], frame["y"].iloc[i])
        bad.add(f"fix {i + 1} has no position", "Fill in x and y, or leave the fix out", value=value, **places[i])
    session = frame["session"].reset_index(drop=True) if "session" in frame else pd.Series("", index=out.index)
    out["session"] = session.where(session.notna(), "").astype(str).to_numpy(object)
    if "time" in frame:
        given = frame["time"].reset_index(drop=True)
        out["time"] = pd.to_datetime(given, errors="coerce", format="ISO8601") if given.dtype == object else given
        for i in np.flatnonzero(given.notna() & out["time"].isna()):
            bad.add(
                f"the time of fix {i + 1} cannot be read", "Write it as 2024-03-31 14:05", value=given[i], **places[i]
            )
    return out


def read_telemetry(
    path: str | Path | Sequence[str | Path],
    crs: Any,
    *,
    timezone: str | None = None,
    columns: Mapping[str, str] | None = None,
    thin_hours: float | None = None,
    date_order: str | None = None,
) -> Telemetry:
    """Fixes from CSV or Excel files: columns `animal`, and `longitude`, `latitude` (WGS 84 degrees) or `x`, `y`.

    Parameters
    ----------
    path : one file or several
    crs : projected coordinate reference system of the survey; longitudes are projected to it, x and y are in it
    timezone : local time zone, such as "Asia/Shanghai"; needed where there is a column `time`
    columns : what this project calls a column -> what the files call it, such as {"animal": "collar_id"}
    thin_hours : keep fixes of an animal at least so long after one another, see `Telemetry.thinned`
    date_order : "dmy" or "mdy" for dates that end with the year

    Raises
    ------
    SurveyError : a file that is not there, columns missing, values that cannot be read; all faults at once
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path)
    bad, parts = Problems(), []
    for one in paths:
        parts.append(_read(Columns(read_sheet(one), bad, columns, date_order), crs, timezone))
    bad.raise_any()
    whole = pd.concat([p for p in parts if p is not None], ignore_index=True)
    again = np.zeros(len(whole), bool)
    if "time" in whole:  # a file exported twice, or overlapping ones
        same = ["animal", "session", "time", "x", "y"]
        again = (whole.duplicated(same) & whole["time"].notna()).to_numpy(bool)
    ledger = Ledger.of(whole["file"], whole["row"], np.where(again, AGAIN, Ledger.USED))
    found = Telemetry(whole[~again].reset_index(drop=True), crs, ledger=ledger)
    return found if thin_hours is None else found.thinned(thin_hours)


def _read(c: Columns, crs: Any, timezone: str | None) -> pd.DataFrame | None:
    in_degrees = c.has("longitude", "latitude")
    places = ("longitude", "latitude") if in_degrees or not (c.has("x") or c.has("y")) else ("x", "y")
    if not c.require("animal", *places):
        lacking = c.problems.found
        lacking[:] = [replace(p, fix=p.fix + NAMED) if p.what.startswith("there is no column") else p for p in lacking]
        return None
    name = c.text("animal", required=True)
    if in_degrees:
        lon, lat = degrees(c, "latitude", "longitude")
        x, y, known = lon.copy(), lat.copy(), (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
        x[known], y[known] = to_metres(lon[known], lat[known], crs)
        for i in np.flatnonzero(known & ~np.isfinite(x + y)):
            what = f"a fix lies where {projected(crs).to_string()} has no coordinates"
            fix = "Leave it out, or correct it; many collars write 0, 0 where they had no satellites"
            c.fault(i, what, fix, f"longitude {lon[i]:g}, latitude {lat[i]:g}")
            x[i] = y[i] = 0.0  # told once
    else:
        x, y = c.number("x", required=True), c.number("y", required=True)
    frame = pd.DataFrame({"animal": name, "x": x, "y": y, "session": c.text("session")})
    if c.has("time"):
        frame["time"] = c.time("time", zone_of(timezone), dates=NOON)
    return frame.assign(file=c.sheet.name, row=c.row)
