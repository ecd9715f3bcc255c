"""Spatial capture-recapture of open populations: years of captures, animals that live, die, arrive and move."""
