"""Several years of a survey: what changed, how surely, and whether the years can be compared at all."""
