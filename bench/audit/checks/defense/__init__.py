"""Checks of the defense: what it is, whatever attacks it."""
