"""The cheap checks before every run: what a defense claims, and what its robust accuracy depends on."""
