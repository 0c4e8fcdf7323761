"""Checks that a result depends neither on the batch nor on global randomness."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.claims.batch import SINGLE, pixel_differences
from bench.claims.repetition import OTHER_SEED
from bench.defended import LEAVE_X
from bench.keyed.generators import global_state, restored, same_state, seed_all
from bench.protocols import Images

SAME = 1e-9
"""Largest difference in float64 between results that differ in the order of sums only."""
CHANGED = f"expected the input to be left alone, got it changed in place; {LEAVE_X}"
DREW_GLOBALLY = ", and the global random state changed, as torch.randn changes it"


def check_input_unchanged(function: Callable[[Images], object], x: Images) -> str:
    """Checks that a function does not write into its images.

    Arguments:
        function: The function.
        x: The images, of which it gets a copy.
    """
    given = x.clone()
    function(given)
    return "" if torch.equal(given, x) else CHANGED


def check_repeats(function: Callable[[], Images], what: str) -> str:
    """Checks that a function gives the same images twice.

    Arguments:
        function: The function.
        what: What should be the same, for the message.
    """
    before = global_state()
    first = function()
    touched = not same_state(before, global_state())
    if torch.equal(first, function()):
        return ""
    return f"expected the same {what}, got another{DREW_GLOBALLY * touched}; draw from `noise` only"


def check_batches(function: Callable[[Tensor], Images], count: int, *, single: bool = False) -> str:
    """Checks that each image gives the same alone, in another order and among other neighbours.

    Arguments:
        function: Rows of the images to their results.
        count: The number of images.
        single: Whether the results are float32. Then the root mean square over pixels decides, since rounding at a kink
            may move a few pixels far.
    """
    together = function(torch.arange(count))
    orders = {
        "alone": torch.tensor([1]),
        "reversed": torch.arange(count).flip(0),
        "among fewer": torch.arange(1, count, 2),
    }
    for name, rows in orders.items():
        one, other = function(rows), together[rows]
        difference = float((pixel_differences(one, other) if single else (one - other).abs()).max())
        if not difference <= (SINGLE if single else SAME):
            return f"expected an image to give the same {name} as in its batch, got a difference of {difference:.1e}; sum per image, never over the batch"
    return ""


def check_global_randomness(function: Callable[[], Images]) -> str:
    """Checks that a function neither changes the global generators nor depends on their seed."""
    before = global_state()
    first = function()
    if not same_state(before, global_state()):
        return "expected the global random state to be left alone, got it changed; draw from `noise` only"
    with restored():
        seed_all(OTHER_SEED)
        second = function()
    return (
        ""
        if torch.equal(first, second)
        else "expected the same result under another global seed, got another; draw from `noise` only"
    )
