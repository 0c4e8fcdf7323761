"""Stored adversarial images scored again, without an attack."""
