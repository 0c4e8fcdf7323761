"""One component on a card: what it is, its source, and its arguments."""

from __future__ import annotations

import inspect
import re
import shlex
from typing import Any

from bench.records.command import argument_text
from bench.registry.arguments import adjustable, plain
from bench.registry.entry import FLAGS, KIND_OF, KINDS
from bench.registry.registry import Found
from bench.text.columns import folded

OPTIONS = {kind: f"--{role.replace('_', '-')}" for role, kind in KIND_OF.items()}


def card(row: dict[str, Any], found: Found) -> dict[str, Any]:
    """A component as data: its row of `bench list`, and its arguments with their defaults; imports the component.

    Arguments:
        row: The row of `bench list`.
        found: The component.

    Raises:
        UserError: It is installed, but cannot be imported.
    """
    if not row["installed"]:
        return row | {"arguments": []}
    target = found.load()
    doc = _doc(target)
    summary = row["summary"] if found.source == "built-in" or not doc else doc.splitlines()[0]
    by_name = found.name.partition(":")[2]
    rows = [
        _argument(name, found.entry.args.get(name, parameter.default), doc)
        for name, parameter in adjustable(target).items()
        if not by_name or found.entry.args.get(name) != by_name
    ]
    return row | {"summary": summary, "arguments": rows}


def card_text(shown: dict[str, Any], found: Found) -> str:
    """A card for people: summary, arguments as they are written, and a command that uses the component.

    Arguments:
        shown: The card.
        found: The component.
    """
    name, flag = shown["name"], FLAGS.get(found.kind, "")
    source = {"built-in": f"built-in ({found.entry.target})", name: "given by its path"}.get(shown["source"])
    given = [
        (f"  {flag} {row['name']}={_value(row)}".replace("   ", "  "), row["summary"]) for row in shown["arguments"]
    ]
    width = max((len(lead) for lead, _ in given), default=0)
    nothing = "it takes no arguments" if shown["installed"] else "it is not installed (see: bench doctor)"
    return "\n".join(
        [
            f"{name}  {KINDS[found.kind]}, {source or shown['source']}",
            folded("  ", shown["summary"]),
            "",
            *([folded(f"{lead:<{width}}  ", text) for lead, text in given] or [f"  {nothing}"]),
            "",
            f"  bench run {OPTIONS[found.kind]} {shlex.quote(name)}{_example(shown['arguments'], flag)}",
        ]
    )


def _argument(name: str, default: Any, doc: str) -> dict[str, Any]:
    required = default is inspect.Parameter.empty
    value = None if required else plain({name: default})[name]
    shown = value if isinstance(value, str | int | float | bool | list | None) else str(value)
    return {"name": name, "default": shown, "required": required, "summary": _meaning(name, doc)}


def _value(row: dict[str, Any]) -> str:
    return "VALUE" if row["required"] else argument_text(row["default"])


def _example(rows: list[dict[str, Any]], flag: str) -> str:
    """The required arguments, or else the first one with its default."""
    shown = [row for row in rows if row["required"]] or [row for row in rows if row["default"] is not None][:1]
    given = [shlex.quote(f"{row['name']}={_value(row)}") for row in shown]
    return "".join(f" {flag} {text}" for text in given) if flag else ""


def _doc(target: Any) -> str:
    """The docstring of a component; empty if it is only the signature that dataclasses put there."""
    doc = inspect.getdoc(target) or ""
    return "" if doc.startswith(f"{getattr(target, '__name__', '')}(") else doc


def _meaning(name: str, doc: str) -> str:
    """The description of an argument in a docstring, on one line; empty if there is none."""
    found = re.search(rf"^( +){re.escape(name)}: (.*(?:\n\1 +.*)*)", doc, re.MULTILINE)
    return " ".join(found[2].split()) if found else ""
