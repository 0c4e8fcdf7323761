"""Purifiers that change how another one is called; all of its other attributes stay."""

from __future__ import annotations

import inspect
from typing import Any, cast

from bench.errors import UserError
from bench.noise import Noise
from bench.protocols import Defense, Images


class Wrapped:
    """A purifier around another one.

    Arguments:
        inner: The other one.
    """

    def __init__(self, inner: Defense) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner" or name.startswith("__"):  # of a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.inner, name)


class WithoutNoise(Wrapped):
    """A purifier that takes images alone: it draws elsewhere, or not at all."""

    def purify(self, x: Images, noise: Noise) -> Images:
        """The purified images."""
        return self.inner.purify(x)  # type: ignore[call-arg]


def taking_noise(defense: Defense) -> Defense:
    """The purifier itself if its `purify` takes images and noise, or one around it if it takes images alone.

    Raises:
        UserError: It takes neither.
    """
    try:
        signature = inspect.signature(defense.purify)
    except ValueError:  # some functions written in C have no signature
        return defense
    if _binds(signature, None, None):
        return defense
    if _binds(signature, None):
        return cast(Defense, WithoutNoise(defense))
    raise UserError("defense-signature", name=name_of(defense), signature=signature)


def _binds(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def name_of(defense: object) -> str:
    """The name of a purifier's own class."""
    while isinstance(defense, Wrapped):
        defense = defense.inner
    return type(defense).__name__
