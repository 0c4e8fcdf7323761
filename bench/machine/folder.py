"""The working folder, which other people's code may change and ours must not lose."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHANGED_TO = "__purebench_folder__"
"""The attribute of a module that keeps the folder it changed to on import."""


@contextmanager
def kept_folder() -> Iterator[None]:
    """Around other people's code: relative paths mean afterwards what they meant before."""
    before = _folder()
    try:
        yield
    finally:
        if before is not None and _folder() != before:
            os.chdir(before)


@contextmanager
def own_folder(target: Any) -> Iterator[None]:
    """Around a call of other people's code: in the folder that its module changed to on import, which it may count on."""
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    changed = getattr(module, CHANGED_TO, None)
    with kept_folder():
        if changed is not None:
            os.chdir(changed)
        yield


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Around the import of a module: keeps the folder that it changes to for `own_folder`."""
    before = _folder()
    with kept_folder():
        yield
        if _folder() != before and name in sys.modules:
            setattr(sys.modules[name], CHANGED_TO, _folder())


def _folder() -> str | None:
    """The working folder; None if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return None
