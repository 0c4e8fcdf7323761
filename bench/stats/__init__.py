"""Statistics: intervals, paired tests, exact distributions."""
