"""Checks of the attack: whether a stronger one exists."""
