"""purebench measures how robust an image classifier is when a purifier cleans its input first.

In Python::

    import bench

    result = bench.evaluate(purifier, classifier=model, data=(images, labels), threat="linf:8/255")
    result.clean, result.robust, result.samples, result.adversarial
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.interface.checking import audit as audit
    from bench.interface.checking import show as show
    from bench.interface.checking import verify as verify
    from bench.interface.commands import check as check
    from bench.interface.commands import components as components
    from bench.interface.commands import load as load
    from bench.interface.commands import pack as pack
    from bench.interface.commands import suite as suite
    from bench.interface.commands import table as table
    from bench.interface.evaluate import evaluate as evaluate
    from bench.interface.frames import load_results as load_results
    from bench.interface.report import Report as Report
    from bench.interface.result import Result as Result
    from bench.interface.tables import compare as compare
    from bench.interface.tables import leaderboard as leaderboard

__version__ = "0.1.0"

_HOMES = {
    "Report": "bench.interface.report",
    "Result": "bench.interface.result",
    "audit": "bench.interface.checking",
    "check": "bench.interface.commands",
    "compare": "bench.interface.tables",
    "components": "bench.interface.commands",
    "evaluate": "bench.interface.evaluate",
    "leaderboard": "bench.interface.tables",
    "load": "bench.interface.commands",
    "load_results": "bench.interface.frames",
    "pack": "bench.interface.commands",
    "show": "bench.interface.checking",
    "suite": "bench.interface.commands",
    "table": "bench.interface.commands",
    "verify": "bench.interface.checking",
}
"""The public names and their modules, which are imported when a name is used: `import bench` starts without torch."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])


class _Package(ModuleType):
    """Keeps `bench.audit` a function after an import of the package `bench.audit`, which Python would put in its place."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
