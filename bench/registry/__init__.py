"""Resolves names to components: tables, entry points, paths, and their arguments."""
