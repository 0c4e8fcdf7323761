"""Under what a record may go on: another device kind or release rounds differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import UserError

KEYS = ("device", "torch", "purebench")


def check_environment(header: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raises `UserError` if a record was made under another device kind, torch or purebench than this.

    Arguments:
        header: The record's header.
        now: The environment in which it is to go on.
        path: The record's folder.
    """
    for before in header["environments"].values():
        for key in KEYS:
            if before.get(key) != now[key]:
                raise UserError(
                    f"expected to go on with {key} {before.get(key)}, under which {path} was begun, got {now[key]}; "
                    "pass --mix-environments, or choose another --results"
                )
