"""What a network is seen to do while it computes: numbers of less than single precision, random numbers of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.records.claim import Claim, judged

COARSE = {torch.float16, torch.bfloat16}


class Watch(TorchDispatchMode):
    """Notes, inside its context, the names of coarse floating types and of random operations.

    Attention is tagged as random for the dropout that it could apply; inference modes are looked at elsewhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coarse: set[str] = set()
        self.random: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, 900 modules, to shield the watch from it; nothing is compiled here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the operation and looks at what it gave."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and (leaf.dtype in COARSE or "float8" in str(leaf.dtype)):
                self.coarse.add(str(leaf.dtype).removeprefix("torch."))
        name = func.__name__
        if torch.Tag.nondeterministic_seeded in func.tags and "attention" not in name:
            self.random.add(name.partition(".")[0])
        return result


def operations(evaluate: Callable[[], Any]) -> list[Claim]:
    """Runs one evaluation of the defense and tells of its precision and of its random operations."""
    with Watch() as watch:
        evaluate()
    coarse, found = sorted(watch.coarse), sorted(watch.random)
    return [
        judged("precision", coarse, [], not coarse, "half precision inside hides small changes of the image from gradients and scores; compute in float32 and leave autocast off"),
        judged("random operations", found, [], not found, "random numbers of torch inside depend on the batch or come out otherwise in a recomputation; draw from `noise` only"),
        _switches(),
    ]  # fmt: skip


def _switches() -> Claim:
    """TF32 and autocast, after an evaluation that could have switched them on."""
    on = {
        "tf32 in products": torch.backends.cuda.matmul.allow_tf32,
        "tf32 in convolutions": torch.backends.cudnn.allow_tf32,
        "reduced float32 products": torch.get_float32_matmul_precision() != "highest",
        "autocast": torch.is_autocast_enabled(),
    }
    found = [name for name, state in on.items() if state]
    means = "TF32 and autocast round to 10 bits, so that predictions depend on the device; leave them off"
    return judged("tf32 and autocast", found, [], not found, means)
