"""Surveys of animals that are told apart, at places: spatial capture-recapture."""
