"""Where the detectors stand: places, distances, coordinate systems."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from ..crs import to_degrees
from .finding import Finding, Look, note, some, warning


def crs_unknown(look: Look) -> Iterator[Finding]:
    """Coordinates without a coordinate reference system."""
    if look.detectors.crs is None:
        yield note(
            "crs-unknown",
            "The coordinates have no coordinate reference system, so maps and rasters cannot be placed",
            "Give crs= when the data are read",
        )


def crs_does_not_fit(look: Look) -> Iterator[Finding]:
    """Positions more than a degree outside the area for which the CRS is made: x and y swapped, or another zone."""
    crs = look.detectors.crs
    area = None if crs is None else crs.area_of_use
    if crs is None or area is None or area.west > area.east:
        return
    longitude, latitude = to_degrees(look.detectors.x, look.detectors.y, crs)
    inside = (area.west - 1 <= longitude) & (longitude <= area.east + 1)
    inside &= (area.south - 1 <= latitude) & (latitude <= area.north + 1)
    if not inside.all():
        yield warning(
            "crs-does-not-fit",
            f"{np.sum(~inside)} of {len(inside)} detectors lie outside the area of {crs.to_string()} ({area.name})",
            "Check that x and y are not swapped, and the zone",
            look.names(~inside),
        )


def one_place(look: Look) -> Iterator[Finding]:
    """Detectors nearer than a fiftieth of the animals' movement see the same visits: paired cameras."""
    least = 0.02 * look.movement if np.isfinite(look.movement) else 0.0
    close = look.detectors.neighbour_distances() <= least
    if close.any():
        pairs = cKDTree(look.detectors.positions).query_pairs(least + 1e-9)
        yield warning(
            "detectors-at-one-place",
            f"{close.sum()} of {len(close)} detectors stand within {max(least, 0.5):,.0f} m of another "
            f"({some(len(pairs), 'pair')}) and are counted as independent",
            "Give paired cameras one location, so that they become one detector with the union of their effort",
            look.names(close),
        )


def far_away(look: Look) -> Iterator[Finding]:
    """A detector ten times as far from the middle of the array as the others: swapped or mistyped coordinates?"""
    places = look.detectors.positions
    distance = np.hypot(*(places - np.median(places, axis=0)).T)
    far = distance > 10.0 * np.median(distance)
    if far.any() and np.median(distance) > 0:
        yield warning(
            "detector-far-away",
            f"{some(far.sum(), 'detector')} up to {distance.max() / 1000:,.0f} km from the others, "
            f"which are within about {np.median(distance) / 1000:,.3g} km",
            "Check for swapped or mistyped coordinates and another UTM zone; split areas far apart into sessions",
            look.names(far),
        )


def wide_spacing(look: Look) -> Iterator[Finding]:
    """Neighbouring detectors more than three times the movement apart."""
    if look.detectors.spacing > 3.0 * look.movement:
        yield warning(
            "detectors-far-apart",
            f"Detectors stand {look.detectors.spacing:,.0f} m from their nearest neighbour, "
            f"{look.detectors.spacing / look.movement:.1f} times the animals' movement of {look.movement:,.0f} m",
            "Space detectors at about twice sigma; clusters of close detectors with gaps between them work too",
        )


def small_array(look: Look) -> Iterator[Finding]:
    """A circular half-normal home range is about five sigma across (95 %)."""
    if look.extent < 5.0 * look.movement:
        yield warning(
            "array-smaller-than-home-range",
            f"The detectors span {look.extent:,.0f} m and a home range about {5.0 * look.movement:,.0f} m",
            "Cover an area of several home ranges: sigma and density cannot be told apart on a smaller one",
        )


def imprecise_positions(look: Look) -> Iterator[Finding]:
    """Positions known to no better than a quarter of the animals' movement."""
    tables = look.captures.tables
    if tables is None:
        return
    blurred = tables.deployments[tables.deployments["coordinate_uncertainty"] > look.movement / 4.0]
    if len(blurred):
        yield warning(
            "positions-imprecise",
            f"{some(len(blurred), 'deployment')} with positions known only to "
            f"{blurred['coordinate_uncertainty'].max():,.0f} m, "
            f"and animals move {look.movement:,.0f} m",
            "Use the original coordinates, not those blurred for publication",
            blurred["deployment"],
        )


CHECKS = [crs_unknown, crs_does_not_fit, one_place, far_away, wide_spacing, small_array, imprecise_positions]
