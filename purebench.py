"""The console script: checks that the packages of this distribution are its own, then hands over to `bench.cli.main`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Runs the command line."""
    home = Path(__file__).parent
    spec = find_spec("bench")  # whose own check can only be asked if it is ours
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != (home / "bench" / "__init__.py").resolve():
        got = spec.origin or list(spec.submodule_search_locations or []) if spec else "none"
        _stop(
            f"expected purebench's own package 'bench' in {home}, got {got}; uninstall or rename that package, or reinstall purebench"
        )
    from bench.registry.packages import foreign_package

    problem = foreign_package(home)
    if problem:
        _stop(problem)
    from bench.cli.main import main as run

    sys.exit(run(sys.argv[1:]))


def _stop(problem: str) -> None:
    print(f"bench: {problem}", file=sys.stderr)
    sys.exit(2)
