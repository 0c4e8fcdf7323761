"""A matrix of runs."""
