"""Collared and released animals, whose fate is known from period to period: survival."""
