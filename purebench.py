"""The console script: checks that the packages of this distribution are its own, then hands over to `bench.cli.main`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("bench", "defenses", "attacks", "leaderboards")


def foreign_package(here: Path = Path(__file__).parent) -> str | None:
    """One sentence about the first of our packages that another one shadows; None if all are ours."""
    for name in PACKAGES:
        spec = find_spec(name)
        places = [Path(place).resolve() for place in (spec.submodule_search_locations or [])] if spec else []
        if (here / name).resolve() not in places:
            got = places[0] if places else spec.origin if spec else "none"
            return f"expected purebench's own package {name!r} in {here}, got {got}; uninstall or rename that package, or reinstall purebench"
    return None


def main() -> None:
    """Runs the command line."""
    problem = foreign_package()
    if problem:
        print(f"bench: {problem}", file=sys.stderr)
        sys.exit(2)
    from bench.cli.main import main as run

    sys.exit(run(sys.argv[1:]))
