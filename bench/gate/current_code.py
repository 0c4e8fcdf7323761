"""Compares the rows of a baseline with the current code of their parts."""

from __future__ import annotations

from bench.compare.pairs import row_name
from bench.errors import BenchError, UserError
from bench.figures.runs import Run
from bench.records.command import given_arguments
from bench.records.spec import Component
from bench.registry.arguments import complete, takes
from bench.registry.entry import FLAGS, KIND_OF
from bench.registry.registry import Registry

OWN = ("defense", "attack")
"""The parts of a run whose code the gate judges."""


def other_code(run: Run, registry: Registry) -> list[str]:
    """The parts of a run whose code changed, as `defense content ee079c0a -> 829f6b33`; `gone` if it is not found."""
    phrases = []
    for role in OWN:
        part: Component = getattr(run.spec, role)
        recorded, current = part.sha256, _current(part, role, registry)
        if current is not None and current != recorded:
            phrases.append(f"{role} content {str(recorded)[:8]} -> {current[:8]}")
    return phrases


def _current(part: Component, role: str, registry: Registry) -> str | None:
    """The hash of a part's current code; None for a built-in part, and for an attack that hashes its surrogate."""
    try:
        found = registry.find(KIND_OF[role], part.name)
        if found.source == "built-in" or takes(found.load(), "surrogate"):
            return None
        return found.source_sha256()
    except (BenchError, SyntaxError, TypeError, ValueError):
        return "gone"


def check_row(run: Run, registry: Registry, *, every: bool) -> None:
    """Checks, before anything runs, that the parts of a row are found and take its arguments.

    Arguments:
        run: The row.
        registry: Finds its names.
        every: Whether to check all recorded arguments (to score stored images) or only the given ones (to run again).

    Raises:
        UserError: A part is not found, or takes other arguments.
    """
    for role in OWN:
        part: Component = getattr(run.spec, role)
        found = registry.find(KIND_OF[role], part.name)
        args = part.args if every else given_arguments(part, getattr(run.header.labels, role))
        try:
            complete(found.load(), {**found.entry.args, **args}, what=found.name, flag=FLAGS[found.kind])
        except UserError as error:
            raise UserError(
                "gate-argument-removed", role=role, row=row_name(run), error=error, path=run.path
            ) from error
