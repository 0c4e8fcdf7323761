"""Errors of other people's code become one sentence; ours, and a lack of memory, pass."""

import pytest
import torch
from refused import refused

from bench.errors import AttackError
from bench.foreign import blamed


def fails(error):
    with blamed("the thing to work", "mend it"):
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration("no"), RuntimeError("no")])
def test_a_foreign_error_is_one_sentence(error):
    with refused("foreign-code-failed") as caught:
        fails(error)
    assert str(caught.value) == f"expected the thing to work, got {type(error).__name__}: no; mend it"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        AttackError("ours"),
        torch.OutOfMemoryError("full"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough"),
    ],
)
def test_ours_and_a_lack_of_memory_pass(error):
    with pytest.raises(type(error)) as caught:
        fails(error)
    assert caught.value is error
