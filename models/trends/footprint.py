"""The ground that all years share, and what was found on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.ledger import Ledger
from ..spatial.scr import SCR


@dataclass(frozen=True, eq=False)
class CommonFootprint:
    """The captures and masks of all years on their common ground.

    `left_out` has a row for each year: detectors, detections and animals before and after.
    """

    captures: tuple[CaptureHistory, ...]
    masks: tuple[HabitatMask, ...]
    left_out: pd.DataFrame

    @property
    def area(self) -> float:
        """km² that all years have."""
        return self.masks[0].area

    def refit(self, model: SCR, **how: Any) -> Any:
        """A model of several sessions fitted again on the common ground; `how` as for `fit`."""
        return rebuilt(model, self.captures, self.masks).fit(**how)


def rebuilt(model: SCR, captures: Sequence[CaptureHistory], masks: Sequence[HabitatMask]) -> SCR:
    """The same formulas and choices, other data and masks."""
    build, (_, _, *rest) = model.__reduce__()
    return build(list(captures), list(masks), *rest)


def common_footprint(source: Any, masks: Sequence[HabitatMask] | None = None, buffer: float | None = None):
    """The intersection of the masks of several years, with the detectors that look at nothing else.

    A detector stays if every cell of its own year's mask within `buffer` of it is in all masks, so that no animal from
    outside the common ground can be seen from it: cutting a mask under a detector would make density too high.

    Parameters
    ----------
    source : a joint fit or model of several sessions; year -> fit, each of one session; or captures of all years
    masks : of the years, when `source` is captures
    buffer : metres; by default that of the masks

    Returns
    -------
    CommonFootprint; `refit(model)` fits a joint model on it

    Raises
    ------
    SurveyError : masks in different coordinate systems, no common ground, a year without detectors or animals on it
    """
    captures, masks = _data(source, masks)
    ground = _intersection(masks)
    kept, rows = [], []
    for c, own in zip(captures, masks, strict=True):
        reach = buffer if buffer is not None else own.buffer
        if reach is None:
            raise refuse("how far the detectors reach is not known", "Give buffer= in metres", value=c.session)
        inside = _looking_inside(c, own, ground, reach)
        part = only_detectors(c, inside)
        if not inside.any() or part.n_animals == 0:
            what = "a year has no detectors on the common ground" if not inside.any() else "no animals were seen on it"
            raise refuse(what, "These years cannot be compared by what they share", value=c.session)
        kept.append(part)
        rows.append({"year": c.session, "detectors": len(c.detectors), "kept": int(inside.sum()),
                     "detections": c.n_detections, "detections kept": part.n_detections,
                     "animals": c.n_animals, "animals kept": part.n_animals, "area": own.area,
                     "common area": ground.area})  # fmt: skip
    return CommonFootprint(tuple(kept), (ground,) * len(kept), pd.DataFrame(rows))


def only_detectors(captures: CaptureHistory, wanted: np.ndarray) -> CaptureHistory:
    """The captures at some detectors [K bool]; animals seen nowhere else are gone."""
    d = captures.detectors
    names = [d.id[k] for k in np.flatnonzero(wanted)]
    varying = {name: np.asarray(v)[:, wanted] for name, v in d.varying.items()}
    covariates = d.covariates.loc[wanted] if len(d.covariates) else d.covariates
    part = replace(d, id=tuple(names), x=d.x[wanted], y=d.y[wanted], effort=d.effort[:, wanted],
                   covariates=covariates.reset_index(drop=True), varying=varying)  # fmt: skip
    seen = captures.detections[captures.detections["detector"].isin(names)]
    animals = captures.animals.loc[captures.animals.index.isin(seen["animal"])]
    return replace(captures, detections=seen, detectors=part, animals=animals, ledger=Ledger(), tables=None)


def _data(source: Any, masks) -> tuple[list[CaptureHistory], list[HabitatMask]]:
    if isinstance(source, Mapping):
        sessions = [getattr(fit, "model", fit).session() for fit in source.values()]
        names = list(map(str, source))
        return [replace(s.captures, session=n) for s, n in zip(sessions, names, strict=True)], [
            s.mask for s in sessions
        ]
    model = getattr(source, "model", source)
    if hasattr(model, "sessions"):
        return [s.captures for s in model.sessions], [s.mask for s in model.sessions]
    if masks is None:
        raise refuse("captures need the masks of their years", "Give masks=", value=type(source).__name__)
    captures = list(source)
    if len(captures) != len(masks):
        raise refuse("each year needs a mask", f"Give {len(captures)}", value=len(masks))
    return captures, list(masks)


def _intersection(masks: Sequence[HabitatMask]) -> HabitatMask:
    """The cells of the finest mask that are habitat in all."""
    systems = {None if m.crs is None else m.crs.to_string() for m in masks}
    if len(systems) > 1:
        raise refuse("the masks are in different coordinate systems", "Use one", value=sorted(map(str, systems)))
    finest = min(masks, key=lambda m: m.spacing)
    x, y = np.meshgrid(finest.x, finest.y)
    habitat = finest.habitat.copy()
    for mask in masks:
        habitat &= mask.is_habitat(x, y)
    if not habitat.any():
        raise refuse("the years have no ground in common", "They cannot be compared", value=len(masks))
    return replace(finest, habitat=habitat, buffer=None)


def _looking_inside(captures, own: HabitatMask, ground: HabitatMask, reach: float) -> np.ndarray:
    """bool [K]: all habitat of the year within reach of a detector is common ground."""
    from scipy.spatial import cKDTree

    x, y = own.centres()
    lost = ~ground.is_habitat(x, y)
    d = captures.detectors
    if not lost.any():
        return np.ones(len(d), bool)
    nearest, _ = cKDTree(np.column_stack([x[lost], y[lost]])).query(d.positions)
    return np.asarray(nearest) >= reach
