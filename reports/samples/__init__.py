"""Surveys of samples that name their animal, without places and occasions: how many animals there are."""
