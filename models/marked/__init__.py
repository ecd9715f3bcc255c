"""Marked animals without coordinates: closed populations, survival, open populations."""
