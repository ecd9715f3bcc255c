"""Surveys of marked animals that are also reported between occasions, dead or alive."""
