"""Randomness of foreign code: purifiers that draw from torch, NumPy or Python, with each draw keyed by image and number."""

from bench.keyed.choice import draws_elsewhere, keyed
from bench.keyed.draws import ForeignDrawsError
from bench.keyed.purifier import ALONE, MEANS, OPERATIONS, Keyed, Means
from bench.keyed.wrapped import WithoutNoise, name_of, taking_noise

__all__ = [
    "ALONE",
    "MEANS",
    "OPERATIONS",
    "ForeignDrawsError",
    "Keyed",
    "Means",
    "WithoutNoise",
    "draws_elsewhere",
    "keyed",
    "name_of",
    "taking_noise",
]
