"""The progress and the result of a verification, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.console.run import headline
from bench.gate.report import finding_lead, flip_lines
from bench.text.columns import folded
from bench.text.words import percent

if TYPE_CHECKING:
    from bench.verify.verification import Verification


class Counter:
    """Shows a bar on stderr while images are scored again; nothing without a terminal.

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
    """The claim of a record, each check with its images, and what was not checked.

    Arguments:
        found: The result of the verification.
        claim: Summary and labels of the record; None if it is too damaged to read them.
    """
    lines = ["  ".join(dict.fromkeys(part for part in (found.run, found.run_id) if part))]
    if claim:
        summary, labels = claim
        lines += [
            folded("  claims  ", headline(summary, labels)),
            f"          clean {percent(summary['clean_accuracy'])}, robust {percent(summary['robust_accuracy'])}",
        ]
    for finding in found.findings:
        lines.append(folded(finding_lead(finding), f"{finding.check}: {finding.detail}"))
        lines += [folded(" " * 8, line) for line in flip_lines(finding.flips)] if finding.passed is False else []
    lines += [folded("  not checked: ", what) for what in found.unchecked]
    if found.passed:
        unsettled = [finding.check for finding in found.findings if finding.passed is None]
        return "\n".join([*lines, folded("verified, except: ", ", ".join(unsettled)) if unsettled else "verified"])
    if not found.differing:
        return "\n".join([*lines, "NOT VERIFIED"])
    noun = "images" if len(found.differing) > 1 else "image"
    return "\n".join([*lines, folded(f"NOT VERIFIED: {noun} ", ", ".join(map(str, found.differing)))])
