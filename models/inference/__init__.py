"""Ways to run a model: they know only the model protocol."""
