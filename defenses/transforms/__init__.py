"""Purifiers without a learned part."""
