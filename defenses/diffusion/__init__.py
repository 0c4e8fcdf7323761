"""Purifiers that run a diffusion backwards."""
