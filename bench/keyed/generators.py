"""The generators that foreign code draws from: those of torch, NumPy and Python, and those that an object holds."""

from __future__ import annotations

import inspect
import random  # noqa: TID251 - its state is restored after foreign code
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

DEEPEST, WIDEST = 6, 1000
"""Levels of nested objects, and the longest list or mapping, that are searched for generators."""
KINDS = 3
"""Kinds of global generators: of torch, NumPy and Python."""
_LOW = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Source:
    """A generator whose state can be read, written and seeded.

    Arguments:
        generator: The generator, or the module that owns it.
        read: Returns its state.
        write: Puts it into a state.
        seed: Seeds it with an integer in `[0, 2^63)`.
    """

    generator: Any
    read: Callable[[], Any]
    write: Callable[[Any], object]
    seed: Callable[[int], object]


State: TypeAlias = list[tuple[Source, Any]]
"""Generators and their states."""


def torch_generators() -> list[torch.Generator]:
    """The default generators of torch: the CPU's and those of all accelerators in use."""
    found = [torch.default_generator]
    for name in ("cuda", "xpu"):
        module = getattr(torch, name, None)
        if module is not None and module.is_initialized():
            found += module.default_generators
    if torch.backends.mps.is_available():
        found.append(torch.mps._get_default_mps_generator())
    return found


def global_sources() -> list[tuple[int, Source]]:
    """The generators that belong to no object, with the number of their kind: torch 0, NumPy 1, Python 2."""
    numpy = Source(np.random, np.random.get_state, np.random.set_state, lambda seed: np.random.seed(seed & _LOW))  # noqa: NPY002, TID251
    python = Source(random, random.getstate, random.setstate, random.seed)
    return [*((0, _of_torch(generator)) for generator in torch_generators()), (1, numpy), (2, python)]


def global_state(held: Sequence[Source] = ()) -> State:
    """The states of the global generators, and of some more."""
    return [(source, source.read()) for source in (*(source for _, source in global_sources()), *held)]


def set_state(state: State) -> None:
    """Puts generators back into a state."""
    for source, value in state:
        source.write(value)


def same_state(one: State, other: State) -> bool:
    """Whether no generator was drawn from or seeded between two states."""
    return [_plain(value) for _, value in one] == [_plain(value) for _, value in other]


def seed_all(seed: int) -> None:
    """Seeds all global generators alike."""
    for _, source in global_sources():
        source.seed(seed)


@contextmanager
def restored(held: Sequence[Source] = ()) -> Iterator[None]:
    """Leaves the global generators, and some more, as they were before."""
    state = global_state(held)
    try:
        yield
    finally:
        set_state(state)


@contextmanager
def forked(seeds: Sequence[int], held: Sequence[Source] = ()) -> Iterator[None]:
    """Seeds all generators and restores them afterwards.

    Arguments:
        seeds: For the generators of torch, for NumPy's, for Python's, and for each one that is held.
        held: Further generators.
    """
    with restored(held):
        for kind, source in (*global_sources(), *enumerate(held, start=KINDS)):
            source.seed(seeds[kind])
        yield


@contextmanager
def repeated(state: Sequence[Tensor]) -> Iterator[None]:
    """Draws of torch are those that followed the moment when `torch_state` returned this state."""
    generators = torch_generators()
    before = [generator.get_state() for generator in generators]
    try:
        for generator, value in zip(generators, state, strict=False):
            generator.set_state(value)
        yield
    finally:
        for generator, value in zip(generators, before, strict=True):
            generator.set_state(value)


def torch_state() -> list[Tensor]:
    """The states of torch's default generators, as `torch.utils.checkpoint` keeps them."""
    return [generator.get_state() for generator in torch_generators()]


def held_by(part: Any) -> list[Source]:
    """The generators in an object's attributes, its class and the module that defines it, in a fixed order.

    Arguments:
        part: An object or a function.
    """
    found: dict[int, Source] = {}
    _search(part, DEEPEST, found, set())
    kind = part if isinstance(part, FunctionType) else type(part)
    module = sys.modules.get(kind.__module__)
    for names in (*map(vars, getattr(kind, "__mro__", ())), vars(module) if module else {}):
        for value in list(names.values()):  # not deeper: a module's other objects do not belong to the purifier
            _search(value, 0, found, set())
    return list(found.values())


def _search(part: Any, depth: int, found: dict[int, Source], seen: set[int]) -> None:
    source = _source(part)
    if source is not None:
        found.setdefault(id(part), source)
    elif depth and id(part) not in seen:
        seen.add(id(part))
        for member in _members(part):
            _search(member, depth - 1, found, seen)


def _members(part: Any) -> list[Any]:
    if isinstance(part, str | bytes | type | ModuleType | Tensor | np.ndarray):
        return []
    if isinstance(part, Mapping | list | tuple):
        members = list(part.values() if isinstance(part, Mapping) else part)
        return members if len(members) <= WIDEST else []
    if isinstance(part, partial):
        return [part.func, *part.args, *part.keywords.values()]
    if isinstance(part, MethodType):
        return [part.__self__]
    if isinstance(part, FunctionType):
        return list(inspect.getclosurevars(part).nonlocals.values())
    if isinstance(part, nn.Module):
        return [value for module in part.modules() for value in vars(module).values()]
    return list(getattr(part, "__dict__", {}).values())


def _source(part: Any) -> Source | None:
    if isinstance(part, torch.Generator):
        return _of_torch(part)
    if isinstance(part, np.random.Generator):
        bits = part.bit_generator
        return Source(
            part,
            lambda: bits.state,
            lambda state: setattr(bits, "state", state),
            lambda seed: setattr(bits, "state", type(bits)(seed).state),
        )
    if isinstance(part, np.random.RandomState):
        return Source(part, part.get_state, part.set_state, lambda seed: part.seed(seed & _LOW))
    if isinstance(part, random.Random):
        return Source(part, part.getstate, part.setstate, part.seed)
    return None


def _of_torch(generator: torch.Generator) -> Source:
    return Source(generator, generator.get_state, generator.set_state, generator.manual_seed)


def _plain(value: Any) -> Any:
    """A state as something that can be compared."""
    if isinstance(value, Tensor):
        return value.numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value
