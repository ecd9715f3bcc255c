"""[[methods]] of survey.toml: other ways in which the same animals were found at the same time, beside [data]."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import shapely
from pydantic import Field, model_validator

from ... import survey
from ...survey.captures import CaptureHistory
from ..parts import Part, Survey


class Method(Part):
    """[[methods]]: scats along tracks, or a search of areas or lines."""

    name: str = Field(description="how formulas (method) and the report call it, e.g. 'scat'")
    tracks: str | None = Field(default=None, description="file or folder of GPS tracks")
    scats: str | None = Field(default=None, description="table of scats with animal, date, longitude, latitude")
    areas: str | None = Field(default=None, description="vector file of areas that were searched")
    lines: str | None = Field(default=None, description="vector file of lines that were walked")
    detections: str | None = Field(default=None, description="table of detections in areas or on lines")
    names: str | None = Field(default=None, description="column with the names of areas or lines")
    occasions: int = Field(default=1, ge=1, description="number of searches of areas or lines")
    once: bool = Field(default=False, description="an animal counts at most once per occasion")
    occasion: str = Field(default="season", description="of scats: 'season', 'month' or days as in '2 weeks'")
    start: str | None = None
    end: str | None = None
    transport: str = Field(default="foot", description="of tracks that do not say it")
    within: float = Field(default=50.0, gt=0, description="metres of a scat from the way")
    thin: bool = Field(default=True, description="effort counts by the share of scats with an identity")
    cells_km: float | None = Field(default=None, gt=0, description="side of cells that ways are cut by")
    kind: Literal["transect", "count"] = Field(default="transect", description="of scats: places on ways, or by cell")

    @model_validator(mode="after")
    def _one_way(self):
        given = {name for name in ("tracks", "scats", "areas", "lines", "detections") if getattr(self, name)}
        if given not in ({"tracks", "scats"}, {"areas", "detections"}, {"lines", "detections"}):
            found = " and ".join(sorted(given)) or "nothing"
            raise ValueError(
                f"the method {self.name!r} has {found}",
                "Give tracks and scats, or areas and detections, or lines and detections",
            )
        if self.kind == "count" and self.cells_km is None:
            raise ValueError(f"the method {self.name!r} counts by cell and has no cells", "Give cells_km")
        return self

    def files(self) -> list[str | None]:
        """The files that it names."""
        return [self.tracks, self.scats, self.areas, self.lines, self.detections]


def read_method(method: Method, about: Survey, folder: Path, session: str) -> CaptureHistory:
    """The capture histories of one method."""
    if method.tracks is not None:
        return _scats(method, about, folder, session)
    make = survey.searched_areas if method.areas is not None else survey.transects
    given = {"occasions": method.occasions, "names": method.names, "once": method.once}
    detectors = make(folder / str(method.areas or method.lines), crs=about.crs, **given)
    return survey.read_search(folder / str(method.detections), detectors, session=session)


def _scats(method: Method, about: Survey, folder: Path, session: str) -> CaptureHistory:
    patrols = survey.read_patrols(folder / str(method.tracks), timezone=about.timezone, transport=method.transport)
    scats = survey.read_scats(folder / str(method.scats), timezone=about.timezone, crs=about.crs)
    cells = None
    if method.cells_km is not None:
        x, y = survey.to_metres(patrols.fixes["longitude"], patrols.fixes["latitude"], about.crs)
        box = shapely.box(x.min() - 1.0, y.min() - 1.0, x.max() + 1.0, y.max() + 1.0)
        cells = survey.Cells.grid(box, method.cells_km, about.crs, least_inside=1e-9)
    names = ("kind", "occasion", "start", "end", "within", "thin")
    how = {name: getattr(method, name) for name in names}
    how |= {"species": about.species} if "species" in scats and about.species else {}
    return survey.scat_search(
        patrols, scats, crs=about.crs, cells=cells, transport=method.transport, session=session, **how
    )
