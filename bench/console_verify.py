"""What a verification shows: how far it is, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.console import headline, percent
from bench.gate.report import finding_line, flip_lines

if TYPE_CHECKING:
    from bench.verify import Verification


class Counter:
    """A bar on stderr while images are scored again; nothing where that is no terminal.

    Arguments:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bar = Progress(console=console, transient=True, disable=quiet or not console.is_terminal)

    def __enter__(self) -> Counter:
        self.bar.start()
        self.task = self.bar.add_task("verifying", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def scored(self, done: int, total: int) -> None:
        """Moves the bar."""
        self.bar.update(self.task, completed=done, total=total)


def verification_text(found: Verification, claim: tuple[dict[str, Any], dict[str, str]] | None = None) -> str:
    """What the record claims, check by check what was found, the images behind it, and what was not checked.

    Arguments:
        found: What was found.
        claim: The record's summary and labels, unless it is too damaged to tell.
    """
    lines = ["  ".join(dict.fromkeys(part for part in (found.run, found.run_id) if part))]
    if claim:
        summary, labels = claim
        lines += [
            f"  claims  {headline(summary, labels)}",
            f"          clean {percent(summary['clean_accuracy'])}, robust {percent(summary['robust_accuracy'])}",
        ]
    for finding in found.findings:
        lines.append(finding_line(finding))
        lines += [f"        {line}" for line in flip_lines(finding.flips)] if finding.passed is False else []
    lines += [f"  not checked: {what}" for what in found.unchecked]
    if found.passed:
        unsettled = [finding.check for finding in found.findings if finding.passed is None]
        return "\n".join([*lines, f"verified, but for: {', '.join(unsettled)}" if unsettled else "verified"])
    one = "s" if len(found.differing) > 1 else ""
    differing = f": image{one} {', '.join(map(str, found.differing))}" if found.differing else ""
    return "\n".join([*lines, f"NOT VERIFIED{differing}"])
