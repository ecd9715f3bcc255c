"""Two parks, one population: several teams' captures with their own cameras and seasons, on one mask.

A name means the same animal in all parks only if somebody has compared the photographs: whether that was done is said,
never guessed. Animals that were matched are counted once; without matching every park's animals are its own, and the
number of different animals is only known between bounds (see `models.unmatched_parks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .captures import CaptureHistory, natural_order
from .errors import refuse
from .habitat import HabitatMask
from .identities import IdentityRegistry
from .together import Together, together

IDENTITIES = ("matched", "separate")


@dataclass(frozen=True, eq=False)
class JoinedParks:
    """The captures of several parks by session, in the order of the sessions. Made by `join_parks`."""

    sessions: tuple[Together, ...]
    parks: tuple[str, ...]
    identities: str  # "matched" or "separate"

    @property
    def captures(self) -> list[CaptureHistory]:
        """What `SCR` and `OpenSCR` take: a history per session, the parks being its methods."""
        return list(self.sessions)

    def mask(self, buffer: float, spacing: float) -> HabitatMask:
        """One habitat mask around the cameras of all parks and sessions; both in metres."""
        every = {(x, y) for s in self.sessions for x, y in s.detectors.positions}
        places = np.array(sorted(every))
        d = self.sessions[0].detectors
        names = tuple(map(str, range(len(places))))
        return HabitatMask.around(
            type(d)(names, places[:, 0], places[:, 1], np.ones((1, len(places))), crs=d.crs), buffer, spacing
        )

    def overlap(self) -> pd.DataFrame:
        """By session: animals that each park detected, and those that several did; "all" counts each once.

        Raises
        ------
        SurveyError : nobody has compared the parks' animals
        """
        if self.identities != "matched":
            raise refuse(
                "the parks' animals were not matched, so that those of both are not known",
                "Match them, or see models.unmatched_parks for what to expect",
            )
        rows, seen = [], {park: set() for park in self.parks}
        for session in self.sessions:
            here = {park: set(c.animals.index) for park, c in session.methods.items()}
            for park, animals in here.items():
                seen[park] |= animals
            rows.append(_counts(session.session, here, self.parks))
        if len(rows) > 1:
            rows.append(_counts("all sessions", seen, self.parks))
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        n = len({a for s in self.sessions for a in s.animals.index})
        words = "matched" if self.identities == "matched" else "not matched"
        return f"{' and '.join(self.parks)}: {len(self.sessions)} sessions, {n} animals, {words} between the parks"


def _counts(name: str, here: Mapping[str, set], parks: Sequence[str]) -> dict:
    animals = [here.get(park, set()) for park in parks]
    every = set().union(*animals)
    several = sum(sum(a in own for own in animals) > 1 for a in every)
    by_park = {park: len(own) for park, own in zip(parks, animals, strict=True)}
    return {"session": name, **by_park, "in several": several, "all": len(every)}


def join_parks(
    parks: Mapping[str, CaptureHistory | Sequence[CaptureHistory]],
    identities: str,
    registries: Mapping[str, IdentityRegistry] | IdentityRegistry | None = None,
) -> JoinedParks:
    """The captures of several parks as those of one population.

    Parameters
    ----------
    parks : by name, the captures of one session or of several; sessions of the same name are of the same time. A park
        need not have worked in every session, and its occasions are its own.
    identities : "matched": somebody compared the parks' animals, and a name is one animal in all of them;
        "separate": nobody did, and every park's animals are taken for different ones
    registries : decisions on identities, of each park or of all; with "matched", what brings the parks' names together

    Returns
    -------
    JoinedParks, whose `captures` and `mask(...)` go into `models.SCR` or `models.OpenSCR`; `method` in a formula is
    the park

    Raises
    ------
    SurveyError : one park, a session twice in a park, different CRS, contradictory covariates of an animal
    """
    if identities not in IDENTITIES:
        what = "whether the parks' animals were compared is not said"
        raise refuse(what, f"Give identities={' or '.join(map(repr, IDENTITIES))}", value=identities)
    if len(parks) < 2:
        raise refuse("joining parks takes two of them", 'Write {"north": …, "south": …}', value=list(parks))
    order: dict[str, dict[str, CaptureHistory]] = {}
    for park, given in parks.items():
        histories = [given] if isinstance(given, CaptureHistory) else list(given)
        registry = registries.get(park) if isinstance(registries, Mapping) else registries
        for c in histories:
            if park in order.setdefault(c.session, {}):
                raise refuse(f"park {park!r} has a session twice", "Give each its own session=", value=c.session)
            c = c if registry is None else registry.apply_to(c)
            order[c.session][park] = c if identities == "matched" else _own_names(c, park)
    names = sorted(order, key=natural_order)
    sessions = tuple(together(order[name], session=name) for name in names)
    return JoinedParks(sessions, tuple(parks), identities)


def _own_names(captures: CaptureHistory, park: str) -> CaptureHistory:
    """The animals under the name of their park, so that equal names are different animals."""
    animals = captures.animals.set_axis([f"{park}: {a}" for a in captures.animals.index], axis=0)
    seen = captures.detections.assign(animal=f"{park}: " + captures.detections["animal"])
    return replace(captures, detections=seen, animals=animals)


def union_of_masks(masks: Mapping[str, HabitatMask]) -> HabitatMask:
    """The cells of all masks, by name, on one raster, that of the first; without covariates."""
    first = next(iter(masks.values()))
    for park, mask in masks.items():
        if mask.crs != first.crs:
            raise refuse("the parks' masks have different CRS", "Make them in one CRS", value=park)
        if not np.isclose(mask.spacing, first.spacing):
            raise refuse("the parks' masks have different spacing", "Give them one spacing", value=mask.spacing)
    s = first.spacing
    west, south = (min(getattr(m, k) for m in masks.values()) for k in ("x0", "y0"))
    x0 = first.x0 + s * np.floor((west - first.x0) / s + 1e-6)
    y0 = first.y0 + s * np.floor((south - first.y0) / s + 1e-6)
    nx, ny = (
        int(np.ceil((max(m_end) - start) / s - 1e-6)) + 1
        for start, m_end in ((x0, [m.x[-1] for m in masks.values()]), (y0, [m.y[-1] for m in masks.values()]))
    )
    X, Y = np.meshgrid(x0 + s * np.arange(nx), y0 + s * np.arange(ny))
    habitat = np.any([m.is_habitat(X, Y) for m in masks.values()], axis=0)
    return HabitatMask(float(x0), float(y0), s, habitat, first.crs)
