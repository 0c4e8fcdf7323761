"""Checks that the purifier works as much under attack as in the score, and as much as it claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.protocols import Defense
from bench.records.claim import Claim, judged

KIND = "score_forward"


def work(defense: Defense, attacked: Mapping[str, int], scored: Mapping[str, int], votes: int) -> Claim:
    """The claim on passes forward through the score model for one prediction: the same under attack, in the score, and as claimed.

    Arguments:
        defense: The defense; its attribute `evaluations` may claim the passes of one purification.
        attacked: Passes of one image while a gradient is recorded, before it is taken.
        scored: Passes of the same image without gradients.
        votes: Purifications behind one prediction.
    """
    claimed: Any = getattr(defense, "evaluations", None)
    value = {"attacked": attacked[KIND], "scored": scored[KIND]}
    threshold = None if claimed is None else claimed * votes
    passed = len({*value.values()}) == 1 and threshold in (None, value["scored"])
    means = "fewer or other passes than claimed are another purifier, and other ones under attack than in the score mean that another one is attacked; run all steps always"
    return judged("passes", value, threshold, passed, means)
