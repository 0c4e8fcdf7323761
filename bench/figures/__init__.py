"""Figures computed from records."""
