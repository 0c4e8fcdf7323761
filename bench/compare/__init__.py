"""Paired comparisons of two runs, or of two folders of results."""
