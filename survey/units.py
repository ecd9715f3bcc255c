"""The only place that converts units.

Inside: coordinates, distances and sigma in metres; areas in km²; density in animals per 100 km².
"""

from __future__ import annotations

HECTARES_PER_100_KM2 = 10_000.0
M2_PER_KM2 = 1e6


def cell_area_km2(spacing: float) -> float:
    """Area in km² of a square cell of side `spacing` metres."""
    return spacing * spacing / M2_PER_KM2


def density_to_animals_per_cell(density, cell_km2: float):
    """Animals per 100 km² to expected animals in a cell of `cell_km2`."""
    return density * (cell_km2 / 100.0)


def per_hectare(density):
    """Animals per 100 km² to animals per hectare, the unit of many R programs."""
    return density / HECTARES_PER_100_KM2


def per_100_km2(density_per_hectare):
    """Animals per hectare to animals per 100 km²."""
    return density_per_hectare * HECTARES_PER_100_KM2
