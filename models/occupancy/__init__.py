"""Occupancy of sites from detection histories."""
