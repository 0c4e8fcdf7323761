"""Architectures of the embedded networks."""
