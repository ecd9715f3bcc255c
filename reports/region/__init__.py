"""Several sites of one region, surveyed at random places: totals of strata."""
