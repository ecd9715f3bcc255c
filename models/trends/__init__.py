"""Change from year to year: annual estimates with their covariance, what became of them, and what that means."""
