"""The only conversions of units, each against a number known by heart."""

import pytest

from uncia.survey import units


def test_areas_and_densities():
    assert units.cell_area_km2(500.0) == 0.25
    assert units.density_to_animals_per_cell(2.0, 25.0) == 0.5
    assert units.per_100_km2(0.0001) == pytest.approx(1.0)
    assert units.per_hectare(units.per_100_km2(5.48)) == pytest.approx(5.48)
