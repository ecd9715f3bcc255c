"""Surveys of marked animals without coordinates: how many there are, how they survive, how many come anew."""
