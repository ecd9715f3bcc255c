"""Detectors: where animals could be detected, how, and with how much effort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from scipy.spatial import cKDTree

from .crs import looks_like_degrees, projected, suggest_utm
from .display import facts_html, some
from .errors import Problems, refuse
from .frozen import fixed, same, settle

KINDS = {
    "count": "any number of detections of any animals per occasion",
    "proximity": "at most one detection of each animal per occasion, any number of animals",
    "multi": "a trap that holds any number of animals; an animal is caught in at most one trap per occasion",
    "single": "a trap that holds one animal; an animal is caught in at most one trap per occasion",
    "capped": "a detector that records one animal per occasion at most; an animal may be recorded at several",
    "area": "an area that is searched; any number of detections, each at its place",
    "exclusive area": "an area that is searched; at most one detection of an animal per occasion, at its place",
    "transect": "a line that is searched; any number of detections, each at its place on the line",
    "exclusive transect": "a line that is searched; at most one detection of an animal per occasion, at its place",
}
AREAS, LINES = ("area", "exclusive area"), ("transect", "exclusive transect")
ONCE = ("multi", "single", "exclusive area", "exclusive transect")  # an animal is detected once per occasion


@dataclass(frozen=True, eq=False)
class Detectors:
    """K detectors over S occasions.

    Parameters
    ----------
    id : K names, unique
    x, y : float [K], metres in `crs`
    effort : float [S, K]; 0 = the detector did not exist on that occasion, NaN = its effort is not known (the
        same for every likelihood: nothing was learned there). Unit in `effort_unit`.
    kind : "count", "proximity", "multi", "single" or "capped"; "area", "exclusive area", "transect" and "exclusive
        transect" for searches, see `survey.searched_areas` and `survey.transects`
    crs : projected coordinate reference system (anything pyproj understands); None for local metres, e.g. a
        simulated or a classic data set whose projection was never recorded
    covariates : DataFrame of K rows, optional: in the order of `id`, or indexed by these names in any order
    varying : covariates that change between occasions, optional: name -> values [S, K]; an array with its columns in
        the order of `id`, or a DataFrame with the names of the detectors as columns, in any order. Missing values are
        allowed where a detector was not used.
    shapes : K shapely polygons or lines in metres of `crs`, what was searched; usually none for detectors at points

    Raises
    ------
    SurveyError : duplicate names, coordinates that are not finite or look like degrees, negative effort,
        effort or covariates of another shape, an unknown kind. All faults at once.
    """

    id: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    effort: np.ndarray
    kind: str = "proximity"
    crs: CRS | Any = None  # whatever pyproj understands goes in; a CRS or None is kept
    effort_unit: str = "camera days"
    covariates: pd.DataFrame = field(default_factory=pd.DataFrame)
    varying: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[Any, ...] = ()

    def __post_init__(self):
        settle(
            self,
            id=tuple(str(i) for i in self.id),
            x=fixed(self.x, float),
            y=fixed(self.y, float),
            effort=fixed(np.atleast_2d(self.effort), float),
            shapes=tuple(self.shapes),
            crs=None if self.crs is None else projected(self.crs, "the CRS of the detectors"),
        )
        bad = Problems()
        self._check_names_and_places(bad)
        self._check_shapes(bad)
        bad.raise_any()
        self._check_effort(bad)
        settle(self, covariates=_covariates(self.covariates, self.id, bad))
        settle(self, varying={str(name): self._varying(str(name), v, bad) for name, v in self.varying.items()})
        bad.raise_any()

    def _check_names_and_places(self, bad: Problems) -> None:
        if self.kind not in KINDS:
            bad.add("this kind of detector is not known", f"Use one of {', '.join(KINDS)}", value=self.kind)
        if len(self.id) == 0:
            bad.add("there are no detectors", "Give at least one detector")
        for name in sorted(name for name, times in Counter(self.id).items() if times > 1):
            bad.add("the detector's name is used twice", "Give every detector its own name", value=name)
        if self.x.shape != (len(self.id),) or self.y.shape != (len(self.id),):
            lengths = (len(self.id), *self.x.shape, *self.y.shape)
            bad.add("id, x and y differ in length", "Give one position per detector", value=lengths)
            return
        for k in np.flatnonzero(~(np.isfinite(self.x) & np.isfinite(self.y))):
            place = (float(self.x[k]), float(self.y[k]))
            bad.add(f"detector {self.id[k]!r} has no position", "Fill in x and y", value=place)
        # one detector at the origin of local metres is no longitude; with a stated CRS the origin is never near
        if (len(self) > 1 or self.crs is not None) and looks_like_degrees(self.x, self.y):
            bad.add(
                "the detectors' coordinates look like degrees",
                "Project them to metres with survey.to_metres(longitude, latitude, crs); "
                f"their UTM zone is {suggest_utm(self.x, self.y)}",
                value=(round(float(self.x[0]), 4), round(float(self.y[0]), 4)),
            )

    def _check_shapes(self, bad: Problems) -> None:
        """Polygons for areas, lines for transects; any or none for detectors at points."""
        wanted = {**dict.fromkeys(AREAS, (3, 6)), **dict.fromkeys(LINES, (1, 5))}.get(self.kind)
        if wanted is None and not self.shapes:
            return
        if len(self.shapes) != len(self.id):
            what = f"detectors of kind {self.kind!r} need one shape each"
            bad.add(what, "Use survey.searched_areas or survey.transects", value=len(self.shapes))
            return
        if wanted is None:
            return
        for name, shape in zip(self.id, self.shapes, strict=True):
            size = shapely.area(shape) if self.kind in AREAS else shapely.length(shape)
            if shapely.get_type_id(shape) not in wanted or not size > 0 or not shapely.is_valid(shape):
                fix = f"Give a valid {'polygon with an area' if self.kind in AREAS else 'line with a length'}"
                bad.add(f"{self.kind} {name!r} has no usable shape", fix, value=getattr(shape, "geom_type", shape))

    def _check_effort(self, bad: Problems) -> None:
        if self.effort.ndim != 2 or self.effort.shape[1] != len(self.id) or self.effort.shape[0] == 0:
            bad.add(
                f"effort does not have one column for each of {len(self.id)} detectors",
                "Give effort[occasion, detector]",
                value=self.effort.shape,
            )
            return
        for s, k in np.argwhere((self.effort < 0) | np.isinf(self.effort)):
            bad.add(
                f"effort must be 0 or more; detector {self.id[k]!r}, occasion {s + 1}",
                "Use 0 where the detector was not set and leave it missing where the effort is not known",
                value=float(self.effort[s, k]),
            )
        if not np.any(self.effort > 0):
            bad.add("no detector has any effort", "Check the dates of the deployments and their failures")

    def _varying(self, name: str, values: Any, bad: Problems) -> np.ndarray:
        """[S, K] in the order of the detectors: float, or object for words."""
        what = f"the covariate {name!r} that changes between occasions"
        if name in self.covariates:
            bad.add(f"{what} is also one that does not", "Give one of them another name", value=name)
        if isinstance(values, pd.DataFrame) and not values.columns.equals(pd.RangeIndex(len(self))):
            values = values.set_axis(values.columns.astype(str), axis=1)
            missing = sorted(set(self.id) - set(values.columns))
            if missing or values.columns.has_duplicates:
                bad.add(f"{what} needs one column per detector, by its name", "Give each one column", value=missing[:5])
                return fixed(np.empty((0, 0)), float)
            values = values[list(self.id)]
        array = np.asarray(values)
        if array.shape != self.effort.shape:
            bad.add(
                f"{what} does not have one row per occasion and one column per detector",
                value=array.shape,
                fix=f"Give values[{self.effort.shape[0]}, {self.effort.shape[1]}]",
            )
        return fixed(array, float if array.dtype.kind in "biuf" else object)

    def __len__(self) -> int:
        return len(self.id)

    @property
    def n_occasions(self) -> int:
        """S."""
        return self.effort.shape[0]

    @property
    def used(self) -> np.ndarray:
        """bool [S, K]: detector k existed on occasion s (effort known and above zero)."""
        return np.nan_to_num(self.effort, nan=0.0) > 0

    @property
    def positions(self) -> np.ndarray:
        """float [K, 2]: x and y, metres."""
        return np.column_stack([self.x, self.y])

    @property
    def located(self) -> bool:
        """Whether detections have places of their own, on a line or in an area."""
        return self.kind in (*AREAS, *LINES)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x and y, largest x and y of what was searched, metres."""
        if self.shapes:
            west, south, east, north = (float(v) for v in shapely.total_bounds(np.asarray(self.shapes, object)))
            return west, south, east, north
        return float(self.x.min()), float(self.y.min()), float(self.x.max()), float(self.y.max())

    def away(self, x, y) -> np.ndarray:
        """float [n]: metres from places to the nearest detector; 0 within a searched area."""
        if not self.shapes:
            return np.asarray(cKDTree(self.positions).query(np.column_stack([x, y]))[0])
        tree = shapely.STRtree(list(self.shapes))
        (_, _), distance = tree.query_nearest(shapely.points(x, y), return_distance=True, all_matches=False)
        return distance

    @property
    def spacing(self) -> float:
        """Mean distance from a detector to its nearest neighbour, metres (NaN for one detector)."""
        return float(self.neighbour_distances().mean())

    def neighbour_distances(self) -> np.ndarray:
        """float [K]: metres from each detector to its nearest neighbour (NaN for one detector)."""
        if len(self) < 2:
            return np.full(len(self), np.nan)
        distance, _ = cKDTree(self.positions).query(self.positions, k=2)
        return np.asarray(distance)[:, 1]

    def index(self, name: str) -> int:
        """Position of a detector by name."""
        try:
            return self.id.index(str(name))
        except ValueError:
            raise refuse("there is no such detector", "Check its name in the table of detectors", value=name) from None

    def equals(self, other: object) -> bool:
        """The same detectors in the same order, with the same effort and covariates."""
        return (
            isinstance(other, Detectors)
            and (self.id, self.kind, self.crs, self.effort_unit) == (other.id, other.kind, other.crs, other.effort_unit)
            and all(same(getattr(self, name), getattr(other, name)) for name in ("x", "y", "effort"))
            and self.covariates.equals(other.covariates)
            and len(self.shapes) == len(other.shapes)
            and all(shapely.equals_exact(a, b) for a, b in zip(self.shapes, other.shapes, strict=True))
            and self.varying.keys() == other.varying.keys()
            and all(pd.DataFrame(v).equals(pd.DataFrame(other.varying[name])) for name, v in self.varying.items())
        )

    def __repr__(self) -> str:
        effort = np.nansum(self.effort)
        size = f"{some(len(self), f'{self.kind} detector')}, {some(self.n_occasions, 'occasion')}"
        return f"{size}, {effort:,.4g} {self.effort_unit}"

    def _repr_html_(self) -> str:
        return facts_html(
            "Detectors",
            {
                "detectors": f"{len(self)}, kind {self.kind}: {KINDS[self.kind]}",
                "occasions": self.n_occasions,
                "effort": f"{np.nansum(self.effort):,.4g} {self.effort_unit}",
                "mean distance to the nearest detector": f"{self.spacing:,.4g} m",
                "CRS": "local metres" if self.crs is None else self.crs.to_string(),
                "covariates": ", ".join([*map(str, self.covariates.columns), *self.varying]) or "none",
            },
        )


def _covariates(frame: pd.DataFrame, names: tuple[str, ...], bad: Problems) -> pd.DataFrame:
    """K rows in the order of the detectors; a frame indexed by their names is put into that order."""
    if frame.empty:
        return pd.DataFrame(index=range(len(names)))
    by_name = not pd.api.types.is_numeric_dtype(frame.index) or set(frame.index.astype(str)) == set(names)
    if by_name and not frame.index.equals(pd.RangeIndex(len(names))):
        frame = frame.set_axis(frame.index.astype(str), axis=0)
        missing = sorted(set(names) - set(frame.index))
        if missing or frame.index.has_duplicates:
            bad.add("covariates need one row per detector, by its name", "Give each one row", value=missing[:5])
            return frame
        return frame.loc[list(names)].reset_index(drop=True)
    if len(frame) != len(names):
        bad.add("covariates need one row per detector", f"Give {len(names)} rows", value=len(frame))
    return frame.reset_index(drop=True)
