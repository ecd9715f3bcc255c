"""Surveys of sites: occupancy and counts, where animals are not told apart."""
