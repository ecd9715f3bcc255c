"""Two parks, one population: a survey.toml that joins those of several teams."""
