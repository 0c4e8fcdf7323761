"""Networks of other conventions as denoisers: `denoise(y, sigma)` in pixel units."""
