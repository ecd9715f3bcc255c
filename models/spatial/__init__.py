"""Spatial capture-recapture."""
