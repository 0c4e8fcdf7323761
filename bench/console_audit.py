"""What the command line shows of audits. Text in, text out; nothing is computed here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.console import columns, duration, passes_text
from bench.documents import printable

if TYPE_CHECKING:
    from bench.audit.finding import Finding

MARKS = {"pass": "ok", "suspect": "SUSPECT", "refuted": "REFUTED", "skipped": "-"}
FIRED = ("suspect", "refuted")


class AuditProgress:
    """Each check before it starts and when it is done, on stderr.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def opens(self, run: str, size: str, images: int) -> None:
        """Says what is examined, and how much of it."""
        self._say(f"{run}: {size} audit, first {images} images{'' if size == 'quick' else '; --quick takes minutes'}")

    def priced(self, total: dict[str, Any]) -> None:
        """Says what all checks that will be made cost together."""
        if total["checks"]:
            self._say(_total(total))

    def begins(self, name: str, summary: str, predicted: dict[str, Any]) -> None:
        """Says what a check asks, and what it costs at most."""
        self._say(f"{name}: {summary} At most {_cost(predicted)}")

    def ends(self, finding: Finding, *, new: bool) -> None:
        """Says what came out."""
        took = (
            f" ({duration(finding.seconds)})"
            if new and finding.verdict != "skipped"
            else ""
            if new
            else " (done before)"
        )
        self._say(f"  {finding.name}: {finding.verdict}{took}")

    def _say(self, line: str) -> None:
        if not self.quiet:
            sys.stderr.write(printable(line) + "\n")
            sys.stderr.flush()


def audit_text(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """An audit for people: verdict, what was examined, which checks fired, every check, and what would settle those that fired.

    Arguments:
        audit: The content of `audit.json`.
        labels: Names of the run's defense and attack.
    """
    checks: Sequence[Mapping[str, Any]] = audit["checks"]
    rows = [(f"  {MARKS.get(check['verdict'], '?')}", check["name"], check["meaning"]) for check in checks]
    head = f"audit   {audit['verdict']} · {audit['size']}, first {audit['n']} images"
    fired = [f"{check['name']} ({check['verdict']})" for check in checks if check["verdict"] in FIRED]
    found = [f"  examined  {_examined(audit, labels)}", *([f"  fired     {', '.join(fired)}"] if fired else [])]
    missing = audit.get("missing", [])
    left = [f"  not made yet: {', '.join(missing)}"] if missing else []
    commands = [f"  {check['command']}  # {check['name']}" for check in checks if check["command"]]
    return "\n".join([head, *found, columns(rows), *left, *(["what would settle it", *commands] if commands else [])])


def outlook_text(outlook: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What an audit would make, for people."""
    rows = [(f"  {check['name']}", _becomes(check)) for check in outlook["checks"]]
    head = f"audit   {outlook['size']}, {_examined(outlook, labels)}"
    return "\n".join([head, columns(rows), _total(outlook["total"]), "nothing was run or stored"])


def _examined(audit: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    return f"first {audit['n']} images of run {audit['run_id']}: {labels['defense']} under {labels['attack']}"


def _becomes(check: Mapping[str, Any]) -> str:
    said = {"done": "done before", "skipped": f"does not apply: {check['why']}"}
    return said.get(check["state"]) or f"at most {_cost(check['predicted'])}"


def _total(total: Mapping[str, Any]) -> str:
    count = total["checks"]
    if not count:
        return "no check is left to make"
    return f"{count} check{'s' if count > 1 else ''} to make: at most {_cost(total)}"


def _cost(predicted: Mapping[str, Any]) -> str:
    passes, unforeseen = passes_text(predicted["passes"]), predicted.get("unforeseen", 0)
    attacks = f"{unforeseen} attack{'s' if unforeseen > 1 else ''} without a formula for the work"
    return (
        duration(predicted["seconds"])
        + (f", {passes}" if passes else "")
        + (f", beside {attacks}" if unforeseen else "")
    )
