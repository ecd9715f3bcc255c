"""Detectors: where animals could be detected, how, and with how much effort."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pyproj import CRS

from .crs import looks_like_degrees, projected
from .errors import Problems, refuse

KINDS = {
    "count": "any number of detections of any animals per occasion",
    "proximity": "at most one detection of each animal per occasion, any number of animals",
    "multi": "a trap that holds any number of animals; an animal is caught in at most one trap per occasion",
}


@dataclass(frozen=True, eq=False)
class Detectors:
    """K detectors over S occasions.

    Parameters
    ----------
    id : K names, unique
    x, y : float [K], metres in `crs`
    effort : float [S, K]; 0 = the detector did not exist on that occasion, NaN = its effort is not known (the
        same for every likelihood: nothing was learned there). Unit in `effort_unit`.
    kind : "count", "proximity" or "multi"
    crs : projected coordinate reference system (anything pyproj understands); None for local metres, e.g. a
        simulated or a classic data set whose projection was never recorded
    covariates : DataFrame of K rows, optional

    Raises
    ------
    SurveyError : duplicate names, coordinates that are not finite or look like degrees, negative effort,
        effort of another shape, an unknown kind. All faults at once.
    """

    id: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    effort: np.ndarray
    kind: str = "proximity"
    crs: CRS | str | None = None
    effort_unit: str = "camera days"
    covariates: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self):
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("id", tuple(str(i) for i in self.id))
        put("x", np.asarray(self.x, float))
        put("y", np.asarray(self.y, float))
        put("effort", np.atleast_2d(np.asarray(self.effort, float)))
        put("crs", None if self.crs is None else projected(self.crs, "the CRS of the detectors"))
        if self.covariates.empty:
            put("covariates", pd.DataFrame(index=range(len(self.id))))
        else:
            put("covariates", self.covariates.reset_index(drop=True))
        self._check()

    def _check(self):
        bad = Problems()
        if self.kind not in KINDS:
            bad.add("this kind of detector is not known", f"Use one of {', '.join(KINDS)}", value=self.kind)
        if len(self.id) == 0:
            bad.add("there are no detectors", "Give at least one detector")
        if len(self.x) != len(self.id) or len(self.y) != len(self.id):
            bad.add("x, y and id differ in length", "Give one position per detector", value=(len(self.x), len(self.id)))
            bad.raise_any()
        for name in sorted({i for i in self.id if self.id.count(i) > 1}) if len(set(self.id)) < len(self.id) else []:
            bad.add("the detector's name is used twice", "Give every detector its own name", value=name)
        for k in np.flatnonzero(~(np.isfinite(self.x) & np.isfinite(self.y))):
            bad.add(f"detector {self.id[k]!r} has no position", "Fill in x and y", value=(self.x[k], self.y[k]))
        if len(self.id) > 1 and looks_like_degrees(self.x, self.y):
            bad.add(
                "the detectors' coordinates look like degrees",
                "Project them to metres first (survey.to_metres) and give the CRS",
                value=(round(float(self.x[0]), 4), round(float(self.y[0]), 4)),
            )
        if self.effort.shape[1] != len(self.id):
            bad.add("effort does not have one column per detector", "Give effort[occasion, detector]", value=self.effort.shape)
        elif np.any(self.effort < 0) or np.any(np.isinf(self.effort)):
            s, k = np.argwhere((self.effort < 0) | np.isinf(self.effort))[0]
            bad.add(
                f"effort must be 0 or more; detector {self.id[k]!r}, occasion {s + 1}",
                "Use 0 where the detector was not set and leave it missing where the effort is not known",
                value=float(self.effort[s, k]),
            )
        elif not np.any(self.effort > 0):
            bad.add("no detector has any effort", "Check the dates of the deployments and their failures")
        if len(self.covariates) != len(self.id):
            bad.add("covariates need one row per detector", "Give K rows", value=len(self.covariates))
        bad.raise_any()

    def __len__(self) -> int:
        return len(self.id)

    @property
    def n_occasions(self) -> int:
        return self.effort.shape[0]

    @property
    def used(self) -> np.ndarray:
        """bool [S, K]: detector k existed on occasion s (effort known and above zero)."""
        return np.nan_to_num(self.effort, nan=0.0) > 0

    @property
    def spacing(self) -> float:
        """Mean distance from a detector to its nearest neighbour, metres (NaN for one detector)."""
        if len(self) < 2:
            return float("nan")
        from scipy.spatial import cKDTree

        points = np.column_stack([self.x, self.y])
        return float(cKDTree(points).query(points, k=2)[0][:, 1].mean())

    def index(self, name: str) -> int:
        """Position of a detector by name."""
        try:
            return self.id.index(str(name))
        except ValueError:
            raise refuse("there is no such detector", "Check its name in the table of detectors", value=name) from None

    def __repr__(self) -> str:
        effort = np.nansum(self.effort)
        return f"{len(self)} {self.kind} detectors, {self.n_occasions} occasions, {effort:,.4g} {self.effort_unit}"
