"""Abundance at sites from counts of animals that cannot be told apart."""
