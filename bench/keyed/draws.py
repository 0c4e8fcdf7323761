"""Random operations of torch on whole batches, with each row drawn from the stream of its own image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.errors import UserError
from bench.noise import Noise

START = 0x7075726500000000
"""Seed of all generators before the first draw. The seed of torch's CPU generator minus this counts the draws."""
STEPS = 1 << 31
"""Steps of a noise below this number belong to purifiers that draw from it; those of foreign draws follow."""
NORMAL = {"randn", "randn_like", "normal", "normal_"}
UNIFORM = {"rand", "rand_like", "uniform_"}
COIN = {"bernoulli", "bernoulli_"}
INTEGER = {"randint", "randint_like", "random_"}
KNOWN = {*NORMAL, *UNIFORM, *COIN, *INTEGER, "exponential_", "native_dropout"}
LARGEST = 1 << 32
"""Largest range of random integers: a word of the stream."""


class ForeignDrawsError(UserError):
    """A purifier draws from generators of torch, NumPy or Python in a way that was not keyed by image and draw."""


def not_by_rows(what: str) -> ForeignDrawsError:
    """The error about a draw in a batch that cannot be taken apart into draws of images."""
    return ForeignDrawsError("draws-not-by-row", got=what)


def not_keyed(name: str) -> ForeignDrawsError:
    """The error about a purifier that gives other images although all generators have the same seed."""
    return ForeignDrawsError("draws-not-keyed", name=name)


class KeyedDraws(TorchDispatchMode):
    """Context in which random operations of torch draw row i of their result from the stream of image i.

    The step of a draw is its number, which is kept in the seed of torch's CPU generator: code that restores the state of
    this generator before it recomputes something, as `torch.utils.checkpoint` does, so draws the same numbers again.

    Arguments:
        noise: The images' streams.

    Raises:
        ForeignDrawsError: A result has no row for each image, or comes from an operation or a generator that is not known.
    """

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self.noise = noise

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keeps torch from importing its compiler, 900 modules, which is not needed."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replaces random operations; calls any other."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        name, given = func._schema.name.partition("::")[2], _arguments(func, args, kwargs)
        if given.get("dropout_p") == 0:  # attention, which then draws nothing
            return func(*args, **kwargs)
        if name not in KNOWN or "out" in given:
            raise not_by_rows(f"torch's {name}")
        if name == "native_dropout":
            return self._dropout(given)
        result = _empty(name, given)
        return result.copy_(self._values(name, result, given))

    def _values(self, name: str, like: Tensor, given: dict[str, Any]) -> Tensor:
        """Random numbers for one operation, in the shape of `like`."""
        step = self._step(name, like, given.get("generator"))
        if name in INTEGER:
            return self._integers(like, given, step)
        if like.is_complex() or (not like.is_floating_point() and name not in COIN):
            raise not_by_rows(f"{like.dtype} from torch's {name}")
        exact = like if like.is_floating_point() else like.float()
        if name in NORMAL:
            return self.noise.normal(exact, step=step).to(like.device) * given.get("std", 1) + given.get("mean", 0)
        unit = self.noise.uniform(exact, step=step).to(like.device)
        if name in COIN:
            return (unit < given.get("p", given["self"])).to(like.dtype)
        if name == "exponential_":
            return -unit.log() / given["lambd"]
        return given.get("from", 0) + unit * (given.get("to", 1) - given.get("from", 0))

    def _integers(self, like: Tensor, given: dict[str, Any], step: int) -> Tensor:
        low, high = given.get("low", given.get("from", 0)), given.get("high", given.get("to"))
        if not isinstance(high, int) or not 0 < high - low <= LARGEST:
            raise not_by_rows(f"integers of the range {low} to {high}")
        size = math.prod(like.shape[1:])
        words = self.noise.words(size, step=step).permute(1, 2, 0).reshape(len(like), -1)[:, :size]
        return (low + words % (high - low)).reshape(like.shape).to(like.device)

    def _dropout(self, given: dict[str, Any]) -> tuple[Tensor, Tensor]:
        x, p = given["input"], given["p"]
        if given["train"] is False or p == 0:
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        kept = self._values("rand_like", x, {}) >= p
        return x * kept / max(1 - p, 1e-30), kept

    def _step(self, name: str, like: Tensor, generator: torch.Generator | None) -> int:
        """The number of this draw; the next one gets the next."""
        if like.dim() == 0 or len(like) != len(self.noise):
            raise not_by_rows(f"{tuple(like.shape)} from torch's {name} for {len(self.noise)} images")
        count = torch.default_generator.initial_seed() - START
        if not 0 <= count < STEPS or (generator is not None and generator.initial_seed() != START):
            raise not_by_rows("a generator of torch that purify makes or seeds itself")
        torch.default_generator.manual_seed(START + count + 1)
        return STEPS + count


def rewound() -> bool:
    """Puts torch's CPU generator back to before the first draw; False if anything else drew from it."""
    generator = torch.default_generator
    state = generator.get_state()
    unused = torch.equal(state, generator.manual_seed(generator.initial_seed()).get_state())
    generator.manual_seed(START)
    return unused


def _arguments(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by name; those left out are absent unless they have a default."""
    schema = func._schema.arguments
    defaults = {one.name: one.default_value for one in schema if one.name != "dtype"}
    named = dict(zip((one.name for one in schema), args, strict=False))
    return {name: value for name, value in {**defaults, **named, **kwargs}.items() if value is not None}


def _empty(name: str, given: dict[str, Any]) -> Tensor:
    """The tensor that an operation returns, not yet filled: itself in place, a new one of a size, or one like another."""
    options = {key: given[key] for key in ("dtype", "layout", "device", "pin_memory", "memory_format") if key in given}
    if "size" in given:
        if name in INTEGER:
            options.setdefault("dtype", torch.int64)
        return torch.empty(given["size"], **options)
    if name.endswith("_"):
        return given["self"]
    parts = [given[key] for key in ("self", "mean", "std") if isinstance(given.get(key), Tensor)]
    shape = torch.broadcast_shapes(*(part.shape for part in parts))
    return torch.empty_like(parts[0].expand(shape) if parts[0].shape != shape else parts[0], **options)
