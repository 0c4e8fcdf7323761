"""Watches the operations of a network for half precision and for random numbers of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.records.claim import FAILED, IN_DOUBLE, IN_SINGLE, PASSED, Claim, judged

COARSE = {torch.float16, torch.bfloat16}
RANDOM = "random operations"
SETTLE = {"repeats", "other seed", "global state", "alone", "permuted", "batch size"}
"""If these checks all pass, random operations are functions of image and draw."""
HALF_PRECISION = "half precision inside hides small changes of the image from gradients and scores; compute in float32 and leave autocast off"
UNKEYED = "random numbers of torch inside depend on the batch or come out otherwise in a recomputation; draw from `noise` only"
KEYED = "these operations drew the same for the same image and draw, whatever the seed, the batch and a recomputation; nothing is to be done"


class Watch(TorchDispatchMode):
    """Collects the coarse floating types and the random operations used inside its context.

    Attention counts as random in torch, for the dropout that it could apply; train mode is checked in `modes`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coarse: set[str] = set()
        self.random: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keeps torch from importing its compiler, 900 modules, which is not needed."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the operation and looks at its results."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and (leaf.dtype in COARSE or "float8" in str(leaf.dtype)):
                self.coarse.add(str(leaf.dtype).removeprefix("torch."))
        name = func.__name__
        if torch.Tag.nondeterministic_seeded in func.tags and "attention" not in name:
            self.random.add(name.partition(".")[0])
        return result


def operations(evaluate: Callable[[], Any]) -> list[Claim]:
    """The claims on precision and random operations, from one evaluation of the defense."""
    with Watch() as watch:
        evaluate()
    coarse, found = sorted(watch.coarse), sorted(watch.random)
    return [
        judged("precision", coarse, [], not coarse, HALF_PRECISION),
        judged(RANDOM, found, [], not found, UNKEYED),
        _switches(),
    ]


def keyed(claims: Sequence[Claim]) -> list[Claim]:
    """The claims, with random operations passed if they were measured to be functions of image and draw.

    Arguments:
        claims: All measured claims; those of the gradient must have passed too, which covers recomputation.
    """
    passed = {claim.check for claim in claims if claim.verdict == PASSED}
    slopes = [claim for claim in claims if claim.check in (IN_DOUBLE, IN_SINGLE)]
    if SETTLE - passed or any(claim.verdict != PASSED for claim in slopes):
        return list(claims)
    return [
        replace(claim, verdict=PASSED, meaning=KEYED) if (claim.check, claim.verdict) == (RANDOM, FAILED) else claim
        for claim in claims
    ]


def _switches() -> Claim:
    """The claim that TF32 and autocast are off, after an evaluation that could have switched them on."""
    on = {
        "tf32 in products": torch.backends.cuda.matmul.allow_tf32,
        "tf32 in convolutions": torch.backends.cudnn.allow_tf32,
        "reduced float32 products": torch.get_float32_matmul_precision() != "highest",
        "autocast": torch.is_autocast_enabled(),
    }
    found = [name for name, state in on.items() if state]
    means = "TF32 and autocast round to 10 bits, so that predictions depend on the device; leave them off"
    return judged("tf32 and autocast", found, [], not found, means)
