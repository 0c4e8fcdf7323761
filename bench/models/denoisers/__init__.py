"""Converts networks of other conventions to denoisers: `denoise(y, sigma)` in pixel units."""
