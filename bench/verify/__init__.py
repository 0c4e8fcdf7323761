"""Verifies records: their files, and their stored adversarial images scored again without an attack."""
