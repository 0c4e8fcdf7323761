"""Suites: a matrix of runs from a file."""
