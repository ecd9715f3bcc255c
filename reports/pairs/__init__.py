"""Surveys of sites for two species at once: where each is, and whether one changes the odds of the other."""
