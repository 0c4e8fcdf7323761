"""Boards as text: Markdown, LaTeX, CSV, JSON."""
