"""The survey's tables: one shape for every source, from which capture histories and reports are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .display import facts_html
from .ledger import Ledger

DEPLOYMENTS = {
    "deployment": "name of one camera standing at one place for one stretch of time; unique",
    "location": "name of the place; all deployments with one location are one detector",
    "camera": "name of the device, empty when not given",
    "longitude": "degrees WGS84, NaN when the source gives metres",
    "latitude": "degrees WGS84, NaN when the source gives metres",
    "x": "metres in the tables' crs, NaN until that is known",
    "y": "metres in the tables' crs, NaN until that is known",
    "start": "local time when the camera was set",
    "end": "local time when the camera was collected; NaT when not known",
    "timestamp_issues": "True: the clock was wrong and cannot be put right",
    "coordinate_uncertainty": "metres, NaN when not given",
    "groups": "'key:value | key:value' labels such as 'season:2024 | grid:A'",
    "file": "name of the file this came from",
    "row": "its row in that file, as a person counts (the header is row 1)",
}

FAILURES = {
    "deployment": "the deployment that did not work",
    "start": "local time, inclusive",
    "end": "local time, exclusive; when the source left it empty, the end of the deployment",
    "reason": "why, in the words of the source; 'not stated' when empty",
    "file": "name of the file",
    "row": "row in it",
}

RECORDS = {
    "record": "name of the record in its source, unique",
    "deployment": "the deployment it belongs to; empty when no deployment fits its place and time",
    "location": "the place",
    "event": "name of the event (one visit), empty when not given",
    "media": "name of the image or video, empty when not given",
    "time": "local time of the start of the visit; NaT when not given",
    "level": "'event' or 'media'",
    "type": "'animal', 'human', 'vehicle', 'blank', 'unknown' or 'unclassified'",
    "setup": "True: taken while the camera was set up or calibrated",
    "species": "scientific name, or whatever the source calls it",
    "count": "animals in the record, at least 1; missing when the source does not say",
    "individual": "identity that the source itself gives, empty when none",
    "sex": "'female', 'male' or empty",
    "life_stage": "'adult', 'subadult', 'juvenile' or empty",
    "file": "name of the file",
    "row": "row in it",
    "fate": "where it ended in the ledger ('used' or why not); empty until the histories are assembled",
    "occasion": "1..S for the records that fall on one, else missing; missing until assembled",
}

CLASSIFICATIONS = {
    "classification_method": "'human' or 'machine', whoever classified the record last; empty when not given",
    "classified_by": "name of the person or the algorithm",
    "classification_probability": "how sure they were, 0 to 1; NaN when not given",
}

IDENTITIES = {
    "record": "the record that this identity belongs to",
    "individual": "name of the animal",
    "sex": "'female', 'male' or empty",
    "confidence": "how sure the observer was, in the words of the source",
    "flank": "'left', 'right', 'both' or empty",
    "observer": "who identified",
    "comment": "free text",
    "file": "name of the file",
    "row": "row in it",
}


@dataclass(frozen=True, eq=False)
class SurveyTables:
    """What a survey did and saw, as four tables with one row per thing and the place each row came from.

    The columns are described in `DEPLOYMENTS`, `FAILURES`, `RECORDS` and `IDENTITIES`; further columns of the
    deployments are covariates of the place, and the records have those of `CLASSIFICATIONS` that their source fills in.
    All times are in the survey's local time zone (`timezone`).

    Parameters
    ----------
    deployments, failures, records, identities : DataFrame
    timezone : the local time zone, e.g. "Asia/Shanghai" or "+08:00"
    crs : projected CRS of x and y as text, empty until known
    ledger : where every record went; empty until capture histories are assembled
    provenance : format, files, and every choice made on the way (species, occasion, day boundary, independence …)
    notes : what a reader of the data should know, one sentence each
    occasions : start and end (local time) of each occasion, empty until assembled
    """

    deployments: pd.DataFrame
    failures: pd.DataFrame
    records: pd.DataFrame
    identities: pd.DataFrame
    timezone: str
    crs: str = ""
    ledger: Ledger = field(default_factory=Ledger)
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    occasions: pd.DataFrame = field(default_factory=pd.DataFrame)

    def effort(self, by: str = "deployment") -> pd.DataFrame:
        """One row per deployment: `deployment`, `location`, `start`, `end`, camera days `set`, `lost`, `worked`.

        With by="location" one row per place: `location`, `worked`; cameras that worked at one place at the same time
        count once. Overlapping failures are lost once. Days are NaN where an end is not known.
        """
        from .effort import effort_of_places, effort_table

        return effort_of_places(self) if by == "location" else effort_table(self)

    def lost(self) -> pd.DataFrame:
        """Camera days lost by `reason`: `reason`, `failures`, `deployments`, `camera_days`, the largest first.

        A day lost for two reasons at once counts under both.
        """
        from .effort import lost_table

        return lost_table(self)

    def visits(self, independence=None) -> pd.DataFrame:
        """The records that are visits of their own: animals of any species, one row per species, place and visit.

        Images of a burst, and the two cameras of a pair, are one visit by the rule of independence: the one given, or
        the one that the capture histories were assembled with, or 30 minutes since the last independent record.
        """
        from .independence import visits

        return visits(self, independence)

    def calendar(self) -> pd.DataFrame:
        """The operation calendar: camera days worked [deployment, local date], midnight to midnight.

        NaN = not set, or not known; 0 = set but not working; a fraction on the days of setting up, collecting
        and partial failure.
        """
        from .effort import calendar

        return calendar(self)

    def _repr_html_(self) -> str:
        return facts_html(
            "Survey tables",
            {
                "deployments": f"{len(self.deployments)} at {self.deployments['location'].nunique()} locations",
                "first set, last collected": f"{self.deployments['start'].min()}, {self.deployments['end'].max()}",
                "camera days worked": f"{self.effort()['worked'].sum():,.4g}",
                "failures": len(self.failures),
                "records": f"{len(self.records):,}",
                "identities": f"{len(self.identities):,}",
                "local time": self.timezone,
                **self.provenance,
            },
        )

    def __repr__(self) -> str:
        places = self.deployments["location"].nunique()
        return (
            f"SurveyTables: {len(self.deployments)} deployments at {places} locations, {len(self.failures)} failures, "
            f"{len(self.records):,} records, {len(self.identities):,} identities, local time {self.timezone}"
        )


def empty(columns: dict[str, str], timezone=None) -> pd.DataFrame:
    """A table without rows that has the documented columns with the right types."""
    kinds = {"count": "int64", "row": "int64", "occasion": "Int64", "setup": bool, "timestamp_issues": bool}
    kinds |= dict.fromkeys(("longitude", "latitude", "x", "y", "coordinate_uncertainty"), float)
    kinds |= dict.fromkeys(("start", "end", "time"), pd.DatetimeTZDtype("us", timezone or "UTC"))
    return pd.DataFrame({name: pd.Series([], dtype=kinds.get(name, object)) for name in columns})
