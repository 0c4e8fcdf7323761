"""Detects foreign packages that shadow the top-level packages of this distribution."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("bench", "defenses", "attacks", "leaderboards")
HOME = Path(__file__).parents[2]


def foreign_package(home: Path = HOME) -> str | None:
    """An error sentence about the first package that is shadowed; None if there is none.

    Arguments:
        home: The folder of our packages.
    """
    for name in PACKAGES:
        spec = find_spec(name)
        places = [Path(place).resolve() for place in (spec.submodule_search_locations or [])] if spec else []
        if (home / name).resolve() not in places:
            got = places[0] if places else spec.origin if spec else "none"
            return f"expected purebench's own package {name!r} in {home}, got {got}; uninstall or rename that package, or reinstall purebench"
    return None
