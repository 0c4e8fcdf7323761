"""The commands `bench list` and `bench doctor`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cli.options import Device, Json, Quiet, print_json, say
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.registry.registry import Found, Registry

CHECKS = "checks"
KIND_NAMES = ("defenses", "attacks", "datasets", "classifiers", "score-models", CHECKS)


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command("list")(list_command)
    app.command("doctor")(doctor_command)


def list_command(
    kind: Annotated[Optional[str], typer.Argument(help=f"One of {', '.join(KIND_NAMES)}; all if left out.")] = None,
    name: Annotated[
        Optional[str],
        typer.Argument(help="One name, or path/file.py:object: what it is, and its arguments with their defaults."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Names of defenses, attacks, data sets and models, and whether each is installed.

    With a name: what it is, its source, and its arguments.

    Example: bench list defenses, or: bench list attacks pgd-full
    """
    if kind is not None and kind not in KIND_NAMES:
        raise UserError("list-kind-unknown", kinds=KIND_NAMES, kind=kind)
    from bench.registry.tables import make_registry
    from bench.text.columns import columns

    registry = make_registry()
    if kind and name:
        _show_one(registry, kind, name, as_json)
        return
    kinds = [kind] if kind else list(KIND_NAMES)
    rows = {name: _checks() if name == CHECKS else _listing(registry, name.replace("-", "_")) for name in kinds}
    if as_json:
        print_json(rows[kind] if kind else [{"kind": name, **row} for name in kinds for row in rows[name]])
        return
    named = {} if kind else {name: _members(registry, name) for name in kinds}
    shown = {name: [row for row in rows[name] if row["name"] not in named.get(name, ())] for name in kinds}
    table = [
        (
            f"  {row['name']}",
            "" if row["installed"] else "(not installed)",
            f"{row['summary']} {row['source']}" if name == CHECKS else row["summary"],
        )
        for name in kinds
        for row in shown[name]
    ]
    lines = columns(table).splitlines()
    for name in kinds:
        part, lines = lines[: len(shown[name])], lines[len(shown[name]) :]
        say("\n".join([name, *part]))
        if len(shown[name]) < len(rows[name]):
            say(f"  and {len(rows[name]) - len(shown[name])} more by name: bench list {name}")


def doctor_command(
    benchmark: Annotated[
        bool,
        typer.Option(
            "--benchmark", help="Time networks on this machine instead, and predict the cost of the larger suites."
        ),
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Versions, devices, weights and clashes, with advice on each.

    Example: bench doctor, or bench doctor --benchmark --device cuda
    """
    if benchmark:
        from bench.console.benchmark import benchmark_text
        from bench.doctor.benchmark import benchmark as measure
        from bench.registry.tables import make_registry

        document = measure(make_registry(), device)
        print_json(document) if as_json else say(benchmark_text(document))
        return
    from bench.doctor.doctor import examine

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        from bench.text.columns import columns

        texts = ("; ".join(filter(None, (finding["detail"], finding["advice"]))) for finding in findings)
        say(columns([(one["status"], one["name"], text) for one, text in zip(findings, texts, strict=True)]))
    if any(finding["status"] == "FAIL" for finding in findings):
        raise typer.Exit(1)


def _checks() -> list[dict[str, Any]]:
    from bench.audit import TABLE

    return [
        {"name": name, "summary": entry.summary, "source": entry.source, "installed": True}
        for name, entry in TABLE.items()
    ]


def _members(registry: Registry, kind: str) -> set[str]:
    return set() if kind == CHECKS else {found.name for found in registry.members(kind.replace("-", "_"))}


def _show_one(registry: Registry, kind: str, name: str, as_json: bool) -> None:
    """Prints one component or check."""
    if kind == CHECKS:
        from bench.audit import find_check
        from bench.text.columns import folded

        find_check(name)
        row = next(row for row in _checks() if row["name"] == name)
        shown = row | {"arguments": []}
        summary = folded("  ", f"{row['summary']} {row['source']}")
        text = f"{name}  check\n{summary}\n\n  bench audit RUN --only {name}"
    else:
        from bench.console.card import card, card_text

        found = registry.find(kind.replace("-", "_"), name)
        shown = card(_row(found), found)
        text = card_text(shown, found)
    print_json(shown) if as_json else say(text)


def _listing(registry: Registry, kind: str) -> list[dict[str, Any]]:
    return [_row(found) for found in registry.all(kind) + registry.members(kind)]


def _row(found: Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "summary": found.entry.summary,
        "source": found.source,
        "installed": found.source == found.name
        or _installed(found.entry.package, found.entry.target.partition(":")[0]),
    }


@cache
def _installed(package: str, module: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return bool(version(package)) if package else find_spec(module.partition(".")[0]) is not None
    except PackageNotFoundError:
        return False
