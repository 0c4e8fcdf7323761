"""Checks of the defense, whatever attacks it."""
